"""Figures of texture features and of the classic models on them."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from birads_lib.labels import LESION_CLASSES
from birads_lib.study.figures import PALETTE, WIDTH

HEAVIEST = 10


def heaviest_features(summary: pd.DataFrame, unit: str, count: int = HEAVIEST) -> Figure:
    """The features that weigh most, a bar each, parted by class.

    Args:
        summary: From ``texture.shap_summary``: features by class, heaviest first.
        unit: What the values move: "probability", or "margin" of XGBoost.
        count: How many features; fewer if there are fewer.
    """
    shown = summary.head(count)
    names = [name.replace("_", " ") for name in shown.index]
    figure, axis = plt.subplots(figsize=(WIDTH, 1.4 + 0.32 * len(shown)))
    left = 0.0 * shown.sum(axis=1)
    for lesion, colour in zip(LESION_CLASSES, PALETTE, strict=False):
        part = shown[lesion.code]
        axis.barh(names, part, left=left, color=colour, label=f"{lesion.code}, {lesion.title}")
        left = left + part
    axis.invert_yaxis()
    axis.set_xlabel(f"mean |SHAP|, {unit}, added over classes")
    axis.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=2, fontsize="small")
    sns.despine(figure)
    return figure
