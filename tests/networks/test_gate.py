"""The gate: MobileNetV2 with one grey channel, its weights, and no silent download."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from birads_lib.errors import DataError, UsageError
from birads_lib.networks import mobilenet_gate
from birads_lib.networks.gate import take_weights_for_grey
from birads_lib.networks.normalization import BATCH_NORM_MOMENTUM

INPUT = (96, 96, 1)
NARROW = 0.35
COLOUR_WEIGHTS = 2_257_984  # MobileNetV2 of width 1 without its top, three channels
FIRST_KERNEL = 3 * 3 * 32  # of one channel
ROUNDING = 6e-4  # 1e-4 of the range 0..6 of ReLU6, over 52 layers of float32


def backbone_of(gate: keras.Model) -> keras.Model:
    return next(layer for layer in gate.layers if isinstance(layer, keras.Model))


def features(gate: keras.Model, tiles: np.ndarray) -> np.ndarray:
    """What the gate's backbone sees in tiles of 0..255."""
    return np.asarray(backbone_of(gate)(gate.get_layer("scale")(tiles)))


def colour_features(colour: keras.Model, tiles: np.ndarray) -> np.ndarray:
    return np.asarray(colour(np.repeat(tiles, 3, axis=-1) / 127.5 - 1))


def check_one_line(error: pytest.ExceptionInfo, *parts: str) -> None:
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.fixture
def no_download(monkeypatch, tmp_path):
    """An empty Keras cache; any try to fetch a file fails the test."""

    def fetched(*args, **kwargs):
        pytest.fail(f"a download was tried: {args}")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("keras.utils.get_file", fetched)
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", fetched)
    monkeypatch.setattr("socket.create_connection", fetched)
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def test_one_probability_a_tile(gate, gate_tiles):
    infected = np.asarray(gate(gate_tiles))
    assert infected.shape == (4, 1)
    assert infected.min() >= 0
    assert infected.max() <= 1
    assert np.ptp(infected) > 1e-4  # it looks at the tile


def test_full_width_is_mobilenet_with_one_channel_less_two_and_a_head():
    gate = mobilenet_gate()
    backbone = backbone_of(gate)
    assert backbone.input_shape == (None, 224, 224, 1)
    assert backbone.count_params() == COLOUR_WEIGHTS - 2 * FIRST_KERNEL == 2_257_408
    head = (1280 * 128 + 128) + (128 + 1)  # fully connected, then one sigmoid
    assert gate.count_params() == backbone.count_params() + head == 2_421_505


def test_grey_levels_are_scaled_to_minus_one_to_one(gate):
    levels = np.array([0, 127.5, 255], np.float32).reshape(1, 1, 3, 1)
    np.testing.assert_allclose(np.ravel(gate.get_layer("scale")(levels)), [-1, 0, 1], atol=1e-6)


def test_head_has_the_units_and_drop_out_asked_for():
    gate = mobilenet_gate((32, 32, 1), NARROW, units=7, dropout=0.4, last_block=1)
    assert gate.get_layer("connected").units == 7
    assert gate.get_layer("dropout").rate == 0.4
    assert gate.get_layer("infected").units == 1


def test_grey_network_answers_as_the_colour_one_to_grey_pictures(colour_backbone, gate_tiles):
    grey = keras.applications.MobileNetV2(INPUT, NARROW, include_top=False, weights=None)
    expected = colour_features(colour_backbone, gate_tiles)
    before = np.asarray(grey(gate_tiles / 127.5 - 1))
    take_weights_for_grey(grey, colour_backbone)
    found = np.asarray(grey(gate_tiles / 127.5 - 1))
    assert expected.std() > 0.1
    assert not np.allclose(before, expected, atol=1e-2)
    np.testing.assert_allclose(found, expected, atol=ROUNDING)


def test_colours_of_the_first_kernel_are_summed(colour_backbone):
    grey = keras.applications.MobileNetV2(INPUT, NARROW, include_top=False, weights=None)
    take_weights_for_grey(grey, colour_backbone)
    summed = colour_backbone.get_layer("Conv1").get_weights()[0].sum(axis=2, keepdims=True)
    np.testing.assert_allclose(grey.get_layer("Conv1").get_weights()[0], summed, atol=1e-7)
    for layer in grey.layers[2:]:
        if layer.name != "Conv1":
            for mine, theirs in zip(
                layer.get_weights(),
                colour_backbone.get_layer(layer.name).get_weights(),
                strict=True,
            ):
                np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("name", ["colour.keras", "colour.weights.h5"])
def test_local_weights_give_the_colour_networks_features(
    name, colour_backbone, gate_tiles, tmp_path
):
    path = tmp_path / name
    write = colour_backbone.save if name.endswith(".keras") else colour_backbone.save_weights
    write(path)
    gate = mobilenet_gate(INPUT, NARROW, weights=path)
    expected = colour_features(colour_backbone, gate_tiles)
    np.testing.assert_allclose(features(gate, gate_tiles), expected, atol=ROUNDING)


def test_weights_in_the_cache_are_taken(colour_backbone, gate_tiles, no_download, monkeypatch):
    cached = no_download / f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{NARROW}_96_no_top.h5"
    colour_backbone.save(cached)
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *args, **kwargs: cached)
    gate = mobilenet_gate(INPUT, NARROW, weights="imagenet")
    expected = colour_features(colour_backbone, gate_tiles)
    np.testing.assert_allclose(features(gate, gate_tiles), expected, atol=ROUNDING)


def test_missing_weights_file_is_named(tmp_path):
    path = tmp_path / "absent.keras"
    with pytest.raises(DataError) as error:
        mobilenet_gate(INPUT, NARROW, weights=path)
    check_one_line(error, str(path), "no such weights file")


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_weights_of_another_width_do_not_fit(colour_backbone, tmp_path):
    for path in (tmp_path / "narrow.keras", tmp_path / "narrow.weights.h5"):
        write = colour_backbone.save if path.suffix == ".keras" else colour_backbone.save_weights
        write(path)
        with pytest.raises(DataError) as error:
            mobilenet_gate(INPUT, 0.5, weights=path)
        check_one_line(error, str(path), "does not fit")


@pytest.mark.parametrize("name", ["text.keras", "text.weights.h5", "text.txt"])
def test_file_that_holds_no_weights_does_not_fit(name, tmp_path):
    path = tmp_path / name
    path.write_text("no weights\n" * 9)
    with pytest.raises(DataError) as error:
        mobilenet_gate(INPUT, NARROW, weights=path)
    check_one_line(error, str(path), "does not fit")


def test_imagenet_is_never_fetched(no_download):
    with pytest.raises(DataError) as error:
        mobilenet_gate(INPUT, NARROW, weights="imagenet")
    check_one_line(error, "MobileNetV2", str(no_download), "nothing is downloaded")


@pytest.mark.filterwarnings("ignore:.*non-square")
@pytest.mark.parametrize(
    ("cached", "size"), [("1.0_96", 224), ("1.0_96", 299), ("1.0_224", 128), ("0.35_224", 224)]
)
def test_weights_cached_for_another_size_or_width_are_no_leave_to_fetch(cached, size, no_download):
    name = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{cached}_no_top.h5"
    (no_download / name).write_bytes(b"")
    with pytest.raises(DataError) as error:
        mobilenet_gate((size, size, 1), weights="imagenet")
    check_one_line(error, "MobileNetV2")


@pytest.mark.parametrize(("block", "last"), [(1, "block_1_project_BN"), (8, "block_8_add")])
def test_last_block_cuts_the_backbone_there(block, last):
    backbone = backbone_of(mobilenet_gate(INPUT, NARROW, last_block=block))
    names = [layer.name for layer in backbone.layers]
    assert names[-1] == last
    assert f"block_{block + 1}_expand" not in names


def test_last_block_keeps_what_the_cut_network_saw(colour_backbone, gate_tiles, tmp_path):
    path = tmp_path / "colour.weights.h5"
    colour_backbone.save_weights(path)
    gate = mobilenet_gate(INPUT, NARROW, weights=path, last_block=6)
    up_to = keras.Model(
        colour_backbone.input, colour_backbone.get_layer("block_6_project_BN").output
    )
    np.testing.assert_allclose(
        features(gate, gate_tiles), colour_features(up_to, gate_tiles), atol=ROUNDING
    )


def test_block_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match=r"last_block: .* has no block 17"):
        mobilenet_gate(INPUT, NARROW, last_block=17)


def test_colour_input_is_refused():
    with pytest.raises(UsageError, match="96 x 96 x 3 given; expected one grey channel"):
        mobilenet_gate((96, 96, 3), NARROW)


def test_moving_averages_follow_within_a_few_steps(gate):
    norms = [
        layer
        for layer in backbone_of(gate).layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert BATCH_NORM_MOMENTUM == 0.9
    assert len(norms) == 52
    assert {norm.momentum for norm in norms} == {0.9}


def test_momentum_is_kept_in_a_saved_gate(gate, gate_tiles, tmp_path):
    gate.save(tmp_path / "gate.keras")
    again = keras.saving.load_model(tmp_path / "gate.keras")
    assert backbone_of(again).get_layer("bn_Conv1").momentum == 0.9
    np.testing.assert_allclose(again(gate_tiles), gate(gate_tiles), atol=1e-6)


def test_gradient_reaches_every_trainable_weight(gate, gate_tiles, unreached):
    assert unreached(gate, gate_tiles) == []
