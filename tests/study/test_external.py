"""External tiles: given or simulated, drawn, marked, and verified with the run."""

from __future__ import annotations

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from birads_lib.recalibration import METHODS, OUTCOMES
from birads_lib.study import figures_external, ledger, written
from birads_lib.study.external import draw_tiles, external_store, simulated_mark
from birads_lib.study.run import Run
from birads_lib.tiles import TileStore, merge_ddsm10
from birads_lib.tiles.store import IMAGES


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    return run, external_store(run, "", 0.004, 0.3, seed=1000, processes=1)


def test_without_a_folder_the_tiles_are_simulated_in_the_runs_folder(simulated):
    run, store = simulated
    assert store.simulated
    assert store.meta["source"]["scanners"] == "outside"
    assert [path.name for path in (run / "external").iterdir()] == ["store"]
    assert len(TileStore.open(run / "external" / "store")) == len(store)


def test_simulated_tiles_are_of_many_women_of_either_kind(simulated):
    table = simulated[1].table
    assert table[table["label"] == 0]["group"].nunique() >= 10
    assert table[table["label"] > 0]["group"].nunique() >= 10


def test_a_folder_given_is_read_and_replaces_what_was_there(small_set, tmp_path):
    source = small_set.write(tmp_path / "set")
    for _ in range(2):
        store = external_store(tmp_path / "run", str(source), 0.004, 0.3, seed=0)
        assert (len(store), store.simulated) == (16, False)


def test_tiles_are_drawn_of_one_kind_by_seed(store):
    drawn = draw_tiles(store, infected=True, count=20, seed=1)
    assert len(drawn) == len(drawn.images) == 20
    assert (drawn.table["label"] > 0).all()
    again, other = (draw_tiles(store, infected=True, count=20, seed=seed) for seed in (1, 2))
    assert again.table["tile"].tolist() == drawn.table["tile"].tolist()
    assert other.table["tile"].tolist() != drawn.table["tile"].tolist()
    normal = (store.table["label"] == 0).sum()
    assert len(draw_tiles(store, infected=False, count=10_000, seed=1)) == normal


def test_a_mark_says_which_tiles_are_simulated_and_none_where_all_are_real():
    assert simulated_mark(False, False) is None
    assert simulated_mark(True, True) == "simulated tiles"
    assert "external tiles real" in simulated_mark(True, False)
    assert simulated_mark(False, True).endswith("external tiles simulated")


@pytest.fixture
def shown(small_store, store, tmp_path, monkeypatch):
    """Shows a picture and a table in a run on real or simulated tiles; gives their descriptions."""

    def show(simulated_run, **marked):
        monkeypatch.setattr(Run, "store_path", (store if simulated_run else small_store).path)
        run = Run(tmp_path / "run", "external_validation")
        run.show_figure(plt.figure(), "picture", "A caption.", "A picture.", **marked)
        run.show_table(pd.DataFrame({"a": [1]}), "table", "A caption.", **marked)
        return [
            json.loads((run.figures / f"{name}.json").read_text()) for name in ("picture", "table")
        ]

    return show


@pytest.mark.parametrize("simulated_run", [False, True])
@pytest.mark.parametrize("external", [False, True])
def test_only_what_holds_something_simulated_is_marked(shown, simulated_run, external):
    mark = simulated_mark(simulated_run, external)
    picture, table = shown(simulated_run, mark=mark, simulated=mark is not None)
    assert picture["simulated"] == (simulated_run or external)
    for described in (picture, table):
        assert ("imulated" in described["caption"]) == (simulated_run or external)
    assert ("imulated" in picture["alt"]) == (simulated_run or external)


@pytest.mark.parametrize("simulated_run", [False, True])
def test_without_a_word_the_mark_goes_by_the_runs_tiles(shown, simulated_run):
    picture, table = shown(simulated_run)
    assert picture["simulated"] == simulated_run
    assert ("Simulated tiles." in picture["caption"]) == simulated_run
    assert ("Simulated tiles." in table["caption"]) == simulated_run


def test_a_changed_external_tile_is_found_by_verify(small_set, tmp_path, flip_byte):
    source = small_set.write(tmp_path / "set")
    run = Run(tmp_path / "run", "gate")
    for place in written.STORES:
        merge_ddsm10(source, run.path / place)
    facts = {"stage": "gate", "split": "held-out", "protocol": "official"}
    scores = pd.DataFrame({"gate": np.linspace(0, 1, len(run.store))})
    run.save_predictions("gate", run.store.table, scores, **facts, model="0" * 64, threshold=0.5)
    ledger.write_results(run.path)
    assert ledger.verify_run(run.path) == []
    flip_byte(run.path / "external" / "store" / IMAGES, -1)
    (line,) = ledger.verify_run(run.path)
    assert str(run.path / "external" / "store" / IMAGES) in line


def test_recalibration_is_drawn_for_each_outcome_and_method():
    index = pd.MultiIndex.from_product([[2, 5], METHODS], names=["women", "method"])
    columns = pd.MultiIndex.from_product([OUTCOMES, ["low", "middle", "high"]])
    values = np.tile([0.2, 0.5, 0.7], (len(index), len(OUTCOMES)))
    figure = figures_external.recalibration_panels(pd.DataFrame(values, index, columns))
    assert [axis.get_title() for axis in figure.axes] == [o.replace("_", " ") for o in OUTCOMES]
    for axis in figure.axes:
        assert len(axis.containers) == len(METHODS)
        low, high = axis.containers[0][2][0].get_segments()[0][:, 1]
        assert (low, high) == pytest.approx((0.2, 0.7))
    plt.close(figure)
