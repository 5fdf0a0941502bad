"""Simulated mammogram tiles, written exactly as the Kaggle set unpacks.

The real tiles may not be redistributed, so the study's default data are
simulated: a controlled experiment whose lesions, scans, patients and noise are
known. The layout and the defects of `skooch/ddsm-mammography` are kept: test10
has masses only and cv10 nearly all calcifications; each training file lacks its
last row; each lesion is cropped three times; about 27 normal tiles come from
one scan and are spread over training and test; positives took another road to
grey levels than normals.

A complete plan is made first, so that each tile's place in its file is known
and workers can draw scans in any order and write in place. Each scan and view
has its own random stream ``[seed, stream, index]``: the bytes do not depend on
the number of processes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import index, itemgetter
from pathlib import Path
from typing import Literal

import cv2
import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from birads_lib.errors import DataError, UsageError
from birads_lib.files import read_json, whole_folder, write_json
from birads_lib.labels import CLASSES
from birads_lib.tiles import lesions, tissue
from birads_lib.tiles.layout import (
    CV10,
    CV10_COUNTS,
    FEATURE_FILENAME,
    FEATURE_IMAGE,
    FEATURE_LABEL,
    FEATURE_NORMAL,
    FILENAME_DTYPE,
    HELD_OUT_FILES,
    IMAGE_BYTES,
    NORMAL_FILENAME,
    PLANNED_COUNTS,
    TEST10,
    TEST10_COUNTS,
    TILE,
    TRAINING_FILES,
    TRAINING_NAMES,
    TRAINING_PATHS,
)
from birads_lib.tiles.tfrecord import encode_example, frame

Bytes = NDArray[np.uint8]
Progress = Callable[[int, int], None]

GENERATOR, VERSION = "birads phantom", 1
TRUTH = "truth"
CARD = "phantom.json"
MASK_BYTES = math.ceil(IMAGE_BYTES / 8)

# Plan
CROPS = 3  # crops of one lesion in one view
GRID = 3  # tiles along each side of a normal field
FIELD_TILES = GRID * GRID
SCAN_FIELDS = 3
SCAN_TILES = FIELD_TILES * SCAN_FIELDS  # 27, as in the real set
MIN_NORMALS = 10  # of each part, so that every file keeps some
LOST_LABELS = (0, 0, 0, 3, 0)  # label of the row each training file lost
TWO_LESIONS, SAME_BREAST, BOTH_VIEWS = 0.12, 0.5, 0.75  # chances
SIDES, VIEWS = ("LEFT", "RIGHT"), ("CC", "MLO")
SCAN_NAMES = tuple(f"{side}_{view}" for side in SIDES for view in VIEWS)
MORE_NUMBERS = 1.25  # patient numbers to choose from, for each patient

# Drawing, px
NORMAL_FIELD, NORMAL_WAVES = GRID * TILE, 900  # field, and a good size to transform
LESION_FIELD, LESION_WAVES = 432, 600
NORMAL_SKIN, LESION_SKIN = (20.0, 160.0), (5.0, 70.0)  # from the field's side
CROP_MARGIN = 2

# Random streams
PLAN_STREAM, LESION_STREAM, SCAN_STREAM, FIELD_STREAM, FILM_STREAM, VIEW_STREAM = range(6)

JOBS_A_BATCH = 8
TABLE_COLUMNS = [
    "tile",
    "scan",
    "lesion",
    "patient",
    "scanner",
    "label",
    "conspicuity",
]


# Plan


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
        scanner: One of ``tissue.SCANNERS``.
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
        scale, positives, seed: As given; ``positives`` is never ``None``.
    """

    table: pd.DataFrame
    characters: tuple[lesions.Lesion, ...]
    films: tuple[int, ...]
    scale: float
    positives: float
    seed: int

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
        raise UsageError(f"scale: {scale} is not above 0 and at most 1 (the real set's size)")
    if positives is not None and not 0 < positives < 1:
        raise UsageError(f"positives: {positives} is not a share between 0 and 1")
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


def plan_phantom(scale: float = 0.1, positives: float | None = None, seed: int = 0) -> Plan:
    """Decide on every tile of a phantom without drawing any.

    Raises:
        UsageError: As ``planned_counts``, or ``seed`` is negative or not a whole number.
    """
    counts = planned_counts(scale, positives)
    seed = _whole_seed(seed)
    rng = np.random.default_rng([seed, PLAN_STREAM])
    views = _plan_views(rng, *counts)
    characters, views["conspicuity"] = _draw_characters(views, seed)
    normals = _plan_normals(rng, sum(part[0] for part in counts))
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
    return Plan(table.drop(columns="lost"), characters, films, float(scale), share, seed)


def tile_id(file: str, record: int) -> str:
    """Name of a tile, such as ``"training10_0/00012"``."""
    return f"{file}/{record:05d}"


def _whole_seed(seed: int) -> int:
    try:
        number = index(seed)
    except TypeError:
        number = -1
    if number < 0:
        raise UsageError(f"seed: {seed!r} is not a whole number of 0 or more")
    return number


def _plan_views(
    rng: np.random.Generator,
    training: Sequence[int],
    test10: Sequence[int],
    cv10: Sequence[int],
) -> pd.DataFrame:
    """One row a lesion view. Patients stand on one side only; cv10 takes the first masses."""
    groups = []
    for label in range(1, len(CLASSES)):
        groups.append((label, "training", training[label] // CROPS, 0))
        first = cv10[label] // CROPS
        groups.append((label, "held out", first + test10[label] // CROPS, first))
    patients = [_draw_patients(rng, count) for _, _, count, _ in groups]
    needed = [int(p["woman"].max()) + 1 for p in patients]
    pool = rng.permutation(math.ceil(MORE_NUMBERS * sum(needed)))[: sum(needed)] + 1
    numbers = np.split(pool, np.cumsum(needed)[:-1])
    frames = []
    for (label, side, _, first), views, drawn in zip(groups, patients, numbers, strict=True):
        views["label"] = label
        views["number"] = np.sort(drawn)[views["woman"]]
        views["side"] = side
        if side != "training":
            views["side"] = np.where(np.arange(len(views)) < first, CV10.name, TEST10.name)
        frames.append(views)
    return _name_views(rng, pd.concat(frames, ignore_index=True))


def _draw_patients(rng: np.random.Generator, count: int) -> pd.DataFrame:
    """``count`` lesion views of women with one or two lesions, seen in one or both views."""
    rows: list[tuple[int, str, str, int]] = []
    woman = 0
    while len(rows) < count:
        breast = str(rng.choice(SIDES))
        for lesion in range(1 + (rng.random() < TWO_LESIONS)):
            if lesion and rng.random() >= SAME_BREAST:
                breast = SIDES[1 - SIDES.index(breast)]
            both = rng.random() < BOTH_VIEWS
            seen = VIEWS if both else (str(rng.choice(VIEWS)),)
            rows += [(woman, breast, view, lesion + 1) for view in seen]
        woman += 1
    return pd.DataFrame(rows[:count], columns=["woman", "breast", "view", "lesion_number"])


def _name_views(rng: np.random.Generator, views: pd.DataFrame) -> pd.DataFrame:
    patient = "P_" + views["number"].map("{:05d}".format)
    women, numbers = pd.factorize(views["number"])
    scanners = tissue.allot_scanners(rng, len(numbers))
    scan = patient + "_" + views["breast"] + "_" + views["view"]
    return pd.DataFrame(
        {
            "kind": "lesion",
            "label": views["label"],
            "side": views["side"],
            "scan": scan,
            "lesion": patient + "_" + views["breast"] + "_" + views["lesion_number"].astype(str),
            "patient": patient,
            "filename": scan + ".jpg",
            "scanner": scanners[women],
        }
    )


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


def _plan_normals(rng: np.random.Generator, count: int) -> pd.DataFrame:
    """``count`` normal tiles in random order; 27 a scan, four scans a woman."""
    tile = rng.permutation(count)
    scan = tile // SCAN_TILES
    woman = scan // len(SCAN_NAMES)
    scanners = tissue.allot_scanners(rng, woman.max() + 1)
    women = np.array([f"N_{i + 1:05d}" for i in range(woman.max() + 1)])[woman]
    names = np.array([f"_{name}" for name in SCAN_NAMES])[scan % len(SCAN_NAMES)]
    return pd.DataFrame(
        {
            "job": scan,
            "kind": "normal",
            "label": 0,
            "side": "",
            "scan": np.char.add(women, names),
            "lesion": "",
            "patient": women,
            "filename": NORMAL_FILENAME,
            "scanner": scanners[woman],
            "conspicuity": 0.0,
            "slot": tile % SCAN_TILES,
        }
    )


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


# Drawing


@dataclass(frozen=True)
class Drawing:
    """One tile as drawn: uint8 ``(299, 299)`` twice, and a bool mask of that shape."""

    noisy: Bytes
    clean: Bytes
    mask: NDArray[np.bool_]


def draw_job(job: Job, seed: int) -> Iterator[tuple[Place, Drawing]]:
    """Draw the tiles of a job, one after another."""
    return _draw_normal_scan(job, seed) if job.lesion is None else _draw_lesion_view(job, seed)


def _draw_normal_scan(job: Job, seed: int) -> Iterator[tuple[Place, Drawing]]:
    rng = np.random.default_rng([seed, SCAN_STREAM, job.index])
    scan = tissue.draw_scan(rng, job.scanner, positive=False)
    amplitude = tissue.power_law_filter(NORMAL_WAVES, scan.beta, scan.stretch, scan.angle)
    nothing = np.zeros((TILE, TILE), bool)
    for field in range(SCAN_FIELDS):
        places = [p for p in job.places if p.slot // FIELD_TILES == field]
        if not places:
            continue
        rng = np.random.default_rng([seed, FIELD_STREAM, job.index, field])
        noisy, clean = _normal_field(rng, scan, amplitude)
        for place in places:
            y, x = (TILE * i for i in divmod(place.slot % FIELD_TILES, GRID))
            window = slice(y, y + TILE), slice(x, x + TILE)
            yield place, Drawing(noisy[window], clean[window], nothing)


def _normal_field(
    rng: np.random.Generator, scan: tissue.Scan, amplitude: tissue.Image
) -> tuple[Bytes, Bytes]:
    """Noisy and clean grey levels of nine tiles."""
    field = tissue.tissue_field(rng, scan, amplitude, NORMAL_FIELD)
    if rng.random() < tissue.SKIN_FIELD_CHANCE:
        depth = tissue.skin_depth(rng, NORMAL_FIELD, NORMAL_SKIN)
        field = tissue.thin_towards_skin(rng, field, depth)
    return _film(rng, scan, field)


def _draw_lesion_view(job: Job, seed: int) -> Iterator[tuple[Place, Drawing]]:
    assert job.lesion is not None
    rng = np.random.default_rng([seed, FILM_STREAM, job.film])
    scan = tissue.draw_scan(rng, job.scanner, positive=True)
    amplitude = tissue.power_law_filter(LESION_WAVES, scan.beta, scan.stretch, scan.angle)
    rng = np.random.default_rng([seed, VIEW_STREAM, job.index])
    field = tissue.tissue_field(rng, scan, amplitude, LESION_FIELD)
    height = job.conspicuity * tissue.structure(field)
    if rng.random() < tissue.SKIN_LESION_CHANCE:
        depth = tissue.skin_depth(rng, LESION_FIELD, LESION_SKIN)
        field = tissue.thin_towards_skin(rng, field, depth)
    image, mask = lesions.lesion_image(rng, job.lesion, LESION_FIELD)
    field += np.float32(height) * image
    noisy, clean = _film(rng, scan, field)
    crops = [_random_crop(rng, mask) for _ in range(CROPS)]
    for place in job.places:
        crop = crops[place.slot]
        yield place, Drawing(crop(noisy), crop(clean), crop(mask))


def _film(rng: np.random.Generator, scan: tissue.Scan, field: tissue.Image) -> tuple[Bytes, Bytes]:
    """Noisy and clean grey levels, uint8, of a field of tissue."""
    grey, weight = tissue.film_curve(field, scan, tissue.field_middle(rng, scan))
    noisy = tissue.add_noise(rng, grey, weight, scan)
    return tissue.to_bytes(noisy), tissue.to_bytes(grey)


def _random_crop(rng: np.random.Generator, mask: NDArray[np.bool_]) -> Callable[[NDArray], NDArray]:
    """A tile at random about the lesion, flipped and turned; the whole lesion if it fits."""
    y, x = (_offset(rng, np.flatnonzero(mask.any(axis=axis)), len(mask)) for axis in (1, 0))
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))

    def crop(field: NDArray) -> NDArray:
        tile = np.rot90(field[y : y + TILE, x : x + TILE], turns)
        return tile[:, ::-1] if flip else tile

    return crop


def _offset(rng: np.random.Generator, where: NDArray[np.intp], size: int) -> int:
    """First row (or column) of a crop that holds all of ``where``, if that is possible."""
    low = max(0, int(where[-1]) + 1 + CROP_MARGIN - TILE)
    high = min(size - TILE, int(where[0]) - CROP_MARGIN)
    if low > high:
        low = high = (size - TILE) // 2
    return int(rng.integers(low, high + 1))


# Writing


class TileWriter:
    """Writes tiles into files that already have their full size. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._records = [os.open(folder / path, os.O_RDWR) for path in TRAINING_PATHS]
        self._held_out = [np.load(folder / h.data, mmap_mode="r+") for h in HELD_OUT_FILES]
        self._clean, self._masks = _open_truth(folder / TRUTH, "r+")

    def __enter__(self) -> TileWriter:
        return self

    def __exit__(self, *error: object) -> None:
        for descriptor in self._records:
            os.close(descriptor)

    def write(self, place: Place, drawing: Drawing, job: Job) -> None:
        """Write one tile and its truth."""
        if place.part < TRAINING_FILES:
            label = 0 if job.lesion is None else job.lesion.label
            record = training_record(label, drawing.noisy, job.filename)
            _write_at(self._records[place.part], record, place.record * len(record))
        else:
            self._held_out[place.part - TRAINING_FILES][place.record, ..., 0] = drawing.noisy
        self._clean[place.row] = drawing.clean
        if job.lesion is not None:
            self._masks[place.row] = np.packbits(drawing.mask)


def training_record(label: int, image: Bytes, filename: str) -> bytes:
    """One framed training record; its length is the same for all tiles."""
    name = np.array(filename, dtype=FILENAME_DTYPE).tobytes()
    features: dict[str, int | bytes] = {
        FEATURE_LABEL: label,
        FEATURE_IMAGE: image.tobytes(),
        FEATURE_FILENAME: name,
        FEATURE_NORMAL: int(label > 0),
    }
    return frame(encode_example(features))


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _open_truth(folder: Path, mode: Literal["r", "r+"]) -> tuple[Bytes, Bytes]:
    return (
        np.load(folder / "clean.npy", mmap_mode=mode, allow_pickle=False),
        np.load(folder / "mask.npy", mmap_mode=mode, allow_pickle=False),
    )


def _preallocate(folder: Path, plan: Plan) -> None:
    """Create every file at its full size, tables and labels with their content."""
    written = plan.written
    length = len(training_record(0, np.zeros((TILE, TILE), np.uint8), NORMAL_FILENAME))
    for part, path in enumerate(TRAINING_PATHS):
        (folder / path).parent.mkdir()
        with open(folder / path, "wb") as file:
            file.truncate(length * int((written["part"] == part).sum()))
    for part, held_out in enumerate(HELD_OUT_FILES, TRAINING_FILES):
        labels = written.loc[written["part"] == part, "label"].to_numpy(np.int64)
        (folder / held_out.data).parent.mkdir()
        np.save(folder / held_out.labels, labels)
        _empty_array(folder / held_out.data, (len(labels), TILE, TILE, 1))
    truth = folder / TRUTH
    truth.mkdir()
    _empty_array(truth / "clean.npy", (len(written), TILE, TILE))
    _empty_array(truth / "mask.npy", (len(written), MASK_BYTES))
    written[TABLE_COLUMNS].to_parquet(truth / "table.parquet", index=False)


def _empty_array(path: Path, shape: tuple[int, ...]) -> None:
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """Keep OpenCV to one thread: the processes already fill the machine."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _draw_batch(folder: Path, jobs: Sequence[Job], seed: int) -> int:
    """Draw and write some jobs; returns the number of tiles."""
    tiles = 0
    with _one_opencv_thread(), TileWriter(folder) as writer:
        for job in jobs:
            for place, drawing in draw_job(job, seed):
                writer.write(place, drawing, job)
                tiles += 1
    return tiles


def _draw_all(
    folder: Path, jobs: Sequence[Job], seed: int, processes: int, progress: Progress | None
) -> None:
    total, done = sum(len(job.places) for job in jobs), 0
    size = max(1, min(JOBS_A_BATCH, len(jobs) // (4 * processes)))
    batches = (jobs[i : i + size] for i in range(0, len(jobs), size))
    # joblib starts clean interpreters, safe beside TensorFlow's threads, and does
    # not run the caller's script again.
    workers = joblib.Parallel(n_jobs=processes, return_as="generator_unordered", batch_size=1)
    for tiles in workers(joblib.delayed(_draw_batch)(folder, batch, seed) for batch in batches):
        done += tiles
        if progress is not None:
            progress(done, total)


def _free_target(out: str | os.PathLike[str]) -> Path:
    target = Path(out).absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError(f"{out}: exists and is not an empty folder; name a new one or remove it")
    return target


def write_phantom(
    out: str | os.PathLike[str],
    *,
    scale: float = 0.1,
    positives: float | None = None,
    seed: int = 0,
    processes: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write simulated mammogram tiles in the layout of the Kaggle set, with their truth.

    Beside the files of the set (``birads_lib.tiles.layout``) stand ``phantom.json``
    and ``truth/``, which ``PhantomTruth`` reads. The folder appears when it is
    complete; nothing is left if writing is interrupted.

    Args:
        out: Folder to make; it must not exist or be empty.
        scale: Size as a share of the real set's 71,249 tiles, above 0 to 1.
        positives: Share of infected tiles, between 0 and 1; the real set's
            (.1304) unless given.
        seed: Whole number of 0 or more; the same seed gives the same bytes.
        processes: Workers; as many as there are processors unless given.
        progress: Called as ``progress(tiles done, tiles in all)``.

    Returns:
        The absolute path of the folder.

    Raises:
        UsageError: ``scale``, ``positives``, ``seed`` or ``processes`` does not fit.
        DataError: ``out`` exists and is not an empty folder.
    """
    if processes is not None and processes < 1:
        raise UsageError(f"processes: {processes} is not 1 or more")
    plan = plan_phantom(scale, positives, seed)
    target = _free_target(out)
    with whole_folder(target) as folder:
        _preallocate(folder, plan)
        jobs = list_jobs(plan)
        _draw_all(folder, jobs, plan.seed, processes or joblib.cpu_count(), progress)
        write_json(folder / CARD, _card(plan))
    return target


def _card(plan: Plan) -> dict[str, object]:
    return {
        "simulated": True,
        "generator": GENERATOR,
        "version": VERSION,
        "scale": plan.scale,
        "positives": plan.positives,
        "seed": plan.seed,
        "counts": plan.counts(),
    }


# Truth


class PhantomTruth:
    """What is known of the tiles of a phantom: free of noise, lesion masks, origin.

    Attributes:
        table: DataFrame, one row a tile: ``tile`` (such as ``training10_0/00012``),
            ``scan``, ``lesion`` (empty for normals), ``patient``, ``scanner``,
            ``label`` (0 to 4), ``conspicuity`` (amplitude of the lesion over the
            standard deviation of fine tissue structure; 0 for normals).
    """

    def __init__(self, table: pd.DataFrame, clean: Bytes, masks: Bytes) -> None:
        self.table = table
        self._clean = clean
        self._masks = masks
        self._rows = pd.Series(np.arange(len(table)), index=table["tile"])

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> PhantomTruth:
        """Open the truth of a phantom that ``write_phantom`` wrote; arrays stay on disk.

        Raises:
            DataError: The folder is not a phantom, or its truth is missing or damaged.
        """
        path = Path(folder)
        card = read_json(path / CARD)
        if not isinstance(card, dict) or card.get("generator") != GENERATOR:
            raise DataError(f"{path / CARD}: not the card of a phantom; write it again")
        try:
            table = pd.read_parquet(path / TRUTH / "table.parquet")
            clean, masks = _open_truth(path / TRUTH, "r")
        except (OSError, ValueError) as error:
            raise DataError(f"{path / TRUTH}: not readable ({error}); write it again") from None
        if clean.shape != (len(table), TILE, TILE) or masks.shape != (len(table), MASK_BYTES):
            raise DataError(
                f"{path / TRUTH}: {len(table)} tiles in the table, {clean.shape} clean and "
                f"{masks.shape} masks; write it again"
            )
        return cls(table, clean, masks)

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        counts = np.bincount(self.table["label"], minlength=len(CLASSES)).tolist()
        return f"PhantomTruth({len(self)} tiles, labels 0 to 4: {counts})"

    def clean(self, tiles: Sequence[str]) -> Bytes:
        """The tiles without noise, uint8 ``(n, 299, 299)``.

        Raises:
            UsageError: A tile is unknown.
        """
        return np.asarray(self._clean[self._find(tiles)])

    def masks(self, tiles: Sequence[str]) -> NDArray[np.bool_]:
        """Masks of the lesions, bool ``(n, 299, 299)``; empty for normals.

        A calcification's mask reaches 0.6 mm beyond it.

        Raises:
            UsageError: A tile is unknown.
        """
        packed = np.asarray(self._masks[self._find(tiles)])
        bits = np.unpackbits(packed, axis=1, count=IMAGE_BYTES)
        return bits.reshape(-1, TILE, TILE).astype(bool)

    def _find(self, tiles: Sequence[str]) -> NDArray[np.int64]:
        rows = self._rows.reindex(list(tiles))
        if rows.isna().any():
            unknown = rows.index[rows.isna()][0]
            raise UsageError(
                f"tile {unknown!r}: not in this phantom; its tiles are named like "
                f"{self._rows.index[0]!r}"
            )
        return rows.to_numpy(np.int64)
