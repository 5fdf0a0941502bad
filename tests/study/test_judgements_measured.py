"""Measured figures: stated on any tiles, decided on the Kaggle set by the printed networks."""

from dataclasses import replace

import facts
import pytest

from birads_lib.labels import LESION_CODES
from birads_lib.study.evidence import Evidence
from birads_lib.study.judgements_measured import (
    NEEDS_KAGGLE,
    NOT_REPRODUCED,
    PARTLY,
    REPRODUCED,
    UNTESTABLE,
    judgements_measured,
)

KAGGLE = "the Kaggle set"
DECIDED = {REPRODUCED, PARTLY, NOT_REPRODUCED}


def figure(value, half=0.02):
    return {"value": value, "interval": [value - half, value + half]}


def records(share, seed=0):
    """Figures of merit of both stages in which every figure is ``share``."""
    names = ("precision", "sensitivity", "specificity", "accuracy")
    of_class = {name: figure(share) for name in names}
    matrix = [[9 * (i == k) for k in range(4)] for i in range(4)]
    shared = {"seed": seed, "overall": {"accuracy": figure(share)}}
    return {
        "gate": [{**shared, "per_class": {"infected": of_class}, "confusion_matrix": [[1]]}],
        "scorer": [
            {**shared, "per_class": dict.fromkeys(LESION_CODES, of_class)}
            | {"confusion_matrix": matrix}
        ],
    }


def quality(noisy, clean):
    return {"tile with noise added": figure(noisy, 1), "the same, denoised": figure(clean, 1)}


def evidence(share=0.95, kaggle=True, noise=(20, 30), **networks):
    results = facts.results(**networks)
    gain = figure(noise[1] - noise[0], 1.5)
    results["autoencoder"] |= {"psnr": quality(*noise), "gain": gain, "seed": 4}
    tiles = KAGGLE if kaggle else "simulated tiles"
    return Evidence(tiles, kaggle, "paper", records(share), results)


@pytest.mark.parametrize(
    ("share", "detection", "accuracies"),
    [
        (0.95, REPRODUCED, REPRODUCED),
        (0.905, NOT_REPRODUCED, PARTLY),
        (0.5, NOT_REPRODUCED, NOT_REPRODUCED),
    ],
)
def test_the_kaggle_set_and_the_printed_networks_decide_by_the_interval(
    share, detection, accuracies
):
    found = judgements_measured(evidence(share))
    assert found["conclusion-detection"].verdict == detection
    assert found["abstract-accuracies"].verdict == accuracies
    assert found["figure-8-categories"].verdict == REPRODUCED
    assert found["conclusion-detection"].measured == pytest.approx(100 * share)


@pytest.mark.parametrize(
    ("noise", "word"), [((20, 30), REPRODUCED), ((20, 21), PARTLY), ((30, 20), NOT_REPRODUCED)]
)
def test_noise_is_less_where_the_interval_of_the_gain_leaves_out_0(noise, word):
    found = judgements_measured(evidence(noise=noise))["methodology-noise"]
    assert (found.verdict, found.measured, found.seeds) == (word, list(noise), (4,))


SMALL = replace(facts.SCORER, backbone="efficientnetb0", input=(128, 96, 3), weights=4_000_000)


@pytest.mark.parametrize(
    ("networks", "open_ones", "reason"),
    [
        ({"scorer": SMALL}, ["abstract-accuracies", "figure-8-categories"],
         "EfficientNetB0 at 128 x 96 x 3 with 4,000,000 weights, the printed one EfficientNetB7"),
        ({"scorer": replace(facts.SCORER, spatial=None)},
         ["abstract-accuracies", "figure-8-categories"], "the printed one"),
        ({"scorer": replace(facts.SCORER, pretrained=False)},
         ["abstract-accuracies", "figure-8-categories"], "random weights"),
        ({"printed": None}, ["abstract-accuracies", "figure-8-categories"], "was not built"),
        ({"gate": replace(facts.GATE, alpha=0.35)}, ["conclusion-detection"], "a smaller"),
        ({"gate": replace(facts.GATE, whole=False)}, ["conclusion-detection"], "smaller"),
        ({"gate": replace(facts.GATE, pretrained=False)}, ["conclusion-detection"], "random"),
        ({"gate": None}, ["conclusion-detection"], "is not recorded"),
    ],
)  # fmt: skip
def test_another_network_on_the_kaggle_set_decides_nothing(networks, open_ones, reason):
    found = judgements_measured(evidence(**networks))
    for name in ("conclusion-detection", "abstract-accuracies", "figure-8-categories"):
        if name in open_ones:
            assert found[name].verdict == UNTESTABLE
            assert reason in found[name].why
            assert found[name].measured is not None
        else:
            assert found[name].verdict in DECIDED


def test_other_tiles_decide_nothing_whatever_network_was_trained():
    found = judgements_measured(evidence(kaggle=False))
    for name in ("conclusion-detection", "abstract-accuracies", "methodology-noise"):
        assert found[name].verdict == NEEDS_KAGGLE
        assert found[name].why.endswith("Measured on simulated tiles.")


def test_a_category_that_is_never_predicted_is_said_to_have_no_precision():
    found = evidence()
    found.records["scorer"][0]["per_class"] = {
        **found.records["scorer"][0]["per_class"],
        "C4": {"precision": None},
    }
    judged = judgements_measured(found)["abstract-accuracies"]
    assert judged.verdict == PARTLY
    assert judged.measured[2] is None
    assert "never predicted has no precision" in judged.why


def test_a_result_without_its_seed_is_none():
    found = evidence()
    del found.results["autoencoder"]["seed"]
    judged = judgements_measured(found)["methodology-noise"]
    assert (judged.verdict, judged.measured) == (NEEDS_KAGGLE, None)


def test_what_denoising_leaves_of_calcifications_is_stated_and_decides_nothing():
    found = evidence(kaggle=False)
    changes = {
        name: {"change": figure(value, 0.5)}
        for name, value in (("contrast", -3.0), ("contrast_to_noise", 1.0))
    }
    found.results["ablations"] = {"calcifications": changes, "seed": 7}
    judged = judgements_measured(found)["autoencoder-characteristics"]
    assert (judged.verdict, judged.measured, judged.seeds) == (UNTESTABLE, [-3.0, 1.0], (7,))
    assert judged.interval == [[-3.5, -2.5], [0.5, 1.5]]
    found.results["ablations"] = {"calcifications": None, "seed": 7}
    absent = judgements_measured(found)["autoencoder-characteristics"]
    assert (absent.verdict, absent.measured) == (UNTESTABLE, None)


def test_attention_on_lesions_is_measured_where_outlines_are_known_and_decided_nowhere():
    of_all = {
        score: {f"less {guess}": figure(0.2, 0.1)}
        for score, guess in (("pointing game", "centre"), ("mass inside", "uniform"))
    }
    found = evidence()
    for outlines, measured in ((True, [0.2, 0.2]), (False, None)):
        found.results["explanations"] = {
            "outlines": outlines, "seed": 3, "attention": {"all": of_all},
        }  # fmt: skip
        judged = judgements_measured(found)["attention-regions"]
        assert (judged.verdict, judged.measured) == (UNTESTABLE, measured)
        assert "no outlines of lesions" in judged.why
        assert judged.seeds == ((3,) if outlines else ())


def test_every_measured_number_has_its_interval_protocol_data_and_seeds():
    for judged in judgements_measured(evidence()).values():
        if judged.measured is not None:
            assert judged.protocol.startswith("official, held-out tiles")
            assert judged.data == KAGGLE
            assert judged.seeds
