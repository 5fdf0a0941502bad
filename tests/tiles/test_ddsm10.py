"""The Kaggle layout into a store: what is found, believed, noted and refused."""

from __future__ import annotations

import hashlib
import io
import pickle
import re
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest

from birads_lib.errors import DataError, StudyError
from birads_lib.tiles import TileStore, merge_ddsm10
from birads_lib.tiles.ddsm10 import counts_by_origin, decode_filename, describe, find_files
from birads_lib.tiles.layout import (
    CV10,
    CV10_COUNTS,
    FILENAME_DTYPE,
    TEST10_COUNTS,
    TILE,
    TRAINING_COUNTS,
    TRAINING_PATHS,
)
from birads_lib.tiles.phantom import PhantomTruth
from birads_lib.tiles.store import COLUMNS

FIRST, THIRD = TRAINING_PATHS[0], TRAINING_PATHS[2]
SMALL_COUNTS = {
    "training": [6, 1, 1, 1, 1],
    "test10": [1, 0, 1, 0, 1],
    "cv10": [1, 1, 0, 1, 0],
}


def refused(source, store, says: str) -> str:
    """Merge what must be refused; the message, of one line."""
    with pytest.raises(DataError, match=says) as error:
        merge_ddsm10(source, store)
    assert "\n" not in str(error.value)
    return str(error.value)


# Finding


@pytest.mark.parametrize("flat", [False, True])
def test_nested_and_flat_files_give_the_same_tiles(small_set, tmp_path, flat):
    store = merge_ddsm10(small_set.write(tmp_path / "set", flat=flat), tmp_path / "store")
    assert store.meta["counts"] == SMALL_COUNTS
    assert len(store) == 16
    assert store.images[:, 1, 1].tolist() == [*range(10, 20), 100, 101, 102, 110, 111, 112]


def test_a_folder_around_the_set_does_not_matter(small_set, tmp_path):
    small_set.write(tmp_path / "download" / "ddsm-mammography")
    store = merge_ddsm10(tmp_path / "download", tmp_path / "store")
    assert store.meta["counts"] == SMALL_COUNTS


def test_a_set_below_a_folder_called_truth_is_found(small_set, tmp_path):
    source = small_set.write(tmp_path / "truth" / "set")
    assert merge_ddsm10(source, tmp_path / "store").meta["counts"] == SMALL_COUNTS


def test_a_folder_named_like_the_file_in_it_is_looked_into(small_set, tmp_path):
    source = small_set.write(tmp_path / "set", flat=True)
    name = "training10_0.tfrecords"
    (source / name).rename(source / "file")
    (source / name).mkdir()
    (source / "file").rename(source / name / name)
    assert merge_ddsm10(source, tmp_path / "store").meta["counts"] == SMALL_COUNTS


def test_other_arrays_that_share_a_name_do_not_matter(small_set, tmp_path):
    small_set.extra = {"mine/notes.npy": b"1", "yours/notes.npy": b"2"}
    store = merge_ddsm10(small_set.write(tmp_path / "set"), tmp_path / "store")
    assert store.meta["counts"] == SMALL_COUNTS


@pytest.mark.parametrize(
    "relative", ["copy/training10_0.tfrecords", "test10_data.npy", "old/test10_labels.npy"]
)
def test_a_file_that_stands_twice_is_refused_with_both_places(small_set, tmp_path, relative):
    source = small_set.write(tmp_path / "set")
    name = relative.split("/")[-1]
    first = next(source.rglob(name))
    (source / relative).parent.mkdir(exist_ok=True)
    (source / relative).write_bytes(first.read_bytes())
    said = refused(source, tmp_path / "store", "also at")
    assert str(first) in said
    assert str(source / relative) in said


def test_absent_training_files_are_noted(small_set, tmp_path):
    small_set.training[0] += small_set.training.pop(1)
    small_set.training.append([])
    source = small_set.write(tmp_path / "set")
    (source / TRAINING_PATHS[4]).unlink()
    store = merge_ddsm10(source, tmp_path / "store")
    assert "training file absent: training10_4.tfrecords" in store.meta["notes"]
    assert not [note for note in store.meta["notes"] if "training10_3" in note]
    assert store.meta["counts"] == SMALL_COUNTS


def test_an_absent_held_out_part_is_noted(small_set, tmp_path):
    source = small_set.write(tmp_path / "set")
    (source / "cv10_data" / "cv10_data.npy").unlink()
    (source / "cv10_labels.npy").unlink()
    store = merge_ddsm10(source, tmp_path / "store")
    assert "held-out part absent: cv10" in store.meta["notes"]
    assert store.meta["counts"] == {k: v for k, v in SMALL_COUNTS.items() if k != "cv10"}


@pytest.mark.parametrize(
    ("gone", "there"),
    [
        ("test10_labels.npy", "test10_data/test10_data.npy"),
        ("cv10_data/cv10_data.npy", "cv10_labels.npy"),
    ],
)
def test_an_array_without_its_other_half_is_refused(small_set, tmp_path, gone, there):
    source = small_set.write(tmp_path / "set")
    (source / gone).unlink()
    said = refused(source, tmp_path / "store", f"{gone.split('/')[-1]} is missing")
    assert str(source / there) in said


def test_a_missing_folder_is_refused(tmp_path):
    said = refused(tmp_path / "nowhere", tmp_path / "store", "no such folder")
    assert str(tmp_path / "nowhere") in said


@pytest.mark.parametrize("content", [None, "readme.txt"])
def test_a_folder_without_the_set_is_refused(tmp_path, content):
    (tmp_path / "set").mkdir()
    if content:
        (tmp_path / "set" / content).write_text("tiles elsewhere")
    said = refused(tmp_path / "set", tmp_path / "store", r"training10_0\.tfrecords")
    assert str(tmp_path / "set") in said


def test_files_are_found_in_the_order_of_their_numbers(small_set, tmp_path):
    training, held_out, notes = find_files(small_set.write(tmp_path / "set"))
    assert [path.name for path in training] == [f"training10_{i}.tfrecords" for i in range(5)]
    assert [part.name for part, _, _ in held_out] == ["test10", "cv10"]
    assert notes == []


# The store


def test_tiles_stand_in_order_with_all_columns(small_store):
    table = small_store.table
    assert set(table.columns) == set(COLUMNS)
    assert table["tile"].tolist()[:3] == [
        "training10_0/00000",
        "training10_0/00001",
        "training10_1/00000",
    ]
    assert table["tile"].tolist()[-3:] == ["cv10/00000", "cv10/00001", "cv10/00002"]
    assert table["source"].iloc[[0, 4, 10, 13]].tolist() == [
        FIRST,
        THIRD,
        "test10_data/test10_data.npy",
        "cv10_data/cv10_data.npy",
    ]


def test_both_held_out_parts_are_merged_and_keep_their_origin(small_store):
    table = small_store.table
    held_out = table[table["origin"] != "training"]
    assert held_out["origin"].tolist() == ["test10"] * 3 + ["cv10"] * 3
    assert sorted(held_out["label"]) == [0, 0, 1, 2, 3, 4]
    assert (held_out["filename"] == "").all()
    assert held_out["group"].is_unique


def test_pixels_stay_with_their_tile(small_set, small_store):
    images = [np.frombuffer(r["image"], np.uint8) for f in small_set.training for r in f]
    images += [image for part in small_set.held_out.values() for image in part[0]]
    for stored, image, digest in zip(
        small_store.images, images, small_store.table["digest"], strict=True
    ):
        assert (stored == image.reshape(TILE, TILE)).all()
        assert hashlib.sha256(image.tobytes()).hexdigest() == digest


def test_known_counts_of_the_kaggle_set_stand_beside_those_found(small_store):
    assert small_store.meta["known_counts"] == {
        "training": list(TRAINING_COUNTS),
        "test10": list(TEST10_COUNTS),
        "cv10": list(CV10_COUNTS),
    }
    assert counts_by_origin(small_store.table) == small_store.meta["counts"] == SMALL_COUNTS


def test_a_hand_made_set_is_not_called_simulated(small_store):
    assert not small_store.simulated


def test_a_simulated_set_brings_its_counts_patients_and_lesions(store, kaggle_folder):
    truth = PhantomTruth.open(kaggle_folder).table.set_index("tile").loc[store.table["tile"]]
    assert store.simulated
    assert store.meta["counts"] == store.meta["source"]["counts"]
    assert store.table["group"].tolist() == truth["patient"].tolist()
    assert store.table["lesion"].tolist() == truth["lesion"].tolist()
    assert "simulation" in " ".join(store.meta["notes"])


REMEDY = "; write the simulated set again"


def refused_truth(small_set, tmp_path, truth: bytes) -> str:
    """What is said of a simulated set with another truth beside it, after the file's name."""
    small_set.extra = {"truth/table.parquet": truth}
    source = small_set.write(tmp_path / "set")
    said = refused(source, tmp_path / "store", r"truth/table\.parquet")
    return said.removeprefix(f"{source}/truth/table.parquet: ")


def test_a_truth_that_lacks_tiles_is_refused(small_set, tmp_path, kaggle_folder):
    truth = (kaggle_folder / "truth" / "table.parquet").read_bytes()
    small_set.training[0] *= 200  # more tiles than the truth knows
    said = refused_truth(small_set, tmp_path, truth)
    assert said == f"lacks some of the tiles, or has one twice{REMEDY}"


def test_a_truth_without_patients_and_lesions_is_refused(small_set, tmp_path, kaggle_folder):
    truth = pd.read_parquet(kaggle_folder / "truth" / "table.parquet")
    lacking = truth.drop(columns=["patient", "lesion"]).to_parquet()
    said = refused_truth(small_set, tmp_path, lacking)
    assert said == f"columns missing: lesion, patient{REMEDY}"


def test_a_truth_that_is_no_parquet_file_is_refused(small_set, tmp_path):
    assert refused_truth(small_set, tmp_path, b"PAR1").endswith(REMEDY)


def test_progress_ends_at_all_tiles(small_set, tmp_path):
    seen = []
    merge_ddsm10(
        small_set.write(tmp_path / "set"), tmp_path / "store", lambda *step: seen.append(step)
    )
    assert seen == [(n, 16) for n in (2, 4, 6, 8, 10, 13, 16)]


def test_merging_twice_gives_the_same_digest(small_set, tmp_path):
    source = small_set.write(tmp_path / "set")
    first = merge_ddsm10(source, tmp_path / "store").digest
    assert merge_ddsm10(source, tmp_path / "store").digest == first
    assert merge_ddsm10(source, tmp_path / "other").digest == first


@pytest.mark.parametrize("change", ["pixel", "label"])
def test_another_pixel_or_label_gives_another_digest(small_set, tmp_path, change):
    first = merge_ddsm10(small_set.write(tmp_path / "set"), tmp_path / "store").digest
    images, labels = small_set.held_out["test10"]
    if change == "pixel":
        images[1, 5, 5, 0] += 1
    else:
        labels[0] = 2
    second = merge_ddsm10(small_set.write(tmp_path / "set"), tmp_path / "store").digest
    assert second != first


@pytest.mark.parametrize("dtype", [np.int32, np.uint8])
def test_labels_of_any_whole_number_type_and_in_a_column_are_read(small_set, tmp_path, dtype):
    images, labels = small_set.held_out["test10"]
    small_set.held_out["test10"] = images[..., 0], labels[:, np.newaxis].astype(dtype)
    store = merge_ddsm10(small_set.write(tmp_path / "set"), tmp_path / "store")
    assert store.meta["counts"] == SMALL_COUNTS


# File names


def utf32(name: str) -> bytes:
    return np.array(name, FILENAME_DTYPE).tobytes()


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (utf32("P_00098_RIGHT_MLO.jpg"), "P_00098_RIGHT_MLO.jpg"),
        (utf32("NORMAL"), "NORMAL"),
        (np.array("NORMAL").tobytes(), "NORMAL"),
        (b"P_00098_RIGHT_MLO.jpg", "P_00098_RIGHT_MLO.jpg"),
        (b"NORMAL\0\0", "NORMAL"),
        (utf32(""), ""),
        (b"", ""),
    ],
)
def test_file_names_are_decoded(value, name):
    assert decode_filename(value) == name


def test_a_name_that_is_no_text_is_refused_with_its_record(small_set, tmp_path):
    small_set.training[2][1]["filename"] = b"\xff\xfe\xfd"
    said = refused(small_set.write(tmp_path / "set"), tmp_path / "store", "record 1")
    assert THIRD in said


def test_a_name_tells_patient_side_view_group_and_lesion():
    assert describe("training10_0/00007", 4, "P_00098_RIGHT_MLO.jpg") == {
        "tile": "training10_0/00007",
        "label": 4,
        "group": "P_00098",
        "lesion": "P_00098_RIGHT_MLO/C5",
        "filename": "P_00098_RIGHT_MLO.jpg",
        "patient": "P_00098",
        "side": "RIGHT",
        "view": "MLO",
    }


def test_a_nameless_normal_is_a_group_of_its_own_without_a_lesion():
    for name in ("NORMAL", ""):
        entry = describe("training10_0/00007", 0, name)
        assert (entry["group"], entry["lesion"]) == ("training10_0/00007", "")
        assert (entry["patient"], entry["side"], entry["view"]) == ("", "", "")


def test_a_nameless_lesion_is_a_group_and_a_lesion_of_its_own():
    entry = describe("test10/00003", 2, "")
    assert entry["group"] == entry["lesion"] == "test10/00003"


def test_a_name_of_another_form_groups_by_its_stem():
    entry = describe("training10_0/00007", 2, "mdb025.pgm")
    assert (entry["group"], entry["lesion"], entry["patient"]) == ("mdb025", "mdb025/C3", "")


def test_crops_of_one_lesion_share_it_and_views_of_one_woman_share_the_group():
    crops = [describe(f"t/{i}", 4, "P_00001_LEFT_CC.jpg") for i in range(3)]
    other_view = describe("t/3", 4, "P_00001_LEFT_MLO.jpg")
    assert len({crop["lesion"] for crop in crops}) == 1
    assert other_view["lesion"] != crops[0]["lesion"]
    assert other_view["group"] == crops[0]["group"]


@pytest.mark.parametrize("encoding", ["utf-32-le", "utf-8"])
def test_recorded_names_reach_the_table(small_set, tmp_path, encoding):
    small_set.training[1][0]["filename"] = "P_00777_LEFT_MLO.jpg".encode(encoding)
    store = merge_ddsm10(small_set.write(tmp_path / "set"), tmp_path / "store")
    row = store.table.set_index("tile").loc["training10_1/00000"]
    assert row["filename"] == "P_00777_LEFT_MLO.jpg"
    assert (row["patient"], row["side"], row["view"]) == ("P_00777", "LEFT", "MLO")
    assert (row["group"], row["lesion"]) == ("P_00777", "P_00777_LEFT_MLO/C2")


def test_absent_names_are_counted_in_the_notes(small_set, tmp_path):
    del small_set.training[0][0]["filename"]
    small_set.training[3][1]["filename"] = b""
    store = merge_ddsm10(small_set.write(tmp_path / "set"), tmp_path / "store")
    assert "file name absent: 2 tiles" in store.meta["notes"]
    assert store.table.loc[[0, 7], "filename"].tolist() == ["", ""]


def test_extra_features_are_counted_in_the_notes(small_set, tmp_path):
    small_set.training[0][0]["height"] = 299
    small_set.training[4][1]["height"] = 299
    store = merge_ddsm10(small_set.write(tmp_path / "set"), tmp_path / "store")
    assert "extra feature 'height' passed over: 2 tiles" in store.meta["notes"]
    assert store.meta["counts"] == SMALL_COUNTS


def test_an_absent_label_normal_is_accepted(small_set, tmp_path):
    for features in small_set.training[0]:
        del features["label_normal"]
    store = merge_ddsm10(small_set.write(tmp_path / "set"), tmp_path / "store")
    assert store.meta["counts"] == SMALL_COUNTS


# Damaged records


RECORD_DEFECTS = {
    "label too high": ({"label": 5, "label_normal": 1}, "label 5"),
    "label negative": ({"label": -1, "label_normal": 0}, "label -1"),
    "label absent": ({"label": None}, "label None"),
    "label of bytes": ({"label": b"3"}, "label"),
    "infected normal": ({"label": 0}, "label_normal 1"),
    "healthy lesion": ({"label_normal": 0}, "label_normal 0"),
    "label_normal of neither": ({"label_normal": 2}, "label_normal 2"),
    "image too small": ({"image": bytes(TILE * TILE - 1)}, r"89400 bytes.*89,401"),
    "image of three channels": ({"image": bytes(3 * TILE * TILE)}, "268203 bytes"),
    "image empty": ({"image": b""}, "0 bytes"),
    "image absent": ({"image": None}, "no bytes"),
    "image a number": ({"image": 7}, "no bytes"),
}


@pytest.mark.parametrize(("change", "says"), RECORD_DEFECTS.values(), ids=RECORD_DEFECTS)
def test_a_wrong_record_is_refused_with_file_and_number(small_set, tmp_path, change, says):
    record = small_set.training[2][0]
    record.update(change)
    small_set.training[2] = [
        small_set.training[2][1],
        {name: value for name, value in record.items() if value is not None},
    ]
    source = small_set.write(tmp_path / "set")
    said = refused(source, tmp_path / "store", says)
    assert f"{source / THIRD}: record 1 " in said


def test_a_payload_that_is_no_example_is_refused(small_set, tmp_path):
    from birads_lib.tiles.tfrecord import frame

    source = small_set.write(tmp_path / "set")
    (source / THIRD).write_bytes(frame(b"\x0a\x7f\x00"))
    said = refused(source, tmp_path / "store", "not an example")
    assert f"{source / THIRD}: record 0 " in said


@pytest.mark.parametrize("keep", [-1, -50_000, 5])
def test_a_truncated_file_is_refused(small_set, tmp_path, keep):
    source = small_set.write(tmp_path / "set")
    (source / THIRD).write_bytes((source / THIRD).read_bytes()[:keep])
    said = refused(source, tmp_path / "store", "truncated")
    assert str(source / THIRD) in said


@pytest.mark.parametrize("position", [0, 7, 9, 500, -2])
def test_a_flipped_byte_is_refused(small_set, tmp_path, flip_byte, position):
    source = small_set.write(tmp_path / "set")
    flip_byte(source / THIRD, position)
    said = refused(source, tmp_path / "store", "record [01]")
    assert str(source / THIRD) in said


def test_a_file_of_zeros_is_refused(small_set, tmp_path):
    source = small_set.write(tmp_path / "set")
    (source / THIRD).write_bytes(bytes(1600))
    said = refused(source, tmp_path / "store", "record 0")
    assert str(source / THIRD) in said


# Damaged arrays


class Trap:
    """Unpickling this would make a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        import os

        return os.mkdir, (str(self.folder),)


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("test10_data.npy", content)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["test10_labels.npy", "test10_data/test10_data.npy"])
@pytest.mark.parametrize("how", ["pickle", "object array"])
def test_pickles_are_refused_and_not_run(small_set, tmp_path, name, how):
    source = small_set.write(tmp_path / "set")
    trap = Trap(tmp_path / "sprung")
    if how == "pickle":
        (source / name).write_bytes(pickle.dumps(trap))
    else:
        np.save(source / name, np.array([trap] * 3, dtype=object), allow_pickle=True)
    said = refused(source, tmp_path / "store", "refused")
    assert str(source / name) in said
    assert not (tmp_path / "sprung").exists()


def test_the_trap_of_the_test_above_would_spring(tmp_path):
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung")))
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["test10_labels.npy", "test10_data/test10_data.npy"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: whole[:30],
        lambda whole: whole[:-1],
        lambda whole: b"not an array at all",
        lambda whole: zipped(whole),
        lambda whole: zipped(whole)[:-30],
    ],
    ids=["empty", "half a header", "short", "text", "zipped", "half a zip"],
)
def test_damaged_arrays_are_refused(small_set, tmp_path, name, damage):
    source = small_set.write(tmp_path / "set")
    (source / name).write_bytes(damage((source / name).read_bytes()))
    said = refused(source, tmp_path / "store", r"\.npy")
    assert str(source / name) in said


ONE = (1, TILE, TILE, 1)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((3, TILE, TILE, 3), np.uint8),
        np.zeros((3, 200, 150), np.uint8),
        np.zeros((3, TILE * TILE), np.uint8),
        np.zeros((3, TILE, TILE), np.float32),
        np.zeros((), np.uint8),
    ],
    ids=["colour", "other size", "rows", "floats", "scalar"],
)
def test_images_of_another_form_are_refused(small_set, tmp_path, images):
    small_set.held_out["cv10"] = images, small_set.held_out["cv10"][1]
    source = small_set.write(tmp_path / "set")
    said = refused(source, tmp_path / "store", "expected uint8")
    assert str(source / "cv10_data" / "cv10_data.npy") in said


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (np.array([0, 1]), "expected 3 whole numbers"),
        (np.array([0, 1, 3, 3]), "expected 3 whole numbers"),
        (np.zeros((3, 5), np.int64), "expected 3 whole numbers"),
        (np.array(3), "expected 3 whole numbers"),
        (np.array([0.0, 1.0, 3.0]), "float64"),
        (np.array([0, 1, 5]), "label 5"),
        (np.array([0, 1, -1]), "label -1"),
    ],
    ids=["too few", "too many", "one-hot", "scalar", "floats", "too high", "negative"],
)
def test_labels_that_do_not_fit_are_refused(small_set, tmp_path, labels, says):
    small_set.held_out["cv10"] = small_set.held_out["cv10"][0], labels
    source = small_set.write(tmp_path / "set")
    said = refused(source, tmp_path / "store", says)
    assert str(source / "cv10_labels.npy") in said


@pytest.mark.parametrize("label", range(5))
def test_a_class_without_any_tile_is_refused(small_set, tmp_path, label):
    for file in small_set.training:
        kept = [features for features in file if features["label"] != label]
        file[:] = kept or small_set.training[1][:1]  # a file without any record is another fault
    for name, (images, labels) in small_set.held_out.items():
        small_set.held_out[name] = images[labels != label], labels[labels != label]
    source = small_set.write(tmp_path / "set")
    said = refused(source, tmp_path / "store", f"no tile of label {label} ")
    assert str(source) in said


# All or nothing


def test_nothing_half_written_remains_after_a_refusal(small_set, tmp_path):
    small_set.training[4][1]["label"] = 9
    source = small_set.write(tmp_path / "set")
    before = sorted(tmp_path.iterdir())
    refused(source, tmp_path / "store", "label 9")
    assert sorted(tmp_path.iterdir()) == before


def test_an_earlier_store_stays_intact_after_a_refusal(small_set, tmp_path, listing):
    source = small_set.write(tmp_path / "set")
    merge_ddsm10(source, tmp_path / "store")
    before = listing(tmp_path / "store")
    names = sorted(tmp_path.iterdir())
    small_set.held_out["cv10"][1][0] = 8
    refused(small_set.write(source), tmp_path / "store", "label 8")
    assert listing(tmp_path / "store") == before
    assert sorted(tmp_path.iterdir()) == names


def test_an_earlier_store_is_replaced_by_the_next(small_set, tmp_path):
    source = small_set.write(tmp_path / "set")
    merge_ddsm10(source, tmp_path / "store")
    small_set.training[0].append(small_set.training[1][0])
    merge_ddsm10(small_set.write(source), tmp_path / "store")
    assert len(TileStore.open(tmp_path / "store")) == 17
    assert sorted(p.name for p in tmp_path.iterdir()) == ["set", "store"]


def test_the_source_is_only_read(small_set, tmp_path, listing):
    source = small_set.write(tmp_path / "set")
    before = listing(source)
    merge_ddsm10(source, tmp_path / "store")
    assert listing(source) == before


@pytest.mark.parametrize("what", ["the set itself", "a folder of other things", "a file"])
def test_only_a_store_is_ever_replaced(small_set, tmp_path, listing, what):
    source = small_set.write(tmp_path / "set")
    if what == "a folder of other things":
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    elif what == "a file":
        (tmp_path / "mine").write_text("years of work")
    before = listing(tmp_path)
    target = source if what == "the set itself" else tmp_path / "mine"
    with pytest.raises(StudyError, match=re.escape(str(target))) as error:
        merge_ddsm10(source, target)
    assert "\n" not in str(error.value)
    assert listing(tmp_path) == before


# Real tiles


def test_real_tiles_merge_to_the_counts_their_readme_states(real_data, tmp_path):
    store = merge_ddsm10(real_data / "mias-in-ddsm10-layout", tmp_path / "store")
    assert len(store) == 504
    assert store.meta["counts"] == {
        "training": [246, 18, 69, 12, 42],
        "test10": [36, 0, 18, 0, 15],
        "cv10": [36, 9, 0, 3, 0],
    }
    assert not store.simulated


def test_three_crops_of_each_real_lesion_share_group_and_lesion(real_data, tmp_path):
    table = merge_ddsm10(real_data / "mias-in-ddsm10-layout", tmp_path / "store").table
    named = table[(table["label"] > 0) & (table["origin"] == "training")]
    assert (named["filename"] != "").all()
    assert (named.groupby("lesion").size() % 3 == 0).all()
    assert set(named.groupby("lesion")["group"].nunique()) == {1}


def test_merging_the_same_files_again_changes_nothing(small_set, tmp_path):
    source = small_set.write(tmp_path / "set")
    first = merge_ddsm10(source, tmp_path / "store")
    stamps = {path.name: path.stat().st_mtime_ns for path in first.path.iterdir()}
    again = merge_ddsm10(source, tmp_path / "store")
    assert again.digest == first.digest
    assert {path.name: path.stat().st_mtime_ns for path in first.path.iterdir()} == stamps


def test_a_changed_file_or_a_broken_store_is_merged_anew(small_set, tmp_path):
    source = small_set.write(tmp_path / "set")
    store = merge_ddsm10(source, tmp_path / "store")
    labels = source / CV10.labels
    changed = np.load(labels)
    changed[1] = 3
    np.save(labels, changed)
    other = merge_ddsm10(source, tmp_path / "store")
    assert other.digest != store.digest
    (store.path / "table.parquet").unlink()
    assert merge_ddsm10(source, tmp_path / "store").digest == other.digest


MERGES = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
from birads_lib.cli import main
from birads_lib.tiles import store
append = store.StoreWriter.append
def slow(self, images):
    append(self, images)
    print("writing", flush=True)
    import time; time.sleep(60)
store.StoreWriter.append = slow
sys.exit(main(["merge", sys.argv[1], sys.argv[2]]))
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_merge_leaves_no_store_and_the_next_one_succeeds(small_set, tmp_path, how):
    source, store = small_set.write(tmp_path / "set"), tmp_path / "out" / "store"
    command = [sys.executable, "-c", MERGES, str(source), str(store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as merge:
        assert merge.stdout.readline() == b"writing\n"
        merge.send_signal(how)
        _, said = merge.communicate(timeout=30)
    assert merge.returncode == (-how if how == signal.SIGKILL else 1)
    assert b"Traceback" not in said
    assert not store.exists()
    merge_ddsm10(source, store)
    assert [path.name for path in store.parent.iterdir()] == ["store"]
