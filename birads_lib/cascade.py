"""Denoise, gate, score: the paper's three networks in a row as one object."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from birads_lib.errors import DataError
from birads_lib.files import fingerprint, read_json, sha256, whole_file, whole_folder, write_json
from birads_lib.labels import CODES, LESION_CODES
from birads_lib.networks import weights_digest
from birads_lib.networks.autoencoder import GREY_MAX
from birads_lib.tiles.feed import network_input, resize_tiles
from birads_lib.tiles.store import ImageRows
from birads_lib.training import save_model

PARTS = ("autoencoder", "gate", "scorer")
DESCRIPTION = "cascade.json"
BATCH = 64  # tiles a network sees at a time
Tiles = NDArray[np.uint8] | ImageRows
BLOCK = 512  # tiles held in memory at a time


class Cascade:
    """The three networks of the paper, applied one after another.

    1. The autoencoder denoises each tile, at its own input size.
    2. The gate gives the probability of "infected".
    3. Only what reaches ``threshold`` is scored over C2 to C5.

    Attributes:
        autoencoder: Denoiser, or ``None`` to go without.
        gate: From grey (height, width, 1) to one probability.
        scorer: From (height, width, 3) to four.
        threshold: Least gate probability that is let through, 0..1.
        about: Free facts kept with the cascade: data, profile, whether simulated.
    """

    def __init__(
        self,
        gate: keras.Model,
        scorer: keras.Model,
        autoencoder: keras.Model | None = None,
        threshold: float = 0.5,
        about: dict[str, Any] | None = None,
    ):
        self.autoencoder, self.gate, self.scorer = autoencoder, gate, scorer
        self.threshold, self.about = threshold, about or {}

    def predict(self, images: Tiles) -> pd.DataFrame:
        """Read tiles, a batch at a time.

        Args:
            images: uint8 (N, H, W) or (N, H, W, 1), grey levels 0..255; an array, a
                memory map or rows of a store.

        Returns:
            DataFrame of N rows: ``gate`` probability of infected; ``C2`` to ``C5``
            probabilities, NaN where the gate let nothing through; ``predicted``
            ``"C1"`` to ``"C5"``.

        Raises:
            DataError: Another dtype or shape.
        """
        check_images(images)
        scores = np.full((len(images), 1 + len(LESION_CODES)), np.nan)
        row, waiting = 0, _Waiting()
        for denoised in self._denoised_batches(images):
            rows = slice(row, row + len(denoised))
            scores[rows, 0] = apply_network(self.gate, denoised)[:, 0]
            through = np.flatnonzero(scores[rows, 0] >= self.threshold)
            waiting.add(row + through, denoised[through])
            row += len(denoised)
            if waiting.count >= BATCH or row == len(images):
                self._score(waiting, scores)
        table = pd.DataFrame(scores, columns=["gate", *LESION_CODES])
        best = np.nan_to_num(scores[:, 1:], nan=-1.0).argmax(axis=1) + 1
        passed = scores[:, 0] >= self.threshold
        table["predicted"] = np.array(CODES)[np.where(passed, best, 0)]
        return table

    def denoise(self, images: Tiles) -> NDArray[np.uint8]:
        """The tiles as gate and scorer get to see them: uint8 (N, height, width).

        At the autoencoder's input size; without one, the images as they are.
        """
        check_images(images)
        size = self.autoencoder.input_shape[1:3] if self.autoencoder else images.shape[1:3]
        denoised = np.empty((len(images), *size), np.uint8)
        row = 0
        for batch in self._denoised_batches(images):
            denoised[row : row + len(batch)] = batch
            row += len(batch)
        return denoised

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the networks and a description to a folder, whole or not at all."""
        with whole_folder(path, DESCRIPTION) as folder:
            files = {}
            for name, model in self._parts().items():
                save_model(model, folder / f"{name}.keras")
                files[name] = sha256(folder / f"{name}.keras")
            about = {"threshold": self.threshold, "files": files, "about": self.about}
            write_json(folder / DESCRIPTION, about)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Cascade:
        """Read a cascade that ``save`` wrote.

        Raises:
            DataError: Not such a folder, or a network's file has changed.
        """
        folder = Path(path)
        if not (folder / DESCRIPTION).is_file():
            raise DataError(
                f"{folder}: no cascade ({DESCRIPTION} is missing); give the folder that the "
                "cascade chapter wrote, such as models/cascade"
            )
        described = read_json(folder / DESCRIPTION)
        models = {
            name: _load_checked(folder / f"{name}.keras", digest)
            for name, digest in described["files"].items()
        }
        return cls(**models, threshold=described["threshold"], about=described["about"])

    @property
    def digest(self) -> str:
        """SHA-256 over the weights of all parts and the threshold: which cascade it was."""
        parts = [weights_digest(model) for model in self._parts().values()]
        return fingerprint([*parts, self.threshold])

    def _parts(self) -> dict[str, keras.Model]:
        parts = {name: getattr(self, name) for name in PARTS}
        return {name: model for name, model in parts.items() if model is not None}

    def _denoised_batches(self, images: Tiles) -> Iterator[NDArray[np.uint8]]:
        for start in range(0, len(images), BATCH):
            batch = np.asarray(images[start : start + BATCH])
            batch = batch[..., 0] if batch.ndim == 4 else batch
            yield denoise_tiles(self.autoencoder, batch) if self.autoencoder else batch

    def _score(self, waiting: _Waiting, scores: NDArray[np.float64]) -> None:
        if waiting.count:
            rows, tiles = waiting.take()
            scores[rows, 1:] = apply_network(self.scorer, tiles)


class _Waiting:
    """Tiles that passed the gate and wait until a batch for the scorer is full."""

    def __init__(self) -> None:
        self.rows: list[NDArray[np.int64]] = []
        self.tiles: list[NDArray[np.uint8]] = []

    @property
    def count(self) -> int:
        return sum(map(len, self.rows))

    def add(self, rows: NDArray[np.int64], tiles: NDArray[np.uint8]) -> None:
        self.rows.append(rows)
        self.tiles.append(tiles)

    def take(self) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        taken = np.concatenate(self.rows), np.concatenate(self.tiles)
        self.rows, self.tiles = [], []
        return taken


def apply_network(model: keras.Model, images: Tiles) -> NDArray[np.float32]:
    """Resize grey tiles to a network's input and run it, in batches of 64.

    Args:
        model: Takes float32 (batch, height, width, channels) in 0..255.
        images: uint8 (N, H, W).

    Returns:
        float32 (N, outputs...).
    """
    height, width, channels = model.input_shape[1:]
    outputs = np.empty((len(images), *model.output_shape[1:]), np.float32)
    for start in range(0, len(images), BATCH):
        rows = slice(start, start + BATCH)
        block = resize_tiles(np.asarray(images[rows]), (height, width))
        outputs[rows] = model.predict_on_batch(network_input(block, channels))
    return outputs


def denoise_tiles(autoencoder: keras.Model, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Denoise tiles at the autoencoder's input size: uint8 (N, H, W) to (N, height, width)."""
    rebuilt = apply_network(autoencoder, images)[..., 0]
    return np.clip(np.rint(rebuilt), 0, GREY_MAX).astype(np.uint8)


def denoise_to(path: Path, autoencoder: keras.Model, images: Tiles) -> None:
    """Denoise tiles into a ``.npy`` file, a block at a time, whole or not at all.

    Args:
        path: File to write: uint8 (N, height, width) at the autoencoder's input size.
        autoencoder: From ``denoising_autoencoder``.
        images: uint8 (N, H, W), such as a store's memory map.
    """
    with whole_file(path) as partial:
        shape = (len(images), *autoencoder.input_shape[1:3])
        kept = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
        for start in range(0, len(images), BLOCK):
            kept[start : start + BLOCK] = denoise_tiles(autoencoder, images[start : start + BLOCK])
        kept.flush()


def check_images(images: Tiles) -> None:
    """Raise ``DataError`` unless uint8 (N, H, W) or (N, H, W, 1)."""
    shape = images.shape
    if images.dtype != np.uint8 or not (len(shape) == 3 or (len(shape) == 4 and shape[3] == 1)):
        raise DataError(
            f"images: {images.dtype} {shape} given; expected uint8 (N, H, W) or (N, H, W, 1), "
            "grey levels 0..255"
        )


def _load_checked(path: Path, digest: str) -> keras.Model:
    if not path.is_file():
        raise DataError(f"{path}: the model is missing; run the study again")
    if sha256(path) != digest:
        raise DataError(f"{path}: the model has changed since it was saved; run the study again")
    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, OSError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: not a readable model ({reason}); run the study again") from None
