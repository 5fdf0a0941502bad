"""Readers under a search by coverage for bytes that make them crash, for a fixed budget."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from birads_lib.tiles.tfrecord import encode_example, frame

SCRIPT = Path(__file__).with_name("fuzz_readers.py")
RUNS, SECONDS = 10_000, 8
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


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris is not installed here; it has packages for some Pythons on Linux alone",
)
@pytest.mark.parametrize("reader", SEEDS)
def test_no_bytes_make_a_reader_crash(tmp_path, reader):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(SEEDS[reader]):
        (corpus / str(number)).write_bytes(seed)
    budget = [f"-runs={RUNS}", f"-max_total_time={SECONDS}", "-seed=1", "-max_len=400"]
    command = [sys.executable, SCRIPT, reader, tmp_path, *budget, corpus]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done" in done.stderr
    assert not list(tmp_path.glob("crash-*"))
