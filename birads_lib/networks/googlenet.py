"""GoogLeNet, or Inception v1 (Szegedy et al. 2015): reference [18] of the paper."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from birads_lib.errors import UsageError
from birads_lib.networks.backbones import check_clip
from birads_lib.networks.normalization import BATCH_NORM_MOMENTUM, FusedBatchNormalization

Filters = tuple[int, int, int, int, int, int]
INCEPTIONS: dict[str, Filters] = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""Table 1 of its paper: filters of 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection."""
POOLED_BEFORE = ("3a", "4a", "5a")
AUXILIARY_AFTER = ("4a", "4d")
DROPOUT, AUXILIARY_DROPOUT = 0.4, 0.7
AUXILIARY_FILTERS, AUXILIARY_UNITS = 128, 1024
AUXILIARY_POOL = 5  # cells a side, with stride 3


def googlenet(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    include_top: bool = True,
    classes: int = 1000,
    clip: int | None = None,
    batch_norm: bool = True,
    auxiliary: bool = False,
) -> keras.Model:
    """GoogLeNet: nine inceptions, each of four branches side by side.

    1. Scale 0..255 to -1..1.
    2. Convolutions of 7x7 (64, stride 2), 1x1 (64) and 3x3 (192), a max pooling with
       stride 2 after the first.
    3. Inceptions 3a to 5b, with max pooling before 3a, 4a and 5a: 1x1; 1x1 and 3x3; 1x1
       and 5x5; max pooling and 1x1; joined.
    4. Top: mean over height and width, drop-out of .4, fully connected, softmax.

    Args:
        input_shape: (height, width, channels); at least 32 px a side.
        include_top: Whether to end in classes or in features.
        classes: Number of classes of the top.
        clip: Keep only the first so many inceptions, 1..9; ``None`` keeps all.
        batch_norm: ``True`` (default): batch normalisation after each convolution, which
            then has no bias: what trains from random weights today. ``False``: biases, as
            in 2015, without the local response normalisation, which has no weights.
        auxiliary: Whether the two auxiliary classifiers after 4a and 4d are there, for
            training of the whole network with its top; they need 65 px a side.

    Returns:
        Model from float32 ``(batch, height, width, channels)`` in 0..255 to ``(batch,
        classes)``, each row summing to 1, or to features ``(batch, H, W, 1024)``; with
        auxiliary classifiers to a list of three answers, the network's own first.

    Raises:
        UsageError: ``clip`` is not one of the inceptions, or leaves out an auxiliary
            classifier that is asked for.
    """
    check_clip("GoogLeNet", clip, INCEPTIONS)
    if auxiliary and not (include_top and clip is None):
        raise UsageError("auxiliary: needs the whole network; give include_top=True, clip=None")
    tile = keras.Input(input_shape, name="tile")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(tile)
    x = _stem(x, batch_norm)
    answers = []
    for name, filters in list(INCEPTIONS.items())[:clip]:
        if name in POOLED_BEFORE:
            x = _halve(x, f"pool_{name}")
        x = _inception(x, filters, f"inception_{name}", batch_norm)
        if auxiliary and name in AUXILIARY_AFTER:
            answers.append(_auxiliary(x, classes, f"auxiliary_{name}", batch_norm))
    if include_top:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dropout(DROPOUT, name="dropout")(x)
        x = layers.Dense(classes, activation="softmax", dtype="float32", name="score")(x)
    return keras.Model(tile, [x, *answers] if answers else x, name="googlenet")


def _stem(x: Any, batch_norm: bool) -> Any:
    x = _convolution(x, 64, 7, "conv1", batch_norm, strides=2)
    x = _halve(x, "pool1")
    x = _convolution(x, 64, 1, "conv2_reduce", batch_norm)
    return _convolution(x, 192, 3, "conv2", batch_norm)


def _inception(x: Any, filters: Filters, name: str, batch_norm: bool) -> Any:
    one, reduce3, three, reduce5, five, projected = filters
    by3 = _convolution(x, reduce3, 1, f"{name}_3x3_reduce", batch_norm)
    by5 = _convolution(x, reduce5, 1, f"{name}_5x5_reduce", batch_norm)
    pooled = layers.MaxPooling2D(3, strides=1, padding="same", name=f"{name}_pool")(x)
    branches = [
        _convolution(x, one, 1, f"{name}_1x1", batch_norm),
        _convolution(by3, three, 3, f"{name}_3x3", batch_norm),
        _convolution(by5, five, 5, f"{name}_5x5", batch_norm),
        _convolution(pooled, projected, 1, f"{name}_projection", batch_norm),
    ]
    return layers.Concatenate(name=name)(branches)


def _auxiliary(x: Any, classes: int, name: str, batch_norm: bool) -> Any:
    """A classifier of its own half-way, which brings gradients to the lower layers."""
    x = layers.AveragePooling2D(AUXILIARY_POOL, strides=3, name=f"{name}_pool")(x)
    x = _convolution(x, AUXILIARY_FILTERS, 1, f"{name}_conv", batch_norm)
    x = layers.Flatten(name=f"{name}_flatten")(x)
    x = layers.Dense(AUXILIARY_UNITS, activation="relu", name=f"{name}_connected")(x)
    x = layers.Dropout(AUXILIARY_DROPOUT, name=f"{name}_dropout")(x)
    return layers.Dense(classes, activation="softmax", dtype="float32", name=f"{name}_score")(x)


def _convolution(
    x: Any, filters: int, kernel: int, name: str, batch_norm: bool, strides: int = 1
) -> Any:
    x = layers.Conv2D(filters, kernel, strides, padding="same", use_bias=not batch_norm, name=name)(
        x
    )
    if batch_norm:
        x = FusedBatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _halve(x: Any, name: str) -> Any:
    return layers.MaxPooling2D(3, strides=2, padding="same", name=name)(x)
