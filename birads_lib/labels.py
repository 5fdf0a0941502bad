"""The class table: what labels 0 to 4 of the data set are, and what BI-RADS is.

The paper calls the data set's labels "C1" to "C5" and reads C2 to C5 as
BI-RADS categories (section III.5). In the data set they are lesion type times
pathology. Both names are kept here, so that no other place has to know.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TileClass:
    """One class of tiles.

    Attributes:
        label: Integer in the data files, 0 to 4.
        code: The paper's name, ``"C1"`` to ``"C5"``.
        lesion: ``"none"``, ``"calcification"`` or ``"mass"``.
        pathology: ``"normal"``, ``"benign"`` or ``"malignant"``.
    """

    label: int
    code: str
    lesion: str
    pathology: str

    @property
    def title(self) -> str:
        """Plain name, such as ``"benign mass"``; ``"normal"`` for label 0."""
        return "normal" if self.label == 0 else f"{self.pathology} {self.lesion}"


CLASSES = (
    TileClass(0, "C1", "none", "normal"),
    TileClass(1, "C2", "calcification", "benign"),
    TileClass(2, "C3", "mass", "benign"),
    TileClass(3, "C4", "calcification", "malignant"),
    TileClass(4, "C5", "mass", "malignant"),
)

CODES = tuple(c.code for c in CLASSES)
TITLES = tuple(c.title for c in CLASSES)
LESION_CLASSES = CLASSES[1:]
LESION_CODES = CODES[1:]
GATE_NAMES = ("uninfected", "infected")
"""The paper's names for the two answers of the gate (Figure 5)."""


@dataclass(frozen=True)
class BiradsCategory:
    """One BI-RADS assessment category as the ACR's atlas (5th edition) states it.

    Attributes:
        category: 0 to 6.
        meaning: The atlas's short name.
        likelihood: Stated likelihood of malignancy, in words.
        advice: What usually follows.
        bounds: The same as shares 0..1, least and greatest; ``None`` where none is stated.
            Whether an end belongs to the range is in the words.
    """

    category: int
    meaning: str
    likelihood: str
    advice: str
    bounds: tuple[float, float] | None = None


BIRADS = (
    BiradsCategory(0, "incomplete", "not stated", "further images or earlier ones to compare"),
    BiradsCategory(1, "negative", "essentially 0 %", "routine screening", (0.0, 0.0)),
    BiradsCategory(2, "benign", "essentially 0 %", "routine screening", (0.0, 0.0)),
    BiradsCategory(
        3, "probably benign", "over 0 % to 2 %", "follow-up after a short interval", (0.0, 0.02)
    ),
    BiradsCategory(4, "suspicious", "over 2 % and under 95 %", "tissue diagnosis", (0.02, 0.95)),
    BiradsCategory(
        5, "highly suggestive of malignancy", "95 % or more", "tissue diagnosis", (0.95, 1.0)
    ),
    BiradsCategory(6, "known malignancy, proven by biopsy", "not applicable", "treatment"),
)

GRADED = (2, 3, 4, 5)
"""The categories that are steps of one scale and that lesions get: 0 says "incomplete",
1 that there is nothing, 6 that the answer is known."""
