"""Contrast-to-noise of calcifications: made ones by hand, simulated ones by their truth."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
import pytest

from birads_lib.errors import DataError, UsageError
from birads_lib.study.contrasts import change
from birads_lib.tiles.calcifications import (
    MEASURES,
    contrast_to_noise,
    lesion_contrasts,
    measure_calcifications,
)
from birads_lib.tiles.phantom import PhantomTruth

SIDE = 60
CHECKS = np.where(np.indices((SIDE, SIDE)).sum(axis=0) % 2, 98.0, 102.0)  # mean 100, sd 2


def speck(*places: tuple[int, int], grey: float = 120) -> tuple[np.ndarray, np.ndarray]:
    """One-pixel calcifications on the chequered tile, and their mask: (1, 60, 60) each."""
    image, mask = CHECKS.copy(), np.zeros(CHECKS.shape, bool)
    for place in places:
        image[place], mask[place] = grey, True
    return image[np.newaxis], mask[np.newaxis]


@pytest.fixture(scope="module")
def truth(kaggle_folder) -> PhantomTruth:
    return PhantomTruth.open(kaggle_folder)


@pytest.fixture(scope="module")
def calcified(store) -> tuple[list[str], np.ndarray]:
    """Names and pixels of the simulated tiles with calcifications."""
    rows = np.flatnonzero(store.table["label"].isin([1, 3]))
    return store.table["tile"].iloc[rows].tolist(), np.asarray(store.images[rows])


@pytest.fixture(scope="module")
def masks(truth, calcified) -> np.ndarray:
    return truth.calcifications(calcified[0])


# By hand


def test_contrast_and_noise_of_a_speck_by_hand():
    found = measure_calcifications(*speck((30, 30))).iloc[0]
    assert found.tolist() == pytest.approx([20, 2, 10])


def test_a_speck_darker_than_its_surroundings_has_negative_contrast():
    assert contrast_to_noise(*speck((30, 30), grey=90))[0] == pytest.approx(-5)


def test_a_disc_in_known_noise_has_its_contrast_over_that_noise():
    rng = np.random.default_rng(0)
    mask = cv2.circle(np.zeros((SIDE, SIDE), np.uint8), (30, 30), 4, 1, -1).astype(bool)
    images = 100 + rng.normal(0, 5, (80, SIDE, SIDE)) + 40 * mask
    found = contrast_to_noise(images, np.broadcast_to(mask, images.shape))
    assert found.shape == (80,)
    assert found.mean() == pytest.approx(40 / 5, rel=0.02)


def test_a_tile_has_the_mean_of_its_calcifications():
    image, mask = speck((15, 15), (45, 45))
    image[0, 45, 45] = 110
    assert contrast_to_noise(image, mask)[0] == pytest.approx((10 + 5) / 2)


def test_a_bright_neighbour_does_not_count_as_noise():
    image, mask = speck((30, 30), (30, 37))
    image[0, 29:32, 36:39] = 250  # blurred beyond its mask
    mask_of_first = np.zeros_like(mask)
    mask_of_first[0, 30, 30] = True
    left_out, counted = (contrast_to_noise(image, m)[0] for m in (mask, mask_of_first))
    assert counted < 2
    assert left_out == pytest.approx((20 / 2 + 150 / 2) / 2, rel=0.01)


def test_a_calcification_in_the_corner_has_what_ring_there_is():
    assert contrast_to_noise(*speck((0, 0)))[0] == pytest.approx(10, rel=0.02)


def test_a_flattened_tile_keeps_no_more_noise_than_rounding():
    flat = np.full((2, SIDE, SIDE), 100, np.uint8)
    flat[0, 30, 30] = 103
    mask = np.zeros((2, SIDE, SIDE), bool)
    mask[:, 30, 30] = True
    np.testing.assert_allclose(contrast_to_noise(flat, mask), [3 * np.sqrt(12), 0])


def test_a_tile_without_calcifications_has_no_ratio_and_spoils_no_other():
    image, mask = speck((30, 30))
    none = np.zeros_like(mask)
    both = contrast_to_noise(np.concatenate([image, image]), np.concatenate([none, mask]))
    assert np.isnan(both[0])
    assert both[1] == pytest.approx(10)


def test_a_calcification_that_fills_the_tile_has_no_ring():
    assert np.isnan(contrast_to_noise(CHECKS[np.newaxis], np.ones((1, SIDE, SIDE), bool)))[0]


def test_masks_of_another_shape_are_refused():
    with pytest.raises(DataError, match=r"\(1, 60, 60\)"):
        contrast_to_noise(CHECKS[np.newaxis], np.zeros((1, 30, 30), bool))


# The truth


def test_every_simulated_calcification_lies_within_its_lesion(truth, calcified, masks):
    lesion = truth.masks(calcified[0])
    assert masks.any(axis=(1, 2)).mean() > 0.95
    assert (masks & lesion).sum() > 0.99 * masks.sum()
    assert masks.sum() < 0.5 * lesion.sum()


def test_masses_and_normals_have_no_calcification(truth, store):
    others = store.table.loc[~store.table["label"].isin([1, 3]), "tile"].tolist()
    assert not truth.calcifications(others).any()


def test_simulated_calcifications_stand_out_where_the_truth_has_them(calcified, masks):
    ratio = contrast_to_noise(calcified[1], masks)
    elsewhere = contrast_to_noise(calcified[1], np.roll(masks, 80, axis=1))
    assert np.nanmedian(ratio) > 1
    assert np.nanmedian(ratio) > np.nanmedian(elsewhere) + 1


def test_an_earlier_phantom_without_the_masks_says_so(tmp_path):
    table = pd.DataFrame({"tile": ["test10/00000"], "label": [1]})
    truth = PhantomTruth(table, np.zeros((1, 2), np.uint8), np.zeros((1, 3), np.uint8), tmp_path)
    with pytest.raises(DataError, match=r"calcification\.npy.*write the phantom again"):
        truth.calcifications(["test10/00000"])


# Before and after


def test_a_row_is_a_lesion_with_its_patient(truth, store):
    contrasts = lesion_contrasts(truth, store.table["tile"].tolist(), store.images, store.images)
    known = truth.table.drop_duplicates("lesion").set_index("lesion")
    assert contrasts["lesion"].is_unique
    assert contrasts["label"].isin([1, 3]).all()
    assert (known.loc[contrasts["lesion"], "patient"] == contrasts["patient"].to_numpy()).all()
    assert contrasts["tiles"].between(1, 12).all()
    assert (contrasts["contrast_before"] == contrasts["contrast_after"]).all()


def test_tiles_left_as_they_are_lose_nothing(truth, calcified):
    tiles, images = calcified
    contrasts = lesion_contrasts(truth, tiles, images, images)
    assert change(contrasts) == {"value": 0, "interval": [0, 0]}


def test_blurring_takes_contrast_from_calcifications(truth, calcified):
    tiles, images = calcified
    blurred = np.stack([cv2.GaussianBlur(image, (0, 0), 3) for image in images])
    contrasts = lesion_contrasts(truth, tiles, images, blurred)
    found = change(contrasts, "contrast")
    assert found["interval"][0] <= found["value"] <= found["interval"][1] < 0
    difference = contrasts["contrast_after"] - contrasts["contrast_before"]
    assert found["value"] == pytest.approx(difference.mean())


def test_tiles_without_noise_have_the_higher_ratio(truth, calcified):
    tiles, images = calcified
    contrasts = lesion_contrasts(truth, tiles, images, truth.clean(tiles))
    assert change(contrasts, "noise")["interval"][1] < 0
    assert change(contrasts)["interval"][0] > 0


def test_versions_of_other_tiles_are_refused(truth, calcified):
    tiles, images = calcified
    with pytest.raises(DataError, match="after"):
        lesion_contrasts(truth, tiles, images, images[1:])
    with pytest.raises(DataError, match="masks"):
        lesion_contrasts(truth, tiles, images, images[:, :100, :100])
    with pytest.raises(UsageError, match="unknown/1"):
        lesion_contrasts(truth, ["unknown/1"], images[:1], images[:1])


def test_tiles_without_calcifications_cannot_be_compared(truth, store):
    normal = np.flatnonzero(store.table["label"] == 0)[:3]
    tiles, images = store.table["tile"].iloc[normal].tolist(), store.images[normal]
    with pytest.raises(DataError, match="no calcification"):
        lesion_contrasts(truth, tiles, images, images)


def test_an_unknown_measure_lists_the_known_ones(truth, calcified):
    tiles, images = calcified
    contrasts = lesion_contrasts(truth, tiles[:6], images[:6], images[:6])
    with pytest.raises(UsageError) as caught:
        change(contrasts, "sharpness")
    assert all(measure in str(caught.value) for measure in MEASURES)
