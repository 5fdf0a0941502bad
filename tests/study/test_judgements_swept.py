"""Sweeps: which pairs decide, what a cited system reaches here, and what is said of neither."""

from dataclasses import replace

import facts
import pytest

from birads_lib.study import paper
from birads_lib.study.evidence import Evidence
from birads_lib.study.judgements_measured import (
    NEEDS_KAGGLE,
    NOT_REPRODUCED,
    REPRODUCED,
    UNTESTABLE,
)
from birads_lib.study.judgements_swept import (
    CITED,
    LEARNED_WITH_BOTH,
    WHOLE,
    judgements_swept,
)
from birads_lib.study.questions import QUESTIONS
from birads_lib.study.sweeps import read_sweeps

COMPARED = ("accuracy", "balanced_accuracy", "auroc")
STAGES = ("gate", "scorer", "cascade")
INSIDE, ABOVE, BELOW, ACROSS = (0.016, 0.024), (0.05, 0.07), (-0.02, -0.01), (-0.02, 0.03)
HEADS = ("both", "none")
WITHIN = {"scorer_size": [200, 150], "effort": {}}


def figure(low, high):
    return {"value": (low + high) / 2, "interval": [low, high]}


def swept(sweep, gains=None, auroc=0.8, complete=True):
    """Results of a sweep: its pairs with the gains given, in every stage and figure."""
    of = read_sweeps("paper")[sweep]
    scores = {s: {f: figure(auroc - 0.1, auroc + 0.1) for f in COMPARED} for s in STAGES}
    return {
        "complete": complete,
        "members": {
            name: {"title": f"<{name}>", "scores": scores, "seeds": [0, 1], "stage": m.stage}
            for name, m in of.members.items()
        },
        "differences": [
            {"first": first, "second": second, "stage": stage, "seeds": [0, 1]}
            | {name: figure(*(gains or {}).get((first, second), ACROSS)) for name in COMPARED}
            for first, second in of.compare
            for stage in STAGES
        ],
    }


def printed_settings():
    return {
        name: {member: m.parameters for member, m in sweep.members.items()}
        for name, sweep in read_sweeps("paper").items()
    }


def evidence(kaggle=True, settings=None, results=None, **sweeps):
    tiles = "the Kaggle set" if kaggle else "simulated tiles"
    return Evidence(
        tiles, kaggle, "paper", {}, results or facts.results(), sweeps,
        settings or printed_settings(),
    )  # fmt: skip


def gain(name="conclusion-attention-gain", sweep="ablations", **more):
    given = {key: more.pop(key) for key in ("kaggle", "settings", "results") if key in more}
    return judgements_swept(evidence(**given, **{sweep: swept(sweep, **more)}))[name]


@pytest.mark.parametrize(
    ("heads", "whole", "word"),
    [
        (INSIDE, INSIDE, REPRODUCED),
        (ABOVE, INSIDE, REPRODUCED),
        (INSIDE, BELOW, NOT_REPRODUCED),
        (INSIDE, ACROSS, UNTESTABLE),
    ],
)
def test_both_pairs_are_stated_and_the_one_trained_whole_decides(heads, whole, word):
    found = gain(gains={HEADS: heads, WHOLE: whole})
    assert found.verdict == word
    assert found.measured == pytest.approx([50 * sum(whole), 50 * sum(heads)])
    for ends, wanted in zip(found.interval, (whole, heads), strict=True):
        assert ends == pytest.approx([100 * end for end in wanted])
    first = found.why.index("Both, the whole network trained each time, seeds 0, 1: ")
    second = found.why.index("Both, as heads on features that were learned with both, seeds 0, 1: ")
    assert first < second < found.why.index("The first decides.")
    assert found.seeds == (0, 1)


def test_heads_alone_do_not_decide():
    results = swept("ablations", {HEADS: INSIDE})
    kept = [row for row in results["differences"] if (row["first"], row["second"]) != WHOLE]
    found = judgements_swept(evidence(ablations={**results, "differences": kept}))
    judged = found["conclusion-attention-gain"]
    assert judged.verdict == UNTESTABLE
    assert judged.measured == pytest.approx(2.0)
    assert "whole networks with and without, was not run" in judged.why


def test_networks_that_learned_nothing_give_no_answer():
    found = gain(gains={HEADS: INSIDE, WHOLE: INSIDE}, auroc=0.5)
    assert found.verdict == UNTESTABLE
    assert found.why.count("No answer") == 2
    asked = gain("study-two-stages", gains={("denoised", "five-classes"): INSIDE}, auroc=0.5)
    assert asked.verdict == UNTESTABLE
    assert "Neither ranks these tiles better than chance" in asked.why


def test_heads_on_frozen_features_are_said_to_lean_to_attention():
    assert LEARNED_WITH_BOTH in gain("study-spatial-attention").why
    assert LEARNED_WITH_BOTH not in gain("study-two-stages").why


def test_a_cited_system_is_said_to_be_cut_untaught_and_small_where_it_is():
    settings = printed_settings()
    cut = {"clip": 3, "weights": None, "scorer_size": [48, 36]}
    settings["related"]["EfficientNetB7"] = settings["related"]["EfficientNetB7"] | cut
    why = gain("literature-purnama", "related", settings=settings).why
    assert "Cut short in this profile, after their first blocks: EfficientNetB7." in why
    assert "All learned from random weights" in why
    assert "48 x 36 px for EfficientNetB7" in why


def test_an_incomplete_sweep_is_said_to_be_one():
    assert "not complete" in gain(complete=False).why
    assert "not complete" not in gain().why


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"denoised": WITHIN | {"clip": 4}}, "Not of the printed size in this sweep: denoised."),
        ({"denoised": WITHIN | {"backbone": "EfficientNetB0"}}, "Not of the printed size"),
        ({"denoised": WITHIN | {"alpha": 0.35}}, "Not of the printed size"),
        ({"denoised": WITHIN | {"gate_size": 64}}, "Not of the printed size"),
        ({"no-attention": {"scorer_size": [96, 72]}}, "Not of the printed size"),
    ],
)
def test_a_smaller_sweep_on_the_kaggle_set_decides_nothing(changed, reason):
    settings = printed_settings()
    settings["ablations"] |= changed
    found = gain(gains={HEADS: INSIDE, WHOLE: INSIDE}, settings=settings)
    assert found.verdict == UNTESTABLE
    assert reason in found.why
    assert found.measured is not None


def test_heads_on_features_of_another_scorer_and_unrecorded_settings_decide_nothing():
    small = replace(facts.SCORER, weights=4_000_000)
    found = gain(gains={HEADS: INSIDE, WHOLE: INSIDE}, results=facts.results(scorer=small))
    assert found.verdict == UNTESTABLE
    assert "with 4,000,000 weights" in found.why
    found = gain(gains={WHOLE: INSIDE}, settings={"ablations": {}})
    assert "is not recorded" in found.why
    assert found.verdict == UNTESTABLE


@pytest.mark.parametrize(
    ("squeezenet", "shufflenet", "word"),
    [
        (INSIDE, ABOVE, REPRODUCED),
        (INSIDE, BELOW, NOT_REPRODUCED),
        (INSIDE, ACROSS, UNTESTABLE),
    ],
)
def test_lightweight_gates_are_decided_by_both_differences(squeezenet, shufflenet, word):
    pairs = {("MobileNetV2", "SqueezeNet"): squeezenet, ("MobileNetV2", "ShuffleNetV2"): shufflenet}
    found = gain("methodology-peers", "gates", gains=pairs)
    assert found.verdict == word
    assert found.measured == pytest.approx([50 * sum(squeezenet), 50 * sum(shufflenet)])


@pytest.mark.parametrize(
    ("ends", "word"), [(INSIDE, REPRODUCED), (BELOW, NOT_REPRODUCED), (ACROSS, UNTESTABLE)]
)
def test_denoising_is_judged_by_the_whole_chain(ends, word):
    found = gain("conclusion-denoising", gains={("denoised", "undenoised"): ends})
    assert found.verdict == word
    assert found.measured == pytest.approx([50 * sum(ends)] * 3)
    assert "gate by AUROC" in found.why


@pytest.mark.parametrize("asked", QUESTIONS, ids=lambda q: q.id)
@pytest.mark.parametrize(
    ("ends", "word"), [(INSIDE, "holds"), (BELOW, "does not hold"), (ACROSS, UNTESTABLE)]
)
def test_a_question_is_decided_by_the_side_of_0_that_its_last_pair_lies_on(asked, ends, word):
    found = gain(asked.id, asked.sweep, gains={asked.pairs[-1]: ends})
    assert found.verdict == word
    measured = found.measured if len(asked.pairs) > 1 else [found.measured]
    assert measured[-1] == pytest.approx(50 * sum(ends))
    assert len(measured) == len(asked.pairs)
    assert f"<{asked.pairs[-1][0]}> less <{asked.pairs[-1][1]}>" in found.why


def test_pairs_that_were_not_run_leave_the_others():
    results = swept("ablations")
    kept = [row for row in results["differences"] if row["first"] != "EfficientNetB7"]
    found = judgements_swept(evidence(ablations={**results, "differences": kept}))
    (asked,) = (q for q in QUESTIONS if q.id == "study-largest-efficientnet")
    assert len(found["study-largest-efficientnet"].measured) == len(asked.pairs) - 1


@pytest.mark.parametrize("name", CITED)
def test_a_cited_system_is_measured_here_and_its_number_stays_untested(name):
    for kaggle in (False, True):
        found = judgements_swept(evidence(kaggle, related=swept("related")))[name]
        assert found.verdict == UNTESTABLE
        measured = found.measured if isinstance(found.measured, list) else [found.measured]
        scale = 1 if name == "literature-saber-auc" else 100
        assert measured == pytest.approx([0.8 * scale] * len(CITED[name].members))
        assert "On these tiles" in found.why
        assert found.seeds == (0, 1)


def test_every_cited_system_is_a_member_of_its_sweep_and_as_many_as_are_told():
    members = read_sweeps("paper")["related"].members
    for name, system in CITED.items():
        assert set(system.members) <= members.keys()
        value = paper.statement(name).value
        told = len(value) if name == "literature-huang" else 1
        assert len(system.members) == (5 if name == "literature-islam-methods" else told)


def test_a_system_that_failed_is_named_and_the_others_stay():
    results = swept("related")
    del results["members"]["VGG16"]
    kept = [row for row in results["differences"] if "VGG16" not in (row["first"], row["second"])]
    results["differences"] = kept
    found = judgements_swept(evidence(related=results))["literature-huang"]
    assert found.measured == pytest.approx([80, None, 80])
    assert found.interval[1] is None
    assert "Not run: VGG16." in found.why


@pytest.mark.parametrize("kaggle", [False, True])
def test_without_sweeps_nothing_is_measured_and_each_says_so(kaggle):
    for name, found in judgements_swept(evidence(kaggle)).items():
        assert found.measured is None, name
        assert "This run has n" in found.why
        assert found.verdict == (UNTESTABLE if kaggle or name in CITED else NEEDS_KAGGLE)


def test_simulated_tiles_are_stated_and_decide_nothing():
    pairs = {pair: INSIDE for asked in QUESTIONS for pair in asked.pairs}
    sweeps = {name: swept(name, pairs) for name in ("ablations", "gates", "related")}
    for name, found in judgements_swept(evidence(False, **sweeps)).items():
        assert found.measured is not None, name
        assert found.interval is not None
        assert found.protocol
        assert found.data == "simulated tiles"
        assert found.seeds == (0, 1)
        assert found.verdict == (UNTESTABLE if name in CITED else NEEDS_KAGGLE)
