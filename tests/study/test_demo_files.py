"""What the page "Try it" is sent: light networks with the same numbers, and what they are."""

import json
import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from birads_lib.engines import OnnxNetwork
from birads_lib.errors import DataError
from birads_lib.files import read_json, write_json
from birads_lib.networks import attention_scorer, denoising_autoencoder, mobilenet_gate
from birads_lib.report import words
from birads_lib.study import demo
from birads_lib.study.demo import halve_large, origin, write_demo
from birads_lib.study.profiles import DEFAULT, chapter_settings
from birads_lib.tiles.familiarity import MEASURES

SIDE, CHANNELS, ANSWERS = 4, 3, 40


def small_network(path):
    rng = np.random.default_rng(0)
    kernel = rng.normal(0, 0.1, (SIDE * SIDE * CHANNELS, ANSWERS)).astype(np.float32)
    bias = rng.normal(0, 0.1, ANSWERS).astype(np.float32)
    shape = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["tile"], ["flat"]),
            helper.make_node("MatMul", ["flat", "kernel"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["sum"]),
            helper.make_node("Sigmoid", ["sum"], ["answer"]),
        ],
        "small",
        [shape("tile", TensorProto.FLOAT, ["n", SIDE, SIDE, CHANNELS])],
        [shape("answer", TensorProto.FLOAT, ["n", ANSWERS])],
        [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def test_the_networks_of_the_default_book_are_small_enough_to_be_sent():
    autoencoder, gate, scorer = (
        chapter_settings(DEFAULT, chapter) for chapter in ("autoencoder", "gate", "attention")
    )
    tile, side = autoencoder["TILE_SIZE"], gate["INPUT_SIZE"]
    scored = (scorer["INPUT_HEIGHT"], scorer["INPUT_WIDTH"], 3)
    networks = [
        denoising_autoencoder((tile, tile, 1), autoencoder["FILTERS"], autoencoder["LATENT"]),
        mobilenet_gate(
            (side, side, 1), gate["ALPHA"], units=gate["UNITS"], last_block=gate["LAST_BLOCK"]
        ),
        attention_scorer(
            scorer["BACKBONE"], scored, None, scorer["ATTENTION"], scorer["POOL"],
            last_block=scorer["LAST_BLOCK"],
        ),
    ]  # fmt: skip
    sizes = [math.prod(w.shape) for network in networks for w in network.weights]
    sent = sum(size * (2 if size >= demo.LARGE else 4) for size in sizes)
    drawn = 1.1  # the files hold the networks' graphs too
    assert demo.MOST_BYTES / 4 < drawn * sent < demo.MOST_BYTES


# Half precision


def test_large_matrices_are_halved_others_stay_and_numbers_agree(tmp_path):
    source, target = small_network(tmp_path / "a.onnx"), tmp_path / "b.onnx"
    halve_large(source, target, large=100)
    kinds = {w.name: w.data_type for w in onnx.load(target).graph.initializer}
    assert kinds == {"kernel_half": TensorProto.FLOAT16, "bias": TensorProto.FLOAT}
    x = np.random.default_rng(1).random((5, SIDE, SIDE, CHANNELS)).astype(np.float32)
    np.testing.assert_allclose(OnnxNetwork(target)(x), OnnxNetwork(source)(x), atol=1e-3)
    assert target.stat().st_size < source.stat().st_size


def test_a_network_of_small_matrices_is_copied(tmp_path):
    source, target = small_network(tmp_path / "a.onnx"), tmp_path / "b.onnx"
    halve_large(source, target)
    assert onnx.load(target) == onnx.load(source)


# A run's networks


@pytest.fixture
def run(copied, in_project):
    """A finished run with three small networks in its cascade; its folder."""
    cascade = copied / "models" / "cascade"
    described = read_json(cascade / "cascade.json")
    names = ("autoencoder", "gate", "scorer")
    described["weights"] = dict.fromkeys(names, "0" * 64)
    described["familiar"] = {name: [1.0, 2.0] for name in MEASURES}
    write_json(cascade / "cascade.json", described)
    for name in names:
        small_network(cascade / f"{name}.onnx")
    return copied


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """Stands in for the package of ONNX Runtime Web."""
    package = tmp_path / "package"
    (package / "dist").mkdir(parents=True)
    for name in demo.ENGINE:
        (package / "dist" / name).write_bytes(b"engine")
    monkeypatch.setattr(demo, "web_package", lambda name: package)


@pytest.fixture
def no_samples(monkeypatch):
    """Cutting tiles from the package's scans takes seconds."""
    monkeypatch.setattr(demo, "samples", lambda run: [])


def told(run, target):
    write_demo(run, target)
    return json.loads((target / demo.MANIFEST).read_text())


def test_the_page_is_told_its_networks_and_what_they_learned_from(run, engine, tmp_path):
    target = tmp_path / "demo"
    found = told(run, target)
    assert found["left_out"] is None
    assert found["origin"] == origin("smoke", True)
    assert set(found["parts"]) == {"autoencoder", "gate", "scorer"}
    for part in found["parts"].values():
        assert part["bytes"] == (target / part["file"]).stat().st_size
        assert part["input"] == [SIDE, SIDE, CHANNELS]
    assert found["engine_bytes"] == len(demo.ENGINE) * len(b"engine")
    assert found["familiar"]["mean"] == {"title": MEASURES["mean"], "low": 1.0, "high": 2.0}
    assert all((target / sample["file"]).is_file() for sample in found["samples"])
    assert {sample["real"] for sample in found["samples"]} == {True, False}


def test_networks_that_are_too_large_together_are_left_out_and_it_is_said(
    run, tmp_path, monkeypatch
):
    one = small_network(tmp_path / "one.onnx").stat().st_size
    monkeypatch.setattr(demo, "MOST_BYTES", 3 * one - 1)
    target = tmp_path / "demo"
    found = told(run, target)
    assert list(found) == ["left_out"]
    assert found["left_out"] == demo.left_out(run, 3 * one)
    assert str(run) not in found["left_out"], "no path of the machine that built the book"
    kept = {path.suffix for path in target.rglob("*") if path.is_file()}
    assert kept == {".js", ".css", ".json"}, "neither networks nor engine nor samples"


def test_the_sentence_has_the_size_the_limit_and_the_place():
    said = demo.left_out(Path("/home/me/_build/run/paper"), 312_400_000)
    assert "312.4 MB" in said
    assert f"{demo.MOST_BYTES / 1e6:.0f} MB" in said
    assert " _build/run/paper/models/cascade" in said


def test_networks_of_just_the_limit_are_sent(run, engine, no_samples, tmp_path, monkeypatch):
    one = small_network(tmp_path / "one.onnx").stat().st_size
    monkeypatch.setattr(demo, "MOST_BYTES", 3 * one)
    assert told(run, tmp_path / "demo")["left_out"] is None


def test_halving_comes_before_the_decision(run, engine, no_samples, tmp_path, monkeypatch):
    one = small_network(tmp_path / "one.onnx").stat().st_size
    monkeypatch.setattr(demo, "MOST_BYTES", 3 * one - 1)
    halved = halve_large
    monkeypatch.setattr(demo, "halve_large", lambda *files: halved(*files, large=100))
    assert told(run, tmp_path / "demo")["left_out"] is None


def test_a_network_that_is_missing_is_named(run, engine, tmp_path):
    (run / "models" / "cascade" / "gate.onnx").unlink()
    with pytest.raises(DataError, match=r"gate\.onnx: the network is missing"):
        write_demo(run, tmp_path / "demo")


def test_unknown_training_tiles_stay_unknown(run, engine, no_samples, tmp_path):
    path = run / "models" / "cascade" / "cascade.json"
    write_json(path, {**read_json(path), "familiar": None, "about": {}})
    found = told(run, tmp_path / "demo")
    assert found["familiar"] is None
    assert found["simulated"] is None
    assert "no record" in found["origin"]


def test_sentences_are_those_of_the_reports():
    assert demo.UNCHECKED == words.UNCHECKED
    assert words.SIMULATED.endswith(demo.NEVER_SEEN)


@pytest.mark.parametrize(
    ("simulated", "kind"), [(True, "simulated tiles"), (False, "real tiles"), (None, "no record")]
)
def test_what_the_networks_learned_from_is_said_by_name(simulated, kind):
    said = origin("laptop", simulated)
    assert kind in said
    assert "profile laptop" in said
    assert (demo.NEVER_SEEN in said) == (simulated is True)
