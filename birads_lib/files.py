"""Writing that is whole or absent, and digests of what was written."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from birads_lib.errors import DataError

_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it takes the place of ``path``.

    The temporary name keeps the suffix, which many writers go by. If the block
    raises, nothing is left behind and an earlier ``path`` stays as it was.
    """
    target = Path(path)
    _make_parent(target)
    _clear_abandoned(target)
    handle, name = tempfile.mkstemp(
        dir=target.parent, prefix=_partial_prefix(target), suffix=target.suffix
    )
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o644)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | os.PathLike[str], mark: str | None = None) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; on success it takes the place of ``path``.

    If the block raises, nothing is left behind and an earlier ``path`` stays.

    Args:
        path: Folder to write.
        mark: Name of a file by which an earlier folder of the same kind is known. Only
            such a folder, or an empty one, is ever replaced.

    Raises:
        DataError: Something else stands there, or no folder can be made there.
    """
    target = Path(path)
    _refuse_to_replace(target, mark)
    _make_parent(target)
    _clear_abandoned(target)
    partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=_partial_prefix(target)))
    try:
        yield partial
        partial.chmod(0o755)
        _exchange(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _refuse_to_replace(target: Path, mark: str | None) -> None:
    if target.is_dir() and not target.is_symlink():
        if (mark and (target / mark).is_file()) or not any(target.iterdir()):
            return
    elif not target.exists() and not target.is_symlink():
        return
    raise DataError(
        f"{target}: exists and is not an empty folder"
        + (f" nor one with a {mark}" if mark else "")
        + "; name a new folder or remove it"
    )


def _make_parent(target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{target}: no folder can be made there ({error.strerror}); name another place"
        ) from None


def _partial_prefix(target: Path) -> str:
    """How the partial writes of this process to ``target`` begin: with its host and number."""
    return f".{target.name}.{_HOST}-{os.getpid()}-"


def _clear_abandoned(target: Path) -> None:
    """Remove what processes of this host that were killed left beside ``target``."""
    own = re.compile(rf"{re.escape(f'.{target.name}.{_HOST}')}-(\d+)-")
    for path in target.parent.iterdir():
        match = own.match(path.name)
        if match and not Path(f"/proc/{match.group(1)}").exists() and Path("/proc/self").exists():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _exchange(partial: Path, target: Path) -> None:
    """Put ``partial`` in the place of ``target``; if that fails, ``target`` is as before."""
    if not target.exists():
        os.replace(partial, target)
        return
    old = partial.with_name(partial.name + ".old")
    os.replace(target, old)
    try:
        os.replace(partial, target)
    except OSError:
        os.replace(old, target)
        raise
    shutil.rmtree(old)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as indented JSON with sorted keys, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file.

    Raises:
        DataError: The file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: not readable as JSON ({error}); write it again") from None


def sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(value: Any) -> str:
    """SHA-256 of a JSON value, 64 hexadecimal digits; key order does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
