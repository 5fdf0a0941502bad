"""The truth of a phantom: origin, noise-free picture, and masks of each tile."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from birads_lib.errors import DataError, UsageError
from birads_lib.files import empty_array, read_json
from birads_lib.labels import CLASSES
from birads_lib.tiles.layout import IMAGE_BYTES, TILE

Bytes = NDArray[np.uint8]

GENERATOR = "birads phantom"
CARD = "phantom.json"
TRUTH = "truth"
TABLE, CLEAN, MASKS = "table.parquet", "clean.npy", "mask.npy"
CALCIFICATIONS = "calcification.npy"
MASK_BYTES = math.ceil(IMAGE_BYTES / 8)
TABLE_COLUMNS = [
    "tile",
    "scan",
    "lesion",
    "patient",
    "scanner",
    "label",
    "conspicuity",
]


def make_truth(folder: Path, tiles: pd.DataFrame) -> None:
    """Write the table of a phantom's truth; its clean tiles and masks at full size, empty.

    Args:
        folder: Folder of the phantom.
        tiles: One row a written tile, with ``TABLE_COLUMNS`` among its columns.
    """
    truth = folder / TRUTH
    truth.mkdir()
    empty_array(truth / CLEAN, (len(tiles), TILE, TILE))
    empty_array(truth / MASKS, (len(tiles), MASK_BYTES))
    empty_array(truth / CALCIFICATIONS, (len(tiles), MASK_BYTES))
    tiles[TABLE_COLUMNS].to_parquet(truth / TABLE, index=False)


def open_arrays(folder: Path, mode: Literal["r", "r+"]) -> tuple[Bytes, Bytes]:
    """Clean tiles ``(n, 299, 299)`` and packed masks ``(n, MASK_BYTES)`` of a phantom, on disk."""
    return (
        np.load(folder / TRUTH / CLEAN, mmap_mode=mode, allow_pickle=False),
        np.load(folder / TRUTH / MASKS, mmap_mode=mode, allow_pickle=False),
    )


def open_calcifications(folder: Path, mode: Literal["r", "r+"]) -> Bytes:
    """Packed masks ``(n, MASK_BYTES)`` of the calcifications of a phantom, on disk."""
    return np.load(folder / TRUTH / CALCIFICATIONS, mmap_mode=mode, allow_pickle=False)


class PhantomTruth:
    """What is known of the tiles of a phantom: free of noise, lesion masks, origin.

    Attributes:
        table: DataFrame, one row a tile: ``tile`` (such as ``training10_0/00012``),
            ``scan``, ``lesion`` (empty for normals), ``patient``, ``scanner``,
            ``label`` (0 to 4), ``conspicuity`` (amplitude of the lesion over the
            standard deviation of fine tissue structure; 0 for normals).
        clean_images: uint8 (n, 299, 299), all tiles without noise, a memory map in the
            order of the table.
    """

    def __init__(self, table: pd.DataFrame, clean: Bytes, masks: Bytes, folder: Path) -> None:
        self.table = table
        self.clean_images = clean
        self._masks = masks
        self._folder = folder
        self._rows = pd.Series(np.arange(len(table)), index=table["tile"])

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> PhantomTruth:
        """Open the truth of a phantom that ``write_phantom`` wrote; arrays stay on disk.

        Raises:
            DataError: The folder is not a phantom, or its truth is missing or damaged.
        """
        path = Path(folder)
        card = read_json(path / CARD)
        if not isinstance(card, dict) or card.get("generator") != GENERATOR:
            raise DataError(f"{path / CARD}: not the card of a phantom; write it again")
        try:
            table = pd.read_parquet(path / TRUTH / TABLE)
            clean, masks = open_arrays(path, "r")
        except (OSError, ValueError) as error:
            raise DataError(f"{path / TRUTH}: not readable ({error}); write it again") from None
        if clean.shape != (len(table), TILE, TILE) or masks.shape != (len(table), MASK_BYTES):
            raise DataError(
                f"{path / TRUTH}: {len(table)} tiles in the table, {clean.shape} clean and "
                f"{masks.shape} masks; write it again"
            )
        return cls(table, clean, masks, path)

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        counts = np.bincount(self.table["label"], minlength=len(CLASSES)).tolist()
        return f"PhantomTruth({len(self)} tiles, labels 0 to 4: {counts})"

    def origin(self, tiles: Sequence[str]) -> pd.DataFrame:
        """The rows of the table of some tiles, in the order asked.

        Raises:
            UsageError: A tile is unknown.
        """
        return self.table.iloc[self.rows_of(tiles)].reset_index(drop=True)

    def clean(self, tiles: Sequence[str]) -> Bytes:
        """The tiles without noise, uint8 ``(n, 299, 299)``.

        Raises:
            UsageError: A tile is unknown.
        """
        return np.asarray(self.clean_images[self.rows_of(tiles)])

    def masks(self, tiles: Sequence[str]) -> NDArray[np.bool_]:
        """Masks of the lesions, bool ``(n, 299, 299)``; empty for normals.

        A calcification's mask reaches 0.6 mm beyond it.

        Raises:
            UsageError: A tile is unknown.
        """
        return _unpacked(self._masks[self.rows_of(tiles)])

    def calcifications(self, tiles: Sequence[str]) -> NDArray[np.bool_]:
        """Masks of the calcifications themselves, bool ``(n, 299, 299)``; empty for all others.

        Raises:
            UsageError: A tile is unknown.
            DataError: The phantom was written before these masks were kept, or they are damaged.
        """
        rows, path = self.rows_of(tiles), self._folder / TRUTH / CALCIFICATIONS
        try:
            packed = open_calcifications(self._folder, "r")
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: not readable ({error}); write the phantom again") from None
        if packed.shape != self._masks.shape:
            raise DataError(
                f"{path}: {packed.shape} found, expected {self._masks.shape}; "
                "write the phantom again"
            )
        return _unpacked(packed[rows])

    def rows_of(self, tiles: Sequence[str]) -> NDArray[np.int64]:
        """Row of each tile in the table and in ``clean_images``, int64.

        Raises:
            UsageError: A tile is unknown.
        """
        rows = self._rows.reindex(list(tiles))
        if rows.isna().any():
            unknown = rows.index[rows.isna()][0]
            raise UsageError(
                f"tile {unknown!r}: not in this phantom; its tiles are named like "
                f"{self._rows.index[0]!r}"
            )
        return rows.to_numpy(np.int64)


def _unpacked(packed: Bytes) -> NDArray[np.bool_]:
    bits = np.unpackbits(np.asarray(packed), axis=1, count=IMAGE_BYTES)
    return bits.reshape(-1, TILE, TILE).astype(bool)
