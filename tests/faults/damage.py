"""What can happen to a file: each function gives a change that is made to a path.

change = flip(12, bit=3)                # turns over one bit of byte 12
change(tmp_path / "set" / "scan.dcm")
"""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import google_crc32c
import numpy as np

Change = Callable[[Path], None]
"""Damages the file or folder at a path."""


def edited(edit: Callable[[bytes], bytes]) -> Change:
    """Gives the file another content, made from its own."""

    def change(path: Path) -> None:
        path.write_bytes(edit(path.read_bytes()))

    return change


def cut(keep: int) -> Change:
    """Keeps the first bytes alone; a negative number leaves out so many at the end."""
    return edited(lambda content: content[:keep])


def flip(byte: int, bit: int = 0) -> Change:
    """Turns over one bit; a negative byte counts from the end."""

    def edit(content: bytes) -> bytes:
        changed = bytearray(content)
        changed[byte] ^= 1 << bit
        return bytes(changed)

    return edited(edit)


def put(content: bytes | str) -> Change:
    """Puts a file of another content there."""
    raw = content.encode() if isinstance(content, str) else content

    def change(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)

    return change


def swap(old: bytes | str, new: bytes | str) -> Change:
    """Replaces the first place of some bytes, which must be there."""
    before, after = (x.encode() if isinstance(x, str) else x for x in (old, new))

    def edit(content: bytes) -> bytes:
        assert before in content
        return content.replace(before, after, 1)

    return edited(edit)


def append(content: bytes) -> Change:
    """Adds bytes at the end."""
    return edited(lambda own: own + content)


def stretch(size: int) -> Change:
    """Makes the file as large as that, the new bytes zero; it takes no room on the disk."""
    return lambda path: os.truncate(path, size)


def array(values: object) -> Change:
    """Puts an array there, as ``numpy.save`` writes it."""

    def change(path: Path) -> None:
        with path.open("wb") as file:
            np.lib.format.write_array(file, np.asarray(values), allow_pickle=True)

    return change


def pipe(path: Path) -> None:
    """Puts a pipe there, which nobody writes into: who opens it waits for ever."""
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    """Puts an empty folder there."""
    path.unlink()
    path.mkdir()


def gone(path: Path) -> None:
    """Removes it."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def nowhere(path: Path) -> None:
    """Puts a symbolic link there that leads to nothing."""
    path.unlink()
    path.symlink_to("not/there")


def itself(path: Path) -> None:
    """Puts a symbolic link there that leads to itself."""
    path.unlink()
    path.symlink_to(path.name)


def each(*changes: Change) -> Change:
    """Makes several changes, one after another."""

    def change(path: Path) -> None:
        for one in changes:
            one(path)

    return change


# Formats


def frame(payload: bytes, length: int | None = None) -> bytes:
    """A TFRecord frame whose checksums are right, whatever length it states.

    Written from the format's description and not with the reader's own functions.
    """
    stated = (len(payload) if length is None else length).to_bytes(8, "little")
    return stated + _masked_crc(stated) + payload + _masked_crc(payload)


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return ((rotated + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """A ``.npy`` file with a header of any text."""
    width = 2 if version[0] == 1 else 4
    return b"\x93NUMPY" + version + len(header).to_bytes(width, "little") + header.encode() + data


def claim(shape: str, dtype: str = "|u1", data: bytes = b"", fortran: bool = False) -> bytes:
    """A ``.npy`` file that claims a shape and a type."""
    return npy(f"{{'descr': {dtype!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n", data)


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file with its checksum."""
    crc = zlib.crc32(name + data).to_bytes(4, "big")
    return len(data).to_bytes(4, "big") + name + data + crc


def png(width: int, height: int, rows: bytes, depth: int = 8, *more: bytes) -> bytes:
    """A grey PNG file that claims a size, of compressed rows, with further chunks before them."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([depth, 0, 0, 0, 0])
    chunks = [chunk(b"IHDR", header), *more, chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def black_rows(width: int, height: int) -> bytes:
    """Compressed rows of a black PNG picture: a thousandth of what they unpack to."""
    packer = zlib.compressobj(1)
    row = bytes(width + 1)
    return b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
