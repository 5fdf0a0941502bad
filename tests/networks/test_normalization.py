"""The fused normalisation gives what Keras' own gives: outputs, statistics, gradients."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from birads_lib.networks.normalization import FusedBatchNormalization, with_fused_normalization

SHAPE = (6, 5, 4, 3)


def maps(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(2, 3, SHAPE).astype(np.float32)


def both(**options) -> list[keras.Layer]:
    built = [layers.BatchNormalization(**options), FusedBatchNormalization(**options)]
    rng = np.random.default_rng(1)
    for layer in built:
        layer.build(SHAPE)
    values = [rng.uniform(0.5, 2, weight.shape) for weight in built[0].weights]
    for layer in built:
        layer.set_weights(values)
    return built


@pytest.mark.parametrize("options", [{}, {"momentum": 0.5, "epsilon": 0.1}, {"scale": False}])
def test_training_step_equals_keras_own(options):
    theirs, ours = both(**options)
    for seed in range(3):
        np.testing.assert_allclose(
            ours(maps(seed), training=True), theirs(maps(seed), training=True), atol=1e-5
        )
    for one, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    np.testing.assert_allclose(ours(maps(7)), theirs(maps(7)), atol=1e-5)


def test_moving_statistics_are_those_of_the_batch():
    layer = FusedBatchNormalization(momentum=0.0)
    x = maps()
    layer(x, training=True)
    np.testing.assert_allclose(layer.moving_mean, x.mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, x.var(axis=(0, 1, 2)), rtol=1e-5)


def test_gradients_equal_keras_own():
    found = []
    for layer in both():
        x = tf.Variable(maps())
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(layer(x, training=True)) * maps(3))
        found.append(tape.gradient(loss, [x, layer.gamma.value, layer.beta.value]))
    for theirs, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_frozen_layer_keeps_its_statistics(training):
    _, layer = both()
    layer.trainable = False
    before = layer.get_weights()
    layer(maps(), training=training)
    for one, other in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (FusedBatchNormalization(), (6, 3)),
        (FusedBatchNormalization(axis=1), (6, 3, 4, 5)),
        (FusedBatchNormalization(dtype="mixed_bfloat16"), (6, 4, 4, 3)),
    ],
    ids=["vectors", "channels first", "bfloat16"],
)
def test_what_cannot_be_fused_is_keras_own(layer, shape):
    x = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
    theirs = layers.BatchNormalization(axis=layer.axis, dtype=layer.dtype_policy)
    np.testing.assert_allclose(
        np.asarray(keras.ops.cast(layer(x, training=True), "float32")),
        np.asarray(keras.ops.cast(theirs(x, training=True), "float32")),
        atol=1e-6,
    )


def test_network_keeps_its_numbers_and_names():
    tile = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="conv")(tile)
    x = layers.BatchNormalization(momentum=0.999, epsilon=0.01, name="norm")(x)
    model = keras.Model(tile, layers.ReLU(name="relu")(x), name="plain")
    model.set_weights([np.random.default_rng(2).uniform(0.5, 1, w.shape) for w in model.weights])
    fused = with_fused_normalization(model, 0.7)
    norm = fused.get_layer("norm")
    assert isinstance(norm, FusedBatchNormalization)
    assert (norm.momentum, norm.epsilon) == (0.7, 0.01)
    assert [layer.name for layer in fused.layers][1:] == ["conv", "norm", "relu"]
    x = np.random.default_rng(3).normal(0, 1, (2, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(fused(x), model(x), rtol=1e-6)


def test_saved_network_is_read_back(tmp_path):
    tile = keras.Input((8, 8, 3))
    model = keras.Model(tile, FusedBatchNormalization(momentum=0.3)(tile))
    model(maps()[:2, :, :, :].repeat(2, axis=1)[:, :8, :4].repeat(2, axis=2), training=True)
    model.save(tmp_path / "it.keras")
    again = keras.saving.load_model(tmp_path / "it.keras")
    assert isinstance(again.layers[-1], FusedBatchNormalization)
    assert again.layers[-1].momentum == 0.3
    for one, other in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
