"""How long one tile takes a network, on the engine that predicts by default."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from birads_lib.engines import DEFAULT, SUFFIXES, Network, open_network
from birads_lib.errors import UsageError

if TYPE_CHECKING:
    import keras

WARM_UP = 5  # tiles, while caches fill and the engine settles
REPEATS = 100
QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Latency:
    """Milliseconds that one tile takes, from a ready array to an answer.

    Attributes:
        median, low, high: Median and quartiles over repeats.
    """

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def latencies(models: Mapping[str, keras.Model], repeats: int = REPEATS) -> dict[str, Latency]:
    """Export networks to the default engine and time them on one tile at a time.

    What a network learned does not matter to its time, so they may be untrained.

    Args:
        models: By name; from float32 (batch, height, width, channels), one output.
        repeats: How many times each is timed.
    """
    with tempfile.TemporaryDirectory(prefix="birads-latency-") as folder:
        ready = {name: _exported(model, Path(folder), name) for name, model in models.items()}
        return time_in_turns(ready, repeats)


def _exported(model: keras.Model, folder: Path, name: str) -> Network:
    from birads_lib.export import FORMATS, export_network

    path = folder / f"{name}{SUFFIXES[DEFAULT]}"
    (form,) = (form for form, suffix in FORMATS.items() if suffix == path.suffix)
    export_network(model, path, form)
    return open_network(path, DEFAULT)


def time_in_turns(networks: Mapping[str, Network], repeats: int = REPEATS) -> dict[str, Latency]:
    """Time networks on one tile at a time, in turns, after a warm-up.

    Whatever else the machine does falls on all of them alike.

    Raises:
        UsageError: ``repeats`` is below 1.
    """
    if repeats < 1:
        raise UsageError(f"repeats: {repeats} given; expected 1 or more")
    tiles = {name: _tile(network.input_shape) for name, network in networks.items()}
    seconds: dict[str, list[float]] = {name: [] for name in networks}
    for turn in range(WARM_UP + repeats):
        for name, network in networks.items():
            started = time.perf_counter()
            network(tiles[name])
            if turn >= WARM_UP:
                seconds[name].append(time.perf_counter() - started)
    return {name: _summed_up(each) for name, each in seconds.items()}


def _tile(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """One tile of noise, float32 (1, height, width, channels), grey levels 0..255."""
    return np.random.default_rng(0).integers(0, 256, (1, *shape)).astype(np.float32)


def _summed_up(seconds: list[float]) -> Latency:
    low, median, high = 1e3 * np.quantile(seconds, QUARTILES)
    return Latency(float(median), float(low), float(high))
