"""Whole scans to tiles at the data set's scale.

The data set's tiles cover 598 x 598 px of film digitised at about 50 um a pixel,
reduced to 299 x 299: 0.1 mm a pixel, 30 mm a side.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from birads_lib.errors import DataError
from birads_lib.tiles.layout import TILE

TILE_PIXEL_MM = 0.1  # mm, side of a tile's pixel
LEAST_TISSUE = 0.7  # share of a tile that must show breast
SMOOTH = 31  # px, blur before breast and background are told apart
CROPS = 3  # of each lesion, as the data set has them
QUARTERS = 4  # turns of a square

Box = tuple[int, int, int, int]
"""A lesion's bounding box in px: first row, first column, and the row and column after it."""


@dataclass(frozen=True)
class Scan:
    """A whole mammogram.

    Attributes:
        name: Such as ``"P_00173_LEFT_CC"``.
        patient: Such as ``"P_00173"``.
        side: ``"LEFT"`` or ``"RIGHT"``.
        view: ``"CC"`` or ``"MLO"``.
        pixels: uint8 (H, W), 0..255, at 0.1 mm a pixel.
    """

    name: str
    patient: str
    side: str
    view: str
    pixels: NDArray[np.uint8]


def breast_mask(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where a scan shows breast: its largest bright region after a blur.

    Args:
        pixels: uint8 (H, W).

    Returns:
        bool (H, W); all false if the scan shows nothing.
    """
    smooth = cv2.GaussianBlur(pixels, (SMOOTH, SMOOTH), 0)
    _, bright = cv2.threshold(smooth, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_TRIANGLE)
    count, regions, stats, _ = cv2.connectedComponentsWithStats(bright)
    if count < 2:
        return np.zeros(pixels.shape, bool)
    return regions == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())


def tile_positions(
    scan: Scan, stride: int = TILE, tissue: float = LEAST_TISSUE
) -> NDArray[np.int64]:
    """Upper left corners of the windows that show enough breast.

    Args:
        scan: At 0.1 mm a pixel.
        stride: Steps between windows, px.
        tissue: Least share of a window that is breast, 0..1.

    Returns:
        int64 (n, 2), row and column, in reading order.

    Raises:
        DataError: The scan is smaller than a tile.
    """
    height, width = scan.pixels.shape
    _refuse_small(scan.name, height, width)
    mask = breast_mask(scan.pixels)
    corners = [
        (row, column)
        for row in _starts(height, stride)
        for column in _starts(width, stride)
        if mask[row : row + TILE, column : column + TILE].mean() >= tissue
    ]
    return np.array(corners, np.int64).reshape(-1, 2)


def _refuse_small(name: str, height: int, width: int) -> None:
    if height < TILE or width < TILE:
        raise DataError(
            f"{name}: {height} x {width} px at {TILE_PIXEL_MM} mm; a tile needs {TILE} x "
            f"{TILE}; give a whole scan"
        )


def _starts(length: int, stride: int) -> list[int]:
    """Where windows begin along one side; the last one ends at the edge."""
    last = length - TILE
    return sorted({*range(0, last + 1, stride), last})


def cut_tiles(scan: Scan, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The windows at ``positions`` (n, 2): uint8 (n, 299, 299)."""
    tiles = np.empty((len(positions), TILE, TILE), np.uint8)
    for target, (row, column) in zip(tiles, positions, strict=True):
        target[...] = scan.pixels[row : row + TILE, column : column + TILE]
    return tiles


def lesion_crops(
    pixels: NDArray[np.uint8], box: Box, rng: np.random.Generator, crops: int = CROPS
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Cut a lesion several times, as the data set's author did.

    1. Each window lies at a random place. A lesion that fits into a tile is wholly in
       the window; of a larger one the window shows a part. Rows and columns are drawn
       apart, so a long lesion is whole in one direction only. Nothing is reduced.
    2. Windows are moved as little as it takes to stay inside the scan.
    3. Each crop is flipped left to right or not, then turned by 0 to 3 quarters.

    Args:
        pixels: uint8 (H, W), 0..255, a scan at 0.1 mm a pixel.
        box: The lesion's bounding box. It may reach over the scan's edge.
        rng: For places, flips and turns.
        crops: How many to cut.

    Returns:
        The tiles, uint8 (crops, 299, 299), flipped and turned; and the upper left corner
        of each window in the scan, int64 (crops, 2), row and column.

    Raises:
        DataError: The scan is smaller than a tile, or the box is empty or off the scan.
    """
    height, width = pixels.shape
    _refuse_small("scan", height, width)
    row0, column0, row1, column1 = box
    if not (max(row0, 0) < min(row1, height) and max(column0, 0) < min(column1, width)):
        raise DataError(
            f"lesion box {box}: empty, or off the scan of {height} x {width} px; correct the "
            "annotation"
        )
    rows = _random_starts(row0, row1, height, rng, crops)
    columns = _random_starts(column0, column1, width, rng, crops)
    corners = np.stack([rows, columns], axis=1)
    tiles = np.empty((crops, TILE, TILE), np.uint8)
    for tile, (row, column) in zip(tiles, corners, strict=True):
        window = pixels[row : row + TILE, column : column + TILE]
        flipped = window[:, ::-1] if rng.integers(2) else window
        tile[...] = np.rot90(flipped, int(rng.integers(QUARTERS)))
    return tiles, corners


def _random_starts(
    first: int, after: int, length: int, rng: np.random.Generator, crops: int
) -> NDArray[np.int64]:
    """Where windows may begin along one side so as to hold the lesion, or to lie in it."""
    least, most = sorted((first, after - TILE))
    return np.clip(rng.integers(least, most + 1, crops), 0, length - TILE)
