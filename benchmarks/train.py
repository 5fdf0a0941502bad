"""What makes a gate's training step fast on this processor, and what limits it?

To try another setting, add a ``Variant`` to ``VARIANTS``. Each runs in a process of
its own (threads, precision and oneDNN are settings of a process), and they take turns.
The plain script runs as TensorFlow comes: with ``TF_ENABLE_ONEDNN_OPTS`` unset.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness import FULL, QUICK, USUAL, OwnProcess, Result, Row
from birads_lib.study.machine import ONEDNN
from birads_lib.study.profiles import chapter_settings

STEPS = {QUICK: 1, USUAL: 16, FULL: 64}  # a repeat
REPEATS = {QUICK: 1, USUAL: 3, FULL: 5}
PROFILE = "laptop"
SMALLEST = {"INPUT_SIZE": 32, "BATCH_SIZE": 2, "LAST_BLOCK": 1}
TILE = 299  # px, side of the tiles that are fed


@dataclass(frozen=True)
class Variant:
    """One way to train the gate; ``None`` leaves a setting as the study has it.

    Attributes:
        name: Of its row.
        plain: The usual script instead: ``keras.applications``, three channels, ready
            arrays in memory, ``compile`` and ``fit`` as they come.
        batch: Tiles a step.
        jit: Whether XLA compiles the step.
        steps_per_execution: Steps that Keras runs without returning to Python.
        precision: A Keras dtype policy.
        threads: TensorFlow's intra-operation threads.
        onednn: ``"1"`` or ``"0"``; ``None`` leaves the plain script's to TensorFlow, and
            turns the study's on, as its steps have it.
        layout: Of pictures, ``"channels_first"``; of the plain script alone, since the
            study's networks are built for channels last.
    """

    name: str
    plain: bool = False
    batch: int | None = None
    jit: bool | None = None
    steps_per_execution: int | None = None
    precision: str | None = None
    threads: int | None = None
    onednn: str | None = None
    layout: str | None = None

    @property
    def environment(self) -> dict[str, str | None]:
        """What its process has otherwise than this one."""
        return {ONEDNN: self.onednn or (None if self.plain else "1")}


PLAIN, OURS = Variant("plain script", plain=True), Variant("ours")
VARIANTS = (
    PLAIN,
    OURS,
    Variant("plain script, oneDNN on", plain=True, onednn="1"),
    Variant("plain script, channels first", plain=True, onednn="1", layout="channels_first"),
    Variant("oneDNN off", onednn="0"),
    Variant("XLA", jit=True),
    Variant("8 steps an execution", steps_per_execution=8),
    Variant("batch 64", batch=64),
    Variant("bfloat16", precision="mixed_bfloat16"),
    Variant("one thread", threads=1),
)
FEW = (PLAIN, OURS)
LEAST_GAIN = 1.5  # over the plain script


def measure(size: str = USUAL) -> Result:
    """Train each variant a few steps at a time, in turns."""
    variants = FEW if size == QUICK else VARIANTS
    rates, refusals = rates_in_turns(variants, size)
    with OwnProcess(OURS.environment) as process:
        roof = process.call(roofline, size)
    rows = [Row.of(name, values, "tiles/s") for name, values in rates.items()]
    facts = {"plain script": f"as TensorFlow comes, {ONEDNN} unset", **refusals, **roof}
    result = Result("How fast does the gate train?", rows, facts=facts)
    for name in list(rates)[1:]:
        result.ratio(name, PLAIN.name, least=LEAST_GAIN if name == OURS.name else None)
    share = roof["seconds a tile, by the roofs"] * result.row(OURS.name).median
    result.facts["share of the nearer roof that ours reaches"] = share
    return result


def rates_in_turns(
    variants: Sequence[Variant], size: str
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Rates of each variant, and why others were refused; plain script and ours must run."""
    refusals: dict[str, str] = {}
    with ExitStack() as stack:
        processes = {v: stack.enter_context(OwnProcess(v.environment)) for v in variants}
        for variant, process in list(processes.items()):
            try:
                process.call(segment_rate, variant, size)  # traces and compiles
            except Exception as error:  # whatever TensorFlow raises where it lacks a kernel
                if variant in FEW:
                    raise
                refusals[variant.name] = f"refused: {reason_of(error)}"
                del processes[variant]
        rates: dict[str, list[float]] = {variant.name: [] for variant in processes}
        for _ in range(REPEATS[size]):
            for variant, process in processes.items():
                rates[variant.name].append(process.call(segment_rate, variant, size))
    return rates, refusals


def reason_of(error: Exception) -> str:
    """The first line of an error that says something, without what brought it along."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if "only supports" in line or "not supported" in line]
    return next(iter(named or lines), type(error).__name__)


def settings(size: str) -> dict[str, Any]:
    """The gate's settings in the laptop profile; the smallest input for a quick look."""
    given = chapter_settings(PROFILE, "gate")
    return {**given, **SMALLEST} if size == QUICK else given


def segment_rate(variant: Variant, size: str) -> float:
    """Tiles a second over one repeat, in the process that calls."""
    model, batches, tiles = _prepared(variant, size)
    started = time.perf_counter()
    model.fit(*batches, shuffle=False, verbose=0)
    return tiles / (time.perf_counter() - started)


@functools.cache
def _prepared(variant: Variant, size: str) -> tuple[Any, tuple[Any, ...], int]:
    """Model and batches of a variant, made once a process."""
    import keras
    import tensorflow as tf

    if variant.threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(variant.threads)
    if variant.precision is not None:
        keras.config.set_dtype_policy(variant.precision)
    if variant.layout is not None:
        keras.config.set_image_data_format(variant.layout)
    given = settings(size)
    batch = variant.batch or given["BATCH_SIZE"]
    tiles = batch * max(STEPS[size] * given["BATCH_SIZE"] // batch, 1)
    rng = np.random.default_rng(0)
    infected = rng.integers(0, 2, tiles)
    if variant.plain:
        return _plain_model(given), (_plain_batches(rng, infected, given, batch),), tiles
    from birads_lib.tiles.feed import TileBatches

    images = rng.integers(0, 256, (tiles, TILE, TILE), np.uint8)
    shape = (given["INPUT_SIZE"], given["INPUT_SIZE"], 1)
    fed = TileBatches(images, infected, shape, batch, 0, True, given["BALANCE"])
    return _our_model(variant, given, len(fed)), (fed.dataset(),), tiles


def _plain_model(given: dict[str, Any]) -> Any:
    """The usual script: a backbone, as deep as ours, a mean, a sigmoid."""
    import keras

    from birads_lib.networks.backbones import cut_after

    backbone = keras.applications.MobileNetV2(
        _plain_shape(given), alpha=given["ALPHA"], include_top=False, weights=None
    )
    backbone = cut_after(backbone, given["LAST_BLOCK"], "block_{}_")
    mean = keras.layers.GlobalAveragePooling2D()(backbone.output)
    infected = keras.layers.Dense(1, activation="sigmoid")(mean)
    model = keras.Model(backbone.input, infected)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def _plain_shape(given: dict[str, Any]) -> tuple[int, int, int]:
    """Of its pictures, in the layout that Keras is set to."""
    import keras

    side = given["INPUT_SIZE"]
    first = keras.config.image_data_format() == "channels_first"
    return (3, side, side) if first else (side, side, 3)


def _plain_batches(rng: Any, infected: Any, given: dict[str, Any], batch: int) -> Any:
    """Ready float32 arrays of three channels, cut into batches.

    Without the autotuner, whose sleeps would stretch so short an epoch (see
    ``TileBatches.dataset``); over a long one they do not matter.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    images = rng.random((len(infected), *_plain_shape(given)), np.float32)
    batches = tf.data.Dataset.from_tensor_slices((images, infected)).batch(batch)
    return batches.prefetch(2).with_options(options)


def _gate(given: dict[str, Any]) -> Any:
    from birads_lib.networks import mobilenet_gate

    shape = (given["INPUT_SIZE"], given["INPUT_SIZE"], 1)
    return mobilenet_gate(
        shape, given["ALPHA"], units=given["UNITS"], last_block=given["LAST_BLOCK"]
    )


def _our_model(variant: Variant, given: dict[str, Any], steps: int) -> Any:
    """The study's gate as it compiles it, but for what the variant sets."""
    from birads_lib.training import LOSSES, ClassFigure, Recipe, compile_for

    model = _gate(given)
    compile_for(model, Recipe("gate", given["EPOCHS"], given["LEARNING_RATE"]), steps)
    changed = {"jit_compile": variant.jit, "steps_per_execution": variant.steps_per_execution}
    changed = {name: value for name, value in changed.items() if value is not None}
    if changed:
        figures = [ClassFigure(name, 2) for name in ClassFigure.FIGURES]
        model.compile(model.optimizer, LOSSES["gate"], metrics=figures, **changed)
    return model


def roofline(size: str) -> dict[str, float]:
    """Operations and bytes of a training step, and what this processor gives at best."""
    from birads_lib.networks.cost import cost_of, measured_peaks

    given = settings(size)
    step = cost_of(_gate(given), given["BATCH_SIZE"])
    peaks = measured_peaks(*((256, 8, 2) if size == QUICK else ()))
    operations, moved = step.operations(training=True), step.bytes_moved(training=True)
    return {
        "operations a step": operations,
        "bytes a step": moved,
        "float32 matrix product, GFLOP/s": peaks.operations / 1e9,
        "memory copy, GB/s": peaks.bandwidth / 1e9,
        "seconds a tile, by the roofs": peaks.seconds(operations, moved) / step.batch,
    }
