"""Distance of grey levels: by hand, and as scipy has it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from birads_lib.tiles.shift import grey_distance, grey_shares


def test_shares_are_of_all_pixels():
    images = np.array([[[0, 0], [0, 255]], [[7, 7], [7, 7]]], np.uint8)
    shares = grey_shares(images)
    assert shares.shape == (256,)
    assert shares[[0, 7, 255]].tolist() == [3 / 8, 4 / 8, 1 / 8]


def test_tiles_made_brighter_lie_as_far_away_as_they_were_moved():
    images = np.random.default_rng(0).integers(40, 200, (3, 9, 9)).astype(np.uint8)
    assert grey_distance(images, images) == 0
    assert grey_distance(images, images + np.uint8(13)) == pytest.approx(13)


def test_distance_is_scipys_for_sets_of_any_size():
    rng = np.random.default_rng(1)
    first = rng.integers(0, 256, (2, 8, 8)).astype(np.uint8)
    second = np.clip(rng.normal(150, 20, (5, 6, 6)), 0, 255).astype(np.uint8)
    expected = wasserstein_distance(first.ravel(), second.ravel())
    assert grey_distance(first, second) == pytest.approx(expected)
