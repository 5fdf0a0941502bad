"""The whole study in its smallest size, from tiles to pages: simulated and real."""

import json
import os
import re
import resource
import shutil
import signal

import pandas as pd
import pytest
from studies import (
    ENDS,
    ROOT,
    all_ended,
    at_work_in,
    begin,
    birads,
    copy_study,
    described,
    end,
    endings,
    kill_all_in,
    wait_for,
)

from birads_lib.labels import CODES
from birads_lib.metrics import BIRADS_COLUMNS, PREDICTION_COLUMNS
from birads_lib.networks import read_model, weights_digest
from birads_lib.study.ledger import verify_run
from birads_lib.study.profiles import CHAPTERS
from birads_lib.tiles import TileStore

OF_THE_PAPER = [f"figure_{i}" for i in range(1, 9)] + ["table_1", "table_2"]
VERDICT_FIELDS = {
    "id", "claim", "where", "paper", "recomputed", "measured", "interval", "protocol", "data",
    "seeds", "verdict", "why",
}  # fmt: skip
OF_NO_TILES = {
    "figure_1", "figure_2", "figure_3", "sizes", "table_1_paper", "table_2_paper",
    "table_2_implied", "network_costs", "scorer_by_kind", "projected_cost", "bench_targets",
    "bench_ratios", "bench_rows", "bench_machine", "audit_gate", "audit_table_2_cells",
    "audit_class_sums", "audit_shares", "audit_solution", "audit_regenerated", "audit_bound",
    "audit_text", "birads_drawn_from", "verdict_counts", "phone_sizes",
}  # fmt: skip
"""Figures and tables without a tile or a number measured on one; those of label_meaning too."""
OTHERWISE_EACH_RUN = {
    "figures/training_pace.csv", "figures/projected_cost.csv", "figures/phone_pace.csv",
    "figures/phone_sizes.csv", "results/cost.json", "results/phone.json", "results/ledger.json",
}  # fmt: skip
"""What two runs of a study have otherwise: times, sizes of exports, digests over both."""
DAY = 86_400  # s
SOON = 30  # seconds of the processor
FIGURES_OF_MERIT = {
    "accuracy", "balanced_accuracy", "auroc", "auprc", "expected_calibration_error",
}  # fmt: skip
KAPPAS = {"kappa", "linear_kappa", "quadratic_kappa"}


@pytest.fixture(params=["simulated", "real"])
def run(request):
    return request.getfixturevalue(request.param)


def seconds_of_children():
    """Processor's seconds of all that was started and has ended; the clock's depend on others."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def unlike(one, other):
    """Files of two runs that are not the same bytes, of those without the date of their writing."""
    kinds = (
        "results/*.json", "predictions/*.parquet", "tiles/*.npy", "figures/*.csv", "store/*",
    )  # fmt: skip
    names = {path.relative_to(run) for run in (one, other) for k in kinds for path in run.glob(k)}
    found = [(one / name, other / name) for name in sorted(names)]
    return {
        str(a.relative_to(one))
        for a, b in found
        if not (a.exists() and b.exists() and a.read_bytes() == b.read_bytes())
    }


def shows_no_tiles(name, figure):
    return name in OF_NO_TILES or figure["chapter"] == "label_meaning"


def test_every_figure_and_table_of_the_paper_has_its_counterpart(run):
    assert set(OF_THE_PAPER) <= set(described(run))
    for name in OF_THE_PAPER:
        kind = "png" if name.startswith("figure") else "csv"
        assert (run / "figures" / f"{name}.{kind}").stat().st_size > 50


def test_every_figure_says_what_it_shows_and_where_it_comes_from(run):
    digest = TileStore.open(run / "store").digest
    for name, figure in described(run).items():
        assert len(figure["caption"]) > 40, name
        assert figure["data"] == (None if figure["chapter"] == "label_meaning" else digest), name
        assert {"chapter", "commit", "profile", "seed", "sha256"} <= set(figure)
        if (run / "figures" / f"{name}.png").exists():
            assert len(figure["alt"]) > 30, name
            assert (run / "figures" / f"{name}.svg").exists()


def test_every_figure_and_table_of_simulated_tiles_says_so(simulated):
    shown = described(simulated)
    unmarked = {name for name, figure in shown.items() if not figure["simulated"]}
    assert unmarked == {name for name, figure in shown.items() if shows_no_tiles(name, figure)}
    assert len(shown) - len(unmarked) > 40


def test_what_is_marked_as_simulated_says_so_to_every_reader(run):
    for name, figure in described(run).items():
        if figure["simulated"]:
            assert "imulated" in figure["caption"], name
            assert "imulated" in figure.get("alt", figure["caption"]), name


def test_predictions_hold_one_row_for_each_held_out_tile(run):
    table = TileStore.open(run / "store").table
    held_out = table[table["origin"] != "training"]
    expected = {"gate": held_out, "cascade": held_out, "scorer": held_out[held_out["label"] > 0]}
    for stage, tiles in expected.items():
        predictions = pd.read_parquet(run / "predictions" / f"{stage}.parquet")
        assert tuple(predictions.columns) == PREDICTION_COLUMNS
        assert predictions["tile"].tolist() == tiles["tile"].tolist()
        assert predictions["label"].tolist() == tiles["label"].tolist()


def test_metrics_have_every_figure_with_its_interval(run):
    records = json.loads((run / "results" / "metrics.json").read_text())
    records = [r for r in records if r["stage"] != "birads"]
    assert {r["stage"] for r in records} == {"gate", "scorer", "cascade"}
    protocols = {r["protocol"] for r in records if r["stage"] == "scorer"}
    assert protocols == {"official", "training tiles", "random tenth", "tenth by group"}
    for record in records:
        assert {"protocol", "seed", "split", "confusion_matrix"} <= set(record)
        assert set(record["overall"]) == FIGURES_OF_MERIT
        for figure in record["overall"].values():
            low, high = figure["interval"]
            assert 0 <= low <= high <= 1
        for figures in record["per_class"].values():
            assert {"precision", "sensitivity", "specificity", "accuracy"} <= set(figures)


def test_birads_are_drawn_for_simulated_tiles(simulated):
    said = json.loads((simulated / "results" / "real_birads.json").read_text())
    (record,) = (
        r
        for r in json.loads((simulated / "results" / "metrics.json").read_text())
        if r["stage"] == "birads"
    )
    assert said["source"] == "drawn"
    assert said["birads"]["overall"] == record["overall"]
    assert set(record["overall"]) == FIGURES_OF_MERIT | KAPPAS
    table = pd.read_parquet(simulated / "predictions" / "real_birads.parquet")
    scorer = pd.read_parquet(simulated / "predictions" / "scorer.parquet")
    assert tuple(table.columns) == BIRADS_COLUMNS
    assert table[["tile", *CODES[1:]]].equals(scorer[["tile", *CODES[1:]]])
    assert (simulated / "models" / "birads.keras").exists()


def test_calcifications_are_measured_where_their_places_are_known(simulated):
    said = json.loads((simulated / "results" / "ablations.json").read_text())
    assert said["calcifications"]["contrast"]["change"]["interval"]
    assert "ablations_calcifications" in described(simulated)


def test_a_run_verifies_and_a_changed_byte_is_named(run, tmp_path):
    assert verify_run(run) == []
    copy = shutil.copytree(run, tmp_path / run.name)
    picture = copy / "figures" / "figure_5.png"
    picture.write_bytes(picture.read_bytes()[:-1] + b"!")
    assert verify_run(copy) == [f"{picture}: changed since the run"]


def test_metrics_that_do_not_follow_from_the_predictions_are_named(simulated, tmp_path):
    copy = shutil.copytree(simulated, tmp_path / "smoke")
    path = copy / "predictions" / "gate.parquet"
    table = pd.read_parquet(path)
    table.assign(gate=1 - table["gate"]).to_parquet(path, index=False)
    found = "\n".join(verify_run(copy))
    assert f"{path}: changed since the run" in found
    assert "gate, official, held-out, seed 0: not what the predictions give: " in found


def test_verdicts_keep_the_contract_and_claim_nothing_of_other_tiles(run):
    verdicts = json.loads((run / "results" / "verdicts.json").read_text())
    assert len(verdicts) >= 60
    assert len({v["id"] for v in verdicts}) == len(verdicts)
    for verdict in verdicts:
        assert set(verdict) == VERDICT_FIELDS
        assert verdict["why"], verdict["id"]
        assert "reproduced" not in verdict["verdict"], "neither set is the Kaggle set"


def test_structure_is_decided_by_what_the_chapters_built(run):
    verdicts = json.loads((run / "results" / "verdicts.json").read_text())
    found = {verdict["id"]: verdict for verdict in verdicts}
    built = {
        "scorer-layer-4": 64,
        "scorer-kernel": [3, 3],
        "scorer-pooling": [2, 2],
        "mobilenet-grey": 1,
        "autoencoder-size": [299, 299, 1],
    }
    for name, recomputed in built.items():
        assert found[name]["recomputed"] == recomputed, name
        assert found[name]["verdict"] in ("holds", "holds with a note"), name
    # This profile does not build the printed scorer.
    assert found["equation-2"]["verdict"] == "not testable"
    assert found["methodology-noise"]["seeds"] == [0]


def test_every_figure_is_shown_by_its_chapter_and_listed_in_the_index(simulated, pages):
    index = (pages / "book" / "figure_index.html").read_text()
    for name, figure in described(simulated).items():
        notebook = (simulated / "notebooks" / f"{figure['chapter']}.ipynb").read_text()
        assert (f'"fig-{name}"' in notebook) or figure["caption"][:30] in notebook, name
        assert f">{name}<" in index, name


def test_the_book_has_every_page_with_its_figures(pages):
    for chapter in CHAPTERS:
        page = (pages / "notebooks" / f"{chapter}.html").read_text()
        assert "Traceback" not in page
        for image in re.findall(r"<img [^>]*_images[^>]*>", page):
            assert re.search(r'alt="[^"]{30,}"', image), image
    gate = (pages / "notebooks" / "gate.html").read_text()
    assert "The paper, Figure 5" in gate or "the paper's Figure 5" in gate.replace("’", "'")
    assert "Research software" in (pages / "book" / "introduction.html").read_text()


def test_formulas_are_set_by_files_of_the_book_itself(pages):
    page = (pages / "notebooks" / "attention.html").read_text()
    assert 'src="../mathjax/tex-chtml.js' in page.replace("_static/../", "")
    assert (pages / "mathjax" / "tex-chtml.js").exists()
    assert "cdn.jsdelivr.net/npm/mathjax" not in page


def test_nothing_changed_means_nothing_runs_and_soon_ends(project, simulated):
    """Nor does it by the clock: files count by content, whenever they seem to be written."""
    for number, path in enumerate(p for p in sorted(simulated.rglob("*")) if p.is_file()):
        os.utime(path, (DAY * (number % 7),) * 2)
    stamps = {p: p.stat().st_mtime_ns for p in (simulated / "notebooks").iterdir()}
    started = seconds_of_children()
    done = birads(project, "study", "--profile", "smoke")
    assert done.returncode == 0, done.stderr
    assert seconds_of_children() - started < SOON
    assert stamps == {p: p.stat().st_mtime_ns for p in (simulated / "notebooks").iterdir()}


def test_a_book_that_shows_its_run_is_not_rendered_again(project, simulated):
    index = project / "_build" / "html" / "index.html"
    before, started = index.stat().st_mtime_ns, seconds_of_children()
    done = birads(project, "study", "--profile", "smoke", "--book")
    assert done.returncode == 0, done.stderr
    assert seconds_of_children() - started < SOON
    assert re.findall(r"^smoke\S*: (\w+)$", done.stdout, re.M) == []
    assert index.stat().st_mtime_ns == before


def test_tracked_notebooks_stay_as_they_were(project, simulated):
    for path in (ROOT / "notebooks").iterdir():
        assert (project / "notebooks" / path.name).read_bytes() == path.read_bytes()


def test_a_study_that_was_killed_and_failed_ends_with_the_numbers_of_an_unbroken_one(
    simulated, tmp_path_factory
):
    """One study, killed in a training, told to stop in another, stopped by a failing chapter,
    told to stop while its pages are made, killed while they are, then let go on."""
    folder = copy_study(tmp_path_factory.mktemp("second"))
    run, command = folder / "_build" / "run" / "smoke", ("study", "--profile", "smoke")
    models = run / "models"
    with begin(folder, *command) as study:
        wait_for(models / "autoencoder.resume.json", models / "autoencoder.keras")
        kill_all_in(folder)
    assert study.returncode == -signal.SIGKILL
    assert not (run / "notebooks" / "autoencoder.ipynb").exists()
    assert (run / "notebooks" / "data_merging.ipynb").exists()

    with begin(folder, *command) as study:
        wait_for(models / "gate.resume.json", models / "gate.keras")
        os.kill(study.pid, signal.SIGTERM)  # to the command alone, not to what it has started
        said = study.communicate()[1]
    assert study.returncode == 1
    assert "birads: stopped" in said
    assert "Traceback" not in said
    assert at_work_in(folder) == [], "what it has started is stopped with it"
    assert not (run / "notebooks" / "gate.ipynb").exists()

    chapter, index = folder / "notebooks" / "cascade.py", folder / "_build" / "html" / "index.html"
    text = chapter.read_text()
    chapter.write_text(text.replace("# %%\nheld_out =", "# %%\nraise OSError('x9')\nheld_out ="))
    index.parent.mkdir(parents=True)
    index.write_text("the book of an earlier run")
    done = birads(folder, *command, "--book")
    assert done.returncode == 1
    assert "chapter cascade: cell" in done.stderr
    assert "raise OSError('x9')" in done.stderr
    assert index.read_text() == "the book of an earlier run"
    again = set(re.findall(r"^smoke: (\w+)$", done.stdout, re.M))
    assert "gate" in again
    assert not {"data", "data_merging", "autoencoder"} & again, "what was done is done"

    chapter.write_text(text)
    with begin(folder, *command, "--book") as study:
        wait_for(folder / "_build" / "book" / "_config.yml", seconds=1800)  # pages are being made
        os.kill(study.pid, signal.SIGTERM)
        told, said = study.communicate()
    assert study.returncode == 1, said
    assert at_work_in(folder) == []
    assert index.read_text() == "the book of an earlier run"
    again = re.findall(r"^smoke: (\w+)$", told, re.M)
    assert "cascade" in again
    assert again[-1] == "html"
    assert not {"data", "data_merging", "autoencoder", "gate"} & set(again)
    for after, ending in endings(seed=8, within=12):
        assert end(folder, (*command, "--book"), "smoke: html", after, ending) == ENDS[ending]
        assert all_ended(folder)
        assert index.read_text() == "the book of an earlier run"
    done = birads(folder, *command, "--book")
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^smoke: (\w+)$", done.stdout, re.M) == ["html"]
    assert "A study one can trust" in index.read_text()
    assert verify_run(run) == []
    assert not [path for path in run.rglob("*") if path.name.startswith(".")], "partial files"

    unbroken = (simulated / "results" / "metrics.json").read_bytes()
    assert (run / "results" / "metrics.json").read_bytes() == unbroken
    assert unlike(simulated, run) <= OTHERWISE_EACH_RUN
    for name in ("autoencoder", "gate", "scorer"):
        models = (read_model(of / "models" / f"{name}.keras") for of in (simulated, run))
        assert len({weights_digest(model) for model in models}) == 1, name


def test_a_report_by_a_runs_own_cascade_knows_how_well_it_is_calibrated(simulated, pages, tmp_path):
    out, tile = tmp_path / "report.json", pages / "demo" / "sample_00.png"
    done = birads(tmp_path, "report", str(tile), "--out", str(out),
                  "--model", str(simulated / "models" / "cascade"))  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    assert report["calibration"]["known"]
    records = json.loads((simulated / "results" / "metrics.json").read_text())
    (gate,) = (
        r
        for r in records
        if (r["stage"], r["protocol"], r["split"]) == ("gate", "official", "held-out")
    )
    said = report["calibration"]["stages"][0]
    assert {k: said[k] for k in ("stage", "value", "interval")} == {
        "stage": "gate", **gate["overall"]["expected_calibration_error"],
    }  # fmt: skip
    assert "not a medical device" in done.stderr


def test_a_parameter_that_no_chapter_declares_is_refused_before_anything_runs(project, simulated):
    profiles = project / "profiles.yml"
    text = profiles.read_text()
    try:
        profiles.write_text(text.replace("LAST_BLOCK: 3", "LAST_BLOK: 3"))
        done = birads(project, "study", "--profile", "smoke")
    finally:
        profiles.write_text(text)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "chapter gate: no parameter LAST_BLOK" in done.stderr


def test_the_saved_cascade_predicts_from_the_command_line(simulated, tmp_path):
    out = tmp_path / "read.csv"
    tiles = simulated.parents[1] / "data"
    (held_out,) = tiles.rglob("test10_data.npy")
    done = birads(tmp_path, "predict", str(simulated / "models" / "cascade"), str(held_out),
                  "--out", str(out))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "not a medical device" in done.stderr
    read = pd.read_csv(out)
    kept = pd.read_parquet(simulated / "predictions" / "cascade.parquet")
    kept = kept[kept["tile"].str.startswith("test10")].reset_index(drop=True)
    assert read["tile"].str.removeprefix("test10_data/").tolist() == (
        kept["tile"].str.removeprefix("test10/").tolist()
    )
    assert (read["gate"] - kept["gate"]).abs().max() < 1e-4
    assert set(read["predicted"]) <= set(CODES)
