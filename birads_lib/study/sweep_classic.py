"""How classic models on texture features take part in a sweep."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from birads_lib.files import fingerprint
from birads_lib.labels import LESION_CODES
from birads_lib.study.sweep_data import HELD_OUT, TRAIN, VALIDATION, Answers, SweepData, Task
from birads_lib.texture import fit_classic, texture_features


def classic_answers(
    task: Task, model: str, groups: Sequence[str] | None, denoised: bool
) -> Answers:
    """C2 to C5 by a classic model; nothing steers it, so it learns from both other parts.

    Args:
        task: What to learn from.
        model: One of ``texture.CLASSIC_MODELS``.
        groups: Of ``texture.FEATURE_GROUPS``; ``None`` for all.
        denoised: Whether features are measured after the autoencoder.
    """
    data = task.data
    infected = data.labels > 0
    split, labels = data.split[infected], data.labels[infected]
    features = _features(data, denoised, None if groups is None else tuple(groups))
    learning = np.isin(split, (TRAIN, VALIDATION))
    fitted = fit_classic(model, features[learning], labels[learning], task.seed)
    chances = fitted.probabilities(features[split == HELD_OUT])
    digest = fingerprint(chances.tolist())  # they have no weights of one form
    return Answers({"scorer": pd.DataFrame(chances, columns=list(LESION_CODES))}, digest)


@functools.lru_cache(maxsize=4)
def _features(data: SweepData, denoised: bool, groups: tuple[str, ...] | None) -> pd.DataFrame:
    """Features of the infected tiles, measured once for all members of a group."""
    return texture_features(data.tiles(denoised).where(data.labels > 0), groups)
