"""Preprocessing: noise goes, lesions stay, contrast rises, background and marks turn black."""

from __future__ import annotations

import numpy as np
import pytest

from birads_lib.errors import UsageError
from birads_lib.tiles.preprocessing import (
    breast_regions,
    improve_contrast,
    preprocess,
    remove_noise,
)

SIDE = 96


@pytest.fixture
def film() -> np.ndarray:
    """Three tiles: breast on the left half with a dark hole; breast alone; nothing."""
    rng = np.random.default_rng(0)
    tiles = np.zeros((3, SIDE, SIDE), np.uint8)
    tiles[0, :, :48] = rng.integers(90, 110, (SIDE, 48))
    tiles[0, 40:60, 15:35] = 3
    tiles[0, 5:25, 70:90] = 250  # a label on the film
    tiles[1] = rng.integers(30, 60, (SIDE, SIDE))
    return tiles


@pytest.mark.parametrize("noise", ["median", "non-local"])
def test_noise_goes_and_an_edge_stays(noise):
    rng = np.random.default_rng(1)
    clean = np.full((1, SIDE, SIDE), 80, np.uint8)
    clean[:, :, 48:] = 160
    noisy = np.clip(clean + rng.normal(0, 5, clean.shape), 0, 255).astype(np.uint8)
    quiet = remove_noise(noisy, noise)
    assert np.std(quiet[0, :, :40]) < 0.6 * np.std(noisy[0, :, :40])
    assert quiet[0, :, 46].mean() < 90
    assert quiet[0, :, 49].mean() > 150


def test_single_bright_pixels_are_noise_to_the_median():
    tile = np.full((1, SIDE, SIDE), 80, np.uint8)
    tile[0, 30, 30] = 255
    tile[0, 60:64, 60:64] = 255  # a calcification of .4 mm
    quiet = remove_noise(tile)
    assert quiet[0, 30, 30] == 80
    assert quiet[0, 61:63, 61:63].min() == 255


def test_contrast_of_a_small_faint_spot_rises():
    tile = np.random.default_rng(2).integers(95, 105, (1, SIDE, SIDE)).astype(np.uint8)
    tile[:, 52:56, 52:56] = 115

    def contrast(image: np.ndarray) -> float:
        return image[0, 52:56, 52:56].mean() - image[0, 44:50, 44:50].mean()

    assert contrast(improve_contrast(tile)) > 1.5 * contrast(tile) > 0


def test_breast_is_the_largest_region_with_its_dark_places(film):
    breast = breast_regions(film)
    assert breast[0, :, :44].all()
    assert not breast[0, :, 56:].any()
    assert breast[1].all()


def test_tile_that_shows_nothing_is_kept(film):
    assert breast_regions(film)[2].all()


def test_label_and_background_are_black_afterwards(film):
    before = film.copy()
    clean = preprocess(film)
    assert clean.shape == film.shape
    assert clean.dtype == np.uint8
    assert (clean[0, :, 56:] == 0).all()
    assert clean[0, :, 2:12].min() > 0
    np.testing.assert_array_equal(film, before)


def test_each_tile_is_cleaned_by_itself(film):
    np.testing.assert_array_equal(preprocess(film)[1:2], preprocess(film[1:2]))


@pytest.mark.parametrize(
    "images", [np.zeros((SIDE, SIDE), np.uint8), np.zeros((1, SIDE, SIDE), np.float32)]
)
def test_other_arrays_are_refused(images):
    with pytest.raises(UsageError, match=r"expected uint8 \(N, H, W\)"):
        preprocess(images)


def test_unknown_filter_is_refused(film):
    with pytest.raises(UsageError, match="noise: unknown 'wiener'; use one of median, non-local"):
        preprocess(film, noise="wiener")
