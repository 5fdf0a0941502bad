"""Siblings, expected siblings, and near duplicates by perceptual hash."""

import cv2
import numpy as np
import pandas as pd
import pytest

from birads_lib.tiles import make_splits
from birads_lib.tiles.leakage import (
    expected_sibling_share,
    near_duplicates,
    nearest_distances,
    perceptual_hashes,
    sibling_shares,
)
from birads_lib.tiles.store import ImageRows


def lesion_table(lesions, crops=3):
    """Training tiles of ``lesions`` lesions with ``crops`` crops each, four classes in turn."""
    lesion = np.repeat(np.arange(lesions), crops)
    return pd.DataFrame(
        {
            "label": lesion % 4 + 1,
            "lesion": [f"L{i}" for i in lesion],
            "group": [f"P{i // 2}" for i in lesion],
            "origin": "training",
        }
    )


def test_a_lesion_counts_as_seen_when_another_crop_teaches():
    table = lesion_table(2)
    split = pd.Series(["train", "aside", "aside", "aside", "aside", "aside"])
    assert sibling_shares(table, split, "aside") == {"lesion": 2 / 5, "group": 1.0}


def test_whole_groups_share_no_lesion():
    table = lesion_table(2)
    split = pd.Series(["train"] * 3 + ["aside"] * 3)
    assert sibling_shares(table, split, "aside")["lesion"] == 0


@pytest.mark.parametrize("share", [0.1, 0.2, 0.4])
def test_blind_division_meets_the_formula(share):
    table = lesion_table(4000)
    rng = np.random.default_rng(0)
    split = pd.Series(np.where(rng.random(len(table)) < share, "aside", "train"))
    measured = sibling_shares(table, split, "aside")["lesion"]
    assert expected_sibling_share(table, split, "aside") == pytest.approx(1 - share**2, abs=0.01)
    assert measured == pytest.approx(1 - share**2, abs=0.02)


def test_the_part_set_aside_ignores_lesions_and_the_validation_part_does_not():
    table = lesion_table(400)
    held_out = lesion_table(8).assign(origin="test10", lesion=lambda t: "X" + t["lesion"])
    normal = pd.DataFrame(
        {
            "label": 0,
            "lesion": "",
            "group": [f"N{i}" for i in range(200)],
            "origin": ["training"] * 180 + ["cv10"] * 20,
        }
    )
    table = pd.concat([table, held_out, normal], ignore_index=True)
    split = make_splits(table, "official", 0.1, seed=0, aside=0.1)
    assert sibling_shares(table, split, "aside")["lesion"] > 0.9
    assert sibling_shares(table, split, "validation")["lesion"] == 0
    assert sibling_shares(table, split, "held-out")["lesion"] == 0
    assert (split == "aside").sum() == pytest.approx(0.1 * 0.9 * (1200 + 180), rel=0.1)


@pytest.fixture(scope="module")
def textures():
    rng = np.random.default_rng(0)
    waves = rng.standard_normal((12, 299, 299))
    smooth = np.stack([cv2.GaussianBlur(image, (0, 0), 25) for image in waves])
    return np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("turn", range(8))
def test_a_turned_and_noisy_copy_is_near_and_others_are_not(textures, turn):
    rng = np.random.default_rng(turn)
    copy = np.rot90(textures[3][:, ::-1] if turn >= 4 else textures[3], turn % 4)
    noisy = np.clip(copy + rng.normal(0, 2, copy.shape), 0, 255).astype(np.uint8)
    judged = perceptual_hashes(noisy[np.newaxis], symmetries=8)
    known = perceptual_hashes(textures)
    assert nearest_distances(judged, known)[0] <= 6
    others = np.delete(known, 3, axis=0)
    assert nearest_distances(judged, others)[0] > 6


def test_near_duplicates_are_sought_by_part_and_kind(textures):
    labels = [1, 0, 2, 3, 0, 0, 2, 0, 0, 0, 0, 0]
    parts = ["train", "train", "validation", "held-out", "held-out", "held-out"]
    split = pd.Series([*parts, *["held-out"] * 6])
    images = textures.copy()
    images[2] = np.rot90(textures[0])  # a lesion of training, turned
    images[4] = textures[1][:, ::-1]  # a normal tile of training, flipped
    images[5] = textures[0]  # a lesion tile's pixels, called normal
    table = pd.DataFrame({"label": labels, "group": [f"G{i}" for i in range(12)]})
    judged = ("validation", "held-out")
    found = near_duplicates(ImageRows(images), table, split, judged, normals=100, seed=0)
    near = {place: copies.index[copies].tolist() for place, copies in found.items()}
    assert near == {
        ("validation", "lesion"): ["G2"],
        ("validation", "normal"): [],
        ("held-out", "lesion"): [],
        ("held-out", "normal"): ["G4"],
    }
    assert len(found["held-out", "normal"]) == 7
    few = near_duplicates(ImageRows(images), table, split, judged, normals=3, seed=0)
    assert len(few["held-out", "normal"]) == 3
    assert len(few["held-out", "lesion"]) == len(found["held-out", "lesion"]) == 2


def test_distances_count_differing_bits():
    judged = np.zeros((1, 1, 64), bool)
    known = np.zeros((2, 1, 64), bool)
    known[0, 0, :9] = True
    known[1, 0, :5] = True
    assert nearest_distances(judged, known).tolist() == [5]
