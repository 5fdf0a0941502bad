"""Merges in processes of their own that cost no start: one process loads the library, and forks.

with Merges(tmp_path) as merges:
    code, said = merges.run(source, store)                          # to its end
    code, said = merges.run(source, store, signal.SIGKILL, 0.05)    # killed after 50 ms
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FORKS = """
import os, sys, time
from birads_lib.cli import main
from birads_lib.tiles import sources  # and with it all that reads tiles
import pyarrow.parquet
for line in sys.stdin:
    source, store, said, sent, after = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if not child:
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.dup2(1, 2)
        code = 70
        try:
            code = main(["merge", source, store])
        finally:
            sys.stdout.flush()
            os._exit(code)
    if int(sent):
        time.sleep(float(after))
        os.kill(child, int(sent))  # not waited for yet, so its number is still its own
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Merges:
    """Runs one merge after another, each in a fresh process.

    Args:
        folder: Where what they print is kept.
    """

    def __init__(self, folder: Path):
        self._said = folder / f"said-{id(self)}"

    def __enter__(self) -> Merges:
        command = [sys.executable, "-c", FORKS]
        self._forks = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._forks.communicate(timeout=60)

    def run(self, source: Path, store: Path, sent: int = 0, after: float = 0.0) -> tuple[int, str]:
        """Merge; exit code (of a signal below 0), and all that was printed and said.

        Args:
            source, store: Of ``birads merge``.
            sent: Signal that the process gets, if it still runs by then; 0 for none.
            after: Seconds after its start.
        """
        assert self._forks.stdin
        assert self._forks.stdout
        self._said.write_text("")
        self._forks.stdin.write(f"{source}\t{store}\t{self._said}\t{int(sent)}\t{after}\n")
        self._forks.stdin.flush()
        code = int(self._forks.stdout.readline())
        return code, self._said.read_text()
