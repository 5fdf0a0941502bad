"""What a collected sweep says, for a reader: tables and sentences from its results alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from birads_lib.errors import DataError
from birads_lib.files import is_sealed, read_json, sha256
from birads_lib.metrics import figure_title, in_words
from birads_lib.study.markup import plain
from birads_lib.study.paper import ATTENTION_GAIN

Pair = tuple[str, str]
WHOLE = ("denoised", "no-attention")
ATTENTION = ("both", "none")
ATTENTION_PAIRS: Mapping[Pair, str] = {
    WHOLE: "Both, the whole network trained each time",
    ATTENTION: "Both, as heads on features that were learned with both",
    ("spatial", "none"): "Spatial attention alone, on the same features",
    ("channel", "none"): "Channel attention alone, on the same features",
}
"""Members with attention and without, by how they differ. What stands first decides, since
frozen features were learned with attention in place and may lean to it."""
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
    if not is_sealed(found):
        raise DataError(f"{path}: changed since it was written; run `birads sweep {name}` again")
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
    absent = [f"{plain(name)} failed ({plain(why)})" for name, why in found["failed"].items()]
    absent += [f"{plain(training)} has not finished" for training in found["missing"]]
    return f"{text}\n\n:::{{warning}}\n**The sweep is not complete**: {'; '.join(absent)}.\n:::"


def settings_of(run: Path, sweep: str, found: Results) -> dict[str, dict[str, Any]]:
    """The settings that each member of a collected sweep was trained with, by member.

    Raises:
        DataError: The note beside a training is not there or is not one.
    """
    settings = {}
    for name, member in found["members"].items():
        path = run / "sweeps" / sweep / name / f"{member['seeds'][0]}.json"
        note = read_json(path) if path.is_file() else None
        if not isinstance(note, dict) or "parameters" not in note:
            raise DataError(f"{path}: no note of a training; run `birads sweep {sweep}` again")
        settings[name] = note["parameters"]
    return settings


def cut_short(settings: Mapping[str, Mapping[str, Any]]) -> str:
    """Which networks of a sweep keep their first blocks alone, as a sentence.

    Args:
        settings: From ``settings_of``.
    """
    cut = [n for n, own in settings.items() if own.get("clip") or own.get("gate_clip")]
    if not cut:
        return "All networks are whole."
    return f"**Cut short in this profile**, after their first blocks: {', '.join(cut)}."


def started_from(settings: Mapping[str, Mapping[str, Any]]) -> str:
    """From what weights the networks of a sweep began to learn, as a sentence.

    Args:
        settings: From ``settings_of``.
    """
    taught = [name for name, of_member in settings.items() if of_member.get("weights")]
    if not taught:
        return "**All learned from random weights.**"
    return f"From ImageNet weights: {', '.join(taught)}; all others from random ones."


def seen_at(settings: Mapping[str, Mapping[str, Any]]) -> str:
    """How large tiles are for the networks of a sweep, as a sentence; "" without networks.

    Args:
        settings: From ``settings_of``.
    """
    sizes: dict[str, list[str]] = {}
    for name, own in settings.items():
        given = [[own["gate_size"]] * 2] if "gate_size" in own else []
        given += [own["scorer_size"]] if "scorer_size" in own else []
        if given:
            words = " and ".join(dict.fromkeys(" x ".join(map(str, size)) for size in given))
            sizes.setdefault(words, []).append(name)
    told = "; ".join(f"{words} px for {', '.join(names)}" for words, names in sizes.items())
    return f"Tiles come in at {told}." if told else ""


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
                figure_title(name): in_words(figure)
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


def attention_gain(found: Results, pair: Pair) -> tuple[dict[str, Any], str] | None:
    """By how much attention raises accuracy over C2 to C5, against the paper's range.

    Args:
        found: Results of the sweep of ablations.
        pair: Members with attention, and with none.

    Returns:
        The difference in points, and a key of ``ANSWERS``; ``None`` if one of the pair was
        not run.
    """
    gain = difference(found, *pair, "scorer", "accuracy")
    if gain is None:
        return None
    if gain["interval"] is None or not any(learned(found, name, "scorer") for name in pair):
        return gain, UNLEARNED
    return gain, against_range(gain["interval"], ATTENTION_GAIN)


def attention_answers(found: Results) -> dict[Pair, tuple[dict[str, Any], str]]:
    """``attention_gain`` of each of ``ATTENTION_PAIRS`` that was run, in their order."""
    answers = {pair: attention_gain(found, pair) for pair in ATTENTION_PAIRS}
    return {pair: answer for pair, answer in answers.items() if answer is not None}


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
