"""Training: learning, the best epoch, stopping, reuse, resuming to the same weights."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from birads_lib import training
from birads_lib.errors import UsageError
from birads_lib.files import sha256
from birads_lib.metrics import class_figures, confusion_matrix
from birads_lib.networks import weights_digest
from birads_lib.study.graph import _closure
from birads_lib.tiles.feed import TileBatches
from birads_lib.training import ClassFigure, Recipe, Trained, compile_for, train

SHAPE = (8, 8, 1)
EPOCHS = 3
FIGURES = ["precision", "sensitivity", "specificity"]
HISTORY = [
    "epoch", "seconds", "loss", "val_loss", *FIGURES, *(f"val_{name}" for name in FIGURES),
]  # fmt: skip


def small_network(outputs: int = 1, units: int = 4, dropout: float = 0.0) -> keras.Model:
    """A few hundred weights from a tile of 8 x 8 to probabilities."""
    tile = keras.Input(SHAPE)
    x = layers.Flatten()(layers.Rescaling(1 / 127.5, offset=-1.0)(tile))
    x = layers.Dense(units, activation="tanh")(x)
    if dropout:
        x = layers.Dropout(dropout)(x)
    last = "sigmoid" if outputs == 1 else "softmax"
    return keras.Model(tile, layers.Dense(outputs, activation=last)(x))


def small_denoiser() -> keras.Model:
    tile = keras.Input(SHAPE)
    x = layers.Conv2D(1, 3, padding="same")(layers.Rescaling(1 / 255)(tile))
    return keras.Model(tile, layers.Rescaling(255.0)(x))


def separable(count: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy tiles with one bright quarter, or half for two classes: the label."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    images = rng.normal(90, 15, (count, 2, 4, 2, 4))
    for image, label in zip(images, labels, strict=True):
        if classes == 2:
            image[label] += 80
        else:
            image[label // 2, :, label % 2] += 80
    return np.clip(images, 0, 255).astype(np.uint8).reshape(count, 8, 8), labels


def parts(classes: int = 2, seed: int = 0) -> tuple[TileBatches, TileBatches]:
    """Six batches to train on, two to steer by."""
    images, labels = separable(96, classes, seed=1)
    batches = TileBatches(images, labels, SHAPE, batch_size=16, seed=seed)
    images, labels = separable(32, classes, seed=2)
    return batches, TileBatches(images, labels, SHAPE, batch_size=16)


@pytest.fixture
def recipe() -> Recipe:
    return Recipe("gate", epochs=EPOCHS, learning_rate=0.01)


@pytest.fixture
def scripted(monkeypatch) -> Callable[[list[float]], list[int]]:
    """Replaces epochs of fitting by given validation losses.

    Epoch ``n`` (from 1) sets every weight to ``n``. Gives the list of epochs run.
    """

    def script(losses: list[float]) -> list[int]:
        run: list[int] = []

        def epoch(model, batches, validation, name, recipe):
            number = int(name.split()[-1].split("/")[0])
            run.append(number)
            model.set_weights([np.full(w.shape, number) for w in model.get_weights()])
            return {"seconds": 0.0, "loss": 1.0, "val_loss": losses[number - 1]}

        monkeypatch.setattr(training, "_one_epoch", epoch)
        return run

    return script


@pytest.fixture
def interrupt(monkeypatch) -> Callable[[int], None]:
    """Makes the ``k``-th epoch (from 1) end in ``KeyboardInterrupt``, half-way through."""
    whole = training._one_epoch

    def at(k: int) -> None:
        calls = []

        def epoch(model, batches, *rest):
            calls.append(1)
            if len(calls) < k:
                return whole(model, batches, *rest)
            model.train_on_batch(*batches[0])
            raise KeyboardInterrupt

        monkeypatch.setattr(training, "_one_epoch", epoch)

    return at


def weights_are(model: keras.Model, number: float) -> bool:
    return all((values == number).all() for values in model.get_weights())


def check_same_weights(one: keras.Model, other: keras.Model) -> None:
    for mine, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


@pytest.mark.parametrize(("task", "classes"), [("gate", 2), ("score", 4)])
def test_learns_what_can_be_told_apart(task, classes, tmp_path):
    build = functools.partial(small_network, 1 if classes == 2 else classes)
    trained = train(build, *parts(classes), Recipe(task, 8, 0.03), tmp_path / "toy.keras")
    last = trained.history.iloc[-1]
    assert last["loss"] < trained.history["loss"].iloc[0] / 2
    assert last["val_sensitivity"] > 0.95
    assert last["val_specificity"] > 0.95
    validation = parts(classes)[1]
    scores = trained.model.predict_on_batch(validation[0][0])
    called = scores[:, 0] >= 0.5 if classes == 2 else scores.argmax(axis=1)
    assert (called == validation[0][1]).mean() > 0.9


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_gpus_settings_train_too(policy, tmp_path, monkeypatch, interrupt):
    """What a GPU would choose, on this processor: half precision, compiled by XLA."""
    settings = training.Settings(policy, True, "as on a GPU")
    monkeypatch.setattr(training, "precision_for", lambda devices, replicas: settings)
    compiled = []
    whole = keras.Model.fit

    def fit(model, *given, **named):
        compiled.append(model.jit_compile)
        return whole(model, *given, **named)

    monkeypatch.setattr(keras.Model, "fit", fit)

    def build():
        tile = keras.Input(SHAPE)
        x = layers.Flatten()(layers.Rescaling(1 / 127.5, offset=-1.0)(tile))
        x = layers.Dense(8, activation="tanh", name="inner")(x)
        return keras.Model(tile, layers.Dense(1, activation="sigmoid", dtype="float32")(x))

    recipe, path = Recipe("gate", 6, 0.03), tmp_path / "toy.keras"
    interrupt(3)
    with pytest.raises(KeyboardInterrupt):
        train(build, *parts(), recipe, path)
    monkeypatch.undo()
    monkeypatch.setattr(training, "precision_for", lambda devices, replicas: settings)
    monkeypatch.setattr(keras.Model, "fit", fit)
    trained = train(build, *parts(), recipe, path)
    assert len(compiled) == 6, "it went on where it stopped"
    assert all(compiled)
    assert trained.model.get_layer("inner").dtype_policy.name == policy
    assert trained.model.get_layer("inner").kernel.dtype == "float32"
    assert keras.config.dtype_policy().name == "float32", "the session's own stays"
    assert trained.history["val_sensitivity"].iloc[-1] > 0.9


def test_denoising_learns_and_has_no_class_figures(tmp_path):
    images, _ = separable(64, 2, seed=1)
    batches = TileBatches(images, images, SHAPE, batch_size=8, seed=0, noise=20)
    validation = TileBatches(images[:16], images[:16], SHAPE, batch_size=8)
    recipe = Recipe("denoise", 6, 0.02)
    history = train(small_denoiser, batches, validation, recipe, tmp_path / "toy.keras").history
    assert sorted(history.columns) == ["epoch", "loss", "seconds", "val_loss"]
    assert history["val_loss"].iloc[-1] < history["loss"].iloc[0] / 2


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Trained:
    """A gate trained for three epochs without a break, with drop-out."""
    path = tmp_path_factory.mktemp("finished") / "toy.keras"
    recipe = Recipe("gate", epochs=EPOCHS, learning_rate=0.01)
    return train(functools.partial(small_network, dropout=0.5), *parts(), recipe, path)


def test_history_is_one_row_an_epoch(finished):
    history = finished.history
    assert sorted(history.columns) == sorted(HISTORY)
    assert history["epoch"].tolist() == [1, 2, 3]
    figures = history[[*FIGURES, *(f"val_{name}" for name in FIGURES)]]
    assert figures.to_numpy().min() >= 0
    assert figures.to_numpy().max() <= 1
    assert (history["seconds"] > 0).all()


def test_digest_is_that_of_the_weights(finished):
    assert finished.digest == weights_digest(finished.model)
    assert not finished.reused


def test_validation_loss_is_that_of_the_epochs_weights(finished):
    validation = parts()[1]
    steered_by = [validation[i] for i in range(len(validation))]
    probability = np.concatenate([finished.model.predict_on_batch(x) for x, _ in steered_by])[:, 0]
    labels = np.concatenate([y for _, y in steered_by])
    right = np.where(labels == 1, probability, 1 - probability)
    assert -np.log(right).mean() == pytest.approx(finished.history["val_loss"].min(), rel=1e-4)


@pytest.mark.parametrize(
    ("losses", "patience", "epochs_run", "best"),
    [
        ([0.9, 0.5, 0.7, 0.8], 5, 4, 2),
        ([0.9, 0.8, 0.7, 0.6], 1, 4, 4),
        ([0.5, 0.6, 0.7, 0.1], 2, 3, 1),
        ([0.5, 0.6, 0.4, 0.45, 0.41, 0.1], 2, 5, 3),
        ([0.5, 0.5, 0.5, 0.1], 2, 3, 1),
    ],
)
def test_best_epoch_is_kept_and_patience_ends_training(
    losses, patience, epochs_run, best, scripted, tmp_path
):
    run = scripted(losses)
    path = tmp_path / "toy.keras"
    recipe = Recipe("gate", len(losses), patience=patience)
    trained = train(small_network, *parts(), recipe, path)
    assert run == list(range(1, epochs_run + 1))
    assert len(trained.history) == epochs_run
    assert weights_are(trained.model, best)
    assert weights_are(keras.saving.load_model(path, compile=False), best)


def test_finished_training_is_not_repeated(recipe, scripted, tmp_path):
    run = scripted([0.9, 0.5, 0.7])
    path = tmp_path / "toy.keras"
    first = train(small_network, *parts(), recipe, path)
    file = sha256(path)
    again = train(small_network, *parts(), recipe, path)
    assert (first.reused, again.reused) == (False, True)
    assert run == [1, 2, 3]
    assert again.digest == first.digest == weights_digest(again.model)
    assert sha256(path) == file
    pd.testing.assert_frame_equal(again.history, first.history, check_like=True)


def other_tiles() -> tuple[TileBatches, TileBatches]:
    batches, validation = parts()
    images = batches.images[:]
    images[0, 0, 0] ^= 1
    return TileBatches(images, batches.targets, SHAPE, batch_size=16, seed=0), validation


def other_validation() -> tuple[TileBatches, TileBatches]:
    batches, validation = parts()
    return batches, TileBatches(validation.images, 1 - validation.targets, SHAPE, batch_size=16)


CHANGES = {
    "epochs": {"recipe": {"epochs": EPOCHS + 1}},
    "learning rate": {"recipe": {"learning_rate": 0.02}},
    "patience": {"recipe": {"patience": 9}},
    "seed": {"recipe": {"seed": 1}},
    "tiles": {"data": other_tiles},
    "order of tiles": {"data": functools.partial(parts, seed=1)},
    "validation": {"data": other_validation},
    "layers": {"build": functools.partial(small_network, units=5)},
    "drop-out": {"build": functools.partial(small_network, dropout=0.1)},
}


@pytest.mark.parametrize("changed", CHANGES)
def test_training_is_repeated_when_what_decides_it_changes(changed, recipe, scripted, tmp_path):
    run = scripted([0.9, 0.5, 0.7, 0.8])
    path = tmp_path / "toy.keras"
    train(small_network, *parts(), recipe, path)
    run.clear()
    change = CHANGES[changed]
    build, data = change.get("build", small_network), change.get("data", parts)
    changed_recipe = replace(recipe, **change.get("recipe", {}))
    trained = train(build, *data(), changed_recipe, path)
    assert not trained.reused
    assert run == list(range(1, changed_recipe.epochs + 1))
    assert train(build, *data(), changed_recipe, path).reused


def test_training_is_repeated_when_its_file_was_changed(recipe, scripted, tmp_path):
    run = scripted([0.9, 0.5, 0.7])
    path = tmp_path / "toy.keras"
    train(small_network, *parts(), recipe, path)
    path.write_bytes(path.read_bytes() + b"x")
    assert not train(small_network, *parts(), recipe, path).reused
    assert run == [1, 2, 3, 1, 2, 3]


@pytest.mark.parametrize("stopped_in", [1, 2, 3])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_resumed_training_ends_with_the_weights_of_an_unbroken_one(
    dropout, stopped_in, recipe, interrupt, tmp_path, monkeypatch
):
    build = functools.partial(small_network, dropout=dropout)
    with monkeypatch.context():
        unbroken = train(build, *parts(), recipe, tmp_path / "unbroken.keras")
    path = tmp_path / "toy.keras"
    whole = training._one_epoch
    interrupt(stopped_in)
    with pytest.raises(KeyboardInterrupt):
        train(build, *parts(), recipe, path)
    assert not path.exists()
    epochs = []

    def counted(*arguments):
        epochs.append(1)
        return whole(*arguments)

    monkeypatch.setattr(training, "_one_epoch", counted)
    random.seed(99)  # as a new process would not know where Python's generator stood
    np.random.seed(99)  # noqa: NPY002
    resumed = train(build, *parts(), recipe, path)
    assert len(epochs) == EPOCHS - stopped_in + 1
    assert not resumed.reused
    assert resumed.history["epoch"].tolist() == [1, 2, 3]
    check_same_weights(resumed.model, unbroken.model)
    pd.testing.assert_frame_equal(
        resumed.history.drop(columns="seconds"),
        unbroken.history.drop(columns="seconds"),
        check_like=True,
        rtol=1e-4,
    )


@pytest.mark.parametrize(("writes", "whole"), [(2, 0), (3, 1), (4, 1), (5, 1), (6, 2), (7, 2)])
def test_a_stop_between_the_writes_of_a_checkpoint_loses_one_epoch_at_most(
    writes, whole, recipe, scripted, tmp_path, monkeypatch
):
    run, path, written = scripted([0.9, 0.5, 0.7]), tmp_path / "toy.keras", []

    def counted(write):
        def then_stopped(*arguments):
            write(*arguments)
            written.append(1)
            if len(written) == writes:
                raise KeyboardInterrupt

        return then_stopped

    with monkeypatch.context() as patched:
        for name in ("save_model", "write_json"):
            patched.setattr(training, name, counted(getattr(training, name)))
        with pytest.raises(KeyboardInterrupt):
            train(small_network, *parts(), recipe, path)
    run.clear()
    trained = train(small_network, *parts(), recipe, path)
    assert run == list(range(whole + 1, EPOCHS + 1))
    assert weights_are(trained.model, 2), "the best epoch's"
    assert {p.name for p in tmp_path.iterdir()} == {"toy.keras", "toy.json"}


@pytest.mark.parametrize("damage", ["{}", "[]", '"x"', '{"key"', "", '{"files": {"latest": 1}}'])
def test_a_record_that_cannot_be_used_means_another_training(damage, recipe, scripted, tmp_path):
    run, path = scripted([0.9, 0.5, 0.7]), tmp_path / "toy.keras"
    train(small_network, *parts(), recipe, path)
    run.clear()
    for record in ("toy.json", "toy.resume.json"):
        (tmp_path / record).write_text(damage)
    assert not train(small_network, *parts(), recipe, path).reused
    assert run == [1, 2, 3]
    assert train(small_network, *parts(), recipe, path).reused


def test_checkpoint_of_another_training_is_not_taken_up(recipe, scripted, tmp_path, monkeypatch):
    path = tmp_path / "toy.keras"
    run = scripted([0.9, 0.5, 0.7])
    with monkeypatch.context() as patched:
        patched.setattr(training._Progress, "finish", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(small_network, *parts(), recipe, path)
    run.clear()
    train(small_network, *parts(), replace(recipe, seed=1), path)
    assert run == [1, 2, 3]


def test_training_that_patience_ended_is_not_prolonged_by_an_interruption(
    scripted, tmp_path, monkeypatch
):
    path = tmp_path / "toy.keras"
    recipe = Recipe("gate", epochs=6, patience=2)
    run = scripted([0.5, 0.6, 0.7, 0.1, 0.1, 0.1])
    with monkeypatch.context() as patched:
        patched.setattr(training._Progress, "finish", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(small_network, *parts(), recipe, path)
    trained = train(small_network, *parts(), recipe, path)
    assert run == [1, 2, 3]
    assert weights_are(trained.model, 1)


def _interrupted(progress):
    raise KeyboardInterrupt


def test_batches_come_in_the_order_that_seed_and_epoch_decide(recipe, tmp_path, monkeypatch):
    seen: list[int] = []
    batches, validation = parts()
    step = keras.Model.train_step

    def recorded(model, data):
        seen.append(int(np.asarray(data[0])[0, 0, 0, 0] * 1000 + np.asarray(data[1])[0]))
        return step(model, data)

    def eager(model, task_recipe, steps):
        compile_for(model, task_recipe, steps)
        model.run_eagerly = True

    monkeypatch.setattr(keras.Model, "train_step", recorded)
    monkeypatch.setattr(training, "compile_for", eager)
    train(small_network, batches, validation, replace(recipe, epochs=2), tmp_path / "toy.keras")
    expected = []
    for epoch in range(2):
        batches.start_epoch(epoch)
        for i in range(len(batches)):
            x, y = batches[i]
            expected.append(int(x[0, 0, 0, 0] * 1000 + y[0]))
    assert seen == expected


def test_only_model_and_history_are_left(recipe, interrupt, tmp_path, monkeypatch):
    path = tmp_path / "models" / "toy.keras"
    with monkeypatch.context() as patched:
        whole = training._one_epoch
        interrupt(2)
        with pytest.raises(KeyboardInterrupt):
            train(small_network, *parts(), recipe, path)
        assert not path.exists()
        patched.setattr(training, "_one_epoch", whole)
        train(small_network, *parts(), recipe, path)
    assert sorted(file.name for file in path.parent.iterdir()) == ["toy.json", "toy.keras"]


def test_checkpoints_that_a_kill_left_beside_the_finished_model_go(recipe, scripted, tmp_path):
    scripted([0.9, 0.5, 0.7])
    path = tmp_path / "toy.keras"
    train(small_network, *parts(), recipe, path)
    for role in ("latest.0", "latest.1", "best.0"):
        path.with_suffix(f".{role}.keras").write_bytes(b"x")
    assert train(small_network, *parts(), recipe, path).reused
    assert sorted(file.name for file in tmp_path.iterdir()) == ["toy.json", "toy.keras"]


def test_what_a_network_learns_through_decides_whether_it_is_trained_again():
    """All that the training and its batches import, but for what cannot change what is learnt."""
    imported = _closure("birads_lib.training") | _closure("birads_lib.tiles.feed")
    files = {m.removeprefix("birads_lib.").replace(".", "/") + ".py" for m in imported}
    told_otherwise = {
        "devices.py",  # the number of devices counts
        "errors.py",
        "files.py",
        "labels.py",  # the network's outputs and the targets count
        "pretrained.py",  # the weights at the start count
        "tiles/layout.py",  # the tiles count, by their digests
        "tiles/store.py",
    }
    assert files - told_otherwise <= set(training.CODE_THAT_TRAINS)
    assert {"tiles/resizing.py", "tiles/feed.py"} <= files, "or the closure finds nothing"


def test_equal_seeds_give_equal_weights_and_others_do_not(finished, recipe, tmp_path):
    build = functools.partial(small_network, dropout=0.5)
    same = train(build, *parts(), recipe, tmp_path / "same.keras")
    other = train(build, *parts(), replace(recipe, seed=1), tmp_path / "other.keras")
    assert same.digest == finished.digest
    assert other.digest != finished.digest


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_loss_that_is_no_number_ends_training_in_one_line(loss, recipe, scripted, tmp_path):
    scripted([0.5, loss, 0.1])
    path = tmp_path / "toy.keras"
    with pytest.raises(UsageError, match=r"toy: the loss became .* in epoch 2; give a smaller"):
        train(small_network, *parts(), recipe, path)
    assert not path.exists()


def test_learning_rate_that_bursts_is_reported(tmp_path):
    def bursts() -> keras.Model:
        tile = keras.Input(SHAPE)
        x = layers.Conv2D(1, 3, padding="same", kernel_initializer="ones")(tile)
        return keras.Model(tile, layers.Lambda(lambda y: y * np.inf)(x))

    images, _ = separable(16, 2, seed=1)
    batches = TileBatches(images, images, SHAPE, batch_size=16, seed=0)
    with pytest.raises(UsageError, match=r"the loss became (nan|inf).* smaller learning rate"):
        train(bursts, batches, batches, Recipe("denoise", 1, 1e9), tmp_path / "toy.keras")


def test_learning_rate_falls_along_a_cosine():
    model = small_network()
    compile_for(model, Recipe("gate", epochs=5, learning_rate=0.1), steps_an_epoch=20)
    rate = model.optimizer._learning_rate
    assert [float(rate(step)) for step in (0, 50, 100, 200)] == pytest.approx(
        [0.1, 0.051, 0.002, 0.002], rel=1e-4
    )


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("figure", ClassFigure.FIGURES)
def test_figure_is_that_of_the_confusion_matrix(figure, classes):
    rng = np.random.default_rng(3)
    actual = rng.integers(0, classes, 200)
    scores = rng.random((200, 1 if classes == 2 else classes)).astype(np.float32)
    metric = ClassFigure(figure, classes)
    for rows in (slice(0, 150), slice(150, 200)):
        metric.update_state(actual[rows], scores[rows], sample_weight=rng.random(len(actual[rows])))
    predicted = (scores[:, 0] >= 0.5).astype(int) if classes == 2 else scores.argmax(axis=1)
    values = class_figures(confusion_matrix(actual, predicted, classes))[figure]
    expected = values[1] if classes == 2 else values.mean()
    assert float(metric.result()) == pytest.approx(expected, abs=1e-6)
    metric.reset_state()
    assert float(metric.result()) == 0


def test_class_never_predicted_counts_with_precision_0():
    metric = ClassFigure("precision", 4)
    metric.update_state(np.array([0, 1, 2, 3]), np.eye(4, dtype=np.float32)[[0, 1, 2, 2]])
    assert float(metric.result()) == pytest.approx((1 + 1 + 0.5 + 0) / 4)


def test_column_of_labels_counts_as_a_row_of_them():
    metric = ClassFigure("sensitivity", 2)
    metric.update_state(np.array([[1], [1], [0]]), np.array([[0.5], [0.4], [0.9]], np.float32))
    assert float(metric.result()) == pytest.approx(0.5)


def test_figure_serialises():
    metric = ClassFigure("specificity", 4)
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert isinstance(again, ClassFigure)
    assert again.get_config() == metric.get_config()


def test_unknown_figure_is_refused():
    with pytest.raises(UsageError, match="figure: unknown 'accuracy'; use one of precision"):
        ClassFigure("accuracy", 2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"task": "guess"}, "task: unknown 'guess'; use one of denoise, gate, score"),
        ({"epochs": 0}, "recipe: epochs 0"),
        ({"learning_rate": 0.0}, "learning_rate 0.0"),
        ({"learning_rate": -1.0}, "learning_rate -1.0"),
        ({"learning_rate": float("nan")}, "learning_rate nan"),
        ({"patience": 0}, "patience 0"),
    ],
)
def test_wrong_recipes_are_named(values, message):
    with pytest.raises(UsageError, match=message):
        Recipe(**{"task": "gate", "epochs": 3, **values})


@pytest.mark.parametrize("name", ["toy.h5", "toy"])
def test_model_file_must_end_in_keras(name, recipe, tmp_path):
    with pytest.raises(UsageError, match=r"a model's file ends in \.keras"):
        train(small_network, *parts(), recipe, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_one_plain_line_an_epoch_where_there_is_no_terminal(tmp_path, capsys):
    recipe = Recipe("gate", epochs=2, learning_rate=0.01)
    train(small_network, *parts(), recipe, tmp_path / "toy.keras")
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["toy 1/2", "toy 2/2"]
    assert all("loss 0." in line and "val_sensitivity" in line for line in lines)
    assert err == ""


def test_models_path_may_hold_dots(recipe, scripted, tmp_path):
    scripted([0.9, 0.5, 0.7])
    path = Path(tmp_path) / "alpha0.35.keras"
    train(small_network, *parts(), recipe, path)
    train(small_network, *parts(), recipe, Path(tmp_path) / "alpha0.5.keras")
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "alpha0.35.json",
        "alpha0.35.keras",
        "alpha0.5.json",
        "alpha0.5.keras",
    ]
