"""Fitting a gate's answers to another set of tiles by a few of its women.

A network on films of another scanner often still ranks tiles well, but its probabilities,
and with them its threshold, no longer fit. Two remedies leave its weights alone: another
threshold, and Platt scaling (Platt 1999), a logistic regression on the logit of its
probability. Both are fitted on some women and judged on all others, many times over, since
what a few women teach depends on who they are. Nobody is fitted on and judged by at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from birads_lib.errors import DataError, UsageError
from birads_lib.metrics import BINS

METHODS = ("as trained", "new threshold", "Platt scaling")
OUTCOMES = ("sensitivity", "specificity", "balanced_accuracy", "calibration_error")
DRAWS = 50
TRIES = 200  # rounds of draws before too few count as impossible
SPREAD = {"low": 0.05, "middle": 0.5, "high": 0.95}  # quantiles of a figure over draws
SMALLEST = 1e-6  # probabilities are kept this far from 0 and 1, so that logits are finite

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def recalibrate(
    gate: Floats,
    infected: Mask,
    groups: NDArray[np.object_],
    women: Sequence[int],
    threshold: float = 0.5,
    draws: int = DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """What a new threshold and Platt scaling recover, fitted on few women, judged on the rest.

    Args:
        gate: Probability of infected as trained, float (N,), 0..1.
        infected: bool (N,).
        groups: The woman of each tile, (N,).
        women: How many women to fit on, one after another.
        threshold: Least probability that is called infected, as trained and after Platt
            scaling.
        draws: How often each number of women is drawn.
        seed: Of the draws.

    Returns:
        One row a number of women, draw and method: ``women``, ``draw``, ``method`` (one
        of ``METHODS``), ``fitted_tiles``, ``judged_tiles``, and the ``OUTCOMES``, 0..1,
        on the tiles of the women not drawn.

    Raises:
        DataError, UsageError: See ``draw_women``.
    """
    parts = []
    for count in women:
        drawn = draw_women(groups, infected, count, draws, seed)
        moved = [fit_threshold(gate[mask], infected[mask]) for mask in drawn]
        scaled = np.stack([fit_platt(gate[mask], infected[mask])(gate) for mask in drawn])
        trained = np.broadcast_to(gate, drawn.shape)
        probability = (trained, trained, scaled)
        thresholds = (np.full(draws, threshold), np.array(moved), np.full(draws, threshold))
        for method, stated, least in zip(METHODS, probability, thresholds, strict=True):
            outcomes = judge(stated, infected, least, ~drawn)
            facts = {"women": count, "draw": np.arange(draws), "method": method}
            sizes = {"fitted_tiles": drawn.sum(1), "judged_tiles": (~drawn).sum(1)}
            parts.append(pd.DataFrame({**facts, **sizes, **outcomes}))
    return pd.concat(parts, ignore_index=True)


def draw_women(
    groups: NDArray[np.object_], infected: Mask, women: int, draws: int = DRAWS, seed: int = 0
) -> Mask:
    """Draw women at random, so that both they and the others have tiles of either kind.

    A draw that leaves one side without infected or without uninfected tiles could neither
    be fitted on nor judged by, and is drawn again.

    Args:
        groups: The woman of each tile, (N,).
        infected: bool (N,).
        women: How many to draw.
        draws: How often.
        seed: Of the draws.

    Returns:
        bool (draws, N): the tiles of the women drawn.

    Raises:
        UsageError: ``women`` is below 1, or not fewer than there are.
        DataError: No draw, or too few of those made, has both kinds on both sides.
    """
    group, names = pd.factorize(groups)
    if not 1 <= women < len(names):
        raise UsageError(f"women: {women} given; expected 1 to {len(names) - 1} of {len(names)}")
    tiles = np.zeros((len(names), 2))
    np.add.at(tiles, (group, infected.astype(int)), 1)
    rng, kept = np.random.default_rng(seed), np.zeros((0, len(names)), bool)
    for _ in range(TRIES):
        drawn = rng.random((draws, len(names))).argsort(axis=1) < women
        fair = (drawn @ tiles > 0).all(axis=1) & (~drawn @ tiles > 0).all(axis=1)
        kept = np.concatenate([kept, drawn[fair]])
        if len(kept) >= draws:
            return kept[:draws, group]
    raise DataError(
        f"recalibration: {women} of {len(names)} women leave one side without infected or "
        "without uninfected tiles in nearly every draw; give a set with more women"
    )


def possible_sizes(groups: NDArray[np.object_], sizes: Sequence[int]) -> list[int]:
    """Those of ``sizes`` that leave at least half of the women to judge by.

    Raises:
        DataError: None does.
    """
    women = len(pd.unique(groups))
    possible = [size for size in sizes if 2 * size <= women]
    if not possible:
        raise DataError(
            f"recalibration: {women} women in the set; {min(sizes)} to fit on and as many to judge "
            "by are needed; give a set with more women"
        )
    return possible


def fit_threshold(gate: Floats, infected: Mask) -> float:
    """The threshold of highest balanced accuracy, that is of Youden's index.

    It is set midway, as logit, between the two probabilities that it parts. Of several
    equally good ones the middle is taken.

    Args:
        gate: Probability of infected, float (n,), 0..1.
        infected: bool (n,), with both kinds.
    """
    levels = np.unique(_logit(gate))
    between = np.concatenate([levels[:1], (levels[1:] + levels[:-1]) / 2])
    called = _logit(gate) >= between[:, np.newaxis]
    youden = called[:, infected].mean(axis=1) - called[:, ~infected].mean(axis=1)
    best = np.flatnonzero(np.isclose(youden, youden.max()))
    return float(expit(between[best[len(best) // 2]]))


class PlattScaling:
    """Probabilities p to 1 / (1 + exp(-(slope logit(p) + intercept))).

    Attributes:
        slope: 1 leaves the spread of the logits as it is; below 0 turns the ranking round.
        intercept: Added to the logit.
    """

    def __init__(self, slope: float, intercept: float):
        self.slope, self.intercept = slope, intercept

    def __call__(self, gate: Floats) -> Floats:
        """Probabilities of infected, as ``gate``, float (n,), 0..1."""
        return expit(self.slope * _logit(gate) + self.intercept)


def fit_platt(gate: Floats, infected: Mask) -> PlattScaling:
    """Fit slope and intercept of the logit by logistic regression.

    With Platt's targets, (n1 + 1) / (n1 + 2) for the n1 infected tiles and 1 / (n0 + 2)
    for the n0 others: they keep the fit finite where a few tiles are parted perfectly.

    Args:
        gate: Probability of infected, float (n,), 0..1.
        infected: bool (n,), with both kinds.
    """
    hits, others = infected.sum(), (~infected).sum()
    target = np.where(infected, (hits + 1) / (hits + 2), 1 / (others + 2))
    # A target between 0 and 1 is the tile twice, once of each kind, with these weights.
    model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(
        np.tile(_logit(gate), 2)[:, np.newaxis],
        np.repeat([1, 0], len(gate)),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    return PlattScaling(float(model.coef_[0, 0]), float(model.intercept_[0]))


def judge(
    probability: Floats, infected: Mask, threshold: Floats, judged: Mask
) -> dict[str, Floats]:
    """Figures of merit of many draws at once.

    Args:
        probability: Of infected, float (draws, N), 0..1.
        infected: bool (N,).
        threshold: Of each draw, float (draws,).
        judged: Tiles that count, bool (draws, N).

    Returns:
        Each of ``OUTCOMES``, float (draws,), 0..1.
    """
    called = probability >= threshold[:, np.newaxis]
    sensitivity = (judged & called & infected).sum(1) / (judged & infected).sum(1)
    specificity = (judged & ~called & ~infected).sum(1) / (judged & ~infected).sum(1)
    return {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "calibration_error": calibration_error(probability, infected, judged),
    }


def calibration_error(probability: Floats, infected: Mask, judged: Mask) -> Floats:
    """Expected calibration error over 15 equal bins, as ``metrics.evaluate`` has it.

    Args:
        probability: Of infected, float (draws, N), 0..1.
        infected: bool (N,).
        judged: Tiles that count, bool (draws, N).

    Returns:
        float (draws,), 0..1.
    """
    bin_of = np.minimum((probability * BINS).astype(int), BINS - 1)
    place = bin_of + BINS * np.arange(len(probability))[:, np.newaxis]
    gap = np.where(judged, probability - infected, 0.0)
    gaps = np.bincount(place.ravel(), gap.ravel(), BINS * len(probability))
    return np.abs(gaps.reshape(-1, BINS)).sum(1) / judged.sum(1)


def spread(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Median and middle 90 % over draws.

    Args:
        outcomes: From ``recalibrate``.

    Returns:
        Index ``women`` and ``method``; columns (outcome, name in ``SPREAD``).
    """
    cases = outcomes.groupby(["women", "method"], sort=False)[list(OUTCOMES)]
    quantiles = {name: cases.quantile(share) for name, share in SPREAD.items()}
    return pd.concat(quantiles, axis=1).swaplevel(axis=1)


def _logit(probability: Floats) -> Floats:
    return logit(np.clip(np.asarray(probability, float), SMALLEST, 1 - SMALLEST))
