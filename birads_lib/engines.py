"""What runs a network: Keras itself, or a faster engine that reads its exported form.

A network is anything with the shapes of its input and output and a call from float32
(n, height, width, channels) to float32 (n, ...). A scorer with spatial attention also gives
its map. Keras is imported only where Keras runs.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from birads_lib.errors import DataError, one_of, silenced

SUFFIXES = {"openvino": ".onnx", "onnx": ".onnx", "litert": ".tflite", "keras": ".keras"}
"""Engines by name, the fastest on a CPU first (``make bench``), and what each reads."""
DEFAULT = "openvino"
JOB = 8  # tiles OpenVINO gets at a time; more outgrow the cache
THREADS = os.cpu_count() or 1
PLACE = re.compile("Exception from |Check '")
"""How the lines begin in which OpenVINO says where in its own source it failed."""
SPATIAL = "spatial_attention"
"""The layer whose output is a scorer's map, as ``networks.scorer`` names it. Said again here,
since a change of what runs networks must not train them anew."""


class Network(Protocol):
    """A network that is ready to run.

    Attributes:
        input_shape: (height, width, channels).
        output_shape: Of the answers for one tile.
        attention_shape: (rows, columns) of its attention map, ``None`` if it gives none.
    """

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    attention_shape: tuple[int, ...] | None

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run float32 ``(n, height, width, channels)``: float32 ``(n, *output_shape)``."""
        ...

    def attention(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Where it looks: float32 ``(n, *attention_shape)``, 0..1. Only if it gives a map."""
        ...


def open_network(path: Path, engine: str = DEFAULT) -> Network:
    """Read a network from a file.

    Args:
        path: Its file, ending as ``SUFFIXES`` says.
        engine: ``"openvino"``, ``"onnx"``, ``"litert"`` or ``"keras"``.

    Raises:
        UsageError: Unknown engine.
        DataError: The file is missing or cannot be read as such a network.
    """
    one_of("engine", engine, SUFFIXES)
    if not path.is_file():
        raise DataError(f"{path}: the network is missing; run the study again")
    readers: dict[str, Callable[[Path], Network]] = {
        "openvino": OpenVinoNetwork,
        "onnx": OnnxNetwork,
        "litert": LiteRTNetwork,
        "keras": _read_keras,
    }
    try:
        with silenced():
            return readers[engine](path)
    except Exception as error:  # each library has its own, some of no common ancestor
        lines = [line for line in str(error).splitlines() if line and not PLACE.match(line)]
        reason = lines[0] if lines else type(error).__name__
        raise DataError(f"{path}: not a readable network ({reason}); run the study again") from None


def load_openvino() -> Any:
    """The package ``openvino``, which asks nothing of the network.

    Left to itself, it tells Google Analytics of each import by way of another package. Where
    that one is not to be had it goes without.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino


@functools.cache
def openvino_core() -> Any:
    """OpenVINO's runtime: one that stays until the process ends.

    With the last one goes what runs networks on the processor, and with that the memory where
    it had the system handle signals, though not the system's note of it: the next Ctrl-C would
    be a segmentation fault.
    """
    return load_openvino().Core()


class KerasNetwork:
    """A Keras model with one input and one output."""

    def __init__(self, model: Any):
        self.model = model
        self.input_shape = tuple(model.input_shape[1:])
        self.output_shape = tuple(model.output_shape[1:])
        self._map: Any = None
        shapes = [x.output.shape for x in model.layers if x.name == SPATIAL]
        self.attention_shape = tuple(shapes[0][1:3]) if shapes else None

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        if not len(x):
            return np.empty((0, *self.output_shape), np.float32)
        return np.asarray(self.model.predict_on_batch(x))

    def attention(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        from birads_lib.export import with_attention

        self._map = self._map or with_attention(self.model)
        return np.asarray(self._map(x)[1])[..., 0]


class _Exported(ABC):
    """A network in a file; ``_run`` is its engine's."""

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    attention_shape: tuple[int, ...] | None

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._run(x, 0, self.output_shape)

    def attention(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._run(x, 1, (*(self.attention_shape or ()), 1))[..., 0]

    @abstractmethod
    def _run(
        self, x: NDArray[np.float32], output: int, shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """One output, by its number, for all of x: float32 (n, *shape)."""


class OpenVinoNetwork(_Exported):
    """An ONNX file run by OpenVINO in float32, several small batches at a time."""

    def __init__(self, path: Path):
        core = openvino_core()
        model = core.read_model(path)
        self.input_shape = _fixed(model.input(0).partial_shape)
        self.output_shape = _fixed(model.output(0).partial_shape)
        maps = model.outputs[1:]
        self.attention_shape = _fixed(maps[0].partial_shape)[:2] if maps else None
        hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
        compiled = core.compile_model(model, "CPU", hints)
        self._jobs = load_openvino().AsyncInferQueue(compiled)
        self._jobs.set_callback(_keep_output)

    def _run(
        self, x: NDArray[np.float32], output: int, shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        outputs = np.empty((len(x), *shape), np.float32)
        for start in range(0, len(x), JOB):
            rows = slice(start, start + JOB)
            self._jobs.start_async(np.ascontiguousarray(x[rows]), (output, outputs[rows]))
        self._jobs.wait_all()
        return outputs


class OnnxNetwork(_Exported):
    """An ONNX file run by ONNX Runtime."""

    def __init__(self, path: Path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        self._session = onnxruntime.InferenceSession(
            os.fspath(path), options, providers=["CPUExecutionProvider"]
        )
        (entry,) = self._session.get_inputs()
        result, *maps = self._session.get_outputs()
        self._name = entry.name
        self._outputs = [output.name for output in (result, *maps)]
        self.input_shape = tuple(entry.shape[1:])
        self.output_shape = tuple(result.shape[1:])
        self.attention_shape = tuple(maps[0].shape[1:3]) if maps else None

    def _run(
        self, x: NDArray[np.float32], output: int, shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        wanted = [self._outputs[output]]
        parts = [
            self._session.run(wanted, {self._name: x[start : start + JOB]})[0]
            for start in range(0, len(x), JOB)
        ]
        return np.concatenate([np.empty((0, *shape), np.float32), *parts])


class LiteRTNetwork(_Exported):
    """A ``.tflite`` file run by LiteRT, which runs on phones too."""

    def __init__(self, path: Path):
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(os.fspath(path), num_threads=THREADS)
        (self._entry,) = self._interpreter.get_input_details()
        # LiteRT orders outputs as it likes; the names keep the model's own order.
        self._results = sorted(self._interpreter.get_output_details(), key=lambda x: x["name"])
        shapes = [tuple(result["shape"][1:].tolist()) for result in self._results]
        self.input_shape = tuple(self._entry["shape"][1:].tolist())
        self.output_shape = shapes[0]
        self.attention_shape = shapes[1][:2] if len(shapes) > 1 else None
        self._batch = 0
        self._block(np.zeros((1, *self.input_shape), np.float32), 0)  # what is wrong shows here

    def _run(
        self, x: NDArray[np.float32], output: int, shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        outputs = np.empty((len(x), *shape), np.float32)
        for start in range(0, len(x), JOB):
            rows = slice(start, start + JOB)
            outputs[rows] = self._block(x[rows], output)
        return outputs

    def _block(self, x: NDArray[np.float32], output: int) -> NDArray[np.float32]:
        if len(x) != self._batch:
            self._interpreter.resize_tensor_input(self._entry["index"], x.shape)
            self._interpreter.allocate_tensors()
            self._batch = len(x)
        self._interpreter.set_tensor(self._entry["index"], x)
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._results[output]["index"]))


def _keep_output(request: Any, kept: tuple[int, NDArray[np.float32]]) -> None:
    output, values = kept
    values[...] = request.get_output_tensor(output).data


def _fixed(shape: Any) -> tuple[int, ...]:
    """An OpenVINO shape without its batch."""
    return tuple(size.get_length() for size in list(shape)[1:])


def _read_keras(path: Path) -> KerasNetwork:
    if not zipfile.is_zipfile(path):  # told before TensorFlow is loaded, which takes seconds
        raise ValueError("no .keras archive")
    from birads_lib.networks import read_model

    return KerasNetwork(read_model(path))
