"""Reading many tiles: a part at a time, so that a stop loses little and memory stays small."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from birads_lib.cascade import Cascade
from birads_lib.errors import DataError
from birads_lib.files import (
    digest_note,
    fingerprint,
    is_as_noted,
    note_digest,
    only_one,
    read_parquet,
    shown,
    whole_file,
    write_parquet,
)
from birads_lib.tiles.pictures import open_pictures
from birads_lib.tiles.store import streamed

PART = 1024  # tiles; some 90 MB
SUFFIXES = (".csv", ".parquet")
FIRST_COLUMNS = ["input", "tile"]
ALREADY = "another process is writing this table; wait for it or name another file"


@dataclass(frozen=True)
class Part:
    """Tiles that are read together.

    Attributes:
        inputs: Path that each came from, str (N,).
        names: Of each tile, str (N,).
        images: uint8 (N, 299, 299).
    """

    inputs: list[str]
    names: list[str]
    images: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.names)

    def key(self, model: str) -> str:
        """What answers depend on: these tiles, and the cascade that goes by ``model``."""
        pixels = hashlib.sha256(np.ascontiguousarray(self.images).data).hexdigest()
        return fingerprint([model, self.inputs, self.names, pixels])


def parts_of(
    inputs: Iterable[Path], refused: Callable[[DataError], None] | None = None
) -> Iterator[Part]:
    """Yield what paths hold, at most ``PART`` tiles at a time, in order.

    Args:
        inputs: What ``open_pictures`` takes.
        refused: Told of each input that cannot be read, which is then passed over;
            ``None`` lets its error through.

    Raises:
        DataError: An input cannot be read, and nobody is to be told of it.
    """
    waiting: list[Part] = []
    for path in inputs:
        try:
            for piece in _pieces(path):
                if sum(map(len, waiting)) + len(piece) > PART:
                    yield _joined(waiting)
                    waiting = []
                waiting.append(piece)
        except (DataError, OSError) as error:
            if refused is None:
                raise
            if isinstance(error, OSError):
                error = DataError(f"{shown(path)}: {error.strerror or error}; copy it anew")
            refused(error)
    if waiting:
        yield _joined(waiting)


def _pieces(path: Path) -> Iterator[Part]:
    """What one path holds, at most ``PART`` tiles at a time."""
    found = open_pictures(path)
    images = streamed(found.images)  # a map's pages would count as memory of the process
    for start in range(0, len(found.names), PART):
        rows = slice(start, start + PART)
        names = found.names[rows]
        yield Part([shown(path)] * len(names), names, images[rows])


def _joined(parts: list[Part]) -> Part:
    if len(parts) == 1:
        return parts[0]
    return Part(
        [path for part in parts for path in part.inputs],
        [name for part in parts for name in part.names],
        np.concatenate([part.images for part in parts]),
    )


def check_inputs(inputs: Iterable[Path]) -> None:
    """Open every input once, so that a bad one is known before anything is predicted.

    Raises:
        DataError: One cannot be read.
    """
    for path in inputs:
        open_pictures(path)


def read_part(cascade: Cascade, part: Part) -> pd.DataFrame:
    """Answers to a part: ``input``, ``tile`` and the columns of ``Cascade.predict``."""
    table = cascade.predict(part.images).assign(input=part.inputs, tile=part.names)
    return table[[*FIRST_COLUMNS, *table.columns.drop(FIRST_COLUMNS)]]


@contextmanager
def resumable_table(out: Path) -> Iterator[ResumableTable]:
    """A table that no other process writes meanwhile; of its answers only what is of use stays.

    Args:
        out: See ``ResumableTable``.

    Raises:
        DataError: As ``ResumableTable``; or another process is writing it, or nothing can be
            written there.
    """
    table = ResumableTable(out)
    with only_one(table.folder / "lock", ALREADY, out):
        try:
            yield table
        finally:
            if table.whole or not any(table.folder.glob("*.parquet")):
                shutil.rmtree(table.folder)


class ResumableTable:
    """A table of predictions that takes up where a stopped run left off.

    Answers to each part are kept beside ``out`` until the table is whole. A run that is
    stopped leaves them; the next one takes those of the same tiles and the same cascade, if
    they have the digest noted beside them.
    To be opened by ``resumable_table``.

    Args:
        out: ``.csv`` or ``.parquet`` to write.

    Attributes:
        folder: Where answers are kept.
        whole: Whether it has been written.
        rows: How many there are so far.
        reused: How many of them an earlier run has left.

    Raises:
        DataError: ``out`` ends in something else, or is a folder.
    """

    def __init__(self, out: Path):
        if out.suffix not in SUFFIXES:
            raise DataError(f"{out}: ends in {out.suffix!r}; use {' or '.join(SUFFIXES)}")
        if out.is_dir():  # told now, not when all is read
            raise DataError(f"{out}: a folder stands there; name a file")
        self.out, self.folder = out, out.with_name(f".{out.name}.parts")
        self.whole = False
        self.rows = self.reused = 0
        self._keys: list[str] = []

    def add(self, cascade: Cascade, part: Part, model: str) -> None:
        """Read a part, or take what an earlier run said of it.

        Args:
            cascade: That reads.
            part: Tiles to read.
            model: What tells the cascade, and what runs it, from others.
        """
        key = part.key(model)
        self._keys.append(key)
        self.rows += len(part)
        path = self._path(key)
        if _is_kept(path):
            self.reused += len(part)
            return
        with whole_file(path, self.out) as partial:
            write_parquet(partial, read_part(cascade, part))
        note_digest(path)

    def write(self) -> None:
        """Write the table, whole or not at all.

        Raises:
            DataError: No part was added, or what an earlier run left is damaged.
        """
        if not self._keys:
            raise DataError(f"{self.out}: not written, since no tile could be read; give others")
        remedy = f"remove {self.folder} and run it again"
        table = pd.concat([read_parquet(self._path(key), remedy) for key in self._keys])
        with whole_file(self.out) as partial:
            if self.out.suffix == ".csv":
                table.to_csv(partial, index=False)
            else:
                write_parquet(partial, table)
        self.whole = True

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.parquet"


def _is_kept(path: Path) -> bool:
    """Whether answers are there as they were written; else they are given again."""
    try:
        return path.is_file() and digest_note(path).is_file() and is_as_noted(path)
    except DataError:
        return False
