"""Large matrices of the demo's networks are sent in half precision and give the same numbers."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from birads_lib.engines import OnnxNetwork
from birads_lib.study.demo import halve_large

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
