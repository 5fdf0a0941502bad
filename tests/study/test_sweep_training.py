"""How members of sweeps answer: products and five classes by hand, one real group of each."""

from __future__ import annotations

import os

import keras
import numpy as np
import pytest

from birads_lib.files import read_json
from birads_lib.labels import LESION_CODES
from birads_lib.metrics import class_scores, predicted_class
from birads_lib.networks import attention_head, attention_scorer, split_at_features
from birads_lib.recipe import Effort
from birads_lib.study.kinds import DENOISED, SCORER
from birads_lib.study.run import Run
from birads_lib.study.sweep_data import PreparedRows
from birads_lib.study.sweep_training import _distribution, as_cascade, product_of_halves
from birads_lib.study.sweeps import Member, Sweep, affine_path, collect, run_group
from birads_lib.tiles.store import ImageRows

SIDE = 32
EFFORT = {"epochs": 1, "batch_size": 64}


def test_type_and_pathology_multiply_to_four_classes():
    found = product_of_halves(np.array([0.9, 0.0]), np.array([0.2, 1.0]))
    # benign calcification, benign mass, malignant calcification, malignant mass
    np.testing.assert_allclose(found, [[0.08, 0.72, 0.02, 0.18], [0, 0, 1, 0]])


def test_five_probabilities_become_a_gate_and_four_that_sum_to_one():
    table = as_cascade(np.array([[0.2, 0.4, 0.2, 0.1, 0.1], [0.9, 0.0, 0.0, 0.1, 0.0]]))
    assert table["gate"].tolist() == pytest.approx([0.8, 0.1])
    np.testing.assert_allclose(
        table[list(LESION_CODES)], [[0.5, 0.25, 0.125, 0.125], [0, 0, 1, 0]], atol=1e-9
    )


def test_five_classes_are_judged_by_the_cascades_rule():
    chances = np.array([[0.2, 0.4, 0.2, 0.1, 0.1], [0.6, 0.0, 0.0, 0.1, 0.3], [1, 0, 0, 0, 0]])
    table = as_cascade(chances).assign(threshold=0.5)
    assert predicted_class(table, "cascade").tolist() == [1, 0, 0]
    np.testing.assert_allclose(class_scores(table, "cascade"), chances, atol=1e-9)


def test_prepared_rows_are_changed_as_they_are_read():
    tiles = np.arange(24, dtype=np.uint8).reshape(6, 2, 2)
    rows = PreparedRows(ImageRows(tiles), lambda images: 255 - images)
    np.testing.assert_array_equal(rows[2], 255 - tiles[2])
    chosen = rows.where(np.arange(6) % 2 == 1)
    np.testing.assert_array_equal(chosen[1:], 255 - tiles[[3, 5]])
    assert chosen.shape == (3, 2, 2)


@pytest.mark.parametrize("attention", ["both", "spatial", "channel", "none"])
def test_a_head_alone_answers_as_the_scorer_behind_its_backbone(attention):
    keras.utils.set_random_seed(0)
    scorer = attention_scorer("EfficientNetB0", (SIDE, SIDE, 3), attention=attention, last_block=1)
    backbone, behind = split_at_features(scorer)
    head = attention_head(backbone.output_shape[1:], attention)
    head.set_weights(behind.get_weights())
    features = np.random.default_rng(0).random((4, *head.input_shape[1:]), np.float32)
    np.testing.assert_allclose(head(features), behind(features), rtol=1e-5)


def test_a_head_of_one_class_is_one_sigmoid():
    head = attention_head((3, 2, 5), classes=1)
    answers = np.asarray(head(np.random.default_rng(0).random((4, 3, 2, 5), np.float32)))
    assert answers.shape == (4, 1)
    assert ((answers > 0) & (answers < 1)).all()


@pytest.fixture(scope="module")
def run(store, tmp_path_factory):
    """A run as its chapters leave it, with a scorer of few layers that learned nothing."""
    folder = tmp_path_factory.mktemp("run") / "smoke"
    (folder / "models").mkdir(parents=True)
    (folder / "tiles").mkdir()
    (folder / "store").symlink_to(os.path.dirname(store.images.filename))
    np.save(folder / DENOISED, np.asarray(store.images[:, ::6, ::6]))
    keras.utils.set_random_seed(0)
    scorer = attention_scorer("EfficientNetB0", (SIDE, SIDE, 3), last_block=1)
    scorer.save(folder / SCORER)
    return Run(folder, "sweep")


def made(name, kind, stage="scorer", **parameters):
    parameters = {"effort": EFFORT, **parameters}
    return Member("made", name, kind, stage, "group", 1, parameters, name)


def test_a_group_of_real_members_answers_and_is_collected(run):
    small = {"backbone": "EfficientNetB0", "clip": 1, "scorer_size": [SIDE, SIDE]}
    members = [
        made("both", "attention", attention="both"),
        made("window", "attention", attention="spatial", pool="window"),
        made("halves", "binary"),
        made("five", "five", "cascade", **small),
        made(
            "undenoised", "cascade", "cascade", denoised=False, gate_size=SIDE, alpha=0.35,
            gate_clip=1, **small,
        ),
    ]  # fmt: skip
    compare = (("window", "both"), ("undenoised", "five"))
    sweep = Sweep("made", "", {m.name: m for m in members}, compare)
    done = run_group(run, sweep, "group")
    assert done["reason"].tolist() == [""] * len(members)
    found = collect(run, sweep)
    assert found["complete"]
    assert set(found["members"]["undenoised"]["scores"]) == {"gate", "scorer", "cascade"}
    assert [(d["first"], d["stage"]) for d in found["differences"]] == [
        ("window", "scorer"),
        ("undenoised", "cascade"),
    ]
    assert not list((run.path / "sweeps").rglob("*.keras")), "checkpoints go when it is done"
    assert set(run_group(run, sweep, "group")["state"]) == {"done before"}


def test_a_network_that_chooses_where_to_look_says_so_of_each_class(run):
    settings = {"model": "GoogLeNet-STN", "scorer_size": [SIDE, SIDE], "clip": 1}
    looking = made("looking", "scorer", **settings)
    done = run_group(run, Sweep("made", "", {"looking": looking}, ()), "group")
    assert done["reason"].tolist() == [""]
    maps = read_json(affine_path(run.path / "sweeps/made/looking/0.parquet"))
    shown = run.store.table.iloc[run.store.rows_of(list(maps))]
    assert set(shown["label"]) == {1, 2, 3, 4}
    assert set(shown["origin"]).isdisjoint({"training"})
    assert {np.shape(values) for values in maps.values()} == {(2, 3)}


def test_a_stage_that_a_kind_does_not_answer_for_is_refused(run):
    wrong = made("wrong", "attention", "gate", attention="none")
    (reason,) = run_group(run, Sweep("odd", "", {"wrong": wrong}, ()), "group")["reason"]
    assert reason == "member wrong: stage: unknown 'gate'; use one of scorer"


@pytest.mark.parametrize(
    ("asked", "average", "devices"),
    [("local", 0.9, "one"), ("local", 0, None), ("one", 0.9, None), ("hosts", 0.9, None)],
)
def test_weights_are_averaged_on_one_device_of_several(monkeypatch, asked, average, devices):
    monkeypatch.setattr("birads_lib.study.sweep_training.chosen_distribution", lambda: asked)
    assert _distribution(Effort.of({"epochs": 2, "average": average})) == devices
