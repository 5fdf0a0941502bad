"""What the paper prints, as data. Every number here stands in the paper; none is ours.

A. K. Flayeh and A. Douik, "Categorizing and Determining of BI-RAD Breast Cancer
Score by Using Deep Learning Techniques".
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from birads_lib.labels import GATE_NAMES, LESION_CODES

TITLE = (
    "Categorizing and Determining of BI-RAD Breast Cancer Score by Using Deep Learning Techniques"
)

FIGURE_5 = np.array([[46700, 1946], [290, 6949]])
"""Confusion matrix of the gate; rows actual, columns predicted; uninfected, infected."""

TABLE_1 = np.array(
    [
        [1921, 51, 49, 42],
        [48, 1752, 49, 42],
        [48, 51, 1329, 42],
        [48, 51, 49, 1667],
    ]
)
"""Table 1, the counts of Figure 7; rows actual C2..C5, columns predicted C2..C5."""

TABLE_2 = pd.DataFrame(
    {
        "Precision": [0.93, 0.92, 0.90, 0.93],
        "Sensitivity": [0.931, 0.926, 0.904, 0.918],
        "Specificity": [0.972, 0.972, 0.974, 0.977],
        "Accuracy": [93, 92, 90, 93],
    },
    index=pd.Index(LESION_CODES, name="ID"),
)
"""Table 2; the last column is in percent."""

GATE_TEXT = {"precision": 0.781, "sensitivity": 0.960, "specificity": 0.960}
"""Figures of merit of the gate in section IV."""

TRAINING_SAMPLES = {"abstract": 55_890, "methodology": 55_885}
UNINFECTED, INFECTED = 48_646, 7_239  # section III.5
SHARES = {"negative": 0.86, "positive": 0.14}  # abstract and section III.5
ATTENTION_GAIN = (1.5, 2.5)  # percentage points, section VI
SCORER_PARAMETERS = 66_000_000  # "around 66 million", section IV
SCORER_INPUT = (200, 150, 3)  # section IV
PLAIN_FILTERS = (8, 16, 32, 64, 128)  # section IV


def table_1() -> pd.DataFrame:
    """Table 1 in the paper's layout."""
    return confusion_table(TABLE_1)


def confusion_table(matrix: np.ndarray) -> pd.DataFrame:
    """A confusion matrix over C2..C5 in the layout of Table 1."""
    return pd.DataFrame(
        matrix,
        index=pd.Index([f"Actual {code}" for code in LESION_CODES], name="ID"),
        columns=[f"Predicted {code}" for code in LESION_CODES],
    )


def figure_5() -> pd.DataFrame:
    """Figure 5 as a table: rows actual, columns predicted."""
    return pd.DataFrame(FIGURE_5, index=list(GATE_NAMES), columns=list(GATE_NAMES))
