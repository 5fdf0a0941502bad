"""The whole study on real tiles, which these tests run apart from the one on simulated tiles."""

import json
import re
import shutil
from html.parser import HTMLParser

import pandas as pd
from studies import ASKED, ENDS, all_ended, birads, described, end, endings

from birads_lib.study.ledger import verify_run


def test_figures_and_tables_of_real_tiles_say_of_none_that_it_is_simulated(real):
    # Without an external set given, the one that judges the networks is simulated.
    marked = {f["chapter"] for f in described(real).values() if f["simulated"]}
    assert marked == {"external_validation"}
    assert not [n for n, f in described(real).items() if "Simulated tiles" in f["caption"]]


def test_categories_are_absent_where_the_set_has_none(real):
    assert json.loads((real / "results" / "real_birads.json").read_text()) == {"available": False}
    assert not (real / "predictions" / "real_birads.parquet").exists()
    page = (real / "notebooks" / "real_birads.ipynb").read_text()
    assert "This set has no BI-RADS categories" in page
    assert not list((real / "figures").glob("birads_*"))


def test_a_hostile_name_of_the_folder_is_words_on_the_books_pages(real):
    """It is a parameter of notebooks, and stands in what they print."""
    pages = sorted((real.parents[2] / "_build" / "html").rglob("*.html"))
    named = [path for path in pages if "onerror" in path.read_text(encoding="utf-8")]
    assert {"data_merging.html", "gate.html"} <= {path.name for path in named}
    for path in named:
        page = Words()
        page.feed(path.read_text(encoding="utf-8"))
        assert "<img src=x onerror=alert(1)>" in "".join(page.words), path
        assert page.handlers <= {("button", "onclick")}, "more than the theme's own"
    assert not list(real.parents[2].rglob("sprung"))


class Words(HTMLParser):
    """What a page says, and the attributes of its elements that would run a script."""

    def __init__(self):
        super().__init__()
        self.words, self.handlers = [], set()

    def handle_data(self, data):
        self.words.append(data)

    def handle_starttag(self, tag, attributes):
        self.handlers |= {(tag, name) for name, _ in attributes if name.startswith("on")}


def test_calcifications_are_not_measured_where_their_places_are_not_known(real):
    assert json.loads((real / "results" / "ablations.json").read_text())["calcifications"] is None
    assert "is not known" in (real / "notebooks" / "ablations.ipynb").read_text()


def test_sweeps_are_collected_and_their_chapters_and_verdicts_follow(
    real, real_tiles, tmp_path_factory, flip_byte
):
    project = real.parents[2]
    folder = shutil.copytree(project, tmp_path_factory.mktemp("swept") / "project", symlinks=True)
    run = folder / real.relative_to(project)

    def page(chapter):
        return (run / "notebooks" / f"{chapter}.ipynb").read_text()

    assert "No sweep has been run" in page("ablations")
    assert page("related_work").count("has not been run to its end") == 2
    tiles = ("--profile", "smoke", "--data", real_tiles)
    for after, ending in endings(seed=7, within=25):
        sweep, line = ("sweep", *tiles), f"{run.name}: sweep "
        assert end(folder, sweep, line, after, ending) == ENDS[ending]
        assert all_ended(folder)
    done = birads(folder, "sweep", *tiles, "--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert verify_run(run) == [], "a sweep leaves the study as it was"
    done = birads(folder, "study", *tiles)
    assert done.returncode == 0, done.stdout + done.stderr
    again = re.findall(r"^smoke\S*: (\w+)$", done.stdout, re.M)
    assert sorted(again) == ["ablations", "related_work", "results", "verdict"]
    assert "The sweep is complete" in page("ablations")
    assert page("related_work").count("The sweep is complete") == 2
    assert {
        "related_gates", "related_gates_cost", "related_systems", "related_sampling",
        "related_shap",
    } <= set(described(run))  # fmt: skip
    verdicts = json.loads((run / "results" / "verdicts.json").read_text())
    for name in ("conclusion-attention-gain", "methodology-peers"):
        (found,) = (v for v in verdicts if v["id"] == name)
        assert found["verdict"] == "needs the Kaggle set"
        assert found["measured"] is not None
    unbroken = shutil.copytree(project, tmp_path_factory.mktemp("whole") / "project", symlinks=True)
    done = birads(unbroken, "sweep", "ablations", "--group", "heads", *tiles)
    assert done.returncode == 0, done.stdout + done.stderr
    place = unbroken / real.relative_to(project) / "sweeps" / "ablations"
    tables = sorted(place.glob("*/*.parquet"))
    assert len(tables) >= 3
    for path in tables:  # answers, and the digest of the weights that gave them
        other = run / "sweeps" / "ablations" / path.relative_to(place)
        pd.testing.assert_frame_equal(pd.read_parquet(path), pd.read_parquet(other))
    again = birads(folder, "sweep", *tiles)
    assert again.returncode == 0
    assert "group" not in again.stdout, "what is done is not done again"
    flip_byte(run / "sweeps" / "related" / "decision-tree" / "0.parquet", 20)
    (changed,) = verify_run(run)
    assert changed.endswith("0.parquet: not what 0.json beside it says; run `birads sweep` again")
    again = birads(folder, "sweep", *tiles)
    assert again.returncode == 0
    assert re.findall(r"group (\S+)$", again.stdout, re.M) == ["classic"], "that is made again"
    assert verify_run(run) == []


def test_the_study_asked_nothing_of_other_computers(real):
    asked = real.parents[2] / ASKED
    assert (asked.read_text() if asked.exists() else "") == ""
