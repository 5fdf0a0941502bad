"""The cascade as a folder that an application carries: its networks and a manifest.

The manifest says what a program has to know to run the networks as ``Cascade`` does, and
what a person has to know before trusting an answer. Its form is ``manifest.schema.json``.
"""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from birads_lib import metrics
from birads_lib.cascade import INTENDED_USE, NOT_INTENDED_USE, PARTS, Cascade
from birads_lib.engines import open_network, openvino_core
from birads_lib.errors import DataError, UsageError, one_of
from birads_lib.export import FORMATS, frozen_function, write_litert, write_openvino
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
    "intended_use": list(INTENDED_USE),
    "not_intended_use": list(NOT_INTENDED_USE),
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
        model, tiles, seed: See ``Exporter``.
        out: Folder to write; it takes the place of an earlier export.
        form: ``"litert"``, ``"onnx"`` or ``"openvino"``. Only LiteRT needs TensorFlow.
        int8: Quantise to eight bits, and measure what that costs.

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
    return Exporter(model, tiles, seed).write(out, form, INT8 if int8 else FLOAT)


class Exporter:
    """A saved cascade, opened once to be written in several forms and precisions.

    What one form needs of another, and what calibrates them all, is made when first asked
    for, and kept until the exporter goes.

    Args:
        model: Folder that ``Cascade.save`` wrote.
        tiles: Store to calibrate on (its training part) and to measure on (its held-out
            part); the run's own where the cascade lies in a run.
        seed: Of the draw of tiles.
        calibrated, measured: Tiles of each class drawn for either.

    Raises:
        DataError: No cascade there, or not as it was saved.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        tiles: str | os.PathLike[str] | None = None,
        seed: int = 0,
        calibrated: int = CALIBRATION_EACH,
        measured: int = MEASURED_EACH,
    ):
        self.model, self.seed = Path(model), seed
        self.calibrated, self.measured = calibrated, measured
        self.cascade = Cascade.load(self.model)
        self._tiles = tiles
        self._workspace = tempfile.TemporaryDirectory(prefix="birads-export-")

    def write(self, out: str | os.PathLike[str], form: str, precision: str) -> dict[str, Any]:
        """Write one form in one precision, see ``export_cascade``.

        Args:
            out: Folder to write.
            form: One of ``FORMATS``.
            precision: ``"float32"`` or ``"int8"``.
        """
        one_of("format", form, FORMATS)
        if one_of("precision", precision, (FLOAT, INT8)) == INT8:
            self._drawn(TRAIN, 1)  # names what is wrong with the tiles before anything is made
        with whole_folder(out, MANIFEST) as folder:
            for file in self._networks(form, precision).iterdir():
                shutil.copy(file, folder)
            quantization = self._quantization(form) if precision == INT8 else None
            manifest = {
                **SAID,
                "form": form,
                "precision": precision,
                "networks": [self._network_entry(folder, form, name) for name in self._names],
                "threshold": self.cascade.threshold,
                "cascade": self.cascade.digest,
                "simulated": self.cascade.about.get("simulated"),
                "familiar": _ranges(self.cascade.familiar),
                "metrics": metrics_of_cascade(self.model, self.cascade.digest),
                "quantization": quantization,
                "files": {file.name: _file_entry(file) for file in sorted(folder.iterdir())},
            }
            write_json(folder / MANIFEST, check_manifest(manifest, Path(out) / MANIFEST))
        return manifest

    @functools.cached_property
    def store(self) -> TileStore:
        """The tiles to calibrate and to measure by."""
        if self._tiles is not None:
            return TileStore.open(self._tiles)
        found = _run_of(self.model) / "store"
        if not found.is_dir():
            raise UsageError(
                f"int8: no tiles to calibrate on: {self.model} lies in no run; name a store of "
                "tiles"
            )
        return TileStore.open(found)

    @property
    def _names(self) -> list[str]:
        """Its networks, in the order in which they run."""
        return [name for name in PARTS if getattr(self.cascade, name) is not None]

    def _drawn(self, part: str, each: int) -> TileStore:
        return drawn_tiles(self.store, part, each, self.seed)

    @functools.cached_property
    def _inputs(self) -> dict[str, NDArray[np.float32]]:
        """What each network is calibrated on."""
        return calibration_inputs(self.cascade, self._drawn(TRAIN, self.calibrated))

    @functools.cached_property
    def _functions(self) -> dict[str, Any]:
        """The networks as TensorFlow functions, for LiteRT."""
        from birads_lib.export import with_attention

        models: Any = Cascade.load(self.model, "keras")
        return {n: frozen_function(with_attention(getattr(models, n).model)) for n in self._names}

    def _networks(self, form: str, precision: str) -> Path:
        """Folder that holds the networks in one form and precision, and nothing else."""
        folder = Path(self._workspace.name) / f"{form}-{precision}"
        if not folder.exists():
            with whole_folder(folder) as partial:
                for name in self._names:
                    self._write_network(name, partial / f"{name}{FORMATS[form]}", form, precision)
        return folder

    def _write_network(self, name: str, target: Path, form: str, precision: str) -> None:
        saved = self.model / f"{name}.onnx"
        if form == "openvino":
            write_openvino(self._networks("onnx", precision) / saved.name, target)
        elif form == "onnx" and precision == FLOAT:
            shutil.copyfile(saved, target)
        elif form == "onnx":
            quantize_onnx(saved, target, self._inputs[name])
        elif precision == FLOAT:
            write_litert(self._functions[name], target)
        else:
            quantize_litert(self._functions[name], target, self._inputs[name])

    def _opened(self, form: str, precision: str) -> Cascade:
        folder = self._networks(form, precision)
        networks: dict[str, Any] = {
            n: open_network(folder / f"{n}{FORMATS[form]}", form) for n in self._names
        }
        return Cascade(**networks, threshold=self.cascade.threshold)

    def _quantization(self, form: str) -> dict[str, Any]:
        """What the manifest says of eight bits, measured."""
        plain, quantized = self._opened(form, FLOAT), self._opened(form, INT8)
        held_out = self._drawn(HELD_OUT, self.measured)
        timed = np.asarray(held_out.images[:: -(-len(held_out) // TIMED)])
        store = self.store
        return {
            "method": METHOD[form],
            "calibration": {name: len(x) for name, x in self._inputs.items()},
            "tiles": {"store": store.digest, "simulated": store.simulated, "seed": self.seed},
            "loss": measured_loss(plain, quantized, held_out),
            "speed": {
                **measured_pace(plain, quantized, timed),
                "tiles": len(timed),
                "turns": TURNS,
                "machine": describe_machine(),
            },
        }

    def _network_entry(self, folder: Path, form: str, name: str) -> dict[str, Any]:
        """What the manifest says of one network."""
        path = folder / f"{name}{FORMATS[form]}"
        network, (entry, results) = open_network(path, form), tensor_names(path, form)
        denoised = name != "autoencoder" and self.cascade.autoencoder is not None
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
    names = sorted({*files.values(), *manifest["files"]})
    for file in names:
        if Path(file).name != file:
            raise DataError(
                f"{folder / MANIFEST}: names {file!r}, which lies elsewhere; export it again"
            )
    for file in names:
        listed, place = manifest["files"].get(file, {}), folder / file
        if not place.is_file() or sha256(place) != listed.get("sha256"):
            raise DataError(f"{place}: missing, or changed since it was exported; export it again")
    if not {"gate", "scorer"} <= files.keys():
        raise DataError(f"{folder / MANIFEST}: names no gate and scorer; export it again")
    networks: dict[str, Any] = {
        name: open_network(folder / file, manifest["form"]) for name, file in files.items()
    }
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


def _run_of(model: Path) -> Path:
    """The run of a cascade that lies in its ``models/cascade``."""
    return model.resolve().parent.parent


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
    model = openvino_core().read_model(path)
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
