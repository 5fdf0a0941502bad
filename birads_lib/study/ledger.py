"""What a run holds, with digests: written when it is done, checked by ``birads verify``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from birads_lib.errors import DataError, StudyError
from birads_lib.files import read_json, read_parquet, sha256, write_json
from birads_lib.metrics import PREDICTION_COLUMNS, summarise
from birads_lib.study.ablations import read_results
from birads_lib.tiles.store import TileStore, verify_store

LEDGER = "results/ledger.json"
METRICS = "results/metrics.json"
STORES = ("store", "external/store")
SWEPT = "sweep_"
"""How the files of a sweep begin, which runs after the study and answers for itself."""
OF_A_RECORD = ("stage", "protocol", "split")
"""With the seed, what tells one record of metrics from another."""
AGAIN = "run `birads study` again"
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
    return [record for table in tables for record in _records_of(table)]


def verify_run(run: str | os.PathLike[str]) -> list[str]:
    """Check a run's stores, files and metrics.

    Returns:
        One line for each thing that differs; empty when all is as written.

    Raises:
        DataError: Not a finished run.
    """
    folder = Path(run)
    files = _listed_files(folder)
    stores = [folder / name for name in STORES if (folder / name).is_dir()]
    found = [line for store in stores for line in verify_store(TileStore.open(store))]
    for name, digest in files.items():
        path = folder / name
        if not path.is_file():
            found.append(f"{path}: missing")
        elif sha256(path) != digest:
            found.append(f"{path}: changed since the run")
    written, recomputed = _written_metrics(folder / METRICS), metrics_of(folder)
    found += [f"{folder / METRICS}: {line}" for line in differing_records(written, recomputed)]
    return found + _changed_sweeps(folder)


def _listed_files(folder: Path) -> dict[str, str]:
    """Files of a run and their digests, as its ledger has them.

    Raises:
        DataError: There is no ledger, it is damaged, or names a file outside of the run.
    """
    path = folder / LEDGER
    if not path.is_file():
        raise DataError(f"{folder}: no {LEDGER}; give a store or a finished run")
    ledger = read_json(path)
    files = ledger.get("files") if isinstance(ledger, dict) else None
    if not isinstance(files, dict):
        raise DataError(f"{path}: lists no files; {AGAIN}")
    for name in files:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise DataError(f"{path}: names {name!r}, which lies outside of the run; {AGAIN}")
    return files


def _written_metrics(path: Path) -> list[dict[str, Any]]:
    """The records of ``metrics.json``.

    Raises:
        DataError: They cannot be told from one another.
    """
    records = read_json(path)
    if not isinstance(records, list) or not all(
        isinstance(record, dict)
        and "seed" in record
        and all(isinstance(record.get(key), str) for key in OF_A_RECORD)
        for record in records
    ):
        raise DataError(f"{path}: no records of metrics; {AGAIN}")
    return records


def _records_of(path: Path) -> list[dict[str, Any]]:
    """Figures of merit of one table of predictions.

    Raises:
        DataError: It cannot be read, or is no such table.
    """
    table = read_parquet(path, AGAIN)
    missing = set(PREDICTION_COLUMNS) - set(table.columns)
    if missing:
        raise DataError(f"{path}: columns missing: {', '.join(sorted(missing))}; {AGAIN}")
    try:
        return summarise(table)
    except (StudyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: {error}; {AGAIN}") from None


def differing_records(
    written: Sequence[Mapping[str, Any]], recomputed: Sequence[Mapping[str, Any]]
) -> list[str]:
    """What differs between two lists of records as in ``metrics.json``, a line a record.

    Args:
        written: Records as a file has them.
        recomputed: The same from the predictions, in any order.
    """
    old, new = ({_name(record): record for record in records} for records in (written, recomputed))
    found = []
    for name in old | new:
        if name not in old or name not in new:
            found.append(f"{name}: {'not written' if name in new else 'no such predictions'}")
        elif changed := _changed_values(old[name], new[name]):
            first, *others = changed
            more = f", and {len(others)} more values" if others else ""
            found.append(f"{name}: not what the predictions give: {first}{more}")
    return found


def _name(record: Mapping[str, Any]) -> str:
    return ", ".join([*(record[key] for key in OF_A_RECORD), f"seed {record['seed']}"])


def _changed_values(old: Any, new: Any, place: str = "") -> list[str]:
    """Where two nested values differ, and by what."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for key in old | new
            for line in _changed_values(old.get(key), new.get(key), f"{place} {key}".strip())
        ]
    return [] if old == new else [f"{place} is {old}, recomputed {new}"]


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
