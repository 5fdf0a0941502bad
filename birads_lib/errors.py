"""Errors that a user can mend. The command line prints one line and ends with code 2."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

STDERR = 2  # number of the file
_SILENCE = threading.RLock()  # or one thread would put back what another has taken away
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What would break a line, steer a terminal, turn text about, or cannot be written as UTF-8."""


def one_line(text: str) -> str:
    """``text`` with line breaks and other unprintable characters spelt out, such as ``\\n``.

    Names of files, and what stands in them, may hold any of them.
    """
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


@contextmanager
def silenced() -> Iterator[None]:
    """Hold back what libraries of C, such as libpng, write to standard error by themselves.

    For as long as the block runs, nothing else of this process is heard there either.
    """
    with _SILENCE:
        kept, nowhere = os.dup(STDERR), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, STDERR)
            yield
        finally:
            os.dup2(kept, STDERR)
            os.close(kept)
            os.close(nowhere)


class StudyError(Exception):
    """A mistake in input or usage.

    The message is one line: the file or argument, what was found, what was
    expected, and what to do.
    """

    def __str__(self) -> str:
        return one_line(super().__str__())


class DataError(StudyError):
    """A file or folder is missing, broken, or not what it claims to be."""


class UsageError(StudyError):
    """An argument, option, parameter or name is not one that exists or fits."""


class DiskFullError(OSError):
    """There is no room for what is being written. The message is one line, as a StudyError's."""


class ChapterError(Exception):
    """A chapter failed while it ran. The message holds the cell and its traceback."""


def one_of(what: str, value: T, allowed: Iterable[T]) -> T:
    """Return ``value`` if it is among ``allowed``.

    Raises:
        UsageError: It is not; the message lists what is allowed.
    """
    choices = list(allowed)
    if value not in choices:
        raise UsageError(f"{what}: unknown {value!r}; use one of {', '.join(map(str, choices))}")
    return value
