"""Tiles of a kind lie within its ranges; others are told, with a reason."""

import numpy as np
import pytest

from birads_lib.errors import UsageError
from birads_lib.tiles import familiarity
from birads_lib.tiles.familiarity import MEASURES, Familiarity, measure_tiles
from birads_lib.tiles.spectrum import power_law_exponents


@pytest.fixture(scope="module")
def tissue(store):
    return np.asarray(store.images)


@pytest.fixture(scope="module")
def familiar(tissue):
    return Familiarity.of(tissue)


def test_measures_are_those_named(tissue):
    found = measure_tiles(tissue[:5])
    assert set(found) == set(MEASURES)
    np.testing.assert_allclose(found["mean"], [tile.mean() for tile in tissue[:5]])
    np.testing.assert_allclose(found["deviation"], [tile.std() for tile in tissue[:5]])
    np.testing.assert_allclose(found["exponent"], power_law_exponents(tissue[:5]))


def test_almost_all_tiles_of_the_kind_are_alike(familiar, tissue):
    unlike = [bool(found) for found in familiar.remarks(tissue)]
    assert np.mean(unlike) < 2 * familiarity.TAIL * len(MEASURES) + 0.01


@pytest.mark.parametrize(
    ("picture", "measure"),
    [
        (np.random.default_rng(0).integers(0, 256, (299, 299)), "exponent"),
        (np.arange(299 * 299).reshape(299, 299) % 2 * 255, "deviation"),
        (np.full((299, 299), 250), "mean"),
    ],
    ids=["noise", "stripes", "white"],
)
def test_a_picture_of_another_kind_is_told_by_what_differs(familiar, picture, measure):
    (found,) = familiar.remarks(picture.astype(np.uint8)[np.newaxis])
    assert any(MEASURES[measure] in sentence for sentence in found)


def test_a_blank_picture_has_no_texture(familiar):
    (found,) = familiar.remarks(np.full((1, 299, 299), 90, np.uint8))
    assert any("no texture" in sentence for sentence in found)


def test_no_more_tiles_are_measured_than_needed(tissue, monkeypatch):
    monkeypatch.setattr(familiarity, "SAMPLE", 3)
    drawn = Familiarity.of(tissue).ranges["mean"]
    means = tissue.reshape(len(tissue), -1).mean(axis=1)
    assert drawn != (means.min(), means.max())
    assert Familiarity.of(tissue).ranges["mean"] == drawn, "by a fixed seed"


def test_no_tiles_are_refused():
    with pytest.raises(UsageError, match="no tiles"):
        Familiarity.of(np.empty((0, 299, 299), np.uint8))
