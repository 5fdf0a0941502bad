"""How true a texture is: radial power spectra of tiles and their power law.

Mammographic tissue has a spectrum close to 1 / f**beta with beta near 3
(Burgess 1999).
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray

FIT_RANGE = (5, 60)  # cycles a tile; below lies the thickness, above the noise


def radial_spectrum(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Radially averaged power of each tile under a Hann window.

    Args:
        images: uint8 (N, S, S).

    Returns:
        float64 (N, S // 2): mean power at 0, 1, 2, ... cycles a tile.
    """
    size = images.shape[-1]
    window = np.hanning(size)[:, np.newaxis] * np.hanning(size)
    cycles = scipy.fft.fftfreq(size, 1 / size)
    ring = np.rint(np.hypot(cycles[:, np.newaxis], cycles)).astype(int).ravel()
    in_ring = np.bincount(ring)[: size // 2]
    spectra = np.empty((len(images), size // 2))
    for spectrum, image in zip(spectra, images, strict=True):
        power = np.abs(scipy.fft.fft2((image - image.mean()) * window)) ** 2
        spectrum[:] = np.bincount(ring, power.ravel())[: size // 2] / in_ring
    return spectra


def power_law_exponents(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Exponent beta of each tile, fitted to log power over 5 to 60 cycles: float64 (N,).

    NaN for a tile without any texture.
    """
    low, high = FIT_RANGE
    spectra = radial_spectrum(images)[:, low : high + 1]
    frequency = np.log(np.arange(low, high + 1))
    beta = np.full(len(images), np.nan)
    textured = (spectra > 0).all(axis=1)
    if textured.any():
        beta[textured] = -np.polyfit(frequency, np.log(spectra[textured]).T, 1)[0]
    return beta
