# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The gate: infected or not
#
# **You will learn** how MobileNetV2 is fitted to grey tiles, what a {term}`confusion matrix` says
# about it, and why {term}`precision` falls with {term}`prevalence` while {term}`sensitivity` does
# not.
#
# **You need** [](autoencoder.ipynb) and [](../book/confusion_matrix.md).
# **Time**: five to eleven minutes on two cores.
#
# The first stage of the paper (section III.2) asks of each tile: infected or uninfected?
# MobileNetV2 {cite:p}`sandler2018` gets a grey input and a new fully connected layer.
# With ImageNet weights the first convolution is summed over its colours, so that nothing
# learned is lost; the smaller profiles start from random weights.

# %% tags=["parameters"]
SRC = "ddsm-mammography"  # folder the tiles came from
RUN = "_build/run/paper"  # where this run writes
SEED = 0
INPUT_SIZE = 224  # px, side of the gate's input
ALPHA = 1.0  # width of MobileNetV2
LAST_BLOCK = None  # cut the network after this block; None for the whole
WEIGHTS = "imagenet"  # None, "imagenet" (from Keras' cache) or a file
UNITS = 128  # of the new fully connected layer
EPOCHS = 20
PATIENCE = 5
BATCH_SIZE = 32
LEARNING_RATE = 1e-3
BALANCE = "weights"  # "none", "weights" or "sampling"
THRESHOLD = 0.5
VALIDATION = 0.1  # share of the training tiles, by group, that steers
ASIDE = 0.1  # share of the other training records, at random, kept for the chapter protocols

# %% tags=["hide-input"]
import pandas as pd

from birads_lib import metrics
from birads_lib.cascade import apply_network
from birads_lib.labels import GATE_NAMES, TITLES
from birads_lib.networks import mobilenet_gate
from birads_lib.study import built, figures, paper
from birads_lib.study.run import Run
from birads_lib.tiles.feed import TileBatches
from birads_lib.training import Recipe, train

figures.use_style()
run = Run(RUN, "gate", SEED)
store, split = run.store, run.split(VALIDATION, ASIDE).to_numpy()
tiles = run.denoised()
infected = (store.table["label"] > 0).astype(int).to_numpy()

# %% [markdown]
# ## Training
#
# Fewer tiles are infected, so the classes are weighted to count equally in the loss. A tenth of
# the training tiles, drawn as whole {term}`groups <group>`, steers: the epoch with the lowest loss
# on it is kept. The held-out tiles take no part.

# %%
shape = (INPUT_SIZE, INPUT_SIZE, 1)
learning, steering = split == "train", split == "validation"
trained = train(
    lambda: mobilenet_gate(shape, ALPHA, WEIGHTS, UNITS, last_block=LAST_BLOCK),
    TileBatches(tiles.where(learning), infected[learning], shape, BATCH_SIZE, SEED, True, BALANCE),
    TileBatches(tiles.where(steering), infected[steering], shape, BATCH_SIZE),
    Recipe("gate", EPOCHS, LEARNING_RATE, PATIENCE, SEED),
    run.models / "gate.keras",
)

# %% tags=["hide-input"]
run.show_figure(
    figures.epochs_panels(trained.history, "The gate, training and validation"),
    "figure_6",
    "Precision, sensitivity and specificity of the gate over epochs, in the layout of the paper's "
    "Figure 6. The paper prints its curves without numbers, so there are none to set beside.",
    "Three panels over epochs, each with a training and a validation line: precision, "
    "sensitivity, specificity.",
)

# %% [markdown]
# ## The confusion matrix, beside the paper's
#
# Ours counts held-out tiles. The paper's Figure 5 sums to the whole training set, and no division
# into training and test is reported.

# %%
held_out = split == "held-out"
predictions = run.save_predictions(
    "gate",
    store.table[held_out],
    pd.DataFrame({"gate": apply_network(trained.model, tiles.where(held_out))[:, 0]}),
    stage="gate",
    split="held-out",
    protocol="official",
    model=trained.digest,
    threshold=THRESHOLD,
)
scores = metrics.evaluate(predictions, "gate")
run.show_figure(
    figures.confusion_pair(
        scores["confusion_matrix"],
        paper.FIGURE_5,
        GATE_NAMES,
        "This study, held-out tiles",
        "The paper, Figure 5",
    ),
    "figure_5",
    "Confusion matrix of the gate: this study's on held-out tiles, and the paper's Figure 5. "
    "Rows actual, columns predicted; shares are of the row.",
    "Two heat maps of two by two cells, uninfected and infected, actual against predicted. "
    "Left this study, right the paper.",
)

# %%
ours = scores["per_class"]["infected"]
beside = pd.DataFrame(
    {
        "this study, held out": {k: metrics.in_words(ours[k]) for k in paper.GATE_TEXT},
        "the paper, text": {k: f"{v:.3f}" for k, v in paper.GATE_TEXT.items()},
        "from the paper's Figure 5": metrics.class_figures(paper.FIGURE_5)
        .loc[1, list(paper.GATE_TEXT)]
        .map("{:.4f}".format),
    }
)
run.show_table(
    beside, "gate_figures", f"The gate in figures, with {metrics.intervals_in_words(scores)}."
)

# %% tags=["hide-input"]
here, there = (predictions["label"] > 0).mean(), paper.FIGURE_5[1].sum() / paper.FIGURE_5.sum()
at_share = metrics.precision_at(there, ours["sensitivity"], ours["specificity"])
normal = predictions[predictions["label"] == 0]
familiar = normal["group"].isin(set(store.table["group"][split == "train"])).mean()
run.say(
    f"Precision hangs on the share of infected tiles: **{100 * here:.0f} %** of these, and "
    f"{100 * there:.0f} % of those in the paper's Figure 5. At the paper's share the sensitivity "
    "and specificity measured here would give a precision of "
    f"**{metrics.in_words(at_share, '.2f')}**. "
    f"And **{100 * familiar:.0f} %** of the uninfected held-out tiles come from groups that have "
    "tiles in training as well; on the tissue of other women specificity may be lower."
)

# %% [markdown]
# ## Every threshold at once
#
# A gate has a whole curve of operating points. The {term}`threshold` picks one of them.

# %%
paper_gate = metrics.class_figures(paper.FIGURE_5).loc[1]
run.show_figure(
    figures.gate_curves(
        predictions["gate"],
        predictions["label"] > 0,
        {name: ours[name]["value"] for name in paper.GATE_TEXT},
        paper_gate,
    ),
    "gate_curves",
    "The gate on held-out tiles: receiver operating characteristic, precision against "
    "sensitivity, and calibration. The paper's operating point is set beside, though it belongs "
    "to other data.",
    "Three panels: a curve of sensitivity against one minus specificity, a curve of precision "
    "against sensitivity, each with two marked points, and the share of infected tiles against "
    "the probability stated.",
)

# %%
missed = {
    TITLES[k]: metrics.share_with_interval(of_class["gate"] < THRESHOLD, of_class["group"])
    for k, of_class in predictions[predictions["label"] > 0].groupby("label")
}
run.say(
    f"AUROC **{metrics.in_words(scores['overall']['auroc'])}** on {scores['tiles']:,} held-out "
    "tiles. Share missed, by class: "
    + ", ".join(f"{name} {metrics.in_words(share, '.2f')}" for name, share in missed.items())
    + "."
)

# %% [markdown]
# ## What may limit it
#
# Lesions whose contrast is near that of the tissue around them (of low {term}`conspicuity`), fine
# calcifications that fall below a pixel of the gate's input, and the number of different lesions to
# learn from. Only the first of these is measured here, where the simulation knows each lesion's
# contrast.

# %% tags=["hide-input"]
truth = run.truth(SRC)
if truth is not None:
    lesions = predictions[predictions["label"] > 0]
    contrast = truth.table.set_index("tile").loc[lesions["tile"], "conspicuity"]
    run.show_table(
        metrics.shares_by_third(lesions["gate"] >= THRESHOLD, contrast, lesions["group"]),
        "gate_conspicuity",
        "Sensitivity of the gate on held-out tiles, by third of conspicuity.",
        precision=1,
    )

# %%
facts = built.BuiltGate.of(
    trained.model, ALPHA, whole=LAST_BLOCK is None, pretrained=WEIGHTS is not None
)
run.save_results(
    {
        "gate": scores,
        "epochs": len(trained.history),
        built.BUILT: {built.TRAINED: built.save(facts)},
        "model": trained.digest,
    }
)

# %% [markdown]
# ## Summary
#
# * The gate is judged on tiles that took no part in training; the paper's totals are those of
#   the training set.
# * Precision depends on the share of infected tiles; compare sensitivity and specificity first.
# * Next: [](attention.ipynb)

# %% [markdown]
# ## Check yourself
#
# **A gate has a sensitivity and a specificity of 0.96. Is 0.96 of its alarms right, too?**
#
# :::{dropdown} Answer
# Only where half of the tiles are infected. Precision compares hits with false alarms, and false
# alarms come from the uninfected tiles. The more of these there are, the more alarms they give.
# In the paper's Figure 5 about one tile in eight is infected, and the precision is 0.781.
# :::
#
# **The AUROC of a gate is high. What does that say about the threshold of one half?**
#
# :::{dropdown} Answer
# Nothing. AUROC says how well infected tiles are ranked above others. All probabilities may still
# lie above one half, or all below. A threshold has to be chosen, on other tiles than those that
# judge it.
# :::
#
# **Why do the intervals draw whole groups of tiles?**
#
# :::{dropdown} Answer
# Tiles of one woman resemble one another: the same tissue, often the same lesion. Drawn one by
# one, they would count as so many independent witnesses, and the interval would be too narrow.
# :::

# %% [markdown]
# ## Exercises
#
# Where the code goes: [how to try things](data_merging.ipynb#how-to-try-things).
#
# **1.** The paper's gate has sensitivity and specificity of 0.96. What precision would it have
# where one tile in a hundred is infected? Check with `metrics.class_figures`.
#
# :::{dropdown} Solution
# Of 10,000 tiles 100 are infected, and 96 of them are found. Of the other 9,900, four in a
# hundred are false alarms: 396. So the precision is
#
# $\displaystyle \frac{96}{96 + 396} \approx 0.195$
#
# and four alarms of five are false, though neither the gate nor its two rates have changed.
#
# ```python
# metrics.class_figures([[9504, 396], [4, 96]]).loc[1]
# ```
# :::
#
# **2.** Find the threshold at which this gate reaches the paper's sensitivity. What specificity
# is left?
#
# :::{dropdown} Solution
# ```python
# is_infected = predictions["label"] > 0
# missed = 1 - paper.GATE_TEXT["sensitivity"]
# threshold = predictions.loc[is_infected, "gate"].quantile(missed, interpolation="lower")
# specificity = (predictions.loc[~is_infected, "gate"] < threshold).mean()
# threshold, specificity
# ```
#
# It is one point of the first curve above: go up to the paper's sensitivity, and read off how far
# to the right you are. Beware: this threshold was chosen on the tiles that judge it, so the
# specificity is a little too high. For a fair figure choose it on the validation part, with
# `apply_network(trained.model, tiles.where(steering))`, and judge it here.
# :::
