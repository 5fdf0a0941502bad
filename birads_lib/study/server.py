"""The built book on this computer alone, with the headers that let its networks use all cores."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from birads_lib.errors import DataError, UsageError
from birads_lib.study.book import HTML

HOST = "127.0.0.1"
ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
"""Browsers give a page shared memory, and so threads, only with these."""


class BookHandler(SimpleHTTPRequestHandler):
    """Files of a folder, quietly."""

    def end_headers(self) -> None:
        """Add the headers of isolation."""
        for name, value in ISOLATION.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing of single requests."""


def book_server(port: int, html: Path = HTML) -> ThreadingHTTPServer:
    """A server of the book, not yet started; port 0 takes a free one.

    Raises:
        DataError: There is no book.
        UsageError: The port is taken, or not for this user.
    """
    if not (html / "index.html").is_file():
        raise DataError(f"{html}: no book there; run `make book` first")
    try:
        return ThreadingHTTPServer((HOST, port), partial(BookHandler, directory=str(html)))
    except OSError as error:
        raise UsageError(f"port {port}: {error.strerror}; name another with --port") from None
