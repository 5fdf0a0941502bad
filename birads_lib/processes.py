"""Programs that start others: none of them outlives the command that began it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import Any

PATIENCE = 30.0  # seconds that programs have to put away what is half written
PAUSE = 0.1


def run_whole(command: Sequence[str], **settings: Any) -> int:
    """Run a command to its end; where this process is told to stop, all of it is stopped.

    It gets a process group of its own, since a signal to this process alone would leave the
    programs that it has started running.

    Args:
        command: Program and arguments.
        settings: Passed on to ``subprocess.Popen``.

    Returns:
        The command's exit code.

    Raises:
        KeyboardInterrupt: This process was told to stop; nothing of the command is left.
    """
    with subprocess.Popen(command, process_group=0, **settings) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            _stop(process)
            raise


def _stop(process: subprocess.Popen[Any]) -> None:
    """End a process group: politely, and by force what does not end soon."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        while _is_there(process) and time.monotonic() < deadline:
            time.sleep(PAUSE)
    finally:  # also where somebody does not want to wait
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _is_there(process: subprocess.Popen[Any]) -> bool:
    process.poll()  # the first of them would stay, though ended, until it is asked
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True
