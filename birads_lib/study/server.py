"""The built book on this computer alone, with the headers that let its networks use all cores."""

from __future__ import annotations

import gzip
import io
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

from birads_lib.errors import DataError, UsageError
from birads_lib.study.book import HTML

HOST = "127.0.0.1"
ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
"""Browsers give a page shared memory, and so threads, only with these."""
PACKED = {".html", ".js", ".css", ".json", ".svg"}
"""Files of text, which hosts send packed."""


class BookHandler(SimpleHTTPRequestHandler):
    """Files of a folder, quietly; text is sent packed, as hosts on the web do."""

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        """Send the headers of the file that is asked for, and give what is to follow."""
        path = Path(self.translate_path(self.path))
        packs = "gzip" in self.headers.get("Accept-Encoding", "")
        if not (packs and path.suffix in PACKED and path.is_file()):
            return super().send_head()
        content = gzip.compress(path.read_bytes())
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return io.BytesIO(content)

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
