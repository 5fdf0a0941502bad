"""Tiles to batches for Keras: shuffled, turned, resized, in the order a seed decides."""

from __future__ import annotations

import functools
import hashlib
import math
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from birads_lib.errors import UsageError, one_of
from birads_lib.tiles.resizing import ResizedRows, network_input
from birads_lib.tiles.store import ImageRows, streamed

BALANCES = ("none", "weights", "sampling")
BLOCK = 512  # tiles read at a time
PREFETCHED = 2  # batches made ahead


def random_patches(
    images: NDArray[np.uint8] | ImageRows, size: int, seed: int
) -> NDArray[np.uint8]:
    """One square patch of each tile, at a place drawn by seed: uint8 (N, size, size).

    Equal seeds cut equal places, so noisy and clean tiles stay in step. Of rows on disk
    memory holds a block at a time.
    """
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, np.array(images.shape[1:]) - size + 1, (len(images), 2))
    patches = np.empty((len(images), size, size), np.uint8)
    for start in range(0, len(images), BLOCK):
        block = np.asarray(images[start : start + BLOCK])
        for index, image in enumerate(block, start):
            row, column = corners[index]
            patches[index] = image[row : row + size, column : column + size]
    return patches


def add_noise(images: NDArray[np.uint8], sd: float, seed: int) -> NDArray[np.uint8]:
    """Grey tiles with white Gaussian noise of ``sd`` grey levels: uint8, same shape."""
    rng = np.random.default_rng(seed)
    noisy = images + sd * rng.standard_normal(images.shape, np.float32)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


class TileBatches:
    """Batches of one part of the tiles; epoch ``e`` is decided by the seed and ``e`` alone.

    Args:
        images: uint8 (N, S, S), square; those of a memory map are read as they are needed.
        targets: int (N,) class labels, or uint8 (N, S, S) images to rebuild.
        input_shape: (height, width, channels) of the network.
        batch_size: Tiles a batch.
        seed: For order, turns and added noise. ``None``: in order, nothing random.
        turn: Flip and quarter-turn tiles at random before they are resized.
        balance: ``"none"``; ``"weights"``: each class weighs the same in sum;
            ``"sampling"``: tiles are drawn so that classes come up equally often.
        noise: Most noise added to the input, not to the target: each tile gets white
            Gaussian noise with a standard deviation drawn from 0 to this, grey levels.

    Each batch is ``(x, y)`` or ``(x, y, weight)``: x float32 (batch, height, width,
    channels) in 0..255; y int64 (batch,) or float32 (batch, height, width, 1).
    """

    def __init__(
        self,
        images: NDArray[Any] | ImageRows,
        targets: NDArray[Any] | ImageRows,
        input_shape: tuple[int, int, int],
        batch_size: int = 32,
        seed: int | None = None,
        turn: bool = False,
        balance: str = "none",
        noise: float = 0.0,
    ):
        if len(images) != len(targets) or not len(images):
            raise UsageError(f"batches: {len(images)} tiles and {len(targets)} targets given")
        if batch_size < 1 or (targets.ndim > 1 and balance != "none"):
            raise UsageError(
                f"batches: batch_size {batch_size}, balance {balance!r}; expected at least 1, and "
                "'none' where the targets are images"
            )
        self.images = streamed(images)
        self.targets = streamed(targets) if targets.ndim > 1 else targets
        self.input_shape, self.batch_size = input_shape, batch_size
        self.seed, self.turn, self.noise = seed, turn, noise
        self.balance = one_of("balance", balance, BALANCES)
        self.rebuilds = targets.ndim > 1
        self._sizes: dict[tuple[bool, tuple[int, int]], ResizedRows] = {}
        self.start_epoch(0)

    def __len__(self) -> int:
        return math.ceil(len(self.images) / self.batch_size)

    def start_epoch(self, epoch: int) -> None:
        """Take the order of an epoch, counted from 0."""
        self._epoch = epoch
        if self.seed is None:
            self._order = np.arange(len(self.images))
            return
        rng = np.random.default_rng([self.seed, epoch])
        if self.balance == "sampling":
            share = self._class_weights[self.targets]
            size = len(self.images)
            self._order = rng.choice(size, size, p=share / share.sum())
        else:
            self._order = rng.permutation(len(self.images))

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        rows = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        rng = turns = None
        if self.seed is not None:
            rng = np.random.default_rng([self.seed, self._epoch, index])
            turns = rng.integers(8, size=len(rows)) if self.turn else None
        batch = self._as_input(rows, turns, rng)
        if self.rebuilds:
            return batch, network_input(self._resized(self.targets, rows, turns), 1)
        y = self.targets[rows]
        if self.balance == "weights":
            return batch, y, self._class_weights[y]
        return batch, y

    def dataset(self) -> tf.data.Dataset:
        """The epoch's batches for Keras, made one ahead of the training step.

        Autotuning is off: its thread sleeps in doubling periods and the end of an epoch
        waits for it to wake, which stretches epochs to 10.2, 20.5, 41 ... seconds.
        """
        options = tf.data.Options()
        options.autotune.enabled = False
        signature = tuple(tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in self[0])
        batches = tf.data.Dataset.from_generator(
            lambda: (self[index] for index in range(len(self))), output_signature=signature
        )
        counted = batches.apply(tf.data.experimental.assert_cardinality(len(self)))
        return counted.prefetch(PREFETCHED).with_options(options)

    def digest(self) -> str:
        """SHA-256 over tiles, targets and settings: what a training depends on."""
        digest = hashlib.sha256(
            repr(
                (self.input_shape, self.batch_size, self.seed, self.turn, self.balance, self.noise)
            ).encode()
        )
        for array in (self.images, self.targets):
            for start in range(0, len(array), BLOCK):
                digest.update(np.ascontiguousarray(array[start : start + BLOCK]).data)
        return digest.hexdigest()

    def _as_input(
        self,
        rows: NDArray[np.int64],
        turns: NDArray[np.int64] | None,
        rng: np.random.Generator | None,
    ) -> NDArray[np.float32]:
        batch = network_input(self._resized(self.images, rows, turns), self.input_shape[2])
        if self.noise and rng is not None:
            strength = self.noise * rng.random((len(batch), 1, 1, 1), np.float32)
            batch += strength * rng.standard_normal((*batch.shape[:3], 1), np.float32)
            np.clip(batch, 0, 255, out=batch)
        return batch

    def _resized(
        self, images: Any, rows: NDArray[np.int64], turns: NDArray[np.int64] | None
    ) -> NDArray[np.uint8]:
        """Rows of images at the network's size, each in one of the square's eight symmetries.

        They are turned when they are small. Averages over areas do not mind the order.
        """
        height, width = self.input_shape[:2]
        if turns is None:
            return self._rows_at(images, (height, width))[rows]
        turned = np.empty((len(rows), height, width), np.uint8)
        for lying in (False, True):
            places = np.flatnonzero((turns % 2 == 1) == lying)
            size = (width, height) if lying else (height, width)
            small = self._rows_at(images, size)[rows[places]]
            for place, image in zip(places, small, strict=True):
                flipped = image[:, ::-1] if turns[place] >= 4 else image
                turned[place] = np.rot90(flipped, turns[place] % 4)
        return turned

    def _rows_at(self, images: Any, size: tuple[int, int]) -> ResizedRows:
        """The images at a size; what was resized in one epoch serves the next."""
        key = (images is self.images, size)
        if key not in self._sizes:
            self._sizes[key] = ResizedRows(images, size)
        return self._sizes[key]

    @functools.cached_property
    def _class_weights(self) -> NDArray[np.float32]:
        """Weight of each class, mean 1 over the tiles, float32 (classes,)."""
        counts = np.bincount(self.targets)
        return (len(self.targets) / (np.count_nonzero(counts) * np.maximum(counts, 1))).astype(
            np.float32
        )


class FeatureBatches(TileBatches):
    """Batches of features that a frozen backbone gave once; else as ``TileBatches``.

    Args:
        features: float16 or float32 (N, H, W, C), such as ``backbone_features`` keeps, or
            ``ImageRows`` of them; read a batch at a time.
        targets: int (N,) class labels.
        batch_size: Rows a batch.
        seed: For the order. ``None``: in order. Nothing is turned or noised: the backbone
            saw each tile once, as it is.
        balance: See ``TileBatches``.

    Each batch is ``(x, y)`` or ``(x, y, weight)``: x float32 (batch, H, W, C), as the
    backbone gave it; y int64 (batch,).
    """

    def __init__(
        self,
        features: Any,
        targets: NDArray[np.int64],
        batch_size: int = 32,
        seed: int | None = None,
        balance: str = "none",
    ):
        _, height, width, channels = features[:1].shape
        shape = (height, width, channels)
        super().__init__(features, targets, shape, batch_size, seed, balance=balance)

    def _as_input(self, rows: NDArray[np.int64], *_: Any) -> NDArray[np.float32]:
        return np.asarray(self.images[rows]).astype(np.float32)
