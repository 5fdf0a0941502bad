"""The Kaggle set `skooch/ddsm-mammography` as it unpacks: names, shapes, known counts."""

from __future__ import annotations

from typing import NamedTuple

TILE = 299  # px, side of a tile
GREY_MAX = 255  # of 8 bits, white
IMAGE_BYTES = TILE * TILE  # bytes of one record's image, uint8, row by row

TRAINING_FILES = 5
ROWS_OF_A_FILE = 11_178
"""Rows each training file was planned to hold; the last of each was never written."""
TRAINING_NAMES = tuple(f"training10_{i}" for i in range(TRAINING_FILES))
TRAINING_PATHS = tuple(f"{name}/{name}.tfrecords" for name in TRAINING_NAMES)

FEATURE_LABEL = "label"  # int64, 0 to 4
FEATURE_IMAGE = "image"  # IMAGE_BYTES raw bytes
FEATURE_FILENAME = "filename"  # raw bytes of a numpy unicode scalar
FEATURE_NORMAL = "label_normal"  # int64, 0 normal, 1 infected
FEATURES = (FEATURE_LABEL, FEATURE_IMAGE, FEATURE_FILENAME, FEATURE_NORMAL)
"""Features of a training record in the order of the files."""

FILENAME_DTYPE = "<U21"
FILENAME_BYTES = 84  # 21 characters of UTF-32-LE, padded with NUL
NORMAL_FILENAME = "NORMAL"  # every normal tile's filename


class HeldOutFile(NamedTuple):
    """One held-out part: paths of its two arrays, relative to the set's folder."""

    name: str
    data: str  # uint8 (N, TILE, TILE, 1)
    labels: str  # int64 (N,)


TEST10 = HeldOutFile("test10", "test10_data/test10_data.npy", "test10_labels.npy")
CV10 = HeldOutFile("cv10", "cv10_data/cv10_data.npy", "cv10_labels.npy")
HELD_OUT_FILES = (TEST10, CV10)

PLANNED_COUNTS = (48_600, 2_103, 1_911, 1_464, 1_812)
"""Training rows of labels 0 to 4 before the last row of each file was lost."""
TRAINING_COUNTS = (48_596, 2_103, 1_911, 1_463, 1_812)
"""Training rows of labels 0 to 4 that exist."""
TEST10_COUNTS = (6_680, 0, 606, 0, 396)
CV10_COUNTS = (6_680, 558, 36, 369, 39)
HELD_OUT_COUNTS = (13_360, 558, 642, 369, 435)
"""test10 and cv10 together."""
