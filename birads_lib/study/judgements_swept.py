"""What sweeps measured: of statements of the paper, of systems it cites, and of what this
study asks.

A sweep that has not been run is said to be absent; one that is not complete is said to be
so. Of a system the paper tells a number from other pictures, which no tile here can test:
what the system reaches on this run's tiles stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from birads_lib.metrics import figure_title
from birads_lib.study import paper, related
from birads_lib.study.ablations import (
    ATTENTION,
    ATTENTION_PAIRS,
    INSIDE,
    OUTSIDE,
    POINTS,
    UNLEARNED,
    WHOLE,
    Pair,
    attention_answers,
    cut_short,
    difference,
    learned,
    plain_answer,
    seen_at,
    started_from,
)
from birads_lib.study.evidence import Evidence
from birads_lib.study.judgements import FAILS, HOLDS, UNTESTABLE, Judgement
from birads_lib.study.judgements_measured import (
    NEEDS_KAGGLE,
    NOT_REPRODUCED,
    REPRODUCED,
    decided,
)
from birads_lib.study.questions import QUESTIONS, Question

DENOISING = ("denoised", "undenoised")
SHARE = 1.0
LEARNED_WITH_BOTH = "Heads on frozen features, which were learned with both attentions."


@dataclass(frozen=True)
class Cited:
    """A statement on a system, and the members of the sweep of related work that are it.

    Attributes:
        members: In the order of the printed values.
        figure: By which they are measured, one of ``metrics.COMPARED``.
        scale: Of what is stated: 100 for percent, 1 for a share.
    """

    members: tuple[str, ...]
    figure: str = "accuracy"
    scale: float = POINTS


CITED: Mapping[str, Cited] = {
    "literature-huang": Cited(("ResNet50", "VGG16", "two-stage-CNN")),
    "literature-saber": Cited(("VGG16-fine-tuned",)),
    "literature-saber-auc": Cited(("VGG16-fine-tuned",), "auroc", SHARE),
    "literature-szegedy": Cited(("GoogLeNet",)),
    "literature-szegedy-momentum": Cited(("GoogLeNet",)),
    "literature-szegedy-averaging": Cited(("GoogLeNet",)),
    "literature-abdulaal": Cited(("GoogLeNet-STN",)),
    "literature-abdulaal-original": Cited(("GoogLeNet-alone",)),
    "literature-abdulaal-multiclass": Cited(("GoogLeNet-STN",)),
    "literature-abdulaal-unmodified": Cited(("GoogLeNet-alone",)),
    "literature-islam": Cited(("XGBoost",)),
    "literature-islam-methods": Cited(
        ("decision-tree", "random-forest", "logistic-regression", "naive-Bayes", "XGBoost")
    ),
    "literature-purnama": Cited(("EfficientNetB7",)),
    "abstract-features": Cited(("abstract-features",)),
    "conclusion-hu-moments": Cited(("Hu-moments",)),
}


def judgements_swept(evidence: Evidence) -> dict[str, Judgement]:
    """Judgements that rest on sweeps, by id of the statement or question."""
    return {
        "conclusion-attention-gain": _attention_gain(evidence),
        "conclusion-denoising": _denoising(evidence),
        "methodology-peers": _peers(evidence),
        **{name: _cited(evidence, name, system) for name, system in CITED.items()},
        **{question.id: _asked(evidence, question) for question in QUESTIONS},
    }


def _not_run(evidence: Evidence, sweep: str, why: str = "") -> Judgement:
    word = UNTESTABLE if evidence.kaggle else NEEDS_KAGGLE
    command = f"This run has none to compare: \u201cbirads sweep {sweep}\u201d trains them."
    return Judgement(None, word, f"{why} {command}".strip())


def _attention_gain(evidence: Evidence) -> Judgement:
    """Attention less none, in every way that was tried; whole networks decide."""
    found = evidence.sweeps.get("ablations")
    answers = attention_answers(found) if found else {}
    said = {pair: answers[pair] for pair in (WHOLE, ATTENTION) if pair in answers}
    if found is None or not said:
        return _not_run(evidence, "ablations", "The paper prints no result without attention.")
    why = [
        f"{ATTENTION_PAIRS[pair]}, {_seeds_in_words(found, pair)}: {plain_answer(answer)}"
        for pair, (_, answer) in said.items()
    ]
    if WHOLE in said:
        why.append("The first decides.")
    else:
        why.append("The pair that decides, whole networks with and without, was not run.")
    answer = said[WHOLE][1] if WHOLE in said else None
    return decided(
        evidence,
        evidence.other_members("ablations", [name for pair in said for name in pair]),
        {INSIDE: REPRODUCED, OUTSIDE: NOT_REPRODUCED}.get(answer or UNLEARNED, UNTESTABLE),
        "Accuracy over C2 to C5 with both attentions less that with none, percentage points. "
        + " ".join([*why, *_unfinished(found)]),
        **_listed([gain for gain, _ in said.values()]),
        **_shared(evidence, found, [(*next(iter(said)), "scorer")]),
    )


def _seeds_in_words(found: Mapping[str, Any], pair: Pair) -> str:
    (row,) = (
        row
        for row in found["differences"]
        if (row["first"], row["second"], row["stage"]) == (*pair, "scorer")
    )
    return f"seed{'s' * (len(row['seeds']) > 1)} {', '.join(map(str, row['seeds']))}"


def _denoising(evidence: Evidence) -> Judgement:
    """Two stages on denoised tiles less two stages on tiles as they are, stage by stage."""
    stages = {"gate": "auroc", "scorer": "balanced_accuracy", "cascade": "balanced_accuracy"}
    found = evidence.sweeps.get("ablations")
    rows = [(*DENOISING, stage) for stage in stages]
    gains = [difference(found, *row, stages[row[-1]]) for row in rows] if found else []
    if found is None or None in gains:
        return _not_run(evidence, "ablations", "The paper prints no result without denoising.")
    known = [gain for gain in gains if gain is not None]
    named = ", ".join(f"{stage} by {figure_title(figure)}" for stage, figure in stages.items())
    cascade = learned_either(found, DENOISING, "cascade")
    why = [
        f"Trained and judged on denoised tiles less on tiles as they are, points: {named}.",
        _of_sign(known, cascade, "the chain is better with denoising", "it is worse with it"),
        *_unfinished(found),
    ]
    return decided(
        evidence,
        evidence.other_members("ablations", DENOISING),
        _by_sign(known[-1], cascade, REPRODUCED, NOT_REPRODUCED),
        " ".join(why),
        **_listed(known),
        **_shared(evidence, found, rows),
    )


def _peers(evidence: Evidence) -> Judgement:
    """By how much MobileNetV2 exceeds SqueezeNet and ShuffleNetV2 on the same tiles."""
    found = evidence.sweeps.get(related.GATES)
    answered = related.peer_gains(found) if found else None
    if found is None or answered is None:
        unprinted = "The paper prints no result of SqueezeNet or ShuffleNet."
        return _not_run(evidence, related.GATES, unprinted)
    gains, answer = answered
    members = (related.OURS, *gains)
    reasons = [
        f"AUROC of {related.OURS} less that of {' and of '.join(gains)}, points, as the gate.",
        related.plain_answer(answer),
        *_unfinished(found),
    ]
    words = {related.BETTER: REPRODUCED, related.NOT_BETTER: NOT_REPRODUCED}
    return decided(
        evidence,
        evidence.other_members(related.GATES, members),
        words.get(answer, UNTESTABLE),
        " ".join(reasons),
        **_listed(list(gains.values())),
        **_shared(evidence, found, [(related.OURS, peer, "gate") for peer in gains]),
    )


def _cited(evidence: Evidence, name: str, system: Cited) -> Judgement:
    """A cited system on this run's tiles, which cannot test a number from other pictures."""
    found = evidence.sweeps.get(related.RELATED)
    members = (found or {}).get("members", {})
    there = [member for member in system.members if member in members]
    told = (
        "The paper states no result of it."
        if isinstance(paper.statement(name).value, str)
        else "Told of other work; no tile here can test it."
    )
    if found is None or not there:
        absent = f"This run has no sweep named {related.RELATED}, which tries it on its tiles."
        return Judgement(None, UNTESTABLE, f"{told} {absent}")
    figures = [members[m]["scores"]["scorer"][system.figure] if m in there else None
               for m in system.members]  # fmt: skip
    titles = ", ".join(members[member]["title"] for member in there)
    missing = [member for member in system.members if member not in there]
    lacking = [f"Not run: {', '.join(missing)}."] if missing else []
    unit = "percent" if system.scale == POINTS else "0 to 1"
    reasons = [
        told,
        f"On these tiles, {figure_title(system.figure)} over C2 to C5, {unit}: {titles}.",
        *lacking,
        *_as_trained(evidence, there),
        *_unfinished(found),
    ]
    seeds = sorted({seed for member in there for seed in members[member]["seeds"]})
    return Judgement(
        None,
        UNTESTABLE,
        " ".join(reasons),
        **_listed([_scaled(figure, system.scale) for figure in figures]),
        **evidence.held_out(),
        seeds=tuple(seeds),
    )


def _as_trained(evidence: Evidence, members: Sequence[str]) -> list[str]:
    """How far the networks that go by a system's name are that system, in sentences."""
    swept = evidence.settings.get(related.RELATED, {})
    networks = {name: swept[name] for name in members if "scorer_size" in swept.get(name, {})}
    if not networks:
        return []
    return [tell(networks).replace("*", "") for tell in (cut_short, started_from, seen_at)]


def _asked(evidence: Evidence, question: Question) -> Judgement:
    """A question of this study: the last of its pairs that was run decides."""
    found = evidence.sweeps.get(question.sweep)
    gains = {
        pair: gain
        for pair in question.pairs
        if found and (gain := difference(found, *pair, question.stage, question.figure))
    }
    if found is None or not gains:
        return _not_run(evidence, question.sweep)
    last, gain = list(gains.items())[-1]
    knows = learned_either(found, last, question.stage)
    title = {name: found["members"][name]["title"] for pair in gains for name in pair}
    pairs = "; ".join(f"{title[first]} less {title[second]}" for first, second in gains)
    why = [
        f"{_capital(figure_title(question.figure))} on the same tiles, points: {pairs}.",
        _of_sign(list(gains.values()), knows, "the first is better", "the first is worse"),
        *([LEARNED_WITH_BOTH] if evidence.on_features(question.sweep, last) else []),
        *_unfinished(found),
    ]
    return decided(
        evidence,
        evidence.other_members(question.sweep, list(title)),
        _by_sign(gain, knows, HOLDS, FAILS),
        " ".join(why),
        **_listed(list(gains.values())),
        **_shared(evidence, found, [(*pair, question.stage) for pair in gains]),
    )


def learned_either(found: Mapping[str, Any], pair: Iterable[str], stage: str) -> bool:
    """Whether one of a pair ranks tiles better than chance in a stage."""
    return any(learned(found, name, stage) for name in pair)


def _by_sign(gain: Mapping[str, Any], knows: bool, better: str, worse: str) -> str:
    """The word for a difference, by whether its interval holds 0."""
    if not knows or gain["interval"] is None or gain["interval"][0] <= 0 <= gain["interval"][1]:
        return UNTESTABLE
    return better if gain["value"] > 0 else worse


def _of_sign(gains: Sequence[Mapping[str, Any]], knows: bool, better: str, worse: str) -> str:
    """The same of the last difference, as a sentence."""
    if not knows:
        return "Neither ranks these tiles better than chance, so nothing follows."
    interval = "The interval" if len(gains) == 1 else "The last interval"
    word = _by_sign(gains[-1], knows, better, worse)
    if word == UNTESTABLE:
        return f"{interval} holds 0, so these tiles do not decide."
    return f"{interval} leaves out 0: {word}."


def _scaled(figure: Mapping[str, Any] | None, scale: float) -> dict[str, Any] | None:
    if figure is None:
        return None
    ends = figure["interval"]
    interval = None if ends is None else [scale * end for end in ends]
    return {"value": scale * figure["value"], "interval": interval}


def _listed(figures: Sequence[Mapping[str, Any] | None]) -> dict[str, Any]:
    """``measured`` and ``interval`` of figures: lists, or of one figure its own."""
    values = [figure and figure["value"] for figure in figures]
    intervals = [figure and figure["interval"] for figure in figures]
    if len(figures) == 1:
        return {"measured": values[0], "interval": intervals[0]}
    return {"measured": values, "interval": intervals}


def _shared(
    evidence: Evidence, found: Mapping[str, Any], rows: Sequence[tuple[str, str, str]]
) -> dict[str, Any]:
    """Protocol, data and seeds of differences, each by its two members and its stage."""
    seeds = {
        seed
        for row in found["differences"]
        if (row["first"], row["second"], row["stage"]) in rows
        for seed in row["seeds"]
    }
    return {**evidence.held_out(paired=True), "seeds": tuple(sorted(seeds))}


def _unfinished(found: Mapping[str, Any]) -> list[str]:
    return [] if found["complete"] else ["The sweep is not complete."]


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
