"""Readers under a search by coverage for bytes that make them crash, for a fixed budget."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from birads_lib.tiles.tfrecord import encode_example, frame

SCRIPT = Path(__file__).with_name("fuzz_readers.py")
RUNS = 30_000
"""The budget for each reader, some seconds."""
PATIENCE = 300  # seconds, after which the budget was not used and the test fails
EXAMPLE = encode_example({"label": 3, "image": bytes(20), "filename": b"P_00001", "far": -1})
SEEDS = {
    "records": [frame(EXAMPLE) * 2, frame(b""), frame(b"x" * 40)[:-3]],
    "examples": [EXAMPLE, b""],
    "film": [b"P5\n4 4\n255\n" + bytes(16), b"P5 # wide\n4 # high\n4 255 " + bytes(16), b"P2\n"],
    "list": [
        b"mdb001 G CIRC B 535 425 197\nmdb002 G NORM\n",
        b"left (even)\nmdb003 F CALC M *NOTE",
    ],
}
"""Inputs to begin with, by reader."""


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory) -> Path:
    """A folder for each reader, with what the search left there."""
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed here; it has packages for x86 Linux alone")
    folder = tmp_path_factory.mktemp("fuzzed")
    for reader, seeds in SEEDS.items():
        (folder / reader / "corpus").mkdir(parents=True)
        for number, seed in enumerate(seeds):
            (folder / reader / "corpus" / str(number)).write_bytes(seed)
    budget = [f"-runs={RUNS}", f"-max_total_time={PATIENCE}", "-seed=1", "-max_len=400"]
    command = [sys.executable, SCRIPT, folder, *budget]
    subprocess.run(command, timeout=len(SEEDS) * PATIENCE + 60, check=False)
    return folder


@pytest.mark.parametrize("reader", SEEDS)
def test_no_bytes_make_a_reader_crash(fuzzed, reader):
    log = (fuzzed / reader / "log").read_text(errors="replace")
    assert not list((fuzzed / reader).glob("crash-*")), log[-3000:]
    assert re.search(f"^Done {RUNS} runs", log, re.MULTILINE), log[-3000:]
