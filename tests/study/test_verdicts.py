"""Verdicts: one a statement, never a pass by absence, never "reproduced" but on the Kaggle set."""

import ast
import dataclasses
import functools
import json
import re
from dataclasses import replace
from pathlib import Path

import facts
import nbformat
import numpy as np
import pandas as pd
import pytest
from docutils.nodes import make_id

from birads_lib.errors import UsageError
from birads_lib.files import write_json
from birads_lib.labels import LESION_CODES
from birads_lib.metrics import PREDICTION_COLUMNS, summarise
from birads_lib.study import evidence, judgements, notebooks, pages, paper, verdicts
from birads_lib.study.judgements import Judgement
from birads_lib.study.questions import ASKED, PREFIX, QUESTIONS
from birads_lib.tiles import layout, merge_ddsm10, write_phantom
from birads_lib.tiles.store import TileStore

ROOT = Path(__file__).resolve().parents[2]
FIELDS = {
    "id", "claim", "where", "paper", "recomputed", "measured", "interval", "protocol", "data",
    "seeds", "verdict", "why",
}  # fmt: skip
MEASURED = {"reproduced", "partly reproduced", "not reproduced"}
ACCURACIES = ("abstract-accuracies", "conclusion-detection", "figure-8-categories")
NAMES = [entry.id for entry in (*paper.REGISTER, *QUESTIONS)]


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
    about = {"stage": stage, "split": "held-out", "protocol": "official", "model": "0" * 64}
    return found.assign(**about, threshold=0.5, seed=seed)[list(PREDICTION_COLUMNS)]


def write_run(run, table, right=1.0, **networks):
    (run / "predictions").mkdir(parents=True, exist_ok=True)
    for stage in ("gate", "scorer"):
        path = run / "predictions" / f"{stage}.parquet"
        predictions(table, stage, right).to_parquet(path, index=False)
    psnr = {
        "tile with noise added": {"value": 20.0, "interval": [19.0, 21.0]},
        "the same, denoised": {"value": 30.0, "interval": [29.0, 31.0]},
    }
    gain = {"value": 10.0, "interval": [9.0, 11.0]}
    for chapter, results in facts.results(**networks).items():
        more = {"psnr": psnr, "gain": gain, "seed": 0} if chapter == "autoencoder" else {}
        write_json(run / "results" / f"{chapter}.json", {**results, **more})


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
    monkeypatch.setattr(evidence.TileStore, "open", classmethod(lambda cls, path: store))
    monkeypatch.setattr(evidence, "summarise", functools.partial(summarise, replicates=50))
    run = tmp_path / "paper"
    (run / "store").mkdir(parents=True)

    def write(right, **networks):
        write_run(run, table, right, **networks)
        return run

    return write


def by_id(found):
    return {v.id: v for v in found}


def test_the_file_has_one_verdict_a_statement_with_the_contracts_fields(simulated):
    verdicts.write_verdicts(simulated)
    rows = json.loads((simulated / "results" / "verdicts.json").read_text())
    assert [row["id"] for row in rows] == NAMES
    assert len(paper.REGISTER) >= 60
    for row in rows:
        assert set(row) == FIELDS
        assert row["verdict"] in verdicts.WORDS
        assert row["why"].endswith(".")
        assert isinstance(row["seeds"], list)


def test_questions_of_the_study_are_told_from_statements_of_the_paper(simulated):
    rows = verdicts.all_verdicts(simulated)
    of_paper, asked = (rows[: len(paper.REGISTER)], rows[len(paper.REGISTER) :])
    assert [v.id for v in asked] == [question.id for question in QUESTIONS]
    for v in of_paper:
        assert not v.asked
        assert v.claim == paper.statement(v.id).quote
        assert v.paper is not None
    for v in asked:
        assert v.asked
        assert (v.where, v.paper, v.id.startswith(PREFIX)) == (ASKED, None, True)


def test_the_front_page_counts_the_papers_statements_alone(simulated):
    verdicts.write_verdicts(simulated)
    said = pages._verdicts_in_words(simulated)
    assert f"of {len(paper.REGISTER)}**" in said


def test_what_was_measured_has_its_interval_protocol_data_and_seeds(simulated):
    found = [v for v in verdicts.all_verdicts(simulated) if v.measured is not None]
    assert len(found) > 20
    for v in found:
        assert v.protocol, v.id
        assert v.data, v.id
        assert v.seeds, v.id
        assert v.interval is not None or v.id == "figure-8-categories", v.id


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
    table = evidence.TileStore.open(run).table
    evidence.TileStore.open(run).table = table[table["label"] != 4]
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
def test_the_kaggle_set_decides_by_the_interval(kaggle, right, detection, accuracies):
    found = by_id(verdicts.measured_verdicts(kaggle(right)))
    assert found["conclusion-detection"].verdict == detection
    assert found["abstract-accuracies"].verdict == accuracies
    assert found["methodology-noise"].verdict == "reproduced"
    assert found["conclusion-detection"].data.startswith("the Kaggle set")


def test_smaller_networks_on_the_kaggle_set_leave_their_claims_open(kaggle):
    small = replace(facts.SCORER, backbone="efficientnetb0", weights=4_000_000)
    run = kaggle(1.0, scorer=small, gate=replace(facts.GATE, alpha=0.35))
    found = by_id(verdicts.measured_verdicts(run))
    for name in ACCURACIES:
        assert found[name].verdict == "not testable"
        assert found[name].measured is not None


def test_an_empty_run_passes_nothing_by_absence(tmp_path):
    found = verdicts.measured_verdicts(tmp_path)
    assert {v.verdict for v in found} == {"not testable", "needs the Kaggle set"}
    for v in found:
        assert v.measured is None
        assert v.recomputed is None
        assert "This run" in v.why or "this run" in v.why
    assert [v.id for v in verdicts.all_verdicts(tmp_path)] == NAMES
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


def test_files_without_facts_pass_nothing(simulated, tmp_path):
    built = by_id(verdicts.measured_verdicts(simulated))
    assert built["scorer-parameters"].recomputed == [66_658_687, 64_097_687]
    assert built["equation-2"].recomputed == [7, 5, 1]
    assert built["scorer-layer-3"].recomputed == 32
    assert built["mobilenet-grey"].recomputed == 1
    for chapter in ("attention", "gate", "autoencoder"):
        write_json(tmp_path / "results" / f"{chapter}.json", {"model": "0", "weights": {"x": 1}})
    missing = by_id(verdicts.measured_verdicts(tmp_path))
    for name in ("scorer-parameters", "equation-1", "scorer-layer-3", "mobilenet-grey"):
        assert missing[name].verdict == "not testable"
        assert missing[name].recomputed is None


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


@pytest.fixture(scope="module")
def anchors():
    """Anchors of each page by its place: of headings, and of figures and tables it shows."""
    found = {}
    for path in (*(ROOT / "notebooks").glob("*.py"), *(ROOT / "book").glob("*.md")):
        text = path.read_text()
        headings = re.findall(r"^(?:# )?#+ (.+)$", text, flags=re.M)
        page = path.stem if path.suffix == ".py" else f"../book/{path.stem}"
        found[page] = {make_id(heading) for heading in headings}
        if path.suffix == ".py":
            found[page] |= shown(text)
    return found


def shown(chapter):
    """Anchors of the figures and tables of a chapter."""
    found = set()
    for node in ast.walk(ast.parse(chapter)):
        kind = getattr(getattr(node, "func", None), "attr", "")
        if kind in ("show_figure", "show_table"):
            name = node.args[1].value
            found.add(make_id(f"fig-{name}") if kind == "show_figure" else f"T_{name}")
    return found


@pytest.mark.parametrize("beginning", verdicts.PLACES)
def test_every_place_is_a_cell_that_its_page_has(beginning, anchors):
    place = verdicts.PLACES[beginning]
    page, _, cell = place.partition("#")
    assert any(name.startswith(beginning) for name in NAMES)
    assert page in anchors
    assert cell in anchors[page] or (not cell and page.startswith("../book/"))


def test_whatever_is_decided_has_a_link_to_its_working(simulated):
    for v in verdicts.all_verdicts(simulated):
        assert verdicts.worked_out(v.id) or v.verdict == "not testable", v.id
        assert verdicts.worked_out(v.id) or v.measured is None, v.id


def test_a_statements_place_is_that_of_the_longest_beginning():
    assert verdicts.worked_out("figure-7-diagonal") == "paper_audit#fig-audit-regenerated"
    assert verdicts.worked_out("figure-7-total") == "paper_audit#the-whole-training-set"
    assert verdicts.worked_out("abstract-laptop") == ""
    link = verdicts.page_link("../book/data_card")
    assert link == '<a href="../book/data_card.html">data card</a>'
    link = verdicts.page_link("paper_audit#T_audit_bound")
    assert link == '<a href="paper_audit.html#T_audit_bound">paper audit</a>'
    assert verdicts.page_link("") == "\u2013"


def test_wrong_word_unknown_id_and_missing_reason_are_refused():
    good = verdicts.verdict("dataset-sum", Judgement(1, "holds", "The rows sum to it."))
    for change, message in (
        ({"verdict": "proven"}, "verdict: unknown 'proven'; use one of holds"),
        ({"id": "dataset-summe"}, "statement: unknown 'dataset-summe'"),
        ({"id": "study-sum"}, "question: unknown 'study-sum'"),
        ({"why": ""}, "verdict dataset-sum: no reason given"),
    ):
        with pytest.raises(UsageError, match=re.escape(message)):
            dataclasses.replace(good, **change)


@pytest.mark.parametrize("twice", [[], ["dataset-sum"] * 2])
def test_a_statement_without_a_verdict_or_with_two_is_named(tmp_path, monkeypatch, twice):
    found = [v for v in verdicts.arithmetic_verdicts() if v.id != "dataset-sum"]
    added = [verdicts.verdict(name, Judgement(1, "holds", "So.")) for name in twice]
    monkeypatch.setattr(verdicts, "arithmetic_verdicts", lambda: found + added)
    with pytest.raises(UsageError, match=r"verdicts: not one each for dataset-sum$"):
        verdicts.all_verdicts(tmp_path)


def test_counts_and_table_show_every_statement(simulated):
    found = verdicts.all_verdicts(simulated)
    counts = verdicts.verdict_counts(found)
    assert counts["all"].sum() == len(paper.REGISTER)
    assert counts[ASKED].sum() == len(QUESTIONS)
    assert tuple(counts.index) == verdicts.WORDS
    table = verdicts.verdict_table(found)
    assert table.index.tolist() == NAMES
    assert (table["why"].str.len() > 5).all()
    assert table.loc["gate-precision", "recomputed"] == "0.7812"
    assert table.loc["equation-6", "recomputed"] == "1, 1, 2,560"
    assert table.loc["conclusion-detection", "measured"] == "100.0 (100.0 to 100.0)"
    assert table.loc["conclusion-detection", "protocol"] == "official, held-out tiles"
    assert table.loc["dataset-sum", "protocol"] == "\u2013"


@pytest.mark.parametrize("chapter", ["paper_audit", "verdict"])
def test_the_chapters_run_without_a_network(simulated, monkeypatch, chapter):
    monkeypatch.chdir(ROOT)
    target = simulated / "notebooks" / f"{chapter}.ipynb"
    source = ROOT / "notebooks" / f"{chapter}.py"
    notebooks.run_chapter(source, target, {"RUN": str(simulated)}, simulated / "figures")
    executed = nbformat.read(target, as_version=4)
    said = "".join(str(cell.get("outputs", "")) for cell in executed.cells)
    if chapter == "verdict":
        assert f"{len(paper.REGISTER)} statements" in said
        for name in ("study-two-stages", "official, held-out tiles", "#fig-audit-regenerated"):
            assert name in said
    else:
        assert "10 of 16" in said
        assert "C2 to C5: 1, 1, 1, 1; each is the precision of Table 2" in said
        assert "2,066; 1,904; 1,477; 1,792 or 1,793" in said
        assert "solutions for all 16 cells: **1**" in said


def test_numbers_of_a_list_have_as_many_digits_as_the_longest():
    assert verdicts._shown([0.93, 0.92, 0.9, 0.93]) == "0.93, 0.92, 0.90, 0.93"
    assert verdicts._shown([3, 3]) == "3, 3"
    assert verdicts._shown([0.5, "none"]) == "0.5, none"
