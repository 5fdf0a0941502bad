"""Which DICOM file is which: scans and masks of CBIS-DDSM by series and by PatientID.

The folders that the NBIA downloader makes are not those that the case files name, so
each file is known by its header alone. Masks and crops often share a series, and the
case files sometimes name one for the other, so these two are told apart by their pixels.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from birads_lib.errors import DataError
from birads_lib.tiles.cbis import UNREADABLE, at_tile_scale, check_file, read_picture

HEADER_TAGS = ["PatientID", "SeriesInstanceUID", "SeriesDescription", "Rows", "Columns"]
READERS = 8  # threads; a header costs more waiting than work
MAGIC, MAGIC_AT = b"DICM", 128  # of a DICOM file
DIRECTORY = "DICOMDIR"
CROPPED = "cropped"  # in the SeriesDescription of a crop: "cropped images"


@dataclass(frozen=True)
class DicomFile:
    """What the header of one file says.

    Attributes:
        path: The file.
        name: PatientID, such as ``"Mass-Test_P_00173_LEFT_CC"`` of a scan, and
            ``"Mass-Test_P_00173_LEFT_CC_1"`` of its first lesion's mask and crop.
        series: SeriesInstanceUID, "" if none.
        description: SeriesDescription, "" if none.
        shape: Rows and columns.
    """

    path: Path
    name: str
    series: str
    description: str
    shape: tuple[int, int]


class CbisIndex:
    """Finds scans and masks among the files of a download.

    Attributes:
        files: All of them, in the order of their paths.
    """

    def __init__(self, files: Sequence[DicomFile]):
        self.files = tuple(files)
        self._by_series, self._by_name = (
            defaultdict[str, list[DicomFile]](list),
            defaultdict[str, list[DicomFile]](list),
        )
        for file in self.files:
            self._by_series[file.series].append(file)
            self._by_name[file.name].append(file)

    def named(self, name: str, series: Iterable[str]) -> list[DicomFile]:
        """Files of these series, and any others whose PatientID is ``name``.

        Raises:
            DataError: A file of one of the series carries another PatientID.
        """
        of_series = [file for uid in series if uid for file in self._by_series.get(uid, [])]
        for file in of_series:
            if file.name != name:
                raise DataError(
                    f"{file.path}: PatientID {file.name!r}, but the case files give its series "
                    f"to {name!r}; download the series again"
                )
        return list(dict.fromkeys([*of_series, *self._by_name.get(name, [])]))

    def scan(self, name: str, series: str) -> DicomFile | None:
        """The scan of a name; ``None`` if it is absent. Of equal copies, the first.

        Raises:
            DataError: Two scans differ, or one cannot be read.
        """
        files = self.named(name, [series])
        if len(files) > 1:
            pixels = {file: read_picture(file.path)[1] for file in files}
            _refuse_two(f"scans of {name}", pixels)
        return files[0] if files else None

    def mask(
        self, name: str, series: Iterable[str], shape: tuple[int, int]
    ) -> NDArray[np.bool_] | None:
        """The mask of a lesion; ``None`` if it is absent.

        It is the picture of two values; of several the one that is no crop by its
        description, not empty, and of the scan's size.

        Args:
            name: PatientID of mask and crop.
            series: What the case files call mask and crop.
            shape: Rows and columns of the scan's file.

        Returns:
            bool (H, W) at 0.1 mm a pixel of its own film, true where any of the pixels
            that it covers is lesion.

        Raises:
            DataError: Two masks differ, or a picture cannot be read.
        """
        pictures = {file: read_picture(file.path)[1] for file in self.named(name, series)}
        masks = {file: pixels for file, pixels in pictures.items() if _is_mask(pixels)}
        for better in (_is_no_crop, _is_not_empty, _has_shape(shape)):
            masks = {file: p for file, p in masks.items() if better(file, p)} or masks
        if not masks:
            return None
        _refuse_two(f"masks of {name}", masks)
        pixels = next(iter(masks.values()))
        return at_tile_scale(np.where(pixels > 0, np.uint8(255), np.uint8(0))) > 0


def find_dicoms(folder: Path) -> list[Path]:
    """All DICOM files at any depth, by their first bytes or their suffix, in order.

    Raises:
        DataError: No such folder, or none in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the unpacked download of CBIS-DDSM")
    found = [
        Path(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if not name.startswith(".") and name != DIRECTORY
    ]
    dicoms = sorted(path for path in found if path.suffix.lower() == ".dcm" or _has_magic(path))
    if not dicoms:
        raise DataError(
            f"{folder}: no DICOM file among {len(found):,} files; give the folder that the NBIA "
            "Data Retriever filled"
        )
    return dicoms


def read_headers(paths: Sequence[Path], progress: Callable[[int], None] | None = None) -> CbisIndex:
    """Read the headers of many files, without their pixels.

    Args:
        paths: From ``find_dicoms``.
        progress: Called with the number of headers read.

    Raises:
        DataError: A file is no DICOM picture, or is cut off.
    """
    files = []
    with ThreadPoolExecutor(READERS) as pool:
        for done, file in enumerate(pool.map(read_header, paths), 1):
            files.append(file)
            if progress:
                progress(done)
    return CbisIndex(files)


def read_header(path: Path) -> DicomFile:
    """Read one header.

    Raises:
        DataError: The file is no DICOM picture, or is cut off.
    """
    try:
        check_file(path)
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=HEADER_TAGS)
        shape = int(header.Rows), int(header.Columns)
        name, series, description = (str(header.get(tag) or "") for tag in HEADER_TAGS[:3])
    except UNREADABLE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{path}: no readable DICOM picture ({reason}); copy it again") from None
    return DicomFile(path, name.strip(), series, description, shape)


def _has_magic(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(MAGIC_AT + len(MAGIC))[MAGIC_AT:] == MAGIC


def _is_mask(pixels: NDArray[Any]) -> bool:
    """Whether it is black but for one other value, or all black."""
    return pixels.min() == 0 and bool(((pixels == 0) | (pixels == pixels.max())).all())


def _is_no_crop(file: DicomFile, _: NDArray[Any]) -> bool:
    return CROPPED not in file.description.lower()


def _is_not_empty(_: DicomFile, pixels: NDArray[Any]) -> bool:
    return bool(pixels.any())


def _has_shape(shape: tuple[int, int]) -> Callable[[DicomFile, NDArray[Any]], bool]:
    return lambda file, _: file.shape == shape


def _refuse_two(what: str, pictures: dict[DicomFile, NDArray[Any]]) -> None:
    """Copies of one picture are fine; two that differ are not."""
    (first, pixels), *others = pictures.items()
    for other, its_pixels in others:
        if not np.array_equal(pixels, its_pixels):
            raise DataError(
                f"{other.path}: another of the {what} is {first.path}, and they differ; keep the "
                "one of the published set"
            )
