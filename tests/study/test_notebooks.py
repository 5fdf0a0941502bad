"""The runner: parameters are checked, failures stop, only whole chapters get their name."""

import asyncio
import gc
import json
import logging
from concurrent.futures import ThreadPoolExecutor

import nbformat
import papermill
import pytest

from birads_lib.errors import ChapterError, DataError, UsageError
from birads_lib.study import notebooks
from birads_lib.study.outputs import FIGURE_KEY, TABLE_KEY

CHAPTER = """# %% [markdown]
# # Title

# %% tags=["parameters"]
A = 1
B: float = 2.5  # annotated
C = [1, 2]

# %%
print(A + B, C)
"""
DESCRIBED = '{"caption": "A curve.", "alt": "A rising line.", "inches": 5}'


@pytest.fixture
def chapter(tmp_path):
    def write(text=CHAPTER, name="small"):
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        return path

    return write


def test_declared_parameters_include_annotated_ones(chapter):
    declared = notebooks.declared_parameters(notebooks.read_chapter(chapter()))
    assert declared == {"A": 1, "B": 2.5, "C": [1, 2]}


def test_a_parameter_must_be_a_plain_value(chapter):
    text = CHAPTER.replace("A = 1", "A = open('x')")
    with pytest.raises(DataError, match="parameter A is no plain value"):
        notebooks.declared_parameters(notebooks.read_chapter(chapter(text)))


@pytest.mark.parametrize("count", [0, 2])
def test_there_is_one_parameters_cell(chapter, count):
    cell = '# %% tags=["parameters"]\nA = 1\n\n'
    with pytest.raises(DataError, match=f"{count} cells tagged"):
        notebooks.declared_parameters(notebooks.read_chapter(chapter(cell * count + "# %%\n1")))


def test_undeclared_parameter_names_chapter_and_choices(chapter, tmp_path):
    with pytest.raises(UsageError, match=r"chapter small: no parameter D; it declares A, B, C"):
        notebooks.run_chapter(chapter(), tmp_path / "out" / "small.ipynb", {"D": 1}, tmp_path)
    assert not (tmp_path / "out").exists()


def test_parameters_given_win_and_the_notebook_is_clean(chapter, tmp_path):
    target = tmp_path / "run" / "notebooks" / "small.ipynb"
    notebooks.run_chapter(chapter(), target, {"A": 10, "B": 0.5}, tmp_path)
    executed = nbformat.read(target, as_version=4)
    assert executed.cells[-1].outputs[0].text == "10.5 [1, 2]\n"
    assert "papermill" not in json.dumps(executed)
    assert str(tmp_path) not in target.read_text()
    assert [p.name for p in target.parent.iterdir()] == ["small.ipynb"]


def test_what_a_chapter_ran_with_is_read_from_it(chapter, tmp_path):
    target = tmp_path / "run" / "notebooks" / "small.ipynb"
    notebooks.run_chapter(chapter(), target, {"A": 10, "C": None}, tmp_path)
    executed = nbformat.read(target, as_version=4)
    assert notebooks.run_parameters(executed) == {"A": 10, "B": 2.5, "C": None}


def test_a_chapter_leaves_its_time_and_memory_beside_the_run(chapter, tmp_path):
    target = tmp_path / "run" / "notebooks" / "small.ipynb"
    notebooks.run_chapter(chapter(), target, {}, tmp_path)
    left = json.loads((tmp_path / "run" / "timings" / "small.json").read_text())
    assert left["seconds"] > 0
    assert left["peak_memory_gb"] is None or left["peak_memory_gb"] > 0.01


def test_a_failed_cell_is_shown_and_leaves_no_notebook(chapter, tmp_path):
    source = chapter(CHAPTER + "\n# %%\nfirst = 1\nraise RuntimeError('the gate is stuck')\n")
    target = tmp_path / "run" / "notebooks" / "small.ipynb"
    with pytest.raises(ChapterError) as caught:
        notebooks.run_chapter(source, target, {}, tmp_path)
    message = str(caught.value)
    assert "chapter small: cell 3 failed" in message
    assert "raise RuntimeError('the gate is stuck')" in message
    assert "Traceback" in message
    assert not target.parent.exists() or not list(target.parent.iterdir())


def test_what_a_cell_refuses_stays_one_line_that_a_user_can_mend(chapter, tmp_path):
    refusal = (
        "from birads_lib.errors import DataError\nraise DataError('a.npy: cut short; copy it')"
    )
    target = tmp_path / "run" / "notebooks" / "small.ipynb"
    with pytest.raises(DataError) as caught:
        notebooks.run_chapter(chapter(f"{CHAPTER}\n# %%\n{refusal}\n"), target, {}, tmp_path)
    assert str(caught.value) == "a.npy: cut short; copy it"
    assert not target.parent.exists() or not list(target.parent.iterdir())


def test_an_error_output_or_an_unexecuted_cell_is_refused():
    error = nbformat.v4.new_output("error", ename="KeyError", evalue="'x'", traceback=[])
    failed = nbformat.v4.new_code_cell("x", execution_count=1, outputs=[error])
    with pytest.raises(ChapterError, match="cell 0 failed: KeyError"):
        notebooks.refuse_errors("small", nbformat.v4.new_notebook(cells=[failed]))
    forgotten = nbformat.v4.new_code_cell("x = 1")
    with pytest.raises(ChapterError, match="cell 0 was not executed"):
        notebooks.refuse_errors("small", nbformat.v4.new_notebook(cells=[forgotten]))


def figure_cell(*more):
    shown = nbformat.v4.new_output(
        "display_data", data={"image/png": "aGk="}, metadata={FIGURE_KEY: "roc"}
    )
    return nbformat.v4.new_code_cell("show()", execution_count=1, outputs=[shown, *more])


def test_figures_get_caption_and_alt_text_from_their_description(tmp_path):
    (tmp_path / "roc.json").write_text(DESCRIBED)
    message = nbformat.v4.new_output("stream", name="stderr", text="noise")
    notebook = nbformat.v4.new_notebook(cells=[figure_cell(message)])
    notebooks.publishable(notebook, tmp_path)
    (cell,) = notebook.cells
    assert cell.metadata["mystnb"]["figure"] == {"caption": "A curve.", "name": "fig-roc"}
    assert cell.metadata["mystnb"]["image"] == {"alt": "A rising line.", "width": "420px"}
    assert len(cell.outputs) == 1
    assert FIGURE_KEY not in cell.outputs[0].metadata


def test_a_figure_shares_its_cell_with_no_other_output(tmp_path):
    (tmp_path / "roc.json").write_text(DESCRIBED)
    other = nbformat.v4.new_output("display_data", data={"text/markdown": "x"})
    with pytest.raises(ChapterError, match="figure roc"):
        notebooks.publishable(nbformat.v4.new_notebook(cells=[figure_cell(other)]), tmp_path)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ({"image/png": "aGk="}, "picture"),
        ({"text/html": "<div>\n<table border='1'></table></div>", "text/plain": "1"}, "table"),
    ],
)
def test_what_is_shown_without_a_description_is_refused(tmp_path, data, what):
    shown = nbformat.v4.new_output("execute_result", data=data, execution_count=1)
    cell = nbformat.v4.new_code_cell("show()", execution_count=1, outputs=[shown])
    with pytest.raises(ChapterError, match=f"a {what} without a description"):
        notebooks.publishable(nbformat.v4.new_notebook(cells=[cell]), tmp_path)


def test_a_described_table_is_published_without_the_runners_mark(tmp_path):
    data = {"text/html": "<table class='table'></table>"}
    shown = nbformat.v4.new_output("display_data", data=data, metadata={TABLE_KEY: "counts"})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x", outputs=[shown])])
    notebooks.publishable(notebook, tmp_path)
    assert notebook.cells[0].outputs[0].metadata == {}


def test_missing_chapter_is_named(tmp_path):
    with pytest.raises(DataError, match="no such chapter"):
        notebooks.read_chapter(tmp_path / "nothing.py")


def test_a_stop_says_nothing_of_the_cell_that_was_waited_for(
    chapter, tmp_path, monkeypatch, caplog
):
    async def cell():
        raise RuntimeError("Kernel died")

    async def waits():
        left.append(asyncio.ensure_future(cell()))
        await asyncio.wait(left)

    def stopped(*_, **__):
        with ThreadPoolExecutor(1) as other:  # in this one a loop may be running
            other.submit(asyncio.run, waits()).result()
        raise KeyboardInterrupt

    left, logger = [], logging.getLogger("asyncio")
    monkeypatch.setattr(papermill, "execute_notebook", stopped)
    level = logger.level
    try:
        with pytest.raises(KeyboardInterrupt):
            notebooks.run_chapter(chapter(), tmp_path / "out" / "small.ipynb", {}, tmp_path)
        left.clear()
        gc.collect()  # asyncio tells of a failed task that nobody asked about as it goes
    finally:
        logger.setLevel(level)
    assert caplog.messages == []
    assert not (tmp_path / "out").exists()
