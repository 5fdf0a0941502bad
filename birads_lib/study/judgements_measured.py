"""What a run's own networks measured of the statements that need a measurement.

A measured figure decides on the Kaggle set alone, and only where the network is the one
that the paper describes. Else its value is stated and the verdict says what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from birads_lib.labels import LESION_CODES
from birads_lib.metrics import in_words
from birads_lib.study import paper
from birads_lib.study.evidence import Evidence, Measured
from birads_lib.study.judgements import UNTESTABLE, Judgement

REPRODUCED, PARTLY, NOT_REPRODUCED = "reproduced", "partly reproduced", "not reproduced"
NEEDS_KAGGLE = "needs the Kaggle set"


def judgements_measured(evidence: Evidence) -> dict[str, Judgement]:
    """Judgements on what the run's own networks measured, by statement id."""
    return {
        "conclusion-detection": _detection(evidence),
        "abstract-accuracies": _accuracies(evidence),
        "figure-8-categories": _categories(evidence),
        "methodology-noise": _noise(evidence),
        "autoencoder-characteristics": _characteristics(evidence),
        "attention-regions": _regions(evidence),
    }


def beside() -> dict[str, tuple[str, str | None, str, float]]:
    """Statements that arithmetic decides and a run measures: stage, class, figure, scale."""
    found: dict[str, tuple[str, str | None, str, float]] = {
        f"gate-{name}": ("gate", "infected", name, 1.0) for name in paper.GATE_TEXT
    }
    found |= {
        f"table-2-{name}-{code}".lower(): ("scorer", code, name, 1.0)
        for name in ("precision", "sensitivity", "specificity")
        for code in LESION_CODES
    }
    found |= {
        f"table-2-accuracy-{code}".lower(): ("scorer", code, "accuracy", 100.0)
        for code in LESION_CODES
    }
    found |= {
        f"text-{name}-c2": ("scorer", "C2", name, 1.0)
        for name in ("precision", "sensitivity", "specificity")
    }
    return found | {
        "gate-accuracy": ("gate", None, "accuracy", 100.0),
        "text-total-accuracy": ("scorer", None, "accuracy", 100.0),
    }


def decided(evidence: Evidence, other: str, word: str, why: str, **facts: Any) -> Judgement:
    """``word`` where tiles and networks are the paper's; else what is missing for it.

    Args:
        evidence: Of the run.
        other: Why a network is not the paper's; empty if it is.
        word: The verdict that the measured values give.
        why: What was measured.
        facts: Of the judgement: ``measured``, ``interval``, ``protocol``, ``data``, ``seeds``.
    """
    if not evidence.kaggle:
        why = " ".join(filter(None, [why, other, f"Measured on {evidence.tiles}."]))
        return Judgement(None, NEEDS_KAGGLE, why, **facts)
    if other:
        why = f"{why} {other} The profile named paper trains it as printed."
        return Judgement(None, UNTESTABLE, why, **facts)
    return Judgement(None, word, why, **facts)


def by_reach(reached: Sequence[bool]) -> str:
    """The word for how many printed values were reached: all, some or none."""
    if all(reached):
        return REPRODUCED
    return PARTLY if any(reached) else NOT_REPRODUCED


def _detection(evidence: Evidence) -> Judgement:
    found = evidence.figures("gate", ["infected"], "sensitivity", 100)
    printed = (paper.statement("conclusion-detection").value,)
    why = "Sensitivity of the gate. Figure 5 implies the printed rate."
    return _compared(evidence, "gate", evidence.other_gate(), found, printed, why)


def _accuracies(evidence: Evidence) -> Judgement:
    found = evidence.figures("scorer", LESION_CODES, "precision", 100)
    whole = evidence.figures("scorer", [None], "accuracy", 100)
    overall = ""
    if whole is not None:
        accuracy = {"value": whole[0][0], "interval": whole[1][0]}
        overall = f" Overall accuracy here: {in_words(accuracy, '.1f')} %."
    return _compared(
        evidence, "scorer", evidence.other_scorer(), found, tuple(paper.TABLE_2["Accuracy"]),
        f"Precision of C2 to C5, which is what the printed column holds.{overall}",
    )  # fmt: skip


def _compared(
    evidence: Evidence,
    stage: str,
    other: str,
    found: Measured | None,
    printed: Sequence[Any],
    why: str,
) -> Judgement:
    """Measured figures: reproduced where the upper end of the interval reaches the printed one."""
    if found is None:
        why = f"This run has no figure of the {stage} to set beside. {why}"
        return Judgement(None, NEEDS_KAGGLE, why)
    values, intervals = found
    reached = [
        ends is not None and ends[1] >= goal for ends, goal in zip(intervals, printed, strict=True)
    ]
    if None in values:
        why = f"{why} A category that is never predicted has no precision."
    if evidence.kaggle:
        why = f"{why} {sum(reached)} of {len(reached)} intervals reach the printed value."
    return decided(
        evidence, other, by_reach(reached), why,
        measured=values if len(values) > 1 else values[0],
        interval=intervals if len(values) > 1 else intervals[0],
        **evidence.provenance(stage),
    )  # fmt: skip


def _categories(evidence: Evidence) -> Judgement:
    if not evidence.records.get("scorer"):
        return Judgement(None, NEEDS_KAGGLE, "This run has no predictions of the scorer.")
    called = np.sum([r["confusion_matrix"] for r in evidence.records["scorer"]], axis=(0, 1)) > 0
    codes = [code for code, some in zip(LESION_CODES, called, strict=True) if some]
    return decided(
        evidence, evidence.other_scorer(), by_reach(called.tolist()),
        f"Categories predicted for some tile: {len(codes)} of {len(called)}.",
        measured=codes, **evidence.provenance("scorer"),
    )  # fmt: skip


def _noise(evidence: Evidence) -> Judgement:
    found = evidence.results.get("autoencoder", {})
    quality = found.get("psnr", {})
    noisy, clean = quality.get("tile with noise added"), quality.get("the same, denoised")
    gain = found.get("gain")
    if noisy is None or clean is None or gain is None or "seed" not in found:
        why = "This run has no result of the autoencoder and its seed."
        return Judgement(None, NEEDS_KAGGLE, why)
    beyond_chance = gain["interval"][0] > 0
    word = REPRODUCED if beyond_chance else PARTLY if gain["value"] > 0 else NOT_REPRODUCED
    return decided(
        evidence, "", word,
        "Peak signal-to-noise ratio in dB with noise added, and after the autoencoder, which "
        f"changes it by {in_words(gain, '+.1f')} on the same tiles. The paper gives neither its "
        "sizes nor a measure.",
        measured=[noisy["value"], clean["value"]],
        interval=[noisy["interval"], clean["interval"]],
        seeds=(found["seed"],),
        **evidence.held_out(),
    )  # fmt: skip


def _characteristics(evidence: Evidence) -> Judgement:
    """What denoising leaves of calcifications; where they lie in Kaggle tiles is not known."""
    found = evidence.results.get("ablations", {})
    changes = found.get("calcifications")
    unknown = "Where calcifications lie in tiles of the Kaggle set is not known."
    if not changes or "seed" not in found:
        why = f"This run has measured no calcifications before and after denoising. {unknown}"
        return Judgement(None, UNTESTABLE, why)
    contrast, ratio = (changes[name]["change"] for name in ("contrast", "contrast_to_noise"))
    return Judgement(
        None, UNTESTABLE,
        f"{unknown} Measured on {evidence.tiles}: by how much denoising changes the contrast of "
        "calcifications, in grey levels, and their contrast-to-noise ratio.",
        measured=[contrast["value"], ratio["value"]],
        interval=[contrast["interval"], ratio["interval"]],
        seeds=(found["seed"],),
        **evidence.held_out(paired=True),
    )  # fmt: skip


def _regions(evidence: Evidence) -> Judgement:
    """Attention on the lesion; no Kaggle tile has an outline, so that set cannot decide."""
    found = evidence.results.get("explanations", {})
    unknown = "The paper prints no map, and tiles of the Kaggle set have no outlines of lesions."
    if not found.get("outlines"):
        why = f"This run has no maps measured by outlines. {unknown}"
        return Judgement(None, UNTESTABLE, why)
    differences = [
        found["attention"]["all"]["pointing game"]["less centre"],
        found["attention"]["all"]["mass inside"]["less uniform"],
    ]
    return Judgement(
        None, UNTESTABLE,
        f"{unknown} Measured on {evidence.tiles}: how much more often the largest attention lies "
        "on the lesion than the tile's centre does, and the share of attention inside the lesion "
        "less the lesion's share of the tile.",
        measured=[figure["value"] for figure in differences],
        interval=[figure["interval"] for figure in differences],
        seeds=(found["seed"],),
        **evidence.held_out(),
    )  # fmt: skip
