"""Sound inputs that are small and quick to read, for faults to be planted in."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from dicom_tree import write_dicom
from mias_set import MiasSet
from onnx import TensorProto, helper

from birads_lib.tiles.cbis_labels import CASE_FILES, COLUMNS

TILE = 299  # px
TISSUE = np.random.default_rng(0).integers(60, 200, (TILE, TILE), np.uint8)
GATE, SCORER = "gate.onnx", "scorer.onnx"
NETWORKS = {GATE: ((24, 24, 1), 1), SCORER: ((32, 32, 3), 4)}
"""Shape of the input, and number of answers."""


def films(folder: Path) -> None:
    """A film of mini-MIAS that shows a mass, and the list: quicker to cut than normal ones."""
    made = MiasSet()
    made.scans = {"mdb003": made.scans["mdb003"]}
    made.lines = [line for line in made.lines if line[:6] in made.scans]
    made.write(folder)


def picture(suffix: str) -> bytes:
    """A grey tile as PNG, JPEG or PGM."""
    smooth = cv2.GaussianBlur(TISSUE, (0, 0), 8)
    return cv2.imencode(suffix, smooth if suffix == ".jpg" else TISSUE)[1].tobytes()


def scan(path: Path, **elements: Any) -> Path:
    """A DICOM file of one grey tile."""
    return write_dicom(path, TISSUE, **elements)


def case_files(folder: Path) -> None:
    """The four case description files of CBIS-DDSM, two lesions in each."""
    folder.mkdir()
    for number, file in enumerate(CASE_FILES):
        rows = [
            [f"P_{number:05d}", side, "CC", file.lesion, "1", "4", "BENIGN", "3", "2"]
            for side in ("LEFT", "RIGHT")
        ]
        lines = [",".join(fields) for fields in ([*COLUMNS], *rows)]
        (folder / file.name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def cascade(folder: Path) -> None:
    """A saved cascade of two networks that look at the mean grey level alone."""
    folder.mkdir()
    files = {name: network(name) for name in NETWORKS}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    described = {
        "threshold": 0.5,
        "weights": {"gate": "0" * 64, "scorer": "1" * 64},
        "files": {name: digest(content) for name, content in files.items()},
        "about": {"simulated": True},
        "familiar": None,
    }
    (folder / "cascade.json").write_text(json.dumps(described))


def digest(content: bytes) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


@functools.cache
def network(name: str, factor: float = 1) -> bytes:
    """An ONNX file: mean grey level, weighted for each answer, through a softmax or sigmoid."""
    shape, answers = NETWORKS[name]
    weights = np.linspace(0.01, 0.02, answers, dtype=np.float32)[np.newaxis] * factor
    nodes = [
        helper.make_node("ReduceMean", ["tile"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Reshape", ["mean", "column"], ["level"]),
        helper.make_node("MatMul", ["level", "weights"], ["answer"]),
        helper.make_node("Sigmoid" if answers == 1 else "Softmax", ["answer"], ["share"]),
    ]
    graph = helper.make_graph(
        nodes,
        "made by hand",
        [helper.make_tensor_value_info("tile", TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info("share", TensorProto.FLOAT, ["n", answers])],
        [
            helper.make_tensor("column", TensorProto.INT64, [2], [-1, 1]),
            helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.ravel()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()
