"""The benchmarks: how they count and compare, and that each question can be asked."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from small_cascade import small_cascade

from benchmarks import __main__ as command
from benchmarks import feed, frozen, harness, merge, predict, repeat, sets, simulate, stream, train
from benchmarks.harness import FULL, QUICK, USUAL, Alternative, Result, Row, Target
from birads_lib import Cascade
from birads_lib.engines import DEFAULT, SUFFIXES
from birads_lib.errors import DataError, UsageError
from birads_lib.files import read_json
from birads_lib.study.machine import ONEDNN, describe_machine
from birads_lib.tiles import merge_ddsm10
from birads_lib.tiles.layout import HELD_OUT_COUNTS, TRAINING_COUNTS

MEGABYTE = 1 << 20


def test_alternatives_take_turns_and_prepare_before_each():
    calls = []
    listed = [
        Alternative("a", lambda: calls.append("a"), 10, prepare=lambda: calls.append("ready")),
        Alternative("b", lambda: calls.append("b"), 10),
    ]
    rows = harness.take_turns(listed, repeats=2)
    assert calls == ["ready", "a", "b", "ready", "a", "b"]
    assert [(row.name, row.repeats, row.unit) for row in rows] == [
        ("a", 2, "tiles/s"),
        ("b", 2, "tiles/s"),
    ]


def test_a_rate_is_things_a_second_and_preparing_is_free(monkeypatch):
    clock = iter([100.0, 100.5])
    monkeypatch.setattr(harness.time, "perf_counter", lambda: next(clock))
    (row,) = harness.take_turns([Alternative("a", lambda: None, 20)], repeats=1)
    assert row.median == 40.0


def test_a_row_holds_median_and_spread():
    assert Row.of("a", [5.0, 1.0, 2.0], "s") == Row("a", 2.0, "s", 3, (1.0, 5.0))
    with pytest.raises(UsageError, match="a has no measurement"):
        Row.of("a", [], "s")


def test_a_ratio_is_of_medians_and_its_target_is_judged():
    result = Result("?", [Row.of("fast", [30.0, 40.0, 35.0], "/s"), Row.of("slow", [10.0], "/s")])
    result.ratio("fast", "slow", least=3.5)
    result.ratio("slow", "fast", least=1)
    assert [ratio.value for ratio in result.ratios] == [3.5, 10 / 35]
    assert [target.met for target in result.targets] == [True, False]


@pytest.mark.parametrize(
    ("value", "least", "most", "met"),
    [
        (1.0, 0.9, 1.1, True),
        (1.2, 0.9, 1.1, False),
        (0.8, 0.9, None, False),
        (9.0, None, 9.0, True),
    ],
)
def test_a_target_is_met_within_its_bounds(value, least, most, met):
    assert Target("t", value, least, most).met is met


def test_a_result_is_plain_json_with_what_was_asked_for():
    result = Result("How fast?", [Row.of("a", [1.0], "s")], facts={"tiles": 3})
    result.targets.append(Target("a", 1.0, most=2.0))
    plain = json.loads(json.dumps(result.as_json()))
    assert plain["question"] == "How fast?"
    assert plain["rows"] == [
        {"name": "a", "median": 1.0, "unit": "s", "repeats": 1, "spread": [1.0, 1.0]}
    ]
    assert plain["targets"] == [
        {"name": "a", "value": 1.0, "least": None, "most": 2.0, "met": True}
    ]
    assert "reached: a" in harness.in_words(result)


@pytest.mark.skipif(not harness.STATUS.exists(), reason="memory is read from /proc")
def test_peak_memory_is_that_of_the_child_and_not_of_this_process():
    ours = np.ones(600 * MEGABYTE, np.uint8)
    small, large = (harness.peak_memory(os.urandom, n * MEGABYTE) for n in (1, 200))
    assert 150 < (large.resident - small.resident) / MEGABYTE < 250
    assert small.resident < len(ours)
    assert small.private <= small.resident


def test_a_process_of_its_own_keeps_what_it_was_told():
    with harness.OwnProcess() as process:
        first, second = process.call(os.getpid), process.call(os.getpid)
    assert first == second != os.getpid()


def test_a_process_of_its_own_may_have_another_environment(monkeypatch):
    monkeypatch.setenv("BENCH_KEPT", "1")
    monkeypatch.setenv("BENCH_DROPPED", "1")
    with harness.OwnProcess({"BENCH_DROPPED": None, "BENCH_SET": "2"}) as process:
        found = [process.call(os.getenv, f"BENCH_{n}") for n in ("KEPT", "DROPPED", "SET")]
    assert found == ["1", None, "2"]
    assert "BENCH_SET" not in os.environ


def test_a_machine_is_described_without_paths():
    machine = harness.describe_machine()
    assert machine["cores"] == os.cpu_count()
    assert {"processor", "memory_gb", "python", "date", "commit"} <= machine.keys()
    assert {"tensorflow", "keras", "google-crc32c"} <= machine["packages"].keys()
    ours = describe_machine()
    assert {key: machine[key] for key in ours if key != "packages"} == {
        key: ours[key] for key in ours if key != "packages"
    }
    assert os.getcwd() not in json.dumps(machine)


def test_the_exponent_of_a_power_law_is_found():
    sizes = [10, 100, 1000]
    assert merge.growth_exponent(sizes, [3 * n**1.2 for n in sizes]) == pytest.approx(1.2)


def test_first_records_are_a_smaller_set_in_the_same_layout(kaggle_folder, tmp_path):
    copied = sets.first_records(kaggle_folder, tmp_path / "part", 50)
    store = merge_ddsm10(tmp_path / "part", tmp_path / "store")
    whole = merge_ddsm10(kaggle_folder, tmp_path / "whole")
    assert len(store) == copied == 50
    digests = whole.table.set_index("tile")["digest"]
    assert (store.table.set_index("tile")["digest"] == digests[store.table["tile"]]).all()


def test_the_notebook_loop_reads_what_is_there(small_set, tmp_path):
    images, labels = merge.notebook_loop(sets.training_files(small_set.write(tmp_path / "set")), 99)
    assert labels == [0, 0, 1, 0, 2, 0, 3, 0, 4, 0]
    assert [image.shape for image in images] == [(merge.SIDE, merge.SIDE)] * 10
    assert [int(image[-1, -1]) for image in images] == list(range(10, 20))


def test_merging_is_measured_against_all_that_was_asked(kaggle_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(merge, "simulated_set", lambda tiles: kaggle_folder)
    monkeypatch.setattr(merge, "BENCH", tmp_path / "bench")
    result = merge.measure(QUICK)
    names = [row.name for row in result.rows]
    assert names[:6] == [
        merge.LOOP, merge.BATCHED, merge.PLAIN, merge.OURS, merge.WITH_STORE, merge.AGAIN,
    ]  # fmt: skip
    wanted = {(r.over, r.under) for r in result.ratios}
    assert {(merge.OURS, other) for other in (merge.LOOP, merge.BATCHED, merge.PLAIN)} <= wanted
    assert all(row.median > 0 for row in result.rows)
    assert len(result.targets) == 6
    assert [t.name for t in result.targets if "peak memory" in t.name] == [
        f"peak memory of {what} of {result.facts['tiles']:,} tiles, bytes"
        for what in ("a merge", "an audit")
    ]
    (exponent,) = (t for t in result.targets if "exponent" in t.name)
    assert exponent.name == "exponent of time over 100 to 200 tiles"
    assert list((tmp_path / "bench").iterdir()) == []


@pytest.mark.parametrize("share", [0.13, 0.5, 0.999])
def test_the_threshold_lets_the_share_through(share):
    scores = np.random.default_rng(0).random(1000)
    assert (scores >= predict.threshold_for(scores, share)).sum() == round(share * 1000)


def test_nothing_passes_where_nothing_should():
    assert math.isinf(predict.threshold_for(np.array([0.1, 0.9]), 0.1))


def test_memory_of_few_answers_and_of_many_is_measured(store, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "simulated_store", lambda tiles: store)
    monkeypatch.setattr(stream, "SIZES_READ", {QUICK: (10, 40)})
    with pytest.raises(DataError, match="no trained cascade; run `birads study` first"):
        stream.measure(QUICK, tmp_path / "no cascade")
    small_cascade().save(tmp_path / "cascade", ["onnx"])
    result = stream.measure(QUICK, tmp_path / "cascade")
    assert [row.name for row in result.rows] == [
        "peak memory, 10 tiles", "rate, 10 tiles", "peak memory, 40 tiles", "rate, 40 tiles",
    ]  # fmt: skip
    few, many = (row.median for row in result.rows if row.unit == "MB")
    growth, most = result.targets
    assert growth.value == pytest.approx(many / few)
    assert most.value == pytest.approx(many * 1e6)
    assert 100 < many < 4000


def test_tiles_are_repeated_to_the_last(tmp_path):
    drawn = np.arange(3, dtype=np.uint8)[:, None, None] * np.ones((1, 299, 299), np.uint8)
    stream.repeat_tiles(drawn, 7, tmp_path / "tiles.npy")
    assert np.load(tmp_path / "tiles.npy")[:, 0, 0].tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_prediction_is_measured_at_the_sets_own_share_of_positives(store, tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "simulated_store", lambda tiles: store)
    result = predict.measure(QUICK, tmp_path / "no cascade")
    assert result.facts["networks"].startswith("random weights")
    real = np.add(TRAINING_COUNTS, HELD_OUT_COUNTS)
    tiles = result.facts["tiles"]
    ways = [f"{predict.TWO_STAGES}, {engine}" for engine in SUFFIXES]
    for way in ways:
        assert result.facts[f"share let through, {way}"] * tiles == pytest.approx(
            tiles * real[1:].sum() / real.sum(), abs=1
        )
    assert [row.name for row in result.rows] == [predict.EVERY_TILE, *ways]


def test_a_shipped_cascade_is_measured_with_its_autoencoder_and_without(
    store, tmp_path, monkeypatch
):
    keras.utils.set_random_seed(0)
    parts = predict._random_parts(predict.SMALLEST)
    side = keras.Input((40, 40, 1))
    Cascade(parts["gate"], parts["scorer"], keras.Model(side, side * 0.5)).save(
        tmp_path / "cascade", predict.FORMS
    )
    monkeypatch.setattr(predict, "simulated_store", lambda tiles: store)
    monkeypatch.setattr(predict, "TILES", {USUAL: 40})
    monkeypatch.setattr(predict, "REPEATS", {USUAL: 1})
    result = predict.measure(USUAL, tmp_path / "cascade")
    assert result.facts["networks"] == "of a trained cascade"
    ways = (predict.SHIPPED, predict.TWO_STAGES)
    others = [engine for engine in SUFFIXES if engine != DEFAULT]
    compared = {(r.over, r.under) for r in result.ratios if DEFAULT in r.over}
    assert compared == {
        (f"{predict.SHIPPED}, {DEFAULT}", predict.ALL_THREE),
        *((f"{way}, {DEFAULT}", predict.EVERY_TILE) for way in ways),
        *((f"{way}, {DEFAULT}", f"{way}, {engine}") for way in ways for engine in others),
    }
    judged = {target.name for target in result.targets}
    assert judged == {f"{a} / {b}" for a, b in compared if b != predict.ALL_THREE}


def test_the_full_size_is_refused_without_a_trained_cascade(tmp_path):
    with pytest.raises(DataError, match="no cascade: no trained cascade; run `birads study`"):
        predict.measure(FULL, tmp_path / "no cascade")


def test_feeding_is_measured_alone_and_in_training(store, monkeypatch):
    monkeypatch.setattr(feed, "simulated_store", lambda tiles: store)
    result = feed.measure(QUICK)
    named = [row.name for row in result.rows[:4]]
    assert named == [feed.FIRST, feed.EPOCH, feed.FED, feed.CACHED]
    assert all(row.median > 0 for row in result.rows)
    assert [t.name for t in result.targets] == [
        "tiles/s fed",
        f"{feed.FED} / {feed.CACHED}",
        f"peak memory of a gate epoch of {len(store):,} tiles, bytes",
    ]


def test_simulating_says_at_what_rate_it_reckons(tmp_path, monkeypatch):
    monkeypatch.setattr(simulate, "BENCH", tmp_path / "bench")
    result = simulate.measure(QUICK)
    (target,) = result.targets
    written = result.facts["tiles"]
    assert target.name == f"minutes for {simulate.WHOLE:,} tiles, at the rate of {written:,}"
    assert target.value == pytest.approx(simulate.WHOLE / result.rows[0].median / 60)
    assert list((tmp_path / "bench").iterdir()) == []


def test_a_frozen_backbone_is_measured_against_the_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(frozen, "BENCH", tmp_path)
    result = frozen.measure(QUICK)
    assert [row.name for row in result.rows] == [frozen.WHOLE, frozen.HEAD, frozen.ONCE]
    (ratio,) = result.ratios
    assert (ratio.over, ratio.under) == (frozen.HEAD, frozen.WHOLE)
    assert all(row.median > 0 for row in result.rows)
    assert list(tmp_path.iterdir()) == []


def test_a_training_is_repeated_and_set_beside_other_threads_and_seeds(store, monkeypatch):
    monkeypatch.setattr(repeat, "simulated_store", lambda tiles: store)
    result = repeat.measure(QUICK)
    again, again_area, *others = result.rows
    assert (again.median, again_area.median) == (0, 0), "the same seed gives the same numbers"
    assert [row.name.split(", ")[1] for row in others] == [
        *2 * [repeat.ONE_THREAD], *2 * [repeat.OTHER_SEED],
    ]  # fmt: skip
    assert others[2].median > 0, "another seed gives others"
    (target,) = result.targets
    assert target.met


def test_training_is_measured_against_the_plain_script():
    result = train.measure(QUICK)
    assert [row.name for row in result.rows] == [train.PLAIN.name, train.OURS.name]
    assert [(r.over, r.under) for r in result.ratios] == [(train.OURS.name, train.PLAIN.name)]
    assert result.facts["seconds a tile, by the roofs"] > 0
    assert "unset" in result.facts["plain script"]


def test_only_the_plain_script_is_left_to_tensorflows_own_choice():
    assert train.PLAIN.environment == {ONEDNN: None}
    assert train.OURS.environment == {ONEDNN: "1"}
    off = next(v for v in train.VARIANTS if v.onednn == "0")
    assert off.environment == {ONEDNN: "0"}


def test_a_layout_without_kernels_is_recorded_and_ours_must_run(monkeypatch):
    def rate(variant, size):
        if variant.layout or variant == broken:
            raise RuntimeError("Graph execution error:\n\nThe op only supports NHWC on the CPU.")
        return 5.0

    class Here:
        def __init__(self, environment): ...
        def __enter__(self):
            return self

        def __exit__(self, *_): ...
        def call(self, function, *arguments):
            return function(*arguments)

    broken = None
    monkeypatch.setattr(train, "OwnProcess", Here)
    monkeypatch.setattr(train, "segment_rate", rate)
    rates, refusals = train.rates_in_turns(train.VARIANTS, QUICK)
    (layout,) = (v.name for v in train.VARIANTS if v.layout)
    assert refusals == {layout: "refused: The op only supports NHWC on the CPU."}
    assert layout not in rates
    assert rates[train.OURS.name] == [5.0]
    broken = train.OURS
    with pytest.raises(RuntimeError):
        train.rates_in_turns(train.VARIANTS, QUICK)


def test_variants_have_names_of_their_own():
    assert len({variant.name for variant in train.VARIANTS}) == len(train.VARIANTS)


def answers_of(questions, size=USUAL, **machine):
    """What ``run`` gives, without the figures."""
    results = {name: {"commit": "new", "size": size} for name in questions}
    return {"machine": {"processor": "P"} | machine, "results": results}


def test_a_whole_run_takes_the_place_of_all_earlier_answers():
    whole = answers_of(command.QUESTIONS)
    assert command.with_earlier(whole, None) == whole
    assert command.with_earlier(whole, answers_of(["merge"], processor="Q")) == whole


def test_some_answers_join_those_of_the_same_machine():
    earlier = answers_of(command.QUESTIONS)
    for result in earlier["results"].values():
        result["commit"] = "old"
    kept = command.with_earlier(answers_of(["feed"], FULL), earlier)
    assert list(kept["results"]) == list(command.QUESTIONS)
    assert kept["results"]["feed"] == {"commit": "new", "size": FULL}
    assert kept["results"]["merge"] == {"commit": "old", "size": USUAL}


@pytest.mark.parametrize(
    ("answers", "earlier"),
    [
        (answers_of(command.QUESTIONS, QUICK), None),
        (answers_of(["merge"]), None),
        (answers_of(["merge"]), answers_of(["feed"], processor="Q")),
    ],
    ids=["quick", "alone", "another machine"],
)
def test_answers_that_would_not_stand_beside_each_other_are_not_kept(answers, earlier):
    assert command.with_earlier(answers, earlier) is None


def test_the_tracked_answers_say_when_each_was_found():
    kept = read_json(Path(harness.__file__).parents[1] / command.RESULTS)
    assert set(kept["results"]) <= set(command.QUESTIONS)
    for result in kept["results"].values():
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", result["date"])
        assert result["commit"]
        assert result["size"] in (USUAL, FULL)
    assert not set(command.OF_AN_ANSWER) & set(kept["machine"])


@pytest.fixture
def partial(tmp_path, monkeypatch):
    """Where answers are kept as they come."""
    monkeypatch.setattr(command, "PARTIAL", tmp_path / "bench" / "answers.json")
    return command.PARTIAL


def test_an_error_loses_no_earlier_answer(partial, monkeypatch, capsys):
    def fails(size):
        raise DataError("tiles: none")

    answer = Result("How fast?", [Row.of("a", [2.0], "tiles/s")])
    monkeypatch.setattr(merge, "measure", lambda size: answer)
    monkeypatch.setattr(feed, "measure", fails)
    assert command.main(["--only", "merge", "feed", "--size", QUICK]) == 2
    assert list(read_json(partial)["results"]) == ["merge"]
    assert capsys.readouterr().err == (
        f"benchmarks: tiles: none; the answers before it are in {partial}\n"
    )
    assert command.main(["--only", "feed", "--size", QUICK]) == 2
    assert capsys.readouterr().err == "benchmarks: tiles: none\n", "none is there any more"


def test_answers_are_written_where_they_were_asked_for(tmp_path, partial, monkeypatch, capsys):
    answer = Result("How fast?", [Row.of("a", [2.0], "tiles/s")])
    monkeypatch.setattr(merge, "measure", lambda size: answer)
    out = tmp_path / "answers.json"
    assert command.main(["--only", "merge", "--size", QUICK, "--out", str(out)]) == 0
    written = read_json(out)
    assert written["results"]["merge"]["rows"][0]["median"] == 2.0
    assert written["results"]["merge"]["size"] == QUICK
    assert written["machine"]["cores"] == os.cpu_count()
    assert "How fast?" in capsys.readouterr().out
