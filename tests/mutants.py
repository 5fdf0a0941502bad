"""Says how many mutants the tests killed, after ``mutmut run``; ends with 1 below the least share
in any file, and where one was not tried.

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
ENDLESS = {24, 36, 152, 255, -24}
"""Ends by time run out: noticed, but told apart, since a busy machine may look the same."""
SKIPPED = 34


def outcomes(folder: Path) -> dict[str, dict[str, int | None]]:
    """By file, how the tests of each mutant ended; ``None`` of those not tried."""
    found = {}
    for path in sorted((folder / "mutants").rglob("*.py.meta")):
        ends = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
        name = path.relative_to(folder / "mutants").with_suffix("")
        if ends:
            found[str(name)] = {k: None if code == SKIPPED else code for k, code in ends.items()}
    return found


def main(folder: Path) -> int:
    """Print a line a survivor, and a line a file."""
    found = outcomes(folder)
    everything = {key: code for ends in found.values() for key, code in ends.items()}
    for key, code in everything.items():
        if code in SURVIVED:
            print(f"{key}: {SURVIVED[code]}")
    for name, ends in {**found, "all": everything}.items():
        tried = [code for code in ends.values() if code is not None]
        counts = Counter(SURVIVED.get(code, "killed") for code in tried)
        killed = counts["killed"]
        late = sum(code in ENDLESS for code in tried)
        print(
            f"{name}: {killed} of {len(tried)} tried mutants killed, "
            f"{killed / max(len(tried), 1):.1%}, {late} of them by time run out; "
            f"{len(ends) - len(tried)} of {len(ends)} not tried"
        )
    return int(not found or not all(map(_is_enough, found.values())))


def _is_enough(ends: dict[str, int | None]) -> bool:
    killed = sum(code not in SURVIVED for code in ends.values())
    return None not in ends.values() and killed >= LEAST * len(ends)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
