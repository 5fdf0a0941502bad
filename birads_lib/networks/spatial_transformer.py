"""A layer that chooses where to look and how large: Jaderberg et al. (2015)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from birads_lib.errors import UsageError

FILTERS = (8, 16)
UNITS = 32
IDENTITY = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
"""The affine map that leaves a picture as it is."""


@keras.saving.register_keras_serializable("birads_lib")
class SpatialTransformer(keras.layers.Layer):
    """Spatial transformer: shift, turn, scale and shear a tile by what is seen in it.

    1. Localisation network: scaled to -1..1; for each of ``filters`` a 5x5 convolution
       with stride 2, ReLU and 2x2 max pooling; a fully connected layer of ``units`` with
       ReLU; one of 6 numbers that starts at zero, added to the identity. An affine map
       ``(batch, 2, 3)``.
    2. Sampling grid: the map of every cell's place, ``(batch, height, width, 2)``; x and
       y of where to read, -1 and 1 at the centres of the first and last pixel.
    3. Bilinear sampling there: ``(batch, height, width, channels)``. Beyond the edge the
       grey of the edge goes on, so that no black frame tells how a tile was moved.

    The first answer is the tile itself. Jaderberg et al. leave the localisation network
    open; this one is this study's.

    Args:
        filters: Filters of each convolution of the localisation network.
        units: Units of its fully connected layer.

    Input shape: ``(batch, height, width, channels)``, 0..255, at least 2 px a side.
    Output shape: the same.
    Source: Jaderberg et al., "Spatial Transformer Networks", section 3.
    """

    def __init__(self, filters: Sequence[int] = FILTERS, units: int = UNITS, **kwargs: Any):
        super().__init__(**kwargs)
        self.filters, self.units = tuple(filters), units
        self.localisation = keras.Sequential(
            [
                layers.Rescaling(1 / 127.5, offset=-1.0),
                *(layer for n in self.filters for layer in _convolution(n)),
                layers.Flatten(),
                layers.Dense(units, activation="relu"),
                layers.Dense(IDENTITY.size, kernel_initializer="zeros", dtype="float32"),
            ],
            name="localisation",
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        height, width = input_shape[1:3]
        if height is None or width is None or min(height, width) < 2:
            raise UsageError(
                f"spatial transformer: tiles of {height} x {width} px given; expected a fixed size "
                "of 2 px a side or more"
            )
        self.localisation.build(input_shape)
        self.built = True

    def call(self, tiles: Any) -> Any:
        return sample_bilinear(tiles, self.grid(tiles))

    def affine(self, tiles: Any) -> Any:
        """The affine map that each tile calls for: float32 ``(batch, 2, 3)``."""
        return IDENTITY + ops.reshape(self.localisation(tiles), (-1, *IDENTITY.shape))

    def grid(self, tiles: Any) -> Any:
        """Where each pixel of the answer is read from.

        Args:
            tiles: ``(batch, height, width, channels)``, 0..255.

        Returns:
            float32 ``(batch, height, width, 2)``: x and y, -1..1 within the tile.
        """
        height, width = tiles.shape[1:3]
        return affine_grid(self.affine(tiles), height, width)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "units": self.units}


def _convolution(filters: int) -> list[keras.layers.Layer]:
    return [
        layers.Conv2D(filters, 5, strides=2, padding="same", activation="relu"),
        layers.MaxPooling2D(2, padding="same"),
    ]


def affine_grid(affine: Any, height: int, width: int) -> Any:
    """Map the place of every pixel: x_source = A (x, y, 1).

    Args:
        affine: ``(batch, 2, 3)``.
        height: Rows of the grid.
        width: Columns of the grid.

    Returns:
        ``(batch, height, width, 2)``: x and y, -1 and 1 at the centres of the first and
        last pixel.
    """
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    places = np.stack([x.ravel(), y.ravel(), np.ones(x.size)]).astype(np.float32)
    mapped = ops.transpose(ops.matmul(affine, places), (0, 2, 1))
    return ops.reshape(mapped, (-1, height, width, 2))


def sample_bilinear(images: Any, grid: Any) -> Any:
    """Read images between their pixels.

    Args:
        images: ``(batch, H, W, channels)``, at least 2 px a side.
        grid: float32 ``(batch, h, w, 2)``, see ``affine_grid``; places outside are read
            at the nearest edge.

    Returns:
        ``(batch, h, w, channels)`` in the dtype of ``images``.
    """
    height, width, channels = images.shape[1:]
    left, right_share = _between(grid[..., 0], width)
    top, lower_share = _between(grid[..., 1], height)
    flat = ops.reshape(images, (-1, height * width, channels))

    def read(row: Any, column: Any) -> Any:
        index = ops.reshape(row * width + column, (-1, grid.shape[1] * grid.shape[2], 1))
        found = ops.take_along_axis(flat, ops.repeat(index, channels, axis=-1), axis=1)
        found = ops.reshape(found, (-1, *grid.shape[1:3], channels))
        return ops.cast(found, right_share.dtype)

    upper = read(top, left) * (1 - right_share) + read(top, left + 1) * right_share
    lower = read(top + 1, left) * (1 - right_share) + read(top + 1, left + 1) * right_share
    return ops.cast(upper * (1 - lower_share) + lower * lower_share, images.dtype)


def _between(places: Any, pixels: int) -> tuple[Any, Any]:
    """Pixel before each place of -1..1, int32; and the share of the next one, 0..1."""
    position = ops.clip((places + 1) * ((pixels - 1) / 2), 0, pixels - 1)
    before = ops.clip(ops.floor(position), 0, pixels - 2)
    return ops.cast(before, "int32"), ops.expand_dims(position - before, -1)
