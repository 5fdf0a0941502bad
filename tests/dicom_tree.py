"""Writes a small CBIS-DDSM download: DICOM files as the NBIA Data Retriever lays them out.

tree = DicomTree()                      # 6 women, all classes, training and test
del tree.pictures["Mass-Training_P_00002_LEFT_CC", "scan"]     # plant one defect
csv_dir, dicom_dir = tree.write(tmp_path)
"""

from __future__ import annotations

import csv
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

FILM = (700, 620)  # rows and columns of a scan, px of 0.05 mm
LESION_BOX = (24, 200, 84, 280)  # first row, first column, and those after the last
MARGIN = 30  # px around a lesion in its crop
BACKGROUND, TISSUE, GRAIN, LESION = 1_500, 30_000, 3_000, 12_000  # grey levels of 16 bits
DARK_EDGE = 40  # columns of film beside the breast

DESCRIPTIONS = {
    "scan": "full mammogram images",
    "mask": "ROI mask images",
    "crop": "cropped images",
}
CASE_FILES = {
    ("calcification", "training"): "calc_case_description_train_set.csv",
    ("calcification", "test"): "calc_case_description_test_set.csv",
    ("mass", "training"): "mass_case_description_train_set.csv",
    ("mass", "test"): "mass_case_description_test_set.csv",
}
CLASSES = (  # lesion, pathology, assessment
    ("calcification", "BENIGN", 2),
    ("mass", "BENIGN_WITHOUT_CALLBACK", 2),
    ("calcification", "MALIGNANT", 4),
    ("mass", "MALIGNANT", 5),
)


@dataclass
class Lesion:
    """One row of a case file."""

    patient: str
    side: str
    view: str
    kind: str
    pathology: str
    assessment: int
    part: str = "training"
    number: int = 1
    box: tuple[int, int, int, int] = LESION_BOX
    density: int = 3
    subtlety: int = 4

    @property
    def scan(self) -> str:
        """PatientID of its scan."""
        collection = {"calcification": "Calc", "mass": "Mass"}[self.kind]
        return f"{collection}-{self.part.title()}_{self.patient}_{self.side}_{self.view}"

    @property
    def name(self) -> str:
        """PatientID of its mask and crop."""
        return f"{self.scan}_{self.number}"


@dataclass
class Picture:
    """One DICOM file: pixels, or a file to copy; and elements that differ from the usual."""

    pixels: np.ndarray | Path
    series: str
    elements: dict[str, Any] = field(default_factory=dict)


class DicomTree:
    """A download to be written; change what should be wrong first.

    Lesions of every second woman have mask and crop in series of their own, and their
    case files name the one for the other, as CBIS-DDSM's sometimes do.

    Attributes:
        lesions: Rows of the case files.
        pictures: Files by PatientID and ``"scan"``, ``"mask"`` or ``"crop"``.
    """

    def __init__(self, patients: int = 6, film: tuple[int, int] = FILM, seed: int = 0):
        """Both views of one breast of each woman, a lesion in each; the last third is test."""
        self.film, self.rng = film, np.random.default_rng(seed)
        self.lesions: list[Lesion] = []
        self.pictures: dict[tuple[str, str], Picture] = {}
        for i in range(patients):
            kind, pathology, assessment = CLASSES[i % len(CLASSES)]
            part = "test" if i >= max(len(CLASSES), 2 * patients // 3) else "training"
            side = ("LEFT", "RIGHT")[i % 2]
            for view in ("CC", "MLO"):
                woman = f"P_{i + 1:05d}"
                self.add(Lesion(woman, side, view, kind, pathology, assessment, part))

    def add(self, lesion: Lesion, scan: Path | None = None) -> None:
        """Add a lesion with scan (drawn, unless it is there or a file is given), mask and crop."""
        self.lesions.append(lesion)
        series = {what: uid(lesion.name, what) for what in ("mask", "crop")}
        if int(lesion.patient[2:]) % 2:
            series["crop"] = series["mask"]
        if scan is not None:
            self.pictures[lesion.scan, "scan"] = Picture(scan, uid(lesion.scan, "scan"))
        elif (lesion.scan, "scan") not in self.pictures:
            self.pictures[lesion.scan, "scan"] = Picture(self._film(), uid(lesion.scan, "scan"))
        mask = np.zeros(self.film, np.uint8)
        row0, column0, row1, column1 = lesion.box
        axes = (column1 - column0 - 1) // 2, (row1 - row0 - 1) // 2
        centre = (column0 + column1 - 1) // 2, (row0 + row1 - 1) // 2
        cv2.ellipse(mask, centre, axes, 0, 0, 360, 255, -1)
        mask[row0, centre[0]] = mask[row1 - 1, centre[0]] = 255  # the box is exact
        mask[centre[1], column0] = mask[centre[1], column1 - 1] = 255
        film = self.pictures[lesion.scan, "scan"].pixels
        if isinstance(film, np.ndarray):
            film[mask > 0] += np.uint16(LESION)
        self.pictures[lesion.name, "mask"] = Picture(mask, series["mask"])
        self.pictures[lesion.name, "crop"] = Picture(self._crop(film, lesion), series["crop"])

    def _film(self) -> np.ndarray:
        """Breast with grain, dark film at the right edge: uint16."""
        film = self.rng.normal(TISSUE, GRAIN, self.film)
        film[:, -DARK_EDGE:] = BACKGROUND
        return film.clip(0, 65_535 - LESION).astype(np.uint16)

    def _crop(self, film: np.ndarray | Path, lesion: Lesion) -> np.ndarray:
        source = film if isinstance(film, np.ndarray) else self._film()
        row0, column0, row1, column1 = lesion.box
        return source[max(row0 - MARGIN, 0) : row1 + MARGIN, max(column0 - MARGIN, 0) :][
            :, : column1 - column0 + 2 * MARGIN
        ].copy()

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write case files and DICOM files; returns the two folders."""
        csv_dir, dicom_dir = folder / "csv", folder / "dicom"
        write_case_files(csv_dir, self.lesions)
        written: dict[str, int] = {}
        for (name, what), picture in self.pictures.items():
            number = written[picture.series] = written.get(picture.series, 0) + 1
            # Mask and crop in one series share its folder, whichever it was named for.
            shared = "mask" if what == "crop" and picture.series == uid(name, "mask") else what
            path = dicom_dir / nbia_folder(name, shared) / f"1-{number}.dcm"
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(picture.pixels, Path):
                shutil.copy(picture.pixels, path)
                continue
            elements = {
                "PatientID": name,
                "SeriesInstanceUID": picture.series,
                "StudyInstanceUID": uid(name, "study"),
                "SeriesDescription": DESCRIPTIONS[shared],
                **picture.elements,
            }
            write_dicom(path, picture.pixels, **elements)
        return csv_dir, dicom_dir


def uid(*what: str) -> str:
    """A UID, the same for the same words."""
    return str(generate_uid(entropy_srcs=list(what)))


def nbia_folder(name: str, what: str) -> Path:
    """Folder of a series, as the NBIA Data Retriever names it."""
    study, series = uid(name, "study")[-5:], uid(name, what)[-5:]
    description = f"1.000000-{DESCRIPTIONS[what]}-{series}"
    return Path("CBIS-DDSM", name, f"08-29-2017-DDSM-NA-{study}", description)


def write_case_files(folder: Path, lesions: list[Lesion]) -> None:
    """Write the four case description files with the columns of the published ones."""
    folder.mkdir(parents=True)
    for (kind, part), file_name in CASE_FILES.items():
        density = "breast density" if kind == "calcification" else "breast_density"
        shape = ("calc type", "calc distribution")
        if kind == "mass":
            shape = ("mass shape", "mass margins")
        with (folder / file_name).open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([
                "patient_id", density, "left or right breast", "image view", "abnormality id",
                "abnormality type", *shape, "assessment", "pathology", "subtlety",
                "image file path", "cropped image file path", "ROI mask file path",
            ])  # fmt: skip
            listed = [le for le in lesions if (le.kind, le.part) == (kind, part)]
            writer.writerows(map(_row, listed or [_unread(kind, part)]))


def _unread(kind: str, part: str) -> Lesion:
    """A lesion that was not downloaded: a case file without any is refused."""
    return Lesion(f"P_9{len(kind + part):04d}", "LEFT", "CC", kind, "BENIGN", 3, part)


def _row(lesion: Lesion) -> list[str]:
    def path(name: str, what: str, number: int) -> str:
        return f"{name}/{uid(name, 'study')}/{uid(name, what)}/{number:06d}.dcm"

    shared = int(lesion.patient[2:]) % 2
    mask, crop = ("mask", "mask") if shared else ("crop", "mask")  # the one for the other
    return [
        lesion.patient, str(lesion.density), lesion.side, lesion.view, str(lesion.number),
        lesion.kind, "N/A", "N/A", str(lesion.assessment), lesion.pathology,
        str(lesion.subtlety), path(lesion.scan, "scan", 0), path(lesion.name, crop, 1) + "\n",
        path(lesion.name, mask, 0),
    ]  # fmt: skip


def write_dicom(path: Path, pixels: np.ndarray, **elements: Any) -> Path:
    """A small uncompressed grey DICOM file, as CBIS-DDSM names them."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = uid(str(path))
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID
    data.PatientID = "Mass-Training_P_00042_RIGHT_MLO"
    data.PhotometricInterpretation = "MONOCHROME2"
    bits = 8 * pixels.dtype.itemsize
    data.BitsAllocated = data.BitsStored = bits
    data.HighBit, data.PixelRepresentation = bits - 1, int(pixels.dtype.kind == "i")
    data.Rows, data.Columns = pixels.shape[-2:]
    data.SamplesPerPixel = 1
    if pixels.ndim == 3:
        data.NumberOfFrames = len(pixels)
    data.PixelData = pixels.tobytes()
    for name, value in elements.items():
        if value is None:
            del data[name]
        else:
            setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path
