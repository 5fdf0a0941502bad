"""What follows from the paper's printed numbers alone. No tile and no network is needed.

Each function re-derives one finding. It takes the printed numbers by default, so that
the same calculation can be tried on others.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from birads_lib.errors import UsageError
from birads_lib.labels import LESION_CODES, TITLES
from birads_lib.metrics import class_figures
from birads_lib.study import paper
from birads_lib.tiles import layout

SHUFFLE_SEED = 7_241_972
"""Random state of the shuffle in the data set author's public code."""
RATES = (0.93, 0.92, 0.90, 0.93)
"""Column "Precision" of Table 2, C2 to C5."""
GATE_RATE = 0.96
"""Sensitivity and specificity of the gate in the text, to two places."""
FIGURES = ("precision", "sensitivity", "specificity", "accuracy")

Counts = NDArray[np.int64]


def implied_table_2(matrix: Any = paper.TABLE_1) -> pd.DataFrame:
    """Table 2 as Table 1 implies it: rows C2 to C5, columns ``FIGURES``, 0..1."""
    return class_figures(matrix).set_axis(list(LESION_CODES)).rename_axis("ID")[list(FIGURES)]


def implied_gate(matrix: Any = paper.FIGURE_5) -> pd.Series:
    """Precision, sensitivity, specificity and accuracy of "infected" from Figure 5, 0..1."""
    return class_figures(matrix)[list(FIGURES)].T[1]


def overall_accuracy(matrix: Any) -> float:
    """Share of the matrix on its diagonal, 0..1."""
    return float(np.trace(matrix) / np.sum(matrix))


def rounds_to(value: float, printed: float, places: int) -> bool:
    """Whether ``value`` rounded to ``places`` decimals, half up, is ``printed``."""
    return abs(np.floor(value * 10**places + 0.5) - printed * 10**places) < 1e-6


def cut_to(value: float, printed: float, places: int) -> bool:
    """Whether ``value`` cut off after ``places`` decimals is ``printed``."""
    return abs(np.floor(value * 10**places + 1e-9) - printed * 10**places) < 1e-6


def table_2_check() -> pd.DataFrame:
    """Each cell of Table 2 beside what Table 1 gives for it.

    The column "Accuracy" is compared with one-versus-rest accuracy, in percent.

    Returns:
        Sixteen rows, indexed by (ID, figure): ``printed``, ``implied``, ``rounds`` and
        ``cut``: whether the implied value gives the printed one when rounded, or cut off.
    """
    implied, rows = implied_table_2(), []
    for name in FIGURES:
        column, places = name.capitalize(), {"precision": 2, "accuracy": 0}.get(name, 3)
        for code in LESION_CODES:
            value = float(implied[name][code]) * (100 if name == "accuracy" else 1)
            printed = float(paper.TABLE_2[column][code])
            rounds, cut = rounds_to(value, printed, places), cut_to(value, printed, places)
            rows.append((code, column, printed, value, rounds, cut))
    columns = ["ID", "figure", "printed", "implied", "rounds", "cut"]
    return pd.DataFrame(rows, columns=columns).set_index(["ID", "figure"])


def accuracy_is_precision() -> bool:
    """Whether the column "Accuracy" of Table 2 is its column "Precision" times 100."""
    return bool(np.allclose(paper.TABLE_2["Accuracy"], 100 * paper.TABLE_2["Precision"]))


def class_sums() -> pd.DataFrame:
    """Printed class totals beside what the training files hold.

    Returns:
        Rows C1 to C5 and ``C2 to C5``; columns ``class``, ``printed`` (C1: the text; C2 to
        C5: row sums of Table 1), ``training files``, ``difference`` (printed - files).
    """
    printed = [paper.UNINFECTED, *paper.TABLE_1.sum(axis=1).tolist()]
    table = pd.DataFrame(
        {"class": list(TITLES), "printed": printed, "training files": layout.TRAINING_COUNTS},
        index=pd.Index(["C1", *LESION_CODES], name="ID"),
    )
    infected = table.loc[list(LESION_CODES), ["printed", "training files"]].sum()
    table.loc["C2 to C5"] = ["infected", *infected]
    return table.assign(difference=table["printed"] - table["training files"])


def moved() -> int:
    """Tiles that C1 has over the training files, and that C2 to C5 lack."""
    sums = class_sums()["difference"]
    if sums["C1"] != -sums["C2 to C5"]:
        raise ValueError(f"C1 differs by {sums['C1']}, C2 to C5 by {sums['C2 to C5']}")
    return int(sums["C1"])


def replay_writing_loop(
    rows: int = 55_890, files: int = layout.TRAINING_FILES, seed: int = SHUFFLE_SEED
) -> tuple[list[Counts], Counts]:
    """Which rows the data set author's writing loop writes, and which it leaves out.

    The public code shuffles all rows with scikit-learn and writes them in equal files;
    the loop of a file ends one short of the file's end.

    1. ``order``, the rows after the shuffle: ``(rows,)``.
    2. File ``i`` is planned to hold ``order[i * size : (i + 1) * size]``.
    3. It is written from ``order[i * size : (i + 1) * size - 1]``.

    Args:
        rows: Before writing.
        files: Equal parts.
        seed: Random state of the shuffle.

    Returns:
        Rows written, one int64 array a file, and rows left out, int64 (files,), both by
        their number before the shuffle.

    Raises:
        UsageError: The rows do not divide into equal files.
    """
    from sklearn.utils import shuffle

    size, rest = divmod(rows, files)
    if rest or size < 1:
        raise UsageError(f"replay: {rows} rows do not divide into {files} equal files")
    order = np.asarray(shuffle(np.arange(rows), random_state=seed), np.int64).reshape(files, size)
    return list(order[:, :-1]), order[:, -1]


def column_constants(matrix: Any = paper.TABLE_1) -> list[int | None]:
    """The one value off the diagonal of each column; ``None`` where there is more than one."""
    cells = np.asarray(matrix)
    off = [set(np.delete(cells[:, k], k).tolist()) for k in range(len(cells))]
    return [values.pop() if len(values) == 1 else None for values in off]


def column_totals(diagonal: int, off: int, rate: float, others: int = 3) -> list[int]:
    """Every T with round(T rate) = ``diagonal`` and round(T (1 - rate) / others) = ``off``."""
    around = int(diagonal / rate)
    tried = np.arange(max(around - 50, 0), around + 51)
    fits = (_round(tried * rate) == diagonal) & (_round(tried * (1 - rate) / others) == off)
    return tried[fits].tolist()


def fitting_totals(matrix: Any = paper.TABLE_1, rates: Sequence[float] = RATES) -> list[list[int]]:
    """For each column, every whole total that gives its cells; see ``integer_solutions``."""
    cells, constants = np.asarray(matrix), column_constants(matrix)
    return [
        [] if off is None else column_totals(int(cells[k, k]), off, rate, len(cells) - 1)
        for k, (rate, off) in enumerate(zip(rates, constants, strict=True))
    ]


def integer_solutions(
    matrix: Any = paper.TABLE_1, rates: Sequence[float] = RATES, total: int = paper.INFECTED
) -> list[tuple[int, ...]]:
    """Every set of whole column totals that regenerates all cells of a matrix.

    A cell on the diagonal is round(T p) and one off it is round(T (1 - p) / (K - 1)); T is
    the column's whole total and p its rate. The totals sum to ``total``.

    Args:
        matrix: Counts (K, K).
        rates: p of each column, 0..1.
        total: Of the column totals.

    Returns:
        All solutions; empty if there is none. That there is one entry is the proof that the
        solution is unique, since T p rounds to the diagonal for few T and all are tried.
    """
    found = itertools.product(*fitting_totals(matrix, rates))
    return [totals for totals in found if sum(totals) == total]


def percent_rates(matrix: Any = paper.TABLE_1) -> list[list[int]]:
    """For each column, every whole percentage p for which some whole T gives its cells."""
    cells, constants = np.asarray(matrix), column_constants(matrix)
    return [
        [
            percent
            for percent in range(1, 100)
            if off is not None
            and column_totals(int(cells[k, k]), off, percent / 100, len(cells) - 1)
        ]
        for k, off in enumerate(constants)
    ]


def regenerate(totals: Sequence[int], rates: Sequence[float] = RATES) -> Counts:
    """The matrix that column totals and rates give: int64 (K, K)."""
    sums, share = np.asarray(totals, float), np.asarray(rates)
    off = _round(sums * (1 - share) / (len(sums) - 1))
    matrix = np.tile(off, (len(sums), 1))
    np.fill_diagonal(matrix, _round(sums * share))
    return matrix


def regenerate_figure_5(
    uninfected: int = paper.UNINFECTED, infected: int = paper.INFECTED, rate: float = GATE_RATE
) -> Counts:
    """Figure 5 from its row sums: round(rate N) right and round((1 - rate) N) wrong."""
    right = _round(np.array([uninfected, infected]) * rate)
    wrong = _round(np.array([uninfected, infected]) * (1 - rate))
    return np.array([[right[0], wrong[0]], [wrong[1], right[1]]])


def unrounded_column(total: int, rate: float = RATES[0], others: int = 3) -> tuple[float, float]:
    """Diagonal and off-diagonal cell of a column before rounding."""
    return total * rate, total * (1 - rate) / others


def end_to_end() -> pd.DataFrame:
    """What Figure 5 and Table 1 allow for both stages together; the paper prints none.

    The gate passes a of the infected tiles, the scorer has b of all of them right. How
    many are both is not printed: at least a + b - N, at most the lesser of the two, and
    a b / N if stages err independently.

    Returns:
        Rows ``worst case``, ``independent``, ``best case``; columns ``right`` (tiles),
        ``of the infected`` (N), ``of those scored`` (all that the gate passes, false
        alarms among them) and ``of all tiles`` (five classes), each 0..1.
    """
    infected, passed = paper.INFECTED, int(paper.FIGURE_5[1, 1])
    scored_right = int(np.trace(paper.TABLE_1))
    reached = int(paper.FIGURE_5[:, 1].sum())
    right = pd.Series(
        {
            "worst case": float(max(passed + scored_right - infected, 0)),
            "independent": passed * scored_right / infected,
            "best case": float(min(passed, scored_right)),
        }
    )
    return pd.DataFrame(
        {
            "right": right,
            "of the infected": right / infected,
            "of those scored": right / reached,
            "of all tiles": (right + paper.FIGURE_5[0, 0]) / paper.FIGURE_5.sum(),
        }
    )


def independent_by_class() -> pd.Series:
    """Gate sensitivity times each sensitivity of Table 2, C2 to C5: the product if the
    stages erred independently and the gate passed each class alike, 0..1."""
    return implied_gate()["sensitivity"] * paper.TABLE_2["Sensitivity"]


def shares() -> pd.DataFrame:
    """Negative and positive shares in percent: printed, and by each count.

    Returns:
        Rows ``negative`` and ``positive``; columns ``printed``, ``planned rows`` (55,890),
        ``training files`` (55,885), ``Figure 5``.
    """
    counts = {
        "planned rows": layout.PLANNED_COUNTS,
        "training files": layout.TRAINING_COUNTS,
        "Figure 5": (paper.UNINFECTED, paper.INFECTED),
    }
    table = {"printed": [100 * share for share in paper.SHARES.values()]}
    for name, classes in counts.items():
        table[name] = [100 * classes[0] / sum(classes), 100 * sum(classes[1:]) / sum(classes)]
    return pd.DataFrame(table, index=list(paper.SHARES))


def _round(values: Any) -> Counts:
    """To the nearest whole number, half up."""
    return np.floor(np.asarray(values) + 0.5).astype(np.int64)
