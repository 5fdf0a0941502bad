"""Texture of tiles as a table: one row a tile, one named column a feature.

Five groups, by the first words of a column's name. A tile without any texture has finite
features too, since models that learn from the table take no gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import graycomatrix, graycoprops
from skimage.filters import threshold_multiotsu, threshold_otsu
from skimage.measure import label, moments_central, moments_hu, moments_normalized, regionprops

from birads_lib.errors import DataError, UsageError, one_of
from birads_lib.tiles.resizing import resize_tiles

SIDE = 128  # px to which a tile is resized first
BLOCK = 128  # tiles a worker takes at a time
WORTH_A_PROCESS = 800  # tiles, about as long to measure as a process takes to start
GREYS = 256

# Co-occurrence
LEVELS = 32  # of grey, equal steps of 0..255
DISTANCES = (1, 2, 4)  # px
ANGLES = (0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
PROPERTIES = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation", "ASM")

SMALLEST_MOMENT = 1e-15  # Hu moments below are rounding
PERCENTILES = (10, 25, 50, 75, 90)
SMOOTHING = 1.5  # px, before the bright region is parted from the rest
CLUSTERS = 4

Picture = NDArray[np.uint8]
Measure = Callable[[Picture], dict[str, float]]


def texture_features(
    images: Any,
    groups: Sequence[str] | None = None,
    side: int = SIDE,
    processes: int | None = None,
) -> pd.DataFrame:
    """Texture features of tiles.

    Args:
        images: uint8 (N, H, W), such as a store's memory map; read a block at a time.
        groups: Which of ``FEATURE_GROUPS``, in that order; all unless given.
        side: Side in px to which tiles are resized first; it sets what a pixel is.
        processes: Most workers, for few tiles fewer; as many as there are processors
            unless given.

    Returns:
        N rows, float64 columns named ``<group>_<feature>``, all finite.

    Raises:
        DataError: ``images`` are not grey tiles of uint8.
        UsageError: An unknown group, no group, or ``side`` too small for the distances.
    """
    wanted = _known_groups(FEATURE_GROUPS if groups is None else groups)
    if side <= max(DISTANCES):
        raise UsageError(f"side: {side} px given; expected more than {max(DISTANCES)} px")
    if getattr(images, "dtype", None) != np.uint8 or len(images.shape) != 3:
        found = f"{getattr(images, 'dtype', type(images).__name__)} {np.shape(images)}"
        raise DataError(f"images: {found} found; expected grey tiles, uint8 (N, H, W)")
    starts = range(0, len(images), BLOCK)
    workers = min(processes or joblib.cpu_count(), 1 + len(images) // WORTH_A_PROCESS)
    measured = joblib.Parallel(n_jobs=workers)(
        joblib.delayed(_measure_block)(
            resize_tiles(np.asarray(images[start : start + BLOCK]), (side, side)), wanted
        )
        for start in starts
    )
    rows = [row for block in measured for row in block]
    return pd.DataFrame(rows, columns=None if rows else _columns(wanted, side), dtype=float)


def feature_group(features: pd.DataFrame, group: str) -> pd.DataFrame:
    """The columns of one group of a table from ``texture_features``.

    Raises:
        UsageError: There is no such group.
        DataError: The table has none of its columns.
    """
    one_of("group", group, FEATURE_GROUPS)
    columns = [name for name in features.columns if name.startswith(f"{group}_")]
    if not columns:
        raise DataError(f"features: no column of the group {group!r}; measure it first")
    return features[columns]


def first_order(tile: Picture) -> dict[str, float]:
    """Statistics of the grey levels (0..255), wherever they stand.

    Mean, standard deviation, skewness, excess kurtosis, entropy (bits), energy (the sum of
    squared shares) and percentiles. Skewness and kurtosis of a flat tile are 0.
    """
    share = np.bincount(tile.ravel(), minlength=GREYS) / tile.size
    grey = np.arange(GREYS)
    mean = float(share @ grey)
    centred = grey - mean
    deviation = float(np.sqrt(share @ centred**2))
    standard = centred / deviation if deviation else np.zeros(GREYS)
    present = share[share > 0]
    found = {
        "mean": mean,
        "deviation": deviation,
        "skewness": float(share @ standard**3),
        "kurtosis": float(share @ standard**4) - 3 if deviation else 0.0,
        "entropy": float(-(present * np.log2(present)).sum()),
        "energy": float(share @ share),
    }
    levels = np.percentile(tile, PERCENTILES)
    return found | {f"p{p}": float(v) for p, v in zip(PERCENTILES, levels, strict=True)}


def co_occurrence(tile: Picture) -> dict[str, float]:
    """Properties of the grey-level co-occurrence matrix, after Haralick et al. (1973).

    The tile at 32 grey levels, neighbours at 1, 2 and 4 px in four directions, each pair
    counted both ways. Of the four directions the mean and the range are kept, so quarter
    turns and flips of a tile change nothing.
    """
    quantised = tile // (GREYS // LEVELS)
    matrix = graycomatrix(quantised, DISTANCES, ANGLES, LEVELS, symmetric=True, normed=True)
    found = {}
    for name in PROPERTIES:
        values = graycoprops(matrix, name)  # (distances, angles)
        for distance, row in zip(DISTANCES, values, strict=True):
            found[f"{name}_{distance}px_mean"] = float(row.mean())
            found[f"{name}_{distance}px_range"] = float(np.ptp(row))
    return found


def hu_moments(tile: Picture) -> dict[str, float]:
    """The seven moments of Hu (1962), of the grey tile and of its bright region, on a log scale.

    They do not change when a picture is moved, turned or resized; mirrored, the seventh
    changes its sign. See ``log_hu``.
    """
    region = largest_region(bright_mask(tile))
    shapes = {"tile": tile / (GREYS - 1), "region": region.astype(float)}
    return {
        f"{name}_{k}": float(value)
        for name, weight in shapes.items()
        for k, value in enumerate(log_hu(weight), 1)
    }


def log_hu(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hu moments of a picture on a log scale that keeps their sign, float64 (7,).

    A moment h becomes ``sign(h) log10(max(|h|, e) / e)``, with e the smallest that is more
    than rounding: it rises with h and is 0 at 0, unlike the usual ``-sign(h) log10 |h|``.

    Args:
        weight: float (H, W), 0 or more. All 0 counts as having no moments: zeros.
    """
    if not weight.any():
        return np.zeros(7)
    moments = moments_hu(moments_normalized(moments_central(weight)))
    size = np.maximum(np.abs(moments), SMALLEST_MOMENT) / SMALLEST_MOMENT
    return np.sign(moments) * np.log10(size)


def region_of_interest(tile: Picture) -> dict[str, float]:
    """The part of a tile above Otsu's threshold, and the largest connected region in it.

    ``share`` of the tile that is bright, ``count`` of regions, ``contrast`` of bright to
    dark (grey levels), and of the largest region its ``area`` (share of the tile),
    ``eccentricity``, ``solidity`` and ``extent``. A flat tile has no region: zeros.
    """
    bright = bright_mask(tile)
    regions = regionprops(label(bright))
    if not regions:
        return dict.fromkeys(REGION_FEATURES, 0.0)
    largest = max(regions, key=lambda region: region.area)
    values = (
        bright.mean(),
        len(regions),
        tile[bright].mean() - tile[~bright].mean(),
        largest.area / tile.size,
        largest.eccentricity,
        largest.solidity,
        largest.extent,
    )
    return dict(zip(REGION_FEATURES, map(float, values), strict=True))


REGION_FEATURES = (
    "share", "count", "contrast", "area", "eccentricity", "solidity", "extent",
)  # fmt: skip


def bright_mask(tile: Picture) -> NDArray[np.bool_]:
    """Where a tile, lightly smoothed, lies above Otsu's threshold; nowhere if it is flat."""
    smooth = ndimage.gaussian_filter(tile, SMOOTHING)
    return smooth > threshold_otsu(smooth)


def largest_region(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected part of a mask, corners touching; of equals the first."""
    regions = label(mask)
    sizes = np.bincount(regions.ravel())[1:]
    return regions == sizes.argmax() + 1 if len(sizes) else np.zeros_like(mask)


def grey_clusters(tile: Picture) -> dict[str, float]:
    """Four clusters of grey level, from dark to bright: share of the tile, and mean level.

    The clusters are those of k-means at its best: along one line of grey levels the least
    variance within clusters is what multi-level Otsu thresholds (Liao et al. 2001) reach,
    exactly and without a random start. An empty cluster, of a tile with fewer levels, has
    share 0 and the mean of the tile.
    """
    levels = tile // (GREYS // LEVELS)
    distinct = len(np.unique(levels))
    cuts = threshold_multiotsu(levels, min(CLUSTERS, distinct)) if distinct > 1 else []
    cluster = np.digitize(levels, cuts, right=True).ravel()
    count = np.bincount(cluster, minlength=CLUSTERS)
    total = np.bincount(cluster, tile.ravel(), CLUSTERS)
    mean = np.where(count > 0, total / np.maximum(count, 1), tile.mean())
    shares = {f"share_{k}": float(n / tile.size) for k, n in enumerate(count, 1)}
    return shares | {f"mean_{k}": float(value) for k, value in enumerate(mean, 1)}


_MEASURES: dict[str, Measure] = {
    "first_order": first_order,
    "glcm": co_occurrence,
    "hu": hu_moments,
    "region": region_of_interest,
    "clusters": grey_clusters,
}
FEATURE_GROUPS = tuple(_MEASURES)


def _known_groups(groups: Sequence[str]) -> tuple[str, ...]:
    for group in groups:
        one_of("groups", group, FEATURE_GROUPS)
    if not groups:
        raise UsageError(f"groups: none given; use some of {', '.join(FEATURE_GROUPS)}")
    return tuple(group for group in FEATURE_GROUPS if group in groups)


def _measure_block(tiles: Picture, groups: tuple[str, ...]) -> list[dict[str, float]]:
    return [_measure_tile(tile, groups) for tile in tiles]


def _measure_tile(tile: Picture, groups: tuple[str, ...]) -> dict[str, float]:
    return {
        f"{group}_{name}": value
        for group in groups
        for name, value in _MEASURES[group](tile).items()
    }


def _columns(groups: tuple[str, ...], side: int) -> list[str]:
    return list(_measure_tile(np.zeros((side, side), np.uint8), groups))
