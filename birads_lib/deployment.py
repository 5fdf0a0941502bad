"""The cascade as a folder that an application carries: its networks and a manifest.

The manifest says what a program has to know to run the networks as ``Cascade`` does, and
what a person has to know before trusting an answer. Its form is ``manifest.schema.json``.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from birads_lib import metrics
from birads_lib.cascade import PARTS, Cascade
from birads_lib.engines import Network, open_network
from birads_lib.errors import DataError, UsageError, one_of
from birads_lib.export import FORMATS, export_network, write_openvino
from birads_lib.files import read_json, sha256, whole_folder, write_json
from birads_lib.labels import CLASSES
from birads_lib.quantization import (
    CALIBRATION_EACH,
    FLOAT,
    INT8,
    MEASURED_EACH,
    METHOD,
    TIMED,
    TURNS,
    calibration_inputs,
    drawn_tiles,
    measured_loss,
    measured_pace,
    quantize_litert,
    quantize_onnx,
)
from birads_lib.study.machine import describe_machine
from birads_lib.tiles.crops import TILE_PIXEL_MM
from birads_lib.tiles.familiarity import Familiarity
from birads_lib.tiles.layout import GREY_MAX, TILE
from birads_lib.tiles.splits import HELD_OUT, TRAIN
from birads_lib.tiles.store import TileStore

MANIFEST = "manifest.json"
SCHEMA = Path(__file__).with_name("manifest.schema.json")
GREY, SHARE = [0, GREY_MAX], [0, 1]  # ranges of values
MEANINGS = {
    "autoencoder": ("denoised grey levels", GREY),
    "gate": ("probability of infected", SHARE),
    "scorer": ("probabilities of C2 to C5, in this order", SHARE),
}
ATTENTION = ("attention map A_s", SHARE)
"""What a scorer's second output is."""
SAID = {
    "notice": "Research software, not a medical device.",
    "intended_use": [
        "To reproduce, teach and criticise a published method.",
        "To measure what a split, a threshold or a smaller network does to a result.",
        "To serve as a baseline on the same public tiles.",
    ],
    "not_intended_use": [
        "Diagnosis, triage, second opinions and reassurance, of anyone.",
        "Whole mammograms, digital mammograms, tomosynthesis, ultrasound and MRI.",
        "Reading its classes as BI-RADS categories: they are lesion type and pathology.",
    ],
    "input": {
        "shape": [TILE, TILE],
        "dtype": "uint8",
        "range": GREY,
        "colour": "grey",
        "pixel_mm": TILE_PIXEL_MM,
    },
    "resizing": {
        "smaller": "mean over areas",
        "larger": "bilinear",
        "rounding": "none of denoised grey levels",
        "channels": "the grey level in each",
    },
    "classes": [{"code": c.code, "title": c.title} for c in CLASSES],
}
"""What a manifest says of every cascade."""


def export_cascade(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    form: str = "litert",
    int8: bool = False,
    tiles: str | os.PathLike[str] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Write a saved cascade in another form, with its manifest, whole or not at all.

    Args:
        model: Folder that ``Cascade.save`` wrote.
        out: Folder to write; it takes the place of an earlier export.
        form: ``"litert"``, ``"onnx"`` or ``"openvino"``. Only LiteRT needs TensorFlow.
        int8: Quantise to eight bits, and measure what that costs.
        tiles: Store to calibrate on (its training part) and to measure on (its held-out
            part); the run's own where the cascade lies in a run.
        seed: Of the draw of tiles.

    Returns:
        The manifest, as ``manifest.schema.json`` says.

    Raises:
        UsageError: Unknown form; tiles without ``int8``, or ``int8`` and no tiles anywhere.
        DataError: No cascade or no store there, a class has no tile, or something other
            than an export stands at ``out``.
    """
    one_of("format", form, FORMATS)
    if tiles is not None and not int8:
        raise UsageError(f"tiles: {tiles} given, but float32 needs none; ask for int8 or drop it")
    source = Path(model)
    cascade = Cascade.load(source)
    store = _store_to_quantize_by(source, tiles) if int8 else None
    with whole_folder(out, MANIFEST) as folder:
        if store is None:
            write_networks(source, folder, form)
            quantization = None
        else:
            quantization = _quantize(source, folder, form, cascade, store, seed)
        manifest = {
            **SAID,
            "form": form,
            "precision": INT8 if int8 else FLOAT,
            "networks": [_network_entry(folder, form, cascade, name) for name in parts_of(cascade)],
            "threshold": cascade.threshold,
            "cascade": cascade.digest,
            "simulated": cascade.about.get("simulated"),
            "familiar": _ranges(cascade.familiar),
            "metrics": metrics_of_cascade(source, cascade.digest),
            "quantization": quantization,
            "files": {file.name: _file_entry(file) for file in sorted(folder.iterdir())},
        }
        write_json(folder / MANIFEST, check_manifest(manifest, Path(out) / MANIFEST))
    return manifest


def read_export(path: str | os.PathLike[str]) -> Cascade:
    """Read an exported cascade, to be run by the engine of its form.

    Args:
        path: Folder that ``export_cascade`` wrote.

    Raises:
        DataError: Not such a folder, or a file has changed.
    """
    folder = Path(path)
    manifest = check_manifest(read_json(folder / MANIFEST), folder / MANIFEST)
    files = {entry["name"]: entry["file"] for entry in manifest["networks"]}
    for file in {*files.values(), *manifest["files"]}:
        listed, path = manifest["files"].get(file, {}), folder / file
        if not path.is_file() or sha256(path) != listed.get("sha256"):
            raise DataError(f"{path}: missing, or changed since it was exported; export it again")
    networks = {name: open_network(folder / file, manifest["form"]) for name, file in files.items()}
    return Cascade(
        **networks,
        threshold=manifest["threshold"],
        about={"simulated": manifest["simulated"]},
        familiar=Familiarity(manifest["familiar"]) if manifest["familiar"] else None,
    )


def check_manifest(manifest: Any, path: Path) -> dict[str, Any]:
    """Return a manifest if it is as ``manifest.schema.json`` says.

    Raises:
        DataError: It is not; the message names ``path`` and the entry.
    """
    try:
        jsonschema.validate(manifest, read_json(SCHEMA))
    except jsonschema.ValidationError as error:
        place = "/".join(map(str, error.absolute_path)) or "top level"
        raise DataError(f"{path}: {place}: {error.message}; export the cascade again") from None
    return manifest


def parts_of(cascade: Cascade) -> dict[str, Network]:
    """The networks of a cascade by name, in the order in which they run."""
    parts = {name: getattr(cascade, name) for name in PARTS}
    return {name: network for name, network in parts.items() if network is not None}


def write_networks(
    source: Path,
    folder: Path,
    form: str,
    inputs: Mapping[str, NDArray[np.float32]] | None = None,
) -> None:
    """Write the networks of a saved cascade in another form.

    Args:
        source: Folder of the cascade.
        folder: Folder to write into.
        form: One of ``FORMATS``.
        inputs: What each network is given on calibration tiles, to write it in eight bits;
            ``None`` for float32.
    """
    parts = parts_of(Cascade.load(source, "keras" if form == "litert" else "openvino"))
    for name, network in parts.items():
        target = folder / f"{name}{FORMATS[form]}"
        given = None if inputs is None else inputs[name]
        if form == "litert":
            _write_litert(network, target, given)
        elif form == "onnx":
            _write_onnx(source / f"{name}.onnx", target, given)
        else:
            with tempfile.TemporaryDirectory() as between:
                onnx = Path(between) / f"{name}.onnx"
                _write_onnx(source / onnx.name, onnx, given)
                write_openvino(onnx, target)


def _write_onnx(source: Path, target: Path, inputs: NDArray[np.float32] | None) -> None:
    if inputs is None:
        shutil.copyfile(source, target)
    else:
        quantize_onnx(source, target, inputs)


def _write_litert(network: Any, target: Path, inputs: NDArray[np.float32] | None) -> None:
    from birads_lib.networks import with_attention

    model = with_attention(network.model)
    if inputs is None:
        export_network(model, target, "litert")
    else:
        quantize_litert(model, target, inputs)


def _store_to_quantize_by(model: Path, tiles: str | os.PathLike[str] | None) -> TileStore:
    found = _run_of(model) / "store" if tiles is None else Path(tiles)
    if tiles is None and not found.is_dir():
        raise UsageError(
            f"int8: no tiles to calibrate on: {model} lies in no run; name a store of tiles"
        )
    return TileStore.open(found)


def _run_of(model: Path) -> Path:
    """The run of a cascade that lies in its ``models/cascade``."""
    return model.resolve().parent.parent


def _quantize(
    source: Path, folder: Path, form: str, cascade: Cascade, store: TileStore, seed: int
) -> dict[str, Any]:
    """Write the networks in eight bits, and what the manifest says of that."""
    training = drawn_tiles(store, TRAIN, CALIBRATION_EACH, seed)
    held_out = drawn_tiles(store, HELD_OUT, MEASURED_EACH, seed)
    inputs = calibration_inputs(cascade, training)
    write_networks(source, folder, form, inputs)
    with tempfile.TemporaryDirectory() as plain:
        write_networks(source, Path(plain), form)
        pair = [_opened(at, form, cascade) for at in (Path(plain), folder)]
        loss = measured_loss(*pair, held_out)
        timed = np.asarray(held_out.images[:: -(-len(held_out) // TIMED)])
        pace = measured_pace(*pair, timed)
    return {
        "method": METHOD[form],
        "calibration": {name: len(x) for name, x in inputs.items()},
        "tiles": {"store": store.digest, "simulated": store.simulated, "seed": seed},
        "loss": loss,
        "speed": {**pace, "tiles": len(timed), "turns": TURNS, "machine": describe_machine()},
    }


def _opened(folder: Path, form: str, like: Cascade) -> Cascade:
    """The networks of a folder as a cascade with the threshold of another."""
    networks = {n: open_network(folder / f"{n}{FORMATS[form]}", form) for n in parts_of(like)}
    return Cascade(**networks, threshold=like.threshold)


def _network_entry(folder: Path, form: str, cascade: Cascade, name: str) -> dict[str, Any]:
    """What the manifest says of one network."""
    path = folder / f"{name}{FORMATS[form]}"
    network, (entry, results) = open_network(path, form), tensor_names(path, form)
    denoised = name != "autoencoder" and cascade.autoencoder is not None
    found = [(*MEANINGS[name], network.output_shape)]
    if network.attention_shape is not None:
        found.append((*ATTENTION, (*network.attention_shape, 1)))
    return {
        "name": name,
        "file": path.name,
        "takes": "the denoised tile" if denoised else "the tile",
        "input": {
            "tensor": entry,
            "shape": list(network.input_shape),
            "dtype": "float32",
            "range": GREY,
        },
        "outputs": [
            {"tensor": tensor, "meaning": meaning, "range": values, "shape": list(shape)}
            for tensor, (meaning, values, shape) in zip(results, found, strict=True)
        ],
    }


def tensor_names(path: Path, form: str) -> tuple[str, list[str]]:
    """Names of a network's input and of its outputs, in the model's order."""
    if form == "litert":
        from ai_edge_litert.interpreter import Interpreter

        network = Interpreter(os.fspath(path))
        (entry,), results = network.get_input_details(), network.get_output_details()
        return entry["name"], sorted(result["name"] for result in results)
    if form == "onnx":
        import onnx

        graph = onnx.load(path).graph
        return graph.input[0].name, [result.name for result in graph.output]
    import openvino

    model = openvino.Core().read_model(path)
    return model.input(0).any_name, [result.any_name for result in model.outputs]


def _ranges(familiar: Familiarity | None) -> dict[str, list[float]] | None:
    return {name: list(ends) for name, ends in familiar.ranges.items()} if familiar else None


def _file_entry(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}


def metrics_of_cascade(model: Path, digest: str) -> dict[str, Any]:
    """Figures of merit of a cascade on the held-out tiles of its run.

    They are those of the run's ``results/metrics.json``, computed from the same
    predictions, which name the cascade that made them.

    Args:
        model: Its folder, ``<run>/models/cascade`` if it lies in a run.
        digest: Of the cascade.

    Returns:
        ``record``, see ``metrics.summarise``, and ``reason``, why there is none; one of
        them is ``None``.
    """
    path = _run_of(model) / "predictions" / "cascade.parquet"
    if not path.is_file():
        return {"record": None, "reason": "The cascade lies in no run that has predictions."}
    try:
        predictions = pd.read_parquet(path)
    except (OSError, ValueError):
        return {"record": None, "reason": "The run's predictions are not readable."}
    if set(predictions["model"]) != {digest}:
        return {"record": None, "reason": "The run's predictions are of another cascade."}
    return {"record": metrics.summarise(predictions)[0], "reason": None}
