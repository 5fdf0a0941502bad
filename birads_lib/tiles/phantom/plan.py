"""The plan of a phantom: how many tiles, of what, and where each one goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import index, itemgetter

import numpy as np
import pandas as pd

from birads_lib.errors import UsageError, one_of
from birads_lib.labels import CLASSES
from birads_lib.tiles.layout import (
    CV10,
    CV10_COUNTS,
    HELD_OUT_FILES,
    PLANNED_COUNTS,
    TEST10,
    TEST10_COUNTS,
    TRAINING_FILES,
    TRAINING_NAMES,
)
from birads_lib.tiles.phantom import lesions, tissue
from birads_lib.tiles.phantom.patients import CROPS, SCAN_TILES, plan_normals, plan_views

MIN_NORMALS = 10  # of each part, so that every file keeps some
LOST_LABELS = (0, 0, 0, 3, 0)  # label of the row each training file lost

# Random streams of the plan and, from the third on, of drawing
PLAN_STREAM, LESION_STREAM, SCAN_STREAM, FIELD_STREAM, FILM_STREAM, VIEW_STREAM = range(6)


@dataclass(frozen=True)
class Place:
    """Where one tile of a job goes.

    Attributes:
        slot: Tile of a scan (0 to 26) or crop of a lesion (0 to 2).
        part: Training file (0 to 4), test10 (5) or cv10 (6).
        record: Row within that file.
        row: Row of the truth.
    """

    slot: int
    part: int
    record: int
    row: int


@dataclass(frozen=True)
class Job:
    """One thing to draw: a normal scan, or one view of a lesion.

    Attributes:
        index: Number of the scan, or of the view; selects the random stream.
        film: Number of the film, which two lesions of one film share.
        scanner: One of ``tissue.SCANNERS``, or ``tissue.OUTSIDE``.
        filename: The ``filename`` feature.
        lesion: ``None`` for a normal scan.
        conspicuity: 0 for a normal scan.
        places: Tiles that are written.
    """

    index: int
    film: int
    scanner: str
    filename: str
    lesion: lesions.Lesion | None
    conspicuity: float
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Plan:
    """All that is decided before anything is drawn.

    Attributes:
        table: One row a planned tile, dropped rows too: the columns of the truth
            and ``part``, ``record``, ``row`` (-1 where dropped), ``filename``,
            ``kind``, ``job``, ``slot``.
        characters: The lesion of each view.
        films: Number of the film of each view.
        scale, positives, seed, scanners, scan_tiles: As given; ``positives`` is never
            ``None``.
    """

    table: pd.DataFrame
    characters: tuple[lesions.Lesion, ...]
    films: tuple[int, ...]
    scale: float
    positives: float
    seed: int
    scanners: str
    scan_tiles: int

    @property
    def written(self) -> pd.DataFrame:
        """The tiles that are written, in the order of the truth."""
        return self.table[self.table["row"] >= 0]

    def counts(self) -> dict[str, list[int]]:
        """Written tiles of labels 0 to 4: training, test10, cv10."""
        written = self.written
        names = np.array(["training"] * TRAINING_FILES + [h.name for h in HELD_OUT_FILES])
        part = names[written["part"].to_numpy()]
        return {
            name: np.bincount(written["label"][part == name], minlength=len(CLASSES)).tolist()
            for name in ("training", *(h.name for h in HELD_OUT_FILES))
        }


def real_positives() -> float:
    """Share of infected tiles in the real training rows, .1304; test10 and cv10 are as rich."""
    return sum(PLANNED_COUNTS[1:]) / sum(PLANNED_COUNTS)


def planned_counts(
    scale: float = 0.1, positives: float | None = None
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Tiles of labels 0 to 4 in training (before rows are lost), test10 and cv10.

    Lesion classes are multiples of three. At scale 1 these are the real counts.

    Raises:
        UsageError: ``scale`` is not within (0, 1], ``positives`` not within (0, 1),
            or together they leave too few tiles.
    """
    if not 0 < scale <= 1:
        raise UsageError(
            f"scale: {scale} given; expected above 0 and at most 1 (the real set's size)"
        )
    if positives is not None and not 0 < positives < 1:
        raise UsageError(f"positives: {positives} given; expected a share between 0 and 1")
    richness = 1.0 if positives is None else positives / real_positives()
    training, test10, cv10 = (
        _part_counts(counts, scale, richness, unit)
        for counts, unit in (
            (PLANNED_COUNTS, TRAINING_FILES),
            (TEST10_COUNTS, 1),
            (CV10_COUNTS, 1),
        )
    )
    for name, counts in (("training", training), (TEST10.name, test10), (CV10.name, cv10)):
        if counts[0] < MIN_NORMALS:
            raise UsageError(
                f"scale {scale} with positives {positives}: {name} would keep {counts[0]} normal "
                f"tiles of the {MIN_NORMALS} it needs; use a larger scale or fewer positives"
            )
    return training, test10, cv10


def _part_counts(real: Sequence[int], scale: float, richness: float, unit: int) -> tuple[int, ...]:
    total = unit * round(sum(real) * scale / unit)
    classes = [CROPS * max(1, round(n * scale * richness / CROPS)) if n else 0 for n in real[1:]]
    return total - sum(classes), *classes


def plan_phantom(
    scale: float = 0.1,
    positives: float | None = None,
    seed: int = 0,
    scanners: str = "training",
    scan_tiles: int = SCAN_TILES,
) -> Plan:
    """Decide on every tile of a phantom without drawing any; see ``write_phantom``.

    Raises:
        UsageError: As ``planned_counts``; ``seed`` is negative or not a whole number;
            ``scanners`` or ``scan_tiles`` does not fit.
    """
    counts = planned_counts(scale, positives)
    seed = _whole_seed(seed)
    one_of("scanners", scanners, tissue.SCANNER_SHARES)
    if not 1 <= scan_tiles <= SCAN_TILES:
        raise UsageError(f"scan_tiles: {scan_tiles} is not from 1 to {SCAN_TILES}")
    rng = np.random.default_rng([seed, PLAN_STREAM])
    views = plan_views(rng, *counts, scanners)
    characters, views["conspicuity"] = _draw_characters(views, seed)
    normals = plan_normals(rng, sum(part[0] for part in counts), scanners, scan_tiles)
    crops = views.loc[views.index.repeat(CROPS)].reset_index(names="job")
    crops["slot"] = np.tile(np.arange(CROPS), len(views))
    first_test, first_cv = counts[0][0], counts[0][0] + counts[1][0]
    parts = [
        _shuffled_training(rng, normals[:first_test], crops[crops["side"] == "training"]),
        _shuffled(rng, normals[first_test:first_cv], crops[crops["side"] == TEST10.name], 5),
        _shuffled(rng, normals[first_cv:], crops[crops["side"] == CV10.name], 6),
    ]
    table = pd.concat(parts, ignore_index=True).drop(columns="side")
    kept = ~table["lost"].to_numpy()
    table["row"] = np.where(kept, np.cumsum(kept) - 1, -1)
    names = np.array([*TRAINING_NAMES, *(h.name for h in HELD_OUT_FILES)])[table["part"]]
    table["tile"] = [tile_id(n, r) for n, r in zip(names, table["record"], strict=True)]
    share = real_positives() if positives is None else float(positives)
    films = tuple(pd.factorize(views["scan"])[0].tolist())
    table = table.drop(columns="lost")
    return Plan(table, characters, films, float(scale), share, seed, scanners, scan_tiles)


def tile_id(file: str, record: int) -> str:
    """Name of a tile, such as ``"training10_0/00012"``."""
    return f"{file}/{record:05d}"


def _whole_seed(seed: int) -> int:
    try:
        number = index(seed)
    except TypeError:
        number = -1
    if number < 0:
        raise UsageError(f"seed: {seed!r} given; expected a whole number of 0 or more")
    return number


def _draw_characters(
    views: pd.DataFrame, seed: int
) -> tuple[tuple[lesions.Lesion, ...], list[float]]:
    """The lesion and the conspicuity of each view; views of one lesion share the first."""
    characters, conspicuities = [], []
    streams: dict[str, tuple[lesions.Lesion, np.random.Generator]] = {}
    for name, label in zip(views["lesion"], views["label"], strict=True):
        if name not in streams:
            rng = np.random.default_rng([seed, LESION_STREAM, len(streams)])
            streams[name] = lesions.draw_lesion(rng, int(label)), rng
        lesion, rng = streams[name]
        characters.append(lesion)
        conspicuities.append(lesions.view_conspicuity(rng, lesion))
    return tuple(characters), conspicuities


def _shuffled(
    rng: np.random.Generator, normals: pd.DataFrame, crops: pd.DataFrame, part: int
) -> pd.DataFrame:
    """Normals and crops of one held-out part, shuffled."""
    rows = pd.concat([normals, crops], ignore_index=True)
    rows = rows.iloc[rng.permutation(len(rows))].reset_index(drop=True)
    rows["part"], rows["record"], rows["lost"] = part, np.arange(len(rows)), False
    return rows


def _shuffled_training(
    rng: np.random.Generator, normals: pd.DataFrame, crops: pd.DataFrame
) -> pd.DataFrame:
    """Training rows, shuffled over five files; the last of each is marked lost.

    Rows are exchanged so that the lost ones are four normals and one malignant
    calcification, as in the real set.
    """
    rows = pd.concat([normals, crops], ignore_index=True)
    order = rng.permutation(len(rows))
    label = rows["label"].to_numpy()
    length = len(rows) // TRAINING_FILES
    last = length * np.arange(1, TRAINING_FILES + 1) - 1
    for position, wanted in zip(last, LOST_LABELS, strict=True):
        if label[order[position]] != wanted:
            others = np.setdiff1d(np.flatnonzero(label[order] == wanted), last)
            other = rng.choice(others)
            order[[position, other]] = order[[other, position]]
    rows = rows.iloc[order].reset_index(drop=True)
    rows["part"], rows["record"] = np.divmod(np.arange(len(rows)), length)
    rows["lost"] = rows["record"] == length - 1
    return rows


def list_jobs(plan: Plan) -> list[Job]:
    """What has to be drawn for a plan, in the order of its scans and views."""
    columns = ["kind", "job", "scanner", "filename", "conspicuity"]
    places = ["slot", "part", "record", "row"]
    written = plan.written.sort_values(["kind", "job", "slot"])
    rows = zip(
        written[columns].itertuples(index=False, name=None),
        written[places].itertuples(index=False, name=None),
        strict=True,
    )
    jobs = []
    for (kind, job, scanner, filename, conspicuity), group in groupby(rows, itemgetter(0)):
        lesion, film = None, job
        if kind == "lesion":
            lesion, film = plan.characters[job], plan.films[job]
        there = tuple(Place(*place) for _, place in group)
        jobs.append(Job(job, film, scanner, filename, lesion, conspicuity, there))
    return jobs
