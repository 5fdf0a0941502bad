"""Eight bits: calibrated on training tiles alone, close to float, and measured as it is."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from small_cascade import CHANNELS, small_cascade

from birads_lib import Cascade
from birads_lib.engines import open_network
from birads_lib.errors import DataError
from birads_lib.export import export_network, frozen_function, with_attention
from birads_lib.quantization import (
    calibration_inputs,
    drawn_tiles,
    loss_in_words,
    measured_loss,
    measured_pace,
    quantize_litert,
    quantize_onnx,
)
from birads_lib.tiles import TileStore

NAMES = ("autoencoder", "gate", "scorer")
ENGINES = {"onnx": ".onnx", "openvino": ".onnx", "litert": ".tflite"}
CLOSE = {"autoencoder": 3.0, "gate": 0.03, "scorer": 0.05}  # grey levels, probabilities


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "cascade"
    small_cascade().save(folder)
    return folder


@pytest.fixture(scope="module")
def plain(saved) -> Cascade:
    return Cascade.load(saved)


@pytest.fixture(scope="module")
def inputs(plain, store) -> dict[str, np.ndarray]:
    return calibration_inputs(plain, drawn_tiles(store, "train", 15))


@pytest.fixture(scope="module")
def quantized(saved, inputs, tmp_path_factory) -> Path:
    """Both forms in one folder."""
    folder = tmp_path_factory.mktemp("quantized")
    models = Cascade.load(saved, "keras")
    for name in NAMES:
        quantize_onnx(saved / f"{name}.onnx", folder / f"{name}.onnx", inputs[name])
        model = with_attention(getattr(models, name).model)
        quantize_litert(frozen_function(model), folder / f"{name}.tflite", inputs[name])
    return folder


def opened(folder: Path, engine: str, threshold: float = 0.5) -> Cascade:
    networks = {name: open_network(folder / f"{name}{ENGINES[engine]}", engine) for name in NAMES}
    return Cascade(**networks, threshold=threshold)


# Which tiles


@pytest.mark.parametrize("part", ["train", "held-out"])
def test_as_many_tiles_of_each_class_are_drawn_from_one_part_alone(part, store):
    drawn = drawn_tiles(store, part, 8)
    assert set(drawn.table["origin"]) <= ({"training"} if part == "train" else {"test10", "cv10"})
    there = (store.table["origin"] == "training") == (part == "train")
    fewest = store.table[there]["label"].value_counts().clip(upper=8)
    assert drawn.table["label"].value_counts().to_dict() == fewest.to_dict()
    for row, tile in enumerate(drawn.table["tile"]):
        np.testing.assert_array_equal(drawn.images[row], store.images[store.rows_of([tile])[0]])


def test_the_seed_decides_which_tiles_are_drawn(store):
    first, again, other = (drawn_tiles(store, "train", 8, seed).table["tile"] for seed in (0, 0, 1))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_store_that_lacks_a_class_is_named(store):
    some = store.subset(store.table["label"] != 3)
    with pytest.raises(DataError, match=r"label 3 \(malignant calcification\)") as error:
        drawn_tiles(some, "train", 8)
    assert str(store.path) in str(error.value)
    assert "\n" not in str(error.value)


def test_networks_are_calibrated_on_what_the_cascade_gives_them(plain, store):
    tiles = drawn_tiles(store, "train", 4)
    inputs = calibration_inputs(plain, tiles)
    assert {name: x.shape for name, x in inputs.items()} == {
        "autoencoder": (20, 40, 44, 1),
        "gate": (20, 24, 24, 1),
        "scorer": (16, 32, 32, 3),
    }
    assert {x.dtype for x in inputs.values()} == {np.dtype(np.float32)}
    levels = tiles.images[:].reshape(20, -1).mean(axis=1)
    infected = (tiles.table["label"] > 0).to_numpy()
    for name, wanted in (("gate", levels), ("scorer", levels[infected])):
        np.testing.assert_allclose(inputs[name].mean(axis=(1, 2, 3)), wanted, atol=1)


def test_cascade_without_autoencoder_is_calibrated_on_the_tiles_themselves(plain, store):
    inputs = calibration_inputs(Cascade(plain.gate, plain.scorer), drawn_tiles(store, "train", 4))
    assert list(inputs) == ["gate", "scorer"]


# The networks


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", NAMES)
def test_eight_bits_come_close_to_float_and_are_not_float(name, engine, plain, quantized, inputs):
    network = open_network(quantized / f"{name}{ENGINES[engine]}", engine)
    expected = getattr(plain, name)(inputs[name])
    found = network(inputs[name])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=CLOSE[name])
    assert np.abs(found - expected).max() > 1e-5, "nothing was rounded"


@pytest.mark.parametrize("engine", ENGINES)
def test_the_attention_map_survives(engine, plain, quantized, inputs):
    network = open_network(quantized / f"scorer{ENGINES[engine]}", engine)
    assert network.attention_shape == plain.scorer.attention_shape
    found, expected = (n.attention(inputs["scorer"]) for n in (network, plain.scorer))
    np.testing.assert_allclose(found, expected, atol=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_onnx_weights_are_seven_bits_but_for_the_last_layer(name, quantized, saved):
    before, after = (onnx.load(folder / f"{name}.onnx").graph for folder in (saved, quantized))
    assert [x.name for x in before.input] == [x.name for x in after.input]
    assert [x.name for x in before.output] == [x.name for x in after.output]
    weights = [x for x in after.initializer if len(x.dims) > 1 and np.prod(x.dims) >= CHANNELS]
    arrays = [onnx.numpy_helper.to_array(x) for x in weights]
    assert [x.dtype for x in arrays].count(np.dtype(np.float32)) == 1, "the last layer's"
    whole = [x for x in arrays if x.dtype == np.int8]
    assert whole
    assert max(np.abs(x.astype(int)).max() for x in whole) <= 64


@pytest.mark.parametrize("name", NAMES)
def test_answers_in_onnx_are_not_rounded_to_bytes(name, quantized):
    graph = onnx.load(quantized / f"{name}.onnx").graph
    (last,) = (node for node in graph.node if graph.output[0].name in node.output)
    assert last.op_type != "DequantizeLinear"


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_weights_take_less_room(suffix, quantized, saved, tmp_path):
    before = saved / f"autoencoder{suffix}"
    if suffix == ".tflite":
        before = tmp_path / "autoencoder.tflite"
        export_network(Cascade.load(saved, "keras").autoencoder.model, before, "litert")
    after = quantized / f"autoencoder{suffix}"
    assert after.stat().st_size < 0.6 * before.stat().st_size


def test_quantisation_that_fails_leaves_no_file(saved, tmp_path):
    with pytest.raises(Exception, match=r"."):
        quantize_onnx(saved / "gate.onnx", tmp_path / "gate.onnx", np.zeros((2, 3, 3, 1), "f4"))
    assert list(tmp_path.iterdir()) == []


# The measurement


class Fixed:
    """A network whose answer for a tile is told by its mean grey level."""

    attention_shape = None

    def __init__(self, answer, outputs, seconds=0.0):
        self.input_shape, self.output_shape = (8, 8, 1), (outputs,)
        self._answer, self._seconds = answer, seconds

    def __call__(self, x):
        time.sleep(self._seconds)
        return self._answer(x.mean(axis=(1, 2, 3)) / 255).astype(np.float32)


def flat_store(levels, labels) -> TileStore:
    images = np.repeat(np.asarray(levels, np.uint8), 64).reshape(-1, 8, 8)
    table = pd.DataFrame({"label": labels}).assign(
        tile=[f"t{i}" for i in range(len(labels))], group=[f"g{i // 2}" for i in range(len(labels))]
    )
    return TileStore(Path(), images, table, {"digest": "0" * 64, "simulated": True})


LABELS = np.array([0, 1, 2, 3, 4] * 8)
LEVELS = np.where(LABELS == 0, 40, 140 + 20 * LABELS) + np.arange(40) % 3


def fixed_cascade(shift: float = 0.0, seconds: float = 0.0) -> Cascade:
    """Right on every tile of ``LEVELS``; a shift moves the gate's answers alone."""

    def classes(levels):
        return np.eye(4)[np.clip(np.rint((levels * 255 - 160) / 20), 0, 3).astype(int)]

    gate = Fixed(lambda levels: levels[:, np.newaxis] - shift, 1, seconds)
    return Cascade(gate, Fixed(classes, 4), threshold=0.5)


def test_the_same_cascade_loses_nothing():
    loss = measured_loss(fixed_cascade(), fixed_cascade(), flat_store(LEVELS, LABELS))
    assert (loss["tiles"], loss["groups"], loss["decided_otherwise"]) == (40, 20, 0)
    for stage, figure in (
        ("gate", "auroc"), ("scorer", "balanced_accuracy"), ("cascade", "balanced_accuracy"),
    ):  # fmt: skip
        found = loss["figures"][stage]
        assert found["figure"] == figure
        assert found["float32"]["value"] == found["int8"]["value"] == 1
        assert found["difference"] == {"value": 0.0, "interval": [0.0, 0.0]}
    assert loss["probability_difference"]["gate"] == {"median": 0.0, "largest": 0.0}
    assert loss["grey_difference"] == {"median": 0.0, "largest": 0.0}


def test_a_gate_that_slips_costs_the_cascade_and_not_the_scorer():
    """Tiles of C2 fall under the threshold: balanced accuracy of the five falls by a fifth."""
    tiles = flat_store(LEVELS, LABELS)
    loss = measured_loss(fixed_cascade(), fixed_cascade(shift=0.2), tiles)
    figures = loss["figures"]
    assert figures["gate"]["difference"]["value"] == 0, "the order of tiles is the same"
    assert figures["scorer"]["difference"]["value"] == 0
    assert figures["cascade"]["difference"]["value"] == pytest.approx(-0.2)
    assert figures["cascade"]["difference"]["interval"] == pytest.approx([-0.2, -0.2])
    assert loss["decided_otherwise"] == (LABELS == 1).sum()
    assert loss["probability_difference"]["gate"]["largest"] == pytest.approx(0.2, abs=1e-6)
    assert loss["probability_difference"]["scorer"]["largest"] == 0


def test_grey_levels_are_compared_where_tiles_are_denoised():
    tiles = flat_store(LEVELS, LABELS)

    class Lifts(Fixed):
        def __call__(self, x):
            return x + self._answer

    pair = [fixed_cascade(), fixed_cascade()]
    for cascade, lift in zip(pair, (0.0, 1.5), strict=True):
        cascade.autoencoder = Lifts(lift, 1)
        cascade.autoencoder.output_shape = (8, 8, 1)
    assert measured_loss(*pair, tiles)["grey_difference"] == {"median": 1.5, "largest": 1.5}


def test_pace_is_a_median_over_turns_of_both():
    images = flat_store(LEVELS, LABELS).images
    pace = measured_pace(fixed_cascade(), fixed_cascade(seconds=0.05), images, turns=3)
    assert list(pace) == ["float32", "int8"]
    assert pace["int8"] < len(images) / 0.05
    assert pace["float32"] > pace["int8"]


def test_the_loss_is_told_in_words():
    loss = measured_loss(fixed_cascade(), fixed_cascade(shift=0.2), flat_store(LEVELS, LABELS))
    lines = loss_in_words({"loss": loss, "speed": {"float32": 51.2, "int8": 80.7}})
    assert lines[0] == (
        "gate, auroc: 1.000 in float, 1.000 in eight bits; difference +0.000 (+0.000 to +0.000)"
    )
    assert lines[2].startswith(
        "cascade, balanced accuracy: 1.000 in float, 0.800 in eight bits; difference -0.200"
    )
    assert lines[3] == ("tiles a second here: 51 in float, 81 in eight bits; no phone was measured")
