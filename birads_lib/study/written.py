"""What each step of a run wrote, by digest: noted as the step ends, held against later.

Without it a byte that changed between two steps would be listed in the ledger as if it had
been written so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from birads_lib.errors import DataError
from birads_lib.files import read_json, sha256, write_json
from birads_lib.tiles.store import META, TABLE

LEDGER = "results/ledger.json"
METRICS = "results/metrics.json"
STORES = ("store", "external/store")
FOLDERS = ("models", "predictions", "figures", "results", "notebooks", "tiles")
SWEPT = "sweep_"
"""How the files of a sweep begin, which runs after the study and answers for itself."""
STAMPS = "stamps"
"""Folder whose files say which steps are done."""
NOTES = "written"
AGAIN = "run `birads study` again"


def files_of(run: Path) -> dict[str, Path]:
    """Files that a run answers for, by their path within it; a store answers for its images."""
    paths = [run / store / name for store in STORES for name in (META, TABLE)]
    paths += [path for name in FOLDERS for path in sorted((run / name).rglob("*"))]
    found = {path.relative_to(run): path for path in paths if path.is_file()}
    return {
        place.as_posix(): path
        for place, path in found.items()
        if place != Path(LEDGER)
        and not place.name.startswith(SWEPT)
        and not any(part.startswith(".") for part in place.parts)
    }


@contextmanager
def noted(run: Path, step: str) -> Iterator[None]:
    """Note the digests of all that a step writes, or leaves as an earlier run of it wrote it.

    Of a step that fails nothing is noted: it runs again.

    Args:
        run: The run's folder.
        step: A chapter.
    """
    note = run / NOTES / f"{step}.json"
    earlier = _read(note) or {}
    note.unlink(missing_ok=True)  # what the step writes and reads itself is not what it wrote then
    before = _states(run)
    yield
    after = _states(run)
    kept = {name: earlier[name] for name in earlier if after.get(name) == before.get(name, ())}
    new = {name: sha256(run / name) for name in after if after[name] != before.get(name)}
    write_json(note, dict(sorted({**kept, **new}.items())))


def changed_since(run: Path) -> list[str]:
    """One line for each file of a run that is missing or not as the step that wrote it left it."""
    found = []
    for name, digests in _noted(run).items():
        path = run / name
        if not path.is_file():
            found.append(f"{path}: missing")
        elif sha256(path) not in digests:
            found.append(f"{path}: changed since it was written")
    return found


def check_written(run: Path, path: Path) -> None:
    """Refuse a file that is not as the step that wrote it left it; one of no step passes.

    Args:
        run: The run's folder.
        path: A file in it.

    Raises:
        DataError: Its bytes have changed.
    """
    digests = _noted(run).get(path.relative_to(run).as_posix())
    if digests and path.is_file() and sha256(path) not in digests:
        raise DataError(f"{path}: changed since it was written; {remedy(run)}")


def remedy(run: Path) -> str:
    """How a run whose files have changed is made whole."""
    return f"remove {run / STAMPS} and {AGAIN}"


def _noted(run: Path) -> dict[str, set[str]]:
    """Digests of each file by the steps that wrote it; several where steps ran side by side."""
    found: dict[str, set[str]] = {}
    for note in sorted((run / NOTES).glob("*.json")):
        listed = _read(note)
        if listed is None:
            raise DataError(f"{note}: no list of digests; {remedy(run)}")
        for name, digest in listed.items():
            found.setdefault(name, set()).add(digest)
    return found


def _read(note: Path) -> dict[str, str] | None:
    """Digests by name; ``None`` where the note is missing or damaged."""
    try:
        listed = read_json(note)
    except DataError:
        return None
    return listed if isinstance(listed, dict) else None


def _states(run: Path) -> dict[str, tuple[int, ...]]:
    """By file what changes when it is written: inode, size, time."""
    states = {name: os.stat(path) for name, path in files_of(run).items()}
    return {name: (s.st_ino, s.st_size, s.st_mtime_ns) for name, s in states.items()}
