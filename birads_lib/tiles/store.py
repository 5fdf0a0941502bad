"""The one form in which tiles are kept: a memory-mapped array beside a table.

A store is a folder of three files: ``images.npy``, uint8 of shape
(N, 299, 299); ``table.parquet``, one row a tile in the same order; and
``store.json``, its digest, counts and whatever the reader had to say.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import itertools
import mmap
import os
import re
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from birads_lib.errors import DataError, DiskFullError, UsageError
from birads_lib.files import (
    FULL,
    fingerprint,
    parquet_shape,
    read_json,
    read_parquet,
    sha256,
    whole_folder,
    write_json,
    write_parquet,
)
from birads_lib.labels import CLASSES, CODES
from birads_lib.tiles.layout import IMAGE_BYTES, TILE

IMAGES, TABLE, META = "images.npy", "table.parquet", "store.json"
BLOCK = 256  # tiles digested at a time
HASHERS = 2  # threads that digest what is written
PARTING = re.compile(r"[\t\n\\]")
DIGESTED = 1 << 20  # bytes of a source digested at a time
PENDING = 4  # blocks that may wait for their digests
META_KEYS = {"digest": str, "simulated": bool, "counts": dict, "notes": list}
COLUMNS = (
    "tile", "label", "group", "lesion", "source", "origin", "filename",
    "patient", "side", "view", "digest",
)  # fmt: skip
"""``tile`` unique id; ``label`` 0..4; ``group`` patient, scan or lesion, the best
known; ``lesion`` "" for normal tiles; ``source`` file it was read from; ``origin``
part of the original division; ``filename`` as recorded, "" if none; ``digest``
SHA-256 of the pixels."""


class ImageRows:
    """Some rows of an image array, read only when asked for.

    Rows of a memory map are read from its file, not through the map: pages of a map
    that were touched count as memory of the process, and would grow to the whole set.

    Args:
        images: uint8 (N, H, W), or features (N, H, W, C), in memory or memory-mapped.
        rows: Which, int64 (n,); ``None`` for all.

    Indexing gives arrays of shape (..., H, W), as the array's would.

    Raises:
        DataError: When indexed, if the file behind the map has been cut short.
    """

    def __init__(self, images: NDArray[Any], rows: NDArray[np.int64] | None = None):
        self._images = images
        self._rows = np.arange(len(images)) if rows is None else rows
        self._file, self._start = _file_behind(images)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        rows = self._rows[index]
        if self._file is None:
            return np.asarray(self._images[rows])
        return self._read(np.reshape(rows, -1)).reshape(*np.shape(rows), *self.shape[1:])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)

    def where(self, mask: NDArray[np.bool_]) -> ImageRows:
        """The rows where ``mask``, bool (n,), is true, still unread."""
        return self.rows(np.flatnonzero(mask))

    def rows(self, rows: NDArray[np.int64]) -> ImageRows:
        """Some of these rows, still unread."""
        some = copy.copy(self)  # they share the file
        some._rows = self._rows[rows]
        return some

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, H, W), or (n, H, W, C) of features."""
        return (len(self._rows), *self._images.shape[1:])

    @property
    def ndim(self) -> int:
        """3, or 4 of features."""
        return self._images.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the array behind."""
        return self._images.dtype

    def _read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Read rows, each run of consecutive ones at once."""
        assert self._file is not None
        wanted = np.empty((len(rows), *self.shape[1:]), self.dtype)
        if not len(rows):
            return wanted
        breaks = np.flatnonzero(np.diff(rows) != 1) + 1
        for first, last in itertools.pairwise([0, *breaks.tolist(), len(rows)]):
            part = wanted[first:last]
            place = self._start + int(rows[first]) * self._images.strides[0]
            if os.preadv(self._file.fileno(), [part.data], place) < part.nbytes:
                raise DataError(f"{self._file.name}: cut short since it was opened; write it again")
        return wanted


def _file_behind(images: NDArray[Any]) -> tuple[io.FileIO | None, int]:
    """The file of a memory map whose rows stand in it one after another, and where they begin."""
    name, mapped = getattr(images, "filename", None), getattr(images, "_mmap", None)
    if name is None or mapped is None or not images.flags.c_contiguous or not images.size:
        return None, 0
    # A part of a map keeps the offset of the whole, so its place is told by its address.
    before = images.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data
    offset: int = images.offset  # type: ignore[attr-defined]
    return io.FileIO(name), offset - offset % mmap.ALLOCATIONGRANULARITY + before


class TileStore:
    """Tiles and what is known of each.

    Attributes:
        images: uint8 (N, 299, 299), 0..255; a read-only memory map, or rows of one.
        table: DataFrame of N rows with the columns of ``COLUMNS``.
        meta: What ``store.json`` says: ``digest``, ``simulated``, ``counts``, ``notes``.
        path: The store's folder.
    """

    def __init__(
        self,
        path: Path,
        images: NDArray[np.uint8] | ImageRows,
        table: pd.DataFrame,
        meta: dict[str, Any],
    ):
        self.path, self.images, self.table, self.meta = path, images, table, meta

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> TileStore:
        """Open a store without reading its images; ``open_whole`` reads and checks them.

        Raises:
            DataError: A file is missing or broken, array and table disagree, a label is not
                one of 0 to 4, a tile stands twice, or the table is not the one that was written.
        """
        folder = Path(path)
        while True:
            before = _identity(folder)
            try:
                store = cls._read(folder)
            except DataError:
                if _identity(folder) == before:
                    raise
            else:
                if _identity(folder) == before:
                    return store
            # Another process has put a store in its place, of which half has been read.

    @classmethod
    def _read(cls, folder: Path) -> TileStore:
        if not folder.is_dir():
            raise DataError(f"{folder}: no such store; make one with `birads merge SRC {folder}`")
        meta = _checked_meta(folder / META)
        images = open_images(folder / IMAGES)
        table = _checked_table(folder, len(images))
        if digest_of(table) != meta["digest"]:
            raise DataError(
                f"{folder / TABLE}: the table has changed, or {META} has; merge the tiles again"
            )
        return cls(folder, images, table, meta)

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        counts = ", ".join(f"{code} {n}" for code, n in zip(CODES, self.counts(), strict=True))
        kind = "simulated" if self.simulated else "real"
        return f"TileStore({len(self)} {kind} tiles: {counts}; {self.path.name})"

    @property
    def simulated(self) -> bool:
        """Whether the tiles were drawn by a computer."""
        return bool(self.meta["simulated"])

    @property
    def digest(self) -> str:
        """SHA-256 over the table: what is known of each tile, and its pixels, in order."""
        return str(self.meta["digest"])

    def counts(self) -> NDArray[np.int64]:
        """Tiles of each label 0..4, int64 (5,)."""
        return np.bincount(self.table["label"], minlength=len(CLASSES)).astype(np.int64)

    def subset(self, mask: NDArray[np.bool_] | pd.Series) -> TileStore:
        """The tiles where ``mask``, bool (N,), is true; images are still read lazily."""
        wanted = np.asarray(mask)
        if wanted.dtype != bool or wanted.shape != (len(self),):
            raise UsageError(
                f"subset: {wanted.dtype} {wanted.shape} given; expected bool ({len(self)},)"
            )
        rows = np.flatnonzero(wanted)
        images = streamed(self.images).rows(rows)
        return TileStore(self.path, images, self.table.iloc[rows].reset_index(drop=True), self.meta)

    def rows_of(self, tiles: Sequence[str]) -> NDArray[np.int64]:
        """Row of each tile id, int64; ids that are not here raise ``KeyError``."""
        position = pd.Series(np.arange(len(self)), index=self.table["tile"])
        return position.loc[list(tiles)].to_numpy()


def _identity(folder: Path) -> tuple[int, int] | None:
    """What tells a folder from another of its name; ``None`` where there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns


def streamed(images: NDArray[Any] | ImageRows) -> ImageRows:
    """Images as rows that are read when asked for, without growing with what was read."""
    return images if isinstance(images, ImageRows) else ImageRows(images)


def open_images(path: Path) -> NDArray[np.uint8]:
    """Memory-map tile images; pickled files are refused.

    Returns:
        uint8 (N, 299, 299), read-only. A trailing axis of one channel is dropped.

    Raises:
        DataError: Not a ``.npy`` file, pickled, or of another type or size.
    """
    images = load_array(path)
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.dtype != np.uint8 or images.shape[1:] != (TILE, TILE):
        raise DataError(
            f"{path}: holds {images.dtype} {images.shape}; expected uint8 (N, {TILE}, {TILE}) "
            "with or without a last axis of 1; give the unchanged file of the data set"
        )
    return images


def load_array(path: Path) -> NDArray[Any]:
    """Memory-map an array without pickle, with errors a user can act on.

    What a header claims is thus held against the file before anything is read.

    Raises:
        DataError: The file is missing, no file, truncated, pickled or not ``.npy``.
    """
    if not path.is_file():
        found = "no file but a folder, a pipe or a device" if path.exists() else "no such file"
        raise DataError(f"{path}: {found}; copy it beside the others")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's own, of several lines, on odd headers
            array = np.load(path, mmap_mode="r", allow_pickle=False)
    except PermissionError as error:
        raise DataError(f"{path}: {error.strerror}; give a file that you may read") from None
    except Exception as error:  # numpy reads the header as Python, which fails in many ways
        pickled = "Object arrays" in str(error) or "Python objects" in str(error)
        reason = "pickled objects" if pickled else "truncated, or no .npy file"
        raise DataError(
            f"{path}: refused ({reason}); give the unchanged file of the data set"
        ) from None
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path}: an archive, not one array; give the unchanged .npy file")
    return array


def _checked_meta(path: Path) -> dict[str, Any]:
    meta = read_json(path)
    entries = meta if isinstance(meta, dict) else {}
    wrong = [key for key, kind in META_KEYS.items() if not isinstance(entries.get(key), kind)]
    if wrong:
        raise DataError(
            f"{path}: {', '.join(wrong)} missing or of another kind; merge the tiles again"
        )
    return entries


def _checked_table(folder: Path, images: int) -> pd.DataFrame:
    """The table of a store of so many images; not read if it is of another size."""
    path, remedy = folder / TABLE, "merge the tiles again"
    _refuse_other_table(folder, images, *parquet_shape(path, remedy))
    table = read_parquet(path, remedy)
    _refuse_other_table(folder, images, len(table), list(table.columns))
    labels = table["label"]
    whole = labels.dtype.kind in "iu" and not labels.isna().any()
    if not whole or not labels.between(0, len(CLASSES) - 1).all():
        raise DataError(f"{path}: a label is not one of 0 to {len(CLASSES) - 1}; {remedy}")
    for column in set(COLUMNS) - {"label"}:
        if not pd.api.types.is_string_dtype(table[column]) or table[column].isna().any():
            raise DataError(f"{path}: column {column} holds more than text; {remedy}")
    twice = table["tile"].duplicated()
    if twice.any():
        raise DataError(f"{path}: tile {table.loc[twice, 'tile'].iloc[0]!r} stands twice; {remedy}")
    return table


def _refuse_other_table(folder: Path, images: int, rows: int, columns: Sequence[str]) -> None:
    missing = set(COLUMNS) - set(columns)
    if missing or rows != images:
        raise DataError(
            f"{folder}: {images} images, {rows} table rows, columns missing: "
            f"{sorted(missing) or 'none'}; merge the tiles again"
        )


def digest_of(table: pd.DataFrame) -> str:
    """SHA-256 over a store's table, row by row: what is known of each tile, and its pixels.

    Columns beyond ``COLUMNS`` count too, in alphabetical order. What parts columns and rows
    is spelt out where it stands in a name, lest two tables have one digest.
    """
    columns = [*COLUMNS, *sorted(set(table.columns) - set(COLUMNS))]
    cells = [_spelt_out(list(map(str, table[column].tolist()))) for column in columns]
    digest = hashlib.sha256()
    for row in zip(*cells, strict=True):
        digest.update(("\t".join(row) + "\n").encode())
    return digest.hexdigest()


def _spelt_out(values: list[str]) -> list[str]:
    """Values in which nothing parts columns or rows; looked through at once, as few need it."""
    if not PARTING.search("\0".join(values)):
        return values
    return [PARTING.sub(lambda found: repr(found[0])[1:-1], value) for value in values]


def pixel_digests(images: NDArray[np.uint8]) -> list[str]:
    """SHA-256 of each image of (N, H, W), 64 hexadecimal digits each."""
    return [hashlib.sha256(np.ascontiguousarray(image).data).hexdigest() for image in images]


class StoreWriter:
    """Takes the tiles of a new store in order, a block at a time; see ``writing_store``.

    Blocks are written as they come and digested beside that, so memory holds a few
    of them whatever the size of the set.

    Attributes:
        table: To be set before the end: DataFrame of ``COLUMNS`` without ``digest``, one
            row a tile in the order written; further columns are kept.
        meta: To be filled before the end: what ``store.json`` is to say.
        expected: Tiles that are to come in all, as far as that is known; for messages.
    """

    def __init__(self, folder: Path, pool: ThreadPoolExecutor):
        self.folder, self.count, self.expected = folder, 0, 0
        self.table: pd.DataFrame | None = None
        self.meta: dict[str, Any] = {}
        self._pool, self._digests = pool, list[Future[list[str]]]()
        self._file = open(folder / IMAGES, "w+b")  # noqa: SIM115 - closed by close()
        self._write_header()

    def append(self, images: NDArray[np.uint8]) -> None:
        """Write tiles, uint8 (n, 299, 299); the array must not change afterwards.

        Raises:
            UsageError: Another dtype or shape.
        """
        if images.dtype != np.uint8 or images.shape[1:] != (TILE, TILE):
            raise UsageError(
                f"append: {images.dtype} {images.shape} given; expected uint8 (n, {TILE}, {TILE})"
            )
        rows = [np.ascontiguousarray(image).reshape(-1) for image in images]
        self.count += len(rows)
        if len(self._digests) >= PENDING:
            self._digests[-PENDING].result()
        self._digests.append(self._pool.submit(pixel_digests, images))
        self._file.writelines(row.data for row in rows)

    def digests(self) -> list[str]:
        """SHA-256 of each tile written so far."""
        return [digest for block in self._digests for digest in block.result()]

    def close(self) -> None:
        """Put the final number of tiles into the header and bring all to the disk."""
        self._file.seek(0)
        self._write_header()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def abandon(self) -> None:
        """Let go of the file; what was written is of no use."""
        with contextlib.suppress(OSError):  # what is still to be written has no room either
            self._file.close()

    def _write_header(self) -> None:
        """numpy pads its headers, so that one for more tiles takes the same place."""
        shape = (self.count, TILE, TILE)
        np.lib.format.write_array_header_1_0(
            self._file, {"descr": "|u1", "fortran_order": False, "shape": shape}
        )


@contextmanager
def writing_store(path: str | os.PathLike[str]) -> Iterator[StoreWriter]:
    """Make a store, whole or not at all.

    The block calls ``writer.append`` and sets ``writer.table`` and ``writer.meta``;
    digests are added here.

    Raises:
        DiskFullError: There is no room for it.
    """
    with (
        whole_folder(path, META) as folder,
        ThreadPoolExecutor(max_workers=HASHERS) as pool,
    ):
        writer = StoreWriter(folder, pool)
        try:
            yield writer
            assert writer.table is not None
            table = writer.table.assign(digest=writer.digests())
            writer.close()
            write_parquet(folder / TABLE, table)
            write_json(folder / META, {**writer.meta, "digest": digest_of(table)})
        except OSError as error:
            if error.errno not in FULL:
                raise
            needed = max(writer.expected, writer.count) * IMAGE_BYTES
            raise DiskFullError(
                f"{path}: {os.strerror(error.errno)}; the store needs "
                f"{'' if writer.expected else 'more than '}{needed:,} bytes there; make room or "
                "name another place"
            ) from None
        finally:
            writer.abandon()


class SourceDigests:
    """What a store is made from, by content; digested beside the reading.

    Args:
        reader: Files of the code that reads.
        root: Folder of the set.
        files: Files of the set that are read.
    """

    def __init__(self, reader: Iterable[str], root: Path, files: Sequence[Path]):
        self._code = [sha256(path) for path in (*reader, __file__)]
        self._names = [path.relative_to(root).as_posix() for path in files]
        self._pool, self._left = ThreadPoolExecutor(max_workers=HASHERS), threading.Event()
        self._digests = [self._pool.submit(self._digest, path) for path in files]

    def __enter__(self) -> SourceDigests:
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._pool.shutdown(cancel_futures=True)

    def _digest(self, path: Path) -> str:
        """SHA-256 of a file; nobody waits for the end of a large one that was refused."""
        digest = hashlib.sha256()
        with path.open("rb", buffering=0) as file:
            while not self._left.is_set() and (part := file.read(DIGESTED)):
                digest.update(part)
        return digest.hexdigest()

    def fingerprint(self) -> str:
        """SHA-256 over code, names and contents."""
        contents = [digest.result() for digest in self._digests]
        return fingerprint([self._code, list(zip(self._names, contents, strict=True))])

    def same_store(self, path: str | os.PathLike[str]) -> TileStore | None:
        """The store at ``path`` if it was made from the same and is as it was written."""
        try:
            store = TileStore.open(path)
        except DataError:
            return None
        same = store.meta.get("made_from") == self.fingerprint() and not verify_store(store)
        return store if same else None


TileBlock = tuple[NDArray[np.uint8], list[dict[str, Any]]]
"""Tiles, uint8 (n, 299, 299), and the table's row of each, as far as it is known."""
Finish = Callable[[pd.DataFrame], tuple[pd.DataFrame, dict[str, Any]]]
"""Given the rows of all tiles, returns the whole table (without digests) and ``meta``."""


def collect_store(
    store: str | os.PathLike[str] | None, blocks: Iterable[TileBlock], finish: Finish
) -> TileStore:
    """Make a store of tiles that come a block at a time, as readers of whole scans do.

    Args:
        store: Folder to write, whole or not at all; without one all stays in memory, the
            store's ``path`` is ``.`` and its ``images`` are an array.
        blocks: Read once, in order.
        finish: Called when all blocks were read; what it raises leaves nothing behind.
    """
    if store is None:
        return _store_in_memory(blocks, finish)
    rows: list[dict[str, Any]] = []
    with writing_store(store) as writer:
        for images, described in blocks:
            writer.append(images)
            rows += described
        writer.table, writer.meta = finish(pd.DataFrame(rows))
    return TileStore.open(store)


def _store_in_memory(blocks: Iterable[TileBlock], finish: Finish) -> TileStore:
    arrays, rows = [np.empty((0, TILE, TILE), np.uint8)], list[dict[str, Any]]()
    for images, described in blocks:
        arrays.append(images)
        rows += described
    table, meta = finish(pd.DataFrame(rows))
    images = np.concatenate(arrays)
    table = table.assign(digest=pixel_digests(images))
    return TileStore(Path(), images, table, {**meta, "digest": digest_of(table)})


def open_whole(path: str | os.PathLike[str], remedy: str = "merge the tiles again") -> TileStore:
    """Open a store, each tile of which must be as it was written: all are read once.

    Raises:
        DataError: See ``TileStore.open``; or a tile has changed.
    """
    store = TileStore.open(path)
    if changed := verify_store(store):
        raise DataError(f"{changed[0]}; {remedy}")
    return store


def verify_store(store: TileStore) -> list[str]:
    """Check every tile's pixels, and the store's digest, against the table.

    Returns:
        One line for each thing that differs; empty when all is as written.
    """
    found = []
    tiles, known = store.table["tile"].tolist(), store.table["digest"].tolist()
    images = streamed(store.images)
    for start in range(0, len(store), BLOCK):
        for row, digest in enumerate(pixel_digests(images[start : start + BLOCK]), start):
            if digest != known[row]:
                found.append(f"{store.path / IMAGES}: tile {tiles[row]} (row {row}) has changed")
    if digest_of(store.table) != store.digest:
        found.append(f"{store.path / TABLE}: the table has changed")
    return found
