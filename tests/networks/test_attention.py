"""Attention layers and the scorer's head against equations (2) to (6), written in NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from birads_lib.errors import UsageError
from birads_lib.networks import ChannelAttention, SpatialAttention, attention_scorer

POOLS = ("channels", "window")
REDUCTIONS = (None, 4, 64)  # 64 is more than the channels: one unit stays
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    """F: (2, 5, 7, 12), of both signs."""
    return np.random.default_rng(5).normal(0, 1.5, (2, 5, 7, 12)).astype(np.float32)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(x / 2))


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def conv1x1(x: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    kernel, bias = weights
    return x @ kernel[0, 0] + bias


def windows(x: np.ndarray) -> np.ndarray:
    """Each cell's 3 x 3 neighbours; NaN beyond the edge: (..., H, W, C, 3, 3)."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=np.nan)
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))


def spatial_map(F: np.ndarray, weights: list[np.ndarray], pool: str) -> np.ndarray:
    """Equation (2). ``weights``: kernel and bias after MaxPool, then after AvgPool."""
    if pool == "channels":
        largest, mean = F.max(-1, keepdims=True), F.mean(-1, keepdims=True)
    else:
        largest, mean = np.nanmax(windows(F), (-2, -1)), np.nanmean(windows(F), (-2, -1))
    return sigmoid(conv1x1(largest, weights[:2]) + conv1x1(mean, weights[2:]))


def channel_map(F_s: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """Equation (6), first line. ``weights`` by path: squeeze (if any) and connected."""

    def connected(pooled: np.ndarray) -> np.ndarray:
        if "squeeze/kernel" in weights:
            pooled = np.maximum(pooled @ weights["squeeze/kernel"] + weights["squeeze/bias"], 0)
        return pooled @ weights["connected/kernel"] + weights["connected/bias"]

    A_c = sigmoid(connected(F_s.max((1, 2))) + connected(F_s.mean((1, 2))))
    return A_c[:, np.newaxis, np.newaxis]


def by_name(layer: keras.layers.Layer) -> dict[str, np.ndarray]:
    return {"/".join(w.path.split("/")[-2:]): w.numpy() for w in layer.weights}


@pytest.mark.parametrize("pool", POOLS)
def test_spatial_map_is_equation_2(pool, features, randomise):
    layer = SpatialAttention(pool)
    layer.build(features.shape)
    randomise(layer)
    A_s = np.asarray(layer(features))
    weights = by_name(layer)
    names = ("of_max/kernel", "of_max/bias", "of_mean/kernel", "of_mean/bias")
    expected = spatial_map(features, [weights[name] for name in names], pool)
    assert A_s.shape == (2, 5, 7, 1)
    np.testing.assert_allclose(A_s, expected, atol=TOLERANCE)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_channel_map_is_equation_6(reduction, features, randomise):
    layer = ChannelAttention(reduction)
    layer.build(features.shape)
    randomise(layer, sd=0.5)
    A_c = np.asarray(layer(features))
    assert A_c.shape == (2, 1, 1, 12)
    np.testing.assert_allclose(A_c, channel_map(features, by_name(layer)), atol=TOLERANCE)


@pytest.mark.parametrize(
    ("reduction", "shapes"),
    [(None, {(12, 12), (12,)}), (4, {(12, 3), (3,), (3, 12), (12,)}), (64, {(12, 1), (1, 12)})],
)
def test_reduction_decides_the_connected_part(reduction, shapes, features):
    layer = ChannelAttention(reduction)
    layer.build(features.shape)
    assert shapes <= {tuple(w.shape) for w in layer.weights}
    assert len(layer.weights) == (2 if reduction is None else 4)


@pytest.mark.parametrize("pool", POOLS)
def test_each_pooling_has_a_convolution_of_its_own(pool, features):
    layer = SpatialAttention(pool)
    layer.build(features.shape)
    channels = 1 if pool == "channels" else features.shape[-1]
    assert {name: w.shape for name, w in by_name(layer).items()} == {
        "of_max/kernel": (1, 1, channels, 1),
        "of_max/bias": (1,),
        "of_mean/kernel": (1, 1, channels, 1),
        "of_mean/bias": (1,),
    }


LAYERS = [
    *(pytest.param(SpatialAttention, {"pool": pool}, id=f"spatial-{pool}") for pool in POOLS),
    *(pytest.param(ChannelAttention, {"reduction": r}, id=f"channel-{r}") for r in REDUCTIONS),
]


@pytest.mark.parametrize(("kind", "options"), LAYERS)
def test_attention_stays_in_0_to_1_for_extreme_features(kind, options, features, randomise):
    layer = kind(**options)
    layer.build(features.shape)
    randomise(layer)
    values = np.asarray(layer(features * 1e4))
    assert np.isfinite(values).all()
    assert values.min() >= 0
    assert values.max() <= 1


@pytest.mark.parametrize(("kind", "options"), LAYERS)
def test_stated_output_shape_is_the_real_one(kind, options, features):
    layer = kind(**options)
    assert layer.compute_output_shape(features.shape) == tuple(layer(features).shape)


@pytest.mark.parametrize(("kind", "options"), LAYERS)
def test_config_makes_the_same_layer(kind, options):
    layer = kind(**options, name="map")
    again = kind.from_config(layer.get_config())
    assert options.items() <= layer.get_config().items()
    assert again.get_config() == layer.get_config()


@pytest.mark.parametrize(("kind", "options"), LAYERS)
def test_saved_layer_gives_the_same_map(kind, options, features, randomise, tmp_path):
    maps = keras.Input(features.shape[1:])
    model = keras.Model(maps, kind(**options)(maps))
    randomise(model.layers[-1])
    model.save(tmp_path / "map.keras")
    again = keras.saving.load_model(tmp_path / "map.keras")
    assert again.layers[-1].get_config() == model.layers[-1].get_config()
    np.testing.assert_array_equal(again(features), model(features))


@pytest.mark.parametrize(("kind", "options"), LAYERS)
def test_gradient_reaches_every_weight(kind, options, features, randomise, unreached):
    layer = kind(**options)
    layer.build(features.shape)
    randomise(layer, seed=3, sd=0.3)
    assert len(layer.trainable_weights) == len(layer.weights) > 0
    assert unreached(layer, features) == []


def test_unknown_pool_names_the_allowed_ones():
    with pytest.raises(UsageError, match=r"pool: unknown 'cells'; use one of channels, window"):
        SpatialAttention("cells")


def expected_scores(model: keras.Model, tiles: np.ndarray, pool: str) -> np.ndarray:
    """Equations (1) to (6) from the backbone's features and the layers' weights."""
    names = [layer.name for layer in model.layers]
    F_c = np.asarray(model.get_layer("efficientnetb0")(tiles))  # (1)
    if "spatial_attention" in names:
        A_s = spatial_map(F_c, model.get_layer("spatial_attention").get_weights(), pool)  # (2)
        F_c = A_s * F_c  # (3)
    if "channel_attention" in names:
        F_c = channel_map(F_c, by_name(model.get_layer("channel_attention"))) * F_c  # (6)
    V = F_c.mean((1, 2))  # (4)
    W, b = model.get_layer("score").get_weights()
    return softmax(V @ W + b)  # (5)


def test_scorer_is_equations_1_to_6(scorer, colour_tiles):
    scores = np.asarray(scorer(colour_tiles))
    assert np.ptp(scores, axis=0).max() > 0.05  # tiles are told apart, so a slip would show
    np.testing.assert_allclose(
        scores, expected_scores(scorer, colour_tiles, "channels"), atol=TOLERANCE
    )


@pytest.mark.parametrize(
    ("attention", "pool", "reduction"),
    [
        ("both", "window", None),
        ("both", "channels", 16),
        ("spatial", "channels", None),
        ("channel", "channels", None),
        ("none", "channels", None),
    ],
)
def test_other_readings_are_the_equations_too(
    attention, pool, reduction, scorer, colour_tiles, randomise
):
    backbone = scorer.get_layer("efficientnetb0")
    model = attention_scorer(
        "EfficientNetB0", colour_tiles.shape[1:], None, attention, pool, reduction
    )
    model.get_layer("efficientnetb0").set_weights(backbone.get_weights())
    for layer in model.layers:
        if layer.name in ("spatial_attention", "channel_attention", "score"):
            randomise(layer, seed=1, sd=0.1)
    scores = np.asarray(model(colour_tiles))
    assert np.ptp(scores, axis=0).max() > 0.05
    np.testing.assert_allclose(scores, expected_scores(model, colour_tiles, pool), atol=TOLERANCE)
