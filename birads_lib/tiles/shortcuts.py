"""What tells infected from normal tiles without any lesion being looked at.

Positives and normals of the data set took different roads from film to file, so
plain statistics of a tile may give its class away. Each probe here is a few
numbers a tile and a logistic regression.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from birads_lib.tiles.store import streamed

BINS = 8  # of the histogram over 0..255
JPEG_BLOCK = 8  # px, side of a JPEG block
BLOCK = 64  # tiles read at a time

Floats = NDArray[np.float64]


def mean_and_deviation(tiles: NDArray[np.uint8]) -> Floats:
    """Mean and standard deviation of grey levels, float64 (N, 2)."""
    flat = tiles.reshape(len(tiles), -1)
    return np.stack([flat.mean(axis=1), flat.std(axis=1)], axis=1)


def histogram(tiles: NDArray[np.uint8]) -> Floats:
    """Share of pixels in eight equal bins of grey level, float64 (N, 8)."""
    bins = tiles.reshape(len(tiles), -1) // (256 // BINS)
    return np.stack([(bins == b).mean(axis=1) for b in range(BINS)], axis=1)


def jpeg_blockiness(tiles: NDArray[np.uint8]) -> Floats:
    """How unevenly steps between pixels fall on the phases of an 8 px grid: float64 (N, 16).

    For rows and for columns, the mean absolute step at each of the eight phases over the
    mean of all; 1 everywhere without a grid. All phases are kept since crops shift it, and
    sorted since flips and turns reorder it.
    """
    features = []
    for axis in (1, 2):
        steps = np.abs(np.diff(tiles.astype(np.int16), axis=axis)).mean(axis=3 - axis)
        usable = steps[:, : steps.shape[1] // JPEG_BLOCK * JPEG_BLOCK]
        phases = usable.reshape(len(tiles), -1, JPEG_BLOCK).mean(axis=1)
        overall = np.maximum(phases.mean(axis=1, keepdims=True), 1e-6)
        features.append(np.sort(phases / overall, axis=1))
    return np.concatenate(features, axis=1)


PROBES: dict[str, Callable[[NDArray[np.uint8]], Floats]] = {
    "mean and deviation": mean_and_deviation,
    "8-bin histogram": histogram,
    "JPEG blockiness": jpeg_blockiness,
}


def probe_features(images: Any, probe: str) -> Floats:
    """Features of one probe for all tiles, read a block at a time: float64 (N, features)."""
    measure, tiles = PROBES[probe], streamed(images)
    blocks = [measure(tiles[i : i + BLOCK]) for i in range(0, len(tiles), BLOCK)]
    return np.concatenate(blocks)


def probe_scores(
    features: Floats, infected: NDArray[np.bool_], learning: NDArray[np.bool_]
) -> Floats:
    """Probability of "infected" from a logistic regression on ``learning`` tiles: (N,), 0..1."""
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    model.fit(features[learning], infected[learning])
    return model.predict_proba(features)[:, 1]
