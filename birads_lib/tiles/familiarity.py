"""What tiles of a kind look like, and whether another picture looks like them.

A network answers whatever it is shown. Three plain numbers of a picture, beside the ranges
in which almost all training tiles lie, tell some of those it should never have been shown.
A picture within all ranges may still be unsuitable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from birads_lib.errors import UsageError
from birads_lib.tiles.spectrum import power_law_exponents

MEASURES = {
    "mean": "mean grey level",
    "deviation": "standard deviation of grey levels",
    "exponent": "exponent of the power spectrum",
}
TAIL = 0.005  # share of the training tiles beyond each end of a range
SAMPLE = 2000  # tiles measured at most
SEED = 0

Ranges = Mapping[str, tuple[float, float]]


def measure_tiles(images: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
    """Three numbers of each tile.

    Args:
        images: uint8 (N, S, S).

    Returns:
        By name in ``MEASURES`` float64 (N,): mean and standard deviation, grey levels;
        beta of the spectrum's fall as 1 / f**beta over 5 to 60 cycles a tile, NaN for a
        tile without texture.
    """
    flat = images.reshape(len(images), -1)
    return {
        "mean": flat.mean(axis=1),
        "deviation": flat.std(axis=1),
        "exponent": power_law_exponents(images),
    }


@dataclass(frozen=True)
class Familiarity:
    """Ranges in which almost all tiles of a kind lie.

    Attributes:
        ranges: Least and greatest value of each measure in ``MEASURES``.
    """

    ranges: Ranges

    @classmethod
    def of(cls, images: Any) -> Familiarity:
        """Ranges that hold all but the outermost half per cent at either end.

        Args:
            images: uint8 (N, S, S), such as the training tiles; at most 2,000 are measured,
                drawn by a fixed seed.

        Raises:
            UsageError: There are none.
        """
        if not len(images):
            raise UsageError("familiarity: no tiles given; it needs those that were trained on")
        drawn = np.random.default_rng(SEED).permutation(len(images))[:SAMPLE]
        measured = measure_tiles(np.asarray(images[np.sort(drawn)]))
        ends = {k: np.nanquantile(v, (TAIL, 1 - TAIL)) for k, v in measured.items()}
        return cls({name: (float(low), float(high)) for name, (low, high) in ends.items()})

    def remarks(self, images: NDArray[np.uint8]) -> list[list[str]]:
        """What is unlike, tile by tile: one sentence each; none where all is alike.

        Args:
            images: uint8 (N, S, S).
        """
        measured = measure_tiles(images)
        return [
            [
                _remark(name, values[row], *self.ranges[name])
                for name, values in measured.items()
                if not self.ranges[name][0] <= values[row] <= self.ranges[name][1]
            ]
            for row in range(len(images))
        ]


def _remark(name: str, value: float, low: float, high: float) -> str:
    if np.isnan(value):
        return f"The picture has no texture, so the {MEASURES[name]} cannot be told."
    return (
        f"The {MEASURES[name]} is {value:.2f}; almost all training tiles lie between {low:.2f} "
        f"and {high:.2f}."
    )
