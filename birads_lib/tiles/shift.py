"""How far two sets of tiles lie apart in grey levels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEVELS = 256


def grey_shares(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Share of all pixels at each grey level, float64 (256,), of uint8 (N, H, W)."""
    counts = np.bincount(np.asarray(images).ravel(), minlength=LEVELS)
    return counts / counts.sum()


def grey_distance(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Wasserstein distance of two sets' grey levels: how far a pixel moves on average.

    Args:
        first, second: uint8 (N, H, W) and (M, H, W).

    Returns:
        Grey levels, 0 to 255: the area between the two cumulative distributions.
    """
    return float(np.abs(np.cumsum(grey_shares(first) - grey_shares(second))).sum())
