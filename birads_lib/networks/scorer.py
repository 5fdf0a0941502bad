"""The scorer of section III: EfficientNet with attention, and the plain CNN of the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from birads_lib.errors import UsageError, one_of
from birads_lib.labels import LESION_CODES
from birads_lib.networks.attention import ChannelAttention, SpatialAttention
from birads_lib.networks.backbones import build_backbone, cut_after
from birads_lib.networks.normalization import with_fused_normalization
from birads_lib.pretrained import ATTENTIONS, Weights, check_backbone

PRINTED_INPUT = (200, 150, 3)
"""Input shape of section IV; height, width, channels in Keras' order."""
PLAIN_FILTERS = (8, 16, 32, 64, 128)
SPATIAL, CHANNEL = "spatial_attention", "channel_attention"
"""Names of the layers that give A_s and A_c."""


def attention_scorer(
    backbone: str = "EfficientNetB7",
    input_shape: tuple[int, int, int] = PRINTED_INPUT,
    weights: Weights = None,
    attention: str = "both",
    pool: str = "channels",
    reduction: int | None = None,
    classes: int = len(LESION_CODES),
    dropout: float = 0.0,
    last_block: int | None = None,
) -> keras.Model:
    """Lesion classes by attention over EfficientNet's features, equations (1) to (6).

    y = softmax(W GAP(A_c * A_s * F(X)) + b)

    1. F = EfficientNet(X) without its top, equation (1): ``(batch, H, W, C)``.
    2. F_s = A_s * F, equations (2) and (3): ``(batch, H, W, C)``.
    3. A_c * F_s, equation (6): ``(batch, H, W, C)``.
    4. V, the mean over height and width, equation (4): ``(batch, C)``.
    5. Fully connected, softmax, equation (5): ``(batch, classes)``.

    Args:
        backbone: ``"EfficientNetB0"`` to ``"EfficientNetB7"``.
        input_shape: (height, width, 3); as printed 200 x 150 x 3.
        weights: ``None``, ``"imagenet"`` (from Keras' cache only) or a local file.
        attention: ``"both"``, ``"spatial"``, ``"channel"`` or ``"none"``.
        pool: Reading of equation (2), see ``SpatialAttention``.
        reduction: Reading of equation (6), see ``ChannelAttention``.
        classes: Number of classes; 4 for C2 to C5.
        dropout: Share of V dropped before the last layer, 0..1; the paper names none.
        last_block: Keep EfficientNet up to this stage (1..7) only; ``None`` keeps all.

    Returns:
        Model from float32 ``(batch, height, width, 3)`` in 0..255 to ``(batch, classes)``,
        each row summing to 1. The layers ``spatial_attention`` and
        ``channel_attention`` give A_s and A_c.

    Raises:
        UsageError: Unknown backbone, attention or pooling; not three channels.
        DataError: The weights are not there or do not fit.
    """
    check_backbone(backbone)
    one_of("attention", attention, ATTENTIONS)
    if input_shape[-1] != 3:
        raise UsageError(f"attention_scorer: {input_shape[-1]} channels given; expected three")
    features = build_backbone(backbone, input_shape, weights)
    features = with_fused_normalization(cut_after(features, last_block, "block{}"))
    tile = keras.Input(input_shape, name="tile")
    x = _attended(features(tile), attention, pool, reduction)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    score = layers.Dense(classes, activation="softmax", dtype="float32", name="score")(x)
    return keras.Model(tile, score, name=f"attention_{backbone.lower()}")


def attention_head(
    features_shape: tuple[int, int, int],
    attention: str = "both",
    pool: str = "channels",
    reduction: int | None = None,
    classes: int = len(LESION_CODES),
) -> keras.Model:
    """The scorer behind its backbone alone, equations (2) to (6), for features kept on disk.

    Args:
        features_shape: (height, width, channels) of the features F.
        attention, pool, reduction: See ``attention_scorer``.
        classes: Number of classes; 1 for a single yes or no.

    Returns:
        Model from float32 ``(batch, height, width, channels)`` to ``(batch, classes)``,
        each row summing to 1; of one class a sigmoid, ``(batch, 1)`` in 0..1.

    Raises:
        UsageError: Unknown attention or pooling.
    """
    one_of("attention", attention, ATTENTIONS)
    features = keras.Input(features_shape, name="features")
    x = _attended(features, attention, pool, reduction)
    last = "sigmoid" if classes == 1 else "softmax"
    score = layers.Dense(classes, activation=last, dtype="float32", name="score")(x)
    return keras.Model(features, score, name="attention_head")


def _attended(x: Any, attention: str, pool: str, reduction: int | None) -> Any:
    """V of equation (4), ``(batch, C)``, from F, ``(batch, H, W, C)``."""
    if attention in ("both", "spatial"):
        where = SpatialAttention(pool, name=SPATIAL)(x)
        x = layers.Multiply(name="refined")([x, where])
    if attention in ("both", "channel"):
        which = ChannelAttention(reduction, name=CHANNEL)(x)
        x = layers.Multiply(name="weighted")([x, which])
    return layers.GlobalAveragePooling2D(name="pool")(x)


def plain_cnn(
    input_shape: tuple[int, int, int] = PRINTED_INPUT,
    filters: Sequence[int] = PLAIN_FILTERS,
    classes: int = len(LESION_CODES),
) -> keras.Model:
    """The CNN that section IV describes: five 3x3 convolutions of 8 to 128 filters.

    Each convolution has ReLU and is followed by 2x2 max pooling. The text names the
    pooling of the first layer only and no head; pooling after each, a mean over height
    and width, and a softmax are this study's reading.

    Args:
        input_shape: (height, width, channels); as printed 200 x 150 x 3.
        filters: Filters of each convolution.
        classes: Number of classes; 4 for C2 to C5.

    Returns:
        Model from float32 ``(batch, height, width, channels)`` in 0..255 to
        ``(batch, classes)``, each row summing to 1.
    """
    tile = keras.Input(input_shape, name="tile")
    x = layers.Rescaling(1 / 255, name="scale")(tile)
    for i, n in enumerate(filters, 1):
        x = layers.Conv2D(n, 3, padding="same", activation="relu", name=f"conv_{i}")(x)
        x = layers.MaxPooling2D(2, name=f"pool_{i}")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    score = layers.Dense(classes, activation="softmax", dtype="float32", name="score")(x)
    return keras.Model(tile, score, name="plain_cnn")


def split_at_features(scorer: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Take a scorer apart where its backbone hands over the features F of equation (1).

    Args:
        scorer: From ``attention_scorer``, or that with an ordinal head.

    Returns:
        Backbone, from tiles ``(batch, height, width, 3)`` to features ``(batch, H, W, C)``,
        the scorer's own; and head, from such features to the scorer's answers, with
        copies of its weights.

    Raises:
        UsageError: The network holds no backbone.
    """
    backbone = next((x for x in scorer.layers if isinstance(x, keras.Model)), None)
    if backbone is None:
        raise UsageError(f"{scorer.name}: holds no backbone; give an attention_scorer")

    own = _own_graph(scorer)
    first = own.layers[own.layers.index(backbone) + 1]
    after = keras.Model(first.input, own.output)
    features = keras.Input(backbone.output_shape[1:], name="features")
    head = keras.models.clone_model(after, input_tensors=features)
    for layer in head.layers[1:]:
        layer.set_weights(scorer.get_layer(layer.name).get_weights())
    return backbone, keras.Model(head.input, head.output, name="attention_head")


def _own_graph(scorer: keras.Model) -> keras.Model:
    """The scorer with its own backbone and new layers after it, their weights not yet set.

    Of a layer that stands in one graph alone, ``input`` and ``output`` are that graph's.
    """

    def renewed(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, keras.Model):
            return layer
        return type(layer).from_config(layer.get_config())

    return keras.models.clone_model(scorer, clone_function=renewed)


def join_at_features(backbone: keras.Model, head: keras.Model) -> keras.Model:
    """One network from tiles to answers again; it shares the layers of both parts.

    Args:
        backbone: From tiles to features.
        head: From features to answers, see ``split_at_features``.

    Raises:
        UsageError: The head takes other features than the backbone gives.
    """
    if backbone.output_shape != head.input_shape:
        raise UsageError(
            f"join: the backbone gives {backbone.output_shape[1:]}, the head takes "
            f"{head.input_shape[1:]}; give two parts of one network"
        )
    tile = keras.Input(backbone.input_shape[1:], name="tile")
    return keras.Model(tile, head.call(backbone(tile)), name=f"joined_{head.name}")
