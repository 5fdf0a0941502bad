"""How the members of the sweeps are trained: heads on kept features, and whole networks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from birads_lib.cascade import apply_network
from birads_lib.devices import LOCAL, ONE, chosen_distribution
from birads_lib.features import backbone_features
from birads_lib.files import fingerprint
from birads_lib.labels import CODES, LESION_CLASSES, LESION_CODES
from birads_lib.networks import (
    SpatialTransformer,
    attention_head,
    read_model,
    split_at_features,
)
from birads_lib.recipe import Effort, Recipe
from birads_lib.study.sweep_data import HELD_OUT, TRAIN, VALIDATION, Answers, SweepData, Task
from birads_lib.tiles.feed import FeatureBatches, TileBatches
from birads_lib.tiles.resizing import network_input, resize_tiles
from birads_lib.tiles.store import ImageRows
from birads_lib.training import TracedSteps, Trained, train

THRESHOLD = 0.5  # least probability of "infected" that is scored
BALANCE = "weights"  # each class weighs the same in sum, as in the chapters

Shape = tuple[int, int, int]
Builder = Callable[[Shape], keras.Model]
Targets = Callable[[NDArray[np.int64]], NDArray[np.int64]]

MASS = [c.label for c in LESION_CLASSES if c.lesion == "mass"]
MALIGNANT = [c.label for c in LESION_CLASSES if c.pathology == "malignant"]


def head_answers(task: Task, effort: Effort, **options: Any) -> Answers:
    """C2 to C5 by an attention head on the frozen features of the run's own scorer.

    Args:
        task: What to learn from.
        effort: How to train the head.
        options: For ``attention_head``: ``attention``, ``pool``.
    """
    trained, chances = _train_head(task, "head", lambda label: label - 1, "score", effort, options)
    return Answers({"scorer": _lesion_table(chances)}, trained.digest)


def binary_answers(task: Task, effort: Effort, **options: Any) -> Answers:
    """C2 to C5 as lesion type times pathology, each by a head of one sigmoid.

    Both heads see the features that ``head_answers`` sees; they are taken as independent,
    so P(C5), a malignant mass, is P(mass) P(malignant).
    """
    single = {**options, "classes": 1}
    (of_type, mass), (of_pathology, malignant) = (
        _train_head(task, name, of_classes(which), "gate", effort, single)
        for name, which in (("type", MASS), ("pathology", MALIGNANT))
    )
    digest = fingerprint([of_type.digest, of_pathology.digest])
    product = product_of_halves(mass[:, 0], malignant[:, 0])
    return Answers({"scorer": _lesion_table(product)}, digest)


def of_classes(labels: list[int]) -> Targets:
    """From labels, int (N,), to whether they are among some, int (N,)."""
    return lambda label: np.isin(label, labels).astype(np.int64)


def product_of_halves(mass: NDArray[Any], malignant: NDArray[Any]) -> NDArray[np.float64]:
    """P(C2) to P(C5), float (N, 4), from P(mass) and P(malignant), (N,) each."""
    of_type = {"mass": mass, "calcification": 1 - mass}
    of_pathology = {"malignant": malignant, "benign": 1 - malignant}
    columns = [of_type[c.lesion] * of_pathology[c.pathology] for c in LESION_CLASSES]
    return np.stack(columns, axis=1).astype(float)


def scorer_answers(
    task: Task, build: Builder, shape: Shape, effort: Effort, tiles: ImageRows
) -> Answers:
    """C2 to C5 by a whole network trained on the infected tiles."""
    trained = _train_scorer(task, build, shape, effort, tiles)
    rows = task.data.part(HELD_OUT, infected=True)
    judged = tiles.where(rows)
    chances = apply_network(trained.model, judged)
    affine = affine_maps(trained.model, judged, task.data.labels[rows])
    return Answers({"scorer": _lesion_table(chances)}, trained.digest, affine)


def affine_maps(
    model: keras.Model, tiles: ImageRows, labels: NDArray[np.int64]
) -> dict[int, NDArray[np.float32]]:
    """Where a network's spatial transformer looks in the first and last tile of each class.

    Args:
        model: Its transformer, if it has one, is what sees the tile first.
        tiles: uint8 (N, S, S).
        labels: int (N,).

    Returns:
        Affine maps, float32 (2, 3), by row of ``tiles``; none without a transformer.
    """
    transformers = [layer for layer in model.layers if isinstance(layer, SpatialTransformer)]
    if not transformers:
        return {}
    of_class = [np.flatnonzero(labels == label)[[0, -1]] for label in np.unique(labels)]
    rows = np.unique(np.concatenate(of_class))
    height, width, channels = model.input_shape[1:]
    seen = network_input(resize_tiles(tiles[rows], (height, width)), channels)
    return dict(zip(rows.tolist(), np.asarray(transformers[0].affine(seen)), strict=True))


def gate_answers(
    task: Task, build: Builder, shape: Shape, effort: Effort, tiles: ImageRows
) -> Answers:
    """Infected or not by a whole network trained on all tiles."""
    trained = _train_gate(task, build, shape, effort, tiles)
    chance = apply_network(trained.model, tiles.where(task.data.part(HELD_OUT)))[:, 0]
    return Answers({"gate": pd.DataFrame({"gate": chance})}, trained.digest)


def cascade_answers(
    task: Task,
    gate: tuple[Builder, Shape],
    scorer: tuple[Builder, Shape],
    effort: Effort,
    tiles: ImageRows,
) -> Answers:
    """All three stages by a gate and a scorer trained alike, on tiles denoised or as they are."""
    judged = tiles.where(task.data.part(HELD_OUT))
    infected = task.data.labels[task.data.part(HELD_OUT)] > 0
    first = _train_gate(task, *gate, effort, tiles)
    chance = apply_network(first.model, judged)[:, 0]
    second = _train_scorer(task, *scorer, effort, tiles)
    table = _lesion_table(apply_network(second.model, judged)).assign(gate=chance)
    stopped = table["gate"] < THRESHOLD
    scores = {
        "gate": table[["gate"]],
        "scorer": table.loc[infected, list(LESION_CODES)].reset_index(drop=True),
        "cascade": table.mask(stopped).assign(gate=chance),
    }
    return Answers(scores, fingerprint([first.digest, second.digest]))


def five_answers(
    task: Task, build: Builder, shape: Shape, effort: Effort, tiles: ImageRows
) -> Answers:
    """C1 to C5 at once by one network, in the terms of the cascade; see ``as_cascade``."""
    trained = _train_on_tiles(task, "five", build, shape, "score", effort, task.data.labels, tiles)
    chances = apply_network(trained.model, tiles.where(task.data.part(HELD_OUT)))
    return Answers({"cascade": as_cascade(chances)}, trained.digest)


def as_cascade(chances: NDArray[Any]) -> pd.DataFrame:
    """Five probabilities (N, 5) as a cascade states them.

    ``gate`` is 1 - P(C1); C2 to C5 are what they are among themselves, so each row of
    the four sums to 1. A tile is then judged as the cascade's are: infected if the gate
    reaches the threshold, and of the most probable of the four classes.
    """
    if chances.shape[1] != len(CODES):
        raise ValueError(f"as_cascade: {chances.shape[1]} columns given; expected {len(CODES)}")
    lesion = np.maximum(np.asarray(chances[:, 1:], float), np.finfo(float).tiny)
    table = _lesion_table(lesion / lesion.sum(axis=1, keepdims=True))
    return table.assign(gate=1 - np.asarray(chances[:, 0], float))


def _train_gate(
    task: Task, build: Builder, shape: Shape, effort: Effort, tiles: ImageRows
) -> Trained:
    infected = (task.data.labels > 0).astype(np.int64)
    return _train_on_tiles(task, "gate", build, shape, "gate", effort, infected, tiles)


def _train_scorer(
    task: Task, build: Builder, shape: Shape, effort: Effort, tiles: ImageRows
) -> Trained:
    lesion = task.data.labels - 1
    return _train_on_tiles(task, "scorer", build, shape, "score", effort, lesion, tiles)


def _train_on_tiles(
    task: Task,
    name: str,
    build: Builder,
    shape: Shape,
    loss: str,
    effort: Effort,
    targets: NDArray[np.int64],
    tiles: ImageRows,
) -> Trained:
    """Train on the training tiles; those with a target below 0 take no part."""
    size = effort.batch_size
    learning, steering = (task.data.part(p) & (targets >= 0) for p in (TRAIN, VALIDATION))
    return train(
        lambda: build(shape),
        TileBatches(
            tiles.where(learning), targets[learning], shape, size, task.seed, True, BALANCE
        ),
        TileBatches(tiles.where(steering), targets[steering], shape, size),
        _recipe(loss, effort, task.seed),
        task.folder / f"{name}.keras",
        _distribution(effort),
        traced=_traced(name),
    )


@functools.cache
def _traced(name: str) -> TracedSteps:
    """Steps of the last training of that name here: a member's seeds differ in little else."""
    return TracedSteps()


@functools.lru_cache(maxsize=1)
def _features(data: SweepData) -> dict[str, NDArray[np.floating]]:
    """Features of the infected tiles of each part, by the run's own scorer; made once."""
    backbone, _ = split_at_features(read_model(data.models / "scorer.keras"))
    return {
        part: backbone_features(
            backbone, data.denoised.where(data.part(part, infected=True)), data.features
        )
        for part in (TRAIN, VALIDATION, HELD_OUT)
    }


def _train_head(
    task: Task, name: str, target_of: Targets, loss: str, effort: Effort, options: dict[str, Any]
) -> tuple[Trained, NDArray[np.float32]]:
    """A head trained on the kept features, and its answers for the held-out ones."""
    data, features = task.data, _features(task.data)
    learning, steering = (
        target_of(data.labels[data.part(p, infected=True)]) for p in (TRAIN, VALIDATION)
    )
    trained = train(
        lambda: attention_head(features[TRAIN].shape[1:], **options),
        FeatureBatches(features[TRAIN], learning, effort.batch_size, task.seed, BALANCE),
        FeatureBatches(features[VALIDATION], steering, effort.batch_size),
        _recipe(loss, effort, task.seed),
        task.folder / f"{name}.keras",
        traced=_traced(name),
    )
    judged = np.asarray(features[HELD_OUT], np.float32)
    return trained, trained.model.predict(judged, verbose=0)


def _distribution(effort: Effort) -> str | None:
    """Weights are averaged on one device, however many there are; else what was asked for."""
    averages = effort.recipe.get("average", 0) > 0
    return ONE if averages and chosen_distribution() == LOCAL else None


def _recipe(loss: str, effort: Effort, seed: int) -> Recipe:
    return Recipe(loss, seed=seed, **effort.recipe)


def _lesion_table(chances: NDArray[Any]) -> pd.DataFrame:
    return pd.DataFrame(np.asarray(chances, float), columns=list(LESION_CODES))
