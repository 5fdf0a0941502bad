"""The paired notebooks: the percent script is the truth, the .ipynb follows cell by cell."""

from pathlib import Path

import jupytext
import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((ROOT / "notebooks").glob("*.py"))


def test_there_is_a_notebook_for_each_script_and_no_other():
    assert [p.stem for p in SCRIPTS] == sorted(p.stem for p in ROOT.glob("notebooks/*.ipynb"))
    assert SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_the_pair_agrees_cell_by_cell(script):
    truth = jupytext.read(script, fmt="py:percent")
    derived = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    assert len(truth.cells) == len(derived.cells), "run `make sync`"
    for ours, theirs in zip(truth.cells, derived.cells, strict=True):
        assert (ours.cell_type, ours.source) == (theirs.cell_type, theirs.source), "run `make sync`"
        assert ours.metadata.get("tags", []) == theirs.metadata.get("tags", []), "run `make sync`"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_the_tracked_notebook_carries_no_outputs(script):
    for cell in nbformat.read(script.with_suffix(".ipynb"), as_version=4).cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_no_name_begins_with_a_digit_and_no_function_is_long(script):
    assert not script.stem[0].isdigit()
    import ast

    for cell in jupytext.read(script, fmt="py:percent").cells:
        if cell.cell_type == "code":
            for node in ast.walk(ast.parse(cell.source)):
                assert not isinstance(node, ast.For | ast.While), "loops live in the library"
                if isinstance(node, ast.FunctionDef):
                    assert node.end_lineno - node.lineno < 10
