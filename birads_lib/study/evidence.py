"""What one run's folder holds that verdicts rest on: tiles, networks, predictions, sweeps.

Whatever is missing is ``None`` or empty here, and leaves its verdicts undecided.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from birads_lib.errors import DataError
from birads_lib.files import read_json
from birads_lib.metrics import PREDICTION_COLUMNS, summarise
from birads_lib.pretrained import spelt
from birads_lib.study import paper
from birads_lib.study.ablations import read_results
from birads_lib.study.built import (
    PRINTED,
    TRAINED,
    BuiltGate,
    BuiltScorer,
    read,
)
from birads_lib.study.profiles import KAGGLE
from birads_lib.study.written import SWEPT
from birads_lib.tiles import layout
from birads_lib.tiles.store import TileStore

STAGES = ("gate", "scorer")  # the paper prints no figure of both together
PROTOCOL, SPLIT = "official", "held-out"
CHAPTERS = ("autoencoder", "gate", "attention", "explanations", "ablations", "phone")
"""Chapters whose results verdicts rest on."""
SWEEPS = ("ablations", "gates", "related")
BACKBONE = "EfficientNetB7"  # which the paper names
GATE_SIDE = 224  # of MobileNetV2 as published; the paper prints none

Measured = tuple[list[float | None], list[list[float] | None]]
Settings = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Evidence:
    """What one run's folder holds that verdicts rest on.

    Attributes:
        tiles: Words for the run's tiles.
        kaggle: Whether they are the Kaggle set, count by count.
        profile: Name of the run's folder.
        records: Figures of merit by stage, one a seed: official protocol, held-out tiles.
        results: Numbers of ``CHAPTERS``, by name; only those that are there.
        sweeps: What ``SWEEPS`` gave, by name; only those that have been run.
        settings: By sweep and member, what its networks were trained with, as far as that
            is recorded.
    """

    tiles: str
    kaggle: bool
    profile: str
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    sweeps: dict[str, dict[str, Any]] = field(default_factory=dict)
    settings: dict[str, Settings] = field(default_factory=dict)

    def figures(
        self, stage: str, wanted: Sequence[str | None], name: str, scale: float
    ) -> Measured | None:
        """Values and intervals of a figure for each class, over seeds; ``None`` if not measured.

        Several seeds give their mean, and the interval from the lowest to the highest end.
        A class whose figure is not defined, such as the precision of one that is never
        predicted, has ``None`` for both.

        Args:
            stage: One of ``STAGES``.
            wanted: Codes of classes; ``None`` for the figure over all classes.
            name: Of the figure.
            scale: Factor of what comes back, 100 for percent.
        """
        if not self.records.get(stage):
            return None
        found = [self._figure(stage, code, name, scale) for code in wanted]
        return [value for value, _ in found], [ends for _, ends in found]

    def _figure(
        self, stage: str, code: str | None, name: str, scale: float
    ) -> tuple[float | None, list[float] | None]:
        records = self.records[stage]
        found = [(r["per_class"][code] if code else r["overall"])[name] for r in records]
        if any(f is None or f["interval"] is None for f in found):
            return None, None
        ends = scale * np.array([f["interval"] for f in found])
        value = float(scale * np.mean([f["value"] for f in found]))
        return value, [float(ends[:, 0].min()), float(ends[:, 1].max())]

    def provenance(self, stage: str) -> dict[str, Any]:
        """Protocol, data and seeds of a stage's figures."""
        seeds = tuple(sorted(record["seed"] for record in self.records[stage]))
        return {**self.held_out(), "seeds": seeds}

    def held_out(self, paired: bool = False) -> dict[str, str]:
        """Protocol and data of what was measured on held-out tiles."""
        protocol = f"{PROTOCOL}, {SPLIT} tiles"
        return {"protocol": f"{protocol}, paired" if paired else protocol, "data": self.tiles}

    def other_gate(self) -> str:
        """Why the gate trained here is not the paper's; empty if it is."""
        gate = read(BuiltGate, self.results.get("gate"), TRAINED)
        if gate is None:
            return "Which gate was trained is not recorded in this run."
        if gate.alpha != 1 or not gate.whole:
            return "The gate trained here is a smaller MobileNetV2."
        return "" if gate.pretrained else "The gate trained here began with random weights."

    def other_scorer(self) -> str:
        """Why the scorer trained here is not the printed one; empty if it is."""
        attention = self.results.get("attention")
        trained, printed = (read(BuiltScorer, attention, name) for name in (TRAINED, PRINTED))
        if trained is None:
            return "Which scorer was trained is not recorded in this run."
        ours = f"The scorer trained here is {spelt(trained.backbone)} at {_by(trained.input)}"
        if printed is None:
            return f"{ours}; the printed one was not built in this run."
        if _sizes(trained) != _sizes(printed):
            return (
                f"{ours} with {trained.weights:,} weights, the printed one "
                f"{spelt(printed.backbone)} at {_by(printed.input)} with {printed.weights:,}."
            )
        return "" if trained.pretrained else "The scorer trained here began with random weights."

    def other_members(self, sweep: str, members: Sequence[str]) -> str:
        """Why members of a sweep are not of the printed sizes; empty if they are."""
        settings = self.settings.get(sweep, {})
        if unknown := [name for name in members if name not in settings]:
            return f"With what {', '.join(unknown)} ran is not recorded in this run."
        if smaller := [name for name in members if _smaller(name, settings[name])]:
            return f"Not of the printed size in this sweep: {', '.join(smaller)}."
        return self.other_scorer() if self.on_features(sweep, members) else ""

    def on_features(self, sweep: str, members: Sequence[str]) -> bool:
        """Whether one of a sweep's members is a head on features of the run's own scorer."""
        settings = self.settings.get(sweep, {})
        return any(_on_features(settings.get(name, {})) for name in members)


def _sizes(scorer: BuiltScorer) -> tuple[Any, ...]:
    """What makes a scorer the printed one, whatever its weights are."""
    return (scorer.backbone, scorer.weights, scorer.input, scorer.spatial, scorer.channel)


def _by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _smaller(name: str, settings: Mapping[str, Any]) -> bool:
    """Whether a member of a sweep was cut, narrowed, or given smaller tiles than printed."""
    height, width, _ = paper.SCORER_INPUT
    return (
        any(settings.get(key) for key in ("clip", "gate_clip"))
        or settings.get("alpha", 1) != 1
        or settings.get("scorer_size", [height, width]) != [height, width]
        or settings.get("gate_size", GATE_SIDE) != GATE_SIDE
        or settings.get("backbone", BACKBONE) not in (BACKBONE, name)
    )


def _on_features(settings: Mapping[str, Any]) -> bool:
    """Whether a member is a head on features of the run's own scorer."""
    return "attention" in settings and "scorer_size" not in settings


def read_evidence(run: str | os.PathLike[str]) -> Evidence:
    """What a run's folder holds; an empty folder gives empty evidence.

    Raises:
        DataError: A file that is there cannot be read.
    """
    folder = Path(run)
    tiles, kaggle = "no tiles", False
    if (folder / "store").is_dir():
        store = TileStore.open(folder / "store")
        kaggle = is_kaggle_set(store)
        real = f"the Kaggle set {KAGGLE}" if kaggle else "real tiles other than the Kaggle set"
        tiles = f"{'simulated tiles' if store.simulated else real}, {store.digest[:8]}"
    paths = {name: folder / "results" / f"{name}.json" for name in CHAPTERS}
    swept = {name: read_results(folder, name) for name in SWEEPS}
    sweeps = {name: found for name, found in swept.items() if found}
    return Evidence(
        tiles,
        kaggle,
        folder.name,
        _records(folder / "predictions"),
        {name: read_json(path) for name, path in paths.items() if path.is_file()},
        sweeps,
        {name: _settings(folder / "sweeps" / name, found) for name, found in sweeps.items()},
    )


def is_kaggle_set(store: TileStore) -> bool:
    """Whether a store holds the Kaggle set: real, and every class of every part as known."""
    if store.simulated:
        return False
    known = {
        "training": layout.TRAINING_COUNTS,
        layout.TEST10.name: layout.TEST10_COUNTS,
        layout.CV10.name: layout.CV10_COUNTS,
    }
    origin, label = store.table["origin"], store.table["label"]
    return set(origin) == set(known) and all(
        np.array_equal(np.bincount(label[origin == part], minlength=5), counts)
        for part, counts in known.items()
    )


def _records(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Figures of merit by stage from a run's tables of predictions."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("*.parquet")):
        if path.name.startswith(SWEPT):
            continue  # many members in one table; its results stand in a file of their own
        table = pd.read_parquet(path)
        missing = set(PREDICTION_COLUMNS) - set(table.columns)
        if missing:
            raise DataError(f"{path}: columns missing: {', '.join(sorted(missing))}")
        rows = table[
            table["stage"].isin(STAGES)
            & (table["protocol"] == PROTOCOL)
            & (table["split"] == SPLIT)
        ]
        for record in summarise(rows):
            found.setdefault(record["stage"], []).append(record)
    return found


def _settings(folder: Path, found: Mapping[str, Any]) -> Settings:
    """What each member was trained with, from the note beside its first training."""
    settings = {}
    for name, member in found["members"].items():
        path = folder / name / f"{member['seeds'][0]}.json"
        note = read_json(path) if path.is_file() else {}
        if "parameters" in note:
            settings[name] = note["parameters"]
    return settings
