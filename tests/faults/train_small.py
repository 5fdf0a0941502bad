"""A training of many short epochs for test_killed_trainings.py; run as a process: MODEL EPOCHS."""

from __future__ import annotations

import sys
from pathlib import Path

from train_on_hosts import BATCH, SHAPE, STEERING, TILES, statistics, tiles

from birads_lib.recipe import Recipe
from birads_lib.tiles.feed import TileBatches
from birads_lib.training import train


def main(path: Path, epochs: int) -> None:
    trained = train(
        statistics,
        TileBatches(*tiles(TILES, 1), SHAPE, BATCH, seed=0, turn=True, balance="weights"),
        TileBatches(*tiles(STEERING, 2), SHAPE, BATCH),
        Recipe("score", epochs, 0.01, patience=epochs),
        path,
    )
    print(f"digest {trained.digest}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
