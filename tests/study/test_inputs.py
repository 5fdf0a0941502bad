"""What a study is given, looked at before anything runs: one line, exit code 2, no trace left."""

from __future__ import annotations

from pathlib import Path

import pytest

from birads_lib.cli import main
from birads_lib.errors import DataError, UsageError
from birads_lib.study.graph import Study, put_stamp
from birads_lib.study.inputs import check_study

ROOT = Path(__file__).resolve().parents[2]
BACKBONE = "BACKBONE: EfficientNetB0"


@pytest.fixture
def change(tmp_path, monkeypatch):
    """A folder of the study's sources, with a passage of its profiles changed; gives the study."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")

    def changed(old="", new="", **data) -> Study:
        text = (ROOT / "profiles.yml").read_text()
        assert old in text
        (tmp_path / "profiles.yml").write_text(text.replace(old, new, 1))
        return Study("smoke", **data)

    return changed


def test_the_profiles_shipped_pass(change):
    assert check_study(change()) is None, "it raises where something is wrong"


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        (BACKBONE, "BACKBONE: EfficientNetB9", UsageError, "backbone: unknown 'EfficientNetB9'"),
        (BACKBONE, "BAKBONE: EfficientNetB0", UsageError, "chapter attention: no parameter BAK"),
        ("WEIGHTS: null", "WEIGHTS: mine.keras", DataError, "mine.keras: no such weights file"),
        ("WEIGHTS: null", "WEIGHTS: imagenet", DataError, "ImageNet weights of MobileNetV2"),
        ("2\n      WEIGHTS: null", "2\n      WEIGHTS: imagenet", DataError, "of EfficientNetB0"),
    ],
)
def test_what_a_later_chapter_would_refuse_is_refused_at_once(change, old, new, error, message):
    with pytest.raises(error, match=message):
        check_study(change(old, new))


@pytest.mark.parametrize("which", ["data", "external"])
def test_a_folder_of_no_known_layout_is_refused_at_once(change, tmp_path, which):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.npy").write_bytes(b"1")
    with pytest.raises(DataError, match="mine: no known layout"):
        check_study(change(**{which: "mine"}))


def test_weights_of_a_chapter_that_is_done_are_not_asked_for_again(change):
    study = change("WEIGHTS: null", "WEIGHTS: imagenet")
    with pytest.raises(DataError, match="ImageNet weights of MobileNetV2"):
        check_study(study)
    put_stamp(study.stamp("gate"))
    assert check_study(study) is None


def test_weights_that_are_there_pass(change, tmp_path):
    study = change("WEIGHTS: null", "WEIGHTS: mine.keras")
    with pytest.raises(DataError, match=r"mine\.keras: no such weights file"):
        check_study(study)
    (tmp_path / "mine.keras").write_bytes(b"")
    assert check_study(study) is None


@pytest.mark.parametrize("command", [["study"], ["study", "--book"], ["sweep"]])
def test_the_command_line_says_it_in_one_line_and_writes_nothing(change, tmp_path, capfd, command):
    (tmp_path / "sweeps.yml").symlink_to(ROOT / "sweeps.yml")
    change(BACKBONE, "BACKBONE: EfficientNetB9")
    before = sorted(tmp_path.rglob("*"))
    assert main([*command, "--profile", "smoke"]) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.startswith("birads: backbone: unknown 'EfficientNetB9'; use one of ")
    assert said.err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
