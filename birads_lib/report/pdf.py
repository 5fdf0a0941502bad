"""The report as PDF: selectable text, alternative text for pictures, the notice on each page."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib as mpl
from fpdf import FPDF
from fpdf.enums import TableBordersLayout
from fpdf.fonts import FontFace

from birads_lib.files import whole_file
from birads_lib.labels import BIRADS, LESION_CLASSES
from birads_lib.report import words
from birads_lib.report.drawing import pictures_of
from birads_lib.report.html import CAPTIONS
from birads_lib.report.reading import Finding, Report

FONT = "DejaVu Sans"  # carried by matplotlib; knows Latin, Greek and Cyrillic letters
FACES = {"": "DejaVuSans.ttf", "B": "DejaVuSans-Bold.ttf"}
MARGIN, GAP, LINE = 18, 4, 4.7  # mm
TEXT, SMALL, HEADING, TITLE = 9.5, 7.5, 12, 17  # pt
ALARM, ALARM_PAGE, BAR, RULE = (122, 59, 0), (255, 243, 226), (0, 114, 178), (138, 146, 156)


def write(report: Report, out: Path) -> None:
    """Write the document, whole or not at all."""
    document = as_document(report)
    with whole_file(out) as partial:
        document.output(str(partial))


def as_document(report: Report) -> FPDF:
    """The document, ready to be written."""
    pdf = _Pages(report)
    pdf.add_page()
    pdf.heading(words.title(report), TITLE)
    pdf.sentences([words.made_on(report)], SMALL)
    pdf.boxed(words.NOTICE, "B")
    if report.model.simulated:
        pdf.boxed(words.SIMULATED)
    card = pdf.add_link()
    pdf.linked(words.CARD_LINK, card)
    for number, finding in enumerate(report.findings):
        if number:
            pdf.add_page()
        _add_finding(pdf, finding, report)
    pdf.add_page()
    _add_explanations(pdf, report, card)
    return pdf


def _add_finding(pdf: _Pages, finding: Finding, report: Report) -> None:
    pdf.heading(f"Picture {finding.picture.name}")
    pdf.sentences([f"Read from {finding.picture.input}"], SMALL)
    warnings = words.warnings(finding, report.model)
    if warnings:
        pdf.boxed("\n".join([words.warnings_title(finding), *(f"\u2022 {w}" for w in warnings)]))
    pdf.pictures(finding)
    pdf.sentences([words.gate(finding, report.model)])
    pdf.bar("Gate", finding.gate, report.model.threshold)
    pdf.sentences([words.answer(finding)])
    scores = finding.scores or {}
    for kind in LESION_CLASSES if scores else ():
        pdf.bar(f"{kind.code}, {kind.title}", scores[kind.code])
    pdf.sentences([words.attention(finding, report.model)])


def _add_explanations(pdf: _Pages, report: Report, card: int) -> None:
    pdf.heading("What C1 to C5 mean here")
    pdf.sentences(words.MEANING)
    pdf.heading("How far to trust the probabilities")
    pdf.sentences([words.calibration_note(report)])
    errors = words.calibration_rows(report)
    if errors:
        pdf.rows([("Expected calibration error of", "0 to 1", "measured on"), *errors], (5, 3, 3))
    pdf.heading("BI-RADS in plain words")
    pdf.sentences(words.BIRADS_INTRO)
    categories = [(str(c.category), c.meaning, c.likelihood, c.advice) for c in BIRADS]
    names = ("No.", "Meaning", "Likelihood of cancer", "What usually follows")
    pdf.rows([names, *categories], (1, 5, 4, 6))
    pdf.heading(words.CARD_TITLE)
    pdf.set_link(card)
    for use, lines in words.CARD_USES.items():
        pdf.sentences([f"{use}:", *(f"\u2022 {line}" for line in lines)])
    pdf.sentences([words.CARD_PLACE])
    pdf.rows([("What", "Which"), *words.model_rows(report)], (3, 8))


def _caption(name: str, finding: Finding) -> str:
    cells = finding.attention
    if name != "attention" or cells is None:
        return CAPTIONS[name]
    return f"{CAPTIONS[name]}, {cells.min():.3f} to {cells.max():.3f}"


class _Pages(FPDF):
    """A4 pages that carry the notice at top and bottom."""

    def __init__(self, report: Report):
        super().__init__(format="A4")
        for style, name in FACES.items():
            self.add_font(FONT, style, Path(mpl.get_data_path(), "fonts", "ttf", name))
        self.set_margin(MARGIN)
        self.c_margin = 0  # text begins where pictures do
        self.set_auto_page_break(True, MARGIN)
        self.set_lang("en")
        self.set_title(words.title(report))
        self.set_creator(f"birads-lib {report.version}")
        self.set_creation_date(report.created)

    def header(self) -> None:
        self._small_print(MARGIN / 2, words.SHORT_NOTICE)
        self.set_y(MARGIN)

    def footer(self) -> None:
        self._small_print(-MARGIN * 0.7, f"{words.NOTICE} Page {self.page_no()}.")

    def _small_print(self, y: float, text: str) -> None:
        self.set_y(y)
        self.set_font(FONT, size=SMALL - 0.5)
        self.multi_cell(0, LINE * 0.6, text, align="C", new_x="LMARGIN")

    def heading(self, text: str, size: float = HEADING) -> None:
        """A heading that stays with what follows."""
        if self.will_page_break(6 * LINE):
            self.add_page()
        self.ln(GAP / 2)
        self.set_font(FONT, "B", size)
        self.start_section(text)
        self.multi_cell(0, size / 2, text, align="L", new_x="LMARGIN")
        self.ln(1)

    def sentences(self, paragraphs: Iterable[str], size: float = TEXT) -> None:
        """Paragraphs of running text."""
        self.set_font(FONT, size=size)
        for text in paragraphs:
            self.multi_cell(0, LINE, text, align="L", new_x="LMARGIN")
            self.ln(1)

    def linked(self, text: str, target: int) -> None:
        """A line that leads to another place of the document."""
        with self.local_context(text_color=BAR):
            self.set_font(FONT, size=TEXT)
            self.multi_cell(0, LINE, text, align="L", link=target, new_x="LMARGIN")
        self.ln(2)

    def boxed(self, text: str, style: str = "") -> None:
        """Text that nobody should miss."""
        with self.local_context(text_color=ALARM, fill_color=ALARM_PAGE):
            self.set_font(FONT, style, TEXT)
            self.multi_cell(0, LINE, text, align="L", fill=True, padding=2, new_x="LMARGIN")
        self.ln(2)

    def pictures(self, finding: Finding) -> None:
        """Tile, denoised tile and map side by side, each under its caption."""
        side = (self.epw - 2 * GAP) / 3
        if self.will_page_break(side + 2 * LINE):
            self.add_page()
        alternatives, top = words.alternatives(finding), self.get_y()
        self.set_font(FONT, size=SMALL)
        for column, (name, png) in enumerate(pictures_of(finding).items()):
            left = MARGIN + column * (side + GAP)
            self.set_xy(left, top)
            self.cell(side, LINE, _caption(name, finding))
            picture = io.BytesIO(png)
            self.image(picture, left, top + LINE, side, side, alt_text=alternatives[name])
        self.set_xy(MARGIN, top + LINE + side + 2)

    def bar(self, name: str, share: float, mark: float | None = None) -> None:
        """A probability as number and bar, and where the threshold lies on it."""
        if self.will_page_break(LINE):
            self.add_page()
        self.set_font(FONT, size=TEXT)
        self.cell(50, LINE, name)
        self.cell(16, LINE, f"{share:.3f}")
        left, top, width = self.get_x(), self.get_y() + 1, self.w - MARGIN - self.get_x()
        with self.local_context(fill_color=BAR, draw_color=RULE):
            self.rect(left, top, width * share, LINE - 2, style="F")
            self.rect(left, top, width, LINE - 2)
        if mark is not None:
            self.line(left + width * mark, top - 0.8, left + width * mark, top + LINE - 1.2)
        self.ln(LINE + 0.5)

    def rows(self, rows: Sequence[Sequence[str]], widths: tuple[int, ...]) -> None:
        """A table whose first row names the columns."""
        self.set_font(FONT, size=SMALL + 0.5)
        with (
            self.local_context(draw_color=RULE),
            self.table(
                rows,
                col_widths=widths,
                text_align="L",
                line_height=LINE - 1,
                padding=(0.6, 2, 0.6, 0),
                borders_layout=TableBordersLayout.HORIZONTAL_LINES,
                headings_style=FontFace(emphasis="BOLD"),
            ),
        ):
            pass
        self.ln(2)
