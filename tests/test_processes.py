"""What a command starts ends with it, however it is told to end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from birads_lib import processes

RUN = (
    "import signal, sys; from birads_lib import processes; from birads_lib.cli import _stop; "
    "signal.signal(signal.SIGTERM, _stop); processes.PATIENCE = float(sys.argv[1]); "
    "processes.run_whole(['bash', '-c', sys.argv[2]])"
)
OF_TWO = "echo $$ > first; (echo $BASHPID > second; {second}) & {first}"
"""A shell that starts another; each writes its number to a file."""


def is_there(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def stopped(folder, script, patience, ending=signal.SIGTERM):
    """Run a script, tell the command to end, and wait for that; who is left, and seconds taken."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(patience), script],
        cwd=folder, stderr=subprocess.DEVNULL, start_new_session=True,
    ) as command:  # fmt: skip
        names = [folder / "first", folder / "second"]
        while not all(name.exists() and name.read_text().endswith("\n") for name in names):
            time.sleep(0.02)
        numbers = [int(name.read_text()) for name in names]
        assert all(map(is_there, numbers))
        started = time.monotonic()
        os.kill(command.pid, ending)
        assert command.wait() != 0
    return [n for n in numbers if is_there(n)], time.monotonic() - started


def test_a_signal_to_the_command_alone_ends_all_that_it_has_started(tmp_path):
    script = OF_TWO.format(first="wait; sleep 60", second="sleep 60")
    left, seconds = stopped(tmp_path, script, patience=30)
    assert left == []
    assert seconds < 20


def test_what_does_not_end_by_itself_is_killed(tmp_path):
    deaf = "trap '' TERM; "
    script = deaf + OF_TWO.format(
        first="wait; sleep 60; sleep 60", second=deaf + "sleep 60; sleep 60"
    )
    left, seconds = stopped(tmp_path, script, patience=1)
    assert left == []
    assert seconds < 20


def test_what_is_half_written_is_put_away(tmp_path):
    script = OF_TWO.format(
        first="trap 'rm half; exit 1' TERM; touch half; while true; do sleep 0.1; done",
        second="sleep 60",
    )
    assert stopped(tmp_path, script, patience=30)[0] == []
    assert not (tmp_path / "half").exists()


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_is_the_commands(code):
    assert processes.run_whole(["bash", "-c", f"exit {code}"]) == code
