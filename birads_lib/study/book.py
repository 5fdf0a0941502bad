"""The rendered book: prose pages and executed chapters, built fresh, warnings as errors."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import metadata
from pathlib import Path
from typing import Any

import nbformat
import yaml

from birads_lib.errors import ChapterError, DataError, DiskFullError
from birads_lib.files import whole_folder
from birads_lib.study.demo import DEMO, write_demo
from birads_lib.study.downloads import DOWNLOADS, copy_downloads
from birads_lib.study.ledger import refuse_changed
from birads_lib.study.notebooks import refuse_errors
from birads_lib.study.pages import chapter_header, fill_page
from birads_lib.study.profiles import BUILD, CHAPTERS
from birads_lib.study.sphinx_pages import with_policy

HTML = BUILD / "html"
MATHJAX_PACKAGE, MATHJAX = "sphinx-mathjax-offline", "tex-chtml.js"
CONFIG, CONTENTS = "_config.yml", "_toc.yml"
OPTIONS = ("--all", "-n", "--keep-going", "-q")
STRICT = ("-W",)  # warnings are errors
QUIET = {"PYTHONWARNINGS": "ignore", "TF_CPP_MIN_LOG_LEVEL": "3"}
START = """<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta http-equiv="Refresh" content="0; url={first}">
    <title>{title}</title>
  </head>
  <body>
    <p><a href="{first}">{title}</a></p>
  </body>
</html>
"""
GITHUB = "https://github.com"
LAUNCHERS = {
    "notebook_interface": "jupyterlab",
    "binderhub_url": "https://mybinder.org",
    "colab_url": "https://colab.research.google.com",
}
"""Services that open a notebook of a public GitHub repository, as the theme knows them."""


@dataclass(frozen=True)
class Repository:
    """The public repository that a book is built from.

    Attributes:
        address: ``https://github.com/OWNER/NAME``.
        commit: Full SHA of the commit, so that links show what made the book.
    """

    address: str
    commit: str

    def notebook(self, chapter: str) -> str:
        """Address of a chapter's tracked notebook."""
        return f"{self.address}/blob/{self.commit}/notebooks/{chapter}.ipynb"


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
        DataError: A chapter has not been executed, the run lacks what a page shows, or its
            files are not those that its ledger lists.
        ChapterError: A chapter holds an error, or the build warned or failed.
    """
    refuse_changed(run)
    staging, repository = BUILD / "book", published_from()
    shutil.rmtree(staging, ignore_errors=True)
    stage_pages(run, staging)
    stage_chapters(run, staging / "notebooks", repository)
    stage_config(staging, repository)
    copy_mathjax(staging / "extra" / "mathjax")
    copy_downloads(run, staging / "extra" / DOWNLOADS)
    write_demo(run, staging / "extra" / DEMO)
    built = run_jupyter_book(staging)
    write_start(built)
    with whole_folder(html, "index.html") as partial:
        shutil.copytree(built, partial, dirs_exist_ok=True)
    return html / "index.html"


def write_start(built: Path) -> None:
    """Write the page of the book's own address anew: Jupyter Book's has no title, no language
    and no way on for a browser that is not sent on by itself.

    Args:
        built: Folder of the built pages.
    """
    contents: dict[str, Any] = yaml.safe_load(Path(CONTENTS).read_text(encoding="utf-8"))
    config: dict[str, Any] = yaml.safe_load(Path(CONFIG).read_text(encoding="utf-8"))
    title, first = escape(config["title"]), f"{contents['root']}.html"
    page = START.format(title=title, first=first)
    (built / "index.html").write_text(with_policy(page), encoding="utf-8")


def stage_pages(run: Path, staging: Path) -> None:
    """Copy the prose pages, with the parts that are made from a run, and the static files."""
    shutil.copytree("book", staging / "book")
    shutil.copytree("book/_static", staging / "_static")
    for page in (staging / "book").glob("*.md"):
        page.write_text(fill_page(page.read_text(encoding="utf-8"), run), encoding="utf-8")


def stage_chapters(run: Path, target: Path, repository: Repository | None) -> None:
    """Copy the executed chapters, each with links to its files after its first cell.

    Raises:
        DataError: A chapter has not been executed.
        ChapterError: A chapter holds an error.
    """
    target.mkdir()
    for chapter in CHAPTERS:
        executed = run / "notebooks" / f"{chapter}.ipynb"
        if not executed.exists():
            raise DataError(f"{executed}: chapter has not run; run `birads study`")
        notebook = nbformat.read(executed, as_version=4)
        refuse_errors(chapter, notebook)
        address = repository.notebook(chapter) if repository else None
        header = chapter_header(chapter, address)
        notebook.cells.insert(1, nbformat.v4.new_markdown_cell(header, id="chapter-files"))
        nbformat.write(notebook, target / executed.name)


def stage_config(staging: Path, repository: Repository | None) -> None:
    """Copy the book's configuration; launch buttons only where what they open is there."""
    shutil.copy(CONTENTS, staging)
    if repository is None:
        shutil.copy(CONFIG, staging)
        return
    config: dict[str, Any] = yaml.safe_load(Path(CONFIG).read_text(encoding="utf-8"))
    config["repository"] = {"url": repository.address, "branch": repository.commit}
    config["launch_buttons"] = LAUNCHERS
    (staging / CONFIG).write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def published_from() -> Repository | None:
    """The GitHub repository whose workflow builds this book; ``None`` anywhere else.

    A workflow's variables alone do not tell: its tests build books in folders that are not
    the repository's. The folder must be a checkout of it, at the workflow's commit.
    """
    server, name, commit = (
        os.environ.get(f"GITHUB_{key}", "") for key in ("SERVER_URL", "REPOSITORY", "SHA")
    )
    address = f"{server}/{name}"
    if server != GITHUB or not name or not commit:
        return None
    if _git("remote", "get-url", "origin").removesuffix(".git") != address:
        return None
    return Repository(address, commit) if _git("rev-parse", "HEAD") == commit else None


def _git(*arguments: str) -> str:
    """What git says of the folder; nothing if it is no checkout."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def run_jupyter_book(staging: Path, builder: str = "html", strict: Sequence[str] = STRICT) -> Path:
    """Build the pages of a folder; the folder of the built ones.

    Args:
        staging: Pages, chapters and configuration.
        builder: ``"html"``, or another that Jupyter Book knows.
        strict: Options that turn warnings into errors.

    Raises:
        ChapterError: The build warned or failed.
        DiskFullError: There was no room for the pages.
    """
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(staging)]
    done = subprocess.run(
        [*command, "--builder", builder, *OPTIONS, *strict],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **QUIET},
    )
    built = staging / "_build" / builder
    if os.strerror(errno.ENOSPC) in done.stdout + done.stderr:
        raise DiskFullError(f"{staging}: {os.strerror(errno.ENOSPC)}; make room")
    if done.returncode or not (built / "index.html").exists():
        raise ChapterError(f"the book did not build:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return built


def copy_mathjax(target: Path) -> None:
    """Copy MathJax, as far as pages need it, from the package that carries it."""
    files = [Path(str(f.locate())) for f in metadata.files(MATHJAX_PACKAGE) or ()]
    (start,) = (path for path in files if path.name == MATHJAX)
    fonts = Path("output", "chtml", "fonts")
    target.mkdir(parents=True)
    shutil.copy(start, target)
    shutil.copytree(start.parent / fonts, target / fonts)
