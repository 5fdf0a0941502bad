"""What this study asks beyond the paper, by sweeps; kept apart from the paper's statements.

Each question is put as a claim that one member of a sweep is better than another, so that
it gets a verdict like a statement of the paper. Nothing is printed that it could be set
beside.
"""

from __future__ import annotations

from dataclasses import dataclass

from birads_lib.errors import one_of
from birads_lib.study.ablations import Pair

PREFIX = "study-"
"""How the id of each question begins, and that of no statement of the paper."""
ASKED = "asked by this study"
"""Stands where a statement has its place in the paper."""


@dataclass(frozen=True)
class Question:
    """A claim on members of a sweep.

    Attributes:
        id: Short name, unique, begins with ``PREFIX``.
        claim: That the first of each pair is better than the second.
        sweep: Its name.
        pairs: Names of members. The last pair that was run decides, the others stand
            beside it.
        stage: In which they are judged: ``"gate"``, ``"scorer"`` or ``"cascade"``.
        figure: By which, one of ``metrics.COMPARED``.
    """

    id: str
    claim: str
    sweep: str
    pairs: tuple[Pair, ...]
    stage: str
    figure: str


QUESTIONS: tuple[Question, ...] = (
    Question(
        "study-spatial-attention",
        "Spatial attention alone is better than none",
        "ablations", (("spatial", "none"),), "scorer", "accuracy",
    ),
    Question(
        "study-channel-attention",
        "Channel attention alone is better than none",
        "ablations", (("channel", "none"),), "scorer", "accuracy",
    ),
    Question(
        "study-equation-2-window",
        "Equation (2) pooled over a window is better than pooled over channels",
        "ablations", (("spatial-window", "spatial"), ("both-window", "both")), "scorer", "accuracy",
    ),
    Question(
        "study-two-stages",
        "Two stages are better than one network of five classes",
        "ablations", (("denoised", "five-classes"),), "cascade", "balanced_accuracy",
    ),
    Question(
        "study-type-and-pathology",
        "Two heads, for type and for pathology, are better than one head of four classes",
        "ablations", (("type-and-pathology", "both"),), "scorer", "balanced_accuracy",
    ),
    Question(
        "study-largest-efficientnet",
        "A larger EfficientNet is better than EfficientNetB0",
        "ablations",
        tuple((f"EfficientNetB{size}", "EfficientNetB0") for size in range(1, 8)),
        "scorer", "balanced_accuracy",
    ),
    Question(
        "study-plain-cnn",
        "EfficientNetB7 is better than the plain network of 8 to 128 filters",
        "related", (("EfficientNetB7", "plain-CNN"),), "scorer", "balanced_accuracy",
    ),
    Question(
        "study-preprocessing",
        "VGG16 frozen, then fine-tuned, on preprocessed tiles is better than VGG16",
        "related", (("VGG16-fine-tuned", "VGG16"),), "scorer", "balanced_accuracy",
    ),
    Question(
        "study-spatial-transformer",
        "GoogLeNet with a spatial transformer is better than GoogLeNet",
        "related", (("GoogLeNet-STN", "GoogLeNet-alone"),), "scorer", "balanced_accuracy",
    ),
    Question(
        "study-hu-moments",
        "A random forest on Hu moments is better than one on all texture features",
        "related", (("Hu-moments", "random-forest"),), "scorer", "balanced_accuracy",
    ),
    Question(
        "study-mobilenetv3",
        "MobileNetV2 is a better gate than MobileNetV3-small",
        "gates", (("MobileNetV2", "MobileNetV3Small"),), "gate", "auroc",
    ),
    Question(
        "study-efficientnet-gate",
        "MobileNetV2 is a better gate than EfficientNetB0",
        "gates", (("MobileNetV2", "EfficientNetB0"),), "gate", "auroc",
    ),
)  # fmt: skip
_BY_ID = {asked.id: asked for asked in QUESTIONS}


def question(name: str) -> Question:
    """The question of that id.

    Raises:
        UsageError: There is none.
    """
    return _BY_ID[one_of("question", name, _BY_ID)]
