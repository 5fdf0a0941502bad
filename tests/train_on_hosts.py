"""Small trainings for tests/test_devices.py; run as a process: FOLDER NETWORK...

The environment says on what, as for a chapter. MIRRORED stands for "local" on a
machine of two GPUs: two processors made of one CPU.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from birads_lib import training
from birads_lib.networks import plain_cnn
from birads_lib.tiles.feed import TileBatches

SHAPE, FILTERS = (32, 32, 1), (4, 8)
TILES, STEERING, BATCH = 64, 22, 9  # odd batches; the last ones hold one tile and four
EPOCHS = 2


def plain() -> keras.Model:
    return plain_cnn(SHAPE, FILTERS)


def statistics() -> keras.Model:
    """A network with batch normalisation and drop-out, which each replica does by itself."""
    tile = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, strides=4)(layers.Rescaling(1 / 255)(tile))
    x = layers.Dropout(0.2)(layers.ReLU()(layers.BatchNormalization()(x)))
    return keras.Model(tile, layers.Dense(4, activation="softmax")(layers.Flatten()(x)))


NETWORKS = {"plain": plain, "statistics": statistics}


def tiles(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise brightened by its label."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    images = rng.integers(0, 120, (count, *SHAPE[:2])) + 40 * labels[:, None, None]
    return images.astype(np.uint8), labels


def learn(network: str, folder: Path) -> training.Trained:
    """Train a network on made-up tiles; its model goes to FOLDER/NETWORK.keras."""
    return training.train(
        NETWORKS[network],
        TileBatches(*tiles(TILES, 1), SHAPE, BATCH, seed=0, turn=True, balance="weights"),
        TileBatches(*tiles(STEERING, 2), SHAPE, BATCH),
        training.Recipe("score", EPOCHS, 0.01),
        folder / f"{network}.keras",
    )


def two_processors(_: str) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def main(folder: Path, *networks: str) -> None:
    if "MIRRORED" in os.environ:
        halves = [tf.config.LogicalDeviceConfiguration()] * 2
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, halves)
        training.training_strategy = two_processors
    for network in networks:
        trained = learn(network, folder)
        told = {"digest": trained.digest, "history": trained.history.to_dict("list")}
        (folder / f"{network}_{os.getpid()}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
