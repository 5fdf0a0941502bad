"""A command that is stopped or killed at any moment: what was there before or the new, no part."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import sound
from dicom_tree import DicomTree
from watch import contents

from birads_lib.cli import DONE, FAILED
from birads_lib.tiles import TileStore
from birads_lib.tiles.store import verify_store

OUT = "out"
"""What a command writes."""
DATED = ("manifest.json",)
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
    codes = set()
    for share in MOMENTS:
        codes.add(merge(other, store, sent, share * seconds)[0])
        # Killed between two moves, it has the earlier one beside it, which the next run puts back.
        aside = list(store.parent.glob(".store.*.old"))
        found = TileStore.open(store if store.exists() else aside[0])
        assert verify_store(found) == []
        if found.digest != first:
            assert merge(source, store)[0] == DONE
    assert codes & {FAILED, -sent}, "none was stopped midway"
    code, said = merge(other, store)
    assert code == DONE, said
    assert TileStore.open(store).digest != first
    assert [path.name for path in store.parent.iterdir()] == ["store"]


# Other commands


COMMANDS = {
    "merging films": ["merge", "films", OUT],
    "merging scans": ["merge", "scans", OUT],
    "drawing simulated tiles": ["phantom", OUT, "--scale", "0.004", "--positives", "0.4"],
    "answering": ["predict", "model", "left.png", "--engine", "onnx", "--out", f"{OUT}/made.csv"],
    "exporting": ["export", "model", OUT, "--format", "onnx"],
    "reporting": [
        "report",
        "left.png",
        "--model",
        "model",
        "--engine",
        "onnx",
        "--out",
        f"{OUT}/made.html",
    ],
}


@pytest.fixture
def inputs(tmp_path, monkeypatch) -> Path:
    """A working directory with what these commands read."""
    monkeypatch.chdir(tmp_path)
    sound.films(tmp_path / "films")
    DicomTree(patients=2).write(tmp_path / "scans")
    sound.cascade(tmp_path / "model")
    (tmp_path / "left.png").write_bytes(sound.picture(".png"))
    return tmp_path


def made(folder: Path) -> dict[str, str]:
    """What a command wrote, but for what says when it did."""
    return {name: told for name, told in contents(folder).items() if Path(name).name not in DATED}


def visible(folder: Path) -> dict[str, str]:
    """What a command wrote under its own name, so without what it was still writing."""
    return {
        name: told
        for name, told in made(folder).items()
        if not any(part.startswith(".") for part in Path(name).parts)
    }


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("sent", SIGNALS, ids=[sent.name for sent in SIGNALS])
def test_a_command_that_is_stopped_leaves_the_whole_or_nothing(inputs, forks, sent, words):
    before = contents(inputs)
    started = time.perf_counter()
    assert forks.run(words)[0] == DONE
    seconds = time.perf_counter() - started
    whole = made(inputs / OUT)
    codes = set()
    for share in MOMENTS[: 1 if words[0] == "phantom" else 4]:  # it starts processes, which last
        shutil.rmtree(inputs / OUT, ignore_errors=True)
        code, _, said = forks.run(words, sent, share * seconds)
        codes.add(code)
        assert code in {DONE, FAILED, -sent}, said
        assert "Traceback" not in said
        if (inputs / OUT).exists():
            assert visible(inputs / OUT) in ({}, whole), "what has its name is whole"
            assert sent == signal.SIGKILL or made(inputs / OUT) == whole, "and alone"
        code, _, said = forks.run(words)
        assert code == DONE, said
        assert made(inputs / OUT) == whole
        shutil.rmtree(inputs / OUT)
        assert contents(inputs) == before
    assert codes & {FAILED, -sent}, "none was stopped midway"
