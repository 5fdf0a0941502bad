"""What the study costs: networks by size, seconds an epoch of a run, hours by arithmetic.

What was measured is kept apart from what follows from it by counting operations. A
projection names its assumption: that a larger network of the same kind keeps the operations
a second that the smaller one reached.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from birads_lib.errors import DataError
from birads_lib.features import head_path
from birads_lib.files import read_json
from birads_lib.networks import (
    attention_scorer,
    denoising_autoencoder,
    mobilenet_gate,
    read_model,
)
from birads_lib.networks.cost import Cost, Peaks, cost_of
from birads_lib.study.profiles import chapter_settings
from birads_lib.study.written import check_written
from birads_lib.tiles.layout import TRAINING_COUNTS

STAGES: Mapping[str, str] = {
    "autoencoder": "autoencoder",
    "gate": "gate",
    "scorer": "attention",
}
"""The networks, in the order of the cascade, and the chapter that trains each."""
TRAINED: Mapping[str, str] = {
    "autoencoder": "autoencoder_patches",
    "gate": "gate",
    "scorer": "scorer",
}
"""The model that each training left; the autoencoder learns from patches."""
HOUR = 3600.0  # s


def profile_networks(profile: str) -> dict[str, keras.Model]:
    """The three networks at a profile's sizes, random weights, as the cascade applies them."""
    denoiser, gate, scorer = (chapter_settings(profile, chapter) for chapter in STAGES.values())
    tile, side = denoiser["TILE_SIZE"], gate["INPUT_SIZE"]
    return {
        "autoencoder": denoising_autoencoder(
            (tile, tile, 1), denoiser["FILTERS"], denoiser["LATENT"]
        ),
        "gate": mobilenet_gate(
            (side, side, 1), gate["ALPHA"], units=gate["UNITS"], last_block=gate["LAST_BLOCK"]
        ),
        "scorer": attention_scorer(
            scorer["BACKBONE"],
            (scorer["INPUT_HEIGHT"], scorer["INPUT_WIDTH"], 3),
            attention=scorer["ATTENTION"],
            pool=scorer["POOL"],
            last_block=scorer["LAST_BLOCK"],
        ),
    }


def size_row(model: keras.Model) -> dict[str, Any]:
    """A network in figures: input, weights, multiply-adds and bytes for one tile."""
    cost = cost_of(model)
    return {
        "input": " x ".join(map(str, model.input_shape[1:])),
        "weights": cost.weights,
        "million multiply-adds": cost.multiply_adds / 1e6,
        "MB of features moved": cost.activation_bytes / 1e6,
        "operations a byte": cost.operations() / cost.bytes_moved(),
    }


@dataclass(frozen=True)
class Training:
    """One network's training, as work to be done.

    Attributes:
        step: Cost of one step.
        learning: Tiles an epoch that it learns from.
        steering: Tiles an epoch that it is checked on, forward only.
        epochs: Most epochs.
    """

    step: Cost
    learning: int
    steering: int
    epochs: int

    @property
    def epoch_operations(self) -> float:
        """Floating-point operations of an epoch."""
        return self._of_tiles(self.step.operations)

    @property
    def epoch_bytes(self) -> float:
        """Bytes that an epoch moves."""
        return self._of_tiles(self.step.bytes_moved)

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.epoch_operations / self.epoch_bytes

    def hours(self, operations_a_second: float) -> float:
        """Hours of all epochs at so many operations a second."""
        return self.epochs * self.epoch_operations / operations_a_second / HOUR

    def least_hours(self, peaks: Peaks) -> float:
        """Hours of all epochs on a processor that reaches its roofs throughout."""
        return self.epochs * peaks.seconds(self.epoch_operations, self.epoch_bytes) / HOUR

    def _of_tiles(self, of_step: Any) -> float:
        total = self.learning * of_step(training=True) + self.steering * of_step(training=False)
        return total / self.step.batch


def trainings_of_run(
    models: Path, profile: str, table: pd.DataFrame, split: pd.Series
) -> dict[str, Training]:
    """The trainings that a run did; with a frozen backbone the scorer's is that of its head.

    Args:
        models: The run's folder of models.
        profile: Its profile.
        table: Table of its store, with ``label``.
        split: Part of each tile, as the chapters divided them.

    Raises:
        DataError: A model is missing, or not as it was written.
    """
    found = {}
    for stage, chapter in STAGES.items():
        path = models / f"{TRAINED[stage]}.keras"
        if not path.is_file():
            raise DataError(f"{path}: no such model; run the study first")
        check_written(models.parent, path)
        given = chapter_settings(profile, chapter)
        taken = table["label"] > 0 if stage == "scorer" else table["label"] >= 0
        most = given.get("TRAIN_TILES") or len(table)
        learning, steering = (
            min(most, int((taken & (split == part)).sum())) for part in ("train", "validation")
        )
        model = read_model(head_path(path) if backbone_frozen(path) else path)
        step = cost_of(model, given["BATCH_SIZE"])
        found[stage] = Training(step, learning, steering, given["EPOCHS"])
    return found


def backbone_frozen(path: Path) -> bool:
    """Whether a model's backbone stayed as it came, so that only its head was trained."""
    described = path.with_suffix(".json")
    return described.is_file() and bool(read_json(described).get("frozen"))


def whole_pace(pace: pd.DataFrame, models: Path) -> pd.Series:
    """Operations a second by which whole networks are projected.

    A head on kept features says nothing of its backbone; the gate, a network of the same
    kind, then stands for it.
    """
    reached = pace["operations/s"].copy()
    if backbone_frozen(models / f"{TRAINED['scorer']}.keras"):
        reached["scorer"] = reached["gate"]
    return reached


def trainings_of_paper(networks: Mapping[str, keras.Model], profile: str) -> dict[str, Training]:
    """The trainings of a profile on the Kaggle set's training files.

    Args:
        networks: From ``profile_networks``.
        profile: Their profile.
    """
    found = {}
    for stage, chapter in STAGES.items():
        given = chapter_settings(profile, chapter)
        model = networks[stage]
        if stage == "autoencoder":
            patch = given["PATCH_SIZE"]
            model = denoising_autoencoder((patch, patch, 1), given["FILTERS"], given["LATENT"])
        tiles = sum(TRAINING_COUNTS[1:] if stage == "scorer" else TRAINING_COUNTS)
        most = given.get("TRAIN_TILES") or tiles
        steering = min(most, round(tiles * given["VALIDATION"]))
        learning = min(most, round(tiles * (1 - given["VALIDATION"]) * (1 - given["ASIDE"])))
        step = cost_of(model, given["BATCH_SIZE"])
        found[stage] = Training(step, learning, steering, given["EPOCHS"])
    return found


def epoch_seconds(models: Path) -> dict[str, float]:
    """Median seconds an epoch of each training of a run; the first, which compiles, apart."""
    seconds = {}
    for stage, name in TRAINED.items():
        each = [row["seconds"] for row in read_json(models / f"{name}.json")["history"]]
        seconds[stage] = float(np.median(each[1:] or each))
    return seconds


def pace_table(trainings: Mapping[str, Training], seconds: Mapping[str, float]) -> pd.DataFrame:
    """What a run's trainings reached, one row a network.

    Columns: ``tiles an epoch``, ``seconds an epoch`` (median), ``tiles/s``, ``operations``
    an epoch, ``operations a byte``, ``operations/s``.
    """
    rows = {
        stage: {
            "tiles an epoch": work.learning + work.steering,
            "seconds an epoch": seconds[stage],
            "tiles/s": (work.learning + work.steering) / seconds[stage],
            "operations": work.epoch_operations,
            "operations a byte": work.intensity,
            "operations/s": work.epoch_operations / seconds[stage],
        }
        for stage, work in trainings.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def projection_table(
    trainings: Mapping[str, Training], pace: pd.Series, gpu: Peaks
) -> pd.DataFrame:
    """Hours that trainings would take, one row a network and their sum.

    Args:
        trainings: What is to be done.
        pace: Operations a second that this processor reached for each network.
        gpu: The roofs that are assumed of a GPU.
    """
    rows = {
        stage: {
            "tiles an epoch": work.learning + work.steering,
            "most epochs": work.epochs,
            "operations, 1e15": work.epochs * work.epoch_operations / 1e15,
            "hours, this processor": work.hours(pace[stage]),
            "hours, one GPU at its roofs": work.least_hours(gpu),
        }
        for stage, work in trainings.items()
    }
    table = pd.DataFrame.from_dict(rows, orient="index")
    hours = [name for name in table if str(name).startswith(("operations", "hours"))]
    table.loc["all", hours] = table[hours].sum()
    return table
