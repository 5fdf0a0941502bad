"""The findings, against a few lines of NumPy on the printed cells or numbers typed here."""

import subprocess
import sys

import numpy as np
import pytest

from birads_lib.errors import UsageError
from birads_lib.study import arithmetic

TABLE_1 = np.array([[1921, 51, 49, 42], [48, 1752, 49, 42], [48, 51, 1329, 42], [48, 51, 49, 1667]])
FIGURE_5 = np.array([[46700, 1946], [290, 6949]])


def test_implied_table_2_equals_a_calculation_by_hand():
    hits, total = np.diag(TABLE_1), TABLE_1.sum()
    actual, called = TABLE_1.sum(1), TABLE_1.sum(0)
    implied = arithmetic.implied_table_2()
    assert np.allclose(implied["precision"], hits / called)
    assert np.allclose(implied["sensitivity"], hits / actual)
    rejected = total - actual - called + hits
    assert np.allclose(implied["specificity"], rejected / (total - actual))
    assert np.allclose(implied["accuracy"], (hits + rejected) / total)
    assert (100 * implied["accuracy"]).round(2).tolist() == [96.05, 95.97, 96.02, 96.21]


def test_implied_gate_equals_a_calculation_by_hand():
    (tn, fp), (fn, tp) = FIGURE_5
    gate = arithmetic.implied_gate()
    expected = [tp / (tp + fp), tp / (tp + fn), tn / (tn + fp), (tp + tn) / FIGURE_5.sum()]
    assert np.allclose(gate, expected)
    assert gate.round(4).tolist() == [0.7812, 0.9599, 0.9600, 0.9600]


def test_overall_accuracy_is_6669_of_7239():
    assert arithmetic.overall_accuracy(TABLE_1) == pytest.approx(6669 / 7239)


def test_cells_of_table_2_that_do_not_follow_are_the_accuracies_and_two_specificities():
    check = arithmetic.table_2_check()
    assert len(check) == 16
    wrong = set(check.index[~check["rounds"]])
    assert wrong == {
        ("C2", "Accuracy"), ("C3", "Accuracy"), ("C4", "Accuracy"), ("C5", "Accuracy"),
        ("C3", "Specificity"), ("C4", "Specificity"),
    }  # fmt: skip
    assert check.loc[("C4", "Specificity"), "cut"]
    assert not check.loc[("C3", "Specificity"), "cut"]
    assert check.loc[("C3", "Specificity"), "implied"] == pytest.approx(0.97139, abs=5e-6)
    assert check.loc[("C4", "Specificity"), "implied"] == pytest.approx(0.97452, abs=5e-6)
    assert arithmetic.accuracy_is_precision()


@pytest.mark.parametrize(
    ("value", "printed", "places", "rounds", "cut"),
    [
        (0.97452, 0.974, 3, False, True),
        (0.97452, 0.975, 3, True, False),
        (92.5, 93, 0, True, False),
    ],
)
def test_rounding_and_cutting_are_told_apart(value, printed, places, rounds, cut):
    assert arithmetic.rounds_to(value, printed, places) == rounds
    assert arithmetic.cut_to(value, printed, places) == cut


def test_class_sums_show_fifty_tiles_on_the_other_side():
    sums = arithmetic.class_sums()
    assert sums["printed"].tolist() == [48646, 2063, 1891, 1470, 1815, 7239]
    assert sums["training files"].tolist() == [48596, 2103, 1911, 1463, 1812, 7289]
    assert sums["difference"].tolist() == [50, -40, -20, 7, 3, -50]
    assert arithmetic.moved() == 50


def test_the_writing_loop_leaves_out_one_row_a_file():
    written, left_out = arithmetic.replay_writing_loop()
    assert left_out.tolist() == [38177, 43524, 32287, 7125, 45687]
    assert [len(rows) for rows in written] == [11177] * 5
    every = np.sort(np.concatenate([*written, left_out]))
    assert np.array_equal(every, np.arange(55890))


def test_the_writing_loop_wants_equal_files():
    with pytest.raises(UsageError, match="7 rows do not divide into 5"):
        arithmetic.replay_writing_loop(rows=7)


def test_cells_off_the_diagonal_are_constant_in_each_column():
    assert arithmetic.column_constants() == [48, 51, 49, 42]
    changed = TABLE_1.copy()
    changed[1, 0] = 47
    assert arithmetic.column_constants(changed) == [None, 51, 49, 42]
    assert arithmetic.integer_solutions(changed) == []


def test_one_set_of_totals_regenerates_all_sixteen_cells():
    (totals,) = arithmetic.integer_solutions()
    assert totals == (2066, 1904, 1477, 1792)
    assert np.array_equal(arithmetic.regenerate(totals), TABLE_1)


def test_totals_that_fit_each_column_are_told_apart_from_those_that_fit_together():
    assert arithmetic.fitting_totals() == [[2066], [1904], [1477], [1792, 1793]]
    changed = TABLE_1.copy()
    changed[1, 0] = 47
    assert arithmetic.fitting_totals(changed) == [[], [1904], [1477], [1792, 1793]]


def test_no_other_totals_do_by_trying_every_one_up_to_the_whole():
    found = []
    for k, rate in enumerate((0.93, 0.92, 0.90, 0.93)):
        tried = np.arange(7240)
        off = TABLE_1[k - 1, k]
        fits = (np.rint(tried * rate) == TABLE_1[k, k]) & (np.rint(tried * (1 - rate) / 3) == off)
        found.append(tried[fits].tolist())
    assert found == [[2066], [1904], [1477], [1792, 1793]]
    assert [sum((2066, 1904, 1477, last)) for last in found[3]] == [7239, 7240]


def test_the_whole_percentages_that_fit_are_those_of_table_2():
    assert arithmetic.percent_rates() == [[93], [92], [90], [93]]


def test_the_numbers_of_the_text_are_cells_before_rounding():
    diagonal, off = arithmetic.unrounded_column(2066)
    assert round(diagonal, 1) == 1921.4
    assert round(off, 1) == 48.2


def test_figure_5_is_96_and_4_percent_of_each_row():
    assert np.array_equal(arithmetic.regenerate_figure_5(), FIGURE_5)
    assert FIGURE_5.sum() == 55885


def test_bounds_of_an_end_to_end_figure():
    bound = arithmetic.end_to_end()
    right = TABLE_1.trace()
    assert bound["right"].tolist() == pytest.approx([6379, 6949 * right / 7239, right])
    assert bound["of the infected"].tolist() == pytest.approx([0.8812, 0.8844, 0.9213], abs=5e-5)
    assert bound.loc["best case", "of those scored"] == pytest.approx(6669 / 8895)
    assert bound.loc["worst case", "of all tiles"] == pytest.approx((46700 + 6379) / 55885)
    by_class = np.array([0.931, 0.926, 0.904, 0.918]) * 6949 / 7239
    assert np.allclose(arithmetic.independent_by_class(), by_class)


def test_no_arrangement_of_wrong_tiles_leaves_the_bounds():
    rng = np.random.default_rng(0)
    missed, wrong = np.arange(7239) < 290, np.arange(7239) < 7239 - 6669
    bound = arithmetic.end_to_end()["right"]
    for _ in range(20):
        right = 7239 - (missed | rng.permutation(wrong)).sum()
        assert bound["worst case"] <= right <= bound["best case"]


def test_shares_are_nearer_87_and_13_than_86_and_14():
    shares = arithmetic.shares()
    assert shares["printed"].tolist() == pytest.approx([86, 14])
    assert shares["planned rows"].round(2).tolist() == [86.96, 13.04]
    assert shares["Figure 5"].round(2).tolist() == [87.05, 12.95]


def test_the_chapters_on_numbers_need_no_tensorflow():
    code = (
        "import sys, birads_lib.metrics, birads_lib.study.figures, birads_lib.study.run,"
        "birads_lib.study.arithmetic, birads_lib.study.verdicts;"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
