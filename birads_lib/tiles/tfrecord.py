"""TFRecord files without TensorFlow: frames with their checksums, and the features inside.

A file is a sequence of frames: length (uint64), its masked CRC-32C (uint32),
payload, the payload's masked CRC-32C, all little-endian. A payload here is a
serialised ``tf.train.Example``, a protocol buffer that maps names to lists.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from birads_lib.errors import DataError

LENGTH = struct.Struct("<Q")
CRC = struct.Struct("<I")
HEADER_BYTES = LENGTH.size + CRC.size
FRAME_BYTES = HEADER_BYTES + CRC.size
MAX_PAYLOAD = 1 << 24  # bytes; a tile's record has about 90,000
READ_AHEAD = 6 << 20  # bytes; about 64 tiles, which stay in a processor's cache

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
BYTES_LIST, FLOAT_LIST, INT64_LIST = 1, 2, 3

Feature = int | bytes | None
"""First value of a feature; ``None`` for an empty list or one of floats."""


def masked_crc(data: bytes) -> int:
    """CRC-32C of ``data``, rotated and offset as TFRecord wants it."""
    return int(_masked(np.array([google_crc32c.value(data)], np.uint32))[0])


def _masked(crcs: NDArray[np.uint32]) -> NDArray[np.uint32]:
    rotated = np.bitwise_or(crcs >> 15, crcs << 17, dtype=np.uint32)
    return np.add(rotated, 0xA282EAD8, dtype=np.uint32)


def frame(payload: bytes) -> bytes:
    """Wrap one payload into a frame of ``len(payload) + 16`` bytes."""
    length = LENGTH.pack(len(payload))
    return length + CRC.pack(masked_crc(length)) + payload + CRC.pack(masked_crc(payload))


def read_blocks(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the payloads of a file, a run of equally long ones at a time, in order.

    Both checksums of every frame are verified. A run is at most ``READ_AHEAD`` bytes, or
    one frame where that is longer.

    Returns:
        Arrays uint8 (n, length), n >= 1; views of a buffer that the next array overwrites.

    Raises:
        DataError: A frame is truncated, a checksum is wrong, or a length is absurd.
    """
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        buffer = np.empty(min(READ_AHEAD, size), np.uint8)  # one: new pages cost more than CRCs
        index = start = 0
        while start < size:
            filled = os.preadv(file.fileno(), [buffer.data], start)
            used = 0
            while frames := _equal_frames(path, index, start + used, buffer[used:filled]):
                stride, count = frames
                block = buffer[used : used + count * stride].reshape(count, stride)
                _verify_payloads(path, index, start + used, block)
                yield block[:, HEADER_BYTES : -CRC.size]
                index += count
                used += count * stride
            if not used:
                length = _length_of_frame(path, index, start, size, buffer[:filled])
                buffer = np.empty(length, np.uint8)
            start += used


def read_payloads(path: Path) -> Iterator[bytes]:
    """Yield the payload of each frame of a file; as ``read_blocks``, one by one."""
    for block in read_blocks(path):
        for payload in block:
            yield payload.tobytes()


def _equal_frames(
    path: Path, index: int, start: int, content: NDArray[np.uint8]
) -> tuple[int, int] | None:
    """Length of the first frame and how many of that length follow; ``None`` if not whole."""
    if len(content) < HEADER_BYTES:
        return None
    stride = _payload_length(path, index, start, content[:HEADER_BYTES].tobytes()) + FRAME_BYTES
    whole = len(content) // stride
    if not whole:
        return None
    headers = content[: whole * stride].reshape(whole, stride)[:, :HEADER_BYTES]
    differs = (headers != headers[0]).any(axis=1)
    return stride, int(differs.argmax()) if differs.any() else whole


def _payload_length(path: Path, index: int, start: int, header: bytes) -> int:
    length, crc = LENGTH.unpack_from(header)[0], CRC.unpack_from(header, LENGTH.size)[0]
    if masked_crc(header[: LENGTH.size]) != crc or length > MAX_PAYLOAD:
        raise DataError(
            f"{_record(path, index, start)} has a wrong length checksum (damaged, or not an "
            "uncompressed TFRecord file); copy or download the file again"
        )
    return int(length)


def _verify_payloads(path: Path, index: int, start: int, frames: NDArray[np.uint8]) -> None:
    stated = np.ascontiguousarray(frames[:, -CRC.size :]).view("<u4")[:, 0]
    crcs = np.fromiter(
        map(google_crc32c.value, frames[:, HEADER_BYTES : -CRC.size]), np.uint32, len(frames)
    )
    wrong = np.flatnonzero(_masked(crcs) != stated)
    if len(wrong):
        first = int(wrong[0])
        raise DataError(
            f"{_record(path, index + first, start + first * frames.shape[1])} has a wrong data "
            "checksum (a byte has changed); copy or download the file again"
        )


def _length_of_frame(
    path: Path, index: int, start: int, size: int, content: NDArray[np.uint8]
) -> int:
    """Bytes of a frame that is longer than what was read; or the file ends within it."""
    needed = size
    if len(content) >= HEADER_BYTES:
        needed = FRAME_BYTES + _payload_length(path, index, start, content[:HEADER_BYTES].tobytes())
    if start + needed > size or needed <= len(content):
        raise DataError(
            f"{_record(path, index, start)} is truncated; copy or download the file again"
        )
    return needed


def _record(path: Path, index: int, start: int) -> str:
    return f"{path}: record {index} at byte {start}"


def count_records(path: Path) -> int:
    """Number of frames in a file, by their lengths alone; payloads are not read.

    Raises:
        DataError: The last frame is truncated or the checksum of a length is wrong.
    """
    size = path.stat().st_size
    count = position = length = 0
    checked = b""
    with open(path, "rb", buffering=0) as file:
        while position < size:
            file.seek(position)
            header = file.read(HEADER_BYTES)
            if len(header) == HEADER_BYTES and header != checked:  # most are alike
                length, checked = _payload_length(path, count, position, header), header
            following = position + length + FRAME_BYTES
            if len(header) < HEADER_BYTES or following > size:
                raise DataError(
                    f"{_record(path, count, position)} is truncated; copy or download the file "
                    "again"
                )
            count, position = count + 1, following
    return count


@dataclass(frozen=True)
class Examples:
    """Records of one build: the same features, each of the same length.

    Attributes:
        rows: Which records of the block, int64 (m,).
        features: First value of each feature: int64 (m,); uint8 (m, k), views into the
            block; or ``None`` for an empty list or one of floats.
    """

    rows: NDArray[np.int64]
    features: dict[str, NDArray[Any] | None]


class ExampleDecoder:
    """Decodes blocks of serialised ``tf.train.Example``, as few builds as there are.

    One record is parsed; all whose bytes outside of the values equal its own are built
    alike, so their values are columns of the block. The last build is remembered, for
    the next block is most likely of it too.
    """

    def __init__(self) -> None:
        self._build: _Build | None = None

    def __call__(self, payloads: NDArray[np.uint8]) -> Iterator[Examples]:
        """Decode equally long payloads, uint8 (n, length), as ``read_blocks`` gives.

        Raises:
            MalformedExampleError: A payload is not a well-formed example.
        """
        waiting, block = np.arange(len(payloads)), payloads
        while len(waiting):
            alike = self._alike(block)
            if not alike.any():
                self._build = _parse(block[0], int(waiting[0]))
                alike = self._alike(block)
            assert self._build is not None
            if alike.all():  # nearly always, and then nothing is copied
                yield Examples(waiting, self._build.columns(block))
                return
            yield Examples(waiting[alike], self._build.columns(block[alike]))
            waiting, block = waiting[~alike], block[~alike]

    def _alike(self, block: NDArray[np.uint8]) -> NDArray[np.bool_]:
        if self._build is None or self._build.length != block.shape[1]:
            return np.zeros(len(block), bool)
        return self._build.same(block)


class MalformedExampleError(ValueError):
    """A payload that is no ``tf.train.Example``; ``row`` is its place in the block."""

    def __init__(self, reason: str, row: int):
        super().__init__(reason)
        self.row = row


def decode_example(payload: bytes) -> dict[str, Feature]:
    """Decode one serialised ``tf.train.Example`` to the first value of each feature.

    Raises:
        ValueError: The payload is not a well-formed example.
    """
    spans = _value_spans(memoryview(payload))
    block = np.frombuffer(payload, np.uint8)[np.newaxis]
    values: dict[str, Feature] = {}
    for name, span in spans.items():
        column = _column(block, span)
        if column is None:
            values[name] = None
        else:
            values[name] = int(column[0]) if column.ndim == 1 else column[0].tobytes()
    return values


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


@dataclass(frozen=True)
class _Span:
    """Where a value stands in its payload: of ``kind``, bytes ``start`` to ``stop``."""

    kind: int
    start: int
    stop: int


def _value_spans(payload: memoryview) -> dict[str, _Span | None]:
    """Where the first value of each feature stands; ``None`` where there is none."""
    spans: dict[str, _Span | None] = {}
    for features in _messages(payload, 0, len(payload), 1):
        for entry in _messages(payload, features.start, features.stop, 1):
            parts = dict(_fields(payload, entry.start, entry.stop))
            name = b"" if 1 not in parts else bytes(payload[parts[1].start : parts[1].stop])
            spans[name.decode()] = _first_value(payload, parts[2]) if 2 in parts else None
    return spans


def _first_value(payload: memoryview, feature: _Span) -> _Span | None:
    for kind, content in _fields(payload, feature.start, feature.stop):
        if content.kind != BYTES:
            raise ValueError("a message was expected where a number stands")
        for field, value in _fields(payload, content.start, content.stop):
            packed = kind == INT64_LIST and value.kind == BYTES
            if field != 1 or (packed and value.start == value.stop):
                continue  # of no known list, or a packed list of none
            if kind == BYTES_LIST:
                return _Span(BYTES_LIST, value.start, value.stop)
            if kind == INT64_LIST:
                _, stop = _read_varint(payload, value.start, value.stop)
                return _Span(INT64_LIST, value.start, stop)
    return None


def _messages(payload: memoryview, start: int, stop: int, wanted: int) -> Iterator[_Span]:
    """The messages within a message that stand in field ``wanted``."""
    for field, span in _fields(payload, start, stop):
        if field == wanted:
            if span.kind != BYTES:
                raise ValueError("a message was expected where a number stands")
            yield span


def _fields(payload: memoryview, start: int, stop: int) -> Iterator[tuple[int, _Span]]:
    """Yield field number and value of a message; a span's ``kind`` is its wire type here."""
    position = start
    while position < stop:
        key, position = _read_varint(payload, position, stop)
        wire = key & 7
        if wire == VARINT:
            _, end = _read_varint(payload, position, stop)
        elif wire == BYTES:
            length, position = _read_varint(payload, position, stop)
            end = position + length
        elif wire in (FIXED32, FIXED64):
            end = position + (4 if wire == FIXED32 else 8)
        else:
            raise ValueError(f"wire type {wire} is not one of an example")
        if end > stop:
            raise ValueError("a field runs past the end of its message")
        yield key >> 3, _Span(wire, position, end)
        position = end


def _read_varint(payload: memoryview, position: int, stop: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if position >= stop or shift > 63:
            raise ValueError("a number runs past its end")
        byte = payload[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7


class _Build:
    """How a payload is built: where its values stand, and all bytes that are no value."""

    def __init__(self, payload: NDArray[np.uint8], spans: Mapping[str, _Span | None]):
        self.length, self.spans = len(payload), spans
        values = sorted((s.start, s.stop, s.kind) for s in spans.values() if s is not None)
        edges = [0, *(edge for start, stop, _ in values for edge in (start, stop)), len(payload)]
        self._fixed = _places(zip(edges[::2], edges[1::2], strict=True))
        self._numbers = _places((start, stop) for start, stop, kind in values if kind == INT64_LIST)
        self._fixed_bytes, self._number_bytes = payload[self._fixed], payload[self._numbers]

    def same(self, payloads: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Which payloads, uint8 (n, length), are built so, with numbers as long as here."""
        same = (payloads[:, self._fixed] == self._fixed_bytes).all(axis=1)
        return same & ((payloads[:, self._numbers] ^ self._number_bytes) < 0x80).all(axis=1)

    def columns(self, payloads: NDArray[np.uint8]) -> dict[str, NDArray[Any] | None]:
        """The values of payloads that are built so."""
        return {name: _column(payloads, span) for name, span in self.spans.items()}


def _parse(payload: NDArray[np.uint8], row: int) -> _Build:
    try:
        return _Build(payload, _value_spans(payload.data))
    except ValueError as error:
        raise MalformedExampleError(str(error), row) from None


def _places(ranges: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    return np.concatenate([np.arange(0), *(np.arange(start, stop) for start, stop in ranges)])


def _column(payloads: NDArray[np.uint8], span: _Span | None) -> NDArray[Any] | None:
    if span is None:
        return None
    values = payloads[:, span.start : span.stop]
    if span.kind == BYTES_LIST:
        return values
    if span.stop - span.start == 1:
        return values[:, 0].astype(np.int64)
    shifts = np.arange(span.stop - span.start, dtype=np.uint64) * np.uint64(7)
    parts = (values & np.uint8(0x7F)).astype(np.uint64) << shifts
    return np.bitwise_or.reduce(parts, axis=1).view(np.int64)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _delimited(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | BYTES) + _varint(len(content)) + content
