"""PNG, JPEG and PGM: cut, changed, of other kinds, and such as unpack to far more than they are."""

from __future__ import annotations

import zlib

import cv2
import numpy as np
import pytest
import sound
from damage import (
    append,
    black_rows,
    chunk,
    cut,
    edited,
    flip,
    folder,
    itself,
    nowhere,
    pipe,
    png,
    put,
    swap,
)

PNG, JPEG, PGM = (sound.picture(suffix) for suffix in (".png", ".jpg", ".pgm"))
NONE = r"not a readable picture \(.*\); give a whole PNG, JPEG or PGM file"
TOO_LARGE = r"claims .* px; expected at most 67,108,864 px|exceeds limit of .* pixels"
DATA = PNG.index(b"IDAT")
SCAN = JPEG.index(b"\xff\xda")  # where the header of a JPEG's pixels begins
FRAME = JPEG.index(b"\xff\xc0")  # where a JPEG's size stands, 5 bytes on
SIDE = 9000  # px; the square of it is over the limit, and packs into some 80 kB


def encoded(suffix: str, pixels: np.ndarray) -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


COLOUR = np.stack([sound.TISSUE, sound.TISSUE, 255 - sound.TISSUE], axis=-1)

PNGS = {
    "nothing is left of it": (cut(0), NONE),
    "it ends within its signature": (cut(5), NONE),
    "it ends within its header": (cut(20), NONE),
    "it ends before its pixels": (cut(DATA - 4), NONE),
    "it ends within its pixels": (cut(len(PNG) // 2), NONE),
    "it ends before its last part": (cut(-12), NONE),
    "it lacks its last byte": (cut(-1), NONE),
    "a bit of its signature is turned over": (flip(1), NONE),
    "a bit of its width is turned over": (flip(18), NONE),
    "a bit of its header's checksum is turned over": (flip(30), NONE),
    "a bit of its pixels is turned over": (flip(DATA + 1000), NONE),
    "a bit of its pixels' checksum is turned over": (flip(-14), NONE),
    "it claims a width of 100,000": (put(png(100_000, 100_000, b"")), TOO_LARGE),
    "it claims the largest size": (put(png(2**31 - 1, 2**31 - 1, b"")), TOO_LARGE),
    "it unpacks to a thousand times its size": (
        put(png(SIDE, SIDE, black_rows(SIDE, SIDE))), TOO_LARGE,
    ),
    "it is no pixel wide": (put(png(0, 299, b"")), NONE),
    "it holds fewer rows than it claims": (put(png(299, 299, black_rows(299, 5))), NONE),
    "its pixels are not packed": (put(png(299, 299, bytes(299 * 300))), NONE),
    "its comment unpacks to 200 MB": (
        put(png(299, 299, black_rows(299, 299), 8,
                     chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(200 << 20), 1)))), NONE,
    ),
    "it has 16 bits": (put(encoded(".png", sound.TISSUE.astype(np.uint16) * 257)), "8 bit"),
    "it is in colour": (put(encoded(".png", COLOUR)), "a colour picture; give a grey"),
    "it is a GIF": (put(b"GIF89a\x2b\x01\x2b\x01\x00\x00\x00;"), NONE),
    "it is a TIFF": (put(encoded(".tiff", sound.TISSUE)), NONE),
    "it is a BMP": (put(encoded(".bmp", sound.TISSUE)), NONE),
    "it is text": (put("a letter"), NONE),
    "it is a pipe": (pipe, "no such file; give a picture"),
    "it is a folder": (folder, "no such file; give a picture"),
    "it is a link to nothing": (nowhere, "no such file; give a picture"),
    "it is a link to itself": (itself, "no such file; give a picture"),
}  # fmt: skip
JPEGS = {
    "nothing is left of it": (cut(0), NONE),
    "it ends within its header": (cut(FRAME + 4), NONE),
    "it ends before its pixels": (cut(SCAN), NONE),
    "it ends within its pixels": (cut((SCAN + len(JPEG)) // 2), NONE),
    "it lacks the mark of its end": (cut(-2), NONE),
    "it lacks its last byte": (cut(-1), NONE),
    "a bit of its first bytes is turned over": (flip(0), NONE),
    "it claims the largest size": (
        edited(lambda whole: whole[: FRAME + 5] + b"\xff" * 4 + whole[FRAME + 9 :]), TOO_LARGE,
    ),
    "it is no pixel wide": (
        edited(lambda whole: whole[: FRAME + 5] + bytes(4) + whole[FRAME + 9 :]), NONE,
    ),
    "it is in colour": (put(encoded(".jpg", COLOUR)), "a colour picture; give a grey"),
}  # fmt: skip
PGMS = {
    "nothing is left of it": (cut(0), NONE),
    "it ends within its header": (cut(6), NONE),
    "it ends after its header": (cut(15), NONE),
    "it lacks its last byte": (cut(-1), NONE),
    "it is 100,000 x 100,000": (put(b"P5 100000 100000 255\n" + bytes(100)), TOO_LARGE),
    "it is a number of 40 digits wide": (put(b"P5 " + b"9" * 40 + b" 9 255\n"), NONE),
    "it is less than nothing wide": (swap("299", "-299"), NONE),
    "its greatest level is 0": (swap("255", "0"), NONE),
    "its greatest level is over 16 bits": (swap("255", "99999"), NONE),
    "it has 16 bits": (put(encoded(".pgm", sound.TISSUE.astype(np.uint16) * 257)), "8 bit"),
    "its comment never ends": (put(b"P5\n#" + bytes(1 << 20)), NONE),
    "its magic bytes are another's": (flip(1, bit=3), NONE),
}


@pytest.fixture
def reading(entrance, tmp_path):
    """Makes the way in of a picture, which a cascade made by hand reads."""
    sound.cascade(tmp_path / "model")

    def made(content: bytes, name: str):
        def command(source, out):
            return ["predict", tmp_path / "model", source / name, "--engine", "onnx"]

        def write(folder):
            folder.mkdir()
            (folder / name).write_bytes(content)

        return entrance(write, command)

    return made


@pytest.mark.parametrize(("change", "told"), PNGS.values(), ids=PNGS)
def test_a_damaged_png_is_refused(reading, change, told):
    reading(PNG, "left.png").refuses("left.png", change, told)


@pytest.mark.parametrize(("change", "told"), JPEGS.values(), ids=JPEGS)
def test_a_damaged_jpeg_is_refused(reading, change, told):
    reading(JPEG, "left.jpg").refuses("left.jpg", change, told)


@pytest.mark.parametrize(("change", "told"), PGMS.values(), ids=PGMS)
def test_a_damaged_pgm_is_refused(reading, change, told):
    reading(PGM, "left.pgm").refuses("left.pgm", change, told)


NAMES = {
    "a line break": "left\nbirads: all is well.png",
    "a terminal's commands": "\x1b[2J\x07left.png",
    "letters of other scripts": "снимок_ﷺ_乳房.png",
    "text that is turned about": "left\u202egnp.exe.png",
    "a quote and a comma": 'left",0.9,"C5.png',
    "bytes that are no text": "left\udcff.png",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_with_anything_in_it_is_told_in_one_line(reading, name):
    reading(PNG, name).refuses(name, cut(100), NONE)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_with_anything_in_it_is_one_field_of_a_table(reading, tmp_path, name):
    import pandas as pd

    out = tmp_path / "answers.csv"
    picture = reading(PNG, name)
    picture.write(picture.source)
    command = [*picture.command(picture.source, out), "--out", out]
    code, _, said = picture.check.run(*command)
    assert code == 0, said
    table = pd.read_csv(out)
    assert len(table) == 1
    assert table["predicted"].isin(["C1", "C2", "C3", "C4", "C5"]).all()


def test_bytes_after_a_picture_do_not_matter(reading):
    picture = reading(PNG, "left.png")
    plain, _ = picture.succeeds()
    append(b"more")(picture.source / "left.png")
    code, printed, said = picture.check.run(*picture.command(picture.source, picture.out))
    assert (code, printed) == (0, plain), said
