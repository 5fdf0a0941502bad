"""What the audit counts, and what it finds odd."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from birads_lib.tiles import TileStore, merge_ddsm10
from birads_lib.tiles.audit import BLOCK, audit, counts_table, grey_levels
from birads_lib.tiles.layout import HELD_OUT_COUNTS, TILE, TRAINING_COUNTS
from birads_lib.tiles.shortcuts import probe_features
from birads_lib.tiles.store import verify_store

STATUS = Path("/proc/self/status")


@pytest.fixture
def textured(small_set):
    """The hand-made set with noise in every tile, so that none is empty or equal."""
    rng = np.random.default_rng(0)
    for file in small_set.training:
        for features in file:
            features["image"] = rng.bytes(TILE * TILE)
    for images, _ in small_set.held_out.values():
        images[...] = rng.integers(0, 256, images.shape, np.uint8)
    return small_set


def audited(made, tmp_path) -> dict:
    return audit(merge_ddsm10(made.write(tmp_path / "set"), tmp_path / "store"))


def test_a_clean_set_has_nothing_odd(textured, tmp_path):
    found = audited(textured, tmp_path)
    assert found["tiles"] == 16
    assert (found["duplicates"], found["duplicates_across_origins"]) == (0, 0)
    assert found["nearly_empty"] == 0
    assert found["simulated"] is False


def test_groups_and_lesions_are_counted(textured, tmp_path):
    found = audited(textured, tmp_path)
    assert found["groups"] == 16  # four women, six nameless normals, six held-out tiles
    assert found["lesions"] == 8


def test_crops_of_one_lesion_count_once(textured, tmp_path):
    crop = {**textured.training[1][0], "image": np.random.default_rng(1).bytes(TILE * TILE)}
    textured.training[3].append(crop)
    found = audited(textured, tmp_path)
    assert (found["tiles"], found["groups"], found["lesions"]) == (17, 16, 8)


def test_all_copies_of_a_tile_count_as_duplicates(textured, tmp_path):
    image = textured.training[0][0]["image"]
    textured.training[1][1]["image"] = textured.training[3][1]["image"] = image
    found = audited(textured, tmp_path)
    assert (found["duplicates"], found["duplicates_across_origins"]) == (3, 0)
    assert found["tiles"] == 16, "they are kept"
    store = TileStore.open(tmp_path / "store")
    (same,) = found["flagged"]["duplicates"]
    digests = store.table["digest"].iloc[store.rows_of(same)]
    assert len(same) == 3
    assert digests.nunique() == 1


def test_duplicates_across_origins_are_told_apart(textured, tmp_path):
    image = np.frombuffer(textured.training[0][0]["image"], np.uint8).reshape(TILE, TILE, 1)
    textured.held_out["test10"][0][0] = image
    textured.training[1][1]["image"] = textured.training[3][1]["image"]
    found = audited(textured, tmp_path)
    assert (found["duplicates"], found["duplicates_across_origins"]) == (4, 1)


@pytest.mark.parametrize(("swing", "empty"), [(0, 1), (3, 1), (5, 0)])
def test_tiles_flatter_than_four_grey_levels_are_nearly_empty(textured, tmp_path, swing, empty):
    checks = np.indices((TILE, TILE)).sum(axis=0) % 2  # half up, half down: sd is the swing
    textured.training[2][1]["image"] = (100 + swing * (2 * checks - 1)).astype(np.uint8).tobytes()
    found = audited(textured, tmp_path)
    assert found["nearly_empty"] == empty
    flagged = found["flagged"]["nearly_empty"]
    assert flagged == ["training10_2/00001"][:empty]


def test_the_audit_of_a_simulated_store_repeats_what_the_store_says(store):
    found = audit(store)
    assert found["simulated"] is True
    for key in ("counts", "known_counts", "notes", "digest"):
        assert found[key] == store.meta[key]
    assert found["groups"] == store.table["group"].nunique()
    assert found["lesions"] == store.table["lesion"].nunique() - 1  # "" of the normals


def test_the_audit_is_plain_json(store):
    found = audit(store)
    assert json.loads(json.dumps(found)) == found


def test_grey_levels_are_each_tiles_mean_and_deviation(store):
    grey = grey_levels(store)
    pixels = np.asarray(store.images, float).reshape(len(store), -1)
    np.testing.assert_allclose(grey["mean"], pixels.mean(axis=1))
    np.testing.assert_allclose(grey["sd"], pixels.std(axis=1))


@pytest.mark.skipif(not STATUS.exists(), reason="memory is read from /proc")
@pytest.mark.parametrize(
    "look",
    [audit, verify_store, lambda store: probe_features(store.images, "mean and deviation")],
    ids=["audit", "verify_store", "probe_features"],
)
def test_looking_at_all_tiles_maps_none_of_them_into_memory(store, look):
    """Pages of a map that were touched count as memory, and would grow to the whole set."""
    opened = TileStore.open(store.path)
    before = mapped_bytes()
    look(opened)
    assert mapped_bytes() - before < opened.images.nbytes / 4


def mapped_bytes() -> int:
    """Bytes of files that this process holds in memory through maps."""
    (line,) = (x for x in STATUS.read_text().splitlines() if x.startswith("RssFile:"))
    return 1024 * int(line.split()[1])


def test_grey_levels_reach_past_the_first_block(small_store):
    class Repeated:
        """More tiles than are read at a time."""

        images = np.concatenate([small_store.images] * (BLOCK // 16 + 1))

        def __len__(self):
            return len(self.images)

    grey = grey_levels(Repeated())
    assert len(grey) == BLOCK + 16
    np.testing.assert_allclose(grey["mean"][BLOCK:], grey["mean"][:16])


def test_counts_table_sets_found_beside_known_and_merges_the_held_out_parts(small_store):
    table = counts_table(small_store)
    assert table.loc[("training", "found")].tolist() == [6, 1, 1, 1, 1, 10]
    assert table.loc[("held out, merged", "found")].tolist() == [2, 1, 1, 1, 1, 6]
    known = table.loc[("training", "Kaggle set")]
    assert known.tolist() == [*TRAINING_COUNTS, 55_885]
    known = table.loc[("held out, merged", "Kaggle set")]
    assert known.tolist() == [*HELD_OUT_COUNTS, 15_364]


def test_counts_table_shows_an_absent_part_as_zero(small_set, tmp_path):
    source = small_set.write(tmp_path / "set")
    (source / "cv10_data" / "cv10_data.npy").unlink()
    (source / "cv10_labels.npy").unlink()
    table = counts_table(merge_ddsm10(source, tmp_path / "store"))
    assert table.loc[("cv10", "found")].tolist() == [0] * 6
    assert table.loc[("held out, merged", "found")].tolist() == [1, 0, 1, 0, 1, 3]


def test_a_set_without_known_counts_shows_what_was_found(small_store):
    small_store.meta["known_counts"] = {}
    small_store.meta["counts"] = {"held-out": [1, 0, 2, 0, 3], "training": [5, 1, 1, 1, 1]}
    table = counts_table(small_store)
    assert table.index.tolist() == [("training", "found"), ("held-out", "found")]
    assert table["all"].tolist() == [9, 6]
