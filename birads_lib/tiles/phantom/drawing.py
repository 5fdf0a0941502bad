"""Drawing the tiles of one normal scan or of one view of a lesion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from birads_lib.tiles.layout import TILE
from birads_lib.tiles.phantom import lesions, tissue
from birads_lib.tiles.phantom.lesions import Bytes
from birads_lib.tiles.phantom.patients import CROPS, FIELD_TILES, GRID, SCAN_FIELDS
from birads_lib.tiles.phantom.plan import (
    FIELD_STREAM,
    FILM_STREAM,
    SCAN_STREAM,
    VIEW_STREAM,
    Job,
    Place,
)

# Sizes, px
NORMAL_FIELD, NORMAL_WAVES = GRID * TILE, 900  # field, and a good size to transform
LESION_FIELD, LESION_WAVES = 432, 600
NORMAL_SKIN, LESION_SKIN = (20.0, 160.0), (5.0, 70.0)  # from the field's side
CROP_MARGIN = 2


@dataclass(frozen=True)
class Drawing:
    """One tile as drawn: uint8 ``(299, 299)`` twice, and two bool masks of that shape."""

    noisy: Bytes
    clean: Bytes
    mask: NDArray[np.bool_]
    calcifications: NDArray[np.bool_]


def draw_job(job: Job, seed: int) -> Iterator[tuple[Place, Drawing]]:
    """Draw the tiles of a job, one after another."""
    return _draw_normal_scan(job, seed) if job.lesion is None else _draw_lesion_view(job, seed)


def _draw_normal_scan(job: Job, seed: int) -> Iterator[tuple[Place, Drawing]]:
    rng = np.random.default_rng([seed, SCAN_STREAM, job.index])
    scan = tissue.draw_scan(rng, job.scanner, positive=False)
    amplitude = tissue.power_law_filter(NORMAL_WAVES, scan.beta, scan.stretch, scan.angle)
    nothing = np.zeros((TILE, TILE), bool)
    for field in range(SCAN_FIELDS):
        places = [p for p in job.places if p.slot // FIELD_TILES == field]
        if not places:
            continue
        rng = np.random.default_rng([seed, FIELD_STREAM, job.index, field])
        noisy, clean = _normal_field(rng, scan, amplitude)
        for place in places:
            y, x = (TILE * i for i in divmod(place.slot % FIELD_TILES, GRID))
            window = slice(y, y + TILE), slice(x, x + TILE)
            yield place, Drawing(noisy[window], clean[window], nothing, nothing)


def _normal_field(
    rng: np.random.Generator, scan: tissue.Scan, amplitude: tissue.Image
) -> tuple[Bytes, Bytes]:
    """Noisy and clean grey levels of nine tiles."""
    field = tissue.tissue_field(rng, scan, amplitude, NORMAL_FIELD)
    if rng.random() < tissue.SKIN_FIELD_CHANCE:
        depth = tissue.skin_depth(rng, NORMAL_FIELD, NORMAL_SKIN)
        field = tissue.thin_towards_skin(rng, field, depth)
    return _film(rng, scan, field)


def _draw_lesion_view(job: Job, seed: int) -> Iterator[tuple[Place, Drawing]]:
    assert job.lesion is not None
    rng = np.random.default_rng([seed, FILM_STREAM, job.film])
    scan = tissue.draw_scan(rng, job.scanner, positive=True)
    amplitude = tissue.power_law_filter(LESION_WAVES, scan.beta, scan.stretch, scan.angle)
    rng = np.random.default_rng([seed, VIEW_STREAM, job.index])
    field = tissue.tissue_field(rng, scan, amplitude, LESION_FIELD)
    height = job.conspicuity * tissue.structure(field)
    if rng.random() < tissue.SKIN_LESION_CHANCE:
        depth = tissue.skin_depth(rng, LESION_FIELD, LESION_SKIN)
        field = tissue.thin_towards_skin(rng, field, depth)
    image, mask = lesions.lesion_image(rng, job.lesion, LESION_FIELD)
    cores = lesions.calcification_cores(job.lesion, image)
    field += np.float32(height) * image
    noisy, clean = _film(rng, scan, field)
    crops = [_random_crop(rng, mask) for _ in range(CROPS)]
    for place in job.places:
        crop = crops[place.slot]
        yield place, Drawing(crop(noisy), crop(clean), crop(mask), crop(cores))


def _film(rng: np.random.Generator, scan: tissue.Scan, field: tissue.Image) -> tuple[Bytes, Bytes]:
    """Noisy and clean grey levels, uint8, of a field of tissue."""
    grey, weight = tissue.film_curve(field, scan, tissue.field_middle(rng, scan))
    grey = tissue.out_of_focus(grey, scan)
    noisy = tissue.add_noise(rng, grey, weight, scan)
    return tissue.to_bytes(noisy), tissue.to_bytes(grey)


def _random_crop(rng: np.random.Generator, mask: NDArray[np.bool_]) -> Callable[[NDArray], NDArray]:
    """A tile at random about the lesion, flipped and turned; the whole lesion if it fits."""
    y, x = (_offset(rng, np.flatnonzero(mask.any(axis=axis)), len(mask)) for axis in (1, 0))
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))

    def crop(field: NDArray) -> NDArray:
        tile = np.rot90(field[y : y + TILE, x : x + TILE], turns)
        return tile[:, ::-1] if flip else tile

    return crop


def _offset(rng: np.random.Generator, where: NDArray[np.intp], size: int) -> int:
    """First row (or column) of a crop that holds all of ``where``, if that is possible."""
    low = max(0, int(where[-1]) + 1 + CROP_MARGIN - TILE)
    high = min(size - TILE, int(where[0]) - CROP_MARGIN)
    if low > high:
        low = high = (size - TILE) // 2
    return int(rng.integers(low, high + 1))
