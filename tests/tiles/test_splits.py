"""The study's divisions: who teaches, who steers, who judges, and who never crosses."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from birads_lib.errors import DataError, UsageError
from birads_lib.tiles import make_splits
from birads_lib.tiles.splits import HELD_OUT, PROTOCOLS, TRAIN, VALIDATION


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """60 training tiles of each class in groups of three, 10 of each held out; rows shuffled."""
    rows = [
        {"label": label, "group": f"{origin}-{label}-{i // 3}", "origin": origin}
        for origin, count in (("training", 60), ("test10", 5), ("cv10", 5))
        for label in range(5)
        for i in range(count)
    ]
    table = pd.DataFrame(rows).sample(frac=1, random_state=0)
    table.index = [f"tile-{i}" for i in range(len(table))]
    return table


def two_of_each(table: pd.DataFrame, label: int, tiles: int) -> pd.DataFrame:
    """``table`` with only ``tiles`` training tiles of one label."""
    rare = table[(table["label"] == label) & (table["origin"] == "training")]
    return table.drop(rare.index[tiles:])


# Who goes where


def test_official_holds_out_test10_and_cv10_together(table):
    split = make_splits(table, "official")
    held_out = table["origin"] != "training"
    assert (split[held_out] == HELD_OUT).all()
    assert set(split[~held_out]) == {TRAIN, VALIDATION}


def test_official_is_the_default(table):
    assert make_splits(table).equals(make_splits(table, "official"))


def test_random_tenth_holds_out_a_tenth_of_the_training_tiles_of_each_class(table):
    split = make_splits(table, "random_tenth")
    held_out = table[split == HELD_OUT]
    assert (held_out["origin"] == "training").all()
    assert held_out["label"].value_counts().to_dict() == dict.fromkeys(range(5), 6)
    assert (split[table["origin"] != "training"] == "").all()


def test_random_tenth_leaks_by_tearing_groups_apart(table):
    split = make_splits(table, "random_tenth")
    held_out = set(table["group"][split == HELD_OUT])
    assert held_out & set(table["group"][split == TRAIN])


def test_training_judges_itself_and_leaves_the_rest_out(table):
    split = make_splits(table, "training")
    assert (split[table["origin"] != "training"] == "").all()
    assert set(split[table["origin"] == "training"]) == {TRAIN, VALIDATION}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_splits_are_indexed_like_the_table(table, protocol):
    split = make_splits(table, protocol)
    assert split.index.equals(table.index)
    assert set(split) <= {TRAIN, VALIDATION, HELD_OUT, ""}


# Validation


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("seed", range(5))
def test_groups_do_not_cross_between_train_and_validation(table, protocol, seed):
    split = make_splits(table, protocol, validation=0.2, seed=seed)
    train, validation = (set(table["group"][split == part]) for part in (TRAIN, VALIDATION))
    assert train
    assert validation
    assert not train & validation


def test_groups_of_simulated_women_do_not_cross(store):
    split = make_splits(store.table)
    train, validation = (set(store.table["group"][split == part]) for part in (TRAIN, VALIDATION))
    assert validation
    assert not train & validation


def test_unequal_groups_do_not_cross(table):
    sizes = np.random.default_rng(0).geometric(0.2, 120)
    groups = np.repeat(np.arange(120), sizes)[: len(table)].astype(str)
    uneven = table.iloc[: len(groups)].assign(group=groups)
    split = make_splits(uneven, validation=0.2)
    train, validation = (set(uneven["group"][split == part]) for part in (TRAIN, VALIDATION))
    assert not train & validation


@pytest.mark.parametrize("share", [0.1, 0.2, 0.25, 0.5])
def test_validation_takes_about_its_share_of_every_class(table, share):
    split = make_splits(table, validation=share)
    taken = table["label"][split == VALIDATION].value_counts()
    assert taken.sum() == pytest.approx(300 * share, abs=15)
    assert (abs(taken.reindex(range(5), fill_value=0) - 60 * share) <= 6).all()


def test_no_validation_leaves_all_to_train(table):
    split = make_splits(table, validation=0)
    assert set(split[table["origin"] == "training"]) == {TRAIN}


def test_a_class_of_two_groups_stands_on_both_sides(table):
    few = two_of_each(table, 3, 0)
    groups = pd.DataFrame(
        {"label": 3, "group": ["a", "a", "b", "b"], "origin": "training"}, index=list("wxyz")
    )
    split = make_splits(pd.concat([few, groups]))
    assert (split[list("wx")].nunique(), split[list("yz")].nunique()) == (1, 1)
    assert {split["w"], split["y"]} == {TRAIN, VALIDATION}


def few_groups(sizes: dict[int, int]) -> pd.DataFrame:
    """Training tiles, each a group of its own: so many of each label."""
    labels = [label for label, count in sizes.items() for _ in range(count)]
    return pd.DataFrame(
        {"label": labels, "group": [f"g{i}" for i in range(len(labels))], "origin": "training"}
    )


def test_as_many_tiles_of_a_class_as_there_are_folds_can_be_divided():
    split = make_splits(few_groups(dict.fromkeys(range(5), 4)), "training", validation=0.25)
    assert (split == VALIDATION).sum() == 5


def test_as_many_groups_as_there_are_folds_can_be_divided():
    table = few_groups(dict.fromkeys(range(5), 4))
    table["group"] = [f"g{i % 4}" for i in range(len(table))]
    split = make_splits(table, "training", validation=0.25)
    assert len(set(table["group"][split == VALIDATION])) == 1


@pytest.mark.parametrize("groups", [3, 20])
def test_too_few_tiles_or_groups_for_the_folds_are_refused_in_numbers(groups):
    table = few_groups(dict.fromkeys(range(5), 4 if groups == 3 else 3))
    table["group"] = [f"g{i % groups}" for i in range(len(table))]
    assert refused(table, protocol="training", validation=0.25) == (
        f"validation: {len(table)} training tiles of {table['group'].nunique()} groups are too few "
        "to take one in 4; give more tiles or a larger share"
    )


def test_a_class_of_fewer_tiles_than_folds_is_no_cause_for_a_warning(table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        split = make_splits(two_of_each(table, 3, 2), validation=0.1)
    assert {TRAIN, VALIDATION} <= set(split)


@pytest.mark.parametrize("seed", range(8))
def test_the_only_group_of_a_class_is_left_to_learn_from(table, seed):
    lone = two_of_each(table, 3, 3).copy()
    lone.loc[(lone["label"] == 3) & (lone["origin"] == "training"), "group"] = "alone"
    split = make_splits(lone, validation=0.25, seed=seed)
    assert set(split[lone["group"] == "alone"]) == {TRAIN}


@pytest.mark.parametrize("seed", range(8))
def test_of_folds_that_leave_each_class_that_which_shows_most_classes_steers(seed):
    table = few_groups({0: 30, 1: 30, 2: 30, 3: 2, 4: 30})
    split = make_splits(table, "training", validation=0.1, seed=seed)
    assert set(table["label"][split == VALIDATION]) == set(range(5))


# Seeds


def test_the_seed_is_0_unless_told(table):
    assert make_splits(table).equals(make_splits(table, seed=0))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_same_seed_gives_the_same_split_and_another_another(table, protocol):
    first = make_splits(table, protocol, seed=3)
    assert make_splits(table.copy(), protocol, seed=3).equals(first)
    assert not make_splits(table, protocol, seed=4).equals(first)


def test_the_held_out_tenth_changes_with_the_seed(table):
    tenths = [
        set(table.index[make_splits(table, "random_tenth", seed=s) == HELD_OUT]) for s in (0, 1)
    ]
    assert tenths[0] != tenths[1]


def test_the_table_is_left_as_it_was(table):
    before = table.copy()
    make_splits(table, "random_tenth")
    assert table.equals(before)


# Refusals


def test_an_unknown_protocol_is_refused_with_those_that_exist(table):
    with pytest.raises(UsageError, match=r"^protocol: .* official, random_tenth, training$"):
        make_splits(table, "random")


@pytest.mark.parametrize("name", ["validation", "aside"])
@pytest.mark.parametrize("share", [-0.01, 0.51])
def test_a_share_below_0_or_above_a_half_is_refused(table, name, share):
    with pytest.raises(UsageError) as error:
        make_splits(table, **{name: share})
    assert str(error.value) == f"{name}: {share} given; expected a share from 0 to 0.5"


def refused(table: pd.DataFrame, **options) -> str:
    with pytest.raises(DataError) as error:
        make_splits(table, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("label", range(5))
def test_a_class_absent_from_the_held_out_part_is_refused(table, label):
    lacking = table[(table["origin"] == "training") | (table["label"] != label)]
    said = refused(lacking)
    assert said.startswith("held-out part")
    assert f"label {label}" in said


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("label", range(5))
def test_a_class_absent_from_training_is_refused(table, protocol, label):
    said = refused(two_of_each(table, label, 0), protocol=protocol)
    assert said.startswith("train part")
    assert f"label {label}" in said
    assert said.endswith("; give the files that hold them")


def test_the_defect_of_the_original_is_refused_unless_merged(table):
    masses_only = table[(table["origin"] == "training") | table["label"].isin([0, 2, 4])]
    assert "label 1 (benign calcification)" in refused(masses_only)


def test_a_class_too_rare_for_a_tenth_is_refused(table):
    assert "label 3" in refused(two_of_each(table, 3, 1), protocol="random_tenth")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_set_too_small_to_divide_is_refused(table, protocol):
    tiny = table.groupby(["origin", "label"]).head(2)
    refused(tiny, protocol=protocol)


# The part set aside


def test_a_scarce_class_gives_nothing_to_the_part_set_aside(table):
    split = make_splits(two_of_each(table, 3, 4), "official", validation=0, aside=0.1)
    aside = table.loc[split.index[split == "aside"], "label"]
    assert aside.value_counts().to_dict() == {0: 6, 1: 6, 2: 6, 4: 6}


def test_a_class_of_five_training_tiles_gives_one_to_the_part_set_aside(table):
    split = make_splits(two_of_each(table, 3, 5), "official", validation=0, aside=0.1)
    aside = table.loc[split.index[split == "aside"], "label"]
    assert aside.value_counts()[3] == 1
