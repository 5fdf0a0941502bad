"""What the book's extension does to pages, on small ones."""

import ast
import base64
import hashlib
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from docutils import nodes
from docutils.utils import new_document
from sphinx.errors import SphinxError
from sphinx.ext.napoleon import Config
from sphinx.ext.napoleon.docstring import GoogleDocstring

from birads_lib.study.sphinx_pages import (
    drop_unneeded,
    lightened,
    mend_docstring,
    mend_signature,
    refuse_scripts,
    running_parts,
    with_policy,
)

BOOK = Path(__file__).resolve().parents[2] / "book"


def rules(page):
    (content,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    return dict(rule.split(" ", 1) for rule in content.replace("&#x27;", "'").split("; "))


def digest(code):
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"


def test_scripts_within_a_page_are_allowed_one_by_one():
    code = "\n  let a = '<b>';\n"
    page = f'<html><head><script>{code}</script><script src="a.js"></script></head></html>'
    allowed = rules(with_policy(page))["script-src"].split()
    assert digest(code) in allowed
    assert [rule for rule in allowed if rule.startswith("'sha256-")] == [digest(code)]
    assert "'unsafe-inline'" not in allowed


def test_a_page_without_scripts_allows_the_books_own_alone():
    found = rules(with_policy("<html><head></head></html>"))
    assert found["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert found["connect-src"] == found["default-src"] == "'self'"
    assert with_policy("no head") == "no head"


def test_handlers_in_a_page_are_allowed_one_by_one():
    page = '<html><head></head><button onclick="f(&quot;a&quot;)">x</button></html>'
    allowed = rules(with_policy(page))["script-src"].split()
    assert allowed[-2:] == ["'unsafe-hashes'", digest('f("a")')]


def entry(name, **attributes):
    return SimpleNamespace(filename=name, attributes=attributes)


def kept(doctree):
    context = {
        "script_files": [
            entry("_static/sphinx-thebe.js"),
            entry(None, body="const thebe_selector = 'x'"),
            entry("_static/doctools.js"),
            entry("../mathjax/tex-chtml.js"),
            entry(None, body="window.MathJax = {}"),
            entry(None, body="let own = 1"),
        ],
        "css_files": ["_static/sphinx-thebe.css", "_static/tables.css"],
    }
    drop_unneeded(None, "page", "template", context, doctree)
    assert context["css_files"] == ["_static/tables.css"]
    return [e.filename or e.attributes["body"] for e in context["script_files"]]


def test_entries_of_thebe_go_and_formulas_are_set_only_where_there_are_any():
    plain, formulas = new_document("plain"), new_document("formulas")
    formulas += nodes.paragraph("", "", nodes.math("x", "x"))
    own = ["_static/doctools.js", "let own = 1"]
    assert kept(plain) == kept(None) == own
    assert kept(formulas) == [
        "_static/doctools.js", "../mathjax/tex-chtml.js", "window.MathJax = {}", "let own = 1"
    ]  # fmt: skip


def test_the_icons_script_is_taken_out_and_nothing_else():
    page = (
        '<link rel="preload" as="script" href="a/fontawesome.js?digest=1">'
        '<script defer src="a/fontawesome.js?digest=1"></script><script src="b.js"></script>'
    )
    assert lightened(page) == '<script src="b.js"></script>'


def test_the_index_of_words_is_loaded_by_the_page_that_searches_alone():
    page = '<script src="_static/searchtools.js"></script><script src="searchindex.js"></script>'
    page = page.replace('"searchindex', '"../searchindex')
    assert lightened(page) == ""
    assert lightened(page, searches=True) == page


def test_pictures_of_chapters_wait_until_they_come_near():
    assert lightened('<img alt="a" src="../_images/1.png">') == (
        '<img loading="lazy" alt="a" src="../_images/1.png">'
    )
    assert lightened('<img src="logo.png">') == '<img src="logo.png">'


def test_an_empty_cell_is_no_heading():
    page = '<tr><th class="head"><p></p></th><th class="head"><p>a</p></th></tr>'
    assert lightened(page) == '<tr><td class="head"></td><th class="head"><p>a</p></th></tr>'


# What a page says


def saying(*parts):
    """A page of these nodes."""
    page = new_document("page")
    page += nodes.paragraph("", "", *parts)
    return page


def raw(text):
    return nodes.raw("", text, format="html")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("<script>alert(1)</script>", "a script"),
        ("<script>", "a script"),
        ("<SCRIPT type='text/javascript'\n>", "a script"),
        ('<script src="">', "a script"),
        ("<img src=x onerror=alert(1)>", "an attribute onerror"),
        ("<svg/onload=alert(1)>", "an attribute onload"),
        ('<p\nOnClick="a()">', "an attribute onclick"),
        ('<a href="javascript:a()">', "the address 'javascript:a()'"),
        ('<a href=" &#106;avascript:a()">', "the address ' javascript:a()'"),
        ('<form action="JavaScript:a()">', "the address 'JavaScript:a()'"),
        ("<iframe srcdoc='<script>a()</script>'>", "an attribute srcdoc"),
        ('<object data="data:text/html,x">', "the address 'data:text/html,x'"),
    ],
)
def test_a_page_that_says_what_would_run_is_not_built(text, named):
    with pytest.raises(SphinxError, match=re.escape(f"notebooks/gate: {named} in what the page")):
        refuse_scripts(None, saying(raw("<b>"), raw(text)), "notebooks/gate")


def test_a_link_that_would_run_is_not_built():
    link = nodes.reference("", "here", refuri="javascript:alert(1)")
    with pytest.raises(SphinxError, match="the address 'javascript:alert"):
        refuse_scripts(None, saying(link), "page")


@pytest.mark.parametrize(
    "text",
    [
        "&lt;script&gt; and on = 1, once = 2",
        '<script type="module" src="../demo/demo.js"></script>',
        '<td class="data">one=1 &lt;b onclick=&quot;a()&quot;&gt;</td>',
        '<img src="data:image/png;base64,AAAA" alt="javascript: a language">',
    ],
)
def test_words_files_and_pictures_are_built(text):
    link = nodes.reference("", "here", refuri="https://doi.org/10.1/2")
    said = saying(raw(text), link, nodes.Text("<script>"))
    assert refuse_scripts(None, said, "page") is None, "it raises where something would run"


def test_the_books_own_html_would_run_nothing_by_itself():
    files = [*BOOK.rglob("*.html"), *BOOK.glob("*.md")]
    assert len(files) > 10
    assert {path.name: running_parts(path.read_text()) for path in files} == {
        path.name: [] for path in files
    }


def as_napoleon_reads(what, text):
    """Lines of reStructuredText that become of a docstring."""
    lines = text.split("\n")
    mend_docstring(None, what, "name", None, None, lines)
    config = Config(napoleon_use_ivar=True, napoleon_use_rtype=False)
    return GoogleDocstring(lines, config, None, what, "name").lines()


@pytest.mark.parametrize("what", ["data", "attribute", "property"])
def test_the_text_of_a_constant_is_no_type(what):
    lines = as_napoleon_reads(what, "Environment variable: set by a step.\n\nOr: not.")
    assert lines[0] == "Environment variable: set by a step."
    assert not [line for line in lines if ":type:" in line]


def test_a_sentence_about_what_is_returned_stays_whole():
    text = "Do.\n\nReturns:\n    Rows by (ID, figure): printed.\n    More: text."
    lines = as_napoleon_reads("function", text)
    assert [line.strip() for line in lines[2:4]] == [
        ":returns: Rows by (ID, figure): printed.", "More: text.",
    ]  # fmt: skip


def test_a_default_that_is_no_python_is_left_open():
    signature = "(root: ~pathlib.Path, of: ~collections.Counter[str] = <factory>)"
    mended, answer = mend_signature(None, "class", "C", None, None, signature, None)
    assert mended == "(root: ~pathlib.Path, of: ~collections.Counter[str] =...)"
    ast.parse(f"def f{mended.replace('~', '')}: pass")
    assert answer is None
    assert mend_signature(None, "data", "D", None, None, None, None) == (None, None)


def test_attributes_that_are_described_together_stand_one_by_one():
    text = (
        "A.\n\nAttributes:\n    a, b: Both\n        of them.\n    c: One.\n\nAnd d, e: not these."
    )
    lines = text.split("\n")
    mend_docstring(None, "class", "", None, None, lines)
    both = ": Both\n        of them.\n"
    assert "\n".join(lines) == text.replace(f"    a, b{both}", f"    a{both}    b{both}")
