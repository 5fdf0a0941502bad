"""The one place that seeds, compiles, fits, checkpoints and resumes."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import ops
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
from birads_lib.errors import UsageError, one_of
from birads_lib.files import fingerprint, read_json, sha256, whole_file, write_json
from birads_lib.networks import read_model, weights_digest
from birads_lib.networks.ordinal import OrdinalCrossentropy, category_distance, predicted_category
from birads_lib.replicas import ReplicatedModel, number_matters, wait_for_all
from birads_lib.tiles.feed import TileBatches

TASKS = ("denoise", "gate", "score", "grade")
LOSSES: dict[str, str | keras.losses.Loss] = {
    "denoise": "mean_absolute_error",
    "gate": "binary_crossentropy",
    "score": "sparse_categorical_crossentropy",
    "grade": OrdinalCrossentropy(),
}
if chosen_distribution() == HOSTS:
    training_strategy(HOSTS)  # before anything is calculated, or TensorFlow refuses

FINAL_RATE = 0.02  # share of the learning rate left at the end of the cosine
CODE = Path(__file__).parent
CODE_THAT_TRAINS = (
    "training.py",
    "replicas.py",
    "tiles/feed.py",
    "networks/attention.py",
    "networks/autoencoder.py",
    "networks/backbones.py",
    "networks/gate.py",
    "networks/normalization.py",
    "networks/ordinal.py",
    "networks/scorer.py",
)
"""A model trained by other versions of these files is not taken for this one."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; the paper states none of these.

    Attributes:
        task: ``"denoise"``, ``"gate"``, ``"score"`` or, for ordered categories, ``"grade"``;
            decides loss and metrics.
        epochs: Most epochs to run.
        learning_rate: Adam's, at the start; it falls along a cosine.
        patience: Epochs without a better validation loss before training stops.
        seed: Of initial weights and drop-out.
    """

    task: str
    epochs: int
    learning_rate: float = 1e-3
    patience: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        one_of("task", self.task, TASKS)
        if self.epochs < 1 or not self.learning_rate > 0 or self.patience < 1:
            raise UsageError(
                f"recipe: epochs {self.epochs}, learning_rate {self.learning_rate}, patience "
                f"{self.patience}; expected at least 1, above 0, at least 1"
            )


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

    Raises:
        UsageError: ``path`` does not end in ``.keras``.
    """
    if path.suffix != ".keras":
        raise UsageError(f"{path}: a model's file ends in .keras")
    distribute = distribute or chosen_distribution()
    strategy = training_strategy(distribute)
    settings = _settings(strategy, distribute, path.stem)
    keras.utils.clear_session()  # layer names start anew, so that equal networks are equal
    keras.utils.set_random_seed(recipe.seed)
    with path_to_write(path, distribute) as own_path:
        with strategy.scope(), _policy(settings.policy):
            model = build()
            key = _training_key(model, batches, validation, recipe, strategy.num_replicas_in_sync)
            if finished := _finished(own_path, key):
                return finished
            state = _Progress.resume(own_path, key, model, recipe, len(batches))
            state.model.jit_compile = settings.jit_compile
        _learn(state, batches, validation, recipe, strategy)
        trained = state.finish()
        if distribute == HOSTS:
            wait_for_all(strategy)  # so that every host finds the model at its path
    return trained


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
    replicated = strategy.num_replicas_in_sync > 1
    learner = ReplicatedModel(state.model, strategy) if replicated else state.model
    while len(state.history) < recipe.epochs and state.waited < recipe.patience:
        epoch = len(state.history)
        batches.start_epoch(epoch)
        _seed_dropout(state.model, recipe.seed, epoch)
        row = _one_epoch(learner, batches, validation, f"{state.path.stem} {epoch + 1}", recipe)
        state.note(row, recipe)


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
    logs = model.fit(
        batches.dataset(),
        validation_data=validation.dataset(),
        shuffle=False,  # the batches are in the order that the seed decided
        verbose=0,
        callbacks=[timer],
    ).history
    row = {key: float(values[-1]) for key, values in logs.items()}
    timer.close(row)
    return {"seconds": timer.seconds, **row}


class _Progress:
    """Where a training stands: model, history, best epoch. On disk after each epoch."""

    def __init__(self, path: Path, key: str, model: keras.Model):
        self.path, self.key, self.model = path, key, model
        self.history: list[dict[str, float]] = []

    @classmethod
    def resume(
        cls, path: Path, key: str, model: keras.Model, recipe: Recipe, steps: int
    ) -> _Progress:
        """Load the checkpoint of the same training, or compile the fresh model."""
        state = cls(path, key, model)
        if state.record.exists() and state.latest.exists() and state.best.exists():
            saved = read_json(state.record)
            if saved["key"] == key and saved["latest"] == sha256(state.latest):
                state.history = saved["history"]
                state.model = keras.saving.load_model(state.latest)
                return state
        compile_for(model, recipe, steps)
        return state

    @property
    def latest(self) -> Path:
        return self.path.with_suffix(".latest.keras")

    @property
    def best(self) -> Path:
        return self.path.with_suffix(".best.keras")

    @property
    def record(self) -> Path:
        return self.path.with_suffix(".resume.json")

    @property
    def waited(self) -> int:
        """Epochs since the validation loss was lowest."""
        losses = [row["val_loss"] for row in self.history]
        if not losses:
            return 0
        return len(losses) - 1 - losses.index(min(losses))

    def note(self, row: dict[str, float], recipe: Recipe) -> None:
        if not math.isfinite(row["loss"]) or not math.isfinite(row["val_loss"]):
            raise UsageError(
                f"{self.path.stem}: the loss became {row['loss']} in epoch "
                f"{len(self.history) + 1}; give a smaller learning rate than {recipe.learning_rate}"
            )
        self.history.append({"epoch": len(self.history) + 1, **row})
        save_model(self.model, self.latest)
        if self.waited == 0:
            save_model(self.model, self.best)
        saved = {"key": self.key, "history": self.history, "latest": sha256(self.latest)}
        write_json(self.record, saved)

    def finish(self) -> Trained:
        self.model = read_model(self.best)
        save_model(self.model, self.path)
        digest = weights_digest(self.model)
        described = {
            "key": self.key,
            "history": self.history,
            "weights": digest,
            "file": sha256(self.path),
        }
        write_json(self.path.with_suffix(".json"), described)
        for leftover in (self.record, self.latest, self.best):
            leftover.unlink(missing_ok=True)
        return Trained(self.model, pd.DataFrame(self.history), digest, reused=False)


def compile_for(model: keras.Model, recipe: Recipe, steps_an_epoch: int) -> None:
    """Compile a network for its task: Adam along a cosine, loss, metrics of Figure 6."""
    rate = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate, recipe.epochs * steps_an_epoch, alpha=FINAL_RATE
    )
    metrics = _metrics_of(recipe.task, model.output_shape[-1])
    model.compile(keras.optimizers.Adam(rate), LOSSES[recipe.task], metrics=metrics)


def _metrics_of(task: str, outputs: int) -> list[keras.Metric]:
    if task == "denoise":
        return []
    if task == "grade":
        distance = keras.metrics.MeanMetricWrapper(category_distance, name="distance")
        return [*(GradeFigure(name, outputs + 1) for name in ClassFigure.FIGURES), distance]
    return [ClassFigure(name, max(2, outputs)) for name in ClassFigure.FIGURES]


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
        said = ops.one_hot(predicted_category(y_pred), self.classes)
        super().update_state(y_true, said, sample_weight)


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
    description = path.with_suffix(".json")
    if not (path.exists() and description.exists()):
        return None
    described = read_json(description)
    if described["key"] != key or described["file"] != sha256(path):
        return None
    model = read_model(path)
    history = pd.DataFrame(described["history"])
    return Trained(model, history, described["weights"], reused=True)
