"""Kappa against scikit-learn and by hand; the bound of a reader who knows the class alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score

from birads_lib.agreement import best_answers, kappas

MATRIX = np.array([[20, 5, 0], [10, 15, 4], [1, 3, 30]])
BY_CLASS = np.array([[8, 1, 3, 0], [2, 6, 6, 1], [0, 2, 9, 5], [0, 1, 4, 12]])


def readings(matrix) -> tuple[np.ndarray, np.ndarray]:
    """The two readers' answers, one an element, that a matrix counts."""
    rows, columns = np.indices(np.shape(matrix)).reshape(2, -1)
    return np.repeat(rows, np.ravel(matrix)), np.repeat(columns, np.ravel(matrix))


@pytest.mark.parametrize(("power", "weights"), [(0, None), (1, "linear"), (2, "quadratic")])
def test_kappas_agree_with_scikit_learn(power, weights):
    matrices = np.stack([MATRIX, MATRIX.T, np.diag([3, 2, 1])])
    expected = [cohen_kappa_score(*readings(m), weights=weights) for m in matrices]
    np.testing.assert_allclose(kappas(matrices, power), expected, atol=1e-12)


def test_kappa_by_hand():
    # Agree 60 + 20 of 100; by chance .7 * .7 + .3 * .3 = .58.
    assert kappas([[60, 10], [10, 20]]) == pytest.approx((0.8 - 0.58) / (1 - 0.58))


def test_kappa_of_readers_with_one_answer_is_not_defined():
    assert np.isnan(kappas([[5, 0], [0, 0]]))


def test_best_answers_are_the_best_of_all_ways_to_answer():
    classes, actual = readings(BY_CLASS)
    found = best_answers(BY_CLASS, (2, 3, 4, 5))
    ways = list(itertools.product(range(4), repeat=4))
    said = [np.array(way)[classes] for way in ways]
    accuracy = max(accuracy_score(actual, answers) for answers in said)
    quadratic = max(cohen_kappa_score(actual, a, weights="quadratic") for a in said)
    assert found["accuracy"]["value"] == pytest.approx(accuracy)
    assert found["quadratic_kappa"]["value"] == pytest.approx(quadratic)
    assert found["accuracy"]["answers"] == [2, 3, 4, 5]


def test_answers_mixed_within_a_class_do_not_beat_the_bound():
    bound = best_answers(BY_CLASS, (2, 3, 4, 5))["quadratic_kappa"]["value"]
    rng = np.random.default_rng(0)
    for _ in range(200):
        shares = rng.dirichlet(np.full(4, 0.3), 4)  # expected counts of a reader who draws
        matrix = np.einsum("ca,cp->ap", BY_CLASS, shares)
        assert kappas(matrix, 2) <= bound + 1e-12


def test_a_class_that_decides_the_category_bounds_nothing():
    found = best_answers(np.eye(4) * 7, (2, 3, 4, 5))
    assert {name: figure["value"] for name, figure in found.items()} == {
        "accuracy": 1, "kappa": 1, "linear_kappa": 1, "quadratic_kappa": 1,
    }  # fmt: skip


def test_a_class_that_says_nothing_bounds_kappa_by_chance():
    found = best_answers(np.ones((4, 4)), (2, 3, 4, 5))
    assert found["accuracy"]["value"] == 0.25
    assert found["quadratic_kappa"]["value"] == pytest.approx(0)


def test_where_all_have_one_category_the_best_kappa_is_chance():
    found = best_answers([[3, 0], [2, 0]], (2, 3))
    assert found["accuracy"]["value"] == 1
    assert found["quadratic_kappa"]["value"] == 0


def test_counts_may_be_lists_of_whole_numbers_as_large_as_they_come():
    large = [[300_000_000, 100_000_000], [100_000_000, 300_000_000]]
    small = np.asarray(large, np.int32)
    assert kappas(small) == pytest.approx(kappas(np.array(large, float)))
    assert kappas(small) == pytest.approx(0.5)


def test_plain_kappa_is_what_is_meant_unless_told():
    assert kappas(MATRIX) == kappas(MATRIX, 0)
    assert kappas(MATRIX) != kappas(MATRIX, 1)


def test_a_bound_is_no_estimate_and_has_no_interval():
    for figure in best_answers(BY_CLASS, (2, 3, 4, 5)).values():
        assert set(figure) == {"value", "interval", "answers"}
        assert figure["interval"] is None
