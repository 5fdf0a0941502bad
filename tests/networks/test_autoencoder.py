"""The denoising autoencoder: sizes, grey range, layers, gradients, learning."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from birads_lib.errors import UsageError
from birads_lib.networks import denoising_autoencoder
from birads_lib.networks.autoencoder import GreyRange

TILE = 299


@pytest.fixture(scope="module")
def printed() -> keras.Model:
    return denoising_autoencoder()


def test_whole_tile_keeps_its_size(printed):
    assert printed.input_shape == (None, TILE, TILE, 1)
    assert printed.output_shape == (None, TILE, TILE, 1)
    assert printed(np.zeros((1, TILE, TILE, 1), np.float32)).shape == (1, TILE, TILE, 1)


@pytest.mark.parametrize("size", [(37, 41), (8, 8), (5, 6), (1, 1)])
@pytest.mark.parametrize("filters", [(2,), (2, 2, 2)])
def test_any_size_comes_back_as_it_went_in(size, filters):
    model = denoising_autoencoder((*size, 1), filters, latent=1)
    assert model(np.full((2, *size, 1), 90, np.float32)).shape == (2, *size, 1)


def test_cropping_takes_off_what_padding_put_on():
    """A network that passes its input on gives each pixel back in its place."""
    model = denoising_autoencoder((5, 6, 1), (1,), latent=1)
    cut = keras.Model(model.input, model.get_layer("pad").output)
    put_back = layers.Cropping2D(model.get_layer("crop").cropping)
    tile = np.arange(30, dtype=np.float32).reshape(1, 5, 6, 1)
    np.testing.assert_allclose(np.asarray(put_back(cut(tile))) * 255, tile, rtol=1e-6)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_output_is_grey_levels_for_extreme_tiles(autoencoder, grey_tiles, level):
    rebuilt = np.asarray(autoencoder(np.full_like(grey_tiles, level)))
    assert rebuilt.dtype == np.float32
    assert rebuilt.min() >= 0
    assert rebuilt.max() <= 255


def test_takes_eight_bit_tiles(autoencoder, grey_tiles):
    eight_bit = grey_tiles.astype(np.uint8)
    from_floats = autoencoder(eight_bit.astype(np.float32))
    np.testing.assert_allclose(autoencoder.predict_on_batch(eight_bit), from_floats, atol=1e-3)


def test_wild_weights_cannot_leave_the_grey_range(grey_tiles, randomise):
    model = denoising_autoencoder(grey_tiles.shape[1:], (2,), latent=2)
    for layer in model.layers:
        randomise(layer, seed=6, sd=3)
    last = model.get_layer("rebuild")
    rebuilt = [np.asarray(model(grey_tiles))]
    last.set_weights([-values for values in last.get_weights()])
    rebuilt.append(np.asarray(model(grey_tiles)))
    assert np.min(rebuilt) == 0
    assert np.max(rebuilt) == 255


def test_grey_range_clips_and_scales():
    values = np.array([-2000, -0.5, 0, 0.25, 0.5, 1, 1.5, 2000], np.float32)
    expected = [0, 0, 0, 63.75, 127.5, 255, 255, 255]
    np.testing.assert_allclose(GreyRange()(values), expected, atol=1e-3)


def test_grey_range_never_exceeds_white():
    values = np.concatenate([np.linspace(-9, 9, 4001), np.geomspace(1, 1e5, 4001)])
    grey = np.asarray(GreyRange()(values.astype(np.float32)))
    assert grey.min() == 0
    assert grey.max() == 255


def test_decoder_mirrors_the_encoder(printed):
    kinds = (layers.Conv2D, layers.MaxPooling2D, layers.UpSampling2D)
    found = [layer for layer in printed.layers if isinstance(layer, kinds)]
    assert [layer.name for layer in found] == [
        "encode_1", "pool_1", "encode_2", "pool_2", "latent_code",
        "up_2", "decode_2", "up_1", "decode_1", "rebuild",
    ]  # fmt: skip
    filters = {x.name: x.filters for x in found if isinstance(x, layers.Conv2D)}
    assert filters == {
        "encode_1": 16,
        "encode_2": 32,
        "latent_code": 8,
        "decode_2": 32,
        "decode_1": 16,
        "rebuild": 1,
    }


def test_weights_are_those_of_six_convolutions(printed):
    channels = [(1, 16), (16, 32), (32, 8), (8, 32), (32, 16), (16, 1)]
    assert printed.count_params() == sum(9 * a * b + b for a, b in channels) == 14_217


def test_latent_code_is_smaller_than_the_tile(printed):
    code = printed.get_layer("latent_code").output.shape[1:]
    assert code == (75, 75, 8)
    assert np.prod(code) < TILE * TILE


def test_gradient_reaches_every_weight(autoencoder, grey_tiles, unreached):
    assert unreached(autoencoder, grey_tiles, grey_tiles) == []


@pytest.mark.parametrize("start", [-4.0, 4.0])
def test_gradient_comes_through_when_the_output_starts_outside(
    start, autoencoder, grey_tiles, unreached
):
    model = keras.models.clone_model(autoencoder)
    model.set_weights(autoencoder.get_weights())
    model.get_layer("rebuild").bias.assign([start])
    np.testing.assert_allclose(model(grey_tiles), 255 if start > 1 else 0, atol=0.01)
    assert unreached(model, grey_tiles, np.full_like(grey_tiles, 128)) == []


def test_saved_network_gives_the_same_tiles(autoencoder, grey_tiles, tmp_path):
    autoencoder.save(tmp_path / "autoencoder.keras")
    again = keras.saving.load_model(tmp_path / "autoencoder.keras")
    np.testing.assert_array_equal(again(grey_tiles), autoencoder(grey_tiles))


@pytest.mark.parametrize(
    ("shape", "filters", "found"),
    [((37, 41, 3), (4,), "3 channels"), ((37, 41, 1), (), r"filters \[\]")],
)
def test_wrong_arguments_are_named(shape, filters, found):
    with pytest.raises(UsageError, match=f"denoising_autoencoder: .*{found}.*expected one grey"):
        denoising_autoencoder(shape, filters)


def test_learns_to_take_noise_off():
    rng = np.random.default_rng(7)
    clean = np.kron(rng.uniform(40, 215, (16, 3, 3, 1)), np.ones((1, 6, 6, 1)))[:, :17, :17]
    noisy = np.clip(clean + rng.normal(0, 40, clean.shape), 0, 255)
    keras.utils.set_random_seed(0)
    model = denoising_autoencoder((17, 17, 1), (8,), latent=4)
    model.compile(keras.optimizers.Adam(1e-2), "mean_absolute_error")
    losses = model.fit(noisy, clean, batch_size=8, epochs=60, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2
    assert losses[-1] < np.abs(noisy - clean).mean()
