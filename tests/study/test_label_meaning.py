"""The chapter on what the labels mean: from shipped counts, soon done, without TensorFlow."""

import json
import os
from pathlib import Path

import nbformat
import pytest

from birads_lib.study.notebooks import run_chapter
from birads_lib.tiles.cbis_labels import shipped_counts

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 30  # s of processor time: other tests run beside this one
NO_TENSORFLOW = (
    '\n# %%\nimport sys\nassert not {"tensorflow", "keras"} & set(sys.modules)\nprint("light")\n'
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with this one chapter and a last cell that looks for TensorFlow, and its seconds."""
    folder = tmp_path_factory.mktemp("run")
    for name in ("notebooks", "figures"):
        (folder / name).mkdir()
    source = folder / "label_meaning.py"
    source.write_text((ROOT / "notebooks" / source.name).read_text() + NO_TENSORFLOW)
    target = folder / "notebooks" / "label_meaning.ipynb"
    before = os.times()
    run_chapter(source, target, {"RUN": str(folder)}, folder / "figures")
    after = os.times()
    return folder, sum(after[2:4]) - sum(before[2:4])  # of the kernel, which has ended


def said(folder):
    """All Markdown that the chapter computed."""
    cells = nbformat.read(folder / "notebooks" / "label_meaning.ipynb", as_version=4).cells
    outputs = [o for cell in cells for o in cell.get("outputs", [])]
    return "\n".join(o.get("data", {}).get("text/markdown", "") for o in outputs)


def test_it_is_soon_done_and_loads_no_tensorflow(run):
    folder, seconds = run
    assert 0 < seconds < LIMIT
    last = nbformat.read(folder / "notebooks" / "label_meaning.ipynb", as_version=4).cells[-1]
    assert last.outputs[0]["text"] == "light\n"


def test_its_results_are_the_shipped_counts(run):
    assert json.loads((run[0] / "results" / "label_meaning.json").read_text()) == shipped_counts()


def test_it_says_what_the_counts_are(run):
    text, counts = said(run[0]), shipped_counts()
    assert f"{100 * counts['agreement']['accuracy']['value']:.1f} %" in text
    assert f"{counts['both_sides']['patients']} patients" in text


def test_its_figures_say_what_they_show_and_claim_no_tiles(run):
    for name in ("class_by_assessment", "malignancy_by_assessment"):
        described = json.loads((run[0] / "figures" / f"{name}.json").read_text())
        assert described["alt"]
        assert described["caption"]
        assert described["data"] is None
        assert not described["simulated"]
