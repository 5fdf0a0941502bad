"""How fast are simulated tiles drawn and written?"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import joblib

from benchmarks.harness import FULL, QUICK, USUAL, Alternative, Result, Target, take_turns
from benchmarks.sets import BENCH, SEED
from birads_lib.tiles.layout import CV10_COUNTS, TEST10_COUNTS, TRAINING_COUNTS
from birads_lib.tiles.phantom import write_phantom

SCALE = {QUICK: 0.004, USUAL: 0.02, FULL: 1.0}
SMALL_POSITIVES = {QUICK: 0.4}  # a small set needs more, to hold every class
REPEATS = {QUICK: 1, USUAL: 3, FULL: 1}
WHOLE = sum(TRAINING_COUNTS) + sum(TEST10_COUNTS) + sum(CV10_COUNTS)
MOST_MINUTES = 8  # for the whole set, on two cores


def measure(size: str = USUAL) -> Result:
    """Write one simulated set several times."""
    BENCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BENCH) as folder:
        out, written = Path(folder, "set"), [0]

        def write() -> None:
            shutil.rmtree(out, ignore_errors=True)
            write_phantom(
                out,
                scale=SCALE[size],
                positives=SMALL_POSITIVES.get(size),
                seed=SEED,
                progress=lambda _, total: written.__setitem__(0, total),
            )

        write()  # starts the worker processes, and counts
        rows = take_turns([Alternative("write_phantom", write, written[0])], REPEATS[size])
    minutes = WHOLE / rows[0].median / 60
    by = "" if size == FULL else f", at the rate of {written[0]:,}"
    target = Target(f"minutes for {WHOLE:,} tiles{by}", minutes, most=MOST_MINUTES)
    facts: dict[str, float | str] = {"tiles": written[0], "processes": joblib.cpu_count()}
    return Result("How fast are simulated tiles written?", rows, targets=[target], facts=facts)
