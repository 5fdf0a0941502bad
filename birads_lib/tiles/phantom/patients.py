"""Women of a phantom: their lesions, the views these are seen in, their normal scans."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from birads_lib.labels import CLASSES
from birads_lib.tiles.layout import CV10, NORMAL_FILENAME, TEST10
from birads_lib.tiles.phantom import tissue

CROPS = 3  # crops of one lesion in one view
GRID = 3  # tiles along each side of a normal field
FIELD_TILES = GRID * GRID
SCAN_FIELDS = 3
SCAN_TILES = FIELD_TILES * SCAN_FIELDS  # 27, as in the real set

TWO_LESIONS, SAME_BREAST, BOTH_VIEWS = 0.12, 0.5, 0.75  # chances
SIDES, VIEWS = ("LEFT", "RIGHT"), ("CC", "MLO")
SCAN_NAMES = tuple(f"{side}_{view}" for side in SIDES for view in VIEWS)
MORE_NUMBERS = 1.25  # patient numbers to choose from, for each patient


def plan_views(
    rng: np.random.Generator,
    training: Sequence[int],
    test10: Sequence[int],
    cv10: Sequence[int],
    scanners: str = "training",
) -> pd.DataFrame:
    """One row a lesion view. Patients stand on one side only; cv10 takes the first masses."""
    groups = []
    for label in range(1, len(CLASSES)):
        groups.append((label, "training", training[label] // CROPS, 0))
        first = cv10[label] // CROPS
        groups.append((label, "held out", first + test10[label] // CROPS, first))
    patients = [_draw_patients(rng, count) for _, _, count, _ in groups]
    needed = [int(p["woman"].max()) + 1 for p in patients]
    pool = rng.permutation(math.ceil(MORE_NUMBERS * sum(needed)))[: sum(needed)] + 1
    numbers = np.split(pool, np.cumsum(needed)[:-1])
    frames = []
    for (label, side, _, first), views, drawn in zip(groups, patients, numbers, strict=True):
        views["label"] = label
        views["number"] = np.sort(drawn)[views["woman"]]
        views["side"] = side
        if side != "training":
            views["side"] = np.where(np.arange(len(views)) < first, CV10.name, TEST10.name)
        frames.append(views)
    return _name_views(rng, pd.concat(frames, ignore_index=True), scanners)


def _draw_patients(rng: np.random.Generator, count: int) -> pd.DataFrame:
    """``count`` lesion views of women with one or two lesions, seen in one or both views."""
    rows: list[tuple[int, str, str, int]] = []
    woman = 0
    while len(rows) < count:
        breast = str(rng.choice(SIDES))
        for lesion in range(1 + (rng.random() < TWO_LESIONS)):
            if lesion and rng.random() >= SAME_BREAST:
                breast = SIDES[1 - SIDES.index(breast)]
            both = rng.random() < BOTH_VIEWS
            seen = VIEWS if both else (str(rng.choice(VIEWS)),)
            rows += [(woman, breast, view, lesion + 1) for view in seen]
        woman += 1
    return pd.DataFrame(rows[:count], columns=["woman", "breast", "view", "lesion_number"])


def _name_views(rng: np.random.Generator, views: pd.DataFrame, scanners: str) -> pd.DataFrame:
    patient = "P_" + views["number"].map("{:05d}".format)
    women, numbers = pd.factorize(views["number"])
    scanner = tissue.allot_scanners(rng, len(numbers), scanners)
    scan = patient + "_" + views["breast"] + "_" + views["view"]
    return pd.DataFrame(
        {
            "kind": "lesion",
            "label": views["label"],
            "side": views["side"],
            "scan": scan,
            "lesion": patient + "_" + views["breast"] + "_" + views["lesion_number"].astype(str),
            "patient": patient,
            "filename": scan + ".jpg",
            "scanner": scanner[women],
        }
    )


def plan_normals(
    rng: np.random.Generator,
    count: int,
    scanners: str = "training",
    scan_tiles: int = SCAN_TILES,
) -> pd.DataFrame:
    """``count`` normal tiles in random order; ``scan_tiles`` a scan, four scans a woman."""
    tile = rng.permutation(count)
    scan = tile // scan_tiles
    woman = scan // len(SCAN_NAMES)
    scanner = tissue.allot_scanners(rng, woman.max() + 1, scanners)
    women = np.array([f"N_{i + 1:05d}" for i in range(woman.max() + 1)])[woman]
    names = np.array([f"_{name}" for name in SCAN_NAMES])[scan % len(SCAN_NAMES)]
    return pd.DataFrame(
        {
            "job": scan,
            "kind": "normal",
            "label": 0,
            "side": "",
            "scan": np.char.add(women, names),
            "lesion": "",
            "patient": women,
            "filename": NORMAL_FILENAME,
            "scanner": scanner[woman],
            "conspicuity": 0.0,
            "slot": tile % scan_tiles,
        }
    )
