"""The spatial transformer: where it reads, what it gives at first, and that it learns."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from birads_lib.errors import UsageError
from birads_lib.networks import SCORERS, SpatialTransformer, read_model
from birads_lib.networks.cost import cost_of
from birads_lib.networks.spatial_transformer import affine_grid, sample_bilinear

INPUT = (9, 13, 2)


@pytest.fixture
def tiles() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (3, *INPUT)).astype(np.float32)


def model_of(layer: SpatialTransformer, shape: tuple[int, int, int] = INPUT) -> keras.Model:
    tile = keras.Input(shape, name="tile")
    return keras.Model(tile, layer(tile))


def always(affine: list[list[float]]) -> SpatialTransformer:
    """A layer that moves every tile by one affine map."""
    layer = SpatialTransformer()
    layer.build((None, *INPUT))
    last = layer.localisation.layers[-1]
    kernel, _ = last.get_weights()
    offset = np.array(affine) - [[1, 0, 0], [0, 1, 0]]
    last.set_weights([np.zeros_like(kernel), offset.ravel()])
    return layer


def mark(row: int, column: int) -> np.ndarray:
    tile = np.zeros((1, *INPUT), np.float32)
    tile[0, row, column] = 255
    return tile


def test_tile_is_left_as_it_is_at_first(tiles):
    np.testing.assert_allclose(SpatialTransformer()(tiles), tiles, atol=1e-3)


def test_grid_at_first_is_every_pixels_own_place(tiles):
    grid = np.asarray(SpatialTransformer().grid(tiles))
    assert grid.shape == (3, 9, 13, 2)
    np.testing.assert_allclose(grid[0, 4, 6], (0, 0), atol=1e-6)
    np.testing.assert_allclose(grid[1, 0, 12], (1, -1), atol=1e-6)
    np.testing.assert_allclose(grid[2, 2, 3], (3 / 6 - 1, 2 / 4 - 1), atol=1e-6)


@pytest.mark.parametrize(
    ("affine", "marked", "found"),
    [
        # Centre (4, 6); 1 unit is 6 columns, 4 rows. Reading 2 columns to the right:
        pytest.param([[1, 0, 2 / 6], [0, 1, 0]], (3, 8), (3, 6), id="shift along a row"),
        pytest.param([[1, 0, 0], [0, 1, -1 / 4]], (3, 8), (4, 8), id="shift along a column"),
        # Reading at half the distance from the centre shows it twice as large:
        pytest.param([[0.5, 0, 0], [0, 0.5, 0]], (5, 8), (6, 10), id="twice as large"),
        pytest.param([[-1, 0, 0], [0, -1, 0]], (1, 2), (7, 10), id="half a turn"),
    ],
)
def test_marked_pixel_goes_where_counting_by_hand_puts_it(affine, marked, found):
    moved = np.asarray(always(affine)(mark(*marked)))[0, ..., 0]
    assert np.unravel_index(moved.argmax(), moved.shape) == found
    assert moved.max() == pytest.approx(255, abs=1e-2)


def test_between_pixels_neighbours_share_by_distance():
    moved = np.asarray(always([[1, 0, 0.25 / 6], [0, 1, 0.5 / 4]])(mark(3, 8)))[0, ..., 0]
    expected = np.zeros((9, 13))
    expected[2:4, 7] = 0.5 * 0.25 * 255  # a quarter of a pixel before it
    expected[2:4, 8] = 0.5 * 0.75 * 255
    np.testing.assert_allclose(moved, expected, atol=1e-2)


def test_edge_goes_on_beyond_the_tile(tiles):
    moved = np.asarray(always([[1, 0, 2.0], [0, 1, 0]])(tiles))
    np.testing.assert_allclose(moved, np.repeat(tiles[:, :, -1:], 13, axis=2), atol=1e-3)


def test_grid_of_another_size_samples_another_size(tiles):
    corners = sample_bilinear(tiles, affine_grid(np.tile(np.eye(2, 3), (3, 1, 1)), 2, 2))
    np.testing.assert_allclose(corners, tiles[:, ::8, ::12], atol=1e-3)


def test_each_tile_is_moved_by_what_is_seen_in_it(tiles, randomise):
    layer = SpatialTransformer()
    layer.build((None, *INPUT))
    for seed, part in enumerate(layer.localisation.layers):
        randomise(part, seed=seed, sd=0.1)
    together, alone = np.asarray(layer.affine(tiles)), np.asarray(layer.affine(tiles[1:2]))
    np.testing.assert_allclose(together[1:2], alone, atol=1e-5)
    assert not np.allclose(together[0], together[1], atol=1e-3)


def test_gradient_reaches_the_localisation_network(tiles, randomise, unreached):
    layer = SpatialTransformer(filters=(3,), units=8)
    model = model_of(layer)
    assert unreached(model, tiles) != []  # what stands below a zero kernel waits one step
    assert not any(path.startswith("localisation/dense_1") for path in unreached(model, tiles))
    for seed, part in enumerate(layer.localisation.layers):
        randomise(part, seed=seed, sd=0.05)
    assert unreached(model, tiles) == []


def test_gradient_of_a_shift_is_the_slope_of_the_tile():
    """Brightness rises by 10 a column: reading a unit (6 columns) further gives 60 more."""
    import tensorflow as tf

    ramp = np.tile(10 * np.arange(13, dtype=np.float32)[:, np.newaxis], (1, 9, 1, 1))
    affine = tf.Variable([[[0.5, 0, 0.01], [0, 0.5, 0.01]]])
    with tf.GradientTape() as tape:
        mean = tf.reduce_mean(sample_bilinear(ramp, affine_grid(affine, 9, 13)))
    slope = tape.gradient(mean, affine).numpy()[0]
    assert slope[0, 2] == pytest.approx(60, rel=1e-3)
    assert slope[1, 2] == pytest.approx(0, abs=1e-3)


def test_saved_layer_reads_from_the_same_places(tiles, randomise, tmp_path):
    layer = SpatialTransformer(filters=(3, 5), units=7, name="spatial_transformer")
    model = model_of(layer)
    randomise(layer, sd=0.05)
    model.save(tmp_path / "moved.keras")
    again = read_model(tmp_path / "moved.keras")
    assert again.get_layer("spatial_transformer").get_config()["filters"] == (3, 5)
    np.testing.assert_allclose(again(tiles), model(tiles), atol=1e-3)
    np.testing.assert_allclose(
        again.get_layer("spatial_transformer").grid(tiles), layer.grid(tiles), atol=1e-6
    )


def test_cost_is_that_of_its_parts():
    cost = cost_of(model_of(SpatialTransformer(filters=(3,), units=8), (8, 8, 1)))
    convolution, connected = 4 * 4 * 3 * 25, 2 * 2 * 3 * 8 + 8 * 6
    scaled, mapped, read = 64, 6 * 64, 4 * 64
    assert cost.multiply_adds == scaled + convolution + connected + mapped + read


def test_googlenet_with_it_starts_as_googlenet(randomise):
    shape = (48, 40, 3)
    moved, still = (SCORERS[name](shape, clip=1) for name in ("GoogLeNet-STN", "GoogLeNet"))
    for name in ("googlenet", "score"):
        moved.get_layer(name).set_weights(still.get_layer(name).get_weights())
    tiles = np.random.default_rng(1).uniform(0, 255, (2, *shape)).astype(np.float32)
    np.testing.assert_allclose(moved(tiles), still(tiles), atol=1e-4)
    assert np.asarray(moved.get_layer("spatial_transformer").grid(tiles)).shape == (2, 48, 40, 2)


@pytest.mark.parametrize("shape", [(None, None, None, 1), (None, 1, 9, 1)])
def test_size_must_be_fixed_and_larger_than_a_pixel(shape):
    with pytest.raises(UsageError, match="expected a fixed size"):
        SpatialTransformer().build(shape)
