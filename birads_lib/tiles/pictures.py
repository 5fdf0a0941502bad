"""Pictures that someone wants read: a store, an array of tiles, or a picture file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from birads_lib.errors import DataError
from birads_lib.tiles.layout import TILE
from birads_lib.tiles.store import META, ImageRows, TileStore, open_images

PICTURES = (".png", ".jpg", ".jpeg", ".pgm")


def read_pictures(path: Path) -> tuple[list[str], NDArray[np.uint8] | ImageRows]:
    """Open what a path holds.

    Args:
        path: Folder of a store, ``.npy`` of tiles, or one grey picture.

    Returns:
        A name for each tile, and the tiles, uint8 (N, 299, 299). A picture of another
        size is resized to a tile.

    Raises:
        DataError: Nothing there, or nothing that can be read as grey tiles.
    """
    if path.is_dir() and (path / META).exists():
        store = TileStore.open(path)
        return store.table["tile"].tolist(), store.images
    if path.suffix == ".npy":
        images = open_images(path)
        return [f"{path.stem}/{index:05d}" for index in range(len(images))], images
    if path.suffix.lower() in PICTURES:
        return [path.stem], _read_picture(path)
    raise DataError(
        f"{path}: neither a store nor a file in .npy, {', '.join(PICTURES)}; give one of these"
    )


def _read_picture(path: Path) -> NDArray[np.uint8]:
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    raw = np.fromfile(path, np.uint8)
    try:
        picture = cv2.imdecode(raw, cv2.IMREAD_UNCHANGED) if len(raw) else None
    except cv2.error:  # a header that claims an absurd size
        picture = None
    if picture is None:
        raise DataError(f"{path}: not a readable picture; give a PNG, JPEG or PGM file")
    if picture.ndim == 3:
        colours = picture[..., :3]
        if (colours != colours[..., :1]).any():
            raise DataError(f"{path}: a colour picture; give a grey mammogram tile")
        picture = colours[..., 0]
    if picture.dtype != np.uint8:
        raise DataError(f"{path}: {picture.dtype} grey levels; give 8 bit, 0..255")
    how = cv2.INTER_AREA if min(picture.shape) >= TILE else cv2.INTER_LINEAR
    return cv2.resize(picture, (TILE, TILE), interpolation=how)[np.newaxis]
