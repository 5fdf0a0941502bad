"""A changed byte is named by the step that reads it, and is never listed as if it had been so."""

import numpy as np
import pandas as pd
import pytest

from birads_lib.errors import DataError
from birads_lib.files import read_json
from birads_lib.study.ledger import write_results
from birads_lib.study.run import Run
from birads_lib.study.written import LEDGER, NOTES, changed_since, check_written, noted

TABLE = "predictions/gate.parquet"


@pytest.fixture
def run(copied):
    """A finished run, some of whose files a step of its own has written."""
    with noted(copied, "gate"):
        for name in (TABLE, "figures/curve.svg", "results/gate.json"):
            path = copied / name
            content = path.read_bytes() if path.exists() else b"{}"
            path.unlink(missing_ok=True)
            path.write_bytes(content)
    return copied


def test_a_step_notes_what_it_wrote_and_nothing_else(run):
    listed = read_json(run / NOTES / "gate.json")
    assert set(listed) == {TABLE, "figures/curve.svg", "results/gate.json"}
    assert changed_since(run) == []


@pytest.mark.parametrize("name", [TABLE, "figures/curve.svg"])
def test_the_results_do_not_list_a_changed_byte_as_written(run, name, flip_byte):
    write_results(run)
    before = (run / LEDGER).read_bytes()
    flip_byte(run / name, -3)
    with pytest.raises(DataError, match=f"{name}: changed since it was written; remove .*stamps"):
        write_results(run)
    assert (run / LEDGER).read_bytes() == before


def test_a_file_that_was_taken_away_is_named(run):
    (run / TABLE).unlink()
    (run / "figures" / "curve.svg").unlink()
    with pytest.raises(DataError, match=r"curve\.svg: missing, and 1 more; remove"):
        write_results(run)


def test_a_step_that_runs_again_answers_for_what_it_writes_then(run, flip_byte):
    flip_byte(run / TABLE, -3)
    with noted(run, "gate"):
        content = (run / TABLE).read_bytes()
        (run / TABLE).unlink()
        (run / TABLE).write_bytes(content)
    assert changed_since(run) == []
    flip_byte(run / "figures" / "curve.svg", -3)
    with noted(run, "gate"):
        pass
    assert changed_since(run) == [f"{run / 'figures' / 'curve.svg'}: changed since it was written"]


def test_what_another_step_changed_is_not_laundered_by_a_later_one(run, flip_byte):
    flip_byte(run / TABLE, -3)
    with noted(run, "cascade"):
        (run / "results" / "cascade.json").write_text("{}")
    assert changed_since(run) == [f"{run / TABLE}: changed since it was written"]


def test_of_a_step_that_fails_nothing_is_noted(run):
    with pytest.raises(RuntimeError), noted(run, "gate"):
        raise RuntimeError
    assert not (run / NOTES / "gate.json").exists()


def test_a_chapter_refuses_what_is_not_as_an_earlier_one_left_it(run, flip_byte):
    chapter = Run(run, "cascade")
    for name in ("models/gate.keras", "tiles/denoised.npy"):
        (run / name).parent.mkdir(exist_ok=True)
    with noted(run, "attention"):
        (run / "models" / "gate.keras").write_bytes(b"a network")
        np.save(run / "tiles" / "denoised.npy", np.zeros((2, 3, 3), np.uint8))
    assert isinstance(chapter.read_predictions("gate"), pd.DataFrame)
    assert chapter.model_file("gate").name == "gate.keras"
    assert len(chapter.denoised()) == 2
    for name in (TABLE, "models/gate.keras", "tiles/denoised.npy"):
        flip_byte(run / name, -3)
    for read in (
        lambda: chapter.read_predictions("gate"),
        lambda: chapter.model_file("gate"),
        chapter.denoised,
    ):
        with pytest.raises(DataError, match=r": changed since it was written; remove "):
            read()


def test_a_file_of_no_step_passes(run):
    (run / "models" / "mine.keras").write_bytes(b"x")
    assert check_written(run, run / "models" / "mine.keras") is None


@pytest.mark.parametrize("damage", ["", "[]", "{"])
def test_a_damaged_note_is_named_and_the_step_writes_it_again(run, damage):
    note = run / NOTES / "gate.json"
    note.write_text(damage)
    with pytest.raises(DataError, match=r"written/gate\.json: no list of digests; remove .*stamps"):
        write_results(run)
    with noted(run, "gate"):
        pass
    write_results(run)
