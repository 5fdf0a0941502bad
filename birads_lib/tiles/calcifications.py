"""What denoising does to microcalcifications: contrast-to-noise before and after.

A denoiser that takes a fine bright speck for noise removes the very sign of C2 and C4. With
calcifications whose places are known, as in simulated tiles, what is left of them can be
measured: each one's contrast to the tissue around it, over that tissue's spread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from birads_lib.errors import DataError
from birads_lib.labels import CLASSES
from birads_lib.tiles.phantom.truth import PhantomTruth

CALCIFIED = [c.label for c in CLASSES if c.lesion == "calcification"]
MEASURES = ("contrast", "noise", "contrast_to_noise")
GAP = 3  # px (0.3 mm) from a calcification to its ring: blur reaches so far
RING = 8  # px, outer reach of the ring
FEWEST = 30  # px a ring must have; less says little of the noise
LEAST_NOISE = 12**-0.5  # grey levels, of rounding to whole ones; a picture has no less
BLOCK = 128  # tiles read at a time
SQUARE = np.ones((3, 3), bool)

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def contrast_to_noise(images: Any, masks: Any) -> Floats:
    """Contrast-to-noise ratio of the calcifications of each tile, float64 (N,).

    See ``measure_calcifications``, also for errors. NaN without a usable calcification.
    """
    return measure_calcifications(images, masks)["contrast_to_noise"].to_numpy()


def measure_calcifications(images: Any, masks: Any) -> pd.DataFrame:
    """Contrast and noise of the calcifications of each tile, means over its calcifications.

    Of each connected calcification: ``contrast``, its mean less the mean of the ring from
    0.3 to 0.8 mm around it (positive is brighter); ``noise``, the standard deviation of that
    ring, tissue and grain together; and ``contrast_to_noise``, their ratio. Other
    calcifications, and 0.3 mm around them, are left out of the ring. Noise counts as no
    less than that of rounding to whole grey levels, so a flattened tile has a ratio too.

    Args:
        images: uint8 or float (N, H, W), grey levels, 0.1 mm a pixel.
        masks: Where the calcifications are, bool (N, H, W).

    Returns:
        N rows, float64 columns ``MEASURES``, the first two in grey levels; NaN for a tile
        without a calcification whose ring has 30 px.

    Raises:
        DataError: Images and masks differ in shape.
    """
    if np.shape(images) != np.shape(masks):
        raise DataError(
            f"masks: {np.shape(masks)} found; expected one for each image, {np.shape(images)}"
        )
    rows = np.full((len(images), len(MEASURES)), np.nan)
    for row, image, mask in zip(rows, images, masks, strict=True):
        if found := list(_measure_each(np.asarray(image, float), mask)):
            row[:] = np.mean(found, axis=0)
    return pd.DataFrame(rows, columns=list(MEASURES))


def _measure_each(image: Floats, mask: Mask) -> Iterator[tuple[float, float, float]]:
    """``MEASURES`` of each calcification of a tile that has a usable ring."""
    parts, _ = ndimage.label(mask, SQUARE)
    near = ndimage.binary_dilation(mask, SQUARE, GAP)
    for index, place in enumerate(ndimage.find_objects(parts), 1):
        window = tuple(slice(max(s.start - RING, 0), s.stop + RING) for s in place)
        part = parts[window] == index
        ring = image[window][ndimage.binary_dilation(part, SQUARE, RING) & ~near[window]]
        if len(ring) >= FEWEST:
            contrast = float(image[window][part].mean() - ring.mean())
            noise = max(float(ring.std()), LEAST_NOISE)
            yield contrast, noise, contrast / noise


def lesion_contrasts(
    truth: PhantomTruth, tiles: Sequence[str], before: Any, after: Any
) -> pd.DataFrame:
    """Contrast and noise of simulated calcifications in two versions of the same tiles.

    Args:
        truth: Of the simulated set.
        tiles: Names of the tiles; those without calcifications are passed over.
        before, after: uint8 or float (N, 299, 299), such as noisy and denoised, in the
            order of ``tiles``; read a block at a time.

    Returns:
        One row a lesion: ``lesion``, ``patient``, ``label``, ``tiles`` (its crops that
        count), and each of ``MEASURES`` before and after (``contrast_before``, ...), means
        over these crops.

    Raises:
        UsageError: A tile is unknown to the truth.
        DataError: A version is not of these tiles, or no calcification can be measured.
    """
    for name, images in (("before", before), ("after", after)):
        if len(images) != len(tiles):
            raise DataError(f"{name}: {len(images)} images of {len(tiles)} tiles; give one each")
    origin = truth.origin(tiles)
    rows = np.flatnonzero(origin["label"].isin(CALCIFIED))
    blocks = [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
    measured = [_both(truth, origin.iloc[block], before[block], after[block]) for block in blocks]
    found = pd.concat(measured).dropna() if measured else pd.DataFrame()
    if found.empty:
        raise DataError("tiles: no calcification among them can be measured; give others")
    lesions = found.groupby(["lesion", "patient", "label"], sort=True)
    return lesions.mean().assign(tiles=lesions.size()).reset_index()


def _both(truth: PhantomTruth, origin: pd.DataFrame, before: Any, after: Any) -> pd.DataFrame:
    masks = truth.calcifications(origin["tile"].tolist())
    versions = {"before": before, "after": after}
    tables = [measure_calcifications(v, masks).add_suffix(f"_{k}") for k, v in versions.items()]
    lesion = origin[["lesion", "patient", "label"]].reset_index(drop=True)
    return pd.concat([lesion, *tables], axis=1)
