"""Feeds readers with bytes that a search by coverage makes up; a crash ends with a traceback.

python fuzz_readers.py FOLDER [libFuzzer options]

FOLDER holds a folder for each reader, with inputs to begin with in its ``corpus``. What the
search says of a reader comes into its ``log``, and into its folder what made it crash.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["birads_lib.tiles.tfrecord", "birads_lib.tiles.mias"]):
    from birads_lib.errors import DataError
    from birads_lib.tiles import mias, tfrecord

SIDE = 4  # px, so that a whole film is some bytes
READERS: dict[str, Callable[[Path], object]] = {
    "records": lambda path: (list(tfrecord.read_blocks(path)), tfrecord.count_records(path)),
    "examples": lambda path: tfrecord.decode_example(path.read_bytes()),
    "film": mias.read_pgm,
    "list": mias.read_info,
}
EXPECTED = {"examples": ValueError}
"""Errors that a reader may raise, if not ``DataError``."""


def main(folder: Path, *options: str) -> int:
    """Fuzz each reader in a process of its own; 0 if none crashed."""
    mias.SCAN_SIDE = SIDE
    children = []
    for name in READERS:
        child = os.fork()
        if not child:
            fuzz(name, folder / name, *options)
        children.append(os.waitpid(child, 0)[1])
    return int(any(children))


def fuzz(name: str, folder: Path, *options: str) -> None:
    """Fuzz one reader until the options' budget is used up, which ends the process."""
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    read, expected = READERS[name], EXPECTED.get(name, DataError)
    in_memory = os.memfd_create("input")  # no disk to wait for
    path = Path(f"/proc/self/fd/{in_memory}")

    def read_one(content: bytes) -> None:
        path.write_bytes(content)
        try:
            read(path)
        except expected as error:
            if "\n" in str(error):
                raise RuntimeError("a message of more than one line") from error

    places = [f"-artifact_prefix={folder}/", *options, os.fspath(folder / "corpus")]
    atheris.Setup([sys.argv[0], *places], read_one)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
