"""CBIS-DDSM from The Cancer Imaging Archive to tiles, with the radiologist's BI-RADS.

Lesions are cut by the recipe of the data set's author (``crops.lesion_crops``). CBIS-DDSM
holds no scan without a lesion, so tiles of label 0 show tissue of the same scans that no
lesion mask touches. They are lesion-free tissue of women with a lesion, and not what
tiles of normal women would be.

Lee et al., Scientific Data 4, 170177 (2017); The Cancer Imaging Archive,
DOI 10.7937/K9/TCIA.2016.7O02S9CY, CC BY 3.0.
"""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from birads_lib.errors import DataError, UsageError
from birads_lib.files import shown
from birads_lib.tiles.cbis import read_scan
from birads_lib.tiles.cbis_index import CbisIndex, DicomFile, find_dicoms, read_headers
from birads_lib.tiles.cbis_labels import CASE_FILES, SERIES_COLUMNS, SOURCE, read_case_files
from birads_lib.tiles.crops import Box, Scan, lesion_crops, tile_positions
from birads_lib.tiles.ddsm10 import counts_by_origin
from birads_lib.tiles.layout import TILE
from birads_lib.tiles.store import TileBlock, TileStore, collect_store

Progress = Callable[[int, int], None]
"""Called with (headers read and mammograms cut, headers and mammograms in all)."""

TISSUE_TILES = 4  # of one mammogram, at most: in all about as many as crops of lesions
ASPECT_TOLERANCE = 0.03  # share by which height to width of mask and scan may differ
COLLECTIONS = {"calcification": "Calc", "mass": "Mass"}
SETS = {"training": "Training", "test": "Test"}
PREFIXES = {file.name: f"{COLLECTIONS[file.lesion]}-{SETS[file.part]}" for file in CASE_FILES}
"""Of the PatientIDs that each case file lists, as in ``Mass-Test_P_00173_LEFT_CC``."""
TRAINING = "training"
WHOLE_NUMBERS = ("assessment", "density", "subtlety")

TISSUE_NOTE = "label 0 is lesion-free tissue of scans with a lesion, not tissue of normal women"
NO_MASK = "lesion-views passed over: their scan is there, their mask is not"
NO_SCAN = "lesion-views passed over: their mask is there, their scan is not"
NEITHER = "lesion-views passed over: neither their scan nor their mask is there"
EMPTY = "lesion-views passed over: their mask is empty"
OTHER_SHAPE = "lesion-views passed over: mask and scan differ in shape, not only in size"
RESIZED = "lesion masks resized to their scan"
NO_TISSUE = "mammograms without tiles of label 0: not all of their lesions can be placed"
TWO_FILMS = "mammograms published twice with different pixels: each lesion cut from its own"
BY_NAME = "scans found by PatientID; their series is not the one in the case files"
UNLISTED = "DICOM files that the case files do not list, not read"

Mask = NDArray[np.bool_]


def tiles_from_cbis(
    csv_dir: str | os.PathLike[str],
    dicom_dir: str | os.PathLike[str],
    store: str | os.PathLike[str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> TileStore:
    """Cut the CBIS-DDSM download into tiles at the data set's scale.

    Three crops of each lesion in each view, and up to ``TISSUE_TILES`` windows of
    lesion-free tissue of each mammogram, flipped and turned alike. What a partial download
    lacks is passed over and counted in the notes; a damaged file is an error.

    Args:
        csv_dir: Holds the four case description files.
        dicom_dir: Holds scans, masks and crops as DICOM, in folders of any name.
        store: Folder to write; without one the tiles stay in memory.
        seed: For places, flips and turns, 0 or more. The tiles of a mammogram do not depend
            on what else was downloaded.
        progress: Called after each header and each mammogram; see ``Progress``.

    Returns:
        The store. ``group`` is the patient; ``lesion`` and ``filename`` are PatientIDs of
        mask and scan; ``origin`` is ``"training"`` or ``"test"`` as the case files say, but
        wholly ``"training"`` for patients who stand on both sides, so that no group
        crosses. Further columns: ``assessment`` (Int64, the radiologist's BI-RADS 0..5,
        ``<NA>`` for tissue), ``density`` (Int64, 1..4), ``subtlety`` (Int64, 1..5, ``<NA>``
        for tissue), ``pathology`` (as the case files say, "" for tissue), ``row`` and
        ``column`` (of the window's upper left corner in the scan at 0.1 mm, before it was
        flipped and turned).

    Raises:
        DataError: Files are missing or damaged, a PatientID contradicts the case files, a
            scan or mask stands twice with different pixels, or no lesion is left to cut.
        UsageError: ``seed`` is below 0.
    """
    if seed < 0:
        raise UsageError(f"seed: {seed} given; expected a whole number of 0 or more")
    root = Path(dicom_dir)
    lesions, notes = list_lesions(csv_dir)
    paths = find_dicoms(root)
    mammograms = lesions.groupby("image", sort=True)
    total = len(paths) + len(mammograms)

    def moved(done: int) -> None:
        if progress:
            progress(done, total)

    cutter = Cutter(read_headers(paths, moved), root, seed)
    cutter.remarks[UNLISTED] += count_unlisted(cutter.index, lesions)

    def blocks() -> Iterator[TileBlock]:
        for done, (image, listed) in enumerate(mammograms, len(paths) + 1):
            yield cutter.cut(str(image), listed)
            moved(done)

    def finish(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
        remarks = [f"{what}: {count:,}" for what, count in sorted(cutter.remarks.items()) if count]
        if table.empty or not table["label"].any():
            raise DataError(
                f"{root}: no lesion of the case files to cut ({'; '.join(remarks)}); download "
                "scans and ROI masks of the same patients"
            )
        table = table.astype(dict.fromkeys(WHOLE_NUMBERS, "Int64"))
        return table, {
            "simulated": False,
            "source": {**SOURCE, "title": "CBIS-DDSM", "layout": "cbis-ddsm", "seed": seed},
            "counts": counts_by_origin(table),
            "known_counts": {},
            "notes": [*notes, *remarks, TISSUE_NOTE],
        }

    return collect_store(store, blocks(), finish)


def list_lesions(csv_dir: str | os.PathLike[str]) -> tuple[pd.DataFrame, list[str]]:
    """What there is to cut: the case files' lesion-views, with names and origin.

    Returns:
        The table of ``read_case_files`` with ``scan_name`` and ``lesion_name`` (PatientIDs
        of scan and mask) and ``origin``; and notes. A patient of both sides is
        wholly in training: what is held out stays unseen, and the larger side loses nothing.

    Raises:
        DataError: See ``read_case_files``.
    """
    lesions, notes = read_case_files(csv_dir)
    scan_name = lesions["file"].map(PREFIXES) + "_" + lesions["image"]
    sides = lesions.groupby("patient")["part"].nunique()
    crossing = lesions["patient"].isin(sides.index[sides > 1]) & (lesions["patient"] != "")
    if crossing.any():
        moved = int((crossing & (lesions["part"] != TRAINING)).sum())
        notes.append(
            f"patients in training and test files, wholly taken into training: "
            f"{lesions.loc[crossing, 'patient'].nunique():,} ({moved:,} lesion-views moved)"
        )
    return lesions.assign(
        scan_name=scan_name,
        lesion_name=scan_name + "_" + lesions["abnormality"],
        origin=lesions["part"].mask(crossing, TRAINING),
    ), notes


def count_unlisted(index: CbisIndex, lesions: pd.DataFrame) -> int:
    """How many files have neither a PatientID nor a series of the case files."""
    names = {*lesions["scan_name"], *lesions["lesion_name"]}
    series = {uid for column in SERIES_COLUMNS.values() for uid in lesions[column]} - {""}
    return sum(file.name not in names and file.series not in series for file in index.files)


def bounding_box(mask: Mask) -> Box:
    """The box about what is true in ``mask``, bool (H, W), which must not be empty."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def fit_mask(mask: Mask, shape: tuple[int, int]) -> Mask | None:
    """``mask`` at the size of its scan; ``None`` if the two differ in height to width.

    Args:
        mask: bool (h, w).
        shape: Rows and columns of the scan; nearest pixels are taken where they differ.
    """
    if mask.shape == shape:
        return mask
    ratio = (mask.shape[0] * shape[1]) / (mask.shape[1] * shape[0])
    if max(ratio, 1 / ratio) > 1 + ASPECT_TOLERANCE:
        return None
    size = shape[1], shape[0]
    return cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0


@dataclass(frozen=True)
class Film:
    """One published scan, its lesions, and where they are.

    Attributes:
        scan: At 0.1 mm a pixel.
        file: Its file.
        lesions: Rows of ``list_lesions``.
        masks: Of each lesion, bool as the scan; ``None`` where it cannot be placed.
    """

    scan: Scan
    file: DicomFile
    lesions: pd.DataFrame
    masks: list[Mask | None]


@dataclass
class Cutter:
    """Cuts the mammograms of one download, one at a time.

    Attributes:
        index: Its files.
        root: Its folder.
        seed: For places, flips and turns.
        remarks: How often what was passed over or out of the ordinary.
    """

    index: CbisIndex
    root: Path
    seed: int
    remarks: Counter[str] = field(default_factory=Counter)

    def cut(self, image: str, lesions: pd.DataFrame) -> TileBlock:
        """Tiles of one mammogram, and their rows of the table.

        A mammogram with calcifications and masses is published twice, once for each. Its
        lesions are cut from their own scan, its tissue from the first, clear of all.

        Args:
            image: Such as ``"P_00005_RIGHT_CC"``.
            lesions: Its rows of ``list_lesions``.
        """
        rng = np.random.default_rng([self.seed, zlib.crc32(image.encode())])
        groups = [(str(name), listed) for name, listed in lesions.groupby("scan_name", sort=True)]
        films = [film for name, listed in groups if (film := self._read(name, listed))]
        blocks = [block for film in films for block in self._cut_lesions(film, rng)]
        if films:
            blocks.append(self._cut_tissue(films, len(groups), rng))
        tiles = [np.empty((0, TILE, TILE), np.uint8), *(tiles for tiles, _ in blocks)]
        return np.concatenate(tiles), [row for _, rows in blocks for row in rows]

    def _read(self, name: str, lesions: pd.DataFrame) -> Film | None:
        series = lesions["scan_series"].iloc[0]
        file = self.index.scan(name, series)
        if file is None:
            for lesion in _sound(lesions):
                there = self.index.named(lesion["lesion_name"], _mask_series(lesion))
                self.remarks[NO_SCAN if there else NEITHER] += 1
            return None
        self.remarks[BY_NAME] += file.series != series
        scan = read_scan(file.path)
        if min(scan.pixels.shape) < TILE:
            rows, columns = file.shape
            raise DataError(
                f"{file.path}: {rows} x {columns} px; a tile needs {2 * TILE} on each side; give "
                "the full mammogram"
            )
        masks = [self._mask(lesion, file, scan) for _, lesion in lesions.iterrows()]
        return Film(scan, file, lesions, masks)

    def _mask(self, lesion: pd.Series, file: DicomFile, scan: Scan) -> Mask | None:
        """Where a lesion is in its scan; ``None``, and a remark, if that is not known."""
        mask = self.index.mask(lesion["lesion_name"], _mask_series(lesion), file.shape)
        fitted = None if mask is None else fit_mask(mask, scan.pixels.shape)
        if fitted is not None and fitted.any():
            self.remarks[RESIZED] += fitted is not mask
            return fitted
        if lesion["apart"] == "":
            empty = EMPTY if fitted is not None else OTHER_SHAPE
            self.remarks[NO_MASK if mask is None else empty] += 1
        return None

    def _cut_lesions(self, film: Film, rng: np.random.Generator) -> Iterator[TileBlock]:
        for (_, lesion), mask in zip(film.lesions.iterrows(), film.masks, strict=True):
            if mask is None or lesion["apart"]:
                continue
            tiles, corners = lesion_crops(film.scan.pixels, bounding_box(mask), rng)
            name = lesion["lesion_name"]
            known = {
                **self._known(film),
                "label": int(lesion["label"]),
                "lesion": name,
                "assessment": lesion["assessment"],
                "subtlety": lesion["subtlety"],
                "pathology": lesion["pathology"],
            }
            yield tiles, _rows(name, corners, known)

    def _cut_tissue(self, films: list[Film], published: int, rng: np.random.Generator) -> TileBlock:
        """Windows of the first film that no lesion of any film touches, some of them drawn."""
        first = films[0]
        if any(not np.array_equal(first.scan.pixels, film.scan.pixels) for film in films[1:]):
            self.remarks[TWO_FILMS] += 1
        shape = first.scan.pixels.shape
        masks = [mask if mask is None else fit_mask(mask, shape) for f in films for mask in f.masks]
        if len(films) < published or any(mask is None for mask in masks):
            self.remarks[NO_TISSUE] += 1
            return np.empty((0, TILE, TILE), np.uint8), []
        lesions = np.any([mask for mask in masks if mask is not None], axis=0)
        clear = [
            (row, column)
            for row, column in tile_positions(first.scan).tolist()
            if not lesions[row : row + TILE, column : column + TILE].any()
        ]
        corners = np.array(clear, np.int64).reshape(-1, 2)
        corners = corners[np.sort(rng.permutation(len(corners))[:TISSUE_TILES])]
        known = {**self._known(first), "label": 0, "lesion": "", "pathology": ""}
        known |= {"assessment": pd.NA, "subtlety": pd.NA}
        return _turned_windows(first.scan, corners, rng), _rows(
            f"{first.file.name}/tissue", corners, known
        )

    def _known(self, film: Film) -> dict[str, Any]:
        """What the table says of every tile of a film."""
        scan, first = film.scan, film.lesions.iloc[0]
        return {
            "group": scan.patient,
            "source": shown(film.file.path.relative_to(self.root)),
            "origin": first["origin"],
            "filename": film.file.name,
            "patient": scan.patient,
            "side": scan.side,
            "view": scan.view,
            "density": first["density"],
        }


def _sound(lesions: pd.DataFrame) -> list[pd.Series]:
    """Rows that are not kept apart; the notes name those that are."""
    return [lesion for _, lesion in lesions.iterrows() if lesion["apart"] == ""]


def _mask_series(lesion: pd.Series) -> list[str]:
    """The case files now and then name the mask's series as the crop's."""
    return [lesion["mask_series"], lesion["crop_series"]]


def _turned_windows(
    scan: Scan, corners: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Windows flipped and turned as lesions are, lest that alone tell the two apart."""
    tiles = np.empty((len(corners), TILE, TILE), np.uint8)
    for tile, (row, column) in zip(tiles, corners.tolist(), strict=True):
        window = row, column, row + TILE, column + TILE
        tile[...] = lesion_crops(scan.pixels, window, rng, crops=1)[0][0]
    return tiles


def _rows(name: str, corners: NDArray[np.int64], known: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"tile": f"{name}/{number}", **known, "row": row, "column": column}
        for number, (row, column) in enumerate(corners.tolist())
    ]
