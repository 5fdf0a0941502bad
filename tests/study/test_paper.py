"""What the paper prints: the arithmetic that its own numbers allow."""

import numpy as np
import pytest

from birads_lib import metrics
from birads_lib.study import paper


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
