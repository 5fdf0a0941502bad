"""What several test files share: a simulated set, its store, a set made by hand, real tiles."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from xdist.scheduler import LoadScopeScheduling

from birads_lib.tiles import TileStore, merge_ddsm10
from birads_lib.tiles.layout import (
    CV10,
    FILENAME_DTYPE,
    HELD_OUT_FILES,
    NORMAL_FILENAME,
    TEST10,
    TILE,
    TRAINING_PATHS,
)
from birads_lib.tiles.phantom import write_phantom
from birads_lib.tiles.tfrecord import encode_example, frame

ROOT = Path(__file__).resolve().parents[1]
REAL_DATA = ROOT.parent / "shared" / "data"

SMALLEST_SCALE, POSITIVES = 0.004, 0.4


WHOLE = "whole"  # folder of the tests that run whole studies
APART = ("test_other_sets.py", "test_refused.py")  # of these, what shares no run with the others
REAL = "whole, real tiles"  # and what shares the run on real tiles


class ByFile(LoadScopeScheduling):
    """Shares the tests out among processes: a file stays in one, those that share runs too."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        path = Path(file)
        if path.parent.name != WHOLE or path.name in APART:
            return file
        return REAL if path.name == "test_real_study.py" or nodeid.endswith("[real]") else WHOLE


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole studies come first, so that no process is left alone with them."""
    items.sort(key=lambda item: item.path.parent.name != WHOLE)


NO_SKIP = "BIRADS_NO_SKIP"
"""Environment variable: where it is set, as in ``.ci/run``, a test that is skipped fails."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    report = yield
    if report.skipped and os.environ.get(NO_SKIP):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {report.longrepr}"
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Name a failure when it happens: a log that is cut off has no summary."""
    if report.failed:
        print(f"\n{report.nodeid} ({report.when})", flush=True)


@pytest.fixture(scope="session")
def kaggle_folder(tmp_path_factory) -> Path:
    """A few hundred simulated tiles in the Kaggle layout; do not write into it."""
    out = tmp_path_factory.mktemp("simulated") / "set"
    return write_phantom(out, scale=SMALLEST_SCALE, positives=POSITIVES, seed=0, processes=1)


@pytest.fixture(scope="session")
def store(kaggle_folder, tmp_path_factory) -> TileStore:
    """The simulated tiles as a store; do not write into it."""
    return merge_ddsm10(kaggle_folder, tmp_path_factory.mktemp("merged") / "store")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the optional real data; without it tests skip and say so."""
    if not REAL_DATA.is_dir():
        pytest.skip(
            f"optional real data absent: {REAL_DATA} (mias-in-ddsm10-layout, mini-mias-sample, "
            "cbis-ddsm-csv)"
        )
    return REAL_DATA


def flat_tile(grey: int) -> np.ndarray:
    """A tile of one grey level with a mark in its upper left pixel, uint8 (299, 299)."""
    tile = np.full((TILE, TILE), grey, np.uint8)
    tile[0, 0] = 255 - grey
    return tile


def training_features(label: int, filename: str, image: np.ndarray) -> dict[str, int | bytes]:
    """Features of one training record, as the Kaggle set has them."""
    return {
        "label": label,
        "image": image.tobytes(),
        "filename": np.array(filename, FILENAME_DTYPE).tobytes(),
        "label_normal": int(label > 0),
    }


class SmallSet:
    """Sixteen hand-made tiles in the Kaggle layout; change what should be wrong, then write.

    Attributes:
        training: Features of the records of each training file. File ``i`` holds one
            tile of label ``i`` and one normal; grey levels are 10, 11, 12, ... in order.
        held_out: Images (N, 299, 299, 1) and labels (N,) of ``test10`` and ``cv10``.
        extra: Bytes of further files, by relative path.
    """

    def __init__(self) -> None:
        names = [f"P_{100 + i:05d}_{side}_CC.jpg" for i, side in enumerate(["LEFT", "RIGHT"] * 3)]
        self.training: list[list[dict[str, Any]]] = [
            [
                training_features(
                    label, names[label] if label else NORMAL_FILENAME, flat_tile(10 + 2 * label)
                ),
                training_features(0, NORMAL_FILENAME, flat_tile(11 + 2 * label)),
            ]
            for label in range(5)
        ]
        self.held_out: dict[str, tuple[np.ndarray, np.ndarray]] = {
            TEST10.name: self._part(100, [0, 2, 4]),
            CV10.name: self._part(110, [0, 1, 3]),
        }
        self.extra: dict[str, bytes] = {}

    @staticmethod
    def _part(first_grey: int, labels: list[int]) -> tuple[np.ndarray, np.ndarray]:
        images = np.stack([flat_tile(first_grey + i) for i in range(len(labels))])
        return images[..., np.newaxis], np.array(labels, np.int64)

    def write(self, folder: Path, *, flat: bool = False) -> Path:
        """Write the set, nested as Kaggle unpacks it or all files in one folder."""

        def place(relative: str) -> Path:
            path = folder / (Path(relative).name if flat else relative)
            path.parent.mkdir(parents=True, exist_ok=True)
            return path

        for relative, records in zip(TRAINING_PATHS, self.training, strict=True):
            place(relative).write_bytes(b"".join(frame(encode_example(r)) for r in records))
        for part in HELD_OUT_FILES:
            images, labels = self.held_out[part.name]
            np.save(place(part.data), images)
            np.save(place(part.labels), labels)
        for relative, content in self.extra.items():
            path = folder / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder


@pytest.fixture
def small_set() -> SmallSet:
    """A fresh hand-made set to plant one defect in."""
    return SmallSet()


@pytest.fixture
def small_store(small_set, tmp_path) -> TileStore:
    """The hand-made set as a store that a test may damage."""
    return merge_ddsm10(small_set.write(tmp_path / "hand-made"), tmp_path / "small-store")


@pytest.fixture
def listing() -> Callable[[Path], dict[str, bytes]]:
    """Reads what stands in a folder: content by relative path, folders as empty entries."""

    def read(folder: Path) -> dict[str, bytes]:
        return {
            path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b""
            for path in sorted(folder.rglob("*"))
        }

    return read


@pytest.fixture
def flip_byte() -> Callable[[Path, int], None]:
    """Turns over every bit of one byte of a file; a negative position counts from the end."""

    def flip(path: Path, position: int) -> None:
        content = bytearray(path.read_bytes())
        content[position] ^= 0xFF
        path.write_bytes(content)

    return flip
