"""Says how many mutants the tests killed, after ``mutmut run``; ends with 1 below the least share.

python tests/mutants.py [FOLDER], the folder with ``mutants`` in it.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

LEAST = 0.85  # share of mutants killed
SURVIVED = {0: "survived", 5: "no test runs it", 33: "no test runs it"}
"""Ends of a test run that did not notice the mutant, as mutmut writes them."""
SKIPPED = 34


def outcomes(folder: Path) -> dict[str, dict[str, int]]:
    """By file, how the tests of each mutant ended; those never tried have no entry."""
    found = {}
    for path in sorted((folder / "mutants").rglob("*.py.meta")):
        ends = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
        tried = {k: code for k, code in ends.items() if code not in (None, SKIPPED)}
        if tried:
            name = path.relative_to(folder / "mutants").with_suffix("")
            found[str(name)] = tried
    return found


def main(folder: Path) -> int:
    """Print a line a file and a line a survivor."""
    found = outcomes(folder)
    everything = {key: code for ends in found.values() for key, code in ends.items()}
    for key, code in everything.items():
        if code in SURVIVED:
            print(f"{key}: {SURVIVED[code]}")
    for name, ends in {**found, "all": everything}.items():
        counts = Counter(SURVIVED.get(code, "killed") for code in ends.values())
        killed, tried = counts["killed"], len(ends)
        print(f"{name}: {killed} of {tried} mutants killed, {killed / max(tried, 1):.1%}")
    killed = sum(code not in SURVIVED for code in everything.values())
    return int(not everything or killed < LEAST * len(everything))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
