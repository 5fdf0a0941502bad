"""Recipes of the systems that the paper cites: momentum, a staircase, averaging, freezing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers

from birads_lib import training
from birads_lib.errors import UsageError
from birads_lib.recipe import FINE_TUNING, Effort, Recipe
from birads_lib.tiles.feed import TileBatches
from birads_lib.training import compile_for, train

SHAPE = (4, 4, 1)
STEPS = 3  # an epoch
DECAY = 0.8


def network() -> keras.Model:
    """A backbone of a few weights and a head."""
    features = keras.Sequential(
        [keras.Input(SHAPE), layers.Flatten(), layers.Dense(3, activation="tanh")], name="backbone"
    )
    tile = keras.Input(SHAPE)
    x = features(layers.Rescaling(1 / 127.5, offset=-1.0)(tile))
    return keras.Model(tile, layers.Dense(1, activation="sigmoid")(x))


@pytest.fixture(scope="module")
def parts() -> tuple[TileBatches, TileBatches]:
    """Noisy tiles, brighter for label 1: three batches to train on, one to steer by."""
    rng = np.random.default_rng(0)
    labels = np.arange(32) % 2
    images = np.clip(rng.normal(100, 20, (32, 4, 4)) + 50 * labels[:, None, None], 0, 255)
    images = images.astype(np.uint8)
    return (
        TileBatches(images[:24], labels[:24], SHAPE, batch_size=8, seed=0),
        TileBatches(images[24:], labels[24:], SHAPE, batch_size=8),
    )


@pytest.fixture
def watched(monkeypatch) -> list[list[np.ndarray]]:
    """Weights after each training step, in the order of the steps."""
    seen: list[list[np.ndarray]] = []
    step = keras.Model.train_step
    compile_model = training.compile_for

    def recorded(model, data):
        logs = step(model, data)
        seen.append([np.array(weight) for weight in model.get_weights()])
        return logs

    def eager(model, recipe, steps):
        compile_model(model, recipe, steps)
        model.run_eagerly = True

    monkeypatch.setattr(keras.Model, "train_step", recorded)
    monkeypatch.setattr(training, "compile_for", eager)
    return seen


@pytest.fixture
def stop_in(monkeypatch) -> Callable[[int], None]:
    """Makes the ``k``-th epoch (from 1) that is run end in ``KeyboardInterrupt``."""
    whole = training._one_epoch

    def at(k: int) -> None:
        run = []

        def epoch(*arguments):
            run.append(1)
            if len(run) == k:
                monkeypatch.setattr(training, "_one_epoch", whole)
                raise KeyboardInterrupt
            return whole(*arguments)

        monkeypatch.setattr(training, "_one_epoch", epoch)

    return at


def test_momentum_moves_by_nine_tenths_of_the_last_move():
    weight = keras.Variable([0.0])
    model = network()
    compile_for(model, Recipe("gate", 1, 0.1, optimiser="momentum", schedule="staircase"), STEPS)
    optimiser = model.optimizer.from_config(model.optimizer.get_config())
    places = []
    for gradient in (1.0, 0.0, 0.0):
        optimiser.apply([keras.ops.array([gradient])], [weight])
        places.append(float(weight[0]))
    assert places == pytest.approx([-0.1, -0.19, -0.271])


def test_staircase_goes_down_4_percent_every_8_epochs():
    model = network()
    compile_for(model, Recipe("gate", 40, 0.01, schedule="staircase"), steps_an_epoch=5)
    rate = model.optimizer._learning_rate
    assert [float(rate(step)) for step in (0, 39, 40, 79, 80)] == pytest.approx(
        [0.01, 0.01, 0.0096, 0.0096, 0.009216]
    )


def test_kept_weights_are_the_running_mean_over_the_steps(parts, watched, tmp_path):
    recipe = Recipe("gate", 2, 0.05, optimiser="momentum", average=DECAY)
    trained = train(network, *parts, recipe, tmp_path / "mean.keras")
    best = int(trained.history["val_loss"].argmin())
    mean = watched[0]
    for weights in watched[1 : STEPS * (best + 1)]:
        mean = [DECAY * m + (1 - DECAY) * w for m, w in zip(mean, weights, strict=True)]
    for found, expected in zip(trained.model.get_weights(), mean, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_validation_is_that_of_the_mean(parts, tmp_path):
    recipe = Recipe("gate", 3, 0.05, average=DECAY)
    trained = train(network, *parts, recipe, tmp_path / "mean.keras")
    tiles, labels = parts[1][0]
    probability = trained.model.predict_on_batch(tiles)[:, 0]
    right = np.where(labels == 1, probability, 1 - probability)
    assert -np.log(right).mean() == pytest.approx(trained.history["val_loss"].min(), rel=1e-4)


def test_averaging_does_not_change_what_is_trained(parts, watched, tmp_path):
    recipe = Recipe("gate", 2, 0.05)
    train(network, *parts, recipe, tmp_path / "plain.keras")
    plain = list(watched)
    watched.clear()
    train(network, *parts, replace(recipe, average=DECAY), tmp_path / "mean.keras")
    assert len(watched) == len(plain) == 2 * STEPS
    for mine, theirs in zip(watched, plain, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_frozen_backbone_stays_and_then_learns(parts, watched, tmp_path):
    recipe = Recipe("gate", 3, 0.05, freeze_epochs=2)
    trained = train(network, *parts, recipe, tmp_path / "tuned.keras")
    backbone, head = [w[0] for w in watched], [w[2] for w in watched]
    frozen = 2 * STEPS
    assert all((kernel == backbone[0]).all() for kernel in backbone[:frozen])
    assert not (backbone[frozen] == backbone[0]).all()
    assert not (head[frozen - 1] == head[0]).all()
    assert trained.history["epoch"].tolist() == [1, 2, 3]
    assert len(trained.model.trainable_weights) == 4


def test_fine_tuning_starts_at_a_tenth_of_the_rate():
    recipe = Recipe("gate", 10, 0.01, freeze_epochs=4)
    assert FINE_TUNING == 0.1
    assert (recipe.frozen.epochs, recipe.thawed.epochs) == (4, 6)
    model = network()
    compile_for(model, recipe, STEPS)
    training.thaw(model, recipe, STEPS)
    rate = model.optimizer._learning_rate
    found = [float(rate(step)) for step in (0, 3 * STEPS, 6 * STEPS)]
    assert found == pytest.approx([0.001, 0.00051, 0.00002], rel=1e-4)


def test_patience_waits_for_fine_tuning(parts, monkeypatch, tmp_path):
    losses = [0.5, 0.6, 0.7, 0.6, 0.7, 0.1]

    def scripted(model, batches, validation, name, recipe):
        number = int(name.split()[-1].split("/")[0])
        return {"seconds": 0.0, "loss": 1.0, "val_loss": losses[number - 1]}

    monkeypatch.setattr(training, "_one_epoch", scripted)
    recipe = Recipe("gate", 6, patience=2, freeze_epochs=3)
    trained = train(network, *parts, recipe, tmp_path / "tuned.keras")
    assert trained.history["epoch"].tolist() == [1, 2, 3, 4, 5]


RECIPES = {
    "averaged": Recipe("gate", 4, 0.05, optimiser="momentum", average=DECAY),
    "frozen": Recipe("gate", 4, 0.05, freeze_epochs=2),
    "both": Recipe("gate", 4, 0.05, schedule="staircase", average=DECAY, freeze_epochs=2),
}


@pytest.mark.parametrize(
    ("name", "stopped"), [("averaged", 2), ("averaged", 4), ("frozen", 2), ("both", 3), ("both", 4)]
)
def test_resumed_training_ends_as_an_unbroken_one(name, stopped, parts, stop_in, tmp_path):
    recipe, path = RECIPES[name], tmp_path / "broken.keras"
    unbroken = train(network, *parts, recipe, tmp_path / "whole.keras")
    stop_in(stopped)
    with pytest.raises(KeyboardInterrupt):
        train(network, *parts, recipe, path)
    resumed = train(network, *parts, recipe, path)
    assert not resumed.reused
    np.testing.assert_allclose(resumed.history["val_loss"], unbroken.history["val_loss"], rtol=1e-6)
    for mine, theirs in zip(resumed.model.get_weights(), unbroken.model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"optimiser": "momentum"},
        {"schedule": "staircase"},
        {"average": 0.9},
        {"freeze_epochs": 1},
    ],
)
def test_another_recipe_is_another_training(change, parts, tmp_path):
    recipe, path = Recipe("gate", 2, 0.01), tmp_path / "toy.keras"
    train(network, *parts, recipe, path)
    assert train(network, *parts, recipe, path).reused
    assert not train(network, *parts, replace(recipe, **change), path).reused


def test_network_without_a_backbone_cannot_be_frozen(parts, tmp_path):
    def flat() -> keras.Model:
        tile = keras.Input(SHAPE)
        return keras.Model(tile, layers.Dense(1, activation="sigmoid")(layers.Flatten()(tile)))

    with pytest.raises(UsageError, match=r"freeze_epochs: .* holds no backbone"):
        train(flat, *parts, Recipe("gate", 2, freeze_epochs=1), tmp_path / "toy.keras")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimiser": "sgd"}, "optimiser: unknown 'sgd'; use one of adam, momentum"),
        ({"schedule": "linear"}, "schedule: unknown 'linear'; use one of cosine, staircase"),
        ({"average": 1.0}, "average 1.0"),
        ({"average": -0.1}, "average -0.1"),
        ({"freeze_epochs": 3}, "freeze_epochs 3"),
        ({"freeze_epochs": -1}, "freeze_epochs -1"),
    ],
)
def test_wrong_recipes_are_named(values, message):
    with pytest.raises(UsageError, match=message):
        Recipe(**{"task": "gate", "epochs": 3, **values})


@pytest.mark.parametrize(
    "effort",
    [{}, {"optimiser": "momentum", "schedule": "staircase", "average": 0.5}],
    ids=["adam", "momentum, averaged"],
)
def test_seeds_that_share_their_traced_steps_learn_what_each_learns_alone(
    effort, parts, tmp_path, monkeypatch
):
    """Drop-out, optimiser, averages and the schedule all start anew."""

    def build():
        tile = keras.Input(SHAPE)
        x = layers.Flatten()(layers.Rescaling(1 / 127.5, offset=-1.0)(tile))
        x = layers.BatchNormalization()(layers.Dense(3, activation="tanh")(x))
        return keras.Model(tile, layers.Dense(1, activation="sigmoid")(layers.Dropout(0.3)(x)))

    def digests(name, traced):
        return [
            train(
                build, *parts, Recipe("gate", 3, 0.05, seed=seed, **effort),
                tmp_path / f"{name}_{number}.keras", traced=traced,
            ).digest
            for number, seed in enumerate((0, 1, 0))
        ]  # fmt: skip

    alone = digests("alone", None)
    compiled = []
    compile_model = training.compile_for
    monkeypatch.setattr(
        training, "compile_for", lambda *given: compiled.append(1) or compile_model(*given)
    )
    assert digests("shared", training.TracedSteps()) == alone
    assert len(compiled) == 1
    assert alone[0] != alone[1]


def test_another_recipe_is_traced_anew(parts, tmp_path, monkeypatch):
    steps, kept = training.TracedSteps(), []
    compiled = steps.compiled
    monkeypatch.setattr(steps, "compiled", lambda *given: kept.append(compiled(*given)) or kept[-1])
    for number, rate in enumerate((0.01, 0.01, 0.02)):
        recipe = Recipe("gate", 1, rate, seed=number)
        train(network, *parts, recipe, tmp_path / f"{number}.keras", traced=steps)
    assert kept[0] is kept[1]
    assert kept[2] is not kept[1]


def test_an_unknown_effort_lists_the_known_ones():
    assert Effort.of({"epochs": 3}).batch_size == 32
    with pytest.raises(UsageError, match=r"unknown 'epoch'; use one of .*batch_size, epochs"):
        Effort.of({"epoch": 3})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "epochs are missing"),
        ({"epochs": 0}, "epochs 0"),
        ({"epochs": "three"}, "expected numbers"),
        ({"epochs": 3, "batch_size": 0}, "batch_size 0"),
        ({"epochs": 3, "schedule": "stairs"}, "unknown 'stairs'; use one of cosine, staircase"),
    ],
)
def test_an_effort_that_does_not_fit_is_refused(settings, message):
    with pytest.raises(UsageError, match=message) as error:
        Effort.of(settings)
    assert "\n" not in str(error.value)
