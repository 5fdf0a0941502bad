"""Tiles that the networks never saw, from another source: given, or simulated."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from birads_lib.tiles import TileStore, merge_ddsm10, merge_tiles, write_phantom

FOLDER = "external"
SCAN_TILES = 3  # simulated normal tiles of one scan; the real set's 27 would leave few women


def external_store(
    run: Path, given: str, scale: float, positives: float, seed: int, processes: int | None = None
) -> TileStore:
    """The external tiles as a store in the run's folder, written anew.

    Args:
        run: The run's folder.
        given: Folder of a real data set, see ``merge_tiles``, or "" for tiles simulated on a
            scanner that is none of the training three.
        scale, positives, seed: Of the simulated tiles, see ``write_phantom``.
        processes: Workers that draw them; as many as there are processors unless given.

    Raises:
        DataError: The folder given cannot be read.
        UsageError: The simulated set's arguments do not fit.
    """
    store = run / FOLDER / "store"
    if given:
        return merge_tiles(given, store)
    store.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store.parent, prefix=".phantom.") as folder:
        tiles = write_phantom(
            Path(folder) / "tiles",
            scale=scale,
            positives=positives,
            seed=seed,
            scanners="outside",
            scan_tiles=SCAN_TILES,
            processes=processes,
        )
        return merge_ddsm10(tiles, store)


def simulated_mark(trained: bool, external: bool) -> str | None:
    """Words for what is simulated of the tiles trained on and of the external ones, or ``None``."""
    if trained and external:
        return "simulated tiles"
    if trained:
        return "trained on simulated tiles, external tiles real"
    return "trained on real tiles, external tiles simulated" if external else None


def draw_tiles(store: TileStore, infected: bool, count: int, seed: int) -> TileStore:
    """At most ``count`` tiles, infected or not, drawn by seed; in the store's order."""
    rows = np.flatnonzero((store.table["label"] > 0).to_numpy() == infected)
    drawn = np.random.default_rng(seed).permutation(rows)[:count]
    return store.subset(np.isin(np.arange(len(store)), drawn))
