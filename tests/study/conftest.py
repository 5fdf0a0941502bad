"""A finished run made by hand, for what is rendered from runs: no network takes part."""

import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest

from birads_lib import metrics
from birads_lib.files import write_json
from birads_lib.labels import LESION_CODES
from birads_lib.study import arithmetic
from birads_lib.study.ledger import write_results
from birads_lib.study.machine import timed_step
from birads_lib.study.profiles import CHAPTERS
from birads_lib.study.run import Run
from birads_lib.study.verdicts import WORDS
from birads_lib.tiles.cbis_labels import shipped_counts

MODEL = "5a" * 32
THRESHOLD = 0.5


def executed(title, name=None):
    """An executed chapter with a parameters cell, a run's values, and one figure."""
    new = nbformat.v4
    tagged = {"tags": ["parameters"]}, {"tags": ["injected-parameters"]}
    cells = [
        new.new_markdown_cell(f"# {title}\n\nFirst lines."),
        new.new_code_cell('RUN = ""\nSEED = 0\nEPOCHS = 20', execution_count=1, metadata=tagged[0]),
        new.new_code_cell(
            'RUN = "/home/me/run"\nEPOCHS = 3', execution_count=2, metadata=tagged[1]
        ),
    ]
    if name:
        shown = {"mystnb": {"figure": {"name": f"fig-{name}"}}}
        cells.append(new.new_code_cell("show()", execution_count=3, metadata=shown))
    return new.new_notebook(cells=cells)


def drawn(pixels):
    """A figure of lines alone, or of pixels."""
    figure, axis = plt.subplots(figsize=(1, 1))
    axis.imshow(np.eye(8)) if pixels else axis.plot([0, 1])
    return figure


def write_predictions(run):
    """Tables of all three stages, by a generator."""
    rng = np.random.default_rng(0)
    tiles = run.store.table[run.store.table["origin"] != "training"]
    scores = pd.DataFrame(rng.dirichlet(np.ones(4), len(tiles)), columns=list(LESION_CODES))
    scores["gate"] = rng.random(len(tiles))
    facts = {"split": "held-out", "protocol": "official", "model": MODEL, "threshold": THRESHOLD}
    infected = (tiles["label"] > 0).to_numpy()
    run.save_predictions("gate", tiles, scores[["gate"]], stage="gate", **facts)
    lesions = scores.loc[infected, list(LESION_CODES)]
    run.save_predictions("scorer", tiles[infected], lesions, stage="scorer", **facts)
    passed = scores.mask(scores["gate"] < THRESHOLD).assign(gate=scores["gate"])
    return run.save_predictions("cascade", tiles, passed, stage="cascade", **facts)


def write_findings(run, cascade):
    """What the front page sums up: verdicts, agreement, the end to end share and its bound."""
    verdicts = [{"id": f"{word}-{i}", "verdict": word} for i, word in enumerate(WORDS, 1)
                for _ in range(i)]  # fmt: skip
    write_json(run.results / "verdicts.json", verdicts)
    write_json(run.results / "label_meaning.json", shipped_counts())
    right = metrics.predicted_class(cascade, "cascade") == cascade["label"]
    share = metrics.mean_with_interval(right.to_numpy(float), cascade["group"])
    write_json(run.results / "cascade.json", {"infected_right": share})
    bound = arithmetic.end_to_end().to_dict("index")
    write_json(run.results / "paper_audit.json", {"end_to_end": bound})


def write_figures(run):
    """A drawing, a picture of simulated tiles, a picture that is not, and a table."""
    said = {"caption": "A caption of some length | with a bar.", "alt": "A line that rises."}
    run.show_figure(drawn(pixels=False), "curve", **said, tiles=False)
    run.show_figure(drawn(pixels=True), "tiles", **said)
    run.show_figure(drawn(pixels=True), "scan", **said, tiles=False)
    run.show_table(pd.DataFrame({"a": [1]}), "counts", "A table of one count.")


@pytest.fixture(scope="session")
def finished_run(store, tmp_path_factory) -> Path:
    """Folder of a finished run on simulated tiles; do not write into it."""
    folder = tmp_path_factory.mktemp("run") / "smoke"
    folder.mkdir()
    (folder / "store").symlink_to(store.path)
    run = Run(folder, "gate", seed=3)
    write_findings(run, write_predictions(run))
    write_figures(run)
    cascade = {"threshold": THRESHOLD, "weights": {"gate": "1" * 64, "scorer": "2" * 64}}
    write_json(run.models / "cascade" / "cascade.json", {**cascade, "about": {"simulated": True}})
    (folder / "notebooks").mkdir()
    for chapter in CHAPTERS:
        notebook = executed(chapter.title(), "curve" if chapter == "gate" else None)
        nbformat.write(notebook, folder / "notebooks" / f"{chapter}.ipynb")
    for step in ("verdict", "gate", "data_merging"):
        with timed_step(folder, step):
            pass
    write_results(folder)
    return folder


@pytest.fixture
def in_project(monkeypatch):
    """The current folder is the project's, as commands expect it."""
    monkeypatch.chdir(Path(__file__).resolve().parents[2])


@pytest.fixture
def copied(finished_run, tmp_path) -> Path:
    """A copy of the finished run to change."""
    return shutil.copytree(finished_run, tmp_path / finished_run.name, symlinks=True)
