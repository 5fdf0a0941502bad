"""What does it save that only what passes the gate is scored, and what does an engine add?"""

from __future__ import annotations

import functools
import itertools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import FULL, QUICK, USUAL, Alternative, Result, take_turns
from benchmarks.sets import BENCH, simulated_store
from birads_lib.cascade import PARTS, Cascade
from birads_lib.engines import DEFAULT, SUFFIXES
from birads_lib.errors import DataError
from birads_lib.labels import CODES
from birads_lib.study.profiles import chapter_settings
from birads_lib.tiles.layout import GREY_MAX, HELD_OUT_COUNTS, TRAINING_COUNTS

PROFILE = "laptop"
TILES = {QUICK: 224, USUAL: 1_024, FULL: 4_096}
REPEATS = {QUICK: 1, USUAL: 3, FULL: 3}
CASCADE = Path("_build/run/laptop/models/cascade")
SMALLEST = {
    "gate": {"INPUT_SIZE": 32, "LAST_BLOCK": 1},
    "attention": {"INPUT_HEIGHT": 32, "INPUT_WIDTH": 32, "LAST_BLOCK": 2},
}

TOTALS = [sum(counts) for counts in zip(TRAINING_COUNTS, HELD_OUT_COUNTS, strict=True)]
POSITIVES = 1 - TOTALS[0] / sum(TOTALS)
"""Share of the Kaggle set's tiles that is infected; the share that is let through here."""

EVERY_TILE = "both Keras networks on every tile"
ALL_THREE = "autoencoder and both Keras networks on every tile"
SHIPPED, TWO_STAGES = "cascade with its autoencoder", "its two stages alone"
FORMS = ("onnx", "litert")  # those that the engines read, beside Keras' own
LEAST_GAIN = 5


def measure(size: str = USUAL, cascade: Path = CASCADE) -> Result:
    """Predict the same tiles in each way; the threshold lets ``POSITIVES`` of them through.

    The cascade that a study ships denoises first; beside it stand its two stages alone, on
    the tiles as they are. Each is a ratio over both Keras networks on every tile.

    Raises:
        DataError: ``full`` without a trained cascade, of which alone it would speak.
    """
    if size == FULL and not cascade.is_dir():
        raise DataError(f"{cascade}: no trained cascade; run `birads study` before `--size full`")
    store = simulated_store(TILES[size])
    tiles = np.asarray(
        store.images[np.random.default_rng(0).permutation(len(store))[: TILES[size]]]
    )
    parts = cascade_parts(cascade, size, tiles)
    passed: dict[str, float] = {}
    BENCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BENCH) as folder:
        alternatives = _every_tile(parts, tiles)
        for engine, name in itertools.product(SUFFIXES, _ways(parts)):
            denoises = name == SHIPPED
            predictor = _selective(parts, Path(folder), tiles, denoises, engine)
            predict = functools.partial(predictor.predict, tiles)
            passed[f"{name}, {engine}"] = float((predict()["predicted"] != CODES[0]).mean())
            alternatives.append(Alternative(f"{name}, {engine}", predict, len(tiles)))
        for alternative in alternatives:
            alternative.action()  # traces the networks before the clock starts
        rows = take_turns(alternatives, REPEATS[size])
    result = Result(
        "How many tiles are predicted a second?",
        rows,
        facts={
            "networks": "of a trained cascade"
            if trained(cascade, size)
            else f"random weights, sizes of profile {PROFILE}; no autoencoder",
            "tiles": len(tiles),
            **{f"share let through, {name}": share for name, share in passed.items()},
        },
    )
    for engine, name in itertools.product(SUFFIXES, _ways(parts)):
        least = LEAST_GAIN if engine == DEFAULT else None
        result.ratio(f"{name}, {engine}", EVERY_TILE, least=least)
        if name == SHIPPED:
            result.ratio(f"{name}, {engine}", ALL_THREE)
        if engine != DEFAULT:
            result.ratio(f"{name}, {DEFAULT}", f"{name}, {engine}", least=1)
    return result


def trained(cascade: Path, size: str) -> bool:
    """Whether the networks of a run are measured; a quick look takes small ones."""
    return size != QUICK and cascade.is_dir()


def _ways(parts: dict[str, Any]) -> tuple[str, ...]:
    """Ways to predict with a cascade; without an autoencoder there is one."""
    return (SHIPPED, TWO_STAGES) if parts["autoencoder"] else (TWO_STAGES,)


def _every_tile(parts: dict[str, Any], tiles: NDArray[np.uint8]) -> list[Alternative]:
    """What a script does that leaves nothing out: each network on every tile."""
    listed = [Alternative(EVERY_TILE, lambda: predict_all(parts, tiles), len(tiles))]
    if parts["autoencoder"]:
        denoised = functools.partial(predict_all, parts, tiles, denoise=True)
        listed.append(Alternative(ALL_THREE, denoised, len(tiles)))
    return listed


def threshold_for(scores: NDArray[np.floating], share: float) -> float:
    """The threshold that ``share`` of the scores reach, as nearly as their number allows."""
    passed = round(share * len(scores))
    return float(np.sort(scores)[len(scores) - passed]) if passed else float("inf")


def predict_all(parts: dict[str, Any], tiles: NDArray[np.uint8], denoise: bool = False) -> None:
    """Gate and scorer by ``predict``, each on every tile; on denoised ones if wished."""
    from birads_lib.tiles.resizing import network_input, resize_tiles

    def answers(name: str) -> NDArray[np.float32]:
        height, width, channels = parts[name].input_shape[1:]
        ready = network_input(resize_tiles(tiles, (height, width)), channels)
        return parts[name].predict(ready, verbose=0)

    if denoise:
        tiles = np.clip(answers("autoencoder")[..., 0], 0, GREY_MAX).astype(np.uint8)
    for name in ("gate", "scorer"):
        answers(name)


def cascade_parts(folder: Path, size: str, tiles: NDArray[np.uint8]) -> dict[str, Any]:
    """Networks of a run's cascade; where there is none, such networks with random weights."""
    if trained(folder, size):
        loaded = Cascade.load(folder, "keras")
        networks = {name: getattr(loaded, name) for name in PARTS}
        return {name: network and network.model for name, network in networks.items()}
    parts = _random_parts(SMALLEST if size == QUICK else {})
    _spread_answers(parts["gate"], tiles)
    return parts


def _spread_answers(gate: Any, tiles: NDArray[np.uint8]) -> None:
    """Give batch normalisations the statistics of some tiles; a fresh gate answers all alike."""
    from birads_lib.tiles.resizing import network_input, resize_tiles

    backbone = next(layer for layer in gate.layers if hasattr(layer, "layers"))
    for layer in backbone.layers:
        if hasattr(layer, "momentum"):
            layer.momentum = 0.0
    height, width, channels = gate.input_shape[1:]
    gate(network_input(resize_tiles(tiles[:16], (height, width)), channels), training=True)


def _random_parts(smaller: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Gate and scorer with random weights; a random autoencoder would leave blank tiles."""
    from birads_lib.networks import attention_scorer, mobilenet_gate

    gate, scorer = (
        {**chapter_settings(PROFILE, chapter), **smaller.get(chapter, {})}
        for chapter in ("gate", "attention")
    )
    side, rows, columns = gate["INPUT_SIZE"], scorer["INPUT_HEIGHT"], scorer["INPUT_WIDTH"]
    return {
        "autoencoder": None,
        "gate": mobilenet_gate((side, side, 1), gate["ALPHA"], last_block=gate["LAST_BLOCK"]),
        "scorer": attention_scorer(
            scorer["BACKBONE"], (rows, columns, 3), last_block=scorer["LAST_BLOCK"]
        ),
    }


def _selective(
    parts: dict[str, Any], folder: Path, tiles: NDArray[np.uint8], denoise: bool, engine: str
) -> Cascade:
    """A cascade run by an engine; its threshold lets ``POSITIVES`` of the tiles through."""
    path = folder / ("denoises" if denoise else "as-is")
    if not path.exists():
        autoencoder = parts["autoencoder"] if denoise else None
        Cascade(parts["gate"], parts["scorer"], autoencoder).save(path, FORMS)
    cascade = Cascade.load(path, engine)
    cascade.threshold = threshold_for(cascade.predict(tiles)["gate"].to_numpy(), POSITIVES)
    return cascade
