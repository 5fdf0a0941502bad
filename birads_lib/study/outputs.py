"""Marks that chapters put on their figures and tables, for the runner and the book."""

from __future__ import annotations

import re

FIGURE_KEY = "birads_figure"
"""Output metadata that tells the runner which figure a cell shows."""
TABLE_KEY = "birads_table"
"""Likewise of a table."""
OF_THE_PAPER = re.compile(r"(figure|table)_\d(_\w+)?|audit_\w+")
"""Names of figures and tables that have a counterpart in the paper; each links to the map."""
MAP, MAP_TITLE = "../book/paper_map", "The paper, part by part"
