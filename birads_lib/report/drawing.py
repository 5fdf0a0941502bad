"""The pictures of a report as PNG: tile, denoised tile, attention map over it."""

from __future__ import annotations

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from birads_lib.report.reading import Finding
from birads_lib.study.figures_explain import HEAT, overlay

STOPS = 9  # colours by which a page draws the scale


def pictures_of(finding: Finding) -> dict[str, bytes]:
    """PNG files by what they show: ``"tile"``, ``"denoised"``, and ``"attention"`` if any."""
    shown = {"tile": finding.picture.tile, "denoised": finding.denoised}
    if finding.attention is not None:
        shown["attention"] = _under_map(finding.denoised, finding.attention)
    return {name: _png(pixels) for name, pixels in shown.items()}


def scale_colours() -> list[str]:
    """Colours of the map from its lowest to its highest value, as ``"#rrggbb"``."""
    colours = mpl.colormaps[HEAT](np.linspace(0, 1, STOPS))
    return [to_hex(colour) for colour in colours]


def _under_map(tile: NDArray[np.uint8], cells: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A tile under its map, interpolated between the middles of its cells: uint8 (H, W, 3)."""
    heat = cv2.resize(cells, tile.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return overlay(tile, heat)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """A picture, grey (H, W) or red, green, blue (H, W, 3), as a PNG file."""
    written = pixels if pixels.ndim == 2 else pixels[..., ::-1]  # OpenCV begins with blue
    return bytes(cv2.imencode(".png", written)[1])
