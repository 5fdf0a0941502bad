# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The scorer: EfficientNet with attention
#
# **You will learn** what equations (1) to (6) of the paper compute, how its Tables 1 and 2 are
# made, and how ours compare.
#
# **You need** [](gate.ipynb) and [](../book/confusion_matrix.md).
# **Time**: six to twenty minutes on two cores.
#
# The second stage gives each infected tile one of four categories. The paper names them C2 to C5
# and reads them as BI-RADS scores; in the data set they are benign calcification, benign mass,
# malignant calcification and malignant mass (see [](../book/birads_explained.md)).

# %% tags=["parameters"]
SRC = "ddsm-mammography"  # folder the tiles came from
RUN = "_build/run/paper"  # where this run writes
SEED = 0
BACKBONE = "EfficientNetB7"
INPUT_HEIGHT = 200  # px, as printed
INPUT_WIDTH = 150  # px, as printed
LAST_BLOCK = None  # cut the backbone after this stage; None for the whole
WEIGHTS = "imagenet"  # None, "imagenet" (from Keras' cache) or a file
FROZEN = False  # keep the backbone's weights; then it runs once, and only the head learns
ATTENTION = "both"  # "both", "spatial", "channel" or "none"
POOL = "channels"  # reading of equation (2): "channels" or "window"
DROPOUT = 0.0
EPOCHS = 30
PATIENCE = 6
BATCH_SIZE = 16
LEARNING_RATE = 1e-3
BALANCE = "weights"  # "none", "weights" or "sampling"
VALIDATION = 0.1  # share of the training tiles, by group, that steers
ASIDE = 0.1  # share of the other training records, at random, kept for the chapter protocols
SHOW_PRINTED = True  # also build the printed network, EfficientNetB7 at 200 × 150 × 3

# %% tags=["hide-input"]
import numpy as np
import pandas as pd

from birads_lib import metrics
from birads_lib.cascade import apply_network
from birads_lib.features import train_frozen
from birads_lib.labels import LESION_CODES
from birads_lib.networks import PRINTED_INPUT, attention_scorer, plain_cnn
from birads_lib.study import built, figures, paper
from birads_lib.study.run import Run
from birads_lib.tiles.feed import TileBatches
from birads_lib.training import Recipe, train

figures.use_style()
run = Run(RUN, "attention", SEED)
store, split = run.store, run.split(VALIDATION, ASIDE).to_numpy()
tiles = run.denoised()
lesion = (store.table["label"] - 1).to_numpy()

# %% [markdown]
# ## Attention, equation by equation
#
# The {term}`backbone` turns a tile $X$ into a map of features, equation (1): $F = F_{EffB7}(X)$.
# {term}`Spatial attention <spatial attention>` asks *where* to look, {term}`channel attention`
# *what* to heed:
#
# $$\begin{aligned} A_s = \sigma(&Conv_{1x1}(MaxPool(F)) \cr
# &+ Conv_{1x1}(AvgPool(F))) \end{aligned} \tag{2}$$
#
# $$F_s = A_s \odot F \tag{3}$$
#
# $$\begin{aligned} A_c = \sigma(&F_c(MaxPool(F_s)) \cr
# &+ F_c(AvgPool(F_s))) \end{aligned} \tag{6}$$
#
# $$\begin{aligned} y = Softmax(&W \cdot GAP(A_c \odot A_s \odot F) \cr
# &+ b) \end{aligned} \tag{4, 5}$$
#
# The paper does not say which axis the pooling of equation (2) runs over. Here it runs over the
# channels, as in the block it resembles {cite:p}`woo2018`; `POOL = "window"` is the other
# reading.

# %%
shape = (INPUT_HEIGHT, INPUT_WIDTH, 3)


def build():
    return attention_scorer(
        BACKBONE, shape, WEIGHTS, ATTENTION, POOL, dropout=DROPOUT, last_block=LAST_BLOCK
    )


drawn = build()
run.show_figure(
    figures.layer_diagram(figures.scorer_blocks(drawn)),
    "figure_3",
    f"The scorer as trained here, after the paper's Figure 3: {BACKBONE} with attention.",
    "Row of boxes from the tile through the backbone's features, spatial attention, refined "
    "features, channel attention and pooling to four class probabilities.",
    tiles=False,
)

# %% [markdown]
# ## The printed network
#
# EfficientNetB7 {cite:p}`tan2019` at 200 × 150 × 3 with both attentions is what the
# paper describes. Where the profile trains something smaller, the printed network is built here all
# the same and four tiles pass through it, unless `SHOW_PRINTED` is off.

# %%
facts = {
    built.TRAINED: built.BuiltScorer.of(drawn, pretrained=WEIGHTS is not None),
    built.PLAIN: built.BuiltPlain.of(plain_cnn()),
}
sizes = {
    f"trained here: {BACKBONE}, {INPUT_HEIGHT} x {INPUT_WIDTH}": facts[built.TRAINED].weights,
    "plain CNN of section IV, 8 to 128 filters": facts[built.PLAIN].weights,
}
if SHOW_PRINTED:
    printed = attention_scorer("EfficientNetB7", PRINTED_INPUT, pool=POOL)
    found = facts[built.PRINTED] = built.BuiltScorer.of(printed)
    sizes["as printed: EfficientNetB7, 200 × 150, with attention"] = found.weights
    sizes["of it EfficientNetB7 without its top"] = found.backbone_weights
    answer = apply_network(printed, np.asarray(store.images[:4]))
    run.say(
        f"Four tiles through the printed network give an array of shape {answer.shape}, rows "
        f"summing to {answer.sum(axis=1).mean():.3f}. It is untrained; its answers mean nothing."
    )
else:
    run.say("In this run it was off, and the printed network was not built.")

# %% tags=["hide-input"]
run.show_table(
    pd.DataFrame({"weights": sizes}),
    "sizes",
    "Weights of the networks. The paper says \u201caround 66 million\u201d for EfficientNetB7.",
    tiles=False,
    thousands=",",
)

# %% [markdown]
# ## Training on the infected tiles
#
# `FROZEN = True` keeps the backbone as it came, which makes sense with pretrained weights. Each
# tile then passes through it once, its features are kept on disk, and an epoch of the attention
# head takes seconds.

# %%
learning, steering = ((split == part) & (lesion >= 0) for part in ("train", "validation"))
taught, steered = ((tiles.where(part), lesion[part]) for part in (learning, steering))
recipe = Recipe("score", EPOCHS, LEARNING_RATE, PATIENCE, SEED)
path = run.models / "scorer.keras"
if FROZEN:
    features = run.path / "features"
    trained = train_frozen(build, taught, steered, recipe, path, features, BATCH_SIZE, BALANCE)
else:
    trained = train(
        build,
        TileBatches(*taught, shape, BATCH_SIZE, SEED, turn=True, balance=BALANCE),
        TileBatches(*steered, shape, BATCH_SIZE),
        recipe,
        path,
    )

# %% tags=["hide-input"]
run.show_figure(
    figures.epochs_panels(trained.history, "The scorer, means over C2 to C5"),
    "scorer_epochs",
    "Precision, sensitivity and specificity of the scorer over epochs, means over four classes.",
    "Three panels over epochs, each with a training and a validation line.",
)

# %% [markdown]
# ## Table 1 and Figure 7
#
# Every held-out infected tile is scored here, whether or not the gate would have let it through,
# because that is how the paper counts (its matrix sums to all 7,239). [](cascade.ipynb) asks what
# the two stages do together.

# %%
held_out = (split == "held-out") & (lesion >= 0)
answers = pd.DataFrame(
    apply_network(trained.model, tiles.where(held_out)), columns=list(LESION_CODES)
)
predictions = run.save_predictions(
    "scorer",
    store.table[held_out],
    answers,
    stage="scorer",
    split="held-out",
    protocol="official",
    model=trained.digest,
    threshold=np.nan,
)
scores = metrics.evaluate(predictions, "scorer")
matrix = np.array(scores["confusion_matrix"])

# %% tags=["hide-input"]
run.show_table(
    paper.confusion_table(matrix),
    "table_1",
    "Predicted value for each category, this study, held-out tiles; as in the paper's Table 1.",
    thousands=",",
)
run.show_table(paper.table_1(), "table_1_paper", "The paper's Table 1.", tiles=False, thousands=",")

# %% tags=["hide-input"]
run.show_figure(
    figures.confusion_pair(
        matrix, paper.TABLE_1, LESION_CODES, "This study, held-out tiles", "The paper, Figure 7"
    ),
    "figure_7",
    "Confusion matrix of the scorer: this study's on held-out tiles, and the paper's Figure 7 "
    "(counts of its Table 1). Rows actual, columns predicted; shares are of the row.",
    "Two heat maps of four by four cells, C2 to C5, actual against predicted. Left this study, "
    "right the paper.",
)

# %% [markdown]
# ## Table 2
#
# The paper's column "Accuracy" holds, in percent, the numbers of its column "Precision". Ours is
# {term}`one-versus-rest` accuracy; the paper's own matrix gives the last table.

# %%
columns = ["precision", "sensitivity", "specificity", "accuracy"]
ours = pd.DataFrame(
    {
        c.capitalize(): {k: metrics.in_words(scores["per_class"][k][c]) for k in LESION_CODES}
        for c in columns
    }
).rename_axis("ID")
run.show_table(
    ours,
    "table_2",
    "Precision, sensitivity, specificity and one-versus-rest accuracy, this study, held-out "
    f"tiles, with {metrics.intervals_in_words(scores)}.",
)
run.show_table(paper.TABLE_2, "table_2_paper", "The paper's Table 2.", tiles=False, precision=3)
implied = metrics.class_figures(paper.TABLE_1).set_axis(list(LESION_CODES))
run.show_table(
    implied.rename_axis("ID"),
    "table_2_implied",
    "The same figures computed from the paper's Table 1.",
    tiles=False,
    precision=4,
)

# %% [markdown]
# ## Type and pathology apart
#
# Four classes are two questions: calcification or mass, and benign or malignant.

# %%
actual = metrics.actual_class(predictions, "scorer")
predicted = metrics.predicted_class(predictions, "scorer")
group = predictions["group"]
questions = {
    "lesion type": metrics.mean_with_interval((actual % 2 == predicted % 2).astype(float), group),
    "pathology": metrics.mean_with_interval((actual // 2 == predicted // 2).astype(float), group),
}
balanced = metrics.in_words(scores["overall"]["balanced_accuracy"])
lesion_type, pathology = (metrics.in_words(figure) for figure in questions.values())
of_type, of_pathology = (max(share.mean(), 1 - share.mean()) for share in (actual % 2, actual // 2))
run.say(
    f"Balanced accuracy over four classes: **{balanced}** (chance 0.25). Lesion type right: "
    f"{lesion_type}, where the best constant answer has {of_type:.3f}; pathology right: "
    f"{pathology}, where it has {of_pathology:.3f}."
)

# %% [markdown]
# ## What may limit it
#
# Several tiles show the same lesion, so there are far fewer lesions than infected tiles to learn
# shapes from. Small inputs blur the margins that tell benign from malignant. And a lesion of
# low {term}`conspicuity` is harder to see. Only the last of these is measured here, where the
# simulation knows each lesion's contrast against its tissue.

# %% tags=["hide-input"]
truth = run.truth(SRC)
if truth is not None:
    contrast = truth.table.set_index("tile").loc[predictions["tile"], "conspicuity"]
    run.show_table(
        metrics.shares_by_third(actual == predicted, contrast, group),
        "scorer_conspicuity",
        "Share of infected held-out tiles in their right category, by third of conspicuity.",
        precision=1,
    )

# %%
run.save_results(
    {
        "scorer": scores,
        "questions": questions,
        "weights": sizes,
        built.BUILT: {name: built.save(network) for name, network in facts.items()},
        "epochs": len(trained.history),
        "model": trained.digest,
    }
)

# %% [markdown]
# ## Summary
#
# * The equations leave two readings open; both are built, one is the default.
# * Four classes are two questions, lesion type and pathology; each has a score of its own.
# * Next: [](explanations.ipynb)

# %% [markdown]
# ## Check yourself
#
# **$A_s$ has one factor for each place, $A_c$ one for each feature. What can neither do alone?**
#
# :::{dropdown} Answer
# $A_s$ weights all features of a place alike, so it cannot heed one pattern there and ignore
# another. $A_c$ weights a feature alike at all places, so it cannot say where. Their product is
# still no free choice of a factor for every place and feature.
# :::
#
# **A scorer knows the type of each lesion for sure and guesses its pathology. What is its
# balanced accuracy?**
#
# :::{dropdown} Answer
# One half. It knows which two of the four classes are left and is right every second time, in
# each class. Chance alone gives one in four.
# :::
#
# **Why is one-versus-rest accuracy of every class so much higher than overall accuracy?**
#
# :::{dropdown} Answer
# A benign calcification called a benign mass is one mistake. In one-versus-rest accuracy it counts
# as a mistake for these two classes and as *right* for the other two. With four classes and overall
# accuracy $a$, the mean over classes is $1 - 2(1 - a)/4$. For the paper's Table 1, where
# $a \approx 0.921$, that is $0.961$.
# :::

# %% [markdown]
# ## Exercises
#
# Where the code goes: [how to try things](data_merging.ipynb#how-to-try-things).
#
# **1.** Compute one-versus-rest accuracy of C2 from the paper's Table 1 by hand. Why is it higher
# than its precision?
#
# :::{dropdown} Solution
# Right are the 1,921 tiles of C2 that are called C2, and the tiles of the other classes that are
# not: 7,239 in all, less the row and the column of C2, is 5,032. Together
# $(1921 + 5032) / 7239 \approx 0.960$; precision is $1921 / 2065 \approx 0.930$. Most tiles are
# not C2, and for nearly all of them "not C2" is the right answer. These count in accuracy, and
# precision never looks at them. [How to read a confusion
# matrix](../book/confusion_matrix.md#more-than-two-classes) goes through it step by step.
# :::
#
# **2.** Train with `ATTENTION = "none"`. Is the difference larger than the interval?
#
# :::{dropdown} Solution
# Set it in a copy of the run, run this chapter there, and take the difference tile by tile:
#
# ```python
# runs = ["_build/run/laptop", "_build/run/laptop-copy"]
# both, none = (pd.read_parquet(f"{path}/predictions/scorer.parquet") for path in runs)
# metrics.paired_difference([both], [none], "balanced_accuracy")
# ```
#
# If the interval holds 0, these tiles do not tell the two apart. If it does not, luck may still
# be behind it: each network was trained once, from one seed. [](ablations.ipynb) trains several.
# ([](explanations.ipynb) ends at once in that copy: without spatial attention it has no map to
# show.)
# :::
