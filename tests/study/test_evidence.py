"""What a run's folder holds: read where it is there, empty where not, refused where broken."""

import facts
import pandas as pd
import pytest

from birads_lib.errors import DataError
from birads_lib.files import sealed, write_json
from birads_lib.study import evidence
from birads_lib.study.built import TRAINED, BuiltGate, read
from birads_lib.study.evidence import is_kaggle_set, read_evidence
from birads_lib.tiles import layout

KNOWN = {
    "training": layout.TRAINING_COUNTS,
    "test10": layout.TEST10_COUNTS,
    "cv10": layout.CV10_COUNTS,
}


class Store:
    """The Kaggle set, count by count, without its images."""

    simulated, digest = False, "f" * 64

    def __init__(self, counts=None):
        parts = {**KNOWN, **(counts or {})}
        rows = [
            pd.DataFrame({"origin": part, "label": [k for k, n in enumerate(of) for _ in range(n)]})
            for part, of in parts.items()
        ]
        self.table = pd.concat(rows, ignore_index=True)


@pytest.mark.parametrize(
    "changed",
    [
        {"training": (48_595, 2_103, 1_911, 1_463, 1_812)},
        {"test10": (6_680, 606, 0, 396, 0)},
        {"extra": (1, 0, 0, 0, 0)},
    ],
)
def test_the_kaggle_set_is_known_by_every_count(changed):
    assert is_kaggle_set(Store())
    assert not is_kaggle_set(Store(changed))


def test_simulated_tiles_are_no_kaggle_set_whatever_their_counts():
    store = Store()
    store.simulated = True
    assert not is_kaggle_set(store)


def test_an_empty_folder_gives_empty_evidence(tmp_path):
    found = read_evidence(tmp_path)
    assert (found.tiles, found.kaggle, found.profile) == ("no tiles", False, tmp_path.name)
    assert found.records == found.results == found.sweeps == found.settings == {}
    assert found.figures("gate", [None], "accuracy", 1) is None
    assert "not recorded" in found.other_gate()
    assert "not recorded" in found.other_scorer()
    assert list(tmp_path.iterdir()) == []


def test_results_are_those_of_the_chapters(tmp_path):
    for chapter, results in facts.results().items():
        write_json(tmp_path / "results" / f"{chapter}.json", results)
    write_json(tmp_path / "results" / "cost.json", {})
    found = read_evidence(tmp_path)
    assert set(found.results) == {"attention", "gate", "autoencoder", "phone"}
    assert read(BuiltGate, found.results["gate"], TRAINED) == facts.GATE
    assert (found.other_gate(), found.other_scorer()) == ("", "")


def test_sweeps_come_with_what_their_members_were_trained_with(tmp_path):
    about = dict.fromkeys(("failed", "missing", "date", "commit", "differences", "table"))
    members = {name: {"seeds": [2, 3]} for name in ("A", "B")}
    results = {**about, "complete": True, "members": members}
    write_json(tmp_path / "results" / "sweep_gates.json", sealed(results))
    note = {"parameters": {"clip": 4}, "digest": "0"}
    write_json(tmp_path / "sweeps" / "gates" / "A" / "2.json", note)
    write_json(tmp_path / "sweeps" / "gates" / "B" / "2.json", {"failed": "it broke"})
    found = read_evidence(tmp_path)
    assert list(found.sweeps) == ["gates"]
    assert found.settings == {"gates": {"A": {"clip": 4}}}
    assert "Not of the printed size in this sweep: A" in found.other_members("gates", ["A"])
    assert "With what B ran is not recorded" in found.other_members("gates", ["A", "B"])


def test_several_seeds_give_their_mean_and_the_widest_ends():
    ends = ((0, 0.8, [0.7, 0.85]), (1, 0.9, [0.8, 0.95]))
    records = [
        {"seed": s, "overall": {"accuracy": {"value": v, "interval": i}}} for s, v, i in ends
    ]
    found = evidence.Evidence("tiles", False, "laptop", {"gate": records[::-1]})
    ((value,), (interval,)) = found.figures("gate", [None], "accuracy", 100)
    assert value == pytest.approx(85)
    assert interval == pytest.approx([70, 95])
    assert found.provenance("gate") == {
        "protocol": "official, held-out tiles", "data": "tiles", "seeds": (0, 1),
    }  # fmt: skip


def test_a_broken_table_of_predictions_is_named(tmp_path):
    path = tmp_path / "predictions" / "gate.parquet"
    path.parent.mkdir()
    pd.DataFrame({"tile": ["a"]}).to_parquet(path)
    with pytest.raises(DataError, match=r"gate\.parquet: columns missing: C2, C3"):
        read_evidence(tmp_path)


def test_a_table_of_a_sweep_is_not_read_as_the_runs_own(tmp_path):
    path = tmp_path / "predictions" / "sweep_gates.parquet"
    path.parent.mkdir()
    pd.DataFrame({"tile": ["a"]}).to_parquet(path)
    assert read_evidence(tmp_path).records == {}


def test_broken_results_are_named(tmp_path):
    path = tmp_path / "results" / "gate.json"
    path.parent.mkdir()
    path.write_text("{")
    with pytest.raises(DataError, match=r"gate\.json: not readable as JSON"):
        read_evidence(tmp_path)
