"""The class table: the data set's labels, the paper's codes, and BI-RADS itself."""

from __future__ import annotations

import dataclasses

import pytest

from birads_lib.labels import (
    BIRADS,
    CLASSES,
    CODES,
    GATE_NAMES,
    LESION_CLASSES,
    LESION_CODES,
    TITLES,
)


def test_labels_are_lesion_type_times_pathology():
    assert [(c.label, c.code, c.lesion, c.pathology) for c in CLASSES] == [
        (0, "C1", "none", "normal"),
        (1, "C2", "calcification", "benign"),
        (2, "C3", "mass", "benign"),
        (3, "C4", "calcification", "malignant"),
        (4, "C5", "mass", "malignant"),
    ]


def test_a_label_is_its_place_in_the_table():
    assert [c.label for c in CLASSES] == list(range(len(CLASSES)))
    assert CODES == ("C1", "C2", "C3", "C4", "C5")


def test_titles_are_plain_names():
    assert TITLES == (
        "normal",
        "benign calcification",
        "benign mass",
        "malignant calcification",
        "malignant mass",
    )


def test_lesion_classes_leave_out_the_normal():
    assert CLASSES[1:] == LESION_CLASSES
    assert LESION_CODES == ("C2", "C3", "C4", "C5")


def test_gate_answers_stand_in_the_order_of_label_normal():
    assert GATE_NAMES == ("uninfected", "infected")


def test_classes_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CLASSES[0].label = 3


def test_birads_has_seven_categories_and_malignancy_rises_with_them():
    assert [b.category for b in BIRADS] == list(range(7))
    assert [b.meaning for b in BIRADS[1:4]] == ["negative", "benign", "probably benign"]
    assert "2 %" in BIRADS[3].likelihood
    assert "95 %" in BIRADS[5].likelihood
    assert BIRADS[4].advice == BIRADS[5].advice == "tissue diagnosis"
    assert all(b.meaning and b.likelihood and b.advice for b in BIRADS)
