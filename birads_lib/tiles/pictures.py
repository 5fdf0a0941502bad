"""Pictures that someone wants read: a store, an array of tiles, or a picture file."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from birads_lib.errors import DataError, silenced
from birads_lib.files import shown
from birads_lib.tiles.cbis import MOST_PIXELS, grey_levels, read_picture
from birads_lib.tiles.layout import TILE
from birads_lib.tiles.store import META, ImageRows, open_images, open_whole

PICTURES = (".png", ".jpg", ".jpeg", ".pgm")
FORMATS = ("PNG", "JPEG", "PPM")  # what Pillow calls these
DICOM = ".dcm"


@dataclass(frozen=True)
class Pictures:
    """What a path holds, as tiles.

    Attributes:
        names: A name for each tile.
        images: uint8 (N, 299, 299).
        size: Height and width, px, of a picture file before it was resized to a tile;
            ``None`` for stores and arrays, which hold tiles.
    """

    names: list[str]
    images: NDArray[np.uint8] | ImageRows
    size: tuple[int, int] | None = None


def read_pictures(path: Path) -> tuple[list[str], NDArray[np.uint8] | ImageRows]:
    """Names and tiles of what a path holds, see ``open_pictures``."""
    found = open_pictures(path)
    return found.names, found.images


def open_pictures(path: Path) -> Pictures:
    """Open what a path holds.

    Args:
        path: Folder of a store, ``.npy`` of tiles, or one grey picture. Of DICOM, grey
            levels are scaled by the bits that are stored, 16 of them divided by 257, and
            MONOCHROME1 is inverted.

    Returns:
        Names and tiles. A picture of another size is resized to a tile.

    Raises:
        DataError: Nothing there, or nothing that can be read as grey tiles.
    """
    try:
        return _open(path)
    except OSError as error:  # a name too long, or a folder that may not be entered
        raise DataError(f"{path}: {error.strerror or error}; give another") from None


def _open(path: Path) -> Pictures:
    if path.is_dir() and (path / META).exists():
        store = open_whole(path)
        return Pictures(store.table["tile"].tolist(), store.images)
    if path.suffix == ".npy":
        images = open_images(path)
        name = shown(path.stem)
        return Pictures([f"{name}/{index:05d}" for index in range(len(images))], images)
    kind = path.suffix.lower()
    if kind in (*PICTURES, DICOM):
        picture = _read_dicom(path) if kind == DICOM else _read_picture(path)
        return Pictures([shown(path.stem)], _as_tile(picture), picture.shape)
    raise DataError(
        f"{path}: neither a store nor a file in .npy, {', '.join(PICTURES)}, {DICOM}; "
        "give one of these"
    )


def _read_picture(path: Path) -> NDArray[Any]:
    """Grey levels of a picture file, uint8 (H, W)."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; give a picture")
    _check_whole(path)
    try:
        with silenced():
            picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        picture = None
    if picture is None:
        raise DataError(
            f"{path}: not a readable picture (its pixels are damaged); give a whole PNG, JPEG or "
            "PGM file"
        )
    if picture.ndim == 3:
        colours, opacity = picture[..., :3], picture[..., 3:]
        if (opacity != np.iinfo(picture.dtype).max).any():
            raise DataError(f"{path}: transparent in places; give an opaque grey picture")
        if (colours != colours[..., :1]).any():
            raise DataError(f"{path}: a colour picture; give a grey mammogram tile")
        picture = colours[..., 0]
    if picture.dtype != np.uint8:
        raise DataError(f"{path}: {picture.dtype} grey levels; give 8 bit, 0..255")
    return picture


def _check_whole(path: Path) -> None:
    """Refuse a picture that is too large by its header, or is cut off.

    OpenCV would make room for what the header claims, and fill up what is cut off with grey.

    Raises:
        DataError: It is one of these, or none of ``FORMATS``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the limit here is lower than Pillow's
            with Image.open(path, formats=FORMATS) as picture:
                size = picture.size
                if size[0] * size[1] <= MOST_PIXELS:
                    picture.load()
    except Exception as error:  # a damaged file makes Pillow raise many kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{path}: not a readable picture ({reason}); give a whole PNG, JPEG or PGM file"
        ) from None
    if size[0] * size[1] > MOST_PIXELS:
        raise DataError(
            f"{path}: claims {size[0]} x {size[1]} px; expected at most {MOST_PIXELS:,} px; give "
            "one mammogram"
        )


def _read_dicom(path: Path) -> NDArray[Any]:
    """Grey levels of a DICOM file, uint8 or float32 (H, W), 0..255."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; give a picture")
    return grey_levels(*read_picture(path))


def _as_tile(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """A grey picture, 0..255, resized to a tile: uint8 (1, 299, 299)."""
    how = cv2.INTER_AREA if min(picture.shape) >= TILE else cv2.INTER_LINEAR
    tile = cv2.resize(picture, (TILE, TILE), interpolation=how)
    return np.rint(tile).astype(np.uint8)[np.newaxis]
