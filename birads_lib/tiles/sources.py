"""One door for every set the study can read: which layout a folder has, and its reader."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from birads_lib.errors import DataError
from birads_lib.tiles import ddsm10, mias
from birads_lib.tiles.cbis_labels import CASE_FILES
from birads_lib.tiles.store import TileStore

KAGGLE_INPUT = Path("/kaggle/input/ddsm-mammography")
"""Where a Kaggle notebook mounts the set."""
CASE_NAMES = {file.name for file in CASE_FILES}

Progress = Callable[[int, int], None]
"""Called with (done, in all), in the layout's ``unit``."""
Merge = Callable[[Path, str | os.PathLike[str], Progress | None], TileStore]


@dataclass(frozen=True)
class Layout:
    """One set of files the study knows.

    Attributes:
        name: ``"kaggle"``, ``"mias"`` or ``"cbis"``.
        files: By which files it is known, in words.
        unit: What its reader counts, ``"tiles"`` or ``"scans"``.
        known: Whether the names of a folder's files are this layout's.
        merge: Its reader.
    """

    name: str
    files: str
    unit: str
    known: Callable[[set[str]], bool]
    merge: Merge


def merge_tiles(
    src: str | os.PathLike[str],
    store: str | os.PathLike[str],
    progress: Progress | None = None,
) -> TileStore:
    """Read any set the study knows into a store.

    Args:
        src: Folder of the Kaggle set (or one in its layout), of mini-MIAS, or of CBIS-DDSM.
        store: Folder to write; it replaces an earlier one when all has been read.
        progress: Called with tiles or scans done, see ``Layout.unit``, and in all.

    Raises:
        DataError: No layout is recognised, or several; or what the reader finds wrong.
    """
    return recognise(src).merge(Path(src), store, progress)


def recognise(src: str | os.PathLike[str]) -> Layout:
    """The layout of a folder, by the names of the files in it, at any depth.

    Raises:
        DataError: No such folder, no layout is recognised, or several.
    """
    source = Path(src)
    if not source.is_dir():
        raise DataError(f"{source}: no such folder; give the unpacked data set")
    names = {path.name for path in source.rglob("*") if path.is_file()}
    found = [layout for layout in LAYOUTS if layout.known(names)]
    if len(found) > 1:
        both = " and ".join(layout.name for layout in found)
        raise DataError(f"{source}: holds files of {both}; give the folder of one set")
    if not found:
        known = "; ".join(f"{layout.name}: {layout.files}" for layout in LAYOUTS)
        raise DataError(f"{source}: no known layout; give a folder with one of these - {known}")
    return found[0]


def find_data() -> Path | None:
    """The Kaggle set where Kaggle itself mounts it; ``None`` elsewhere."""
    return KAGGLE_INPUT if KAGGLE_INPUT.is_dir() else None


def _is_kaggle(names: set[str]) -> bool:
    return bool(names & ddsm10.FILE_NAMES)


def _is_mias(names: set[str]) -> bool:
    listed = mias.INFO.lower() in {name.lower() for name in names}
    return listed and any(mias.SCAN_FILE.fullmatch(name) for name in names)


def _is_cbis(names: set[str]) -> bool:
    return bool(names & CASE_NAMES) and any(name.lower().endswith(".dcm") for name in names)


def _merge_mias(
    source: Path, store: str | os.PathLike[str], progress: Progress | None
) -> TileStore:
    return mias.tiles_from_mias(source, store, progress=progress)


def _merge_cbis(
    source: Path, store: str | os.PathLike[str], progress: Progress | None
) -> TileStore:
    from birads_lib.tiles import tiles_from_cbis  # here, since the package imports this module

    return tiles_from_cbis(case_folder(source), source, store, progress=progress)


def case_folder(source: Path) -> Path:
    """The folder below ``source`` that holds the case files of CBIS-DDSM.

    Raises:
        DataError: They lie in several folders, or there are none.
    """
    folders = sorted({path.parent for path in source.rglob("*.csv") if path.name in CASE_NAMES})
    if len(folders) != 1:
        where = ", ".join(map(str, folders)) or "nowhere"
        raise DataError(f"{source}: case files found in {where}; put all four into one folder")
    return folders[0]


LAYOUTS = (
    Layout(
        "kaggle",
        "training10_0.tfrecords, test10_data.npy, ...",
        "tiles",
        _is_kaggle,
        ddsm10.merge_ddsm10,
    ),
    Layout("mias", "Info.txt and mdb001.pgm, ...", "scans", _is_mias, _merge_mias),
    Layout(
        "cbis",
        "mass_case_description_train_set.csv, ... and DICOM files (.dcm)",
        "scans",
        _is_cbis,
        _merge_cbis,
    ),
)
"""The layouts that ``merge_tiles`` knows."""
