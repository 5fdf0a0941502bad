"""Run the questions and print their answers; a whole run is kept in ``results.json``.

python -m benchmarks [--only merge feed] [--size usual] [--out FILE]
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import QUICK, SIZES, USUAL, describe_machine, in_words
from birads_lib.errors import StudyError
from birads_lib.files import write_json

RESULTS = Path("benchmarks/results.json")
QUESTIONS = ("merge", "simulate", "feed", "train", "predict")


def run(questions: Sequence[str], size: str) -> dict[str, Any]:
    """Ask the questions one after another; machine and answers as plain values."""
    answers = {}
    machine = describe_machine()
    for name in questions:
        result = importlib.import_module(f"benchmarks.{name}").measure(size)
        print(in_words(result), end="\n\n", flush=True)
        answers[name] = result.as_json()
    return {"machine": machine, "size": size, "results": answers}


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
    try:
        answers = run(given.only, given.size)
    except StudyError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    if path := kept_at(given.only, given.size, given.out):
        write_json(path, answers)
        print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
