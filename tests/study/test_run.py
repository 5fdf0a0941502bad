"""A run as a chapter sees it: a chapter that ends early, and one that goes on."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest

from birads_lib.study.notebooks import run_chapter
from birads_lib.study.run import Run

CHAPTER = """
# %% tags=["parameters"]
RUN = ""
ENDS = True

# %%
from birads_lib.study.run import Run

run = Run(RUN, "early", tiles=False)
if ENDS:
    run.save_results({"available": False})
    run.end("Nothing to *see* here.")

# %%
if True:
    print("later")
run.save_results({"available": True})

# %% [markdown]
# Prose stays.

# %%
1 / 1
"""


@pytest.fixture(params=[True, False], ids=["ends", "goes on"])
def executed(request, tmp_path):
    """Whether the chapter ends early, the executed chapter, and its results."""
    source = tmp_path / "early.py"
    source.write_text(CHAPTER)
    for name in ("notebooks", "figures"):
        (tmp_path / name).mkdir()
    target = tmp_path / "notebooks" / "early.ipynb"
    parameters = {"RUN": str(tmp_path), "ENDS": request.param}
    run_chapter(source, target, parameters, tmp_path / "figures")
    results = json.loads((tmp_path / "results" / "early.json").read_text())
    return request.param, nbformat.read(target, as_version=4), results


def test_after_its_end_a_chapter_does_nothing_and_says_nothing(executed):
    ends, notebook, results = executed
    assert results == {"available": not ends}
    outputs = [[o.output_type for o in c.get("outputs", [])] for c in notebook.cells][-4:]
    assert outputs[0] == (["display_data"] if ends else [])
    assert outputs[1] == ([] if ends else ["stream"])
    assert outputs[3] == ([] if ends else ["execute_result"])


def test_outside_a_notebook_the_program_ends(tmp_path: Path):
    with pytest.raises(SystemExit, match="no more"):
        Run(tmp_path, "early", tiles=False).end("no more")


@pytest.mark.parametrize("simulated", [True, False])
@pytest.mark.parametrize("tiles", [True, False])
def test_a_tables_description_says_whether_anything_in_it_is_simulated(tmp_path, simulated, tiles):
    run = Run(tmp_path, "gate")
    run.store = SimpleNamespace(simulated=simulated, digest="ab" * 32)
    run.show_table(pd.DataFrame({"a": [1]}), "counts", "Tiles of each class.", tiles=tiles)
    described = json.loads((tmp_path / "figures" / "counts.json").read_text())
    assert described["simulated"] == (simulated and tiles)
    assert ("Simulated tiles." in described["caption"]) == (simulated and tiles)


ROWS = pd.MultiIndex.from_tuples([("gate", "int8"), ("gate", "float")], names=["figure", "form"])
FLAT, GROUPED = ["size", "time"], pd.MultiIndex.from_tuples([("gate", "MB"), ("gate", "ms")])


@pytest.mark.parametrize(
    ("columns", "rows_of_headings"),
    [
        (FLAT, [["figure", "form", "size", "time"]]),
        (GROUPED, [["gate"], ["figure", "form", "MB", "ms"]]),
    ],
    ids=["flat", "grouped"],
)
def test_names_of_rows_stand_beside_the_headings_of_columns(
    tmp_path, monkeypatch, columns, rows_of_headings
):
    shown = []
    monkeypatch.setattr("birads_lib.study.run.display", lambda it, **_: shown.append(it.data))
    table = pd.DataFrame([[1, 2], [3, 4]], index=ROWS, columns=columns)
    Run(tmp_path, "gate", tiles=False).show_table(table, "sizes", "Sizes.")
    head = shown[0].partition("<thead>")[2].partition("</thead>")[0]
    rows = head.split("</tr>")[:-1]
    assert [re.findall(r"<th[^>]*>([^<]*)</th>", row) for row in rows] == rows_of_headings


def test_a_table_without_a_caption_is_refused(tmp_path):
    with pytest.raises(ValueError, match="table made: its caption must say something"):
        Run(tmp_path, "gate", tiles=False).show_table(pd.DataFrame({"a": [1]}), "made", "")
    assert not list((tmp_path / "figures").iterdir())


@pytest.mark.parametrize("said", [("", "A line."), ("A line.", "")], ids=["caption", "alt"])
def test_a_figure_without_a_caption_or_an_alt_text_is_refused(tmp_path, said):
    figure, _ = plt.subplots()
    with pytest.raises(ValueError, match="caption and alt text must say something"):
        Run(tmp_path, "gate", tiles=False).show_figure(figure, "line", *said)
    plt.close(figure)
    assert not list((tmp_path / "figures").iterdir())
