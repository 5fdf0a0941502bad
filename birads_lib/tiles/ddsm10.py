"""The Kaggle set `skooch/ddsm-mammography` into a store: the data merging of the study.

The set's test files hold masses only and its validation files hardly anything
but calcifications (the paper, section III.5: "the test and validation data
separation was wrong"). Here they become one held-out set. Each tile keeps where
it came from, and every record is checked before it is believed.
"""

from __future__ import annotations

import functools
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from birads_lib.errors import DataError
from birads_lib.files import read_json, read_parquet, shown
from birads_lib.labels import CLASSES, CODES
from birads_lib.tiles import layout, tfrecord
from birads_lib.tiles.store import (
    BLOCK,
    SourceDigests,
    StoreWriter,
    TileStore,
    load_array,
    open_images,
    streamed,
    writing_store,
)
from birads_lib.tiles.tfrecord import (
    ExampleDecoder,
    Examples,
    MalformedExampleError,
    count_records,
    read_blocks,
)

Progress = Callable[[int, int], None]
"""Called with (tiles done, tiles in all)."""

SCAN_NAME = re.compile(r"(?P<patient>P_\d+)_(?P<side>LEFT|RIGHT)_(?P<view>CC|MLO)")
"""CBIS-DDSM's names, as in ``P_00098_RIGHT_MLO.jpg``."""
FILE_NAMES = {
    Path(path).name
    for path in (
        *layout.TRAINING_PATHS,
        *(path for part in layout.HELD_OUT_FILES for path in (part.data, part.labels)),
    )
}
TRUTH, SIMULATION = "truth/table.parquet", "phantom.json"  # beside simulated tiles only
READER = (__file__, tfrecord.__file__, layout.__file__)
"""The code that decides what a store made of this layout holds."""
KNOWN_COUNTS = {
    "training": layout.TRAINING_COUNTS,
    "test10": layout.TEST10_COUNTS,
    "cv10": layout.CV10_COUNTS,
}


@dataclass
class Merged:
    """What merging gathers: table rows, and what there is to say about them."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    remarks: Counter[str] = field(default_factory=Counter)
    decode: ExampleDecoder = field(default_factory=ExampleDecoder)


def merge_ddsm10(
    src: str | os.PathLike[str],
    store: str | os.PathLike[str],
    progress: Progress | None = None,
) -> TileStore:
    """Merge the Kaggle layout into one store.

    Args:
        src: Folder with the files nested as Kaggle unpacks them, or flat. Fewer
            than five training files, or held-out files absent, are noted.
        store: Folder to write; it replaces an earlier one when all has been read. A
            store made of the same files by the same code is kept and opened.
        progress: Called with tiles done and tiles in all.

    Returns:
        The opened store. ``meta`` has ``counts`` (by origin, labels 0 to 4),
        ``known_counts`` (what the Kaggle set holds) and ``notes``.

    Raises:
        DataError: No file found, a record or array is damaged, a label is out of
            range or contradicts ``label_normal``, or a class has no tile at all.
        DiskFullError: The store does not fit on its disk; nothing of it is left.
    """
    source = Path(src)
    training, held_out, notes = find_files(source)
    with SourceDigests(READER, source, _all_files(source, training, held_out)) as made_from:
        if known := made_from.same_store(store):
            return known
        with writing_store(store) as writer:
            table, remarks = _read_all(source, training, held_out, writer, progress)
            _refuse_empty_class(source, table["label"])
            description = source / SIMULATION
            writer.table = table
            writer.meta = {
                "simulated": description.exists(),
                "source": read_json(description) if description.exists() else {"layout": "ddsm10"},
                "counts": counts_by_origin(table),
                "known_counts": {k: list(v) for k, v in KNOWN_COUNTS.items()},
                "notes": notes + remarks,
                "made_from": made_from.fingerprint(),
            }
    return TileStore.open(store)


def _read_all(
    source: Path,
    training: list[Path],
    held_out: list[tuple[layout.HeldOutFile, Path, Path]],
    writer: StoreWriter,
    progress: Progress | None,
) -> tuple[pd.DataFrame, list[str]]:
    """Write every tile; the table of them, and remarks."""
    labels = {part.name: _read_labels(part, data, file) for part, data, file in held_out}
    writer.expected = total = sum(map(count_records, training)) + sum(map(len, labels.values()))
    merged = Merged()
    for path in training:
        _read_training_file(path, source, writer, merged)
        if progress:
            progress(writer.count, total)
    for part, data, _ in held_out:
        _read_held_out(part.name, data, source, labels[part.name], writer, merged)
        if progress:
            progress(writer.count, total)
    remarks = [f"{remark}: {n:,} tiles" for remark, n in sorted(merged.remarks.items()) if n]
    table = pd.DataFrame(merged.rows)
    truth = source / TRUTH
    if truth.exists():
        table = _groups_from_truth(table, truth)
        remarks.append("groups and lesions taken from the simulation's own record")
    return table, remarks


def _all_files(
    source: Path, training: list[Path], held_out: list[tuple[layout.HeldOutFile, Path, Path]]
) -> list[Path]:
    pairs = [path for _, data, labels in held_out for path in (data, labels)]
    beside = [path for path in (source / TRUTH, source / SIMULATION) if path.exists()]
    return [*training, *pairs, *beside]


def find_files(
    source: Path,
) -> tuple[list[Path], list[tuple[layout.HeldOutFile, Path, Path]], list[str]]:
    """Find the set's files by name, up to three folders deep.

    Returns:
        Training files in order; held-out parts with data and label file; notes
        on what is absent.

    Raises:
        DataError: The folder or every file is missing, a name stands twice, or
            an array lacks its labels.
    """
    if not source.is_dir():
        raise DataError(f"{source}: no such folder; give the unpacked Kaggle set")
    found: dict[str, Path] = {}
    for pattern in ("*", "*/*", "*/*/*"):
        for path in sorted(source.glob(pattern)):
            if path.name not in FILE_NAMES or not path.is_file():
                continue
            if path.name in found:
                raise DataError(f"{path}: also at {found[path.name]}; keep one of the two")
            found[path.name] = path
    names = [Path(p).name for p in layout.TRAINING_PATHS]
    training = [found[name] for name in names if name in found]
    notes = [f"training file absent: {name}" for name in names if name not in found]
    held_out = []
    for part in layout.HELD_OUT_FILES:
        data, labels = (found.get(Path(p).name) for p in (part.data, part.labels))
        if data and labels:
            held_out.append((part, data, labels))
        elif data or labels:
            there, lacking = (data, part.labels) if data else (labels, part.data)
            raise DataError(f"{there}: {Path(lacking).name} is missing; copy it beside")
        else:
            notes.append(f"held-out part absent: {part.name}")
    if not training and not held_out:
        raise DataError(
            f"{source}: none of {names[0]}, test10_data.npy, ... found; "
            "give the folder that holds the unpacked Kaggle set"
        )
    return training, held_out, notes


@functools.lru_cache
def decode_filename(raw: bytes) -> str:
    """Read a recorded file name: UTF-32-LE padded with NUL, or plain UTF-8.

    Raises:
        ValueError: It is neither.
    """
    try:
        return raw.decode("utf-32-le").rstrip("\0")
    except UnicodeDecodeError:
        return raw.decode("utf-8").rstrip("\0")


def describe(tile: str, label: int, filename: str) -> dict[str, Any]:
    """What a file name tells of a tile: patient, side, view, lesion, group.

    Normal tiles are all named NORMAL, so each is a group of its own. Crops of
    one lesion share name and label; two lesions of one class in one scan cannot
    be told apart and count as one.
    """
    match = SCAN_NAME.search(filename)
    patient, side, view = match.group("patient", "side", "view") if match else ("", "", "")
    stem = Path(filename).stem.strip()
    named = bool(stem) and filename != layout.NORMAL_FILENAME
    lesion = (f"{stem}/{CODES[label]}" if named else tile) if label else ""
    return {
        "tile": tile,
        "label": label,
        "group": patient or (stem if named else tile),
        "lesion": lesion,
        "filename": filename,
        "patient": patient,
        "side": side,
        "view": view,
    }


def counts_by_origin(table: pd.DataFrame) -> dict[str, list[int]]:
    """Tiles of labels 0 to 4 for each origin."""
    return {
        str(origin): np.bincount(rows["label"], minlength=len(CLASSES)).tolist()
        for origin, rows in table.groupby("origin", sort=False)
    }


def _read_training_file(path: Path, source: Path, writer: StoreWriter, merged: Merged) -> None:
    relative = shown(path.relative_to(source))
    first = 0
    for payloads in read_blocks(path):
        images, labels, names = _read_records(path, first, payloads, merged)
        writer.append(images.copy())  # the reader writes over its block
        for index, (label, name) in enumerate(zip(labels.tolist(), names, strict=True), first):
            entry = describe(f"{path.stem}/{index:05d}", label, name)
            merged.rows.append({**entry, "source": relative, "origin": "training"})
        first += len(payloads)
    if not first:
        raise DataError(f"{path}: holds no record; download the file again")


def _read_records(
    path: Path, first: int, payloads: NDArray[np.uint8], merged: Merged
) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[str]]:
    """Check a block of records: their tiles (n, 299, 299), labels (n,) and file names.

    Where all are built alike, the tiles are a view of the block.
    """
    try:
        builds = list(merged.decode(payloads))
    except MalformedExampleError as error:
        raise DataError(
            f"{path}: record {first + error.row} is not an example ({error}); download it again"
        ) from None
    labels = np.empty(len(payloads), np.int64)
    names = [""] * len(payloads)
    tiles = []
    for examples in builds:
        records = [f"{path}: record {first + row}" for row in examples.rows]
        tiles.append(_checked_images(records[0], examples))
        labels[examples.rows] = _checked_labels(records, examples)
        filenames = examples.features.get(layout.FEATURE_FILENAME)
        for position, row in enumerate(examples.rows):
            names[row] = _checked_name(records[position], filenames, position)
        for extra in examples.features.keys() - set(layout.FEATURES):
            merged.remarks[f"extra feature {extra!r} passed over"] += len(examples.rows)
    merged.remarks["file name absent"] += names.count("")
    if len(builds) == 1:
        return tiles[0], labels, names
    order = np.argsort(np.concatenate([examples.rows for examples in builds]))
    return np.concatenate(tiles)[order], labels, names


def _checked_images(record: str, examples: Examples) -> NDArray[np.uint8]:
    raw = examples.features.get(layout.FEATURE_IMAGE)
    size = raw.shape[1] if raw is not None and raw.ndim == 2 else "no"
    if raw is None or size != layout.IMAGE_BYTES:
        raise DataError(
            f"{record} has an image of {size} bytes; expected {layout.IMAGE_BYTES:,} "
            f"({layout.TILE} x {layout.TILE}); give the unchanged file of the data set"
        )
    return raw.reshape(-1, layout.TILE, layout.TILE)


def _checked_labels(records: list[str], examples: Examples) -> NDArray[np.int64]:
    labels = examples.features.get(layout.FEATURE_LABEL)
    if labels is None or labels.ndim != 1:
        raise DataError(f"{records[0]} has label None; expected 0 to 4; download the file again")
    wrong = np.flatnonzero((labels < 0) | (labels >= len(CLASSES)))
    if len(wrong):
        raise DataError(
            f"{records[wrong[0]]} has label {labels[wrong[0]]}; expected 0 to 4; "
            "download the file again"
        )
    normal = examples.features.get(layout.FEATURE_NORMAL)
    if normal is None:
        return labels
    if normal.ndim != 1:
        raise DataError(f"{records[0]} has a label_normal that is no number; download it again")
    wrong = np.flatnonzero(normal != (labels > 0))
    if len(wrong):
        label, found = labels[wrong[0]], normal[wrong[0]]
        raise DataError(
            f"{records[wrong[0]]} has label {label} but label_normal {found}; expected "
            f"{int(label > 0)}; download the file again"
        )
    return labels


def _checked_name(record: str, filenames: NDArray[Any] | None, position: int) -> str:
    if filenames is None or filenames.ndim == 1:
        return ""
    try:
        return decode_filename(filenames[position].tobytes())
    except ValueError as error:
        raise DataError(f"{record} is not an example ({error}); download it again") from None


def _read_labels(part: layout.HeldOutFile, data: Path, file: Path) -> NDArray[np.int64]:
    labels = load_array(file)
    count = len(open_images(data))
    if labels.shape not in ((count,), (count, 1)) or labels.dtype.kind not in "iu":
        raise DataError(
            f"{file}: holds {labels.dtype} {labels.shape}; expected {count} whole numbers, "
            f"one for each image of {data.name}; give the unchanged file of the data set"
        )
    labels = np.asarray(labels).reshape(-1).astype(np.int64)
    wrong = labels[(labels < 0) | (labels >= len(CLASSES))]
    if len(wrong):
        raise DataError(f"{file}: label {wrong[0]} found; expected 0 to 4; download it again")
    return labels


def _read_held_out(
    name: str,
    data: Path,
    source: Path,
    labels: NDArray[np.int64],
    writer: StoreWriter,
    merged: Merged,
) -> None:
    images = streamed(open_images(data))
    for start in range(0, len(images), BLOCK):
        writer.append(images[start : start + BLOCK])
    relative = shown(data.relative_to(source))
    for index, label in enumerate(labels.tolist()):
        entry = describe(f"{name}/{index:05d}", label, "")
        merged.rows.append({**entry, "source": relative, "origin": name})
    merged.remarks[f"{name} carries no file names"] += len(images)


def _groups_from_truth(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """A simulated set knows its patients and lesions; a real one's names do not."""
    remedy = "write the simulated set again"
    truth = read_parquet(path, remedy)
    missing = {"tile", "patient", "lesion"} - set(truth.columns)
    if missing:
        raise DataError(f"{path}: columns missing: {', '.join(sorted(missing))}; {remedy}")
    truth = truth.set_index("tile")
    if not truth.index.is_unique or not truth.index.isin(table["tile"]).sum() == len(table):
        raise DataError(f"{path}: lacks some of the tiles, or has one twice; {remedy}")
    truth = truth.loc[table["tile"]].reset_index()
    return table.assign(group=truth["patient"], lesion=truth["lesion"])


def _refuse_empty_class(source: Path, labels: Sequence[int] | pd.Series) -> None:
    counts = np.bincount(labels, minlength=len(CLASSES))
    empty = [f"{c.label} ({c.title})" for c in CLASSES if counts[c.label] == 0]
    if empty:
        raise DataError(
            f"{source}: no tile of label {', '.join(empty)}; the study needs every class, "
            "so add the files that hold them"
        )
