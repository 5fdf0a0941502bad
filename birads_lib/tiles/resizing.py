"""Grey tiles at another size, and as networks take them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


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


def network_input(images: NDArray[Any], channels: int) -> NDArray[np.float32]:
    """Grey images (N, H, W) as a network takes them: float32 (N, H, W, channels), 0..255."""
    wanted = np.empty((*images.shape, channels), np.float32)
    wanted[...] = images[..., np.newaxis]
    return wanted
