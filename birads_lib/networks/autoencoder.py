"""The denoising autoencoder of section III.1 and Figure 2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from birads_lib.errors import UsageError
from birads_lib.tiles.layout import GREY_MAX

FILTERS = (16, 32)
LATENT = 8


def denoising_autoencoder(
    input_shape: tuple[int, int, int] = (299, 299, 1),
    filters: Sequence[int] = FILTERS,
    latent: int = LATENT,
) -> keras.Model:
    """Encoder, latent code, decoder: a grey tile in, the same tile without noise out.

    1. Scale 0..255 to 0..1 and pad height and width to a multiple of ``2**depth``.
    2. Encoder: for each entry of ``filters`` a 3x3 convolution with ReLU and a 2x2
       max pooling, each halving height and width.
    3. Latent code: a 3x3 convolution to ``latent`` channels,
       ``(batch, H / 2**depth, W / 2**depth, latent)``.
    4. Decoder, the encoder reversed: 2x2 up-sampling and a 3x3 convolution each.
    5. A 3x3 convolution to one channel, cropped to the input's size, clipped to 0..1,
       scaled to 0..255.

    The paper gives neither sizes nor depth. With the defaults the code holds 8 numbers
    for every 4 x 4 pixels, half as many as the tile: a condensed representation that
    still leaves room for small calcifications.

    Args:
        input_shape: (height, width, 1) of the tiles.
        filters: Filters of the encoder's convolutions, shallow to deep.
        latent: Channels of the latent code.

    Returns:
        Model from float32 ``(batch, height, width, 1)`` in 0..255 to the same.

    Raises:
        UsageError: Not one channel, or no filters.
    """
    height, width, channels = input_shape
    if channels != 1 or not filters:
        raise UsageError(
            f"denoising_autoencoder: {channels} channels and filters {list(filters)} given; "
            "expected one grey channel and at least one convolution"
        )
    step = 2 ** len(filters)
    padding = [(0, -size % step) for size in (height, width)]
    noisy = keras.Input(input_shape, name="noisy")
    x = layers.Rescaling(1 / GREY_MAX, name="scale")(noisy)
    x = layers.ZeroPadding2D(padding, name="pad")(x)
    for i, n in enumerate(filters, 1):
        x = layers.Conv2D(n, 3, padding="same", activation="relu", name=f"encode_{i}")(x)
        x = layers.MaxPooling2D(2, name=f"pool_{i}")(x)
    x = layers.Conv2D(latent, 3, padding="same", activation="relu", name="latent_code")(x)
    for i, n in reversed(list(enumerate(filters, 1))):
        x = layers.UpSampling2D(2, interpolation="bilinear", name=f"up_{i}")(x)
        x = layers.Conv2D(n, 3, padding="same", activation="relu", name=f"decode_{i}")(x)
    x = layers.Conv2D(1, 3, padding="same", dtype="float32", name="rebuild")(x)
    x = layers.Cropping2D(padding, dtype="float32", name="crop")(x)
    x = GreyRange(dtype="float32", name="denoised")(x)
    return keras.Model(noisy, x, name="denoising_autoencoder")


@keras.saving.register_keras_serializable("birads_lib")
class GreyRange(layers.Layer):
    """Grey levels from 0..1 to 0..255, clipped; any shape, same shape.

    A value outside 0..1 passes back a hundredth of its gradient. Clipping alone
    passes none, and a pixel that starts outside would never learn.
    """

    LEAK = 0.01

    def call(self, x: Any) -> Any:
        clipped = ops.clip(x, 0.0, 1.0)
        leak = self.LEAK * (x - clipped)
        return GREY_MAX * (clipped + (leak - ops.stop_gradient(leak)))
