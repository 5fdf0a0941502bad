"""What is in a store: counts, exact duplicates, empty tiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from birads_lib.labels import CODES
from birads_lib.tiles.store import TileStore, streamed

EMPTY_SD = 4.0  # grey levels; a tile flatter than this shows no tissue
BLOCK = 64  # tiles read at a time


def audit(store: TileStore) -> dict[str, Any]:
    """Count what a store holds and what is odd about it; nothing is removed.

    Returns:
        ``counts`` and ``known_counts`` by origin (labels 0 to 4), ``tiles``,
        ``groups``, ``lesions``, ``duplicates`` (tiles whose pixels stand elsewhere
        too), ``duplicates_across_origins``, ``nearly_empty`` (standard deviation
        below 4 grey levels), ``flagged`` (ids of those tiles: ``duplicates``, each group of
        equal ones together, and ``nearly_empty``), ``notes``, ``digest``.
    """
    table = store.table
    copies = table[table.duplicated("digest", keep=False)]
    crossing = copies.drop_duplicates(["digest", "origin"]).duplicated("digest")
    empty = (grey_levels(store)["sd"] < EMPTY_SD).to_numpy()
    return {
        "tiles": len(store),
        "simulated": store.simulated,
        "counts": store.meta["counts"],
        "known_counts": store.meta.get("known_counts", {}),
        "groups": int(table["group"].nunique()),
        "lesions": int(table.loc[table["lesion"] != "", "lesion"].nunique()),
        "duplicates": len(copies),
        "duplicates_across_origins": int(crossing.sum()),
        "nearly_empty": int(empty.sum()),
        "flagged": {
            "duplicates": [same.tolist() for _, same in copies.groupby("digest")["tile"]],
            "nearly_empty": table.loc[empty, "tile"].tolist(),
        },
        "notes": store.meta["notes"],
        "digest": store.digest,
    }


def grey_levels(store: TileStore) -> pd.DataFrame:
    """Mean and standard deviation of each tile, float64 columns ``mean``, ``sd``, 0..255."""
    values, images = np.empty((len(store), 2)), streamed(store.images)
    for start in range(0, len(store), BLOCK):
        block = images[start : start + BLOCK].reshape(-1, images.shape[1] * images.shape[2])
        values[start : start + len(block), 0] = block.mean(axis=1)
        values[start : start + len(block), 1] = block.std(axis=1)
    return pd.DataFrame(values, columns=["mean", "sd"])


def counts_table(store: TileStore) -> pd.DataFrame:
    """Tiles found, by origin and class, and those known of the Kaggle set where it is meant.

    One row an origin, for display; where several are held out, one for them together.
    """
    known = store.meta["known_counts"]
    found = dict.fromkeys(["training", *known], [0] * len(CODES)) | store.meta["counts"]
    held_out = [origin for origin in found if origin != "training"]
    rows = {}
    for origin, counts in found.items():
        rows[origin, "found"] = counts
        if origin in known:
            rows[origin, "Kaggle set"] = known[origin]
    if len(held_out) > 1:
        for kind in ("found", "Kaggle set"):
            parts = [rows[origin, kind] for origin in held_out if (origin, kind) in rows]
            if parts:
                rows["held out, merged", kind] = np.sum(parts, axis=0).tolist()
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(CODES))
    table.index = pd.MultiIndex.from_tuples(table.index, names=["part", "tiles"])
    return table.assign(all=table.sum(axis=1))
