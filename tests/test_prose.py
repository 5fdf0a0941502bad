"""Numbers in prose: the paper's and the data set's may be typed, a measured one may not.

Looked at are decimals, percentages and whole numbers from 100 up: in the text of chapters and
pages, and in what code cells say (the words of ``run.say``, of captions and alt texts; what an
f-string computes is none of them). Each must be one of these, in just that many digits:

* what the paper prints, and figures of merit and counts that follow from its two matrices;
* counts and sizes of the data set, and settings of the chapter itself;
* a convention (``CONVENTIONS``), or a number that the page works out (``WORKED``), which is
  computed here again.

Anything else would have been typed where a result belongs.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jupytext
import numpy as np
import pytest

from birads_lib import metrics
from birads_lib.labels import BIRADS
from birads_lib.study import arithmetic, paper
from birads_lib.study.notebooks import PARAMETERS_TAG
from birads_lib.tiles import layout
from birads_lib.tiles.cbis_labels import shipped_counts

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.py"))
PAGES = sorted((ROOT / "book").glob("*.md"))
NOT_PROSE = re.compile(
    r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|https?://\S+|\]\([^)]*\)|DOI[^\s]*\s?\S+|\b\d{1,2}\.\d{4,}/\S+"
    r"|CC BY[-\w]* \d\.\d",
    re.S,
)
NUMBER = re.compile(
    r"(?<![\w.,/])(?<![A-Za-z]-)"
    r"(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+|\d+)(?=x?(?!\w))(?![.,]\d)"
    r"(?P<percent>(?:\s?(?:to|and|or|[-–])\s?[\d.]+)?\s?(?:%|per ?cent|(?:percentage )?points?\b))?"
)
SMALLEST = 100  # of the whole numbers looked at; below are steps, exercises, years of a woman

Shown = tuple[str, bool]
"""A number as it is shown, ``"0.781"``, and whether it is a percentage."""

CONVENTIONS: set[Shown] = {
    ("95", True), ("5", True),  # confidence of intervals, percentiles
    ("0.05", False),  # significance
    ("0.5", False), ("0.25", False), ("0.2", False),  # chance of 2, 4 and 5 classes
    ("50", True),
    ("100", False),  # percent in words, tiles in a hundred
    ("255", False),  # white
    ("0.1", False), ("0.2", False),  # mm of a pixel, of the Kaggle set's and mini-MIAS's scans
    ("3.11", False), ("3.12", False), ("3.13", False),  # Python
}  # fmt: skip


def numbers(text: str) -> Iterator[Shown]:
    """The numbers of a text that might be results."""
    for found in NUMBER.finditer(NOT_PROSE.sub(" ", text)):
        number, percent = found["number"].replace(",", ""), bool(found["percent"])
        if percent or "." in number or int(number) >= SMALLEST:
            yield number if number[0] != "." else f"0{number}", percent


def strange(text: str, known: set[Shown]) -> list[Shown]:
    return [shown for shown in numbers(text) if shown not in known]


def said(code: str) -> str:
    """Words in a code cell's strings; what f-strings compute, and how, is left out."""
    tree = ast.parse(code)
    formats = [n.format_spec for n in ast.walk(tree) if isinstance(n, ast.FormattedValue)]
    hidden = {id(part) for spec in formats if spec for part in ast.walk(spec)}
    texts = (n for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in hidden)
    return "\n".join(n.value for n in texts if isinstance(n.value, str))


def whole(value: float) -> Shown:
    return f"{value:.0f}", False


def share(value: float, digits: int = 3) -> set[Shown]:
    """A share 0..1 as a decimal and as a percentage with two digits less."""
    return {(f"{value:.{digits}f}", False), (f"{100 * value:.{digits - 2}f}", True)}


def as_printed(value: Any, percent: bool) -> set[Shown]:
    """A number of the paper, with and without the zeros at its end, as a share or in percent."""
    number = float(value)
    scale = 0.01 if percent else 100
    other = {(f"{number * scale:.6g}", not percent)} if percent or 0 < number < 1 else set()
    return {(str(value).replace(",", ""), percent), (f"{number:.10g}", percent)} | other


@cache
def printed() -> set[Shown]:
    """Every number of the register: in its quotation and as its value."""
    found: set[Shown] = set()
    for entry in paper.REGISTER:
        for number, percent in numbers(entry.quote):
            found |= as_printed(number, percent)
        values = entry.value if isinstance(entry.value, tuple) else (entry.value,)
        for value in values:
            if isinstance(value, int | float):
                found |= as_printed(value, entry.unit.startswith("%"))
    return found


@cache
def implied() -> set[Shown]:
    """Figures of merit of the paper's two matrices, to three digits, and their counts."""
    found: set[Shown] = set()
    for matrix in (paper.FIGURE_5, paper.TABLE_1):
        figures = metrics.class_figures(matrix).to_numpy().ravel().tolist()
        for value in (*figures, *metrics.overall_figures(matrix).values()):
            found |= share(value, 3) | share(value, 4)
        hits, total = matrix.diagonal(), matrix.sum()
        missed, alarms = matrix.sum(1) - hits, matrix.sum(0) - hits
        rejected = total - hits - missed - alarms
        sums = (matrix.sum(0), matrix.sum(1), total - matrix.sum(1), [hits.sum(), total])
        for counts in (hits, missed, alarms, rejected, *sums):
            found |= {whole(count) for count in counts}
    return found


@cache
def data_set() -> set[Shown]:
    """Sizes and counts of the Kaggle set, and the ACR's likelihoods of malignancy."""
    counts = (layout.TRAINING_COUNTS, layout.TEST10_COUNTS, layout.CV10_COUNTS)
    found = {whole(count) for part in counts for count in (*part, sum(part))}
    found |= {whole(layout.TILE), whole(layout.IMAGE_BYTES)}
    return found | {(n, True) for c in BIRADS for n in re.findall(r"\d+", c.likelihood)}


def of_prevalence(prevalence: float, tiles: int = 100_000) -> set[Shown]:
    """The paper's gate on so many tiles of which a share is infected."""
    gate = metrics.class_figures(paper.FIGURE_5).loc[1]
    infected = prevalence * tiles
    hits, alarms = infected * gate["sensitivity"], (tiles - infected) * (1 - gate["specificity"])
    shares = {(f"{100 * prevalence:g}", True), (f"{hits / (hits + alarms):.3f}", False)}
    return {whole(tiles), whole(infected), whole(hits), whole(alarms)} | shares


def of_cbis() -> set[Shown]:
    """The shipped counts of CBIS-DDSM, and how far the paper's reading agrees with them."""
    found = {shown for shown in numbers(str(shipped_counts())) if shown[0].isdigit()}
    table = np.array(list(shipped_counts()["by_assessment"]["all"]["merged"].values()))
    found |= {whole(count) for count in (*table.sum(0), *table.sum(1))}
    agreement = shipped_counts()["agreement"]
    for figure in (agreement["accuracy"], agreement["constant"]["accuracy"]):
        found |= share(figure["value"])
    return found | {(f"{agreement[k]['value']:.2f}", False) for k in ("kappa", "quadratic_kappa")}


def worked() -> dict[str, set[Shown]]:
    """Numbers that a chapter or page works out from printed ones, by its name."""
    gate = metrics.class_figures(paper.FIGURE_5)
    stopped, infected = paper.FIGURE_5[1, 0], paper.FIGURE_5[1].sum()
    right, (per_mille, alarms) = paper.TABLE_1.trace(), (9_900, 0.04 * 9_900)
    totals = {whole(t) for found in arithmetic.fitting_totals() for t in found}
    rows, hits, half = paper.FIGURE_5.sum(1), paper.FIGURE_5.trace(), math.ceil(infected / 2)
    return {
        "attention": {whole(infected - paper.TABLE_1[0].sum() - paper.TABLE_1[1:, 0].sum())},
        "birads_explained": {("10", True), ("50", True)} | of_cbis(),  # of categories 4A to 4C
        "cascade": {whole(right * paper.FIGURE_5[1, 1] / infected), whole(right - stopped)},
        "confusion_matrix": {
            (f"{100 * gate.loc[1, 'precision']:.0f}", True),
            (f"{100 * (1 - 1 / 8):g}", True),
            *(whole(count) for count in (half, hits - half, hits - rows[0])),
        }
        | share(rows[0] / rows.sum())
        | share(rows[1] / rows.sum())
        | share(1 - gate.loc[1, "specificity"])
        | of_prevalence(0.13)
        | of_prevalence(0.005)
        | of_prevalence(0.5),
        "gate": {whole(10_000), whole(per_mille), whole(alarms)},
        "label_meaning": of_cbis(),
        "paper_audit": totals | {whole(paper.TABLE_1[3].sum() - stopped)},
    }


@cache
def known_to(name: str) -> set[Shown]:
    """What a chapter or page of that name may type."""
    return printed() | implied() | data_set() | CONVENTIONS | worked().get(name, set())


def settings(cells: list[Any]) -> set[Shown]:
    """Values of a chapter's parameters, shares also in percent."""
    source = "\n".join(c.source for c in cells if PARAMETERS_TAG in c.metadata.get("tags", []))
    values = re.findall(r"(?<![\w.])\d*\.?\d+\b", source)
    return {shown for value in values for shown in as_printed(value, percent=False)}


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda p: p.stem)
def test_a_chapter_types_no_measured_number(chapter):
    cells = jupytext.read(chapter, fmt="py:percent").cells
    known = known_to(chapter.stem) | settings(cells)
    for cell in cells:
        if PARAMETERS_TAG not in cell.metadata.get("tags", []):
            text = cell.source if cell.cell_type == "markdown" else said(cell.source)
            assert strange(text, known) == [], cell.source.splitlines()[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_a_page_types_no_measured_number(page):
    assert strange(page.read_text(encoding="utf-8"), known_to(page.stem)) == []


@pytest.mark.parametrize(
    "typed",
    [
        "AUROC was 0.8731",
        "AUROC .87 (.85 to .89)",
        "sensitivity 0.73",
        "a balanced accuracy of 0.6",
        "right in 61.3 % of cases",
        "right in 64 % of cases",
        "right in 64% of cases",
        "from 58 to 64 % of cases",
        "64 per cent were found",
        "gained 3 percentage points",
        "beta of 3.17",
        "3.7x faster",
        "changed by -0.73",
        "it took 412 seconds",
        "all 6,398 tiles",
        "1234 lesions",
    ],
)
@pytest.mark.parametrize("name", ["gate", "confusion_matrix", "label_meaning", "introduction"])
def test_a_typed_result_would_be_found(typed, name):
    assert strange(typed, known_to(name))


def test_typed_results_would_be_found_in_what_code_says():
    code = """run.say(f"AUROC **{auroc:.3f}**, beside 0.73 before; " "64 % of {tiles:,} tiles")"""
    assert strange(said(code), known_to("gate")) == [("0.73", False), ("64", True)]


@pytest.mark.parametrize(
    "typed",
    [
        "95 % intervals of 48,646 tiles", "a precision of 0.781, or 78.1 %", "sensitivity .96",
        "299 x 299 px", "the paper says 93 %", "`0.73` and $0.73$", "EfficientNetB7, 3.11",
    ],
)  # fmt: skip
def test_what_the_paper_prints_may_be_typed(typed):
    assert strange(typed, known_to("gate")) == []


@pytest.mark.parametrize(
    ("typed", "most"),
    [
        ([(f"{i}", True) for i in range(1, 100)], 0.2),
        ([(f"{i / 10:.1f}", True) for i in range(1, 1000)], 0.05),
        ([(f"{i / 100:.2f}", False) for i in range(1, 100)], 0.2),
        ([(f"{i / 1000:.3f}", False) for i in range(1, 1000)], 0.05),
        ([(f"{i}", False) for i in range(100, 1000)], 0.1),
    ],
    ids=["whole percentages", "percentages", "two decimals", "three decimals", "counts"],
)
@pytest.mark.parametrize("name", [p.stem for p in (*CHAPTERS, *PAGES)])
def test_few_of_all_numbers_may_be_typed(name, typed, most):
    assert len(known_to(name) & set(typed)) < most * len(typed)
