"""Texture features against hand calculation; classic models and what they weigh."""

from __future__ import annotations

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.cluster import KMeans

from birads_lib.errors import DataError, UsageError
from birads_lib.labels import LESION_CODES
from birads_lib.study import figures_texture
from birads_lib.texture import (
    CLASSIC_MODELS,
    FEATURE_GROUPS,
    TREE_MODELS,
    feature_group,
    features,
    fit_classic,
    shap_summary,
    shap_values,
    texture_features,
)

# The worked example of Haralick, Shanmugam and Dinstein (1973), figure 3, and its matrices
# for neighbours at 1 px, in this order: 0, 90, 135 and 45 degrees.
HARALICK = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 2, 2, 2], [2, 2, 3, 3]], np.uint8)
MATRICES = np.array(
    [
        [[4, 2, 1, 0], [2, 4, 0, 0], [1, 0, 6, 1], [0, 0, 1, 2]],
        [[6, 0, 2, 0], [0, 4, 2, 0], [2, 2, 2, 2], [0, 0, 2, 0]],
        [[2, 1, 3, 0], [1, 2, 1, 0], [3, 1, 0, 2], [0, 0, 2, 0]],
        [[4, 1, 0, 0], [1, 2, 2, 0], [0, 2, 4, 1], [0, 0, 1, 0]],
    ]
)
STEP = 256 // features.LEVELS  # grey levels of the 256 in one of the matrix
SIDE = 64


def tissue_like(count: int, seed: int = 0, side: int = SIDE) -> np.ndarray:
    """Smooth noise, uint8 (count, side, side)."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((count, side, side))
    smooth = np.stack([cv2.GaussianBlur(tile, (0, 0), 4) for tile in noise])
    return np.uint8(np.clip(128 + 500 * smooth, 0, 255))


def disc(radius: int, grey: int = 200, background: int = 100, side: int = 128) -> np.ndarray:
    """A bright disc amid a flat tile, uint8 (side, side)."""
    flat = np.full((side, side), background, np.uint8)
    return cv2.circle(flat, (side // 2, side // 2), radius, grey, -1)


def ellipse(angle: float) -> np.ndarray:
    """A bright ellipse of axes 40 and 20 px, turned by ``angle`` degrees."""
    return cv2.ellipse(
        np.full((128, 128), 60, np.uint8), (64, 64), (40, 20), angle, 0, 360, 220, -1
    )


# Co-occurrence


def spread_of_directions(name: str) -> tuple[float, float]:
    """Mean and range over the four directions of Haralick's example."""
    share = MATRICES / MATRICES.sum(axis=(1, 2), keepdims=True)
    i, j = np.indices((4, 4))
    if name == "correlation":
        mean = (share * i).sum((1, 2))
        variance = (share * i**2).sum((1, 2)) - mean**2
        values = ((share * i * j).sum((1, 2)) - mean**2) / variance
    else:
        weight = {
            "contrast": (i - j) ** 2,
            "dissimilarity": abs(i - j),
            "homogeneity": 1 / (1 + (i - j) ** 2),
        }.get(name, share)
        values = (share * weight).sum((1, 2))
        values = np.sqrt(values) if name == "energy" else values
    return values.mean(), values.max() - values.min()


@pytest.mark.parametrize("name", features.PROPERTIES)
def test_co_occurrence_of_haralicks_example_is_as_printed(name):
    found = features.co_occurrence(HARALICK * STEP)
    mean, spread = spread_of_directions(name)
    assert found[f"{name}_1px_mean"] == pytest.approx(mean)
    assert found[f"{name}_1px_range"] == pytest.approx(spread)


def test_contrast_of_haralicks_example_by_hand():
    found = features.co_occurrence(HARALICK * STEP)
    assert found["contrast_1px_mean"] == pytest.approx((14 / 24 + 24 / 24 + 32 / 18 + 8 / 18) / 4)
    assert found["contrast_1px_range"] == pytest.approx((32 - 8) / 18)


def test_a_finer_texture_has_more_contrast_between_neighbours():
    fine = np.uint8(np.indices((SIDE, SIDE)).sum(axis=0) % 2 * 160)
    coarse = np.kron(fine[:16, :16], np.ones((4, 4), np.uint8))
    contrast = [features.co_occurrence(tile)["contrast_1px_mean"] for tile in (fine, coarse)]
    assert contrast[0] > 1.5 * contrast[1] > 0


# First order


def test_first_order_statistics_are_those_of_scipy():
    tile = tissue_like(1)[0]
    found, grey = features.first_order(tile), tile.ravel().astype(float)
    counts = np.unique(tile, return_counts=True)[1]
    assert found["mean"] == pytest.approx(grey.mean())
    assert found["deviation"] == pytest.approx(grey.std())
    assert found["skewness"] == pytest.approx(stats.skew(grey))
    assert found["kurtosis"] == pytest.approx(stats.kurtosis(grey))
    assert found["entropy"] == pytest.approx(stats.entropy(counts, base=2))
    assert found["p50"] == np.median(grey)


def test_energy_of_two_equal_halves_is_a_half():
    tile = np.repeat(np.uint8([[10, 90]]), 8, axis=1).repeat(8, axis=0)
    found = features.first_order(tile)
    assert found["energy"] == pytest.approx(0.5)
    assert found["entropy"] == pytest.approx(1)


# Hu moments


def test_hu_moments_of_a_square_by_hand():
    square = np.zeros((40, 40))
    square[5:25, 12:32] = 1
    first = 2 * (20**2 - 1) / (12 * 20**2)  # twice the variance of an edge, over the area
    expected = [np.log10(first / features.SMALLEST_MOMENT), 0, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(features.log_hu(square), expected, atol=1e-9)


def test_hu_moments_do_not_change_with_quarter_turns_and_place():
    tile = tissue_like(1)[0] / 255
    moments = features.log_hu(tile)
    assert np.count_nonzero(np.abs(moments) > 0.1) >= 4
    moved = np.roll(np.pad(tile, 40), (-17, 30), axis=(0, 1))
    for same in (np.rot90(tile), np.rot90(tile, 2), moved):
        np.testing.assert_allclose(features.log_hu(same), moments, atol=1e-3)


def test_a_mirrored_picture_changes_the_sign_of_the_seventh_moment_alone():
    weight = np.zeros((60, 60))
    weight[10:50, 10:20] = weight[40:50, 10:35] = weight[25:30, 15:28] = 1
    moments, mirrored = features.log_hu(weight), features.log_hu(weight[:, ::-1])
    assert abs(moments[6]) > 1
    np.testing.assert_allclose(mirrored, moments * [1, 1, 1, 1, 1, 1, -1], atol=1e-3)


def test_the_shape_of_a_turned_region_keeps_its_moments():
    lying, turned = (features.hu_moments(ellipse(angle)) for angle in (0, 37))
    round_one = features.hu_moments(disc(28))
    for name in ("region_1", "region_2"):
        assert turned[name] == pytest.approx(lying[name], abs=0.02)
    assert lying["region_2"] > round_one["region_2"] + 1


# Region of interest


def test_a_bright_disc_is_one_round_region():
    found = features.region_of_interest(disc(30))
    assert found["count"] == 1
    assert found["share"] == found["area"]
    assert found["area"] == pytest.approx(np.pi * 30**2 / 128**2, rel=0.05)
    assert found["eccentricity"] < 0.1
    assert found["solidity"] > 0.95
    assert found["extent"] == pytest.approx(np.pi / 4, abs=0.03)
    assert found["contrast"] == pytest.approx(100, rel=0.05)


@pytest.mark.parametrize("angle", [0, 37, 90])
def test_eccentricity_of_an_ellipse_is_that_of_its_axes(angle):
    found = features.region_of_interest(ellipse(angle))
    assert found["eccentricity"] == pytest.approx(np.sqrt(1 - 0.5**2), abs=0.02)


def test_a_dented_region_is_less_solid_and_the_largest_of_several_counts():
    tile = disc(30)
    tile[34:64, 56:72] = 100
    tile[4:14, 4:14] = 200
    found = features.region_of_interest(tile)
    assert found["count"] == 2
    assert found["solidity"] < 0.9
    assert found["area"] == pytest.approx(found["share"], rel=0.1)
    assert found["area"] < found["share"]


# Clusters


def test_four_grey_levels_are_four_clusters():
    tile = np.repeat(np.uint8([20, 90, 150, 230]), [8, 16, 32, 8])[np.newaxis].repeat(64, axis=0)
    found = features.grey_clusters(tile)
    assert [found[f"share_{k}"] for k in range(1, 5)] == [1 / 8, 1 / 4, 1 / 2, 1 / 8]
    assert [found[f"mean_{k}"] for k in range(1, 5)] == [20, 90, 150, 230]


def test_clusters_are_those_of_k_means_at_its_best():
    tile = tissue_like(1)[0] // STEP * STEP
    found = features.grey_clusters(tile)
    grey = tile.reshape(-1, 1).astype(float)
    within = grey.size * (np.square(grey).mean() - sum(
        found[f"share_{k}"] * found[f"mean_{k}"] ** 2 for k in range(1, 5)
    ))  # fmt: skip
    best = KMeans(4, n_init=10, random_state=0).fit(grey).inertia_
    assert within <= best * (1 + 1e-9)


def test_two_grey_levels_leave_two_clusters_empty():
    tile = np.repeat(np.uint8([40, 200]), 32)[np.newaxis].repeat(64, axis=0)
    found = features.grey_clusters(tile)
    assert [found[f"share_{k}"] for k in range(1, 5)] == [0.5, 0.5, 0, 0]
    assert found["mean_4"] == 120


# The table


def test_one_row_a_tile_and_named_columns_of_every_group():
    table = texture_features(tissue_like(3), processes=1)
    assert len(table) == 3
    assert table.columns.is_unique
    assert np.isfinite(table.to_numpy()).all()
    parts = [feature_group(table, group) for group in FEATURE_GROUPS]
    pd.testing.assert_frame_equal(pd.concat(parts, axis=1), table)
    assert len(feature_group(table, "hu").columns) == 14
    assert len(feature_group(table, "glcm").columns) == 6 * 3 * 2


def test_a_group_measured_alone_is_that_of_the_whole_table():
    tiles = tissue_like(3)
    whole, alone = (
        texture_features(tiles, processes=1),
        texture_features(tiles, ["hu"], processes=1),
    )
    pd.testing.assert_frame_equal(alone, feature_group(whole, "hu"))


def test_tiles_are_measured_alike_in_one_process_and_in_two(monkeypatch):
    monkeypatch.setattr(features, "BLOCK", 4)
    monkeypatch.setattr(features, "WORTH_A_PROCESS", 4)
    tiles = tissue_like(9)
    one, two = (texture_features(tiles, processes=n) for n in (1, 2))
    pd.testing.assert_frame_equal(one, two)
    assert one["first_order_mean"].is_unique


def test_tiles_are_resized_first():
    large = disc(75, side=299)
    small = texture_features(large[np.newaxis], ["region"], side=64, processes=1)
    assert small["region_area"][0] == pytest.approx(np.pi * 75**2 / 299**2, rel=0.05)


def test_quarter_turns_and_flips_change_no_texture():
    tile = tissue_like(1, side=128)[0]
    turned = texture_features(
        np.stack([tile, np.rot90(tile), tile[::-1]]),
        ["first_order", "glcm", "clusters"],
        processes=1,
    )
    np.testing.assert_allclose(turned.iloc[1:], turned.iloc[[0, 0]], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("grey", [0, 77, 255])
def test_a_flat_tile_has_finite_features(grey):
    found = texture_features(np.full((1, SIDE, SIDE), grey, np.uint8), processes=1).iloc[0]
    assert np.isfinite(found).all()
    assert found["first_order_mean"] == grey
    assert found["region_area"] == found["region_count"] == found["glcm_contrast_1px_mean"] == 0


def test_no_tiles_give_no_rows_of_the_same_columns():
    some = texture_features(tissue_like(1), processes=1)
    none = texture_features(np.empty((0, SIDE, SIDE), np.uint8), processes=1)
    assert len(none) == 0
    assert none.columns.tolist() == some.columns.tolist()


@pytest.mark.parametrize(
    ("images", "options", "error", "says"),
    [
        (np.zeros((2, 8, 8)), {}, DataError, "uint8"),
        (np.zeros((8, 8), np.uint8), {}, DataError, "(8, 8)"),
        (np.zeros((2, 8, 8), np.uint8), {"groups": ["wavelets"]}, UsageError, "first_order"),
        (np.zeros((2, 8, 8), np.uint8), {"groups": []}, UsageError, "first_order"),
        (np.zeros((2, 8, 8), np.uint8), {"side": 4}, UsageError, "side: 4"),
    ],
)
def test_what_cannot_be_measured_is_refused(images, options, error, says):
    with pytest.raises(error) as caught:
        texture_features(images, **options)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_group_that_was_not_measured_is_named():
    table = texture_features(tissue_like(1), ["hu"], processes=1)
    with pytest.raises(DataError, match="glcm"):
        feature_group(table, "glcm")


# Classic models

CENTRES = np.array([[0, 0, 0], [6, 0, 0], [0, 6, 0], [0, 0, 6]])


def separable(each: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Tiles of four classes far apart in three features; a fourth feature says nothing."""
    rng = np.random.default_rng(seed)
    labels = np.tile([1, 2, 3, 4], each)
    known = CENTRES[labels - 1] + rng.standard_normal((len(labels), 3))
    table = pd.DataFrame(known, columns=["a", "b", "c"])
    return table.assign(nothing=rng.standard_normal(len(labels))), labels


@pytest.fixture(scope="module")
def learned():
    table, labels = separable(40, seed=0)
    return {name: fit_classic(name, table, labels, seed=1) for name in CLASSIC_MODELS}


@pytest.mark.parametrize("name", CLASSIC_MODELS)
def test_a_classic_model_learns_classes_that_lie_apart(learned, name):
    table, labels = separable(25, seed=9)
    probabilities = learned[name].probabilities(table)
    assert probabilities.shape == (100, 4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert (probabilities.argmax(axis=1) + 1 == labels).mean() > 0.93


@pytest.mark.parametrize("name", CLASSIC_MODELS)
def test_the_same_seed_gives_the_same_model(learned, name):
    again = fit_classic(name, *separable(40, seed=0), seed=1)
    table, _ = separable(10, seed=3)
    assert (again.probabilities(table) == learned[name].probabilities(table)).all()


@pytest.mark.parametrize("name", CLASSIC_MODELS)
def test_classes_count_alike_however_many_tiles_they_have(name):
    labels = np.repeat([1, 2, 3, 4], [160, 80, 40, 40])
    table = pd.DataFrame({"same": np.tile([0.0, 1.0], 160)})  # alike in every class
    probabilities = fit_classic(name, table, labels, seed=0).probabilities(table)
    np.testing.assert_allclose(probabilities, 0.25, atol=0.06)


def test_a_model_reads_its_columns_by_name(learned):
    table, _ = separable(5, seed=3)
    model = learned["random forest"]
    mixed = table[["nothing", "c", "a", "b"]].assign(further=1.0)
    assert (model.probabilities(mixed) == model.probabilities(table)).all()
    with pytest.raises(DataError, match="'b' is missing"):
        model.probabilities(table.drop(columns="b"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda table, labels: (table, labels[:-1]), "one a row of the 20"),
        (lambda table, labels: (table, np.where(labels == 4, 3, labels)), "no tile of C5"),
        (lambda table, labels: (table, labels - 1), "0 found; expected 1 to 4"),
        (lambda table, labels: (table.assign(b=np.nan), labels), "column 'b'"),
    ],
)
def test_what_cannot_be_learned_is_refused(change, says):
    with pytest.raises(DataError) as caught:
        fit_classic("naive Bayes", *change(*separable(5, seed=0)), seed=0)
    assert says in str(caught.value)


def test_an_unknown_model_lists_the_known_ones():
    with pytest.raises(UsageError) as caught:
        fit_classic("perceptron", *separable(5, seed=0), seed=0)
    assert all(name in str(caught.value) for name in CLASSIC_MODELS)


# SHAP


@pytest.mark.parametrize("name", TREE_MODELS)
def test_shap_values_sum_to_the_answer(learned, name):
    table, _ = separable(5, seed=4)
    values, base = shap_values(learned[name], table)
    assert values.shape == (20, 4, 4)
    answer = learned[name].probabilities(table)
    if name == "XGBoost":
        booster = learned[name].pipeline["model"]
        answer = booster.predict(table.to_numpy(), output_margin=True)
    np.testing.assert_allclose(base + values.sum(axis=1), answer, atol=1e-4)


@pytest.mark.parametrize("name", TREE_MODELS)
def test_the_feature_that_tells_a_class_weighs_most_for_it(learned, name):
    summary = shap_summary(learned[name], separable(20, seed=5)[0])
    assert summary.columns.tolist() == list(LESION_CODES)
    assert summary.index[-1] == "nothing"
    assert summary["C3"].idxmax() == "a"
    assert summary["C4"].idxmax() == "b"
    assert summary["C5"].idxmax() == "c"
    assert summary.sum(axis=1).is_monotonic_decreasing


def test_a_model_without_trees_has_no_tree_shap(learned):
    with pytest.raises(UsageError, match="random forest"):
        shap_values(learned["logistic regression"], separable(5, seed=0)[0])


def test_nothing_to_explain_is_refused(learned):
    with pytest.raises(DataError, match="no row"):
        shap_summary(learned["decision tree"], separable(5, seed=0)[0].iloc[:0])


def test_the_figure_stacks_the_classes_of_the_heaviest_features():
    rng = np.random.default_rng(0)
    summary = pd.DataFrame(rng.random((12, 4)), columns=list(LESION_CODES))
    summary.index = [f"glcm_feature_{k}" for k in range(12)]
    figure = figures_texture.heaviest_features(summary, "probability")
    axis = figure.axes[0]
    assert axis.get_yticklabels()[0].get_text() == "glcm feature 0"
    assert [len(bars) for bars in axis.containers] == [10, 10, 10, 10]
    ends = [bar.get_x() + bar.get_width() for bar in axis.containers[-1]]
    np.testing.assert_allclose(ends, summary.sum(axis=1).iloc[:10])
    plt.close(figure)
