"""What a step cost and on which machine: written beside a run, outside its ledger.

Times differ from run to run, so they are no result: nothing is decided by them, and
they are not among the files whose digests a run answers for.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from birads_lib.files import write_json

TIMINGS = "timings"
"""Folder of a run that holds one file a step."""
PACKAGES = (
    "numpy",
    "pandas",
    "scikit-learn",
    "tensorflow",
    "keras",
    "onnxruntime",
    "openvino",
    "matplotlib",
    "papermill",
    "jupyter-book",
    "snakemake",
)
"""Whose versions a run is told with; ``requirements.lock`` has all."""
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")
"""Instructions of x86 processors that networks are computed with."""
ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
"""Environment variable: 1 turns TensorFlow's oneDNN kernels on, 0 off; read at its import."""
THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
LOOKED = 0.5  # s between looks at what the children hold
PROC = Path("/proc")


@contextmanager
def timed_step(run: Path, step: str) -> Iterator[None]:
    """Write what a block took to ``timings/<step>.json`` of a run, if it did not fail.

    The file holds ``step``, ``seconds``, ``date`` (UTC, ISO 8601), ``commit``,
    ``peak_memory_gb`` (largest resident size of a process that the block started, such as
    a chapter's kernel; ``None`` where the system does not tell) and ``machine``, see
    ``describe_machine``.
    """
    from birads_lib.study.run import commit  # brings plotting along

    started, date = time.monotonic(), datetime.now(UTC)
    with children_watched() as peak:
        yield
    write_json(
        run / TIMINGS / f"{step}.json",
        {
            "step": step,
            "seconds": round(time.monotonic() - started, 1),
            "date": date.isoformat(timespec="seconds"),
            "commit": commit(),
            "peak_memory_gb": round(peak[0] / 1e9, 2) if peak[0] else None,
            "machine": describe_machine(),
        },
    )


@contextmanager
def children_watched() -> Iterator[list[int]]:
    """Yield a list of one number: the most memory, bytes, that a child process has held.

    The high-water mark is the kernel's own, so an occasional look is enough. Not
    ``getrusage``, whose figure a child inherits from its parent.
    """
    peak, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(LOOKED):
            peak[0] = max(peak[0], *map(_peak_of, _children()), 0)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()


def describe_machine() -> dict[str, Any]:
    """What numbers may depend on, without a name of the machine.

    Processor with the instructions that networks are computed with, cores (and of them those that
    this process may use), memory, system, Python and package versions, whether TensorFlow uses
    oneDNN, and the numbers of threads that the environment sets.
    """
    flags = set(processor_facts().get("flags", "").split())
    return {
        "processor": processor_facts().get("model name") or platform.machine(),
        "flags": [flag for flag in FLAGS if flag in flags],
        "cores": os.cpu_count(),
        "usable_cores": _usable_cores(),
        "threads": {name: os.environ[name] for name in THREADS if os.environ.get(name)},
        "oneDNN": "on" if os.environ.get(ONEDNN) == "1" else "as TensorFlow decides",
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := version(name))},
    }


def _usable_cores() -> int | None:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def processor_facts() -> dict[str, str]:
    """First entry of ``/proc/cpuinfo``; empty where there is none."""
    path = PROC / "cpuinfo"
    if not path.exists():
        return {}
    pairs = (line.partition(":") for line in path.read_text().split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def version(package: str) -> str | None:
    """Version of an installed package; ``None`` if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _children() -> list[str]:
    """Numbers of the processes that this one started; none where ``/proc`` does not say."""
    lists = (PROC / "self" / "task").glob("*/children")
    return [number for listed in lists for number in _read(listed).split()]


def _peak_of(number: str) -> int:
    lines = _read(PROC / number / "status").splitlines()
    held = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return 1024 * int(held[0]) if held else 0


def _read(path: Path) -> str:
    """A file's text; none if its process has just ended."""
    try:
        return path.read_text()
    except OSError:
        return ""
