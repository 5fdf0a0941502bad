"""Networks in forms that other programs run: ONNX, OpenVINO, LiteRT.

Keras is imported only where a Keras model is written.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from birads_lib.errors import one_of
from birads_lib.files import whole_file

if TYPE_CHECKING:
    import keras

FORMATS = {"onnx": ".onnx", "litert": ".tflite", "openvino": ".xml"}
"""How each form's file ends. OpenVINO's weights lie beside it in a ``.bin`` of that name."""


def export_network(
    model: keras.Model, path: str | os.PathLike[str], form: str, **options: Any
) -> None:
    """Write a network in another form, whole or not at all.

    Args:
        model: Takes float32 (batch, height, width, channels), any batch; one output or more.
        path: File to write, ending as ``FORMATS`` says.
        form: ``"onnx"``, ``"litert"`` or ``"openvino"``.
        options: For Keras' exporter of that form.

    Raises:
        UsageError: Unknown form.
    """
    one_of("format", form, FORMATS)
    target = Path(path)
    if form == "openvino":
        with whole_file(target.with_suffix(".onnx")) as between:
            _export(model, between, "onnx", **options)
            write_openvino(between, target)
        target.with_suffix(".onnx").unlink()
        return
    with whole_file(target) as partial:
        _export(model, partial, form, **options)


def _export(model: keras.Model, path: Path, form: str, **options: Any) -> None:
    import keras

    plain = with_plain_scaling(model)
    plain(keras.Input(model.input_shape[1:]))  # Keras exports only what was called
    with quiet():
        plain.export(path, format=form, verbose=False, **options)


def write_openvino(onnx: Path, target: Path) -> None:
    """Write an ONNX network in OpenVINO's form: ``target``, ``.xml``, and ``.bin`` beside it."""
    import openvino

    network = openvino.Core().read_model(onnx)
    openvino.save_model(network, target, compress_to_fp16=False)


def with_plain_scaling(model: keras.Model) -> keras.Model:
    """The same network with each ``Normalization`` layer as a ``Rescaling`` of its numbers.

    Keras' ONNX export leaves the two constants of ``Normalization`` out, and ONNX Runtime
    then refuses the file.
    """
    import keras
    from keras import layers

    if not any(isinstance(layer, layers.Normalization) for layer in _all_layers(model)):
        return model

    def replace(layer: keras.Layer) -> keras.Layer:
        if not isinstance(layer, layers.Normalization):
            return layer.__class__.from_config(layer.get_config())
        sd = np.maximum(np.sqrt(np.ravel(layer.variance)), keras.config.epsilon())
        mean = np.ravel(layer.mean)
        return layers.Rescaling((1 / sd).tolist(), (-mean / sd).tolist(), name=layer.name)

    plain = keras.models.clone_model(model, clone_function=replace, recursive=True)
    for ours, theirs in zip(_all_layers(plain), _all_layers(model), strict=True):
        if not isinstance(theirs, layers.Normalization | keras.Model):
            ours.set_weights(theirs.get_weights())
    return plain


def _all_layers(model: keras.Model) -> Iterator[Any]:
    import keras

    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _all_layers(layer)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the remarks of the exporters."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
