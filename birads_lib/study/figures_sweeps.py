"""Figures of the chapters that read sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from birads_lib.study.figures import OURS, PALETTE, PAPER, WIDTH

ROW = 0.42  # inches a pair
LEAST = 2.2  # inches
MARKERS = "osD^v"
STEPS = (1, 2, 5)  # of a logarithmic axis, a decade
MILLION = 1e6
CORNERS = np.array([[-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]])  # x, y, 1: of what is seen
MARGIN = 0.06  # of a tile's side
CELLS = 8  # of the lattice, a side


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

    Two panels: over multiply-adds, which are counted, and over milliseconds, measured.

    Args:
        points: By name: ``multiply_adds`` (> 0) and ``milliseconds`` (> 0) of a tile,
            ``value`` (AUROC), ``low``, ``high``.
        chance: AUROC of one who knows nothing, drawn as a line.
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH * 1.15, 4), sharey=True)
    costs = {"multiply_adds": MILLION, "milliseconds": 1.0}
    for axis, (cost, unit) in zip(axes, costs.items(), strict=True):
        axis.axhline(chance, color="#444444", linewidth=1, linestyle=":", label="chance")
        _quality_points(axis, points, cost, unit)
    axes[0].set(xlabel="million multiply-adds a tile", ylabel="AUROC, 95 % interval")
    axes[1].set(xlabel="milliseconds a tile, one at a time")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
    return figure


def _quality_points(axis: Axes, points: pd.DataFrame, cost: str, unit: float) -> None:
    """A point for each network over one cost, on a logarithmic axis labelled in ``unit``."""
    for (name, row), marker, colour in zip(points.iterrows(), MARKERS, PALETTE, strict=False):
        reach = [[row["value"] - row["low"]], [row["high"] - row["value"]]]
        axis.errorbar(
            row[cost], row["value"], yerr=reach, fmt=marker, color=colour, capsize=3, label=name
        )
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=STEPS))
    axis.xaxis.set_major_formatter(lambda count, _: f"{count / unit:g}")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.grid(alpha=0.3, which="both")


def sampled_quadrilaterals(
    tiles: NDArray[np.uint8], names: Sequence[str], affine: Sequence[NDArray[np.float32]]
) -> Figure:
    """Tiles with the quadrilateral that a spatial transformer reads of each, as a lattice.

    Equal steps of what the network sees lie between its lines. Its dot is the corner that
    becomes the upper left one.

    Args:
        tiles: uint8 (N, S, S).
        names: Over each tile.
        affine: Of each tile, (2, 3), from places of what is seen to places in the tile,
            -1..1 from edge to edge.
    """
    side = tiles.shape[1] - 1
    corners = [side * (CORNERS @ np.asarray(found).T + 1) / 2 for found in affine]
    edges = np.concatenate([*corners, [[0, 0], [side, side]]])
    low, high = edges.min() - MARGIN * side, edges.max() + MARGIN * side
    columns = min(len(tiles), 4)
    rows = -(-len(tiles) // columns)
    size = WIDTH, WIDTH / columns * rows * 1.15
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, tile, name, places in zip(axes.flat, tiles, names, corners, strict=False):
        axis.imshow(tile, vmin=0, vmax=255)
        axis.add_patch(Polygon(places, fill=False, edgecolor=PAPER, linewidth=2))
        axis.plot(*_lattice(places), color=PAPER, linewidth=0.5, alpha=0.7)
        axis.plot(*places[0], "o", color=PAPER)
        axis.set(xlim=(low, high), ylim=(high, low))
        axis.set_title(name, fontsize=9)
    return figure


def _lattice(corners: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lines that cut a parallelogram in ``CELLS`` by ``CELLS``: x and y, each (2, lines).

    Args:
        corners: (4, 2), around it.
    """
    first, second, third, fourth = corners
    shares = np.linspace(0, 1, CELLS + 1)[1:-1, np.newaxis]

    def between(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
        return start + shares * (end - start)

    starts = np.concatenate([between(first, second), between(second, third)])
    ends = np.concatenate([between(fourth, third), between(first, fourth)])
    lines = np.stack([starts, ends])
    return lines[..., 0], lines[..., 1]
