"""A graph whose processes are all killed as one step has just left its stamp, then run again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from birads_lib.cli import main
from birads_lib.study.graph import environment
from birads_lib.study.profiles import CHAPTERS
from birads_lib.study.sweeps import read_sweeps

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    "notebooks", "book", "Snakefile", "profiles.yml", "sweeps.yml", "_config.yml", "_toc.yml",
)  # fmt: skip
STEP = """#!/bin/sh
# In place of `birads`: notes how it is called, leaves the stamp, and where it is the step of
# which `deadly` tells, kills all of its graph.
echo "$2 $4" >> called
case "$2 $4" in "$(cat deadly)"*) dies=yes ;; esac
while [ "$1" != --stamp ]; do shift; done
mkdir -p "$(dirname "$2")"
touch "$2"
[ -z "$dies" ] || kill -9 0
"""
STUDY = ("study", "--profile", "smoke", "--book", "--cores", "2")
SWEEP = ("sweep", "--profile", "smoke", "--cores", "2")
STEPS = {f"{step} smoke" for step in ("data", *CHAPTERS, "results", "html")}
GROUPS = {
    f"{sweep.name} {group}" for sweep in read_sweeps("smoke").values() for group in sweep.groups
}
BEFORE_SWEEPS = {f"{s} smoke" for s in ("data", "data_merging", "autoencoder", "gate", "attention")}


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A copy of what a study reads, where steps only leave stamps."""
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    step = tmp_path / "bin" / "birads"
    step.parent.mkdir()
    step.write_text(STEP)
    step.chmod(0o755)
    here = environment()
    places = {"PATH": f"{step.parent}:{here['PATH']}", "PYTHONPATH": str(ROOT)}
    monkeypatch.setattr("birads_lib.study.graph.environment", lambda: {**here, **places})
    # There are no answers, so none are collected, nor looked for beside a stamp.
    monkeypatch.setattr("birads_lib.cli._collect", lambda *_: False)
    monkeypatch.setattr("birads_lib.study.sweeps.drop_stamps_of_lost_answers", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "_build" / "html" / "index.html"  # its loss would have the book made again
    page.parent.mkdir(parents=True)
    page.touch()
    return tmp_path


@pytest.mark.parametrize(
    ("command", "deadly", "expected"),
    [
        (STUDY, "gate", STEPS),
        (STUDY, "results", STEPS),
        (SWEEP, "attention", BEFORE_SWEEPS | GROUPS),
        (SWEEP, "ablations heads", BEFORE_SWEEPS | GROUPS),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_step_is_left_out_whenever_all_is_killed(project, capfd, command, deadly, expected):
    (project / "deadly").write_text(deadly)
    assert main(command) == 1
    first = (project / "called").read_text().splitlines()
    assert any(call.startswith(deadly) for call in first)
    (project / "deadly").write_text("none")
    assert main(command) == (0 if command is STUDY else 1), "of a sweep there are no answers"
    called = (project / "called").read_text().splitlines()
    assert set(called) == expected
    twice = [call for call in called if called.count(call) > 1]
    assert not [call for call in twice if call.startswith(deadly)], "its stamp says it is done"
    assert command is SWEEP or not twice
    (project / "called").write_text("")
    main(command)
    assert (project / "called").read_text() == "", "all is done"
    capfd.readouterr()


def test_a_sweep_asked_for_in_other_words_is_not_run_again(project, capfd):
    (project / "deadly").write_text("none")
    main((*SWEEP, "--seeds", "1"))
    first = (project / "called").read_text()
    assert first
    seeds = {m.seeds for sweep in read_sweeps("smoke").values() for m in sweep.members.values()}
    assert seeds == {1}, "else these words ask for other trainings"
    main(SWEEP)
    assert (project / "called").read_text() == first
    capfd.readouterr()
