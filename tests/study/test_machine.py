"""What a step cost: a file beside the run that no result depends on."""

import os
import re
import subprocess
import sys

import pytest

from birads_lib.files import read_json
from birads_lib.study import machine
from birads_lib.study.written import FOLDERS

HOLDS = 300_000_000  # bytes
HUNGRY = f"import time; held = bytearray(b'x' * {HOLDS}); time.sleep(3 * {machine.LOOKED})"


def test_a_step_leaves_its_time_and_machine(tmp_path):
    with machine.timed_step(tmp_path, "gate"):
        subprocess.run([sys.executable, "-c", HUNGRY], check=True)
    written = read_json(tmp_path / "timings" / "gate.json")
    assert written["step"] == "gate"
    assert written["seconds"] >= 3 * machine.LOOKED
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", written["date"])
    assert HOLDS / 1e9 <= written["peak_memory_gb"] < 3 * HOLDS / 1e9
    assert written["machine"]["cores"] == os.cpu_count()
    assert written["machine"]["packages"].keys() <= set(machine.PACKAGES)
    assert {"numpy", "tensorflow", "keras"} <= written["machine"]["packages"].keys()


def test_a_step_that_fails_leaves_the_time_of_before(tmp_path):
    with machine.timed_step(tmp_path, "gate"):
        pass
    before = (tmp_path / "timings" / "gate.json").read_bytes()
    with pytest.raises(ValueError, match="stuck"), machine.timed_step(tmp_path, "gate"):
        raise ValueError("stuck")
    assert (tmp_path / "timings" / "gate.json").read_bytes() == before


def test_without_proc_no_memory_is_stated(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "PROC", tmp_path / "nowhere")
    with machine.timed_step(tmp_path, "gate"):
        subprocess.run([sys.executable, "-c", HUNGRY], check=True)
    assert read_json(tmp_path / "timings" / "gate.json")["peak_memory_gb"] is None


def test_times_are_no_part_of_what_a_run_answers_for():
    assert machine.TIMINGS not in FOLDERS


def test_the_description_does_not_name_the_machine():
    assert os.uname().nodename not in str(machine.describe_machine())


def test_what_sums_depend_on_is_recorded(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text("model name : a processor\nflags : fpu avx2 sse amx_int8\n")
    monkeypatch.setattr(machine, "PROC", tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    monkeypatch.delenv("TF_NUM_INTEROP_THREADS", raising=False)
    found = machine.describe_machine()
    assert found["flags"] == ["avx2", "amx_int8"]
    assert found["threads"] == {"OMP_NUM_THREADS": "3"}
    assert found["oneDNN"] == "on"
    assert 1 <= found["usable_cores"] <= found["cores"]
