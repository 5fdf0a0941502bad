"""What a run's denoising does to calcifications whose places are known, for a reader."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from birads_lib.errors import one_of
from birads_lib.metrics import REPLICATES, in_words, mean_with_interval
from birads_lib.study.run import Run
from birads_lib.tiles.calcifications import CALCIFIED, MEASURES, lesion_contrasts
from birads_lib.tiles.phantom.truth import PhantomTruth

TRAINING = "training"  # the origin of tiles that are not held out


def held_out_contrasts(run: Run, truth: PhantomTruth, most: int) -> pd.DataFrame:
    """Contrast of held-out calcified lesions in tiles as they are and after the autoencoder.

    Args:
        run: Of simulated tiles, denoised.
        truth: Of the simulated set.
        most: Tiles measured, at most; drawn by the run's seed.

    Returns:
        One row a lesion, see ``calcifications.lesion_contrasts``.

    Raises:
        DataError: No calcification among them can be measured.
    """
    table = run.store.table
    chosen = np.flatnonzero((table["origin"] != TRAINING) & table["label"].isin(CALCIFIED))
    rows = np.sort(np.random.default_rng(run.seed).permutation(chosen)[:most])
    tiles = table["tile"].iloc[rows].tolist()
    return lesion_contrasts(truth, tiles, run.store.images[rows], run.denoised()[rows])


def contrast_changes(contrasts: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By measure ``before``, ``after`` and ``change``, means over lesions with intervals.

    Args:
        contrasts: From ``held_out_contrasts``.
    """
    patients = contrasts["patient"]
    return {
        measure: {
            "before": mean_with_interval(contrasts[f"{measure}_before"].to_numpy(), patients),
            "after": mean_with_interval(contrasts[f"{measure}_after"].to_numpy(), patients),
            "change": change(contrasts, measure),
        }
        for measure in MEASURES
    }


def change(
    contrasts: pd.DataFrame, measure: str = "contrast_to_noise", replicates: int = REPLICATES
) -> dict[str, Any]:
    """Mean paired difference over lesions, after less before, with its 95 % interval.

    Args:
        contrasts: From ``calcifications.lesion_contrasts``.
        measure: One of ``MEASURES``.
        replicates: Of the bootstrap over patients.

    Returns:
        ``{"value", "interval"}``, in grey levels unless it is the ratio.

    Raises:
        UsageError: Another measure.
    """
    one_of("measure", measure, MEASURES)
    difference = contrasts[f"{measure}_after"] - contrasts[f"{measure}_before"]
    return mean_with_interval(difference.to_numpy(), contrasts["patient"], replicates)


def contrast_table(changes: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """``contrast_changes`` as rows for a reader."""
    units = {"contrast": ", grey levels", "noise": ", grey levels"}
    rows = {
        f"{measure.replace('_', ' ')}{units.get(measure, '')}": {
            "as they are": in_words(found["before"], ".2f"),
            "denoised": in_words(found["after"], ".2f"),
            "change": in_words(found["change"], "+.2f"),
        }
        for measure, found in changes.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("of calcifications")


def contrast_sentence(changes: dict[str, dict[str, Any]]) -> str:
    """What denoising does to calcifications, by whether the intervals hold 0."""
    ratio, contrast = (changes[m]["change"] for m in ("contrast_to_noise", "contrast"))
    left = changes["contrast"]["after"]["value"] / changes["contrast"]["before"]["value"]
    return (
        f"Denoising leaves **{left:.0%}** of the mean contrast of calcifications, a change of "
        f"{in_words(contrast, '+.2f')} grey levels: {_verb(contrast, 'they grow', 'they fade')}. "
        f"Contrast-to-noise changes by {in_words(ratio, '+.2f')}: "
        f"{_verb(ratio, 'they stand out more', 'they stand out less')}."
    )


def _verb(figure: dict[str, Any], up: str, down: str) -> str:
    low, high = figure["interval"] or (figure["value"], figure["value"])
    if low <= 0 <= high:
        return "the interval holds 0, so these tiles do not decide"
    return up if low > 0 else down
