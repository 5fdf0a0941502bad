"""What arithmetic, structure and the known data say of each statement, tiles unseen.

One judgement a statement: what comes out when it is worked out again, the word for it, and
why. The wording tells what the numbers do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from birads_lib.labels import BIRADS, CLASSES, LESION_CODES
from birads_lib.study import arithmetic, paper
from birads_lib.tiles import layout

HOLDS, NOTE, FAILS, UNTESTABLE = "holds", "holds with a note", "does not hold", "not testable"
DATA = "the Kaggle set, known counts"


@dataclass(frozen=True)
class Judgement:
    """A statement worked out again.

    Attributes:
        recomputed: A number, several, or words; ``None`` where nothing can be computed.
        verdict: ``HOLDS``, ``NOTE``, ``FAILS`` or ``UNTESTABLE``; of what was measured one of
            ``verdicts.WORDS``.
        why: A sentence or two.
        data: What it rests on beside the paper; empty if the paper alone.
        measured, interval: A run's value, or several, each with its 95 % interval; ``None``
            if nothing was measured.
        protocol: How tiles were divided and which were scored.
        seeds: Of the trainings measured.
    """

    recomputed: Any
    verdict: str
    why: str
    data: str = ""
    measured: Any = None
    interval: Any = None
    protocol: str | None = None
    seeds: tuple[int, ...] = ()


def judgements() -> dict[str, Judgement]:
    """All that can be judged without a run, by statement id."""
    found: dict[str, Judgement] = {}
    for part in PARTS:
        found |= part()
    return found


def _counts() -> dict[str, Judgement]:
    written, left_out = arithmetic.replay_writing_loop()
    records, rows = sum(map(len, written)), sum(layout.PLANNED_COUNTS)
    lost = f"{rows:,} rows were planned; the writing loop leaves {len(left_out)} of them out"
    planned = Judgement(records, NOTE, f"{lost}, so {records:,} records exist.", DATA)
    sums = arithmetic.class_sums()
    moved = arithmetic.moved()
    uninfected, infected = (int(sums["training files"][k]) for k in ("C1", "C2 to C5"))
    differences = ", ".join(f"{code} {sums['difference'][code]:+d}" for code in LESION_CODES)
    shares = arithmetic.shares()["planned rows"].round(2).tolist()
    share = Judgement(
        shares,
        FAILS,
        f"{shares[0]:.2f} % and {shares[1]:.2f} % of the planned rows; to whole percents these "
        f"are {shares[0]:.0f} and {shares[1]:.0f}.",
        DATA,
    )
    return {
        "abstract-training-samples": planned,
        "dataset-training-samples": planned,
        "methodology-mammograms": Judgement(
            records,
            NOTE,
            f"{lost}, which leaves this number. The records are tiles cut from mammograms; the "
            "abstract prints the planned number.",
            DATA,
        ),
        "abstract-shares": share,
        "dataset-shares": share,
        "dataset-uninfected": Judgement(
            uninfected,
            FAILS,
            f"The training files hold {uninfected:,} of label 0; {moved} more are printed.",
            DATA,
        ),
        "dataset-infected": Judgement(
            infected,
            FAILS,
            f"The training files hold {infected:,} of labels 1 to 4; {moved} fewer are printed. "
            f"Row sums of Table 1 against the files: {differences}.",
            DATA,
        ),
        "dataset-sum": Judgement(
            int(paper.TABLE_1.sum()),
            HOLDS,
            "The rows of Table 1, C2 to C5, sum to the printed count.",
        ),
    }


def _files() -> dict[str, Judgement]:
    test10, cv10 = layout.TEST10_COUNTS, layout.CV10_COUNTS
    both = [sum(test10), sum(cv10)]
    return {
        "dataset-files": Judgement(
            layout.TRAINING_FILES, HOLDS, "The training records stand in that many files.", DATA
        ),
        "dataset-halves": Judgement(
            both, HOLDS, "test10 and cv10 hold the same number of tiles.", DATA
        ),
        "dataset-test-masses": Judgement(
            [test10[2] + test10[4], test10[1] + test10[3]],
            HOLDS,
            "Masses and calcifications in test10: every infected tile is a mass.",
            DATA,
        ),
        "dataset-validation-calcifications": Judgement(
            [cv10[1] + cv10[3], cv10[2] + cv10[4]],
            FAILS,
            f"Calcifications and masses in cv10: {cv10[2] + cv10[4]} of its "
            f"{sum(cv10[1:]):,} infected tiles are masses.",
            DATA,
        ),
        "dataset-label-normal": Judgement(
            [0, 1], HOLDS, "The records carry a feature of that name with these values.", DATA
        ),
        "dataset-two-classes": Judgement(
            ["C1", "C2 to C5"],
            NOTE,
            "The feature for normal or not has two values. The other feature has five labels, and "
            "the second class holds four of them.",
            DATA,
        ),
        "dataset-c1": Judgement(
            [c.title for c in CLASSES if c.pathology != "malignant"],
            NOTE,
            "C1 is normal tissue. C2 and C3, counted as infected, are benign, so cancer is absent "
            "from them too.",
            DATA,
        ),
        "scorer-channels": Judgement(
            1,
            NOTE,
            f"The tiles are {layout.TILE} x {layout.TILE} with one grey channel; three equal "
            "channels can be made of it.",
            DATA,
        ),
    }


def _labels() -> dict[str, Judgement]:
    found = {}
    for tile_class in CLASSES:
        found[f"dataset-label-{tile_class.label}"] = Judgement(
            tile_class.title,
            NOTE if tile_class.label == 0 else HOLDS,
            "Label 0 is a tile of a scan that was read as normal; no earlier scan is compared."
            if tile_class.label == 0
            else "The label is lesion type times pathology.",
            DATA,
        )
    titles = [c.title for c in CLASSES]
    return found | {
        "dataset-spreading": Judgement(
            titles[4], FAILS, "Label 4 is a malignant mass; the set records no spread.", DATA
        ),
        "abstract-classes": Judgement(len(CLASSES), HOLDS, "Labels 0 to 4 are five classes.", DATA),
        "methodology-birads-classes": Judgement(
            titles,
            FAILS,
            "Labels 0 to 4 are normal and lesion type times pathology. The radiologist's "
            "assessment is another column of the case files; see the chapter on labels.",
            DATA,
        ),
        "figure-8-meaning": Judgement(
            titles[1:],
            NOTE,
            "C2 is benign and C5 malignant; so are C3 benign and C4 malignant. The labels give "
            "pathology, and no degree of suspicion.",
            DATA,
        ),
        "methodology-source": Judgement(
            "DDSM Mammography, skooch/ddsm-mammography",
            FAILS,
            "Reference 20 is titled Mini-DDSM. Counts, labels and test files of section III.5 are "
            "those of the Kaggle set DDSM Mammography.",
            DATA,
        ),
    }


def _birads() -> dict[str, Judgement]:
    atlas = "the ACR's atlas, 5th edition"

    def stated(category: int, verdict: str, why: str) -> Judgement:
        entry = BIRADS[category]
        return Judgement(f"{entry.meaning}: {entry.likelihood}", verdict, why, atlas)

    further = next(entry for entry in BIRADS if "further images" in entry.advice)
    return {
        "introduction-seven-categories": Judgement(
            len(BIRADS), HOLDS, "The atlas has the categories 0 to 6.", atlas
        ),
        "birads-seven-types": Judgement(
            len(BIRADS), HOLDS, "The atlas has the categories 0 to 6.", atlas
        ),
        "birads-stage": Judgement(
            "likelihood of malignancy",
            FAILS,
            "A category states how likely cancer is before it is proven, and what to do next. It "
            "names no stage.",
            atlas,
        ),
        "introduction-order": Judgement(
            [entry.likelihood for entry in BIRADS],
            NOTE,
            "The likelihood rises from 2 to 5. Category 0 is incomplete, 1 and 2 share one "
            "likelihood, and 6 is known.",
            atlas,
        ),
        "birads-0-and-1": Judgement(
            [BIRADS[0].meaning, BIRADS[1].meaning], HOLDS, "As in the atlas.", atlas
        ),
        "birads-further-images": Judgement(
            further.category,
            FAILS,
            f"In the atlas further images belong to category {further.category}; 2 is "
            f"{BIRADS[2].meaning}.",
            atlas,
        ),
        "birads-2": stated(2, NOTE, "The atlas says essentially 0 %."),
        "birads-3": stated(3, NOTE, "The atlas gives a range up to 2 %."),
        "birads-4": stated(4, NOTE, "The atlas gives over 2 % and under 95 %."),
        "birads-5": stated(5, NOTE, "The atlas gives 95 % or more."),
        "birads-6": stated(6, FAILS, "In the atlas category 6 follows a biopsy."),
    }


def _staging() -> dict[str, Judgement]:
    staging = "the AJCC's staging"
    return {
        "dataset-stage-ways": Judgement(
            1,
            FAILS,
            "TNM gives a stage. The other one named, BI-RADS, gives a likelihood of malignancy.",
            staging,
        ),
        "dataset-tnm-methods": Judgement(
            ["T", "N", "M"], NOTE, "T, N and M are three parts of one system.", staging
        ),
        "dataset-tnm-stages": Judgement(
            "0 to IV",
            NOTE,
            "The stages run from 0 to IV. The data set records no T, N or M, so none of its tiles "
            "has a stage.",
            staging,
        ),
    }


def _gate() -> dict[str, Judgement]:
    implied, found = arithmetic.implied_gate(), {}
    for name, printed in paper.GATE_TEXT.items():
        value = float(implied[name])
        found[f"gate-{name}"] = Judgement(
            value,
            HOLDS if arithmetic.rounds_to(value, printed, 3) else FAILS,
            f"Figure 5 gives {value:.4f}.",
        )
    accuracy = 100 * float(implied["accuracy"])
    found["gate-accuracy"] = Judgement(
        accuracy,
        HOLDS if arithmetic.rounds_to(accuracy, 96, 0) else FAILS,
        f"The diagonal of Figure 5 is {accuracy:.2f} % of it. This is the first stage alone.",
    )
    names = ("true-negatives", "false-positives", "false-negatives", "true-positives")
    right, wrong = arithmetic.GATE_RATE, 1 - arithmetic.GATE_RATE
    for name, printed, again, rate in zip(
        names,
        paper.FIGURE_5.flat,
        arithmetic.regenerate_figure_5().flat,
        (right, wrong, wrong, right),
        strict=True,
    ):
        found[f"figure-5-{name}"] = _cell(
            int(printed),
            int(again),
            f"round({rate:.2f} x its row's sum)",
            f"All four cells total {paper.FIGURE_5.sum():,}, as many as all training records.",
        )
    return found


def _cell(printed: int, again: int, formula: str, more: str) -> Judgement:
    if printed != again:
        return Judgement(again, FAILS, f"{formula} gives {again:,}. {more}")
    return Judgement(again, NOTE, f"The cell equals {formula}. {more}")


def _table_1() -> dict[str, Judgement]:
    (totals,) = arithmetic.integer_solutions()
    same, found = arithmetic.regenerate(totals), {}
    for row, actual in enumerate(LESION_CODES):
        for column, predicted in enumerate(LESION_CODES):
            total, rate = totals[column], arithmetic.RATES[column]
            formula = (
                f"round({rate:.2f} x {total})"
                if row == column
                else f"round({1 - rate:.2f} x {total} / 3), as do both other cells off the "
                "diagonal of its column"
            )
            found[f"table-1-actual-{actual}-predicted-{predicted}".lower()] = _cell(
                int(paper.TABLE_1[row, column]),
                int(same[row, column]),
                formula,
                "One set of whole column totals gives all sixteen cells.",
            )
    diagonal, off = arithmetic.unrounded_column(totals[0])
    whole = "Table 1 prints the whole number; counts of tiles are whole."
    return found | {
        "figure-7-diagonal": Judgement(
            round(diagonal, 2), NOTE, f"{totals[0]} x {arithmetic.RATES[0]:.2f}. {whole}"
        ),
        "figure-7-off-diagonal": Judgement(
            round(off, 2), NOTE, f"{totals[0]} x {1 - arithmetic.RATES[0]:.2f} / 3. {whole}"
        ),
        "figure-7-total": Judgement(
            int(paper.TABLE_1.sum()), HOLDS, "The cells of Table 1 sum to it."
        ),
        "figure-7-test-data": Judgement(
            int(paper.TABLE_1.sum()),
            UNTESTABLE,
            "The sentence defines such a matrix. Table 1 totals all infected images of section "
            "III.5, and Figure 5 as many as all training records; no division into training and "
            "test is reported.",
        ),
        "methodology-second-stage": Judgement(
            int(paper.FIGURE_5[:, 1].sum()),
            FAILS,
            f"Figure 5 passes {paper.FIGURE_5[1, 1]:,} infected and {paper.FIGURE_5[0, 1]:,} "
            f"uninfected tiles; Table 1 counts all {paper.TABLE_1.sum():,} infected ones. No "
            "result of both stages together is printed.",
        ),
    }


def _table_2() -> dict[str, Judgement]:
    found = {}
    for row in arithmetic.table_2_check().reset_index().to_dict("records"):
        code, column = row["ID"], row["figure"]
        name, value = f"table-2-{column}-{code}".lower(), float(row["implied"])
        digits = ".2f" if column == "Accuracy" else ".4f"
        why, rounded = f"Table 1 gives {value:{digits}}", f"{np.floor(value * 1e3 + 0.5) / 1e3:.3f}"
        if row["rounds"]:
            found[name] = Judgement(value, HOLDS, f"{why}.")
        elif column == "Accuracy":
            found[name] = Judgement(
                value, FAILS, f"{why} % one-versus-rest. The printed value is 100 x precision."
            )
        elif row["cut"]:
            found[name] = Judgement(
                value,
                NOTE,
                f"Table 1 gives {value:.5f}: cut off after three places the printed value, "
                f"rounded {rounded}.",
            )
        else:
            found[name] = Judgement(value, FAILS, f"{why}, rounded {rounded}.")
    implied, overall = arithmetic.implied_table_2(), arithmetic.overall_accuracy(paper.TABLE_1)
    versus = (100 * implied["accuracy"]).round(2).tolist()
    sensitivity = paper.TABLE_2["Sensitivity"]
    return found | {
        "text-precision-c2": found["table-2-precision-c2"],
        "text-sensitivity-c2": found["table-2-sensitivity-c2"],
        "text-specificity-c2": found["table-2-specificity-c2"],
        "text-total-accuracy": Judgement(
            100 * overall,
            FAILS,
            f"The diagonal of Table 1 is {100 * overall:.2f} % of it, and C2 against the rest is "
            f"right for {versus[0]:.2f} %.",
        ),
        "table-2-definition": Judgement(
            versus, FAILS, "The column equals 100 x precision; Table 1 gives these accuracies."
        ),
        "table-2-higher": Judgement(
            sensitivity.tolist(),
            FAILS,
            "Precision is highest in C2 and C5. Sensitivity of C5, "
            f"{sensitivity['C5']}, is below that of C3, {sensitivity['C3']}.",
        ),
        "table-2-highest-specificity": Judgement(
            implied["specificity"].idxmax(), HOLDS, "In Table 2 and by Table 1."
        ),
        "table-2-above-90": Judgement(
            versus,
            NOTE,
            "C4 is printed as 90. One-versus-rest accuracy by Table 1 is above 90 % throughout.",
        ),
    }


def _structure() -> dict[str, Judgement]:
    mixed = "Section IV describes it for the network of Figure 3."
    return {
        "introduction-share-of-deaths": Judgement(
            round(100 / 6, 1), NOTE, "One in six is 16.7 %, which cuts off to the printed value."
        ),
        "introduction-three-sections": Judgement(6, FAILS, "The headings run from I to VI."),
        "methodology-first-stage": Judgement(
            2, HOLDS, "Figure 5 has two classes, infected and uninfected."
        ),
        "mobilenet-mri": Judgement(
            "film mammograms", FAILS, "The data set holds X-ray mammograms.", DATA
        ),
        "mobilenet-bottleneck": Judgement(
            3, HOLDS, "Expansion, depthwise 3x3 and projection, as MobileNetV2 is defined."
        ),
        "attention-query": Judgement(
            "pooled feature maps",
            FAILS,
            "Equations (2) and (6) weight the features by pooled features; no query, key or value "
            "stands in them.",
        ),
        "attention-softmax": Judgement(
            "sigmoid", FAILS, "Equations (2) and (6) print a sigmoid for the weights."
        ),
        "efficientnet-blocks": Judgement(
            "MBConv with squeeze and excitation", HOLDS, "As EfficientNet is defined."
        ),
        "discussion-scaling": Judgement(3, HOLDS, "As EfficientNet is defined."),
        "scorer-relu": Judgement(
            "SiLU", FAILS, f"EfficientNet uses SiLU (swish) and the scorer a softmax. {mixed}"
        ),
        "discussion-features": Judgement(
            None,
            UNTESTABLE,
            "Section IV gives the gate the denoised images, section V the autoencoder's features. "
            "No figure decides between them.",
        ),
        "conclusion-classes": Judgement(
            "C2 to C5", FAILS, "Abstract, Tables 1 and 2 and Figure 7 name C2 to C5."
        ),
        "conclusion-accuracies": Judgement(
            "C2 to C5", FAILS, "The abstract gives the same four percentages for C2 to C5."
        ),
    }


def _elsewhere() -> dict[str, Judgement]:
    cited = "Cited from other work; nothing printed here bears on it."
    found = {
        entry.id: Judgement(None, UNTESTABLE, cited)
        for entry in paper.REGISTER
        if entry.test == "none" and entry.where in ("I", "II")
    }
    return found | {
        "abstract-libraries": Judgement(None, UNTESTABLE, "No code is published with the paper."),
        "abstract-laptop": Judgement(
            None, UNTESTABLE, "No running time, and no log of a run, is printed."
        ),
        "dataset-link": Judgement(None, UNTESTABLE, "Nothing stands after the colon."),
        "figure-6-curves": Judgement(
            None, UNTESTABLE, "The text gives no number of an epoch, and no count of epochs."
        ),
    }


PARTS: Sequence[Callable[[], dict[str, Judgement]]] = (
    _counts, _files, _labels, _birads, _staging, _gate, _table_1, _table_2, _structure, _elsewhere,
)  # fmt: skip


def structure_table() -> pd.DataFrame:
    """Statements judged by setting the text beside itself and what it names.

    Returns:
        Indexed by id: ``claim``, ``where``, ``found``, ``verdict`` and ``why``.
    """
    found = _structure() | _staging()
    rows = [
        (f"\u201c{entry.quote}\u201d", entry.where, "\u2013" if j.recomputed is None
         else _listed(j.recomputed), j.verdict, j.why)
        for entry, j in ((paper.statement(name), j) for name, j in found.items())
    ]  # fmt: skip
    columns = ["claim", "where", "found", "verdict", "why"]
    return pd.DataFrame(rows, columns=columns, index=pd.Index(list(found), name="id"))


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def plain(value: Any) -> Any:
    """``value`` as JSON knows it: numpy scalars and arrays, and tuples, unpacked."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
