"""How fast are the Kaggle set's files read, checked and merged?"""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.harness import (
    FULL,
    QUICK,
    USUAL,
    Alternative,
    Result,
    Row,
    Target,
    peak_memory,
    take_turns,
    timed,
)
from benchmarks.sets import BENCH, FULL_SET, first_records, simulated_set, training_files
from birads_lib.tiles import TileStore, merge_ddsm10
from birads_lib.tiles.audit import audit
from birads_lib.tiles.layout import FEATURE_IMAGE, FEATURE_LABEL, TILE
from birads_lib.tiles.tfrecord import ExampleDecoder, count_records, read_blocks

TILES = {QUICK: 224, USUAL: 4_000, FULL: FULL_SET}
SIZES_TIMED = {
    QUICK: (100, 200),
    USUAL: (1_000, 2_000, 4_000),
    FULL: (1_000, 4_000, 16_000, FULL_SET),
}
REPEATS = {QUICK: 1, USUAL: 3, FULL: 3}
LOOPED = 4_000  # records the loop is timed on; it holds all tiles in memory
SIDE = 224  # px, to which the loop resizes
BATCH = 256
READ_AT_ONCE = 1 << 20  # bytes

LOOP, BATCHED, PLAIN = "notebook loop", "batched tf.data", "plain read"
OURS, WITH_STORE, AGAIN = "ours, verified", "ours, store written", "ours, merged again"
MOST_MEMORY = 1e9  # bytes


def measure(size: str = USUAL) -> Result:
    """Read the same files in six ways."""
    source = simulated_set(TILES[size])
    files = training_files(source)
    records = sum(map(count_records, files))
    BENCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BENCH) as folder:
        fresh, kept = Path(folder, "fresh"), Path(folder, "kept")
        tiles = len(merge_ddsm10(source, kept))
        alternatives = [
            Alternative(LOOP, lambda: notebook_loop(files, LOOPED), min(records, LOOPED)),
            Alternative(BATCHED, lambda: batched_parse(files), records),
            Alternative(PLAIN, lambda: plain_read(files), records),
            Alternative(OURS, lambda: read_verified(files), records),
            Alternative(
                WITH_STORE,
                lambda: merge_ddsm10(source, fresh),
                tiles,
                prepare=lambda: shutil.rmtree(fresh, ignore_errors=True),
            ),
            Alternative(AGAIN, lambda: merge_ddsm10(source, kept), tiles),
        ]
        notebook_loop(files, 1)  # imports TensorFlow before the clock starts
        batched_parse(files[:1])
        result = Result(
            f"How fast are {tiles:,} tiles read and merged?",
            take_turns(alternatives, REPEATS[size]),
            facts={"training records": records, "tiles": tiles},
        )
        result.ratio(OURS, LOOP, least=15)
        result.ratio(OURS, BATCHED, least=3)
        result.ratio(OURS, PLAIN, least=0.5)
        result.ratio(WITH_STORE, PLAIN)
        _add_memory(result, source, Path(folder, "watched"), tiles)
        _add_growth(result, source, Path(folder), size)
    return result


def notebook_loop(files: Sequence[Path], most: int) -> list[Any]:
    """What public notebooks do: one record at a time, resized, in a list."""
    import tensorflow as tf

    features = _features(tf)
    images, labels = [], []
    for record in tf.data.TFRecordDataset(list(map(str, files))).take(most):
        example = tf.io.parse_single_example(record, features)
        labels.append(example[FEATURE_LABEL].numpy())
        image = tf.io.decode_raw(example[FEATURE_IMAGE], tf.uint8).numpy()
        images.append(cv2.resize(image.reshape(TILE, TILE), (SIDE, SIDE)))
    return [images, labels]


def batched_parse(files: Sequence[Path]) -> None:
    """What the TensorFlow guide suggests: parsed by the batch, one batch ahead."""
    import tensorflow as tf

    features = _features(tf)

    def parse(records: Any) -> Any:
        examples = tf.io.parse_example(records, features)
        images = tf.io.decode_raw(examples[FEATURE_IMAGE], tf.uint8)
        return tf.reshape(images, (-1, TILE, TILE)), examples[FEATURE_LABEL]

    records = tf.data.TFRecordDataset(list(map(str, files)))
    for images, labels in records.batch(BATCH).map(parse).prefetch(tf.data.AUTOTUNE):
        images.numpy(), labels.numpy()


def _features(tf: Any) -> dict[str, Any]:
    return {
        FEATURE_LABEL: tf.io.FixedLenFeature([], tf.int64),
        FEATURE_IMAGE: tf.io.FixedLenFeature([], tf.string),
    }


def plain_read(files: Sequence[Path]) -> None:
    """The bytes alone, in order: no reader can be faster."""
    buffer = memoryview(bytearray(READ_AT_ONCE))
    for path in files:
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def read_verified(files: Sequence[Path]) -> int:
    """Ours: both checksums of every record, every image as an array, every label."""
    read, decode = 0, ExampleDecoder()
    for path in files:
        for payloads in read_blocks(path):
            for examples in decode(payloads):
                images, labels = (examples.features[f] for f in (FEATURE_IMAGE, FEATURE_LABEL))
                assert images is not None and labels is not None  # noqa: PT018
                read += len(images.reshape(-1, TILE, TILE)) * bool(labels.min() >= 0)
    return read


def audit_store(path: Path) -> None:
    """Audit a store that lies on disk."""
    audit(TileStore.open(path))


def _add_memory(result: Result, source: Path, store: Path, tiles: int) -> None:
    """Peak memory of a merge, and of an audit of what it made."""
    for name, work in (
        ("a merge", functools.partial(merge_ddsm10, source, store)),
        ("an audit", functools.partial(audit_store, store)),
    ):
        memory = peak_memory(work)
        named = f"peak memory of {name} of {tiles:,} tiles"
        result.rows.append(Row.of(named, [memory.resident / 1e6], "MB"))
        result.targets.append(Target(f"{named}, bytes", memory.resident, most=MOST_MEMORY))


def _add_growth(result: Result, source: Path, folder: Path, size: str) -> None:
    """How merging time grows: the exponent of time over tiles."""
    tiles, seconds = [], []
    for wanted in SIZES_TIMED[size]:
        part, store = folder / "part", folder / "part-store"
        tiles.append(first_records(source, part, wanted))
        times = []
        for _ in range(REPEATS[size]):
            shutil.rmtree(store, ignore_errors=True)
            times.append(timed(functools.partial(merge_ddsm10, part, store)))
        seconds.append(float(np.median(times)))
        result.rows.append(Row.of(f"merge of {tiles[-1]:,} tiles", times, "s"))
    exponent = growth_exponent(tiles, seconds)
    name = f"exponent of time over {tiles[0]:,} to {tiles[-1]:,} tiles"
    result.targets.append(Target(name, exponent, least=0.9, most=1.1))


def growth_exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Exponent p of seconds = c sizes^p, least squares of the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
