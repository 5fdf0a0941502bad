"""Contrast of calcifications before and after denoising, as a chapter tells it."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
import pytest

from birads_lib.study import contrasts
from birads_lib.study.run import Run
from birads_lib.tiles.phantom import PhantomTruth


class Blurred(Run):
    """A run whose autoencoder is a Gaussian blur."""

    def denoised(self):
        return np.stack([cv2.GaussianBlur(image, (0, 0), 2) for image in self.store.images])


def made(before, after):
    """Ten lesions of a patient each, of which only the contrast changes."""
    lesions = np.arange(10)
    noise = {"noise_before": 2.0, "noise_after": 2.0}
    spread = lesions / 10
    values = {"contrast_before": before + spread, "contrast_after": after + spread}
    ratio = {f"contrast_to_noise_{k}": values[f"contrast_{k}"] / 2 for k in ("before", "after")}
    return pd.DataFrame({"lesion": lesions, "patient": lesions, **noise, **values, **ratio})


@pytest.fixture
def run(store, kaggle_folder, tmp_path):
    run = Blurred(tmp_path / "smoke", "ablations")
    run.__dict__["store"] = store
    return run


def test_a_blur_takes_contrast_of_held_out_calcifications(run, kaggle_folder):
    truth = PhantomTruth.open(kaggle_folder)
    found = contrasts.held_out_contrasts(run, truth, 40)
    table = run.store.table
    held_out = table.loc[table["origin"] != "training", "tile"]
    assert set(found["lesion"]) <= set(truth.origin(held_out.tolist())["lesion"])
    assert set(found["label"]) <= {1, 3}
    changes = contrasts.contrast_changes(found)
    assert changes["contrast"]["change"]["value"] < 0


def test_no_more_tiles_than_asked_for_are_measured(run, kaggle_folder):
    truth = PhantomTruth.open(kaggle_folder)
    assert contrasts.held_out_contrasts(run, truth, 3)["tiles"].sum() <= 3


def test_changes_by_hand():
    changes = contrasts.contrast_changes(made(8, 6))
    assert changes["contrast"]["before"]["value"] == pytest.approx(8.45)
    assert changes["contrast"]["change"]["value"] == pytest.approx(-2)
    assert changes["contrast_to_noise"]["change"]["interval"] == pytest.approx([-1, -1])
    table = contrasts.contrast_table(changes)
    assert table.loc["contrast, grey levels", "change"] == "-2.00 (-2.00 to -2.00)"
    assert table.loc["contrast to noise", "as they are"].startswith("4.2")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (8, 6, "they stand out less"),
        (6, 8, "they stand out more"),
        (6, 6, "the interval holds 0, so these tiles do not decide"),
    ],
)
def test_the_sentence_follows_the_interval(before, after, said):
    sentence = contrasts.contrast_sentence(contrasts.contrast_changes(made(before, after)))
    assert sentence.endswith(f"{said}.")


def test_the_sentence_says_how_much_contrast_is_left():
    sentence = contrasts.contrast_sentence(contrasts.contrast_changes(made(9.55, 4.55)))
    assert "**50%** of the mean contrast" in sentence  # 5 of 10 grey levels
