"""Profiles for clusters: every step is planned, with what it asks of the cluster."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from birads_lib.cli import _parser, main
from birads_lib.study.profiles import CHAPTERS
from birads_lib.study.sweeps import get_sweep, read_sweeps

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    "notebooks", "book", "cluster", "Snakefile", "profiles.yml", "sweeps.yml", "_config.yml",
    "_toc.yml",
)  # fmt: skip
CLUSTERS = ("slurm", "kubernetes")
STEPS = {"data", *CHAPTERS, "results", "html", "book"}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A fresh copy of what a study reads: nothing has run there."""
    folder = tmp_path_factory.mktemp("project")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    return folder


def dry_run(project: Path, cluster: str, target: str = "book", *config: str) -> str:
    done = subprocess.run(
        [
            sys.executable, "-m", "snakemake", target, "--dry-run", "--printshellcmds",
            "--workflow-profile", f"cluster/{cluster}",
            "--config", "profile=smoke", "distribute=local", *config,
        ],
        cwd=project, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, timeout=120,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


@pytest.fixture(scope="module", params=CLUSTERS)
def planned(request, project) -> dict[str, str]:
    """What a dry run says of each step."""
    said = dry_run(project, request.param)
    blocks = re.split(r"^(?:local)?rule (\w+):$", said, flags=re.MULTILINE)
    return dict(zip(blocks[1::2], blocks[2::2], strict=True))


def test_every_step_is_planned(planned):
    assert set(planned) == STEPS


def test_chapters_that_train_ask_for_a_gpu_and_others_do_not(planned):
    asking = {step for step, text in planned.items() if re.search(r"\bgpu=1\b", text)}
    assert {"autoencoder", "gate", "attention"} <= asking
    assert not asking & {"data", "data_merging", "label_meaning", "verdict", "results", "html"}
    for step, text in planned.items():
        assert re.search(r"\bmem_mb=\d{4,5}\b", text), step


def test_step_gets_its_options_and_the_stamp_of_the_study(planned):
    options = "--profile smoke --distribute local"
    pattern = rf"birads step gate {options} --stamp _build/run/smoke/stamps/gate/[0-9a-f]{{16}} "
    assert re.search(pattern, planned["gate"])
    assert re.search(r"threads: 8\b", planned["gate"])


@pytest.fixture(scope="module", params=CLUSTERS)
def planned_sweep(request, project) -> dict[str, str]:
    """What a dry run says of each step up to a sweep."""
    said = dry_run(project, request.param, "sweep_ablations", "sweep=ablations", "seeds=3")
    blocks = re.split(r"^(?:local)?rule (\w+):$", said, flags=re.MULTILINE)
    return dict(zip(blocks[1::2], blocks[2::2], strict=True))


def commands(planned) -> list[list[str]]:
    """The `birads` command of every planned step, as the shell would split it."""
    found = re.findall(r"\bbirads ((?:step|sweep) .*?) && touch ", "\n".join(planned.values()))
    return [shlex.split(arguments) for arguments in found]


def check_commands(steps) -> None:
    given = [_parser().parse_args(arguments) for arguments in commands(steps)]
    assert len(given) == len(steps) - 1, "all but the target itself"
    assert {(g.distribute, g.profile) for g in given} == {("local", "smoke")}


def test_the_command_line_takes_what_a_study_plans(planned):
    check_commands(planned)


def test_the_command_line_takes_what_a_sweep_plans(planned_sweep):
    check_commands(planned_sweep)


def test_each_group_of_a_sweep_is_a_step_behind_the_networks_it_needs(planned_sweep):
    groups = {f"sweep_ablations_{g}" for g in get_sweep("ablations", "smoke").groups}
    before = {"data", "data_merging", "autoencoder", "gate", "attention"}
    assert set(planned_sweep) == {"sweep_ablations", *groups, *before}
    called = r"birads sweep ablations --group heads --seeds 3 --profile smoke .*--stamp \S+/stamps/"
    assert re.search(called, planned_sweep["sweep_ablations_heads"])
    for group in groups:
        assert re.search(r"\bgpu=1\b", planned_sweep[group])
        assert re.search(r"threads: 8\b", planned_sweep[group])


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_profile_names_only_steps_that_exist(cluster):
    profile = yaml.safe_load((ROOT / "cluster" / cluster / "config.yaml").read_text())
    assert profile["executor"] == cluster
    groups = {
        f"sweep_{sweep.name}_{group}"
        for size in ("smoke", "laptop", "paper")
        for sweep in read_sweeps(size).values()
        for group in sweep.groups
    }
    assert set(profile["set-threads"]) == groups
    assert groups <= set(profile["set-resources"]) <= STEPS | groups


def test_groups_run_side_by_side_on_one_machine(project):
    done = subprocess.run(
        [
            sys.executable, "-m", "snakemake", "sweep_gates", "--dry-run", "--cores", "2",
            "--config", "profile=smoke", "sweep=gates",
        ],
        cwd=project, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, timeout=120,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    (group,) = re.findall(r"^rule sweep_gates_gates:$(.*?)\n\n", done.stdout, re.M | re.S)
    assert "threads" not in group, "one core each"


@pytest.fixture
def called(monkeypatch) -> list[list[str]]:
    """Command lines that `birads study` would run."""
    calls: list[list[str]] = []

    def record(command, **_):
        calls.append(command)
        return 0

    monkeypatch.setattr("birads_lib.cli.run_whole", record)
    monkeypatch.chdir(ROOT)
    return calls


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--cores", "2"], ["--cores", "2"]),
        (["--cluster", "slurm"], ["--workflow-profile", "cluster/slurm"]),
        (["--cluster", "kubernetes"], ["--workflow-profile", "cluster/kubernetes"]),
        (["--executor-profile", "cluster/slurm"], ["--workflow-profile", "cluster/slurm"]),
    ],
)
def test_study_hands_the_steps_to_the_cluster(options, expected, called):
    assert main(["study", "--profile", "smoke", "--distribute", "local", *options]) == 0
    (command,) = called
    assert command[4:6] == expected
    assert ("--cores" in command) is (expected[0] == "--cores")
    assert command[command.index("--config") + 1 :] == ["profile=smoke", "distribute=local"]


def test_missing_executor_profile_is_told_in_one_line(called, capsys, tmp_path):
    assert main(["study", "--profile", "smoke", "--executor-profile", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"birads: {tmp_path}: no Snakemake profile (config.yaml) there; give the file or its "
        "folder\n"
    )
    assert not called
