"""Writing is whole or absent; digests tell content apart."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys

import pytest

from birads_lib.errors import DataError
from birads_lib.files import (
    fingerprint,
    only_one,
    read_json,
    sha256,
    whole_file,
    whole_folder,
    write_json,
)


def names_in(folder) -> list[str]:
    """All that stands in a folder, hidden names too."""
    return sorted(path.name for path in folder.iterdir())


def write_half_a_file(path, error):
    with whole_file(path) as partial:
        partial.write_text("half")
        raise error


def write_half_a_folder(path, error):
    with whole_folder(path, "old.txt") as partial:
        (partial / "first.txt").write_text("half")
        (partial / "sub").mkdir()
        raise error


# Files


def test_a_file_appears_whole_under_its_name_only(tmp_path):
    with whole_file(tmp_path / "new.csv") as partial:
        partial.write_text("content")
        assert not (tmp_path / "new.csv").exists()
    assert names_in(tmp_path) == ["new.csv"]
    assert (tmp_path / "new.csv").read_text() == "content"


def test_the_temporary_file_lies_beside_and_keeps_the_suffix(tmp_path):
    with whole_file(tmp_path / "new.parquet") as partial:
        assert partial.parent == tmp_path
        assert partial.suffix == ".parquet"


def test_a_file_replaces_the_earlier_one(tmp_path):
    (tmp_path / "it.txt").write_text("old")
    with whole_file(tmp_path / "it.txt") as partial:
        assert (tmp_path / "it.txt").read_text() == "old"
        partial.write_text("new")
    assert (tmp_path / "it.txt").read_text() == "new"
    assert names_in(tmp_path) == ["it.txt"]


def test_a_file_makes_the_folders_it_needs(tmp_path):
    with whole_file(str(tmp_path / "a" / "b" / "it.txt")) as partial:
        partial.write_text("content")
    assert (tmp_path / "a" / "b" / "it.txt").read_text() == "content"


def test_a_file_can_be_read_by_others(tmp_path):
    with whole_file(tmp_path / "it.txt") as partial:
        partial.write_text("content")
    assert (tmp_path / "it.txt").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_an_interrupted_file_leaves_nothing(tmp_path, error):
    with pytest.raises(type(error)):
        write_half_a_file(tmp_path / "it.txt", error)
    assert names_in(tmp_path) == []


def test_an_interrupted_file_keeps_the_earlier_one(tmp_path):
    (tmp_path / "it.txt").write_text("old")
    with pytest.raises(ValueError, match="no"):
        write_half_a_file(tmp_path / "it.txt", ValueError("no"))
    assert (tmp_path / "it.txt").read_text() == "old"
    assert names_in(tmp_path) == ["it.txt"]


# Folders


def test_a_folder_appears_whole_under_its_name_only(tmp_path):
    with whole_folder(tmp_path / "new") as partial:
        assert partial.parent == tmp_path
        (partial / "one.txt").write_text("1")
        assert not (tmp_path / "new").exists()
    assert names_in(tmp_path) == ["new"]
    assert (tmp_path / "new" / "one.txt").read_text() == "1"


def test_a_folder_replaces_the_earlier_one_entirely(tmp_path):
    (tmp_path / "it").mkdir()
    (tmp_path / "it" / "old.txt").write_text("old")
    with whole_folder(tmp_path / "it", "old.txt") as partial:
        (partial / "new.txt").write_text("new")
        assert names_in(tmp_path / "it") == ["old.txt"]
    assert names_in(tmp_path) == ["it"]
    assert names_in(tmp_path / "it") == ["new.txt"]


@pytest.mark.parametrize("mark", [None, "store.json"])
def test_a_folder_of_other_things_is_refused_and_kept(tmp_path, mark):
    (tmp_path / "it").mkdir()
    (tmp_path / "it" / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="not an empty folder"), whole_folder(tmp_path / "it", mark):
        pass
    assert (tmp_path / "it" / "thesis.txt").read_text() == "mine"


def test_a_folder_makes_the_folders_it_needs(tmp_path):
    with whole_folder(str(tmp_path / "a" / "b" / "it")):
        pass
    assert (tmp_path / "a" / "b" / "it").is_dir()


def test_a_folder_can_be_read_by_others(tmp_path):
    with whole_folder(tmp_path / "it"):
        pass
    assert (tmp_path / "it").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_an_interrupted_folder_leaves_nothing(tmp_path, error):
    with pytest.raises(type(error)):
        write_half_a_folder(tmp_path / "it", error)
    assert names_in(tmp_path) == []


def test_an_interrupted_folder_keeps_the_earlier_one(tmp_path):
    (tmp_path / "it").mkdir()
    (tmp_path / "it" / "old.txt").write_text("old")
    with pytest.raises(ValueError, match="no"):
        write_half_a_folder(tmp_path / "it", ValueError("no"))
    assert names_in(tmp_path) == ["it"]
    assert (tmp_path / "it" / "old.txt").read_text() == "old"


def test_a_file_in_a_folders_place_is_refused_and_kept(tmp_path):
    (tmp_path / "it").write_text("mine")
    with pytest.raises(DataError, match="it"), whole_folder(tmp_path / "it"):
        pass
    assert names_in(tmp_path) == ["it"]
    assert (tmp_path / "it").read_text() == "mine"


def test_an_exchange_that_fails_half_way_keeps_the_earlier_folder(tmp_path, monkeypatch):
    (tmp_path / "it").mkdir()
    (tmp_path / "it" / "old.txt").write_text("old")
    replace, calls = os.replace, []

    def fail_once_at_the_second(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError("disk is gone")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_once_at_the_second)
    with (
        pytest.raises(OSError, match="disk is gone"),
        whole_folder(tmp_path / "it", "old.txt") as partial,
    ):
        (partial / "new.txt").write_text("new")
    assert names_in(tmp_path) == ["it"]
    assert names_in(tmp_path / "it") == ["old.txt"]


# JSON


def test_json_comes_back_sorted_and_indented(tmp_path):
    value = {"b": [1, 2.5, None, True], "a": {"deep": "ж"}}
    write_json(tmp_path / "it.json", value)
    text = (tmp_path / "it.json").read_text()
    assert read_json(tmp_path / "it.json") == value
    assert text.index('"a"') < text.index('"b"')
    assert text.endswith("}\n")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_what_is_no_json_is_not_written_and_the_old_stays(tmp_path, value):
    write_json(tmp_path / "it.json", {"old": 1})
    with pytest.raises((ValueError, TypeError)):
        write_json(tmp_path / "it.json", {"new": value})
    assert read_json(tmp_path / "it.json") == {"old": 1}
    assert names_in(tmp_path) == ["it.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"{'a': 1}", b"\xff\xfe{"])
def test_broken_json_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "it.json").write_bytes(content)
    with pytest.raises(DataError, match=r"it\.json") as error:
        read_json(tmp_path / "it.json")
    assert "\n" not in str(error.value)


def test_missing_json_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"it\.json: no such file"):
        read_json(tmp_path / "it.json")


def test_a_folder_is_no_json(tmp_path):
    with pytest.raises(DataError):
        read_json(tmp_path)


# Digests


def test_sha256_is_that_of_the_content(tmp_path):
    (tmp_path / "it").write_bytes(b"abc")
    assert sha256(tmp_path / "it") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_sha256_reads_large_files_to_their_end(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "it").write_bytes(content)
    assert sha256(tmp_path / "it") == hashlib.sha256(content).hexdigest()


def test_a_fingerprint_goes_by_content_and_not_by_key_order():
    first = fingerprint({"a": 1, "b": [1, {"x": None, "y": 2}]})
    assert len(first) == 64
    assert fingerprint({"b": [1, {"y": 2, "x": None}], "a": 1}) == first
    for other in ({"a": 1}, {"a": 1, "b": [{"x": None, "y": 2}, 1]}, {"a": "1", "b": []}):
        assert fingerprint(other) != first


LEAVES_A_PARTIAL = """
import os, signal, sys
from birads_lib.files import whole_file, whole_folder
with whole_folder(sys.argv[1]) as folder:
    (folder / "half").write_text("half")
    with whole_file(sys.argv[2]) as file:
        file.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_cleared_by_the_next_write(tmp_path):
    folder, file = tmp_path / "it", tmp_path / "it.json"
    command = [sys.executable, "-c", LEAVES_A_PARTIAL, str(folder), str(file)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    with whole_folder(folder) as partial:
        (partial / "one").write_text("1")
    write_json(file, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it", "it.json"]


def test_the_partial_write_of_a_living_process_is_left_alone(tmp_path):
    with whole_folder(tmp_path / "it") as first:
        with whole_folder(tmp_path / "it") as second:
            assert first.exists()
            (second / "one").write_text("1")
        assert first.exists()
        shutil.rmtree(tmp_path / "it")


# A file that one process holds

HOLDS = """
import sys
from pathlib import Path
from birads_lib.files import only_one
with only_one(Path(sys.argv[1]), "taken"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_what_one_holds_no_other_can_and_then_it_can(tmp_path):
    path = tmp_path / "new" / "lock"
    with (
        only_one(path, "taken; wait"),
        pytest.raises(DataError, match=r"lock: taken; wait$"),
        only_one(path, "taken; wait"),
    ):
        pytest.fail("held twice")
    with only_one(path, "taken"):
        pass
    assert names_in(path.parent) == ["lock"]


def test_a_killed_process_lets_go(tmp_path):
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLDS, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(DataError, match="taken"), only_one(path, "taken"):
            pytest.fail("held twice")
        process.kill()
    with only_one(path, "taken"):
        pass


def test_a_process_started_with_the_descriptor_holds_it_too(tmp_path):
    path = tmp_path / "lock"
    with only_one(path, "taken") as lock:
        command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(lock,))
    with child:
        with pytest.raises(DataError, match="taken"), only_one(path, "taken"):
            pytest.fail("held twice")
        child.stdin.close()
    with only_one(path, "taken"):
        pass
