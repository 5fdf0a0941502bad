"""What crosses from training to judgement: sibling crops, exact and near duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import imagehash
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from birads_lib.tiles.store import ImageRows

HASH_BITS = 64  # of imagehash.phash
NEAR_BITS = 6  # bits; tiles whose hashes differ in no more count as near duplicates
SYMMETRIES = 8
"""Of the square: crops were flipped and quarter-turned."""


def sibling_shares(table: pd.DataFrame, split: pd.Series, judged: str) -> dict[str, float]:
    """How much of a judged part training has seen in another crop.

    Args:
        table: A store's table.
        split: Part of each tile, from ``make_splits``.
        judged: Name of the part.

    Returns:
        ``lesion``: share of the part's lesion tiles with a crop of the same lesion in
        training, 0..1. ``group``: share of all its tiles with a tile of the same group
        there. NaN where the part holds none.
    """
    train, part = table[split == "train"], table[split == judged]
    lesions = part[part["lesion"] != ""]
    return {
        "lesion": float(lesions["lesion"].isin(set(train["lesion"])).mean()),
        "group": float(part["group"].isin(set(train["group"])).mean()),
    }


def expected_sibling_share(table: pd.DataFrame, split: pd.Series, judged: str) -> float:
    """Share of lesion tiles with a sibling in training, if records are drawn blindly.

    1 - f**(n - 1) for a lesion of n crops, where f is the share of records not drawn for
    training; 1 - f**2 for the data set's three crops. Mean over the judged lesion tiles,
    0..1.
    """
    pool = table[split.isin(["train", judged]) & (table["lesion"] != "")]
    apart = float((split[pool.index] == judged).mean())
    crops = pool["lesion"].map(pool["lesion"].value_counts())[split[pool.index] == judged]
    return float((1 - apart ** (crops - 1)).mean())


def perceptual_hashes(images: Any, symmetries: int = 1) -> NDArray[np.bool_]:
    """Perceptual hashes of tiles (the package imagehash, DCT of a 32 x 32 reduction).

    Args:
        images: uint8 (N, H, W), read one at a time.
        symmetries: 1, or ``SYMMETRIES`` to hash each flip and quarter turn too.

    Returns:
        bool (N, symmetries, 64).
    """
    hashes = np.empty((len(images), symmetries, HASH_BITS), bool)
    for index in range(len(images)):
        image = np.asarray(images[index])
        for turn in range(symmetries):
            turned = np.rot90(image[:, ::-1] if turn >= 4 else image, turn % 4)
            hashes[index, turn] = imagehash.phash(Image.fromarray(turned)).hash.ravel()
    return hashes


def near_duplicates(
    images: ImageRows,
    table: pd.DataFrame,
    split: pd.Series,
    judged: Sequence[str],
    normals: int,
    seed: int,
) -> dict[tuple[str, str], pd.Series]:
    """Which judged tiles have a near duplicate in training, in any flip or quarter turn.

    Lesion tiles are compared with the lesion tiles of training, normal ones with the normal.

    Args:
        images: A store's, uint8 (N, H, W), read as they are needed.
        table: A store's table.
        split: Part of each tile, from ``make_splits``.
        judged: Names of the parts.
        normals: Normal tiles of each part that are compared, at most; drawn by seed.
        seed: For the draw.

    Returns:
        By part and kind, ``"lesion"`` or ``"normal"``: bool, one entry a tile compared,
        indexed by its group.
    """
    rng, lesion = np.random.default_rng(seed), (table["label"] > 0).to_numpy()
    found = {}
    for kind, of_kind in (("lesion", lesion), ("normal", ~lesion)):
        known = perceptual_hashes(images.where((split == "train").to_numpy() & of_kind))
        for part in judged:
            rows = np.flatnonzero((split == part).to_numpy() & of_kind)
            if kind == "normal":
                rows = np.sort(rng.permutation(rows)[:normals])
            distances = nearest_distances(perceptual_hashes(images.rows(rows), SYMMETRIES), known)
            groups = table["group"].iloc[rows]
            found[part, kind] = pd.Series(distances <= NEAR_BITS, index=groups)
    return found


def nearest_distances(judged: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Fewest differing bits between each judged tile, in any symmetry, and a known one.

    Args:
        judged: bool (N, symmetries, 64).
        known: bool (M, 1, 64).

    Returns:
        int64 (N,), 0..64.
    """
    reference = known[:, 0].astype(np.float32)
    nearest = np.full(len(judged), HASH_BITS)
    for turn in range(judged.shape[1]):
        bits = judged[:, turn].astype(np.float32)
        differing = bits.sum(1)[:, np.newaxis] + reference.sum(1) - 2 * bits @ reference.T
        nearest = np.minimum(nearest, np.rint(differing.min(axis=1)).astype(np.int64))
    return nearest
