"""What a run holds is what it wrote: whatever is changed, added or taken away is named."""

import shutil

import numpy as np
import pandas as pd
import pytest

from birads_lib.cli import main
from birads_lib.errors import DataError
from birads_lib.files import note_digest, read_json, sha256, write_json
from birads_lib.study import book
from birads_lib.study.ledger import refuse_changed, verify_run, write_results
from birads_lib.study.run import Run
from birads_lib.study.written import LEDGER, noted
from birads_lib.tiles import TileStore, merge_ddsm10
from birads_lib.tiles.pictures import open_pictures
from birads_lib.tiles.store import IMAGES, META, TABLE, verify_store


@pytest.fixture
def run(copied):
    """A finished run with a store of its own, to change."""
    source = (copied / "store").resolve()
    (copied / "store").unlink()
    shutil.copytree(source, copied / "store")
    return copied


def test_a_run_as_written_has_nothing_to_report(run):
    assert verify_run(run) == []
    refuse_changed(run)


def test_every_kind_of_file_is_listed_and_a_changed_byte_of_each_is_named(run, flip_byte):
    listed = read_json(run / LEDGER)["files"]
    kinds = {name.split("/")[0] for name in listed}
    assert kinds == {"store", "models", "predictions", "figures", "results", "notebooks"}
    files = [p for p in run.rglob("*") if p.is_file() and p.parent.name != "timings"]
    names = {p.relative_to(run).as_posix() for p in files} - {LEDGER, f"store/{IMAGES}"}
    assert listed.keys() == names
    for name in ("models/cascade/cascade.json", "figures/curve.svg", "figures/counts.csv",
                 "notebooks/gate.ipynb", "figures/tiles.png", "results/verdicts.json"):  # fmt: skip
        before = (run / name).read_bytes()
        flip_byte(run / name, -3)
        assert verify_run(run) == [f"{run / name}: changed since the run"]
        with pytest.raises(DataError, match=f"{name}: changed since the run; remove .*stamps and"):
            refuse_changed(run)
        (run / name).write_bytes(before)
    refuse_changed(run)


def test_a_changed_tile_is_named_wherever_tiles_are_opened(run, flip_byte):
    assert len(Run(run, "gate").store) > 0
    flip_byte(run / "store" / IMAGES, -1)
    (line,) = verify_run(run)
    assert f"{run / 'store' / IMAGES}: tile " in line
    named = r"images\.npy: tile .* has changed; "
    for opening in (refuse_changed, write_results, lambda run: Run(run, "gate").store):
        with pytest.raises(DataError, match=f"{named}remove .*stamps and run"):
            opening(run)
    with pytest.raises(DataError, match=f"{named}merge the tiles again"):
        open_pictures(run / "store")


@pytest.mark.parametrize("name", ["models/gate.keras", "models/cascade/cascade.json"])
def test_a_changed_network_is_named_by_whoever_takes_it(run, flip_byte, name):
    with noted(run, "made"):
        (run / "models" / "gate.keras").write_bytes(b"a network")
        write_json(run / "models" / "cascade" / "cascade.json", {"threshold": 0.5})
    asked = Run(run, "phone")
    assert asked.model_file("gate").exists()
    assert asked.cascade_folder.is_dir()
    flip_byte(run / name, -3)
    with pytest.raises(DataError, match=f"{name}: changed since it was written"):
        asked.model_file("gate") if name.endswith("keras") else asked.cascade_folder


def test_that_real_tiles_were_simulated_cannot_be_said_unnoticed(run):
    meta = run / "store" / META
    write_json(meta, {**read_json(meta), "simulated": False})
    assert verify_run(run) == [f"{meta}: changed since the run"]


def test_another_store_in_the_place_of_the_runs_own_is_named(run, small_store):
    shutil.rmtree(run / "store")
    shutil.copytree(small_store.path, run / "store")
    assert verify_store(TileStore.open(run / "store")) == []
    assert f"{run / 'store'}: not the tiles of this run" in verify_run(run)


def test_a_store_that_the_run_does_not_know_or_misses_is_named(run, small_store):
    place = run / "external" / "store"
    shutil.copytree(small_store.path, place)
    assert f"{place}: not the tiles of this run" in verify_run(run)
    write_results(run)
    assert verify_run(run) == []
    shutil.rmtree(place)
    assert f"{place}: missing" in verify_run(run)


@pytest.mark.parametrize(
    "name", ["figures/more.png", "models/more.keras", "results/more.json", "notebooks/a/more.ipynb"]
)
def test_a_file_that_the_run_did_not_write_is_named(run, name):
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).write_text("{}")
    assert verify_run(run) == [f"{run / name}: not written by the run"]
    with pytest.raises(DataError, match="not written by the run"):
        refuse_changed(run)


def test_what_an_editor_hides_and_what_a_sweep_leaves_is_no_part_of_a_run(run):
    for name in ("notebooks/.ipynb_checkpoints/gate.ipynb", "results/.kept", "logs/gate.log"):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("{}")
    (run / "figures" / "sweep_made.png").write_text("x")
    assert refuse_changed(run) is None
    assert verify_run(run) == []


def test_several_changes_are_counted(run):
    for name in ("figures/curve.png", "figures/curve.svg", "figures/tiles.png"):
        (run / name).unlink()
    with pytest.raises(DataError, match=r"curve\.png: missing, and 2 more; remove"):
        refuse_changed(run)


def test_a_changed_run_becomes_no_book(run, in_project, tmp_path):
    (run / "figures" / "curve.svg").unlink()
    with pytest.raises(DataError, match=r"curve\.svg: missing"):
        book.build_book(run, tmp_path / "html")
    assert not (tmp_path / "html").exists()


def test_changed_answers_of_a_sweeps_training_are_named(run, capsys):
    folder = run / "sweeps" / "ablations" / "both"
    folder.mkdir(parents=True)
    for seed in (0, 1):
        pd.DataFrame({"gate": [0.5]}).to_parquet(folder / f"{seed}.parquet")
        write_json(folder / f"{seed}.json", {"table": sha256(folder / f"{seed}.parquet")})
    assert verify_run(run) == []
    pd.DataFrame({"gate": [0.6]}).to_parquet(folder / "1.parquet")
    assert main(["verify", str(run)]) == 2
    said = capsys.readouterr().err
    assert f"{folder / '1.parquet'}: not what 1.json beside it says" in said
    assert "0.parquet" not in said
    write_json(folder / "1.json", {"failed": "out of memory"})
    assert verify_run(run) == [], "answers of an earlier training, which count no more"


def test_changed_features_of_a_frozen_backbone_are_named(run, flip_byte):
    path = run / "features" / "0.npy"
    path.parent.mkdir()
    np.save(path, np.arange(9.0))
    note_digest(path)
    assert verify_run(run) == []
    flip_byte(path, -1)
    assert verify_run(run) == [f"{path}: features changed since they were written; remove the file"]


@pytest.mark.parametrize("name", [IMAGES, TABLE])
def test_a_store_that_has_changed_is_merged_anew(small_set, tmp_path, flip_byte, name):
    source, place = small_set.write(tmp_path / "set"), tmp_path / "store"
    merge_ddsm10(source, place)
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    flip_byte(place / name, -1 if name == IMAGES else 60)
    merge_ddsm10(source, place)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
