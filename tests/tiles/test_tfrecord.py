"""TFRecord frames and examples, read and written without TensorFlow."""

from __future__ import annotations

import itertools
import struct

import numpy as np
import pytest

from birads_lib.errors import DataError
from birads_lib.tiles import tfrecord
from birads_lib.tiles.tfrecord import (
    FRAME_BYTES,
    HEADER_BYTES,
    count_records,
    decode_example,
    encode_example,
    frame,
    masked_crc,
    read_blocks,
    read_payloads,
)

PAYLOADS = (b"first payload", b"", b"the third and longest of the payloads")
VALUES = {"label": 3, "image": bytes(range(256)), "filename": b"", "far": -(1 << 63)}


def write_frames(path, payloads=PAYLOADS):
    path.write_bytes(b"".join(map(frame, payloads)))
    return path


def read_all(path) -> list[bytes]:
    return [bytes(payload) for payload in read_payloads(path)]


def message(field: int, content: bytes, wire: int = 2) -> bytes:
    """One field of a protocol buffer, of less than 128 bytes."""
    return bytes([field << 3 | wire]) + (bytes([len(content)]) if wire == 2 else b"") + content


def example(feature: bytes) -> bytes:
    """An example with one feature ``x`` of the given serialised content."""
    entry = message(1, b"x") + message(2, feature)
    return message(1, message(1, entry))


# Frames


def test_payloads_come_back_in_order(tmp_path):
    path = write_frames(tmp_path / "three.tfrecords")
    assert read_all(path) == list(PAYLOADS)
    assert count_records(path) == 3


def test_blocks_are_views_of_one_buffer_until_a_frame_outgrows_it(tmp_path, monkeypatch):
    monkeypatch.setattr(tfrecord, "READ_AHEAD", 2 * (50 + FRAME_BYTES))
    payloads = [bytes([number]) * 50 for number in range(6)]
    blocks = read_blocks(write_frames(tmp_path / "six.tfrecords", payloads))
    buffers, seen = [], []
    for block in blocks:
        buffers.append(block.base)
        seen += [payload.tobytes() for payload in block]
    assert seen == payloads
    assert len(buffers) == 3
    assert all(np.shares_memory(buffer, buffers[0]) for buffer in buffers)


def test_a_frame_longer_than_the_buffer_is_read_into_a_longer_one(tmp_path, monkeypatch):
    monkeypatch.setattr(tfrecord, "READ_AHEAD", 40)
    payloads = [b"short", b"long" * 30, b"short again"]
    assert read_all(write_frames(tmp_path / "three.tfrecords", payloads)) == payloads


def test_a_frame_is_length_checksum_payload_checksum():
    framed = frame(b"123456789")
    assert len(framed) == 9 + FRAME_BYTES
    assert struct.unpack_from("<Q", framed) == (9,)
    assert framed[HEADER_BYTES:-4] == b"123456789"


def test_checksum_is_the_masked_crc32c():
    crc = 0xE3069283  # of "123456789", the check value that the CRC catalogue gives
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert masked_crc(b"123456789") == masked


def test_an_empty_file_holds_no_record(tmp_path):
    path = write_frames(tmp_path / "none.tfrecords", [])
    assert read_all(path) == []
    assert count_records(path) == 0


def test_records_before_a_damaged_one_are_still_read(tmp_path, flip_byte):
    path = write_frames(tmp_path / "damaged.tfrecords")
    flip_byte(path, -1)
    payloads = read_payloads(path)
    assert [bytes(p) for p in itertools.islice(payloads, 2)] == list(PAYLOADS[:2])
    with pytest.raises(DataError):
        next(payloads)


CUTS = {
    "after one byte of the length": 1,
    "after the length": 8,
    "within the length's checksum": 10,
    "after the length's checksum": HEADER_BYTES,
    "within the payload": HEADER_BYTES + 5,
    "after the payload": HEADER_BYTES + len(PAYLOADS[2]),
    "within the payload's checksum": HEADER_BYTES + len(PAYLOADS[2]) + 3,
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_a_truncated_record_is_named(tmp_path, cut):
    path = write_frames(tmp_path / "short.tfrecords")
    whole = sum(len(payload) + FRAME_BYTES for payload in PAYLOADS[:2])
    path.write_bytes(path.read_bytes()[: whole + cut])
    for read in (read_all, count_records):
        with pytest.raises(DataError, match=r"short\.tfrecords: record 2 .*truncated") as error:
            read(path)
        assert "\n" not in str(error.value)


MIDDLE = len(PAYLOADS[0]) + FRAME_BYTES  # where the second of three like frames starts
PARTS = {
    "length": range(8),
    "length checksum": range(8, HEADER_BYTES),
    "payload": range(HEADER_BYTES, HEADER_BYTES + len(PAYLOADS[0])),
    "data checksum": range(HEADER_BYTES + len(PAYLOADS[0]), MIDDLE),
}


@pytest.mark.parametrize("part", PARTS)
def test_every_flipped_byte_is_noticed_and_its_record_named(tmp_path, flip_byte, part):
    path = tmp_path / "flipped.tfrecords"
    for position in PARTS[part]:
        write_frames(path, [PAYLOADS[0]] * 3)
        flip_byte(path, MIDDLE + position)
        with pytest.raises(DataError, match=r"flipped\.tfrecords: record 1 ") as error:
            read_all(path)
        assert "\n" not in str(error.value)


def test_a_single_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "bit.tfrecords"
    whole = frame(PAYLOADS[0])
    for bit in range(8 * len(whole)):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        with pytest.raises(DataError, match="record 0"):
            read_all(path)


@pytest.mark.parametrize("content", [b"\x1f\x8b" + bytes(60), bytes(64), b"label,image\n" * 9])
def test_what_is_no_tfrecord_is_refused(tmp_path, content):
    path = tmp_path / "other.tfrecords"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"other\.tfrecords: record 0 .*checksum"):
        read_all(path)


def test_an_absurd_length_with_a_right_checksum_is_refused_before_reading(tmp_path):
    length = struct.pack("<Q", 1 << 40)
    path = tmp_path / "absurd.tfrecords"
    path.write_bytes(length + struct.pack("<I", masked_crc(length)) + bytes(100))
    for read in (read_all, count_records):
        with pytest.raises(DataError, match="record 0"):
            read(path)


# Examples


def test_an_example_comes_back_in_its_order():
    decoded = decode_example(encode_example(VALUES))
    assert list(decoded) == list(VALUES)
    assert decoded["image"] == VALUES["image"]
    assert decoded["filename"] == b""
    assert (decoded["label"], decoded["far"]) == (3, -(1 << 63))


@pytest.mark.parametrize("number", [0, 1, 127, 128, -1, -129, (1 << 63) - 1, -(1 << 63)])
def test_integers_keep_their_sign(number):
    assert decode_example(encode_example({"x": number})) == {"x": number}


FEATURES = {
    "two byte strings": (message(1, message(1, b"ab") + message(1, b"cd")), b"ab"),
    "two packed integers": (message(3, message(1, bytes([5, 6]))), 5),
    "two integers, not packed": (message(3, message(1, b"\x07", 0) + message(1, b"\x08", 0)), 7),
    "packed floats": (message(2, message(1, struct.pack("<2f", 1, 2))), None),
    "a float, not packed": (message(2, message(1, struct.pack("<f", 1), 5)), None),
    "no byte strings": (message(1, b""), None),
    "no floats": (message(2, b""), None),
    "no integers": (message(3, b""), None),
    "no integers, packed": (message(3, message(1, b"")), None),
    "no list": (b"", None),
}


@pytest.mark.parametrize(("feature", "first"), FEATURES.values(), ids=FEATURES)
def test_the_first_value_of_a_feature_is_given(feature, first):
    assert decode_example(example(feature)) == {"x": first}


def test_fields_of_later_versions_are_passed_over():
    integers = message(3, message(9, b"later") + message(1, b"\x05") + message(8, bytes(8), 1))
    assert decode_example(example(integers)) == {"x": 5}
    later = message(7, b"later") + message(6, b"\x01", 0) + message(5, bytes(4), 5)
    assert decode_example(later + example(integers)) == {"x": 5}


BROKEN = {
    "an unknown wire type": message(1, b"", 3),
    "a reserved wire type": message(1, b"", 7),
    "a field past the end": b"\x0a\x7f\x00",
    "a number without end": b"\x0a" + b"\xff" * 12,
    "a number cut off": b"\x0a\x80",
    "a fixed field past the end": message(1, b"\x00", 1),
    "a feature that is a number": message(1, message(1, b"\x05", 0)),
    "a name that is not text": message(1, message(1, message(1, b"\xff\xfe"))),
}


@pytest.mark.parametrize("payload", BROKEN.values(), ids=BROKEN)
def test_a_malformed_example_is_refused(payload):
    with pytest.raises(ValueError, match=r"."):
        decode_example(payload)


# TensorFlow


def test_tensorflow_reads_what_is_written_and_writes_what_is_read(tmp_path):
    import tensorflow as tf

    ours, theirs = tmp_path / "ours.tfrecords", tmp_path / "theirs.tfrecords"
    write_frames(ours, [encode_example(VALUES), b"", bytes(1000)])
    read = [record.numpy() for record in tf.data.TFRecordDataset(str(ours))]
    assert read == [encode_example(VALUES), b"", bytes(1000)]

    feature = tf.train.Example.FromString(read[0]).features.feature
    assert set(feature) == set(VALUES)
    for name, value in VALUES.items():
        kind = "int64_list" if isinstance(value, int) else "bytes_list"
        assert list(getattr(feature[name], kind).value) == [value]

    theirs_example = tf.train.Example(
        features=tf.train.Features(
            feature={
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[-4, 9])),
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"a" * 300, b"b"])),
                "scale": tf.train.Feature(float_list=tf.train.FloatList(value=[0.5])),
                "none": tf.train.Feature(int64_list=tf.train.Int64List()),
                "unset": tf.train.Feature(),
            }
        )
    )
    with tf.io.TFRecordWriter(str(theirs)) as writer:
        writer.write(theirs_example.SerializeToString())
        writer.write(b"second")
    payloads = list(read_payloads(theirs))
    assert decode_example(payloads[0]) == {
        "label": -4,
        "image": b"a" * 300,
        "scale": None,
        "none": None,
        "unset": None,
    }
    assert bytes(payloads[1]) == b"second"
    assert count_records(theirs) == 2

    for name in ("no integers, packed", "two integers, not packed", "two packed integers"):
        spelled, first = FEATURES[name]
        parsed = tf.train.Example.FromString(bytes(example(spelled))).features.feature["x"]
        assert next(iter(parsed.int64_list.value), None) == first, name
