"""What ``make bench`` measured, as tables, and on the page that says what repeats."""

import pytest

from birads_lib.errors import DataError
from birads_lib.files import write_json
from birads_lib.study import measurements, pages

FIGURES = {"largest change of a probability": 0.25, "change of AUROC": 0.0625}


@pytest.fixture
def measured():
    return {
        "machine": {"processor": "P", "cores": 2, "flags": ["avx2"], "packages": {"keras": "3"}},
        "results": {
            "merge": {
                "question": "How fast?",
                "rows": [
                    {"name": "a", "median": 20.0, "unit": "tiles/s", "repeats": 3,
                     "spread": [10.0, 30.0]},
                ],
                "ratios": [{"over": "a", "under": "b", "value": 2.5}],
                "targets": [
                    {"name": "a / b", "value": 2.5, "least": 3, "most": None, "met": False},
                ],
                "facts": {},
                "size": "full",
                "date": "2026-01-02",
                "commit": "0123456789abcdef",
            }
        },
    }  # fmt: skip


@pytest.fixture
def repeated():
    """As the question ``repeat`` is answered: two figures of each thing that was changed."""
    rows = [
        {
            "name": f"{figure}, {changed}",
            "median": pairs * value,
            "unit": "of 1",
            "repeats": pairs,
            "spread": [0.0, 2 * pairs * value],
        }
        for pairs, changed in enumerate(("the same again", "on one thread"))
        for figure, value in FIGURES.items()
    ]
    facts = {"epochs": 4, "tiles that are judged": 1274}
    asked = {"rows": rows, "facts": facts, "date": "2026-01-02", "commit": "0123456789abcdef"}
    return {"machine": {"processor": "P", "cores": 2}, "results": {"repeat": asked}}  # fmt: skip


def test_measurements_may_be_absent_but_not_something_else(tmp_path, measured):
    path = tmp_path / "results.json"
    assert measurements.read_measurements(path) is None
    write_json(path, measured)
    assert measurements.read_measurements(path) == measured
    write_json(path, [1])
    with pytest.raises(DataError, match=r"results\.json: not what make bench writes"):
        measurements.read_measurements(path)


def test_measurements_become_tables(measured):
    assert measurements.measurement_table(measured).loc[("How fast?", "a")].to_dict() == {
        "median": "20 tiles/s", "least": "10", "most": "30", "repeats": 3,
    }  # fmt: skip
    assert measurements.ratio_table(measured).loc[("How fast?", "a / b"), "ratio"] == "2.50"
    assert measurements.target_table(measured).loc[("How fast?", "a / b")].to_dict() == {
        "measured": "2.5", "wanted": "at least 3", "reached": "no",
    }  # fmt: skip
    assert measurements.machine_table(measured)["value"].to_dict() == {
        "processor": "P", "cores": "2", "flags": "avx2", "keras": "3",
        "How fast?": "size full, 2026-01-02, commit 0123456789",
    }  # fmt: skip


def test_what_repeats_is_a_row_for_each_thing_that_was_changed(repeated, measured):
    table = measurements.repeat_table(repeated)
    assert table.to_dict("index") == {
        "the same again": {**dict.fromkeys(FIGURES, "0 (0 to 0)"), "pairs": 0},
        "on one thread": {
            "largest change of a probability": "0.25 (0 to 0.5)",
            "change of AUROC": "0.0625 (0 to 0.125)",
            "pairs": 1,
        },
    }
    assert measurements.repeat_table(measured).empty


def test_the_page_says_how_far_trainings_differ_or_that_it_was_not_measured(
    repeated, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert "was not measured here" in pages.status_repeats(tmp_path)
    write_json(tmp_path / measurements.MEASURED, repeated)
    said = pages.status_repeats(tmp_path)
    assert "for 4 epochs and judged 1,274 simulated tiles" in said
    assert "2026-01-02, commit" in said
    assert "0123456" in said
    assert "on P with 2 cores" in said
    assert "on one thread | 1 | 0.25 (0 to 0.5) | 0.0625 (0 to 0.125) |" in said
