"""One verdict a statement of the paper: what it prints, what follows, what was measured.

A verdict that needs a measurement is decided on the Kaggle set alone, by networks of the
printed sizes. On other tiles the measured value is stated and the verdict says what is
needed; where an input is missing the verdict says which. What the study itself asks gets a
verdict too, apart from the paper's statements.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from birads_lib.errors import UsageError, one_of
from birads_lib.files import write_json
from birads_lib.metrics import in_words
from birads_lib.study import paper
from birads_lib.study.evidence import Evidence, read_evidence
from birads_lib.study.judgements import (
    FAILS,
    HOLDS,
    NOTE,
    UNTESTABLE,
    Judgement,
    judgements,
    plain,
)
from birads_lib.study.judgements_built import judgements_built
from birads_lib.study.judgements_measured import (
    NEEDS_KAGGLE,
    NOT_REPRODUCED,
    PARTLY,
    REPRODUCED,
    beside,
    judgements_measured,
)
from birads_lib.study.judgements_swept import judgements_swept
from birads_lib.study.questions import ASKED, PREFIX, QUESTIONS, question

VERDICTS = "results/verdicts.json"
WORDS = (
    HOLDS, NOTE, FAILS, UNTESTABLE, REPRODUCED, PARTLY, NOT_REPRODUCED, NEEDS_KAGGLE,
)  # fmt: skip

PLACES: Mapping[str, str] = {
    "abstract-accuracies": "attention#T_table_2",
    "abstract-classes": "label_meaning#what-the-labels-mean",
    "abstract-features": "related_work#the-systems-one-a-row",
    "abstract-shares": "paper_audit#T_audit_shares",
    "abstract-training": "paper_audit#two-totals",
    "attention-query": "paper_audit#T_audit_text",
    "attention-regions": "explanations#the-answer",
    "attention-softmax": "paper_audit#T_audit_text",
    "autoencoder-": "autoencoder#fig-figure-2",
    "autoencoder-characteristics": "ablations#contrast-of-calcifications",
    "birads-": "../book/birads_explained",
    "conclusion-attention-gain": "ablations#does-attention-add-1-5-to-2-5-points",
    "conclusion-accuracies": "paper_audit#T_audit_text",
    "conclusion-classes": "paper_audit#T_audit_text",
    "conclusion-denoising": "ablations#what-does-the-autoencoder-do",
    "conclusion-detection": "gate#T_gate_figures",
    "conclusion-hu-moments": "related_work#the-systems-one-a-row",
    "dataset-": "data_merging#T_counts",
    "dataset-c1": "label_meaning#what-the-labels-mean",
    "dataset-infected": "paper_audit#T_audit_class_sums",
    "dataset-label": "label_meaning#what-the-labels-mean",
    "dataset-link": "../book/data_card",
    "dataset-shares": "paper_audit#T_audit_shares",
    "dataset-spreading": "label_meaning#what-the-labels-mean",
    "dataset-stage": "paper_audit#T_audit_text",
    "dataset-sum": "paper_audit#T_audit_class_sums",
    "dataset-tnm": "paper_audit#T_audit_text",
    "dataset-training": "paper_audit#two-totals",
    "dataset-uninfected": "paper_audit#T_audit_class_sums",
    "discussion-": "paper_audit#T_audit_text",
    "efficientnet-": "paper_audit#T_audit_text",
    "equation-": "attention#fig-figure-3",
    "figure-2": "autoencoder#fig-figure-2",
    "figure-5": "paper_audit#fig-audit-figure-5",
    "figure-6": "gate#fig-figure-6",
    "figure-7": "paper_audit#the-whole-training-set",
    "figure-7-diagonal": "paper_audit#fig-audit-regenerated",
    "figure-7-off": "paper_audit#fig-audit-regenerated",
    "figure-8-categories": "cascade#fig-figure-8",
    "figure-8-meaning": "label_meaning#fig-class-by-assessment",
    "gate-": "paper_audit#T_audit_gate",
    "introduction-application": "phone#do-they-say-the-same",
    "introduction-order": "../book/birads_explained",
    "introduction-seven": "../book/birads_explained",
    "introduction-share-of-deaths": "paper_audit#T_audit_text",
    "introduction-three": "paper_audit#T_audit_text",
    "literature-": "related_work#the-systems-one-a-row",
    "methodology-birads": "label_meaning#T_label_agreement",
    "methodology-first": "paper_audit#T_audit_text",
    "methodology-mammograms": "paper_audit#two-totals",
    "methodology-noise": "autoencoder#T_denoising",
    "methodology-peers": "related_work#is-mobilenetv2-better-than-squeezenet-and-shufflenet",
    "methodology-second": "paper_audit#T_audit_bound",
    "methodology-source": "../book/data_card",
    "mobilenet-": "paper_audit#T_audit_text",
    "mobilenet-grey": "gate#training",
    "scorer-": "attention#T_sizes",
    "scorer-channels": "data_merging#fig-examples",
    "scorer-relu": "paper_audit#T_audit_text",
    "study-channel": "ablations#does-attention-add-1-5-to-2-5-points",
    "study-efficientnet-gate": "related_work#lightweight-gates",
    "study-equation-2": "ablations#does-attention-add-1-5-to-2-5-points",
    "study-hu": "related_work#the-systems-one-a-row",
    "study-largest": "ablations#a-larger-efficientnet",
    "study-mobilenetv3": "related_work#lightweight-gates",
    "study-plain": "related_work#the-systems-one-a-row",
    "study-preprocessing": "related_work#the-systems-one-a-row",
    "study-spatial-attention": "ablations#does-attention-add-1-5-to-2-5-points",
    "study-spatial-transformer": "related_work#the-systems-one-a-row",
    "study-two-stages": "ablations#two-stages-or-one-network",
    "study-type": "ablations#four-classes-or-type-times-pathology",
    "table-1": "paper_audit#fig-audit-regenerated",
    "table-2": "paper_audit#T_audit_table_2_cells",
    "text-": "paper_audit#T_audit_table_2_cells",
    "text-total": "paper_audit#what-does-not-hold-accuracy-and-a-specificity",
}
"""Page and cell where a statement is worked out, by the longest beginning of its id: a figure
(``fig-``), a table (``T_``) or the heading of the cell. Chapters that end early where a sweep
has not been run are named by their headings, which stay."""


@dataclass(frozen=True)
class Verdict:
    """What became of one statement; the fields of ``results/verdicts.json``.

    Attributes:
        id: Of the statement, or of a question of this study, which begins with ``study-``.
        claim: Its quotation; of a question the claim that is asked about.
        where: In the paper; of a question ``questions.ASKED``.
        paper: What the paper prints; ``None`` of a question.
        recomputed: What follows from printed numbers or known data; ``None`` if nothing does.
        measured: This run's value, or one a class; ``None`` if there is none.
        interval: 95 % interval of each measured value.
        protocol: How tiles were divided and which were scored.
        data: What the tiles, or the known facts, are.
        seeds: Of the runs measured.
        verdict: One of ``WORDS``.
        why: What the numbers do, in a sentence or two.

    Raises:
        UsageError: An unknown id or verdict, or no reason.
    """

    id: str
    claim: str
    where: str
    paper: Any
    recomputed: Any
    measured: Any
    interval: Any
    protocol: str | None
    data: str | None
    seeds: tuple[int, ...]
    verdict: str
    why: str

    def __post_init__(self) -> None:
        _claim_of(self.id)
        one_of("verdict", self.verdict, WORDS)
        if not self.why:
            raise UsageError(f"verdict {self.id}: no reason given; say what the numbers do")

    @property
    def asked(self) -> bool:
        """Whether it is a question of this study, and no statement of the paper."""
        return self.id.startswith(PREFIX)


def verdict(name: str, judged: Judgement) -> Verdict:
    """The verdict that a judgement gives on the statement or question ``name``."""
    claim, where, printed = _claim_of(name)
    return Verdict(
        name,
        claim,
        where,
        plain(printed),
        plain(judged.recomputed),
        judged.measured,
        judged.interval,
        judged.protocol,
        judged.data or None,
        judged.seeds,
        judged.verdict,
        judged.why,
    )


def _claim_of(name: str) -> tuple[str, str, Any]:
    """Words, place and value of a statement or question.

    Raises:
        UsageError: There is none of that id.
    """
    if name.startswith(PREFIX):
        return question(name).claim, ASKED, None
    entry = paper.statement(name)
    return entry.quote, entry.where, entry.value


def arithmetic_verdicts() -> list[Verdict]:
    """Verdicts on all that arithmetic, structure and known data decide; no run is read."""
    return [verdict(name, judged) for name, judged in judgements().items()]


def measured_verdicts(run: str | os.PathLike[str]) -> list[Verdict]:
    """Verdicts that rest on what a run built and measured, or its sweeps.

    Args:
        run: The run's folder. Whatever is missing in it leaves its verdicts undecided.
    """
    return _measured(read_evidence(run))


def _measured(evidence: Evidence) -> list[Verdict]:
    parts = (judgements_built, judgements_measured, judgements_swept)
    return [verdict(name, judged) for part in parts for name, judged in part(evidence).items()]


def all_verdicts(run: str | os.PathLike[str]) -> list[Verdict]:
    """One verdict for each statement, in the register's order, then for each question.

    Where this run measured the figure that arithmetic decides, it is set beside; the
    verdict stays that of the arithmetic.

    Raises:
        UsageError: A statement or question has no verdict, or two.
    """
    evidence = read_evidence(run)
    decided = [_beside(v, evidence) for v in arithmetic_verdicts()] + _measured(evidence)
    counted = Counter(v.id for v in decided)
    names = [entry.id for entry in paper.REGISTER] + [question.id for question in QUESTIONS]
    wrong = [name for name in names if counted[name] != 1]
    if wrong:
        raise UsageError(f"verdicts: not one each for {', '.join(wrong)}")
    found = {v.id: v for v in decided}
    return [found[name] for name in names]


def _beside(given: Verdict, evidence: Evidence) -> Verdict:
    """``given`` with this run's value of the same figure, where there is one."""
    if given.id not in (known := beside()):
        return given
    stage, code, name, scale = known[given.id]
    found = evidence.figures(stage, [code], name, scale)
    if found is None or found[0] == [None]:
        return given
    (value,), (interval,) = found
    return replace(given, measured=value, interval=interval, **evidence.provenance(stage))


def write_verdicts(run: str | os.PathLike[str]) -> list[Verdict]:
    """Write ``results/verdicts.json`` of a run, and return what it holds."""
    verdicts = all_verdicts(run)
    write_json(Path(run) / VERDICTS, [asdict(v) for v in verdicts])
    return verdicts


def verdict_table(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """Verdicts for a reader: rows in order, columns as the reviewer reads them."""
    rows = [
        (
            v.claim if v.asked else f"\u201c{v.claim.replace('$', '')}\u201d", v.verdict, v.why,
            _shown(v.paper), _shown(v.recomputed), _shown_measured(v), v.protocol or "\u2013",
            v.where, worked_out(v.id),
        )
        for v in verdicts
    ]  # fmt: skip
    columns = [
        "claim", "verdict", "why", "paper", "recomputed", "measured", "protocol", "where",
        "chapter",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns, index=pd.Index([v.id for v in verdicts], name="id"))


def worked_out(name: str) -> str:
    """Page and cell where the statement ``name`` is worked out; empty where none is."""
    return PLACES[max(fits, key=len)] if (fits := [p for p in PLACES if name.startswith(p)]) else ""


def page_link(place: str) -> str:
    """A link in HTML from a chapter's page to ``place``, named for the page."""
    page, _, cell = place.partition("#")
    if not page:
        return "\u2013"
    target = f"{page}.html" + (f"#{cell}" if cell else "")
    return f'<a href="{target}">{page.rpartition("/")[2].replace("_", " ")}</a>'


def verdict_counts(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """How many of each word, in the order of ``WORDS``, by how a statement is tested.

    Questions of this study have a column of their own, and no part in ``all``.
    """
    rows = [(v.verdict, ASKED if v.asked else paper.statement(v.id).test) for v in verdicts]
    table = pd.DataFrame(rows, columns=["verdict", "test"])
    counts = pd.crosstab(table["verdict"], table["test"]).reindex(list(WORDS), fill_value=0)
    of_paper = counts.reindex(columns=list(paper.TESTS), fill_value=0)
    asked = counts.reindex(columns=[ASKED], fill_value=0)
    return of_paper.assign(all=of_paper.sum(axis=1)).join(asked)


def _shown(value: Any) -> str:
    """A value for a table: numbers short, lists with commas, nothing as a dash."""
    if value is None:
        return "\u2013"
    if isinstance(value, list | tuple):
        shown = [_shown(item) for item in value]
        digits = max((len(text.partition(".")[2]) for text in shown), default=0)
        if digits and all(isinstance(item, int | float) and abs(item) < 2 for item in value):
            shown = [f"{item:.{digits}f}" for item in value]  # 0.90 beside 0.93
        return ", ".join(shown)
    if isinstance(value, float) and not value.is_integer():
        return (f"{value:.4f}" if abs(value) < 2 else f"{value:,.2f}").rstrip("0").rstrip(".")
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


def _shown_measured(v: Verdict) -> str:
    if v.measured is None or v.interval is None:
        return _shown(v.measured)
    single = not isinstance(v.measured, list)
    values = [v.measured] if single else v.measured
    intervals = [v.interval] if single else v.interval
    largest = max(abs(end) for ends in intervals for end in ends or (0,))
    form = ".3f" if largest <= 1 else ".1f"
    pairs = zip(values, intervals, strict=True)
    return "; ".join(
        in_words(None if x is None else {"value": x, "interval": ends}, form) for x, ends in pairs
    )
