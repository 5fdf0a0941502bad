"""Do batches come fast enough to keep a network busy?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import (
    FULL,
    QUICK,
    USUAL,
    Alternative,
    Result,
    Row,
    Target,
    peak_memory,
    take_turns,
)
from benchmarks.sets import FULL_SET, simulated_store
from birads_lib.tiles import TileStore

TILES = {QUICK: 224, USUAL: 4_000, FULL: FULL_SET}
STEPS = {QUICK: 2, USUAL: 40, FULL: 120}  # of training, a repeat
REPEATS = {QUICK: 1, USUAL: 3, FULL: 5}
SHAPE = (96, 96, 1)
ALPHA = 0.35
BATCH = 32

FIRST, EPOCH = "first epoch of batches, each tile resized", "one epoch of batches"
FED, CACHED = "training, fed", "training, one cached batch"
LEAST_RATE = 4_000  # tiles/s
LEAST_SHARE = 0.95  # of the training rate on one cached batch
MOST_MEMORY = 3e9  # bytes


def measure(size: str = USUAL) -> Result:
    """The feed alone; training with it against training on one batch; memory of an epoch.

    A training's first epoch resizes each tile, those that follow find them resized. Both are
    rows; the target and the training speak of an epoch that follows.
    """
    store = simulated_store(TILES[size])
    batches, steps = batches_of(store), STEPS[size]
    read_epoch(batches)
    epochs = [
        Alternative(FIRST, lambda: read_epoch(batches_of(store)), len(store)),
        Alternative(EPOCH, lambda: read_epoch(batches), len(store)),
    ]
    result = Result(
        f"Are batches of {SHAPE[0]} x {SHAPE[1]} fed fast enough?",
        take_turns(epochs, REPEATS[size]),
        facts={"tiles": len(store), "batch": BATCH, "steps a repeat": steps},
    )
    fed, cached = batches.dataset().repeat().take(steps), _cached(batches, steps)
    model = compiled_gate(steps)
    model.fit(cached, shuffle=False, verbose=0)
    model.fit(fed, shuffle=False, verbose=0)  # both graphs are traced before the clock starts
    training = [
        Alternative(FED, lambda: model.fit(fed, shuffle=False, verbose=0), steps * BATCH),
        Alternative(CACHED, lambda: model.fit(cached, shuffle=False, verbose=0), steps * BATCH),
    ]
    result.rows += take_turns(training, REPEATS[size])
    result.targets.append(Target("tiles/s fed", result.row(EPOCH).median, least=LEAST_RATE))
    result.ratio(FED, CACHED, least=LEAST_SHARE)
    _add_memory(result, store)
    return result


def batches_of(store: TileStore) -> Any:
    """Shuffled, turned, resized batches of a store, as the gate learns from."""
    from birads_lib.tiles.feed import TileBatches

    infected = (store.table["label"] > 0).astype(int).to_numpy()
    return TileBatches(store.images, infected, SHAPE, BATCH, seed=0, turn=True, balance="weights")


def read_epoch(batches: Any) -> None:
    """Make every batch of an epoch."""
    for index in range(len(batches)):
        batches[index]


def compiled_gate(steps: int) -> Any:
    """The gate of the feed's size, compiled as the study compiles it."""
    from birads_lib.networks import mobilenet_gate
    from birads_lib.training import Recipe, compile_for

    model = mobilenet_gate(SHAPE, ALPHA)
    compile_for(model, Recipe("gate", 1), steps)
    return model


def _cached(batches: Any, steps: int) -> Any:
    """The first batch again and again, as a data set of its own."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False  # as the feed has it
    first = tuple(tf.constant(np.asarray(part)) for part in batches[0])
    return tf.data.Dataset.from_tensors(first).repeat().take(steps).with_options(options)


def train_epoch(store: Path) -> None:
    """A gate's epoch over a whole store."""
    batches = batches_of(TileStore.open(store))
    compiled_gate(len(batches)).fit(batches.dataset(), shuffle=False, verbose=0)


def _add_memory(result: Result, store: TileStore) -> None:
    memory = peak_memory(train_epoch, store.path)
    name = f"peak memory of a gate epoch of {len(store):,} tiles"
    result.rows.append(Row.of(name, [memory.resident / 1e6], "MB"))
    result.rows.append(Row.of("of it private", [memory.private / 1e6], "MB"))
    result.targets.append(Target(f"{name}, bytes", memory.resident, most=MOST_MEMORY))
