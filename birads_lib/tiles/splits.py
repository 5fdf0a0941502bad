"""Which tiles teach, which steer, which judge: the study's divisions, each by name."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from birads_lib.errors import DataError, UsageError, one_of
from birads_lib.labels import CLASSES

TRAIN, VALIDATION, ASIDE, HELD_OUT = "train", "validation", "aside", "held-out"
SHARE_LEAST = 5  # tiles of a class, so that both sides can show it
PROTOCOLS = ("official", "random_tenth", "training")


def make_splits(
    table: pd.DataFrame,
    protocol: str = "official",
    validation: float = 0.1,
    seed: int = 0,
    aside: float = 0.0,
) -> pd.Series:
    """Assign each tile to one part.

    Args:
        table: A store's table.
        protocol: ``"official"``: test10 and cv10, merged, are held out.
            ``"random_tenth"``: a random tenth of the training records is held out,
            whatever lesion it shows, as most public notebooks do; it leaks.
            ``"training"``: the training tiles judge themselves, which is what the
            totals of the paper's Figures 5 and 7 imply; tiles of test10 and cv10
            are left out.
        validation: Share of the training tiles, by group, that steers training; 0..0.5.
        seed: For the draws.
        aside: Share of the remaining training records, drawn at random whatever lesion
            they show, that neither teaches nor steers; 0..0.5. It is kept to measure
            what a division that ignores lesions would report. A class of fewer than five
            records gives none.

    Returns:
        Series of ``"train"``, ``"validation"``, ``"aside"``, ``"held-out"`` or "" (not used),
        indexed like ``table``. Groups do not cross between train and validation.
        Under ``"training"`` train tiles double as held-out; the caller scores them.

    Raises:
        UsageError: Unknown protocol, or a share outside 0 to 0.5.
        DataError: A class has no tile in the train or the held-out part, or there are
            too few to divide.
    """
    one_of("protocol", protocol, PROTOCOLS)
    for name, share in (("validation", validation), ("aside", aside)):
        if not 0 <= share <= 0.5:
            raise UsageError(f"{name}: {share} given; expected a share from 0 to 0.5")
    training = (table["origin"] == "training").to_numpy()
    split = np.where(training, TRAIN, HELD_OUT if protocol == "official" else "").astype(object)
    rng = np.random.default_rng(seed)
    if protocol == "random_tenth":
        split[_random_share(table, np.flatnonzero(training), 0.1, rng)] = HELD_OUT
    rows = np.flatnonzero(split == TRAIN)
    if validation > 0:
        split[rows[_grouped_share(table.iloc[rows], validation, rng)]] = VALIDATION
    if aside > 0:
        rows = _plentiful(table, np.flatnonzero(split == TRAIN))
        split[_random_share(table, rows, aside, rng)] = ASIDE
    parts = pd.Series(split, index=table.index, name="split")
    _refuse_empty(table["label"], parts, HELD_OUT if protocol != "training" else TRAIN)
    return parts


def _plentiful(table: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
    """Those of ``rows`` whose class can be shown on both sides of a random share."""
    labels = table["label"].to_numpy()[rows]
    return rows[np.bincount(labels)[labels] >= SHARE_LEAST]


def _random_share(
    table: pd.DataFrame, rows: np.ndarray, share: float, rng: np.random.Generator
) -> np.ndarray:
    """Some of ``rows``, stratified by label and blind to groups."""
    labels = table["label"].to_numpy()[rows]
    present, counts = np.unique(labels, return_counts=True)
    if counts.min() < SHARE_LEAST:
        scarce = CLASSES[int(present[counts.argmin()])]
        raise DataError(
            f"random share: {counts.min()} training tiles of label {scarce.label} "
            f"({scarce.title}); it needs {SHARE_LEAST}; give more tiles"
        )
    _, drawn = train_test_split(
        rows, test_size=share, stratify=labels, random_state=int(rng.integers(2**31))
    )
    return drawn


def _grouped_share(table: pd.DataFrame, share: float, rng: np.random.Generator) -> np.ndarray:
    """Rows, as positions, of about ``share`` of the tiles in whole groups.

    Where a class has fewer groups than there are folds, the fold that shows the most
    classes is taken, among those that leave some of each class to learn from.
    """
    folds = max(2, round(1 / share))
    labels = table["label"].to_numpy()
    if np.bincount(labels).max() < folds or table["group"].nunique() < folds:
        raise DataError(
            f"validation: {len(labels)} training tiles of {table['group'].nunique()} groups are "
            f"too few to take one in {folds}; give more tiles or a larger share"
        )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=int(rng.integers(2**31)))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        parts = list(splitter.split(table, labels, table["group"]))
    present = len(np.unique(labels))
    fair = [part for rest, part in parts if len(np.unique(labels[rest])) == present]
    return max(fair or [parts[0][1]], key=lambda part: len(np.unique(labels[part])))


def _refuse_empty(labels: pd.Series, parts: pd.Series, judged: str) -> None:
    for part in (TRAIN, judged):
        present = set(labels[parts == part])
        for tile_class in CLASSES:
            if tile_class.label not in present:
                raise DataError(
                    f"{part} part: no tile of label {tile_class.label} ({tile_class.title}); "
                    "give the files that hold them"
                )
