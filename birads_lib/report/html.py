"""The report as one HTML page: pictures inside, no script, no request to anywhere."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from birads_lib.files import whole_file
from birads_lib.labels import BIRADS, LESION_CLASSES
from birads_lib.report import words
from birads_lib.report.drawing import pictures_of, scale_colours
from birads_lib.report.reading import Finding, Report

TEMPLATE = "template.html"
CAPTIONS = {"tile": "The tile", "denoised": "Denoised", "attention": "Attention over denoised"}


def write(report: Report, out: Path) -> None:
    """Write the page, whole or not at all."""
    page = as_page(report)
    with whole_file(out) as partial:
        partial.write_text(page, encoding="utf-8")


def as_page(report: Report) -> str:
    """The page as text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE).render(
        words=words,
        report=report,
        model=report.model,
        shown=[(finding, _figures(finding)) for finding in report.findings],
        classes=LESION_CLASSES,
        birads=BIRADS,
        scale=", ".join(scale_colours()),
    )


def _figures(finding: Finding) -> list[dict[str, Any]]:
    """Source, alternative and caption of each picture."""
    alternatives = words.alternatives(finding)
    return [
        {
            "source": f"data:image/png;base64,{b64encode(png).decode()}",
            "alternative": alternatives[name],
            "caption": CAPTIONS[name],
            "map": finding.attention if name == "attention" else None,
        }
        for name, png in pictures_of(finding).items()
    ]
