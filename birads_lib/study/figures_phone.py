"""Figures of the chapter on the phone."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from birads_lib.study.figures import PALETTE, WIDTH

MARKERS = ("o", "s", "^")
APART = 0.2  # between the forms of one row


def loss_rows(loss: pd.DataFrame) -> Figure:
    """By how much eight bits change each figure of merit, with 95 % intervals.

    Args:
        loss: From ``phone.loss_table``: rows by ``figure of merit`` and ``form``, columns
            ``difference``, ``low`` and ``high``.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 3.2))
    merits, forms = (loss.index.unique(level) for level in loss.index.names)
    axis.axvline(0, color="black", linewidth=0.8)
    for place, form in enumerate(forms):
        shift = APART * (place - (len(forms) - 1) / 2)
        rows = loss.xs(form, level="form").loc[merits]
        reach = [rows["difference"] - rows["low"], rows["high"] - rows["difference"]]
        at = [row + shift for row in range(len(merits))]
        style = {"fmt": MARKERS[place], "color": PALETTE[place], "capsize": 3}
        axis.errorbar(rows["difference"], at, xerr=reach, label=form, **style)
    axis.set(
        xlabel="difference: eight bits minus float", yticks=range(len(merits)), yticklabels=merits
    )
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=len(forms))
    return figure
