"""Says what share of branches the tests took, after ``make coverage``; ends with 1 below the least.

python tests/branches.py [FILE], what coverage wrote as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

LEAST = 0.9  # share of branches taken
WRITTEN = "_build/coverage.json"


def main(path: Path) -> int:
    """Print the share of branches, and of the file with the fewest."""
    found = json.loads(path.read_text(encoding="utf-8"))
    shares = {name: share(file["summary"]) for name, file in found["files"].items()}
    whole, least = share(found["totals"]), min(shares, key=lambda name: shares[name])
    print(f"branches taken: {whole:.1%} of all; fewest in {least}: {shares[least]:.1%}")
    return int(whole < LEAST)


def share(summary: dict[str, int]) -> float:
    """Share of branches taken, 0..1; all of none."""
    branches = summary["num_branches"]
    return summary["covered_branches"] / branches if branches else 1.0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else WRITTEN)))
