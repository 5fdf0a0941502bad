"""From stored predictions to every figure of merit, each with a 95 % interval.

A prediction is a row of a table with the columns of ``PREDICTION_COLUMNS``. All
numbers of the study are computed from such rows, so they can be recomputed
without a network. Intervals come from a bootstrap over groups (patients or
scans where known): whole groups are drawn with replacement, because tiles of
one woman are not independent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix as sk_confusion_matrix

from birads_lib.agreement import KAPPAS, kappas
from birads_lib.errors import DataError, one_of
from birads_lib.labels import BIRADS, CLASSES, CODES, GATE_NAMES, GRADED, LESION_CODES

PREDICTION_COLUMNS = (
    "tile", "group", "split", "label", "stage", "protocol", "seed", "model", "threshold",
    "gate", *LESION_CODES,
)  # fmt: skip
"""``stage`` one of ``STAGES``; ``gate`` probability of infected, 0..1; C2 to C5
probabilities, NaN where the scorer did not run; ``model`` digest of the weights."""
STAGES = ("gate", "scorer", "cascade", "birads")
CLASS_NAMES = {
    "gate": GATE_NAMES,
    "scorer": LESION_CODES,
    "cascade": CODES,
    "birads": tuple(f"BI-RADS {k}" for k in GRADED),
}
GRADE_SCORES = tuple(f"birads_{k}" for k in GRADED)
BIRADS_COLUMNS = (*PREDICTION_COLUMNS, "assessment", *GRADE_SCORES)
"""Of the stage ``"birads"``: the radiologist's category 2 to 5, or the one drawn for a
simulated tile, and the probability of each; C2 to C5 are the class scorer's, of the same tile."""
MALIGNANT = [c.code for c in CLASSES if c.pathology == "malignant"]
FEWEST_GROUPS = 10  # below this the bootstrap's interval of a share says nothing
REPLICATES = 2000
CONFIDENCE = 0.95
BINS = 15
CHUNK = 2  # replicates whose ranks are summed at a time; few, so that they fit the cache
COMPARED = ("accuracy", "balanced_accuracy", "auroc")
"""Figures by which trainings are compared; AUROC of more than two classes is their mean."""

ABBREVIATIONS = {"auroc": "AUROC", "auprc": "AUPRC"}

Floats = NDArray[np.float64]


def confusion_matrix(actual: Any, predicted: Any, classes: int) -> NDArray[np.int64]:
    """Counts, int64 (classes, classes): rows actual, columns predicted, as in the paper."""
    return sk_confusion_matrix(actual, predicted, labels=np.arange(classes)).astype(np.int64)


def class_figures(matrix: Any) -> pd.DataFrame:
    """Precision, sensitivity, specificity and one-versus-rest accuracy of each class.

    Args:
        matrix: Counts (..., K, K), rows actual, columns predicted.

    Returns:
        For one matrix, a DataFrame of K rows with float columns ``precision``,
        ``sensitivity``, ``specificity``, ``accuracy`` in 0..1, NaN where a denominator
        is zero. As the paper defines them in sections IV and its Table 2, except that
        its column "Accuracy" is 100 times its precision.
    """
    return pd.DataFrame(_class_figures(np.asarray(matrix, float)))


def overall_figures(matrix: Any) -> dict[str, float]:
    """Share correct (``accuracy``) and mean sensitivity (``balanced_accuracy``), 0..1."""
    return {k: float(v) for k, v in _overall_figures(np.asarray(matrix, float)).items()}


def predicted_class(predictions: pd.DataFrame, stage: str) -> NDArray[np.int64]:
    """Class index of each row: 0/1 (gate), 0..3 (scorer, C2..C5), 0..4 (cascade), 0..3 (birads).

    Of BI-RADS it is the median of the row's probabilities, the rule of its network.
    """
    if one_of("stage", stage, STAGES) == "birads":
        reached = 1 - predictions[list(GRADE_SCORES)].to_numpy(float).cumsum(axis=1)
        return (reached[:, :-1] > 0.5).sum(axis=1)
    passed = (predictions["gate"] >= predictions["threshold"]).to_numpy()
    if stage == "gate":
        return passed.astype(np.int64)
    scores = predictions[list(LESION_CODES)].to_numpy(float)
    best = np.nan_to_num(scores, nan=-1.0).argmax(axis=1)
    return best if stage == "scorer" else np.where(passed, best + 1, 0)


def actual_class(predictions: pd.DataFrame, stage: str) -> NDArray[np.int64]:
    """True class index of each row, numbered as ``predicted_class`` does."""
    if one_of("stage", stage, STAGES) == "birads":
        return predictions["assessment"].to_numpy(np.int64) - GRADED[0]
    label = predictions["label"].to_numpy(np.int64)
    if stage == "gate":
        return (label > 0).astype(np.int64)
    return label - 1 if stage == "scorer" else label


def class_scores(predictions: pd.DataFrame, stage: str) -> Floats:
    """Score of each class, float (N, classes), 0..1.

    Of the cascade: 1 - gate for C1, gate times score for C2 to C5; a tile that the
    gate stops has 0 there, since nothing scored it.
    """
    if one_of("stage", stage, STAGES) == "birads":
        return predictions[list(GRADE_SCORES)].to_numpy(float)
    gate = predictions["gate"].to_numpy(float)[:, np.newaxis]
    if stage == "gate":
        return np.hstack([1 - gate, gate])
    scores = np.nan_to_num(predictions[list(LESION_CODES)].to_numpy(float))
    return scores if stage == "scorer" else np.hstack([1 - gate, gate * scores])


def evaluate(
    predictions: pd.DataFrame,
    stage: str,
    replicates: int = REPLICATES,
    seed: int = 0,
    absent: bool = False,
) -> dict[str, Any]:
    """Every figure of merit of one stage, with intervals.

    Args:
        predictions: Rows with ``PREDICTION_COLUMNS`` (``BIRADS_COLUMNS``), of one stage,
            protocol and seed.
        stage: ``"gate"``, ``"scorer"``, ``"cascade"`` or ``"birads"``.
        replicates: Bootstrap replicates.
        seed: Of the bootstrap.
        absent: Whether a class may have no tile, as in a small set from elsewhere; the
            figures that need it are then not defined.

    Returns:
        ``tiles``, ``groups``, ``classes``, ``confusion_matrix``, and ``per_class`` (by
        class name) and ``overall`` with each figure as ``{"value", "interval"}``;
        ``None`` where a figure is not defined. Of BI-RADS, ``overall`` has Cohen's
        ``kappa``, ``linear_kappa`` and ``quadratic_kappa`` too.

    Raises:
        DataError: See ``check_predictions``; or a class has no tile and ``absent`` is false
            (of BI-RADS a small set may always lack a category).
    """
    check_predictions(predictions, stage)
    names = CLASS_NAMES[stage]
    actual, predicted = actual_class(predictions, stage), predicted_class(predictions, stage)
    counts = np.bincount(actual, minlength=len(names))
    if counts.min() == 0 and not (absent or stage == "birads"):
        raise DataError(f"predictions: no tile of class {names[int(counts.argmin())]} to judge by")
    scores = class_scores(predictions, stage)
    group = pd.factorize(predictions["group"])[0]
    draws = _draw_groups(group.max() + 1, replicates, seed)

    matrices = _matrices(actual, predicted, len(names), group, draws)
    per_class = _class_figures(matrices)
    ranked = [_ranking(scores[:, k], actual == k, group, draws) for k in range(len(names))]
    for name, column in (("auroc", 0), ("auprc", 1)):
        per_class[name] = np.stack([values[column] for values in ranked], axis=-1)
    overall = _overall_figures(matrices)
    for name in ("auroc", "auprc"):
        overall[name] = per_class[name][:, 1] if stage == "gate" else per_class[name].mean(axis=1)
    if stage == "birads":
        overall |= {name: kappas(matrices, power) for name, power in KAPPAS.items()}
    overall["expected_calibration_error"] = _calibration_error(
        scores, actual, predicted, stage, group, draws
    )
    return {
        "tiles": len(predictions),
        "groups": int(group.max() + 1),
        "classes": list(names),
        "confusion_matrix": matrices[0].astype(int).tolist(),
        "per_class": {
            name: {figure: _stated(v[:, k]) for figure, v in per_class.items()}
            for k, name in enumerate(names)
        },
        "overall": {figure: _stated(v) for figure, v in overall.items()},
    }


def summarise(predictions: pd.DataFrame, replicates: int = REPLICATES) -> list[dict[str, Any]]:
    """``evaluate`` for each stage, protocol, split and seed in a table of predictions.

    A class may be absent.
    """
    keys = ["stage", "protocol", "split", "seed"]
    records = []
    for _, rows in predictions.groupby(keys, sort=True):
        facts = {key: _plain(rows[key].iloc[0]) for key in keys}
        records.append({**facts, **evaluate(rows, facts["stage"], replicates, absent=True)})
    return records


def columns_of(stage: str) -> tuple[str, ...]:
    """Columns that a stage's table of predictions has."""
    return BIRADS_COLUMNS if one_of("stage", stage, STAGES) == "birads" else PREDICTION_COLUMNS


def check_predictions(predictions: pd.DataFrame, stage: str) -> None:
    """Refuse a table of predictions that a stage cannot be judged by.

    Raises:
        DataError: A column is missing, there are no rows, a tile stands twice, its label
            is not one that the stage knows, or its probability is missing.
    """
    missing = set(columns_of(stage)) - set(predictions.columns)
    if missing:
        raise DataError(f"predictions: columns missing: {', '.join(sorted(missing))}")
    if not len(predictions):
        raise DataError("predictions: no rows")
    needed = {"scorer": LESION_CODES, "birads": (*LESION_CODES, *GRADE_SCORES)}
    scores = list(needed.get(stage, ("gate",)))
    lowest = 1 if stage in needed else 0
    wrong = {
        "stands twice; keep one row a tile": predictions["tile"].duplicated(),
        f"has a label the {stage} does not know": ~predictions["label"].between(lowest, 4),
        f"has no probability of the {stage}": predictions[scores].isna().any(axis=1),
    }
    if stage == "birads":
        wrong["has no assessment from 2 to 5"] = ~predictions["assessment"].isin(GRADED)
    for what, rows in wrong.items():
        if rows.any():
            raise DataError(f"predictions: tile {predictions.loc[rows, 'tile'].iloc[0]} {what}")


def check_complete(predictions: pd.DataFrame, tiles: Iterable[str]) -> None:
    """Refuse a table of predictions that is not of exactly these tiles, each once.

    Raises:
        DataError: A tile is missing, stands twice or is not one of them.
    """
    expected, found = pd.Index(list(tiles)), pd.Index(predictions["tile"])
    for what, odd in (
        ("stands twice; keep one row a tile", found[found.duplicated()]),
        ("is missing; predict every held-out tile", expected.difference(found)),
        ("is not one to be judged; drop it", found.difference(expected)),
    ):
        if len(odd):
            raise DataError(f"predictions: tile {odd[0]} {what}")


def mean_over_seeds(
    tables: Sequence[pd.DataFrame], figure: str, replicates: int = REPLICATES, seed: int = 0
) -> dict[str, Any]:
    """A figure of one way of training, over its seeds.

    Args:
        tables: Predictions of the same tiles in one stage, a table a seed.
        figure: One of ``COMPARED``.
        replicates: Bootstrap replicates; each draws groups, and seeds, with replacement.
        seed: Of the bootstrap.

    Returns:
        ``{"value", "interval"}``: the mean over seeds. Of one seed the interval holds the
        doubt about tiles alone, and none about training.

    Raises:
        DataError: As ``paired_difference``.
    """
    (values,) = _over_seeds([tables], figure, replicates, seed)
    return _defined(values, figure)


def paired_difference(
    first: Sequence[pd.DataFrame],
    second: Sequence[pd.DataFrame],
    figure: str,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Any]:
    """By how much a figure of one way of training exceeds that of another, on the same tiles.

    Each bootstrap replicate draws groups with replacement, the same for both, since the
    tiles are the same; and seeds with replacement, the same for both where they have
    equally many, else each its own. Identical tables differ by exactly 0.

    Args:
        first, second: Predictions of one stage, a table a seed, rows in any order.
        figure: One of ``COMPARED``.
        replicates: Bootstrap replicates.
        seed: Of the bootstrap.

    Returns:
        ``{"value", "interval"}``: mean over seeds of the first less that of the second.

    Raises:
        UsageError: Another figure.
        DataError: No table, tables of different tiles or stages, or the figure is not
            defined because a class has no tile.
    """
    values = _over_seeds([first, second], figure, replicates, seed)
    return _defined(values[0] - values[1], figure)


def difference_of_sets(
    first: pd.DataFrame,
    second: pd.DataFrame,
    figure: str,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Any]:
    """By how much a figure on one set of tiles exceeds that on another.

    Each bootstrap replicate draws the groups of both sets together, so tiles of one group
    on both sides stay together.

    Args:
        first, second: Predictions of one stage, of different tiles.
        figure: One of ``COMPARED``.
        replicates: Bootstrap replicates.
        seed: Of the bootstrap.

    Returns:
        ``{"value", "interval"}``: the figure of the first less that of the second.

    Raises:
        UsageError: Another figure.
        DataError: Tables of different stages, see ``check_predictions``, or the figure is
            not defined because a class has no tile.
    """
    one_of("figure", figure, COMPARED)
    stage = _one_stage(first, second)
    groups = pd.concat([first["group"], second["group"]]).unique()
    draws = _draw_groups(len(groups), replicates, seed)
    values = []
    for table in (first, second):
        check_predictions(table, stage)
        group, own = pd.factorize(table["group"])
        columns = pd.Index(groups).get_indexer(own)
        values.append(_figure_drawn(table, figure, group, draws[:, columns]))
    return _defined(values[0] - values[1], figure)


def mcnemar(first: pd.DataFrame, second: pd.DataFrame, stage: str) -> dict[str, float]:
    """McNemar's exact test of two classifiers on the same tiles, taken as independent.

    Args:
        first, second: Predictions of the same tiles, in any order.
        stage: ``"gate"``, ``"scorer"`` or ``"cascade"``.

    Returns:
        ``only_first`` and ``only_second``: tiles that only the one got right; ``p``.

    Raises:
        DataError: A table is not one of the stage's predictions (see ``check_predictions``),
            or they are not of the same tiles.
    """
    from statsmodels.stats.contingency_tables import mcnemar as exact_mcnemar

    check_predictions(first, stage)
    first = first.sort_values("tile", ignore_index=True)
    second = _like(first, second)
    right = [predicted_class(t, stage) == actual_class(t, stage) for t in (first, second)]
    only_first, only_second = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    test = exact_mcnemar([[0, only_first], [only_second, 0]], exact=True)
    return {"only_first": only_first, "only_second": only_second, "p": float(test.pvalue)}


def precision_at(
    share: float, sensitivity: dict[str, Any], specificity: dict[str, Any]
) -> dict[str, Any] | None:
    """Precision where a share of the tiles is positive, by Bayes' rule.

    Args:
        share: Of positives among all tiles, 0 to 1.
        sensitivity, specificity: Figures of ``evaluate``, measured at whatever share.

    Returns:
        A figure without interval; ``None`` where no tile would be called positive.
    """
    hits = share * sensitivity["value"]
    called = hits + (1 - share) * (1 - specificity["value"])
    return {"value": float(hits / called), "interval": None} if called else None


def peak_signal_to_noise(images: Any, truth: Any) -> Floats:
    """Peak signal-to-noise ratio of each tile in decibels, float (N,); peak 255.

    Args:
        images: uint8 (N, H, W).
        truth: The same without noise. A perfect tile counts as 99 dB.
    """
    error = np.square(np.asarray(images, np.float32) - truth).mean(axis=(1, 2))
    return np.minimum(10 * np.log10(255.0**2 / np.maximum(error, 1e-9)), 99.0)


def mean_with_interval(
    values: Any, groups: Any, replicates: int = REPLICATES, seed: int = 0
) -> dict[str, Any]:
    """Mean of ``values`` (N,) with the 95 % interval of a bootstrap over ``groups`` (N,)."""
    group = pd.factorize(np.asarray(groups))[0]
    sums = _sum_by_group(group, np.stack([values, np.ones(len(values))], axis=1))
    draws = _draw_groups(len(sums), replicates, seed)
    totals = np.concatenate([sums.sum(0)[np.newaxis], draws @ sums])
    stated = _stated(totals[:, 0] / totals[:, 1])
    assert stated is not None
    return stated


def agreement(
    actual: Any,
    predicted: Any,
    groups: Any,
    classes: int = len(GRADED),
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Any]:
    """How far answers agree with ordered categories, whoever gave them.

    Args:
        actual, predicted: int (N,), indices 0 to ``classes - 1``.
        groups: (N,), for the intervals.
        classes: Number of categories.
        replicates: Bootstrap replicates.
        seed: Of the bootstrap.

    Returns:
        ``accuracy``, ``kappa``, ``linear_kappa`` and ``quadratic_kappa``, each as
        ``{"value", "interval"}``; ``None`` where it is not defined.
    """
    group = pd.factorize(np.asarray(groups))[0]
    draws = _draw_groups(group.max() + 1, replicates, seed)
    matrices = _matrices(np.asarray(actual), np.asarray(predicted), classes, group, draws)
    values = {"accuracy": _overall_figures(matrices)["accuracy"]}
    values |= {name: kappas(matrices, power) for name, power in KAPPAS.items()}
    return {name: _stated(v) for name, v in values.items()}


def malignancy_by_grade(predictions: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Observed and stated malignancy of the tiles to which each category was given.

    Args:
        predictions: Of the stage ``"birads"``.

    Returns:
        By category ``"2"`` to ``"5"``: ``tiles``, ``groups``, ``malignant`` (tiles),
        ``rate`` (share malignant, see ``share_with_interval``), ``stated`` (mean of the
        class scorer's P(C4) + P(C5), with its interval), ``acr`` (the ACR's range in
        words) and ``acr_bounds`` (as shares). ``rate`` and ``stated`` are ``None`` where
        no tile was given that category.
    """
    given = predicted_class(predictions, "birads") + GRADED[0]
    return {str(grade): _malignancy(predictions[given == grade], grade) for grade in GRADED}


def _malignancy(rows: pd.DataFrame, grade: int) -> dict[str, Any]:
    known = rows["label"].isin([CODES.index(code) for code in MALIGNANT]).to_numpy(float)
    probability, groups = rows[MALIGNANT].sum(axis=1).to_numpy(), rows["group"]
    bounds = BIRADS[grade].bounds
    return {
        "tiles": len(rows),
        "groups": int(groups.nunique()),
        "malignant": int(known.sum()),
        "rate": share_with_interval(known, groups) if len(rows) else None,
        "stated": mean_with_interval(probability, groups) if len(rows) else None,
        "acr": BIRADS[grade].likelihood,
        "acr_bounds": None if bounds is None else list(bounds),
    }


def share_with_interval(right: Any, groups: Any) -> dict[str, Any]:
    """Share of ``right`` (N,), 0 or 1 each, with an interval that few groups cannot fool.

    Where all rows agree every resampling does too, and a bootstrap would claim certainty;
    there the exact interval stands (Clopper and Pearson 1934), with groups as the
    trials. Else it is the bootstrap's, or ``None`` under ``FEWEST_GROUPS`` groups.
    """
    right, count = np.asarray(right, float), len(set(groups))
    if (right == right[0]).all():
        reach = ((1 - CONFIDENCE) / 2) ** (1 / count)
        interval = [reach, 1.0] if right[0] else [0.0, 1 - reach]
        return {"value": float(right[0]), "interval": interval}
    stated = mean_with_interval(right, groups)
    return stated if count >= FEWEST_GROUPS else {**stated, "interval": None}


def shares_by_third(right: Any, value: Any, groups: Any) -> pd.DataFrame:
    """How often something is right in the low, middle and high third of a value.

    Args:
        right: bool (N,).
        value: float (N,); its terciles divide the rows.
        groups: (N,), for the intervals.

    Returns:
        Three rows, columns ``from``, ``to``, ``tiles`` and ``share`` (a figure with its
        95 % interval, in words).
    """
    value, right, groups = np.asarray(value), np.asarray(right, float), np.asarray(groups)
    cuts = np.quantile(value, [0, 1 / 3, 2 / 3, 1])
    third = np.digitize(value, cuts[1:3])
    rows = {}
    for index, name in enumerate(("low", "middle", "high")):
        inside = third == index
        share = in_words(mean_with_interval(right[inside], groups[inside])) if inside.any() else ""
        rows[name] = {
            "from": cuts[index],
            "to": cuts[index + 1],
            "tiles": inside.sum(),
            "share": share,
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def figure_title(name: str) -> str:
    """A figure of merit's name for a reader: ``auroc`` is AUROC, others lose their ``_``."""
    return ABBREVIATIONS.get(name, name.replace("_", " "))


def in_words(figure: dict[str, Any] | None, form: str = ".3f") -> str:
    """A figure with its interval for a sentence: ``"0.912 (0.890 to 0.931)"``."""
    if figure is None:
        return "not defined"
    form = f"+z{form[1:]}" if form[0] == "+" else f"z{form}"  # no "-0.000"
    value = format(figure["value"], form)
    if figure["interval"] is None:
        return value
    low, high = (format(bound, form) for bound in figure["interval"])
    return f"{value} ({low} to {high})"


def intervals_in_words(scores: dict[str, Any]) -> str:
    """What the intervals of ``evaluate`` are, for a caption: by group, or only by tile."""
    if scores["groups"] < scores["tiles"]:
        return "95 % intervals by group"
    return (
        "95 % intervals by tile (the set does not say which of these tiles show one woman, so "
        "they are too narrow)"
    )


def _matrices(
    actual: NDArray[np.int64],
    predicted: NDArray[np.int64],
    classes: int,
    group: NDArray[np.int64],
    draws: Floats,
) -> Floats:
    """Confusion matrices, the data's own first, then each replicate's: (1 + R, K, K)."""
    cells = _sum_by_group(group, np.eye(classes**2)[actual * classes + predicted])
    totals = np.concatenate([cells.sum(0)[np.newaxis], draws @ cells])
    return totals.reshape(-1, classes, classes)


def _class_figures(matrices: Floats) -> dict[str, Floats]:
    total = matrices.sum((-2, -1))[..., np.newaxis]
    hits = np.diagonal(matrices, axis1=-2, axis2=-1)
    actual, predicted = matrices.sum(-1), matrices.sum(-2)
    rejected = total - actual - predicted + hits
    return {
        "precision": _ratio(hits, predicted),
        "sensitivity": _ratio(hits, actual),
        "specificity": _ratio(rejected, total - actual),
        "accuracy": _ratio(hits + rejected, total),
    }


def _overall_figures(matrices: Floats) -> dict[str, Floats]:
    hits = np.diagonal(matrices, axis1=-2, axis2=-1)
    return {
        "accuracy": _ratio(hits.sum(-1), matrices.sum((-2, -1))),
        "balanced_accuracy": _ratio(hits, matrices.sum(-1)).mean(axis=-1),
    }


def _ratio(part: Floats, whole: Floats) -> Floats:
    part, whole = np.broadcast_arrays(part, whole)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def _draw_groups(groups: int, replicates: int, seed: int) -> Floats:
    """How often each group is drawn, float (replicates, groups)."""
    rng = np.random.default_rng(seed)
    draws = np.empty((replicates, groups))
    for row in draws:
        row[:] = rng.multinomial(groups, np.full(groups, 1 / groups))
    return draws


def _sum_by_group(group: NDArray[np.int64], values: Floats) -> Floats:
    """Rows of ``values`` (N, ...) summed within each group: (groups, ...)."""
    sums = np.zeros((group.max() + 1, *values.shape[1:]))
    np.add.at(sums, group, values)
    return sums


def _ranking(
    score: Floats, positive: NDArray[np.bool_], group: NDArray[np.int64], draws: Floats
) -> tuple[Floats, Floats]:
    """AUROC and average precision, the data's own first, then each replicate's.

    NaN where there is no positive.
    """
    if not positive.any():
        return np.full(len(draws) + 1, np.nan), np.full(len(draws) + 1, np.nan)
    order = np.argsort(-score, kind="stable")
    ranks = _Ranks(score[order], positive[order])
    own = np.ones((1, draws.shape[1]))
    chunks = [own, *(draws[start : start + CHUNK] for start in range(0, len(draws), CHUNK))]
    drawn = group[order]
    areas = [ranks.areas(chunk.astype(np.int32), drawn) for chunk in chunks]
    roc, precision = zip(*areas, strict=True)
    return np.concatenate(roc), np.concatenate(precision)


class _Ranks:
    """Rows by falling score, positives marked; areas under curves for many weightings.

    Only tie groups that hold a positive add to either area, so sums are read there alone.
    Weights are whole numbers: their sums are exact, and quicker than those of floats.
    """

    def __init__(self, score: Floats, positive: NDArray[np.bool_]):
        ends = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)
        starts = np.append(0, ends[:-1] + 1)
        hits = np.flatnonzero(positive)
        tie = np.unique(np.searchsorted(ends, hits))
        self.hits, self.starts, self.ends = hits, starts[tie], ends[tie]
        self.hits_through = np.searchsorted(hits, self.ends, side="right")
        # Made once: new memory for each chunk costs more than the sums.
        self.weight = np.empty((CHUNK, len(score)), np.int32)
        self.called = np.zeros((CHUNK, len(score) + 1), np.int32)

    def areas(self, draws: NDArray[np.int32], group: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """AUROC and average precision, two float (R,).

        Args:
            draws: How often each group counts (R, G); R is at most ``CHUNK``.
            group: Of each row (N,), 0..G - 1.
        """
        weight, called = self.weight[: len(draws)], self.called[: len(draws)]
        draws.take(group, axis=1, out=weight, mode="clip")  # other modes copy what they give
        np.cumsum(weight, axis=1, dtype=np.int32, out=called[:, 1:])
        hit = np.cumsum(weight.take(self.hits, axis=1), axis=1, dtype=np.int32)
        if len(self.ends) < len(self.hits):
            hit = hit.take(self.hits_through - 1, axis=1)
        new = np.diff(hit, axis=1, prepend=np.int32(0))
        through = called.take(self.ends + 1, axis=1)
        above = called.take(self.starts, axis=1) - (hit - new)
        alarms = called[:, -1:] - hit[:, -1:]
        beaten = (alarms - above) + (alarms - (through - hit))  # twice; tied negatives count once
        pairs = hit[:, -1].astype(np.float64) * alarms[:, 0]
        roc = _ratio(np.multiply(new, beaten, dtype=np.float64).sum(1), 2 * pairs)
        precision = hit / np.maximum(through, 1)
        return roc, _ratio((new * precision).sum(1), hit[:, -1].astype(np.float64))


def _over_seeds(
    sides: Sequence[Sequence[pd.DataFrame]], figure: str, replicates: int, seed: int
) -> list[Floats]:
    """Mean over seeds of a figure of each side, the data's own, then each replicate's (1 + R,)."""
    one_of("figure", figure, COMPARED)
    if not all(len(tables) for tables in sides):
        raise DataError("predictions: no table to compare; give one for each seed")
    reference = sides[0][0].sort_values("tile", ignore_index=True)
    group = pd.factorize(reference["group"])[0]
    draws = _draw_groups(group.max() + 1, replicates, seed)
    rng = np.random.default_rng([seed, 1])
    picks: dict[int, NDArray[np.int64]] = {}
    means = []
    for tables in sides:
        ordered = [_like(reference, table) for table in tables]
        values = np.stack([_figure_drawn(table, figure, group, draws) for table in ordered])
        count = len(values)
        pick = picks.setdefault(count, rng.integers(count, size=(replicates, count)))
        drawn = values[pick, np.arange(1, replicates + 1)[:, np.newaxis]].mean(axis=1)
        means.append(np.append(values[:, 0].mean(), drawn))
    return means


def _like(reference: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """A table's rows in the order of a reference of the same tiles and stage."""
    check_predictions(table, _one_stage(reference, table))
    ordered = table.sort_values("tile", ignore_index=True)
    if not ordered[["tile", "label", "group"]].equals(reference[["tile", "label", "group"]]):
        raise DataError("predictions: two tables of different tiles cannot be compared")
    return ordered


def _one_stage(*tables: pd.DataFrame) -> str:
    """The stage that tables are all of."""
    stages = {stage for table in tables for stage in table["stage"]}
    if len(stages) > 1:
        raise DataError(f"predictions: stages {', '.join(sorted(stages))} cannot be compared")
    return str(next(iter(stages)))


def _figure_drawn(
    table: pd.DataFrame, figure: str, group: NDArray[np.int64], draws: Floats
) -> Floats:
    """One figure of one table, the data's own, then each replicate's: (1 + R,)."""
    stage = table["stage"].iloc[0]
    actual, classes = actual_class(table, stage), len(CLASS_NAMES[stage])
    if figure == "auroc":
        scores = class_scores(table, stage)
        ranked = [1] if stage == "gate" else range(classes)
        return np.mean([_ranking(scores[:, k], actual == k, group, draws)[0] for k in ranked], 0)
    matrices = _matrices(actual, predicted_class(table, stage), classes, group, draws)
    return _overall_figures(matrices)[figure]


def _calibration_error(
    scores: Floats,
    actual: NDArray[np.int64],
    predicted: NDArray[np.int64],
    stage: str,
    group: NDArray[np.int64],
    draws: Floats,
) -> Floats:
    """Mean gap between stated probability and share correct, over 15 equal bins.

    Of the gate: probability of infected against infected. Else: the score of the
    predicted class against being right.
    """
    if stage == "gate":
        stated, right = scores[:, 1], actual == 1
    else:
        stated, right = scores[np.arange(len(scores)), predicted], predicted == actual
    bin_of = np.minimum((stated * BINS).astype(int), BINS - 1)
    gaps = np.zeros((len(scores), BINS))
    gaps[np.arange(len(scores)), bin_of] = stated - right
    by_group = _sum_by_group(group, gaps)
    sizes = _sum_by_group(group, np.ones(len(scores)))
    every = np.concatenate([np.ones((1, len(sizes))), draws])
    return np.abs(every @ by_group).sum(1) / (every @ sizes)


def _stated(values: Floats) -> dict[str, Any] | None:
    """First value, and the central 95 % of the rest; ``None`` if the first is undefined."""
    if not np.isfinite(values[0]):
        return None
    rest = values[1:][np.isfinite(values[1:])]
    tail = 100 * (1 - CONFIDENCE) / 2
    interval = np.percentile(rest, [tail, 100 - tail]).tolist() if len(rest) else None
    return {"value": float(values[0]), "interval": interval}


def _defined(values: Floats, figure: str) -> dict[str, Any]:
    """``_stated``, where an undefined figure is an error."""
    stated = _stated(values)
    if stated is None:
        raise DataError(f"predictions: {figure} is not defined; a class has no tile")
    return stated


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
