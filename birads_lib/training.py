"""The one place that seeds, compiles, fits, checkpoints and resumes."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import ops
from keras.optimizers import LossScaleOptimizer
from tqdm import tqdm

from birads_lib.devices import (
    HOSTS,
    ONE,
    Settings,
    chosen_distribution,
    describe_choice,
    path_to_write,
    precision_for,
    training_strategy,
    visible_devices,
)
from birads_lib.errors import DataError, UsageError, one_of
from birads_lib.files import fingerprint, read_json, sha256, whole_file, write_json
from birads_lib.networks import read_model, weights_digest
from birads_lib.networks.ordinal import OrdinalCrossentropy, category_distance, predicted_category
from birads_lib.recipe import STAIR_EPOCHS, STAIR_RATE, Recipe
from birads_lib.replicas import ReplicatedModel, number_matters, wait_for_all
from birads_lib.tiles.feed import TileBatches

LOSSES: dict[str, str | keras.losses.Loss] = {
    "denoise": "mean_absolute_error",
    "gate": "binary_crossentropy",
    "score": "sparse_categorical_crossentropy",
    "grade": OrdinalCrossentropy(),
}
if chosen_distribution() == HOSTS:
    training_strategy(HOSTS)  # before anything is calculated, or TensorFlow refuses

FINAL_RATE = 0.02  # share of the learning rate left at the end of the cosine
MOMENTUM = 0.9  # the paper's [18]
CODE = Path(__file__).parent
CODE_THAT_TRAINS = (
    "training.py",
    "recipe.py",
    "replicas.py",
    "tiles/feed.py",
    "tiles/resizing.py",
    "networks/attention.py",
    "networks/autoencoder.py",
    "networks/backbones.py",
    "networks/gate.py",
    "networks/normalization.py",
    "networks/ordinal.py",
    "networks/scorer.py",
    "networks/spatial_transformer.py",
)
"""A model trained by other versions of these files is not taken for this one. Networks made
of Keras' own layers alone, as most peers are, are known whole by their description."""


@dataclass(frozen=True)
class Trained:
    """What a training leaves.

    Attributes:
        model: With the weights of its best epoch.
        history: One row an epoch: ``epoch``, ``seconds``, ``loss``, ``val_loss`` and, but
            for denoising, ``precision``, ``sensitivity``, ``specificity`` and their
            ``val_`` counterparts, 0..1 (means over the classes for C2 to C5 and for
            ordered categories; of these also ``distance``, mean categories off).
        digest: SHA-256 of the weights.
        reused: Whether an earlier, identical training was found and taken.
    """

    model: keras.Model
    history: pd.DataFrame
    digest: str
    reused: bool


def train(
    build: Callable[[], keras.Model],
    batches: TileBatches,
    validation: TileBatches,
    recipe: Recipe,
    path: Path,
    distribute: str | None = None,
    traced: TracedSteps | None = None,
) -> Trained:
    """Train a network, or take up where an identical training stopped.

    A checkpoint is written after each epoch beside ``path``. A training that was
    finished with the same network, tiles, recipe and code is not repeated.

    Args:
        build: Makes the network; called after the seed is set.
        batches: Training tiles, in an order decided by seed and epoch.
        validation: Tiles that steer (best epoch, stopping); no group of ``batches``.
        recipe: How to train.
        path: Where the model goes, ``NAME.keras``; its history goes to ``NAME.json``.
        distribute: ``"one"``, ``"local"`` or ``"hosts"``, see ``training_strategy``;
            ``None`` takes what ``--distribute`` said. Several hosts share the folder of
            ``path``, call this with equal arguments, and return when all have finished.
        traced: Steps of earlier trainings in this process, for those of the same kind.

    Raises:
        UsageError: ``path`` does not end in ``.keras``; a backbone is to be frozen and there
            is none; or weights are to be averaged on several devices.
    """
    if path.suffix != ".keras":
        raise UsageError(f"{path}: a model's file ends in .keras")
    distribute = distribute or chosen_distribution()
    strategy = training_strategy(distribute)
    if recipe.average and strategy.num_replicas_in_sync > 1:
        raise UsageError(
            f"recipe: average {recipe.average} on {strategy.num_replicas_in_sync} devices; weights "
            "are averaged on one: give --distribute one, or average=0"
        )
    settings = _settings(strategy, distribute, path.stem)
    keras.utils.clear_session()  # layer names start anew, so that equal networks are equal
    keras.utils.set_random_seed(recipe.seed)
    with path_to_write(path, distribute) as own_path:
        with strategy.scope(), _policy(settings.policy):
            model = build()
            key = _training_key(model, batches, validation, recipe, strategy.num_replicas_in_sync)
            if finished := _finished(own_path, key):
                _remove_checkpoints(own_path)  # where it was killed before it could
                return finished
            shared = traced if strategy.num_replicas_in_sync == 1 else None
            state = _Progress.resume(own_path, key, model, recipe, len(batches), shared)
            state.model.jit_compile = settings.jit_compile
        _learn(state, batches, validation, recipe, strategy)
        trained = state.finish()
        if distribute == HOSTS:
            wait_for_all(strategy)  # so that every host finds the model at its path
    return trained


class TracedSteps:
    """The steps of one kind of training, traced once for all of its seeds.

    TensorFlow traces a network's steps when they first run, which takes longer than a short
    training of a small network. Where network, recipe and number of steps are the same, the
    network of the training before is taken again: its weights are set to the new ones and
    its optimiser to the start, so that what it learns is what a training by itself learns.
    """

    def __init__(self) -> None:
        self._kind = ""
        self._model: keras.Model | None = None

    def compiled(self, model: keras.Model, recipe: Recipe, steps: int) -> keras.Model:
        """A compiled network with the weights of ``model``: itself, or one already traced."""
        kind = fingerprint([model.to_json(), asdict(replace(recipe, seed=0)), steps])
        known = self._model if kind == self._kind else None
        # A loss scale is no zero at the start; it comes with half precision, on GPUs.
        if known is not None and not isinstance(known.optimizer, LossScaleOptimizer):
            known.set_weights(model.get_weights())
            for variable in known.optimizer.variables:
                variable.assign(ops.zeros_like(variable))
            return known
        compile_for(model, recipe, steps)
        self._kind, self._model = kind, model
        return model


def _settings(strategy: tf.distribute.Strategy, distribute: str, name: str) -> Settings:
    """Precision and compilation on this host's devices; a choice is said on standard error."""
    devices, replicas = visible_devices(), strategy.num_replicas_in_sync
    settings = precision_for(devices, replicas)
    if distribute != ONE or len(devices) > 1:  # one CPU is no choice
        line = describe_choice(distribute, devices, settings, replicas)
        print(f"{name}: {line}", file=sys.stderr, flush=True)
    return settings


@contextmanager
def _policy(name: str) -> Iterator[None]:
    """Build layers under a dtype policy; the policy of the session stays."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _learn(
    state: _Progress,
    batches: TileBatches,
    validation: TileBatches,
    recipe: Recipe,
    strategy: tf.distribute.Strategy,
) -> None:
    """Run the epochs that are left."""
    learner = _learner(state.model, strategy)
    while len(state.history) < recipe.epochs and state.waited(recipe) < recipe.patience:
        epoch = len(state.history)
        if epoch and epoch == recipe.freeze_epochs:
            with strategy.scope():
                thaw(state.model, recipe, len(batches))
            learner = _learner(state.model, strategy)
        batches.start_epoch(epoch)
        _seed_dropout(state.model, recipe.seed, epoch)
        row = _one_epoch(learner, batches, validation, f"{state.path.stem} {epoch + 1}", recipe)
        state.note(row, recipe)


def _learner(model: keras.Model, strategy: tf.distribute.Strategy) -> keras.Model | ReplicatedModel:
    """What runs the epochs of a compiled model."""
    return ReplicatedModel(model, strategy) if strategy.num_replicas_in_sync > 1 else model


def freeze(model: keras.Model) -> None:
    """Keep the weights of a network's backbone, the model within it, from learning.

    Raises:
        UsageError: The network holds no backbone.
    """
    backbones = _backbones(model)
    if not backbones:
        raise UsageError(
            f"freeze_epochs: {model.name} holds no backbone; give a network with one, or 0"
        )
    _let_learn(backbones, False)


def _backbones(model: keras.Model) -> list[keras.Model]:
    return [layer for layer in model.layers if isinstance(layer, keras.Model)]


def _let_learn(backbones: list[keras.Model], learns: bool) -> None:
    """Layer by layer: a model that says it learns does not pass that on to frozen layers."""
    for backbone in backbones:
        for layer in backbone._flatten_layers():
            layer.trainable = learns


def thaw(model: keras.Model, recipe: Recipe, steps_an_epoch: int) -> None:
    """Let all weights learn after a frozen start, with an optimiser of their own."""
    compiled_by_xla = model.jit_compile
    _let_learn(_backbones(model), True)
    compile_for(model, recipe.thawed, steps_an_epoch)
    model.jit_compile = compiled_by_xla


def _seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Set each layer's random state for an epoch: Keras does not keep it in its files."""
    states = [v for v in model.variables if v.name == "seed_generator_state"]
    for index, state in enumerate(states):
        state.assign(np.random.SeedSequence([seed, epoch, index]).generate_state(2))


def _one_epoch(
    model: keras.Model | ReplicatedModel,
    batches: TileBatches,
    validation: TileBatches,
    name: str,
    recipe: Recipe,
) -> dict[str, float]:
    timer = _StepProgress(name, recipe.epochs, len(batches))
    averages = [_ValidatesAverage()] if recipe.average else []
    logs = model.fit(
        batches.dataset(),
        validation_data=validation.dataset(),
        shuffle=False,  # the batches are in the order that the seed decided
        verbose=0,
        callbacks=[timer, *averages],
    ).history
    for callback in averages:
        callback.restore()
    row = {key: float(values[-1]) for key, values in logs.items()}
    timer.close(row)
    return {"seconds": timer.seconds, **row}


LATEST, BEST = "latest", "best"


class _Progress:
    """Where a training stands: model, history, best epoch. On disk after each epoch.

    Of the latest and of the best network there are two files each, written by turns; the record
    names one of each, and is written last. So a kill at any moment leaves a record whose files
    are whole.
    """

    def __init__(self, path: Path, key: str, model: keras.Model):
        self.path, self.key, self.model = path, key, model
        self.history: list[dict[str, float]] = []
        self.files: dict[str, Path] = {}

    @classmethod
    def resume(
        cls,
        path: Path,
        key: str,
        model: keras.Model,
        recipe: Recipe,
        steps: int,
        traced: TracedSteps | None = None,
    ) -> _Progress:
        """Load the checkpoint of the same training, or compile the fresh model."""
        state = cls(path, key, model)
        if saved := state.saved():
            state.history = saved["history"]
            state.files = {
                role: path.parent / file["name"] for role, file in saved["files"].items()
            }
            state.model = keras.saving.load_model(state.files[LATEST], safe_mode=True)
            return state
        if recipe.freeze_epochs:  # compiled anew when it is thawed, so that nothing is shared
            freeze(model)
            compile_for(model, recipe.frozen, steps)
        elif traced:
            state.model = traced.compiled(model, recipe, steps)
        else:
            compile_for(model, recipe, steps)
        return state

    def saved(self) -> dict[str, Any] | None:
        """The record, if it is of this training and its files are as they were written."""
        try:
            found = read_json(self.record)
            files = [found["files"][role] for role in (LATEST, BEST)]
            whole = all(sha256(self.path.parent / f["name"]) == f["sha256"] for f in files)
            return found if whole and found["key"] == self.key and found["history"] else None
        except (DataError, KeyError, OSError, TypeError):
            return None  # no record, or none that can be used: the training begins anew

    def slots(self, role: str) -> list[Path]:
        """The two files that take turns in a role."""
        return _slots(self.path, role)

    def save(self, role: str) -> None:
        """Write the model as it is now, beside the file that the record names."""
        first, second = self.slots(role)
        self.files[role] = second if self.files.get(role) == first else first
        save_model(self.model, self.files[role])

    @property
    def record(self) -> Path:
        return _record(self.path)

    @property
    def best_epoch(self) -> int:
        """Epochs run when the validation loss was first at its lowest; 0 before the first."""
        losses = [row["val_loss"] for row in self.history]
        return 1 + losses.index(min(losses)) if losses else 0

    def waited(self, recipe: Recipe) -> int:
        """Epochs since the validation loss was lowest, or since the backbone was thawed."""
        return len(self.history) - max(self.best_epoch, recipe.freeze_epochs)

    def note(self, row: dict[str, float], recipe: Recipe) -> None:
        if not math.isfinite(row["loss"]) or not math.isfinite(row["val_loss"]):
            raise UsageError(
                f"{self.path.stem}: the loss became {row['loss']} in epoch "
                f"{len(self.history) + 1}; give a smaller learning rate than {recipe.learning_rate}"
            )
        self.history.append({"epoch": len(self.history) + 1, **row})
        self.save(LATEST)
        if self.best_epoch == len(self.history):
            with _averaged(self.model, recipe):
                self.save(BEST)
        files = {role: {"name": p.name, "sha256": sha256(p)} for role, p in self.files.items()}
        write_json(self.record, {"key": self.key, "history": self.history, "files": files})

    def finish(self) -> Trained:
        self.model = read_model(self.files[BEST])
        _let_learn(_backbones(self.model), True)  # they were frozen if the best epoch was early
        save_model(self.model, self.path)
        digest = weights_digest(self.model)
        describe_model(self.path, self.key, self.history, digest)
        _remove_checkpoints(self.path)
        return Trained(self.model, pd.DataFrame(self.history), digest, reused=False)


def _record(path: Path) -> Path:
    """File that tells how far a training has come, and in which of its files."""
    return path.with_suffix(".resume.json")


def _slots(path: Path, role: str) -> list[Path]:
    return [path.with_suffix(f".{role}.{turn}.keras") for turn in (0, 1)]


def _remove_checkpoints(path: Path) -> None:
    for leftover in (_record(path), *_slots(path, LATEST), *_slots(path, BEST)):
        leftover.unlink(missing_ok=True)


def compile_for(model: keras.Model, recipe: Recipe, steps_an_epoch: int) -> None:
    """Compile a network for its task: optimiser, loss, metrics of Figure 6."""
    metrics = _metrics_of(recipe.task, model.output_shape[-1])
    model.compile(_optimiser(recipe, steps_an_epoch), LOSSES[recipe.task], metrics=metrics)


def _optimiser(recipe: Recipe, steps_an_epoch: int) -> keras.optimizers.Optimizer:
    if recipe.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(
            recipe.learning_rate, recipe.epochs * steps_an_epoch, alpha=FINAL_RATE
        )
    else:
        rate = keras.optimizers.schedules.ExponentialDecay(
            recipe.learning_rate, STAIR_EPOCHS * steps_an_epoch, STAIR_RATE, staircase=True
        )
    averaging = {"use_ema": True, "ema_momentum": recipe.average} if recipe.average else {}
    if recipe.optimiser == "momentum":
        return keras.optimizers.SGD(rate, momentum=MOMENTUM, **averaging)
    return keras.optimizers.Adam(rate, **averaging)


@contextmanager
def _averaged(model: keras.Model, recipe: Recipe) -> Iterator[None]:
    """A model with the running mean of its weights, if its recipe asks for one."""
    if not recipe.average:
        yield
        return
    trained = _take_average(model)
    try:
        yield
    finally:
        _give_back(model, trained)


def _take_average(model: keras.Model) -> list[np.ndarray]:
    """Put the running mean in the place of the trained weights, which are returned."""
    trained = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    model.optimizer.finalize_variable_values(model.trainable_weights)
    return trained


def _give_back(model: keras.Model, trained: list[np.ndarray]) -> None:
    for weight, values in zip(model.trainable_weights, trained, strict=True):
        weight.assign(values)


def _metrics_of(task: str, outputs: int) -> list[keras.Metric]:
    if task == "denoise":
        return []
    if task == "grade":
        distance = keras.metrics.MeanMetricWrapper(category_distance, name="distance")
        return [*(GradeFigure(name, outputs + 1) for name in ClassFigure.FIGURES), distance]
    return [ClassFigure(name, max(2, outputs)) for name in ClassFigure.FIGURES]


def describe_model(
    path: Path, key: str, history: list[dict[str, float]], weights: str, frozen: bool = False
) -> None:
    """Write what is known of a finished training beside its model, as ``NAME.json``.

    Args:
        path: The model's file.
        key: Digest of all that decided the training.
        history: Rows of ``Trained.history``.
        weights: Digest of the model's weights.
        frozen: Whether its backbone stayed as it came, so that the history is the head's.
    """
    described = {"key": key, "history": history, "weights": weights, "file": sha256(path)}
    write_json(path.with_suffix(".json"), {**described, "frozen": frozen})


def save_model(model: keras.Model, path: Path) -> None:
    """Write a ``.keras`` file, whole or not at all."""
    with whole_file(path) as partial:
        model.save(partial)


@keras.saving.register_keras_serializable("birads_lib")
class ClassFigure(keras.Metric):
    """Precision, sensitivity or specificity of an epoch, from its confusion matrix.

    Of the class "infected" for two classes (one sigmoid, cut at .5), the mean over
    classes otherwise. A class never predicted counts with precision 0.

    Args:
        name: ``"precision"``, ``"sensitivity"`` or ``"specificity"``.
        classes: Number of classes.
    """

    FIGURES = ("precision", "sensitivity", "specificity")

    def __init__(self, name: str, classes: int, **kwargs: Any):
        super().__init__(name=one_of("figure", name, self.FIGURES), **kwargs)
        self.classes = classes
        self.matrix = self.add_weight(shape=(classes, classes), initializer="zeros", name="matrix")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch: classes (batch,) against probabilities (batch, 1 or classes).

        Weights are passed over: figures of merit count tiles.
        """
        actual = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        if self.classes == 2:
            predicted = ops.cast(ops.reshape(y_pred, (-1,)) >= 0.5, "int32")
        else:
            predicted = ops.cast(ops.argmax(y_pred, axis=-1), "int32")
        rows, columns = ops.one_hot(actual, self.classes), ops.one_hot(predicted, self.classes)
        self.matrix.assign_add(
            ops.cast(ops.matmul(ops.transpose(rows), columns), self.matrix.dtype)
        )

    def result(self) -> Any:
        """The figure of all that was counted, 0..1."""
        hits = ops.diagonal(self.matrix)
        actual, predicted = ops.sum(self.matrix, axis=1), ops.sum(self.matrix, axis=0)
        total = ops.sum(self.matrix)
        part, whole = {
            "precision": (hits, predicted),
            "sensitivity": (hits, actual),
            "specificity": (total - actual - predicted + hits, total - actual),
        }[self.name]
        values = part / ops.maximum(whole, 1.0)
        return values[1] if self.classes == 2 else ops.mean(values)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "classes": self.classes}


@keras.saving.register_keras_serializable("birads_lib")
class GradeFigure(ClassFigure):
    """The same figures of ordered categories, from cumulative probabilities."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch: categories (batch,) against cumulative probabilities."""
        said = ops.one_hot(predicted_category(y_pred), self.classes)
        super().update_state(y_true, said, sample_weight)


class _ValidatesAverage(keras.callbacks.Callback):
    """Validates the running mean of the weights; training then goes on from the weights.

    Keras' ``fit`` ends with the mean in their place, so that ``restore`` comes after it.
    """

    def on_test_begin(self, logs: Any = None) -> None:
        self.trained = _take_average(self.model)

    def restore(self) -> None:
        _give_back(self.model, self.trained)


class _StepProgress(keras.callbacks.Callback):
    """A bar over the steps on a terminal, one line an epoch elsewhere."""

    def __init__(self, name: str, epochs: int, steps: int):
        super().__init__()
        self.name = f"{name}/{epochs}"
        terminal = sys.stderr.isatty()
        self.bar = tqdm(total=steps, desc=self.name, disable=not terminal, leave=False, unit="step")
        self.started = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.bar.update()

    def close(self, row: dict[str, float]) -> None:
        self.seconds = time.monotonic() - self.started
        self.bar.close()
        figures = "  ".join(f"{key} {value:.3f}" for key, value in row.items())
        print(f"{self.name}  {self.seconds:.0f} s  {figures}", flush=True)


def _training_key(
    model: keras.Model,
    batches: TileBatches,
    validation: TileBatches,
    recipe: Recipe,
    replicas: int,
) -> str:
    decides = {"replicas": replicas} if replicas > 1 and number_matters(model) else {}
    return fingerprint(
        {
            **decides,
            "network": model.to_json(),
            "weights": weights_digest(model),
            "batches": batches.digest(),
            "validation": validation.digest(),
            "recipe": asdict(recipe),
            "code": [sha256(CODE / name) for name in CODE_THAT_TRAINS],
        }
    )


def _finished(path: Path, key: str) -> Trained | None:
    """The training's own network, if it is there as it was described; else ``None``."""
    try:
        described = read_json(path.with_suffix(".json"))
        if described["key"] != key or described["file"] != sha256(path):
            return None
        history = pd.DataFrame(described["history"])
        return Trained(read_model(path), history, described["weights"], reused=True)
    except (DataError, KeyError, OSError, TypeError):
        return None  # no description, or none that can be used: it is trained again
