"""Small networks for the tests of this folder, each built once from a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import keras
import numpy as np
import pytest
import tensorflow as tf

from birads_lib.networks import attention_scorer, denoising_autoencoder, mobilenet_gate

SCORER_INPUT = (64, 48, 3)
GATE_INPUT = (96, 96, 1)
TILE_INPUT = (37, 41, 1)
NARROW = 0.35  # width of MobileNetV2


def grey_levels(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Grey levels 0..255, float32, with structure larger than a pixel and full range."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (shape[0], -(-shape[1] // 8), -(-shape[2] // 8), shape[3]))
    fine = np.kron(coarse, np.ones((1, 8, 8, 1)))[:, : shape[1], : shape[2]]
    return np.clip(fine + rng.normal(0, 30, shape), 0, 255).astype(np.float32)


def every_layer(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from every_layer(layer)
        else:
            yield layer


def settle(model: keras.Model, tiles: np.ndarray) -> None:
    """Give batch normalisations the statistics of these tiles.

    With their first values (mean 0, variance 1) the features of a fresh network
    vanish, and every answer would be the same.
    """
    norms = [x for x in every_layer(model) if isinstance(x, keras.layers.BatchNormalization)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(tiles, training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def randomise(layer: keras.layers.Layer, seed: int = 0, sd: float = 1.0) -> None:
    """Random weights and biases: fresh biases are zero and would hide a forgotten one."""
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(0, sd, w.shape) for w in layer.get_weights()])


def unreached(
    model: keras.layers.Layer, inputs: np.ndarray, targets: np.ndarray | None = None
) -> list[str]:
    """Trainable weights to which no gradient comes."""
    with tf.GradientTape() as tape:
        outputs = model(inputs)
        if targets is None:
            targets = np.random.default_rng(9).normal(size=outputs.shape).astype(np.float32)
            loss = tf.reduce_sum(outputs * targets)
        else:
            loss = tf.reduce_mean(tf.square(outputs - targets))
    gradients = tape.gradient(loss, [w.value for w in model.trainable_weights])
    return [
        weight.path
        for weight, gradient in zip(model.trainable_weights, gradients, strict=True)
        if gradient is None or not np.isfinite(gradient).all() or not np.any(gradient)
    ]


@pytest.fixture(scope="session", name="unreached")
def _unreached() -> Callable[..., list[str]]:
    return unreached


@pytest.fixture(scope="session", name="settle")
def _settle() -> Callable[[keras.Model, np.ndarray], None]:
    return settle


@pytest.fixture(scope="session", name="randomise")
def _randomise() -> Callable[..., None]:
    return randomise


@pytest.fixture(scope="session")
def colour_tiles() -> np.ndarray:
    return grey_levels((4, *SCORER_INPUT))


@pytest.fixture(scope="session")
def gate_tiles() -> np.ndarray:
    return grey_levels((4, *GATE_INPUT))


@pytest.fixture(scope="session")
def grey_tiles() -> np.ndarray:
    return grey_levels((3, *TILE_INPUT))


@pytest.fixture(scope="session")
def scorer(colour_tiles) -> keras.Model:
    """EfficientNetB0 with both attentions, settled, with a head that tells tiles apart."""
    keras.utils.set_random_seed(1)
    model = attention_scorer("EfficientNetB0", SCORER_INPUT)
    settle(model, colour_tiles)
    for i, name in enumerate(("spatial_attention", "channel_attention", "score")):
        randomise(model.get_layer(name), seed=i, sd=0.1)
    return model


@pytest.fixture(scope="session")
def gate(gate_tiles) -> keras.Model:
    keras.utils.set_random_seed(2)
    model = mobilenet_gate(GATE_INPUT, alpha=NARROW)
    settle(model, gate_tiles)
    return model


@pytest.fixture(scope="session")
def colour_backbone(gate_tiles) -> keras.Model:
    """MobileNetV2 of ``keras.applications`` for colour, 96 px, without its top."""
    keras.utils.set_random_seed(3)
    shape = (*GATE_INPUT[:2], 3)
    model = keras.applications.MobileNetV2(shape, NARROW, include_top=False, weights=None)
    settle(model, np.repeat(gate_tiles, 3, axis=-1) / 127.5 - 1)
    return model


@pytest.fixture(scope="session")
def autoencoder() -> keras.Model:
    keras.utils.set_random_seed(4)
    return denoising_autoencoder(TILE_INPUT, filters=(4, 8), latent=2)
