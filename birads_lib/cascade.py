"""Denoise, gate, score: the paper's three networks in a row as one object."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from birads_lib import engines
from birads_lib.engines import KerasNetwork, Network, open_network
from birads_lib.errors import DataError, UsageError, one_of
from birads_lib.files import fingerprint, read_json, sha256, whole_file, whole_folder, write_json
from birads_lib.labels import CODES, LESION_CODES
from birads_lib.tiles.familiarity import MEASURES, Familiarity
from birads_lib.tiles.layout import GREY_MAX
from birads_lib.tiles.resizing import network_input, resize_tiles
from birads_lib.tiles.store import ImageRows, streamed

if TYPE_CHECKING:
    import keras

PARTS = ("autoencoder", "gate", "scorer")
INTENDED_USE = (
    "To reproduce, teach and criticise a published method.",
    "To measure what a split, a shortcut, a threshold, a seed or a small network does to a result.",
    "To serve as a baseline on the same public tiles.",
)
NOT_INTENDED_USE = (
    "Diagnosis, triage, second opinions and reassurance, of anyone.",
    "Whole mammograms, digital mammograms, tomosynthesis, ultrasound and MRI.",
    "Reading its classes as BI-RADS categories: they are lesion type and pathology.",
)
DESCRIPTION = "cascade.json"
SHOWN = 200  # characters of a schema's complaint, which may repeat a whole entry
_DIGESTS = {"type": "object", "additionalProperties": {"type": "string"}}
_RANGE = {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number"}}
_RANGES = {"required": list(MEASURES), "additionalProperties": _RANGE}
DESCRIBED = {
    "type": "object",
    "required": ["threshold", "weights", "files", "about", "familiar"],
    "properties": {
        "threshold": {"type": "number", "minimum": 0, "maximum": 1},
        "weights": _DIGESTS,
        "files": _DIGESTS,
        "about": {"type": "object"},
        "familiar": {"type": ["object", "null"], **_RANGES},
    },
}
"""Schema of ``DESCRIPTION``."""
EXPORTED = ("onnx",)  # what is written beside the Keras files, for the default engine
BATCH = 64  # tiles a network sees at a time
Tiles = NDArray[np.uint8] | ImageRows
BLOCK = 256  # tiles held in memory at a time
Levels = NDArray[Any]
"""Grey levels 0..255: uint8 of tiles as they are, float32 of denoised ones, not rounded."""


@dataclass(frozen=True)
class Reading:
    """All that a cascade says of N tiles, for those who look at each.

    Attributes:
        answers: What ``Cascade.predict`` gives.
        denoised: uint8 (N, height, width), what ``Cascade.denoise`` gives.
        attention: float32 (N, rows, columns), the maps A_s of equation (2), 0..1; NaN where
            the gate let nothing through. ``None`` of a scorer without spatial attention.
    """

    answers: pd.DataFrame
    denoised: NDArray[np.uint8]
    attention: NDArray[np.float32] | None


class Cascade:
    """The three networks of the paper, applied one after another.

    1. The autoencoder denoises each tile, at its own input size.
    2. The gate gives the probability of "infected".
    3. Only what reaches ``threshold`` is scored over C2 to C5.

    Denoised grey levels are handed on as they are, not rounded to whole ones: engines
    differ in the last bits, and a level at an edge would fall on either side of it.

    Attributes:
        autoencoder: Denoiser, or ``None`` to go without.
        gate: From grey (height, width, 1) to one probability.
        scorer: From (height, width, 3) to four.
        threshold: Least gate probability that is let through, 0..1.
        about: Free facts kept with the cascade: data, profile, whether simulated.
        familiar: What the training tiles looked like, or ``None`` where that is not known.
        digest: SHA-256 over the weights of all parts and the threshold: which cascade
            it is, whatever engine runs it.

    Args:
        gate, scorer, autoencoder: Keras models, or networks that an engine runs.
    """

    def __init__(
        self,
        gate: keras.Model | Network,
        scorer: keras.Model | Network,
        autoencoder: keras.Model | Network | None = None,
        threshold: float = 0.5,
        about: dict[str, Any] | None = None,
        familiar: Familiarity | None = None,
    ):
        self.autoencoder = as_network(autoencoder) if autoencoder is not None else None
        self.gate, self.scorer = as_network(gate), as_network(scorer)
        self.threshold, self.about, self.familiar = threshold, about or {}, familiar
        self._names = {name: name for name in PARTS}

    def predict(self, images: Tiles) -> pd.DataFrame:
        """Read tiles, a block at a time, so memory does not grow with their number.

        Args:
            images: uint8 (N, H, W) or (N, H, W, 1), grey levels 0..255; an array, a
                memory map or rows of a store.

        Returns:
            DataFrame of N rows: ``gate`` probability of infected; ``C2`` to ``C5``
            probabilities, NaN where the gate let nothing through; ``predicted``
            ``"C1"`` to ``"C5"``.

        Raises:
            DataError: Another dtype or shape, or a network answers NaN or infinity.
        """
        check_images(images)
        scores = np.full((len(images), 1 + len(LESION_CODES)), np.nan)
        row, waiting = 0, _Waiting()
        for denoised in self._denoised_blocks(images):
            rows = slice(row, row + len(denoised))
            scores[rows, 0] = self._apply("gate", denoised)[:, 0]
            through = np.flatnonzero(scores[rows, 0] >= self.threshold)
            waiting.add(row + through, self._for_scorer(denoised[through]))
            row += len(denoised)
            if waiting.count >= BLOCK or row == len(images):
                self._score(waiting, scores)
        table = pd.DataFrame(scores, columns=["gate", *LESION_CODES])
        best = np.nan_to_num(scores[:, 1:], nan=-1.0).argmax(axis=1) + 1
        passed = scores[:, 0] >= self.threshold
        table["predicted"] = np.array(CODES)[np.where(passed, best, 0)]
        return table

    def denoise(self, images: Tiles) -> NDArray[np.uint8]:
        """The tiles as gate and scorer see them, rounded to grey levels: uint8 (N, height, width).

        At the autoencoder's input size; without one, the images as they are.
        """
        check_images(images)
        size = self.autoencoder.input_shape[:2] if self.autoencoder else images.shape[1:3]
        denoised = np.empty((len(images), *size), np.uint8)
        row = 0
        for batch in self._denoised_blocks(images):
            denoised[row : row + len(batch)] = np.rint(batch)
            row += len(batch)
        return denoised

    def read(self, images: Tiles) -> Reading:
        """Read tiles and show the way: for a few of them, all in memory.

        Args:
            images: As for ``predict``.
        """
        answers = self.predict(images)
        attention = None
        if self.scorer.attention_shape is not None:
            passed = np.flatnonzero(answers["gate"] >= self.threshold)
            attention = np.full((len(answers), *self.scorer.attention_shape), np.nan, np.float32)
            blocks = self._denoised_blocks(np.asarray(images)[passed])
            found = [self._attention(self._for_scorer(block)) for block in blocks]
            if found:
                attention[passed] = np.concatenate(found)
        return Reading(answers, self.denoise(images), attention)

    def save(self, path: str | os.PathLike[str], forms: Sequence[str] = EXPORTED) -> None:
        """Write networks and description to a folder, whole or not at all.

        Args:
            path: Folder to write; it takes the place of an earlier cascade.
            forms: What each network is written as beside Keras' own, see ``export.FORMATS``.

        Raises:
            UsageError: A part is run by another engine; load it with ``engine="keras"``.
        """
        from birads_lib.export import FORMATS, export_network, with_attention
        from birads_lib.training import save_model

        with whole_folder(path, DESCRIPTION) as folder:
            for name, network in self._parts().items():
                model = _keras_model(name, network)
                save_model(model, folder / f"{name}.keras")
                for form in forms:
                    export_network(with_attention(model), folder / f"{name}{FORMATS[form]}", form)
            described = {
                "threshold": self.threshold,
                "weights": self._weights,
                "files": {file.name: sha256(file) for file in sorted(folder.iterdir())},
                "about": self.about,
                "familiar": self.familiar.ranges if self.familiar else None,
            }
            write_json(folder / DESCRIPTION, described)

    @classmethod
    def load(cls, path: str | os.PathLike[str], engine: str = engines.DEFAULT) -> Cascade:
        """Read a cascade that ``save`` wrote.

        Args:
            path: Its folder.
            engine: What runs the networks, see ``engines.SUFFIXES``. All agree with Keras'
                own to 1e-4.

        Raises:
            UsageError: No such engine.
            DataError: Not such a folder, or a network's file has changed.
        """
        suffix = engines.SUFFIXES[one_of("engine", engine, engines.SUFFIXES)]
        folder = Path(path)
        if not (folder / DESCRIPTION).is_file():
            raise DataError(
                f"{folder}: no cascade ({DESCRIPTION} is missing); give the folder that the "
                "cascade chapter wrote, such as models/cascade"
            )
        described = _read_description(folder / DESCRIPTION)
        networks = {}
        for name in described["weights"]:
            file = f"{name}{suffix}"
            networks[name] = _open_checked(folder / file, described["files"].get(file), engine)
        familiar = Familiarity(described["familiar"]) if described["familiar"] else None
        cascade = cls(
            **networks,
            threshold=described["threshold"],
            about=described["about"],
            familiar=familiar,
        )
        cascade._weights = described["weights"]
        cascade._names |= {name: f"{folder / name}{suffix}" for name in networks}
        return cascade

    @functools.cached_property
    def _weights(self) -> dict[str, str]:
        """SHA-256 over the weights of each part."""
        from birads_lib.networks import weights_digest

        parts = self._parts().items()
        return {name: weights_digest(_keras_model(name, network)) for name, network in parts}

    @property
    def digest(self) -> str:
        return fingerprint([self._weights, self.threshold])

    def _parts(self) -> dict[str, Network]:
        parts = {name: getattr(self, name) for name in PARTS}
        return {name: network for name, network in parts.items() if network is not None}

    def _denoised_blocks(self, images: Tiles) -> Iterator[Levels]:
        rows = streamed(images)
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            block = block[..., 0] if block.ndim == 4 else block
            if self.autoencoder:
                block = denoised_levels(self.autoencoder, block, self._names["autoencoder"])
            yield block

    def _for_scorer(self, denoised: Levels) -> Levels:
        """Tiles at the scorer's size, where they take less memory while they wait."""
        height, width, _ = self.scorer.input_shape
        return resize_tiles(denoised, (height, width))

    def _attention(self, tiles: Levels) -> NDArray[np.float32]:
        return self.scorer.attention(network_input(tiles, self.scorer.input_shape[2]))

    def _score(self, waiting: _Waiting, scores: NDArray[np.float64]) -> None:
        if waiting.count:
            rows, tiles = waiting.take()
            scores[rows, 1:] = self._apply("scorer", tiles)

    def _apply(self, name: str, tiles: Levels) -> NDArray[np.float32]:
        return apply_network(getattr(self, name), tiles, self._names[name])


class _Waiting:
    """Tiles that passed the gate and wait until a batch for the scorer is full."""

    def __init__(self) -> None:
        self.rows: list[NDArray[np.int64]] = []
        self.tiles: list[Levels] = []

    @property
    def count(self) -> int:
        return sum(map(len, self.rows))

    def add(self, rows: NDArray[np.int64], tiles: Levels) -> None:
        self.rows.append(rows)
        self.tiles.append(tiles)

    def take(self) -> tuple[NDArray[np.int64], Levels]:
        taken = np.concatenate(self.rows), np.concatenate(self.tiles)
        self.rows, self.tiles = [], []
        return taken


def as_network(network: keras.Model | Network) -> Network:
    """A Keras model as a network that Keras runs; other networks as they are."""
    return KerasNetwork(network) if hasattr(network, "predict_on_batch") else network


def apply_network(
    network: keras.Model | Network, images: Tiles | Levels, name: str = "network"
) -> NDArray[np.float32]:
    """Resize grey tiles to a network's input and run it, in batches of 64.

    The next batch is made ready while the network is at work.

    Args:
        network: Takes float32 (batch, height, width, channels) in 0..255.
        images: uint8 or float32 (N, H, W), grey levels 0..255.
        name: What messages call it.

    Returns:
        float32 (N, outputs...), finite.

    Raises:
        DataError: It answers NaN or infinity, as one with damaged weights does.
    """
    runs = as_network(network)
    outputs = np.empty((len(images), *runs.output_shape), np.float32)
    starts = range(0, len(images), BATCH)
    height, width, channels = runs.input_shape

    def ready(start: int) -> NDArray[np.float32]:
        block = np.asarray(images[start : start + BATCH])
        return network_input(resize_tiles(block, (height, width)), channels)

    with ThreadPoolExecutor(max_workers=1) as beside:
        waiting = [beside.submit(ready, start) for start in starts[:1]]
        for start in starts:
            batch = waiting.pop().result()
            if start + BATCH < len(images):
                waiting.append(beside.submit(ready, start + BATCH))
            outputs[start : start + BATCH] = runs(batch)
    if not np.isfinite(outputs).all():
        raise DataError(f"{name}: answers with NaN or infinity; remove it and run the study again")
    return outputs


def denoise_tiles(
    autoencoder: keras.Model | Network, images: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Denoise tiles at the autoencoder's input size: uint8 (N, H, W) to (N, height, width)."""
    return np.rint(denoised_levels(autoencoder, images)).astype(np.uint8)


def denoised_levels(
    autoencoder: keras.Model | Network, images: NDArray[np.uint8], name: str = "autoencoder"
) -> NDArray[np.float32]:
    """Grey levels of denoised tiles, not rounded: float32 (N, height, width), 0..255."""
    rebuilt = apply_network(autoencoder, images, name)[..., 0]
    return np.clip(rebuilt, 0, GREY_MAX, out=rebuilt)


def denoise_to(path: Path, autoencoder: keras.Model | Network, images: Tiles) -> None:
    """Denoise tiles into a ``.npy`` file, a block at a time, whole or not at all.

    Args:
        path: File to write: uint8 (N, height, width) at the autoencoder's input size.
        autoencoder: From ``denoising_autoencoder``.
        images: uint8 (N, H, W), such as a store's memory map.
    """
    rows, runs = streamed(images), as_network(autoencoder)
    with whole_file(path) as partial, open(partial, "wb") as file:
        np.lib.format.write_array_header_1_0(
            file,
            {
                "descr": "|u1",
                "fortran_order": False,
                "shape": (len(rows), *runs.input_shape[:2]),
            },
        )
        for start in range(0, len(rows), BLOCK):
            file.write(denoise_tiles(runs, rows[start : start + BLOCK]).data)


def check_images(images: Tiles) -> None:
    """Raise ``DataError`` unless uint8 (N, H, W) or (N, H, W, 1)."""
    shape = images.shape
    if images.dtype != np.uint8 or not (len(shape) == 3 or (len(shape) == 4 and shape[3] == 1)):
        raise DataError(
            f"images: {images.dtype} {shape} given; expected uint8 (N, H, W) or (N, H, W, 1), "
            "grey levels 0..255"
        )


def _keras_model(name: str, network: Network) -> keras.Model:
    if not isinstance(network, KerasNetwork):
        raise UsageError(f'cascade: the {name} is not run by Keras; load it with engine="keras"')
    return network.model


def _read_description(path: Path) -> dict[str, Any]:
    described = read_json(path)
    try:
        jsonschema.validate(described, DESCRIBED)
    except jsonschema.ValidationError as error:
        place = "/".join(map(str, error.absolute_path)) or "top level"
        raise DataError(
            f"{path}: not as this version writes it ({place}: {error.message:.{SHOWN}}); run "
            "the study again"
        ) from None
    if not {"gate", "scorer"} <= described["weights"].keys() <= set(PARTS):
        raise DataError(f"{path}: names no gate and scorer; run the study again")
    return described


def _open_checked(path: Path, digest: str | None, engine: str) -> Network:
    if digest is None:
        raise DataError(
            f"{path}: this cascade was saved without the files that the engine {engine} reads; "
            f"use {engines.DEFAULT} or keras, or write others with `birads export`"
        )
    if not path.is_file():
        raise DataError(f"{path}: the model is missing; run the study again")
    if sha256(path) != digest:
        raise DataError(f"{path}: the model has changed since it was saved; run the study again")
    return open_network(path, engine)
