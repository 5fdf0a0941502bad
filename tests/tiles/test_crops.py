"""Whole scans to tiles: where the breast is, which windows show it, what is cut."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from birads_lib.errors import DataError
from birads_lib.tiles.crops import Scan, breast_mask, cut_tiles, lesion_crops, tile_positions
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


# Crops of lesions

MANY = 200  # crops, so that every place, flip and turn comes up


def numbered() -> np.ndarray:
    """A scan of noise, in which a window shows where it was cut."""
    return np.random.default_rng(2).integers(0, 256, (HEIGHT, WIDTH), np.uint8)


def crops_of(box, crops=MANY, seed=0):
    return lesion_crops(numbered(), box, np.random.default_rng(seed), crops)


def ways_round(window: np.ndarray) -> list[bytes]:
    """The eight ways to lay a square."""
    turned = [window, window.T, window[::-1], window[:, ::-1], window[::-1, ::-1]]
    turned += [window.T[::-1], window.T[:, ::-1], window.T[::-1, ::-1]]
    return [np.ascontiguousarray(way).tobytes() for way in turned]


def test_a_lesion_is_cut_three_times():
    tiles, corners = lesion_crops(numbered(), (400, 300, 450, 380), np.random.default_rng(0))
    assert tiles.shape == (3, TILE, TILE)
    assert tiles.dtype == np.uint8
    assert corners.shape == (3, 2)
    assert len({tuple(corner) for corner in corners.tolist()}) == 3


def test_a_small_lesion_is_whole_in_each_crop():
    row0, column0, row1, column1 = box = (400, 300, 450, 380)
    _, corners = crops_of(box)
    assert (corners <= [row0, column0]).all()
    assert (corners + TILE >= [row1, column1]).all()
    assert (np.ptp(corners, axis=0) > [200, 180]).all()  # not all at one place


def test_a_large_lesion_fills_each_crop():
    _, corners = crops_of((200, 100, 800, 600))
    assert (corners >= [200, 100]).all()
    assert (corners + TILE <= [800, 600]).all()
    assert (np.ptp(corners, axis=0) > [200, 150]).all()


def test_a_long_lesion_is_whole_across_and_cut_along():
    _, corners = crops_of((100, 300, 900, 400))
    assert (corners[:, 0] >= 100).all()
    assert (corners[:, 0] + TILE <= 900).all()
    assert (corners[:, 1] <= 300).all()
    assert (corners[:, 1] + TILE >= 400).all()


@pytest.mark.parametrize(
    "box", [(0, 0, 20, 20), (HEIGHT - 9, WIDTH - 9, HEIGHT, WIDTH), (-30, -30, 9, 9)]
)
def test_windows_stay_inside_the_scan(box):
    tiles, corners = crops_of(box)
    assert corners.min() >= 0
    assert (corners + TILE <= [HEIGHT, WIDTH]).all()
    assert tiles.shape == (MANY, TILE, TILE)


def test_crops_are_their_windows_laid_in_all_eight_ways():
    pixels = numbered()
    tiles, corners = crops_of((500, 350, 501, 351), crops=64)
    ways = set()
    for tile, (row, column) in zip(tiles, corners, strict=True):
        window = pixels[row : row + TILE, column : column + TILE]
        ways.add(ways_round(window).index(tile.tobytes()))
    assert ways == set(range(8))


def test_a_seed_decides_the_crops():
    box = (400, 300, 450, 380)
    first, again, other = crops_of(box, 3), crops_of(box, 3), crops_of(box, 3, seed=1)
    assert (first[0] == again[0]).all()
    assert (first[1] == again[1]).all()
    assert (first[1] != other[1]).any()


@pytest.mark.parametrize(
    "box", [(10, 10, 10, 40), (40, 10, 20, 40), (HEIGHT, 0, HEIGHT + 5, 9), (5, -9, 9, 0)]
)
def test_a_lesion_off_the_scan_is_refused(box):
    with pytest.raises(DataError, match="lesion box"):
        crops_of(box)


def test_a_lesion_of_too_small_a_scan_is_refused():
    with pytest.raises(DataError, match="a tile needs"):
        lesion_crops(np.zeros((TILE, TILE - 1), np.uint8), (0, 0, 5, 5), np.random.default_rng(0))
