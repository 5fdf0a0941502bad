"""A merge that is stopped or killed at any moment: the earlier store or the new one, no part."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import numpy as np
import pytest
from watch import contents

from birads_lib.cli import DONE, FAILED
from birads_lib.tiles import TileStore
from birads_lib.tiles.store import verify_store

SEED = 20
MOMENTS = np.random.default_rng(SEED).random(8)
"""Shares of a merge's time after which it is stopped."""
AT = {f"after {share:.0%} of its time": share for share in MOMENTS}
SIGNALS = [signal.SIGTERM, signal.SIGKILL]


@pytest.fixture
def merge(forks):
    """Merges in a process of its own; exit code, and what was said."""

    def run(source: Path, store: Path, sent: int = 0, after: float = 0.0) -> tuple[int, str]:
        code, _, said = forks.run(["merge", source, store], sent, after)
        return code, said

    return run


@pytest.fixture
def source(small_set, tmp_path) -> Path:
    """Sixteen tiles in the Kaggle layout."""
    return small_set.write(tmp_path / "set")


@pytest.fixture
def seconds(merge, source, tmp_path) -> float:
    """How long a merge takes that nobody stops."""
    started = time.perf_counter()
    code, said = merge(source, tmp_path / "timed")
    assert code == DONE, said
    return time.perf_counter() - started


@pytest.mark.parametrize("share", AT.values(), ids=AT)
@pytest.mark.parametrize("sent", SIGNALS, ids=[sent.name for sent in SIGNALS])
def test_a_merge_that_is_stopped_leaves_no_part_of_a_store(
    merge, source, seconds, tmp_path, sent, share
):
    before, digest = contents(source), TileStore.open(tmp_path / "timed").digest
    store = tmp_path / "shelf" / "store"
    code, said = merge(source, store, sent, share * seconds)
    assert code in {DONE, FAILED, -sent}, said
    assert "Traceback" not in said
    assert (code == FAILED) == ("birads: stopped" in said)
    if store.exists():
        assert TileStore.open(store).digest == digest
    elif code == FAILED:
        assert not store.parent.exists()
    assert contents(source) == before
    code, said = merge(source, store)
    assert code == DONE, said
    assert TileStore.open(store).digest == digest
    assert [path.name for path in store.parent.iterdir()] == ["store"]


@pytest.mark.parametrize("sent", SIGNALS, ids=[sent.name for sent in SIGNALS])
def test_an_earlier_store_stays_or_is_replaced_wholly(
    merge, source, seconds, small_set, tmp_path, sent
):
    small_set.training[0].reverse()
    other, store = small_set.write(tmp_path / "other"), tmp_path / "shelf" / "store"
    assert merge(source, store)[0] == DONE
    first = TileStore.open(store).digest
    for share in MOMENTS:
        merge(other, store, sent, share * seconds)
        # Killed between two moves, it has the earlier one beside it, which the next run puts back.
        aside = list(store.parent.glob(".store.*.old"))
        found = TileStore.open(store if store.exists() else aside[0])
        assert verify_store(found) == []
        if found.digest != first:
            assert merge(source, store)[0] == DONE
    code, said = merge(other, store)
    assert code == DONE, said
    assert TileStore.open(store).digest != first
    assert [path.name for path in store.parent.iterdir()] == ["store"]
