"""Where a scorer looks: attention maps and Grad-CAM, and how well they find a known lesion.

A map has one value a pixel of its tile. The networks compute it on the few cells of their last
feature map; what stands between the middles of cells is interpolated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from birads_lib import metrics
from birads_lib.cascade import Tiles, apply_network
from birads_lib.errors import UsageError, one_of
from birads_lib.networks.scorer import CHANNEL, SPATIAL, split_at_features

BATCH = 64  # tiles whose features are held in memory
TOLERANCE = 15  # px; Zhang et al. 2018 allow as many
CENTRE_SD = 75.0  # px, a quarter of a tile
POINTING, MASS = "pointing game", "mass inside"
CENTRE, UNIFORM = "centre", "uniform"
BASELINES = (CENTRE, UNIFORM)

Maps = NDArray[np.float32]
Masks = NDArray[np.bool_]
Figure = dict[str, Any]


def attention_maps(scorer: keras.Model, images: Tiles) -> Maps:
    """Spatial attention A_s of equation (2) over each tile.

    Args:
        scorer: From ``attention_scorer`` with ``attention`` ``"both"`` or ``"spatial"``.
        images: uint8 (N, H, W), as the scorer takes them.

    Returns:
        float32 (N, H, W), 0..1: the factor by which the features there are multiplied.
        A tile of 299 px takes 0.36 MB.

    Raises:
        UsageError: The network has no spatial attention.
    """
    return _over_tiles(_attention(scorer, images, SPATIAL)[..., 0], images.shape[1:3])


def channel_weights(scorer: keras.Model, images: Tiles) -> Maps:
    """Channel attention A_c of equation (6): float32 (N, C), 0..1, one value a feature.

    Args:
        scorer: From ``attention_scorer`` with ``attention`` ``"both"`` or ``"channel"``.
        images: uint8 (N, H, W), as the scorer takes them.

    Raises:
        UsageError: The network has no channel attention.
    """
    return _attention(scorer, images, CHANNEL)[:, 0, 0]


def grad_cam(
    scorer: keras.Model, images: Tiles, classes: Any = None, layer: str | None = None
) -> Maps:
    """Gradient-weighted class activation maps: which places speak for a class.

    1. Weight of each feature: the gradient of the class's score, before the softmax, by
       that feature, averaged over height and width.
    2. Features times their weights, summed; what is negative becomes 0.
    3. Interpolated over the tile and divided by the tile's largest value.

    Args:
        scorer: From ``attention_scorer``; its last layer is a ``Dense``.
        images: uint8 (N, H, W), as the scorer takes them.
        classes: int (N,), the class asked about, from 0; ``None`` for the predicted one.
        layer: Layer of the backbone whose features are weighted; all that follows must pass
            through it. ``None`` for the features F of equation (1).

    Returns:
        float32 (N, H, W), 0..1; 0 throughout where no place speaks for the class.

    Raises:
        UsageError: No such layer, or one that is bypassed; a class that is not there; not
            as many classes as tiles; the network states no class scores.

    Source: Selvaraju et al., "Grad-CAM", ICCV 2017.
    """
    before, after = _scores_of_features(scorer, layer)
    asked = None if classes is None else _checked_classes(classes, len(images), after)
    found = [
        _weighted_features(after, features, None if asked is None else asked[rows])
        for rows, features in _features(before, images)
    ]
    maps = _over_tiles(_joined(found, before.output_shape[1:3]), images.shape[1:3])
    largest = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, largest, out=maps, where=largest > 0)


def centre_map(size: tuple[int, int], sd: float = CENTRE_SD) -> Maps:
    """A guess that knows no tile: a Gaussian at the middle, float32 (height, width), 0..1.

    Args:
        size: Height and width, px; odd ones have one middle pixel.
        sd: Standard deviation, px.
    """
    across, down = (np.exp(-np.square((np.arange(n) - (n - 1) / 2) / sd) / 2) for n in size[::-1])
    return np.outer(down, across).astype(np.float32)


def pointing_game(maps: Maps, masks: Masks, tolerance: float = TOLERANCE) -> NDArray[np.float64]:
    """Whether the largest value of each map lies on the lesion, float64 (N,), 0..1.

    Where several pixels share the largest value, the share of them that lies there; a map of
    one value throughout therefore gets the area share of what counts as the lesion.

    Args:
        maps: float (N, H, W), 0 or more.
        masks: bool (N, H, W), the lesions.
        tolerance: Distance from the lesion that still counts as on it, px.

    Raises:
        UsageError: Shapes differ; a mask is empty; a value is negative or no number.

    Source: Zhang et al., "Top-down neural attention by excitation backprop", IJCV 2018.
    """
    _check_pairs(maps, masks)
    hits = [
        _near(mask, tolerance)[values == values.max()].mean()
        for values, mask in zip(maps, masks, strict=True)
    ]
    return np.array(hits, np.float64)


def mass_inside(maps: Maps, masks: Masks) -> NDArray[np.float64]:
    """Share of each map's sum that lies inside the lesion, float64 (N,), 0..1.

    A map of zeros counts as uniform.

    Args:
        maps: float (N, H, W), 0 or more.
        masks: bool (N, H, W), the lesions.

    Raises:
        UsageError: As ``pointing_game``.
    """
    _check_pairs(maps, masks)
    shares = []
    for values, mask in zip(maps, masks, strict=True):
        total = values.sum(dtype=np.float64)
        shares.append(values[mask].sum(dtype=np.float64) / total if total else mask.mean())
    return np.array(shares, np.float64)


def localisation(
    maps: Mapping[str, Maps],
    masks: Masks,
    tolerance: float = TOLERANCE,
    centre_sd: float = CENTRE_SD,
) -> pd.DataFrame:
    """Both scores of several maps and of two guesses that know no tile.

    Args:
        maps: Name and float (N, H, W) of each.
        masks: bool (N, H, W), the lesions.
        tolerance: Of the pointing game, px.
        centre_sd: Of the Gaussian at the centre, px.

    Returns:
        N rows; columns (``"pointing game"`` or ``"mass inside"``, name), 0..1. The names
        ``"centre"``, a Gaussian there, and ``"uniform"`` are added.
    """
    size = masks.shape
    judged = {
        **maps,
        CENTRE: np.broadcast_to(centre_map(size[1:], centre_sd), size),
        UNIFORM: np.broadcast_to(np.float32(1), size),
    }
    pointing = {(POINTING, name): pointing_game(m, masks, tolerance) for name, m in judged.items()}
    return pd.DataFrame(
        pointing | {(MASS, name): mass_inside(m, masks) for name, m in judged.items()}
    )


def localisation_figures(per_tile: pd.DataFrame, groups: Any) -> dict[str, dict[str, Figure]]:
    """Means over tiles and paired differences to both guesses, with 95 % intervals by group.

    Args:
        per_tile: From ``localisation``, or some rows of it.
        groups: (N,), of the bootstrap.

    Returns:
        By score and name ``{"value", "interval"}``; of maps also ``"less centre"`` and
        ``"less uniform"``, the mean difference to each as such a figure.
    """
    found: dict[str, dict[str, Figure]] = {}
    for score, name in map(tuple, per_tile.columns):
        own = per_tile[score, name]
        figure = mean_score(own, groups)
        if name not in BASELINES:
            figure |= {
                f"less {guess}": metrics.mean_with_interval(own - per_tile[score, guess], groups)
                for guess in BASELINES
            }
        found.setdefault(score, {})[name] = figure
    return found


def localisation_table(figures: Mapping[str, dict[str, dict[str, Figure]]]) -> pd.DataFrame:
    """Figures in words, a row a set of tiles and a map.

    Args:
        figures: By set of tiles, what ``localisation_figures`` gives.
    """
    rows = {
        (tiles, name): {
            (score, column): metrics.in_words(shown, ".4f" if column.startswith("less ") else ".3f")
            for score, of_maps in by_score.items()
            for column, shown in _columns(of_maps[name]).items()
        }
        for tiles, by_score in figures.items()
        for name in by_score[POINTING]
    }
    table = pd.DataFrame.from_dict(rows, orient="index").fillna("")
    return table.rename_axis(["tiles", "map"])


def compared(difference: Figure) -> str:
    """``"more"`` or ``"less"`` where the interval of a difference excludes 0, else neither."""
    low, high = difference["interval"]
    return "more" if low > 0 else "less" if high < 0 else "neither more nor less"


def in_a_sentence(name: str, figures: Mapping[str, Mapping[str, Figure]]) -> str:
    """How a map compares with both guesses, in plain words.

    Args:
        name: Of the map.
        figures: What ``localisation_figures`` gives.
    """
    pointing, mass = figures[POINTING], figures[MASS]
    often, centre = (compared(of[name][f"less {CENTRE}"]) for of in (pointing, mass))
    even = compared(mass[name][f"less {UNIFORM}"])
    return (
        f"**{name}** has its largest value on the lesion in {metrics.in_words(pointing[name])} of "
        f"tiles, a guess at the centre in {metrics.in_words(pointing[CENTRE])}: **{often} often**. "
        f"Of its sum {metrics.in_words(mass[name])} lies inside the lesion; that is **{centre}** "
        f"than of a Gaussian at the centre, {metrics.in_words(mass[CENTRE])}, and **{even}** than "
        f"of an even map, {metrics.in_words(mass[UNIFORM])}."
    )


def border(size: tuple[int, int], cells: tuple[int, int]) -> Masks:
    """Pixels of a tile in the outermost of its cells, bool (height, width).

    Args:
        size: Height and width of the tile, px.
        cells: Cells of the feature map, down and across.
    """
    outer = np.ones(size, bool)
    down, across = (round(side / count) for side, count in zip(size, cells, strict=True))
    outer[down : size[0] - down, across : size[1] - across] = False
    return outer


def mean_score(values: Any, groups: Any) -> Figure:
    """Mean of a score of tiles with its 95 % interval by group.

    Where every tile hits, or every one misses, the interval is the exact one of
    ``metrics.share_with_interval``, with groups as the trials.

    Args:
        values: float (N,), 0..1.
        groups: (N,).
    """
    alike = set(np.unique(values)) in ({0.0}, {1.0})
    judge = metrics.share_with_interval if alike else metrics.mean_with_interval
    return judge(np.asarray(values), groups)


def _columns(figure: Figure) -> dict[str, Figure]:
    differences = {k: v for k, v in figure.items() if k.startswith("less ")}
    return {"mean": figure, **differences}


def _features(network: keras.Model, images: Tiles) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Rows and what a network makes of them, a batch at a time."""
    for start in range(0, len(images), BATCH):
        rows = slice(start, start + BATCH)
        yield rows, apply_network(network, images[rows])


def _attention(scorer: keras.Model, images: Tiles, name: str) -> NDArray[np.float32]:
    """What the attention layer of that name answers: (N, ...)."""
    backbone, head = split_at_features(scorer)
    if name not in {layer.name for layer in head.layers}:
        kind = name.removesuffix("_attention")
        raise UsageError(
            f'{scorer.name}: no layer {name}; give a scorer of attention "both" or "{kind}"'
        )
    part = keras.Model(head.input, head.get_layer(name).output)
    found = [np.asarray(part(features)) for _, features in _features(backbone, images)]
    return _joined(found, part.output_shape[1:])


def _joined(parts: list[NDArray[np.float32]], shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.concatenate([np.empty((0, *shape), np.float32), *parts])


def _scores_of_features(scorer: keras.Model, layer: str | None) -> tuple[keras.Model, keras.Model]:
    """From tiles to a layer's features, and from these to class scores before the softmax."""
    backbone, head = split_at_features(scorer)
    last = head.layers[-1]
    if not isinstance(last, keras.layers.Dense):
        raise UsageError(f"{scorer.name}: ends in {last.name}, no class scores; give a softmax")
    last.activation = keras.activations.linear  # of the copy that the split made
    if layer is None:
        return backbone, head
    one_of("layer", layer, [x.name for x in backbone.layers])
    own = keras.models.clone_model(backbone)
    own.set_weights(backbone.get_weights())
    features = own.get_layer(layer).output
    try:
        return keras.Model(own.input, features), keras.Model(features, head(own.output))
    except ValueError:
        raise UsageError(
            f"layer: a connection of {backbone.name} bypasses {layer}; name the last layer of a "
            "block"
        ) from None


def _checked_classes(classes: Any, tiles: int, scores: keras.Model) -> NDArray[np.int64]:
    asked, known = np.asarray(classes, np.int64), scores.output_shape[-1]
    if asked.shape != (tiles,):
        raise UsageError(f"classes: shape {asked.shape} given; expected ({tiles},), one a tile")
    if tiles and not 0 <= asked.min() <= asked.max() < known:
        raise UsageError(
            f"classes: {asked.min()} to {asked.max()} given; expected 0 to {known - 1}"
        )
    return asked


def _weighted_features(
    scores: keras.Model, features: NDArray[np.float32], classes: NDArray[np.int64] | None
) -> NDArray[np.float32]:
    """Steps 1 and 2 of ``grad_cam`` for one batch: (n, h, w, C) to (n, h, w)."""
    import tensorflow as tf

    watched = tf.constant(features)
    with tf.GradientTape() as tape:
        tape.watch(watched)
        said = scores(watched)
        asked = tf.argmax(said, axis=-1) if classes is None else tf.constant(classes)
        score = tf.gather(said, asked, batch_dims=1)
    gradient = tape.gradient(score, watched).numpy()
    weights = gradient.mean(axis=(1, 2), keepdims=True)
    return np.maximum((weights * features).sum(axis=-1), 0)


def _over_tiles(coarse: NDArray[np.float32], size: tuple[int, ...]) -> Maps:
    """Maps (N, h, w) interpolated linearly over tiles: float32 (N, height, width)."""
    maps = np.empty((len(coarse), *size), np.float32)
    for source, target in zip(coarse, maps, strict=True):
        cv2.resize(source, size[::-1], dst=target, interpolation=cv2.INTER_LINEAR)
    return maps


def _near(mask: NDArray[np.bool_], tolerance: float) -> NDArray[np.bool_]:
    """Pixels no further than ``tolerance`` from the mask, bool (H, W)."""
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return away <= tolerance


def _check_pairs(maps: Maps, masks: Masks) -> None:
    if maps.ndim != 3 or maps.shape != masks.shape:
        raise UsageError(f"maps {maps.shape}, masks {masks.shape}; expected (N, H, W), both alike")
    lesions = masks.any(axis=(1, 2))
    if not lesions.all():
        row = int(np.argmin(lesions))
        raise UsageError(f"masks: row {row} has no lesion; give infected tiles alone")
    lowest = maps.min(axis=(1, 2))
    if not (lowest >= 0).all():
        row = int(np.argmin(lowest >= 0))
        raise UsageError(f"maps: {lowest[row]} found in row {row}; expected values of 0 or more")
