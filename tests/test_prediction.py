"""Many tiles are read a part at a time: stopped, continued, passed over, in bounded memory."""

import errno
import os
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from birads_lib import cli, prediction
from birads_lib.cli import main
from birads_lib.errors import DataError
from birads_lib.files import write_json
from birads_lib.prediction import ALREADY, parts_of, read_part, resumable_table
from birads_lib.tiles.layout import TILE

LEVELS = np.arange(10, dtype=np.uint8) * 20


class Reader:
    """A cascade that tells each tile by its mean grey level, and counts what it was given."""

    def __init__(self, stops_at=None):
        self.read, self.stops_at = [], stops_at

    def predict(self, images):
        self.read.append(len(images))
        if len(self.read) == self.stops_at:
            raise KeyboardInterrupt
        return pd.DataFrame({"gate": images.mean(axis=(1, 2)) / 255, "predicted": "C1"})


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(prediction, "PART", 4)


@pytest.fixture
def array(tmp_path):
    """Ten tiles, each of one grey level."""
    path = tmp_path / "mine.npy"
    np.save(path, np.ones((len(LEVELS), TILE, TILE), np.uint8) * LEVELS[:, None, None])
    return path


@pytest.fixture
def model(tmp_path, monkeypatch):
    """The folder of a cascade that ``Reader`` stands for; gives the reader."""
    reader = Reader()
    write_json(tmp_path / "model" / "cascade.json", {"threshold": 0.5})
    monkeypatch.setattr(cli, "_open_cascade", lambda *_: reader)
    return reader


def table_of(out, cascade, paths, model="m"):
    with resumable_table(out) as table:
        for part in parts_of(paths):
            table.add(cascade, part, model)
        table.write()
    return table


def test_parts_hold_every_tile_once_in_order(array, tmp_path):
    np.save(tmp_path / "more.npy", np.zeros((3, TILE, TILE), np.uint8))
    parts = list(parts_of([array, tmp_path / "more.npy"]))
    assert [len(part) for part in parts] == [4, 4, 2, 3], "no part is larger, and none is split"
    assert [name for part in parts for name in part.names][8:11] == [
        "mine/00008", "mine/00009", "more/00000",
    ]  # fmt: skip
    assert np.concatenate([p.images[:, 0, 0] for p in parts])[:10].tolist() == LEVELS.tolist()


def test_small_inputs_share_a_part(array, tmp_path):
    paths = []
    for index in range(5):
        paths.append(tmp_path / f"{index}.npy")
        np.save(paths[-1], np.full((1, TILE, TILE), index, np.uint8))
    parts = list(parts_of(paths))
    assert [len(part) for part in parts] == [4, 1]
    assert parts[0].inputs == list(map(str, paths[:4]))


def test_the_table_is_that_of_one_reading(array, tmp_path):
    table = table_of(tmp_path / "out.parquet", Reader(), [array])
    assert (table.rows, table.reused) == (10, 0)
    (whole,) = [read_part(Reader(), p) for p in parts_of([array])][:1]
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert found.columns.tolist() == ["input", "tile", "gate", "predicted"]
    assert found.iloc[:4].equals(whole)
    assert found["gate"].tolist() == pytest.approx(LEVELS / 255)
    assert {p.name for p in tmp_path.iterdir()} == {"mine.npy", "out.parquet"}


def test_a_table_that_another_process_writes_is_refused_and_stays_whole(array, tmp_path):
    out = tmp_path / "shelf" / "out.csv"
    with resumable_table(out) as first:
        parts = list(parts_of([array]))
        first.add(Reader(), parts[0], "m")
        with pytest.raises(DataError) as raised, resumable_table(out):
            pass
        assert str(raised.value) == f"{out}: {ALREADY}"
        for part in parts[1:]:
            first.add(Reader(), part, "m")
        first.write()
    assert len(pd.read_csv(out)) == len(LEVELS)
    assert [p.name for p in out.parent.iterdir()] == ["out.csv"]


def test_nothing_stays_of_a_table_without_any_answer(tmp_path):
    with pytest.raises(DataError, match="no tile could be read"):
        table_of(tmp_path / "shelf" / "out.csv", Reader(), [])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_stopped_run_is_continued_and_ends_alike(array, tmp_path, suffix):
    out, unbroken = tmp_path / f"out{suffix}", tmp_path / f"unbroken{suffix}"
    with pytest.raises(KeyboardInterrupt):
        table_of(out, Reader(stops_at=3), [array])
    assert not out.exists()
    second = Reader()
    assert table_of(out, second, [array]).reused == 8
    assert second.read == [2], "what was read is not read again"
    table_of(unbroken, Reader(), [array])
    assert out.read_bytes() == unbroken.read_bytes()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.fixture
def stopped(array, tmp_path):
    """Where a run of cascade ``m`` was stopped after two of three parts."""
    with pytest.raises(KeyboardInterrupt):
        table_of(tmp_path / "out.csv", Reader(stops_at=3), [array], "m")
    return tmp_path / "out.csv"


def test_answers_of_another_cascade_are_not_taken(array, stopped):
    again = Reader()
    table_of(stopped, again, [array], "another")
    assert again.read == [4, 4, 2]


def test_answers_to_tiles_that_have_changed_are_not_taken(array, stopped):
    images = np.load(array)
    images[5, 100, 100] ^= 1
    np.save(array, images)
    again = Reader()
    table_of(stopped, again, [array], "m")
    assert again.read == [4, 2], "the first part is as it was, the second is not"


@pytest.mark.parametrize("damage", ["answers", "digest", "no digest"])
def test_answers_that_are_not_as_they_were_written_are_given_again(
    array, stopped, damage, flip_byte
):
    folder = stopped.with_name(f".{stopped.name}.parts")
    kept = sorted(folder.glob("*.parquet"))[0]
    if damage == "answers":
        flip_byte(kept, 20)
    elif damage == "digest":
        kept.with_suffix(".json").write_text("{")
    else:
        kept.with_suffix(".json").unlink()
    again = Reader()
    assert table_of(stopped, again, [array], "m").reused == 4
    assert again.read == [4, 2]
    assert pd.read_csv(stopped)["gate"].tolist() == pytest.approx(LEVELS / 255)
    assert not folder.exists()


def pages_of_files():
    """Bytes of files that are mapped into this process and were touched."""
    said = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"RssFile:\s+(\d+) kB", said)[1])


def test_memory_does_not_grow_with_the_number_of_tiles(tmp_path):
    path = tmp_path / "many.npy"
    many = np.lib.format.open_memmap(path, "w+", np.uint8, (400, TILE, TILE))
    del many
    mapped = pages_of_files()
    tracemalloc.start()
    assert sum(len(part.images.copy()) for part in parts_of([path])) == 400
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * prediction.PART * TILE**2, "some parts, of 100"
    assert pages_of_files() - mapped < 100 * TILE**2, "pages of a map count too"


def test_an_unreadable_input_ends_the_reading_or_is_told_of(array, tmp_path):
    (tmp_path / "bad.png").write_text("no picture")
    paths = [tmp_path / "bad.png", array, tmp_path / "nowhere.npy"]
    with pytest.raises(DataError, match=r"bad\.png"):
        list(parts_of(paths))
    told = []
    assert sum(len(part) for part in parts_of(paths, told.append)) == 10
    assert ["bad.png" in str(told[0]), "nowhere.npy" in str(told[1])] == [True, True]


def test_a_path_that_cannot_be_looked_at_is_an_input_like_any_other(array, tmp_path):
    long = tmp_path / f"{'a' * 300}.png"
    with pytest.raises(DataError, match="File name too long; give another"):
        list(parts_of([long]))
    told = []
    assert sum(len(part) for part in parts_of([long, array], told.append)) == 10
    assert [long.name in str(error) for error in told] == [True]


def test_of_an_array_that_is_cut_while_it_is_read_the_rest_is_passed_over(array, tmp_path):
    other = tmp_path / "other.npy"
    other.write_bytes(array.read_bytes())
    told, inputs = [], []
    for part in parts_of([array, other], told.append):
        inputs += part.inputs
        os.truncate(array, 128)
    assert [f"{array}: cut short" in str(error) for error in told] == [True]
    assert [inputs.count(str(path)) for path in (array, other)] == [8, 10]


def test_an_array_that_a_disk_gives_only_in_part_counts_as_passed_over(
    array, tmp_path, model, capsys, monkeypatch
):
    whole = os.preadv

    def failing(file, buffers, place):
        if place > 3 * TILE**2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return whole(file, buffers, place)

    monkeypatch.setattr(os, "preadv", failing)
    assert main(["predict", str(tmp_path / "model"), str(array), "--keep-going"]) == 1
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 1 + 4
    assert f"{array}: Input/output error; copy it anew" in said.err


def test_keep_going_lists_what_it_passed_over_and_ends_with_1(array, tmp_path, model, capsys):
    (tmp_path / "bad.png").write_text("no picture")
    out = tmp_path / "out.csv"
    inputs = [str(tmp_path / "bad.png"), str(array)]
    command = ["predict", str(tmp_path / "model"), *inputs, "--out", str(out)]
    assert main(command) == 2, "without the option nothing is read"
    assert not model.read
    assert not out.exists()
    assert main([*command, "--keep-going"]) == 1
    assert len(pd.read_csv(out)) == 10
    said = capsys.readouterr().err
    assert said.count("bad.png: not a readable picture") == 2, "once refused, once passed over"
    assert "1 of 2 inputs could not be read" in said
    alone = ["predict", str(tmp_path / "model"), str(tmp_path / "bad.png"), "--keep-going"]
    assert main(alone) == 2, "nothing was read"
    assert main([*alone, "--out", str(tmp_path / "none.csv")]) == 2
    assert not (tmp_path / "none.csv").exists()
    assert "Traceback" not in said


def test_to_a_terminal_the_parts_follow_under_one_heading(array, tmp_path, model, capsys):
    assert main(["predict", str(tmp_path / "model"), str(array)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "input,tile,gate,predicted"
    assert len(lines) == 11
    assert sum("gate" in line for line in lines) == 1


def test_where_nothing_could_be_read_nothing_is_written(tmp_path, model, capsys):
    out = tmp_path / "out.csv"
    command = ["predict", str(tmp_path / "model"), str(tmp_path / "nowhere.npy"), "--keep-going"]
    assert main([*command, "--out", str(out)]) == 2
    assert "no tile could be read" in capsys.readouterr().err
    assert not out.exists()
