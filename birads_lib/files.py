"""Writing that is whole or absent, and digests of what was written."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import math
import os
import re
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from birads_lib.errors import DataError, DiskFullError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""No room on the disk, none left to this user, or a larger file than may be."""
MOST_BYTES = 1 << 26
"""Of a file that is read whole into memory; those of the study are far smaller."""
CHECKSUM = "checksum"
"""Entry of a JSON file that holds a fingerprint of the others; see ``sealed``."""
OLD = ".old"  # ends the name of a folder that makes way for its successor
_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


@contextmanager
def whole_file(
    path: str | os.PathLike[str], known_as: str | os.PathLike[str] | None = None
) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it takes the place of ``path``.

    The temporary name keeps the suffix, which many writers go by. If the block
    raises, nothing is left behind and an earlier ``path`` stays as it was.

    Args:
        path: File to write.
        known_as: Path that the user gave and messages are to name, if it is another.

    Raises:
        DataError: A folder stands there, or nothing can be written there.
        DiskFullError: There is no room for it.
    """
    target, named = Path(path), Path(known_as or path)
    with _new_parents_removed(target):
        with _refusal_named(named):
            if target.is_dir():
                raise DataError(f"{named}: a folder stands there; name a file")
            target.parent.mkdir(parents=True, exist_ok=True)
            _clear_abandoned(target)
            handle, name = tempfile.mkstemp(
                dir=target.parent, prefix=_partial_prefix(target), suffix=target.suffix
            )
        os.close(handle)
        partial = Path(name)
        try:
            with _full_disk_named(named):
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
        DiskFullError: There is no room for it.
    """
    target = Path(path)
    if target.name in ("", ".."):
        raise DataError(f"{target}: no name of a folder to write; give its name")
    with _new_parents_removed(target):
        with _refusal_named(target):
            _clear_abandoned(target)
            _refuse_to_replace(target, mark)
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=_partial_prefix(target)))
        try:
            with _full_disk_named(target):
                yield partial
                partial.chmod(0o755)
                _exchange(partial, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def reserve(path: Path, size: int) -> None:
    """Give a file a size, with room for all of it: a map of a sparse file dies on a full disk.

    Where the system has no such call (macOS), the room is not made sure of.

    Raises:
        OSError: There is no room.
    """
    with open(path, "ab") as file:
        file.truncate(size)
        if size and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)


def empty_array(path: Path, shape: tuple[int, ...], dtype: str = "uint8") -> np.memmap[Any, Any]:
    """Write a ``.npy`` file of zeros, with room for all of it, to be filled where it lies.

    Returns:
        Memory map of the file, of that shape and type.

    Raises:
        OSError: There is no room.
    """
    import numpy as np

    mapped = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    reserve(path, path.stat().st_size)
    return mapped


@contextmanager
def _new_parents_removed(target: Path) -> Iterator[None]:
    """If the block raises, remove the folders above ``target`` that it made."""
    absent = [folder for folder in target.parents if not os.path.exists(folder)]
    try:
        yield
    except BaseException:
        for folder in absent:
            with contextlib.suppress(OSError):  # another process has put something there
                folder.rmdir()
        raise


@contextmanager
def _refusal_named(target: Path) -> Iterator[None]:
    """Tell by the name of ``target`` why nothing can be made there."""
    with _full_disk_named(target):
        try:
            yield
        except OSError as error:
            if error.errno in FULL:
                raise
            raise DataError(
                f"{target}: nothing can be written there ({error.strerror}); name another place"
            ) from None


@contextmanager
def _full_disk_named(target: Path) -> Iterator[None]:
    """Tell by the name of ``target`` that there is no room for it."""
    try:
        yield
    except DiskFullError:
        raise  # it is told already
    except OSError as error:
        # HDF5, which Keras writes with, tells the number in its text alone.
        number = next((n for n in FULL if error.errno == n or os.strerror(n) in str(error)), None)
        if number is None:
            raise
        raise DiskFullError(
            f"{target}: {os.strerror(number)}; make room or name another place"
        ) from None


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


def _partial_prefix(target: Path) -> str:
    """How the partial writes of this process to ``target`` begin: with its host and number."""
    return f".{target.name}.{_HOST}-{os.getpid()}-"


def _clear_abandoned(target: Path) -> None:
    """Remove what processes of this host that were killed left beside ``target``.

    Where one was killed between moving the earlier folder away and putting its own there,
    the earlier one comes back.
    """
    own = re.compile(rf"{re.escape(f'.{target.name}.{_HOST}')}-(\d+)-")
    for path in target.parent.iterdir() if target.parent.is_dir() else ():
        match = own.match(path.name)
        if match and not Path(f"/proc/{match.group(1)}").exists() and Path("/proc/self").exists():
            if not path.is_dir():
                path.unlink(missing_ok=True)
            elif path.name.endswith(OLD) and not target.exists():
                with contextlib.suppress(OSError):  # another process has just done so
                    os.replace(path, target)
            else:
                shutil.rmtree(path, ignore_errors=True)


def _exchange(partial: Path, target: Path) -> None:
    """Put ``partial`` in the place of ``target``; if that fails, ``target`` is as before.

    Another process may do the same at once: the later one stays.
    """
    old = partial.with_name(partial.name + OLD)
    try:
        while not _moved(partial, target):
            shutil.rmtree(old, ignore_errors=True)
            with contextlib.suppress(FileNotFoundError):  # another process moved it away
                os.replace(target, old)
    finally:
        if old.exists() and not target.exists():
            os.replace(old, target)
        shutil.rmtree(old, ignore_errors=True)


def _moved(partial: Path, target: Path) -> bool:
    """Move ``partial`` to where nothing or an empty folder stands; whether that was so."""
    try:
        os.replace(partial, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as indented JSON with sorted keys, whole or not at all."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file.

    Raises:
        DataError: The file is missing, larger than ``MOST_BYTES`` or not JSON, a number in it
            is not finite, or a key stands twice.
    """
    content = read_whole(path)
    try:
        return json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_without_repeats,
            parse_constant=_finite,
            parse_float=_finite,
        )
    except RecursionError:
        reason = "nested too deeply"
    except ValueError as error:
        reason = str(error)
    raise DataError(f"{path}: not readable as JSON ({reason}); write it again")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no finite number")
    return number


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{twice!r} stands twice")
    return entries


def read_whole(
    path: str | os.PathLike[str], most: int = MOST_BYTES, remedy: str = "write it again"
) -> bytes:
    """Content of a file that is to be small.

    Args:
        path: The file.
        most: Bytes that it may hold.
        remedy: What to do about another file, for the message.

    Raises:
        DataError: It is missing, no file, not readable, or larger.
    """
    size = _size_of_file(path, remedy)
    if size > most:
        raise DataError(f"{path}: holds {size:,} bytes; expected at most {most:,}; {remedy}")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: not readable ({error.strerror}); {remedy}") from None


def _size_of_file(path: str | os.PathLike[str], remedy: str) -> int:
    """Bytes of a regular file: opening a pipe would wait for ever."""
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{path}: no such file; {remedy}") from None
    except OSError as error:
        raise DataError(f"{path}: not readable ({error.strerror}); {remedy}") from None
    if not stat.S_ISREG(found.st_mode):
        raise DataError(f"{path}: no file but a folder, a pipe or a device; {remedy}")
    return found.st_size


def read_parquet(path: str | os.PathLike[str], remedy: str = "write it again") -> pd.DataFrame:
    """Read a table.

    Args:
        path: The Parquet file.
        remedy: What to do about another file, for the message.

    Raises:
        DataError: It is missing, or not readable as Parquet.
    """
    import pandas as pd

    with _parquet_named(path, remedy), open(path, "rb") as file:
        return pd.read_parquet(file)


def write_parquet(path: str | os.PathLike[str], table: pd.DataFrame) -> None:
    """Write a table to a file; not whole or not at all, see ``whole_file`` for that."""
    with open(path, "wb") as file:  # pyarrow takes no path that is not UTF-8
        table.to_parquet(file, index=False)


def parquet_shape(
    path: str | os.PathLike[str], remedy: str = "write it again"
) -> tuple[int, list[str]]:
    """Number of rows and names of the columns of a table, none of which is read.

    Args, Raises: See ``read_parquet``.
    """
    import pyarrow.parquet

    with _parquet_named(path, remedy), open(path, "rb") as file:
        footer = pyarrow.parquet.read_metadata(file)
        return footer.num_rows, footer.schema.to_arrow_schema().names


@contextmanager
def _parquet_named(path: str | os.PathLike[str], remedy: str) -> Iterator[None]:
    """Tell by the name of a table why it cannot be read."""
    _size_of_file(path, remedy)
    try:
        yield
    except Exception as error:  # pyarrow and pandas have many, some of several lines
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"{path}: not readable as Parquet ({reason}); {remedy}") from None


def shown(path: str | os.PathLike[str]) -> str:
    """A path as text; bytes that are no UTF-8 are spelt out, since no table can hold them."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def sha256(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_note(path: Path) -> Path:
    """The file beside another that holds its digest; see ``note_digest``."""
    return path.with_suffix(".json")


def note_digest(path: Path) -> None:
    """Write a file's SHA-256 beside it."""
    write_json(digest_note(path), {"sha256": sha256(path)})


def is_as_noted(path: Path) -> bool:
    """Whether a file has the digest that stands beside it.

    Raises:
        DataError: What stands beside it is not there, or no JSON.
    """
    return bool(read_json(digest_note(path)) == {"sha256": sha256(path)})


def fingerprint(value: Any) -> str:
    """SHA-256 of a JSON value, 64 hexadecimal digits; key order does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def sealed(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of a JSON file with a fingerprint of them, by which ``is_sealed`` knows them."""
    return {**entries, CHECKSUM: _fingerprint_of_rest(entries)}


def is_sealed(entries: Mapping[str, Any]) -> bool:
    """Whether a file's entries are those that it was written with."""
    return bool(entries.get(CHECKSUM) == _fingerprint_of_rest(entries))


def _fingerprint_of_rest(entries: Mapping[str, Any]) -> str:
    return fingerprint({key: value for key, value in entries.items() if key != CHECKSUM})


@contextmanager
def only_one(path: Path, already: str, known_as: Path | None = None) -> Iterator[int]:
    """Hold a file that one process at a time may hold; gives its descriptor.

    A process that is killed lets go of it. One that is started with the descriptor holds it too.

    Args:
        path: The file; it is made, with its folder, and stays.
        already: What to say where another process holds it.
        known_as: Path that messages are to name, if it is another.

    Raises:
        DataError: Another process holds it, or nothing can be written there.
    """
    named = known_as or path
    with _new_parents_removed(path):
        with _refusal_named(named):
            opened = _lockable(path)
        with opened as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DataError(f"{named}: {already}") from None
            yield file.fileno()


@contextmanager
def one_of_several(path: Path) -> Iterator[None]:
    """Hold a file together with others that do so; ``only_one`` is refused it meanwhile."""
    with _lockable(path) as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def _lockable(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return open(path, "ab")
