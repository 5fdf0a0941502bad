"""What the figures pick and draw from few tiles."""

from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pytest
import seaborn as sns
from matplotlib.colors import to_rgb

from birads_lib.study import figures

ROOT = Path(__file__).resolve().parents[2]


def test_the_look_is_legible_in_print_dark_and_to_the_colour_blind(tmp_path):
    figures.use_style()
    figure, axis = plt.subplots()
    axis.plot([0, 1])
    axis.plot([1, 0])
    figure.savefig(tmp_path / "lines.png")
    pixels = cv2.imread(str(tmp_path / "lines.png"), cv2.IMREAD_UNCHANGED)
    plt.close(figure)
    assert (pixels[..., 3] == 255).all(), "a clear ground would be dark on a dark page"
    assert pixels[0, 0, :3].tolist() == [255] * 3
    drawn = [line.get_color() for line in axis.lines]
    assert [to_rgb(colour) for colour in drawn] == sns.color_palette("colorblind")[:2]


def test_every_chapter_that_draws_has_the_one_look():
    for path in sorted((ROOT / "notebooks").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "show_figure(" in text:
            assert "figures.use_style()" in text, path.name


@pytest.fixture
def images():
    return np.arange(20, dtype=np.uint8)[:, np.newaxis, np.newaxis] * np.ones((1, 4, 4), np.uint8)


@pytest.mark.parametrize(
    ("there", "shown"),
    [(20, [0, 3, 6, 9, 12, 15]), (6, [0, 1, 2, 3, 4, 5]), (3, [0, 1, 2]), (1, [0])],
)
def test_images_are_spread_over_all_and_as_few_as_there_are(images, there, shown):
    assert figures.spread_out(images[:there])[:, 0, 0].tolist() == shown


def test_rows_of_different_lengths_are_drawn(images):
    figure = figures.tile_rows([("many", images[:6]), ("few", images[:2])])
    drawn = [len(axis.images) for axis in figure.axes]
    plt.close(figure)
    assert drawn == [1] * 6 + [1, 1, 0, 0, 0, 0]
