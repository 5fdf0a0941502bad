"""Facts of networks that were really built: a chapter saves them, verdicts rest on them.

Both sides use the classes of this module, so what one writes the other reads. A shape is
without the batch: ``(height, width, channels)`` or ``(units,)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import keras
    from _typeshed import DataclassInstance

BUILT = "built"
"""Entry of a chapter's results that holds what ``save`` gives, by name."""
TRAINED, PRINTED, PLAIN = "trained", "printed", "plain"
"""Networks of ``BUILT``: the chapter's own, the one the paper describes, its plain CNN."""

Shape = tuple[int, ...]
CONVOLUTION, POOLING, UP_SAMPLING = "Conv2D", "MaxPooling2D", "UpSampling2D"
SPATIAL, CHANNEL = "SpatialAttention", "ChannelAttention"
"""Kinds of layers, by the names of their classes: no network is imported here, so that a chapter
reruns for the networks that it builds and for no others."""
Facts = TypeVar("Facts", bound="DataclassInstance")


def save(facts: DataclassInstance) -> dict[str, Any]:
    """Facts as JSON takes them."""
    return asdict(facts)


def read(kind: type[Facts], results: Mapping[str, Any] | None, name: str) -> Facts | None:
    """Facts of one network from a chapter's results; ``None`` if they are not there.

    Those of an older chapter, which are others, count as not there.
    """
    values = (results or {}).get(BUILT, {}).get(name)
    if values is None or values.keys() != {field.name for field in fields(kind)}:
        return None
    return kind(**{key: _tuples(value) for key, value in values.items()})


@dataclass(frozen=True)
class BuiltScorer:
    """A scorer of ``attention_scorer``.

    Attributes:
        backbone: Its name in Keras, such as ``"efficientnetb7"``.
        pretrained: Whether its weights were given, not drawn.
        weights, backbone_weights: How many numbers, of the whole and of its backbone.
        input, features, pooled, output: Shapes of X, F, V and y.
        spatial, refined, channel, weighted: Shapes of A_s, F_s, A_c and of A_c times what
            it weighs; ``None`` of an attention that it lacks.
    """

    backbone: str
    pretrained: bool
    weights: int
    backbone_weights: int
    input: Shape
    features: Shape
    spatial: Shape | None
    refined: Shape | None
    channel: Shape | None
    weighted: Shape | None
    pooled: Shape
    output: Shape

    @classmethod
    def of(cls, model: keras.Model, pretrained: bool = False) -> BuiltScorer:
        """Read them off a scorer."""
        (backbone,) = (layer for layer in model.layers if hasattr(layer, "layers"))
        shapes = {layer.name: _shape(layer.output.shape) for layer in model.layers}
        spatial, channel = (_of_kind(model, kind) for kind in (SPATIAL, CHANNEL))
        return cls(
            backbone.name,
            pretrained,
            model.count_params(),
            backbone.count_params(),
            _shape(model.input_shape),
            _shape(backbone.output_shape),
            _shape(spatial[0].output.shape) if spatial else None,
            shapes.get("refined"),
            _shape(channel[0].output.shape) if channel else None,
            shapes.get("weighted"),
            shapes["pool"],
            _shape(model.output_shape),
        )


@dataclass(frozen=True)
class BuiltPlain:
    """The plain CNN of section IV.

    Attributes:
        weights: How many numbers.
        input: Shape of a tile.
        filters, kernels: Of each convolution, the kernel as (height, width).
        pools: Size of each pooling.
    """

    weights: int
    input: Shape
    filters: Shape
    kernels: tuple[Shape, ...]
    pools: tuple[Shape, ...]

    @classmethod
    def of(cls, model: keras.Model) -> BuiltPlain:
        """Read them off a network."""
        convolutions = _of_kind(model, CONVOLUTION)
        return cls(
            model.count_params(),
            _shape(model.input_shape),
            tuple(layer.filters for layer in convolutions),
            tuple(tuple(layer.kernel_size) for layer in convolutions),
            tuple(tuple(layer.pool_size) for layer in _of_kind(model, POOLING)),
        )


@dataclass(frozen=True)
class BuiltGate:
    """A gate of ``mobilenet_gate``.

    Attributes:
        alpha: Width of MobileNetV2, 1 the usual one.
        whole: Whether all its blocks are there.
        pretrained: Whether its weights were given, not drawn.
        weights: How many numbers.
        input: Shape of a tile.
    """

    alpha: float
    whole: bool
    pretrained: bool
    weights: int
    input: Shape

    @classmethod
    def of(cls, model: keras.Model, alpha: float, whole: bool, pretrained: bool) -> BuiltGate:
        """Read them off a gate, as far as it tells them; the rest as it was built."""
        shape = _shape(model.input_shape)
        return cls(float(alpha), whole, pretrained, model.count_params(), shape)


@dataclass(frozen=True)
class BuiltAutoencoder:
    """An autoencoder of ``denoising_autoencoder``.

    Attributes:
        noise: Grey levels, largest standard deviation of the noise it was trained on.
        weights: How many numbers.
        input, output: Shapes of the tile given and of the tile returned.
        code: Shape of the latent code.
        encoder, decoder: Kind and output shape of each layer that convolves, pools or
            enlarges, before the code and after it.
    """

    noise: float
    weights: int
    input: Shape
    output: Shape
    code: Shape
    encoder: tuple[tuple[str, Shape], ...]
    decoder: tuple[tuple[str, Shape], ...]

    @classmethod
    def of(cls, model: keras.Model, noise: float) -> BuiltAutoencoder:
        """Read them off an autoencoder, and the noise of its training as given."""
        kinds = (CONVOLUTION, POOLING, UP_SAMPLING)
        layers = [layer for layer in model.layers if type(layer).__name__ in kinds]
        names = [layer.name for layer in layers]
        steps = tuple((type(layer).__name__, _shape(layer.output.shape)) for layer in layers)
        at = names.index("latent_code")
        return cls(
            float(noise),
            model.count_params(),
            _shape(model.input_shape),
            _shape(model.output_shape),
            steps[at][1],
            steps[:at],
            steps[at + 1 :],
        )


def _of_kind(model: keras.Model, kind: str) -> list[Any]:
    return [layer for layer in model.layers if type(layer).__name__ == kind]


def _shape(shape: Any) -> Shape:
    """A shape of Keras without its batch."""
    return tuple(int(size) for size in shape[1:])


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value
