"""Sphinx extension for the book: pages that ask no other host for anything.

* The theme's entries for running code on a page (thebe) go: they load from elsewhere, and
  their constants stand on each page twice, which is an error.
* Every page states a content security policy: scripts, styles, fonts and pictures come from
  the book itself; of scripts within a page only those that were there when it was built.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

LATE = 900  # after the theme's own
UNWANTED = "thebe"
SCRIPT = re.compile(r"<script(?P<attributes>[^>]*)>(?P<code>.*?)</script>", re.S)
HEAD = re.compile(r"<head>")
POLICY = {
    "default-src": "'self'",
    "script-src": "'self' 'wasm-unsafe-eval'",  # the demo's networks are WebAssembly
    "style-src": "'self' 'unsafe-inline'",  # tables of numbers carry their own
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
}


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("html-page-context", drop_thebe, priority=LATE)
    app.connect("build-finished", write_policies, priority=LATE)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def drop_thebe(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Take the entries for thebe out of a page's scripts and styles."""
    for kind in ("script_files", "css_files"):
        context[kind] = [entry for entry in context.get(kind, []) if not _unwanted(entry)]


def write_policies(app: Sphinx, error: Exception | None) -> None:
    """Give every built page its policy."""
    if error is None and app.builder.format == "html":
        for path in Path(app.outdir).rglob("*.html"):
            text = path.read_text(encoding="utf-8")
            path.write_text(with_policy(text), encoding="utf-8")


def with_policy(page: str) -> str:
    """A page that states its content security policy; one without a head as it is."""
    codes = {m["code"] for m in SCRIPT.finditer(page) if "src=" not in m["attributes"]}
    hashes = sorted(_hash(code) for code in codes if code)
    allowed = {**POLICY, "script-src": " ".join([POLICY["script-src"], *hashes])}
    content = "; ".join(f"{what} {where}" for what, where in allowed.items())
    tag = f'<meta http-equiv="Content-Security-Policy" content="{html.escape(content)}">'
    return HEAD.sub(f"<head>\n    {tag}", page, count=1)


def _hash(code: str) -> str:
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _unwanted(entry: Any) -> bool:
    attributes = getattr(entry, "attributes", {})
    return UNWANTED in f"{getattr(entry, 'filename', entry)} {attributes.get('body', '')}"
