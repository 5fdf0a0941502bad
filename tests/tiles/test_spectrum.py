"""Power spectra: known power laws are recovered, flat tiles have none."""

from __future__ import annotations

import numpy as np
import pytest

from birads_lib.tiles.cbis import example_scans
from birads_lib.tiles.crops import cut_tiles, tile_positions
from birads_lib.tiles.layout import TILE
from birads_lib.tiles.spectrum import power_law_exponents, radial_spectrum

FIELD = 1024  # px, side of a periodic field from which tiles are cut


def power_law_tiles(beta: float, count: int, seed: int = 0) -> np.ndarray:
    """Tiles cut from larger fields of Gaussian noise with power 1 / f**beta, uint8."""
    rng = np.random.default_rng(seed)
    cycles = np.hypot(np.fft.fftfreq(FIELD)[:, np.newaxis], np.fft.rfftfreq(FIELD))
    cycles[0, 0] = np.inf
    tiles = np.empty((count, TILE, TILE), np.uint8)
    for tile in tiles:
        field = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(FIELD, FIELD))) * cycles ** (-beta / 2))
        cut = field[300 : 300 + TILE, 300 : 300 + TILE]
        tile[:] = np.clip(128 + 35 * (cut - cut.mean()) / cut.std(), 0, 255)
    return tiles


@pytest.mark.parametrize("beta", [2.0, 3.0, 4.0])  # at 4 only a window keeps edges out
def test_the_exponent_of_power_law_noise_is_recovered(beta):
    found = power_law_exponents(power_law_tiles(beta, 12))
    assert found.shape == (12,)
    assert found.mean() == pytest.approx(beta, abs=0.1)
    assert found.std() < 0.2


def test_white_noise_has_exponent_zero():
    noise = np.random.default_rng(0).integers(0, 256, (8, TILE, TILE), np.uint8)
    assert power_law_exponents(noise).mean() == pytest.approx(0, abs=0.05)


def test_contrast_and_brightness_do_not_change_the_exponent():
    tiles = power_law_tiles(2.0, 4)
    dim = (tiles // 2 + 60).astype(np.uint8)
    np.testing.assert_allclose(power_law_exponents(dim), power_law_exponents(tiles), atol=0.05)


def test_a_flat_tile_has_no_exponent_and_does_not_spoil_its_neighbours():
    tiles = power_law_tiles(3.0, 3)
    alone = power_law_exponents(tiles)
    tiles[1] = 77
    found = power_law_exponents(tiles)
    assert np.isnan(found).tolist() == [False, True, False]
    np.testing.assert_allclose(found[[0, 2]], alone[[0, 2]])


def test_flat_tiles_alone_give_nan_only():
    assert np.isnan(power_law_exponents(np.full((2, TILE, TILE), 200, np.uint8))).all()


def test_no_tiles_give_no_exponents():
    assert power_law_exponents(np.empty((0, TILE, TILE), np.uint8)).shape == (0,)


@pytest.mark.parametrize("cycles", [4, 20, 80])
@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_a_wave_peaks_at_its_cycles_a_tile(cycles, angle):
    y, x = np.indices((TILE, TILE)) / TILE
    wave = np.cos(2 * np.pi * cycles * (x * np.cos(angle) + y * np.sin(angle)))
    spectrum = radial_spectrum(np.uint8(128 + 100 * wave)[np.newaxis])
    assert spectrum.shape == (1, TILE // 2)
    assert abs(int(spectrum[0].argmax()) - cycles) <= 1


def test_power_grows_with_the_square_of_contrast():
    tiles = power_law_tiles(2.0, 2)
    loud = tiles // 2 * 2
    ratio = radial_spectrum(loud)[:, 5:60] / radial_spectrum(loud // 2)[:, 5:60]
    np.testing.assert_allclose(ratio, 4, rtol=1e-6)


def test_real_mammograms_fall_off_like_tissue():
    scan = next(example_scans())
    found = power_law_exponents(cut_tiles(scan, tile_positions(scan)))
    assert 2.3 < np.median(found) < 3.9
