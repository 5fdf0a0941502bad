"""The paper's attention as Keras layers: equations (2), (3) and (6).

The equations leave two things open. Which axis MaxPool and AvgPool of equation
(2) run over: a map of size (H, W, 1) follows if they run over the channels, as
in CBAM (Woo et al. 2018), and also if they run over a small window and the 1x1
convolution reduces the channels. And whether the fully connected part of
equation (6) is one layer or a bottleneck of two. Both readings are options; the
defaults are the ones that need nothing beyond the printed symbols.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from birads_lib.errors import UsageError, one_of
from birads_lib.pretrained import POOLINGS


@keras.saving.register_keras_serializable("birads_lib")
class SpatialAttention(keras.layers.Layer):
    """Spatial attention map A_s of equation (2): where in the feature map to look.

    A_s = sigmoid(Conv1x1(MaxPool(F)) + Conv1x1(AvgPool(F)))

    1. Largest and mean value of F: over the channels, two maps
       ``(batch, height, width, 1)``; or over a window of 3 x 3 cells with stride 1,
       two maps ``(batch, height, width, channels)``.
    2. A 1x1 convolution of each to one channel, summed, through a sigmoid:
       ``(batch, height, width, 1)``, values in 0..1.

    Args:
        pool: ``"channels"`` (default) or ``"window"``: what the pooling runs over.
            The paper gives A_s the size (H, W, 1) and does not say which; over the
            channels is how the block it resembles (CBAM) defines it.

    Input shape: ``(batch, height, width, channels)``.
    Output shape: ``(batch, height, width, 1)``. Multiply it with F for equation (3).
    Source: equation (2) of the paper.
    """

    WINDOW = 3

    def __init__(self, pool: str = "channels", **kwargs: Any):  # pragma: no mutate block
        super().__init__(**kwargs)
        self.pool = one_of("pool", pool, POOLINGS)
        self.of_max = keras.layers.Conv2D(1, 1, name="of_max")
        self.of_mean = keras.layers.Conv2D(1, 1, name="of_mean")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        pooled = (*input_shape[:-1], 1) if self.pool == "channels" else input_shape
        self.of_max.build(pooled)
        self.of_mean.build(pooled)
        self.built = True

    def call(self, features: Any) -> Any:
        if self.pool == "channels":
            largest = ops.max(features, axis=-1, keepdims=True)
            mean = ops.mean(features, axis=-1, keepdims=True)
        else:
            largest = ops.max_pool(features, self.WINDOW, strides=1, padding="same")
            mean = ops.average_pool(features, self.WINDOW, strides=1, padding="same")
        return ops.sigmoid(self.of_max(largest) + self.of_mean(mean))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pool": self.pool}


@keras.saving.register_keras_serializable("birads_lib")
class ChannelAttention(keras.layers.Layer):
    """Channel attention map A_c of equation (6): which features to heed.

    A_c = sigmoid(FC(MaxPool(F_s)) + FC(AvgPool(F_s)))

    1. Largest and mean value of F_s over height and width: two ``(batch, channels)``.
    2. The same fully connected part for both, summed, through a sigmoid:
       ``(batch, 1, 1, channels)``, values in 0..1.

    Args:
        reduction: ``None`` (default): the fully connected part is one layer, as the
            single symbol F_c says. A number r: two layers with ``channels // r``
            units and ReLU between them, as in CBAM.

    Input shape: ``(batch, height, width, channels)``.
    Output shape: ``(batch, 1, 1, channels)``.
    Source: equation (6) of the paper, first line.
    """

    def __init__(self, reduction: int | None = None, **kwargs: Any):  # pragma: no mutate block
        super().__init__(**kwargs)
        if reduction is not None and reduction < 1:
            raise UsageError(f"reduction: {reduction} given; expected None or 1 or more")
        self.reduction = reduction

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = input_shape[-1]
        assert channels is not None
        self.squeeze = None
        if self.reduction is not None:
            units = max(1, channels // self.reduction)
            self.squeeze = keras.layers.Dense(units, activation="relu", name="squeeze")
            self.squeeze.build((None, channels))
            self.connected = keras.layers.Dense(channels, name="connected")
            self.connected.build((None, units))
        else:
            self.connected = keras.layers.Dense(channels, name="connected")
            self.connected.build((None, channels))
        self.built = True

    def call(self, features: Any) -> Any:
        summed = self._shared(ops.max(features, axis=(1, 2))) + self._shared(
            ops.mean(features, axis=(1, 2))
        )
        return ops.expand_dims(ops.expand_dims(ops.sigmoid(summed), 1), 1)

    def _shared(self, pooled: Any) -> Any:
        return self.connected(pooled if self.squeeze is None else self.squeeze(pooled))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], 1, 1, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reduction": self.reduction}
