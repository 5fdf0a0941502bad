"""Names and texts from data show on the book's pages as they are; none becomes part of a page."""

import html
import random
import re
from pathlib import Path

import docutils.core
import nbformat
import pandas as pd
import pytest
from markdown_it.renderer import RendererHTML
from myst_parser.config.main import MdParserConfig
from myst_parser.docutils_ import Parser
from myst_parser.parsers.mdit import create_md_parser

from birads_lib.errors import one_line
from birads_lib.files import read_json, write_json
from birads_lib.study import ablations, pages
from birads_lib.study.markup import code, plain
from birads_lib.study.run import Run

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "<script>alert(1)</script>"
HOSTILE = (
    SCRIPT,
    '<img src=x onerror="alert(1)">',
    "](javascript:alert(1))",
    "[a](https://other.invalid)",
    "![a](x.png)",
    "<https://other.invalid>",
    "a | b |",
    "`a` ``b",
    "a\nb\n\n# c",
    "```{raw} html",
    ":::{include} /etc/passwd",
    "{raw}`a`",
    "{eval-rst}",
    "# a",
    "- a",
    "12. a",
    "> a",
    "% a",
    "===",
    "$a$ $$b$$",
    "*a* __b__ ~~c~~",
    "&lt;b&gt;",
    "a\\",
    "\\`<b>\\`",
    "    indented",
    "(a)=",
    "[^a]: b",
    "\u202etxt.exe",
)
ALPHABET = "a1_é \\`*{}[]<>&$|~^#+-.!:=%()\n/\"'@"
RANDOM = random.Random(0)
DRAWN = tuple("".join(RANDOM.choices(ALPHABET, k=RANDOM.randint(1, 12))) for _ in range(1500))
"""Names of the signs that mean something, by seed."""
PLACES = {"{}": "{}", "* {}\n": "{}", "Name: {}.": "Name: {}.", "**a** ({}); b": "a ({}); b"}
"""Markdown around a text, and how it shows."""
BUILDING = {"p", "ul", "li", "code", "strong", "table", "thead", "tbody", "tr", "th", "td"}
READER = create_md_parser(
    MdParserConfig(enable_extensions={"colon_fence", "deflist", "dollarmath"}), RendererHTML
)
"""Markdown as ``_config.yml`` has the book read it."""


def shown(markdown):
    """What a reader sees of Markdown; nothing but words, lists and tables may come of it."""
    page = READER.render(markdown)
    assert set(re.findall(r"</?([^\s>/]+)", page)) <= BUILDING, page
    return html.unescape(re.sub(r"<[^>]*>", "", page)).strip()


def without_room(text):
    """A text without its spaces, of which a page shows several as one."""
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("quote", [plain, code])
def test_a_text_shows_as_it_is_wherever_it_stands(quote, place):
    for text in filter(str.strip, (*HOSTILE, *DRAWN)):
        told = shown(place.format(quote(text)))
        assert without_room(told) == without_room(PLACES[place].format(one_line(text))), text


@pytest.mark.parametrize("quote", [plain, code])
def test_a_text_stays_in_its_cell(quote):
    for text in filter(str.strip, (*HOSTILE, *DRAWN)):
        page = READER.render(pages.table(("a", "b"), [(quote(text), "end")]))
        cells = re.findall(r"<td[^>]*>(.*?)</td>", page, re.S)
        assert len(cells) == 2, text
        told = html.unescape(re.sub(r"<[^>]*>", "", cells[0]))
        assert without_room(told) == without_room(one_line(text)), text


@pytest.mark.parametrize("text", ["gate", "3.11.7", "numpy 2.4", "data_merging", "0.5 of 2,000"])
def test_usual_words_and_numbers_stay_as_they_are(text):
    assert plain(text) == text
    assert code(text) == f"`{text}`"


def test_no_text_is_nothing():
    assert plain("") == plain(" ") == code("") == code("\t ".strip()) == ""


def test_without_it_the_texts_would_be_part_of_the_page():
    assert "<script>" in READER.render(SCRIPT)
    assert "<h1>" in READER.render("a\n\n# c")
    page = docutils.core.publish_string(
        SCRIPT, parser=Parser(), writer_name="html5", settings_overrides={"report_level": 5}
    )
    assert SCRIPT.encode() in page


# Tables of chapters


@pytest.fixture
def table_page(tmp_path, monkeypatch):
    """Makes the page of a chapter's table, as HTML."""

    def page(table, **formats):
        outputs = []
        monkeypatch.setattr("birads_lib.study.run.display", lambda said, **_: outputs.append(said))
        Run(tmp_path, "chapter", tiles=False).show_table(table, "made", SCRIPT, **formats)
        (output,) = outputs
        return output.data

    return page


@pytest.mark.parametrize("text", HOSTILE)
def test_cells_and_headings_of_a_table_show_as_they_are(table_page, text):
    index = pd.MultiIndex.from_tuples([(text, "a")], names=[text, "b"])
    columns = pd.MultiIndex.from_tuples([(text, "c")], names=[text, None])
    page = table_page(pd.DataFrame([[text]], index, columns))
    cells = re.findall(r"<t[hd](?: [^>]*)?>(.*?)</t[hd]>", page, re.S)
    assert [html.unescape(cell) for cell in cells].count(text) == 5
    assert not any("<" in cell or ">" in cell for cell in cells)
    assert html.unescape(re.search(r"<caption>(.*?)</caption>", page)[1]).startswith(SCRIPT)
    assert "<script" not in page


def test_a_formatter_may_give_html_and_gets_words_without_any(table_page):
    table = pd.DataFrame({"page": [SCRIPT], "share": [0.25]})
    formatter = {"page": "<b>{}</b>".format, "share": "{:.1%}"}
    page = table_page(table, formatter=formatter)
    assert f"<b>{html.escape(SCRIPT)}</b>" in page
    assert ">25.0%<" in page


def test_an_empty_heading_stays_a_cell_and_numbers_their_form(table_page):
    table = pd.DataFrame({"a": [1234.5678]}, index=pd.Index(["r"], name="row"))
    page = table_page(table, precision=2, thousands=",")
    assert ">1,234.57<" in page
    assert ">row<" in page
    assert not re.search(r"<th[^>]*>(&nbsp;)?</th>", page)


# Parts of pages


@pytest.mark.parametrize("text", HOSTILE)
def test_parts_of_pages_show_a_runs_own_words_as_they_are(copied, in_project, text):
    path = copied / "notebooks" / "gate.ipynb"
    notebook = nbformat.read(path, as_version=4)
    injected = next(
        c for c in notebook.cells if "injected-parameters" in c.metadata.get("tags", ())
    )
    injected.source = f"EPOCHS = {text!r}"
    nbformat.write(notebook, path)
    timing = copied / "timings" / "gate.json"
    step = read_json(timing)
    machine = {**step["machine"], "processor": text, "packages": {text: text}}
    write_json(timing, {**step, "machine": machine})
    (copied / "predictions" / "gate.parquet").rename(
        copied / "predictions" / f"{one_line(text).replace('/', '')}.parquet"
    )
    for part in (pages.figure_index, pages.status_machine, pages.predictions):
        page = READER.render(part(copied).replace(":::", ""))
        tags = set(re.findall(r"<([^\s>/]+)", page))
        assert tags <= BUILDING | {"a", "h2", "br"}, part
        assert all(re.match(r"\.\./|#fig-", link) for link in re.findall(r'href="([^"]*)', page))
    parameter = f"EPOCHS = {text!r}"
    assert parameter in html.unescape(READER.render(pages.figure_index(copied)))


def test_chapters_quote_what_a_reader_of_tiles_noticed_and_a_file_that_is_missing():
    chapters = {path.stem: path.read_text() for path in (ROOT / "notebooks").glob("*.py")}
    assert "{plain(note)}" in chapters["data_merging"]
    assert "{code(BENCH)}" in chapters["cost"]
    assert not any(re.search(r"\{(note|error|SRC|EXTERNAL|BENCH)\}", t) for t in chapters.values())


def test_a_sweeps_errors_show_as_they_are():
    for text in HOSTILE:
        found = {
            "failed": {text: text}, "missing": [text], "complete": False, "members": {},
            "date": "today", "commit": "0" * 40, "profile": "smoke",
        }  # fmt: skip
        said = ablations.provenance(found).replace(":::{warning}", "").removesuffix(":::")
        told = without_room(shown(said))
        assert f"{text}failed({text});{text}has".replace(text, without_room(one_line(text))) in told
