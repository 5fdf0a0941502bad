"""The runner: a chapter in percent format becomes an executed notebook, or an error.

papermill alone warns about unknown parameters, does not see annotated ones and
refuses ``.py`` files; the book would publish a traceback without a word. So the
chapter is converted, its parameters are checked, it is executed under a
temporary name, its outputs are checked, and only then does it get its name.
"""

from __future__ import annotations

import ast
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jupytext
import nbformat
from nbformat import NotebookNode

from birads_lib.errors import ChapterError, DataError, DiskFullError, StudyError, UsageError
from birads_lib.files import read_json, whole_file
from birads_lib.study.machine import timed_step
from birads_lib.study.outputs import FIGURE_KEY, MAP, MAP_TITLE, OF_THE_PAPER, TABLE_KEY

if TYPE_CHECKING:
    import papermill

PARAMETERS_TAG = "parameters"
INJECTED_TAG = "injected-parameters"
"""papermill's tag of the cell with the values of a run."""
KERNEL = "python3"
PIXELS_AN_INCH = 84
"""At which a page shows figures: their letters are then alike, and the widest fill a column."""
COUNTERPART = f" [{MAP_TITLE}]({MAP}.md)."
"""Ends the caption of each figure that has a counterpart in the paper."""
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def read_chapter(path: Path) -> NotebookNode:
    """Read a chapter in percent format as a notebook without outputs.

    Raises:
        DataError: No such chapter.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such chapter")
    notebook = jupytext.read(path, fmt="py:percent")
    notebook.metadata["kernelspec"] = {
        "name": KERNEL,
        "display_name": "Python 3",
        "language": "python",
    }
    return notebook


def declared_parameters(notebook: NotebookNode) -> dict[str, Any]:
    """Names and literal values of the cell tagged ``parameters``, annotated ones too.

    Raises:
        DataError: No such cell, more than one, or something other than a literal in it.
    """
    cells = [c for c in notebook.cells if PARAMETERS_TAG in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise DataError(f"chapter: {len(cells)} cells tagged {PARAMETERS_TAG!r}; expected one")
    return _assigned(cells[0].source)


def run_parameters(executed: NotebookNode) -> dict[str, Any]:
    """Names and values that an executed chapter ran with: its own, and a run's over them."""
    values = declared_parameters(executed)
    for cell in executed.cells:
        if INJECTED_TAG in cell.metadata.get("tags", []):
            values |= _assigned(cell.source)
    return values


def _assigned(source: str) -> dict[str, Any]:
    """Names and literal values that a cell assigns.

    Raises:
        DataError: Something other than a literal in it.
    """
    values: dict[str, Any] = {}
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, value = statement.target, statement.value
        else:
            continue
        try:
            values[ast.unparse(target)] = ast.literal_eval(value)
        except ValueError:
            raise DataError(
                f"chapter: parameter {ast.unparse(target)} is no plain value; give a number, "
                "a string, a list or None"
            ) from None
    return values


def check_parameters(name: str, declared: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return ``given`` if the chapter declares every name in it.

    Raises:
        UsageError: A name it does not declare.
    """
    unknown = sorted(given.keys() - declared.keys())
    if unknown:
        raise UsageError(
            f"chapter {name}: no parameter {', '.join(unknown)}; it declares "
            f"{', '.join(sorted(declared))}"
        )
    return given


def run_chapter(source: Path, target: Path, parameters: dict[str, Any], figures: Path) -> None:
    """Execute a chapter and write the executed notebook, whole or not at all.

    What it took goes to the run's ``timings``, see ``machine.timed_step``.

    Args:
        source: The chapter, ``notebooks/NAME.py``.
        target: Where the executed notebook goes, ``NAME.ipynb``.
        parameters: Values for names of its parameters cell.
        figures: Folder in which its figures' descriptions are found.

    Raises:
        UsageError: A parameter the chapter does not declare.
        StudyError: A cell refused its input, with the message it gave.
        DiskFullError, MemoryError: There was no room for what a cell made.
        ChapterError: A cell failed otherwise; the message has the cell and its traceback.
    """
    import papermill  # not where steps are only told apart

    notebook = read_chapter(source)
    check_parameters(source.stem, declared_parameters(notebook), parameters)
    logging.getLogger("papermill").setLevel(logging.ERROR)
    run, name = target.parents[1], target.stem
    log = run / "logs" / f"{name}.log"
    with timed_step(run, name), whole_file(target) as partial, messages_to(log):
        plain = partial.with_suffix(".in.ipynb")
        try:
            nbformat.write(notebook, plain)
            papermill.execute_notebook(
                plain,
                partial,
                parameters=parameters,
                kernel_name=KERNEL,
                progress_bar=False,
                log_output=False,
                cwd=os.getcwd(),
            )
        except papermill.PapermillExecutionError as error:
            raise _as_raised(source.stem, error) from None
        except KeyboardInterrupt:
            # The cell that was waited for fails as its kernel goes, which nobody asks for any more.
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)
            raise
        finally:
            plain.unlink(missing_ok=True)
        executed = nbformat.read(partial, as_version=4)
        refuse_errors(source.stem, executed)
        publishable(executed, figures)
        nbformat.write(executed, partial)


@contextmanager
def messages_to(path: Path) -> Iterator[None]:
    """Send what the kernel and its libraries write to standard error to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(path, "wb") as file:
            os.dup2(file.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def refuse_errors(name: str, notebook: NotebookNode) -> None:
    """Raise ``ChapterError`` if any cell holds an error or was not executed."""
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        if cell.execution_count is None:
            raise ChapterError(f"chapter {name}: cell {index} was not executed")
        for output in cell.outputs:
            if output.output_type == "error":
                raise ChapterError(
                    f"chapter {name}: cell {index} failed: {output.ename}: {output.evalue}"
                )


def publishable(notebook: NotebookNode, figures: Path) -> None:
    """Give figures their captions, drop messages, times and paths of this machine.

    Raises:
        ChapterError: A picture or table without a description, or a figure beside other outputs.
    """
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if cell.cell_type != "code":
            continue
        cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
        for output in cell.outputs:
            metadata, data = output.get("metadata", {}), output.get("data", {})
            name, table = metadata.pop(FIGURE_KEY, None), metadata.pop(TABLE_KEY, None)
            if not name and "image/png" in data:
                raise ChapterError("a picture without a description; show it by run.show_figure")
            if not table and "<table" in data.get("text/html", ""):
                raise ChapterError("a table without a description; show it by run.show_table")
            if name:
                if sum(o.output_type != "stream" for o in cell.outputs) > 1:
                    raise ChapterError(f"figure {name}: give it a cell of its own")
                described = read_json(figures / f"{name}.json")
                back = COUNTERPART if OF_THE_PAPER.fullmatch(name) else ""
                cell.metadata["mystnb"] = {
                    "figure": {"caption": described["caption"] + back, "name": f"fig-{name}"},
                    "image": {
                        "alt": described["alt"],
                        "width": f"{described['inches'] * PIXELS_AN_INCH:.0f}px",
                    },
                }


def _as_raised(name: str, error: papermill.PapermillExecutionError) -> Exception:
    """A failed cell's error: one that a user can mend as it was raised, else with its traceback."""
    mendables: list[type[Exception]] = [StudyError, *StudyError.__subclasses__()]
    mendables += [DiskFullError, MemoryError]
    for mendable in mendables:
        if error.ename == mendable.__name__:
            return mendable(error.evalue)
    trace = ESCAPES.sub("", "\n".join(error.traceback))
    place = f"chapter {name}: cell {error.cell_index} failed"
    return ChapterError(f"{place}\n\n{error.source}\n\n{trace}")
