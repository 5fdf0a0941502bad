"""A merge that is stopped or killed at any moment: the earlier store or the new one, no part."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import numpy as np
import pytest
from watch import contents

from birads_lib.cli import DONE, FAILED
from birads_lib.tiles import TileStore, merge_ddsm10
from birads_lib.tiles.phantom import write_phantom
from birads_lib.tiles.store import verify_store

SEED = 20
MOMENTS = np.random.default_rng(SEED).random(6)
"""Shares of a merge's time after which it is stopped."""
AT = {f"after {share:.0%} of its time": share for share in MOMENTS}
SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGKILL]


@pytest.fixture(scope="module")
def other_set(tmp_path_factory) -> Path:
    """Simulated tiles that differ from the usual ones; do not write into it."""
    out = tmp_path_factory.mktemp("other") / "set"
    return write_phantom(out, scale=0.004, positives=0.4, seed=1, processes=1)


@pytest.fixture(scope="module")
def digests(kaggle_folder, other_set, tmp_path_factory) -> list[str]:
    """Digests of the stores of the usual and of the other tiles."""
    folder = tmp_path_factory.mktemp("whole")
    return [merge_ddsm10(s, folder / s.parent.name).digest for s in (kaggle_folder, other_set)]


@pytest.fixture(scope="module")
def seconds(forks, kaggle_folder, tmp_path_factory) -> float:
    """How long a merge takes that nobody stops."""
    store = tmp_path_factory.mktemp("timed") / "store"
    forks.run(["merge", kaggle_folder, store.with_name("first")])
    started = time.perf_counter()
    code, _, said = forks.run(["merge", kaggle_folder, store])
    assert code == DONE, said
    return time.perf_counter() - started


@pytest.mark.parametrize("share", AT.values(), ids=AT)
@pytest.mark.parametrize("sent", SIGNALS, ids=[sent.name for sent in SIGNALS])
def test_a_merge_that_is_stopped_leaves_no_part_of_a_store(
    forks, seconds, kaggle_folder, digests, tmp_path, sent, share
):
    source, store = contents(kaggle_folder), tmp_path / "shelf" / "store"
    code, _, said = forks.run(["merge", kaggle_folder, store], sent, share * seconds)
    assert code in {DONE, FAILED, -sent}, said
    assert "Traceback" not in said
    assert (code == FAILED) == ("birads: stopped" in said)
    if store.exists():
        assert TileStore.open(store).digest == digests[0]
    elif code == FAILED:
        assert not store.parent.exists()
    assert contents(kaggle_folder) == source
    code, _, said = forks.run(["merge", kaggle_folder, store])
    assert code == DONE, said
    assert TileStore.open(store).digest == digests[0]
    assert [path.name for path in store.parent.iterdir()] == ["store"]


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_an_earlier_store_stays_or_is_replaced_wholly(
    forks, seconds, kaggle_folder, other_set, digests, tmp_path, sent
):
    store = tmp_path / "store"
    merge_ddsm10(kaggle_folder, store)
    for share in MOMENTS:
        forks.run(["merge", other_set, store], sent, share * seconds)
        # Killed between two moves, it has the earlier one beside it, which the next run puts back.
        aside = list(tmp_path.glob(".store.*.old"))
        found = TileStore.open(store if store.exists() else aside[0])
        assert found.digest in digests
        assert verify_store(found) == []
        if found.digest == digests[1]:
            merge_ddsm10(kaggle_folder, store)
    code, _, said = forks.run(["merge", other_set, store])
    assert code == DONE, said
    assert TileStore.open(store).digest == digests[1]
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
