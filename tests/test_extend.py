"""The page on adding a network or a data set: its code runs as it stands there."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from birads_lib.networks import peers
from birads_lib.study.kinds import KINDS
from birads_lib.study.sweep_data import SweepData, Task
from birads_lib.study.sweeps import read_sweeps
from birads_lib.tiles import TileStore, sources
from birads_lib.tiles.store import streamed, verify_store

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "book" / "extend.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """What the page's Python code leaves: its names, and the folder that it ran in."""
    folder = tmp_path_factory.mktemp("extend")
    names = {"__name__": "page"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sources, "LAYOUTS", sources.LAYOUTS)
        patch.setattr(peers, "GATES", dict(peers.GATES))
        for number, code in enumerate(blocks("python"), 1):
            exec(compile(code, f"extend.md, block {number}", "exec"), names)
        yield names, folder


def test_the_network_is_trained_and_judged_on_tiles_held_out(executed):
    names, folder = executed
    table = pd.read_parquet(folder / "my-run" / "predictions" / "small_gate.parquet")
    store = names["store"]
    assert table["tile"].tolist() == store.table["tile"][names["split"] == "held-out"].tolist()
    assert table["gate"].between(0, 1).all()
    assert names["found"]["overall"]["auroc"]["interval"]
    assert len(names["trained"].history) == 2


def test_a_second_training_is_taken_from_the_first(executed):
    names, _ = executed
    again = names["train"](
        names["small_gate"],
        names["batches"]("train", seed=0, turn=True, balance="weights"),
        names["batches"]("validation"),
        names["Recipe"]("gate", epochs=2),
        names["run"].models / "small_gate.keras",
    )
    assert again.reused


def test_the_sweep_of_the_page_is_one_that_the_study_knows(executed, tmp_path):
    names, _ = executed
    (block,) = blocks("yaml")
    (tmp_path / "sweeps.yml").write_text((ROOT / "sweeps.yml").read_text() + "\n" + block)
    for profile in yaml.safe_load(block)["mine"]["profiles"]:
        sweep = read_sweeps(profile, tmp_path / "sweeps.yml")["mine"]
        assert sweep.compare == (("SmallGate", "MobileNetV2"),)
    member = read_sweeps("smoke", tmp_path / "sweeps.yml")["mine"].members["SmallGate"]
    tiles = streamed(names["store"].images)
    data = SweepData(
        tiles, tiles, names["store"].table["label"].to_numpy(), names["split"].to_numpy(),
        tmp_path, tmp_path,
    )  # fmt: skip
    answers = KINDS[member.kind].predict(Task(data, 0, tmp_path), **member.parameters)
    assert len(answers.scores["gate"]) == (names["split"] == "held-out").sum()


def test_the_data_set_enters_by_the_door_and_keeps_what_is_known(executed):
    names, folder = executed
    ours, store = TileStore.open(folder / "hospital-store"), names["store"]
    assert verify_store(ours) == []
    assert np.array_equal(ours.images[:], store.images[:])
    for column in ("label", "group"):
        assert ours.table[column].tolist() == store.table[column].tolist()
    assert ours.simulated, "the page's pictures are simulated, and its store says so"
    assert sum(map(sum, names["facts"]["counts"].values())) == len(store)
    assert sources.recognise(folder / "hospital").name == "hospital"


def test_the_page_names_files_and_tables_that_exist():
    for path in re.findall(r"`((?:birads_lib|tests)/[\w/.]+)`", PAGE):
        assert (ROOT / path).exists(), path
    assert "CODE_THAT_TRAINS" in (ROOT / "birads_lib" / "training.py").read_text()
