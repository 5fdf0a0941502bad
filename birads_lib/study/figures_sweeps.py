"""Figures of the chapters that read sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from birads_lib.study.figures import OURS, PALETTE, PAPER, WIDTH

ROW = 0.42  # inches a pair
LEAST = 2.2  # inches
MARKERS = "osD^v"
STEPS = (1, 2, 5)  # of a logarithmic axis, a decade
MILLION = 1e6


def paired_differences(
    panels: Mapping[str, Sequence[Mapping[str, Any]]],
    xlabel: str,
    band: tuple[float, float] | None = None,
    band_label: str = "",
) -> Figure:
    """Differences between members on the same tiles, a point with its interval for each pair.

    Args:
        panels: By heading, rows with ``first``, ``second``, ``value`` and ``interval``.
        xlabel: What is compared, with its unit.
        band: A range to set behind the points of the first panel, such as one that was
            stated elsewhere.
        band_label: What the band is.
    """
    sizes = [max(len(rows), 1) for rows in panels.values()]
    height = max(LEAST, ROW * sum(sizes) + 0.7 * len(sizes) + 0.5)
    figure, axes = plt.subplots(
        len(panels), 1, figsize=(WIDTH, height), sharex=True, squeeze=False, height_ratios=sizes
    )
    for axis, (heading, rows) in zip(axes[:, 0], panels.items(), strict=True):
        axis.axvline(0, color="#444444", linewidth=1)
        for place, row in enumerate(rows):
            low, high = row["interval"] or (row["value"], row["value"])
            reach = [[row["value"] - low], [high - row["value"]]]
            axis.errorbar(row["value"], place, xerr=reach, fmt="o", color=OURS, capsize=3)
        axis.set_yticks(range(len(rows)), [f"{r['first']}\nless {r['second']}" for r in rows])
        axis.tick_params(axis="y", labelsize=8)
        axis.set(ylim=(len(rows) - 0.5, -0.5))
        axis.set_title(heading, loc="left")
        axis.grid(axis="x", alpha=0.3)
    if band:
        axes[0, 0].axvspan(*band, color=PAPER, alpha=0.3, label=band_label)
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper right")
    axes[-1, 0].set_xlabel(xlabel)
    return figure


def quality_against_cost(points: pd.DataFrame, chance: float = 0.5) -> Figure:
    """Quality of networks over what a tile costs them, a point with its interval each.

    Args:
        points: By name: ``multiply_adds`` of a tile (> 0), ``value`` (AUROC), ``low``, ``high``.
        chance: AUROC of one who knows nothing, drawn as a line.
    """
    figure, axis = plt.subplots(figsize=(WIDTH * 0.85, 4))
    axis.axhline(chance, color="#444444", linewidth=1, linestyle=":", label="chance")
    for (name, row), marker, colour in zip(points.iterrows(), MARKERS, PALETTE, strict=False):
        reach = [[row["value"] - row["low"]], [row["high"] - row["value"]]]
        axis.errorbar(
            row["multiply_adds"], row["value"], yerr=reach, fmt=marker, color=colour,
            capsize=3, label=name,
        )  # fmt: skip
    axis.set(xscale="log", xlabel="million multiply-adds a tile", ylabel="AUROC, 95 % interval")
    axis.xaxis.set_major_locator(LogLocator(subs=STEPS))
    axis.xaxis.set_major_formatter(lambda count, _: f"{count / MILLION:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.grid(alpha=0.3, which="both")
    figure.legend(loc="outside right upper")
    return figure
