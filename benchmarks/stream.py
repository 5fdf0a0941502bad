"""Does ``birads predict`` hold its memory, however many tiles it reads?"""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.harness import FULL, QUICK, USUAL, Result, Row, Target, peak_memory, timed
from benchmarks.predict import CASCADE
from benchmarks.sets import BENCH, simulated_store
from birads_lib.errors import DataError
from birads_lib.tiles.layout import TILE, TRAINING_COUNTS

ALL = sum(TRAINING_COUNTS)
SIZES_READ = {QUICK: (56, 224), USUAL: (2_048, 8_192), FULL: (ALL // 4, ALL)}
"""Tiles read: some, and four times as many."""
DRAWN = {QUICK: 224, USUAL: 1_024, FULL: 1_024}
"""Different tiles among them, which are repeated."""
MOST_GROWTH, MOST_MEMORY = 1.2, 4e9  # of the peak from some to all; bytes


def measure(size: str = USUAL, cascade: Path = CASCADE) -> Result:
    """Answer some tiles, and four times as many, each in a process of its own.

    Raises:
        DataError: There is no cascade.
    """
    if not cascade.is_dir():
        raise DataError(f"{cascade}: no trained cascade; run `birads study` first")
    drawn = np.asarray(simulated_store(DRAWN[size]).images[: DRAWN[size]])
    result = Result("How much memory do answers to many tiles take?")
    BENCH.mkdir(parents=True, exist_ok=True)
    peaks = []
    with tempfile.TemporaryDirectory(dir=BENCH) as folder:
        for count in SIZES_READ[size]:
            tiles, out = Path(folder, f"{count}.npy"), Path(folder, f"{count}.parquet")
            repeat_tiles(drawn, count, tiles)
            work = functools.partial(answer, cascade, tiles, out)
            seconds = timed(lambda work=work: peaks.append(peak_memory(work).resident))
            named = f"{count:,} tiles"
            result.rows.append(Row.of(f"peak memory, {named}", [peaks[-1] / 1e6], "MB"))
            result.rows.append(Row.of(f"rate, {named}", [count / seconds], "tiles/s"))
            tiles.unlink()
    growth = peaks[-1] / peaks[0]
    result.targets.append(Target("peak of all / peak of a quarter", growth, most=MOST_GROWTH))
    result.targets.append(Target("peak of all, bytes", peaks[-1], most=MOST_MEMORY))
    return result


def repeat_tiles(drawn: np.ndarray, count: int, path: Path) -> None:
    """Write ``count`` tiles, uint8 (count, 299, 299), the drawn ones over and over."""
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (count, TILE, TILE))
    for start in range(0, count, len(drawn)):
        images[start : start + len(drawn)] = drawn[: count - start]
    images.flush()


def answer(cascade: Path, tiles: Path, out: Path) -> None:
    """``birads predict``, in this process.

    Raises:
        DataError: It did not succeed.
    """
    from birads_lib.cli import main

    words = ["predict", cascade, tiles, "--out", out]
    if code := main([os.fspath(word) for word in words]):
        raise DataError(f"{tiles}: birads predict ended with {code}; see what it said above")
