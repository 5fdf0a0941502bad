"""One verdict a statement of the paper: what it prints, what follows, what was measured.

A verdict that needs a measurement is decided on the Kaggle set alone. On other tiles the
measured value is stated and the verdict says what is needed; where an input is missing the
verdict says which.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from birads_lib.errors import DataError, UsageError, one_of
from birads_lib.files import read_json, write_json
from birads_lib.labels import LESION_CODES
from birads_lib.metrics import PREDICTION_COLUMNS, in_words, summarise
from birads_lib.study import paper, related
from birads_lib.study.ablations import (
    ATTENTION,
    INSIDE,
    OUTSIDE,
    attention_gain,
    plain_answer,
    read_results,
)
from birads_lib.study.judgements import (
    FAILS,
    HOLDS,
    NOTE,
    UNTESTABLE,
    judgements,
    plain,
)
from birads_lib.study.ledger import SWEPT
from birads_lib.study.profiles import KAGGLE
from birads_lib.tiles import layout
from birads_lib.tiles.store import TileStore

VERDICTS = "results/verdicts.json"
REPRODUCED, PARTLY, NOT_REPRODUCED = "reproduced", "partly reproduced", "not reproduced"
NEEDS_KAGGLE = "needs the Kaggle set"
WORDS = (
    HOLDS, NOTE, FAILS, UNTESTABLE, REPRODUCED, PARTLY, NOT_REPRODUCED, NEEDS_KAGGLE,
)  # fmt: skip
STAGES = ("gate", "scorer")  # the paper prints no figure of both together
PROTOCOL, SPLIT = "official", "held-out"
TOP_WEIGHTS = 2560 * 1000 + 1000
"""Of the layer for 1,000 classes that EfficientNetB7 carries as its top."""
PRINTED_NETWORK = "as printed: EfficientNetB7, 200 x 150, with attention"
PRINTED_BACKBONE = "of it EfficientNetB7 without its top"
PLAIN_NETWORK = "plain CNN of section IV, 8 to 128 filters"

PLACES: Mapping[str, str] = {
    "abstract-accuracies": "attention",
    "abstract-classes": "label_meaning",
    "abstract-shares": "paper_audit#shares-of-the-classes",
    "abstract-training": "paper_audit#two-totals",
    "attention-": "attention#attention-equation-by-equation",
    "attention-regions": "explanations",
    "birads-": "../book/birads_explained",
    "conclusion-attention-gain": "ablations#does-attention-add-1-5-to-2-5-points",
    "conclusion-detection": "gate",
    "dataset-": "data_merging",
    "dataset-c1": "label_meaning",
    "dataset-infected": "paper_audit#class-sums",
    "dataset-label": "label_meaning",
    "dataset-link": "../book/data_card",
    "dataset-shares": "paper_audit#shares-of-the-classes",
    "dataset-spreading": "label_meaning",
    "dataset-sum": "paper_audit#class-sums",
    "dataset-training": "paper_audit#two-totals",
    "dataset-uninfected": "paper_audit#class-sums",
    "discussion-": "cascade",
    "efficientnet-": "attention",
    "equation-": "attention#attention-equation-by-equation",
    "figure-5": "paper_audit#constant-columns",
    "figure-6": "gate",
    "figure-7": "paper_audit#the-whole-training-set",
    "figure-7-diagonal": "paper_audit#constant-columns",
    "figure-7-off": "paper_audit#constant-columns",
    "figure-8-categories": "cascade",
    "figure-8-meaning": "label_meaning",
    "gate-": "paper_audit#what-holds",
    "introduction-order": "../book/birads_explained",
    "introduction-seven": "../book/birads_explained",
    "methodology-birads": "label_meaning",
    "methodology-first": "gate",
    "methodology-mammograms": "paper_audit#two-totals",
    "methodology-noise": "autoencoder",
    "methodology-peers": "related_work#is-mobilenetv2-better-than-squeezenet-and-shufflenet",
    "methodology-second": "paper_audit#no-end-to-end-figure-and-its-bound",
    "methodology-source": "../book/data_card",
    "mobilenet-": "gate",
    "scorer-": "attention#the-printed-network",
    "table-1": "paper_audit#constant-columns",
    "table-2": "paper_audit#what-does-not-hold-accuracy-and-a-specificity",
    "table-2-precision": "paper_audit#what-holds",
    "table-2-sensitivity": "paper_audit#what-holds",
    "text-": "paper_audit#what-holds",
    "text-total": "paper_audit#what-does-not-hold-accuracy-and-a-specificity",
}
"""Page and heading where a statement is worked out, by the longest beginning of its id."""

Measured = tuple[list[float | None], list[list[float] | None]]


@dataclass(frozen=True)
class Verdict:
    """What became of one statement; the fields of ``results/verdicts.json``.

    Attributes:
        id: Of the statement.
        claim: Its quotation.
        where: In the paper.
        paper: What the paper prints.
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
        paper.statement(self.id)
        one_of("verdict", self.verdict, WORDS)
        if not self.why:
            raise UsageError(f"verdict {self.id}: no reason given; say what the numbers do")


@dataclass(frozen=True)
class Evidence:
    """What one run's folder holds that verdicts rest on.

    Attributes:
        tiles: Words for the run's tiles.
        kaggle: Whether they are the Kaggle set, count by count.
        profile: Name of the run's folder.
        records: Figures of merit by stage, one a seed: official protocol, held-out tiles.
        results: Numbers of the chapters, by name; only those that are there.
        ablations, gates: What the sweep of that name gave; ``None`` where it has not been run.
    """

    tiles: str
    kaggle: bool
    profile: str
    records: dict[str, list[dict[str, Any]]]
    results: dict[str, dict[str, Any]]
    ablations: Mapping[str, Any] | None = None
    gates: Mapping[str, Any] | None = None


def verdict(name: str, word: str, why: str, **more: Any) -> Verdict:
    """A verdict on the statement ``name``; ``more`` are fields other than those it gives."""
    entry = paper.statement(name)
    fields: dict[str, Any] = {
        "recomputed": None, "measured": None, "interval": None, "protocol": None,
        "data": None, "seeds": (), **more,
    }  # fmt: skip
    fields["recomputed"] = plain(fields["recomputed"])
    return Verdict(
        name, entry.quote, entry.where, plain(entry.value), verdict=word, why=why, **fields
    )


def arithmetic_verdicts() -> list[Verdict]:
    """Verdicts on all that arithmetic, structure and known data decide; no run is read."""
    return [
        verdict(name, j.verdict, j.why, recomputed=j.recomputed, data=j.data or None)
        for name, j in judgements().items()
    ]


def measured_verdicts(run: str | os.PathLike[str]) -> list[Verdict]:
    """Verdicts that rest on what a run built and measured.

    Args:
        run: The run's folder. Whatever is missing in it leaves its verdicts undecided.
    """
    return _measured(read_evidence(run))


def all_verdicts(run: str | os.PathLike[str]) -> list[Verdict]:
    """One verdict for each statement, in the register's order.

    Where this run measured the figure that arithmetic decides, it is set beside; the
    verdict stays that of the arithmetic.

    Raises:
        UsageError: A statement has no verdict, or two.
    """
    evidence = read_evidence(run)
    decided = [_beside(v, evidence) for v in arithmetic_verdicts()] + _measured(evidence)
    counted = Counter(v.id for v in decided)
    wrong = [entry.id for entry in paper.REGISTER if counted[entry.id] != 1]
    if wrong:
        raise UsageError(f"verdicts: not one each for {', '.join(wrong)}")
    found = {v.id: v for v in decided}
    return [found[entry.id] for entry in paper.REGISTER]


def write_verdicts(run: str | os.PathLike[str]) -> list[Verdict]:
    """Write ``results/verdicts.json`` of a run, and return what it holds."""
    verdicts = all_verdicts(run)
    write_json(Path(run) / VERDICTS, [asdict(v) for v in verdicts])
    return verdicts


def verdict_table(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """Verdicts for a reader: rows in order, columns as the reviewer reads them."""
    rows = [
        (
            f"\u201c{v.claim}\u201d", v.where, _shown(v.paper), _shown(v.recomputed),
            _shown_measured(v), v.verdict, v.why, worked_out(v.id),
        )
        for v in verdicts
    ]  # fmt: skip
    columns = ["claim", "where", "paper", "recomputed", "measured", "verdict", "why", "chapter"]
    return pd.DataFrame(rows, columns=columns, index=pd.Index([v.id for v in verdicts], name="id"))


def worked_out(name: str) -> str:
    """Page and heading where the statement ``name`` is worked out; empty where none is."""
    return PLACES[max(fits, key=len)] if (fits := [p for p in PLACES if name.startswith(p)]) else ""


def page_link(place: str) -> str:
    """A link in HTML from a chapter's page to ``place``, named for the page."""
    page, _, heading = place.partition("#")
    if not page:
        return "\u2013"
    target = f"{page}.html" + (f"#{heading}" if heading else "")
    return f'<a href="{target}">{page.rpartition("/")[2].replace("_", " ")}</a>'


def verdict_counts(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """How many of each word, in the order of ``WORDS``, by how a statement is tested."""
    rows = [(v.verdict, paper.statement(v.id).test) for v in verdicts]
    table = pd.DataFrame(rows, columns=["verdict", "test"])
    counts = pd.crosstab(table["verdict"], table["test"]).reindex(list(WORDS), fill_value=0)
    return counts.reindex(columns=list(paper.TESTS), fill_value=0).assign(
        all=lambda t: t.sum(axis=1)
    )


def read_evidence(run: str | os.PathLike[str]) -> Evidence:
    """What a run's folder holds; an empty folder gives empty evidence.

    Raises:
        DataError: A file that is there cannot be read.
    """
    folder = Path(run)
    tiles, kaggle = "no tiles", False
    if (folder / "store").is_dir():
        store = TileStore.open(folder / "store")
        kaggle = is_kaggle_set(store)
        real = f"the Kaggle set {KAGGLE}" if kaggle else "real tiles other than the Kaggle set"
        tiles = f"{'simulated tiles' if store.simulated else real}, {store.digest[:8]}"
    names = ("autoencoder", "gate", "attention", "explanations")
    paths = {name: folder / "results" / f"{name}.json" for name in names}
    return Evidence(
        tiles,
        kaggle,
        folder.name,
        _records(folder / "predictions"),
        {name: read_json(path) for name, path in paths.items() if path.is_file()},
        read_results(folder, "ablations"),
        read_results(folder, related.GATES),
    )


def is_kaggle_set(store: TileStore) -> bool:
    """Whether a store holds the Kaggle set: real, and every class of every part as known."""
    if store.simulated:
        return False
    known = {
        "training": layout.TRAINING_COUNTS,
        layout.TEST10.name: layout.TEST10_COUNTS,
        layout.CV10.name: layout.CV10_COUNTS,
    }
    origin, label = store.table["origin"], store.table["label"]
    return set(origin) == set(known) and all(
        np.array_equal(np.bincount(label[origin == part], minlength=5), counts)
        for part, counts in known.items()
    )


def _records(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Figures of merit by stage from a run's tables of predictions."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("*.parquet")):
        if path.name.startswith(SWEPT):
            continue  # many members in one table; its results stand in a file of their own
        table = pd.read_parquet(path)
        missing = set(PREDICTION_COLUMNS) - set(table.columns)
        if missing:
            raise DataError(f"{path}: columns missing: {', '.join(sorted(missing))}")
        rows = table[
            table["stage"].isin(STAGES)
            & (table["protocol"] == PROTOCOL)
            & (table["split"] == SPLIT)
        ]
        for record in summarise(rows):
            found.setdefault(record["stage"], []).append(record)
    return found


def _figures(
    evidence: Evidence, stage: str, wanted: Sequence[str | None], name: str, scale: float
) -> Measured | None:
    """Values and intervals of a figure for each class, over seeds; ``None`` if not measured.

    Several seeds give their mean, and the interval from the lowest to the highest end. A
    class whose figure is not defined, such as the precision of one that is never
    predicted, has ``None`` for both.
    """
    if not evidence.records.get(stage):
        return None
    values: list[float | None] = []
    intervals: list[list[float] | None] = []
    for code in wanted:
        found = [
            (record["per_class"][code] if code else record["overall"])[name]
            for record in evidence.records[stage]
        ]
        defined = all(f is not None and f["interval"] is not None for f in found)
        ends = scale * np.array([f["interval"] for f in found]) if defined else None
        values.append(float(scale * np.mean([f["value"] for f in found])) if defined else None)
        intervals.append(
            None if ends is None else [float(ends[:, 0].min()), float(ends[:, 1].max())]
        )
    return values, intervals


def _provenance(evidence: Evidence, stage: str) -> dict[str, Any]:
    return {
        "protocol": f"{PROTOCOL}, {SPLIT} tiles",
        "data": evidence.tiles,
        "seeds": tuple(sorted(record["seed"] for record in evidence.records[stage])),
    }


def _beside_figures() -> dict[str, tuple[str, str | None, str, float]]:
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


def _beside(given: Verdict, evidence: Evidence) -> Verdict:
    """``given`` with this run's value of the same figure, where there is one."""
    if given.id not in (known := _beside_figures()):
        return given
    stage, code, name, scale = known[given.id]
    found = _figures(evidence, stage, [code], name, scale)
    if found is None or found[0] == [None]:
        return given
    (value,), (interval,) = found
    return replace(given, measured=value, interval=interval, **_provenance(evidence, stage))


def _measured(evidence: Evidence) -> list[Verdict]:
    return [
        _detection(evidence),
        _accuracies(evidence),
        _categories(evidence),
        _noise(evidence),
        _regions(evidence),
        _attention_gain(evidence),
        _peers(evidence),
        *_built(evidence),
    ]


def _detection(evidence: Evidence) -> Verdict:
    found = _figures(evidence, "gate", ["infected"], "sensitivity", 100)
    return _compared(
        "conclusion-detection", evidence, "gate", found, (96,),
        "Sensitivity of the gate. Figure 5 implies the printed rate.",
    )  # fmt: skip


def _accuracies(evidence: Evidence) -> Verdict:
    found = _figures(evidence, "scorer", LESION_CODES, "precision", 100)
    whole = _figures(evidence, "scorer", [None], "accuracy", 100)
    overall = ""
    if whole is not None:
        overall = " Overall accuracy here: " + in_words(
            {"value": whole[0][0], "interval": whole[1][0]}, ".1f"
        ) + " %."  # fmt: skip
    return _compared(
        "abstract-accuracies", evidence, "scorer", found, tuple(paper.TABLE_2["Accuracy"]),
        f"Precision of C2 to C5, which is what the printed column holds.{overall}",
    )  # fmt: skip


def _compared(
    name: str,
    evidence: Evidence,
    stage: str,
    found: Measured | None,
    printed: Sequence[float],
    why: str,
) -> Verdict:
    """A verdict on measured figures: reproduced where the interval reaches the printed one."""
    if found is None:
        return verdict(
            name, NEEDS_KAGGLE, f"This run has no figure of the {stage} to set beside. {why}"
        )
    values, intervals = found
    reached = [
        ends is not None and ends[1] >= goal for ends, goal in zip(intervals, printed, strict=True)
    ]
    if None in values:
        why = f"{why} A category that is never predicted has no precision."
    facts = {
        "measured": values if len(values) > 1 else values[0],
        "interval": intervals if len(values) > 1 else intervals[0],
        **_provenance(evidence, stage),
    }
    if not evidence.kaggle:
        return verdict(name, NEEDS_KAGGLE, f"{why} Measured on {evidence.tiles}.", **facts)
    how = f"{sum(reached)} of {len(reached)} intervals reach the printed value"
    return verdict(name, _word(reached), f"{why} {how}; profile {evidence.profile}.", **facts)


def _word(reached: Sequence[bool]) -> str:
    if all(reached):
        return REPRODUCED
    return PARTLY if any(reached) else NOT_REPRODUCED


def _categories(evidence: Evidence) -> Verdict:
    name = "figure-8-categories"
    if not evidence.records.get("scorer"):
        return verdict(name, NEEDS_KAGGLE, "This run has no predictions of the scorer.")
    called = np.sum([r["confusion_matrix"] for r in evidence.records["scorer"]], axis=(0, 1)) > 0
    codes = [code for code, some in zip(LESION_CODES, called, strict=True) if some]
    facts = {"measured": codes, **_provenance(evidence, "scorer")}
    why = f"{len(codes)} of {len(called)} categories are predicted for some tile."
    if not evidence.kaggle:
        return verdict(name, NEEDS_KAGGLE, f"{why} Measured on {evidence.tiles}.", **facts)
    return verdict(name, _word(called.tolist()), why, **facts)


def _noise(evidence: Evidence) -> Verdict:
    name, quality = "methodology-noise", evidence.results.get("autoencoder", {}).get("psnr", {})
    noisy, clean = quality.get("tile with noise added"), quality.get("the same, denoised")
    if noisy is None or clean is None:
        return verdict(name, NEEDS_KAGGLE, "This run has no result of the autoencoder.")
    facts = {
        "measured": [noisy["value"], clean["value"]],
        "interval": [noisy["interval"], clean["interval"]],
        "protocol": f"{PROTOCOL}, {SPLIT} tiles",
        "data": evidence.tiles,
    }
    why = "Peak signal-to-noise ratio in dB with noise added, and after the autoencoder."
    if not evidence.kaggle:
        return verdict(name, NEEDS_KAGGLE, f"{why} Measured on {evidence.tiles}.", **facts)
    apart = clean["interval"][0] > noisy["interval"][1]
    word = REPRODUCED if apart else PARTLY if clean["value"] > noisy["value"] else NOT_REPRODUCED
    return verdict(name, word, why, **facts)


def _regions(evidence: Evidence) -> Verdict:
    """Attention on the lesion; no Kaggle tile has an outline, so that set cannot decide."""
    name, found = "attention-regions", evidence.results.get("explanations", {})
    unknown = "The paper prints no map, and tiles of the Kaggle set have no outlines of lesions."
    if not found.get("outlines"):
        return verdict(name, UNTESTABLE, f"This run has no maps measured by outlines. {unknown}")
    differences = [
        found["attention"]["all"]["pointing game"]["less centre"],
        found["attention"]["all"]["mass inside"]["less uniform"],
    ]
    return verdict(
        name, UNTESTABLE,
        f"{unknown} Measured on {evidence.tiles}: how much more often the largest attention lies "
        "on the lesion than the tile's centre does, and the share of attention inside the lesion "
        "less the lesion's share of the tile.",
        measured=[figure["value"] for figure in differences],
        interval=[figure["interval"] for figure in differences],
        protocol=f"{PROTOCOL}, {SPLIT} tiles",
        data=evidence.tiles,
        seeds=(found["seed"],),
    )  # fmt: skip


def _peers(evidence: Evidence) -> Verdict:
    """By how much MobileNetV2 exceeds SqueezeNet and ShuffleNetV2 on the same tiles."""
    name, found = "methodology-peers", evidence.gates
    answered = related.peer_gains(found) if found else None
    if found is None or answered is None:
        return verdict(
            name,
            NEEDS_KAGGLE,
            "The paper prints no result of SqueezeNet or ShuffleNet, and this run has none to "
            "compare.",
        )
    gains, answer = answered
    facts = {
        "measured": [gain["value"] for gain in gains.values()],
        "interval": [gain["interval"] for gain in gains.values()],
        "protocol": f"{PROTOCOL}, {SPLIT} tiles, paired",
        "data": evidence.tiles,
        "seeds": tuple(found["members"][related.OURS]["seeds"]),
    }
    why = (
        f"AUROC of {related.OURS} less that of {' and of '.join(gains)}, points, as the gate. "
        f"{related.plain_answer(answer)}"
    )
    if not found["complete"]:
        why = f"{why} The sweep is not complete."
    if not evidence.kaggle:
        return verdict(name, NEEDS_KAGGLE, f"{why} Measured on {evidence.tiles}.", **facts)
    words = {related.BETTER: REPRODUCED, related.NOT_BETTER: NOT_REPRODUCED}
    return verdict(name, words.get(answer, UNTESTABLE), why, **facts)


def _attention_gain(evidence: Evidence) -> Verdict:
    """By how much attention exceeds none on the same tiles, against the range that is printed."""
    name, found = "conclusion-attention-gain", evidence.ablations
    answered = attention_gain(found) if found else None
    if found is None or answered is None:
        return verdict(
            name,
            NEEDS_KAGGLE,
            "The paper prints no result without attention, and this run has none to compare.",
        )
    gain, answer = answered
    facts = {
        "measured": gain["value"],
        "interval": gain["interval"],
        "protocol": f"{PROTOCOL}, {SPLIT} tiles, paired",
        "data": evidence.tiles,
        "seeds": tuple(found["members"][ATTENTION[0]]["seeds"]),
    }
    why = (
        "Accuracy over C2 to C5 with both attentions less that with none, heads on the same frozen "
        f"features, percentage points. {plain_answer(answer)}"
    )
    if not found["complete"]:
        why = f"{why} The sweep is not complete."
    if not evidence.kaggle:
        return verdict(name, NEEDS_KAGGLE, f"{why} Measured on {evidence.tiles}.", **facts)
    words = {INSIDE: REPRODUCED, OUTSIDE: NOT_REPRODUCED}
    return verdict(name, words.get(answer, UNTESTABLE), why, **facts)


def _built(evidence: Evidence) -> list[Verdict]:
    """Structure that is decided by building it; undecided where this run did not."""
    weights = evidence.results.get("attention", {}).get("weights", {})
    gate = evidence.results.get("gate")
    grey = (
        "The gate is built with one grey channel. It enters the first convolution; a fully "
        "connected layer at the end leaves the input as it is."
    )
    return [
        *_printed_network(weights),
        *_plain_network(weights),
        verdict("mobilenet-grey", NOTE, grey, recomputed=1)
        if gate
        else verdict("mobilenet-grey", UNTESTABLE, "This run has not built the gate."),
    ]


_EQUATIONS: Mapping[str, tuple[str, str]] = {
    "equation-1": (HOLDS, "EfficientNetB7 without its top gives the feature map."),
    "equation-2": (NOTE, "The axis that is pooled is not named; over channels the shape is this."),
    "equation-3": (HOLDS, "Each channel of F is multiplied by the one map."),
    "equation-4": (NOTE, "F_c is first defined after it, in equation (6), as another thing."),
    "equation-5": (HOLDS, "One fully connected layer and a softmax over C2 to C5."),
    "equation-6": (NOTE, "The size of the fully connected layers F_c is not given."),
}


def _printed_network(weights: Mapping[str, int]) -> list[Verdict]:
    names = (*_EQUATIONS, "scorer-parameters", "scorer-input")
    if PRINTED_NETWORK not in weights or PRINTED_BACKBONE not in weights:
        why = "This run has not built EfficientNetB7 as printed."
        return [verdict(name, UNTESTABLE, why) for name in names]
    count = f"Built as printed: {weights[PRINTED_NETWORK]:,} weights."
    without = weights[PRINTED_BACKBONE]
    found = [
        verdict(name, word, f"{why} {count}", recomputed=weights[PRINTED_NETWORK])
        for name, (word, why) in _EQUATIONS.items()
    ]
    return [
        *found,
        verdict(
            "scorer-parameters",
            NOTE,
            f"{without + TOP_WEIGHTS:,} with the top for 1,000 classes, {without:,} without it, as "
            "the feature map F of equation (1).",
            recomputed=[without + TOP_WEIGHTS, without],
        ),
        verdict(
            "scorer-input",
            NOTE,
            f"The network takes it. Tiles are {layout.TILE} x {layout.TILE}, so both sides shrink, "
            "by different factors; layers after the first take smaller maps.",
            recomputed=paper.SCORER_INPUT,
        ),
    ]


def _plain_network(weights: Mapping[str, int]) -> list[Verdict]:
    names = ("scorer-kernel", *(f"scorer-layer-{k}" for k in range(1, 6)), "scorer-pooling")
    if PLAIN_NETWORK not in weights:
        why = "This run has not built a network of these layers."
        return [verdict(name, UNTESTABLE, why) for name in names]
    why = (
        f"A plain network of these layers has {weights[PLAIN_NETWORK]:,} weights. The same section "
        "names EfficientNetB7; how the two are joined is not said."
    )
    return [verdict(name, NOTE, why, recomputed=weights[PLAIN_NETWORK]) for name in names]


def _shown(value: Any) -> str:
    """A value for a table: numbers short, lists with commas, nothing as a dash."""
    if value is None:
        return "\u2013"
    if isinstance(value, list | tuple):
        return ", ".join(_shown(item) for item in value)
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.4f}" if abs(value) < 2 else f"{value:,.2f}"
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


def _shown_measured(v: Verdict) -> str:
    if v.measured is None or v.interval is None:
        return _shown(v.measured)
    single = not isinstance(v.measured, list)
    values = [v.measured] if single else v.measured
    intervals = [v.interval] if single else v.interval
    form = ".3f" if max(abs(value or 0) for value in values) <= 1 else ".1f"
    pairs = zip(values, intervals, strict=True)
    return "; ".join(
        in_words(None if x is None else {"value": x, "interval": ends}, form) for x, ends in pairs
    )
