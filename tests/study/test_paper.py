"""What the paper prints: the arithmetic that its own numbers allow."""

import re
from pathlib import Path

import numpy as np
import pytest

from birads_lib import metrics
from birads_lib.errors import UsageError
from birads_lib.study import paper

ROOT = Path(__file__).resolve().parents[2]


def test_both_matrices_hold_the_counts_of_the_text():
    assert paper.FIGURE_5.sum(axis=1).tolist() == [paper.UNINFECTED, paper.INFECTED]
    assert paper.TABLE_1.sum() == paper.INFECTED
    assert paper.FIGURE_5.sum() == paper.TRAINING_SAMPLES["methodology"]


def test_gate_figures_of_the_text_follow_from_figure_5():
    infected = metrics.class_figures(paper.FIGURE_5).loc[1]
    for name, printed in paper.GATE_TEXT.items():
        assert infected[name] == pytest.approx(printed, abs=5e-4)


def test_table_2_follows_from_table_1_but_for_the_column_accuracy():
    figures = metrics.class_figures(paper.TABLE_1)
    assert np.allclose(figures["precision"], paper.TABLE_2["Precision"], atol=5e-3)
    assert np.allclose(figures["sensitivity"], paper.TABLE_2["Sensitivity"], atol=1e-3)
    assert np.allclose(figures["specificity"], paper.TABLE_2["Specificity"], atol=1e-3)
    assert np.allclose(100 * figures["precision"], paper.TABLE_2["Accuracy"], atol=0.5)
    assert (100 * figures["accuracy"] - paper.TABLE_2["Accuracy"].to_numpy() > 2).all()


def test_tables_keep_the_papers_layout():
    table = paper.table_1()
    assert table.index.tolist() == [f"Actual C{i}" for i in range(2, 6)]
    assert table.columns.tolist() == [f"Predicted C{i}" for i in range(2, 6)]
    assert table.loc["Actual C3", "Predicted C2"] == 48


def test_the_register_holds_every_kind_of_statement_once():
    ids = [entry.id for entry in paper.REGISTER]
    assert len(ids) >= 60
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in ids)
    assert {entry.test for entry in paper.REGISTER} == set(paper.TESTS)
    assert all(entry.where and entry.value not in ("", None) for entry in paper.REGISTER)


def test_every_quote_is_short():
    assert all(3 <= len(entry.quote) <= 90 for entry in paper.REGISTER)


def test_every_quote_stands_in_the_paper():
    texts = sorted((ROOT.parent / "shared" / "paper").glob("*.txt"))
    if not texts:
        pytest.skip("the paper's text is absent, so quotations cannot be looked up in it")
    text = " ".join(texts[0].read_text(encoding="utf-8").split())
    assert [e.id for e in paper.REGISTER if " ".join(e.quote.split()) not in text] == []


def test_the_register_has_every_printed_cell():
    values = {entry.id: entry.value for entry in paper.REGISTER}
    figure_5 = [values[n] for n in values if n.startswith("figure-5-")]
    assert figure_5 == [46700, 1946, 290, 6949]
    table_1 = [values[n] for n in values if n.startswith("table-1-")]
    assert table_1 == paper.TABLE_1.ravel().tolist()
    table_2 = [values[n] for n in values if re.fullmatch(r"table-2-[a-z]+-c\d", n)]
    assert table_2 == paper.TABLE_2.to_numpy().ravel().tolist()


@pytest.mark.parametrize(
    ("place", "least"),
    [
        ("I", 8),
        ("III.1", 9),
        ("III, equation (6)", 2),
        ("II", 14),
        ("III.5", 30),
        ("References [19]", 1),
    ],
)
def test_no_section_is_left_out(place, least):
    assert sum(entry.where == place for entry in paper.REGISTER) >= least


def test_numbers_told_of_other_work_are_those_of_its_sentences():
    told = {
        "literature-abdulaal": 98.08,
        "literature-abdulaal-original": 94.99,
        "literature-abdulaal-multiclass": 94.63,
        "literature-abdulaal-unmodified": 85.06,
        "literature-saber-auc": 0.995,
        "literature-saber-f-score": 97.66,
        "literature-szegedy-momentum": 0.9,
        "literature-islam-patients": 500,
    }
    for name, value in told.items():
        entry = paper.statement(name)
        assert entry.value == value
        assert str(value) in entry.quote


def test_a_statement_is_found_by_its_id_alone():
    assert paper.statement("dataset-infected").value == 7239
    with pytest.raises(UsageError, match="statement: unknown 'dataset-infekted'"):
        paper.statement("dataset-infekted")
