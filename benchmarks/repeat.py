"""Does the same training give the same numbers again, and what changes them?"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks.harness import FULL, QUICK, USUAL, OwnProcess, Result, Row, Target
from benchmarks.sets import BENCH, simulated_store
from birads_lib.tiles import TileStore, make_splits
from birads_lib.tiles.splits import HELD_OUT, TRAIN, VALIDATION

TILES = {QUICK: 224, USUAL: 1_000, FULL: 4_000}
EPOCHS = {QUICK: 1, USUAL: 4, FULL: 8}
SEEDS = {QUICK: 2, USUAL: 4, FULL: 6}
SIDE, LAST_BLOCK = {QUICK: 32, USUAL: 96, FULL: 96}, {QUICK: 1, USUAL: 6, FULL: None}
ALPHA, BATCH = 0.35, 32
AGAIN, ONE_THREAD, OTHER_SEED = "the same again", "on one thread", "another seed"
PROBABILITY, AREA = "largest change of a probability", "change of AUROC"
SINGLE = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def measure(size: str = USUAL) -> Result:
    """Train with some seeds, once again, and on one thread; compare the answers."""
    store = simulated_store(TILES[size])
    infected = _held_out(store)[1]

    def answers(seed: int = 0, threads: dict[str, str] | None = None) -> NDArray[np.float64]:
        # How many threads there are is settled when TensorFlow starts.
        with OwnProcess(threads or {}) as process:
            return process.call(train_and_answer, store.path, seed, size)

    usual = [answers(seed) for seed in range(SEEDS[size])]
    first = usual[0]
    pairs = {
        AGAIN: [(first, answers())],
        ONE_THREAD: [(table, answers(seed, SINGLE)) for seed, table in enumerate(usual)],
        OTHER_SEED: [(first, table) for table in usual[1:]],
    }
    result = Result(
        "Does the same training give the same numbers again?",
        facts={
            "tiles that are judged": len(first),
            "epochs": EPOCHS[size],
            "threads": os.cpu_count() or 1,
            "AUROC": float(roc_auc_score(infected, first)),
        },
    )
    for name, compared in pairs.items():
        changes = [float(np.abs(one - other).max()) for one, other in compared]
        areas = [
            abs(float(roc_auc_score(infected, one) - roc_auc_score(infected, other)))
            for one, other in compared
        ]
        result.rows.append(Row.of(f"{PROBABILITY}, {name}", changes, "of 1"))
        result.rows.append(Row.of(f"{AREA}, {name}", areas, "of 1"))
    same = f"{PROBABILITY}, {AGAIN}"
    result.targets.append(Target(same, result.row(same).median, most=0))
    return result


def _held_out(store: TileStore) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the held-out tiles, and whether each is infected."""
    rows = np.flatnonzero(make_splits(store.table) == HELD_OUT)
    return rows, (store.table["label"].to_numpy()[rows] > 0).astype(int)


def train_and_answer(folder: Path, seed: int, size: str) -> NDArray[np.float64]:
    """The gate's probabilities of the held-out tiles (N,), after training on the others."""
    from birads_lib.cascade import apply_network
    from birads_lib.networks import mobilenet_gate
    from birads_lib.tiles.feed import TileBatches
    from birads_lib.training import Recipe, train

    store, shape = TileStore.open(folder), (SIDE[size], SIDE[size], 1)
    split, infected = make_splits(store.table), (store.table["label"] > 0).astype(int).to_numpy()
    learning, steering = (split == part for part in (TRAIN, VALIDATION))
    BENCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BENCH) as models:
        trained = train(
            lambda: mobilenet_gate(shape, ALPHA, last_block=LAST_BLOCK[size]),
            TileBatches(
                store.images[learning], infected[learning], shape, BATCH, seed, True, "weights"
            ),
            TileBatches(store.images[steering], infected[steering], shape, BATCH),
            Recipe("gate", EPOCHS[size], seed=seed),
            Path(models) / "gate.keras",
        )
    return apply_network(trained.model, store.images[_held_out(store)[0]])[:, 0].astype(float)
