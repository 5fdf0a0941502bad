"""Run the questions and print their answers; ``results.json`` keeps those of one machine.

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

from benchmarks.harness import QUICK, SIZES, USUAL, describe_machine, in_words
from benchmarks.sets import BENCH
from birads_lib.errors import StudyError
from birads_lib.files import read_json, write_json
from birads_lib.study.machine import ONEDNN

RESULTS = Path("benchmarks/results.json")
PARTIAL = BENCH / "answers.json"
OF_AN_ANSWER = ("date", "commit")
"""What is said of each answer, not of the machine: they may come from several days. The size,
too, is each answer's own: what is said of the whole set is measured on as many tiles."""
QUESTIONS = ("merge", "simulate", "feed", "train", "frozen", "predict", "stream", "repeat")


def run(questions: Sequence[str], size: str) -> dict[str, Any]:
    """Ask the questions one after another; machine and answers as plain values.

    After each the answers so far are written to ``PARTIAL``, so that an error in a later
    question loses none of them.
    """
    machine = describe_machine()
    measured = {"size": size, **{name: machine.pop(name) for name in OF_AN_ANSWER}}
    found: dict[str, Any] = {"machine": machine, "results": {}}
    PARTIAL.unlink(missing_ok=True)
    for name in questions:
        result = importlib.import_module(f"benchmarks.{name}").measure(size)
        print(in_words(result), end="\n\n", flush=True)
        found["results"][name] = {**result.as_json(), **measured}
        write_json(PARTIAL, found)
    return found


def with_earlier(answers: dict[str, Any], earlier: dict[str, Any] | None) -> dict[str, Any] | None:
    """What the tracked file shall hold: these answers, and earlier ones to other questions.

    Args:
        answers: Of ``run``.
        earlier: What the file holds, if it is there.

    Returns:
        ``None`` where nothing is to be kept: of a quick look, and where other questions
        have been answered by another machine or not at all.
    """
    if any(result["size"] == QUICK for result in answers["results"].values()):
        return None
    kept = {}
    if set(answers["results"]) != set(QUESTIONS):
        if earlier is None or earlier["machine"] != answers["machine"]:
            return None
        kept = earlier["results"]
    found = {**kept, **answers["results"]}
    return {**answers, "results": {name: found[name] for name in QUESTIONS if name in found}}


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
    if given.out:
        write_json(given.out, answers)
        print(f"written: {given.out}")
    elif kept := with_earlier(answers, read_json(RESULTS) if RESULTS.exists() else None):
        write_json(RESULTS, kept)
        print(f"written: {RESULTS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
