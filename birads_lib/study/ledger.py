"""What a run holds, with digests: written when it is done, checked by ``birads verify``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from birads_lib.errors import DataError, StudyError
from birads_lib.files import (
    digest_note,
    is_as_noted,
    read_json,
    read_parquet,
    sha256,
    write_json,
)
from birads_lib.labels import LESION_CODES
from birads_lib.metrics import PREDICTION_COLUMNS, summarise
from birads_lib.study.ablations import read_results
from birads_lib.study.sweep_scores import recomputed
from birads_lib.study.written import (
    AGAIN,
    LEDGER,
    METRICS,
    STORES,
    SWEPT,
    changed_since,
    files_of,
    remedy,
)
from birads_lib.tiles.store import TileStore, open_whole, verify_store

OF_A_RECORD = ("stage", "protocol", "split")
"""With the seed, what tells one record of metrics from another."""
ROUNDING = 1e-6  # by which a probability may leave 0 to 1


def write_results(run: str | os.PathLike[str]) -> None:
    """Compute ``results/metrics.json`` from the predictions, then ``results/ledger.json``.

    Raises:
        DataError: A file or a tile is not as the chapter that wrote it left it, or there are no
            predictions.
    """
    folder = Path(run)
    if changed := changed_since(folder):
        raise DataError(f"{_first_of(changed)}; {remedy(folder)}")
    write_json(folder / METRICS, metrics_of(folder))
    opened = {name: open_whole(path, remedy(folder)) for name, path in _stores(folder).items()}
    stores = {name: store.digest for name, store in opened.items()}
    files = {name: sha256(path) for name, path in files_of(folder).items()}
    listed = {"run": folder.name, "data": stores[STORES[0]], "stores": stores, "files": files}
    write_json(folder / LEDGER, listed)


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
    ledger = _read_ledger(folder)
    opened = {name: TileStore.open(path) for name, path in _stores(folder).items()}
    found = [line for store in opened.values() for line in verify_store(store)]
    found += _other_stores(folder, ledger, opened)
    found += _other_files(folder, ledger["files"])
    written, recomputed = _written_metrics(folder / METRICS), metrics_of(folder)
    found += [f"{folder / METRICS}: {line}" for line in differing_records(written, recomputed)]
    return found + _changed_features(folder) + changed_sweeps(folder)


def refuse_changed(run: str | os.PathLike[str]) -> None:
    """Refuse a run whose files and tiles are not those that its ledger lists.

    That its metrics are what its predictions give is left to ``verify_run``, which takes longer.

    Raises:
        DataError: A file is missing, has changed, or is not listed; or not a finished run.
    """
    folder = Path(run)
    found = _other_files(folder, _read_ledger(folder)["files"])
    for path in _stores(folder).values():
        found += verify_store(TileStore.open(path))
    if found:
        raise DataError(f"{_first_of(found)}; {remedy(folder)}")


def _other_stores(
    folder: Path, ledger: Mapping[str, Any], opened: Mapping[str, TileStore]
) -> list[str]:
    """One line for each store of a run that is not there, or not the one that it worked on."""
    digests = {name: store.digest for name, store in opened.items()}
    names = [n for n in STORES if digests.get(n) != ledger["stores"].get(n)]
    told = {name: "not the tiles of this run" if name in digests else "missing" for name in names}
    return [f"{folder / name}: {why}" for name, why in told.items()]


def _other_files(folder: Path, listed: Mapping[str, str]) -> list[str]:
    """One line for each file of a run that is missing, changed, or not in its ledger."""
    found = []
    for name, digest in listed.items():
        path = folder / name
        if not path.is_file():
            found.append(f"{path}: missing")
        elif sha256(path) != digest:
            found.append(f"{path}: changed since the run")
    unlisted = files_of(folder).keys() - listed.keys()
    return found + [f"{folder / name}: not written by the run" for name in sorted(unlisted)]


def _read_ledger(folder: Path) -> dict[str, Any]:
    """A run's ledger, whose ``stores`` and ``files`` are digests by name.

    Raises:
        DataError: There is none, it is damaged, or names a file outside of the run.
    """
    path = folder / LEDGER
    if not path.is_file():
        raise DataError(f"{folder}: no {LEDGER}; give a store or a finished run")
    ledger = read_json(path)
    for what in ("files", "stores"):
        if not isinstance(ledger, dict) or not isinstance(ledger.get(what), dict):
            raise DataError(f"{path}: lists no {what}; {AGAIN}")
    for name in ledger["files"]:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise DataError(f"{path}: names {name!r}, which lies outside of the run; {AGAIN}")
    return ledger


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
        scores = table[["gate", *LESION_CODES]].to_numpy(float)
        if ((scores < -ROUNDING) | (scores > 1 + ROUNDING)).any():
            raise DataError("a probability lies outside of 0 to 1")
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
            found.append(f"{name}: not what the predictions give: {_first_of(changed, ' values')}")
    return found


def _first_of(lines: Sequence[str], what: str = "") -> str:
    """The first of some lines, and how many more ``what`` there are."""
    return lines[0] + (f", and {len(lines) - 1} more{what}" if lines[1:] else "")


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


def _changed_features(folder: Path) -> list[str]:
    """One line for each file of kept features that is not what was written."""
    kept = sorted((folder / "features").glob("*.npy"))
    return [
        f"{path}: features changed since they were written; remove the file"
        for path in kept
        if digest_note(path).is_file() and not is_as_noted(path)
    ]


def changed_sweeps(folder: Path) -> list[str]:
    """One line for each sweep whose predictions are not those that it was collected from, or
    whose scores and differences, computed again, are not those that it wrote.

    And for each training of a sweep whose answers are not those noted beside them.
    """
    found = []
    for path in sorted((folder / "results").glob(f"{SWEPT}*.json")):
        name = path.stem.removeprefix(SWEPT)
        try:
            said = read_results(folder, name)
            found += _changed_scores(path, said) if said and said["members"] else []
        except DataError as error:
            found.append(str(error))
    for path in sorted((folder / "sweeps").glob("*/*/*.parquet")):
        note = path.with_suffix(".json")
        said = read_json(note) if note.is_file() else None
        known = isinstance(said, dict) and ("failed" in said or said.get("table") == sha256(path))
        if not known:
            found.append(f"{path}: not what {note.name} beside it says; run `birads sweep` again")
    return found


def _changed_scores(path: Path, said: Mapping[str, Any]) -> list[str]:
    """One line if a sweep's results at ``path`` say what its predictions do not give."""
    table = read_parquet(path.parents[1] / "predictions" / f"{path.stem}.parquet", AGAIN)
    try:
        changed = _changed_values(_by_name(said), _by_name(recomputed(said, table)))
    except (StudyError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        return [f"{path}: does not go with its predictions ({type(error).__name__}: {error})"]
    return (
        [f"{path}: not what the predictions give: {_first_of(changed, ' values')}"]
        if changed
        else []
    )


def _by_name(swept: Mapping[str, Any]) -> dict[str, Any]:
    """Scores and differences of a sweep, each under a name that tells it from the others."""
    scores = {name: member["scores"] for name, member in swept["members"].items()}
    differences = {
        f"{row['first']} less {row['second']}, {row['stage']}": row for row in swept["differences"]
    }
    return scores | differences


def _stores(folder: Path) -> dict[str, Path]:
    """The run's stores that are there, by name."""
    return {name: folder / name for name in STORES if (folder / name).is_dir()}
