"""What runs again after a change: exactly what depends on it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from birads_lib.errors import DataError
from birads_lib.files import whole_file
from birads_lib.study.graph import (
    Study,
    book_stamp,
    drop_stamp_of_lost_book,
    imported_modules,
    mirror_run,
    put_stamp,
)
from birads_lib.study.profiles import CHAPTERS

ROOT = Path(__file__).resolve().parents[2]
DIGESTS = """
import json, sys
from birads_lib.study.graph import CHAPTERS, Study
study = Study("smoke", *sys.argv[1:])
print(json.dumps({step: study.digest(step) for step in ("data", *CHAPTERS, "results")}))
"""
ALL = {"data", *CHAPTERS, "results"}
JUDGED = {
    "ablations", "related_work", "protocols", "external_validation", "paper_audit", "verdict",
    "results",
}  # fmt: skip
AFTER_ATTENTION = {"cascade", "cost", "explanations", "phone", "real_birads", *JUDGED}
WITHOUT_TILES = {"label_meaning"}
EXTERNAL = {"external_validation", "results"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project to change, and its digests before any change."""
    folder = tmp_path_factory.mktemp("project")
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("birads_lib", "notebooks"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    shutil.copy(ROOT / "profiles.yml", folder)
    return folder, digests(folder)


def digests(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", DIGESTS, *arguments],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def changed(project, path, old, new):
    """Steps whose digest changes when ``old`` in a file becomes ``new``."""
    folder, before = project
    file = folder / path
    text = file.read_text()
    assert old in text
    try:
        file.write_text(text.replace(old, new, 1))
        after = digests(folder)
    finally:
        file.write_text(text)
    return {step for step in before if before[step] != after[step]}


def test_prose_of_a_chapter_reruns_that_chapter_alone(project):
    steps = changed(project, "notebooks/gate.py", "# # The gate", "# # This gate")
    assert steps == {"gate", "results"}


def test_code_of_a_chapter_reruns_it_and_what_follows(project):
    steps = changed(project, "notebooks/gate.py", "figures.use_style()", "figures.use_style() or 1")
    assert steps == {"gate", "attention", *AFTER_ATTENTION}


def test_one_parameter_reruns_its_chapter_and_what_follows(project):
    steps = changed(project, "profiles.yml", "LAST_BLOCK: 2", "LAST_BLOCK: 3")
    assert steps == {"attention", *AFTER_ATTENTION}


def test_another_profiles_parameter_changes_nothing(project):
    assert changed(project, "profiles.yml", "TRAIN_TILES: 3000", "TRAIN_TILES: 2000") == set()


def test_a_module_reruns_from_the_first_chapter_that_uses_it(project):
    path = "birads_lib/networks/scorer.py"
    assert changed(project, path, "dropout: float = 0.0", "dropout: float = 0.1") == {
        "attention",
        *AFTER_ATTENTION,
    }


def test_a_module_that_all_use_reruns_all_but_the_data(project):
    steps = changed(project, "birads_lib/study/run.py", "DPI = 120", "DPI = 121")
    assert steps == ALL - {"data"}


def test_the_simulation_reruns_all(project):
    path = "birads_lib/tiles/phantom/lesions.py"
    text = (project[0] / path).read_text()
    line = next(x for x in text.splitlines() if x.startswith("def "))
    assert changed(project, path, line, f"EXTRA = 1\n\n\n{line}") == ALL - WITHOUT_TILES


def test_a_comment_in_a_module_changes_nothing(project):
    path = "birads_lib/study/run.py"
    assert changed(project, path, "DPI = 120", "DPI = 120  # dots an inch") == set()


def test_a_module_that_no_chapter_uses_changes_nothing(project):
    assert changed(project, "birads_lib/tiles/pictures.py", ".pgm", ".pnm") == set()


def test_a_file_that_a_parameter_names_counts_by_its_content(project):
    folder, before = project
    measured = folder / "benchmarks" / "results.json"
    measured.parent.mkdir()
    try:
        measured.write_text("1")
        first = digests(folder)
        measured.write_text("2")
        second = digests(folder)
    finally:
        measured.unlink()
    assert {step for step in before if before[step] != first[step]} == {"cost", "results"}
    assert {step for step in first if first[step] != second[step]} == {"cost", "results"}


def test_data_rerun_all(project, tmp_path):
    folder, _ = project
    (tmp_path / "a.npy").write_bytes(b"1")
    before = digests(folder, str(tmp_path))
    (tmp_path / "a.npy").write_bytes(b"2")
    after = digests(folder, str(tmp_path))
    assert {step for step in before if before[step] != after[step]} == ALL


@pytest.fixture
def with_external(project, monkeypatch):
    """Makes the study of an external folder, in the project's folder."""
    monkeypatch.chdir(project[0])
    return lambda folder: Study("smoke", None, str(folder))


def test_another_external_set_reruns_its_chapter_alone(with_external, project, tmp_path):
    def all_digests(place):
        study = with_external(tmp_path / place)
        return {step: study.digest(step) for step in project[1]}

    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "a.npy").write_bytes(b"1")
    here, there = all_digests("here"), all_digests("there")
    assert here == there, "its content decides, not its place"
    (tmp_path / "there" / "a.npy").write_bytes(b"2")
    for other in (project[1], all_digests("there")):
        assert {step for step in here if here[step] != other[step]} == EXTERNAL


def test_an_external_set_reaches_the_one_chapter_that_asks(with_external, tmp_path):
    (tmp_path / "a.npy").write_bytes(b"1")
    study = with_external(tmp_path)
    asked = {c for c in CHAPTERS if study.parameters(c).get("EXTERNAL") == str(tmp_path)}
    assert asked == {"external_validation"}
    assert "EXTERNAL" not in Study("smoke").parameters("external_validation")


def test_a_missing_external_set_is_named_before_anything_runs(with_external, tmp_path):
    with pytest.raises(DataError, match="nowhere: no such folder"):
        with_external(tmp_path / "nowhere")


def test_a_name_counts_as_the_module_that_defines_it():
    found = imported_modules("from birads_lib.tiles import TileStore")
    assert "birads_lib.tiles.store" in found
    assert "birads_lib.tiles.ddsm10" not in found
    assert "birads_lib.cascade" in imported_modules("from birads_lib import Cascade")


def test_what_a_helping_host_writes_leaves_the_chiefs_run_alone(tmp_path, listing):
    run = tmp_path / "run" / "smoke"
    for name in ("store/images.npy", "results/gate.json", "models/gate.keras"):
        (run / name).parent.mkdir(parents=True)
        (run / name).write_text("chief")
    before = listing(run)
    own = mirror_run(run, tmp_path / "own" / "smoke")
    assert listing(own) == {n: c for n, c in before.items() if not n.startswith("models/")} | {
        "models": b""
    }
    assert (own / "models" / "gate.keras").read_text() == "chief"
    with whole_file(own / "results" / "gate.json") as partial:
        partial.write_text("helper")
    with whole_file(own / "figures" / "new.png") as partial:
        partial.write_text("helper")
    assert listing(run) == before


def test_the_stamp_of_a_book_lasts_until_its_run_or_another_book_is_made(project, monkeypatch):
    monkeypatch.chdir(ROOT)
    smoke, laptop = (book_stamp(Study(name, None)) for name in ("smoke", "laptop"))
    monkeypatch.chdir(project[0])
    put_stamp(smoke)
    shutil.rmtree(laptop.parent, ignore_errors=True)  # what a step of the other run takes back
    assert smoke.exists()
    put_stamp(laptop)
    assert laptop.exists()
    assert not smoke.exists(), "its pages are there no more"


def test_a_book_that_was_deleted_is_made_again(project, monkeypatch):
    monkeypatch.chdir(ROOT)
    stamp, index = book_stamp(Study("smoke", None)), Path("_build/html/index.html")
    monkeypatch.chdir(project[0])
    put_stamp(stamp)
    index.parent.mkdir(parents=True)
    index.touch()
    drop_stamp_of_lost_book()
    assert stamp.exists()
    index.unlink()
    drop_stamp_of_lost_book()
    assert not stamp.exists()
