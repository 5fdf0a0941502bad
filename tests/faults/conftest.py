"""The one checker of the fault battery, and the ways in that it is held against.

Every fault is planted in a sound input, a command is run, and then it must hold that the
command ended with code 2, said one line that names the file and what to do, said it soon and
in little memory, changed nothing on the disk; and that the same command succeeds once the
input is sound again.
"""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from damage import Change
from forks import Forks
from watch import PROGRESS, contents, watched

from birads_lib.cli import DONE, MISUSED, main
from birads_lib.errors import one_line

REMEDY = re.compile(
    r"\b(copy|correct|download|expected|export|give|keep|make|merge|name|put|remove|run|take|use|"
    r"write)\b"
)
"""What tells a person what to do, or what would have been right."""
LONGEST = 1000  # characters of a message, paths and all
KINDS_SHOWN = (UserWarning, RuntimeWarning, FutureWarning)  # what Python prints by default

Command = Callable[[Path, Path], Sequence[str | Path]]
"""Arguments of ``birads``, given the input and a path that it may write to."""


class Checker:
    """Runs commands that must be refused, and looks at all that they say and do.

    Attributes:
        folder: Where input and output lie; nothing else may be written.
    """

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]):
        self.folder, self.capfd = folder, capfd

    def run(self, *arguments: str | Path) -> tuple[int, str, str]:
        """Run a command; its code, what it printed, and what it said on standard error."""
        self.capfd.readouterr()
        code = main([os.fspath(argument) for argument in arguments])
        return code, *self.capfd.readouterr()

    def refuses(
        self,
        arguments: Sequence[str | Path],
        blamed: str | Path,
        told: str,
        expected: int = MISUSED,
    ) -> str:
        """Run a command that must be refused; the line that it said.

        Args:
            arguments: Of ``birads``.
            blamed: File, folder or option that the line must name.
            told: What the line must tell, a regular expression.
            expected: The exit code.
        """
        before = contents(self.folder)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            with watched():
                code, printed, said = self.run(*arguments)
        assert code == expected, said
        assert printed == ""
        line = PROGRESS.sub("", said, count=1)
        self._check_line(line, blamed, told)
        shown = [w for w in warned if issubclass(w.category, KINDS_SHOWN)]
        assert not shown, [str(w.message) for w in shown]
        assert contents(self.folder) == before, "something was written or changed"
        return line

    def _check_line(self, said: str, blamed: str | Path, told: str) -> None:
        assert said.startswith("birads: "), said
        assert said.count("\n") == 1, said
        assert said.endswith("\n"), said
        assert "Traceback" not in said
        assert len(said) < LONGEST
        assert one_line(os.fspath(blamed)) in said
        assert re.search(told, said), said
        assert REMEDY.search(said.partition(";")[2]), f"no remedy: {said}"


class Entrance:
    """One way in: a sound input, and the command that reads it.

    Args:
        check: The checker.
        write: Writes the sound input to a path.
        command: Reads it.
    """

    def __init__(self, check: Checker, write: Callable[[Path], object], command: Command):
        self.check, self.write, self.command = check, write, command
        self.source, self.out = check.folder / "input", check.folder / "out" / "result"

    def refuses(self, name: str, change: Change, told: str, blamed: str | None = None) -> str:
        """Damage one file of the input; the command must refuse it, and take the sound one.

        Args:
            name: Of the file within the input; "" for the input itself.
            change: What happens to it.
            told: What the line must tell, a regular expression.
            blamed: File that the line must name, if it is another one.
        """
        self.write(self.source)
        change(self.source / name)
        named = self.source / (name if blamed is None else blamed)
        said = self.check.refuses(self.command(self.source, self.out), named, told)
        self.succeeds()
        return said

    def succeeds(self) -> tuple[str, str]:
        """Run the command on a sound input; what it printed and what it said."""
        _clear(self.source)
        self.write(self.source)
        before = contents(self.source)
        code, printed, said = self.check.run(*self.command(self.source, self.out))
        assert code == DONE, said
        assert contents(self.source) == before, "the input was changed"
        return printed, said


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@pytest.fixture
def check(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Checker:
    """The checker, with a folder of its own."""
    return Checker(tmp_path, capfd)


@pytest.fixture(scope="session")
def forks(tmp_path_factory) -> Iterator[Forks]:
    """Runs commands in processes of their own, one after another."""
    with Forks(tmp_path_factory.mktemp("forks")) as forks:
        yield forks


@pytest.fixture
def entrance(check: Checker) -> Callable[[Callable[[Path], object], Command], Entrance]:
    """Makes a way in of a sound input and a command."""
    return lambda write, command: Entrance(check, write, command)


@pytest.fixture
def kaggle_set(entrance, small_set) -> Entrance:
    """Sixteen tiles in the Kaggle layout, merged."""
    return entrance(small_set.write, lambda source, out: ["merge", source, out])


@pytest.fixture
def auditing(entrance, small_store, tmp_path) -> Entrance:
    """A store of sixteen tiles, audited."""
    kept = small_store.path.rename(tmp_path / "kept")
    return entrance(
        lambda source: shutil.copytree(kept, source), lambda source, out: ["audit", source]
    )
