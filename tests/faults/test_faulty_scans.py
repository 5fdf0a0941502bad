"""Whole scans: DICOM, films of mini-MIAS (PGM) and their list (``Info.txt``)."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
import sound
from damage import (
    Change,
    append,
    cut,
    edited,
    flip,
    folder,
    itself,
    nowhere,
    pipe,
    put,
    stretch,
    swap,
)
from dicom_tree import DicomTree, write_dicom
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

# DICOM

NONE = r"no readable DICOM scan \(.+\); copy it again"
PIXELS = b"\xe0\x7f\x10\x00"  # the tag of pixels
MAGIC = 128


def within(tag: bytes, places: int) -> Change:
    """Cuts the file so many bytes after a tag begins."""
    return edited(lambda content: content[: content.index(tag) + places])


def elements(**values: object) -> Change:
    """Writes the scan with elements of other values; ``None`` leaves one out."""
    return lambda path: sound.scan(path, **values)


def holding(pixels: np.ndarray) -> Change:
    """Writes a scan of other pixels."""
    return lambda path: write_dicom(path, pixels)


def syntax(uid: str) -> Change:
    """States another transfer syntax than the file is written in."""

    def element(value: str) -> bytes:
        padded = value.encode() + b"\0" * (len(value) % 2)
        return b"\x02\x00\x10\x00UI" + len(padded).to_bytes(2, "little") + padded

    return swap(element(ExplicitVRLittleEndian), element(uid))


def deflated(path: Path) -> None:
    """Packs the elements as a whole, with half a gigabyte of zeros behind them."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(512)) + packer.flush()
    syntax(DeflatedExplicitVRLittleEndian)(path)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(FIRST)] + packed)


FIRST = b"\x08\x00\x16\x00"  # the tag of the first element that is not about the file
LAYER = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
"""A sequence that begins, and an item in it that begins."""
SIZE = b"\x28\x00\x10\x00US\x02\x00"  # what stands before the number of rows

DICOMS = {
    "nothing is left of it": (cut(0), NONE),
    "it ends within its preamble": (cut(60), NONE),
    "it ends before its magic bytes": (cut(MAGIC), NONE),
    "it ends after its magic bytes": (cut(MAGIC + 4), NONE),
    "it ends within what it says of itself": (cut(200), NONE),
    "it ends within its rows": (within(b"\x28\x00\x10\x00", 6), NONE),
    "it ends before its pixels": (within(PIXELS, 0), NONE),
    "it ends within the tag of its pixels": (within(PIXELS, 6), NONE),
    "it ends after the tag of its pixels": (within(PIXELS, 12), NONE),
    "it ends within its pixels": (within(PIXELS, 5000), NONE),
    "a bit of its magic bytes is turned over": (flip(MAGIC), NONE),
    "a bit of its number of rows is turned over": (swap(SIZE + b"\x2b", SIZE + b"\x6b"), NONE),
    "it claims the most rows and columns": (
        elements(Rows=65_535, Columns=65_535), "claims 65535 x 65535 px .* at most 67,108,864 px",
    ),
    "it claims a billion pictures": (
        elements(NumberOfFrames=10**9), "claims 299 x 299 px in 1000000000 pictures",
    ),
    "its pixels claim 4 GB": (
        edited(lambda whole: whole[: (at := whole.index(PIXELS) + 8)] + b"\xf0\xff\xff\xff"
               + whole[at + 4 : -100]), NONE,
    ),
    "it has no rows": (elements(Rows=None), NONE),
    "it has 0 rows": (elements(Rows=0), NONE),
    "it has no pixels": (elements(PixelData=None), NONE),
    "it does not say how it shows grey": (elements(PhotometricInterpretation=None), NONE),
    "it stores no bits": (elements(BitsStored=0), NONE),
    "it stores more bits than there are": (elements(BitsStored=200), NONE),
    "it has three values a pixel": (elements(SamplesPerPixel=3), NONE),
    "it is signed": (holding(sound.TISSUE.astype(np.int16)), "int16 .* of unsigned numbers"),
    "it has 32 bits": (holding(sound.TISSUE.astype(np.uint32)), "uint32 .* of unsigned numbers"),
    "it is of several pictures": (holding(np.stack([sound.TISSUE] * 2)), r"\(2, 299, 299\)"),
    "it is packed as a whole": (deflated, "compressed as Deflated .*; give it uncompressed"),
    "it claims the other order of bytes": (syntax(ExplicitVRBigEndian), NONE),
    "it claims pixels in run lengths": (syntax(RLELossless), NONE),
    "it claims pixels as JPEG 2000": (syntax(JPEG2000Lossless), NONE),
    "it claims an unknown form": (syntax("1.2.3.4"), "1.2.3.4"),
    "it nests ten thousand sequences": (swap(FIRST, LAYER * 10_000 + FIRST), NONE),
    "it is text": (put("a letter"), NONE),
    "it is a pipe": (pipe, "no such file; give a picture"),
    "it is a folder": (folder, "no such file; give a picture"),
    "it is a link to nothing": (nowhere, "no such file; give a picture"),
    "it is a link to itself": (itself, "no such file; give a picture"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "told"), DICOMS.values(), ids=DICOMS)
def test_a_damaged_dicom_file_is_refused(entrance, tmp_path, change, told):
    sound.cascade(tmp_path / "model")

    def write(source: Path) -> None:
        source.mkdir()
        sound.scan(source / "left.dcm")

    def command(source: Path, out: Path) -> list[str | Path]:
        return ["predict", tmp_path / "model", source / "left.dcm", "--engine", "onnx"]

    entrance(write, command).refuses("left.dcm", change, told)


# A download of CBIS-DDSM


@pytest.fixture(scope="session")
def download(tmp_path_factory) -> Path:
    """Two women, both views; do not write into it."""
    folder = tmp_path_factory.mktemp("cbis") / "download"
    DicomTree(patients=2).write(folder)
    return folder


@pytest.fixture
def cbis(entrance, download):
    """The download, merged."""
    return entrance(
        lambda source: shutil.copytree(download, source),
        lambda source, out: ["merge", source, out],
    )


ADDED = {
    "a pipe is among the files": (pipe, "no file but a folder, a pipe or a device"),
    "a link to nothing is among the files": (nowhere, "no readable DICOM picture"),
    "a letter is among the files": (put("a letter"), "no readable DICOM picture"),
    "a file is cut within its header": (cut(300), "no readable DICOM picture"),
}


@pytest.mark.parametrize(("change", "told"), ADDED.values(), ids=ADDED)
def test_a_download_with_another_file_is_refused(cbis, download, change, told):
    scan = next(iter(sorted((download / "dicom").rglob("*.dcm"))))
    cbis.refuses(scan.relative_to(download).as_posix(), change, told)


def test_a_pipe_of_another_name_is_left_alone(cbis):
    cbis.write(cbis.source)
    (cbis.source / "dicom" / "notes").write_text("")
    pipe(cbis.source / "dicom" / "notes")
    code, _, said = cbis.check.run(*cbis.command(cbis.source, cbis.out))
    assert code == 0, said


# Films of mini-MIAS

FILM, INFO = "mdb003.pgm", "Info.txt"
LENGTH = 1024 * 1024 + 17  # bytes of a film: header and pixels
BEGINS = r"begins with b'.*'; expected a binary PGM \(P5\); copy it again"
SIZED = r"expected 1024 x 1024 up to 255 \(8 bits\); give the unchanged"

FILMS = {
    "nothing is left of it": (cut(0), BEGINS),
    "it ends within its magic bytes": (cut(1), BEGINS),
    "it ends within its width": (cut(6), BEGINS),
    "it ends before its greatest level": (cut(13), BEGINS),
    "it ends after its header": (cut(17), "holds 0 bytes of pixels; expected 1,048,576"),
    "it lacks its last byte": (cut(-1), "holds 1,048,575 bytes of pixels"),
    "a bit of its magic bytes is turned over": (flip(1), BEGINS),
    "a bit of its width is turned over": (flip(3), SIZED),
    "it is 100,000 x 100,000": (swap("1024 1024", "100000 100000"), SIZED),
    "it is a number of 40 digits wide": (swap("1024", "9" * 40), BEGINS),
    "it is less than nothing wide": (swap("1024", "-1024"), BEGINS),
    "it has 16 bits": (swap("255", "65535"), SIZED),
    "it is written in digits": (swap("P5", "P2"), BEGINS),
    "bytes follow it": (append(b"more"), "holds 1,048,580 bytes of pixels"),
    "a terabyte follows it": (stretch(1 << 40), "1,099,511,627,776 bytes; expected at most"),
    "its comment never ends": (put(b"P5\n#" + b"a" * LENGTH), BEGINS),
    "it is a PNG": (put(b"\x89PNG\r\n\x1a\n" + bytes(100)), BEGINS),
}
LINES = {
    "a place is no number": ("200 eight 10", "'mdb003 F CIRC B 200 eight 10' found"),
    "a place is not a number": ("nan 800 10", "outside the scan"),
    "a place is infinite": ("200 inf 10", "outside the scan"),
    "a radius is infinite": ("200 800 1e999", "outside the scan"),
    "a radius is below 0": ("200 800 -10", "outside the scan"),
    "a place lies off the film": ("2000 800 10", "outside the scan"),
    "a place lacks a number": ("200 800", "expected x, y and radius"),
    "a line has a thousand numbers": ("1 " * 1000, "expected x, y and radius"),
    "a line holds a terminal's commands": ("\x1b[2J 800 10", r"'mdb003 F CIRC B \\x1b\[2J"),
}
LISTS = {
    "nothing is left of it": (cut(0), "no line such as"),
    "a kind is unknown": (swap("CIRC", "LUMP"), "'mdb003 F LUMP B 200 800 10' found; expected"),
    "a severity is unknown": (swap("CIRC B", "CIRC X"), "expected NORM, or one of"),
    "a film is normal and is not": (append(b"mdb003 F NORM\n"), "mdb003 is NORM here or in"),
    "it is a film": (put(b"P5\n1024 1024\n255\n" + bytes(5000)), "no line such as"),
    "it is no text": (put(bytes(range(128, 256)) * 40), "no line such as"),
    "a bit of a name is turned over": (swap("mdb003", "mdb00s"), "expected reference"),
    "it is a terabyte": (stretch(1 << 40), "expected at most 1,048,576; copy it again"),
}


@pytest.fixture
def mias(entrance):
    """A film and the list, merged."""
    return entrance(sound.films, lambda source, out: ["merge", source, out])


@pytest.mark.parametrize(("change", "told"), FILMS.values(), ids=FILMS)
def test_a_damaged_film_is_refused(mias, change, told):
    mias.refuses(FILM, change, told)


@pytest.mark.parametrize(("place", "told"), LINES.values(), ids=LINES)
def test_a_line_of_the_list_that_cannot_be_is_refused(mias, place, told):
    mias.refuses(INFO, swap("200 800 10", place), told)


@pytest.mark.parametrize(("change", "told"), LISTS.values(), ids=LISTS)
def test_a_damaged_list_is_refused(mias, change, told):
    mias.refuses(INFO, change, told)


def test_a_film_that_stands_twice_is_refused(mias):
    mias.refuses("copy/MDB003.PGM", put(b""), "also at .*keep one of the two", blamed=FILM)
