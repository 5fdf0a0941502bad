"""Figures of the chapter on the radiologist's BI-RADS."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from birads_lib.study.figures import OURS, PALETTE, PAPER, WIDTH

STATED = PALETTE[2]
APART = 0.14  # of the two marks of a category, to each side of its middle
LEAST = 0.6  # %, so that a range of nothing can be seen


def malignancy_by_grade(malignancy: dict[str, dict[str, Any]]) -> Figure:
    """Observed and stated malignancy of each predicted category, over the ACR's range.

    Args:
        malignancy: From ``metrics.malignancy_by_grade``. A category that no tile was given
            has its range alone; a mark without whiskers has no interval.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 3.8))
    for x, found in enumerate(malignancy.values()):
        low, high = (100 * bound for bound in found["acr_bounds"])
        label = "range of the ACR" if x == 0 else None
        at = {"facecolor": PAPER, "edgecolor": PAPER, "alpha": 0.45, "label": label}
        axis.add_patch(Rectangle((x - 0.38, low), 0.76, max(high - low, LEAST), **at))
        _mark(axis, x - APART, found["rate"], "o", OURS)
        _mark(axis, x + APART, found["stated"], "D", STATED)
    axis.errorbar([], [], [], fmt="o", color=OURS, capsize=4, label="malignant, observed")
    axis.errorbar([], [], [], fmt="D", color=STATED, capsize=4, label="probability stated, mean")
    axis.set(
        xticks=range(len(malignancy)),
        xticklabels=[f"{k}\nn = {found['tiles']:,}" for k, found in malignancy.items()],
        xlim=(-0.6, len(malignancy) - 0.4),
        ylim=(-4, 106),
        xlabel="predicted BI-RADS; tiles",
        ylabel="malignant, %",
    )
    axis.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=3, fontsize="small")
    sns.despine(figure)
    return figure


def _mark(axis: Axes, x: float, stated: dict[str, Any] | None, shape: str, colour: Any) -> None:
    if stated is None:
        return
    value, around = 100 * stated["value"], None
    if stated["interval"]:
        low, high = (100 * bound for bound in stated["interval"])
        around = [[value - low], [high - value]]
    axis.errorbar(x, value, around, fmt=shape, color=colour, capsize=4)
