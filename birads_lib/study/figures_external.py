"""Figures of the chapter on external validation."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from birads_lib.recalibration import METHODS, OUTCOMES
from birads_lib.study.figures import PALETTE, WIDTH

MARKERS = ("o", "s", "^")
APART = 0.16  # between the methods at one number of women


def recalibration_panels(spread: pd.DataFrame) -> Figure:
    """What each method reaches, over the number of women it was fitted on.

    Args:
        spread: From ``recalibration.spread``: medians as marks, middle 90 % as bars.
    """
    figure, axes = plt.subplots(1, len(OUTCOMES), figsize=(WIDTH * 1.25, 3.4))
    women = spread.index.unique("women")
    for axis, outcome in zip(axes, OUTCOMES, strict=True):
        for shift, (method, marker) in enumerate(zip(METHODS, MARKERS, strict=True), -1):
            found = spread.xs(method, level="method").loc[women, outcome]
            reach = [found["middle"] - found["low"], found["high"] - found["middle"]]
            at = [place + APART * shift for place in range(len(women))]
            style = {"fmt": f"{marker}-", "color": PALETTE[shift + 1], "linewidth": 1}
            axis.errorbar(at, found["middle"], reach, capsize=3, label=method, **style)
        axis.set(title=outcome.replace("_", " "), xlabel="women fitted on", ylim=(-0.02, 1.02))
        axis.set(xticks=range(len(women)), xticklabels=list(women))
        axis.grid(axis="y", alpha=0.3)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(METHODS))
    return figure
