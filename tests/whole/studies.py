"""Running the command line in a folder that holds a copy of the study."""

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[2]
BIRADS = Path(sys.executable).with_name("birads")
OFFLINE = ROOT / "tests" / "offline"
ASKED = "asked.txt"
"""What a study's programs ask of other computers, in its folder; see ``OFFLINE``."""
SOURCES = (
    "notebooks", "book", "Snakefile", "profiles.yml", "sweeps.yml", "_config.yml", "_toc.yml",
)  # fmt: skip

SWEPT = {
    "ablations": {
        "heads": ["both", "none", "type-and-pathology"],
        "whole": ["denoised", "no-attention", "five-classes"],
        "backbones": ["EfficientNetB0"],
    },
    "gates": {"gates": ["MobileNetV2", "SqueezeNet", "ShuffleNetV2"]},
    "related": {
        "networks": ["plain-CNN", "GoogLeNet-STN"],
        "pretrained": ["VGG16-fine-tuned"],
        "classic": ["decision-tree", "XGBoost"],
    },
}
"""Members that the tests' sweeps train, by sweep and group: each kind, and what verdicts need.

`make sweep PROFILE=smoke` trains them all; every network is built and trained by itself in
tests/networks and tests/study/test_sweep_training.py.
"""


def shorten_sweeps(path):
    """Leave only ``SWEPT`` in the smoke profile of a copy of sweeps.yml."""
    sweeps = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name, groups in SWEPT.items():
        profile = sweeps[name]["profiles"]["smoke"]
        sweeps[name]["profiles"]["smoke"] = {
            group: {**profile[group], "members": members} for group, members in groups.items()
        }
    path.write_text(yaml.safe_dump(sweeps, sort_keys=False), encoding="utf-8")


def copy_study(folder):
    """What a study reads, so that the tests' runs stay out of the tree."""
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    shorten_sweeps(folder / "sweeps.yml")
    return folder


def end(folder, arguments, start, seconds, ending):
    """Start a command and end it some seconds after a line that starts so; its exit code.

    SIGKILL goes to all its processes, any other signal to the command alone.
    """
    with subprocess.Popen(
        [BIRADS, *arguments], cwd=folder, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        for said in process.stdout:
            if said.startswith(start):
                time.sleep(seconds)
                if ending == signal.SIGKILL:
                    kill_all_in(folder)
                else:
                    os.kill(process.pid, ending)
                break
        process.stdout.read()
    return process.returncode


ENDS = {signal.SIGTERM: 1, signal.SIGKILL: -signal.SIGKILL}
"""Exit code of a command by the signal that ended it."""


def endings(seed, within):
    """Three moments at random within so many seconds of something longer, with a signal each."""
    drawn = np.random.default_rng(seed).uniform(0, within, 3)
    return zip(drawn, (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL), strict=True)


def begin(folder, *arguments):
    """Start a command in a process group of its own."""
    return subprocess.Popen(
        [BIRADS, *arguments], cwd=folder, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(*paths, seconds=300):
    """Wait until one of some files is there."""
    deadline = time.monotonic() + seconds
    while not any(path.exists() for path in paths):
        assert time.monotonic() < deadline, f"none of {paths} after {seconds} s"
        time.sleep(0.02)


def processes_in(folder):
    """Number and command line of each process whose current folder is in this one."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if Path(os.readlink(process / "cwd")).is_relative_to(folder):
                command = (process / "cmdline").read_text().replace("\0", " ")
                found.append((int(process.name), command))
        except OSError:
            continue  # it has ended, or is not ours
    return found


def at_work_in(folder):
    """Command lines of the processes at work in a folder."""
    return [command for _, command in processes_in(folder)]


def all_ended(folder, seconds=30):
    """Whether all processes at work in a folder end soon."""
    deadline = time.monotonic() + seconds
    while at_work_in(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    return at_work_in(folder) == []


def kill_all_in(folder):
    """Kill all processes at work in a folder, and those that they start meanwhile."""
    while numbers := [number for number, _ in processes_in(folder)]:
        for number in numbers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        time.sleep(0.05)


@functools.cache
def alone():
    """Words before a command that leave it no network but this computer; none if not allowed."""
    words = [sys.executable, OFFLINE / "alone.py"]
    return words if not subprocess.run([*words, "true"], check=False).returncode else []


def birads(folder, *arguments):
    """Run a command as a user would, but for the network; what it asked for is in ``ASKED``."""
    places = [str(OFFLINE), *filter(None, [os.environ.get("PYTHONPATH")])]
    watched = {"PYTHONPATH": os.pathsep.join(places), "BIRADS_TEST_ASKED": str(folder / ASKED)}
    return subprocess.run(
        [*alone(), BIRADS, *arguments], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "COLUMNS": "200", **watched},
    )  # fmt: skip


def described(run):
    """What is said of each figure and table of a run."""
    return {path.stem: json.loads(path.read_text()) for path in (run / "figures").glob("*.json")}


def contents():
    """Every page of the book, as its table of contents names them."""
    listed = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    parts = [chapter["file"] for part in listed["parts"] for chapter in part["chapters"]]
    return [listed["root"], *parts]
