"""Verdicts: one a statement, never a pass by absence, never "reproduced" but on the Kaggle set."""

import dataclasses
import functools
import json
import re
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from docutils.nodes import make_id

from birads_lib.errors import DataError, UsageError
from birads_lib.files import write_json
from birads_lib.labels import LESION_CODES
from birads_lib.metrics import PREDICTION_COLUMNS, summarise
from birads_lib.study import judgements, notebooks, paper, verdicts
from birads_lib.tiles import layout, merge_ddsm10, write_phantom
from birads_lib.tiles.store import TileStore

ROOT = Path(__file__).resolve().parents[2]
FIELDS = {
    "id", "claim", "where", "paper", "recomputed", "measured", "interval", "protocol", "data",
    "seeds", "verdict", "why",
}  # fmt: skip
MEASURED = {"reproduced", "partly reproduced", "not reproduced"}
ACCURACIES = ("abstract-accuracies", "conclusion-detection", "figure-8-categories")
WEIGHTS = {
    verdicts.PRINTED_NETWORK: 67_000_000,
    verdicts.PRINTED_BACKBONE: 64_097_687,
    verdicts.PLAIN_NETWORK: 98_000,
}


def predictions(table, stage, right=1.0, seed=0):
    """Predictions as a chapter leaves them; the first ``right`` of each class are correct."""
    table = table[(table["origin"] != "training") & ((stage == "gate") | (table["label"] > 0))]
    place = table.groupby("label").cumcount() / table.groupby("label")["label"].transform("size")
    correct = (place < right).to_numpy()
    found = table[["tile", "group", "label"]].reset_index(drop=True)
    label = found["label"].to_numpy()
    infected = label > 0
    found["gate"] = np.where(correct == infected, 0.9, 0.1) if stage == "gate" else np.nan
    said = np.where(correct, label, label % 4 + 1)
    for k, code in enumerate(LESION_CODES, start=1):
        found[code] = np.where(said == k, 0.7, 0.1) if stage == "scorer" else np.nan
    facts = {"stage": stage, "split": "held-out", "protocol": "official", "model": "0" * 64}
    return found.assign(**facts, threshold=0.5, seed=seed)[list(PREDICTION_COLUMNS)]


def write_run(run, table, right=1.0):
    (run / "predictions").mkdir(parents=True, exist_ok=True)
    for stage in ("gate", "scorer"):
        path = run / "predictions" / f"{stage}.parquet"
        predictions(table, stage, right).to_parquet(path, index=False)
    psnr = {
        "tile with noise added": {"value": 20.0, "interval": [19.0, 21.0]},
        "the same, denoised": {"value": 30.0, "interval": [29.0, 31.0]},
    }
    write_json(run / "results" / "autoencoder.json", {"psnr": psnr})
    write_json(run / "results" / "gate.json", {"model": "0" * 64})
    write_json(run / "results" / "attention.json", {"weights": WEIGHTS})


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A run on simulated tiles whose networks are right every time."""
    folder = tmp_path_factory.mktemp("verdicts")
    write_phantom(folder / "phantom", scale=0.004, positives=0.4, seed=0)
    run = folder / "smoke"
    merge_ddsm10(folder / "phantom", run / "store")
    write_run(run, TileStore.open(run / "store").table)
    return run


def kaggle_table():
    """Rows of a table with the known counts of the Kaggle set."""
    parts = {
        "training": layout.TRAINING_COUNTS,
        "test10": layout.TEST10_COUNTS,
        "cv10": layout.CV10_COUNTS,
    }
    rows = [
        pd.DataFrame({"origin": part, "label": np.repeat(np.arange(5), counts)})
        for part, counts in parts.items()
    ]
    table = pd.concat(rows, ignore_index=True)
    number = table.index.astype(str)
    return table.assign(tile="t" + number, group="g" + number)


@pytest.fixture
def kaggle(tmp_path, monkeypatch):
    """Write a run whose store is the Kaggle set, count by count, without its images."""
    table = kaggle_table()

    class Store:
        simulated, digest = False, "f" * 64

    store = Store()
    store.table = table
    monkeypatch.setattr(verdicts.TileStore, "open", classmethod(lambda cls, path: store))
    run = tmp_path / "paper"
    (run / "store").mkdir(parents=True)

    def write(right):
        write_run(run, table, right)
        return run

    return write


def by_id(found):
    return {v.id: v for v in found}


def test_the_file_has_one_verdict_a_statement_with_the_contracts_fields(simulated):
    verdicts.write_verdicts(simulated)
    rows = json.loads((simulated / "results" / "verdicts.json").read_text())
    assert [row["id"] for row in rows] == [entry.id for entry in paper.REGISTER]
    assert len(rows) >= 60
    for row in rows:
        assert set(row) == FIELDS
        assert row["verdict"] in verdicts.WORDS
        assert row["why"].endswith(".")
        assert row["claim"] == paper.statement(row["id"]).quote
        assert isinstance(row["seeds"], list)


def test_simulated_tiles_reproduce_nothing_however_well_they_score(simulated):
    found = by_id(verdicts.all_verdicts(simulated))
    assert not [v.id for v in found.values() if v.verdict in MEASURED]
    for name in ACCURACIES:
        assert found[name].verdict == "needs the Kaggle set"
        assert "simulated tiles" in found[name].why
        assert found[name].seeds == (0,)
    assert found["conclusion-detection"].measured == 100
    assert found["abstract-accuracies"].measured == [100] * 4
    assert found["abstract-accuracies"].interval == [[100, 100]] * 4
    assert found["methodology-noise"].measured == [20, 30]


def test_real_tiles_of_another_set_reproduce_nothing_either(kaggle):
    run = kaggle(1.0)
    table = verdicts.TileStore.open(run).table
    verdicts.TileStore.open(run).table = table[table["label"] != 4]
    found = by_id(verdicts.measured_verdicts(run))
    assert not [v.id for v in found.values() if v.verdict in MEASURED]
    assert "real tiles other than the Kaggle set" in found["conclusion-detection"].why


@pytest.mark.parametrize(
    ("right", "detection", "accuracies"),
    [
        (1.0, "reproduced", "reproduced"),
        (0.9, "not reproduced", "partly reproduced"),
        (0.5, "not reproduced", "not reproduced"),
    ],
)
def test_the_kaggle_set_decides_by_the_interval(kaggle, monkeypatch, right, detection, accuracies):
    monkeypatch.setattr(verdicts, "summarise", functools.partial(summarise, replicates=50))
    found = by_id(verdicts.measured_verdicts(kaggle(right)))
    assert found["conclusion-detection"].verdict == detection
    assert found["abstract-accuracies"].verdict == accuracies
    assert found["methodology-noise"].verdict == "reproduced"
    assert found["conclusion-detection"].data.startswith("the Kaggle set")


def write_sweep(run, low, high, auroc=0.8):
    """Results of a sweep in which attention's gain has the interval given, as shares."""
    scores = {"scorer": {"auroc": {"value": auroc, "interval": [auroc - 0.1, auroc + 0.1]}}}
    members = {name: {"scores": scores, "seeds": [0, 1]} for name in ("both", "none")}
    gain = {"value": (low + high) / 2, "interval": [low, high]}
    row = {"first": "both", "second": "none", "stage": "scorer", "seeds": [0, 1], "accuracy": gain}
    about = {
        "complete": False,
        "failed": {},
        "missing": [],
        "date": "",
        "commit": "",
        "table": None,
    }
    results = run / "results" / "sweep_ablations.json"
    write_json(results, {**about, "members": members, "differences": [row]})


@pytest.mark.parametrize(
    ("low", "high", "auroc", "word"),
    [
        (0.016, 0.024, 0.8, "reproduced"),
        (-0.02, 0.01, 0.8, "not reproduced"),
        (-0.02, 0.02, 0.8, "not testable"),
        (0.0, 0.0, 0.5, "not testable"),
    ],
)
def test_the_gain_of_attention_is_decided_by_where_its_interval_lies(
    kaggle, monkeypatch, low, high, auroc, word
):
    monkeypatch.setattr(verdicts, "summarise", functools.partial(summarise, replicates=2))
    run = kaggle(1.0)
    write_sweep(run, low, high, auroc)
    found = by_id(verdicts.measured_verdicts(run))["conclusion-attention-gain"]
    assert found.verdict == word
    assert found.interval == pytest.approx([100 * low, 100 * high])
    assert found.seeds == (0, 1)
    assert "not complete" in found.why


def test_a_gain_on_simulated_tiles_is_stated_and_decides_nothing(simulated):
    write_sweep(simulated, 0.016, 0.024)
    try:
        found = by_id(verdicts.measured_verdicts(simulated))["conclusion-attention-gain"]
    finally:
        (simulated / "results" / "sweep_ablations.json").unlink()
    assert found.verdict == "needs the Kaggle set"
    assert found.measured == pytest.approx(2.0)
    assert "simulated tiles" in found.why


def write_gates(run, squeezenet, shufflenet, auroc=0.8):
    """Results of the sweep of gates: MobileNetV2 less two others, intervals as shares."""
    scores = {"gate": {"auroc": {"value": auroc, "interval": [auroc - 0.1, auroc + 0.1]}}}
    gains = {"SqueezeNet": squeezenet, "ShuffleNetV2": shufflenet}
    rows = [
        {"first": "MobileNetV2", "second": peer, "stage": "gate", "seeds": [0]}
        | {"auroc": {"value": sum(ends) / 2, "interval": list(ends)}}
        for peer, ends in gains.items()
    ]
    about = {
        "complete": True,
        "failed": {},
        "missing": [],
        "date": "",
        "commit": "",
        "table": None,
        "members": {n: {"scores": scores, "seeds": [0]} for n in ("MobileNetV2", *gains)},
        "differences": rows,
    }
    write_json(run / "results" / "sweep_gates.json", about)


@pytest.mark.parametrize(
    ("squeezenet", "shufflenet", "auroc", "word"),
    [
        ((0.01, 0.03), (0.02, 0.04), 0.8, "reproduced"),
        ((0.01, 0.03), (-0.04, -0.02), 0.8, "not reproduced"),
        ((0.01, 0.03), (-0.01, 0.02), 0.8, "not testable"),
        ((0.01, 0.03), (0.02, 0.04), 0.5, "not testable"),
    ],
)
def test_lightweight_gates_are_decided_by_both_differences(
    kaggle, monkeypatch, squeezenet, shufflenet, auroc, word
):
    monkeypatch.setattr(verdicts, "summarise", functools.partial(summarise, replicates=2))
    run = kaggle(1.0)
    write_gates(run, squeezenet, shufflenet, auroc)
    found = by_id(verdicts.measured_verdicts(run))["methodology-peers"]
    assert found.verdict == word
    assert found.measured == pytest.approx([50 * sum(squeezenet), 50 * sum(shufflenet)])
    assert "not complete" not in found.why


def test_gates_on_simulated_tiles_are_stated_and_decide_nothing(simulated):
    write_gates(simulated, (0.01, 0.03), (0.02, 0.04))
    try:
        found = by_id(verdicts.measured_verdicts(simulated))["methodology-peers"]
    finally:
        (simulated / "results" / "sweep_gates.json").unlink()
    assert found.verdict == "needs the Kaggle set"
    assert found.measured == pytest.approx([2.0, 3.0])


def test_an_empty_run_passes_nothing_by_absence(tmp_path):
    found = verdicts.measured_verdicts(tmp_path)
    assert {v.verdict for v in found} == {"not testable", "needs the Kaggle set"}
    for v in found:
        assert v.measured is None
        assert "This run" in v.why or "this run" in v.why
    assert len(verdicts.all_verdicts(tmp_path)) == len(paper.REGISTER)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("lost", ["gate", "scorer"])
def test_a_missing_table_leaves_only_its_own_claims_open(simulated, tmp_path, lost):
    (tmp_path / "store").symlink_to(simulated / "store")
    write_run(tmp_path, TileStore.open(simulated / "store").table)
    (tmp_path / "predictions" / f"{lost}.parquet").unlink()
    found = by_id(verdicts.all_verdicts(tmp_path))
    claims = {"gate": "conclusion-detection", "scorer": "abstract-accuracies"}
    for stage, name in claims.items():
        assert (found[name].measured is None) == (stage == lost)
    assert f"no figure of the {lost}" in found[claims[lost]].why


def test_what_was_not_built_is_not_testable(simulated, tmp_path):
    built = by_id(verdicts.measured_verdicts(simulated))
    assert built["scorer-parameters"].recomputed == [66_658_687, 64_097_687]
    assert built["equation-2"].verdict == "holds with a note"
    write_json(tmp_path / "results" / "attention.json", {"weights": {"trained here": 1}})
    missing = by_id(verdicts.measured_verdicts(tmp_path))
    for name in ("scorer-parameters", "equation-1", "scorer-layer-3", "mobilenet-grey"):
        assert missing[name].verdict == "not testable"
        assert missing[name].recomputed is None


def test_attention_on_lesions_is_measured_where_outlines_are_known_and_decided_nowhere(
    simulated, tmp_path
):
    def of_all(score, guess):
        return {"all": {score: {f"less {guess}": {"value": 0.2, "interval": [0.1, 0.3]}}}}

    figures = of_all("pointing game", "centre")["all"] | of_all("mass inside", "uniform")["all"]
    (tmp_path / "store").symlink_to(simulated / "store")
    path = tmp_path / "results" / "explanations.json"
    for outlines, measured in ((True, [0.2, 0.2]), (False, None)):
        write_json(path, {"outlines": outlines, "seed": 3, "attention": {"all": figures}})
        found = by_id(verdicts.measured_verdicts(tmp_path))["attention-regions"]
        assert (found.verdict, found.measured) == ("not testable", measured)
        assert "no outlines of lesions" in found.why
        assert found.seeds == ((3,) if outlines else ())


def test_arithmetic_decides_and_the_measured_value_stands_beside(simulated):
    alone = by_id(verdicts.arithmetic_verdicts())
    beside = by_id(verdicts.all_verdicts(simulated))
    for name in ("gate-sensitivity", "table-2-accuracy-c3", "text-total-accuracy"):
        assert alone[name].measured is None
        assert beside[name].measured is not None
        assert beside[name].verdict == alone[name].verdict
        assert "simulated tiles" in beside[name].data
    assert beside["gate-sensitivity"].measured == 1
    assert beside["table-2-accuracy-c3"].measured == 100


def test_findings_have_the_verdict_that_the_numbers_give():
    found = {v.id: v.verdict for v in verdicts.arithmetic_verdicts()}
    holds = ["gate-precision", "gate-sensitivity", "gate-specificity", "dataset-sum"]
    holds += [f"table-2-{name}-c{k}" for name in ("precision", "sensitivity") for k in range(2, 6)]
    fails = ["dataset-uninfected", "dataset-infected", "table-2-specificity-c3", "abstract-shares"]
    fails += [f"table-2-accuracy-c{k}" for k in range(2, 6)]
    fails += ["methodology-birads-classes", "conclusion-classes", "mobilenet-mri"]
    notes = ["abstract-training-samples", "methodology-mammograms", "table-2-specificity-c4"]
    notes += [f"table-1-actual-c{i}-predicted-c{k}" for i in range(2, 6) for k in range(2, 6)]
    assert {found[name] for name in holds} == {"holds"}
    assert {found[name] for name in fails} == {"does not hold"}
    assert {found[name] for name in notes} == {"holds with a note"}


def test_a_changed_cell_no_longer_holds(monkeypatch):
    changed = paper.FIGURE_5.copy()
    changed[1] = [390, 6849]
    monkeypatch.setattr(paper, "FIGURE_5", changed)
    monkeypatch.setattr(judgements.arithmetic.implied_gate, "__defaults__", (changed,))
    found = judgements.judgements()
    assert found["gate-sensitivity"].verdict == "does not hold"
    assert found["figure-5-false-negatives"].verdict == "does not hold"


def test_every_place_is_a_page_and_a_heading_of_it():
    for beginning, place in verdicts.PLACES.items():
        assert any(entry.id.startswith(beginning) for entry in paper.REGISTER), beginning
        page, _, heading = place.partition("#")
        source = ROOT / "notebooks" / f"{page}.{'md' if page.startswith('..') else 'py'}"
        headings = re.findall(r"^(?:# )?#+ (.+)$", source.read_text(), flags=re.M)
        assert not heading or heading in {make_id(text) for text in headings}
    assert verdicts.worked_out("figure-7-diagonal") == "paper_audit#constant-columns"
    link = verdicts.page_link("../book/data_card")
    assert link == '<a href="../book/data_card.html">data card</a>'


def test_wrong_word_unknown_id_and_missing_reason_are_refused():
    good = verdicts.verdict("dataset-sum", "holds", "The rows sum to it.")
    for change, message in (
        ({"verdict": "proven"}, "verdict: unknown 'proven'; use one of holds"),
        ({"id": "dataset-summe"}, "statement: unknown 'dataset-summe'"),
        ({"why": ""}, "verdict dataset-sum: no reason given"),
    ):
        with pytest.raises(UsageError, match=re.escape(message)):
            dataclasses.replace(good, **change)


def test_a_broken_table_of_predictions_is_named(tmp_path):
    path = tmp_path / "predictions" / "gate.parquet"
    path.parent.mkdir()
    pd.DataFrame({"tile": ["a"]}).to_parquet(path)
    with pytest.raises(DataError, match=r"gate\.parquet: columns missing: C2, C3"):
        verdicts.measured_verdicts(tmp_path)


def test_counts_and_table_show_every_statement(simulated):
    found = verdicts.all_verdicts(simulated)
    counts = verdicts.verdict_counts(found)
    assert counts["all"].sum() == len(paper.REGISTER)
    assert tuple(counts.index) == verdicts.WORDS
    table = verdicts.verdict_table(found)
    assert table.index.tolist() == [entry.id for entry in paper.REGISTER]
    assert (table["why"].str.len() > 5).all()
    assert table.loc["gate-precision", "recomputed"] == "0.7812"
    assert table.loc["conclusion-detection", "measured"] == "100.0 (100.0 to 100.0)"


@pytest.mark.parametrize("chapter", ["paper_audit", "verdict"])
def test_the_chapters_run_without_a_network(simulated, monkeypatch, chapter):
    monkeypatch.chdir(ROOT)
    target = simulated / "notebooks" / f"{chapter}.ipynb"
    source = ROOT / "notebooks" / f"{chapter}.py"
    notebooks.run_chapter(source, target, {"RUN": str(simulated)}, simulated / "figures")
    executed = nbformat.read(target, as_version=4)
    shown = "".join(str(cell.get("outputs", "")) for cell in executed.cells)
    assert (
        "10 of 16" if chapter == "paper_audit" else f"{len(paper.REGISTER)} statements"
    ) in shown
