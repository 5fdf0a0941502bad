"""What networks cost: published figures, small layers by hand, and what cannot be counted."""

from __future__ import annotations

import keras
import pytest
from keras import layers

from birads_lib.errors import UsageError
from birads_lib.networks import ChannelAttention, SpatialAttention, denoising_autoencoder
from birads_lib.networks.cost import Peaks, cost_of, measured_peaks

INPUT = (8, 6, 4)


def one_layer(layer: keras.Layer, shape: tuple[int, ...] = INPUT) -> keras.Model:
    tile = keras.Input(shape)
    return keras.Model(tile, layer(tile))


@pytest.mark.parametrize(
    ("build", "published"),
    [
        pytest.param(keras.applications.MobileNetV2, 300e6, id="sandler2018, table 4"),
        pytest.param(keras.applications.EfficientNetB0, 0.39e9, id="tan2019, table 2"),
    ],
)
def test_multiply_adds_agree_with_the_networks_authors(build, published):
    assert cost_of(build(weights=None)).multiply_adds == pytest.approx(published, rel=0.03)


@pytest.mark.parametrize(
    ("layer", "multiply_adds"),
    [
        pytest.param(layers.Conv2D(5, 3, padding="same"), 8 * 6 * 5 * 3 * 3 * 4, id="same"),
        pytest.param(layers.Conv2D(5, 3, strides=2), 3 * 2 * 5 * 3 * 3 * 4, id="strided, valid"),
        pytest.param(layers.Conv2D(6, 1, groups=2), 8 * 6 * 6 * 2, id="grouped"),
        pytest.param(layers.DepthwiseConv2D(3, padding="same"), 8 * 6 * 4 * 9, id="depthwise"),
        pytest.param(
            layers.SeparableConv2D(5, 3, padding="same"), 8 * 6 * (4 * 9 + 4 * 5), id="separable"
        ),
        pytest.param(
            layers.Conv2DTranspose(5, 2, strides=2), 8 * 6 * 5 * 2 * 2 * 4, id="transposed"
        ),
        pytest.param(layers.Dense(5), 8 * 6 * 4 * 5, id="connected, at each place"),
        pytest.param(layers.BatchNormalization(), 8 * 6 * 4, id="batch normalisation"),
        pytest.param(layers.Rescaling(0.5), 8 * 6 * 4, id="rescaling"),
        pytest.param(layers.MaxPooling2D(2), 0, id="pooling"),
        pytest.param(SpatialAttention(), 8 * 6 * 2, id="spatial attention over channels"),
        pytest.param(SpatialAttention("window"), 8 * 6 * 2 * 4, id="spatial, by window"),
        pytest.param(ChannelAttention(), 2 * 4 * 4, id="channel attention"),
        pytest.param(ChannelAttention(2), 2 * (4 * 2 + 2 * 4), id="channel, bottleneck"),
    ],
)
def test_a_layer_costs_what_counting_by_hand_gives(layer, multiply_adds):
    assert cost_of(one_layer(layer)).multiply_adds == multiply_adds


def test_bytes_are_features_in_and_out_and_the_weights():
    model = one_layer(layers.Conv2D(5, 3, padding="same"))
    cost = cost_of(model, batch=10)
    assert cost.weights == 3 * 3 * 4 * 5 + 5
    assert cost.activation_bytes == 4 * 10 * (8 * 6 * 4 + 8 * 6 * 5)
    assert cost.bytes_moved() == cost.activation_bytes + 4 * 185
    assert cost.bytes_moved(training=True) == 3 * cost.activation_bytes + 10 * 4 * 185


def test_a_training_step_costs_three_forward_passes_of_two_operations_each():
    model = one_layer(layers.Dense(5), (4,))
    assert cost_of(model, 7).operations() == 7 * 2 * 20
    assert cost_of(model, 7).operations(training=True) == 7 * 2 * 20 * 3


def test_both_inputs_of_a_product_are_read():
    tile = keras.Input((3,))
    cost = cost_of(keras.Model(tile, layers.Multiply()([tile, tile])))
    assert (cost.multiply_adds, cost.activation_bytes) == (3, 4 * (3 + 3 + 3))


def test_models_within_models_are_opened():
    inner = one_layer(layers.Conv2D(5, 3))
    tile = keras.Input(INPUT)
    outer = keras.Model(tile, layers.Flatten()(inner(tile)))
    assert cost_of(outer).multiply_adds == cost_of(inner).multiply_adds > 0
    assert cost_of(outer).weights == outer.count_params()


def test_kinds_add_up_to_the_whole():
    cost = cost_of(denoising_autoencoder((16, 16, 1), (4,), 2), batch=3)
    table = cost.by_kind()
    assert table.loc["Conv2D", "layers"] == 4
    assert table["multiply_adds"].sum() == cost.multiply_adds
    assert table["bytes"].sum() == cost.bytes_moved()
    assert table["weights"].sum() == cost.weights


def refused(model: keras.Model, *parts: str, **options: int) -> None:
    with pytest.raises(UsageError) as error:
        cost_of(model, **options)
    assert "\n" not in str(error.value)
    for part in parts:
        assert part in str(error.value)


def test_a_layer_whose_cost_is_unknown_is_named_and_not_counted_as_nothing():
    refused(one_layer(layers.LSTM(3), (5, 2)), "lstm", "LSTM", "add a rule")


def test_an_open_size_is_refused():
    refused(one_layer(layers.Conv2D(1, 1), (None, None, 1)), "fixed size")


def test_a_layer_used_twice_is_refused():
    tile, shared = keras.Input((4,)), layers.Dense(4, name="shared")
    refused(keras.Model(tile, shared(shared(tile))), "shared", "once")


def test_a_batch_of_none_is_refused():
    refused(one_layer(layers.Dense(1), (2,)), "batch: 0", batch=0)


def test_the_lower_roof_decides():
    peaks = Peaks(operations=100.0, bandwidth=10.0)
    assert peaks.attainable(2.0) == 20.0
    assert peaks.attainable(1000.0) == 100.0
    assert peaks.seconds(operations=200.0, moved=10.0) == 2.0
    assert peaks.seconds(operations=200.0, moved=50.0) == 5.0


def test_this_processors_roofs_are_plausible():
    peaks = measured_peaks(side=256, megabytes=8, repeats=2)
    assert 1e8 < peaks.operations < 1e15
    assert 1e8 < peaks.bandwidth < 1e13
