"""Structure judged by what was built: its own shapes, never a count in their place."""

from dataclasses import replace

import facts
import pytest

from birads_lib.study import paper
from birads_lib.study.evidence import Evidence
from birads_lib.study.judgements_built import (
    APPLICATION,
    AUTOENCODER,
    EQUATIONS,
    LAYERS,
    judgements_built,
)

NOTE, HOLDS, FAILS, UNTESTABLE = "holds with a note", "holds", "does not hold", "not testable"


def judged(**networks):
    return judgements_built(Evidence("", False, "laptop", results=facts.results(**networks)))


def test_printed_layers_are_set_beside_the_built_ones():
    found = judged()
    for name in ("scorer-input", "scorer-kernel", "scorer-pooling", *LAYERS):
        assert found[name].recomputed == paper.statement(name).value, name
        assert found[name].verdict == NOTE


def test_each_equation_gets_the_shape_that_it_gave():
    found = judged()
    assert {name: found[name].recomputed for name in EQUATIONS} == {
        "equation-1": (7, 5, 2560),
        "equation-2": (7, 5, 1),
        "equation-3": (7, 5, 2560),
        "equation-4": (2560,),
        "equation-5": (4,),
        "equation-6": (1, 1, 2560),
        "equation-6-second-line": (7, 5, 2560),
    }
    assert {found[name].verdict for name in EQUATIONS} == {HOLDS, NOTE}


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"spatial": (7, 5, 2560)}, "equation-2"),
        ({"refined": (7, 5, 1)}, "equation-3"),
        ({"pooled": (1, 2560)}, "equation-4"),
        ({"output": (5,)}, "equation-5"),
        ({"channel": (7, 5, 1)}, "equation-6"),
        ({"weighted": (1, 1, 2560)}, "equation-6-second-line"),
    ],
)
def test_an_equation_that_gives_another_size_does_not_hold(changed, name):
    found = judged(printed=replace(facts.SCORER, **changed))
    assert found[name].verdict == FAILS
    assert found[name].recomputed == next(iter(changed.values()))
    assert sum(found[other].verdict == FAILS for other in EQUATIONS) == 1


def test_weights_are_those_of_the_built_backbone_with_and_without_its_top():
    found = judged()["scorer-parameters"]
    assert found.recomputed == [64_097_687 + 2561 * 1000, 64_097_687]
    smaller = judged(printed=replace(facts.SCORER, backbone_weights=4_000_000))
    assert smaller["scorer-parameters"].recomputed[1] == 4_000_000


@pytest.mark.parametrize(
    ("networks", "names"),
    [
        ({"printed": replace(facts.SCORER, input=(96, 72, 3))}, ["scorer-input"]),
        ({"printed": replace(facts.SCORER, backbone="efficientnetb0")},
         ["equation-1", "scorer-parameters"]),
        ({"printed": replace(facts.SCORER, spatial=None)}, ["equation-2"]),
        ({"plain": replace(facts.PLAIN_CNN, filters=(8, 16, 32, 64, 256))}, ["scorer-layer-5"]),
        ({"plain": replace(facts.PLAIN_CNN, kernels=((5, 5),) * 5)}, ["scorer-kernel"]),
        ({"gate": replace(facts.GATE, input=(224, 224, 3))}, ["mobilenet-grey"]),
        ({"autoencoder": replace(facts.AUTOENCODER, output=(300, 300, 1))}, ["autoencoder-size"]),
        ({"autoencoder": replace(facts.AUTOENCODER, code=(300, 300, 8))}, ["autoencoder-latent"]),
        ({"autoencoder": replace(facts.AUTOENCODER, noise=0.0)}, ["autoencoder-noise"]),
    ],
)  # fmt: skip
def test_a_network_built_otherwise_decides_nothing(networks, names):
    found, as_described = judged(**networks), judged()
    for name in names:
        assert found[name].verdict == UNTESTABLE
        assert as_described[name].verdict in (HOLDS, NOTE)


@pytest.mark.parametrize(
    ("lost", "names"),
    [
        ("printed", (*EQUATIONS, "scorer-parameters", "scorer-input")),
        ("plain", ("scorer-kernel", *LAYERS, "scorer-pooling")),
        ("gate", ("mobilenet-grey",)),
        ("autoencoder", AUTOENCODER),
        ("agreement", (APPLICATION,)),
    ],
)
def test_what_was_not_built_is_not_testable(lost, names):
    found = judged(**{lost: None})
    for name, judgement in found.items():
        if name in names:
            assert (judgement.verdict, judgement.recomputed) == (UNTESTABLE, None)
            assert judgement.why.startswith("This run has no record of having built")
        else:
            assert judgement.verdict != UNTESTABLE


def test_the_promised_application_rests_on_the_forms_that_were_written():
    found = judged()[APPLICATION]
    assert (found.verdict, found.recomputed) == (NOTE, ["litert", "onnx"])
    assert "No probability differs from that of Keras by more than 3e-07." in found.why
    assert "No phone was measured" in found.why
    small = judged(scorer=replace(facts.SCORER, weights=4_000_000))[APPLICATION]
    assert small.verdict == NOTE
    assert "The scorer trained here is" in small.why


@pytest.mark.parametrize(
    "agreement",
    [{"openvino": {"gate": 0.0, "scorer": 0.0}}, {"onnx": {"gate": 0.2, "scorer": None}}],
)
def test_forms_that_no_browser_runs_or_that_answer_otherwise_decide_nothing(agreement):
    assert judged(agreement=agreement)[APPLICATION].verdict == UNTESTABLE


def test_the_autoencoder_is_as_section_iii_1_tells():
    found = judged()
    recomputed = {name: found[name].recomputed for name in AUTOENCODER}
    assert recomputed["autoencoder-encoder"] == [300, 150, 75]
    assert recomputed["autoencoder-pooling"] == recomputed["autoencoder-up-sampling"] == 2
    assert recomputed["autoencoder-latent"] == [75 * 75 * 8, 299 * 299]
    assert recomputed["autoencoder-decoder"] == [32, 16, 1]
    assert recomputed["autoencoder-size"] == (299, 299, 1)
    assert {found[name].verdict for name in AUTOENCODER} == {HOLDS, NOTE}
