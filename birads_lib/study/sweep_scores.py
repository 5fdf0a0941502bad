"""What the members of a sweep reach, from their tables of predictions alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from birads_lib.metrics import COMPARED, mean_over_seeds, paired_difference

STAGES = ("gate", "scorer", "cascade")

Tables = Sequence[pd.DataFrame]
"""Predictions of one member, a table a seed."""


def scores_of(tables: Tables) -> dict[str, dict[str, Any]]:
    """By stage that all tables have, and figure: the mean over seeds with its interval."""
    return {
        stage: {figure: mean_over_seeds(_of_stage(tables, stage), figure) for figure in COMPARED}
        for stage in _stages(tables)
    }


def differences_of(
    members: Mapping[str, Tables], pairs: Sequence[tuple[str, str]]
) -> list[dict[str, Any]]:
    """For each pair of members that are there, and each stage of both: ``first``, ``second``,
    ``stage``, ``seeds`` (shared ones), and by figure how much the first exceeds the second.
    """
    rows = []
    for first, second in pairs:
        if first not in members or second not in members:
            continue
        ours, theirs = _shared_seeds(members[first], members[second])
        for stage in [s for s in _stages(ours) if s in _stages(theirs)]:
            sides = _of_stage(ours, stage), _of_stage(theirs, stage)
            figures = {figure: paired_difference(*sides, figure) for figure in COMPARED}
            about = {"first": first, "second": second, "stage": stage, "seeds": seeds_of(ours)}
            rows.append({**about, **figures})
    return rows


def seeds_of(tables: Tables) -> list[int]:
    """The seed of each table."""
    return [int(table["seed"].iloc[0]) for table in tables]


def recomputed(found: Mapping[str, Any], table: pd.DataFrame) -> dict[str, Any]:
    """Scores and differences of a collected sweep once more, from its table.

    Args:
        found: What was collected: ``members``, and ``pairs`` to be compared.
        table: Predictions of all members with a column ``member``.

    Returns:
        ``members``, by name the ``scores``; and ``differences``.

    Raises:
        KeyError, IndexError: The table lacks a member, a seed or a column; the pairs are missing.
    """
    tables = {
        name: [
            table[(table["member"] == name) & (table["seed"] == seed)].reset_index(drop=True)
            for seed in member["seeds"]
        ]
        for name, member in found["members"].items()
    }
    return {
        "members": {name: {"scores": scores_of(own)} for name, own in tables.items()},
        "differences": differences_of(tables, [(a, b) for a, b in found["pairs"]]),
    }


def _shared_seeds(first: Tables, second: Tables) -> tuple[Tables, Tables]:
    """Tables of the seeds that both have, in one order; all tables where they share none."""
    sides = [dict(zip(seeds_of(side), side, strict=True)) for side in (first, second)]
    shared = sorted(sides[0].keys() & sides[1].keys())
    if not shared:
        return first, second
    return [sides[0][seed] for seed in shared], [sides[1][seed] for seed in shared]


def _stages(tables: Tables) -> list[str]:
    """Stages that all of a member's tables have."""
    return [s for s in STAGES if tables and all((t["stage"] == s).any() for t in tables)]


def _of_stage(tables: Tables, stage: str) -> list[pd.DataFrame]:
    return [table[table["stage"] == stage] for table in tables]
