"""Recalibration: what a shift of logits takes is given back; nobody fits and judges at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from birads_lib.errors import DataError, UsageError
from birads_lib.labels import LESION_CODES
from birads_lib.metrics import evaluate
from birads_lib.recalibration import (
    METHODS,
    OUTCOMES,
    calibration_error,
    draw_women,
    fit_platt,
    fit_threshold,
    judge,
    possible_sizes,
    recalibrate,
    spread,
)

SHIFT = 2.5


def sigmoid(z):
    return 1 / (1 + np.exp(-np.asarray(z, float)))


def log_odds(p):
    return np.log(p / (1 - p))


@pytest.fixture(scope="module")
def shifted():
    """Forty women of six tiles; infected tiles lie at logits of .5 to 3, others mirrored.

    All logits are moved by ``SHIFT``: gate (N,), infected (N,), groups (N,).
    """
    infected = np.tile([True, False], 20).repeat(6)
    distance = np.tile(np.linspace(0.5, 3, 6), 40)
    groups = np.array([f"woman {i:02d}" for i in range(40)], object).repeat(6)
    return sigmoid(np.where(infected, distance, -distance) + SHIFT), infected, groups


# Drawing women


def test_drawn_women_come_whole_and_as_many_as_asked(shifted):
    _, infected, groups = shifted
    drawn = draw_women(groups, infected, 5, draws=30, seed=1)
    assert drawn.shape == (30, len(groups))
    assert drawn.dtype == bool
    for mask in drawn:
        assert len(set(groups[mask])) == 5
        assert not set(groups[mask]) & set(groups[~mask])


def test_either_side_has_tiles_of_either_kind(shifted):
    _, infected, groups = shifted
    for mask in draw_women(groups, infected, 2, draws=100):
        assert set(infected[mask]) == set(infected[~mask]) == {True, False}


def test_draws_differ_and_follow_the_seed(shifted):
    _, infected, groups = shifted
    first, again, other = (draw_women(groups, infected, 5, 30, seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()
    assert len({mask.tobytes() for mask in first}) > 25


def test_order_of_tiles_and_mixed_women_do_not_matter_to_wholeness():
    groups = np.array(["a", "b", "c", "d"] * 3, object)
    infected = np.array([True, False, True, False] + [False] * 8)
    for mask in draw_women(groups, infected, 2, draws=20):
        assert len(set(groups[mask])) == 2
        assert not set(groups[mask]) & set(groups[~mask])
        assert infected[mask].any()
        assert infected[~mask].any()


def test_a_single_infected_woman_cannot_stand_on_both_sides():
    groups = np.array(["a", "b", "c", "d"], object)
    infected = np.array([True, False, False, False])
    with pytest.raises(DataError, match="without infected") as caught:
        draw_women(groups, infected, 2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("women", [0, 40, 100])
def test_an_impossible_number_of_women_is_named(shifted, women):
    _, infected, groups = shifted
    with pytest.raises(UsageError, match=f"women: {women} given; expected 1 to 39"):
        draw_women(groups, infected, women)


def test_half_of_the_women_are_left_to_judge_by():
    groups = np.arange(21).astype(str).repeat(2)
    assert possible_sizes(groups, [2, 5, 10, 11, 20]) == [2, 5, 10]
    with pytest.raises(DataError, match="3 women"):
        possible_sizes(np.array(["a", "b", "c"]), [2, 5])


# Fitting


def test_the_threshold_moves_with_the_logits():
    infected = np.array([False, False, False, True, True])
    logits = np.array([-2.0, -1.0, -0.4, 0.4, 1.5])
    assert fit_threshold(sigmoid(logits), infected) == pytest.approx(0.5)
    assert fit_threshold(sigmoid(logits + SHIFT), infected) == pytest.approx(sigmoid(SHIFT))


def test_the_threshold_has_the_highest_balanced_accuracy():
    rng = np.random.default_rng(0)
    gate, infected = rng.random(200), rng.random(200) < 0.3
    gate[infected] **= 0.5

    def balanced(threshold):
        called = gate >= threshold
        return (called[infected].mean() + (~called[~infected]).mean()) / 2

    best = max(balanced(threshold) for threshold in np.linspace(0, 1, 5001))
    assert balanced(fit_threshold(gate, infected)) == pytest.approx(best)


def test_a_gate_that_says_one_thing_gets_a_threshold_it_meets():
    assert fit_threshold(np.full(4, 0.7), np.array([True, False, True, False])) == pytest.approx(
        0.7
    )


def two_levels(hits, others):
    """Tiles at logits 1 and -1; ``hits`` and ``others`` infected and not at each."""
    logits = np.repeat([1.0, -1.0, 1.0, -1.0], [*hits, *others])
    return logits, np.repeat([True, True, False, False], [*hits, *others])


def test_platt_scaling_of_two_levels_is_as_worked_out_by_hand():
    logits, infected = two_levels(hits=(30, 10), others=(8, 24))
    high, low = 41 / 42, 1 / 34  # Platt's targets of 40 infected and 32 other tiles
    at_1 = log_odds((30 * high + 8 * low) / 38)
    at_minus_1 = log_odds((10 * high + 24 * low) / 34)
    fitted = fit_platt(sigmoid(logits), infected)
    assert fitted.slope == pytest.approx((at_1 - at_minus_1) / 2, abs=1e-4)
    assert fitted.intercept == pytest.approx((at_1 + at_minus_1) / 2, abs=1e-4)


def test_platt_scaling_undoes_a_shift_exactly():
    logits, infected = two_levels(hits=(30, 10), others=(8, 24))
    plain, moved = sigmoid(logits), sigmoid(logits + SHIFT)
    original, undone = fit_platt(plain, infected), fit_platt(moved, infected)
    assert undone.slope == pytest.approx(original.slope, abs=1e-4)
    assert undone.intercept == pytest.approx(original.intercept - SHIFT * original.slope, abs=1e-4)
    assert undone(moved) == pytest.approx(original(plain), abs=1e-5)


def test_a_calibrated_gate_with_many_tiles_stays_as_it_is():
    share = sigmoid([1.0, -1.0])
    hits = np.rint(100_000 * share).astype(int)
    logits, infected = two_levels(hits, 100_000 - hits)
    fitted = fit_platt(sigmoid(logits), infected)
    assert fitted.slope == pytest.approx(1, abs=1e-3)
    assert fitted.intercept == pytest.approx(0, abs=1e-3)


def test_perfectly_parted_tiles_and_certain_gates_stay_finite():
    gate, infected = np.array([0.0, 0.0, 1.0]), np.array([False, False, True])
    fitted = fit_platt(gate, infected)
    assert np.isfinite([fitted.slope, fitted.intercept]).all()
    assert fitted(gate) == pytest.approx([1 / 4, 1 / 4, 2 / 3], abs=1e-3)  # Platt's targets


# Judging


def test_figures_are_of_the_judged_tiles_alone():
    infected = np.array([True, True, False, False, False, True])
    gate = np.array([[0.9, 0.2, 0.8, 0.1, 0.3, 0.6]] * 2)
    judged = np.array([[True] * 6, [True, True, False, False, True, False]])
    found = judge(gate, infected, np.array([0.5, 0.2]), judged)
    assert set(found) == set(OUTCOMES)
    assert found["sensitivity"] == pytest.approx([2 / 3, 1])
    assert found["specificity"] == pytest.approx([2 / 3, 0])
    assert found["balanced_accuracy"] == pytest.approx([2 / 3, 1 / 2])
    # In the second draw every tile has a bin of its own: .1, .8 and .3 apart.
    assert found["calibration_error"][1] == pytest.approx((0.1 + 0.8 + 0.3) / 3)


def test_calibration_error_is_that_of_the_metrics():
    rng = np.random.default_rng(3)
    gate, infected = rng.random(300), rng.random(300) < 0.4
    rows = {"tile": np.arange(300).astype(str), "group": np.arange(300), "label": infected * 1}
    facts = {"split": "", "stage": "gate", "protocol": "", "seed": 0, "model": "", "threshold": 0.5}
    table = pd.DataFrame({**rows, **facts, "gate": gate, **dict.fromkeys(LESION_CODES, np.nan)})
    known = evaluate(table, "gate", replicates=2)["overall"]["expected_calibration_error"]["value"]
    found = calibration_error(gate[np.newaxis], infected, np.ones((1, 300), bool))
    assert found == pytest.approx([known])


# The whole


@pytest.fixture(scope="module")
def outcomes(shifted):
    return recalibrate(*shifted, [2, 10], draws=8)


def test_each_number_draw_and_method_has_its_row(outcomes):
    assert len(outcomes) == 2 * 8 * len(METHODS)
    assert not outcomes.duplicated(["women", "draw", "method"]).any()
    assert (outcomes["fitted_tiles"] == 6 * outcomes["women"]).all()
    assert (outcomes["fitted_tiles"] + outcomes["judged_tiles"] == 240).all()
    assert ((outcomes[list(OUTCOMES)] >= 0) & (outcomes[list(OUTCOMES)] <= 1)).all(axis=None)


def test_a_shift_costs_specificity_and_two_women_give_it_back(outcomes):
    by_method = outcomes.groupby("method")
    trained, threshold, platt = (by_method.get_group(name) for name in METHODS)
    assert (trained["sensitivity"] == 1).all()
    assert trained["specificity"].to_numpy() == pytest.approx(1 / 6)  # only a logit of -3 is left
    for mended in (threshold, platt):
        assert (mended["balanced_accuracy"] == 1).all()
    assert (platt["calibration_error"].to_numpy() < trained["calibration_error"].to_numpy()).all()
    kept = threshold["calibration_error"].to_numpy()
    assert kept == pytest.approx(trained["calibration_error"].to_numpy())


def test_spread_is_the_median_and_the_middle_nine_tenths():
    values = np.linspace(0, 1, 21)
    table = pd.DataFrame({"women": 2, "method": "as trained", **dict.fromkeys(OUTCOMES, values)})
    found = spread(table).loc[(2, "as trained")]
    for outcome in OUTCOMES:
        assert found[outcome].to_dict() == pytest.approx({"low": 0.05, "middle": 0.5, "high": 0.95})
