"""Classic models on tables of features, and what they weigh, by SHAP.

The five of Islam et al.: decision tree, random forest, logistic regression, naive Bayes
and XGBoost. Each counts the classes alike, however many tiles they have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.class_weight import compute_sample_weight

from birads_lib.errors import DataError, UsageError, one_of
from birads_lib.labels import LESION_CLASSES, LESION_CODES

JOBS = 2  # threads that grow a forest
LEAST_IN_LEAF = 5  # tiles; three crops of one lesion alone make no leaf
TREES = 300
BOOSTING = {"n_estimators": 200, "max_depth": 4, "learning_rate": 0.1}

Floats = NDArray[np.float64]


def _decision_tree(seed: int) -> ClassifierMixin:
    return DecisionTreeClassifier(min_samples_leaf=LEAST_IN_LEAF, random_state=seed)


def _random_forest(seed: int) -> ClassifierMixin:
    return RandomForestClassifier(
        TREES, min_samples_leaf=LEAST_IN_LEAF, n_jobs=JOBS, random_state=seed
    )


def _logistic_regression(seed: int) -> ClassifierMixin:
    return LogisticRegression(max_iter=2000, random_state=seed)


def _naive_bayes(seed: int) -> ClassifierMixin:
    return GaussianNB()  # nothing in it is drawn


def _xgboost(seed: int) -> ClassifierMixin:
    from xgboost import XGBClassifier

    # One thread: its threads wait for each other by spinning, which on a busy processor took
    # twenty times as long as one alone needs for a few thousand tiles.
    return XGBClassifier(**BOOSTING, tree_method="hist", n_jobs=1, random_state=seed)


_BUILDERS: dict[str, Callable[[int], ClassifierMixin]] = {
    "decision tree": _decision_tree,
    "random forest": _random_forest,
    "logistic regression": _logistic_regression,
    "naive Bayes": _naive_bayes,
    "XGBoost": _xgboost,
}
CLASSIC_MODELS = tuple(_BUILDERS)
TREE_MODELS = ("decision tree", "random forest", "XGBoost")
SCALED_MODELS = ("logistic regression", "naive Bayes")


@dataclass(frozen=True)
class ClassicModel:
    """A fitted model.

    Attributes:
        name: One of ``CLASSIC_MODELS``.
        columns: Features it was fitted on, in their order.
        pipeline: Its steps; the last, ``"model"``, is the classifier, of classes 0 to 3.
    """

    name: str
    columns: tuple[str, ...]
    pipeline: Pipeline

    def probabilities(self, features: pd.DataFrame) -> Floats:
        """Probability of C2 to C5 in this order, float64 (N, 4), rows sum to 1.

        Raises:
            DataError: A feature is missing, or is not a finite number.
        """
        return self.pipeline.predict_proba(self.inputs(features)).astype(float)

    def inputs(self, features: pd.DataFrame) -> Floats:
        """The model's features, float64 (N, features), in the order it was fitted on."""
        missing = [name for name in self.columns if name not in features.columns]
        if missing:
            raise DataError(
                f"features: column {missing[0]!r} is missing; the {self.name} was fitted on it"
            )
        return _finite(features[list(self.columns)])


def fit_classic(name: str, features: pd.DataFrame, labels: Any, seed: int) -> ClassicModel:
    """Fit a classic model on the features of lesion tiles.

    Tiles are weighted so that each class counts as much as any other. The same arguments
    give the same model.

    Args:
        name: One of ``CLASSIC_MODELS``.
        features: One row a tile, columns of finite numbers, see ``texture_features``.
        labels: int (N,), the data set's labels 1 to 4 (C2 to C5).
        seed: Of what the model draws; 0 or more.

    Raises:
        UsageError: An unknown name; it lists the known ones.
        DataError: Labels and rows differ in number, a label is not one of 1 to 4, a class
            has no tile, or a feature is not a finite number.
    """
    one_of("classic model", name, CLASSIC_MODELS)
    classes = _lesion_classes(np.asarray(labels), len(features))
    steps = [("scale", StandardScaler())] if name in SCALED_MODELS else []
    pipeline = Pipeline([*steps, ("model", _BUILDERS[name](seed))])
    weights = compute_sample_weight("balanced", classes)
    pipeline.fit(_finite(features), classes, model__sample_weight=weights)
    if name == "random forest":
        # Threads add up their trees' votes in any order, which changes the last digit.
        pipeline.set_params(model__n_jobs=1)
    return ClassicModel(name, tuple(features.columns), pipeline)


def shap_values(model: ClassicModel, features: pd.DataFrame) -> tuple[Floats, Floats]:
    """How far each feature moved each tile's answer, by Tree SHAP (Lundberg et al. 2020).

    Args:
        model: One of ``TREE_MODELS``.
        features: One row a tile.

    Returns:
        Values, float64 (N, features, 4), and base values, float64 (4,), for C2 to C5. Base
        plus the sum over features is the model's answer for a tile: of a decision tree
        and a random forest the probability, of XGBoost the margin before the softmax.

    Raises:
        UsageError: The model has no trees.
        DataError: See ``ClassicModel.inputs``.
    """
    if model.name not in TREE_MODELS:
        raise UsageError(
            f"SHAP: the {model.name} has no trees; use one of {', '.join(TREE_MODELS)}"
        )
    import shap

    explainer = shap.TreeExplainer(model.pipeline["model"])
    values = np.asarray(explainer.shap_values(model.inputs(features)), float)
    # Of XGBoost the base values are right only once values were asked for (shap issue 4414).
    return values, np.asarray(explainer.expected_value, float)


def shap_summary(model: ClassicModel, features: pd.DataFrame) -> pd.DataFrame:
    """Mean size of each feature's SHAP values for each class, heaviest feature first.

    Args:
        model: One of ``TREE_MODELS``.
        features: The tiles to explain, one row each. A forest takes about a millisecond
            a tile and ten trees; some hundred tiles are enough for a mean.

    Returns:
        Index the features, columns C2 to C5, in the unit of ``shap_values``; ordered by
        the sum over classes.

    Raises:
        DataError: No row; or as ``shap_values``, like UsageError.
    """
    if not len(features):
        raise DataError("features: no row; give the tiles to explain")
    values, _ = shap_values(model, features)
    weight = pd.DataFrame(np.abs(values).mean(axis=0), model.columns, list(LESION_CODES))
    return weight.loc[weight.sum(axis=1).sort_values(ascending=False, kind="stable").index]


def _lesion_classes(labels: NDArray[Any], rows: int) -> NDArray[np.int64]:
    """Indices 0 to 3 of C2 to C5."""
    if labels.shape != (rows,):
        raise DataError(f"labels: {labels.shape} found; expected one a row of the {rows} features")
    known = [c.label for c in LESION_CLASSES]
    strange = ~np.isin(labels, known)
    if strange.any():
        raise DataError(
            f"labels: {labels[strange][0]} found; expected 1 to 4 (C2 to C5); leave normals out"
        )
    for c in LESION_CLASSES:
        if not (labels == c.label).any():
            raise DataError(f"labels: no tile of {c.code} ({c.title}) to learn from; give some")
    return labels.astype(np.int64) - known[0]


def _finite(features: pd.DataFrame) -> Floats:
    values = features.to_numpy(float)
    strange = ~np.isfinite(values).all(axis=0)
    if strange.any():
        raise DataError(
            f"features: column {features.columns[strange][0]!r} holds no finite number in some "
            "row; measure the tiles again"
        )
    return values
