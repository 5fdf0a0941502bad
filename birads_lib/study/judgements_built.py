"""What networks that a run built say of the structure that the paper describes.

Shapes, filters and counts are those of the networks themselves, see ``built``. A network
that a run did not build, or that came out otherwise than described, decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10, prod
from typing import Any

from birads_lib.study import paper
from birads_lib.study.built import (
    CONVOLUTION,
    PLAIN,
    POOLING,
    PRINTED,
    TRAINED,
    UP_SAMPLING,
    BuiltAutoencoder,
    BuiltGate,
    BuiltPlain,
    BuiltScorer,
    Shape,
    read,
)
from birads_lib.study.evidence import Evidence
from birads_lib.study.judgements import FAILS, HOLDS, NOTE, UNTESTABLE, Judgement
from birads_lib.tiles import layout

B7 = "efficientnetb7"  # as Keras names it
TOP_CLASSES = 1000  # of ImageNet, in the top that EfficientNetB7 comes with
APPLICATION = "introduction-application"
IN_BROWSERS = "onnx"  # the form that the page "Try it" runs; phones run it, too
SAME = 1e-3  # largest difference of any probability between a form and Keras
EQUATIONS = (*(f"equation-{k}" for k in range(1, 7)), "equation-6-second-line")
LAYERS = tuple(f"scorer-layer-{k}" for k in range(1, 6))
AUTOENCODER = (
    "autoencoder-parts", "autoencoder-encoder", "autoencoder-pooling", "autoencoder-latent",
    "autoencoder-noise", "autoencoder-decoder", "autoencoder-up-sampling", "autoencoder-size",
    "figure-2",
)  # fmt: skip


def judgements_built(evidence: Evidence) -> dict[str, Judgement]:
    """Judgements on structure that is decided by building it, by statement id."""
    attention = evidence.results.get("attention")
    return {
        **_printed_scorer(read(BuiltScorer, attention, PRINTED)),
        **_plain_network(read(BuiltPlain, attention, PLAIN)),
        **_gate(read(BuiltGate, evidence.results.get("gate"), TRAINED)),
        **_autoencoder(read(BuiltAutoencoder, evidence.results.get("autoencoder"), TRAINED)),
        APPLICATION: _application(evidence.results.get("phone"), evidence.other_scorer()),
    }


def _not_built(names: Sequence[str], what: str) -> dict[str, Judgement]:
    why = f"This run has no record of having built {what}."
    return {name: Judgement(None, UNTESTABLE, why) for name in names}


def _as_described(same: bool, recomputed: Any, word: str, why: str) -> Judgement:
    """``word`` where the network is as the paper describes it; another decides nothing."""
    if not same:
        why = "The network built here is not as described, so it decides nothing."
        return Judgement(recomputed, UNTESTABLE, why)
    return Judgement(recomputed, word, why)


def _printed_scorer(built: BuiltScorer | None) -> dict[str, Judgement]:
    names = (*EQUATIONS, "scorer-parameters", "scorer-input")
    if built is None:
        return _not_built(names, "EfficientNetB7 as printed")
    without = built.backbone_weights
    top = (built.features[-1] + 1) * TOP_CLASSES
    return {
        **_equations(built),
        "scorer-parameters": _as_described(
            built.backbone == B7,
            [without + top, without],
            NOTE,
            f"{without + top:,} with the top for {TOP_CLASSES:,} classes, {without:,} without it, "
            "as the feature map F of equation (1).",
        ),
        "scorer-input": _as_described(
            built.input == paper.SCORER_INPUT,
            built.input,
            NOTE,
            f"The network takes it. Tiles are {layout.TILE} x {layout.TILE}, so both sides "
            "shrink, by different factors; layers after the first take smaller maps.",
        ),
    }


def _equations(built: BuiltScorer) -> dict[str, Judgement]:
    """Shapes that the equations give against the sizes that the paper names."""
    height, width, channels = built.features
    classes = paper.statement("equation-5").value

    def shaped(shape: Shape | None, wanted: Shape, word: str, why: str) -> Judgement:
        if shape is None:
            return Judgement(None, UNTESTABLE, "The network built here lacks this attention.")
        said = f"Built as printed, it has the size {' x '.join(map(str, shape))}."
        return Judgement(shape, word if shape == wanted else FAILS, f"{why} {said}")

    return {
        "equation-1": _as_described(
            built.backbone == B7, built.features, HOLDS,
            f"EfficientNetB7 without its top gives a feature map, of {height} x {width} x "
            f"{channels} here.",
        ),
        "equation-2": shaped(
            built.spatial, (height, width, 1), NOTE,
            "The axis that is pooled is not named; this is one of two readings.",
        ),
        "equation-3": shaped(
            built.refined, built.features, HOLDS,
            "Each channel of F is multiplied by the one map.",
        ),
        "equation-4": shaped(
            built.pooled, (channels,), NOTE,
            "F_c is first defined after it, in equation (6), as another thing.",
        ),
        "equation-5": shaped(
            built.output, (int(str(classes)),), HOLDS,
            "One fully connected layer and a softmax over C2 to C5.",
        ),
        "equation-6": shaped(
            built.channel, (1, 1, channels), NOTE,
            "The size of the fully connected layers F_c is not given.",
        ),
        "equation-6-second-line": shaped(
            built.weighted, built.features, NOTE,
            "What is pooled is A_c A_s F, so A_c weighs F_s = A_s F; equation (4) calls it F_c, "
            "which stands for the fully connected layers one line above.",
        ),
    }  # fmt: skip


def _plain_network(built: BuiltPlain | None) -> dict[str, Judgement]:
    names = ("scorer-kernel", *LAYERS, "scorer-pooling")
    if built is None:
        return _not_built(names, "a network of these layers")
    why = (
        f"A plain network of these layers has {built.weights:,} weights. The same section names "
        "EfficientNetB7; how the two are joined is not said."
    )
    kernel, pool = built.kernels[0], built.pools[0]
    printed = [paper.statement(name).value for name in names]
    found = [kernel, *built.filters, pool]
    if len(found) != len(names):
        return _not_built(names, "a network of five such layers")
    return {
        name: _as_described(value == stated, value, NOTE, why)
        for name, value, stated in zip(names, found, printed, strict=True)
    }


def _gate(built: BuiltGate | None) -> dict[str, Judgement]:
    if built is None:
        return _not_built(["mobilenet-grey"], "the gate")
    return {
        "mobilenet-grey": _as_described(
            built.input[-1] == 1,
            built.input[-1],
            NOTE,
            "Channels that the gate built here takes. They enter the first convolution; a fully "
            "connected layer at the end leaves the input as it is.",
        )
    }


def _autoencoder(built: BuiltAutoencoder | None) -> dict[str, Judgement]:
    """Section III.1 against the layers of the autoencoder that was built."""
    if built is None:
        return _not_built(AUTOENCODER, "the autoencoder")
    down, up = ([shape[0] for _, shape in part] for part in (built.encoder, built.decoder))
    pools, lifts = _count(built.encoder, POOLING), _count(built.decoder, UP_SAMPLING)
    taught, returned = _filters(built.encoder), _filters(built.decoder)
    numbers = [prod(built.code), prod(built.input)]
    chosen = "The paper gives no sizes; these are this study's."
    found = {
        "autoencoder-parts": (
            down == sorted(down, reverse=True) and up == sorted(up),
            sum(map(bool, (down, up))), HOLDS,
            "Sides fall up to the latent code, and grow after it.",
        ),
        "autoencoder-encoder": (
            len(taught) > 1 and down[-1] < down[0],
            list(dict.fromkeys(down)), NOTE,
            f"Heights along the encoder, px. Strides are not given: here a convolution keeps the "
            f"size and the pooling after it halves it. {chosen}",
        ),
        "autoencoder-pooling": (
            0 < pools == len(taught), pools, HOLDS,
            "Pooling layers of the encoder, one for each of its convolutions.",
        ),
        "autoencoder-latent": (
            numbers[0] < numbers[1], numbers, HOLDS,
            f"Numbers in the code, and in the tile: {numbers[0] / numbers[1]:.2f} of it. {chosen}",
        ),
        "autoencoder-noise": (
            built.noise > 0, built.noise, NOTE,
            "Grey levels, the largest standard deviation of the noise that is added here. The "
            "paper gives none.",
        ),
        "autoencoder-decoder": (
            taught == returned[: len(taught)][::-1], list(returned), HOLDS,
            f"Filters of the decoder; those of the encoder are {', '.join(map(str, taught))}. The "
            "last convolution gives back one channel.",
        ),
        "autoencoder-up-sampling": (
            lifts == pools, lifts, HOLDS,
            "Up-sampling layers, as many as the encoder has poolings, each before a convolution.",
        ),
        "autoencoder-size": (
            built.output == built.input, built.output, HOLDS,
            "The tile that comes out has the size of the one that went in.",
        ),
        "figure-2": (
            bool(built.encoder and built.decoder), built.weights, NOTE,
            f"Weights of the network drawn after it. {chosen}",
        ),
    }  # fmt: skip
    return {name: _as_described(*judged) for name, judged in found.items()}


def _application(phone: Mapping[str, Any] | None, other: str) -> Judgement:
    """The promise of an application, by the forms in which this run's cascade was written.

    Args:
        phone: Results of the chapter on the phone.
        other: Why the scorer is not the printed one; empty if it is.
    """
    agreement = (phone or {}).get("agreement", {})
    if IN_BROWSERS not in agreement:
        return _not_built([APPLICATION], "a form for phones and browsers")[APPLICATION]
    apart = [x for of_form in agreement.values() for x in of_form.values() if x is not None]
    if max(apart) > SAME:
        why = "The forms written here answer otherwise than the networks, so they decide nothing."
        return Judgement(sorted(agreement), UNTESTABLE, why)
    why = (
        "Forms in which this run's cascade was written: ONNX runs in a browser, as on the page Try "
        "it, which leaves out networks too large for a page. No probability differs from that of "
        f"Keras by more than {_rounded_up(max(apart)):.1g}. No phone was measured, and the "
        f"networks learned from one data set, not various ones. {other}"
    )
    return Judgement(sorted(agreement), NOTE, why.strip())


def _rounded_up(value: float) -> float:
    """``value`` from 0 on to one digit, none smaller."""
    unit = 10.0 ** floor(log10(value)) if value else 1.0
    return ceil(value / unit) * unit


def _count(layers: Sequence[tuple[str, Shape]], kind: str) -> int:
    return sum(name == kind for name, _ in layers)


def _filters(layers: Sequence[tuple[str, Shape]]) -> tuple[int, ...]:
    """Channels that the convolutions of a part give."""
    return tuple(shape[-1] for kind, shape in layers if kind == CONVOLUTION)
