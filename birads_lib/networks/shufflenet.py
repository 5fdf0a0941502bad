"""ShuffleNetV2 (Ma et al. 2018, arXiv 1807.11164)."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from birads_lib.errors import one_of
from birads_lib.networks.backbones import check_clip
from birads_lib.networks.normalization import BATCH_NORM_MOMENTUM, FusedBatchNormalization

FIRST_FILTERS = 24
UNITS = (4, 8, 4)  # of stages 2, 3 and 4; the first of each halves the size
FIRST_STAGE = 2  # the paper counts the first convolution as stage 1
CHANNELS = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}
"""Of stages 2, 3, 4 and of the last convolution, by width: table 5 of its paper."""


def shufflenet(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    include_top: bool = True,
    classes: int = 1000,
    clip: int | None = None,
    width: float = 1.0,
) -> keras.Model:
    """ShuffleNetV2: half of the channels pass untouched, then the halves are mixed.

    1. Scale 0..255 to -1..1.
    2. A 3x3 convolution of 24 filters and a max pooling, each with stride 2.
    3. Three stages of 4, 8 and 4 units; the first unit of each halves height and width.
    4. A 1x1 convolution to 1,024 channels.
    5. Top: mean over height and width, fully connected, softmax.

    Args:
        input_shape: (height, width, channels); at least 32 px a side.
        include_top: Whether to end in classes or in features.
        classes: Number of classes of the top.
        clip: Keep only the first so many stages, 1..3; ``None`` keeps all.
        width: .5, 1, 1.5 or 2: the paper's sizes.

    Returns:
        Model from float32 ``(batch, height, width, channels)`` in 0..255 to ``(batch,
        classes)``, each row summing to 1, or to features ``(batch, H, W, 1024)``.

    Raises:
        UsageError: No such width, or ``clip`` is not one of the stages.
    """
    check_clip("ShuffleNetV2", clip, UNITS)
    *stages, last = CHANNELS[one_of("width", width, CHANNELS)]
    tile = keras.Input(input_shape, name="tile")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(tile)
    x = _convolution(x, FIRST_FILTERS, "conv1", kernel=3, strides=2)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="pool1")(x)
    for stage, (channels, units) in enumerate(
        list(zip(stages, UNITS, strict=True))[:clip], FIRST_STAGE
    ):
        x = _halving_unit(x, channels, f"stage{stage}_unit1")
        for unit in range(2, units + 1):
            x = _unit(x, f"stage{stage}_unit{unit}")
    x = _convolution(x, last, "conv5")
    if include_top:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dense(classes, activation="softmax", dtype="float32", name="score")(x)
    return keras.Model(tile, x, name="shufflenet")


def channel_shuffle(x: Any, groups: int = 2, name: str | None = None) -> Any:
    """Deal channels out anew, so that the next split takes some of each group.

    1. Channels ``g * n + i`` to ``(groups, n)``: ``(batch, H, W, groups, n)``.
    2. Both exchanged: ``(batch, H, W, n, groups)``.
    3. As channels again: ``(batch, H, W, C)``; channel ``i * groups + g`` is the former one.

    Args:
        x: ``(batch, H, W, C)`` of a functional model, with fixed H and W.
        groups: How many; C is a multiple of it.
        name: Prefix of the layers' names.
    """
    height, width, channels = x.shape[1:]
    prefix = name or "shuffle"
    x = layers.Reshape((height, width, groups, channels // groups), name=f"{prefix}_group")(x)
    x = layers.Permute((1, 2, 4, 3), name=f"{prefix}_exchange")(x)
    return layers.Reshape((height, width, channels), name=f"{prefix}_shuffle")(x)


def _unit(x: Any, name: str) -> Any:
    """Figure 3 (c) of its paper: one half passes, the other is convolved; both are shuffled."""
    kept, changed = ops.split(x, 2, axis=-1)
    changed = _branch(changed, changed.shape[-1], name, strides=1)
    x = layers.Concatenate(name=f"{name}_join")([kept, changed])
    return channel_shuffle(x, name=name)


def _halving_unit(x: Any, channels: int, name: str) -> Any:
    """Figure 3 (d): both branches see all channels and halve height and width."""
    short = _depthwise(x, f"{name}_short_depthwise", strides=2)
    short = _convolution(short, channels // 2, f"{name}_short")
    x = _branch(x, channels // 2, name, strides=2)
    return channel_shuffle(layers.Concatenate(name=f"{name}_join")([short, x]), name=name)


def _branch(x: Any, channels: int, name: str, strides: int) -> Any:
    x = _convolution(x, channels, f"{name}_before")
    x = _depthwise(x, f"{name}_depthwise", strides)
    return _convolution(x, channels, f"{name}_after")


def _convolution(x: Any, filters: int, name: str, kernel: int = 1, strides: int = 1) -> Any:
    x = layers.Conv2D(filters, kernel, strides, padding="same", use_bias=False, name=name)(x)
    x = FusedBatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _depthwise(x: Any, name: str, strides: int) -> Any:
    """No activation follows a depthwise convolution here."""
    x = layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False, name=name)(x)
    return FusedBatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=f"{name}_norm")(x)
