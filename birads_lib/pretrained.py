"""Names of what networks are made of, and where pretrained weights lie here; no TensorFlow."""

from __future__ import annotations

import os
from pathlib import Path

from birads_lib.errors import DataError, one_of

IMAGENET = "imagenet"
EFFICIENTNETS = tuple(f"EfficientNetB{i}" for i in range(8))
GATE_BACKBONES = (
    "MobileNetV2",
    "SqueezeNet1.1",
    "ShuffleNetV2",
    "MobileNetV3Small",
    EFFICIENTNETS[0],
)
"""Networks in the gate's place, see ``networks.peers``."""
STN = "GoogLeNet-STN"
SCORER_BACKBONES = (
    "ResNet50",
    "VGG16",
    "GoogLeNet",
    STN,
    "PlainCNN",
    *EFFICIENTNETS,
    "TwoStageCNN",
)
"""Networks in the scorer's place."""
ATTENTIONS = ("both", "spatial", "channel", "none")
POOLINGS = ("channels", "window")
"""Readings of equation (2)."""
MOBILENET_SIDES = (96, 128, 160, 192, 224)
"""Input sizes, px, that MobileNetV2's ImageNet weights come in; others take the last."""

WEIGHTS_FILES = {
    "MobileNetV2": "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{side}_no_top.h5",
    "MobileNetV3Small": "weights_mobilenet_v3_small_224_{alpha}_float_no_top_v2.h5",
    "ResNet50": "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "VGG16": "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
}
"""ImageNet weights in Keras' cache; other networks' are called ``NAME_notop.h5``."""

Weights = str | os.PathLike[str] | None


def spelt(layer: str) -> str:
    """A network's name as its authors write it, of the lower-case name that Keras gives a layer."""
    return {name.lower(): name for name in SCORER_BACKBONES}.get(layer, layer)


def check_backbone(name: str) -> str:
    """Return the name of an EfficientNet.

    Raises:
        UsageError: It is not one of ``EFFICIENTNETS``.
    """
    return one_of("backbone", name, EFFICIENTNETS)


def check_weights(name: str, size: tuple[int, int], weights: Weights, alpha: float = 1.0) -> None:
    """Refuse weights that are not on this machine: nothing is ever downloaded in silence.

    Args:
        name: As ``keras.applications`` calls the network.
        size: Height and width of its input, px.
        weights: ``None`` (random), ``"imagenet"`` (from Keras' own cache), or a local file.
        alpha: Width of the network, where it has several.

    Raises:
        DataError: The file is not there.
    """
    if weights is None:
        return
    if weights != IMAGENET:
        if not Path(weights).is_file():
            raise DataError(f"{weights}: no such weights file; give a .keras or .weights.h5 file")
        return
    path = imagenet_file(name, size, alpha)
    if not path.is_file():
        raise DataError(
            f"weights: ImageNet weights of {name} are not in {path}; nothing is downloaded here: "
            "fetch them once with keras.applications, or give weights=None or a file"
        )


def imagenet_file(name: str, size: tuple[int, int], alpha: float = 1.0) -> Path:
    """Where Keras keeps a network's ImageNet weights without its top, there or not."""
    cache = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"
    height, width = size
    side = height if height == width and height in MOBILENET_SIDES else MOBILENET_SIDES[-1]
    pattern = WEIGHTS_FILES.get(name, f"{name.lower()}_notop.h5")
    return cache / pattern.format(alpha=float(alpha), side=side)
