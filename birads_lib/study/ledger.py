"""What a run holds, with digests: written when it is done, checked by ``birads verify``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd

from birads_lib.errors import DataError
from birads_lib.files import read_json, sha256, write_json
from birads_lib.metrics import summarise
from birads_lib.study.ablations import read_results
from birads_lib.tiles.store import TileStore, verify_store

LEDGER = "results/ledger.json"
METRICS = "results/metrics.json"
STORES = ("store", "external/store")
SWEPT = "sweep_"
"""How the files of a sweep begin, which runs after the study and answers for itself."""
FOLDERS = ("models", "predictions", "figures", "results", "notebooks", "tiles")


def write_results(run: str | os.PathLike[str]) -> None:
    """Compute ``results/metrics.json`` from the predictions, then ``results/ledger.json``."""
    folder = Path(run)
    write_json(folder / METRICS, metrics_of(folder))
    files = {path.relative_to(folder).as_posix(): sha256(path) for path in _files(folder)}
    write_json(
        folder / LEDGER,
        {"run": folder.name, "data": TileStore.open(folder / "store").digest, "files": files},
    )


def metrics_of(folder: Path) -> list[dict[str, Any]]:
    """Every figure of merit of a run, from its tables of predictions alone.

    Raises:
        DataError: There are none.
    """
    tables = sorted((folder / "predictions").glob("*.parquet"))
    tables = [path for path in tables if not path.name.startswith(SWEPT)]
    if not tables:
        raise DataError(f"{folder / 'predictions'}: no predictions; run `birads study` first")
    return [record for table in tables for record in summarise(pd.read_parquet(table))]


def verify_run(run: str | os.PathLike[str]) -> list[str]:
    """Check a run's stores, files and metrics.

    Returns:
        One line for each thing that differs; empty when all is as written.

    Raises:
        DataError: Not a finished run.
    """
    folder = Path(run)
    if not (folder / LEDGER).is_file():
        raise DataError(f"{folder}: no {LEDGER}; give a store or a finished run")
    ledger = read_json(folder / LEDGER)
    stores = [folder / name for name in STORES if (folder / name).is_dir()]
    found = [line for store in stores for line in verify_store(TileStore.open(store))]
    for name, digest in ledger["files"].items():
        path = folder / name
        if not path.exists():
            found.append(f"{path}: missing")
        elif sha256(path) != digest:
            found.append(f"{path}: changed since the run")
    written, recomputed = read_json(folder / METRICS), metrics_of(folder)
    for old, new in zip(written, recomputed, strict=False):
        if old != new:
            found.append(f"{folder / METRICS}: {old['stage']}: not what the predictions give")
    found += _changed_sweeps(folder)
    if len(written) != len(recomputed):
        found.append(f"{folder / METRICS}: {len(written)} records, recomputed {len(recomputed)}")
    return found


def _changed_sweeps(folder: Path) -> list[str]:
    """One line for each sweep whose predictions are not those that it was collected from."""
    found = []
    for path in sorted((folder / "results").glob(f"{SWEPT}*.json")):
        try:
            read_results(folder, path.stem.removeprefix(SWEPT))
        except DataError as error:
            found.append(str(error))
    return found


def _files(folder: Path) -> list[Path]:
    return [
        path
        for name in FOLDERS
        for path in sorted((folder / name).rglob("*"))
        if path.is_file() and path != folder / LEDGER and not path.name.startswith((".", SWEPT))
    ]
