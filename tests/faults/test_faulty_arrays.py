"""Arrays (``.npy``): cut, headers that lie or are no header, other types, pickles, archives."""

from __future__ import annotations

import io
import os
import pickle
import struct

import numpy as np
import pytest
from damage import array, claim, cut, each, edited, flip, folder, npy, pipe, put, stretch, swap
from watch import watched

from birads_lib.errors import DataError
from birads_lib.tiles import TileStore
from birads_lib.tiles.layout import TEST10
from birads_lib.tiles.store import load_array

IMAGES, LABELS = TEST10.data, TEST10.labels
STEP = 5
HEADER = 128  # bytes of the headers that numpy writes here
TILES = (3, 299, 299, 1)
REFUSED = r"refused \(truncated, or no \.npy file\); give the unchanged file"
PICKLED = r"refused \(pickled objects\); give the unchanged file"


class Trap:
    """Unpickling this makes a file in the working directory."""

    def __reduce__(self):
        return os.system, ("touch sprung",)


def archive() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, np.zeros(TILES, np.uint8))
    return buffer.getvalue()


CUTS = {
    "nothing is left of it": 0,
    "it ends within the magic bytes": 3,
    "it ends before the version": 6,
    "it ends before the length of the header": 8,
    "it ends within the header": 60,
    "it ends after the header": HEADER,
    "it ends within the first tile": 5000,
    "it lacks its last byte": -1,
}
LIES = {
    "it claims a million million tiles": "(1000000000000, 299, 299, 1)",
    "it claims more tiles than 64 bits count": "(9223372036854775807, 299, 299, 1)",
    "it claims so many tiles that their bytes come out small": "(18446744073709551619, 299, 299)",
    "it claims tiles that multiply to a small number": "(4294967296, 4294967296, 299, 299)",
    "it claims fewer than no tiles": "(-1, 299, 299, 1)",
    "it claims one tile more than there is": "(4, 299, 299, 1)",
    "it claims a thousand axes": f"({'1, ' * 1000})",
    "its shape is a list": "[3, 299, 299, 1]",
    "its shape is text": "'(3, 299, 299, 1)'",
    "its shape is of fractions": "(3.0, 299, 299, 1)",
}
HEADERS = {
    "its header is empty": npy(""),
    "its header is no dictionary": npy("[1, 2, 3]\n"),
    "its header lacks an entry": npy("{'descr': '|u1', 'shape': (3,)}\n"),
    "its header calls a function": npy("{'descr': open('sprung', 'w'), 'shape': ()}\n"),
    "its header never closes its brackets": npy("{'descr': '|u1', 'shape': (3,\n"),
    "its header nests a thousand brackets": npy("(" * 1000 + ")" * 1000),
    "its header is as long as can be": npy("x" * 65_535),
    "its header claims a longer header": npy("{}")[:8] + b"\xff\xff" + bytes(100),
    "its header claims 4 GB of header": npy("{}", version=b"\x02\x00")[:8] + b"\xff" * 4,
    "its header is no text": npy("{}", version=b"\x03\x00")[:10] + b"\x00\x00\xff\xfe\xfd",
    "its version is unknown": npy("{}", version=b"\x09\x00"),
    "its type is unknown": claim("(3, 299, 299, 1)", "teapot"),
    "its type has no size": claim("(3, 299, 299, 1)", "|V0"),
}
TYPES = {
    "it holds fractions": (np.zeros(TILES, np.float32), "float32"),
    "it holds what is no number": (np.full(TILES, np.nan), "float64"),
    "it holds infinity": (np.full(TILES, np.inf, np.float16), "float16"),
    "it holds 16 bits": (np.zeros(TILES, np.uint16), "uint16"),
    "it holds 16 bits, the high byte first": (np.zeros(TILES, ">u2"), ">u2"),
    "it holds signed numbers": (np.zeros(TILES, np.int8), "int8"),
    "it holds yes and no": (np.zeros(TILES, bool), "bool"),
    "it holds complex numbers": (np.zeros(TILES, np.complex64), "complex64"),
    "it holds text": (np.full(TILES, "grey"), "<U4"),
    "it holds records": (np.zeros(TILES, [("grey\nlevel", np.uint8)]), "grey"),
    "it holds colours": (np.zeros((3, 299, 299, 3), np.uint8), r"\(3, 299, 299, 3\)"),
    "it holds tiles of another size": (np.zeros((3, 150, 200), np.uint8), r"\(3, 150, 200\)"),
    "it holds one tile without an axis": (np.zeros((299, 299), np.uint8), r"\(299, 299\)"),
    "it holds one number": (np.zeros((), np.uint8), r"uint8 \(\)"),
}
OTHERS = {
    "it is a pickle": (put(pickle.dumps(Trap())), REFUSED),
    "it holds objects": (array(np.array([Trap()] * 3, object)), PICKLED),
    "it holds records of objects": (array(np.zeros(3, [("x", object)])), PICKLED),
    "it claims objects": (put(claim("(3, 299, 299, 1)", "|O", pickle.dumps(Trap()))), PICKLED),
    "it is an archive of arrays": (put(archive()), "an archive, not one array"),
    "it is half an archive": (put(archive()[:-60]), REFUSED),
    "it is a terabyte of zeros": (each(put(b""), stretch(1 << 40)), "refused"),
    "its magic bytes are another's": (put(b"\x93NUMPZ" + bytes(200)), "refused"),
    "it is text": (put("a letter"), "refused"),
}
LABELLED = {
    "labels are fewer than tiles": (np.array([0, 2]), "expected 3 whole numbers"),
    "labels are more than tiles": (np.array([0, 2, 4, 4]), "expected 3 whole numbers"),
    "labels are one-hot": (np.eye(3, 5, dtype=np.int64), "expected 3 whole numbers"),
    "labels are fractions": (np.array([0.0, 2.0, 4.0]), "float64"),
    "labels are no numbers": (np.array([0, np.nan, 4]), "float64"),
    "a label is 5": (np.array([0, 2, 5]), "label 5 found; expected 0 to 4"),
    "a label is below 0": (np.array([0, 2, -1]), "label -1 found"),
    "a label is as large as can be": (np.array([0, 2, 2**64 - 1], np.uint64), "label -1 found"),
    "labels are times": (np.array([0, 2, 4], "M8[s]"), "datetime64"),
}
LABEL_FILES = {
    "labels claim the other order of bytes": (swap("'<i8'", "'>i8'"), "label [0-9-]+ found"),
    "labels claim a million million rows": (put(claim("(1000000000000,)", "<i8")), REFUSED),
    "labels claim fewer than no rows": (put(claim("(-1,)", "<i8", bytes(24))), REFUSED),
    "labels are a pickle": (put(pickle.dumps([Trap()])), REFUSED),
    "labels are cut": (cut(-1), REFUSED),
}


@pytest.mark.parametrize("keep", CUTS.values(), ids=CUTS)
def test_a_cut_array_is_refused(kaggle_set, keep):
    kaggle_set.refuses(IMAGES, cut(keep), REFUSED)


@pytest.mark.parametrize("shape", LIES.values(), ids=LIES)
def test_a_shape_that_lies_is_refused(kaggle_set, shape):
    tiles = edited(lambda content: claim(shape, data=content[HEADER:]))
    kaggle_set.refuses(IMAGES, tiles, REFUSED)


@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
def test_a_header_that_is_none_is_refused(kaggle_set, content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kaggle_set.refuses(IMAGES, put(content), "test10_data")


@pytest.mark.parametrize(("values", "told"), TYPES.values(), ids=TYPES)
def test_an_array_of_another_type_is_refused(kaggle_set, values, told):
    kaggle_set.refuses(IMAGES, array(values), f"{told}.*; expected uint8")


@pytest.mark.parametrize(("change", "told"), OTHERS.values(), ids=OTHERS)
def test_what_is_no_array_is_refused_and_nothing_in_it_runs(
    kaggle_set, change, told, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    kaggle_set.refuses(IMAGES, change, told)
    assert not (tmp_path / "sprung").exists()


def test_a_pipe_is_no_array_and_nobody_waits_for_it(kaggle_set):
    kaggle_set.refuses(IMAGES, pipe, r"test10_data\.npy is missing; copy it", blamed=LABELS)


def test_the_trap_would_spring(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Trap()))
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize(("values", "told"), LABELLED.values(), ids=LABELLED)
def test_labels_that_cannot_be_are_refused(kaggle_set, values, told):
    kaggle_set.refuses(LABELS, array(values), told)


@pytest.mark.parametrize(("change", "told"), LABEL_FILES.values(), ids=LABEL_FILES)
def test_a_damaged_file_of_labels_is_refused(kaggle_set, change, told):
    kaggle_set.refuses(LABELS, change, told)


def test_tiles_column_by_column_are_the_same_tiles(kaggle_set, small_set, tmp_path):
    kaggle_set.succeeds()
    images, labels = small_set.held_out["test10"]
    small_set.held_out["test10"] = np.asfortranarray(images), labels.astype(">i4")
    small_set.write(tmp_path / "turned")
    code, _, said = kaggle_set.check.run("merge", tmp_path / "turned", tmp_path / "store")
    assert code == 0, said
    turned, usual = TileStore.open(tmp_path / "store"), TileStore.open(kaggle_set.out)
    assert turned.digest == usual.digest
    assert (np.asarray(turned.images) == np.asarray(usual.images)).all()


def test_no_bit_of_a_header_makes_reading_fail_otherwise(tmp_path):
    """Every fifth of its bits turned over: the array is refused, or one comes out."""
    path = tmp_path / "labels.npy"
    np.save(path, np.arange(6))
    whole, refused, read = path.read_bytes(), [], []
    with watched():
        for bit in range(0, 8 * HEADER, STEP):
            path.write_bytes(whole)
            flip(bit // 8, bit % 8)(path)
            try:
                read.append(load_array(path).nbytes)
            except DataError as error:
                refused.append(str(error))
    assert all(size <= len(whole) for size in read)
    assert all("give the unchanged file" in line for line in refused)
    assert len(refused) > 4 * HEADER / STEP


def test_an_array_that_grows_or_shrinks_is_read_as_it_claims(tmp_path):
    """A file longer than its header says holds what the header says."""
    path = tmp_path / "labels.npy"
    np.save(path, np.arange(6))
    whole = path.read_bytes()
    path.write_bytes(whole + struct.pack("<q", 7))
    assert load_array(path).tolist() == [0, 1, 2, 3, 4, 5]


def test_a_folder_called_like_an_array_is_none(tmp_path, check):
    (tmp_path / "tiles.npy").write_text("")
    folder(tmp_path / "tiles.npy")
    said = ["predict", tmp_path / "model", tmp_path / "tiles.npy"]
    check.refuses(said, tmp_path / "tiles.npy", "no file but a folder")
