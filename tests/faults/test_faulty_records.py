"""TFRecord: cut at every boundary, single bits turned over, sizes that lie, other files."""

from __future__ import annotations

import gzip

import pytest
from damage import (
    append,
    cut,
    edited,
    flip,
    folder,
    frame,
    gone,
    itself,
    nowhere,
    pipe,
    put,
    stretch,
)
from watch import contents, watched

from birads_lib.cli import DONE, main
from birads_lib.tiles import TileStore
from birads_lib.tiles.layout import IMAGE_BYTES, TRAINING_PATHS
from birads_lib.tiles.tfrecord import encode_example

FILE = TRAINING_PATHS[2]
"""The file that is damaged; the others are sound."""
LENGTH, LENGTH_CRC, PAYLOAD = 0, 8, 12  # where the parts of a frame begin
IMAGE = bytes(IMAGE_BYTES)


def record(**features: int | bytes | None) -> bytes:
    """A record with right checksums; ``None`` leaves a feature out."""
    usual = {"label": 2, "image": IMAGE, "filename": b"P_00001_LEFT_CC.jpg", "label_normal": 1}
    given = {name: value for name, value in {**usual, **features}.items() if value is not None}
    return frame(encode_example(given))


SIZE = len(record(filename=bytes(84)))
"""Bytes of one record of the sound set; two of them are in the file."""
PAYLOAD_CRC = SIZE - 4

CUTS = {
    "nothing is left of it": (0, "holds no record"),
    "it ends within the first length": (5, "record 0 at byte 0 is truncated"),
    "it ends after the first length": (LENGTH_CRC, "record 0 at byte 0 is truncated"),
    "it ends within the checksum of the first length": (10, "record 0 at byte 0 is truncated"),
    "it ends before the first payload": (PAYLOAD, "record 0 at byte 0 is truncated"),
    "it ends within the first payload": (5000, "record 0 at byte 0 is truncated"),
    "it ends before the checksum of the first payload": (PAYLOAD_CRC, "record 0 .* truncated"),
    "it ends within the checksum of the first payload": (SIZE - 1, "record 0 .* truncated"),
    "it ends within the second length": (SIZE + 3, "record 1 at byte [0-9]+ is truncated"),
    "it lacks its last byte": (2 * SIZE - 1, "record 1 at byte [0-9]+ is truncated"),
}
FLIPS = {
    "a bit of a length is turned over": (LENGTH, "record 0 .* wrong length checksum"),
    "the highest bit of a length is turned over": (7, "record 0 .* wrong length checksum"),
    "a bit of a length's checksum is turned over": (LENGTH_CRC, "wrong length checksum"),
    "a bit of the message's structure is turned over": (PAYLOAD, "record 0 .* data checksum"),
    "a bit of a pixel is turned over": (40_000, "record 0 .* wrong data checksum"),
    "a bit of a payload's checksum is turned over": (PAYLOAD_CRC, "wrong data checksum"),
    "a bit of the last record is turned over": (-9, "record 1 .* wrong data checksum"),
}
OTHERS = {
    "it is compressed": (edited(gzip.compress), "record 0 .* not an uncompressed TFRecord"),
    "it is a ZIP archive": (put(b"PK\x03\x04" + bytes(400)), "record 0 .* wrong length checksum"),
    "it is text": (put("label,image\n" * 40), "record 0 .* wrong length checksum"),
    "it is an array": (put(b"\x93NUMPY" + bytes(400)), "record 0 .* wrong length checksum"),
    "it is zeros": (put(bytes(4096)), "record 0 .* wrong length checksum"),
    "it is a terabyte of zeros": (stretch(1 << 40), "record 2 .* wrong length checksum"),
    "text follows the records": (append(b"end of the file\n"), "record 2 .* length checksum"),
}
PLACES = {"is not there": gone, "is a pipe": pipe, "is a folder": folder}
LINKS = {"leads to nothing": nowhere, "leads to itself": itself}
ABSENT = f"note: training file absent: {FILE.rpartition('/')[2]}"
LIES = {
    "a record claims more than there is": (frame(b"x" * 90, 200), "record 2 .* truncated"),
    "a record claims a terabyte": (frame(b"", 1 << 40), "record 2 .* length checksum"),
    "a record claims the largest size": (frame(b"", (1 << 64) - 1), "record 2 .* length checksum"),
    "a record claims less than there is": (frame(b"x" * 90, 40), "record 3 .* checksum"),
    "a field claims more than its record": (frame(b"\x0a\xff\xff\x03\x00"), "past the end"),
    "a field claims more than 64 bits hold": (frame(b"\x0a" + b"\xff" * 12), "past its end"),
    "a record is empty": (frame(b""), "record 2 has an image of no bytes"),
    "a record is a letter": (frame(b"Dear reader"), "record 2 is not an example"),
}
VALUES = {
    "a label is 5": ({"label": 5}, "label 5; expected 0 to 4"),
    "a label is below 0": ({"label": -1, "label_normal": 0}, "label -1; expected 0 to 4"),
    "a label is as large as can be": ({"label": (1 << 63) - 1}, "label 9223372036854775807"),
    "a label is missing": ({"label": None}, "label None; expected 0 to 4"),
    "a label is text": ({"label": b"2"}, "label None; expected 0 to 4"),
    "the two labels contradict each other": ({"label_normal": 0}, "label 2 but label_normal 0"),
    "the second label is text": ({"label_normal": b"1"}, "label_normal that is no number"),
    "an image is missing": ({"image": None}, "image of no bytes; expected 89,401"),
    "an image lacks its last pixel": ({"image": IMAGE[:-1]}, "image of 89400 bytes"),
    "an image has 16 bits": ({"image": 2 * IMAGE}, "image of 178802 bytes"),
    "a name is no text": ({"filename": b"\xff\xfe\xfd"}, "record 2 is not an example"),
}


@pytest.mark.parametrize(("keep", "told"), CUTS.values(), ids=CUTS)
def test_a_cut_file_is_refused(kaggle_set, keep, told):
    kaggle_set.refuses(FILE, cut(keep), told)


@pytest.mark.parametrize(("byte", "told"), FLIPS.values(), ids=FLIPS)
def test_a_single_bit_is_noticed(kaggle_set, byte, told):
    kaggle_set.refuses(FILE, flip(byte, bit=3), told)


@pytest.mark.parametrize(("change", "told"), OTHERS.values(), ids=OTHERS)
def test_another_kind_of_file_is_refused(kaggle_set, change, told):
    kaggle_set.refuses(FILE, change, told)


@pytest.mark.parametrize("change", [*PLACES.values(), *LINKS.values()], ids=[*PLACES, *LINKS])
def test_what_is_no_file_is_told_as_absent_and_the_others_are_merged(kaggle_set, check, change):
    kaggle_set.write(kaggle_set.source)
    change(kaggle_set.source / FILE)
    before = contents(kaggle_set.source)
    with watched():
        code, printed, said = check.run("merge", kaggle_set.source, kaggle_set.out)
    assert (code, said.count("\n")) == (DONE, 1), said
    assert ABSENT in printed
    assert contents(kaggle_set.source) == before


@pytest.mark.parametrize(("lie", "told"), LIES.values(), ids=LIES)
def test_a_size_that_lies_is_refused(kaggle_set, lie, told):
    kaggle_set.refuses(FILE, append(lie), told)


@pytest.mark.parametrize(("features", "told"), VALUES.values(), ids=VALUES)
def test_a_record_that_cannot_be_is_refused(kaggle_set, features, told):
    kaggle_set.refuses(FILE, append(record(**features)), told)


def test_a_file_that_stands_twice_is_refused(kaggle_set):
    again = f"copy/{TRAINING_PATHS[2].rpartition('/')[2]}"
    kaggle_set.refuses(again, put(b""), "also at .*keep one of the two", blamed=FILE)


NAMES = {
    "a line break": ("P_00001_LEFT_CC\nbirads: all is well.jpg", "P_00001"),
    "a path upwards": ("../../../P_00001_LEFT_CC.jpg", "P_00001"),
    "an absolute path": ("/etc/passwd", "passwd"),
    "no letters": ("\t \r\n", "training10_2/00002"),
    "letters of other scripts": ("изображение_ﷺ.jpg", "изображение_ﷺ"),
    "a terminal's commands": ("\x1b[2Jgone.jpg", "\x1b[2Jgone"),
}


@pytest.mark.parametrize(("name", "group"), NAMES.values(), ids=NAMES)
def test_a_recorded_name_is_data_and_no_path_or_line(kaggle_set, tmp_path, capfd, name, group):
    kaggle_set.write(tmp_path / "set")
    append(record(filename=name.encode()))(tmp_path / "set" / FILE)
    assert main(["merge", str(tmp_path / "set"), str(tmp_path / "store")]) == 0
    assert "\x1b" not in "".join(capfd.readouterr())
    row = TileStore.open(tmp_path / "store").table.set_index("tile").loc["training10_2/00002"]
    assert (row["filename"], row["group"]) == (name, group)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set", "store"]


def test_a_record_with_a_thousand_features_is_read(kaggle_set, tmp_path):
    many = {f"extra{number}": number for number in range(1000)}
    kaggle_set.write(tmp_path / "set")
    append(record(**many))(tmp_path / "set" / FILE)
    assert main(["merge", str(tmp_path / "set"), str(tmp_path / "store")]) == 0
    assert len(TileStore.open(tmp_path / "store")) == 17
