"""The simulated tiles that questions share: written once, kept under ``_build/bench``."""

from __future__ import annotations

import shutil
from pathlib import Path

from birads_lib.tiles import TileStore, merge_ddsm10
from birads_lib.tiles.layout import TRAINING_COUNTS, TRAINING_PATHS
from birads_lib.tiles.phantom import write_phantom
from birads_lib.tiles.tfrecord import count_records

BENCH = Path("_build/bench")
FULL_SET = sum(TRAINING_COUNTS)  # training tiles of the Kaggle set
SEED = 0
SMALL, SMALL_POSITIVES = 1_000, 0.4
"""Below so many tiles a set takes this share of infected ones, to hold every class."""


def simulated_set(training: int, folder: Path = BENCH) -> Path:
    """A simulated set with about so many training tiles, in the Kaggle layout."""
    path = folder / f"set-{training}"
    if not path.exists():
        positives = SMALL_POSITIVES if training < SMALL else None
        write_phantom(path, scale=training / FULL_SET, positives=positives, seed=SEED)
    return path


def simulated_store(training: int, folder: Path = BENCH) -> TileStore:
    """The same, merged."""
    return merge_ddsm10(simulated_set(training, folder), folder / f"store-{training}")


def training_files(source: Path) -> list[Path]:
    """The set's training files."""
    return [source / path for path in TRAINING_PATHS]


def first_records(source: Path, out: Path, tiles: int) -> int:
    """Copy the first records of each training file, about ``tiles`` in all.

    Records of a simulated set are all equally long.

    Returns:
        How many tiles were copied.
    """
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    each = -(-tiles // len(TRAINING_PATHS))
    copied = 0
    for path in training_files(source):
        count = count_records(path)
        kept = min(each, count)
        with open(path, "rb") as file:
            (out / path.name).write_bytes(file.read(path.stat().st_size // count * kept))
        copied += kept
    return copied
