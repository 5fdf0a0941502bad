"""Judgements against a few lines of NumPy on cells and counts typed here, not on the library."""

from itertools import product

import numpy as np
import pytest

from birads_lib.study import judgements, paper
from birads_lib.study.judgements import structure_table

FIGURE_5 = np.array([[46700, 1946], [290, 6949]])
TABLE_1 = np.array([[1921, 51, 49, 42], [48, 1752, 49, 42], [48, 51, 1329, 42], [48, 51, 49, 1667]])
RATES = np.array([0.93, 0.92, 0.90, 0.93])
PLANNED = np.array([48600, 2103, 1911, 1464, 1812])
WRITTEN = np.array([48596, 2103, 1911, 1463, 1812])
TEST10, CV10 = np.array([6680, 0, 606, 0, 396]), np.array([6680, 558, 36, 369, 39])
CLASSES = ("c2", "c3", "c4", "c5")


def of_figure_5():
    (tn, fp), (fn, tp) = FIGURE_5
    rows, total = FIGURE_5.sum(axis=1), FIGURE_5.sum()
    return {
        "gate-precision": tp / (tp + fp),
        "gate-sensitivity": tp / (tp + fn),
        "gate-specificity": tn / (tn + fp),
        "gate-accuracy": 100 * (tn + tp) / total,
        "figure-5-true-negatives": np.rint(0.96 * rows[0]),
        "figure-5-false-positives": np.rint(0.04 * rows[0]),
        "figure-5-false-negatives": np.rint(0.04 * rows[1]),
        "figure-5-true-positives": np.rint(0.96 * rows[1]),
        "methodology-second-stage": fp + tp,
    }


def of_table_1():
    hits, actual, called, total = TABLE_1.diagonal(), TABLE_1.sum(1), TABLE_1.sum(0), TABLE_1.sum()
    rejected = total - actual - called + hits
    columns = {
        "precision": hits / called,
        "sensitivity": hits / actual,
        "specificity": rejected / (total - actual),
        "accuracy": 100 * (hits + rejected) / total,
    }
    found = {
        f"table-2-{name}-{code}": values[k]
        for name, values in columns.items()
        for k, code in enumerate(CLASSES)
    }
    found |= {f"text-{name}-c2": columns[name][0] for name in list(columns)[:3]}
    return found | {
        "text-total-accuracy": 100 * hits.sum() / total,
        "table-2-definition": columns["accuracy"].round(2),
        "table-2-above-90": columns["accuracy"].round(2),
        "dataset-sum": total,
        "figure-7-total": total,
        "figure-7-test-data": total,
    }


def column_totals():
    """Whole totals that give every cell of Table 1, all up to its sum tried."""
    tried = np.arange(TABLE_1.sum() + 1)
    fits = []
    for k, rate in enumerate(RATES):
        right = np.rint(tried * rate) == TABLE_1[k, k]
        wrong = np.rint(tried * (1 - rate) / 3) == TABLE_1[k - 1, k]
        fits.append(tried[right & wrong])
    ((*totals,),) = (t for t in product(*fits) if sum(t) == TABLE_1.sum())
    return np.array(totals)


def of_columns():
    totals = column_totals()
    cells = np.tile(np.rint(totals * (1 - RATES) / 3), (4, 1))
    np.fill_diagonal(cells, np.rint(totals * RATES))
    found = {
        f"table-1-actual-{actual}-predicted-{predicted}": cells[i, k]
        for i, actual in enumerate(CLASSES)
        for k, predicted in enumerate(CLASSES)
    }
    return found | {
        "figure-7-diagonal": round(totals[0] * 0.93, 2),
        "figure-7-off-diagonal": round(totals[0] * 0.07 / 3, 2),
    }


def of_counts():
    shares = 100 * np.array([PLANNED[0], PLANNED[1:].sum()]) / PLANNED.sum()
    written = 5 * (PLANNED.sum() // 5 - 1)
    assert written == WRITTEN.sum()
    return {
        "abstract-training-samples": written,
        "dataset-training-samples": written,
        "methodology-mammograms": written,
        "abstract-shares": shares.round(2),
        "dataset-shares": shares.round(2),
        "dataset-uninfected": WRITTEN[0],
        "dataset-infected": WRITTEN[1:].sum(),
        "dataset-halves": [TEST10.sum(), CV10.sum()],
        "dataset-test-masses": [TEST10[[2, 4]].sum(), TEST10[[1, 3]].sum()],
        "dataset-validation-calcifications": [CV10[[1, 3]].sum(), CV10[[2, 4]].sum()],
        "introduction-share-of-deaths": round(100 / 6, 1),
    }


EXPECTED = {**of_figure_5(), **of_table_1(), **of_columns(), **of_counts()}


@pytest.fixture(scope="module")
def found():
    return judgements.judgements()


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_recomputed_equals_an_independent_calculation(found, name):
    assert np.asarray(found[name].recomputed) == pytest.approx(np.asarray(EXPECTED[name]))


def test_the_independent_calculation_covers_arithmetic_and_counts(found):
    numbers = (int, float)
    computed = {
        entry.id
        for entry in paper.REGISTER
        if entry.test == "arithmetic" and isinstance(found[entry.id].recomputed, numbers)
    }
    assert computed <= EXPECTED.keys()
    assert len(EXPECTED) >= 40


def test_every_judgement_is_of_a_statement_and_says_why(found):
    for name, judgement in found.items():
        assert paper.statement(name).id == name
        assert judgement.why.endswith(".")
        assert judgement.measured is None


def test_stages_are_told_from_likelihoods(found):
    assert found["dataset-tnm-stages"].recomputed == "0 to IV"
    assert found["birads-stage"].verdict == "does not hold"
    assert found["birads-seven-types"].recomputed == 7
    assert found["dataset-two-classes"].recomputed == ["C1", "C2 to C5"]


def test_the_text_beside_itself_shows_each_statement_with_its_reason(found):
    table = structure_table()
    assert {"conclusion-classes", "mobilenet-mri", "dataset-tnm-stages"} <= set(table.index)
    assert table.loc["introduction-three-sections", "found"] == "6"
    assert table.loc["dataset-tnm-methods", "found"] == "T, N, M"
    assert table.loc["discussion-features", "found"] == "\u2013"
    for name, row in table.iterrows():
        assert paper.statement(name).quote in row["claim"]
        assert (row["verdict"], row["why"]) == (found[name].verdict, found[name].why)
