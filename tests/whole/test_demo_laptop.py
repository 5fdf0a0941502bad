"""The page with networks of the laptop profile's size: light, exact, and quick enough."""

import json

import keras
import numpy as np
import pytest
from demo_page import HALF, MOST_MODEL_BYTES, assert_both_kinds, between, compare, load, threads

from birads_lib import Cascade
from birads_lib.cascade import apply_network, denoised_levels
from birads_lib.networks import attention_scorer, denoising_autoencoder, mobilenet_gate
from birads_lib.study.demo import write_demo
from birads_lib.study.profiles import chapter_settings
from birads_lib.tiles.resizing import network_input, resize_tiles

MOST_MILLISECONDS = 1500  # a tile; machines that run tests are shared
APART = 10  # times that answers of fresh networks, which lie close together, are drawn apart


def untrained_networks():
    """Gate, scorer and autoencoder as the laptop profile builds them, with random weights."""
    keras.utils.set_random_seed(3)
    first, second, third = (
        chapter_settings("laptop", chapter) for chapter in ("autoencoder", "gate", "attention")
    )
    tile, side = first["TILE_SIZE"], second["INPUT_SIZE"]
    shape = (third["INPUT_HEIGHT"], third["INPUT_WIDTH"], 3)
    autoencoder = denoising_autoencoder((tile, tile, 1), first["FILTERS"], first["LATENT"])
    autoencoder.get_layer("rebuild").bias.assign([0.5])  # random pictures around a middle grey
    gate = mobilenet_gate((side, side, 1), second["ALPHA"], units=second["UNITS"])
    return gate, attention_scorer(third["BACKBONE"], shape), autoencoder


def settle(network, tiles):
    """Make a fresh network's answers differ from tile to tile.

    Its batch normalisations get the statistics of these tiles, without which its features
    vanish. Its answers, which lie close together, are drawn apart.
    """
    backbone = next(layer for layer in network.layers if isinstance(layer, keras.Model))
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    height, width, channels = network.input_shape[1:]
    network(network_input(resize_tiles(tiles, (height, width)), channels), training=True)
    kernel, bias = network.layers[-1].get_weights()
    answers = apply_network(network, tiles)
    logits = np.log(answers) - (np.log1p(-answers) if answers.shape[1] == 1 else 0)
    middle = logits.mean(axis=0)
    network.layers[-1].set_weights([APART * kernel, APART * (bias - middle)])


@pytest.fixture(scope="module")
def laptop(sample_tiles, simulated, tmp_path_factory):
    """Folder of a run with such a cascade, and in it, ``demo``, what the page fetches."""
    run = tmp_path_factory.mktemp("laptop") / "laptop"
    gate, scorer, autoencoder = untrained_networks()
    for network in (gate, scorer):
        settle(network, denoised_levels(autoencoder, sample_tiles))
    cascade = Cascade(gate, scorer, autoencoder, about={"profile": run.name, "simulated": True})
    cascade.threshold = between(cascade.predict(sample_tiles)["gate"], HALF)
    cascade.save(run / "models" / "cascade")
    (run / "store").symlink_to(simulated / "store")
    write_demo(run, run / "demo")
    return run


@pytest.mark.parametrize("isolated", [True, False], ids=["isolated", "plain server"])
def test_networks_of_the_laptop_profile_are_small_and_give_pythons_numbers(
    isolated, laptop, site, visit, sample_tiles, measured
):
    told = json.loads((laptop / "demo" / "manifest.json").read_text())
    size = sum(part["bytes"] for part in told["parts"].values())
    assert told["left_out"] is None
    assert size < MOST_MODEL_BYTES
    reading = Cascade.load(laptop / "models" / "cascade").read(sample_tiles)
    assert_both_kinds(reading, HALF)

    window = visit()
    for name in ("manifest.json", *(part["file"] for part in told["parts"].values())):
        window.page.route(
            f"**/demo/{name}",
            lambda route, path=laptop / "demo" / name: route.fulfill(path=path),
        )
    if not isolated:  # a plain file server sends no headers that allow threads
        window.page.route(
            "**/book/demo.html",
            lambda route: route.fulfill(body=route.fetch().body(), content_type="text/html"),
        )
    load(window, site)
    assert window.page.evaluate("() => crossOriginIsolated") == isolated
    milliseconds = float(np.median(compare(window, told["samples"], reading, HALF)))
    taken = measured["demo"].setdefault("laptop", {"bytes": size, "milliseconds": {}})
    taken["milliseconds"][threads(window)] = milliseconds
    assert milliseconds < MOST_MILLISECONDS
    assert window.errors == []
