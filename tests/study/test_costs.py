"""Hours from operations."""

import keras
import numpy as np
import pandas as pd
import pytest

from birads_lib.errors import DataError
from birads_lib.files import write_json
from birads_lib.networks.cost import Cost, LayerCost, Peaks
from birads_lib.study import costs, figures_cost

# One tile: 100 multiply-adds, 50 numbers moved, 10 weights; two tiles a step.
STEP = Cost((LayerCost("dense", "Dense", 10, 100, 50),), batch=2)
LEARNING, STEERING, EPOCHS = 6, 4, 3
OPERATIONS = 6 * 100 * 2 * 3 + 4 * 100 * 2
BYTES = 3 * (3 * 2 * 50 * 4 + 10 * 10 * 4) + 2 * (2 * 50 * 4 + 10 * 4)


@pytest.fixture
def training():
    return costs.Training(STEP, LEARNING, STEERING, EPOCHS)


def test_an_epoch_learns_in_three_passes_and_steers_in_one(training):
    assert training.epoch_operations == OPERATIONS
    assert training.epoch_bytes == BYTES
    assert training.intensity == OPERATIONS / BYTES


def test_hours_are_all_epochs_at_the_pace_reached(training):
    assert training.hours(1000.0) == pytest.approx(EPOCHS * OPERATIONS / 1000 / 3600)


def test_least_hours_follow_the_lower_roof(training):
    bound_by_memory = Peaks(operations=1e12, bandwidth=10.0)
    assert training.least_hours(bound_by_memory) == pytest.approx(EPOCHS * BYTES / 10 / 3600)


def test_a_projection_sums_what_adds_up(training):
    pace = pd.Series({"gate": 1000.0, "scorer": 500.0})
    table = costs.projection_table({"gate": training, "scorer": training}, pace, Peaks(1e3, 1e3))
    assert table.loc["all", "hours, this processor"] == pytest.approx(
        3 * EPOCHS * OPERATIONS / 1000 / 3600
    )
    assert np.isnan(table.loc["all", "most epochs"])


def test_pace_is_operations_by_seconds(training):
    pace = costs.pace_table({"gate": training}, {"gate": 5.0}).loc["gate"]
    assert pace["tiles/s"] == 2.0
    assert pace["operations/s"] == OPERATIONS / 5


def test_the_epoch_that_compiles_does_not_count(tmp_path):
    for name in costs.TRAINED.values():
        history = [{"seconds": s} for s in ((40.0, 2.0, 4.0) if name == "gate" else (7.0,))]
        write_json(tmp_path / f"{name}.json", {"history": history})
    assert costs.epoch_seconds(tmp_path) == {"autoencoder": 7.0, "gate": 3.0, "scorer": 7.0}


def test_networks_of_a_profile_have_its_sizes():
    networks = costs.profile_networks("smoke")
    assert list(networks) == list(costs.STAGES)
    assert networks["gate"].input_shape == (None, 96, 96, 1)
    assert networks["scorer"].input_shape == (None, 96, 72, 3)
    row = costs.size_row(networks["gate"])
    assert row["input"] == "96 x 96 x 1"
    assert row["weights"] == networks["gate"].count_params()
    trainings = costs.trainings_of_paper(networks, "smoke")
    assert trainings["gate"].learning == round(55_885 * 0.9 * 0.9)
    assert trainings["scorer"].steering == round(7_289 * 0.1)
    assert trainings["autoencoder"].learning == 300


def test_a_runs_trainings_count_its_tiles(tmp_path):
    tile = keras.Input((4,))
    model = keras.Model(tile, keras.layers.Dense(1)(tile))
    for name in costs.TRAINED.values():
        model.save(tmp_path / f"{name}.keras")
    table = pd.DataFrame({"label": [0, 0, 0, 1, 2, 3]})
    split = pd.Series(["train", "validation", "train", "train", "validation", "held-out"])
    trainings = costs.trainings_of_run(tmp_path, "smoke", table, split)
    counts = {stage: (work.learning, work.steering) for stage, work in trainings.items()}
    assert counts == {"autoencoder": (3, 2), "gate": (3, 2), "scorer": (1, 1)}
    (tmp_path / "gate.keras").unlink()
    with pytest.raises(DataError, match=r"gate\.keras: no such model"):
        costs.trainings_of_run(tmp_path, "smoke", table, split)


def test_a_frozen_scorer_counts_as_its_head_and_is_projected_at_the_gates_pace(tmp_path):
    tile = keras.Input((4,))
    whole = keras.layers.Dense(8, name="backbone")(tile)
    models = {"scorer": keras.Model(tile, keras.layers.Dense(1)(whole))}
    models["scorer_head"] = keras.Model(tile, keras.layers.Dense(1)(tile))
    for name in ("autoencoder_patches", "gate", "scorer", "scorer_head"):
        models.get(name, models["scorer_head"]).save(tmp_path / f"{name}.keras")
        write_json(tmp_path / f"{name}.json", {"history": [{"seconds": 2.0}], "frozen": False})
    table = pd.DataFrame({"label": [0, 1, 1]})
    split = pd.Series(["train", "train", "validation"])
    pace = pd.DataFrame({"operations/s": {"gate": 5.0, "scorer": 7.0}})

    def weights():
        return costs.trainings_of_run(tmp_path, "smoke", table, split)["scorer"].step.weights

    assert weights() == models["scorer"].count_params()
    assert costs.whole_pace(pace, tmp_path)["scorer"] == 7.0
    write_json(tmp_path / "scorer.json", {"history": [{"seconds": 2.0}], "frozen": True})
    assert weights() == models["scorer_head"].count_params()
    assert costs.whole_pace(pace, tmp_path)["scorer"] == 5.0
    assert costs.epoch_seconds(tmp_path)["scorer"] == 2.0


def test_the_roofline_shows_every_network_under_the_roofs():
    points = pd.DataFrame(
        {"operations a byte": [1.0, 10.0], "operations/s": [1e9, 2e9]}, index=["gate", "scorer"]
    )
    (axis,) = figures_cost.roofline(Peaks(4e9, 2e9), points).axes
    roof, *drawn = axis.get_lines()
    assert max(roof.get_ydata()) == pytest.approx(4)
    assert [(x.get_xdata()[0], x.get_ydata()[0]) for x in drawn] == [(1, 1), (10, 2)]
