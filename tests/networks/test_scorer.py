"""The scorer: EfficientNet with attention as printed and small, and the plain CNN."""

from __future__ import annotations

from itertools import pairwise

import keras
import numpy as np
import pytest

from birads_lib.errors import DataError, UsageError
from birads_lib.networks import (
    EFFICIENTNETS,
    PRINTED_INPUT,
    attention_head,
    attention_scorer,
    plain_cnn,
)
from birads_lib.networks.scorer import PLAIN_FILTERS

SMALL = (64, 48, 3)
B7_WEIGHTS = 64_097_687  # of keras.applications, without its top; the paper says 66 million
B7_CHANNELS = 2560


@pytest.fixture(scope="module")
def printed() -> keras.Model:
    """EfficientNetB7 at the printed size."""
    keras.utils.set_random_seed(0)
    return attention_scorer()


def head_weights(channels: int, spatial: bool = True, channel: bool = True) -> int:
    """Weights and biases behind the backbone: two 1x1 convolutions of one map to one, equation
    (2); one fully connected part for both poolings, equation (6); the softmax, equation (5)."""
    of_maps, of_channels = 2 * (1 + 1), channels * channels + channels
    return spatial * of_maps + channel * of_channels + channels * 4 + 4


def test_rows_are_probabilities(scorer, colour_tiles):
    scores = np.asarray(scorer(colour_tiles))
    assert scores.shape == (4, 4)
    assert scores.min() >= 0
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)


def test_number_of_classes_is_as_asked():
    model = attention_scorer("EfficientNetB0", SMALL, classes=3)
    assert model.output_shape == (None, 3)


@pytest.mark.parametrize(
    ("attention", "present"),
    [
        ("both", {"spatial_attention", "channel_attention"}),
        ("spatial", {"spatial_attention"}),
        ("channel", {"channel_attention"}),
        ("none", set()),
    ],
)
def test_attention_decides_the_layers(attention, present):
    model = attention_scorer("EfficientNetB0", SMALL, attention=attention)
    names = {layer.name for layer in model.layers}
    assert names & {"spatial_attention", "channel_attention"} == present
    assert model.output_shape == (None, 4)


@pytest.mark.parametrize(
    ("attention", "parts"),
    [("both", (True, True)), ("spatial", (True, False)), ("channel", (False, True)),
     ("none", (False, False))],
)  # fmt: skip
def test_weights_of_the_attention_head_are_those_of_its_equations(attention, parts):
    head = attention_head((3, 2, 1280), attention)
    assert head.count_params() == head_weights(1280, *parts)


def test_a_bottleneck_in_the_attention_head_has_fewer_weights():
    narrow = attention_head((3, 2, 1280), reduction=16)
    saved = (1280 * 1280 + 1280) - (1280 * 80 + 80 + 80 * 1280 + 1280)
    assert narrow.count_params() == head_weights(1280) - saved


def test_readings_of_the_equations_are_passed_on():
    model = attention_scorer("EfficientNetB0", SMALL, pool="window", reduction=16)
    assert model.get_layer("spatial_attention").pool == "window"
    assert model.get_layer("channel_attention").reduction == 16


@pytest.mark.parametrize(("block", "cells"), [(1, (32, 24)), (3, (8, 6)), (7, (2, 2))])
def test_last_block_cuts_the_backbone_there(block, cells):
    backbone = attention_scorer("EfficientNetB0", SMALL, last_block=block).layers[1]
    names = [layer.name for layer in backbone.layers]
    assert backbone.output_shape[1:3] == cells
    assert names[-1].startswith(f"block{block}")
    assert not any(name.startswith(f"block{block + 1}") for name in names)


def test_block_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match="last_block: efficientnetb0 has no block 8"):
        attention_scorer("EfficientNetB0", SMALL, last_block=8)


def test_drop_out_stands_before_the_last_layer(scorer):
    model = attention_scorer("EfficientNetB0", SMALL, dropout=0.3)
    assert [layer.name for layer in model.layers[-2:]] == ["dropout", "score"]
    assert model.get_layer("dropout").rate == 0.3
    assert "dropout" not in [layer.name for layer in scorer.layers]


def test_moving_averages_follow_within_a_few_steps(scorer):
    backbone = scorer.get_layer("efficientnetb0")
    kind = keras.layers.BatchNormalization
    assert {x.momentum for x in backbone.layers if isinstance(x, kind)} == {0.9}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "EfficientNetB9"}, f"backbone: unknown .*{', '.join(EFFICIENTNETS)}"),
        ({"backbone": "ResNet50"}, "backbone: unknown 'ResNet50'"),
        ({"attention": "all"}, "attention: unknown 'all'; use one of both, spatial, channel, none"),
        ({"pool": "cells"}, "pool: unknown 'cells'; use one of channels, window"),
        ({"input_shape": (64, 48, 1)}, "1 channels given; expected three"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        attention_scorer(**{"backbone": "EfficientNetB0", "input_shape": SMALL, **options})


def test_imagenet_is_never_fetched(tmp_path, monkeypatch):
    def fetched(*args, **kwargs):
        pytest.fail(f"a download was tried: {args}")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", fetched)
    with pytest.raises(DataError, match="ImageNet weights of EfficientNetB0 are not in") as error:
        attention_scorer("EfficientNetB0", SMALL, weights="imagenet")
    assert "\n" not in str(error.value)


def test_local_weights_give_the_same_features(scorer, colour_tiles, tmp_path):
    backbone = scorer.get_layer("efficientnetb0")
    backbone.save(tmp_path / "b0.keras")
    again = attention_scorer("EfficientNetB0", SMALL, weights=tmp_path / "b0.keras")
    found = again.get_layer("efficientnetb0")(colour_tiles)
    np.testing.assert_allclose(found, backbone(colour_tiles), atol=1e-4)


def test_gradient_reaches_every_trainable_weight(scorer, colour_tiles, unreached):
    assert len(scorer.trainable_weights) > 200
    assert unreached(scorer, colour_tiles) == []


def test_saved_scorer_gives_the_same_scores(scorer, colour_tiles, tmp_path):
    scorer.save(tmp_path / "scorer.keras")
    again = keras.saving.load_model(tmp_path / "scorer.keras")
    np.testing.assert_allclose(again(colour_tiles), scorer(colour_tiles), atol=1e-6)


def test_default_is_b7_at_the_printed_size(printed):
    assert PRINTED_INPUT == (200, 150, 3)
    assert printed.input_shape == (None, 200, 150, 3)
    assert printed.output_shape == (None, 4)
    assert printed.get_layer("efficientnetb7").count_params() == B7_WEIGHTS
    assert printed.count_params() == B7_WEIGHTS + head_weights(B7_CHANNELS) == 70_664_095


def test_b7_scores_a_tile(printed):
    tile = np.random.default_rng(0).uniform(0, 255, (1, *PRINTED_INPUT)).astype(np.float32)
    scores = np.asarray(printed(tile))
    assert scores.shape == (1, 4)
    assert scores.sum() == pytest.approx(1, abs=1e-5)


def test_plain_cnn_has_the_five_convolutions_of_the_text():
    model = plain_cnn()
    found = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert PLAIN_FILTERS == (8, 16, 32, 64, 128)
    assert tuple(layer.filters for layer in found) == PLAIN_FILTERS
    assert {layer.kernel_size for layer in found} == {(3, 3)}
    assert {layer.activation.__name__ for layer in found} == {"relu"}
    pools = [layer for layer in model.layers if isinstance(layer, keras.layers.MaxPooling2D)]
    assert len(pools) == 5
    assert model.input_shape == (None, *PRINTED_INPUT)
    assert model.get_layer("pool_5").output.shape == (None, 6, 4, 128)
    assert model.output_shape == (None, 4)


def test_weights_of_the_plain_cnn_are_those_of_its_convolutions_and_softmax():
    convolutions = sum(
        9 * before * after + after for before, after in pairwise((3, *PLAIN_FILTERS))
    )
    assert plain_cnn().count_params() == convolutions + 128 * 4 + 4 == 98_900


def test_plain_cnn_learns_with_every_weight_and_is_the_same_when_read_again(
    colour_tiles, unreached, tmp_path
):
    keras.utils.set_random_seed(5)
    model = plain_cnn(SMALL)
    assert unreached(model, colour_tiles) == []
    model.save(tmp_path / "plain.keras")
    again = keras.saving.load_model(tmp_path / "plain.keras")
    np.testing.assert_allclose(again(colour_tiles), model(colour_tiles), atol=1e-6)


def test_plain_cnn_scores_grey_and_colour(colour_tiles, unreached):
    for tiles in (colour_tiles, colour_tiles[..., :1]):
        model = plain_cnn(tiles.shape[1:], filters=(4, 8), classes=3)
        scores = np.asarray(model(tiles))
        assert scores.shape == (4, 3)
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    assert unreached(model, colour_tiles[..., :1]) == []
