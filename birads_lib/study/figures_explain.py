"""Figures of the chapter on explanations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from birads_lib.study.figures import OURS, PALETTE, WIDTH

HEAT = "cividis"  # legible without colour vision
OPACITY = 0.45
GUESS = PALETTE[7]


def overlay(tile: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A tile under its map in colour, uint8 (H, W, 3).

    Args:
        tile: uint8 (H, W).
        heat: float (H, W); its own range is spread over the colours.
    """
    span = max(float(heat.max() - heat.min()), 1e-12)
    colour = mpl.colormaps[HEAT]((heat - heat.min()) / span)[..., :3] * 255
    grey = tile[..., np.newaxis].astype(np.float32)
    return np.rint((1 - OPACITY) * grey + OPACITY * colour).astype(np.uint8)


def map_rows(
    tiles: NDArray[np.uint8],
    maps: Mapping[str, NDArray[np.float32]],
    titles: Sequence[str],
    masks: NDArray[np.bool_] | None = None,
) -> Figure:
    """Tiles in the first row, and under them each map; below a map its lowest and highest value.

    Args:
        tiles: uint8 (n, H, W).
        maps: Name and float (n, H, W) of each row.
        titles: Over the columns.
        masks: bool (n, H, W), drawn as outlines; ``None`` where none are known.
    """
    side = WIDTH * 1.25 / len(tiles)
    size = (WIDTH * 1.25, side * (1 + len(maps)) * 1.3)
    figure, axes = plt.subplots(1 + len(maps), len(tiles), figsize=size, squeeze=False)
    for axis, tile, title in zip(axes[0], tiles, titles, strict=True):
        axis.imshow(tile, vmin=0, vmax=255)
        axis.set_title(title, fontsize=8)
    for line, of_tiles in zip(axes[1:], maps.values(), strict=True):
        for axis, tile, heat in zip(line, tiles, of_tiles, strict=True):
            axis.imshow(overlay(tile, heat))
            axis.set_xlabel(f"{heat.min():#.2g} to {heat.max():#.2g}", fontsize=8)
    for axis, name in zip(axes[:, 0], ("tile", *maps), strict=True):
        axis.set_ylabel(name)
    for line in axes:
        for column, axis in enumerate(line):
            axis.set(xticks=[], yticks=[])
            if masks is not None and not masks[column].all():
                _outline(axis, masks[column])
    return figure


def localisation_points(panels: Mapping[str, Mapping[str, Mapping[str, dict[str, Any]]]]) -> Figure:
    """Both scores of each map with intervals, one panel a score, one row of marks a set of tiles.

    Args:
        panels: By set of tiles, what ``explain.localisation_figures`` gives.
    """
    scores = list(next(iter(panels.values())))
    names = list(next(iter(panels.values()))[scores[0]])
    figure, axes = plt.subplots(1, len(scores), figsize=(WIDTH * 1.25, 3.6), sharey=True)
    styles = list(zip(names, "osDv", (OURS, PALETTE[3], GUESS, GUESS), strict=False))
    for axis, score in zip(axes, scores, strict=True):
        for y, by_score in enumerate(panels.values()):
            for shift, (name, marker, colour) in enumerate(styles):
                at = y + 0.18 * (shift - (len(styles) - 1) / 2)
                _mark(axis, by_score[score][name], at, marker, colour, name if not y else None)
        axis.set(title=score, xlabel="mean over tiles, 0 to 1")
        axis.set(yticks=range(len(panels)), yticklabels=list(panels))
        axis.set_ylim(len(panels) - 0.5, -0.5)
        axis.grid(axis="x", alpha=0.3)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(names))
    return figure


def _mark(
    axis: Axes, found: Mapping[str, Any], y: float, marker: str, colour: Any, label: str | None
) -> None:
    low, high = found["interval"]
    axis.plot([low, high], [y, y], color=colour, linewidth=2)
    axis.plot(found["value"], y, marker, color=colour, label=label)


def _outline(axis: Axes, mask: NDArray[np.bool_]) -> None:
    """The edge of a mask, white with a dark rim, so that it shows on any colour."""
    for colour, width in (("black", 2.0), ("white", 0.9)):
        axis.contour(mask, levels=[0.5], colors=colour, linewidths=width)
