"""The networks of the systems that the paper cites or names, by name.

All take grey levels 0..255 and hold their own scaling. A gate ends in the head of
``mobilenet_gate`` and a scorer in the mean over height and width and a fully connected
layer, whatever stood on top when its network was published, so that two of them differ
by their features alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import layers

from birads_lib.errors import UsageError, one_of
from birads_lib.labels import LESION_CODES
from birads_lib.networks.backbones import build_backbone, check_clip, cut_after
from birads_lib.networks.gate import SMALLEST_SIDE, gate_head
from birads_lib.networks.googlenet import DROPOUT, googlenet
from birads_lib.networks.normalization import with_fused_normalization
from birads_lib.networks.scorer import PLAIN_FILTERS, PRINTED_INPUT, plain_cnn
from birads_lib.networks.shufflenet import shufflenet
from birads_lib.networks.spatial_transformer import SpatialTransformer
from birads_lib.networks.squeezenet import squeezenet
from birads_lib.pretrained import EFFICIENTNETS, GATE_BACKBONES, SCORER_BACKBONES, STN, Weights

REGION_FILTERS = (8, 16)
REGION_SHRINKS = 2 ** len(REGION_FILTERS)  # times, before the region is drawn at full size
IMAGENET_GREY = (-103.939, -116.779, -123.68)
"""What ResNet50 and VGG16 had subtracted from blue, green and red of ImageNet, minus."""

BLOCKS = {
    "MobileNetV2": "block_{}_",
    "MobileNetV3Small": "expanded_conv_{}_",
    "ResNet50": "conv{}_block",
    "VGG16": "block{}_",
    **dict.fromkeys(EFFICIENTNETS, "block{}"),
}
"""How ``keras.applications`` names the layers of a block."""
FIRST_BLOCK = {"ResNet50": 2}  # counts its first convolution as 1
HOLDS_SCALING = ("MobileNetV3Small", *EFFICIENTNETS)

Builder = Callable[..., keras.Model]


def peer_gate(
    backbone: str,
    input_shape: tuple[int, int, int] = (224, 224, 1),
    weights: Weights = None,
    clip: int | None = None,
    classes: int = 1,
    units: int = 128,
    dropout: float = 0.2,
    **options: Any,
) -> keras.Model:
    """A light network with the head of ``mobilenet_gate``: infected or not.

    Args:
        backbone: One of ``GATES``.
        input_shape: (height, width, 1); at least 32 px a side.
        weights: ``None``; or, but for SqueezeNet and ShuffleNet, ``"imagenet"`` (from
            Keras' cache only) or a local file: the grey tile is then repeated three times.
        clip: Keep only the first so many blocks, as the network's authors count them;
            ``None`` keeps all.
        classes: 1 for one sigmoid; more for a softmax.
        units: Units of the fully connected layer of the head.
        dropout: Share dropped before the last layer, 0..1.
        options: Passed to the backbone: ``alpha`` (MobileNets), ``width`` (ShuffleNetV2).

    Returns:
        Model from float32 ``(batch, height, width, 1)`` in 0..255 to ``(batch, classes)``
        in 0..1.

    Raises:
        UsageError: Unknown backbone, not one channel, too small, or no such block.
        DataError: The weights are not there or do not fit.
    """
    one_of("gate", backbone, GATE_BACKBONES)
    _check_tile(backbone, input_shape, channels=1)
    tile = keras.Input(input_shape, name="tile")
    x = tile if weights is None else layers.Concatenate(name="grey")([tile] * 3)
    x = _features(backbone, x, weights, clip, options)
    answer = gate_head(x, units, dropout, classes)
    return keras.Model(tile, answer, name=f"gate_{_plain(backbone)}")


def peer_scorer(
    backbone: str,
    input_shape: tuple[int, int, int] = PRINTED_INPUT,
    weights: Weights = None,
    clip: int | None = None,
    classes: int = len(LESION_CODES),
    dropout: float | None = None,
    **options: Any,
) -> keras.Model:
    """Lesion classes by a network that the paper cites, without attention.

    Args:
        backbone: One of ``SCORERS``.
        input_shape: (height, width, 3), grey repeated; at least 32 px a side.
        weights: ``None``; or, for networks of ``keras.applications``, ``"imagenet"``
            (from Keras' cache only) or a local file.
        clip: Keep only the first so many blocks (stages, inceptions, convolutions);
            ``None`` keeps all.
        classes: Number of classes, 4 for C2 to C5; 1 for one sigmoid.
        dropout: Share dropped before the last layer, 0..1; ``None``: .4 for GoogLeNet, as
            published, 0 for the others.
        options: Passed to the backbone, such as ``batch_norm`` (GoogLeNet).

    Returns:
        Model from float32 ``(batch, height, width, 3)`` in 0..255 to ``(batch, classes)``,
        each row summing to 1 if there are several. ``GoogLeNet-STN`` has a layer
        ``spatial_transformer``, whose ``grid(tiles)`` says where it looked;
        ``TwoStageCNN`` has its first stage, ``region``, within its backbone.

    Raises:
        UsageError: Unknown backbone, not three channels, too small, or no such block.
        DataError: The weights are not there or do not fit.
    """
    one_of("scorer", backbone, SCORER_BACKBONES)
    _check_tile(backbone, input_shape, channels=3)
    if dropout is None:
        dropout = DROPOUT if backbone.startswith("GoogLeNet") else 0.0
    x = tile = keras.Input(input_shape, name="tile")
    if backbone == STN:
        x = SpatialTransformer(name="spatial_transformer")(x)
    x = _features(backbone, x, weights, clip, options)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    last = "softmax" if classes > 1 else "sigmoid"
    score = layers.Dense(classes, activation=last, dtype="float32", name="score")(x)
    return keras.Model(tile, score, name=f"scorer_{_plain(backbone)}")


def two_stage_cnn(
    input_shape: tuple[int, int, int] = PRINTED_INPUT, clip: int | None = None
) -> keras.Model:
    """Features of a two-stage CNN after Huang et al. (2019), the paper's [16].

    Known of theirs: a first network, ROI-CNN, finds the region that holds the tumour in
    an ultrasound picture; a level-set method refines its outline; a second, G-CNN, grades
    that region. This study's reading, for tiles that carry a label and no outline:

    1. Scale 0..255 to 0..1.
    2. Region: two 3x3 convolutions (8, 16) with ReLU and max pooling, a 1x1 convolution
       with a sigmoid, back to full size: ``(batch, H, W, 1)``, 0..1, how much of a place
       is kept (layer ``region``).
    3. The tile times its region, and the convolutions of ``plain_cnn``.

    Both stages learn together from the label alone; there is no level set.

    Args:
        input_shape: (height, width, channels).
        clip: Keep only the first so many convolutions of the second stage, 1..5; ``None``
            keeps all.

    Returns:
        Model from float32 ``(batch, height, width, channels)`` in 0..255 to features
        ``(batch, H, W, 128)``.

    Raises:
        UsageError: ``clip`` is not one of the convolutions.
    """
    check_clip("TwoStageCNN", clip, PLAIN_FILTERS)
    height, width, _ = input_shape
    tile = keras.Input(input_shape, name="tile")
    scaled = x = layers.Rescaling(1 / 255, name="scale")(tile)
    for i, n in enumerate(REGION_FILTERS, 1):
        x = layers.Conv2D(n, 3, padding="same", activation="relu", name=f"region_conv_{i}")(x)
        x = layers.MaxPooling2D(2, padding="same", name=f"region_pool_{i}")(x)
    x = layers.Conv2D(1, 1, activation="sigmoid", name="region_coarse")(x)
    x = layers.UpSampling2D(REGION_SHRINKS, interpolation="bilinear", name="region_large")(x)
    excess = ((0, x.shape[1] - height), (0, x.shape[2] - width))
    region = layers.Cropping2D(excess, name="region")(x)
    x = layers.Multiply(name="within_region")([scaled, region])
    for i, n in enumerate(PLAIN_FILTERS[:clip], 1):
        x = layers.Conv2D(n, 3, padding="same", activation="relu", name=f"conv_{i}")(x)
        x = layers.MaxPooling2D(2, name=f"pool_{i}")(x)
    return keras.Model(tile, x, name="two_stage_cnn")


def _features(
    name: str, x: Any, weights: Weights, clip: int | None, options: dict[str, Any]
) -> Any:
    """Grey levels through a backbone, scaled as it wants them."""
    shape = x.shape[1:]
    if name in BLOCKS:
        backbone = build_backbone(name, shape, weights, **options)
        last = clip and clip + FIRST_BLOCK.get(name, 1) - 1
        features = with_fused_normalization(cut_after(backbone, last, BLOCKS[name]))
        return features(_scaled(name, x, weights))
    if weights is not None:
        raise UsageError(f"weights: none are known for {name}; give weights=None")
    return OWN[name](shape, clip=clip, **options)(x)


def _scaled(name: str, x: Any, weights: Weights) -> Any:
    if name in HOLDS_SCALING:
        return x
    if weights is not None and name in ("ResNet50", "VGG16"):
        # Their weights want blue before red, too; of repeated grey that changes nothing.
        return layers.Rescaling(1.0, offset=IMAGENET_GREY, name="scale")(x)
    return layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(x)


def _plain_features(input_shape: tuple[int, int, int], clip: int | None = None) -> keras.Model:
    check_clip("PlainCNN", clip, PLAIN_FILTERS)
    return cut_after(plain_cnn(input_shape), clip or len(PLAIN_FILTERS), "pool_{}")


def _check_tile(name: str, input_shape: tuple[int, int, int], channels: int) -> None:
    if input_shape[-1] != channels or min(input_shape[:2]) < SMALLEST_SIDE:
        raise UsageError(
            f"{name}: {' x '.join(map(str, input_shape))} given; expected sides of "
            f"{SMALLEST_SIDE} px or more and {channels} channel(s)"
        )


def _plain(name: str) -> str:
    """As a model's name may be: letters, digits and underscores."""
    return name.lower().replace(".", "_").replace("-", "_")


OWN: dict[str, Builder] = {
    "SqueezeNet1.1": partial(squeezenet, include_top=False),
    "ShuffleNetV2": partial(shufflenet, include_top=False),
    "GoogLeNet": partial(googlenet, include_top=False),
    STN: partial(googlenet, include_top=False),
    "PlainCNN": _plain_features,
    "TwoStageCNN": two_stage_cnn,
}
"""Backbones that ``keras.applications`` lacks: (input shape, clip) -> features."""

GATES: dict[str, Builder] = {name: partial(peer_gate, name) for name in GATE_BACKBONES}
"""Light networks that say "infected or not", by name; see ``peer_gate``."""

SCORERS: dict[str, Builder] = {name: partial(peer_scorer, name) for name in SCORER_BACKBONES}
"""Networks that name the lesion class, by name; see ``peer_scorer``."""
