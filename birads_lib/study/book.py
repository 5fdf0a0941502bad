"""The rendered book: prose pages and executed chapters, built fresh, warnings as errors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import nbformat

from birads_lib.errors import ChapterError, DataError
from birads_lib.files import read_json, whole_folder
from birads_lib.study.notebooks import refuse_errors
from birads_lib.study.profiles import BUILD, CHAPTERS

HTML = BUILD / "html"
MATHJAX_PACKAGE, MATHJAX = "sphinx-mathjax-offline", "tex-chtml.js"
SOURCES = ("_config.yml", "_toc.yml")
OPTIONS = ("--all", "-n", "-W", "--keep-going", "-q")


def build_book(run: Path, html: Path = HTML) -> Path:
    """Render the book of one run.

    The pages are copied beside the executed chapters into a folder of their own and
    built there, so that tracked files stay as they are. Nothing is executed.

    Args:
        run: A finished run's folder.
        html: Where the pages go; an earlier book there is replaced when the build passed.

    Returns:
        Path of the first page.

    Raises:
        DataError: A chapter has not been executed.
        ChapterError: A chapter holds an error, or the build warned or failed.
    """
    staging = BUILD / "book"
    shutil.rmtree(staging, ignore_errors=True)
    shutil.copytree("book", staging / "book")
    (staging / "notebooks").mkdir()
    for name in SOURCES:
        shutil.copy(name, staging)
    shutil.copytree("book/_static", staging / "_static")
    copy_mathjax(staging / "extra" / "mathjax")
    with open(staging / "book" / "figure_index.md", "a") as page:
        page.write(figure_index(run))
    for chapter in CHAPTERS:
        executed = run / "notebooks" / f"{chapter}.ipynb"
        if not executed.exists():
            raise DataError(f"{executed}: chapter has not run; run `birads study`")
        refuse_errors(chapter, nbformat.read(executed, as_version=4))
        shutil.copy(executed, staging / "notebooks")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("jupyter-book")), "build", str(staging), *OPTIONS],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    built = staging / "_build" / "html"
    if done.returncode or not (built / "index.html").exists():
        raise ChapterError(f"the book did not build:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    with whole_folder(html, "index.html") as partial:
        shutil.copytree(built, partial, dirs_exist_ok=True)
    return html / "index.html"


def figure_index(run: Path) -> str:
    """Every figure and table of a run as a Markdown table: what it is, where, and its digest."""
    lines = ["| | chapter | what it shows | SHA-256 |", "|---|---|---|---|"]
    described = [read_json(path) for path in sorted((run / "figures").glob("*.json"))]
    for figure in sorted(described, key=lambda d: (CHAPTERS.index(d["chapter"]), d["name"])):
        chapter, name = figure["chapter"], figure["name"]
        caption = figure["caption"].split(" [")[0].replace("|", "\\|")
        lines.append(
            f"| `{name}` | [{chapter}](../notebooks/{chapter}.ipynb) | {caption} "
            f"| `{figure['sha256'][:12]}` |"
        )
    return "\n".join(lines) + "\n"


def copy_mathjax(target: Path) -> None:
    """Copy MathJax, as far as pages need it, from the package that carries it."""
    files = [Path(str(f.locate())) for f in metadata.files(MATHJAX_PACKAGE) or ()]
    (start,) = (path for path in files if path.name == MATHJAX)
    fonts = Path("output", "chtml", "fonts")
    target.mkdir(parents=True)
    shutil.copy(start, target)
    shutil.copytree(start.parent / fonts, target / fonts)
