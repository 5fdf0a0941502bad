"""Run the questions and print their answers; a whole run is kept in ``results.json``.

python -m benchmarks [--only merge feed] [--size usual] [--out FILE]

Answers are also kept as they come, in _build/bench/answers.json.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import ONEDNN, QUICK, SIZES, USUAL, describe_machine, in_words
from benchmarks.sets import BENCH
from birads_lib.errors import StudyError
from birads_lib.files import write_json

RESULTS = Path("benchmarks/results.json")
PARTIAL = BENCH / "answers.json"
QUESTIONS = ("merge", "simulate", "feed", "train", "frozen", "predict")


def run(questions: Sequence[str], size: str) -> dict[str, Any]:
    """Ask the questions one after another; machine and answers as plain values.

    After each the answers so far are written to ``PARTIAL``, so that an error in a later
    question loses none of them.
    """
    found: dict[str, Any] = {"machine": describe_machine(), "size": size, "results": {}}
    PARTIAL.unlink(missing_ok=True)
    for name in questions:
        result = importlib.import_module(f"benchmarks.{name}").measure(size)
        print(in_words(result), end="\n\n", flush=True)
        found["results"][name] = result.as_json()
        write_json(PARTIAL, found)
    return found


def kept_at(questions: Sequence[str], size: str, out: Path | None) -> Path | None:
    """Where answers go. The tracked file holds whole runs of a real size only."""
    whole = set(questions) == set(QUESTIONS) and size != QUICK
    return out or (RESULTS if whole else None)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, default=QUESTIONS)
    parser.add_argument("--size", choices=SIZES, default=USUAL)
    parser.add_argument("--out", type=Path, help="file for the answers, as JSON")
    given = parser.parse_args(arguments)
    from birads_lib.study.graph import environment  # not where child processes import this file

    os.environ[ONEDNN] = environment()[ONEDNN]  # as the study's own steps have it
    try:
        answers = run(given.only, given.size)
    except StudyError as error:
        kept = f"; the answers before it are in {PARTIAL}" if PARTIAL.exists() else ""
        print(f"benchmarks: {error}{kept}", file=sys.stderr)
        return 2
    if path := kept_at(given.only, given.size, given.out):
        write_json(path, answers)
        print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
