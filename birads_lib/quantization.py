"""Networks in eight bits: static quantisation after training, and what it costs.

Weights become whole numbers with a scale for each filter; each feature map gets a scale and
a zero point, read off what calibration tiles make of it (Jacob et al. 2018). Nothing is
trained again. Input and output of a network stay float32, so whoever runs it need not know.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from birads_lib import metrics
from birads_lib.cascade import Cascade, Levels, apply_network, denoised_levels
from birads_lib.engines import Network
from birads_lib.errors import DataError
from birads_lib.export import quiet, write_litert
from birads_lib.files import whole_file
from birads_lib.labels import CLASSES, LESION_CODES
from birads_lib.tiles.resizing import network_input, resize_tiles
from birads_lib.tiles.splits import HELD_OUT, make_splits
from birads_lib.tiles.store import TileStore

CALIBRATION_EACH = 40  # tiles of a class
MEASURED_EACH = 120  # tiles of a class
TIMED = 64  # tiles of a turn
TURNS = 5
BLOCK = 64  # tiles whose denoised levels are held in memory
CALIBRATION_BATCH = 8
WEIGHTED = ("Conv", "Gemm", "MatMul")
"""Kinds of ONNX layers that may hold weights."""
_OF_ONNX = (
    "ONNX Runtime, static, scales from least to greatest value; weights of seven bits by filter, "
    "features of eight; the last layer in float"
)
METHOD = {
    "onnx": _OF_ONNX,
    "openvino": _OF_ONNX,
    "litert": "TensorFlow, static; weights of eight bits by filter, features of eight",
}
"""How each form gets to eight bits; OpenVINO's is made from ONNX."""
FLOAT, INT8 = "float32", "int8"
COMPARED = {"gate": "auroc", "scorer": "balanced_accuracy", "cascade": "balanced_accuracy"}
"""The figure by which each stage is compared."""


def drawn_tiles(store: TileStore, part: str, each: int, seed: int = 0) -> TileStore:
    """As many tiles of each class from one part of the original division, drawn by seed.

    Args:
        store: Tiles of all classes.
        part: ``"train"`` or ``"held-out"``, see ``make_splits``.
        each: Tiles of a class; all of a class that has fewer.
        seed: Of the draw.

    Raises:
        DataError: A class has no tile in the training or the held-out part.
    """
    try:
        split = make_splits(store.table, "official", validation=0.0)
    except DataError as error:
        raise DataError(f"{store.path}: {error}") from None
    rng = np.random.default_rng(seed)
    drawn = np.zeros(len(store), bool)
    for tile_class in CLASSES:
        of_class = (split == part) & (store.table["label"] == tile_class.label)
        drawn[rng.permutation(np.flatnonzero(of_class))[:each]] = True
    return store.subset(drawn)


def calibration_inputs(cascade: Cascade, tiles: TileStore) -> dict[str, NDArray[np.float32]]:
    """What each network of a cascade is given when it reads tiles.

    Args:
        cascade: In float; its own steps stand before each network.
        tiles: Training tiles, infected ones among them, all held in memory.

    Returns:
        By network float32 (n, height, width, channels), 0..255. The scorer gets the
        infected tiles alone, as in training.
    """
    levels: Levels = np.asarray(tiles.images[:])
    given = {}
    if cascade.autoencoder is not None:
        given["autoencoder"] = _input_of(cascade.autoencoder, levels)
        levels = denoised_levels(cascade.autoencoder, levels)
    infected = (tiles.table["label"] > 0).to_numpy()
    given["gate"] = _input_of(cascade.gate, levels)
    given["scorer"] = _input_of(cascade.scorer, levels[infected])
    return given


def _input_of(network: Network, levels: Levels) -> NDArray[np.float32]:
    height, width, channels = network.input_shape
    return network_input(resize_tiles(levels, (height, width)), channels)


def quantize_onnx(
    source: Path, target: str | os.PathLike[str], inputs: NDArray[np.float32]
) -> None:
    """Write an ONNX network in eight bits, whole or not at all.

    From the last layer with weights on, all stays in float: it costs next to nothing, and
    its answer is the network's. Weights use seven of their eight bits: processors without
    instructions for products of bytes add them up in sixteen bits, and would overflow.

    Args:
        source: The network in float32, one input.
        target: File to write; inputs and outputs are named and typed as the source's.
        inputs: What it is given on calibration tiles, float32 (n, height, width, channels).
    """
    from onnxruntime.quantization import QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with whole_file(target) as partial, tempfile.TemporaryDirectory() as folder, quiet():
        merged = Path(folder) / "merged.onnx"  # what can be calculated once is
        quant_pre_process(source, merged, skip_symbolic_shape=True)
        name, last = _entry_and_last_layer(merged)
        quantize_static(
            merged,
            partial,
            _Feed(name, inputs),
            nodes_to_exclude=last,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


class _Feed:
    """Calibration batches, as ONNX Runtime asks for them."""

    def __init__(self, name: str, inputs: NDArray[np.float32]):
        starts = range(0, len(inputs), CALIBRATION_BATCH)
        self._batches = iter([{name: inputs[x : x + CALIBRATION_BATCH]} for x in starts])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._batches, None)


def _entry_and_last_layer(path: Path) -> tuple[str, list[str]]:
    """Name of an ONNX network's input; names of its last layer with weights and what follows."""
    import onnx

    graph = onnx.load(path).graph
    constants = {constant.name for constant in graph.initializer}
    weighted = [
        place
        for place, node in enumerate(graph.node)
        if node.op_type in WEIGHTED and constants & set(node.input)
    ]
    last = weighted[-1] if weighted else len(graph.node)
    return graph.input[0].name, [node.name for node in graph.node[last:]]


def quantize_litert(
    function: Any, target: str | os.PathLike[str], inputs: NDArray[np.float32]
) -> None:
    """Write a network as LiteRT in eight bits, whole or not at all.

    Args:
        function: From ``export.frozen_function``; one input, one output or more.
        target: File to write, ``.tflite``.
        inputs: What it is given on calibration tiles, float32 (n, height, width, channels).
    """
    import tensorflow as tf

    write_litert(
        function,
        target,
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=lambda: ([tile[np.newaxis]] for tile in inputs),
    )


def measured_loss(plain: Cascade, quantized: Cascade, tiles: TileStore) -> dict[str, Any]:
    """What eight bits cost in quality: the same tiles through both cascades.

    Every tile is scored, whatever the gate says of it, so that the scorer is compared on
    all infected tiles.

    Args:
        plain: In float32.
        quantized: The same cascade in eight bits.
        tiles: Held-out tiles of all classes.

    Returns:
        ``tiles`` and ``groups``; ``figures`` by stage: ``figure`` (its name, see
        ``COMPARED``), ``float32``, ``int8`` and ``difference`` (int8 less float32, paired),
        each ``{"value", "interval"}``; ``probability_difference`` by network, ``median`` and
        ``largest`` absolute difference; ``grey_difference`` of the denoised tiles, ``median``
        of the tiles' means and ``largest`` of any pixel; ``decided_otherwise``, tiles that
        end in another class.
    """
    blocks = [_both(plain, quantized, images) for images in _blocks(tiles)]
    before, after, grey_means, grey_peaks = map(np.concatenate, zip(*blocks, strict=True))
    tables = [_stage_tables(x, tiles.table, plain.threshold) for x in (before, after)]
    decided = [metrics.predicted_class(table["cascade"], "cascade") for table in tables]
    apart = np.abs(after - before)
    infected = (tiles.table["label"] > 0).to_numpy()
    return {
        "tiles": len(tiles),
        "groups": int(tiles.table["group"].nunique()),
        "figures": {stage: _compare(*(t[stage] for t in tables)) for stage in COMPARED},
        "probability_difference": {
            "gate": _spread(apart[:, 0]),
            "scorer": _spread(apart[infected, 1:]),
        },
        "grey_difference": {
            "median": float(np.median(grey_means)),
            "largest": float(grey_peaks.max()),
        },
        "decided_otherwise": int((decided[0] != decided[1]).sum()),
    }


def _blocks(tiles: TileStore) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, len(tiles), BLOCK):
        yield np.asarray(tiles.images[start : start + BLOCK])


def _both(
    plain: Cascade, quantized: Cascade, images: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], ...]:
    """Scores (n, 5) of both cascades; mean and largest grey difference of each tile (n,)."""
    (before, levels), (after, others) = (_outputs(c, images) for c in (plain, quantized))
    apart = np.abs(np.asarray(levels, np.float32) - others)
    return before, after, apart.mean(axis=(1, 2)), apart.max(axis=(1, 2))


def _outputs(cascade: Cascade, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Levels]:
    """Gate and all four class probabilities of each tile, (n, 5), and its denoised levels."""
    levels: Levels = images
    if cascade.autoencoder is not None:
        levels = denoised_levels(cascade.autoencoder, images)
    parts = [apply_network(network, levels) for network in (cascade.gate, cascade.scorer)]
    return np.hstack(parts), levels


def _stage_tables(
    scores: NDArray[np.float32], table: pd.DataFrame, threshold: float
) -> dict[str, pd.DataFrame]:
    """Predictions of each stage, as ``metrics`` takes them."""
    whole = table[["tile", "group", "label"]].assign(
        split=HELD_OUT, protocol="official", seed=0, model="", threshold=threshold
    )
    whole[["gate", *LESION_CODES]] = scores
    judged = {"scorer": whole[whole["label"] > 0]}
    return {stage: judged.get(stage, whole).assign(stage=stage) for stage in COMPARED}


def _compare(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, Any]:
    """One stage's figure in both precisions, and their difference."""
    figure = COMPARED[before["stage"].iloc[0]]
    return {
        "figure": figure,
        FLOAT: metrics.mean_over_seeds([before], figure),
        INT8: metrics.mean_over_seeds([after], figure),
        "difference": metrics.paired_difference([after], [before], figure),
    }


def _spread(values: NDArray[np.float32]) -> dict[str, float]:
    return {"median": float(np.median(values)), "largest": float(values.max())}


def measured_pace(
    plain: Cascade, quantized: Cascade, images: NDArray[np.uint8], turns: int = TURNS
) -> dict[str, float]:
    """Tiles a second that both cascades read, in turns, so that both meet the same machine.

    Args:
        plain: In float32.
        quantized: The same cascade in eight bits.
        images: uint8 (N, H, W).
        turns: Of each; the median counts. One more before them is not timed.
    """
    cascades = {FLOAT: plain, INT8: quantized}
    seconds: dict[str, list[float]] = {name: [] for name in cascades}
    for turn in range(turns + 1):
        for name, cascade in cascades.items():
            start = time.perf_counter()
            cascade.predict(images)
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: len(images) / float(np.median(took)) for name, took in seconds.items()}


def loss_in_words(quantization: Mapping[str, Any]) -> list[str]:
    """What a manifest says of eight bits, a line a figure."""
    lines = []
    for stage, found in quantization["loss"]["figures"].items():
        before, after = (found[precision]["value"] for precision in (FLOAT, INT8))
        lines.append(
            f"{stage}, {found['figure'].replace('_', ' ')}: {before:.3f} in float, {after:.3f} in "
            f"eight bits; difference {metrics.in_words(found['difference'], '+.3f')}"
        )
    speed = quantization["speed"]
    lines.append(
        f"tiles a second here: {speed[FLOAT]:.0f} in float, {speed[INT8]:.0f} in eight bits; "
        "no phone was measured"
    )
    return lines
