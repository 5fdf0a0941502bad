"""Light gates and cited systems: quality and cost from what their sweeps left."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from birads_lib.files import sealed, write_json
from birads_lib.networks.cost import Cost, LayerCost
from birads_lib.study import figures_sweeps, related
from birads_lib.study.latency import Latency
from birads_lib.study.sweeps import read_sweeps
from birads_lib.texture import texture_features

COST = Cost((LayerCost("conv", "Conv2D", 1234, 2_500_000, 10),))
LATENCY = Latency(1.5, 1.25, 2.0)


def answers(gates, seed=0):
    """A gate's answers of four patients, a tile each; the first two infected."""
    return pd.DataFrame(
        {
            "tile": list("abcd"),
            "group": ["p", "q", "r", "s"],
            "label": [2, 4, 0, 0],
            "gate": gates,
            "threshold": 0.5,
            "seed": seed,
            "member": "MobileNetV2",
        }
    )


def member(stage, figure, reference="", seeds=(0,)):
    return {
        "title": f"the {stage}",
        "reference": reference,
        "seeds": list(seeds),
        "scores": {stage: {figure: {"value": 0.7, "interval": [0.6, 0.8]}}},
    }


def gain(low, high):
    return {"auroc": {"value": (low + high) / 2, "interval": [low, high]}, "stage": "gate"}


def gates(squeezenet, shufflenet, low=0.6):
    """Results of a sweep with the differences given, and AUROC from ``low`` on."""
    scores = {"gate": {"auroc": {"value": low + 0.1, "interval": [low, low + 0.2]}}}
    names = ("MobileNetV2", "SqueezeNet", "ShuffleNetV2")
    pairs = zip(names[1:], (squeezenet, shufflenet), strict=True)
    return {
        "members": {name: {"scores": scores} for name in names},
        "differences": [{"first": names[0], "second": n, **gain(*ends)} for n, ends in pairs],
    }


def test_sensitivity_and_specificity_by_hand():
    found = related.GateAnswers.of(answers([0.9, 0.1, 0.2, 0.5]))
    assert found.sensitivity()["value"] == 0.5  # a is let through, b is not
    assert found.specificity()["value"] == 0.5  # c is turned away; d reaches the threshold


def test_seeds_are_averaged():
    tables = [answers([0.9, 0.9, 0.1, 0.1], 0), answers([0.9, 0.1, 0.1, 0.1], 1)]
    found = related.GateAnswers.of(pd.concat(tables))
    assert found.sensitivity()["value"] == 0.75
    assert found.specificity()["value"] == 1.0


def test_a_gate_that_stops_all_is_not_certain_of_it():
    low, high = related.GateAnswers.of(answers([0.1] * 4)).sensitivity()["interval"]
    assert low == 0
    assert high == pytest.approx(1 - 0.025**0.5)  # Clopper and Pearson, 0 of 2 patients


def test_seeds_that_all_disagree_are_half_right():
    tables = [answers([0.9] * 4, 0), answers([0.1] * 4, 1)]
    assert related.GateAnswers.of(pd.concat(tables)).sensitivity()["value"] == 0.5


@pytest.mark.parametrize(
    ("squeezenet", "shufflenet", "low", "answer"),
    [
        ((0.01, 0.03), (0.01, 0.02), 0.6, related.BETTER),
        ((0.01, 0.03), (-0.02, -0.01), 0.6, related.NOT_BETTER),
        ((-0.01, 0.03), (0.01, 0.02), 0.6, related.UNDECIDED),
        ((0.01, 0.03), (0.01, 0.02), 0.4, related.UNLEARNED),
    ],
)
def test_better_means_both_whole_intervals(squeezenet, shufflenet, low, answer):
    gains, found = related.peer_gains(gates(squeezenet, shufflenet, low))
    assert found == answer
    assert gains["SqueezeNet"]["value"] == pytest.approx(50 * sum(squeezenet))


def test_without_one_of_the_peers_there_is_no_answer():
    found = gates((0.01, 0.03), (0.01, 0.02))
    assert related.peer_gains({**found, "differences": found["differences"][:1]}) is None


def test_the_table_of_gates_holds_quality_and_cost():
    found = {"members": {"MobileNetV2": member("gate", "auroc")}}
    costs, times = {"MobileNetV2": COST}, {"MobileNetV2": LATENCY}
    row = related.gate_table(found, answers([0.9, 0.1, 0.2, 0.5]), costs, times).loc["the gate"]
    assert row["AUROC"] == "0.700 (0.600 to 0.800)"
    assert row["sensitivity"].startswith("0.500")
    assert row["weights"] == "1,234"
    assert row["million multiply-adds"] == "2.5"
    assert row["ms a tile"] == "1.50 (1.25 to 2.00)"
    points = related.cost_points(found, costs, times)
    assert points.loc["the gate"].tolist() == [2_500_000, 1.5, 0.7, 0.6, 0.8]


def test_the_figure_shows_each_gate_where_it_costs():
    ends = {"value": [0.6, 0.9], "low": [0.5, 0.8], "high": [0.7, 0.95]}
    points = pd.DataFrame(
        {"multiply_adds": [1e6, 1e8], "milliseconds": [2.0, 1.0], **ends}, ["a", "b"]
    )
    counted, measured = figures_sweeps.quality_against_cost(points).axes

    def drawn(axis):
        return [container.lines[0].get_xydata()[0].tolist() for container in axis.containers]

    assert counted.get_xscale() == measured.get_xscale() == "log"
    assert drawn(counted) == [[1e6, 0.6], [1e8, 0.9]]
    assert drawn(measured) == [[2.0, 0.6], [1.0, 0.9]]
    assert counted.xaxis.get_major_formatter()(2e6) == "2"
    assert measured.xaxis.get_major_formatter()(2) == "2"


def test_a_reference_has_its_own_report_and_a_classic_model_no_weights():
    found = {
        "members": {
            "XGBoost": member("scorer", "balanced_accuracy", "[22]", (0, 1)),
            "plain-CNN": {**member("scorer", "balanced_accuracy"), "title": "plain"},
        }
    }
    table = related.reference_table(found, {"plain-CNN": COST})
    assert table.loc["the scorer", "weights"] == "\u2013"
    assert "97 %" in table.loc["the scorer", "it reports, of accuracy"]
    assert table.loc["the scorer", "seeds"] == 2
    assert table.loc["plain", "it reports, of accuracy"] == "\u2013"


def test_every_report_is_of_a_member():
    assert related.REPORTED.keys() <= read_sweeps("laptop")["related"].members.keys()


def test_a_network_is_built_at_the_size_and_clip_of_its_sweep():
    gate = related.network_of({"model": "SqueezeNet1.1", "gate_size": 48, "clip": 1})
    assert gate.input_shape == (None, 48, 48, 1)
    scorer = related.network_of({"model": "PlainCNN", "scorer_size": [40, 32], "clip": 1})
    assert scorer.input_shape == (None, 40, 32, 3)
    assert scorer.output_shape == (None, 4)
    assert related.network_of({"model": "XGBoost"}) is None


def test_networks_of_classic_models_are_left_out(tmp_path):
    found = {"members": {"plain": member("scorer", "auroc"), "tree": member("scorer", "auroc")}}
    settings = {"plain": {"model": "PlainCNN", "scorer_size": [32, 32], "clip": 1}, "tree": {}}
    for name, parameters in settings.items():
        path = tmp_path / "sweeps" / "related" / name / "0.json"
        write_json(path, {"parameters": {"model": "decision tree", **parameters}})
    networks = related.member_networks(tmp_path, "related", found)
    assert list(networks) == ["plain"]
    assert related.network_costs(networks)["plain"].weights == networks["plain"].count_params()


def test_averaged_weights_are_told_with_their_span():
    settings = {"GoogLeNet": {"effort": {"average": 0.9}}, "VGG16": {"effort": {}}, "tree": {}}
    said = related.averaged_over(settings)
    assert said == (
        "GoogLeNet keeps 0.9 of its running mean at each step, a mean over about 10 steps."
    )


def test_a_learning_rate_that_ends_before_its_first_step_is_told():
    brief = {"schedule": "staircase", "epochs": 5}
    said = related.averaged_over({"GoogLeNet": {"effort": brief}})
    assert said.startswith("The learning rate of GoogLeNet never falls")
    assert related.averaged_over({"GoogLeNet": {"effort": {**brief, "epochs": 9}}}) == ""


def test_each_sweep_is_told_of_by_itself():
    about = {"date": "D", "commit": "c" * 40, "profile": "smoke", "complete": True}
    found = {**about, "members": {"a": {}}, "failed": {}, "missing": []}
    said = related.what_ran({"gates": found, "related": None}, "smoke").split("\n\n")
    assert said[0].startswith("Lightweight gates: Collected D")
    assert said[1].startswith("Related work: **this sweep has not been run")
    assert "`birads sweep related --profile smoke`" in said[1]


def test_a_sweep_of_which_all_failed_is_as_one_that_did_not_run(tmp_path):
    assert related.read_sweep(tmp_path, "gates") is None
    keys = ("complete", "failed", "missing", "date", "commit", "differences", "table")
    path = tmp_path / "results" / "sweep_gates.json"
    write_json(path, sealed({**dict.fromkeys(keys), "members": {}}))
    assert related.read_sweep(tmp_path, "gates") is None
    write_json(path, sealed({**dict.fromkeys(keys), "members": {"a": {}}}))
    assert related.read_sweep(tmp_path, "gates")["members"] == {"a": {}}


HALF = [[0.5, 0, 0.2], [0, 0.5, 0]]  # the middle half of each side, a tenth of a side right
WHOLE = [[1, 0, 0], [0, 1, 0]]


def test_maps_are_those_of_the_first_training(tmp_path):
    found = {"members": {related.TRANSFORMER: member("scorer", "auroc", seeds=(2, 3))}}
    assert related.affine_maps(tmp_path, found) == {}
    folder = tmp_path / "sweeps" / "related" / related.TRANSFORMER
    write_json(folder / "2.affine.json", {"tile": HALF})
    assert related.affine_maps(tmp_path, found)["tile"].tolist() == HALF
    assert related.affine_maps(tmp_path, {"members": {}}) == {}


def test_what_a_transformer_reads_is_told_as_area_and_shift():
    said = related.sampling_sentence({"a": np.array(HALF), "b": np.array(WHOLE)})
    assert "25 to 100 % of the area" in said
    assert "0 to 10 % of a side" in said
    assert "never left" not in said
    assert "never left" in related.sampling_sentence({"b": np.array(WHOLE)})
    assert "nothing to draw" in related.sampling_sentence({})


def test_the_quadrilateral_is_drawn_where_the_tile_is_read():
    tiles = np.zeros((2, 101, 101), np.uint8)
    figure = figures_sweeps.sampled_quadrilaterals(
        tiles, ["C2", "C3"], [np.array(HALF), np.array(WHOLE)]
    )
    half, whole = (axis.patches[0].get_xy()[:4].tolist() for axis in figure.axes)
    assert half == [[35, 25], [85, 25], [85, 75], [35, 75]]
    assert whole == [[0, 0], [100, 0], [100, 100], [0, 100]]
    assert [axis.get_title() for axis in figure.axes] == ["C2", "C3"]
    inner = figures_sweeps.CELLS - 1
    assert all(len(axis.lines) == 2 * inner + 1 for axis in figure.axes), "a lattice and a dot"


def test_texture_weights_are_of_the_features_and_repeat(store):
    labels = store.table["label"].to_numpy()
    held_out = (store.table["origin"] != "training").to_numpy()
    found = related.texture_weights(store.images, labels, held_out, 60, 20, seed=0)
    assert set(found.index) == set(texture_features(store.images[:1]).columns)
    assert (found.to_numpy() >= 0).all()
    assert np.all(np.diff(found.sum(axis=1)) <= 0)
