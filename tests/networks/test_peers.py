"""Networks of other systems: published sizes and costs, heads, clipping, saving, learning."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from birads_lib.errors import DataError, UsageError
from birads_lib.networks import GATES, SCORERS, mobilenet_gate, plain_cnn, read_model
from birads_lib.networks.cost import cost_of
from birads_lib.networks.googlenet import googlenet
from birads_lib.networks.normalization import BATCH_NORM_MOMENTUM
from birads_lib.networks.peers import two_stage_cnn
from birads_lib.networks.shufflenet import channel_shuffle, shufflenet
from birads_lib.networks.squeezenet import squeezenet

GATE_INPUT, SCORER_INPUT = (48, 40, 1), (48, 40, 3)

INCEPTION_TABLE = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}
"""Table 1 of Szegedy et al. (2015): channels in, then filters."""

PRINTED_KILOWEIGHTS = {
    "3a": 159, "3b": 380, "4a": 364, "4b": 437, "4c": 463, "4d": 580, "4e": 840, "5a": 1072,
    "5b": 1388,
}  # fmt: skip
"""The same table's column of parameters, in 1,024."""


def trained_numbers(model: keras.Model) -> int:
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def inception_weights(entering, one, reduce3, three, reduce5, five, projected) -> int:
    """Kernels of an inception, biases apart, by hand."""
    return (
        entering * (one + reduce3 + reduce5 + projected)
        + 3 * 3 * reduce3 * three
        + 5 * 5 * reduce5 * five
    )


@pytest.fixture(scope="module")
def published_squeezenet() -> keras.Model:
    return squeezenet()


@pytest.fixture(scope="module")
def published_shufflenet() -> keras.Model:
    return shufflenet()


@pytest.fixture(scope="module")
def published_googlenet() -> keras.Model:
    """As printed in 2015: biases, no batch normalisation, both auxiliary classifiers."""
    return googlenet(batch_norm=False, auxiliary=True)


def test_squeezenet_has_the_published_number_of_weights(published_squeezenet):
    assert trained_numbers(published_squeezenet) == 1_235_496


def test_squeezenet_costs_what_is_published(published_squeezenet):
    assert cost_of(published_squeezenet).multiply_adds == pytest.approx(0.35e9, rel=0.02)


def test_squeezenet_shrinks_as_its_paper_says(published_squeezenet):
    sizes = [published_squeezenet.get_layer(f"fire{n}").output.shape[1] for n in (2, 4, 6, 9)]
    assert sizes == [55, 27, 13, 13]


@pytest.mark.parametrize(
    ("width", "published"), [(0.5, 1_366_792), (1.0, 2_278_604), (1.5, 3_503_624), (2.0, 7_393_996)]
)
def test_shufflenet_has_the_published_number_of_weights(width, published):
    small = shufflenet((32, 32, 3), width=width)  # convolutions do not depend on the size
    assert trained_numbers(small) == published


def test_shufflenet_costs_what_is_published(published_shufflenet):
    norms = cost_of(published_shufflenet).by_kind().loc["FusedBatchNormalization", "multiply_adds"]
    counted = cost_of(published_shufflenet).multiply_adds - norms  # its paper leaves them out
    assert counted == pytest.approx(146e6, rel=0.01)


def test_shufflenet_shrinks_as_its_paper_says(published_shufflenet):
    joined = [published_shufflenet.get_layer(f"stage{n}_unit1_join").output for n in (2, 3, 4)]
    assert [x.shape[1:] for x in joined] == [(28, 28, 116), (14, 14, 232), (7, 7, 464)]


def test_shuffle_deals_channels_of_both_groups_in_turn():
    tile = keras.Input((1, 2, 6))
    shuffled = keras.Model(tile, channel_shuffle(tile))
    channels = np.arange(12, dtype=np.float32).reshape(1, 1, 2, 6)
    np.testing.assert_array_equal(
        np.asarray(shuffled(channels)).reshape(2, 6), [[0, 3, 1, 4, 2, 5], [6, 9, 7, 10, 8, 11]]
    )


def test_half_of_a_units_channels_pass_untouched():
    tiles = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 1)).astype(np.float32)
    model = shufflenet((32, 32, 1), include_top=False, clip=1)
    before = model.get_layer("stage2_unit3_shuffle").output
    after = model.get_layer("stage2_unit4_shuffle").output
    before, after = (np.asarray(x) for x in keras.Model(model.input, [before, after])(tiles))
    np.testing.assert_array_equal(after[..., ::2], before[..., :58])
    assert not np.allclose(after[..., 1::2], before[..., 58:])


@pytest.mark.parametrize("name", INCEPTION_TABLE)
def test_googlenets_inceptions_are_those_of_the_table(name, published_googlenet):
    block = [x for x in published_googlenet.layers if x.name.startswith(f"inception_{name}")]
    kernels = sum(int(np.prod(x.kernel.shape)) for x in block if isinstance(x, layers.Conv2D))
    assert kernels == inception_weights(*INCEPTION_TABLE[name])
    assert kernels / 1024 == pytest.approx(PRINTED_KILOWEIGHTS[name], rel=0.08)
    _, one, _, three, _, five, projected = INCEPTION_TABLE[name]
    joined = published_googlenet.get_layer(f"inception_{name}").output
    assert joined.shape[-1] == one + three + five + projected


def test_googlenets_stem_is_that_of_the_table(published_googlenet):
    shapes = {n: published_googlenet.get_layer(n).kernel.shape for n in ("conv1", "conv2")}
    assert shapes == {"conv1": (7, 7, 3, 64), "conv2": (3, 3, 64, 192)}
    sizes = [published_googlenet.get_layer(n).output.shape[1] for n in ("conv1", "pool1")]
    assert sizes == [112, 56]
    assert published_googlenet.get_layer("inception_5b").output.shape == (None, 7, 7, 1024)


def test_googlenet_has_the_published_number_of_weights_without_its_auxiliaries(
    published_googlenet,
):
    own = [x for x in published_googlenet.layers if not x.name.startswith("auxiliary")]
    assert sum(layer.count_params() for layer in own) == 6_998_552  # Caffe's bvlc_googlenet


def test_googlenet_costs_what_is_published(published_googlenet):
    cost = cost_of(published_googlenet)
    own = [x.multiply_adds for x in cost.layers if not x.name.startswith("auxiliary")]
    assert sum(own) == pytest.approx(1.5e9, rel=0.06)  # "1.5 billion multiply-adds"


def test_each_auxiliary_classifier_is_that_of_the_paper(published_googlenet):
    for name, entering in (("auxiliary_4a", 512), ("auxiliary_4d", 528)):
        found = [x.count_params() for x in published_googlenet.layers if x.name.startswith(name)]
        convolution = entering * 128 + 128
        connected = 4 * 4 * 128 * 1024 + 1024
        assert sum(found) == convolution + connected + 1024 * 1000 + 1000
    assert [tuple(x.shape) for x in published_googlenet.outputs] == [(None, 1000)] * 3


def test_googlenet_with_batch_normalisation_is_torchvisions_but_for_true_5x5_kernels():
    """Torchvision has 6,624,904 numbers to train, with 3x3 kernels in the 5x5 branch."""
    model = googlenet((32, 32, 3))
    larger = sum((5 * 5 - 3 * 3) * row[4] * row[5] for row in INCEPTION_TABLE.values())
    assert trained_numbers(model) == 6_624_904 + larger


def test_auxiliary_classifiers_need_the_whole_network():
    with pytest.raises(UsageError, match="auxiliary: needs the whole network"):
        googlenet((96, 96, 3), clip=3, auxiliary=True)


def test_names_are_those_of_the_study():
    assert list(GATES) == [
        "MobileNetV2", "SqueezeNet1.1", "ShuffleNetV2", "MobileNetV3Small", "EfficientNetB0",
    ]  # fmt: skip
    assert list(SCORERS) == [
        "ResNet50", "VGG16", "GoogLeNet", "GoogLeNet-STN", "PlainCNN",
        *(f"EfficientNetB{i}" for i in range(8)), "TwoStageCNN",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def clipped() -> dict[str, keras.Model]:
    """Every gate, and every scorer of another architecture, with its first block only."""
    keras.utils.set_random_seed(0)
    scorers = [name for name in SCORERS if name[-1] not in "1234567" or name == "VGG16"]
    gates = {f"gate {name}": GATES[name](GATE_INPUT, clip=1) for name in GATES}
    return gates | {f"scorer {name}": SCORERS[name](SCORER_INPUT, clip=1) for name in scorers}


NAMES = [f"gate {name}" for name in GATES] + [
    f"scorer {name}" for name in (*list(SCORERS)[:6], "TwoStageCNN")
]


@pytest.fixture(scope="module")
def tiles() -> np.ndarray:
    rng = np.random.default_rng(5)
    coarse = rng.uniform(0, 255, (4, 6, 5, 1)).astype(np.float32)
    return np.kron(coarse, np.ones((1, 8, 8, 1), np.float32))


def tiles_for(model: keras.Model, tiles: np.ndarray) -> np.ndarray:
    return np.repeat(tiles, model.input_shape[-1], axis=-1)


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_probabilities(name, clipped, tiles):
    model = clipped[name]
    answers = np.asarray(model(tiles_for(model, tiles)))
    assert answers.shape == ((4, 1) if name.startswith("gate") else (4, 4))
    assert answers.min() >= 0
    assert answers.max() <= 1
    if name.startswith("scorer"):
        np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_whole_range_of_grey_is_scaled_to_about_one(name, clipped):
    """What enters the first convolution of a network."""
    model = clipped[name]
    backbone = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    scaled = model.get_layer("scale") if "scale" in [x.name for x in model.layers] else None
    inner = next(layer for layer in backbone.layers if isinstance(layer, layers.Conv2D)).input
    before = keras.Model(backbone.input, inner)
    black_and_white = np.zeros((1, *model.input_shape[1:]), np.float32)
    black_and_white[:, 20:] = 255
    entering = np.asarray(before(scaled(black_and_white) if scaled else black_and_white))
    assert -1 <= entering.min() <= 0
    assert entering.max() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_saved_network_gives_the_same_answers(name, clipped, tiles, tmp_path):
    model = clipped[name]
    model.save(tmp_path / "peer.keras")
    again, inputs = read_model(tmp_path / "peer.keras"), tiles_for(model, tiles)
    np.testing.assert_allclose(again(inputs), model(inputs), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_cost_can_be_counted(name, clipped):
    assert cost_of(clipped[name]).weights == clipped[name].count_params()


@pytest.mark.parametrize("name", ["gate ShuffleNetV2", "gate SqueezeNet1.1", "scorer TwoStageCNN"])
def test_gradient_reaches_every_weight(name, clipped, tiles, settle, unreached):
    model, inputs = clipped[name], tiles_for(clipped[name], tiles)
    settle(model, inputs)
    assert unreached(model, inputs) == []


def test_moving_averages_follow_within_a_few_steps(clipped):
    found = [
        layer.momentum
        for model in clipped.values()
        for layer in model._flatten_layers()
        if isinstance(layer, layers.BatchNormalization)
    ]
    assert len(found) > 20
    assert set(found) == {BATCH_NORM_MOMENTUM}


def test_mobilenet_by_name_is_the_papers_gate():
    named = GATES["MobileNetV2"](GATE_INPUT, alpha=0.35, clip=2)
    papers = mobilenet_gate(GATE_INPUT, alpha=0.35, last_block=2)
    assert [w.shape for w in named.weights] == [w.shape for w in papers.weights]
    assert [x.name for x in named.layers] == [x.name for x in papers.layers]


def test_plain_cnn_by_name_is_the_papers():
    named, papers = SCORERS["PlainCNN"]((64, 48, 3)), plain_cnn((64, 48, 3))
    assert [w.shape for w in named.weights] == [w.shape for w in papers.weights]


@pytest.mark.parametrize(
    ("name", "clip", "cells"),
    [
        ("ResNet50", 1, (12, 10, 256)),
        ("VGG16", 2, (12, 10, 128)),
        ("GoogLeNet", 3, (3, 3, 512)),
        ("PlainCNN", 2, (12, 10, 16)),
        ("EfficientNetB0", 2, (12, 10, 24)),
        ("TwoStageCNN", 3, (6, 5, 32)),
    ],
)
def test_clip_keeps_the_first_blocks(name, clip, cells):
    model = SCORERS[name](SCORER_INPUT, clip=clip)
    assert model.get_layer("pool").input.shape[1:] == cells


@pytest.mark.parametrize(
    ("name", "classes", "width", "last"),
    [
        ("PlainCNN", 1, 1, "sigmoid"),
        ("PlainCNN", 5, 5, "softmax"),
        ("SqueezeNet1.1", 4, 4, "softmax"),
    ],
)
def test_classes_are_as_asked(name, classes, width, last):
    build, shape = (SCORERS, SCORER_INPUT) if name in SCORERS else (GATES, GATE_INPUT)
    model = build[name](shape, clip=1, classes=classes)
    assert model.output_shape == (None, width)
    assert model.layers[-1].activation.__name__ == last


def test_region_of_the_first_stage_decides_what_the_second_sees(tiles):
    model = two_stage_cnn((48, 40, 1), clip=1)
    region, seen = model.get_layer("region").output, model.get_layer("within_region").output
    region, seen = (np.asarray(x) for x in keras.Model(model.input, [region, seen])(tiles))
    assert region.shape == (4, 48, 40, 1)
    assert region.min() >= 0
    assert region.max() <= 1
    np.testing.assert_allclose(seen, tiles / 255 * region, atol=1e-6)


def test_region_fits_sizes_that_do_not_divide():
    assert two_stage_cnn((45, 39, 3), clip=1).get_layer("region").output.shape[1:] == (45, 39, 1)


def test_grey_of_imagenet_is_subtracted_for_pretrained_weights(tmp_path):
    vgg = keras.applications.VGG16(input_shape=SCORER_INPUT, include_top=False, weights=None)
    vgg.save(tmp_path / "vgg.keras")
    model = SCORERS["VGG16"](SCORER_INPUT, weights=tmp_path / "vgg.keras", clip=1)
    grey = np.full((1, *SCORER_INPUT), 128, np.float32)
    expected = keras.applications.vgg16.preprocess_input(grey.copy())
    np.testing.assert_allclose(model.get_layer("scale")(grey), expected, atol=1e-4)
    np.testing.assert_array_equal(
        model.get_layer("vgg16").get_layer("block1_conv1").kernel,
        vgg.get_layer("block1_conv1").kernel,
    )


def test_pretrained_gate_sees_the_grey_tile_in_three_colours(tiles, tmp_path):
    colour = keras.applications.MobileNetV3Small((48, 40, 3), include_top=False, weights=None)
    colour.save(tmp_path / "small.keras")
    gate = GATES["MobileNetV3Small"](GATE_INPUT, weights=tmp_path / "small.keras")
    backbone = next(layer for layer in gate.layers if isinstance(layer, keras.Model))
    seen = keras.Model(gate.input, gate.get_layer("pool").input)(tiles)
    np.testing.assert_allclose(seen, colour(np.repeat(tiles, 3, axis=-1)), atol=1e-4)
    assert backbone.input_shape[-1] == 3


@pytest.mark.parametrize("name", ["ResNet50", "VGG16"])
def test_imagenet_is_never_fetched(name, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(DataError, match=f"{name.lower()}_weights_tf_dim_ordering_tf_kernels_notop"):
        SCORERS[name](SCORER_INPUT, weights="imagenet")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SCORERS["VGG16"]((48, 40, 1)), r"VGG16: 48 x 40 x 1 given; .* 3 channel"),
        (lambda: GATES["ShuffleNetV2"]((16, 40, 1)), "ShuffleNetV2: 16 x 40 x 1 given; expected"),
        (lambda: GATES["SqueezeNet1.1"](GATE_INPUT, clip=9), "clip: 9 given; SqueezeNet 1.1 keeps"),
        (lambda: GATES["ShuffleNetV2"](GATE_INPUT, clip=0), "clip: 0 given; ShuffleNetV2 keeps"),
        (lambda: SCORERS["TwoStageCNN"](SCORER_INPUT, clip=6), "clip: 6 given; TwoStageCNN keeps"),
        (lambda: SCORERS["PlainCNN"](SCORER_INPUT, clip=6), "clip: 6 given; PlainCNN keeps"),
        (lambda: SCORERS["VGG16"](SCORER_INPUT, clip=6), "vgg16 has no block 6"),
        (
            lambda: GATES["ShuffleNetV2"](GATE_INPUT, weights="imagenet"),
            "weights: none are known for ShuffleNetV2",
        ),
        (lambda: shufflenet(width=3.0), "width: unknown 3.0; use one of 0.5, 1.0, 1.5, 2.0"),
    ],
)
def test_wrong_arguments_are_named(build, message):
    with pytest.raises(UsageError, match=message) as error:
        build()
    assert "\n" not in str(error.value)
