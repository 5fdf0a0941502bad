"""Cleaning of tiles before a network sees them, after Saber et al. (2021), the paper's [17].

The paper says of it: noise is removed, contrast improved, and what is not breast taken
away. Which filter, how much contrast and how the breast is found are this study's reading.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from birads_lib.errors import UsageError, one_of

MEDIAN_SIDE = 3  # px; a larger window would take calcifications for noise
NON_LOCAL_STRENGTH = 5.0  # grey levels of noise taken away
NON_LOCAL_PATCH, NON_LOCAL_SEARCH = 7, 21  # px a side, OpenCV's recommendation
CONTRAST_LIMIT = 2.0  # times a level histogram, at most
CONTRAST_PARTS = 8  # parts a side, each with a histogram of its own
BACKGROUND = 20  # grey level below which film shows no breast
SMOOTH = 9  # px, blur before breast and background are told apart

FILTERS = ("median", "non-local")


def preprocess(images: NDArray[np.uint8], noise: str = "median") -> NDArray[np.uint8]:
    """Remove noise, improve contrast, and blacken what is not breast.

    Where the breast is, is found before contrast is improved, which lifts the background.

    Args:
        images: uint8 (N, H, W).
        noise: ``"median"`` or ``"non-local"``, see ``remove_noise``.

    Returns:
        uint8 (N, H, W).

    Raises:
        UsageError: Not grey uint8 tiles, or an unknown filter.
    """
    quiet = remove_noise(images, noise)
    return np.where(breast_regions(quiet), improve_contrast(quiet), np.uint8(0))


def remove_noise(images: NDArray[np.uint8], noise: str = "median") -> NDArray[np.uint8]:
    """Filter each tile.

    Args:
        images: uint8 (N, H, W).
        noise: ``"median"``: of 3 x 3 px; ``"non-local"``: mean over similar patches.

    Returns:
        uint8 (N, H, W).
    """
    if one_of("noise", noise, FILTERS) == "median":
        return _each(images, lambda tile: cv2.medianBlur(tile, MEDIAN_SIDE))
    return _each(
        images,
        lambda tile: cv2.fastNlMeansDenoising(
            tile, None, NON_LOCAL_STRENGTH, NON_LOCAL_PATCH, NON_LOCAL_SEARCH
        ),
    )


def improve_contrast(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Contrast-limited adaptive histogram equalisation (CLAHE): uint8 (N, H, W)."""
    clahe = cv2.createCLAHE(CONTRAST_LIMIT, (CONTRAST_PARTS, CONTRAST_PARTS))
    return _each(images, clahe.apply)


def breast_regions(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where tiles show breast: their largest region that is not black film.

    Dark places within the breast are breast; bright marks beside it are not. A whole
    scan is cut at the grey level that its own histogram suggests
    (``birads_lib.tiles.crops.breast_mask``); a tile may hold breast alone, and is cut at a
    fixed one.

    Args:
        images: uint8 (N, H, W).

    Returns:
        bool (N, H, W); all true for a tile that is black everywhere.
    """
    _check(images)
    regions = np.empty(images.shape, bool)
    for tile, region in zip(images, regions, strict=True):
        region[...] = _breast_region(tile)
    return regions


def _breast_region(tile: NDArray[np.uint8]) -> NDArray[np.bool_]:
    smooth = cv2.GaussianBlur(tile, (SMOOTH, SMOOTH), 0)
    bright = (smooth >= BACKGROUND).astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(bright)
    if count < 2:
        return np.ones(tile.shape, bool)
    largest = parts == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    # A frame around the tile joins all that lies outside the breast to one region.
    framed = np.pad(~largest, 1, constant_values=True).astype(np.uint8)
    _, outside = cv2.connectedComponents(framed, connectivity=4)
    return outside[1:-1, 1:-1] != outside[0, 0]


def _each(
    images: NDArray[np.uint8], change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    _check(images)
    changed = np.empty(images.shape, np.uint8)
    for tile, target in zip(images, changed, strict=True):
        target[...] = change(tile)
    return changed


def _check(images: NDArray[np.uint8]) -> None:
    if images.dtype != np.uint8 or images.ndim != 3:
        raise UsageError(
            f"preprocessing: {images.dtype} of shape {images.shape} given; expected uint8 (N, H, W)"
        )
