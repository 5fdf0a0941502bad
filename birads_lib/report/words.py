"""The sentences of a report, the same in HTML and PDF."""

from __future__ import annotations

from birads_lib import metrics
from birads_lib.cascade import INTENDED_USE, NOT_INTENDED_USE
from birads_lib.labels import LESION_CLASSES
from birads_lib.report.reading import Finding, Model, Report

SHORT_NOTICE = "Research software, not a medical device."
NOTICE = (
    f"{SHORT_NOTICE} It has no approval of any kind, and no one has tested it in a clinic. "
    "Nothing in this report may be used to examine, reassure or treat anyone."
)
SIMULATED = (
    "The networks were trained on simulated tiles. They have never seen real tissue: what they "
    "say about a real picture shows how far a simulation carries, and nothing about a woman."
)
TRAINED_ON = {True: "simulated tiles", False: "real tiles", None: ""}
UNRECORDED = "not recorded"
MODEL_CARD = "book/model_card.html"
CARD_TITLE = "Model card"
CARD_LINK = "What the model is for, and what it is not for: its model card."
CARD_PLACE = (
    f"The whole model card, with every figure of merit, is the page {MODEL_CARD} of the book, "
    f"which make book builds in _build/html."
)
CARD_USES = {"It is for": INTENDED_USE, "It is not for": NOT_INTENDED_USE}
UNCHECKED = (
    "This model keeps no record of its training tiles, so nobody checked whether the picture is "
    "like them."
)
MEANING = (
    "The answers C1 to C5 are names that a paper gave to the classes of a data set. They are NOT "
    "BI-RADS categories, although they look alike.",
    "A BI-RADS category says how worried a radiologist is before a biopsy, and what should follow. "
    "A class says what kind of lesion a tile shows and what the biopsy found. A benign mass that "
    "looked suspicious is category 4; its class is C3.",
    f"C1 means normal tissue, {', '.join(f'{c.code} {c.title}' for c in LESION_CLASSES)}.",
)
BIRADS_INTRO = (
    "BI-RADS is the common language of mammogram reports. A radiologist who has read the whole "
    "mammogram ends with a number from 0 to 6. It says how likely cancer is and what should "
    "happen next. This program gives no such number. The table is here so that nobody takes C2 "
    "to C5 for one.",
    "Category 0 is neither good nor bad news: the pictures are not finished. In category 2 "
    "something was seen, and it is plainly harmless. Category 4 is very wide, and many women who "
    "have a biopsy do not have cancer. A category is a step on the way, not a diagnosis.",
    "If this is about you, ask the doctor who sent you or the unit that made your mammogram. They "
    "can read your pictures; this program cannot.",
)
STAGES = {
    "gate": "gate: probability of a lesion",
    "scorer": "scorer: probability of its answer, on tiles with a lesion",
    "cascade": "whole chain: probability of its answer C1 to C5",
}
CALIBRATION_INTRO = (
    "A probability of 0.9 need not be right nine times in ten. How far stated probabilities and "
    "shares that were right lie apart, on average, is the expected calibration error: 0 is best, "
    "1 is worst."
)


def gate(finding: Finding, model: Model) -> str:
    """What the gate said, with its threshold."""
    passed = "reaches" if finding.scores is not None else "stays under"
    return (
        f"Gate: a probability of {finding.gate:.3f} that the tile holds a lesion (the paper's word "
        f"is infected). This {passed} the threshold of {model.threshold:.3f}, the mark on the bar."
    )


def answer(finding: Finding) -> str:
    """What follows from it: the predicted class, or that nothing was scored."""
    if finding.scores is None:
        return (
            f"Answer: {finding.predicted}, {finding.title}. The gate did not let the tile through, "
            "so the four classes were not scored. That is no all-clear: a gate can miss lesions."
        )
    return (
        f"Answer: {finding.predicted}, {finding.title}, with a probability of "
        f"{finding.scores[finding.predicted]:.3f} among the four classes. It is the most probable "
        "of them, whether or not the gate was right."
    )


def attention(finding: Finding, model: Model) -> str:
    """What the attention map is, with its range, or why there is none."""
    if not model.maps:
        return "There is no attention map: this scorer has no spatial attention."
    if finding.attention is None:
        return "There is no attention map: nothing was scored."
    cells = finding.attention
    rows, columns = cells.shape
    return (
        f"The attention map A_s has {rows} x {columns} cells, with values from {cells.min():.3f} "
        f"to {cells.max():.3f} of a possible 0 to 1. Its colours, dark blue to yellow, are spread "
        "over this range, so a nearly even map looks stronger than it is. It shows where the "
        "scorer looked, not that it looked for a good reason."
    )


def alternatives(finding: Finding) -> dict[str, str]:
    """What each of a finding's pictures shows, for one who cannot see it."""
    name = finding.picture.name
    shown = {
        "tile": f"Grey mammogram tile {name} as the program read it.",
        "denoised": f"Tile {name} after the denoising network.",
    }
    if finding.attention is not None:
        across, down = _place(finding)
        shown["attention"] = (
            f"Tile {name}, denoised, under a coloured layer from dark blue to yellow. The most "
            f"attended place lies {across} % from the left and {down} % from the top."
        )
    return shown


def calibration_note(report: Report) -> str:
    """What is known of the calibration, in sentences."""
    known = report.calibration
    if not known.stages:
        return (
            f"{CALIBRATION_INTRO} For this model nothing is known about it: {known.unknown}. "
            "Do not take its probabilities for frequencies."
        )
    tiles = TRAINED_ON[report.model.simulated] or "tiles"
    return (
        f"{CALIBRATION_INTRO} It was measured on the held-out {tiles} of the model's own run, "
        f"with {100 * metrics.CONFIDENCE:.0f} % intervals. It says nothing about pictures from "
        "elsewhere."
    )


def calibration_rows(report: Report) -> list[tuple[str, str, str]]:
    """Stage, expected calibration error with its interval, and what it was measured on."""
    return [
        (
            STAGES[stage.stage],
            metrics.in_words(stage.error),
            f"{stage.tiles:,} tiles of {stage.groups:,} groups",
        )
        for stage in report.calibration.stages
    ]


def model_rows(report: Report) -> list[tuple[str, str]]:
    """Which cascade answered, name by name."""
    model = report.model
    return [
        ("Digest of the cascade", model.digest),
        ("Profile", model.profile or UNRECORDED),
        ("Trained on", TRAINED_ON[model.simulated] or UNRECORDED),
        ("Digest of the training data", model.data or UNRECORDED),
        ("Threshold of the gate", f"{model.threshold:.3f}"),
        ("Folder", model.folder),
        ("Run by", model.engine),
    ]


def title(report: Report) -> str:
    """What the report is called."""
    count = len(report.findings)
    return f"Report on {report.findings[0].picture.name if count == 1 else f'{count} pictures'}"


def made_on(report: Report) -> str:
    """When and by what it was made."""
    day = report.created
    return f"Made on {day.day} {day:%B %Y, %H:%M} UTC by birads-lib {report.version}."


def warnings(finding: Finding, model: Model) -> list[str]:
    """How the picture is unlike the training tiles, or that nobody looked."""
    return [*finding.remarks, *([] if model.knows_its_tiles else [UNCHECKED])]


def warnings_title(finding: Finding) -> str:
    """What stands over them."""
    return "This picture is unlike the training tiles" if finding.remarks else "Not checked"


def _place(finding: Finding) -> tuple[int, int]:
    """Middle of the most attended cell, per cent from the left and from the top."""
    cells = finding.attention
    assert cells is not None
    row, column = divmod(int(cells.argmax()), cells.shape[1])
    across, down = (column + 0.5) / cells.shape[1], (row + 0.5) / cells.shape[0]
    return round(100 * across), round(100 * down)
