"""The ordinal head: order by construction, probabilities, its loss; the scorer in two parts."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from birads_lib.errors import UsageError
from birads_lib.networks import (
    OrdinalHead,
    attention_scorer,
    category_probabilities,
    join_at_features,
    ordinal_scorer,
    split_at_features,
)
from birads_lib.networks.ordinal import (
    OrdinalCrossentropy,
    category_distance,
    cumulative_targets,
    predicted_category,
)

V = np.array([[1.0, -2.0], [0.5, 0.25], [0.0, 0.0]], np.float32)


def head_of(direction, first, steps) -> OrdinalHead:
    """An ordinal head for two features with these weights."""
    head = OrdinalHead(len(steps) + 2)
    head.build((None, 2))
    head.set_weights([np.reshape(direction, (2, 1)), np.array([first]), np.array(steps)])
    return head


def by_hand(direction, first, steps, rows) -> np.ndarray:
    biases = [first]
    for step in steps:
        biases.append(biases[-1] - np.log1p(np.exp(step)))
    logits = np.array([[np.dot(row, direction) + b for b in biases] for row in rows])
    return 1 / (1 + np.exp(-logits))


# The head


def test_head_is_one_direction_and_falling_biases():
    weights = ([0.7, -0.3], 0.4, [0.2, -1.5])
    found = head_of(*weights)(V)
    np.testing.assert_allclose(found, by_hand(*weights, V), rtol=1e-5)


@pytest.mark.parametrize("steps", [[-3.0, 2.0], [5.0, -8.0], [0.0, 0.0]])
def test_answers_fall_along_a_row_whatever_the_weights(steps):
    found = np.asarray(head_of([30.0, -4.0], -2.0, steps)(V))
    assert (np.diff(found, axis=1) <= 0).all()
    assert found.min() >= 0
    assert found.max() <= 1


def test_a_fresh_head_has_biases_one_apart_around_zero():
    head = OrdinalHead(4)
    head.build((None, 2))
    np.testing.assert_allclose(head.biases(), [1, 0, -1], atol=1e-6)


def test_two_categories_are_one_sigmoid():
    found = head_of([1.0, 1.0], 0.5, [])(V)
    assert found.shape == (3, 1)
    np.testing.assert_allclose(found[0, 0], 1 / (1 + np.exp(0.5)), rtol=1e-5)


def test_fewer_than_two_categories_are_refused():
    with pytest.raises(UsageError, match="categories: 1 given; expected 2 or more"):
        OrdinalHead(1)


# Categories and cumulative probabilities


def test_targets_are_one_below_the_category():
    expected = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]]
    np.testing.assert_array_equal(cumulative_targets([0, 1, 2, 3]), expected)


def test_probabilities_are_the_steps_of_the_cumulative_ones():
    found = category_probabilities(np.array([[0.9, 0.6, 0.1], [1, 1, 1], [0, 0, 0]], np.float32))
    expected = [[0.1, 0.3, 0.5, 0.1], [0, 0, 0, 1], [1, 0, 0, 0]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_probabilities_are_never_negative_and_sum_to_one():
    anything = np.random.default_rng(0).random((500, 3)).astype(np.float32)  # not ordered
    found = np.asarray(category_probabilities(anything))
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_predicted_category_is_the_median():
    cumulative = np.array([[0.9, 0.6, 0.1], [0.4, 0.3, 0.3], [0.8, 0.8, 0.51]], np.float32)
    np.testing.assert_array_equal(predicted_category(cumulative), [2, 0, 3])


def test_distance_counts_categories():
    cumulative = np.array([[0.9, 0.6, 0.1], [0.4, 0.3, 0.3]], np.float32)
    np.testing.assert_array_equal(category_distance([0, 0], cumulative), [2, 0])


def test_loss_is_the_mean_binary_crossentropy_of_the_thresholds():
    cumulative = np.array([[0.9, 0.6, 0.1], [0.4, 0.3, 0.2]], np.float32)
    first = -(np.log(0.9) + np.log(0.4) + np.log(0.9)) / 3  # category 1: only y > 0 holds
    second = -(np.log(0.4) + np.log(0.3) + np.log(0.2)) / 3  # category 3: all hold
    loss = OrdinalCrossentropy()
    assert float(loss([1, 3], cumulative)) == pytest.approx((first + second) / 2, rel=1e-5)
    weighted = float(loss([1, 3], cumulative, sample_weight=[2.0, 0.0]))
    assert weighted == pytest.approx(first, rel=1e-5)


def test_a_graver_mistake_costs_more():
    loss, sure_of_two = OrdinalCrossentropy(), np.array([[0.02, 0.01, 0.005]], np.float32)
    costs = [float(loss([category], sure_of_two)) for category in range(4)]
    assert costs == sorted(costs)
    assert costs[0] < 0.05 < costs[1]


# The network


@pytest.fixture(scope="module")
def graded(scorer) -> keras.Model:
    return ordinal_scorer(scorer)


def test_ordinal_scorer_gives_three_falling_probabilities(graded, colour_tiles):
    found = np.asarray(graded(colour_tiles))
    assert found.shape == (4, 3)
    assert (np.diff(found, axis=1) < 0).all()


def test_ordinal_scorer_keeps_all_but_the_last_layer(graded, scorer, colour_tiles):
    pooled = [keras.Model(m.input, m.get_layer("pool").output) for m in (graded, scorer)]
    ours, theirs = (np.asarray(model(colour_tiles)) for model in pooled)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert "score" not in [layer.name for layer in graded.layers]


def test_ordinal_scorer_leaves_the_first_network_alone(scorer, colour_tiles):
    before = np.asarray(scorer(colour_tiles))
    graded = ordinal_scorer(scorer)
    graded.set_weights([np.zeros_like(w) for w in graded.get_weights()])
    np.testing.assert_array_equal(scorer(colour_tiles), before)


def test_ordinal_scorer_comes_back_from_its_file(graded, colour_tiles, tmp_path):
    graded.save(tmp_path / "graded.keras")
    again = keras.saving.load_model(tmp_path / "graded.keras")
    np.testing.assert_allclose(again(colour_tiles), graded(colour_tiles), atol=1e-6)


# In two parts


@pytest.mark.parametrize("attention", ["both", "spatial", "channel", "none"])
def test_parts_joined_answer_as_the_whole(attention, colour_tiles, settle, randomise):
    keras.utils.set_random_seed(0)  # some first weights answer nearly alike for all tiles
    whole = attention_scorer(
        "EfficientNetB0", colour_tiles.shape[1:], attention=attention, last_block=2, dropout=0.2
    )
    settle(whole, colour_tiles)
    randomise(whole.get_layer("score"))
    backbone, head = split_at_features(whole)
    joined = join_at_features(backbone, head)
    expected = np.asarray(whole(colour_tiles))
    assert np.ptp(expected, axis=0).max() > 0.01
    np.testing.assert_allclose(head(backbone(colour_tiles)), expected, atol=1e-6)
    np.testing.assert_allclose(joined(colour_tiles), expected, atol=1e-6)


def test_a_joined_network_comes_apart_again_and_back_from_its_file(scorer, colour_tiles, tmp_path):
    joined = join_at_features(*split_at_features(scorer))
    joined.save(tmp_path / "joined.keras")
    loaded = keras.saving.load_model(tmp_path / "joined.keras")
    expected = np.asarray(scorer(colour_tiles))
    for model in (loaded, join_at_features(*split_at_features(joined))):
        np.testing.assert_allclose(model(colour_tiles), expected, atol=1e-6)


def test_the_head_trains_without_touching_the_scorer(scorer, colour_tiles):
    before = np.asarray(scorer(colour_tiles))
    _, head = split_at_features(scorer)
    head.set_weights([np.zeros_like(w) for w in head.get_weights()])
    np.testing.assert_array_equal(scorer(colour_tiles), before)


def test_an_ordinal_head_stands_on_split_features_too(scorer, graded, colour_tiles):
    backbone, head = split_at_features(scorer)
    graded_head = ordinal_scorer(head)
    graded_head.get_layer("grade").set_weights(graded.get_layer("grade").get_weights())
    joined = join_at_features(backbone, graded_head)
    np.testing.assert_allclose(joined(colour_tiles), graded(colour_tiles), atol=1e-5)


def test_a_network_without_a_backbone_is_refused():
    tile = keras.Input((4, 4, 3))
    plain = keras.Model(tile, keras.layers.Flatten()(tile), name="plain")
    with pytest.raises(UsageError, match="plain: holds no backbone; give an attention_scorer"):
        split_at_features(plain)


def test_parts_that_do_not_fit_are_refused(scorer):
    backbone, _ = split_at_features(scorer)
    features = keras.Input((2, 2, 5))
    head = keras.Model(features, keras.layers.Flatten()(features))
    with pytest.raises(UsageError, match=r"the head takes \(2, 2, 5\)"):
        join_at_features(backbone, head)
