"""What the figures pick and draw from few tiles."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from birads_lib.study import figures


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
