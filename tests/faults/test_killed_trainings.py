"""A training killed at any moment goes on from its last epoch, to the same weights bit by bit."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from birads_lib.files import read_json

TESTS = Path(__file__).resolve().parents[1]
PROCESS = Path(__file__).with_name("train_small.py")
EPOCHS = 12
KILLED_IN = (2, 5, 9)  # epochs, counted over all processes
SEED = 20
DELAYS = np.random.default_rng(SEED).random(len(KILLED_IN)) * 0.05
"""Seconds into an epoch, which takes a few hundredths of one."""
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


def training_process(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, PROCESS, path, str(EPOCHS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **ONE_THREAD, "PYTHONPATH": str(TESTS), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def to_the_end(path: Path) -> tuple[list[int], str]:
    """Epochs that a process ran, and the digest that its training ended with."""
    with training_process(path) as process:
        said, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    epochs = [int(n) for n in re.findall(rf"^model (\d+)/{EPOCHS} ", said, re.M)]
    return epochs, re.findall(r"^digest (\w+)", said, re.M)[0]


def kill_in(path: Path, epoch: int, delay: float) -> None:
    """Let a process run to within an epoch, and kill it there."""
    with training_process(path) as process:
        for line in process.stdout:
            if line.startswith(f"model {epoch - 1}/"):
                time.sleep(delay)
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.read()
    assert process.returncode == -signal.SIGKILL


def history(path: Path) -> pd.DataFrame:
    return pd.DataFrame(read_json(path.with_suffix(".json"))["history"]).drop(columns="seconds")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("unbroken") / "model.keras"
    epochs, digest = to_the_end(path)
    assert epochs == list(range(1, EPOCHS + 1))
    return path, digest


def test_a_training_killed_again_and_again_ends_with_the_same_weights(unbroken, tmp_path):
    path, digest = unbroken
    broken = tmp_path / "model.keras"
    for epoch, delay in zip(KILLED_IN, DELAYS, strict=True):
        kill_in(broken, epoch, delay)
        assert not broken.exists()
    epochs, ended_with = to_the_end(broken)
    # An epoch's line comes before its checkpoint, which the kill may just have prevented.
    assert epochs[0] >= KILLED_IN[-1] - 1, "what was checkpointed is not learned again"
    assert epochs[-1] == EPOCHS
    assert ended_with == digest
    pd.testing.assert_frame_equal(history(broken), history(path), check_exact=True)
    assert {p.name for p in tmp_path.iterdir()} == {"model.keras", "model.json"}
