"""Feeds a reader with bytes that a search by coverage makes up; a crash ends with a traceback.

python fuzz_readers.py {records,examples,film,list} FOLDER [libFuzzer options]

FOLDER takes the input under test, and what made a reader crash.
"""

from __future__ import annotations

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


def main(name: str, folder: Path, *options: str) -> None:
    """Fuzz one reader until the options' budget is used up."""
    mias.SCAN_SIDE = SIDE
    read, expected = READERS[name], EXPECTED.get(name, DataError)
    path = folder / "input"

    def read_one(content: bytes) -> None:
        path.write_bytes(content)
        try:
            read(path)
        except expected as error:
            if "\n" in str(error):
                raise RuntimeError("a message of more than one line") from error

    atheris.Setup([sys.argv[0], f"-artifact_prefix={folder}/", *options], read_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
