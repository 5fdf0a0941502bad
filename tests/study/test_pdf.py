"""The book on paper: what needs a click stands open; what is missing is said in one line."""

import stat

import pytest

from birads_lib.errors import ChapterError, DataError
from birads_lib.study import pdf


def test_answers_stand_open_and_pictures_do_not_wait():
    page = (
        '<details class="sd-sphinx-override sd-dropdown sd-card"><summary>Answer</summary>'
        '<details class="sd-dropdown" open="open"><details class="hide above-input">'
        '<img loading="lazy" src="_images/a.png">'
    )
    found = pdf.for_paper(page)
    assert '<details open class="sd-sphinx-override sd-dropdown sd-card">' in found
    assert '<details class="sd-dropdown" open="open">' in found, "it was open"
    assert '<details class="hide above-input">' in found, "code stays folded"
    assert '<img src="_images/a.png">' in found


def test_without_a_browser_or_a_book_one_line_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(pdf, "BROWSERS", ("no-such-browser",))
    with pytest.raises(DataError, match="none of no-such-browser is installed; install Chromium"):
        pdf.print_book(tmp_path / "book.pdf", tmp_path)
    monkeypatch.setattr(pdf, "BROWSERS", ("true",))
    with pytest.raises(DataError, match="no book there; run `make book` first"):
        pdf.print_book(tmp_path / "book.pdf", tmp_path / "nowhere")


@pytest.fixture
def staged(tmp_path, monkeypatch):
    """A built page, and a browser that prints its address or fails."""

    def browser(script):
        folder = tmp_path / "singlehtml"
        (folder / "book").mkdir(parents=True)
        (folder / "index.html").write_text("elsewhere")
        (folder / "book" / "introduction.html").write_text("<p>all pages</p>")
        (tmp_path / "_toc.yml").write_text("root: book/introduction\n")
        program = tmp_path / "browser"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(pdf, "BROWSERS", (str(program),))
        monkeypatch.setattr(pdf, "run_jupyter_book", lambda *_, **__: folder)
        return tmp_path

    return browser


PRINTS = 'for x; do case $x in --print-to-pdf=*) out=${x#*=};; esac; done; echo "$x" > "$out"'


def test_the_page_of_all_pages_is_printed(staged, tmp_path):
    out = tmp_path / "out" / "book.pdf"
    assert pdf.print_book(out, staged(PRINTS)) == out
    assert out.read_text().startswith("http://127.0.0.1:")
    assert out.read_text().rstrip().endswith(f"/{pdf.PAGE}")
    assert (tmp_path / "singlehtml" / pdf.PAGE).read_text() == "<p>all pages</p>"


def test_a_browser_that_fails_leaves_no_file(staged, tmp_path):
    out = tmp_path / "out" / "book.pdf"
    with pytest.raises(ChapterError, match="the browser did not print it:\nno display"):
        pdf.print_book(out, staged("echo no display >&2; exit 3"))
    assert not out.exists()
