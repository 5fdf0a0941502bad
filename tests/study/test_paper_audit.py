"""The chapter that works the paper's numbers out again: soon done, without TensorFlow."""

import os
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest

from birads_lib.labels import LESION_CODES
from birads_lib.study import paper
from birads_lib.study.notebooks import run_chapter
from birads_lib.study.run import Run

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 30  # s of processor time: other tests run beside this one
NO_TENSORFLOW = (
    '\n# %%\nimport sys\nassert not {"tensorflow", "keras"} & set(sys.modules)\nprint("light")\n'
)


def save_made_up_predictions(run, table):
    """Predictions of the held-out tiles, drawn: the chapter only sets them beside the paper's."""
    rng = np.random.default_rng(0)
    facts = {"split": "held-out", "protocol": "official", "model": "none", "threshold": 0.5}
    scores = pd.DataFrame(rng.dirichlet(np.ones(4), len(table)), columns=list(LESION_CODES))
    scores["gate"] = rng.random(len(table))
    infected = (table["label"] > 0).to_numpy()
    run.save_predictions("gate", table, scores, stage="gate", **facts)
    run.save_predictions("scorer", table[infected], scores[infected], stage="scorer", **facts)


@pytest.fixture(scope="module")
def run(tmp_path_factory, store):
    """A run with this one chapter and a last cell that looks for TensorFlow, and its seconds."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "store").symlink_to(store.path)
    (folder / "notebooks").mkdir()
    table = store.table[store.table["origin"] != "training"].reset_index(drop=True)
    save_made_up_predictions(Run(folder, "gate"), table)
    source = folder / "paper_audit.py"
    source.write_text((ROOT / "notebooks" / source.name).read_text() + NO_TENSORFLOW)
    target = folder / "notebooks" / "paper_audit.ipynb"
    before = os.times()
    run_chapter(source, target, {"RUN": str(folder)}, folder / "figures")
    after = os.times()
    return folder, sum(after[2:4]) - sum(before[2:4])  # of the kernel, which has ended


def test_it_is_soon_done_and_loads_no_tensorflow(run):
    folder, seconds = run
    assert 0 < seconds < LIMIT
    last = nbformat.read(folder / "notebooks" / "paper_audit.ipynb", as_version=4).cells[-1]
    assert last.outputs[0]["text"] == "light\n"


def test_the_redrawn_table_has_the_papers_cells(run):
    table = pd.read_csv(run[0] / "figures" / "audit_table_1.csv", index_col=0, header=[0, 1])
    assert (table["the paper"].dropna().to_numpy() == paper.TABLE_1).all()
