"""BI-RADS of tiles: stated, looked up by name, drawn by lesion; who teaches and who judges."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from birads_lib.errors import DataError
from birads_lib.tiles.assessments import (
    DRAWN,
    LOOKED_UP,
    STATED,
    Assessments,
    assessments_by_name,
    assessments_of,
    conditional_table,
    drawn_assessments,
    graded_parts,
)
from birads_lib.tiles.cbis_labels import CASE_FILES
from birads_lib.tiles.store import TileStore

HEADER = (
    "patient_id,breast_density,left or right breast,image view,abnormality id,abnormality type,"
    "assessment,pathology,subtlety\n"
)


def lesions_table(lesions: int, crops: int = 3) -> pd.DataFrame:
    """``crops`` tiles a lesion, labels 1..4 in turn, and a normal tile after each lesion."""
    label = np.array([*range(1, 5)] * -(-lesions // 4))[:lesions]
    rows = [
        {"label": k, "lesion": f"L{i:05d}" if k else "", "group": f"P{i:05d}"}
        for i, lesion_label in enumerate(label)
        for k in [lesion_label] * crops + [0]
    ]
    return pd.DataFrame(rows)


def store_of(table: pd.DataFrame, simulated: bool) -> TileStore:
    images = np.zeros((len(table), 1, 1), np.uint8)
    return TileStore(None, images, table, {"simulated": simulated, "digest": ""})


@pytest.fixture
def case_files(tmp_path):
    """Four case files: two images with one assessment, one with two."""
    rows = {
        "calc": "P_00001,3,LEFT,CC,1,{},2,BENIGN,3\n",
        "mass": (
            "P_00002,3,RIGHT,MLO,1,{},5,MALIGNANT,3\n"
            "P_00003,3,LEFT,CC,1,{},3,BENIGN,3\nP_00003,3,LEFT,CC,2,{},4,BENIGN,3\n"
        ),
    }
    for file in CASE_FILES:
        text = rows[file.name[:4]].replace("{}", file.lesion)
        if file.part == "test":
            text = text.replace("P_0", "P_1")
        (tmp_path / file.name).write_text(HEADER + text)
    return tmp_path


def named(*names: str) -> pd.DataFrame:
    parts = pd.DataFrame([name.split("-") for name in names], columns=["patient", "side", "view"])
    return parts.assign(label=1, lesion=list(names), group=parts["patient"])


NAMED = named("P_00001-LEFT-CC", "P_00002-RIGHT-MLO", "P_00003-LEFT-CC", "--", "P_10002-RIGHT-MLO")


# Drawn


def test_shares_are_those_of_the_real_lesion_views():
    shares = conditional_table()
    # 552 / 60 / 546 / 2 lesion-views of C2 at 2, 3, 4, 5; 39 at 0 are left out.
    np.testing.assert_allclose(shares.loc["C2"], np.array([552, 60, 546, 2]) / 1160)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert shares.columns.tolist() == [2, 3, 4, 5]


def test_all_crops_of_a_lesion_share_their_assessment_and_normals_have_none():
    table = lesions_table(40)
    drawn = drawn_assessments(table)
    assert drawn.dtype == "Int64"
    assert drawn[table["label"] == 0].isna().all()
    assert drawn[table["label"] > 0].isin([2, 3, 4, 5]).all()
    assert drawn.groupby(table["lesion"]).nunique().drop("").eq(1).all()


def test_the_seed_and_the_lesion_decide_whatever_the_order():
    table = lesions_table(200)
    shuffled = table.sample(frac=1, random_state=3)
    drawn = drawn_assessments(table, seed=7)
    pd.testing.assert_series_equal(drawn_assessments(shuffled, seed=7).sort_index(), drawn)
    assert (drawn_assessments(table, seed=8).dropna() != drawn.dropna()).any()


def test_shares_drawn_are_those_of_the_table():
    table = lesions_table(40_000, crops=1)
    drawn = drawn_assessments(table)
    lesions = table["label"] > 0
    found = pd.crosstab(table["label"][lesions], drawn[lesions].astype(int), normalize="index")
    np.testing.assert_allclose(found, conditional_table(), atol=0.02)


def test_a_certain_table_is_followed_exactly():
    shares = pd.DataFrame(np.eye(4)[::-1], index=["C2", "C3", "C4", "C5"], columns=[2, 3, 4, 5])
    table = lesions_table(8, crops=1)
    drawn = drawn_assessments(table, shares=shares)
    assert drawn.dropna().tolist() == [5, 4, 3, 2] * 2


# Looked up


def test_an_image_with_one_assessment_gives_it_to_its_tiles(case_files):
    found = assessments_by_name(NAMED, case_files)
    assert found.iloc[[0, 1, 4]].tolist() == [2, 5, 5]
    assert found.iloc[[2, 3]].isna().all()


def test_tiles_of_another_set_are_refused(case_files):
    with pytest.raises(DataError, match="no tile names an image of these files") as error:
        assessments_by_name(named("mdb001-LEFT-MLO"), case_files)
    assert "\n" not in str(error.value)


# From the store


def test_a_column_goes_before_all_other_sources(case_files):
    stated = pd.array([0, 1, 4, None, 5], "Int64")
    for simulated in (False, True):
        store = store_of(NAMED.assign(assessment=stated), simulated)
        found = assessments_of(store, case_files)
        assert found.source == STATED
        assert found.grades.isna().tolist() == [True, True, False, True, False]
        assert found.grades.dropna().tolist() == [4, 5]


def test_a_normal_tile_has_no_grade_whatever_its_column_says():
    table = NAMED.assign(assessment=pd.array([2, 2, 2, 2, 2], "Int64"), label=[0, 1, 1, 0, 1])
    found = assessments_of(store_of(table, simulated=False))
    assert found.grades.isna().tolist() == [True, False, False, True, False]


def test_a_simulated_store_draws_and_a_real_one_never_does(case_files):
    simulated = assessments_of(store_of(NAMED, simulated=True), case_files, seed=2)
    assert simulated.source == DRAWN
    pd.testing.assert_series_equal(simulated.grades, drawn_assessments(NAMED, 2))
    assert assessments_of(store_of(NAMED, simulated=False)) is None
    assert assessments_of(store_of(NAMED, simulated=False), case_files).source == LOOKED_UP


def test_a_column_that_grades_nothing_is_no_source():
    table = NAMED.assign(assessment=pd.array([0, 1, None, 0, 1], "Int64"))
    assert assessments_of(store_of(table, simulated=False)) is None


def test_a_simulated_set_keeps_its_own_lesions_together(store):
    found = assessments_of(store)
    by_lesion = found.grades.groupby(store.table["lesion"]).nunique().drop("")
    assert by_lesion.eq(1).all()
    assert found.grades.notna().equals(store.table["label"] > 0)


# Parts


def parts_of(graded_held_out: bool) -> tuple[pd.DataFrame, pd.Series, Assessments]:
    split = ["train"] * 40 + ["validation"] * 6 + ["aside"] * 2 + ["held-out"] * 4
    table = pd.DataFrame({"group": [f"P{i // 2:02d}" for i in range(52)]})
    values = pd.Series([4] * 52, dtype="Int64")
    values[[0, 41]] = pd.NA
    if not graded_held_out:
        values[48:] = pd.NA
    return table, pd.Series(split), Assessments(values, STATED)


def test_parts_stay_where_held_out_tiles_have_grades():
    table, split, assessed = parts_of(graded_held_out=True)
    parts = graded_parts(table, split, assessed)
    unchanged = ~parts.index.isin([0, 41, 46, 47])
    assert parts[unchanged].equals(split[unchanged].rename("split"))
    assert (parts[[0, 41, 46, 47]] == "").all()


def test_the_validation_part_judges_where_held_out_tiles_have_none():
    table, split, assessed = parts_of(graded_held_out=False)
    parts = graded_parts(table, split, assessed)
    assert sorted(parts.index[parts == "held-out"]) == [40, 42, 43, 44, 45]
    assert parts.value_counts()["validation"] == 3  # groups P00 and P10, one tile has no grade
    groups = {name: set(table["group"][parts == name]) for name in set(parts) - {""}}
    assert set(groups) == {"train", "validation", "held-out"}
    for first, second in itertools.combinations(groups.values(), 2):
        assert not first & second
