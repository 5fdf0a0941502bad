"""Commands in processes of their own that cost no start: one process loads the library, and forks.

with Forks(tmp_path) as forks:
    code, printed, said = forks.run(["merge", source, store])                         # to its end
    code, printed, said = forks.run(["merge", source, store], signal.SIGKILL, 0.05)   # after 50 ms
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from watch import ADDRESSES, MEMORY, PATIENCE, SECONDS

SCRIPT = """
import json, os, resource, signal, sys, time, traceback
from birads_lib.cli import main
from birads_lib.tiles import audit, sources  # and with them all that reads tiles
import pyarrow.parquet

def held(entry):
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith(entry))

def run(words, printed, said):
    if printed:
        os.dup2(os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    else:  # a pipe that nobody reads
        reader, writer = os.pipe()
        os.close(reader)
        os.dup2(writer, 1)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    code = 70
    try:
        code = main(words)
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(code)  # at once: taking down what was forked would cost more than the command

for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if not child:
        signal.alarm(asked["patience"])  # which ends it
        resource.setrlimit(resource.RLIMIT_AS, (held("VmSize") + asked["addresses"],) * 2)
        os.chdir(asked["folder"])
        run(asked["words"], asked["printed"], asked["said"])
    if asked["sent"]:
        time.sleep(asked["after"])
        os.kill(child, asked["sent"])  # not waited for yet, so its number is still its own
    _, status, used = os.wait4(child, 0)
    memory = 1024 * used.ru_maxrss - held("VmRSS")
    print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, memory, flush=True)
"""


class Forks:
    """Runs one command after another, each in a fresh process.

    Args:
        folder: Where what they print and say is kept.
        bound: Program and options that start the process, to bind what it may do.
    """

    def __init__(self, folder: Path, bound: Sequence[str] = ()):
        self._bound = bound
        self._printed, self._said = (folder / f"{name}-{id(self)}" for name in ("printed", "said"))

    def __enter__(self) -> Forks:
        command = [*self._bound, sys.executable, "-c", SCRIPT]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=300)

    def run(
        self,
        words: Sequence[str | Path],
        sent: int = 0,
        after: float = 0.0,
        printed: str | None = None,
    ) -> tuple[int, str, str]:
        """Run a command; exit code (of a signal below 0), what it printed, and what it said.

        Its time and memory are bound as ``watched`` binds those of a refusal.

        Args:
            words: Arguments of ``birads``.
            sent: Signal that the process gets, if it still runs by then; 0 for none.
            after: Seconds after its start.
            printed: File that standard output goes to; "" for a pipe that nobody reads.
        """
        assert self._process.stdin
        assert self._process.stdout
        for path in (self._printed, self._said):
            path.write_text("")
        asked = {
            "folder": os.getcwd(),
            "words": [os.fspath(word) for word in words],
            "printed": os.fspath(self._printed) if printed is None else printed,
            "said": os.fspath(self._said),
            "sent": int(sent),
            "after": after,
            "patience": int(PATIENCE),
            "addresses": ADDRESSES,
        }
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        code, seconds, memory = self._process.stdout.readline().split()
        assert float(seconds) < SECONDS, f"took {seconds} s"
        assert int(memory) < MEMORY, f"held {int(memory) >> 20} MB"
        return int(code), self._printed.read_text(), self._said.read_text()
