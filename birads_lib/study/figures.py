"""The study's figures: one style, one function a picture, each returns a Figure.

Nothing here computes a result; functions draw the arrays and tables they are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_recall_curve, roc_curve

from birads_lib.labels import CLASSES, LESION_CODES, TileClass
from birads_lib.pretrained import spelt

WIDTH = 8.0  # inches, a page's column
PALETTE = sns.color_palette("colorblind")
LUMINANCE, DARK_ON_LIGHT = np.array([0.299, 0.587, 0.114]), 0.5
"""Weights of red, green and blue in how light a colour looks (BT.601), 0..1; half of it."""
OURS, PAPER = PALETTE[0], PALETTE[1]
TRAIN_COLOUR, VALIDATION_COLOUR = PALETTE[0], PALETTE[3]
STAGE_COLOURS = {"data": "#e8e8e8", "denoise": "#cfe3f3", "gate": "#fde3c8", "score": "#d5ecd4"}


def use_style() -> None:
    """Set the study's look; call once at the top of a chapter."""
    sns.set_theme(style="ticks", context="notebook", palette="colorblind")
    mpl.rcParams.update(
        {
            "figure.facecolor": "white",  # stays legible on a dark page
            "savefig.facecolor": "white",
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "axes.titlesize": 11,
            "axes.labelsize": 10,
            "legend.frameon": False,
            "svg.hashsalt": "birads",
            "image.cmap": "gray",
        }
    )


def confusion_pair(
    ours: Any, paper: Any, classes: Sequence[str], ours_title: str, paper_title: str
) -> Figure:
    """Our confusion matrix beside the paper's, in the paper's layout.

    Heat maps with a colour bar, rows actual, columns predicted, darker for more; each
    cell shows its count and its share of the row.
    """
    figure, axes = plt.subplots(
        1, 2, figsize=(WIDTH * 1.25, 4.3), layout=ConstrainedLayoutEngine(w_pad=0.15)
    )
    for axis, matrix, title in ((axes[0], ours, ours_title), (axes[1], paper, paper_title)):
        confusion_heatmap(axis, np.asarray(matrix), classes, title)
    return figure


def confusion_single(matrix: Any, classes: Sequence[str], title: str) -> Figure:
    """One confusion matrix, drawn as in ``confusion_pair``."""
    figure, axis = plt.subplots(figsize=(WIDTH * 0.8, 5))
    confusion_heatmap(axis, np.asarray(matrix), classes, title)
    return figure


def confusion_heatmap(axis: Axes, matrix: NDArray[Any], classes: Sequence[str], title: str) -> None:
    """One confusion matrix as a heat map on ``axis``; counts int (K, K)."""
    share = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    text = [f"{n:,}\n{s:.1f} %" for n, s in zip(matrix.flat, share.flat, strict=True)]
    _heatmap(
        axis,
        matrix,
        np.reshape(text, matrix.shape),
        size=9 if len(classes) > 3 else 11,
        xticklabels=list(classes),
        yticklabels=list(classes),
        cbar_kws={"label": "tiles"},
        square=True,
    )
    axis.set(title=title, xlabel="Predicted", ylabel="Actual")
    axis.tick_params(length=0)


def _heatmap(axis: Axes, values: Any, text: Any, size: float, **options: Any) -> None:
    """A heat map from 0 up with a text in each cell, black or white as the cell asks for."""
    words = {"annot": text, "fmt": "", "annot_kws": {"size": size}}
    sns.heatmap(values, ax=axis, cmap="Blues", vmin=0, linewidths=0.5, **words, **options)
    mesh = axis.collections[0]
    shades = np.array(mesh.cmap(mesh.norm(np.ravel(values))))[:, :3]
    for label, light in zip(axis.texts, shades @ LUMINANCE > DARK_ON_LIGHT, strict=True):
        label.set_color("black" if light else "white")


def epochs_panels(history: pd.DataFrame, title: str) -> Figure:
    """Precision, sensitivity and specificity over epochs, as the paper's Figure 6.

    Args:
        history: Rows of ``Trained.history``.
        title: Of the whole figure.
    """
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH * 1.25, 3.2), sharey=True)
    for axis, name in zip(axes, ("precision", "sensitivity", "specificity"), strict=True):
        axis.plot(history["epoch"], history[name], "o-", color=TRAIN_COLOUR, label="training")
        axis.plot(
            history["epoch"],
            history[f"val_{name}"],
            "s--",
            color=VALIDATION_COLOUR,
            label="validation",
        )
        axis.set(title=name.capitalize(), xlabel="epoch", ylim=(-0.02, 1.02))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("value, 0 to 1")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center")
    figure.suptitle(title)
    return figure


def loss_curve(history: pd.DataFrame, ylabel: str) -> Figure:
    """Training and validation loss over epochs."""
    figure, axis = plt.subplots(figsize=(WIDTH * 0.6, 3))
    axis.plot(history["epoch"], history["loss"], "o-", color=TRAIN_COLOUR, label="training")
    axis.plot(
        history["epoch"], history["val_loss"], "s--", color=VALIDATION_COLOUR, label="validation"
    )
    axis.set(xlabel="epoch", ylabel=ylabel)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def tile_rows(
    rows: Sequence[tuple[str, NDArray[np.uint8]]], titles: Sequence[str] | None = None
) -> Figure:
    """Rows of grey tiles, each row with a name.

    Args:
        rows: Name and uint8 (n, H, W) of each row; all of the same n.
        titles: Over the columns.
    """
    columns = max(len(images) for _, images in rows)
    side = WIDTH * 1.25 / columns
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(WIDTH * 1.25, side * len(rows) * 1.12), squeeze=False
    )
    for axis in axes.flat:
        _bare(axis)
    for line, (name, images) in zip(axes, rows, strict=True):
        for axis, image in zip(line, images, strict=False):
            axis.imshow(image, vmin=0, vmax=255)
        line[0].set_ylabel(name)
    for axis, title in zip(axes[0], titles or (), strict=False):
        axis.set_title(title, fontsize=9)
    return figure


def spread_out(images: NDArray[np.uint8], count: int = 6) -> NDArray[np.uint8]:
    """At most ``count`` of some images (N, H, W), evenly spread over them."""
    return images[:: max(1, len(images) // count)][:count]


def class_examples(images: NDArray[np.uint8], labels: NDArray[np.int64], each: int = 6) -> Figure:
    """The first ``each`` tiles of each class, a row a class."""
    rows = [
        (_two_lines(c), np.asarray(images[np.flatnonzero(labels == c.label)[:each]]))
        for c in CLASSES
    ]
    return tile_rows(rows)


def predicted_tiles(
    images: NDArray[np.uint8], predicted: Sequence[str], actual: Sequence[str], columns: int = 4
) -> Figure:
    """Tiles with their predicted category, as the paper's Figure 8.

    The true class stands below; a wrong prediction has a dashed frame.
    """
    lines = -(-len(images) // columns)
    side = WIDTH / columns
    figure, axes = plt.subplots(lines, columns, figsize=(WIDTH, side * lines * 1.25), squeeze=False)
    for axis in axes.flat:
        _bare(axis)
    for axis, image, said, true in zip(axes.flat, images, predicted, actual, strict=False):
        axis.imshow(image, vmin=0, vmax=255)
        axis.set_title(f"Predicted: {said}", fontsize=10)
        axis.set_xlabel(f"actual: {true}", fontsize=9)
        for spine in axis.spines.values():
            spine.set(
                visible=True,
                linewidth=2,
                color=OURS if said == true else PALETTE[3],
                linestyle="-" if said == true else "--",
            )
    return figure


def cascade_steps(
    images: NDArray[np.uint8],
    denoised: NDArray[np.uint8],
    answers: pd.DataFrame,
    threshold: float,
    actual: Sequence[str],
) -> Figure:
    """Tiles on their way through the cascade, a row a tile.

    Args:
        images: uint8 (n, H, W).
        denoised: uint8 (n, h, w).
        answers: n rows from ``Cascade.predict``.
        threshold: Of the gate, 0..1.
        actual: True class code of each.
    """
    figure, axes = plt.subplots(
        len(images), 4, figsize=(WIDTH, 1.6 * len(images)), width_ratios=(1, 1, 1.2, 1.6)
    )
    for line, image, clean, code, (_, answer) in zip(
        axes, images, denoised, actual, answers.iterrows(), strict=True
    ):
        for axis, picture in zip(line[:2], (image, clean), strict=True):
            _bare(axis)
            axis.imshow(picture, vmin=0, vmax=255)
        line[0].set_ylabel(f"actual\n{code}")
        _probabilities(line[2], ["infected"], [answer["gate"]])
        line[2].axvline(threshold, color="black", linestyle=":", linewidth=1)
        if np.isfinite(answer["C2"]):
            _probabilities(line[3], LESION_CODES, list(answer[list(LESION_CODES)]))
        else:
            _bare(line[3])
            line[3].text(0.5, 0.5, "not scored: C1", ha="center", va="center")
    for axis, title in zip(axes[0], ("tile", "denoised", "gate", "scorer"), strict=True):
        axis.set_title(title)
    return figure


def _probabilities(axis: Axes, names: Sequence[str], values: Sequence[float]) -> None:
    axis.barh(list(names), values, color=OURS)
    axis.set(xlim=(0, 1), xticks=[0, 0.5, 1], ylim=(len(names) - 0.4, -0.6))
    axis.tick_params(labelsize=8, length=2)
    sns.despine(ax=axis)


def method_diagram() -> Figure:
    """The method as boxes and arrows, after the paper's Figure 1."""
    boxes = [
        ("Mammogram\ntiles\nC1 to C5", "data"),
        ("Autoencoder\nremoves noise", "denoise"),
        ("MobileNetV2\ninfected?", "gate"),
        ("EfficientNetB7\n+ attention", "score"),
        ("Category\nC2, C3, C4, C5", "data"),
    ]
    figure, axis = plt.subplots(figsize=(WIDTH * 1.25, 2.6))
    axis.set(xlim=(-0.6, 4.6), ylim=(-1.15, 0.75))
    axis.axis("off")
    for x, (text, stage) in enumerate(boxes):
        _box(axis, x, 0, text, STAGE_COLOURS[stage])
        if x:
            _arrow(axis, (x - 0.6, 0), (x - 0.4, 0))
    axis.text(2.5, 0.12, "yes", ha="center", fontsize=9)
    _arrow(axis, (2, -0.32), (2, -0.72))
    axis.text(2.06, -0.55, "no", fontsize=9)
    axis.text(2, -0.9, "C1, uninfected", ha="center", va="center", fontsize=10)
    axis.text(1.5, 0.62, "first stage", ha="center", fontsize=10, style="italic")
    axis.text(3.5, 0.62, "second stage", ha="center", fontsize=10, style="italic")
    return figure


def layer_diagram(blocks: Sequence[tuple[str, Sequence[int], str]]) -> Figure:
    """Layers in a row; a box's height follows its side, its label gives the shape.

    Args:
        blocks: (name, (height, width, channels) or (units,), stage colour's key).
    """
    figure, axis = plt.subplots(figsize=(WIDTH * 1.25, 3.4))
    tallest = max(shape[0] for _, shape, _ in blocks)
    for x, (name, shape, stage) in enumerate(blocks):
        height = 0.35 + 1.65 * (shape[0] / tallest if len(shape) == 3 else 0.1)
        axis.add_patch(
            FancyBboxPatch(
                (x - 0.3, -height / 2),
                0.6,
                height,
                boxstyle="round,pad=0.02",
                facecolor=STAGE_COLOURS[stage],
                edgecolor="#444444",
            )
        )
        axis.text(x, -1.22, name, ha="center", va="top", fontsize=8.5)
        axis.text(x, 1.12, " x ".join(map(str, shape)), ha="center", fontsize=8, rotation=20)
        if x:
            _arrow(axis, (x - 0.66, 0), (x - 0.34, 0))
    axis.set(xlim=(-0.7, len(blocks) - 0.3), ylim=(-1.75, 1.5))
    axis.axis("off")
    return figure


def autoencoder_blocks(model: Any) -> list[tuple[str, tuple[int, ...], str]]:
    """What Figure 2 draws: pooled, latent and up-sampled shapes of an autoencoder."""
    wanted = ("encode", "pool", "latent", "up", "decode", "denoised")
    blocks: list[tuple[str, tuple[int, ...], str]] = [("noisy", model.input_shape[1:], "data")]
    for layer in model.layers:
        if layer.name.startswith(wanted):
            stage = "gate" if layer.name.startswith("latent") else "denoise"
            name = layer.name.replace("_", "\n")
            blocks.append((name, tuple(layer.output.shape[1:]), stage))
    return [*blocks[:-1], ("denoised", blocks[-1][1], "data")]


def scorer_blocks(model: Any) -> list[tuple[str, tuple[int, ...], str]]:
    """What Figure 3 draws: from the tile through backbone and attention to the classes."""
    names = {
        "spatial_attention": "spatial\nattention\n$A_s$, eq. (2)",
        "refined": "$F_s = A_s \\odot F$\neq. (3)",
        "channel_attention": "channel\nattention\n$A_c$, eq. (6)",
        "weighted": "$A_c \\odot F_s$",
        "pool": "mean $V$\neq. (4)",
        "score": "softmax\nC2 to C5\neq. (5)",
    }
    blocks: list[tuple[str, tuple[int, ...], str]] = [("tile", model.input_shape[1:], "data")]
    for layer in model.layers:
        if hasattr(layer, "layers"):
            title = f"{spelt(layer.name)}\n$F$, eq. (1)"
            blocks.append((title, tuple(layer.output.shape[1:]), "denoise"))
        elif layer.name in names:
            stage = "gate" if "attention" in layer.name else "score"
            blocks.append((names[layer.name], tuple(layer.output.shape[1:]), stage))
    return blocks


def spectra(groups: dict[str, NDArray[np.float64]]) -> Figure:
    """Radial power spectra: median and middle half of each group's tiles, log axes.

    Args:
        groups: Name and float (n, frequencies) from ``radial_spectrum``.
    """
    figure, axis = plt.subplots(figsize=(WIDTH * 0.7, 3.6))
    for (name, values), style in zip(groups.items(), ("-", "--", ":"), strict=False):
        cycles = np.arange(1, values.shape[1])
        low, middle, high = np.percentile(values[:, 1:], [25, 50, 75], axis=0)
        (line,) = axis.plot(cycles, middle, style, label=name)
        axis.fill_between(cycles, low, high, color=line.get_color(), alpha=0.2)
    axis.set(xscale="log", yscale="log", xlabel="cycles a tile (30 mm)", ylabel="power")
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def grey_histograms(groups: dict[str, NDArray[np.uint8]]) -> Figure:
    """Distribution of grey levels of each group's tiles."""
    figure, axis = plt.subplots(figsize=(WIDTH * 0.7, 3.2))
    for (name, images), style in zip(groups.items(), ("-", "--", ":"), strict=False):
        counts = np.bincount(images.ravel(), minlength=256)
        smooth = np.convolve(counts / counts.sum(), np.ones(5) / 5, mode="same")
        axis.plot(smooth, style, label=name)
    axis.set(xlabel="grey level, 0 to 255", ylabel="share of pixels", xlim=(0, 255))
    axis.set_ylim(bottom=0)
    axis.legend()
    return figure


def class_counts(counts: pd.DataFrame) -> Figure:
    """Bars of tiles by class; ``counts`` has a row a label 0..4, a column a part."""
    counts = counts.set_axis([_two_lines(c) for c in CLASSES])
    figure, axis = plt.subplots(figsize=(WIDTH * 0.8, 3.2))
    counts.plot.bar(ax=axis, rot=0, width=0.75)
    axis.set(ylabel="tiles", xlabel="", yscale="log")
    for bars in axis.containers:
        assert isinstance(bars, BarContainer)
        axis.bar_label(bars, fontsize=8, fmt="{:,.0f}")
    axis.margins(y=0.15)
    sns.despine(figure)
    return figure


def gate_curves(
    scores: Any, infected: Any, ours: dict[str, float], paper: dict[str, float]
) -> Figure:
    """Receiver operating characteristic, precision against sensitivity, and calibration.

    Args:
        scores: Probability of infected, float (N,), 0..1.
        infected: bool (N,).
        ours, paper: ``sensitivity``, ``specificity`` and ``precision`` at the threshold
            used here and as the paper prints them; marked in the first two panels.
    """
    figure, (roc, pr, calibration) = plt.subplots(1, 3, figsize=(WIDTH * 1.25, 3.7))
    false_alarms, hits, _ = roc_curve(infected, scores)
    roc.plot(false_alarms, hits, color=OURS)
    roc.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle=":")
    precision, sensitivity, _ = precision_recall_curve(infected, scores)
    pr.plot(sensitivity, precision, color=OURS)
    pr.axhline(np.mean(infected), color="grey", linewidth=0.8, linestyle=":")
    for point, marker, name, colour in (
        (ours, "o", "this study", OURS),
        (paper, "*", "the paper", PAPER),
    ):
        style = {"marker": marker, "markersize": 11, "color": colour, "linestyle": "none"}
        roc.plot(1 - point["specificity"], point["sensitivity"], label=name, **style)
        pr.plot(point["sensitivity"], point["precision"], label=name, **style)
    share, stated = calibration_curve(infected, scores, n_bins=10)
    calibration.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle=":")
    calibration.plot(stated, share, "o-", color=OURS)
    roc.set(xlabel="1 - specificity", ylabel="sensitivity")
    pr.set(xlabel="sensitivity", ylabel="precision")
    calibration.set(xlabel="probability stated", ylabel="share infected")
    for axis in (roc, pr, calibration):
        axis.set(aspect="equal", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axis.grid(alpha=0.3)
    roc.legend(title="operating point", loc="lower right", fontsize=8, title_fontsize=8)
    return figure


def protocol_points(panels: dict[str, dict[str, Any]]) -> Figure:
    """Figures of merit with intervals, one panel a figure, one point a judge.

    Args:
        panels: Panel title, then judge, then ``{"value", "interval"}``.
    """
    figure, axes = plt.subplots(
        1, len(panels), figsize=(WIDTH * 1.25, 2.6), sharey=True, squeeze=False
    )
    for axis, (title, judges) in zip(axes[0], panels.items(), strict=True):
        for y, stated in enumerate(judges.values()):
            low, high = stated["interval"]
            axis.plot([low, high], [y, y], color=OURS, linewidth=2)
            axis.plot(stated["value"], y, "o", color=OURS)
        axis.set(title=title, yticks=range(len(judges)), yticklabels=list(judges))
        axis.set(xlim=(-0.05, 1.05), xticks=(0, 0.5, 1))
        axis.set_ylim(len(judges) - 0.5, -0.5)
        axis.grid(axis="x", alpha=0.3)
    return figure


def class_by_assessment(counts: pd.DataFrame) -> Figure:
    """Classes against the radiologist's assessment, as a heat map of row shares.

    Args:
        counts: Lesion-views; an index of class names that begin with C2 to C5, columns
            the assessments. A cell where the class's number is the assessment has a frame.
    """
    share = 100 * counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    text = counts.map("{:,}".format) + "\n" + share.map("{:.1f} %".format)
    figure, axis = plt.subplots(figsize=(WIDTH, 0.85 + 0.62 * len(counts)))
    _heatmap(
        axis,
        share,
        text,
        size=9,
        vmax=100,
        yticklabels=[name.replace(", ", ",\n") for name in counts.index],
        cbar_kws={"label": "share of the row, %"},
    )
    for y, name in enumerate(counts.index):
        for x, assessment in enumerate(counts.columns):
            if name.startswith(f"C{assessment}"):
                frame = {"fill": False, "edgecolor": PAPER, "linewidth": 3, "clip_on": False}
                axis.add_patch(Rectangle((x, y), 1, 1, **frame))
    axis.set(xlabel="radiologist's assessment, BI-RADS", ylabel="")
    axis.tick_params(length=0)
    axis.tick_params(axis="y", rotation=0)
    return figure


def malignancy_by_assessment(malignancy: dict[str, dict[str, Any]]) -> Figure:
    """Share malignant at each assessment, over the range that the ACR states for it.

    Args:
        malignancy: By assessment, as ``cbis_labels.label_counts`` gives it. An open mark
            has no interval.
    """
    figure, axis = plt.subplots(figsize=(WIDTH * 0.8, 3.8))
    for x, said in enumerate(malignancy.values()):
        if said["acr_bounds"]:
            low, high = (100 * bound for bound in said["acr_bounds"])
            label = "stated by the ACR" if x == 1 else None
            at = {"facecolor": PAPER, "edgecolor": PAPER, "alpha": 0.45, "label": label}
            axis.add_patch(Rectangle((x - 0.38, low), 0.76, max(high - low, 0.4), **at))
        if said["rate"]:
            _share_with_interval(axis, x, said["rate"], "CBIS-DDSM" if x == 0 else None)
    names = [f"{k}\nn = {said['lesion_views']:,}" for k, said in malignancy.items()]
    axis.set(
        xticks=range(len(names)),
        xticklabels=names,
        xlim=(-0.6, len(names) - 0.4),
        ylim=(-4, 106),
        xlabel="radiologist's assessment, BI-RADS; lesion-views",
        ylabel="malignant, %",
    )
    axis.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside upper right", ncols=2)
    sns.despine(figure)
    return figure


def _share_with_interval(axis: Axes, x: float, stated: dict[str, Any], label: str | None) -> None:
    value = 100 * stated["value"]
    if stated["interval"] is None:
        axis.plot(x, value, "o", color=OURS, markerfacecolor="white", label=label)
    else:
        low, high = (100 * bound for bound in stated["interval"])
        around = [[value - low], [high - value]]
        axis.errorbar(x, value, around, fmt="o", color=OURS, capsize=5, label=label)
    axis.annotate(f"{value:.1f}", (x, value), (9, 5), textcoords="offset points", fontsize=9)


def scan_overlay(
    pixels: NDArray[np.uint8], corners: NDArray[np.int64], gate: NDArray[np.float64], side: int
) -> Figure:
    """A whole scan, and beside it the gate's probability over each window.

    Args:
        pixels: uint8 (H, W).
        corners: int (n, 2), row and column of each window.
        gate: float (n,), 0..1.
        side: Of a window, px.
    """
    total, windows = np.zeros(pixels.shape), np.zeros(pixels.shape)
    for (row, column), probability in zip(corners, gate, strict=True):
        total[row : row + side, column : column + side] += probability
        windows[row : row + side, column : column + side] += 1
    mean = np.divide(total, windows, out=np.full(pixels.shape, np.nan), where=windows > 0)
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 5.6))
    for axis in axes:
        _bare(axis)
        axis.imshow(pixels, vmin=0, vmax=255)
    shown = axes[1].imshow(mean, cmap="cividis", vmin=0, vmax=1, alpha=0.45)
    axes[0].set_title("scan")
    axes[1].set_title("mean probability of \u201cinfected\u201d")
    figure.colorbar(shown, ax=axes[1], shrink=0.7, label="gate, 0 to 1")
    return figure


def _two_lines(tile_class: TileClass) -> str:
    return f"{tile_class.code}\n" + tile_class.title.replace(" ", "\n")


def _bare(axis: Axes) -> None:
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set_visible(False)


def _box(axis: Axes, x: float, y: float, text: str, colour: str) -> None:
    axis.add_patch(
        FancyBboxPatch(
            (x - 0.38, y - 0.3),
            0.76,
            0.6,
            boxstyle="round,pad=0.02",
            facecolor=colour,
            edgecolor="#444444",
        )
    )
    axis.text(x, y, text, ha="center", va="center", fontsize=10)


def _arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axis.annotate("", xy=end, xytext=start, arrowprops={"arrowstyle": "->", "color": "#444444"})
