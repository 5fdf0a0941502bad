"""What can be read as tiles: stores, arrays and grey pictures; and what is refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from dicom_tree import write_dicom

from birads_lib.errors import DataError
from birads_lib.tiles.layout import TILE
from birads_lib.tiles.pictures import open_pictures, read_pictures
from birads_lib.tiles.store import META

NOISE = np.random.default_rng(0).integers(0, 256, (TILE, TILE), np.uint8)


def write_picture(path, pixels):
    suffix = path.suffix.lower()
    path.write_bytes(cv2.imencode(suffix, pixels)[1].tobytes())
    return path


def refused(path) -> str:
    """Read what must be refused; the message, of one line that names the file."""
    with pytest.raises(DataError) as error:
        read_pictures(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


# What can be read


def test_a_store_gives_its_tiles_under_their_ids(small_store):
    names, images = read_pictures(small_store.path)
    assert names == small_store.table["tile"].tolist()
    assert isinstance(images, np.memmap)
    assert (images[:] == small_store.images).all()


@pytest.mark.parametrize("channel", [(), (1,)])
def test_an_array_gives_tiles_named_by_file_and_row(tmp_path, channel):
    np.save(tmp_path / "mine.npy", np.stack([NOISE, NOISE[::-1]]).reshape(2, TILE, TILE, *channel))
    names, images = read_pictures(tmp_path / "mine.npy")
    assert names == ["mine/00000", "mine/00001"]
    assert images.shape == (2, TILE, TILE)
    assert (images[1] == NOISE[::-1]).all()


@pytest.mark.parametrize("suffix", [".png", ".pgm", ".PNG", ".PGM"])
def test_a_grey_picture_is_one_tile_with_its_pixels(tmp_path, suffix):
    names, images = read_pictures(write_picture(tmp_path / f"left{suffix}", NOISE))
    assert names == ["left"]
    assert images.dtype == np.uint8
    assert images.shape == (1, TILE, TILE)
    assert (images[0] == NOISE).all()


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG"])
def test_a_jpeg_is_read_to_within_its_losses(tmp_path, suffix):
    smooth = cv2.GaussianBlur(NOISE, (0, 0), 8)
    _, images = read_pictures(write_picture(tmp_path / f"left{suffix}", smooth))
    assert np.abs(images[0].astype(int) - smooth).max() <= 3


@pytest.mark.parametrize("channels", [3, 4])
def test_grey_saved_in_colour_is_still_grey(tmp_path, channels):
    pixels = np.repeat(NOISE[..., np.newaxis], channels, axis=2)
    if channels == 4:
        pixels[..., 3] = 255
    _, images = read_pictures(write_picture(tmp_path / "left.png", pixels))
    assert (images[0] == NOISE).all()


@pytest.mark.parametrize("side", [2 * TILE, 100])
def test_another_size_is_resized_to_a_tile(tmp_path, side):
    half = np.zeros((side, side), np.uint8)
    half[: side // 2] = 200
    _, images = read_pictures(write_picture(tmp_path / "left.png", half))
    assert images.shape == (1, TILE, TILE)
    assert images[0, :140].min() == 200
    assert images[0, 160:].max() == 0


def test_reducing_averages_pixels(tmp_path):
    checks = (np.indices((2 * TILE, 2 * TILE)).sum(axis=0) % 2 * 200).astype(np.uint8)
    _, images = read_pictures(write_picture(tmp_path / "left.png", checks))
    assert (images == 100).all()


def test_a_name_with_other_letters_is_read(tmp_path):
    path = write_picture(tmp_path / "plain.png", NOISE).rename(tmp_path / "mammographie_é ж.png")
    assert read_pictures(path)[0] == ["mammographie_é ж"]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
def test_a_dicom_picture_is_one_tile_the_greater_the_brighter(tmp_path, bits, kind):
    pixels = NOISE.astype(np.uint16) * 257 if bits == 16 else NOISE
    stored = np.iinfo(pixels.dtype).max - pixels if kind == "MONOCHROME1" else pixels
    path = write_dicom(tmp_path / "left.dcm", stored, PhotometricInterpretation=kind)
    names, images = read_pictures(path)
    assert names == ["left"]
    assert images.dtype == np.uint8
    assert (images == NOISE).all()


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_the_bits_that_are_stored_are_the_full_scale(tmp_path, bits, kind):
    largest = 2**bits - 1
    pixels = np.rint(NOISE / 255 * largest).astype(np.uint16)
    stored = largest - pixels if kind == "MONOCHROME1" else pixels
    path = write_dicom(
        tmp_path / "left.dcm", stored.astype(np.uint16), BitsStored=bits, HighBit=bits - 1,
        PhotometricInterpretation=kind,
    )  # fmt: skip
    assert (read_pictures(path)[1][0] == NOISE).all()


def test_sixteen_bits_are_rounded_after_resizing(tmp_path):
    """Checks of 0 and 1.4 grey levels have a mean of 0.7, which is 1; rounded first it is 0."""
    checks = (np.indices((2 * TILE, 2 * TILE)).sum(axis=0) % 2 * 360).astype(np.uint16)
    _, images = read_pictures(write_dicom(tmp_path / "left.DCM", checks))
    assert (images == 1).all()


@pytest.mark.parametrize(("height", "width"), [(TILE, TILE), (90, 40)])
def test_a_picture_file_tells_its_size_before_resizing(tmp_path, height, width):
    pixels = NOISE[:height, :width]
    for path in (
        write_picture(tmp_path / "left.png", pixels),
        write_dicom(tmp_path / "left.dcm", np.ascontiguousarray(pixels)),
    ):
        found = open_pictures(path)
        assert found.size == (height, width)
        assert found.images.shape == (1, TILE, TILE)


def test_stores_and_arrays_hold_tiles_and_tell_no_size(small_store, tmp_path):
    np.save(tmp_path / "mine.npy", NOISE[np.newaxis])
    assert open_pictures(tmp_path / "mine.npy").size is None
    assert open_pictures(small_store.path).size is None


# What is refused


def test_a_colour_picture_is_refused(tmp_path):
    colour = np.repeat(NOISE[..., np.newaxis], 3, axis=2)
    colour[5, 5, 0] ^= 1
    assert "colour" in refused(write_picture(tmp_path / "left.png", colour))


def test_sixteen_bits_are_refused(tmp_path):
    assert "8 bit" in refused(write_picture(tmp_path / "left.png", NOISE.astype(np.uint16) * 257))


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_what_is_no_picture_is_refused(tmp_path, content):
    (tmp_path / "left.png").write_bytes(content)
    assert "not a readable picture" in refused(tmp_path / "left.png")


def test_a_picture_larger_than_any_film_is_refused(tmp_path):
    (tmp_path / "left.pgm").write_bytes(b"P5 400000 400000 255\n" + bytes(100))
    refused(tmp_path / "left.pgm")


def test_dicom_of_several_pictures_is_refused(tmp_path):
    refused(write_dicom(tmp_path / "left.dcm", np.stack([NOISE, NOISE])))


@pytest.mark.parametrize("content", [b"", b"not a picture", bytes(128) + b"DICM"])
def test_what_is_no_dicom_is_refused(tmp_path, content):
    (tmp_path / "left.dcm").write_bytes(content)
    assert "no readable DICOM" in refused(tmp_path / "left.dcm")


@pytest.mark.parametrize("name", ["left.png", "left.dcm", "tiles.npy", "store"])
def test_what_is_not_there_is_refused(tmp_path, name):
    refused(tmp_path / name)


def test_another_kind_of_file_is_refused_with_those_that_can_be_read(tmp_path):
    (tmp_path / "left.bmp").write_bytes(b"BM")
    said = refused(tmp_path / "left.bmp")
    assert ".png" in said
    assert ".npy" in said
    assert ".dcm" in said


def test_a_folder_that_is_no_store_is_refused(tmp_path):
    assert "neither a store nor a file" in refused(tmp_path)


def test_a_folder_called_like_a_picture_is_refused(tmp_path):
    (tmp_path / "left.png").mkdir()
    refused(tmp_path / "left.png")


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 200, 150), np.uint8),
        np.zeros((2, TILE, TILE)),
        np.zeros((TILE, TILE), np.uint8),
    ],
    ids=["other size", "floats", "one without an axis"],
)
def test_an_array_of_another_form_is_refused(tmp_path, images):
    np.save(tmp_path / "tiles.npy", images)
    assert "expected uint8" in refused(tmp_path / "tiles.npy")


def test_a_damaged_store_is_refused(small_store):
    (small_store.path / META).write_text("{")
    with pytest.raises(DataError, match=META):
        read_pictures(small_store.path)
