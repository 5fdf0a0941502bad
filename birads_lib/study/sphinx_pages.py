"""Sphinx extension for the book: pages that ask no other host for anything.

* The theme's entries for running code on a page (thebe) go: they load from elsewhere, and
  their constants stand on each page twice, which is an error.
* A page loads what its first view needs: MathJax only where there are formulas, the index of
  words only for a search, pictures when they come near, and no script that draws icons: the
  theme's style sheet has the same ones as a font, a tenth of the size.
* An empty cell above or beside a table's headings is no heading.
* Every page states a content security policy: scripts, styles, fonts and pictures come from
  the book itself; of scripts within a page only those that were there when it was built.
* What a page says brings no script along: one that came in with a name or a text stops the build.
* In the API reference a constant's text is no type, attributes that are described together stand
  one by one, and a value that is longer than a few lines is left to the source.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.ext.autodoc import DataDocumenter
from sphinx.util.inspect import object_description

EARLY, LATE = 100, 900  # before and after what the theme adds
UNWANTED, FORMULAS = "thebe", "mathjax"
ICONS = re.compile(r"<(script|link)[^>]*/fontawesome\.js[^>]*>(</script>)?")
SEARCH_PAGE = "search.html"
SEARCH = re.compile(r"<script[^>]*/(searchtools|language_data|searchindex)\.js[^>]*></script>")
PICTURE = re.compile(r'<img(?=[^>]*src="[^"]*_images/)(?![^>]*loading=)')
BLANK = re.compile(r"<th(?P<attributes>[^>]*)>(<p></p>)?</th>")
HANDLER = re.compile(r"""\son[a-z]+="(?P<code>[^"]+)\"""")
SCRIPT = re.compile(r"<script(?P<attributes>[^>]*)>(?P<code>.*?)</script>", re.S)
HEAD = re.compile(r"<head>")
ATTRIBUTES = re.compile(r"(?<=^Attributes:\n)(?:(?: +.*)?(?:\n|\Z))+", re.M)
TOGETHER = re.compile(
    r"^(?P<indent> +)(?P<names>\w+(?:, \w+)+):(?P<text>.*(?:\n(?P=indent) +.*)*)", re.M
)
RETURNS = re.compile(r"^(?:Returns|Yields):\n +", re.M)
NO_PYTHON = re.compile(r"= ?<[^>]*>")
LONGEST_VALUE = 160  # characters
RUNS = re.compile(r"[\x00-\x20]*(?:javascript|vbscript|data:text/html)", re.I)
"""How an address begins that a browser runs."""
ADDRESSES = {"action", "data", "formaction", "href", "src", "xlink:href"}
"""Attributes that hold one."""
FORMULA_NODES = (nodes.math, nodes.math_block)
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
    app.setup_extension("sphinx.ext.autodoc")
    app.add_autodocumenter(ShortData, override=True)
    app.connect("autodoc-process-docstring", mend_docstring, priority=EARLY)
    app.connect("autodoc-process-signature", mend_signature)
    app.connect("doctree-resolved", refuse_scripts, priority=EARLY)
    app.connect("html-page-context", drop_unneeded, priority=LATE)
    app.connect("build-finished", finish_pages, priority=LATE)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class ShortData(DataDocumenter):
    """Documents a constant; a long value stays in the source."""

    def should_suppress_value_header(self) -> bool:
        """Whether the value is left out."""
        long = len(object_description(self.object)) > LONGEST_VALUE
        return long or super().should_suppress_value_header()


def mend_docstring(
    app: Sphinx, what: str, name: str, found: Any, options: Any, lines: list[str]
) -> None:
    """Change a docstring's lines before napoleon reads them.

    It takes what stands before a sentence's first colon for a type, unless nothing does.
    """
    if what in ("data", "attribute", "property"):
        lines[0] = f": {lines[0]}"
    else:
        text = ATTRIBUTES.sub(lambda part: TOGETHER.sub(_one_by_one, part[0]), "\n".join(lines))
        lines[:] = RETURNS.sub(r"\g<0>: ", text).split("\n")


def mend_signature(
    app: Sphinx,
    what: str,
    name: str,
    found: Any,
    options: Any,
    signature: str | None,
    answer: str | None,
) -> tuple[str | None, str | None]:
    """Write a default that is no Python, such as ``<factory>``, as ``...``.

    Sphinx leaves a signature that it cannot parse as it is, names of modules and all.
    """
    return signature and NO_PYTHON.sub("=...", signature), answer


def _one_by_one(entry: re.Match[str]) -> str:
    names = entry["names"].split(", ")
    return "\n".join(f"{entry['indent']}{name}:{entry['text']}" for name in names)


def refuse_scripts(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Stop the build if what a page says would run in a browser.

    Scripts of the book are files of its own, which a page may name; those of the theme are no
    part of what a page says.

    Raises:
        SphinxError: The page holds a script, a handler of an event, or an address that runs.
    """
    found = [what for node in doctree.findall(nodes.raw) for what in running_parts(node.astext())]
    targets = [node.get("refuri", "") for node in doctree.findall(nodes.reference)]
    found += [f"the address {target!r}" for target in targets if RUNS.match(target)]
    if found:
        raise SphinxError(
            f"{page}: {found[0]} in what the page says; quote it by birads_lib.study.markup"
        )


def running_parts(text: str) -> list[str]:
    """What in a piece of HTML a browser would run, but for scripts that are files; in words."""
    reader = _RunningParts()
    reader.feed(text)
    reader.close()
    return reader.found


class _RunningParts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "script" and not dict(attributes).get("src"):
            self.found.append("a script")
        for name, value in attributes:
            if name.startswith("on") or name == "srcdoc":
                self.found.append(f"an attribute {name}")
            elif name in ADDRESSES and RUNS.match(value or ""):
                self.found.append(f"the address {value!r}")


def drop_unneeded(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Take thebe out of a page's scripts and styles, and MathJax where it sets nothing."""
    unwanted = [UNWANTED] if _has_formulas(doctree) else [UNWANTED, FORMULAS]
    for kind in ("script_files", "css_files"):
        entries = context.get(kind, [])
        context[kind] = [e for e in entries if not any(name in _text(e) for name in unwanted)]


def finish_pages(app: Sphinx, error: Exception | None) -> None:
    """Make every built page light, and give it its policy."""
    if error is None and app.builder.format == "html":
        for template in Path(app.outdir, "_static").rglob("*.html"):
            template.unlink()  # the theme leaves one that is no page
        for path in Path(app.outdir).rglob("*.html"):
            text = path.read_text(encoding="utf-8")
            light = lightened(text, searches=path.name == SEARCH_PAGE)
            path.write_text(with_policy(light), encoding="utf-8")


def lightened(page: str, searches: bool = False) -> str:
    """A page that loads only what its first view needs.

    Args:
        page: HTML.
        searches: Whether it is the page that looks words up.
    """
    page = ICONS.sub("", page)
    page = page if searches else SEARCH.sub("", page)
    page = PICTURE.sub('<img loading="lazy"', page)
    return BLANK.sub(r"<td\g<attributes>></td>", page)


def with_policy(page: str) -> str:
    """A page that states its content security policy; one without a head as it is."""
    scripts = {m["code"] for m in SCRIPT.finditer(page) if "src=" not in m["attributes"]}
    handlers = {html.unescape(m["code"]) for m in HANDLER.finditer(page)}
    hashes = [*sorted(map(_hash, scripts - {""})), *(["'unsafe-hashes'"] if handlers else [])]
    hashes += sorted(map(_hash, handlers))
    allowed = {**POLICY, "script-src": " ".join([POLICY["script-src"], *hashes])}
    content = "; ".join(f"{what} {where}" for what, where in allowed.items())
    tag = f'<meta http-equiv="Content-Security-Policy" content="{html.escape(content)}">'
    return HEAD.sub(f"<head>\n    {tag}", page, count=1)


def _hash(code: str) -> str:
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _has_formulas(doctree: Any) -> bool:
    return doctree is not None and any(doctree.findall(lambda n: isinstance(n, FORMULA_NODES)))


def _text(entry: Any) -> str:
    """What a script or style entry names or holds."""
    attributes = getattr(entry, "attributes", {})
    return f"{getattr(entry, 'filename', entry)} {attributes.get('body', '')}".lower()
