"""Disks that are full or may not be written, clocks that go back, two processes at once."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import sound
from forks import Forks
from watch import contents, watched

from birads_lib.cli import DONE, FAILED, MISUSED
from birads_lib.errors import DiskFullError
from birads_lib.files import whole_folder
from birads_lib.study import book
from birads_lib.study.notebooks import run_chapter
from birads_lib.study.profiles import data_digest
from birads_lib.tiles import TileStore, merge_ddsm10
from birads_lib.tiles.cbis_labels import CASE_FILES
from birads_lib.tiles.layout import TRAINING_PATHS
from birads_lib.tiles.store import streamed, verify_store

TRAINING_PATH = f"set/{TRAINING_PATHS[0]}"
OUT = "out"
"""What a command writes, on the disk that is in question."""
SEALED = r"nothing can be written there \(Read-only file system\); name another place"
WRITING = {
    "merging tiles": ["merge", "set", OUT],
    "merging films": ["merge", "films", OUT],
    "drawing simulated tiles": ["phantom", OUT, "--scale", "0.004", "--positives", "0.4"],
    "counting case files": ["cbis-labels", "cases", "--out", f"{OUT}.json"],
    "answering in CSV": ["predict", "model", "left.png", "--engine", "onnx", "--out", f"{OUT}.csv"],
    "answering in Parquet": [
        "predict", "model", "left.png", "--engine", "onnx", "--out", f"{OUT}.parquet",
    ],
    "exporting a cascade": ["export", "model", OUT, "--format", "onnx"],
    "reporting": [
        "report", "left.png", "--model", "model", "--engine", "onnx", "--out", f"{OUT}.html",
    ],
}  # fmt: skip


@pytest.fixture
def inputs(tmp_path, small_set, monkeypatch) -> Path:
    """A working directory with what commands read."""
    monkeypatch.chdir(tmp_path)
    small_set.write(tmp_path / "set")
    sound.films(tmp_path / "films")
    sound.case_files(tmp_path / "cases")
    sound.cascade(tmp_path / "model")
    (tmp_path / "left.png").write_bytes(sound.picture(".png"))
    sound.scan(tmp_path / "left.dcm")
    return tmp_path


@contextmanager
def mounted(place: Path, options: str) -> Iterator[Path]:
    """A small disk in memory; the test is skipped where none may be mounted."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", os.fspath(place)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        pytest.skip("no program to mount a small disk with")
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", os.fspath(place)], timeout=60, check=True)


@pytest.fixture
def full_disk(inputs) -> Iterator[Path]:
    """A disk of 80 MB that is full to the last byte."""
    with mounted(inputs / "disk", "size=80m") as place:
        with pytest.raises(OSError, match="No space left"):
            (place / "ballast").write_bytes(bytes(81 << 20))
        yield place


@pytest.fixture
def sealed_disk(inputs) -> Iterator[Path]:
    """A disk that may be read only, with an earlier file and store on it."""
    with mounted(inputs / "disk", "size=8m") as place:
        merge_ddsm10(inputs / "set", place / "store")
        subprocess.run(["mount", "-o", "remount,ro", os.fspath(place)], timeout=60, check=True)
        yield place


def on(disk: Path, words: list[str]) -> tuple[list[str], Path]:
    """A command that writes to a disk, and the path that it writes."""
    place = next(word for word in words if Path(word).stem == OUT)
    return [os.fspath(disk / word) if word == place else word for word in words], disk / place


@pytest.mark.parametrize("words", WRITING.values(), ids=WRITING)
def test_a_full_disk_is_told_and_nothing_is_left_on_it(full_disk, check, words):
    command, place = on(full_disk, words)
    check.refuses(command, place, "No space left on device; .*make room or name another", FAILED)
    (full_disk / "ballast").unlink()
    code, _, said = check.run(*command)
    assert code == DONE, said
    assert place.exists()


CHAPTER = """# %% tags=["parameters"]
PLACE = ""

# %%
from pathlib import Path

from birads_lib.files import whole_file

with whole_file(Path(PLACE)) as partial:
    partial.write_bytes(bytes(4096))
"""


def test_a_chapter_on_a_full_disk_is_told_in_one_line_and_runs_where_there_is_room(full_disk):
    source, target = full_disk.parent / "small.py", full_disk.parent / "notebooks" / "small.ipynb"
    source.write_text(CHAPTER)
    place = full_disk / "made"
    with watched(), pytest.raises(DiskFullError) as raised:
        run_chapter(source, target, {"PLACE": str(place)}, full_disk.parent)
    assert str(raised.value) == (
        f"{place}: No space left on device; make room or name another place"
    )
    assert not target.exists()
    assert [path.name for path in full_disk.iterdir()] == ["ballast"]
    (full_disk / "ballast").unlink()
    run_chapter(source, target, {"PLACE": str(place)}, full_disk.parent)
    assert place.stat().st_size == 4096


def test_a_network_on_a_full_disk_is_told_though_hdf5_hides_the_number(full_disk):
    from keras import Input, Sequential
    from keras.layers import Dense

    from birads_lib.training import save_model

    network = Sequential([Input((64,)), Dense(64)])
    told = r"gate\.keras: No space left on device; make room"
    with watched(), pytest.raises(DiskFullError, match=told):
        save_model(network, full_disk / "gate.keras")
    assert [path.name for path in full_disk.iterdir()] == ["ballast"]
    (full_disk / "ballast").unlink()
    save_model(network, full_disk / "gate.keras")
    assert (full_disk / "gate.keras").is_file()


def test_a_book_on_a_full_disk_is_told_in_one_line(full_disk, monkeypatch):
    said = subprocess.CompletedProcess([], 2, "", "OSError: [Errno 28] No space left on device")
    with monkeypatch.context() as patched:  # until the disk is taken away, which runs a program too
        patched.setattr(book.subprocess, "run", lambda *_, **__: said)
        with pytest.raises(DiskFullError, match=r": No space left on device; make room$"):
            book.run_jupyter_book(full_disk)


@pytest.mark.parametrize("words", WRITING.values(), ids=WRITING)
def test_a_sealed_disk_is_told_and_another_place_taken(sealed_disk, check, words):
    command, place = on(sealed_disk, words)
    check.refuses(command, place, SEALED)
    if words[0] != "phantom":  # which starts processes to draw in
        command, place = on(sealed_disk.parent, words)
        assert check.run(*command)[0] == DONE
        assert place.exists()


def test_an_earlier_store_on_a_sealed_disk_is_read_and_stays(sealed_disk, check, small_set):
    store = sealed_disk / "store"
    assert check.run("verify", store)[0] == DONE
    assert check.run("merge", "set", store)[0] == DONE  # of the same tiles: nothing to do
    small_set.training[0].append(small_set.training[1][0])
    shutil.rmtree("set")
    small_set.write(Path("set"))
    check.refuses(["merge", "set", store], store, SEALED)
    assert check.run("verify", store)[0] == DONE


@contextmanager
def short_files() -> Iterator[None]:
    """Lets no file grow beyond half a megabyte."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_may_not_grow_is_told_and_nothing_is_left(inputs, check):
    told = "File too large; the store needs 1,430,416 bytes there"
    with short_files():
        check.refuses(["merge", "set", "store"], "store", told, FAILED)
    assert check.run("merge", "set", "store")[0] == DONE


@pytest.fixture(scope="module")
def bound_forks(tmp_path_factory) -> Iterator[Forks]:
    """Runs commands in processes that permissions bind, which they do not root."""
    bound: list[str] = []
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("permissions do not bind root, and setpriv is not there to change that")
        bound = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    with Forks(tmp_path_factory.mktemp("bound"), bound) as forks:
        yield forks


CLOSED = {
    "a folder to read": ("set", ["merge", "set", "store"], "set: no known layout|set: Permission"),
    "an array to read": (
        "set/test10_labels.npy", ["merge", "set", "store"], "test10_labels.npy: Permission denied",
    ),
    "a picture to read": ("left.png", ["predict", "model", "left.png"], "left.png: .*ermission"),
    "records to read": (
        TRAINING_PATH, ["merge", "set", "store"], "training10_0.tfrecords: .*ermission denied",
    ),
    "a scan to read": (
        "left.dcm", ["predict", "model", "left.dcm", "--engine", "onnx"], "left.dcm: .*ermission",
    ),
    "a list to read": (
        f"cases/{CASE_FILES[0].name}", ["cbis-labels", "cases"], ".*csv: .*ermission denied",
    ),
    "a table to read": (
        "kept/table.parquet", ["verify", "kept"], "table.parquet: .*ermission denied",
    ),
    "a cascade to read": (
        "model/cascade.json", ["predict", "model", "left.png"], "cascade.json: not readable",
    ),
    "a folder to write to": ("shelf", ["merge", "set", "shelf/store"], "shelf/store: Permission"),
}  # fmt: skip


@pytest.mark.parametrize(("closed", "words", "told"), CLOSED.values(), ids=CLOSED)
def test_what_this_user_may_not_touch_is_told(inputs, bound_forks, closed, words, told):
    (inputs / "shelf").mkdir()
    merge_ddsm10(inputs / "set", inputs / "kept")
    before = contents(inputs)
    (inputs / closed).chmod(0)
    code, printed, said = bound_forks.run(words)
    (inputs / closed).chmod(0o755)
    assert (code, printed) == (MISUSED, ""), said
    assert re.match(f"birads: .*{told}.*; [^\n]*\n\\Z", said), said
    assert contents(inputs) == before, "something was written or changed"
    assert bound_forks.run(words)[0] == DONE


# Clocks


def test_files_of_the_future_are_read_as_others(inputs, check):
    for path in (inputs / "set").rglob("*"):
        os.utime(path, (4e9, 4e9))  # in the year 2096
    assert check.run("merge", "set", "store")[0] == DONE
    first = TileStore.open("store").digest
    os.utime("store/store.json", (4e9, 4e9))
    assert check.run("merge", "set", "store")[0] == DONE
    assert TileStore.open("store").digest == first


def test_a_file_that_changed_while_the_clock_went_back_is_noticed(inputs, check, small_set):
    path = Path("set/test10_labels.npy")
    assert check.run("merge", "set", "store")[0] == DONE
    first, digest = TileStore.open("store").digest, data_digest("set", inputs / "_build")
    found = path.stat()
    labels = np.load(path)
    labels[2] = 2
    np.save(path, labels)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))  # as if nothing had happened
    assert path.stat().st_size == found.st_size
    assert data_digest("set", inputs / "_build") != digest
    assert check.run("merge", "set", "store")[0] == DONE
    assert TileStore.open("store").digest != first


@pytest.mark.parametrize("content", ["{", "[]", '{"x": NaN}', ""])
def test_remembered_digests_that_are_damaged_are_taken_anew(inputs, content):
    digest = data_digest("set", inputs / "_build")
    (inputs / "_build" / "digests.json").write_text(content)
    assert data_digest("set", inputs / "_build") == digest


# Two processes


def test_two_processes_at_once_leave_one_whole_store(
    inputs, small_set, tmp_path, forks, bound_forks
):
    store = tmp_path / "shelf" / "store"
    with ThreadPoolExecutor() as pool:
        for tiles in (2, 3, 4, 5):
            small_set.training[0].append(small_set.training[1][0])
            small_set.write(inputs / f"set{tiles}")
            sources = inputs / "set", inputs / f"set{tiles}"
            runs = [
                pool.submit(processes.run, ["merge", source, store])
                for processes, source in zip((forks, bound_forks), sources, strict=True)
            ]
            assert [run.result()[0] for run in runs] == [DONE, DONE], [r.result() for r in runs]
            assert len(TileStore.open(store)) in (16, 15 + tiles)
    assert verify_store(TileStore.open(store)) == []
    assert [path.name for path in store.parent.iterdir()] == ["store"]


def test_a_store_that_is_replaced_is_read_to_its_end_as_it_was(inputs, small_set):
    before = merge_ddsm10(inputs / "set", inputs / "store")
    rows, grey = streamed(before.images), np.array(before.images[:, 5, 5])
    small_set.training[0].reverse()
    small_set.write(inputs / "turned")
    after = merge_ddsm10(inputs / "turned", inputs / "store")
    assert after.digest != before.digest
    assert (rows[:][:, 5, 5] == grey).all()
    assert (np.asarray(after.images)[:, 5, 5] != grey).any()


def test_a_folder_that_another_process_puts_there_meanwhile_is_replaced(tmp_path):
    """The later one stays, and nothing of the earlier."""
    with whole_folder(tmp_path / "it", "mark") as later:
        (later / "mark").write_text("later")
        with whole_folder(tmp_path / "it", "mark") as earlier:
            (earlier / "mark").write_text("earlier")
    assert (tmp_path / "it" / "mark").read_text() == "later"
    assert [path.name for path in tmp_path.iterdir()] == ["it"]


DIES_BETWEEN = """
import os, signal, sys
from birads_lib.files import whole_folder
replace = os.replace
def dying(source, target):
    replace(source, target)
    if target.name.endswith(".old"):
        os.kill(os.getpid(), signal.SIGKILL)
os.replace = dying
with whole_folder(sys.argv[1], "mark") as folder:
    (folder / "mark").write_text("later")
"""


def test_an_earlier_folder_comes_back_after_its_successor_was_killed_in_its_place(tmp_path):
    with whole_folder(tmp_path / "it", "mark") as folder:
        (folder / "mark").write_text("earlier")
    subprocess.run([sys.executable, "-c", DIES_BETWEEN, tmp_path / "it"], timeout=300, check=False)
    assert not (tmp_path / "it").exists()
    with pytest.raises(ValueError, match="no"), whole_folder(tmp_path / "it", "mark"):
        raise ValueError("no")
    assert (tmp_path / "it" / "mark").read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["it"]
