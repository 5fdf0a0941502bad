"""Every built page in a browser: alone with its own host, accessible, and fit for a phone."""

import gzip
import re
from urllib.parse import unquote, urldefrag, urljoin, urlparse

import pytest
from accessible import beyond_the_theme, violations
from studies import contents

PAGES = [*contents(), "search"]
"""Those of the table of contents, and those that Sphinx adds."""
START = "index"  # leads on to the first page
WINDOWS = {
    "phone": {"width": 360, "height": 740},
    "desk": {"width": 1280, "height": 900},
}
FORMULA = "article .math"
MOST_BYTES = 1_000_000  # of a page's first view, text compressed as hosts send it
TEXT = {".html", ".js", ".css", ".json", ".svg"}


def weight(files):
    """Bytes of files, as they lie there and as hosts send them."""
    sent = [
        len(gzip.compress(path.read_bytes())) if path.suffix in TEXT else path.stat().st_size
        for path in files
    ]
    return {"raw": sum(path.stat().st_size for path in files), "sent": sum(sent)}


def test_every_page_is_among_those_looked_at(pages):
    built = {path.relative_to(pages).with_suffix("").as_posix() for path in pages.rglob("*.html")}
    assert built == {START, *PAGES}


def settings_of(page, shape):
    """A window for a page; of two pages that follow each other, one is dark and one is light."""
    schemes = ["dark", "light"] if PAGES.index(page) % 2 else ["light", "dark"]
    return {"viewport": WINDOWS[shape], "color_scheme": schemes[list(WINDOWS).index(shape)]}


@pytest.mark.parametrize("shape", WINDOWS)
@pytest.mark.parametrize("page", PAGES)
def test_page_keeps_to_itself_is_light_accessible_and_fits_its_window(
    page, shape, site, pages, visit, axe, measured
):
    window = visit(**settings_of(page, shape))
    window.page.goto(f"{site}/{page}.html", wait_until="load")
    asked = {pages / urlparse(url).path.lstrip("/") for url in window.asked}
    bytes_of = weight([path for path in asked if path.is_file()])
    policy = window.page.locator("meta[http-equiv='Content-Security-Policy']")
    rules = dict(rule.split(" ", 1) for rule in policy.get_attribute("content").split("; "))
    found = violations(window.page, axe)
    scheme = settings_of(page, shape)["color_scheme"]
    measured["pages"].setdefault(page, {})[shape] = {**bytes_of, "scheme": scheme, "axe": found}
    assert bytes_of["sent"] < MOST_BYTES
    assert rules["script-src"].startswith("'self' ")
    assert "unsafe-inline" not in rules["script-src"]
    wide = window.page.evaluate("() => document.scrollingElement.scrollWidth")
    assert wide <= WINDOWS[shape]["width"], "the page can be moved sideways"
    assert beyond_the_theme(found, window.page) == {}
    if window.page.locator(FORMULA).count():
        window.page.wait_for_selector("mjx-container mjx-math", state="attached")
        assert "\\(" not in window.page.inner_text("article")
        faulty = window.page.locator("mjx-merror, [data-mjx-error]")
        assert faulty.count() == 0, faulty.all_inner_texts()
    assert window.foreign == []
    assert window.errors == []


def test_there_are_formulas_to_be_set(pages):
    page = (pages / "notebooks" / "attention.html").read_text(encoding="utf-8")
    assert page.count('class="math notranslate') > 5


def test_the_address_of_the_book_leads_to_its_first_page(site, visit):
    window = visit()
    window.page.goto(f"{site}/")
    window.page.wait_for_url(f"{site}/{contents()[0]}.html")
    assert window.foreign == []
    assert window.errors == []


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


SORTABLE = """<table class="sortable"><thead><tr><th></th><th>paper</th><th>word</th></tr></thead>
<tbody>{}</tbody></table><script src="{}/_static/tables.js"></script>"""


def test_a_table_is_sorted_by_the_numbers_that_its_cells_begin_with(site, visit):
    window, values = visit(), ["0.9", "1,329", "-0.5 points", "", "2", "0.125", "no figure", "48"]
    rows = "".join(f"<tr><th>{i}</th><td>{v}</td><td>x</td></tr>" for i, v in enumerate(values))
    window.page.goto(f"{site}/book/glossary.html")
    window.page.route("**/made.html", lambda route: route.fulfill(
        body=SORTABLE.format(rows, site), content_type="text/html"))  # fmt: skip
    window.page.goto(f"{site}/made.html")
    button = window.page.get_by_role("button", name="paper")
    button.focus()
    window.page.keyboard.press("Enter")
    ordered = ["-0.5 points", "0.125", "0.9", "2", "48", "1,329", "", "no figure"]
    cells = window.page.locator("tbody td:nth-child(2)")
    assert cells.all_inner_texts() == ordered
    heading = window.page.locator("th[aria-sort=ascending]")
    assert heading.all_inner_texts() == ["paper"]
    button.click()
    assert cells.all_inner_texts() == ordered[::-1]
    assert window.page.get_by_role("button").count() == 2, "an empty heading sorts nothing"
    assert window.errors == []


def test_the_books_long_tables_can_be_sorted(site, visit):
    window = visit()
    window.page.goto(f"{site}/notebooks/verdict.html", wait_until="load")
    table = window.page.locator("table.sortable").first
    assert table.locator("thead th[aria-sort] button").count() >= 4


def test_other_hosts_would_be_noticed(site, visit):
    window = visit(bypass_csp=True)
    window.page.goto(f"{site}/book/glossary.html")
    window.page.evaluate("() => fetch('http://other.invalid/x').catch(() => null)")
    assert window.foreign == ["http://other.invalid/x"]
    assert urljoin(site, "/") not in window.foreign
