"""SqueezeNet 1.1 (Iandola et al. 2016, arXiv 1602.07360, and the repository's version 1.1)."""

from __future__ import annotations

import keras
from keras import layers

from birads_lib.networks.backbones import check_clip

FIRST_FILTERS = 64
FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
"""Of fire2 to fire9: filters that squeeze, and filters of each of the two that expand."""
POOLED_BEFORE = (2, 4, 6)  # fires with a max pooling before them
FIRST_FIRE = 2  # the paper counts the first convolution as layer 1


def squeezenet(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    include_top: bool = True,
    classes: int = 1000,
    clip: int | None = None,
    dropout: float = 0.5,
) -> keras.Model:
    """SqueezeNet 1.1: a network of AlexNet's accuracy with a fiftieth of its weights.

    1. Scale 0..255 to -1..1.
    2. A 3x3 convolution of 64 filters with stride 2, ReLU.
    3. Eight fires, max pooling of 3x3 with stride 2 before fire2, fire4 and fire6: a 1x1
       convolution squeezes the channels, then a 1x1 and a 3x3 convolution side by side
       expand them. ReLU after each.
    4. Top: drop-out, a 1x1 convolution to ``classes`` with ReLU, mean over height and
       width, softmax.

    There is no batch normalisation.

    Args:
        input_shape: (height, width, channels); at least 32 px a side.
        include_top: Whether to end in classes or in features.
        classes: Number of classes of the top.
        clip: Keep only the first so many fires, 1..8; ``None`` keeps all.
        dropout: Share dropped in the top, 0..1.

    Returns:
        Model from float32 ``(batch, height, width, channels)`` in 0..255 to ``(batch,
        classes)``, each row summing to 1, or to features ``(batch, H, W, 512)``.

    Raises:
        UsageError: ``clip`` is not one of the fires.
    """
    check_clip("SqueezeNet 1.1", clip, FIRES)
    tile = keras.Input(input_shape, name="tile")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(tile)
    x = layers.Conv2D(FIRST_FILTERS, 3, strides=2, activation="relu", name="conv1")(x)
    for number, (squeezed, expanded) in enumerate(FIRES[:clip], FIRST_FIRE):
        if number in POOLED_BEFORE:
            x = layers.MaxPooling2D(3, strides=2, name=f"pool{number - 1}")(x)
        x = _fire(x, squeezed, expanded, f"fire{number}")
    if include_top:
        x = layers.Dropout(dropout, name="dropout")(x)
        x = layers.Conv2D(classes, 1, activation="relu", name="conv10")(x)
        x = layers.GlobalAveragePooling2D(name="pool10")(x)
        x = layers.Softmax(dtype="float32", name="score")(x)
    return keras.Model(tile, x, name="squeezenet")


def _fire(x: keras.KerasTensor, squeezed: int, expanded: int, name: str) -> keras.KerasTensor:
    x = layers.Conv2D(squeezed, 1, activation="relu", name=f"{name}_squeeze")(x)
    narrow = layers.Conv2D(expanded, 1, activation="relu", name=f"{name}_expand1")(x)
    wide = layers.Conv2D(expanded, 3, padding="same", activation="relu", name=f"{name}_expand3")(x)
    return layers.Concatenate(name=name)([narrow, wide])
