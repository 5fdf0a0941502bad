"""A frozen backbone is run once: its features are kept on disk and read from there."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from birads_lib.cascade import apply_network
from birads_lib.errors import DataError, one_of
from birads_lib.files import (
    digest_note,
    empty_array,
    is_as_noted,
    note_digest,
    read_json,
    whole_file,
)
from birads_lib.networks import join_at_features, split_at_features, weights_digest
from birads_lib.tiles.feed import FeatureBatches
from birads_lib.training import Recipe, Trained, describe_model, save_model, train

BLOCK = 256  # tiles run and written at a time
PRECISIONS = ("float16", "float32")


def backbone_features(
    backbone: keras.Model, images: Any, folder: Path, precision: str = "float16"
) -> NDArray[np.floating]:
    """Features of tiles, from disk if this backbone has seen these tiles before.

    Memory holds one block of tiles and their features, whatever their number. The file
    is named by ``features_digest``, and its own SHA-256 stands in a file beside it. An
    earlier one of that name is taken if it is still what was written.

    Args:
        backbone: From tiles to features; it runs as in prediction, nothing is learned.
        images: uint8 (N, H, W), such as a store's memory map or some rows of it.
        folder: Where the file goes.
        precision: ``"float16"``, half the disk, values to three digits, or ``"float32"``.

    Returns:
        Memory map (N, height, width, channels) of that precision, read-only.

    Raises:
        UsageError: Another precision.
        DataError: A feature is no number, or too large for the precision; an earlier file
            has been changed.
    """
    one_of("precision", precision, PRECISIONS)
    path = folder / f"{features_digest(backbone, images, precision)}.npy"
    shape = (len(images), *backbone.output_shape[1:])
    if not (path.is_file() and digest_note(path).is_file()):  # else it was not finished
        with whole_file(path) as partial:
            kept = empty_array(partial, shape, precision)
            for start in range(0, len(images), BLOCK):
                block = apply_network(backbone, images[start : start + BLOCK])
                kept[start : start + BLOCK] = _within(block, precision)
            kept.flush()
        note_digest(path)
    elif not is_as_noted(path):
        raise DataError(f"{path}: features changed since they were written; remove the file")
    return np.load(path, mmap_mode="r", allow_pickle=False)


def train_frozen(
    build: Callable[[], keras.Model],
    learning: tuple[Any, NDArray[np.int64]],
    steering: tuple[Any, NDArray[np.int64]],
    recipe: Recipe,
    path: Path,
    folder: Path,
    batch_size: int = 32,
    balance: str = "none",
) -> Trained:
    """Train attention and last layer alone, on features that the backbone gives once.

    Tiles are not turned: the backbone sees each of them once, as it is.

    Args:
        build: Makes the whole scorer; its backbone stays as it comes.
        learning, steering: Tiles, uint8 (N, H, W), and labels, int (N,), of both parts.
        recipe: How to train the head; its seed decides the order of the tiles.
        path: Where the whole scorer goes, ``NAME.keras``, its history beside it; the head
            goes to ``NAME_head.keras``.
        folder: Where features are kept.
        batch_size, balance: See ``TileBatches``.
    """
    keras.utils.clear_session()  # layer names start anew, so that equal backbones are equal
    keras.utils.set_random_seed(recipe.seed)
    backbone, head = split_at_features(build())
    tiles, labels = learning
    taught = FeatureBatches(
        backbone_features(backbone, tiles, folder), labels, batch_size, recipe.seed, balance
    )
    tiles, labels = steering
    steered = FeatureBatches(backbone_features(backbone, tiles, folder), labels, batch_size)
    own = head_path(path)
    trained = train(lambda: keras.models.clone_model(head), taught, steered, recipe, own)
    whole = join_at_features(backbone, trained.model)
    save_model(whole, path)
    digest = weights_digest(whole)
    of_head = read_json(own.with_suffix(".json"))
    describe_model(path, of_head["key"], of_head["history"], digest, frozen=True)
    return dataclasses.replace(trained, model=whole, digest=digest)


def head_path(path: Path) -> Path:
    """Where the head that was trained on kept features lies, beside the whole scorer."""
    return path.with_stem(f"{path.stem}_head")


def features_digest(backbone: keras.Model, images: Any, precision: str) -> str:
    """SHA-256 over all that features follow from: layers, weights, input size, tiles."""
    digest = hashlib.sha256(backbone.to_json().encode())
    digest.update(weights_digest(backbone).encode())
    digest.update(repr((backbone.input_shape[1:], len(images), precision)).encode())
    for start in range(0, len(images), BLOCK):
        digest.update(np.ascontiguousarray(images[start : start + BLOCK]).data)
    return digest.hexdigest()


def _within(features: NDArray[np.float32], precision: str) -> NDArray[np.float32]:
    largest, limit = float(np.abs(features).max()), float(np.finfo(precision).max)
    if not largest <= limit:
        raise DataError(
            f"features: a value of {largest:.3g} found; {precision} ends at {limit:.3g}; "
            "keep them as float32, or train the backbone again"
        )
    return features
