"""Explanations: maps known by construction, scores by hand, intervals, figures."""

from __future__ import annotations

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from birads_lib import explain
from birads_lib.errors import UsageError
from birads_lib.networks import ChannelAttention, SpatialAttention, ordinal_scorer
from birads_lib.study import figures_explain

CELLS = 4  # on a side: of the toy network's input, its features and its maps
CLASS_WEIGHTS = np.array([[1.0, -2.0, 0.5, -1.0], [0.5, 1.0, -3.0, -1.0]])

BIASES = np.array([0.0, 0.0, 0.0, 1.0])


def toy_scorer(attention: bool) -> keras.Model:
    """Of grey level g the features 0.01 g and relu(0.02 g - 1), attention, four classes."""
    tile = keras.Input((CELLS, CELLS, 3))
    scaled = keras.layers.Rescaling(0.01, name="scaled")(tile)
    convolution = keras.layers.Conv2D(2, 1, activation="relu", name="features")
    branch = keras.layers.Rescaling(0.0, name="branch")(scaled)
    sent = keras.layers.Add(name="sum")([branch, scaled])
    backbone = keras.Model(tile, convolution(sent), name="toy_backbone")
    gains = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]])
    convolution.set_weights([gains[np.newaxis, np.newaxis], np.array([0.0, -1.0])])
    entry = keras.Input((CELLS, CELLS, 3), name="tile")
    x = backbone(entry)
    if attention:
        where = SpatialAttention(name=explain.SPATIAL)(x)
        x = keras.layers.Multiply(name="refined")([x, where])
        which = ChannelAttention(name=explain.CHANNEL)(x)
        x = keras.layers.Multiply(name="weighted")([x, which])
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    score = keras.layers.Dense(4, activation="softmax", name="score")
    scorer = keras.Model(entry, score(x), name="toy")
    score.set_weights([CLASS_WEIGHTS, BIASES])
    return scorer


def one_by_one(weight: float, bias: float) -> list[np.ndarray]:
    return [np.full((1, 1, 1, 1), weight), np.array([bias])]


@pytest.fixture(scope="module")
def attending() -> keras.Model:
    """A_s = sigmoid(2 max - 1); A_c = sigmoid(1) of the first feature, a half of the other."""
    scorer = toy_scorer(attention=True)
    spatial, channel = scorer.get_layer(explain.SPATIAL), scorer.get_layer(explain.CHANNEL)
    spatial.of_max.set_weights(one_by_one(2.0, -1.0))
    spatial.of_mean.set_weights(one_by_one(0.0, 0.0))
    channel.connected.set_weights([np.zeros((2, 2)), np.array([0.5, 0.0])])
    return scorer


@pytest.fixture(scope="module")
def linear() -> keras.Model:
    return toy_scorer(attention=False)


@pytest.fixture
def tiles() -> np.ndarray:
    """Three tiles as large as the network's input: a pixel is a cell, nothing is interpolated."""
    return np.random.default_rng(0).integers(0, 256, (3, CELLS, CELLS), np.uint8)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def features(tiles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    grey = tiles.astype(float)
    return 0.01 * grey, np.maximum(0.02 * grey - 1, 0)


# Maps


def test_attention_is_that_of_weights_set_by_hand(attending, tiles):
    maps = explain.attention_maps(attending, tiles)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, sigmoid(2 * np.maximum(*features(tiles)) - 1), rtol=1e-5)


def test_attention_over_a_larger_tile_peaks_at_its_bright_patch(attending):
    images = np.zeros((3, 40, 80), np.uint8)
    images[0, :10, 60:], images[1, 20:30, 20:40], images[2, 30:, 60:] = 200, 100, 150
    maps = explain.attention_maps(attending, images)
    assert maps.shape == images.shape
    peaks = [np.unravel_index(values.argmax(), values.shape) for values in maps]
    assert [(row // 10, column // 20) for row, column in peaks] == [(0, 3), (2, 1), (3, 3)]
    assert maps[0, 0, 79] == pytest.approx(sigmoid(2 * 3 - 1))
    assert maps[0].min() == pytest.approx(sigmoid(-1))


def test_channel_weights_are_those_of_the_layer(attending, tiles):
    weights = explain.channel_weights(attending, tiles)
    np.testing.assert_allclose(weights, np.tile([sigmoid(1.0), 0.5], (3, 1)), rtol=1e-5)


def test_grad_cam_of_a_linear_head_is_its_closed_form(linear, tiles):
    classes = np.array([0, 2, 3])
    first, second = features(tiles)
    weights = CLASS_WEIGHTS[:, classes, np.newaxis, np.newaxis]
    expected = np.maximum(weights[0] * first + weights[1] * second, 0)
    expected[:2] /= expected[:2].max(axis=(1, 2), keepdims=True)
    maps = explain.grad_cam(linear, tiles, classes)
    np.testing.assert_allclose(maps, expected, atol=1e-5)
    assert maps[:2].max(axis=(1, 2)).tolist() == [1, 1]
    assert (maps[2] == 0).all()  # both features speak against class 3


def test_grad_cam_of_an_earlier_layer_weights_that_layers_features(linear, tiles):
    maps = explain.grad_cam(linear, tiles, [0, 0, 3], layer="sum")
    grey = tiles.astype(float)
    expected = grey / grey.max(axis=(1, 2), keepdims=True)
    expected[2] = 0
    np.testing.assert_allclose(maps, expected, atol=1e-5)


def test_grad_cam_asks_about_the_predicted_class_unless_told(linear, tiles):
    tiles[1] //= 50  # a dark tile is of class 3, by its bias
    means = np.stack([values.mean(axis=(1, 2)) for values in features(tiles)], axis=1)
    said = np.argmax(means @ CLASS_WEIGHTS + BIASES, axis=1)
    assert said.tolist() == [0, 3, 0]
    np.testing.assert_array_equal(
        explain.grad_cam(linear, tiles), explain.grad_cam(linear, tiles, said)
    )


def test_networks_see_a_batch_at_a_time_and_stay_as_they_are(attending, tiles, monkeypatch):
    whole = explain.grad_cam(attending, tiles), explain.attention_maps(attending, tiles)
    before, sizes = attending.predict(np.zeros((1, CELLS, CELLS, 3)), verbose=0), []

    def apply(network, images, original=explain.apply_network):
        sizes.append(len(images))
        return original(network, images)

    monkeypatch.setattr(explain, "apply_network", apply)
    monkeypatch.setattr(explain, "BATCH", 2)
    np.testing.assert_allclose(explain.grad_cam(attending, tiles), whole[0], atol=1e-6)
    np.testing.assert_allclose(explain.attention_maps(attending, tiles), whole[1], atol=1e-6)
    assert sizes == [2, 1, 2, 1]
    after = attending.predict(np.zeros((1, CELLS, CELLS, 3)), verbose=0)
    np.testing.assert_array_equal(after, before)
    assert explain.grad_cam(attending, tiles[:0]).shape == (0, CELLS, CELLS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": [0, 4, 0]}, "classes: 0 to 4 given; expected 0 to 3"),
        ({"classes": [0]}, r"classes: shape \(1,\) given; expected \(3,\), one a tile"),
        ({"layer": "block9"}, "layer: unknown 'block9'; use one of .*features"),
        ({"layer": "branch"}, "toy_backbone bypasses branch; name the last layer of a block"),
    ],
)
def test_wrong_arguments_of_grad_cam_are_named(linear, tiles, options, message):
    with pytest.raises(UsageError, match=message) as error:
        explain.grad_cam(linear, tiles, **options)
    assert "\n" not in str(error.value)


def test_networks_without_the_layer_asked_for_are_refused(linear, tiles):
    with pytest.raises(UsageError, match=r'no layer spatial_attention; .* "both" or "spatial"'):
        explain.attention_maps(linear, tiles)
    with pytest.raises(UsageError, match=r'no layer channel_attention; .* "both" or "channel"'):
        explain.channel_weights(linear, tiles)
    with pytest.raises(UsageError, match="ends in grade, no class scores"):
        explain.grad_cam(ordinal_scorer(linear), tiles)


# Scores


@pytest.fixture
def corner() -> np.ndarray:
    """A lesion of 2 x 2 px in the upper left of a tile of 5 x 5."""
    mask = np.zeros((1, 5, 5), bool)
    mask[0, :2, :2] = True
    return mask


@pytest.mark.parametrize(
    ("peak", "tolerance", "hit"),
    [
        ((1, 1), 0, 1),
        ((2, 1), 0, 0),
        ((2, 1), 1, 1),
        ((2, 2), 1, 0),  # the root of 2 away
        ((2, 2), 1.5, 1),
        ((4, 4), 4, 0),
    ],
)
def test_pointing_game_asks_how_far_the_peak_is_from_the_lesion(corner, peak, tolerance, hit):
    values = np.full((1, 5, 5), 0.5, np.float32)
    values[0][peak] = 0.6
    assert explain.pointing_game(values, corner, tolerance).tolist() == [hit]


def test_peaks_that_tie_count_by_their_share(corner):
    values = np.zeros((1, 5, 5), np.float32)
    values[0, 0, 1:4] = 1
    assert explain.pointing_game(values, corner, 0).tolist() == [pytest.approx(1 / 3)]
    even = np.ones((1, 5, 5), np.float32)
    assert explain.pointing_game(even, corner, 0).tolist() == [pytest.approx(4 / 25)]
    assert explain.pointing_game(even, corner, 1).tolist() == [pytest.approx(8 / 25)]


def test_mass_inside_is_a_share_of_the_sum(corner):
    values = np.zeros((1, 5, 5), np.float32)
    values[0, 0, 0], values[0, 1, 1], values[0, 4, 4] = 1, 2, 5
    assert explain.mass_inside(values, corner).tolist() == [pytest.approx(3 / 8)]
    for even in (0, 1):
        level = np.full((1, 5, 5), even, np.float32)
        assert explain.mass_inside(level, corner).tolist() == [pytest.approx(4 / 25)]


def test_the_centre_is_a_gaussian_about_the_middle():
    guess = explain.centre_map((5, 7), sd=2.0)
    assert guess.shape == (5, 7)
    assert guess[2, 3] == guess.max() == 1
    assert guess[2, 5] == guess[0, 3] == pytest.approx(np.exp(-0.5))
    assert guess[0, 1] == pytest.approx(np.exp(-1))


@pytest.mark.parametrize(
    ("maps", "masks", "message"),
    [
        (np.ones((1, 5, 4)), np.ones((1, 5, 5), bool), r"maps \(1, 5, 4\), masks \(1, 5, 5\)"),
        (np.ones((2, 5, 5)), np.array([True, False])[:, None, None] * np.ones((5, 5), bool),
         "masks: row 1 has no lesion"),
        (np.full((1, 5, 5), -1.0), np.ones((1, 5, 5), bool), "maps: -1.0 found in row 0"),
        (np.full((1, 5, 5), np.nan), np.ones((1, 5, 5), bool), "maps: nan found in row 0"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("score", [explain.pointing_game, explain.mass_inside])
def test_pairs_that_cannot_be_scored_are_refused(score, maps, masks, message):
    with pytest.raises(UsageError, match=message):
        score(maps, masks)


# Comparison with guesses


@pytest.fixture(scope="module")
def per_tile() -> pd.DataFrame:
    """Lesions in a corner for the first 20 tiles, at the centre for the other 20."""
    masks = np.zeros((40, 9, 9), bool)
    masks[:20, :3, :3] = masks[20:, 3:6, 3:6] = True
    perfect, wrong = masks.astype(np.float32), (~masks).astype(np.float32)
    return explain.localisation({"perfect": perfect, "wrong": wrong}, masks, 0, centre_sd=2.0)


def test_localisation_scores_maps_and_guesses_a_row_a_tile(per_tile):
    assert len(per_tile) == 40
    assert set(per_tile[explain.MASS]) == {"perfect", "wrong", "centre", "uniform"}
    assert (per_tile[explain.POINTING, "perfect"] == 1).all()
    assert (per_tile[explain.MASS, "wrong"] == 0).all()
    assert per_tile[explain.POINTING, "centre"].tolist() == [0] * 20 + [1] * 20
    assert np.allclose(per_tile[explain.MASS, "uniform"], 9 / 81)
    inside = np.exp(-np.array([1, 0, 1]) / 8).sum() ** 2
    everywhere = np.exp(-np.square(np.arange(-4, 5)) / 8).sum() ** 2
    assert per_tile[explain.MASS, "centre"].iloc[-1] == pytest.approx(inside / everywhere)


def test_differences_are_paired_and_their_intervals_by_group(per_tile):
    alone = explain.localisation_figures(per_tile, np.arange(40))[explain.POINTING]["perfect"]
    assert alone["value"] == 1
    assert alone["less centre"]["value"] == 0.5
    low, high = alone["less centre"]["interval"]
    sd = np.sqrt(0.25 / 40)  # of a share of a half among 40
    assert low == pytest.approx(0.5 - 1.96 * sd, abs=0.03)
    assert high == pytest.approx(0.5 + 1.96 * sd, abs=0.03)
    grouped = explain.localisation_figures(per_tile, np.arange(40) // 10)
    wide = np.ptp(grouped[explain.POINTING]["perfect"]["less centre"]["interval"])
    assert wide > 2 * (high - low)  # ten alike a group: the root of ten times as wide
    assert grouped[explain.MASS]["perfect"]["less uniform"]["interval"] == pytest.approx(
        [8 / 9, 8 / 9]
    )


def test_a_difference_is_more_or_less_only_if_its_interval_excludes_none(per_tile):
    found = explain.localisation_figures(per_tile, np.arange(40))
    assert explain.compared(found[explain.POINTING]["perfect"]["less centre"]) == "more"
    assert explain.compared(found[explain.MASS]["wrong"]["less uniform"]) == "less"
    assert explain.compared({"value": 0.1, "interval": [-0.1, 0.3]}) == "neither more nor less"


def test_a_map_that_hits_every_time_is_not_certain_to(per_tile):
    found = explain.localisation_figures(per_tile, np.arange(40) // 4)[explain.POINTING]
    low, high = found["perfect"]["interval"]
    assert high == 1
    assert low**10 == pytest.approx(0.025)  # ten groups that all agree


def test_a_sentence_states_both_scores_and_what_the_intervals_decide(per_tile):
    said = explain.in_a_sentence("perfect", explain.localisation_figures(per_tile, np.arange(40)))
    assert said.startswith("**perfect** has its largest value on the lesion in 1.000 (")
    assert "a guess at the centre in 0.500 (" in said
    assert [part.split("**")[0] for part in said.split("**")[3::2]] == [
        "more often", "more", "more",
    ]  # fmt: skip
    assert "of an even map, 0.111" in said


def test_the_border_is_the_outermost_row_of_cells():
    rim = explain.border((12, 8), (6, 4))
    assert not rim[2:10, 2:6].any()
    assert rim.sum() == 12 * 8 - 8 * 4


def test_table_and_figure_show_every_map_and_guess(per_tile):
    found = {
        name: explain.localisation_figures(per_tile[rows], np.arange(20))
        for name, rows in (("corner", slice(0, 20)), ("middle", slice(20, 40)))
    }
    table = explain.localisation_table(found)
    assert table.index.tolist() == [
        (where, name)
        for where in ("corner", "middle")
        for name in ("perfect", "wrong", "centre", "uniform")
    ]
    shown = table.loc[("corner", "perfect"), (explain.POINTING, "less centre")]
    assert shown == "1.0000 (1.0000 to 1.0000)", "a small difference shows its sign"
    assert table.loc[("corner", "centre"), (explain.POINTING, "less centre")] == ""
    figure = figures_explain.localisation_points(found)
    assert [axis.get_title() for axis in figure.axes] == [explain.POINTING, explain.MASS]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["perfect", "wrong", "centre", "uniform"]
    plt.close(figure)


# Pictures


def test_overlay_mixes_grey_and_colour_of_the_maps_own_range():
    tile = np.full((2, 2), 100, np.uint8)
    heat = np.array([[0.5, 0.5], [0.5, 0.6]], np.float32)
    mixed = figures_explain.overlay(tile, heat)
    dark, light = (np.array(plt.get_cmap("cividis")(x)[:3]) * 255 for x in (0.0, 1.0))
    assert mixed.dtype == np.uint8
    np.testing.assert_allclose(mixed[0, 0], 55 + 0.45 * dark, atol=1)
    np.testing.assert_allclose(mixed[1, 1], 55 + 0.45 * light, atol=1)
    level = figures_explain.overlay(tile, np.full((2, 2), 0.5, np.float32))
    assert (level == level[0, 0]).all()


@pytest.mark.parametrize("outlined", [True, False])
def test_rows_of_maps_state_their_range_and_outline_lesions_where_known(outlined):
    tiles = np.full((2, 8, 8), 90, np.uint8)
    heat = np.linspace(0.2, 0.7, 128, dtype=np.float32).reshape(2, 8, 8)
    masks = np.zeros((2, 8, 8), bool)
    masks[:, 2:5, 2:5] = True
    figure = figures_explain.map_rows(
        tiles, {"A": heat, "B": heat}, ["one", "two"], masks if outlined else None
    )
    first, *_, last = figure.axes
    assert len(figure.axes) == 6
    assert (first.get_title(), first.get_ylabel()) == ("one", "tile")
    assert last.get_xlabel() == "0.45 to 0.70"
    assert all(bool(axis.collections) == outlined for axis in figure.axes)
    plt.close(figure)
