"""A cascade of three small convolutional networks, the first two with answers known by hand."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from birads_lib import Cascade
from birads_lib.networks import attention_scorer

MIDDLE, SOFTNESS = 125.0, 15.0  # grey levels: where the gate says 1/2, and how slowly it changes
CHANNELS = 32  # so that weights outweigh the description in a file
ABOUT = {"profile": "tiny", "data": "0" * 64, "simulated": True}


def small_cascade() -> Cascade:
    """Denoiser at 40 x 44 that changes nothing, gate at 24 x 24, scorer at 32 x 32."""
    keras.utils.set_random_seed(5)
    return Cascade(_gate(), _scorer(), _autoencoder(), threshold=0.5, about=ABOUT)


def gate_by_hand(mean_level: np.ndarray) -> np.ndarray:
    """What the gate says of tiles with these mean grey levels."""
    return 1 / (1 + np.exp(-(mean_level - MIDDLE) / SOFTNESS))


def _autoencoder() -> keras.Model:
    """Two convolutions that hand each grey level on, the second from many equal channels."""
    tile = keras.Input((40, 44, 1))
    x = layers.Rescaling(1 / 255)(tile)
    x = layers.Conv2D(CHANNELS, 3, padding="same", activation="relu", name="spread")(x)
    x = layers.Conv2D(CHANNELS, 3, padding="same", activation="relu", name="mix")(x)
    x = layers.Conv2D(1, 1, name="gather")(x)
    model = keras.Model(tile, layers.Rescaling(255.0)(x))
    for name, inputs in (("spread", 1), ("mix", CHANNELS)):
        kernel = np.zeros((3, 3, inputs, CHANNELS))
        kernel[1, 1] = np.eye(CHANNELS) if inputs > 1 else 1
        model.get_layer(name).set_weights([kernel, np.zeros(CHANNELS)])
    gather = np.full((1, 1, CHANNELS, 1), 1 / CHANNELS)
    model.get_layer("gather").set_weights([gather, np.zeros(1)])
    return model


def _gate() -> keras.Model:
    """Probability of infected by mean grey level alone, see ``gate_by_hand``."""
    tile = keras.Input((24, 24, 1))
    x = layers.Conv2D(CHANNELS, 1, activation="relu", name="spread")(tile)
    x = layers.Conv2D(CHANNELS, 1, activation="relu", name="mix")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(tile, layers.Dense(1, activation="sigmoid", name="infected")(x))
    model.get_layer("spread").set_weights([np.ones((1, 1, 1, CHANNELS)), np.zeros(CHANNELS)])
    model.get_layer("mix").set_weights([np.eye(CHANNELS)[None, None], np.zeros(CHANNELS)])
    kernel = np.full((CHANNELS, 1), 1 / CHANNELS / SOFTNESS)
    model.get_layer("infected").set_weights([kernel, np.array([-MIDDLE / SOFTNESS])])
    return model


def _scorer() -> keras.Model:
    """The study's own, cut short, with random weights; its attention map is a second output."""
    model = attention_scorer("EfficientNetB0", (32, 32, 3), last_block=1)
    noise = np.random.default_rng(0).uniform(0, 255, (16, 32, 32, 3)).astype(np.float32)
    for _ in range(20):
        model(noise, training=True)
    return model
