"""Figures of merit: the paper's own by hand, ranks against scikit-learn, intervals by groups."""

from __future__ import annotations

import itertools
import json
import time

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from birads_lib.errors import DataError, StudyError, UsageError
from birads_lib.labels import LESION_CODES
from birads_lib.metrics import (
    BIRADS_COLUMNS,
    CLASS_NAMES,
    GRADE_SCORES,
    PREDICTION_COLUMNS,
    STAGES,
    _draw_groups,
    actual_class,
    agreement,
    check_predictions,
    class_figures,
    class_scores,
    confusion_matrix,
    evaluate,
    in_words,
    intervals_in_words,
    malignancy_by_grade,
    mcnemar,
    mean_with_interval,
    overall_figures,
    peak_signal_to_noise,
    precision_at,
    predicted_class,
    share_with_interval,
    shares_by_third,
    summarise,
)

NAN = float("nan")

# Rows actual, columns predicted, as printed.
FIGURE_5 = [[46_700, 1_946], [290, 6_949]]
TABLE_1 = [
    [1921, 51, 49, 42],
    [48, 1752, 49, 42],
    [48, 51, 1329, 42],
    [48, 51, 49, 1667],
]


def table_of(stage: str, label, gate=1.0, scores=None, group=None, threshold=0.5) -> pd.DataFrame:
    """Predictions of one stage; each tile its own group unless given."""
    count = len(label)
    table = pd.DataFrame(
        {
            "tile": [f"t/{i:05d}" for i in range(count)],
            "group": np.arange(count) if group is None else group,
            "split": "held-out",
            "label": label,
            "stage": stage,
            "protocol": "official",
            "seed": 0,
            "model": "none",
            "threshold": threshold,
            "gate": gate,
        }
    )
    table[list(LESION_CODES)] = np.full((count, 4), NAN) if scores is None else scores
    if stage == "birads":  # as if category and class were one
        table["assessment"] = table["label"] + 1
        table[list(GRADE_SCORES)] = table[list(LESION_CODES)].to_numpy()
    return table


def graded(assessment, scores, label=None, group=None) -> pd.DataFrame:
    """Predictions of BI-RADS; ``scores`` has a row of four probabilities a tile."""
    count = len(assessment)
    classes = np.full((count, 4), 0.25)
    table = table_of("birads", [1] * count if label is None else label, NAN, classes, group)
    table[list(GRADE_SCORES)] = scores
    return table.assign(assessment=assessment)


def random_table(stage: str, tiles: int, groups: int, seed: int = 0, ties: bool = True):
    """Predictions a little better than chance, with ties among the scores."""
    rng = np.random.default_rng(seed)
    label = rng.integers(1 if stage in ("scorer", "birads") else 0, 5, tiles)
    gate = np.clip(0.3 + 0.3 * (label > 0) + rng.normal(0, 0.2, tiles), 0, 1)
    raw = rng.random((tiles, 4)) + (label[:, np.newaxis] == np.arange(1, 5))
    scores = raw / raw.sum(axis=1, keepdims=True)
    if ties:
        gate, scores = gate.round(1), scores.round(1)
    if stage == "cascade":
        scores[gate < 0.5] = NAN
    return table_of(stage, label, gate, scores, rng.integers(0, groups, tiles))


def table_from_matrix(matrix) -> pd.DataFrame:
    """A scorer's predictions whose confusion matrix is the given one."""
    actual, predicted = (axis.ravel() for axis in np.indices((4, 4)))
    counts = np.ravel(matrix)
    scores = np.eye(4)[np.repeat(predicted, counts)]
    return table_of("scorer", np.repeat(actual, counts) + 1, scores=scores)


# The paper's matrices


def test_figures_of_the_papers_gate():
    infected = class_figures(FIGURE_5).loc[1]
    assert infected["precision"] == pytest.approx(6949 / 8895)
    assert infected.round(4).to_dict() == {
        "precision": 0.7812,
        "sensitivity": 0.9599,
        "specificity": 0.9600,
        "accuracy": 0.9600,
    }


def test_figures_of_the_papers_scorer():
    figures = class_figures(TABLE_1)
    assert figures["precision"].round(4).tolist() == [0.9303, 0.9197, 0.9004, 0.9297]
    assert figures["sensitivity"].round(4).tolist() == [0.9312, 0.9265, 0.9041, 0.9185]
    assert figures["specificity"].round(4).tolist() == [0.9722, 0.9714, 0.9745, 0.9768]
    assert figures["accuracy"].round(4).tolist() == [0.9605, 0.9597, 0.9602, 0.9621]


def test_overall_figures_of_the_papers_scorer():
    overall = overall_figures(TABLE_1)
    assert overall["accuracy"] == pytest.approx(6669 / 7239)
    assert round(overall["accuracy"], 4) == 0.9213
    recalls = [1921 / 2063, 1752 / 1891, 1329 / 1470, 1667 / 1815]
    assert overall["balanced_accuracy"] == pytest.approx(sum(recalls) / 4)


def test_predictions_that_make_table_1_give_its_figures():
    result = evaluate(table_from_matrix(TABLE_1), "scorer", replicates=2)
    assert result["confusion_matrix"] == TABLE_1
    assert result["tiles"] == 7239
    accuracies = [result["per_class"][c]["accuracy"]["value"] for c in LESION_CODES]
    assert np.round(accuracies, 4).tolist() == [0.9605, 0.9597, 0.9602, 0.9621]
    assert round(result["overall"]["accuracy"]["value"], 4) == 0.9213


def test_a_perfect_matrix_scores_one_everywhere():
    assert (class_figures(np.diag([5, 1, 2])) == 1).all(axis=None)
    assert overall_figures(np.diag([5, 1, 2])) == {"accuracy": 1, "balanced_accuracy": 1}


def test_a_figure_without_a_denominator_is_nan():
    figures = class_figures([[3, 0], [2, 0]])
    assert np.isnan(figures.loc[1, "precision"])
    assert figures.loc[1, "sensitivity"] == 0
    assert class_figures([[3, 0], [0, 0]]).loc[1, ["precision", "sensitivity"]].isna().all()


def test_confusion_matrix_has_actual_in_rows_and_empty_classes():
    matrix = confusion_matrix([0, 0, 2], [0, 2, 2], 4)
    assert matrix.dtype == np.int64
    assert matrix.tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


# Rows to classes and scores


STAGE_ROWS = table_of(
    "cascade",
    label=[0, 4, 3, 1, 2],
    gate=[0.2, 0.5, 0.9, 0.4, 0.7],
    scores=[
        [NAN] * 4,
        [0.1, 0.2, 0.3, 0.4],
        [0.4, 0.4, 0.1, 0.1],
        [NAN] * 4,
        [0.1, NAN, 0.6, 0.2],
    ],
)


def test_predicted_class_of_each_stage():
    assert predicted_class(STAGE_ROWS, "gate").tolist() == [0, 1, 1, 0, 1]
    assert predicted_class(STAGE_ROWS, "cascade").tolist() == [0, 4, 1, 0, 3]
    scored = STAGE_ROWS.iloc[[1, 2, 4]]
    assert predicted_class(scored, "scorer").tolist() == [3, 0, 2]


def test_actual_class_of_each_stage():
    assert actual_class(STAGE_ROWS, "gate").tolist() == [0, 1, 1, 1, 1]
    assert actual_class(STAGE_ROWS, "cascade").tolist() == [0, 4, 3, 1, 2]
    assert actual_class(STAGE_ROWS.iloc[1:], "scorer").tolist() == [3, 2, 0, 1]


def test_class_scores_of_each_stage():
    gate = class_scores(STAGE_ROWS, "gate")
    np.testing.assert_allclose(gate[:, 1], STAGE_ROWS["gate"])
    np.testing.assert_allclose(gate.sum(axis=1), 1)
    scorer = class_scores(STAGE_ROWS, "scorer")
    np.testing.assert_allclose(
        scorer[[1, 0, 4]], [[0.1, 0.2, 0.3, 0.4], [0] * 4, [0.1, 0, 0.6, 0.2]]
    )
    cascade = class_scores(STAGE_ROWS, "cascade")
    np.testing.assert_allclose(cascade[0], [0.8, 0, 0, 0, 0])
    np.testing.assert_allclose(cascade[1], [0.5, 0.05, 0.1, 0.15, 0.2])


def test_each_row_is_judged_by_its_own_threshold():
    table = table_of("gate", [0, 1, 1], gate=[0.3, 0.3, 0.3], threshold=[0.4, 0.2, 0.3])
    assert predicted_class(table, "gate").tolist() == [0, 1, 1]


@pytest.mark.parametrize("function", [predicted_class, actual_class, class_scores, evaluate])
def test_an_unknown_stage_is_refused(function):
    with pytest.raises(UsageError, match="gate, scorer, cascade"):
        function(STAGE_ROWS, "oracle")


# Ranks


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("stage", STAGES)
def test_areas_under_curves_agree_with_scikit_learn(stage, ties):
    table = random_table(stage, 400, 50, ties=ties)
    result = evaluate(table, stage, replicates=0)
    actual, scores = actual_class(table, stage), class_scores(table, stage)
    for k, name in enumerate(CLASS_NAMES[stage]):
        figures = result["per_class"][name]
        auroc = sk.roc_auc_score(actual == k, scores[:, k])
        auprc = sk.average_precision_score(actual == k, scores[:, k])
        assert figures["auroc"]["value"] == pytest.approx(auroc, abs=1e-12)
        assert figures["auprc"]["value"] == pytest.approx(auprc, abs=1e-12)


def test_scores_all_alike_rank_at_chance():
    table = table_of("gate", [0, 1, 0, 2, 0], gate=0.5)
    infected = evaluate(table, "gate", replicates=0)["per_class"]["infected"]
    assert infected["auroc"]["value"] == 0.5
    assert infected["auprc"]["value"] == pytest.approx(0.4)


def test_perfect_and_reversed_ranks_are_one_and_zero():
    for gate, area in (([0.1, 0.2, 0.8, 0.9], 1), ([0.9, 0.8, 0.2, 0.1], 0)):
        overall = evaluate(table_of("gate", [0, 0, 1, 2], gate), "gate", replicates=0)["overall"]
        assert overall["auroc"]["value"] == area


def test_overall_ranks_are_the_infected_ones_of_the_gate_and_means_elsewhere():
    gate = evaluate(random_table("gate", 200, 30), "gate", replicates=0)
    scorer = evaluate(random_table("scorer", 200, 30), "scorer", replicates=0)
    for name in ("auroc", "auprc"):
        assert gate["overall"][name] == gate["per_class"]["infected"][name]
        values = [figures[name]["value"] for figures in scorer["per_class"].values()]
        assert scorer["overall"][name]["value"] == pytest.approx(np.mean(values))


# Calibration


def calibration(table: pd.DataFrame, stage: str) -> float:
    overall = evaluate(table, stage, replicates=0)["overall"]
    return overall["expected_calibration_error"]["value"]


def naive_calibration(stated: np.ndarray, right: np.ndarray) -> float:
    """Fifteen equal bins, one after another."""
    edges = np.linspace(0, 1, 16)
    error = 0.0
    for low, high in itertools.pairwise(edges):
        inside = (stated >= low) & ((stated < high) | (high == 1))
        if inside.any():
            error += inside.mean() * abs(stated[inside].mean() - right[inside].mean())
    return error


def test_an_exactly_calibrated_gate_has_no_error():
    gate = np.repeat([0.25, 0.5, 0.75], 40)
    label = np.concatenate([np.arange(40) < 40 * share for share in (0.25, 0.5, 0.75)])
    assert calibration(table_of("gate", label.astype(int), gate), "gate") == pytest.approx(0)


def test_a_gate_calibrated_by_chance_has_next_to_none():
    rng = np.random.default_rng(0)
    gate = rng.random(20_000)
    label = (rng.random(20_000) < gate).astype(int)
    assert calibration(table_of("gate", label, gate), "gate") < 0.02


def test_a_constantly_overconfident_gate_is_off_by_its_surplus():
    label = np.repeat([1, 0], [60, 40])
    assert calibration(table_of("gate", label, gate=0.99), "gate") == pytest.approx(0.39)


def test_errors_of_different_bins_do_not_cancel():
    gate = np.repeat([0.9, 0.1], 100)
    label = np.concatenate([np.arange(100) < 80, np.arange(100) < 20]).astype(int)
    assert calibration(table_of("gate", label, gate), "gate") == pytest.approx(0.1)


def test_an_overconfident_scorer_is_judged_by_its_first_choice():
    label = np.tile([1, 2, 3, 4], 25)
    chosen = np.where(np.arange(100) < 72, label - 1, label % 4)
    scores = np.full((100, 4), 0.01) + 0.96 * np.eye(4)[chosen]
    assert calibration(table_of("scorer", label, scores=scores), "scorer") == pytest.approx(0.25)


def test_probabilities_of_zero_and_one_fall_into_the_outer_bins():
    table = table_of("gate", [0, 0, 1, 1], gate=[0.0, 0.0, 1.0, 1.0])
    assert calibration(table, "gate") == 0


@pytest.mark.parametrize("stage", STAGES)
def test_calibration_error_agrees_with_a_loop_over_bins(stage):
    table = random_table(stage, 500, 50, seed=3, ties=False)
    actual, predicted = actual_class(table, stage), predicted_class(table, stage)
    scores = class_scores(table, stage)
    if stage == "gate":
        stated, right = scores[:, 1], actual == 1
    else:
        stated, right = scores[np.arange(500), predicted], actual == predicted
    assert calibration(table, stage) == pytest.approx(naive_calibration(stated, right))


# Intervals


def drawn_again(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The rows of one bootstrap replicate, written out as often as they are drawn."""
    code = pd.factorize(table["group"])[0]
    times = _draw_groups(code.max() + 1, 1, seed)[0].astype(int)
    return table.loc[table.index.repeat(times[code])]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("stage", STAGES)
def test_a_replicate_equals_the_rows_drawn_again(stage, seed):
    table = random_table(stage, 300, 40, seed=seed + 10)
    result = evaluate(table, stage, replicates=1, seed=seed)
    rows = drawn_again(table, seed)
    assert len(rows) != len(table)
    actual, predicted = actual_class(rows, stage), predicted_class(rows, stage)
    scores = class_scores(rows, stage)

    def same(figure, value):
        assert figure["interval"] == pytest.approx([value, value], abs=1e-12)

    for k, name in enumerate(CLASS_NAMES[stage]):
        figures = result["per_class"][name]
        is_k, said_k = actual == k, predicted == k
        same(figures["precision"], sk.precision_score(is_k, said_k))
        same(figures["sensitivity"], sk.recall_score(is_k, said_k))
        same(figures["specificity"], sk.recall_score(~is_k, ~said_k))
        same(figures["accuracy"], sk.accuracy_score(is_k, said_k))
        same(figures["auroc"], sk.roc_auc_score(is_k, scores[:, k]))
        same(figures["auprc"], sk.average_precision_score(is_k, scores[:, k]))
    overall = result["overall"]
    same(overall["accuracy"], sk.accuracy_score(actual, predicted))
    same(overall["balanced_accuracy"], sk.balanced_accuracy_score(actual, predicted))
    again = rows.assign(tile=np.arange(len(rows)))
    same(overall["expected_calibration_error"], calibration(again, stage))


def test_draws_put_back_as_many_groups_as_there_are():
    draws = _draw_groups(37, 500, seed=0)
    assert draws.shape == (500, 37)
    assert (draws.sum(axis=1) == 37).all()
    np.testing.assert_allclose(draws.mean(axis=0), 1, atol=0.2)


def test_more_replicates_than_are_summed_at_a_time_all_count():
    table = random_table("gate", 120, 120)
    infected = evaluate(table, "gate", replicates=130, seed=4)["per_class"]["infected"]
    is_infected = (table["label"] > 0).to_numpy()
    code = pd.factorize(table["group"])[0]
    draws = _draw_groups(code.max() + 1, 130, 4)
    areas = [sk.roc_auc_score(is_infected, table["gate"], sample_weight=d[code]) for d in draws]
    assert infected["auroc"]["interval"] == pytest.approx(np.percentile(areas, [2.5, 97.5]))


def width(figure) -> float:
    low, high = figure["interval"]
    return high - low


def test_intervals_by_group_are_wider_where_rows_are_copies():
    once = random_table("gate", 80, 10_000, ties=False)
    copies = pd.concat([once] * 6, ignore_index=True).assign(tile=np.arange(480))
    by_group = evaluate(copies.assign(group=np.tile(np.arange(80), 6)), "gate", 400)
    by_row = evaluate(copies.assign(group=np.arange(480)), "gate", 400)
    for name in ("accuracy", "auroc", "auprc"):
        assert width(by_group["overall"][name]) > 2 * width(by_row["overall"][name])
    assert by_group["overall"]["accuracy"]["value"] == by_row["overall"]["accuracy"]["value"]
    assert (by_group["groups"], by_row["groups"]) == (80, 480)


def test_intervals_by_group_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    covered = {"group": 0, "row": 0}
    for _ in range(100):
        right = np.repeat(rng.random(60) < 0.8, 4)  # four tiles a woman, read alike
        label = np.tile([0, 1], 120)
        table = table_of("gate", label, gate=np.where(right == (label > 0), 0.9, 0.1))
        for unit, group in (("group", np.repeat(np.arange(60), 4)), ("row", np.arange(240))):
            overall = evaluate(table.assign(group=group), "gate", 200)["overall"]
            low, high = overall["accuracy"]["interval"]
            covered[unit] += low <= 0.8 <= high
    assert covered["group"] >= 87
    assert covered["row"] <= 80


def test_the_seed_decides_the_intervals_and_not_the_values():
    table = random_table("scorer", 200, 40)
    first, same, other = (evaluate(table, "scorer", 100, seed=s) for s in (1, 1, 2))
    assert first == same
    assert first["overall"]["accuracy"]["interval"] != other["overall"]["accuracy"]["interval"]
    assert first["overall"]["accuracy"]["value"] == other["overall"]["accuracy"]["value"]


def test_one_group_alone_gives_intervals_of_no_width():
    result = evaluate(random_table("gate", 50, 1), "gate", 20)
    assert width(result["overall"]["auroc"]) == pytest.approx(0)


def test_a_real_number_of_tiles_is_judged_within_ten_seconds():
    tiles = 55_885
    rng = np.random.default_rng(0)
    label = (rng.random(tiles) < 0.13).astype(int)
    gate = np.clip(rng.normal(0.3 + 0.3 * label, 0.2), 0, 1)
    table = table_of("gate", label, gate, group=rng.integers(0, 10_000, tiles))
    start = time.process_time()  # of the processor, since other tests run beside this one
    result = evaluate(table, "gate", replicates=2000)
    assert time.process_time() - start < 10
    assert width(result["overall"]["auroc"]) < 0.02


# What evaluate gives


@pytest.mark.parametrize("stage", STAGES)
def test_a_result_is_plain_json_with_every_figure(stage):
    table = random_table(stage, 200, 30)
    result = evaluate(table, stage, 10)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert list(result["per_class"]) == result["classes"] == list(CLASS_NAMES[stage])
    for figures in result["per_class"].values():
        assert set(figures) == {
            "precision", "sensitivity", "specificity", "accuracy", "auroc", "auprc",
        }  # fmt: skip
    agreement = {"kappa", "linear_kappa", "quadratic_kappa"} if stage == "birads" else set()
    assert set(result["overall"]) == {
        "accuracy", "balanced_accuracy", "auroc", "auprc", "expected_calibration_error",
    } | agreement  # fmt: skip
    assert np.sum(result["confusion_matrix"]) == result["tiles"] == 200
    assert result["groups"] == table["group"].nunique()


def test_values_lie_within_their_intervals():
    result = evaluate(random_table("cascade", 600, 200), "cascade", 300)
    for name in ("accuracy", "balanced_accuracy", "auroc"):
        low, high = result["overall"][name]["interval"]
        assert low < result["overall"][name]["value"] < high


def test_an_undefined_figure_is_none_and_the_others_stand():
    table = table_of("gate", [0, 0, 1, 1], gate=[0.1, 0.2, 0.3, 0.4])
    infected = evaluate(table, "gate", 50)["per_class"]["infected"]
    assert infected["precision"] is None
    assert infected["sensitivity"]["value"] == 0
    assert infected["auroc"]["value"] == 1


def test_the_cascade_counts_a_lesion_the_gate_stopped_as_normal():
    table = table_of(
        "cascade",
        label=[0, 1, 2, 3, 4],
        gate=[0.1, 0.9, 0.9, 0.9, 0.2],
        scores=[[NAN] * 4, *np.eye(4)[:3], [NAN] * 4],
    )
    matrix = evaluate(table, "cascade", 2)["confusion_matrix"]
    assert matrix[4] == [1, 0, 0, 0, 0]
    assert np.trace(matrix) == 4


# Refusals


def refused(table: pd.DataFrame, stage: str) -> str:
    with pytest.raises(StudyError) as error:
        evaluate(table, stage, 2)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("column", PREDICTION_COLUMNS)
def test_a_missing_column_is_named(column):
    table = random_table("gate", 20, 5).drop(columns=column)
    assert column in refused(table, "gate")
    with pytest.raises(DataError, match=column):
        check_predictions(table, "gate")


def test_a_tile_that_stands_twice_is_named():
    table = random_table("gate", 20, 5)
    assert "t/00003" in refused(pd.concat([table, table.iloc[[3]]]), "gate")


@pytest.mark.parametrize(
    ("stage", "labels", "name"),
    [
        ("gate", [1, 2, 3], "uninfected"),
        ("gate", [0, 0, 0], "infected"),
        ("scorer", [1, 2, 4], "C4"),
        ("cascade", [0, 1, 2, 3], "C5"),
    ],
)
def test_a_class_without_tiles_is_named(stage, labels, name):
    table = table_of(stage, labels, gate=0.9, scores=np.full((len(labels), 4), 0.25))
    assert f"class {name} " in refused(table, stage)


def test_where_a_class_may_be_absent_the_others_are_judged():
    scores = np.eye(4)[[0, 0, 1, 2]]
    table = table_of("cascade", [0, 1, 2, 3], gate=[0.1, 0.9, 0.9, 0.9], scores=scores)
    found = evaluate(table, "cascade", replicates=20, absent=True)
    assert found["confusion_matrix"][3] == [0, 0, 0, 1, 0]
    assert found["per_class"]["C3"]["sensitivity"]["value"] == 1
    assert found["overall"]["accuracy"]["value"] == 1
    assert found["per_class"]["C5"]["sensitivity"] is None
    assert found["per_class"]["C5"]["auroc"] is None
    assert found["overall"]["balanced_accuracy"] is None
    (record,) = summarise(table, replicates=20)
    assert record["overall"] == found["overall"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_table_without_rows_is_refused(stage):
    assert "no rows" in refused(random_table(stage, 20, 5).iloc[:0], stage)


BAD_ROWS = {
    "a normal given to the scorer": ("scorer", {"label": 0}),
    "a label beyond the classes": ("cascade", {"label": 5}),
    "a tile the scorer never saw": ("scorer", dict.fromkeys(LESION_CODES, NAN)),
    "a tile the gate never saw": ("gate", {"gate": NAN}),
    "a normal given a category": ("birads", {"label": 0}),
    "a tile without its category": ("birads", {"assessment": 0}),
    "a tile that was not graded": ("birads", {"birads_4": NAN}),
    "a graded tile of unknown class": ("birads", {"C3": NAN}),
}


@pytest.mark.parametrize(("stage", "change"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_row_that_a_stage_cannot_judge_is_refused(stage, change):
    table = random_table(stage, 60, 20)
    for column, value in change.items():
        table.loc[7, column] = value
    refused(table, stage)


# Many at once


def test_summarise_evaluates_each_stage_protocol_split_and_seed_apart():
    parts = [
        random_table("gate", 60, 10, seed=1).assign(seed=1),
        random_table("gate", 60, 10, seed=2).assign(seed=2),
        random_table("gate", 60, 10, seed=3).assign(seed=1, protocol="random_tenth"),
        random_table("gate", 60, 10, seed=4).assign(seed=1, split="validation"),
        random_table("scorer", 60, 10, seed=5).assign(seed=1),
    ]
    records = summarise(pd.concat(parts, ignore_index=True), replicates=5)
    keys = ["stage", "protocol", "split", "seed"]
    assert [tuple(record[key] for key in keys) for record in records] == [
        ("gate", "official", "held-out", 1),
        ("gate", "official", "held-out", 2),
        ("gate", "official", "validation", 1),
        ("gate", "random_tenth", "held-out", 1),
        ("scorer", "official", "held-out", 1),
    ]
    for record, part in zip(records, [parts[i] for i in (0, 1, 3, 2, 4)], strict=True):
        figures = {key: value for key, value in record.items() if key not in keys}
        assert figures == evaluate(part, record["stage"], 5)
    assert json.loads(json.dumps(records)) == records


def test_summarise_refuses_a_tile_that_stands_twice_in_one_part():
    table = random_table("gate", 20, 5)
    with pytest.raises(DataError, match="stands twice"):
        summarise(pd.concat([table, table]), replicates=2)


# Words


@pytest.mark.parametrize(
    ("figure", "form", "words"),
    [
        ({"value": 0.91234, "interval": [0.89, 0.9312]}, ".3f", "0.912 (0.890 to 0.931)"),
        ({"value": 0.91234, "interval": None}, ".2f", "0.91"),
        ({"value": 28.13, "interval": [27.0, 29.0]}, ".1f", "28.1 (27.0 to 29.0)"),
        ({"value": -0.0004, "interval": [-0.0009, -0.0001]}, ".3f", "0.000 (-0.001 to 0.000)"),
        ({"value": -0.0004, "interval": [-0.002, 0.0]}, "+.3f", "+0.000 (-0.002 to +0.000)"),
        (None, ".3f", "not defined"),
    ],
)
def test_a_figure_in_words(figure, form, words):
    assert in_words(figure, form) == words


def test_intervals_by_tile_are_said_to_be_too_narrow():
    table = random_table("gate", 60, 20)
    assert intervals_in_words(evaluate(table, "gate", 20)) == "95 % intervals by group"
    each = table.assign(group=table["tile"])
    said = intervals_in_words(evaluate(each, "gate", 20))
    assert said.startswith("95 % intervals by tile")
    assert "too narrow" in said


def test_three_decimals_unless_told():
    assert in_words({"value": 0.5, "interval": [0.25, 0.75]}) == "0.500 (0.250 to 0.750)"


# Denoising


def test_peak_signal_to_noise_of_known_errors():
    truth = np.full((3, 8, 8), 100, np.uint8)
    images = truth.copy()
    images[0] += 10
    images[1] -= 10
    images[2, ::2] += 20
    found = peak_signal_to_noise(images, truth)
    expected = 10 * np.log10(255**2 / np.array([100, 100, 200]))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_perfect_tile_counts_as_99_decibels():
    tile = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    assert peak_signal_to_noise(tile, tile).tolist() == [99]


def test_black_against_white_is_no_decibels():
    white = np.full((1, 4, 4), 255, np.uint8)
    assert peak_signal_to_noise(0 * white, white) == pytest.approx([0])
    assert peak_signal_to_noise(white, 0 * white) == pytest.approx([0])


def test_a_mean_is_over_tiles_and_its_interval_over_groups():
    values, groups = np.array([1.0, 2, 3, 10]), ["a", "a", "a", "b"]
    figure = mean_with_interval(values, groups, replicates=400)
    assert figure["value"] == 4
    assert figure["interval"] == [2, 10]  # one group alone, drawn twice


def test_a_mean_of_a_replicate_equals_the_rows_drawn_again():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"value": rng.random(50), "group": rng.integers(0, 12, 50)})
    figure = mean_with_interval(table["value"], table["group"], replicates=1, seed=3)
    mean = drawn_again(table, 3)["value"].mean()
    assert figure["interval"] == pytest.approx([mean, mean])


def test_a_mean_of_copies_is_less_certain_by_group_than_by_row():
    values = np.tile(np.random.default_rng(0).random(40), 5)
    by_group = mean_with_interval(values, np.tile(np.arange(40), 5))
    by_row = mean_with_interval(values, np.arange(200))
    assert width(by_group) > 1.8 * width(by_row)


# Two on the same tiles


def test_mcnemar_counts_what_only_one_got_right_and_agrees_with_the_binomial_test():
    from scipy.stats import binomtest

    first = random_table("gate", 80, 20, seed=1).assign(threshold=0.5)
    second = first.sample(frac=1, random_state=0).assign(gate=lambda t: 1 - t["gate"] - 1e-9)
    right = (first["gate"] >= first["threshold"]) == (first["label"] > 0)
    compared = mcnemar(first, second, "gate")
    assert compared["only_first"] == right.sum()
    assert compared["only_second"] == (~right).sum()
    assert compared["p"] == pytest.approx(binomtest(int(right.sum()), 80).pvalue)


def test_mcnemar_refuses_tables_of_different_tiles():
    first = random_table("gate", 80, 20)
    for one, other in ((first, first.iloc[:-1]), (first.iloc[:-1], first)):
        with pytest.raises(DataError, match="different tiles"):
            mcnemar(one, other, "gate")


def test_mcnemar_refuses_a_tile_that_stands_twice():
    first = random_table("gate", 80, 20)
    twice = pd.concat([first.iloc[:-1], first.iloc[:1]])
    for one, other in ((first, twice), (twice, first)):
        with pytest.raises(DataError, match=f"tile {first['tile'][0]} stands twice"):
            mcnemar(one, other, "gate")


# BI-RADS


def test_predicted_grade_is_the_median_not_the_largest():
    scores = [[0.3, 0.3, 0.0, 0.4], [0.6, 0.1, 0.1, 0.2], [0.0, 0.1, 0.2, 0.7]]
    table = graded([2, 2, 5], scores)
    assert predicted_class(table, "birads").tolist() == [1, 0, 3]
    assert actual_class(table, "birads").tolist() == [0, 0, 3]


def test_kappas_of_grades_agree_with_scikit_learn():
    table = random_table("birads", 300, 40, ties=False)
    result = evaluate(table, "birads", replicates=0)["overall"]
    pair = actual_class(table, "birads"), predicted_class(table, "birads")
    for name, weights in (
        ("kappa", None),
        ("linear_kappa", "linear"),
        ("quadratic_kappa", "quadratic"),
    ):
        expected = sk.cohen_kappa_score(*pair, weights=weights)
        assert result[name]["value"] == pytest.approx(expected, abs=1e-12)
    alone = agreement(*pair, table["group"], replicates=0)
    assert alone == {name: result[name] for name in alone}
    assert set(alone) == {"accuracy", "kappa", "linear_kappa", "quadratic_kappa"}


def test_agreement_has_the_same_interval_for_the_same_seed():
    table = random_table("birads", 100, 20, seed=4)
    pair = actual_class(table, "birads"), predicted_class(table, "birads")
    first, second, other = (agreement(*pair, table["group"], seed=seed) for seed in (0, 0, 1))
    assert first == second != other


def test_an_interval_of_kappa_is_that_of_the_groups_drawn_again():
    table = random_table("birads", 300, 40, seed=4)
    rows = drawn_again(table, seed=5)
    kappa = sk.cohen_kappa_score(
        actual_class(rows, "birads"), predicted_class(rows, "birads"), weights="quadratic"
    )
    found = evaluate(table, "birads", replicates=1, seed=5)["overall"]["quadratic_kappa"]
    assert found["interval"] == pytest.approx([kappa, kappa], abs=1e-12)


def test_a_constant_answer_has_kappa_zero():
    table = graded([2, 3, 4, 5, 4], [[0, 0, 1, 0]] * 5)
    overall = evaluate(table, "birads", 20)["overall"]
    assert overall["accuracy"]["value"] == pytest.approx(0.4)
    assert overall["quadratic_kappa"]["value"] == 0


def test_a_category_that_no_tile_has_leaves_the_rest_defined():
    table = graded([2, 2, 4, 4], np.eye(4)[[0, 0, 2, 0]])
    result = evaluate(table, "birads", 20)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["confusion_matrix"][2] == [1, 0, 1, 0]
    assert result["overall"]["accuracy"]["value"] == 0.75
    assert result["overall"]["balanced_accuracy"] is None
    assert result["per_class"]["BI-RADS 3"]["auroc"] is None
    assert result["per_class"]["BI-RADS 4"]["sensitivity"]["value"] == 0.5


def test_grades_are_summarised_from_the_table_alone():
    table = random_table("birads", 200, 30)[list(BIRADS_COLUMNS)]
    (record,) = summarise(table, replicates=5)
    assert record["stage"] == "birads"
    assert {k: record[k] for k in ("overall", "tiles")} == {
        "overall": evaluate(table, "birads", 5)["overall"], "tiles": 200,
    }  # fmt: skip


def test_malignancy_is_counted_by_the_grade_given():
    label = [1, 3, 4, 2] * 10
    scores = np.eye(4)[[2, 2, 3, 2] * 10]
    table = graded([2] * 40, scores, label, group=np.arange(40) // 2)
    table[list(LESION_CODES)] = [[0.1, 0.2, 0.3, 0.4], [0.5, 0.3, 0.1, 0.1]] * 20
    found = malignancy_by_grade(table)
    assert found["2"]["tiles"] == 0
    assert found["2"]["rate"] is None
    assert found["2"]["stated"] is None
    four, five = found["4"], found["5"]
    assert (four["tiles"], four["malignant"], four["groups"]) == (30, 10, 20)
    assert four["rate"]["value"] == pytest.approx(1 / 3)
    assert four["stated"]["value"] == pytest.approx((10 * 0.7 + 20 * 0.2) / 30)
    assert (five["tiles"], five["malignant"], five["groups"]) == (10, 10, 10)
    assert [found[k]["acr_bounds"] for k in "2345"] == [[0, 0], [0, 0.02], [0.02, 0.95], [0.95, 1]]
    assert [found[k]["acr"] for k in "35"] == ["over 0 % to 2 %", "95 % or more"]


def test_a_share_of_none_or_all_has_the_exact_interval_of_its_groups():
    none = share_with_interval(np.zeros(12), np.arange(12) // 3)  # four groups
    assert none == {"value": 0, "interval": [0, pytest.approx(0.6024, abs=1e-4)]}
    every = share_with_interval(np.ones(100), np.arange(100))
    assert every == {"value": 1, "interval": [pytest.approx(0.9638, abs=1e-4), 1]}


def test_a_mixed_share_of_few_groups_has_no_interval():
    assert share_with_interval([0, 1, 1], [0, 1, 2])["interval"] is None
    assert share_with_interval([0, 1, 1] * 3, np.arange(9))["interval"] is None
    assert share_with_interval([0, 1] * 5, np.arange(10))["interval"] is not None
    low, high = share_with_interval([0, 1] * 20, np.arange(40))["interval"]
    assert 0.3 < low < 0.5 < high < 0.7


def test_thirds_are_divided_at_the_terciles_and_judged_by_their_own_groups():
    right = np.array([0, 0, 1, 1, 1, 0, 1, 1, 1], bool)
    value = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8])
    groups = np.array(list("aabccdeff"))
    order = np.random.default_rng(0).permutation(9)
    found = shares_by_third(right[order], value[order], groups[order])
    assert found.index.tolist() == ["low", "middle", "high"]
    np.testing.assert_allclose(found["from"], [0, 8 / 3, 16 / 3])
    np.testing.assert_allclose(found["to"], [8 / 3, 16 / 3, 8])
    assert found["tiles"].tolist() == [3, 3, 3]
    assert [share.split()[0] for share in found["share"]] == ["0.333", "0.667", "1.000"]
    assert found["share"]["low"] == in_words(mean_with_interval(right[:3], groups[:3]))


def test_a_third_without_rows_has_no_share():
    found = shares_by_third([True, False], [5.0, 5.0], ["a", "b"])
    assert found["tiles"].tolist() == [0, 0, 2]
    assert found["share"].tolist()[:2] == ["", ""]
    assert found["share"]["high"].startswith("0.500 (")


def test_precision_at_its_own_share_is_the_measured_one():
    table = random_table("gate", 300, 40)
    found = evaluate(table, "gate", replicates=0)["per_class"]["infected"]
    rates = found["sensitivity"], found["specificity"]
    own = (table["label"] > 0).mean()
    at_own, at_half = precision_at(own, *rates), precision_at(own / 2, *rates)
    assert at_own["value"] == pytest.approx(found["precision"]["value"], abs=1e-12)
    assert at_half["value"] < at_own["value"]
    assert precision_at(0.1, {"value": 0.0}, {"value": 1.0}) is None
