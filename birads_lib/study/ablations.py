"""What a collected sweep says, for a reader: tables and sentences from its results alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from birads_lib.errors import DataError
from birads_lib.files import read_json, sha256
from birads_lib.metrics import in_words
from birads_lib.study.paper import ATTENTION_GAIN

ATTENTION = ("both", "none")
"""The members whose difference the paper's statement on attention is about."""
INSIDE, OUTSIDE, UNDECIDED = "inside", "outside", "undecided"
UNLEARNED = "not learned"
CHANCE = 0.5  # AUROC of one who knows nothing
ANSWERS = {
    INSIDE: "**Yes**: the whole interval lies inside the paper's range.",
    OUTSIDE: "**No**: the whole interval lies outside the paper's range.",
    UNDECIDED: "**Undecided**: the interval reaches into the paper's range and beyond it.",
    UNLEARNED: "**No answer**: neither of the two ranks these tiles better than chance.",
}
KEYS = {"complete", "failed", "missing", "date", "commit", "members", "differences", "table"}
POINTS = 100  # of a share of 1

Results = Mapping[str, Any]


def read_results(run: str | os.PathLike[str], name: str) -> dict[str, Any] | None:
    """What ``sweeps.collect`` wrote of a sweep; ``None`` if it has not been run.

    Args:
        run: The run's folder.
        name: Of the sweep.

    Raises:
        DataError: It is not such a file, or the predictions beside it are not those that it
            was made from.
    """
    path = Path(run) / "results" / f"sweep_{name}.json"
    if not path.is_file():
        return None
    found = read_json(path)
    if not isinstance(found, dict) or not found.keys() >= KEYS:
        raise DataError(f"{path}: not the results of a sweep; run `birads sweep {name}` again")
    table = Path(run) / "predictions" / f"sweep_{name}.parquet"
    if (sha256(table) if table.is_file() else None) != found["table"]:
        raise DataError(f"{table}: changed since it was collected; run `birads sweep {name}` again")
    return found


def provenance(found: Results) -> str:
    """When, from which commit, and whether all of it is there, as Markdown."""
    text = (
        f"Collected {found['date']} at commit {found['commit'][:8]}, profile {found['profile']}, "
        f"{len(found['members'])} members."
    )
    if found["complete"]:
        return f"{text} The sweep is complete."
    absent = [f"{name} failed ({reason})" for name, reason in found["failed"].items()]
    absent += [f"{training} has not finished" for training in found["missing"]]
    return f"{text}\n\n:::{{warning}}\n**The sweep is not complete**: {'; '.join(absent)}.\n:::"


def member_table(found: Results, stage: str, group: str | None = None) -> pd.DataFrame:
    """Scores of the members that have a stage, with intervals, in words; indexed by title.

    Args:
        found: From ``read_results``.
        stage: ``"gate"``, ``"scorer"`` or ``"cascade"``.
        group: Of this group alone.
    """
    rows = {
        member["title"]: {
            "seeds": len(member["seeds"]),
            **{
                name.replace("_", " "): in_words(figure)
                for name, figure in member["scores"][stage].items()
            },
            "seconds a training": member["seconds"],
        }
        for member in found["members"].values()
        if stage in member["scores"] and group in (None, member["group"])
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("member")


def differences(found: Results, stage: str, figure: str = "accuracy") -> list[dict[str, Any]]:
    """Differences of one stage in percentage points.

    Returns:
        For each pair ``first``, ``second`` (titles), ``seeds``, ``value`` and ``interval``.
    """
    title = {name: member["title"] for name, member in found["members"].items()}
    return [
        {
            "first": title[row["first"]],
            "second": title[row["second"]],
            "seeds": len(row["seeds"]),
            **_in_points(row[figure]),
        }
        for row in found["differences"]
        if row["stage"] == stage
    ]


def difference(
    found: Results, first: str, second: str, stage: str, figure: str
) -> dict[str, Any] | None:
    """One difference in percentage points, ``{"value", "interval"}``; ``None`` if not there."""
    for row in found["differences"]:
        if (row["first"], row["second"], row["stage"]) == (first, second, stage):
            return _in_points(row[figure])
    return None


def difference_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Differences as rows for a reader."""
    table = [
        (row["first"], row["second"], row["seeds"], in_words(dict(row), "+.1f")) for row in rows
    ]
    columns = ["first", "less", "seeds", "points"]
    return pd.DataFrame(table, columns=columns).set_index("first")


def against_range(interval: Sequence[float], bounds: Sequence[float]) -> str:
    """``"inside"``, ``"outside"`` or ``"undecided"``: where an interval lies to a range."""
    (low, high), (least, most) = interval, bounds
    if least <= low and high <= most:
        return INSIDE
    return OUTSIDE if high < least or low > most else UNDECIDED


def attention_gain(found: Results) -> tuple[dict[str, Any], str] | None:
    """By how much attention raises accuracy over C2 to C5, against the paper's range.

    Returns:
        The difference in points, and a key of ``ANSWERS``; ``None`` if it was not run.
    """
    gain = difference(found, *ATTENTION, "scorer", "accuracy")
    if gain is None:
        return None
    if not any(learned(found, member, "scorer") for member in ATTENTION):
        return gain, UNLEARNED
    return gain, against_range(gain["interval"], ATTENTION_GAIN)


def plain_answer(answer: str) -> str:
    """One of ``ANSWERS`` without emphasis."""
    return ANSWERS[answer].replace("*", "")


def learned(found: Results, member: str, stage: str) -> bool:
    """Whether a member's AUROC is above chance with its whole interval."""
    auroc = found["members"][member]["scores"][stage]["auroc"]
    return bool(auroc["interval"] and auroc["interval"][0] > CHANCE)


def by_sign(gain: Mapping[str, Any] | None, better: str, worse: str) -> str:
    """A sentence on a difference in points, by whether its interval holds 0."""
    if gain is None:
        return "This was not run."
    words = f"{in_words(dict(gain), '+.1f')} points"
    if gain["interval"] is None or gain["interval"][0] <= 0 <= gain["interval"][1]:
        return f"{words}: the interval holds 0, so these tiles do not decide."
    return f"{words}: {better if gain['value'] > 0 else worse}."


def _in_points(figure: Mapping[str, Any]) -> dict[str, Any]:
    ends = figure["interval"]
    interval = None if ends is None else [POINTS * end for end in ends]
    return {"value": POINTS * figure["value"], "interval": interval}
