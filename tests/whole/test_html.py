"""The built book: what its pages link to is there, and they ask no other host for anything."""

import json
import re
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

from birads_lib.study.profiles import CHAPTERS
from birads_lib.study.questions import PREFIX

LINK = re.compile(r"""<(?:a|link|script|img|source)\b[^>]*?\s(?:href|src)=["']([^"']+)["']""")
LOADED = re.compile(
    r"""<(?:script|img|source|iframe)\b[^>]*\ssrc=["'](?:https?:)?//"""
    r"""|<link\b(?=[^>]*rel=["'](?:stylesheet|preload|icon)["'])[^>]*href=["'](?:https?:)?//"""
)


@pytest.fixture(scope="module")
def texts(pages):
    return {path.relative_to(pages): path.read_text() for path in pages.rglob("*.html")}


def test_every_link_within_the_book_leads_to_a_file(texts, pages):
    broken, seen = [], 0
    for page, text in texts.items():
        for link in LINK.findall(text):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or not parts.path:
                continue
            target = (pages / page).parent / unquote(urldefrag(parts.path).url)
            seen += 1
            if not (target.is_file() or (target / "index.html").is_file()):
                broken.append(f"{page}: {link}")
    assert seen > 1000
    assert broken == []


def test_no_page_loads_anything_from_another_host(texts):
    assert len(texts) > 30
    assert [str(page) for page, text in texts.items() if LOADED.search(text)] == []


def test_each_chapter_offers_notebook_script_predictions_and_figures(texts, pages):
    for chapter in CHAPTERS:
        page = next(text for path, text in texts.items() if path.stem == chapter)
        assert f"../downloads/notebooks/{chapter}.ipynb" in page
        assert f"../downloads/notebooks/{chapter}.py" in page
    for name in ("predictions/cascade.parquet", "predictions/cascade.csv", "figures/figure_5.svg",
                 "figures/table_1.csv", "results/metrics.json", "model_card.json"):  # fmt: skip
        assert (pages / "downloads" / name).is_file(), name


def test_the_front_page_states_the_findings_of_this_run(texts, simulated):
    front = next(text for path, text in texts.items() if path.stem == "introduction")
    verdicts = json.loads((simulated / "results" / "verdicts.json").read_text())
    verdicts = [verdict for verdict in verdicts if not verdict["id"].startswith(PREFIX)]
    fails = sum(verdict["verdict"] == "does not hold" for verdict in verdicts)
    assert f"<strong>{fails} of {len(verdicts)}</strong>" in front
    assert "simulated tiles" in front


def test_the_status_page_has_a_time_for_each_step(texts, simulated):
    status = next(text for path, text in texts.items() if path.stem == "status")
    for chapter in (*CHAPTERS, "results"):
        assert (simulated / "timings" / f"{chapter}.json").is_file()
    assert len(re.findall(r"<td[^>]*><p>\d+:\d\d</p></td>", status)) > len(CHAPTERS)


def test_no_button_opens_what_is_not_there_and_no_live_code_is_offered(texts):
    for page, text in texts.items():
        for word in ("mybinder.org", "colab.research", "kaggle.com/kernels"):
            assert f'href="https://{word}' not in text, page
        assert "initThebeSBT" not in text, page


def test_every_figure_of_the_index_leads_to_its_place(texts, pages):
    index = next(text for path, text in texts.items() if path.stem == "figure_index")
    places = re.findall(r'href="\.\./notebooks/(\w+)\.html#(fig-[\w-]+)"', index)
    assert len(places) > 20
    for chapter, anchor in places:
        assert f'id="{anchor}"' in (pages / "notebooks" / f"{chapter}.html").read_text()
