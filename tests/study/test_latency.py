"""Time of one tile: in turns, warmed up first, on the engine that predicts by default."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from birads_lib.errors import UsageError
from birads_lib.study import latency
from birads_lib.study.latency import WARM_UP, Latency, latencies, time_in_turns


class Clocked:
    """A network that moves a clock on by so many seconds a call."""

    output_shape, attention_shape = (1,), None

    def __init__(self, calls, seconds, clock):
        self.input_shape = (4, 4, 1)
        self.calls, self.seconds, self.clock = calls, iter(seconds), clock

    def __call__(self, x):
        assert x.shape == (1, *self.input_shape)
        assert x.dtype == np.float32
        self.calls.append(self)
        self.clock[0] += next(self.seconds)
        return np.zeros((1, 1), np.float32)


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(latency.time, "perf_counter", lambda: now[0])
    return now


def test_networks_take_turns_and_the_warm_up_does_not_count(clock):
    calls = []
    slow = [9.0] * WARM_UP
    a = Clocked(calls, [*slow, 0.001, 0.002, 0.003], clock)
    b = Clocked(calls, [*slow, 0.010, 0.010, 0.010], clock)
    found = time_in_turns({"a": a, "b": b}, repeats=3)
    assert calls == [a, b] * (WARM_UP + 3)
    assert found["a"].median == pytest.approx(2.0)
    assert (found["a"].low, found["a"].high) == (pytest.approx(1.5), pytest.approx(2.5))
    assert found["b"].median == pytest.approx(10.0)


def test_no_repeat_is_refused():
    with pytest.raises(UsageError, match="repeats: 0 given"):
        time_in_turns({}, repeats=0)


def test_a_latency_reads_as_median_and_quartiles():
    assert str(Latency(1.234, 1.1, 2.0)) == "1.23 (1.10 to 2.00)"


def test_untrained_networks_are_exported_and_timed():
    tile = keras.Input((8, 8, 1))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(tile))
    model = keras.Model(tile, keras.layers.Dense(1, activation="sigmoid")(pooled))
    found = latencies({"a 1.1": model}, repeats=3)["a 1.1"]
    assert 0 < found.low <= found.median <= found.high
