"""Profiles: the schema, what a run gets, where it lies."""

from pathlib import Path

import pytest

from birads_lib.errors import DataError, UsageError
from birads_lib.study import profiles
from birads_lib.study.notebooks import check_parameters, declared_parameters, read_chapter
from birads_lib.tiles import sources

ROOT = Path(__file__).resolve().parents[2]
TRACKED = ROOT / "profiles.yml"
SMALL = """
tiny:
  about: Small.
  data: {scale: 0.01, positives: 0.4, seed: 0}
  all: {SEED: 3}
  chapters:
    gate: {EPOCHS: 1}
"""


def written(folder, text):
    path = folder / "profiles.yml"
    path.write_text(text)
    return path


def test_the_three_profiles_of_the_design_exist():
    assert list(profiles.read_profiles(TRACKED)) == ["smoke", "laptop", "paper"]


@pytest.mark.parametrize("chapter", profiles.CHAPTERS)
def test_every_override_is_declared_by_its_chapter(chapter):
    declared = declared_parameters(read_chapter(ROOT / "notebooks" / f"{chapter}.py"))
    for profile in profiles.read_profiles(TRACKED).values():
        overrides = profile.chapters[chapter]
        assert set(overrides) <= set(declared)
        assert check_parameters(chapter, declared, overrides) == overrides


def test_shared_parameters_reach_every_chapter_and_own_ones_win(tmp_path):
    path = written(tmp_path, SMALL.replace("EPOCHS: 1", "EPOCHS: 1, SEED: 4"))
    chapters = profiles.get_profile("tiny", path).chapters
    assert chapters["gate"] == {"SEED": 4, "EPOCHS": 1}
    assert chapters["cascade"] == {"SEED": 3}


def test_unknown_profile_lists_the_known_ones():
    with pytest.raises(UsageError, match="smoke, laptop, paper"):
        profiles.get_profile("huge", TRACKED)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("scale: 0.01", "scale: big", "tiny/data"),
        ("gate:", "gatte:", "tiny/chapters"),
        ("about: Small.", "aboutt: Small.", "tiny"),
        ("data: {scale: 0.01, positives: 0.4, seed: 0}", "data: elsewhere", "tiny/data"),
        ("EPOCHS: 1", "EPOCHS: {a: 1}", "tiny/chapters/gate/EPOCHS"),
    ],
)
def test_a_profile_that_breaks_the_schema_is_named(tmp_path, old, new, place):
    path = written(tmp_path, SMALL.replace(old, new))
    with pytest.raises(DataError, match=place) as caught:
        profiles.read_profiles(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_yaml_is_refused(tmp_path):
    with pytest.raises(DataError, match="not YAML"):
        profiles.read_profiles(written(tmp_path, "a: [1"))


def test_missing_profiles_say_where_to_run(tmp_path):
    with pytest.raises(DataError, match="run from the project's folder"):
        profiles.read_profiles(tmp_path / "profiles.yml")


def test_the_paper_profile_needs_the_kaggle_set(monkeypatch, tmp_path):
    monkeypatch.setattr(sources, "KAGGLE_INPUT", tmp_path / "not mounted")
    profile = profiles.get_profile("paper", TRACKED)
    with pytest.raises(UsageError, match="skooch/ddsm-mammography"):
        profiles.data_folder(profile, None)


def test_a_mounted_kaggle_set_is_found_by_the_profile_that_needs_it(monkeypatch, tmp_path):
    monkeypatch.setattr(sources, "KAGGLE_INPUT", tmp_path)
    paper, smoke = (profiles.get_profile(name, TRACKED) for name in ("paper", "smoke"))
    assert profiles.data_folder(paper, None) == tmp_path
    assert profiles.data_folder(paper, "elsewhere") == Path("elsewhere")
    assert profiles.given_data(smoke, None) is None
    assert profiles.data_folder(smoke, None).name.startswith("phantom")


def test_run_folder_carries_the_digest_of_given_data(tmp_path):
    profile = profiles.get_profile("smoke", TRACKED)
    data, build = tmp_path / "data", tmp_path / "build"
    data.mkdir()
    (data / "a.npy").write_bytes(b"1")
    assert profiles.run_folder(profile, None, build) == build / "run" / "smoke"
    first = profiles.run_folder(profile, str(data), build)
    assert first == profiles.run_folder(profile, str(data), build)
    (data / "a.npy").write_bytes(b"2")
    assert profiles.run_folder(profile, str(data), build) != first


def test_data_digest_is_of_names_and_content_not_of_place(tmp_path):
    digests = set()
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "a.npy").write_bytes(b"1")
        digests.add(profiles.data_digest(folder, tmp_path / "build"))
    (tmp_path / "two" / "a.npy").rename(tmp_path / "two" / "b.npy")
    digests.add(profiles.data_digest(tmp_path / "two", tmp_path / "build"))
    assert len(digests) == 2


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir()])
def test_missing_and_empty_data_folders_are_refused(tmp_path, make):
    make(tmp_path / "data")
    with pytest.raises(DataError, match="give the unpacked data set"):
        profiles.data_digest(tmp_path / "data", tmp_path / "build")
