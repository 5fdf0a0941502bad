"""Facts of built networks: read off real ones, kept by chapters, and read again as they were."""

import ast
import json
from pathlib import Path

import facts
import pytest

from birads_lib.networks import (
    attention_scorer,
    denoising_autoencoder,
    mobilenet_gate,
    plain_cnn,
)
from birads_lib.study import built, paper

ROOT = Path(__file__).resolve().parents[2]
SAVED = {
    "attention": {"BuiltScorer", "BuiltPlain"},
    "gate": {"BuiltGate"},
    "autoencoder": {"BuiltAutoencoder"},
}
"""What each chapter that builds networks keeps of them."""


@pytest.fixture(scope="module")
def scorer():
    return attention_scorer("EfficientNetB0", (64, 48, 3), last_block=1)


def test_a_scorers_facts_are_those_of_its_layers(scorer):
    found = built.BuiltScorer.of(scorer, pretrained=True)
    height, width, channels = found.features
    assert (found.backbone, found.pretrained) == ("efficientnetb0", True)
    assert found.input == (64, 48, 3)
    assert found.spatial == (height, width, 1)
    assert found.refined == found.weighted == found.features
    assert found.channel == (1, 1, channels)
    assert found.pooled == (channels,)
    assert found.output == (4,)
    assert found.weights == scorer.count_params() > found.backbone_weights > 0


def test_an_attention_that_is_not_there_has_no_shape():
    model = attention_scorer("EfficientNetB0", (64, 48, 3), attention="channel", last_block=1)
    found = built.BuiltScorer.of(model)
    assert (found.spatial, found.refined) == (None, None)
    assert found.channel == (1, 1, found.features[-1])


def test_the_plain_network_has_the_printed_layers():
    found = built.BuiltPlain.of(plain_cnn())
    assert found.input == paper.SCORER_INPUT
    assert found.filters == paper.PLAIN_FILTERS
    assert found.kernels == ((3, 3),) * 5
    assert found.pools[0] == (2, 2)
    other = built.BuiltPlain.of(plain_cnn((32, 32, 3), (4, 6)))
    assert (other.input, other.filters, len(other.kernels)) == ((32, 32, 3), (4, 6), 2)


def test_a_gates_facts_are_its_input_and_how_it_was_built():
    model = mobilenet_gate((32, 32, 1), 0.35, units=8, last_block=1)
    found = built.BuiltGate.of(model, 0.35, whole=False, pretrained=False)
    assert found == built.BuiltGate(0.35, False, False, model.count_params(), (32, 32, 1))


def test_an_autoencoder_is_told_in_two_parts_around_its_code():
    found = built.BuiltAutoencoder.of(denoising_autoencoder(), 12)
    shapes = facts.AUTOENCODER
    assert (found.encoder, found.code, found.decoder) == (
        shapes.encoder, shapes.code, shapes.decoder,
    )  # fmt: skip
    assert found.input == found.output == (299, 299, 1)
    assert found.noise == 12


@pytest.mark.parametrize(
    "given", [facts.SCORER, facts.PLAIN_CNN, facts.GATE, facts.AUTOENCODER], ids=lambda f: type(f)
)
def test_what_a_chapter_saves_is_read_as_it_was(given):
    results = json.loads(json.dumps({built.BUILT: {built.TRAINED: built.save(given)}}))
    assert built.read(type(given), results, built.TRAINED) == given


def test_absent_and_older_facts_are_not_there():
    kept = built.save(facts.GATE)
    assert built.read(built.BuiltGate, None, built.TRAINED) is None
    assert built.read(built.BuiltGate, {"model": "0"}, built.TRAINED) is None
    older = {built.BUILT: {built.TRAINED: {k: v for k, v in kept.items() if k != "alpha"}}}
    assert built.read(built.BuiltGate, older, built.TRAINED) is None


@pytest.mark.parametrize("chapter", SAVED)
def test_chapters_keep_facts_by_these_names_and_type_none(chapter):
    tree = ast.parse((ROOT / "notebooks" / f"{chapter}.py").read_text())
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "built"
    }
    assert used >= SAVED[chapter] | {"BUILT", "TRAINED", "save"}
    (results,) = (
        node.args[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "run.save_results"
    )
    assert "built.BUILT" in {ast.unparse(key) for key in results.keys}
    typed = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert not typed & {built.BUILT, built.TRAINED, built.PRINTED, built.PLAIN}
