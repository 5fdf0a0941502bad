"""The command line: what it prints, its exit codes, and one line for each mistake."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from birads_lib import cli
from birads_lib.cli import main
from birads_lib.errors import DataError
from birads_lib.files import sha256
from birads_lib.tiles import TileStore
from birads_lib.tiles.layout import TILE, TRAINING_PATHS
from birads_lib.tiles.store import IMAGES, META

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = (
    "phantom", "merge", "audit", "study", "sweep", "predict", "report", "export", "verify", "serve",
    "cbis-labels", "fetch",
)  # fmt: skip


@pytest.fixture
def failing(capsys):
    """Runs a command that must end with code 2 and one line on standard error; gives the line."""

    def run(*arguments) -> str:
        assert main([str(argument) for argument in arguments]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("birads: ")
        assert said.err.count("\n") == 1
        assert said.err.endswith("\n")
        return said.err

    return run


@pytest.fixture
def grey_tile(tmp_path) -> Path:
    path = tmp_path / "tile.png"
    assert cv2.imwrite(str(path), np.arange(TILE * TILE).reshape(TILE, TILE).astype(np.uint8))
    return path


# Usage


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["guess"],
        ["merge"],
        ["merge", "one"],
        ["phantom", "x", "--scale", "big"],
        ["--version-x"],
    ],
)
def test_wrong_usage_ends_with_code_2(arguments, capsys):
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("birads: ")
    assert re.search("; run `birads( merge| phantom)? --help` for what it takes\n$", said)
    assert said.count("\n") == 1


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_an_error_that_a_library_makes_of_a_stop_is_a_stop(ending, monkeypatch, capsys):
    def loads(_):
        try:
            os.kill(os.getpid(), ending)
            time.sleep(60)
        except KeyboardInterrupt:
            raise DataError("gate.onnx: not a readable network (initialization failed)") from None

    monkeypatch.setattr(cli, "_verify", loads)
    assert main(["verify", "run"]) == 1
    assert capsys.readouterr().err == "birads: stopped\n"


@pytest.mark.parametrize("arguments", [[], *([command] for command in COMMANDS)])
def test_help_is_there_for_everything(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--help"])
    assert end.value.code == 0
    assert "usage: birads" in capsys.readouterr().out


def test_help_names_every_command_and_says_that_it_is_no_medical_device(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = " ".join(capsys.readouterr().out.split())  # however wide the terminal is
    assert all(f" {command} " in said for command in COMMANDS)
    assert "not a medical device" in said


# phantom


def test_phantom_writes_a_simulated_set(tmp_path, kaggle_folder, capsys):
    out = tmp_path / "set"
    arguments = ["phantom", str(out), "--scale", "0.004", "--positives", "0.4", "--seed", "0"]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert said.out == f"{out}: simulated tiles written\n"
    assert said.err == "282 tiles\n"
    for path in (*TRAINING_PATHS, "test10_data/test10_data.npy", "cv10_labels.npy"):
        assert sha256(out / path) == sha256(kaggle_folder / path)


def test_phantom_does_not_write_into_a_folder_that_exists(tmp_path, failing):
    (tmp_path / "mine.txt").write_text("mine")
    assert str(tmp_path) in failing("phantom", tmp_path, "--scale", "0.004")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--scale", "0"),
        ("--scale", "2"),
        ("--scale", "nan"),
        ("--positives", "1"),
        ("--seed", "-1"),
        ("--scanner", "elsewhere"),
    ],
)
def test_phantom_names_the_option_that_does_not_fit(tmp_path, failing, option, value):
    assert option.strip("-") in failing("phantom", tmp_path / "set", f"{option}={value}")
    assert list(tmp_path.iterdir()) == []


# merge


def test_merge_prints_the_store_and_its_notes(small_set, tmp_path, capsys):
    del small_set.training[0][0]["filename"]
    source = small_set.write(tmp_path / "set")
    assert main(["merge", str(source), str(tmp_path / "store")]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0] == repr(TileStore.open(tmp_path / "store"))
    assert "note: file name absent: 1 tiles" in lines
    assert said.err == "16 tiles\n"


def test_merge_of_a_missing_folder(tmp_path, failing):
    said = failing("merge", tmp_path / "nowhere", tmp_path / "store")
    assert f"{tmp_path / 'nowhere'}: no such folder" in said
    assert list(tmp_path.iterdir()) == []


def test_merge_of_a_file(grey_tile, tmp_path, failing):
    assert str(grey_tile) in failing("merge", grey_tile, tmp_path / "store")


def test_merge_of_a_truncated_record(small_set, tmp_path, failing):
    source = small_set.write(tmp_path / "set")
    damaged = source / TRAINING_PATHS[3]
    damaged.write_bytes(damaged.read_bytes()[:-100])
    said = failing("merge", source, tmp_path / "store")
    assert f"{damaged}: record 1 at byte " in said
    assert " is truncated; copy or download the file again" in said
    assert not (tmp_path / "store").exists()


def test_merge_of_a_flipped_byte(small_set, tmp_path, failing, flip_byte):
    source = small_set.write(tmp_path / "set")
    flip_byte(source / TRAINING_PATHS[4], 5000)
    said = failing("merge", source, tmp_path / "store")
    assert f"{source / TRAINING_PATHS[4]}: record 0" in said


def test_merge_into_a_place_where_no_folder_can_be(small_set, tmp_path, failing, grey_tile):
    source = small_set.write(tmp_path / "set")
    before = grey_tile.read_bytes()
    for target in (grey_tile, grey_tile / "store"):
        assert str(grey_tile) in failing("merge", source, target)
        assert grey_tile.read_bytes() == before


def test_phantom_into_a_place_where_no_folder_can_be(failing, grey_tile):
    for target in (grey_tile, grey_tile / "set"):
        assert str(grey_tile) in failing("phantom", target, "--scale", "0.004")


# audit


def test_audit_prints_json_alone(store, capsys):
    assert main(["audit", str(store.path)]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["tiles"] == len(store)
    assert found["counts"] == store.meta["counts"]
    assert found["digest"] == store.digest
    assert said.err == ""


def test_audit_of_what_is_no_store(tmp_path, failing, grey_tile):
    assert "nowhere" in failing("audit", tmp_path / "nowhere")
    assert str(tmp_path) in failing("audit", tmp_path)
    assert str(grey_tile) in failing("audit", grey_tile)


# verify


def test_verify_of_a_store_as_written(store, capsys):
    assert main(["verify", str(store.path)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{store.path}: as written\n"
    assert said.err == ""


@pytest.mark.parametrize(("row", "tile"), [(0, "training10_0/00000"), (11, "test10/00001")])
def test_verify_names_the_tile_that_changed(small_store, failing, flip_byte, row, tile):
    flip_byte(small_store.path / IMAGES, -(16 - row) * TILE * TILE + 7)
    said = failing("verify", small_store.path)
    assert f"{small_store.path / IMAGES}: tile {tile} (row {row}) has changed" in said


def test_verify_gives_a_line_for_each_change(small_store, capsys, flip_byte):
    flip_byte(small_store.path / IMAGES, -1)
    flip_byte(small_store.path / IMAGES, -16 * TILE * TILE)
    assert main(["verify", str(small_store.path)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "training10_0/00000" in said[0]
    assert "cv10/00002" in said[1]


def test_verify_of_what_is_neither_store_nor_run(tmp_path, failing):
    assert str(tmp_path) in failing("verify", tmp_path)
    assert "nowhere" in failing("verify", tmp_path / "nowhere")


def test_verify_of_a_broken_store(small_store, failing):
    (small_store.path / META).write_text("{")
    assert META in failing("verify", small_store.path)


# study


def test_study_of_an_unknown_profile_lists_those_that_exist(monkeypatch, failing):
    monkeypatch.chdir(ROOT)
    said = failing("study", "--profile", "gigantic")
    assert "'gigantic'" in said
    assert "smoke, laptop, paper" in said


def test_study_of_the_paper_profile_asks_for_the_kaggle_set(monkeypatch, failing):
    monkeypatch.chdir(ROOT)
    assert "skooch/ddsm-mammography" in failing("study", "--profile", "paper")


def test_study_of_missing_data(monkeypatch, failing, tmp_path):
    monkeypatch.chdir(ROOT)
    said = failing("study", "--profile", "smoke", "--data", tmp_path / "nowhere")
    assert "nowhere" in said


def test_study_outside_the_projects_folder(monkeypatch, failing, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert "run from the project's folder" in failing("study")


def test_an_unknown_step_lists_those_that_exist(monkeypatch, failing):
    monkeypatch.chdir(ROOT)
    assert "data_merging" in failing("step", "guess", "--profile", "smoke")


# predict


def test_predict_of_a_colour_picture(tmp_path, failing):
    colour = np.zeros((TILE, TILE, 3), np.uint8)
    colour[..., 2] = 90
    assert cv2.imwrite(str(tmp_path / "colour.png"), colour)
    said = failing("predict", tmp_path / "model", tmp_path / "colour.png")
    assert f"{tmp_path / 'colour.png'}: a colour picture" in said


def test_predict_of_no_picture(tmp_path, failing):
    (tmp_path / "not.png").write_text("no picture")
    assert "not a readable picture" in failing("predict", tmp_path, tmp_path / "not.png")
    assert "nowhere.png" in failing("predict", tmp_path, tmp_path / "nowhere.png")
    (tmp_path / "letter.txt").write_text("no picture")
    assert "letter.txt" in failing("predict", tmp_path, tmp_path / "letter.txt")


def test_predict_of_tiles_of_another_size(tmp_path, failing):
    np.save(tmp_path / "tiles.npy", np.zeros((2, 50, 50), np.uint8))
    assert "expected uint8" in failing("predict", tmp_path, tmp_path / "tiles.npy")


def test_predict_checks_every_input_before_it_starts(tmp_path, failing, grey_tile):
    said = failing("predict", tmp_path / "model", grey_tile, tmp_path / "nowhere.npy")
    assert "nowhere.npy" in said


def test_predict_into_a_file_of_another_kind(tmp_path, failing, grey_tile):
    said = failing("predict", tmp_path, grey_tile, "--out", tmp_path / "table.xlsx")
    assert ".csv" in said
    assert ".parquet" in said


def test_predict_with_a_missing_model(tmp_path, failing, grey_tile):
    said = failing("predict", tmp_path / "model", grey_tile, "--out", tmp_path / "out.csv")
    assert f"{tmp_path / 'model'}: no cascade" in said
    assert not (tmp_path / "out.csv").exists()


# cbis-labels


def _write_case_files(folder: Path, assessment: str = "4", line_end: str = "\n") -> Path:
    from birads_lib.tiles.cbis_labels import CASE_FILES, COLUMNS

    folder.mkdir()
    for i, file in enumerate(CASE_FILES):
        row = [f"P_{i:05d}", "LEFT", "CC", file.lesion, "1", assessment, "BENIGN", "3", "2"]
        text = f"{','.join(COLUMNS)}{line_end}{','.join(row)}{line_end}"
        (folder / file.name).write_bytes(text.encode())
    return folder


def test_cbis_labels_prints_json_and_notes(tmp_path, capsys):
    folder = _write_case_files(tmp_path / "csv")
    assert main(["cbis-labels", str(folder)]) == 0
    said = capsys.readouterr()
    counts = json.loads(said.out)
    assert counts["lesion_views"]["all"] == 4
    assert said.err.splitlines() == [f"note: {note}" for note in counts["notes"]]
    assert "SHA-256" in said.err


def test_cbis_labels_writes_the_same_to_a_file(tmp_path, capsys):
    folder, out = _write_case_files(tmp_path / "csv", line_end="\r\n"), tmp_path / "counts.json"
    assert main(["cbis-labels", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert main(["cbis-labels", str(folder), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: 4 lesion-views counted\n"
    assert out.read_text() == printed


def test_cbis_labels_of_the_published_files_is_what_the_package_ships(real_data, tmp_path, capsys):
    from birads_lib.tiles.cbis_labels import SHIPPED

    out = tmp_path / "counts.json"
    assert main(["cbis-labels", str(real_data / "cbis-ddsm-csv"), "--out", str(out)]) == 0
    assert capsys.readouterr().err == ""
    assert out.read_bytes() == SHIPPED.read_bytes()


def test_cbis_labels_names_what_is_missing(tmp_path, failing):
    assert "nowhere: no such folder" in failing("cbis-labels", tmp_path / "nowhere")
    folder = _write_case_files(tmp_path / "csv")
    path = folder / "mass_case_description_test_set.csv"
    path.write_text(path.read_text().replace("pathology", "finding"))
    assert f"{path}: no column 'pathology'" in failing("cbis-labels", folder)
    path.unlink()
    assert f"{path.name} missing" in failing("cbis-labels", folder)


def test_cbis_labels_writes_nothing_where_nothing_can_be_counted(tmp_path, capsys):
    folder, out = _write_case_files(tmp_path / "csv", assessment="7"), tmp_path / "counts.json"
    assert main(["cbis-labels", str(folder), "--out", str(out)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("gate", "TF_CONFIG: not set; several hosts need it"),
        ("results", "step on several hosts: unknown 'results'; use one of data_merging"),
    ],
)
def test_step_on_several_hosts_needs_them_named_and_a_chapter(step, told, monkeypatch, failing):
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setenv("BIRADS_DISTRIBUTE", "one")  # put back when the test ends
    assert told in failing("step", step, "--profile", "smoke", "--distribute", "hosts")
