"""The gate of section III.2: MobileNetV2, infected or not."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from birads_lib.errors import UsageError
from birads_lib.networks.backbones import build_backbone, cut_after
from birads_lib.networks.normalization import with_fused_normalization
from birads_lib.pretrained import Weights

FIRST_CONVOLUTION = "Conv1"
SMALLEST_SIDE = 32  # px, MobileNetV2 halves its input five times


def mobilenet_gate(
    input_shape: tuple[int, int, int] = (224, 224, 1),
    alpha: float = 1.0,
    weights: Weights = None,
    units: int = 128,
    dropout: float = 0.2,
    last_block: int | None = None,
) -> keras.Model:
    """MobileNetV2 with a grey input and a new fully connected head.

    1. Scale 0..255 to -1..1.
    2. MobileNetV2 without its top, one channel in: ``(batch, H / 32, W / 32, channels)``.
    3. Mean over height and width, a fully connected layer of ``units`` with ReLU,
       drop-out, one sigmoid: ``(batch, 1)``, the probability of "infected".

    With pretrained weights the first convolution is adapted without losing them: its
    kernel is summed over the three colours, which gives exactly the answer that the
    colour network gives to the grey picture repeated three times.

    Args:
        input_shape: (height, width, 1); at least 32 px a side.
        alpha: Width of the network; 1 is the printed one.
        weights: ``None``, ``"imagenet"`` (from Keras' cache only) or a local file.
        units: Units of the new fully connected layer; the paper gives no number.
        dropout: Share dropped before the last layer, 0..1.
        last_block: Keep MobileNetV2 up to this block (1..16) only; ``None`` keeps all.

    Returns:
        Model from float32 ``(batch, height, width, 1)`` in 0..255 to ``(batch, 1)`` in 0..1.

    Raises:
        UsageError: Not one channel, or no such block.
        DataError: The weights are not there or do not fit.
    """
    height, width, channels = input_shape
    if channels != 1 or min(height, width) < SMALLEST_SIDE:
        raise UsageError(
            f"mobilenet_gate: {height} x {width} x {channels} given; expected one grey channel and "
            f"sides of {SMALLEST_SIDE} px or more"
        )
    backbone = build_backbone("MobileNetV2", (height, width, 1), alpha=alpha)
    if weights is not None:
        colour = build_backbone("MobileNetV2", (height, width, 3), weights, alpha=alpha)
        take_weights_for_grey(backbone, colour)
    backbone = with_fused_normalization(cut_after(backbone, last_block, "block_{}_"))
    tile = keras.Input(input_shape, name="tile")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(tile)
    infected = gate_head(backbone(x), units, dropout)
    return keras.Model(tile, infected, name="mobilenet_gate")


def gate_head(features: Any, units: int, dropout: float, classes: int = 1) -> Any:
    """Features to an answer: the new fully connected head of ``mobilenet_gate``.

    Args:
        features: ``(batch, H, W, channels)`` of a functional model.
        units: Units of the fully connected layer.
        dropout: Share dropped before the last layer, 0..1.
        classes: 1 for one sigmoid, ``infected``; more for a softmax, ``score``.

    Returns:
        ``(batch, classes)``, 0..1.
    """
    x = layers.GlobalAveragePooling2D(name="pool")(features)
    x = layers.Dense(units, activation="relu", name="connected")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    last, name = ("sigmoid", "infected") if classes == 1 else ("softmax", "score")
    return layers.Dense(classes, activation=last, dtype="float32", name=name)(x)


def take_weights_for_grey(grey: keras.Model, colour: keras.Model) -> None:
    """Copy weights from a three-channel network to the same one with one channel.

    Every layer is copied; the kernel of the first convolution is summed over colour.
    """
    for layer in grey.layers:
        values: list[Any] = colour.get_layer(layer.name).get_weights() if layer.weights else []
        if layer.name == FIRST_CONVOLUTION:
            values[0] = values[0].sum(axis=2, keepdims=True)
        if values:
            layer.set_weights(values)
