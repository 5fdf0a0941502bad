"""What the book's extension does to pages, on small ones."""

import base64
import hashlib
import re
from types import SimpleNamespace

from birads_lib.study.sphinx_pages import drop_thebe, with_policy


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


def test_entries_of_thebe_go_and_others_stay():
    def entry(name, **attributes):
        return SimpleNamespace(filename=name, attributes=attributes)

    context = {
        "script_files": [
            entry("_static/sphinx-thebe.js"),
            entry(None, body="const thebe_selector = 'x'"),
            entry("_static/doctools.js"),
            entry(None, body="let own = 1"),
        ],
        "css_files": ["_static/sphinx-thebe.css", "_static/tables.css"],
    }
    drop_thebe(None, "page", "template", context, None)
    assert [e.filename for e in context["script_files"]] == ["_static/doctools.js", None]
    assert context["css_files"] == ["_static/tables.css"]
