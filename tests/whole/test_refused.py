"""Input that only a chapter can find wrong: one line, exit code 2, nothing half-written."""

import shutil

import pytest
from studies import ROOT, SOURCES, birads

from birads_lib.cli import ALREADY, LOCK
from birads_lib.files import only_one
from birads_lib.tiles.layout import TRAINING_PATHS


@pytest.fixture
def fresh(tmp_path):
    """The study's sources alone: whatever else is there a run has left."""
    for name in SOURCES:
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def test_a_truncated_record_ends_the_study_in_one_line(fresh, kaggle_folder):
    tiles = shutil.copytree(kaggle_folder, fresh / "tiles")
    broken = tiles / TRAINING_PATHS[2]
    broken.write_bytes(broken.read_bytes()[:-1000])
    done = birads(fresh, "study", "--profile", "smoke", "--book", "--data", "tiles")
    assert done.returncode == 2
    assert done.stderr.startswith(f"birads: {broken.relative_to(fresh)}: record ")
    assert done.stderr.count("\n") == 1
    (run,) = (fresh / "_build" / "run").iterdir()
    assert not (run / "store").exists()
    assert not (run / "notebooks" / "data_merging.ipynb").exists()
    assert not list(run.glob("stamps/data_merging/*"))
    assert not [path for path in run.rglob("*") if path.name.startswith(".")], "partial files"
    assert not (fresh / "_build" / "html").exists()


@pytest.mark.parametrize("command", ["study", "sweep"])
def test_a_second_study_in_one_folder_is_refused_while_the_first_runs(command, fresh):
    with only_one(fresh / LOCK, ALREADY):
        done = birads(fresh, command, "--profile", "smoke")
    assert done.returncode == 2
    assert done.stderr == f"birads: {LOCK}: {ALREADY}\n"
    assert [path.name for path in (fresh / "_build").iterdir()] == [LOCK.name]
