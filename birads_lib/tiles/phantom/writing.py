"""Writing a phantom: every file at its full size first, then each tile in its place."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import joblib
import numpy as np

from birads_lib.errors import DataError, UsageError
from birads_lib.files import empty_array, reserve, whole_folder, write_json
from birads_lib.tiles.layout import (
    FEATURE_FILENAME,
    FEATURE_IMAGE,
    FEATURE_LABEL,
    FEATURE_NORMAL,
    FILENAME_DTYPE,
    HELD_OUT_FILES,
    NORMAL_FILENAME,
    TILE,
    TRAINING_FILES,
    TRAINING_PATHS,
)
from birads_lib.tiles.phantom.drawing import Drawing, draw_job
from birads_lib.tiles.phantom.lesions import Bytes
from birads_lib.tiles.phantom.patients import SCAN_TILES
from birads_lib.tiles.phantom.plan import Job, Place, Plan, list_jobs, plan_phantom
from birads_lib.tiles.phantom.truth import (
    CARD,
    GENERATOR,
    make_truth,
    open_arrays,
    open_calcifications,
)
from birads_lib.tiles.tfrecord import encode_example, frame

Progress = Callable[[int, int], None]

VERSION = 1
JOBS_A_BATCH = 8
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt, see malloc.h
LARGEST_KEPT, MOST_KEPT = 32 << 20, 512 << 20  # bytes: of one array, and of all that is free


class TileWriter:
    """Writes tiles into files that already have their full size. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._records = [os.open(folder / path, os.O_RDWR) for path in TRAINING_PATHS]
        self._held_out = [
            np.load(folder / held_out.data, mmap_mode="r+", allow_pickle=False)
            for held_out in HELD_OUT_FILES
        ]
        self._clean, self._masks = open_arrays(folder, "r+")
        self._calcifications = open_calcifications(folder, "r+")

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
            self._calcifications[place.row] = np.packbits(drawing.calcifications)


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


def _preallocate(folder: Path, plan: Plan) -> None:
    """Create every file at its full size, tables and labels with their content."""
    written = plan.written
    length = len(training_record(0, np.zeros((TILE, TILE), np.uint8), NORMAL_FILENAME))
    for part, path in enumerate(TRAINING_PATHS):
        (folder / path).parent.mkdir()
        reserve(folder / path, length * int((written["part"] == part).sum()))
    for part, held_out in enumerate(HELD_OUT_FILES, TRAINING_FILES):
        labels = written.loc[written["part"] == part, "label"].to_numpy(np.int64)
        (folder / held_out.data).parent.mkdir()
        np.save(folder / held_out.labels, labels, allow_pickle=False)
        empty_array(folder / held_out.data, (len(labels), TILE, TILE, 1))
    make_truth(folder, written)


@functools.cache
def _keep_freed_memory() -> None:
    """Have the C library keep freed arrays for the next ones, where it is GNU's.

    Else each array of a megabyte comes as fresh pages, whose first touch costs a sixth of the
    time of drawing.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "gnu_get_libc_version"):
            libc.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
            libc.mallopt(M_TRIM_THRESHOLD, MOST_KEPT)


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
    _keep_freed_memory()
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
    scanners: str = "training",
    scan_tiles: int = SCAN_TILES,
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
        scanners: ``"training"``, the real set's three, or ``"outside"``, one that is none
            of them (``tissue.OUTSIDE``). The same seed shows the same women on either.
        scan_tiles: Normal tiles cut from one scan, 1 to 27. As many as in the real set
            unless given; fewer mean more women in a small set.
        processes: Workers; as many as there are processors unless given.
        progress: Called as ``progress(tiles done, tiles in all)``.

    Returns:
        The absolute path of the folder.

    Raises:
        UsageError: An argument does not fit.
        DataError: ``out`` exists and is not an empty folder.
    """
    if processes is not None and processes < 1:
        raise UsageError(f"processes: {processes} is not 1 or more")
    plan = plan_phantom(scale, positives, seed, scanners, scan_tiles)
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
        "scanners": plan.scanners,
        "scan_tiles": plan.scan_tiles,
        "counts": plan.counts(),
    }
