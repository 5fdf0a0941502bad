"""What a network costs: weights, multiply-adds, bytes moved; and what a processor can give.

Counted from the layers of a built model and the shapes between them, so that a
figure follows from the network and not from a run. One multiply-add is two
floating-point operations; papers that say "FLOPs" of MobileNetV2 or EfficientNet
mean multiply-adds.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pandas as pd
from keras import layers, tree

from birads_lib.errors import UsageError
from birads_lib.networks.attention import ChannelAttention, SpatialAttention
from birads_lib.networks.normalization import FusedBatchNormalization
from birads_lib.networks.spatial_transformer import IDENTITY, SpatialTransformer

BYTES = 4  # of a float32
OPERATIONS = 2  # of a multiply-add: one product, one sum
PASSES = 3
"""Of a training step: forward, gradient of the features, gradient of the weights. Each
costs as many multiply-adds as the first."""
OPTIMISER_TRANSFERS = 10
"""How often a training step moves a number for each weight: read forward and backward, its
gradient written; then Adam reads gradient, weight and two moments and writes back three."""

Shape = tuple[int, ...]
Rule = Callable[[Any, Shape, Shape], int]
"""(layer, shape of an input, shape of an output), both without the batch: multiply-adds."""


@dataclass(frozen=True)
class LayerCost:
    """One layer on one tile.

    Attributes:
        name: The layer's name.
        kind: Its class, such as ``"Conv2D"``.
        weights: Numbers that it holds, trained or not.
        multiply_adds: Of its forward pass.
        activations: Numbers that its forward pass reads and writes, weights apart.
    """

    name: str
    kind: str
    weights: int
    multiply_adds: int
    activations: int


@dataclass(frozen=True)
class Cost:
    """What one step of a network costs, in float32, each layer on its own.

    Bytes count every layer's inputs once and outputs once, as if nothing stayed in a
    cache and no two layers were fused: a processor that does either moves less.

    Attributes:
        layers: One entry a layer, in the network's order.
        batch: Tiles a step.
    """

    layers: tuple[LayerCost, ...]
    batch: int = 1

    @property
    def weights(self) -> int:
        """Numbers that the network holds, trained or not."""
        return sum(layer.weights for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Of the forward pass of one step."""
        return self.batch * sum(layer.multiply_adds for layer in self.layers)

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights."""
        return BYTES * self.weights

    @property
    def activation_bytes(self) -> int:
        """Bytes of features read and written in the forward pass of one step."""
        return BYTES * self.batch * sum(layer.activations for layer in self.layers)

    def operations(self, training: bool = False) -> int:
        """Floating-point operations of a step: forward, or forward and backward."""
        return OPERATIONS * self.multiply_adds * (PASSES if training else 1)

    def bytes_moved(self, training: bool = False) -> int:
        """Bytes a step moves: weights once and features; training counts ``PASSES`` times the
        features and ``OPTIMISER_TRANSFERS`` times the weights (Adam)."""
        if training:
            return PASSES * self.activation_bytes + OPTIMISER_TRANSFERS * self.weight_bytes
        return self.activation_bytes + self.weight_bytes

    def by_kind(self) -> pd.DataFrame:
        """One row a kind of layer, most multiply-adds first.

        Columns: ``layers``, ``weights``, ``multiply_adds`` and ``bytes`` of one step's
        forward pass.
        """
        rows = pd.DataFrame([vars(layer) for layer in self.layers]).groupby("kind")
        table = rows[["weights", "multiply_adds", "activations"]].sum()
        table.insert(0, "layers", rows.size())
        table["multiply_adds"] *= self.batch
        table["bytes"] = BYTES * (self.batch * table.pop("activations") + table["weights"])
        return table.sort_values(["multiply_adds", "bytes"], ascending=False)


def cost_of(model: keras.Model, batch: int = 1) -> Cost:
    """Count what a step of a network costs.

    Products with weights count (convolutions, fully connected layers), and one
    multiply-add for each number that is scaled (batch normalisation, rescaling,
    products of features). Sums, pooling and activation functions count none.

    Args:
        model: Built with a fixed input size; models within models are opened.
        batch: Tiles a step.

    Raises:
        UsageError: A layer has weights and no rule, is used twice, or has no fixed size.
    """
    if batch < 1:
        raise UsageError(f"batch: {batch} given; expected 1 or more")
    return Cost(tuple(_layer_cost(layer) for layer in _leaves(model)), batch)


def _leaves(model: keras.Model) -> Iterator[keras.Layer]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        elif not isinstance(layer, layers.InputLayer):
            yield layer


def _layer_cost(layer: keras.Layer) -> LayerCost:
    inputs, outputs = _shapes(layer, "input"), _shapes(layer, "output")
    kind = type(layer).__name__
    rule = MULTIPLY_ADDS.get(type(layer))
    if rule is None and layer.weights:
        raise UsageError(
            f"cost: layer {layer.name} is a {kind}, whose cost is not known; expected one of "
            f"{', '.join(sorted(k.__name__ for k in MULTIPLY_ADDS))}; add a rule for it"
        )
    multiply_adds = rule(layer, inputs[0], outputs[0]) if rule else 0
    moved = sum(map(math.prod, inputs + outputs))
    return LayerCost(layer.name, kind, layer.count_params(), multiply_adds, moved)


def _shapes(layer: keras.Layer, side: str) -> list[Shape]:
    """Shapes at a layer's ``"input"`` or ``"output"``, without the batch."""
    if (calls := len(layer._inbound_nodes)) != 1:  # Keras has no public way to ask
        raise UsageError(
            f"cost: layer {layer.name} is called {calls} times; expected a functional model in "
            "which each layer is called once"
        )
    shapes = [tensor.shape[1:] for tensor in tree.flatten(getattr(layer, side))]
    if any(None in shape for shape in shapes):
        raise UsageError(
            f"cost: layer {layer.name} has shape {shapes[0]}; build the network for a fixed size"
        )
    return shapes


def _places(layer: Any, shape: Shape) -> int:
    """Positions of a feature map, whatever its channels."""
    return math.prod(shape[:-1] if layer.data_format == "channels_last" else shape[1:])


def _convolution(layer: Any, _: Shape, outputs: Shape) -> int:
    return math.prod(layer.kernel.shape) * _places(layer, outputs)


def _transposed(layer: Any, inputs: Shape, _: Shape) -> int:
    return math.prod(layer.kernel.shape) * _places(layer, inputs)


def _separable(layer: Any, _: Shape, outputs: Shape) -> int:
    kernels = layer.depthwise_kernel, layer.pointwise_kernel
    return sum(math.prod(kernel.shape) for kernel in kernels) * _places(layer, outputs)


def _dense(layer: Any, _: Shape, outputs: Shape) -> int:
    return math.prod(layer.kernel.shape) * math.prod(outputs[:-1])


def _each_output(_layer: Any, _: Shape, outputs: Shape) -> int:
    return math.prod(outputs)


def _spatial_attention(layer: Any, _: Shape, outputs: Shape) -> int:
    kernels = layer.of_max.kernel, layer.of_mean.kernel
    return sum(math.prod(kernel.shape) for kernel in kernels) * math.prod(outputs)


def _channel_attention(layer: Any, _: Shape, __: Shape) -> int:
    """The fully connected part runs twice, on the largest and on the mean values."""
    parts = [part for part in (layer.squeeze, layer.connected) if part is not None]
    return 2 * sum(math.prod(part.kernel.shape) for part in parts)


def _spatial_transformer(layer: Any, _: Shape, outputs: Shape) -> int:
    """Localisation network; the affine map of each place; four neighbours of each number."""
    mapped = IDENTITY.size * math.prod(outputs[:-1])
    return cost_of(layer.localisation).multiply_adds + mapped + 4 * math.prod(outputs)


MULTIPLY_ADDS: dict[type, Rule] = {
    layers.Conv1D: _convolution,
    layers.Conv2D: _convolution,
    layers.DepthwiseConv2D: _convolution,
    layers.SeparableConv2D: _separable,
    layers.Conv2DTranspose: _transposed,
    layers.Dense: _dense,
    layers.BatchNormalization: _each_output,
    FusedBatchNormalization: _each_output,
    layers.LayerNormalization: _each_output,
    layers.GroupNormalization: _each_output,
    layers.Normalization: _each_output,
    layers.Rescaling: _each_output,
    layers.Multiply: _each_output,
    layers.PReLU: _each_output,
    SpatialAttention: _spatial_attention,
    ChannelAttention: _channel_attention,
    SpatialTransformer: _spatial_transformer,
}
"""How multiply-adds are counted, by class. A class with weights must stand here."""


@dataclass(frozen=True)
class Peaks:
    """What a processor gives at best, measured: the two roofs of Williams et al. (2009).

    Attributes:
        operations: Floating-point operations a second, float32.
        bandwidth: Bytes a second between memory and processor, read and written.
    """

    operations: float
    bandwidth: float

    def seconds(self, operations: float, moved: float) -> float:
        """Least time for so many operations and so many bytes: the slower roof decides."""
        return max(operations / self.operations, moved / self.bandwidth)

    def attainable(self, intensity: float) -> float:
        """Most operations a second at so many operations a byte."""
        return min(self.operations, intensity * self.bandwidth)


def measured_peaks(side: int = 2048, megabytes: int = 256, repeats: int = 5) -> Peaks:
    """Measure this processor: a large matrix product, and a large copy on all cores.

    Args:
        side: Of the square float32 matrices.
        megabytes: Size of the array that is copied; larger than any cache.
        repeats: How often; the best counts.
    """
    matrix = keras.ops.ones((side, side), "float32")
    product = _best_seconds(lambda: np.asarray(keras.ops.matmul(matrix, matrix)), repeats)
    source = np.ones(megabytes * 1_000_000, np.uint8)
    target, cores = np.empty_like(source), os.cpu_count() or 1
    targets, sources = np.array_split(target, cores), np.array_split(source, cores)
    with ThreadPoolExecutor(cores) as pool:
        copy = _best_seconds(lambda: list(pool.map(np.copyto, targets, sources)), repeats)
    return Peaks(OPERATIONS * side**3 / product, 2 * source.nbytes / copy)


def _best_seconds(action: Callable[[], object], repeats: int) -> float:
    action()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return min(seconds)
