"""Batch normalisation as one operation: the same numbers, a much shorter training step."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

BATCH_NORM_MOMENTUM = 0.9
"""MobileNetV2 ships with .999: after a few hundred steps its moving averages still
hold their first values, and validation looks like chance."""


@keras.saving.register_keras_serializable("birads_lib")
class FusedBatchNormalization(layers.BatchNormalization):
    """``BatchNormalization`` that trains by TensorFlow's fused operation where it can.

    Keras 3 composes mean, variance and scaling of single operations, each of which reads
    and writes the whole feature map. The fused one does it in one pass. It is used for
    float32 maps (batch, height, width, channels) on the TensorFlow backend; everything
    else, and prediction, is Keras' own.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not (training and self.trainable and self._can_fuse(inputs)):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        outputs, mean, variance, *_ = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
        )
        count = tf.cast(tf.size(inputs) / inputs.shape[-1], tf.float32)
        biased = variance * (count - 1.0) / count  # the operation returns the unbiased one
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, biased)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        return outputs

    def _can_fuse(self, inputs: Any) -> bool:
        return (
            keras.backend.backend() == "tensorflow"
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and self.center
            and self.scale
            and keras.backend.standardize_dtype(inputs.dtype) == "float32"
            and self.compute_dtype == "float32"
        )


def with_fused_normalization(
    model: keras.Model, momentum: float = BATCH_NORM_MOMENTUM
) -> keras.Model:
    """The same network, its batch normalisations fused and of one momentum.

    Args:
        model: Functional; its weights are taken over.
        momentum: Of the moving averages, 0..1.
    """

    def replace(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if isinstance(layer, layers.BatchNormalization):
            return FusedBatchNormalization.from_config({**config, "momentum": momentum})
        return layer.__class__.from_config(config)

    fused = keras.models.clone_model(model, clone_function=replace)
    fused.set_weights(model.get_weights())
    return fused
