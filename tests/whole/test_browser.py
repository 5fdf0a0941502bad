"""Every built page in a browser: alone with its own host, accessible, and fit for a phone."""

import gzip
import re
from urllib.parse import unquote, urldefrag, urljoin, urlparse

import pytest
from studies import contents

from birads_lib.study.web import web_package

PAGES = contents()
PHONE = {"width": 360, "height": 740}
MOST_BYTES = 1_000_000  # of a page's first view, text compressed as hosts send it
TEXT = {".html", ".js", ".css", ".json", ".svg"}
BASELINE = {"region", "label-content-name-mismatch"}
"""What axe finds in the theme itself, on every page."""
BIBLIOGRAPHY = {"aria-required-children", "aria-allowed-role", "aria-deprecated-role"}
"""What it finds in addition where Sphinx lists references."""


def weight(path):
    return len(gzip.compress(path.read_bytes())) if path.suffix in TEXT else path.stat().st_size


@pytest.fixture(scope="module")
def axe():
    return (web_package("axe-core") / "axe.min.js").read_text()


@pytest.mark.parametrize("page", PAGES)
def test_page_keeps_to_itself_is_light_accessible_and_fits_a_phone(page, site, pages, visit, axe):
    window = visit(viewport=PHONE, color_scheme="dark")
    window.page.goto(f"{site}/{page}.html", wait_until="load")
    asked = {pages / urlparse(url).path.lstrip("/") for url in window.asked}
    assert sum(weight(path) for path in asked if path.is_file()) < MOST_BYTES
    policy = window.page.locator("meta[http-equiv='Content-Security-Policy']")
    rules = dict(rule.split(" ", 1) for rule in policy.get_attribute("content").split("; "))
    assert rules["script-src"].startswith("'self' ")
    assert "unsafe-inline" not in rules["script-src"]
    wide = window.page.evaluate("() => document.scrollingElement.scrollWidth")
    assert wide <= PHONE["width"], "the page can be moved sideways"
    window.page.evaluate(axe)
    found = window.page.evaluate("() => axe.run().then(r => r.violations)")
    known = BASELINE | (BIBLIOGRAPHY if "citation" in window.page.content() else set())
    beyond = {v["id"]: [n["html"][:120] for n in v["nodes"][:3]] for v in found}
    assert {name: nodes for name, nodes in beyond.items() if name not in known} == {}
    assert window.foreign == []
    assert window.errors == []


@pytest.mark.parametrize("page", ["book/introduction", "notebooks/gate", "notebooks/verdict"])
def test_page_is_accessible_on_a_desk_in_the_light(page, site, visit, axe):
    window = visit(viewport={"width": 1280, "height": 900}, color_scheme="light")
    window.page.goto(f"{site}/{page}.html", wait_until="load")
    window.page.evaluate(axe)
    found = window.page.evaluate("() => axe.run().then(r => r.violations)")
    assert {v["id"] for v in found} <= BASELINE
    assert window.errors == []


def test_formulas_are_set(site, visit):
    window = visit()
    window.page.goto(f"{site}/notebooks/attention.html")
    window.page.wait_for_selector("mjx-container mjx-math")
    assert "\\(" not in window.page.inner_text("article")


def test_search_finds_a_word(site, visit):
    window = visit()
    window.page.goto(f"{site}/search.html?q=microcalcification")
    window.page.wait_for_selector("#search-results li a")
    assert window.foreign == []
    assert "glossary" in window.page.inner_html("#search-results")


def test_every_link_and_anchor_of_the_book_leads_somewhere(pages):
    texts = {path: path.read_text(encoding="utf-8") for path in pages.rglob("*.html")}
    ids = {path: set(re.findall(r'\b(?:id|name)="([^"]+)"', text)) for path, text in texts.items()}
    broken = []
    for path, text in texts.items():
        for link in re.findall(r'<(?:a|link|script|img)[^>]*\b(?:href|src)="([^"]+)"', text):
            if urlparse(link).scheme or link.startswith(("//", "#top")):
                continue
            place, anchor = urldefrag(unquote(link).replace("&amp;", "&"))
            place = place.split("?")[0]
            target = (path.parent / place).resolve() if place else path
            if target.is_dir():
                target = target / "index.html"
            if not target.exists() or (anchor and target in ids and anchor not in ids[target]):
                broken.append((path.relative_to(pages).as_posix(), link))
    assert broken == []


def test_a_page_opened_as_a_file_shows_itself_without_a_complaint(pages, visit):
    window = visit()
    window.context.unroute_all()
    window.page.goto((pages / "book" / "introduction.html").as_uri())
    assert window.page.inner_text("h1")
    assert window.errors == []


def test_other_hosts_would_be_noticed(site, visit):
    window = visit(bypass_csp=True)
    window.page.goto(f"{site}/book/glossary.html")
    window.page.evaluate("() => fetch('http://other.invalid/x').catch(() => null)")
    assert window.foreign == ["http://other.invalid/x"]
    assert urljoin(site, "/") not in window.foreign
