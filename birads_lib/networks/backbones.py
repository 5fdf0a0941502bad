"""Backbones from ``keras.applications``, with weights that are never fetched in silence."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Sized
from pathlib import Path
from typing import Any

import keras

from birads_lib.errors import DataError, UsageError
from birads_lib.pretrained import IMAGENET, Weights, check_weights

UNREADABLE = (
    AttributeError, EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What Keras raises of a file that is not there, damaged, or of layers that it does not know."""


def build_backbone(
    name: str, input_shape: tuple[int, int, int], weights: Weights = None, **options: Any
) -> keras.Model:
    """Build a network of ``keras.applications`` without its top.

    Args:
        name: As ``keras.applications`` calls it, such as ``"EfficientNetB0"``.
        input_shape: (height, width, channels).
        weights: ``None`` (random), ``"imagenet"`` (only from Keras' own cache on this
            machine), or a local weights file.
        options: Passed on, such as ``alpha``.

    Raises:
        UsageError: No network of that name.
        DataError: The weights file is absent or does not fit.
    """
    build = getattr(keras.applications, name, None)
    if not callable(build):
        raise UsageError(f"backbone: keras.applications has no {name!r}; try EfficientNetB0")
    check_weights(name, input_shape[:2], weights, options.get("alpha", 1.0))
    if weights is not None and weights != IMAGENET:
        return _with_weights_file(build, input_shape, Path(weights), options)
    return build(input_shape=input_shape, weights=weights, include_top=False, **options)


def cut_after(backbone: keras.Model, block: int | None, pattern: str) -> keras.Model:
    """Keep a backbone up to the last layer of one of its blocks.

    Args:
        backbone: The whole network.
        block: Number of the last block to keep; ``None`` keeps all.
        pattern: How layers of a block are named, as in ``"block_{}_"``.

    Raises:
        UsageError: There is no such block.
    """
    if block is None:
        return backbone
    names = [x.name for x in backbone.layers if x.name.startswith(pattern.format(block))]
    if not names:
        raise UsageError(f"last_block: {backbone.name} has no block {block}; give a smaller one")
    return keras.Model(backbone.input, backbone.get_layer(names[-1]).output, name=backbone.name)


def check_clip(network: str, clip: int | None, blocks: Sized) -> None:
    """Refuse to keep fewer than one or more than all blocks of a network.

    Raises:
        UsageError: ``clip`` is neither ``None`` nor 1 to the number of blocks.
    """
    if clip is not None and not 1 <= clip <= len(blocks):
        raise UsageError(
            f"clip: {clip} given; {network} keeps 1 to {len(blocks)} blocks, or None for all"
        )


def _with_weights_file(
    build: Any, input_shape: tuple[int, int, int], path: Path, options: dict[str, Any]
) -> keras.Model:
    model = build(input_shape=input_shape, weights=None, include_top=False, **options)
    try:
        if path.suffix == ".keras":
            model.set_weights(_load(path).get_weights())
        else:
            model.load_weights(path)
    except (ValueError, OSError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path}: does not fit {model.name} at {input_shape} ({reason}); "
            "give weights of the same network without its top"
        ) from None
    return model


def read_model(path: Path) -> keras.Model:
    """Read a ``.keras`` file, uncompiled; code that a file might carry is refused.

    The layers of this package are known by the time it is called, whatever the file holds.

    Raises:
        DataError: The file is missing or damaged, or holds what is no network of known layers.
    """
    try:
        return _load(path)
    except UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{path}: no network that can be read ({reason}); take the file as it was written"
        ) from None


def _load(path: Path) -> keras.Model:
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def weights_digest(model: keras.Model) -> str:
    """SHA-256 over all weights of a model, in order: which model made a prediction."""
    digest = hashlib.sha256()
    for value in model.get_weights():
        digest.update(value.tobytes())
    return digest.hexdigest()
