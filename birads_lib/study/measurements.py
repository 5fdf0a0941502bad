"""What ``make bench`` measured, as tables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from birads_lib.errors import DataError
from birads_lib.files import read_json

MEASURED = "benchmarks/results.json"
"""Where it stands."""
REPEAT = "repeat"
"""The question whether the same training gives the same numbers again."""


def read_measurements(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """What ``make bench`` wrote; ``None`` where it has not run.

    Raises:
        DataError: Something else stands there.
    """
    if not Path(path).is_file():
        return None
    measured = read_json(path)
    if not isinstance(measured, dict) or not {"machine", "results"} <= measured.keys():
        raise DataError(f"{path}: not what make bench writes; remove it and run make bench")
    return measured


def machine_table(measured: Mapping[str, Any]) -> pd.DataFrame:
    """The machine of the measurements, one row a property; size, day, commit by question."""
    machine = measured["machine"]
    facts = {key: value for key, value in machine.items() if key != "packages"}
    facts = {**facts, "flags": ", ".join(machine["flags"]), **machine["packages"]}
    if "threads" in facts:
        facts["threads"] = ", ".join(f"{k}={v}" for k, v in facts["threads"].items()) or "not set"
    facts = {key.replace("_", " "): str(value) for key, value in facts.items()}
    for result in measured["results"].values():
        made = f"{result['date']}, commit {(result['commit'] or 'none')[:10]}"
        facts[result["question"]] = f"size {result['size']}, {made}"
    return pd.DataFrame({"value": facts})


def measurement_table(measured: Mapping[str, Any]) -> pd.DataFrame:
    """Every figure that was measured: median, spread and repeats, by question."""
    rows = {
        (result["question"], row["name"]): {
            "median": f"{_number(row['median'])} {row['unit']}",
            "least": _number(row["spread"][0]),
            "most": _number(row["spread"][1]),
            "repeats": row["repeats"],
        }
        for result in measured["results"].values()
        for row in result["rows"]
    }
    return _by_question(rows, "measured")


def repeat_table(measured: Mapping[str, Any]) -> pd.DataFrame:
    """How far answers of two trainings lie apart, one row for each thing that was changed.

    Columns: ``pairs`` of trainings compared, and each figure as "median (least to most)".
    Empty where that was not measured.
    """
    rows: dict[str, dict[str, Any]] = {}
    for row in measured["results"].get(REPEAT, {"rows": []})["rows"]:
        figure, changed = row["name"].rsplit(", ", 1)
        low, high = map(_number, row["spread"])
        found = rows.setdefault(changed, {"pairs": row["repeats"]})
        found[figure] = f"{_number(row['median'])} ({low} to {high})"
    return pd.DataFrame.from_dict(rows, orient="index")


def ratio_table(measured: Mapping[str, Any]) -> pd.DataFrame:
    """Every ratio between two medians of one question."""
    rows = {
        (result["question"], f"{ratio['over']} / {ratio['under']}"): {
            "ratio": f"{ratio['value']:.2f}"
        }
        for result in measured["results"].values()
        for ratio in result["ratios"]
    }
    return _by_question(rows, "of medians")


def target_table(measured: Mapping[str, Any]) -> pd.DataFrame:
    """What the study set out to reach, and whether it did."""
    rows = {
        (result["question"], target["name"]): {
            "measured": _number(target["value"]),
            "wanted": _bounds(target["least"], target["most"]),
            "reached": "yes" if target["met"] else "no",
        }
        for result in measured["results"].values()
        for target in result["targets"]
    }
    return _by_question(rows, "target")


def _by_question(rows: Mapping[tuple[str, str], Mapping[str, Any]], second: str) -> pd.DataFrame:
    index = pd.MultiIndex.from_tuples(rows, names=["question", second])
    return pd.DataFrame(list(rows.values()), index=index)


def _number(value: float) -> str:
    """Four digits, or all before the point where there are more."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def _bounds(least: float | None, most: float | None) -> str:
    parts = [f"{word} {_number(bound)}" for word, bound in (("at least", least), ("at most", most))
             if bound is not None]  # fmt: skip
    return ", ".join(parts)
