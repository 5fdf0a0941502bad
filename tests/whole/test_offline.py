"""A study and its book ask nothing of other computers while they run and are built."""

import subprocess
import sys

import pytest
from studies import ASKED, alone

ASKS = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=20)"
"""Asks an address that is kept for examples (RFC 5737)."""


def test_the_study_and_its_book_asked_nothing_of_other_computers(project, pages):
    asked = project / ASKED
    assert (pages / "index.html").is_file()
    assert (asked.read_text() if asked.exists() else "") == ""


def test_it_ran_and_was_built_where_no_other_computer_can_be_reached(pages):
    if not alone():
        pytest.skip("this system gives a process no network of its own")
    command = [*alone(), sys.executable, "-c", ASKS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "Network is unreachable" in done.stderr
    assert (pages / "index.html").is_file()
