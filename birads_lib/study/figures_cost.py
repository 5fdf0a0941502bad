"""Figures of the chapter on cost."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from birads_lib.networks.cost import Peaks
from birads_lib.study.figures import PALETTE, WIDTH

MARKERS = "osD^v"
GIGA = 1e9


def roofline(peaks: Peaks, points: pd.DataFrame) -> Figure:
    """Operations a second over operations a byte, under a processor's two roofs.

    After Williams, Waterman and Patterson (2009).

    Args:
        peaks: The roofs.
        points: One row a network: ``operations a byte`` and ``operations/s``.
    """
    ridge = peaks.operations / peaks.bandwidth
    reached = points["operations a byte"]
    span = np.geomspace(min(reached.min(), ridge) / 4, max(reached.max(), ridge) * 4, 200)
    figure, axis = plt.subplots(figsize=(WIDTH * 0.8, 4))
    roofs = [peaks.attainable(x) / GIGA for x in span]
    axis.loglog(span, roofs, color="black", label="roofs of this processor, measured")
    for (name, row), marker, colour in zip(points.iterrows(), MARKERS, PALETTE, strict=False):
        x, y = row["operations a byte"], row["operations/s"] / GIGA
        axis.loglog(x, y, marker, color=colour, markersize=8, label=f"{name}, training")
    axis.set(xlabel="floating-point operations a byte moved", ylabel="GFLOP/s, float32")
    axis.grid(alpha=0.3, which="both")
    axis.legend(loc="lower right")
    return figure
