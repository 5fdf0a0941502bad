"""What a reader is told of a sweep: from its results alone, and no more than they hold."""

from __future__ import annotations

import pandas as pd
import pytest

from birads_lib.errors import DataError
from birads_lib.files import sealed, sha256, write_json
from birads_lib.study import ablations
from birads_lib.study.ablations import (
    against_range,
    attention_gain,
    by_sign,
    difference,
    difference_table,
    differences,
    member_table,
    provenance,
    read_results,
)


def figure(value, low, high):
    return {"value": value, "interval": [low, high]}


def results(gain=(0.02, 0.016, 0.024), auroc=0.7, **changes):
    """Results of a sweep of two members and one difference."""
    scores = {
        "accuracy": figure(0.6, 0.5, 0.7),
        "balanced_accuracy": figure(0.55, 0.5, 0.6),
        "auroc": figure(auroc, auroc - 0.1, auroc + 0.1),
    }
    common = {"stage": "scorer", "group": "heads", "seeds": [0, 1], "seconds": 3.25}
    members = {
        name: {
            "title": f"{name} attention",
            "reference": "",
            **common,
            "scores": {"scorer": scores},
        }
        for name in ("both", "none")
    }
    row = {"first": "both", "second": "none", "stage": "scorer", "seeds": [0, 1]}
    found = {
        "complete": True,
        "failed": {},
        "missing": [],
        "date": "2026-01-01 12:00 UTC",
        "commit": "0123456789",
        "profile": "laptop",
        "members": members,
        "differences": [row | {"accuracy": figure(*gain)}],
        "table": None,
    }
    return found | changes


@pytest.fixture
def run(tmp_path):
    """A run's folder with a collected sweep and its predictions."""
    (tmp_path / "predictions").mkdir()
    table = tmp_path / "predictions" / "sweep_made.parquet"
    pd.DataFrame({"tile": ["a"]}).to_parquet(table)
    write_json(tmp_path / "results" / "sweep_made.json", sealed(results(table=sha256(table))))
    return tmp_path


def test_a_sweep_that_has_not_been_run_is_none(tmp_path):
    assert read_results(tmp_path, "made") is None


def test_a_collected_sweep_is_read(run):
    assert read_results(run, "made")["profile"] == "laptop"


def test_predictions_that_changed_since_are_named(run, flip_byte):
    flip_byte(run / "predictions" / "sweep_made.parquet", 20)
    with pytest.raises(DataError, match=r"sweep_made\.parquet: changed since it was collected"):
        read_results(run, "made")


def test_results_that_changed_since_are_named(run):
    path = run / "results" / "sweep_made.json"
    path.write_text(path.read_text().replace('"complete": true', '"complete": null'))
    with pytest.raises(DataError, match=r"sweep_made\.json: changed since it was written"):
        read_results(run, "made")


def test_another_file_in_its_place_is_named(run):
    write_json(run / "results" / "sweep_made.json", {"complete": True})
    with pytest.raises(DataError, match=r"sweep_made\.json: not the results of a sweep"):
        read_results(run, "made")


def test_a_whole_sweep_says_when_and_from_which_commit():
    said = provenance(results())
    assert "2026-01-01" in said
    assert "01234567," in said
    assert "complete" in said
    assert "warning" not in said


def test_a_sweep_with_gaps_names_each():
    gaps = {"complete": False, "failed": {"five": "seed 1: no"}, "missing": ["none, seed 3"]}
    said = provenance(results(**gaps))
    assert "not complete" in said
    assert "five failed (seed 1: no)" in said
    assert "none, seed 3 has not finished" in said


@pytest.mark.parametrize(
    ("interval", "answer"),
    [
        ((1.5, 2.5), "inside"),
        ((1.6, 2.0), "inside"),
        ((-1.0, 1.4), "outside"),
        ((2.6, 9.0), "outside"),
        ((1.0, 2.0), "undecided"),
        ((-5.0, 5.0), "undecided"),
        ((0.0, 1.5), "undecided"),
    ],
)
def test_an_interval_against_the_papers_range(interval, answer):
    assert against_range(interval, (1.5, 2.5)) == answer


@pytest.mark.parametrize(
    ("gain", "answer"),
    [
        ((0.02, 0.016, 0.024), "inside"),
        ((0.0, -0.01, 0.01), "outside"),
        ((0.01, -0.01, 0.03), "undecided"),
    ],
)
def test_the_gain_of_attention_is_in_points(gain, answer):
    found, said = attention_gain(results(gain), ("both", "none"))
    assert found["value"] == pytest.approx(100 * gain[0])
    assert said == answer


def test_networks_that_know_nothing_answer_nothing():
    _, said = attention_gain(results((0.0, 0.0, 0.0), auroc=0.55), ("both", "none"))
    assert said == "not learned"
    assert "chance" in ablations.plain_answer(said)


def test_without_the_pair_there_is_no_gain():
    assert attention_gain(results(differences=[]), ("both", "none")) is None


def test_every_way_of_attention_that_was_run_is_answered():
    assert set(ablations.attention_answers(results())) == {("both", "none")}
    assert next(iter(ablations.ATTENTION_PAIRS)) == ablations.WHOLE, "what decides stands first"


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        (None, "was not run"),
        (figure(3, 1, 5), "+3.0 (+1.0 to +5.0) points: it helps."),
        (figure(-3, -5, -1), "-3.0 (-5.0 to -1.0) points: it harms."),
        (figure(1, -1, 3), "holds 0"),
        (figure(0, 0, 0), "holds 0"),
    ],
)
def test_a_difference_is_said_by_its_sign_only_where_the_interval_has_one(gain, said):
    assert said in by_sign(gain, "it helps", "it harms")


def test_tables_hold_titles_and_intervals():
    table = member_table(results(), "scorer")
    assert table.loc["both attention", "accuracy"] == "0.600 (0.500 to 0.700)"
    assert table.loc["both attention", "seeds"] == 2
    assert member_table(results(), "scorer", "backbones").empty
    assert member_table(results(), "gate").empty
    rows = difference_table(differences(results(), "scorer"))
    assert rows.loc["both attention", "points"] == "+2.0 (+1.6 to +2.4)"


def test_a_difference_that_is_not_there_is_none():
    assert difference(results(), "both", "spatial", "scorer", "accuracy") is None


def test_settings_are_those_of_the_training(tmp_path):
    found = {"members": {"MobileNetV2": {"seeds": [3]}}}
    path = tmp_path / "sweeps" / "gates" / "MobileNetV2" / "3.json"
    with pytest.raises(DataError, match=r"3\.json: no note of a training"):
        ablations.settings_of(tmp_path, "gates", found)
    write_json(path, {"parameters": {"model": "MobileNetV2", "gate_size": 32}})
    assert ablations.settings_of(tmp_path, "gates", found)["MobileNetV2"]["gate_size"] == 32


def test_networks_cut_short_are_named():
    settings = {"ResNet50": {"clip": 1}, "VGG16": {"clip": None}, "XGBoost": {}}
    said = ablations.cut_short(settings)
    assert said.endswith(": ResNet50.")
    assert ablations.cut_short({"VGG16": {}}) == "All networks are whole."
    assert ablations.cut_short({"two": {"gate_clip": 1}}).endswith(": two.")


def test_networks_from_imagenet_weights_are_named():
    random = {"VGG16": {"weights": None}, "XGBoost": {}}
    assert "random weights" in ablations.started_from(random)
    taught = ablations.started_from({**random, "ResNet50": {"weights": "imagenet"}})
    assert taught == "From ImageNet weights: ResNet50; all others from random ones."


def test_the_sizes_of_tiles_are_told_with_who_got_them():
    settings = {
        "two": {"gate_size": 96, "scorer_size": [96, 72]},
        "B0": {"scorer_size": [64, 48]},
        "B1": {"scorer_size": [64, 48]},
        "heads": {},
    }
    said = ablations.seen_at(settings)
    assert said == "Tiles come in at 96 x 96 and 96 x 72 px for two; 64 x 48 px for B0, B1."
    assert ablations.seen_at({"heads": {}}) == ""
