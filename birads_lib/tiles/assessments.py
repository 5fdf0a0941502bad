"""The radiologist's BI-RADS of each tile: read, looked up by file name, or drawn.

Three sources, in this order. A store may state it in its column ``assessment``. Tiles
of the Kaggle set name their image, and CBIS-DDSM's case description files give most
images one assessment. For a simulated tile there is no radiologist: its assessment
is drawn, a lesion at a time, from how often real lesions of its class got each
category. It then depends on the class alone, so nothing in the picture tells more
of it than the class does.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from birads_lib.errors import DataError
from birads_lib.labels import GRADED, LESION_CLASSES, LESION_CODES
from birads_lib.tiles.cbis_labels import read_case_files, shipped_counts
from birads_lib.tiles.splits import HELD_OUT, TRAIN, VALIDATION
from birads_lib.tiles.store import TileStore

COLUMN = "assessment"
STATED, LOOKED_UP, DRAWN = "stated", "looked up", "drawn"
STEERING = 0.1  # share of the training groups that steers where the validation part judges


@dataclass(frozen=True)
class Assessments:
    """BI-RADS 2 to 5 of a store's tiles.

    Attributes:
        grades: Int64 (N,), in the store's order; ``<NA>`` for normal tiles, for other
            categories, and where it is not known.
        source: ``"stated"`` (by the store), ``"looked up"`` (by file name) or ``"drawn"``.
    """

    grades: pd.Series
    source: str


def assessments_of(
    store: TileStore, case_files: str | os.PathLike[str] = "", seed: int = 0
) -> Assessments | None:
    """The assessments of a store, from the first source that it has.

    Args:
        store: Any; ``store.simulated`` decides whether assessments may be drawn.
        case_files: Folder of CBIS-DDSM's four case description files, or "" for none.
            Read for a real store without the column only.
        seed: Of the draws.

    Returns:
        ``None`` where nothing says what the radiologist's categories are.

    Raises:
        DataError: The case files are not there or not readable.
    """
    table = store.table
    if COLUMN in table:
        return _known(table, table[COLUMN].astype("Int64"), STATED)
    if store.simulated:
        return Assessments(drawn_assessments(table, seed), DRAWN)
    if case_files:
        return _known(table, assessments_by_name(table, case_files), LOOKED_UP)
    return None


def conditional_table(counts: dict[str, Any] | None = None) -> pd.DataFrame:
    """P(assessment | class) over the categories 2 to 5, from CBIS-DDSM's lesion-views.

    Args:
        counts: From ``cbis_labels``; ``None`` for the shipped ones.

    Returns:
        Four rows C2 to C5, columns 2 to 5, each row summing to 1. Assessments 0 and 1
        are left out and the rest is brought to 1 again.
    """
    counts = shipped_counts() if counts is None else counts
    merged = pd.DataFrame(counts["by_assessment"]["all"]["merged"]).T.loc[list(LESION_CODES)]
    kept = merged[list(GRADED)]
    return kept.div(kept.sum(axis=1), axis=0)


def drawn_assessments(
    table: pd.DataFrame, seed: int = 0, shares: pd.DataFrame | None = None
) -> pd.Series:
    """Assessments drawn for a simulated store: all crops of a lesion share theirs.

    Args:
        table: A store's table.
        seed: For the draws; with it and the lesions' names all is decided.
        shares: As ``conditional_table``, which is the default.

    Returns:
        Int64 (N,), indexed like ``table``; ``<NA>`` for normal tiles.
    """
    shares = conditional_table() if shares is None else shares
    label = table[table["label"] > 0].groupby("lesion", sort=True)["label"].first()
    reached = shares.to_numpy().cumsum(axis=1)[label.to_numpy() - LESION_CLASSES[0].label, :-1]
    draw = np.random.default_rng(seed).random((len(label), 1))
    grade = np.array(GRADED)[(draw >= reached).sum(axis=1)]
    return table["lesion"].map(pd.Series(grade, label.index)).astype("Int64").rename(COLUMN)


def assessments_by_name(table: pd.DataFrame, case_files: str | os.PathLike[str]) -> pd.Series:
    """Assessments looked up by patient, side and view, where an image has one alone.

    Args:
        table: A store's table.
        case_files: Folder of CBIS-DDSM's four case description files.

    Returns:
        Int64 (N,), indexed like ``table``, 0 to 5; ``<NA>`` where a tile names no image, or
        its image has lesions of different assessments.

    Raises:
        DataError: See ``cbis_labels.read_case_files``; or no tile names an image of theirs.
    """
    lesions, _ = read_case_files(case_files)
    by_image = lesions[lesions["apart"] == ""].groupby("image")[COLUMN].agg(["nunique", "first"])
    single = by_image.loc[by_image["nunique"] == 1, "first"]
    image = table["patient"] + "_" + table["side"] + "_" + table["view"]
    if not image.isin(by_image.index).any():
        raise DataError(
            f"{case_files}: no tile names an image of these files; give case files with tiles of "
            "CBIS-DDSM alone"
        )
    return image.map(single).astype("Int64").rename(COLUMN)


def graded_parts(table: pd.DataFrame, split: pd.Series, assessed: Assessments) -> pd.Series:
    """The parts of a division as far as their tiles have an assessment.

    Where no held-out tile has one (the Kaggle set's carry no file names), the validation
    part judges, and a tenth of the training groups steers instead: every tenth by name.

    Args:
        table: A store's table.
        split: From ``make_splits``, without reference to assessments.
        assessed: Of the same tiles.

    Returns:
        ``"train"``, ``"validation"``, ``"held-out"`` or "", indexed like ``table``.
    """
    parts = split.where(assessed.grades.notna() & split.isin((TRAIN, VALIDATION, HELD_OUT)), "")
    if not (parts == HELD_OUT).any():
        groups = sorted(table.loc[parts == TRAIN, "group"].unique())
        steers = table["group"].isin(groups[:: round(1 / STEERING)])
        parts = parts.mask(parts == VALIDATION, HELD_OUT)
        parts = parts.mask((parts == TRAIN) & steers, VALIDATION)
    return parts.rename("split")


def _known(table: pd.DataFrame, values: pd.Series, source: str) -> Assessments | None:
    """What a source says of lesions, as far as it lies on the scale; ``None`` if nowhere."""
    graded = values.where(values.isin(GRADED) & (table["label"] > 0))
    return Assessments(graded.rename(COLUMN), source) if graded.notna().any() else None
