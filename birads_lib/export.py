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

from birads_lib.engines import SPATIAL, load_openvino, openvino_core
from birads_lib.errors import one_of
from birads_lib.files import whole_file

if TYPE_CHECKING:
    import keras

FORMATS = {"onnx": ".onnx", "litert": ".tflite", "openvino": ".xml"}
"""How each form's file ends. OpenVINO's weights lie beside it in a ``.bin`` of that name."""


def export_network(model: keras.Model, path: str | os.PathLike[str], form: str) -> None:
    """Write a network in another form, whole or not at all.

    Args:
        model: Takes float32 (batch, height, width, channels), any batch; one output or more.
        path: File to write, ending as ``FORMATS`` says.
        form: ``"onnx"``, ``"litert"`` or ``"openvino"``.

    Raises:
        UsageError: Unknown form.
    """
    one_of("format", form, FORMATS)
    target = Path(path)
    if form == "litert":
        write_litert(frozen_function(model), target)
    elif form == "onnx":
        with whole_file(target) as partial:
            _write_onnx(model, partial)
    else:
        with whole_file(target.with_suffix(".onnx")) as between:
            _write_onnx(model, between)
            write_openvino(between, target)
        target.with_suffix(".onnx").unlink()


def _write_onnx(model: keras.Model, path: Path) -> None:
    import keras

    plain = with_plain_scaling(model)
    plain(keras.Input(model.input_shape[1:]))  # Keras exports only what was called
    with quiet():
        plain.export(path, format="onnx", verbose=False)


def frozen_function(model: keras.Model) -> Any:
    """A Keras model as one TensorFlow function that holds its weights as constants.

    Keras' own export to LiteRT goes by way of a saved model, which takes many times as long.

    Returns:
        From float32 (batch, height, width, channels), any batch, to the model's outputs.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    tile = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="tile")
    function = tf.function(lambda x: model(x, training=False), input_signature=[tile])
    return convert_variables_to_constants_v2(function.get_concrete_function())


def write_litert(function: Any, path: str | os.PathLike[str], **options: Any) -> None:
    """Write a function of ``frozen_function`` as LiteRT, whole or not at all.

    Args:
        function: The network.
        path: File to write, ``.tflite``.
        options: Attributes of TensorFlow's converter, such as ``optimizations``.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    for name, value in options.items():
        setattr(converter, name, value)
    with whole_file(path) as partial, quiet():
        partial.write_bytes(converter.convert())


def write_openvino(onnx: Path, target: Path) -> None:
    """Write an ONNX network in OpenVINO's form: ``target``, ``.xml``, and ``.bin`` beside it."""
    network = openvino_core().read_model(onnx)
    load_openvino().save_model(network, target, compress_to_fp16=False)


def with_attention(model: keras.Model) -> keras.Model:
    """A scorer that also gives its attention map A_s, as a second output.

    Args:
        model: From ``attention_scorer``, or any other network.

    Returns:
        Model from tiles to answers and A_s, ``(batch, H, W, 1)`` in 0..1, with the
        backbone of the one given and copies of the other weights; a network that has no
        spatial attention as it is.
    """
    import keras

    if SPATIAL not in {layer.name for layer in model.layers}:
        return model

    def renewed(layer: keras.Layer) -> keras.Layer:
        # Of a layer that stands in one graph alone, ``output`` is that graph's.
        whole = isinstance(layer, keras.Model)
        return layer if whole else type(layer).from_config(layer.get_config())

    own = keras.models.clone_model(model, clone_function=renewed)
    for layer in own.layers:
        source = model.get_layer(layer.name)
        if layer is not source:
            layer.set_weights(source.get_weights())
    return keras.Model(own.input, [own.output, own.get_layer(SPATIAL).output], name=model.name)


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
