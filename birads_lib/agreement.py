"""Agreement on ordered categories: Cohen's kappa, plain and weighted, and what bounds it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

KAPPAS = {"kappa": 0, "linear_kappa": 1, "quadratic_kappa": 2}
"""The power to which the distance between two categories counts; with 0 any is the same."""

Floats = NDArray[np.float64]


def kappas(matrices: Any, power: int = 0) -> Floats:
    """Cohen's kappa of each matrix: 1 - observed over expected disagreement.

    Args:
        matrices: Counts (..., K, K), rows one reader, columns the other.
        power: 0 plain, 1 linear weights, 2 quadratic; see ``KAPPAS``.

    Returns:
        float (...), at most 1; 0 is chance, NaN where both readers know one answer only.
        As ``sklearn.metrics.cohen_kappa_score``. Source: Cohen, Psychological Bulletin
        70 (1968) 213-220, DOI 10.1037/h0026256.
    """
    matrices = np.asarray(matrices, float)
    distance = np.abs(np.subtract.outer(*2 * [np.arange(matrices.shape[-1])])).astype(float)
    cost = np.where(distance > 0, distance**power, 0)
    chance = matrices.sum(-1)[..., :, np.newaxis] * matrices.sum(-2)[..., np.newaxis, :]
    observed = (matrices * cost).sum((-2, -1)) * matrices.sum((-2, -1))
    expected = (chance * cost).sum((-2, -1))
    return 1 - np.divide(
        observed, expected, out=np.full(np.shape(expected), np.nan), where=expected > 0
    )


def best_answers(by_class: Any, categories: Sequence[int]) -> dict[str, dict[str, Any]]:
    """The best that a reader can do who knows nothing but the class.

    Every answer a class is tried. Accuracy and kappa are ratios of sums in which the
    shares of the answers stand once above and once below, so mixing answers within a
    class gains nothing.

    Args:
        by_class: Counts (classes, K), not all 0: how often each class has each category.
        categories: Names of the K categories.

    Returns:
        For ``accuracy`` and each of ``KAPPAS`` the greatest ``value``, the ``answers`` that
        reach it, a category a class, and ``interval``, which is ``None``: it is no estimate.
    """
    counts = np.asarray(by_class, float)
    size = len(categories)
    answers = np.array(list(itertools.product(range(size), repeat=len(counts))))
    # A matrix for each way to answer: rows the category, columns the answer.
    matrices = np.einsum("ca,rck->rak", counts, np.eye(size)[answers])
    values = {"accuracy": np.trace(matrices, axis1=1, axis2=2) / counts.sum()}
    values |= {name: kappas(matrices, power) for name, power in KAPPAS.items()}
    found = {}
    for name, reached in values.items():
        best = int(np.nan_to_num(reached, nan=-np.inf).argmax())
        said = [categories[k] for k in answers[best]]
        found[name] = {"value": float(reached[best]), "interval": None, "answers": said}
    return found
