"""The command line and the environment: wrong words and places, other locales, closed outputs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import sound
from damage import itself, pipe

from birads_lib.cli import FAILED
from birads_lib.study.profiles import data_digest
from birads_lib.tiles import TileStore

ROOT = Path(__file__).resolve().parents[2]
LONG = "x" * 300  # characters; a name may have 255

# Words that the command line does not know

WORDS = {
    "no command at all": ([], "the following arguments are required: COMMAND"),
    "a command with a line break": (["mer\nge"], "invalid choice"),
    "a word too many": (["audit", "store", "more"], "unrecognized arguments: more"),
    "an option of another command": (["audit", "store", "--seed", "1"], "unrecognized arguments"),
    "a seed that is a fraction": (["phantom", "out", "--seed", "1.5"], "--seed: invalid int"),
    "a scale that is a word": (["phantom", "out", "--scale", "big"], "--scale: invalid float"),
    "no cores": (["study", "--cores", "0"], "--cores: '0' given; expected 1 to 4096"),
    "fewer than no cores": (["study", "--cores=-1"], "--cores: '-1' given; expected 1 to 4096"),
    "a million cores": (["sweep", "--cores", "1000000"], "--cores: '1000000' given"),
    "a number of 5,000 digits": (["study", "--cores", "9" * 5000], r"--cores: '9+\.\.\.9+' given"),
    "a port that cannot be": (["serve", "--port", "65536"], "--port: '65536' given; expected 0"),
    "two ways to run": (["study", "--cluster", "slurm", "--executor-profile", "x"], "not allowed"),
    "an unknown set": (["fetch", "everything"], "invalid choice: 'everything'"),
    "an unknown way to train": (["step", "gate", "--distribute", "moon"], "invalid choice"),
}


@pytest.mark.parametrize(("words", "told"), WORDS.values(), ids=WORDS)
def test_words_that_do_not_fit_are_refused(check, words, told):
    said = check.refuses(words, "", told)
    assert re.search(r"; run `birads( \w+)? --help` for what it takes$", said)


# Values and places that do not fit

VALUES = {
    "a scale of nothing": (["phantom", "out", "--scale=0"], "scale"),
    "a scale that is no number": (["phantom", "out", "--scale=nan"], "scale"),
    "an infinite scale": (["phantom", "out", "--scale=inf"], "scale"),
    "a share beyond 1": (["phantom", "out", "--positives=1.5"], "positives"),
    "a share that is no number": (["phantom", "out", "--positives=nan"], "positives"),
    "a seed below 0": (["phantom", "out", "--seed=-1"], "seed"),
    "a scanner with a line break": (["phantom", "out", "--scanner=a\nb"], r"unknown 'a\\nb'"),
    "a set that is not there": (["merge", "nowhere", "out"], "nowhere: no such folder"),
    "a set that is a file": (["merge", "letter.txt", "out"], "letter.txt: no such folder"),
    "a set that is empty": (["merge", "empty", "out"], "empty: no known layout"),
    "a set that is a pipe": (["merge", "pipe", "out"], "pipe: no such folder"),
    "a set that is a link to itself": (["merge", "loop", "out"], "loop: no such folder"),
    "a set with too long a name": (["merge", LONG, "out"], "x: .*[Nn]ame.* too long"),
    "a set with a line break": (["merge", "no\nwhere", "out"], r"no\\nwhere: no such folder"),
    "a set with a terminal's commands": (["merge", "\x1b[2J", "out"], r"\\x1b\[2J: no such"),
    "a set with a NUL": (["merge", "no\0where", "out"], r"no\\x00where: no such folder"),
    "a store that is a file": (["merge", "set", "letter.txt"], "letter.txt: exists and is not"),
    "a store below a file": (["merge", "set", "letter.txt/out"], "letter.txt/out: nothing can be"),
    "a store that is a pipe": (["merge", "set", "pipe"], "pipe: exists and is not an empty folder"),
    "a store that is a link to itself": (["merge", "set", "loop"], "loop: exists and is not"),
    "a store below a link to itself": (["merge", "set", "loop/out"], "loop/out: nothing can be"),
    "a store with too long a name": (["merge", "set", LONG], "x: .*too long"),
    "a store that is the set": (["merge", "set", "set"], "set: exists and is not an empty folder"),
    "a store that is this folder": (["merge", "set", "."], r"\.: no name of a folder to write"),
    "a store above this folder": (["merge", "set", ".."], r"\.\.: no name of a folder to write"),
    "no store to audit": (["audit", "nowhere"], "nowhere: no such store; make one with"),
    "a file to audit": (["audit", "letter.txt"], "letter.txt: no such store"),
    "nothing to verify": (["verify", "empty"], "empty: no results/ledger.json; give a store"),
    "no case files": (["cbis-labels", "nowhere"], "nowhere: no such folder; give"),
    "counts that are a folder": (["cbis-labels", "cases", "--out", "empty"], "empty: a folder"),
    "counts below a file": (["cbis-labels", "cases", "--out", "letter.txt/x"], "xt/x: nothing"),
    "no picture": (["predict", "model", "nowhere.png"], "nowhere.png: no such file; give"),
    "a letter for a picture": (["predict", "model", "letter.txt"], "letter.txt: neither a store"),
    "a folder for a picture": (["predict", "model", "empty"], "empty: neither a store nor a file"),
    "no cascade": (["predict", "nowhere", "left.png"], r"nowhere: no cascade"),
    "answers of another kind": (
        ["predict", "model", "left.png", "--out", "x.xls"], "x.xls: .* use .csv or",
    ),
    "answers that are a folder": (
        ["predict", "model", "left.png", "--out", "a.csv"], "a.csv: a folder",
    ),
    "an unknown engine": (
        ["predict", "model", "left.png", "--engine", "x"], "'x'; use one of openvino",
    ),
    "a report of another kind": (["report", "left.png", "--out", "x.exe"], "x.exe"),
    "a report without a cascade": (
        ["report", "left.png", "--out", "x.html", "--model", "nowhere"], "nowhere: no cascade",
    ),
    "an export of another form": (["export", "model", "out", "--format", "x"], "'x'; use one of"),
    "an export without a cascade": (["export", "nowhere", "out"], "nowhere: no cascade"),
    "a set to check that is not there": (["fetch", "mias", "nowhere"], "nowhere: no such folder"),
}  # fmt: skip


@pytest.fixture
def places(tmp_path, small_set, monkeypatch) -> Path:
    """A working directory with what commands are pointed at."""
    monkeypatch.chdir(tmp_path)
    for name in ("letter.txt", "pipe", "loop"):
        (tmp_path / name).write_text("Dear reader")
    pipe(tmp_path / "pipe")
    itself(tmp_path / "loop")
    for name in ("empty", "a.csv"):
        (tmp_path / name).mkdir()
    small_set.write(tmp_path / "set")
    sound.case_files(tmp_path / "cases")
    sound.cascade(tmp_path / "model")
    (tmp_path / "left.png").write_bytes(sound.picture(".png"))
    return tmp_path


@pytest.mark.parametrize(("words", "told"), VALUES.values(), ids=VALUES)
def test_a_value_or_place_that_does_not_fit_is_refused(places, check, words, told):
    check.refuses(words, "", told)


# The environment


def hosts(**changed: object) -> str:
    """A ``TF_CONFIG`` of two hosts, changed."""
    usual = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 0}}
    return json.dumps(usual | changed)


VARIABLES = {
    "hosts that are cut": ("TF_CONFIG", hosts()[:-4], "not a cluster and a task in JSON"),
    "hosts that are text": ("TF_CONFIG", "a:1,b:2", "not a cluster and a task in JSON"),
    "hosts nested without end": ("TF_CONFIG", "[" * 100_000, "not a cluster and a task in JSON"),
    "hosts without a task": ("TF_CONFIG", hosts(task=None), "not a cluster and a task in JSON"),
    "a host without a port": (
        "TF_CONFIG", hosts(cluster={"worker": ["a"]}), "'a'; expected HOST:PORT",
    ),
    "a host with a line break": (
        "TF_CONFIG", hosts(cluster={"worker": ["a\nb"]}), r"'a\\nb'; expected HOST:PORT",
    ),
    "a place beyond the hosts": (
        "TF_CONFIG", hosts(task={"type": "worker", "index": 10**30}), "expected 0 to 1",
    ),
    "a place that is no number": (
        "TF_CONFIG", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": NaN}}',
        "task index nan; expected 0 to 0",
    ),
    "an unknown way to train": ("BIRADS_DISTRIBUTE", "moon", "unknown 'moon'; use one of one"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "value", "told"), VARIABLES.values(), ids=VARIABLES)
def test_a_variable_that_does_not_fit_is_refused(check, monkeypatch, name, value, told):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("BIRADS_DISTRIBUTE", "hosts")
    monkeypatch.setenv(name, value)
    check.refuses(["step", "gate", "--profile", "smoke"], name, told)


DATA = {
    "it is not there": ("nowhere", "nowhere: no such folder; give the unpacked data set"),
    "it is a file": ("letter.txt", "letter.txt: no such folder; give the unpacked data set"),
    "it is empty": ("empty", "empty: an empty folder; give the unpacked data set"),
    "it is a link to itself": ("loop", "loop: no such folder; give the unpacked data set"),
    "it is of no known layout": ("model", "model: no known layout; give a folder with one of"),
    "its name holds a line break": ("no\nwhere", r"no\\nwhere: no such folder"),
}


@pytest.mark.parametrize("option", ["--data", "--external"])
@pytest.mark.parametrize(("name", "told"), DATA.values(), ids=DATA)
def test_data_that_cannot_be_read_is_refused(places, check, name, told, option):
    for source in ("notebooks", "profiles.yml"):
        (places / source).symlink_to(ROOT / source)
    data_digest("model")  # remembered from now on, so that nothing is left to write
    check.refuses(["study", "--profile", "smoke", option, name], "", told)


ASCII = {"PATH": os.environ["PATH"], "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
"""An environment that knows no other letters."""
NOWHERE = {"HOME": "/nowhere", "TMPDIR": "/nowhere", "COLUMNS": "1"}
TWO_COMMANDS = """
import sys
from birads_lib.cli import main
print(main(["merge", sys.argv[1], sys.argv[2]]), main(["audit", sys.argv[3]]))
"""


def test_names_of_other_scripts_are_read_and_told_where_only_ascii_is_known(places):
    name = "снимки_乳房"
    (places / "set").rename(places / name)
    command = [sys.executable, "-c", TWO_COMMANDS, name, "хранилище", "нигде"]
    done = subprocess.run(command, capture_output=True, env={**ASCII, **NOWHERE}, timeout=300)
    assert done.stdout.startswith(b"TileStore(16 real tiles"), done.stderr
    assert done.stdout.endswith(b"\n0 2\n")
    progress, said = done.stderr.splitlines()
    assert progress == b"16 tiles"
    assert said.startswith(b"birads: ")
    assert b"no such store; make one with `birads merge SRC" in said
    assert len(TileStore.open(places / "хранилище")) == 16


def test_output_that_cannot_be_written_is_told_in_one_line(forks, small_store):
    code, _, said = forks.run(["audit", small_store.path], printed="/dev/full")
    assert code == FAILED
    assert said == "birads: output: No space left on device; name another place\n"


def test_a_reader_that_has_read_enough_is_no_error_to_tell_of(forks, small_store):
    code, _, said = forks.run(["audit", small_store.path], printed="")
    assert (code, said) == (FAILED, "")


def test_a_port_that_is_taken_is_told(check, tmp_path, monkeypatch):
    from birads_lib.study.server import book_server

    monkeypatch.chdir(tmp_path)
    html = tmp_path / "_build" / "html"
    html.mkdir(parents=True)
    (html / "index.html").write_text("hello")
    with book_server(0, html) as server:
        port = server.server_port
        check.refuses(["serve", "--port", str(port)], f"port {port}", "in use; name another with")
