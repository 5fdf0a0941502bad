"""Getting the real sets: from Kaggle with the user's own account, the others by hand.

None may be passed on by this study, and none is downloaded without the user's doing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from birads_lib.errors import DataError
from birads_lib.files import sha256
from birads_lib.tiles import ddsm10, mias
from birads_lib.tiles.cbis_labels import CASE_FILES, SOURCE

KAGGLE_SET = "skooch/ddsm-mammography"
KAGGLE_PAGE = f"https://www.kaggle.com/datasets/{KAGGLE_SET}"
MIAS_SCANS = tuple(f"mdb{number:03d}" for number in range(1, 323))
CBIS_IMAGES = 10_239  # as the archive's page counts them

MIAS_STEPS = f"""\
mini-MIAS: {len(MIAS_SCANS)} film mammograms of {len(MIAS_SCANS) // 2} women, for research only.
1. Read the licence at http://peipa.essex.ac.uk/info/mias.html and download all-mias.tar.gz there.
2. Unpack it into one folder: mdb001.pgm to mdb322.pgm, {mias.INFO}, Licence.txt.
3. birads fetch mias FOLDER says whether all is there; then birads merge FOLDER STORE."""
CBIS_STEPS = f"""\
CBIS-DDSM: The Cancer Imaging Archive, DOI {SOURCE["doi"]}, {SOURCE["licence"]}.
1. Open https://doi.org/{SOURCE["doi"]} and download the four case description files:
   {", ".join(file.name for file in CASE_FILES)}.
2. Download the images from the same page with the NBIA Data Retriever; the page states
   {CBIS_IMAGES:,} images, 163.6 GB. A part of them will do.
3. Put the four files into one folder, in or above the images; leave names as they are.
4. birads fetch cbis FOLDER says whether all is there; then birads merge FOLDER STORE."""


@dataclass
class Check:
    """What a folder holds of a set, and what it lacks; lines for the reader."""

    found: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def fetch_kaggle() -> Path:
    """Download the Kaggle set with the user's own credentials; returns its folder.

    ``kagglehub`` keeps it in its cache, so a second call downloads nothing.

    Raises:
        DataError: The package is absent, or the download fails.
    """
    try:
        import kagglehub
    except ImportError:
        raise DataError(
            "kagglehub: not installed; run `pip install kagglehub`, or download "
            f"{KAGGLE_PAGE} by hand and give its folder"
        ) from None
    try:
        return Path(kagglehub.dataset_download(KAGGLE_SET))
    except Exception as error:  # of many kinds: its own, those of requests, of the disk
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{KAGGLE_SET}: not downloaded ({reason}); put your Kaggle API token in place, see "
            f"https://www.kaggle.com/settings, or download {KAGGLE_PAGE} by hand"
        ) from None


def check_folder(name: str, folder: Path) -> Check:
    """See what a folder holds of the set ``name``, a key of ``CHECKS``.

    Raises:
        DataError: No such folder, or files in it that contradict each other.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the unpacked data set")
    return CHECKS[name](folder)


def _check_kaggle(folder: Path) -> Check:
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    expected = sorted(ddsm10.FILE_NAMES)
    return Check(
        [name for name in expected if name in names],
        [name for name in expected if name not in names],
    )


def _check_mias(folder: Path) -> Check:
    names = {path.name.lower() for path in folder.rglob("*") if path.is_file()}
    there = [name for name in MIAS_SCANS if f"{name}.pgm" in names]
    absent = [name for name in MIAS_SCANS if f"{name}.pgm" not in names]
    check = Check([f"{len(there)} of {len(MIAS_SCANS)} scans"])
    if absent:
        check.missing.append(f"{len(absent)} scans, the first {absent[0]}.pgm")
    if mias.INFO.lower() not in names:
        check.missing.append(mias.INFO)
    elif there:
        path, _ = mias.find_files(folder)
        check.found.append(f"{mias.INFO}, which names {len(mias.read_info(path).findings)} scans")
    return check


def _check_cbis(folder: Path) -> Check:
    check = Check()
    paths = {path.name: path for path in sorted(folder.rglob("*")) if path.is_file()}
    for file in CASE_FILES:
        if file.name not in paths:
            check.missing.append(file.name)
        elif sha256(paths[file.name]) == file.digest:
            check.found.append(f"{file.name}, as published")
        else:
            check.missing.append(f"{file.name} as published: {paths[file.name]} differs")
    images = sum(path.suffix.lower() == ".dcm" for path in folder.rglob("*") if path.is_file())
    check.found.append(f"{images:,} DICOM files; the whole collection has {CBIS_IMAGES:,} images")
    if not images:
        check.missing.append("DICOM files (.dcm)")
    return check


CHECKS: dict[str, Callable[[Path], Check]] = {
    "kaggle": _check_kaggle,
    "mias": _check_mias,
    "cbis": _check_cbis,
}
STEPS = {"mias": MIAS_STEPS, "cbis": CBIS_STEPS}
"""How to download by hand, for the reader."""
