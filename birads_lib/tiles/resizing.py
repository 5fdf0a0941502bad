"""Grey tiles at another size, and as networks take them."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MOST_KEPT = 1 << 30
"""Bytes of resized tiles kept for the epochs to come: 116,000 tiles of 96 x 96."""


def resize_tiles(images: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Resize grey images, averaging over areas where they shrink (no aliasing).

    Args:
        images: uint8 or float32 (N, H, W), grey levels 0..255.
        size: (height, width) wanted.

    Returns:
        Same dtype (N, height, width); uint8 is rounded.
    """
    if images.shape[1:] == size:
        return np.ascontiguousarray(images)
    shrinks = size[0] <= images.shape[1] and size[1] <= images.shape[2]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = np.empty((len(images), *size), images.dtype)
    for source, target in zip(images, resized, strict=True):
        cv2.resize(source, size[::-1], dst=target, interpolation=how)
    return resized


class ResizedRows:
    """Rows of grey images at another size, each resized once if memory may hold them all.

    Args:
        images: (N, H, W), as ``resize_tiles`` takes them; may be read from disk by rows.
        size: (height, width) wanted.

    An index array of rows, int (n,), gives them as ``resize_tiles`` does: (n, height, width).
    """

    def __init__(self, images: Any, size: tuple[int, int]):
        self.images, self.size = images, size
        needed = len(images) * math.prod(size) * images.dtype.itemsize
        keeps = needed <= MOST_KEPT and tuple(images.shape[1:]) != size
        self._kept = np.empty((len(images), *size), images.dtype) if keeps else None
        self._missing = np.ones(len(images), bool)

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        if self._kept is None:
            return resize_tiles(np.asarray(self.images[rows]), self.size)
        missing = rows[self._missing[rows]]
        if len(missing):
            self._kept[missing] = resize_tiles(np.asarray(self.images[missing]), self.size)
            self._missing[missing] = False
        return self._kept[rows]


def network_input(images: NDArray[Any], channels: int) -> NDArray[np.float32]:
    """Grey images (N, H, W) as a network takes them: float32 (N, H, W, channels), 0..255."""
    wanted = np.empty((*images.shape, channels), np.float32)
    wanted[...] = images[..., np.newaxis]
    return wanted
