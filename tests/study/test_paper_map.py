"""The paper beside the book, both ways: the map leads to ours, and ours lead to the map."""

import ast
import re
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest

from birads_lib.study import notebooks
from birads_lib.study.outputs import FIGURE_KEY, OF_THE_PAPER
from birads_lib.study.run import Run

ROOT = Path(__file__).resolve().parents[2]
MAP = (ROOT / "book" / "paper_map.md").read_text()
FIGURES = [f"figure_{k}" for k in range(1, 9)]
TABLES = ["table_1", "table_2"]


def shown():
    """Names of all figures and tables that chapters show, each with its chapter."""
    found = {}
    for path in sorted((ROOT / "notebooks").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            kind = getattr(getattr(node, "func", None), "attr", "")
            if kind in ("show_figure", "show_table"):
                found[node.args[1].value] = (path.stem, kind.removeprefix("show_"))
    return found


SHOWN = shown()
COUNTERPARTS = sorted(name for name in SHOWN if OF_THE_PAPER.fullmatch(name))


def section(title):
    return MAP.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(title):
    """First cell of each row of a section's table, with the row."""
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    return {line.split("|")[1].strip(): line for line in lines[1:]}


def test_counterparts_are_the_papers_figures_and_tables_and_the_audit():
    assert set(FIGURES + TABLES) <= set(COUNTERPARTS)
    audit = [name for name, (chapter, _) in SHOWN.items() if chapter == "paper_audit"]
    assert set(audit) <= set(COUNTERPARTS)
    assert not {"sizes", "gate_curves", "verdicts"} & set(COUNTERPARTS)


def test_the_map_names_every_equation_figure_and_table():
    assert [name[:3] for name in rows("Equations")] == ["(1)", "(2)", "(3)", "(4)", "(5)"] + [
        "(6)"
    ] * 2
    assert list(rows("Figures")) == [str(k) for k in range(1, 9)]
    assert list(rows("Tables")) == ["1", "2"]


@pytest.mark.parametrize("number", range(1, 9))
def test_the_map_leads_to_each_figure_in_its_chapter(number):
    row = rows("Figures")[str(number)]
    chapter, kind = SHOWN[f"figure_{number}"]
    assert kind == "figure"
    assert f"](#fig-figure_{number}) in [](../notebooks/{chapter}.ipynb)" in row


@pytest.mark.parametrize("number", [1, 2])
def test_the_map_leads_to_each_table_in_its_chapter(number):
    row = rows("Tables")[str(number)]
    chapter, kind = SHOWN[f"table_{number}"]
    assert kind == "table"
    assert f'<a href="../notebooks/{chapter}.html#T_table_{number}">' in row


def test_whatever_the_map_leads_to_is_shown():
    for name in re.findall(r"\]\(#fig-(\w+)\)", MAP):
        assert SHOWN[name][1] == "figure", name
    for chapter, name in re.findall(r"notebooks/(\w+)\.html#T_(\w+)", MAP):
        assert SHOWN[name] == (chapter, "table"), name
    for page in re.findall(r"\]\(\.\./notebooks/(\w+)\.ipynb\)", MAP):
        assert (ROOT / "notebooks" / f"{page}.py").exists(), page


@pytest.fixture
def run(store, tmp_path):
    run = Run(tmp_path / "smoke", "paper_audit")
    run.__dict__["store"] = store
    return run


@pytest.fixture
def displayed(monkeypatch):
    """What a chapter displays, in order."""
    found = []
    monkeypatch.setattr("birads_lib.study.run.display", lambda shown, **more: found.append(shown))
    return found


@pytest.mark.parametrize("name", [*COUNTERPARTS, "sizes", "gate_curves"])
def test_each_counterpart_leads_back_to_the_map_and_no_other_does(run, displayed, name):
    back = name in COUNTERPARTS
    if SHOWN[name][1] == "table":
        run.show_table(pd.DataFrame({"a": [1]}), name, "A caption.", tiles=False)
        (html,) = displayed
        link = '<a href="../book/paper_map.html">The paper, part by part</a>.</caption>'
        assert (link in html.data) == back
        assert f'<table id="T_{name}"' in html.data
        return
    run.show_figure(plt.figure(figsize=(1, 1)), name, "A caption.", "A line.", tiles=False)
    output = nbformat.v4.new_output("display_data", data={"image/png": ""})
    output.metadata[FIGURE_KEY] = name
    cell = nbformat.v4.new_code_cell("x", execution_count=1, outputs=[output])
    notebooks.publishable(nbformat.v4.new_notebook(cells=[cell]), run.figures)
    figure = cell.metadata["mystnb"]["figure"]
    assert figure["caption"].endswith("(../book/paper_map.md).") == back
    assert figure["name"] == f"fig-{name}"


def test_the_map_counts_as_many_judges_as_the_chapter():
    assert "four judges" in MAP
    parts = ast.parse((ROOT / "notebooks" / "protocols.py").read_text())
    (judges,) = (
        node.value
        for node in ast.walk(parts)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PARTS"
    )
    assert len(judges.keys) == 4
