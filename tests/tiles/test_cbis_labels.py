"""The case files of CBIS-DDSM: every row is counted or named, and the counts are as by hand."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from birads_lib.errors import DataError
from birads_lib.files import sha256
from birads_lib.tiles import cbis_labels
from birads_lib.tiles.cbis_labels import (
    CASE_FILES,
    SHIPPED,
    count_case_files,
    label_counts,
    read_case_files,
    shipped_counts,
)

ROOT = Path(__file__).resolve().parents[2]
CALC, CALC_TEST, MASS, MASS_TEST = (file.name for file in CASE_FILES)
NAMES = (CALC, CALC_TEST, MASS, MASS_TEST)
HEADER = [
    "patient_id", "breast_density", "left or right breast", "image view", "abnormality id",
    "abnormality type", "mass shape", "mass margins", "assessment", "pathology", "subtlety",
    "image file path", "cropped image file path", "ROI mask file path",
]  # fmt: skip
PATIENT, VIEW, ABNORMALITY, LESION, MARGINS, ASSESSMENT, PATHOLOGY = 0, 3, 4, 5, 7, 8, 9


def row(patient, lesion, assessment, pathology, side="LEFT", view="CC", abnormality=1):
    """One line of a case file."""
    return [
        f"P_{patient:05d}", "2", side, view, str(abnormality), lesion, "ROUND", "OBSCURED",
        str(assessment), pathology, "3", "a/b/000000.dcm", "c/d/000001.dcm\n", "e/f/000000.dcm",
    ]  # fmt: skip


class CaseFiles:
    """Eight lesion-views of six patients; change what should be wrong, then write."""

    def __init__(self) -> None:
        self.header = {name: list(HEADER) for name in NAMES}
        self.header[CALC][1] = "breast density"  # as the published file has it
        self.rows = {
            CALC: [
                row(1, "calcification", 2, "BENIGN_WITHOUT_CALLBACK"),
                row(1, "calcification", 2, "BENIGN_WITHOUT_CALLBACK", view="MLO"),
                row(2, "calcification", 4, "MALIGNANT"),
            ],
            CALC_TEST: [row(3, "calcification", 2, "BENIGN")],
            MASS: [
                row(3, "mass", 4, "BENIGN"),
                row(4, "mass", 5, "MALIGNANT"),
                row(4, "mass", 4, "MALIGNANT", abnormality=2),
            ],
            MASS_TEST: [row(5, "mass", 0, "BENIGN_WITHOUT_CALLBACK")],
        }
        self.encoding, self.line_end = "utf-8", "\n"

    def write(self, folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        for name in NAMES:
            path = folder / name
            with path.open("w", encoding=self.encoding, newline="") as file:
                writer = csv.writer(file, lineterminator=self.line_end, quoting=csv.QUOTE_ALL)
                writer.writerows([self.header[name], *self.rows[name]])
        return folder


@pytest.fixture
def case_files() -> CaseFiles:
    return CaseFiles()


@pytest.fixture
def read(case_files, tmp_path) -> Callable[[], tuple[pd.DataFrame, list[str]]]:
    """Writes the case files and reads them; notes on digests, which always differ, are left out."""

    def written_and_read() -> tuple[pd.DataFrame, list[str]]:
        lesions, notes = read_case_files(case_files.write(tmp_path / "csv"))
        return lesions, [note for note in notes if "SHA-256" not in note]

    return written_and_read


# Reading


def test_a_row_is_one_lesion_in_one_view(read):
    lesions, notes = read()
    assert notes == []
    assert len(lesions) == 8
    assert set(lesions["apart"]) == {""}
    first = lesions.iloc[1]
    assert first[["patient", "side", "view", "image", "lesion", "abnormality"]].tolist() == [
        "P_00001", "LEFT", "MLO", "P_00001_LEFT_MLO", "calcification", "1",
    ]  # fmt: skip
    assert first[["assessment", "subtlety", "density", "part", "pathology"]].tolist() == [
        2, 3, 2, "training", "BENIGN_WITHOUT_CALLBACK",
    ]  # fmt: skip
    assert lesions["label"].tolist() == [1, 1, 3, 1, 2, 4, 4, 2]
    assert lesions["part"].tolist() == ["training"] * 3 + ["test"] + ["training"] * 3 + ["test"]


def test_lines_are_those_of_the_file_although_fields_hold_line_breaks(read):
    lesions, _ = read()
    assert lesions["line"].tolist()[:3] == [2, 4, 6]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends_do_not_change_what_is_read(case_files, read, encoding, line_end):
    plain, _ = read()
    case_files.encoding, case_files.line_end = encoding, line_end
    for rows in case_files.rows.values():
        rows[0][MARGINS] = "unschärfe"
    lesions, notes = read()
    pd.testing.assert_frame_equal(lesions.drop(columns="line"), plain.drop(columns="line"))
    expected = [f"{name}: not UTF-8; read as Windows-1252" for name in NAMES]
    assert notes == (expected if encoding == "cp1252" else [])


def test_other_line_ends_are_another_file_and_the_note_says_so(case_files, tmp_path):
    one = count_case_files(case_files.write(tmp_path / "one"))
    case_files.line_end = "\r\n"
    two = count_case_files(case_files.write(tmp_path / "two"))
    for name in NAMES:
        digest = sha256(tmp_path / "two" / name)
        assert two["files"][name]["sha256"] == digest != one["files"][name]["sha256"]
        assert f"{name}: SHA-256 {digest} differs from that of the published file" in two["notes"]
    same = set(one) - {"files", "notes"}
    assert {key: one[key] for key in same} == {key: two[key] for key in same}


@pytest.mark.parametrize("missing", ["assessment", "pathology", "patient_id", "breast_density"])
def test_a_missing_column_names_file_and_column(case_files, read, missing):
    case_files.header[MASS][HEADER.index(missing)] = "notes"
    with pytest.raises(DataError, match=f"{MASS}: no column '{missing.replace('_', ' ')}'") as said:
        read()
    assert "\n" not in str(said.value)


def test_a_column_that_stands_twice_is_refused(case_files, read):
    case_files.header[MASS][HEADER.index("mass shape")] = "Assessment"
    with pytest.raises(DataError, match=f"{MASS}: more than one column 'assessment'"):
        read()


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        (ASSESSMENT, "6", "unknown assessment '6'"),
        (ASSESSMENT, "", "unknown assessment ''"),
        (ASSESSMENT, "4.5", "unknown assessment '4.5'"),
        (PATHOLOGY, "Unproven", "unknown pathology 'UNPROVEN'"),
        (LESION, "mass", "unknown lesion 'mass'"),
        (PATIENT, " ", "no patient"),
        (VIEW, "XCCL", "unknown view 'XCCL'"),
    ],
)
def test_an_unknown_value_is_kept_apart_counted_and_named(case_files, read, column, value, reason):
    case_files.rows[CALC][2][column] = value
    lesions, notes = read()
    odd = lesions[lesions["apart"] != ""]
    assert len(lesions) == 8
    assert odd["apart"].tolist() == [reason]
    assert odd["label"].isna().all()
    (note,) = notes
    assert note.startswith(f"{CALC}: 1 row kept apart, {reason}: ")
    assert note.endswith(f"{odd['image'].item()} lesion 1 (line 6)")
    counts = label_counts(lesions, replicates=5)
    assert counts["lesion_views"]["all"] == 7
    assert counts["apart"] == {reason: 1}


@pytest.mark.parametrize("written", [" malignant ", "Malignant"])
def test_case_and_spaces_are_no_other_value(case_files, read, written):
    case_files.rows[CALC][2][PATHOLOGY] = written
    case_files.rows[CALC][2][ASSESSMENT] = "4.0"
    lesions, notes = read()
    assert notes == []
    assert lesions.loc[2, ["pathology", "assessment", "label"]].tolist() == ["MALIGNANT", 4, 3]


def test_repeated_rows_are_counted_once_and_named(case_files, read):
    case_files.rows[CALC] += [case_files.rows[CALC][0]] * 2
    lesions, notes = read()
    assert lesions["apart"].value_counts().to_dict() == {"": 8, "repeats a row": 2}
    where = "P_00001_LEFT_CC lesion 1 (line 8), P_00001_LEFT_CC lesion 1 (line 10)"
    assert notes == [f"{CALC}: 2 rows kept apart, repeats a row: {where}"]
    assert label_counts(lesions, replicates=5)["lesion_views"]["all"] == 8


def test_a_row_that_contradicts_another_of_its_lesion_is_named_as_such(case_files, read):
    case_files.rows[CALC].append(row(2, "calcification", 5, "MALIGNANT"))
    _, notes = read()
    assert notes == [
        f"{CALC}: 1 row kept apart, contradicts an earlier row of this lesion-view: "
        "P_00002_LEFT_CC lesion 1 (line 8)"
    ]


def test_many_rows_of_one_kind_are_all_counted(case_files, read):
    case_files.rows[MASS] += [row(50 + i, "mass", 9, "BENIGN") for i in range(14)]
    lesions, (note,) = read()
    assert len(lesions) == 22
    assert "14 rows kept apart, unknown assessment '9': P_00050_LEFT_CC" in note
    assert note.endswith("and 4 more")


@pytest.mark.parametrize("change", [lambda r: r[:10], lambda r: [*r, "more"]])
def test_a_row_of_another_length_is_kept_apart(case_files, read, change):
    fields = change(case_files.rows[CALC][2])
    case_files.rows[CALC][2] = fields
    _, (note,) = read()
    assert f"1 row kept apart, {len(fields)} fields for 14 columns: P_00002_LEFT_CC" in note


def test_missing_files_and_folders_are_named(case_files, tmp_path):
    folder = case_files.write(tmp_path / "csv")
    (folder / MASS).unlink()
    (folder / CALC_TEST).unlink()
    with pytest.raises(DataError, match=f"{CALC_TEST}, {MASS} missing"):
        read_case_files(folder)
    with pytest.raises(DataError, match="nowhere: no such folder"):
        read_case_files(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no lesion"),
        (",".join(HEADER).encode(), "holds no lesion"),
        ((",".join(HEADER) + '\nP_00001,"2').encode(), "line 2: not CSV"),
        (",".join(HEADER).replace(",", ";").encode(), "no column 'patient id'"),
        (",".join(HEADER).encode("utf-16"), "no column 'patient id'"),
    ],
)
def test_a_file_that_is_no_case_file_is_refused_in_one_line(case_files, tmp_path, content, message):
    folder = case_files.write(tmp_path / "csv")
    (folder / MASS_TEST).write_bytes(content)
    with pytest.raises(DataError, match=f"{MASS_TEST}: {message}") as said:
        read_case_files(folder)
    assert str(said.value).isprintable()


# Counting


def test_counts_are_those_by_hand(read):
    counts = label_counts(read()[0], replicates=20)
    assert counts["lesion_views"] == {"training": 6, "test": 2, "all": 8}
    assert counts["patients"] == {"training": 4, "test": 2, "all": 5}
    assert counts["by_assessment"]["all"]["merged"] == {
        "C2": [0, 0, 3, 0, 0, 0],
        "C3": [1, 0, 0, 0, 1, 0],
        "C4": [0, 0, 0, 0, 1, 0],
        "C5": [0, 0, 0, 0, 1, 1],
    }
    assert counts["by_assessment"]["test"]["callback_apart"] == {
        "C2 BENIGN": [0, 0, 1, 0, 0, 0],
        "C2 BENIGN_WITHOUT_CALLBACK": [0] * 6,
        "C3 BENIGN": [0] * 6,
        "C3 BENIGN_WITHOUT_CALLBACK": [1, 0, 0, 0, 0, 0],
        "C4 MALIGNANT": [0] * 6,
        "C5 MALIGNANT": [0] * 6,
    }
    agreement = counts["agreement"]
    assert (agreement["agree"], agreement["lesion_views"]) == (5, 8)
    assert agreement["accuracy"]["value"] == 5 / 8
    assert agreement["constant"]["answer"] == 2
    assert agreement["constant"]["accuracy"]["value"] == 3 / 8
    assert agreement["accuracy_less_constant"]["value"] == 2 / 8
    assert counts["agreement_without_0"]["lesion_views"] == 7
    assert counts["c2_agreements"]["agree"] == 3
    assert counts["c2_agreements"]["without_callback"] == 2
    four = counts["malignancy"]["4"]
    assert (four["lesion_views"], four["malignant"], four["patients"]) == (3, 2, 3)
    assert four["rate"] == {"value": round(2 / 3, 6), "interval": None}  # of three patients only
    assert counts["malignancy"]["1"]["rate"] is None
    assert counts["both_sides"] == {
        "patients": 1,
        "within": {"calcification": 0, "mass": 0},
        "lesion_views": {"training": 1, "test": 1, "all": 2},
        "image_names": 1,
    }
    assert counts["image_names"]["training"] == {"names": 5, "one_assessment": 4}
    assert counts["image_names"]["all"] == {"names": 6, "one_assessment": 4}


def test_a_patient_in_one_pair_of_files_twice_is_seen(case_files, read):
    case_files.rows[MASS_TEST].append(row(4, "mass", 4, "BENIGN", side="RIGHT"))
    both = label_counts(read()[0], replicates=5)["both_sides"]
    assert both["patients"] == 2
    assert both["within"] == {"calcification": 0, "mass": 1}


def test_nothing_to_count_is_an_error(read):
    lesions, _ = read()
    with pytest.raises(DataError, match="no lesion-view with a known"):
        label_counts(lesions.assign(apart="unknown"))


def simulated_lesions(patients: int = 60) -> pd.DataFrame:
    """Lesion-views of a random table, one to four a patient."""
    rng = np.random.default_rng(3)
    patient = np.repeat(np.arange(patients), rng.integers(1, 5, patients))
    label = rng.integers(1, 5, len(patient))
    said = np.where(rng.random(len(patient)) < 0.5, label + 1, rng.integers(0, 6, len(patient)))
    return pd.DataFrame(
        {
            "patient": [f"P_{i:05d}" for i in patient],
            "label": label,
            "assessment": said,
            "pathology": np.where(label > 2, "MALIGNANT", "BENIGN"),
            "lesion": np.where(label % 2, "calcification", "mass"),
            "part": "training",
            "image": "",
            "apart": "",
        }
    )


@pytest.mark.parametrize("without_0", [False, True])
def test_agreement_and_intervals_are_those_of_plain_resampling(without_0):
    lesions, replicates, seed = simulated_lesions(), 40, 7
    counts = label_counts(lesions, replicates, seed)
    found = counts["agreement_without_0" if without_0 else "agreement"]
    names = lesions["patient"].unique()
    draws = np.random.default_rng(seed).multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=replicates
    )
    kinds = range(int(without_0), 6)

    def measured(rows: pd.DataFrame) -> list[float]:
        rows = rows[rows["assessment"].isin(kinds)]
        pair = (rows["label"] + 1, rows["assessment"])
        return [
            (pair[0] == pair[1]).mean(),
            cohen_kappa_score(*pair, labels=kinds),
            cohen_kappa_score(*pair, labels=kinds, weights="quadratic"),
            (pair[0] == pair[1]).mean() - (pair[1] == found["constant"]["answer"]).mean(),
        ]

    by_patient = dict(iter(lesions.groupby("patient")))
    resampled = [
        measured(pd.concat([by_patient[n] for n in np.repeat(names, times)])) for times in draws
    ]
    low, high = np.percentile(resampled, [2.5, 97.5], axis=0)
    keys = ("accuracy", "kappa", "quadratic_kappa", "accuracy_less_constant")
    for i, (key, value) in enumerate(zip(keys, measured(lesions), strict=True)):
        assert found[key]["value"] == pytest.approx(value, abs=1e-6), key
        assert found[key]["interval"] == pytest.approx([low[i], high[i]], abs=1e-6), key


def test_rates_of_malignancy_are_those_of_plain_resampling():
    lesions, replicates = simulated_lesions(), 30
    found = label_counts(lesions, replicates, 0)["malignancy"]["4"]
    names = lesions["patient"].unique()
    draws = np.random.default_rng(0).multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=replicates
    )
    fours = lesions[lesions["assessment"] == 4]
    times = pd.DataFrame(draws.T, index=names).loc[fours["patient"]].to_numpy()
    malignant = (fours["label"] > 2).to_numpy()
    rates = times[malignant].sum(0) / times.sum(0)
    assert found["rate"]["value"] == pytest.approx(malignant.mean(), abs=1e-6)
    assert found["rate"]["interval"] == pytest.approx(np.percentile(rates, [2.5, 97.5]), abs=1e-6)
    assert found["acr_bounds"] == [0.02, 0.95]


def test_intervals_depend_on_the_seed_alone():
    lesions = simulated_lesions()
    assert label_counts(lesions, 50, 1) == label_counts(lesions, 50, 1)
    assert label_counts(lesions, 50, 1) != label_counts(lesions, 50, 2)


# The published files


def test_the_shipped_counts_are_those_of_the_published_files(real_data):
    assert count_case_files(real_data / "cbis-ddsm-csv") == shipped_counts()


def test_published_counts_are_those_of_a_few_lines_of_pandas(real_data):
    tables = {}
    for name in NAMES:
        table = pd.read_csv(real_data / "cbis-ddsm-csv" / name)
        tables[name] = table.assign(training="train" in name, mass=name.startswith("mass"))
    rows = pd.concat(tables.values())
    malignant = rows["pathology"] == "MALIGNANT"
    reading = 2 + rows["mass"] + 2 * malignant
    image = rows["patient_id"] + rows["left or right breast"] + rows["image view"]
    shipped = shipped_counts()
    found = shipped["agreement"]
    assert found["agree"] == (reading == rows["assessment"]).sum()
    assert found["constant"]["agree"] == rows["assessment"].value_counts().max()
    for key, weights in (("kappa", None), ("quadratic_kappa", "quadratic")):
        kappa = cohen_kappa_score(reading, rows["assessment"], labels=range(6), weights=weights)
        assert found[key]["value"] == pytest.approx(kappa, abs=1e-6)
    said = rows[rows["training"]].groupby(image[rows["training"]])["assessment"].nunique()
    assert shipped["image_names"]["training"] == {
        "names": len(said),
        "one_assessment": (said == 1).sum(),
    }
    both = set(rows.loc[rows["training"], "patient_id"]) & set(
        rows.loc[~rows["training"], "patient_id"]
    )
    assert shipped["both_sides"]["patients"] == len(both)


def test_the_shipped_counts_name_their_files_and_source():
    shipped = shipped_counts()
    assert {n: file["sha256"] for n, file in shipped["files"].items()} == {
        file.name: file.digest for file in CASE_FILES
    }
    assert shipped["source"] == cbis_labels.SOURCE
    assert shipped["notes"] == []
    assert shipped["bootstrap"]["replicates"] == 2000
    assert sum(file["rows"] for file in shipped["files"].values()) == 3568


def test_the_shipped_counts_lie_in_the_package():
    assert (ROOT / "birads_lib") in SHIPPED.parents


def test_the_page_on_birads_states_the_shipped_counts():
    page = " ".join((ROOT / "book" / "birads_explained.md").read_text(encoding="utf-8").split())
    shipped = shipped_counts()
    found, c2 = shipped["agreement"], shipped["c2_agreements"]
    for sentence in (
        f"there are {found['lesion_views']:,} lesion-views",
        f"with the radiologist in {100 * found['accuracy']['value']:.1f} %",
        f'"{found["constant"]["answer"]}" every time agrees in '
        f"{100 * found['constant']['accuracy']['value']:.1f} %",
        f"expected by chance, is {found['kappa']['value']:.2f}.",
        f"{c2['without_callback']} of the {c2['agree']} agreements at category 2",
    ):
        assert sentence in page
