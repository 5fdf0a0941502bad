"""Whole scans to tiles: where the breast is, which windows show it, what is cut."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from birads_lib.errors import DataError
from birads_lib.tiles.crops import Scan, breast_mask, cut_tiles, tile_positions
from birads_lib.tiles.layout import TILE

HEIGHT, WIDTH = 1000, 700
DISC = cv2.circle(np.zeros((HEIGHT, WIDTH), np.uint8), (0, 500), 450, 1, -1).astype(bool)


def half_disc() -> np.ndarray:
    """A breast as film shows it: a bright half disc at the left edge, with grain."""
    rng = np.random.default_rng(0)
    grey = np.where(DISC, 140, 8) + rng.normal(0, 3, DISC.shape)
    return np.clip(grey, 0, 255).astype(np.uint8)


def scan_of(pixels: np.ndarray) -> Scan:
    return Scan("P_00001_LEFT_CC", "P_00001", "LEFT", "CC", pixels)


def test_the_mask_covers_the_breast_and_little_else():
    mask = breast_mask(half_disc())
    assert mask.dtype == bool
    assert mask.shape == DISC.shape
    overlap = (mask & DISC).sum() / (mask | DISC).sum()
    assert overlap > 0.93
    assert mask[DISC].mean() > 0.995


def test_a_label_on_the_film_is_no_breast():
    pixels = half_disc()
    pixels[40:100, 560:680] = 255
    mask = breast_mask(pixels)
    assert not mask[40:100, 560:680].any()
    assert mask[500, 200]


def test_a_black_scan_shows_no_breast():
    mask = breast_mask(np.zeros((400, 400), np.uint8))
    assert mask.shape == (400, 400)
    assert not mask.any()


def test_windows_show_enough_breast_in_reading_order():
    scan = scan_of(half_disc())
    corners = tile_positions(scan)
    assert corners.dtype == np.int64
    assert corners.tolist() == sorted(corners.tolist())
    mask = breast_mask(scan.pixels)
    shares = [mask[r : r + TILE, c : c + TILE].mean() for r, c in corners]
    assert len(shares) > 2
    assert min(shares) >= 0.7


def test_windows_step_by_the_stride_and_the_last_ends_at_the_edge():
    corners = tile_positions(scan_of(half_disc()), stride=250, tissue=0)
    assert sorted(set(corners[:, 0].tolist())) == [0, 250, 500, HEIGHT - TILE]
    assert sorted(set(corners[:, 1].tolist())) == [0, 250, WIDTH - TILE]
    assert len(corners) == 12


def test_a_stride_that_meets_the_edge_gives_no_window_twice():
    pixels = np.zeros((3 * TILE, TILE), np.uint8)
    corners = tile_positions(scan_of(pixels), tissue=0)
    assert corners.tolist() == [[0, 0], [TILE, 0], [2 * TILE, 0]]


def test_asking_for_more_tissue_gives_fewer_windows():
    scan = scan_of(half_disc())
    counts = [len(tile_positions(scan, stride=60, tissue=share)) for share in (0, 0.3, 0.7, 1)]
    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) == 4


def test_a_scan_without_breast_has_no_window():
    corners = tile_positions(scan_of(np.zeros((400, 400), np.uint8)))
    assert corners.shape == (0, 2)
    assert cut_tiles(scan_of(np.zeros((400, 400), np.uint8)), corners).shape == (0, TILE, TILE)


@pytest.mark.parametrize("shape", [(TILE - 1, 500), (500, TILE - 1)])
def test_a_scan_smaller_than_a_tile_is_refused(shape):
    with pytest.raises(DataError, match="P_00001_LEFT_CC") as error:
        tile_positions(scan_of(np.zeros(shape, np.uint8)))
    assert "\n" not in str(error.value)
    assert f"{shape[0]} x {shape[1]}" in str(error.value)


def test_a_scan_of_exactly_one_tile_is_one_window():
    pixels = np.zeros((TILE, TILE), np.uint8)
    assert tile_positions(scan_of(pixels), tissue=0).tolist() == [[0, 0]]


def test_cut_tiles_are_the_pixels_at_their_corners():
    rng = np.random.default_rng(1)
    scan = scan_of(rng.integers(0, 256, (HEIGHT, WIDTH), np.uint8))
    corners = np.array([[0, 0], [HEIGHT - TILE, WIDTH - TILE], [123, 45]])
    tiles = cut_tiles(scan, corners)
    assert tiles.dtype == np.uint8
    for tile, (row, column) in zip(tiles, corners, strict=True):
        assert (tile == scan.pixels[row : row + TILE, column : column + TILE]).all()


def test_cut_tiles_are_copies():
    scan = scan_of(np.zeros((TILE, TILE), np.uint8))
    cut_tiles(scan, np.array([[0, 0]]))[:] = 9
    assert not scan.pixels.any()
