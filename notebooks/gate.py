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
# **You will learn** how MobileNetV2 is fitted to grey tiles, what a confusion matrix says about
# it, and why precision falls with prevalence while sensitivity does not.
#
# **You need** [](autoencoder.ipynb) and [](../book/confusion_matrix.md).
# **Time**: about five minutes on a laptop.
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
from birads_lib.study import figures, paper
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
# Infected tiles are the smaller part, so each class weighs the same in sum. A tenth of the
# training tiles, whole patients at a time, steers: the epoch with its lowest loss is kept. The
# held-out tiles take no part.

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
run.show_table(beside, "gate_figures", "The gate in figures, with 95 % intervals by group.")

# %% [markdown]
# ## Every threshold at once
#
# A gate is one curve, not one point. The threshold moves along it.

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
    "Three panels: a rising curve of sensitivity against one minus specificity, a falling curve "
    "of precision against sensitivity, each with two marked points, and the share of infected "
    "tiles against the probability stated.",
)

# %%
missed = predictions[(predictions["label"] > 0) & (predictions["gate"] < THRESHOLD)]
share = missed["label"].value_counts() / predictions["label"].value_counts()
run.say(
    f"AUROC **{metrics.in_words(scores['overall']['auroc'])}** on {scores['tiles']:,} held-out "
    "tiles. Missed, by class: "
    + ", ".join(f"{TITLES[k]} {100 * share.get(k, 0):.0f} %" for k in range(1, 5))
    + "."
)

# %% [markdown]
# ## What limits it
#
# Lesions whose contrast is near that of the tissue around them, fine calcifications that fall
# below a pixel of the gate's input, and the number of different lesions to learn from. The first
# of these can be measured where the simulation knows each lesion's contrast.

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
run.save_results({"gate": scores, "epochs": len(trained.history), "model": trained.digest})

# %% [markdown]
# ## Summary
#
# * The gate is judged on tiles that took no part in training; the paper's totals are those of
#   the training set.
# * Precision depends on the share of infected tiles; compare sensitivity and specificity first.
# * Next: [](attention.ipynb), what kind of lesion is it?
#
# ## Exercises
#
# 1. The paper's gate has sensitivity and specificity of .96. What precision would it have where
#    one tile in a hundred is infected? Check with `metrics.class_figures`.
# 2. Find the threshold at which this gate reaches the paper's sensitivity. What specificity is
#    left?
