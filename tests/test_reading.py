"""A cascade with real layers: its maps, and the same numbers whichever engine runs it."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from birads_lib import Cascade, engines
from birads_lib.engines import SUFFIXES, open_network
from birads_lib.explain import attention_maps
from birads_lib.export import with_attention
from birads_lib.labels import LESION_CODES
from birads_lib.networks import attention_scorer, denoising_autoencoder, mobilenet_gate, scorer
from birads_lib.tiles.familiarity import Familiarity
from birads_lib.tiles.resizing import network_input, resize_tiles

AGREE = 1e-4
FORMS = ("onnx", "litert")


@pytest.fixture(scope="module")
def tiles(store) -> np.ndarray:
    return np.asarray(store.images[:24])


@pytest.fixture(scope="module")
def whole(tiles) -> Cascade:
    """The study's three networks at small sizes, with statistics of these tiles."""
    keras.utils.set_random_seed(5)
    autoencoder = denoising_autoencoder((299, 299, 1), (4, 8), 4)
    gate = mobilenet_gate((96, 96, 1), 0.35, last_block=3)
    scorer = attention_scorer("EfficientNetB0", (64, 48, 3), last_block=2)
    for network in (gate, scorer):
        height, width, channels = network.input_shape[1:]
        x = network_input(resize_tiles(tiles, (height, width)), channels)
        for _ in range(20):
            network(x, training=True)
    kernel, bias = gate.layers[-1].get_weights()
    gate.layers[-1].set_weights([40 * kernel, bias])  # random answers lie all near .5
    middle = float(np.median(Cascade(gate, scorer, autoencoder).predict(tiles)["gate"]))
    return Cascade(gate, scorer, autoencoder, middle, {}, Familiarity.of(tiles))


@pytest.fixture(scope="module")
def saved(whole, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reading") / "cascade"
    whole.save(folder, FORMS)
    return folder


@pytest.mark.parametrize("engine", SUFFIXES)
def test_whole_cascade_agrees_with_keras_whatever_runs_it(engine, whole, saved, tiles):
    ours, theirs = whole.read(tiles), Cascade.load(saved, engine).read(tiles)
    assert ours.answers["predicted"].tolist() == theirs.answers["predicted"].tolist()
    assert 0 < (ours.answers["predicted"] == "C1").sum() < len(tiles)
    for name in ("gate", *LESION_CODES):
        np.testing.assert_allclose(theirs.answers[name], ours.answers[name], atol=AGREE)
    np.testing.assert_allclose(theirs.attention, ours.attention, atol=AGREE)
    assert np.abs(ours.denoised.astype(int) - theirs.denoised).max() <= 1
    assert (ours.denoised != theirs.denoised).mean() < 1e-3


def test_reading_holds_what_predict_and_denoise_give(whole, tiles):
    reading = whole.read(tiles)
    expected = whole.predict(tiles)
    assert reading.answers.equals(expected)
    np.testing.assert_array_equal(reading.denoised, whole.denoise(tiles))


def test_attention_is_that_of_the_scorer_and_of_scored_tiles_alone(whole, tiles):
    reading = whole.read(tiles)
    scored = (reading.answers["predicted"] != "C1").to_numpy()
    assert np.isnan(reading.attention[~scored]).all()
    shown = reading.attention[scored]
    assert ((shown > 0) & (shown < 1)).all()
    scorer = whole.scorer.model
    small = resize_tiles(reading.denoised[scored], scorer.input_shape[1:3])
    stretched = resize_tiles(shown, scorer.input_shape[1:3])
    np.testing.assert_allclose(stretched, attention_maps(scorer, small), atol=5e-3)


def test_a_network_with_its_map_gives_the_same_answers(whole):
    scorer = whole.scorer.model
    x = np.random.default_rng(0).uniform(0, 255, (3, *scorer.input_shape[1:])).astype(np.float32)
    answers, maps = with_attention(scorer)(x)
    np.testing.assert_allclose(answers, scorer(x), atol=1e-6)
    assert maps.shape[1:] == (*whole.scorer.attention_shape, 1)
    assert with_attention(whole.gate.model) is whole.gate.model


def test_a_network_without_spatial_attention_has_no_map(saved):
    assert open_network(saved / "gate.onnx").attention_shape is None
    assert open_network(saved / "scorer.onnx").attention_shape is not None


def test_the_layer_of_the_map_has_one_name():
    assert engines.SPATIAL == scorer.SPATIAL


def test_what_training_tiles_look_like_is_kept(whole, saved, tiles):
    again = Cascade.load(saved).familiar
    assert again is not None
    assert again.remarks(tiles) == whole.familiar.remarks(tiles)
