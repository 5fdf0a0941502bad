# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Explanations: does it look at the lesion?
#
# **You will learn** how a {term}`heat map` is made from attention, and how from gradients, and how
# to judge one by numbers and not by a few pictures.
#
# **You need** [](attention.ipynb). **Time**: under a minute on a laptop.
#
# Section III.3 of the paper says of attention: "The heat map is a visual representation of the
# attention weights", and that for these images the mechanism "identifies and emphasizes regions
# that exhibit abnormal forms, densities, or textures". It prints no such map and no number. Both
# follow here, and beside them a method that needs no attention.

# %% tags=["parameters"]
SRC = "ddsm-mammography"  # folder the tiles came from
RUN = "_build/run/paper"  # where this run writes
SEED = 0
TILES = 300  # held-out infected tiles judged, drawn by seed
SHOWN = 2  # tiles of each class in the picture
TOLERANCE = 15  # px from the lesion that still count as on it
CENTRE_SD = 75.0  # px, width of the guess at the centre
VALIDATION = 0.1  # share of the training tiles, by group, that steered
ASIDE = 0.1  # share of the other training records, at random, kept for the chapter protocols

# %% tags=["hide-input"]
import numpy as np

from birads_lib import explain, metrics
from birads_lib.labels import CODES, LESION_CODES
from birads_lib.networks import read_model, weights_digest
from birads_lib.study import figures, figures_explain
from birads_lib.study.run import LIGHT_DPI, Run
from birads_lib.tiles.resizing import resize_tiles

figures.use_style()
run = Run(RUN, "explanations", SEED)
store, split = run.store, run.split(VALIDATION, ASIDE).to_numpy()
scorer = read_model(run.model_file("scorer"))
layers = {layer.name for layer in scorer.layers}
ATTENTION, GRAD_CAM = "attention", "Grad-CAM"  # names of the two maps
if explain.SPATIAL not in layers:
    run.save_results({"outlines": False})
    run.end("**The scorer of this run has no spatial attention.** The chapter ends here.")

# %% [markdown]
# ## Two maps of one tile
#
# **Attention.** $A_s$ of equation (2) is one factor between 0 and 1 for each cell of the feature
# map; the features there are multiplied by it. The map is part of the network's own calculation,
# the same whichever class is asked about.
#
# **{term}`Grad-CAM`** {cite:p}`selvaraju2017` asks which places speak for a class. Each feature
# gets a weight: the mean gradient of the class's score by that feature. The weighted features are
# summed, and what is negative is dropped. Here the class is the one that the scorer predicts.

# %%
candidates = np.flatnonzero((split == "held-out") & (store.table["label"] > 0))
chosen = np.sort(np.random.default_rng(SEED).permutation(candidates)[:TILES])
table = store.table.iloc[chosen]
label, group = table["label"].to_numpy(), table["group"].to_numpy()
stored = run.read_predictions("scorer").set_index("tile")
predicted = stored.loc[table["tile"], list(LESION_CODES)].to_numpy().argmax(axis=1)

# %%
tiles = resize_tiles(run.denoised()[chosen], store.images.shape[1:])
maps = {
    ATTENTION: explain.attention_maps(scorer, tiles),
    GRAD_CAM: explain.grad_cam(scorer, tiles, predicted),
}
truth = run.truth(SRC)
masks = None if truth is None else truth.masks(table["tile"])

# %% tags=["hide-input"]
cells = scorer.get_layer(explain.SPATIAL).output.shape[1:3]
pixels = [round(side / count) for side, count in zip(tiles.shape[1:], cells, strict=True)]
spread = metrics.mean_with_interval(np.ptp(maps[ATTENTION], axis=(1, 2)), group)
run.say(
    f"{len(tiles)} held-out infected tiles of {len(set(group))} groups. The feature map has "
    f"**{cells[0]} x {cells[1]} cells**, so a cell stands for {pixels[0]} x {pixels[1]} px of a "
    "tile, and neither map can say more exactly where something is. From its lowest to its highest "
    f"place $A_s$ differs by {metrics.in_words(spread)} on average; at 0 it would weight nothing."
)

# %%
shown = np.concatenate([np.flatnonzero(label == k)[:SHOWN] for k in np.unique(label)])
run.show_figure(
    figures_explain.map_rows(
        tiles[shown],
        {name: of_tiles[shown] for name, of_tiles in maps.items()},
        [f"{CODES[label[i]]}\npredicted {CODES[predicted[i] + 1]}" for i in shown],
        None if masks is None else masks[shown],
    ),
    "heat_maps",
    "Denoised held-out tiles, attention over them, and Grad-CAM for the predicted class; drawn by "
    "seed, not chosen. Each map is spread over its own range, from dark to light; the range stands "
    "below it. " + ("No outline is known." if masks is None else "White: the lesion's outline."),
    "Three rows of tiles, two columns a class: the tile, the same under a coloured layer of "
    "attention, and under one of Grad-CAM.",
    dpi=LIGHT_DPI,
)

# %% tags=["hide-input"]
if explain.CHANNEL in layers:
    weights = explain.channel_weights(scorer, tiles)
    run.say(
        "The other attention, $A_c$ of equation (6), says which features count and not where, so "
        f"it has no map. Its {weights.shape[1]:,} factors, {weights.mean():.3f} on average, differ "
        f"by {weights.mean(axis=0).std():.3f} between features and, for one feature, by "
        f"{weights.std(axis=0).mean():.3f} between tiles (standard deviations)."
    )

# %% [markdown]
# ## From pictures to numbers
#
# A few tiles with a bright patch near a lesion prove little: lesions lie near the middle of their
# tiles. So there are two scores over all tiles, and beside each the scores of two guesses that
# look at no tile.
#
# * **{term}`Pointing game <pointing game>`** {cite:p}`zhang2018`: is the largest value of the map
#   on the lesion, or close to it? Where several pixels share the largest value, the share of them
#   that is.
# * **Mass inside**: the share of the map's sum that lies inside the lesion.
# * The **centre** is a Gaussian in the middle of the tile; its largest value is the middle pixel.
# * The **uniform** map is the same everywhere. Its mass inside is the lesion's share of the tile.
#
# The outlines are those of the simulation. A calcification's outline leaves a margin around each
# one, so that specks have an area.

# %% tags=["hide-input"]
if masks is None:
    run.save_results({"outlines": False, "tiles": len(tiles), "model": weights_digest(scorer)})
    run.end(
        "**These tiles come without outlines of their lesions**, so there are pictures only. "
        "Whether the maps find the lesions was not measured on them."
    )

# %%
per_tile = explain.localisation(maps, masks, TOLERANCE, CENTRE_SD)
kinds = {
    "all": label > 0,
    "masses": np.isin(label, (2, 4)),
    "calcifications": np.isin(label, (1, 3)),
}
found = {
    kind: explain.localisation_figures(per_tile[rows], group[rows])
    for kind, rows in kinds.items()
    if rows.any()
}
run.show_figure(
    figures_explain.localisation_points(found),
    "localisation",
    f"How well the maps find {len(tiles)} simulated lesions, beside two guesses that look at no "
    f"tile. Tolerance of the pointing game {TOLERANCE} px; 95 % intervals by group.",
    "Two panels, pointing game and mass inside; in each a mark with its interval for attention, "
    "Grad-CAM, centre and uniform, for all tiles, masses and calcifications.",
)

# %% tags=["hide-input"]
run.show_table(
    explain.localisation_table(found),
    "localisation_figures",
    "The same as a table, with the paired differences to both guesses: means over tiles, 95 % "
    "intervals by group. Where the interval of a difference holds 0, no difference has been "
    "shown.",
)

# %% [markdown]
# ## The answer
#
# Does attention look at the lesion more than a fixed guess at the centre does?

# %% tags=["hide-input"]
groups = len(set(group))
few = f" With {groups} groups the intervals say little." if groups < metrics.FEWEST_GROUPS else ""
run.say(
    f"On {len(tiles)} simulated tiles of {groups} groups, and for this run's scorer:\n\n"
    f"* {explain.in_a_sentence(ATTENTION, found['all'])}\n"
    f"* {explain.in_a_sentence(GRAD_CAM, found['all'])}\n\n"
    "Clearly more would support the sentence of section III.3 quoted above; less, or about as "
    f"much, would not. It is a finding about this network on simulated tiles.{few} The paper's own "
    "network and its maps are not published."
)

# %% [markdown]
# Where else could the largest value lie? Convolutions fill the space beyond a tile with zeros, so
# the outermost cells see an edge that is not in the breast. A map without regard for the border has
# its largest value there as often as those cells are part of the tile.

# %% tags=["hide-input"]
rim = explain.border(tiles.shape[1:], cells)
rims = np.broadcast_to(rim, tiles.shape)
most = " Where the border is most of the tile, hardly anything could show it."
at_rim = {
    name: explain.mean_score(explain.pointing_game(of_tiles, rims, 0), group)
    for name, of_tiles in maps.items()
}
run.say(
    f"The outermost cells are {rim.mean():.3f} of a tile, which is the share by chance. They hold "
    "the largest value of "
    f"attention in **{metrics.in_words(at_rim[ATTENTION])}** of tiles, and of Grad-CAM in "
    f"**{metrics.in_words(at_rim[GRAD_CAM])}**. Only more than chance would mean that the border "
    f"draws a map.{most if rim.mean() > 0.5 else ''}"
)

# %%
run.save_results(
    {
        "outlines": True,
        "tiles": len(tiles),
        "groups": groups,
        "seed": SEED,
        "cells": list(cells),
        "tolerance": TOLERANCE,
        "centre_sd": CENTRE_SD,
        "range": spread,
        "at_border": {"share": float(rim.mean()), **at_rim},
        "attention": {kind: {k: v[ATTENTION] for k, v in of.items()} for kind, of in found.items()},
        "scores": found,
        "model": weights_digest(scorer),
    }
)

# %% [markdown]
# ## Summary
#
# * Attention weights are part of the calculation; Grad-CAM asks a trained network afterwards.
# * A map on a few cells is coarse, however smooth it looks over a tile.
# * A heat map needs a score, and a score needs a guess to beat.
# * Next: [](cascade.ipynb)

# %% [markdown]
# ## Check yourself
#
# **Suppose attention is nearly the same at every place of a tile. Why does its picture still have
# a bright patch?**
#
# :::{dropdown} Answer
# Each map is spread over its own range, from dark to light, so the largest value is always light.
# Whether it stands out is in the range below the picture: a map of nearly equal factors leaves
# the features nearly as they were.
# :::
#
# **Why is a guess at the centre the one to beat, and not chance?**
#
# :::{dropdown} Answer
# The tiles were cut around their lesions, so the middle is often right. A map may follow that
# habit and look at no tile; then it explains nothing about any of them.
# :::
#
# **Suppose a map does find the lesions. Does the scorer decide by them?**
#
# :::{dropdown} Answer
# That is not shown yet. The map says where features are weighted, or where the score would change
# for a small change of the features. Each feature sees more of the tile than its own cell. To
# learn more, cover the lesion, or everything else, and see whether the answer changes.
# :::

# %% [markdown]
# ## Exercises
#
# Where the code goes: [how to try things](data_merging.ipynb#how-to-try-things). All three need
# the outlines, so simulated tiles.
#
# **1.** Give the centre another width by `CENTRE_SD`. Which of the two scores changes, and why
# not the other?
#
# :::{dropdown} Solution
# ```python
# for sd in (20.0, CENTRE_SD, 300.0):
#     scores = explain.localisation({}, masks, TOLERANCE, sd)
#     print(sd, scores.mean().round(3).to_dict())
# ```
#
# The pointing game stays: however wide it is, the Gaussian is largest at the middle pixel. The
# mass inside changes. A narrow Gaussian puts its mass where lesions mostly are, a very wide one
# is nearly the uniform map. So "better than the centre" is a statement about a centre of a
# certain width.
# :::
#
# **2.** Ask Grad-CAM about the true class (`label - 1`) in place of the predicted one. Do tiles
# that the scorer gets wrong point elsewhere?
#
# :::{dropdown} Solution
# ```python
# wrong = predicted != label - 1
# of_true = explain.grad_cam(scorer, tiles[wrong], (label - 1)[wrong])
# moved = explain.pointing_game(of_true, masks[wrong], TOLERANCE) - explain.pointing_game(
#     maps[GRAD_CAM][wrong], masks[wrong], TOLERANCE
# )
# metrics.in_words(metrics.mean_with_interval(moved, group[wrong]), "+.3f")
# ```
#
# Where the scorer is right the two maps are the same, so only the others are compared. Above 0
# the true class points at the lesion more often than the class that was predicted. An interval
# that holds 0 says that these tiles do not decide; look at how many there are, `wrong.sum()`.
# :::
#
# **3.** Replace the centre by the mean outline of the training tiles. Is it harder to beat?
#
# :::{dropdown} Solution
# ```python
# taught = store.table["tile"][(split == "train") & (store.table["label"] > 0)]
# outline = truth.masks(taught).mean(axis=0).astype(np.float32)
# guess = {"mean outline": np.broadcast_to(outline, masks.shape)}
# both = explain.localisation({**maps, **guess}, masks, TOLERANCE, CENTRE_SD)
# explain.localisation_table({"all": explain.localisation_figures(both, group)})
# ```
#
# The row of the mean outline has its difference to the centre: if that is above 0, it is the
# harder guess. For the pointing game without tolerance its highest pixel is, on the training
# tiles, the best of all fixed guesses, because its value there is the share of lesions that cover
# it. To set attention against it:
#
# ```python
# gain = both[explain.POINTING, ATTENTION] - both[explain.POINTING, "mean outline"]
# metrics.in_words(metrics.mean_with_interval(gain, group), "+.3f")
# ```
# :::
