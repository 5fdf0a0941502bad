"""Numbers in prose: the paper's and the data set's may be typed, a measured one may not.

A number with a decimal point, or a percentage, in a chapter's or page's text must be one that
the paper or the data set prints (the register, its matrices and what they imply, the known
counts, the shipped counts of CBIS-DDSM, the ACR's ranges) or a setting of a chapter. Anything
else would have been typed where a result belongs.
"""

import re
from pathlib import Path

import jupytext
import pytest

from birads_lib import metrics
from birads_lib.labels import BIRADS
from birads_lib.study import paper
from birads_lib.study.notebooks import PARAMETERS_TAG

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.py"))
PAGES = sorted((ROOT / "book").glob("*.md"))
NUMBER = re.compile(r"(?<![\w.])(?:\d+\.\d+|\.\d+|\d+(?=\s?%))(?![\w.]*\d)")
NOT_PROSE = re.compile(
    r"```.*?```|`[^`]*`|\$[^$]*\$|https?://\S+|\]\([^)]*\)|DOI[^\s]*\s?\S+|\b\d{1,2}\.\d{4,}/\S+",
    re.S,
)
PREVALENCES = (0.13, 0.005)
"""Shares of infected tiles for which a page works out the precision of the paper's gate."""
SETTINGS = {"95", "0.1", "0.05", "50", "3.11", "3.12", "3.13"}
"""Confidence of intervals, mm of a pixel, Python: conventions that are no result."""


def numbers(text):
    return NUMBER.findall(NOT_PROSE.sub(" ", text))


def value(number):
    return round(float(number), 6)


def implied():
    """Numbers that the paper prints or that follow from its own matrices, at any rounding."""
    raw = [
        float(x) for s in paper.REGISTER for x in re.findall(r"\d*\.?\d+", f"{s.quote} {s.value}")
    ]
    for matrix in (paper.FIGURE_5, paper.TABLE_1):
        figures = metrics.class_figures(matrix).to_numpy().ravel().tolist()
        raw += [*figures, *metrics.overall_figures(matrix).values()]
        raw += [x / matrix.sum() for x in (*matrix.ravel(), *matrix.sum(0), *matrix.sum(1))]
    gate = metrics.class_figures(paper.FIGURE_5).loc[1]
    for share in PREVALENCES:
        hits, alarms = share * gate["sensitivity"], (1 - share) * (1 - gate["specificity"])
        raw.append(hits / (hits + alarms))
    raw += [float(x) for c in BIRADS for x in re.findall(r"\d+", c.likelihood)]
    return {round(scale * x, digits) for x in raw for scale in (1, 100) for digits in range(6)}


@pytest.fixture(scope="module")
def allowed():
    from birads_lib.tiles.cbis_labels import shipped_counts

    counts = [float(x) for x in re.findall(r"\d+\.?\d*", str(shipped_counts()))]
    shipped = {
        round(scale * x, digits) for x in counts for scale in (1, 100) for digits in range(5)
    }
    return implied() | shipped | {float(x) for x in SETTINGS}


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda p: p.stem)
def test_a_chapters_prose_types_no_measured_number(chapter, allowed):
    cells = jupytext.read(chapter, fmt="py:percent").cells
    settings = "\n".join(c.source for c in cells if PARAMETERS_TAG in c.metadata.get("tags", []))
    known = allowed | {value(n) for n in re.findall(r"\d*\.?\d+", settings)}
    prose = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    assert [n for n in numbers(prose) if value(n) not in known] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_a_pages_prose_types_no_measured_number(page, allowed):
    assert [n for n in numbers(page.read_text()) if value(n) not in allowed] == []


@pytest.mark.parametrize("typed", ["AUROC was 0.8731", "right in 61.3 % of cases", "beta of 3.17"])
def test_a_typed_result_would_be_found(typed, allowed):
    assert [n for n in numbers(typed) if value(n) not in allowed]
