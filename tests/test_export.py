"""Networks in other forms give the numbers that Keras gives."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from birads_lib.engines import SUFFIXES, open_network
from birads_lib.errors import DataError, UsageError
from birads_lib.export import FORMATS, export_network, with_plain_scaling
from birads_lib.networks import attention_scorer, denoising_autoencoder, mobilenet_gate

AGREE = 1e-4  # of an output's range


@pytest.fixture(scope="module")
def networks() -> dict[str, keras.Model]:
    """The study's three at small sizes, their statistics settled on the tiles below."""
    keras.utils.set_random_seed(3)
    built = {
        "autoencoder": denoising_autoencoder((37, 41, 1), (4, 8), 4),
        "gate": mobilenet_gate((96, 96, 1), 0.35, last_block=3),
        "scorer": attention_scorer("EfficientNetB0", (64, 48, 3), last_block=2),
    }
    for network in built.values():
        for _ in range(20):
            network(tiles(network), training=True)
    return built


def tiles(network: keras.Model, count: int = 11) -> np.ndarray:
    """Tiles that differ: each a slope of its own under noise."""
    rng = np.random.default_rng(4)
    height, width, channels = network.input_shape[1:]
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    slopes = rng.uniform(-120, 120, (2, count, 1, 1))
    grey = 128 + slopes[0] * rows + slopes[1] * columns + rng.normal(0, 20, (count, height, width))
    return np.repeat(np.clip(grey, 0, 255)[..., np.newaxis], channels, -1).astype(np.float32)


@pytest.fixture(scope="module")
def exported(networks, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    for name, network in networks.items():
        network.save(folder / f"{name}.keras")
        for form in ("onnx", "litert"):
            export_network(network, folder / f"{name}{FORMATS[form]}", form)
    return folder


@pytest.mark.parametrize("engine", SUFFIXES)
@pytest.mark.parametrize("name", ["autoencoder", "gate", "scorer"])
def test_every_engine_agrees_with_keras(name, engine, networks, exported):
    network = networks[name]
    runs = open_network(exported / f"{name}{SUFFIXES[engine]}", engine)
    assert runs.input_shape == network.input_shape[1:]
    assert runs.output_shape == network.output_shape[1:]
    x = tiles(network)
    expected = network.predict_on_batch(x)
    assert np.ptp(expected) > 1e-3, "outputs that are all alike show nothing"
    scale = 255 if name == "autoencoder" else 1
    for count in (11, 3, 1):
        np.testing.assert_allclose(runs(x[:count]), expected[:count], atol=AGREE * scale)
    assert runs(x[:0]).shape == (0, *runs.output_shape)


def test_openvino_form_is_read_back(networks, tmp_path):
    path = tmp_path / "gate.xml"
    export_network(networks["gate"], path, "openvino")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["gate.bin", "gate.xml"]
    x = tiles(networks["gate"])
    expected = networks["gate"].predict_on_batch(x)
    np.testing.assert_allclose(open_network(path, "openvino")(x), expected, atol=AGREE)


def test_normalisation_becomes_its_own_numbers():
    tile = keras.Input((2, 2, 3))
    inner = keras.Model(tile, layers.Normalization(mean=[1, 2, 3], variance=[4, 9, 0.25])(tile))
    outer = keras.Input((2, 2, 3))
    model = keras.Model(outer, layers.Conv2D(2, 1)(inner(outer)))
    plain = with_plain_scaling(model)
    x = np.random.default_rng(0).normal(2, 3, (5, 2, 2, 3)).astype(np.float32)
    np.testing.assert_allclose(plain(x), model(x), rtol=1e-5, atol=1e-5)
    scaled = np.asarray(plain.layers[1](x))
    np.testing.assert_allclose(scaled, (x - [1, 2, 3]) / [2, 3, 0.5], rtol=1e-5, atol=1e-5)


def test_model_without_normalisation_is_left_as_it_is(networks):
    assert with_plain_scaling(networks["gate"]) is networks["gate"]


def test_unknown_form_lists_the_known(networks, tmp_path):
    with pytest.raises(UsageError, match="coreml"):
        export_network(networks["gate"], tmp_path / "gate.mlmodel", "coreml")


@pytest.mark.parametrize("engine", SUFFIXES)
def test_file_that_is_no_network_is_named(engine, tmp_path):
    path = tmp_path / f"gate{SUFFIXES[engine]}"
    path.write_bytes(b"not a network" * 9)
    with pytest.raises(DataError, match="not a readable network") as error:
        open_network(path, engine)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    path.unlink()
    with pytest.raises(DataError, match="the network is missing"):
        open_network(path, engine)
