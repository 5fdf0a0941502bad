"""The book as one PDF: all pages in one, printed by a browser. Secondary; nothing rests on it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import yaml

from birads_lib.errors import ChapterError, DataError
from birads_lib.files import whole_file
from birads_lib.study.book import CONTENTS, run_jupyter_book
from birads_lib.study.profiles import BUILD
from birads_lib.study.server import book_server

PDF = BUILD / "book.pdf"
STAGED = BUILD / "book"
PAGE = "whole.html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SETTLES = 60_000  # milliseconds of the page's own clock, for formulas to be set
MOST_SECONDS = 300
CLOSED = re.compile(r"<details(?=[^>]*\bsd-dropdown\b)(?![^>]*\bopen\b)")
LATE = re.compile(r' loading="lazy"')


def print_book(out: Path = PDF, staged: Path = STAGED) -> Path:
    """Print the book that was built last.

    Args:
        out: File to write, whole or not at all.
        staged: Folder that ``build_book`` built the pages from.

    Raises:
        DataError: No book was built, or there is no browser.
        ChapterError: The pages could not be joined or printed.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise DataError(f"none of {', '.join(BROWSERS)} is installed; install Chromium to print")
    if not staged.is_dir():
        raise DataError(f"{staged}: no book there; run `make book` first")
    folder = run_jupyter_book(staged, "singlehtml", strict=())
    root = yaml.safe_load((staged / CONTENTS).read_text(encoding="utf-8"))["root"]
    text = (folder / f"{root}.html").read_text(encoding="utf-8")
    page = folder / PAGE  # where the addresses of this builder's pictures and styles begin
    page.write_text(for_paper(text), encoding="utf-8")
    with book_server(0, folder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            _print(browser, f"http://127.0.0.1:{server.server_port}/{page.name}", out)
        finally:
            server.shutdown()
    return out


def for_paper(page: str) -> str:
    """A page without what needs a click or a scroll: answers open, pictures there at once."""
    return LATE.sub("", CLOSED.sub("<details open", page))


def _print(browser: str, address: str, out: Path) -> None:
    with whole_file(out) as partial, tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [
                browser,
                "--headless",
                "--no-sandbox",  # a page of our own, from this computer
                f"--user-data-dir={profile}",
                "--disable-background-networking",
                "--no-pdf-header-footer",
                f"--virtual-time-budget={SETTLES}",
                f"--print-to-pdf={partial}",
                address,
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=MOST_SECONDS,
        )
        if done.returncode or partial.stat().st_size == 0:
            raise ChapterError(f"{out}: the browser did not print it:\n{done.stderr[-2000:]}")


if __name__ == "__main__":
    sys.exit(print(print_book()))
