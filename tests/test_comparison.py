"""Trainings compared on the same tiles: by hand, by the binomial law, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from birads_lib.errors import DataError, UsageError
from birads_lib.labels import LESION_CODES
from birads_lib.metrics import (
    COMPARED,
    check_complete,
    difference_of_sets,
    evaluate,
    mean_over_seeds,
    paired_difference,
)

TILES = 40  # ten of each class


def scored(wrong=(), seed=0, order=None) -> pd.DataFrame:
    """A scorer's answers on forty tiles, each its own group, right but for some."""
    label = np.arange(TILES) % 4 + 1
    said = label.copy()
    said[list(wrong)] = label[list(wrong)] % 4 + 1
    table = pd.DataFrame(
        {
            "tile": [f"t/{i:02d}" for i in range(TILES)],
            "group": [f"g{i:02d}" for i in range(TILES)],
            "split": "held-out",
            "label": label,
            "stage": "scorer",
            "protocol": "official",
            "seed": seed,
            "model": "none",
            "threshold": 0.5,
            "gate": np.nan,
        }
    )
    table[list(LESION_CODES)] = 0.1 + 0.6 * np.eye(4)[said - 1]
    return table if order is None else table.iloc[order]


def gated(infected_chance) -> pd.DataFrame:
    """A gate's answers on the same number of tiles, the second half infected."""
    table = scored().assign(stage="gate", gate=infected_chance)
    return table.assign(label=np.repeat([0, 1], TILES // 2))


@pytest.mark.parametrize("figure", COMPARED)
def test_identical_tables_differ_by_exactly_nothing(figure):
    tables = [scored([0, 5, 9], seed=0), scored([2, 3], seed=1)]
    assert paired_difference(tables, tables, figure) == {"value": 0.0, "interval": [0.0, 0.0]}


def test_one_tile_more_right_is_one_in_forty():
    found = paired_difference([scored([7])], [scored([7, 12])], "accuracy")
    assert found["value"] == pytest.approx(1 / TILES)
    # In a replicate the tile comes up as often as a binomial says.
    expected = binom.ppf([0.025, 0.975], TILES, 1 / TILES) / TILES
    assert found["interval"] == pytest.approx(expected)


def test_one_tile_of_a_class_of_ten_is_a_tenth_of_its_sensitivity():
    found = paired_difference([scored()], [scored([12])], "balanced_accuracy")
    assert found["value"] == pytest.approx(0.1 / 4)


def test_the_gates_rank_is_compared_too():
    perfect = gated(np.repeat([0.1, 0.9], TILES // 2))
    found = paired_difference([perfect], [gated(0.5)], "auroc")
    assert found == {"value": pytest.approx(0.5), "interval": pytest.approx([0.5, 0.5])}


def test_the_second_side_counts_against_the_first():
    there = paired_difference([scored([1])], [scored([1, 2, 3])], "accuracy")
    back = paired_difference([scored([1, 2, 3])], [scored([1])], "accuracy")
    assert back["value"] == -there["value"]
    assert back["interval"] == pytest.approx([-bound for bound in reversed(there["interval"])])


def test_the_order_of_rows_does_not_matter():
    turned = scored([1, 2], order=np.arange(TILES)[::-1])
    assert paired_difference([turned], [scored([1, 2])], "accuracy")["interval"] == [0, 0]


def test_seeds_that_both_share_are_drawn_together():
    good, bad = scored(), scored(range(0, TILES, 2))
    together = paired_difference([good, bad], [good, bad], "accuracy")
    apart = paired_difference([good, bad], [good, bad, good, bad], "accuracy")
    assert together["interval"] == [0, 0]
    assert apart["value"] == 0
    assert apart["interval"][0] < -0.2 < 0.2 < apart["interval"][1]


def test_the_mean_is_over_seeds_and_its_interval_wider_than_one_seeds():
    good, bad = scored(), scored(range(0, TILES, 2))
    assert mean_over_seeds([bad], "accuracy")["value"] == pytest.approx(0.5)
    both = mean_over_seeds([good, bad], "accuracy")
    assert both["value"] == pytest.approx(0.75)
    low, high = both["interval"]
    assert high == 1.0, "one replicate in four draws the good seed twice"
    # One in four draws the bad seed twice, so its lowest tenth is the lowest fortieth of all.
    assert low == pytest.approx(binom.ppf(0.1, TILES, 0.5) / TILES)


def test_tables_of_other_tiles_cannot_be_compared():
    with pytest.raises(DataError, match="different tiles"):
        paired_difference([scored()], [scored().iloc[1:]], "accuracy")


def test_tables_of_other_stages_cannot_be_compared():
    with pytest.raises(DataError, match="stages gate, scorer"):
        paired_difference([scored()], [gated(0.5)], "accuracy")


def test_no_table_is_no_comparison():
    with pytest.raises(DataError, match="no table"):
        paired_difference([scored()], [], "accuracy")


def test_an_unknown_figure_lists_the_known_ones():
    with pytest.raises(UsageError, match="accuracy, balanced_accuracy, auroc"):
        paired_difference([scored()], [scored()], "f1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[1:], "tile t/00 is missing"),
        (lambda t: pd.concat([t, t.iloc[3:4]]), "tile t/03 stands twice"),
        (lambda t: t.replace({"tile": {"t/05": "t/99"}}), "tile t/05 is missing"),
    ],
    ids=["missing", "twice", "another"],
)
def test_a_table_of_other_than_the_tiles_is_refused(change, message):
    table = scored()
    check_complete(table, table["tile"])
    with pytest.raises(DataError, match=message):
        check_complete(change(table), table["tile"])


def test_a_tile_that_is_not_to_be_judged_is_refused():
    with pytest.raises(DataError, match="tile t/39 is not one to be judged"):
        check_complete(scored(), scored()["tile"].iloc[:-1])


# Two sets of tiles


def halves():
    """Two sets of other tiles; some groups have tiles on both sides."""
    table = scored([1, 5, 7, 22])
    table = table.assign(group=[f"g{i % 15:02d}" for i in range(TILES)])
    return table.iloc[: TILES // 2], table.iloc[TILES // 2 :]


@pytest.mark.parametrize("figure", COMPARED)
def test_a_difference_of_sets_is_that_of_their_figures(figure):
    first, second = halves()
    found = difference_of_sets(first, second, figure)
    values = [evaluate(t, "scorer", 0)["overall"][figure]["value"] for t in (first, second)]
    assert found["value"] == pytest.approx(values[0] - values[1], abs=1e-12)
    low, high = found["interval"]
    assert low < found["value"] < high


def test_groups_on_both_sides_are_drawn_together():
    table = scored([1, 5, 7, 12])
    assert difference_of_sets(table, table, "accuracy") == {"value": 0.0, "interval": [0.0, 0.0]}
    others = table.assign(group=table["group"].map("other {}".format))
    low, high = difference_of_sets(table, others, "accuracy")["interval"]
    assert low < 0 < high


def test_sets_of_two_stages_or_by_an_unknown_figure_are_refused():
    table = scored()
    with pytest.raises(DataError, match="cannot be compared"):
        difference_of_sets(table, gated(0.5), "accuracy")
    with pytest.raises(UsageError, match="figure"):
        difference_of_sets(table, table, "beauty")
