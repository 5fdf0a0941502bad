"""Getting real sets: the Kaggle client is asked once; the others are told of and checked."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from birads_lib.cli import main
from birads_lib.errors import DataError
from birads_lib.tiles.cbis_labels import CASE_FILES
from birads_lib.tiles.fetch import check_folder, fetch_kaggle


@pytest.fixture
def kagglehub(monkeypatch):
    """Puts a stand-in in the place of the package ``kagglehub``; ``None`` takes it away."""

    def put(download):
        client = download and SimpleNamespace(dataset_download=download)
        monkeypatch.setitem(sys.modules, "kagglehub", client)

    return put


def failing_download(error):
    def download(handle):
        raise error

    return download


# Kaggle


def test_the_kaggle_set_is_asked_for_by_name(kagglehub, tmp_path, capsys):
    asked = []
    kagglehub(lambda handle: asked.append(handle) or str(tmp_path))
    assert fetch_kaggle() == tmp_path
    assert main(["fetch", "kaggle"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}\n"
    assert asked == ["skooch/ddsm-mammography"] * 2


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("401 Client Error\nsecond line"), "401 Client Error"),
        (OSError("disk full"), "disk full"),
        (ValueError(), "ValueError"),
    ],
)
def test_a_failed_download_says_what_to_do(kagglehub, error, reason):
    kagglehub(failing_download(error))
    with pytest.raises(DataError) as caught:
        fetch_kaggle()
    said = str(caught.value)
    assert f"({reason})" in said
    assert "token" in said
    assert "\n" not in said


def test_without_the_client_the_set_can_be_had_by_hand(kagglehub, capsys):
    kagglehub(None)
    assert main(["fetch", "kaggle"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "pip install" in said.err
    assert "kaggle.com/datasets/skooch/ddsm-mammography" in said.err


def test_an_unpacked_kaggle_set_is_checked(small_set, tmp_path):
    source = small_set.write(tmp_path)
    assert check_folder("kaggle", source).missing == []
    (source / "cv10_labels.npy").unlink()
    assert check_folder("kaggle", source).missing == ["cv10_labels.npy"]


# mini-MIAS


def test_mias_is_told_of(capsys):
    assert main(["fetch", "mias"]) == 0
    said = capsys.readouterr().out
    for part in ("peipa.essex.ac.uk", "Info.txt", "322", "research only"):
        assert part in said


def test_a_part_of_mias_is_counted_and_the_rest_named(mias_set, tmp_path, capsys):
    source = mias_set.write(tmp_path)
    assert main(["fetch", "mias", str(source)]) == 2
    said = capsys.readouterr()
    assert said.out == "found: 6 of 322 scans\nfound: Info.txt, which names 6 scans\n"
    assert said.err == f"birads: {source}: missing: 316 scans, the first mdb007.pgm\n"


def test_all_of_mias_leaves_nothing_missing(mias_set, tmp_path, capsys):
    names = [f"mdb{number:03d}" for number in range(1, 323)]
    mias_set.scans = {}
    mias_set.lines = [f"{name} D NORM" for name in names]
    mias_set.files = {f"{name}.pgm": b"" for name in names}
    assert main(["fetch", "mias", str(mias_set.write(tmp_path))]) == 0
    assert capsys.readouterr().err == ""


def test_a_missing_list_is_named(mias_set, tmp_path):
    source = mias_set.write(tmp_path)
    (source / "Info.txt").unlink()
    assert check_folder("mias", source).missing[-1] == "Info.txt"


# CBIS-DDSM


def test_cbis_is_told_of(capsys):
    assert main(["fetch", "cbis"]) == 0
    said = capsys.readouterr().out
    for part in ("10.7937/K9/TCIA.2016.7O02S9CY", "NBIA", *(file.name for file in CASE_FILES)):
        assert part in said


def test_case_files_are_checked_by_content(tmp_path):
    (tmp_path / CASE_FILES[0].name).write_text("patient_id\n")
    (tmp_path / "1-1.dcm").touch()
    check = check_folder("cbis", tmp_path)
    assert [line.split()[0] for line in check.missing] == [file.name for file in CASE_FILES]
    assert "differs" in check.missing[0]
    assert check.found[0].startswith("1 DICOM files")


def test_published_case_files_are_known(real_data, capsys):
    assert main(["fetch", "cbis", str(real_data / "cbis-ddsm-csv")]) == 2
    said = capsys.readouterr()
    assert said.out.count("as published") == len(CASE_FILES)
    assert said.err.endswith("missing: DICOM files (.dcm)\n")
    assert said.err.count("\n") == 1


# Usage


@pytest.mark.parametrize("name", ["kaggle", "mias", "cbis"])
def test_a_missing_folder_is_refused(name, tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        check_folder(name, tmp_path / "nowhere")
