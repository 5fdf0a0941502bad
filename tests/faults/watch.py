"""Looks on while something runs: how long it takes, what memory it holds, what it changes."""

from __future__ import annotations

import hashlib
import re
import resource
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SECONDS = 10.0  # of a processor that a refusal may take; most take a hundredth of one
PATIENCE = 120.0  # seconds after which what waits for something is given up
MEMORY = 400 << 20  # bytes that a refusal may hold at once
ADDRESSES = 4 << 30  # bytes that it may reserve: an absurd claim fails where memory is scarce
PROGRESS = re.compile(r"\A(([0-9,]+ (tiles|scans)|note: .*)\n)+")
"""What may stand before the message where a step was done."""
HASHED = 64 << 20  # bytes of a file beyond which its size and time stand for its content


class TookTooLongError(BaseException):
    """No ``Exception``, lest the code under test take it for one of its own."""


@dataclass
class Watched:
    """What was seen: seconds of a processor, and bytes held over those held before."""

    seconds: float = 0.0
    memory: int = 0


@contextmanager
def watched() -> Iterator[Watched]:
    """Bound time and memory of a block, and measure both."""
    seen = Watched()
    before = _held("VmRSS")
    _forget_peak()
    with _limited_addresses(), _alarm():
        started = time.process_time()
        yield seen
        seen.seconds = time.process_time() - started
    seen.memory = _held("VmHWM") - before
    assert seen.seconds < SECONDS, f"took {seen.seconds:.1f} s"
    assert seen.memory < MEMORY, f"held {seen.memory >> 20} MB"


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TookTooLongError(f"still at it after {PATIENCE} s")

    earlier = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)


@contextmanager
def _limited_addresses() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = _held("VmSize") + ADDRESSES
    wanted = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _held(entry: str) -> int:
    """Bytes of this process by an entry of its status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{entry}:"):
            return 1024 * int(line.split()[1])
    raise LookupError(entry)


def _forget_peak() -> None:
    """Let the most memory held begin anew with what is held now."""
    Path("/proc/self/clear_refs").write_text("5")


def contents(folder: Path) -> dict[str, str]:
    """What stands in a folder: kind and content of each path, links not followed."""
    return {p.relative_to(folder).as_posix(): _content(p) for p in sorted(folder.rglob("*"))}


def _content(path: Path) -> str:
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        return f"link to {path.readlink()}"
    if not stat.S_ISREG(found.st_mode):
        return stat.filemode(found.st_mode)
    if found.st_size > HASHED:
        return f"{found.st_size} bytes of {found.st_mtime_ns}"
    return hashlib.sha256(path.read_bytes()).hexdigest()
