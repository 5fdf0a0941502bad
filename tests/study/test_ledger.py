"""What differs between written and recomputed metrics is named, record by record."""

import copy

from birads_lib.study.ledger import differing_records


def record(stage, seed=0, accuracy=0.9):
    return {
        "stage": stage, "protocol": "official", "split": "held-out", "seed": seed,
        "confusion_matrix": [[5, 1], [0, 4]],
        "overall": {"accuracy": {"value": accuracy, "interval": [0.8, 1.0]}, "auroc": None},
    }  # fmt: skip


WRITTEN = [record("gate"), record("scorer"), record("scorer", seed=1)]


def test_equal_records_in_another_order_do_not_differ():
    assert differing_records(WRITTEN, copy.deepcopy(WRITTEN[::-1])) == []


def test_a_changed_value_is_named_with_both_numbers():
    changed = copy.deepcopy(WRITTEN)
    changed[1]["overall"]["accuracy"]["value"] = 0.5
    assert differing_records(WRITTEN, changed) == [
        "scorer, official, held-out, seed 0: not what the predictions give: "
        "overall accuracy value is 0.9, recomputed 0.5"
    ]


def test_further_values_of_a_record_are_counted():
    changed = copy.deepcopy(WRITTEN)
    changed[0]["confusion_matrix"][0][0] = 4
    changed[0]["overall"]["auroc"] = 0.5
    (line,) = differing_records(WRITTEN, changed)
    assert "confusion_matrix is [[5, 1], [0, 4]], recomputed [[4, 1], [0, 4]]" in line
    assert line.endswith(", and 1 more values")


def test_a_record_too_many_blames_itself_alone():
    (line,) = differing_records([record("cascade"), *WRITTEN], WRITTEN)
    assert line == "cascade, official, held-out, seed 0: no such predictions"
    (line,) = differing_records(WRITTEN[1:], WRITTEN)
    assert line == "gate, official, held-out, seed 0: not written"
