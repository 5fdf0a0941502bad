"""One door for every layout: what is recognised, what is refused, what is found by itself."""

from __future__ import annotations

import pytest

from birads_lib.cli import main
from birads_lib.errors import DataError
from birads_lib.tiles import TileStore, merge_ddsm10, merge_tiles, sources, tiles_from_mias
from birads_lib.tiles.cbis_labels import CASE_FILES


def touch(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    return folder


CBIS = (*(f"csv/{file.name}" for file in CASE_FILES), "images/a/b/1-1.dcm")


@pytest.mark.parametrize(
    ("paths", "name"),
    [
        (("training10_0.tfrecords",), "kaggle"),
        (("ddsm/test10_data/test10_data.npy", "ddsm/test10_labels.npy"), "kaggle"),
        (("Info.txt", "mdb001.pgm"), "mias"),
        (("all-mias/info.txt", "all-mias/films/MDB322.PGM"), "mias"),
        (CBIS, "cbis"),
    ],
)
def test_a_layout_is_known_by_its_files_at_any_depth(tmp_path, paths, name):
    assert sources.recognise(touch(tmp_path, *paths)).name == name


@pytest.mark.parametrize(
    "paths",
    [(), ("mdb001.pgm",), ("Info.txt",), ("Info.txt", "scan.pgm"), CBIS[:4], CBIS[4:]],
    ids=["empty", "films alone", "list alone", "other films", "cases alone", "DICOM alone"],
)
def test_what_is_not_recognised_is_refused_with_what_is_known(tmp_path, paths):
    with pytest.raises(DataError) as error:
        sources.recognise(touch(tmp_path, *paths))
    said = str(error.value)
    assert said.startswith(f"{tmp_path}: ")
    assert "\n" not in said
    for known in ("tfrecords", "Info.txt", "DICOM"):
        assert known in said


def test_a_folder_of_two_sets_is_refused(tmp_path):
    touch(tmp_path, "a/Info.txt", "a/mdb001.pgm", "b/cv10_labels.npy")
    with pytest.raises(DataError, match="kaggle and mias"):
        sources.recognise(tmp_path)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        sources.recognise(tmp_path / "nowhere")


# Merging


def test_the_kaggle_layout_is_merged(small_set, tmp_path):
    source = small_set.write(tmp_path / "set")
    merged = merge_tiles(source, tmp_path / "store")
    assert merged.digest == merge_ddsm10(source, tmp_path / "same").digest


def test_films_are_merged(mias_set, tmp_path):
    source = mias_set.write(tmp_path / "set")
    calls = []
    merged = merge_tiles(source, tmp_path / "store", lambda *call: calls.append(call))
    assert merged.digest == tiles_from_mias(source).digest
    assert calls[-1] == (6, 6)


def test_the_cbis_reader_gets_the_folder_of_the_case_files(tmp_path, monkeypatch):
    given = []

    def reader(csv_dir, dicom_dir, store, progress=None):
        given.append((csv_dir, dicom_dir, store))

    monkeypatch.setattr("birads_lib.tiles.tiles_from_cbis", reader, raising=False)
    source = touch(tmp_path / "set", *CBIS)
    merge_tiles(source, tmp_path / "store")
    assert given == [(source / "csv", source, tmp_path / "store")]


def test_case_files_in_several_folders_are_refused(tmp_path):
    touch(tmp_path, *CBIS, f"other/{CASE_FILES[0].name}")
    with pytest.raises(DataError, match="put all four into one folder"):
        sources.case_folder(tmp_path)


def test_the_command_line_merges_films(mias_set, tmp_path, capsys):
    source = mias_set.write(tmp_path / "set")
    assert main(["merge", str(source), str(tmp_path / "store")]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == repr(TileStore.open(tmp_path / "store"))
    assert "note: women held out" in said.out
    assert said.err == "6 scans\n"


# What is found without being asked for


def test_the_kaggle_mount_is_found_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "KAGGLE_INPUT", tmp_path)
    assert sources.find_data() == tmp_path
    monkeypatch.setattr(sources, "KAGGLE_INPUT", tmp_path / "nowhere")
    assert sources.find_data() is None
