"""TFRecord files without TensorFlow: frames with their checksums, and the features inside.

A file is a sequence of frames: length (uint64), its masked CRC-32C (uint32),
payload, the payload's masked CRC-32C, all little-endian. A payload here is a
serialised ``tf.train.Example``, a protocol buffer that maps names to lists.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import google_crc32c

from birads_lib.errors import DataError

LENGTH = struct.Struct("<Q")
CRC = struct.Struct("<I")
HEADER_BYTES = LENGTH.size + CRC.size
FRAME_BYTES = HEADER_BYTES + CRC.size
MAX_PAYLOAD = 1 << 30
READ_AHEAD = 1 << 20  # bytes

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
BYTES_LIST, FLOAT_LIST, INT64_LIST = 1, 2, 3

Feature = int | bytes | memoryview | None
"""First value of a feature; ``None`` for an empty list or one of floats."""


def masked_crc(data: bytes) -> int:
    """CRC-32C of ``data``, rotated and offset as TFRecord wants it."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def frame(payload: bytes) -> bytes:
    """Wrap one payload into a frame of ``len(payload) + 16`` bytes."""
    length = LENGTH.pack(len(payload))
    return length + CRC.pack(masked_crc(length)) + payload + CRC.pack(masked_crc(payload))


def read_payloads(path: Path) -> Iterator[bytes]:
    """Yield the payload of each frame of a file, both checksums verified.

    A file's frames are read one after another, so memory stays at one record.

    Raises:
        DataError: A frame is truncated, a checksum is wrong, or a length is absurd.
    """
    with open(path, "rb", buffering=READ_AHEAD) as file:
        index = start = 0
        while header := file.read(HEADER_BYTES):
            length = _payload_length(header)
            if length is None:
                raise DataError(
                    f"{_record(path, index, start)} is truncated or has a wrong length checksum "
                    "(damaged, or not an uncompressed TFRecord file); copy or download the file "
                    "again"
                )
            payload, crc = file.read(length), file.read(CRC.size)
            if len(crc) < CRC.size:
                raise DataError(
                    f"{_record(path, index, start)} is truncated; copy or download the file again"
                )
            if masked_crc(payload) != CRC.unpack(crc)[0]:
                raise DataError(
                    f"{_record(path, index, start)} has a wrong data checksum (a byte has "
                    "changed); copy or download the file again"
                )
            yield payload
            index += 1
            start += length + FRAME_BYTES


def _payload_length(header: bytes) -> int | None:
    """Length that a frame's header states; ``None`` if the header is not whole."""
    if len(header) < HEADER_BYTES:
        return None
    length, crc = LENGTH.unpack_from(header)[0], CRC.unpack_from(header, LENGTH.size)[0]
    whole = masked_crc(header[: LENGTH.size]) == crc and length <= MAX_PAYLOAD
    return int(length) if whole else None


def _record(path: Path, index: int, start: int) -> str:
    return f"{path}: record {index} at byte {start}"


def count_records(path: Path) -> int:
    """Number of frames in a file, by their lengths alone; payloads are not read.

    Raises:
        DataError: The last frame is truncated or a length leads past the end.
    """
    size = path.stat().st_size
    count = position = 0
    with open(path, "rb", buffering=0) as file:
        while position < size:
            file.seek(position)
            header = file.read(LENGTH.size)
            length = LENGTH.unpack(header)[0] if len(header) == LENGTH.size else size
            position += length + FRAME_BYTES
            if position > size:
                raise DataError(
                    f"{path}: record {count} is truncated or its length is damaged; "
                    "copy or download the file again"
                )
            count += 1
    return count


def decode_example(payload: bytes | memoryview) -> dict[str, Feature]:
    """Decode a serialised ``tf.train.Example`` to the first value of each feature.

    Byte features come back as views into ``payload``, integers as signed 64-bit.

    Raises:
        ValueError: The payload is not a well-formed example.
    """
    features: dict[str, Feature] = {}
    for field, value in _fields(memoryview(payload)):
        if field != 1 or isinstance(value, int):
            continue
        for _, entry in _fields(value):
            parts = dict(_fields(_as_view(entry)))
            name = bytes(_as_view(parts.get(1, memoryview(b"")))).decode()
            features[name] = _first_value(_as_view(parts.get(2, memoryview(b""))))
    return features


def encode_example(features: Mapping[str, int | bytes]) -> bytes:
    """Serialise single-valued features as a ``tf.train.Example``, in the order given."""
    entries = b""
    for name, value in features.items():
        if isinstance(value, int):
            kind, item = INT64_LIST, _delimited(1, _varint(value & 0xFFFFFFFFFFFFFFFF))
        else:
            kind, item = BYTES_LIST, _delimited(1, value)
        entry = _delimited(1, name.encode()) + _delimited(2, _delimited(kind, item))
        entries += _delimited(1, entry)
    return _delimited(1, entries)


def _first_value(feature: memoryview) -> Feature:
    for kind, content in _fields(feature):
        for field, value in _fields(_as_view(content)):
            if field != 1:
                continue
            if kind == BYTES_LIST:
                return value
            if kind == INT64_LIST:
                if isinstance(value, memoryview) and not len(value):
                    continue  # a packed list of none
                number = value if isinstance(value, int) else _read_varint(value, 0)[0]
                return number - (1 << 64) if number >> 63 else number
    return None


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield ``(field number, value)`` of a protocol buffer message."""
    position, end = 0, len(message)
    while position < end:
        key, position = _read_varint(message, position)
        wire = key & 7
        if wire == VARINT:
            value, position = _read_varint(message, position)
            yield key >> 3, value
            continue
        if wire == BYTES:
            length, position = _read_varint(message, position)
        elif wire in (FIXED32, FIXED64):
            length = 4 if wire == FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire} is not one of an example")
        if position + length > end:
            raise ValueError("a field runs past the end of its message")
        yield key >> 3, message[position : position + length]
        position += length


def _as_view(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a message was expected where a number stands")
    return value


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if position >= len(message) or shift > 63:
            raise ValueError("a number runs past its end")
        byte = message[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _delimited(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | BYTES) + _varint(len(content)) + content
