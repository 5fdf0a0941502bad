"""What every member of a sweep learns from and is judged by, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from birads_lib.tiles.splits import HELD_OUT, TRAIN, VALIDATION
from birads_lib.tiles.store import ImageRows

__all__ = ["HELD_OUT", "TRAIN", "VALIDATION", "Answers", "PreparedRows", "SweepData", "Task"]

Change = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


class PreparedRows(ImageRows):
    """Rows of tiles that are changed as they are read, such as by a filter.

    Args:
        tiles: uint8 (N, H, W).
        change: From uint8 (n, H, W) to the same shape.
    """

    def __init__(self, tiles: ImageRows, change: Change):
        super().__init__(tiles._images, tiles._rows)
        self._change = change

    def __getitem__(self, index: Any) -> NDArray[Any]:
        found = super().__getitem__(index)
        return self._change(found.reshape(-1, *self.shape[1:])).reshape(found.shape)

    def rows(self, rows: NDArray[np.int64]) -> PreparedRows:
        """Some of these rows, still unread."""
        return PreparedRows(super().rows(rows), self._change)


@dataclass(frozen=True, eq=False)
class SweepData:
    """The tiles of a run, the same for all members.

    Attributes:
        images: Tiles as they are, uint8 (N, 299, 299).
        denoised: The same after the run's autoencoder, uint8 (N, S, S).
        labels: int (N,), 0 to 4.
        split: (N,), part of each tile under the official protocol.
        models: Folder of the run's own networks.
        features: Folder where features of frozen backbones are kept.
    """

    images: ImageRows
    denoised: ImageRows
    labels: NDArray[np.int64]
    split: NDArray[np.object_]
    models: Path
    features: Path

    def tiles(self, denoised: bool) -> ImageRows:
        """Tiles after the autoencoder, or as they are."""
        return self.denoised if denoised else self.images

    def part(self, name: str, infected: bool = False) -> NDArray[np.bool_]:
        """Which tiles are in a part, bool (N,); of the infected ones alone if wished."""
        return (self.split == name) & ((self.labels > 0) | (not infected))


@dataclass(frozen=True)
class Task:
    """One training: on which tiles, with which seed, and where it may keep checkpoints."""

    data: SweepData
    seed: int
    folder: Path


@dataclass(frozen=True)
class Answers:
    """What a member says of the held-out tiles.

    Attributes:
        scores: By stage; rows in the store's order, of the stage ``"scorer"`` infected
            tiles alone; columns ``gate`` and C2 to C5 as far as the stage has them.
        model: Digest of the weights that said so.
        affine: Of a network that chooses where to look, the affine maps, float32 (2, 3), of a
            few of the scorer's tiles, by their row; empty of others.
    """

    scores: dict[str, pd.DataFrame]
    model: str
    affine: dict[int, NDArray[np.float32]] = field(default_factory=dict)
