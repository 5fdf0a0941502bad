"""The tables and sentences of the chapter on the phone, from manifests made by hand."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from birads_lib.study import figures_phone, phone

FORMS = ("onnx", "litert", "openvino")
NETWORKS = [{"name": "gate"}, {"name": "scorer"}]


def figure(value, low=None, high=None):
    return {"value": value, "interval": None if low is None else [low, high]}


def manifest(form, precision):
    suffixes = (".xml", ".bin") if form == "openvino" else (f".{form}",)
    bytes_of = 4_000_000 if precision == "float32" else 1_000_000
    files = {f"{n['name']}{suffix}": {"bytes": bytes_of} for n in NETWORKS for suffix in suffixes}
    said = None
    if precision == "int8":
        slips = form == "onnx"
        worse = figure(-0.05, -0.08, -0.02) if slips else figure(-0.01, -0.03, 0.01)
        compared = {"float32": figure(0.9, 0.8, 1), "int8": figure(0.85, 0.7, 0.9)}
        figures = {
            "gate": {**compared, "difference": worse},
            "scorer": {**compared, "difference": figure(0.0, 0.0, 0.0)},
            "cascade": {**compared, "difference": figure(0.02, -0.01, 0.05)},
        }
        spread = {"median": 0.01, "largest": 0.2}
        said = {
            "loss": {
                "tiles": 600, "groups": 300, "figures": figures,
                "probability_difference": {"gate": spread, "scorer": spread},
                "grey_difference": {"median": 0.5, "largest": 9.0}, "decided_otherwise": 7,
            },
            "speed": {
                "float32": 50.0, "int8": 75.0, "tiles": 64, "turns": 5,
                "machine": {"processor": "a processor", "cores": 2},
            },
        }  # fmt: skip
    return {"networks": NETWORKS, "files": files, "quantization": said}


@pytest.fixture
def manifests():
    return {(form, p): manifest(form, p) for form in FORMS for p in ("float32", "int8")}


def test_sizes_count_every_file_of_a_network(manifests):
    sizes = phone.size_table(manifests)
    assert sizes.index.tolist() == ["gate", "scorer", "together"]
    assert sizes["onnx, float32"].tolist() == [4, 4, 8]
    assert sizes["openvino, float32"].tolist() == [8, 8, 16], "weights lie in a second file"
    assert sizes["litert, int8"].tolist() == [1, 1, 2]


def test_losses_are_in_numbers_and_in_words(manifests):
    loss = phone.loss_table(manifests)
    assert len(loss) == 9
    row = loss.loc[("gate, AUROC", "onnx")]
    assert row[["difference", "low", "high"]].tolist() == [-0.05, -0.08, -0.02]
    assert row["float32"] == "0.900 (0.800 to 1.000)"
    assert row["int8 - float32"] == "-0.050 (-0.080 to -0.020)"


def test_only_differences_beyond_doubt_are_said_to_be_there(manifests):
    assert phone.loss_sentence(manifests) == (
        "On 600 held-out tiles of 300 groups, differences clear of zero: **1 of 9** (gate, AUROC, "
        "onnx: -0.050 (-0.080 to -0.020))."
    )


def test_pace_is_a_ratio_of_one_run_and_no_phone_was_measured(manifests):
    assert phone.pace_table(manifests)["ratio"].tolist() == [1.5, 1.5, 1.5]
    said = phone.pace_sentence(manifests)
    assert "**onnx 1.50, litert 1.50, openvino 1.50**" in said
    assert "a processor, 2 cores" in said
    assert said.endswith("No phone was measured.")


def test_changes_of_single_answers_are_listed(manifests):
    changes = phone.change_table(manifests)
    assert changes.index.tolist() == list(FORMS)
    assert changes.loc["onnx", "gate, largest"] == 0.2
    assert changes.loc["onnx", "grey levels, largest"] == 9
    assert changes.loc["onnx", "tiles in another class"] == 7


def test_figure_shows_each_difference_with_its_interval(manifests):
    drawn = figures_phone.loss_rows(phone.loss_table(manifests))
    (axis,) = drawn.axes
    points = [line for line in axis.lines if line.get_marker() in figures_phone.MARKERS]
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == list(FORMS)
    found = sorted(x for line in points for x in line.get_xdata())
    np.testing.assert_allclose(found, sorted(phone.loss_table(manifests)["difference"]))
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert labels == list(phone.MERITS.values())
    plt.close(drawn)


class Answers:
    """A cascade that gives a table."""

    def __init__(self, gate, score):
        self.table = pd.DataFrame({"gate": gate, "C2": score})
        self.table[["C3", "C4", "C5"]] = 0.1

    def predict(self, images):
        return self.table


def test_largest_difference_is_over_tiles_and_classes():
    class Tiles:
        images = np.zeros((2, 4, 4), np.uint8)

    expected = Answers([0.5, 0.7], [0.2, np.nan])
    found = phone.largest_differences(
        {"onnx": Answers([0.5, 0.4], [0.21, np.nan])}, expected, Tiles
    )
    np.testing.assert_allclose(found.loc["onnx"], [0.3, 0.01])
