"""What the radiologist said: the four case description files of CBIS-DDSM, and their counts.

The paper reads the labels of the tiles as BI-RADS categories. CBIS-DDSM states the
radiologist's category of every lesion in every view, so the two can be compared
without a single tile. The repository ships the counts, not the files.

Lee et al., Scientific Data 4, 170177 (2017); The Cancer Imaging Archive,
DOI 10.7937/K9/TCIA.2016.7O02S9CY, CC BY 3.0.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from birads_lib.agreement import kappas
from birads_lib.errors import DataError
from birads_lib.files import read_json, read_whole, sha256
from birads_lib.labels import BIRADS, LESION_CLASSES, LESION_CODES

SOURCE = {
    "title": "CBIS-DDSM, case description files",
    "publisher": "The Cancer Imaging Archive",
    "doi": "10.7937/K9/TCIA.2016.7O02S9CY",
    "licence": "CC BY 3.0",
}
SHIPPED = Path(__file__).parents[1] / "study" / "cbis_counts.json"


@dataclass(frozen=True)
class CaseFile:
    """One case description file: its name, what it lists, and its published SHA-256."""

    name: str
    lesion: str
    part: str
    digest: str


CASE_FILES = (
    CaseFile(
        "calc_case_description_train_set.csv", "calcification", "training",
        "f7e705ac8badaf4d637519b0f2324b1f6e540325ecabeab582806421273bfb45",
    ),
    CaseFile(
        "calc_case_description_test_set.csv", "calcification", "test",
        "1a94adc4290f020e92d8e987992fb48ddc256e7b71e8d8f5b7a96f2cdd645673",
    ),
    CaseFile(
        "mass_case_description_train_set.csv", "mass", "training",
        "d1b4249fe0176a7531f27458e9f6bfa95dcc93886b249b5aa4db6ed82083bbbe",
    ),
    CaseFile(
        "mass_case_description_test_set.csv", "mass", "test",
        "bea24f508f2632944c856202a76e36a01aa6362f2c2f7a33f38b10ed1ea8de62",
    ),
)  # fmt: skip

COLUMNS = {
    "patient id": "patient",
    "left or right breast": "side",
    "image view": "view",
    "abnormality type": "lesion",
    "abnormality id": "abnormality",
    "assessment": "assessment",
    "pathology": "pathology",
    "subtlety": "subtlety",
    "breast density": "density",
}
"""Ours by theirs; theirs with ``_`` as a space, since the files differ in that."""
SERIES_COLUMNS = {
    "image file path": "scan_series",
    "roi mask file path": "mask_series",
    "cropped image file path": "crop_series",
}
"""The same for paths. Counting labels does not need them, so a file may lack them."""
SERIES_UID = re.compile(r"/([0-9][0-9.]*)/[^/]*$")
"""Paths read ``PatientID/StudyInstanceUID/SeriesInstanceUID/000000.dcm``."""

WITHOUT_CALLBACK = "BENIGN_WITHOUT_CALLBACK"
PATHOLOGIES = ("BENIGN", WITHOUT_CALLBACK, "MALIGNANT")
ASSESSMENTS = (0, 1, 2, 3, 4, 5)
PARTS = ("training", "test", "all")
KNOWN = {
    "side": ("LEFT", "RIGHT"),
    "view": ("CC", "MLO"),
    "pathology": PATHOLOGIES,
    "assessment": tuple(map(str, ASSESSMENTS)),
}
ONE_LESION_VIEW = ("part", "lesion", "patient", "side", "view", "abnormality")
LESION_VIEW_COLUMNS = (
    "patient", "side", "view", "lesion", "abnormality", "pathology", "assessment", "subtlety",
    "density", "part", "image", "label", "file", "line", "apart", *SERIES_COLUMNS.values(),
)  # fmt: skip
REFINED = tuple(
    f"{c.code} {pathology}"
    for c in LESION_CLASSES
    for pathology in (PATHOLOGIES[:2] if c.pathology == "benign" else PATHOLOGIES[2:])
)
"""Classes with the benign ones in two: ``"C2 BENIGN"``, ``"C2 BENIGN_WITHOUT_CALLBACK"``, ..."""
REFINED_TITLES = {
    name: f"{c.code} {c.title}" + (", without callback" if WITHOUT_CALLBACK in name else "")
    for c in LESION_CLASSES
    for name in REFINED
    if name.startswith(c.code)
}

REPLICATES = 2000
CONFIDENCE = 0.95
FEWEST_PATIENTS = 10  # below this the bootstrap's interval of a rate says nothing
DIGITS = 6  # kept of each share, so that the counts do not depend on the last bit
NAMED = 10  # rows that a note names one by one
MOST_BYTES = 1 << 24  # of a file; the largest published one has fewer than a million

Floats = NDArray[np.float64]


def read_case_files(folder: str | os.PathLike[str]) -> tuple[pd.DataFrame, list[str]]:
    """Read the four case description files.

    Args:
        folder: Where the four files of ``CASE_FILES`` lie.

    Returns:
        A row a lesion-view in the files' order, and notes on what is not as published.
        Columns: ``patient``, ``side``, ``view``, ``lesion``, ``abnormality`` (text),
        ``pathology``, ``assessment`` (Int64, ``<NA>`` where not 0..5), ``subtlety`` and
        ``density`` (Int64, ``<NA>`` where no number), ``part`` (``"training"`` or
        ``"test"``), ``image`` (such as ``P_00001_LEFT_CC``), ``label`` (Int64, 1..4 as
        in ``labels.CLASSES``, ``<NA>`` where unknown), ``file``, ``line`` (of its first
        line), ``apart``: empty, or why the row counts nowhere (such rows stay in the
        table and are named in the notes), and ``scan_series``, ``mask_series``,
        ``crop_series``: the SeriesInstanceUID that each path names, "" where none.

    Raises:
        DataError: No such folder; a file is missing, is not CSV, or lacks a column.
    """
    root = Path(folder)
    _refuse_absent(root)
    tables, notes = [], []
    for case_file in CASE_FILES:
        path = root / case_file.name
        table, said = _read_case_file(path, case_file)
        tables.append(table)
        notes += [f"{case_file.name}: {note}" for note in said]
    return pd.concat(tables, ignore_index=True), notes


def label_counts(
    lesions: pd.DataFrame, replicates: int = REPLICATES, seed: int = 0
) -> dict[str, Any]:
    """What the labels are against the radiologist's assessment, ready for JSON.

    The reading under test is the paper's: label 1 to 4 is BI-RADS 2 to 5. Every figure
    is ``{"value", "interval"}`` with the 95 % interval of a bootstrap over patients;
    ``None`` where it is not defined. Rows kept ``apart`` count nowhere but in ``apart``.

    Args:
        lesions: From ``read_case_files``.
        replicates: Bootstrap replicates.
        seed: Of the bootstrap.

    Returns:
        ``lesion_views`` and ``patients`` by part; ``apart``; ``by_assessment`` (rows C2
        to C5, ``merged`` and ``callback_apart``; columns assessment 0 to 5);
        ``agreement`` over all lesion-views, and ``agreement_without_0`` over those whose
        assessment is not "incomplete"; ``c2_agreements``; ``malignancy`` by assessment;
        ``both_sides`` of the split; ``image_names``; ``bootstrap``.

    Raises:
        DataError: No row is left to count.
    """
    counted = lesions[lesions["apart"] == ""]
    if counted.empty:
        raise DataError("case files: no lesion-view with a known assessment and pathology")
    cells = _cells_by_patient(counted)
    totals = np.concatenate([[cells.sum(0)], _resampled(cells, replicates, seed)])
    return {
        "lesion_views": {part: len(_of(counted, part)) for part in PARTS},
        "patients": {part: int(_of(counted, part)["patient"].nunique()) for part in PARTS},
        "apart": {k: int(n) for k, n in lesions["apart"].value_counts().items() if k},
        "by_assessment": {part: _by_assessment(_of(counted, part)) for part in PARTS},
        "agreement": _agreement(totals, ASSESSMENTS),
        "agreement_without_0": _agreement(totals, ASSESSMENTS[1:]),
        "c2_agreements": _c2_agreements(totals),
        "malignancy": _malignancy(totals, counted),
        "both_sides": _both_sides(counted),
        "image_names": {part: _image_names(_of(counted, part)) for part in PARTS},
        "bootstrap": {"of": "patients", "replicates": replicates, "seed": seed},
    }


def count_case_files(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Read and count: ``label_counts`` with ``source``, ``files`` and ``notes``.

    Raises:
        DataError: See ``read_case_files`` and ``label_counts``.
    """
    lesions, notes = read_case_files(folder)
    rows = lesions["file"].value_counts()
    files = {
        file.name: {"sha256": sha256(Path(folder) / file.name), "rows": int(rows.get(file.name, 0))}
        for file in CASE_FILES
    }
    return {"source": SOURCE, "files": files, "notes": notes, **label_counts(lesions)}


def shipped_counts() -> dict[str, Any]:
    """The counts of the published files, as ``count_case_files`` gave them."""
    return read_json(SHIPPED)


# Reading


def _refuse_absent(root: Path) -> None:
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give that of the CBIS-DDSM case files")
    absent = [file.name for file in CASE_FILES if not (root / file.name).is_file()]
    if absent:
        raise DataError(
            f"{root}: {', '.join(absent)} missing; download the case description files of "
            f"CBIS-DDSM (DOI {SOURCE['doi']})"
        )


def _read_case_file(path: Path, case_file: CaseFile) -> tuple[pd.DataFrame, list[str]]:
    content = read_whole(path, MOST_BYTES, "take the published file")
    digest = hashlib.sha256(content).hexdigest()
    text, notes = _decode(content)
    if digest != case_file.digest:
        notes.insert(0, f"SHA-256 {digest} differs from that of the published file")
    table = pd.DataFrame(_rows(path, text), dtype=str)
    if table.empty:
        raise DataError(f"{path}: holds no lesion; copy it again")
    table = table.assign(part=case_file.part, file=path.name)
    table["image"] = table["patient"] + "_" + table["side"] + "_" + table["view"]
    table["apart"] = _why_apart(table, case_file)
    notes += list(_describe_apart(table))
    kept = table["apart"] == ""
    for column in ("assessment", "subtlety", "density", "line"):
        table[column] = _whole_numbers(table[column])
    table["assessment"] = table["assessment"].where(table["assessment"].isin(ASSESSMENTS))
    table["label"] = _labels(table).where(kept)
    return table[list(LESION_VIEW_COLUMNS)], notes


def _whole_numbers(text: pd.Series) -> pd.Series:
    number = pd.to_numeric(text, errors="coerce").astype(float)
    return number.where((number % 1 == 0) & (number.abs() < 2**31)).astype("Int64")


def _decode(content: bytes) -> tuple[str, list[str]]:
    """The text; files that went through a spreadsheet are not always UTF-8."""
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace"), ["not UTF-8; read as Windows-1252"]


def _rows(path: Path, text: str) -> Iterator[dict[str, str]]:
    """Each row's fields by our names, with its first ``line`` and what is ``odd`` about it."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    place: dict[str, int] = {}
    header: list[str] = []
    while True:
        line = reader.line_num + 1
        try:
            fields = [" ".join(field.split()) for field in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{path}: line {line}: not CSV ({error}); copy it again") from None
        if not any(fields):
            continue
        if not header:
            header, place = fields, _places(path, fields)
            continue
        found = {ours: fields[i] if i < len(fields) else "" for ours, i in place.items()}
        odd = f"{len(fields)} fields for {len(header)} columns"
        yield {**_tidy(found), "line": str(line), "odd": odd if len(fields) != len(header) else ""}


def _places(path: Path, header: Sequence[str]) -> dict[str, int]:
    """Where each of our columns stands."""
    theirs = [" ".join(name.replace("_", " ").lower().split()) for name in header]
    for name in COLUMNS:
        if theirs.count(name) != 1:
            what = "no column" if name not in theirs else "more than one column"
            raise DataError(
                f"{path}: {what} {name!r}; found {', '.join(header)[:200]!r}; take "
                "the published file"
            )
    known = {**COLUMNS, **SERIES_COLUMNS}
    return {ours: theirs.index(name) for name, ours in known.items() if name in theirs}


def _tidy(fields: dict[str, str]) -> dict[str, str]:
    upper = {name: fields[name].upper() for name in ("patient", "side", "view", "pathology")}
    whole = fields["assessment"].removesuffix(".0")  # what pandas writes beside an empty cell
    series = {name: _series_uid(fields.get(name, "")) for name in SERIES_COLUMNS.values()}
    return {
        **fields, **upper, **series, "lesion": fields["lesion"].lower(), "assessment": whole,
    }  # fmt: skip


def _series_uid(path: str) -> str:
    match = SERIES_UID.search(path.replace("\\", "/"))
    return match[1] if match else ""


def _why_apart(table: pd.DataFrame, case_file: CaseFile) -> pd.Series:
    """For each row why it cannot be counted, or an empty string."""
    why = table["odd"].copy()
    _fill(why, table["patient"] == "", "no patient")
    _fill(why, table["lesion"] != case_file.lesion, "unknown lesion " + table["lesion"].map(repr))
    for column, known in KNOWN.items():
        _fill(why, ~table[column].isin(known), f"unknown {column} " + table[column].map(repr))
    sound = table[why == ""]
    again = sound.duplicated([*ONE_LESION_VIEW])
    same = sound.duplicated([*COLUMNS.values()])
    why[sound.index[again & same]] = "repeats a row"
    why[sound.index[again & ~same]] = "contradicts an earlier row of this lesion-view"
    return why


def _fill(why: pd.Series, rows: pd.Series, reason: str | pd.Series) -> None:
    """Write ``reason`` where ``rows`` holds and no reason stands yet."""
    rows = rows & (why == "")
    why[rows] = reason[rows] if isinstance(reason, pd.Series) else reason


def _describe_apart(table: pd.DataFrame) -> Iterator[str]:
    """A note a reason: how many rows, and which."""
    for reason, rows in table[table["apart"] != ""].groupby("apart", sort=True):
        names = rows["image"] + " lesion " + rows["abnormality"] + " (line " + rows["line"] + ")"
        more = f" and {len(rows) - NAMED:,} more" if len(rows) > NAMED else ""
        plural = "s" if len(rows) > 1 else ""
        yield f"{len(rows):,} row{plural} kept apart, {reason}: {', '.join(names[:NAMED])}{more}"


def _labels(table: pd.DataFrame) -> pd.Series:
    by_kind = {(c.lesion, c.pathology): c.label for c in LESION_CLASSES}
    pathology = table["pathology"].replace(WITHOUT_CALLBACK, "BENIGN").str.lower()
    kinds = zip(table["lesion"], pathology, strict=True)
    return pd.Series([by_kind.get(kind) for kind in kinds], table.index, dtype="Int64")


# Counting


def _of(counted: pd.DataFrame, part: str) -> pd.DataFrame:
    return counted if part == "all" else counted[counted["part"] == part]


def _refined(counted: pd.DataFrame) -> pd.Series:
    codes = counted["label"].map(dict(enumerate(LESION_CODES, start=1)))
    return codes.astype(str) + " " + counted["pathology"]


def _cells_by_patient(counted: pd.DataFrame) -> Floats:
    """Lesion-views, float (patients, refined classes, assessments)."""
    patient, patients = pd.factorize(counted["patient"])
    row = pd.Categorical(_refined(counted), REFINED).codes
    cells = np.zeros((len(patients), len(REFINED), len(ASSESSMENTS)))
    np.add.at(cells, (patient, row, counted["assessment"].to_numpy(int)), 1)
    return cells


def _resampled(cells: Floats, replicates: int, seed: int) -> Floats:
    """Totals of as many patients drawn with replacement, (replicates, classes, assessments)."""
    patients = len(cells)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(patients, np.full(patients, 1 / patients), size=replicates)
    return np.tensordot(draws.astype(float), cells, axes=1)


def _by_assessment(counted: pd.DataFrame) -> dict[str, dict[str, list[int]]]:
    cells = _cells_by_patient(counted).sum(0)
    merged = _merged(cells)
    return {
        "callback_apart": dict(zip(REFINED, cells.astype(int).tolist(), strict=True)),
        "merged": dict(zip(LESION_CODES, merged.astype(int).tolist(), strict=True)),
    }


def _merged(cells: Floats) -> Floats:
    """Refined classes (..., 6, A) summed to C2..C5 (..., 4, A)."""
    rows = [[name.startswith(code) for name in REFINED] for code in LESION_CODES]
    return np.einsum("cr,...ra->...ca", np.array(rows, float), cells)


def _agreement(totals: Floats, assessments: Sequence[int]) -> dict[str, Any]:
    """How far "label + 1 = BI-RADS" is the assessment; ``totals`` has the data's own first."""
    matrices = np.zeros((len(totals), len(ASSESSMENTS), len(ASSESSMENTS)))
    readings = [c.label + 1 for c in LESION_CLASSES]
    matrices[:, readings] = _merged(totals)
    matrices = matrices[..., assessments, :][..., assessments]
    views = matrices.sum((1, 2))
    accuracy = _ratio(np.trace(matrices, axis1=1, axis2=2), views)
    said = matrices.sum(1)
    best = int(said[0].argmax())
    constant = _ratio(said[:, best], views)
    return {
        "lesion_views": int(views[0]),
        "agree": int(np.trace(matrices[0])),
        "accuracy": _stated(accuracy),
        "kappa": _stated(kappas(matrices)),
        "quadratic_kappa": _stated(kappas(matrices, power=2)),
        "constant": {
            "answer": int(assessments[best]),
            "agree": int(said[0, best]),
            "accuracy": _stated(constant),
        },
        "accuracy_less_constant": _stated(accuracy - constant),
    }


def _c2_agreements(totals: Floats) -> dict[str, Any]:
    """Of the agreements of C2, read as BI-RADS 2, those judged benign without recall."""
    agree = totals[:, [REFINED.index("C2 BENIGN"), REFINED.index(f"C2 {WITHOUT_CALLBACK}")], 2]
    return {
        "agree": int(agree[0].sum()),
        "without_callback": int(agree[0, 1]),
        "share": _stated(_ratio(agree[:, 1], agree.sum(1))),
    }


def _malignancy(totals: Floats, counted: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Share of malignant lesion-views by assessment, beside what the ACR states."""
    malignant = totals[:, [name.endswith("MALIGNANT") for name in REFINED]].sum(1)
    views = totals.sum(1)
    patients = counted.groupby("assessment")["patient"].nunique()
    found = {}
    for said in ASSESSMENTS:
        rate = _stated(_ratio(malignant[:, said], views[:, said]))
        if rate and patients.get(said, 0) < FEWEST_PATIENTS:
            rate["interval"] = None
        found[str(said)] = {
            "lesion_views": int(views[0, said]),
            "malignant": int(malignant[0, said]),
            "patients": int(patients.get(said, 0)),
            "rate": rate,
            "acr": BIRADS[said].likelihood,
            "acr_bounds": list(BIRADS[said].bounds or ()) or None,
        }
    return found


def _both_sides(counted: pd.DataFrame) -> dict[str, Any]:
    """Patients with lesions in training and test: over all files, and within each pair."""

    def both(rows: pd.DataFrame) -> set[str]:
        return set(_of(rows, "training")["patient"]) & set(_of(rows, "test")["patient"])

    shared = both(counted)
    theirs = counted[counted["patient"].isin(shared)]
    kinds = dict(iter(counted.groupby("lesion")))
    return {
        "patients": len(shared),
        "within": {kind: len(both(rows)) for kind, rows in kinds.items()},
        "lesion_views": {part: len(_of(theirs, part)) for part in PARTS},
        "image_names": len(
            set(_of(theirs, "training")["image"]) & set(_of(theirs, "test")["image"])
        ),
    }


def _image_names(counted: pd.DataFrame) -> dict[str, int]:
    said = counted.groupby("image")["assessment"].nunique()
    return {"names": len(said), "one_assessment": int((said == 1).sum())}


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def _stated(values: Floats) -> dict[str, Any] | None:
    """First value, and the central 95 % of the rest; ``None`` if the first is undefined."""
    if not np.isfinite(values[0]):
        return None
    rest = values[1:][np.isfinite(values[1:])]
    tail = 100 * (1 - CONFIDENCE) / 2
    interval = _rounded(np.percentile(rest, [tail, 100 - tail])) if len(rest) else None
    return {"value": round(float(values[0]), DIGITS), "interval": interval}


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(float(value), DIGITS) for value in values]
