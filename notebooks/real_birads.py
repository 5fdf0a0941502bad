# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The real BI-RADS
#
# **You will learn** how ordered categories are predicted and judged, how a frozen network is run
# once and used many times, and how a stated probability of cancer compares with the ranges that
# the ACR gives for each category.
#
# **You need** [](attention.ipynb) and [](label_meaning.ipynb). **Time**: under a minute on a
# laptop.
#
# The title of the paper promises a BI-RADS score; its classes are lesion type and pathology. Here
# the same network is asked for what the radiologist wrote: category 2, 3, 4 or 5.

# %% tags=["parameters"]
RUN = "_build/run/paper"  # where this run writes
CASE_FILES = ""  # folder of CBIS-DDSM's four case description files, for a real set without BI-RADS
SEED = 0
FROZEN = True  # keep the scorer's backbone as it is and train what follows it; False trains all
PRECISION = "float16"  # of the features kept on disk: "float16" or "float32"
EPOCHS = 30
PATIENCE = 6
BATCH_SIZE = 32
LEARNING_RATE = 1e-3
BALANCE = "none"  # "none", "weights" or "sampling"
VALIDATION = 0.1  # share of the training tiles, by group, that steers
ASIDE = 0.1  # share of the other training records, at random, kept for the chapter protocols

# %% tags=["hide-input"]
import numpy as np
import pandas as pd

from birads_lib import metrics
from birads_lib.agreement import best_answers
from birads_lib.cascade import apply_network
from birads_lib.features import backbone_features
from birads_lib.labels import GRADED, LESION_CLASSES, LESION_CODES
from birads_lib.networks import (
    category_probabilities,
    join_at_features,
    ordinal_scorer,
    read_model,
    split_at_features,
    weights_digest,
)
from birads_lib.study import figures
from birads_lib.study.figures_birads import malignancy_by_grade
from birads_lib.study.run import Run
from birads_lib.tiles.assessments import DRAWN, assessments_of, conditional_table, graded_parts
from birads_lib.tiles.feed import FeatureBatches, TileBatches
from birads_lib.tiles.store import ImageRows
from birads_lib.training import Recipe, save_model, train

figures.use_style()
run = Run(RUN, "real_birads", SEED)
store, tiles = run.store, run.denoised()
titles = [f"{c.code} {c.title}" for c in LESION_CLASSES]

# %% [markdown]
# ## Whose BI-RADS?
#
# A set made from CBIS-DDSM itself states the radiologist's category of each lesion
# {cite:p}`lee2017`. The tiles of the Kaggle set do not, but those for training name their image,
# and with CBIS-DDSM's case files at hand (`CASE_FILES`) the name gives the category. Simulated
# tiles have no radiologist: theirs is drawn. Any other set has none, and the chapter ends here.

# %%
SOURCES = {
    "stated": "The radiologist's category, as the set states it.",
    "looked up": "The radiologist's category, looked up by image name in CBIS-DDSM's case files.",
    "drawn": ":::{warning}\nThe tiles are **simulated** and their categories are **drawn**, a "
    "lesion at a time, from how often real lesions of the same class got each category. What "
    "follows shows the method. It is no result about women.\n:::",
}
MARK = "simulated tiles, drawn BI-RADS"  # shown where the set is simulated
assessed = assessments_of(store, CASE_FILES, SEED)
if assessed is None:
    run.save_results({"available": False})
    run.end("**This set has no BI-RADS categories.** The chapter ends here, without results.")
else:
    run.say(SOURCES[assessed.source])

# %%
parts = graded_parts(store.table, run.split(VALIDATION, ASIDE), assessed)
if empty := {"train", "validation", "held-out"} - set(parts):
    run.save_results({"available": False})
    run.end(f"**Too few tiles have a BI-RADS category** (none for: {', '.join(sorted(empty))}).")

# %%
lesions = assessed.grades.notna() & (parts != "")
label = store.table["label"][lesions].map(dict(enumerate(titles, 1)))
run.show_table(
    pd.crosstab([parts[lesions], label.rename("class")], assessed.grades[lesions]),
    "birads_counts",
    f"Tiles by split and class; the columns are BI-RADS categories ({assessed.source}).",
    thousands=",",
)

# %% tags=["hide-input"]
if assessed.source == DRAWN:
    run.show_table(
        conditional_table().set_axis(titles),
        "birads_drawn_from",
        "What the categories are drawn from: share of each among the lesion-views of a class in "
        "CBIS-DDSM, categories 0 and 1 left out.",
        tiles=False,
        precision=3,
    )

# %% [markdown]
# ## Ordered answers
#
# To answer 5 where the radiologist said 2 is worse than to answer 3. A softmax does not know that.
# Here the last layer states how likely it is that the category lies above 2, above 3, above 4:
#
# $$P(y > k) = \sigma(w \cdot V + b_k), \quad b_2 \ge b_3 \ge b_4$$
#
# with one weight vector $w$ for all three {cite:p}`cao2020`. The biases are built to be in order,
# so the differences, which are the probabilities of the categories, are never negative. The loss
# is the binary crossentropy of each of the three.
#
# ## A backbone that runs once
#
# The backbone is that of the trained scorer, and with `FROZEN = True` it stays as it is
# ({term}`frozen`). Each tile then gives the same features in every epoch, so they are computed once
# and kept on disk, under a name made from the weights and the tiles. Only attention and the last
# layer learn: attention starts from the scorer's, the last layer is new. Tiles are not turned, and
# what the backbone learned about C2 to C5 is all it can offer. `FROZEN = False` trains the whole
# network from there, with turned tiles, at the full price of each epoch.

# %%
scorer = read_model(run.model_file("scorer"))
backbone, head = split_at_features(scorer)
rows = np.flatnonzero(parts != "")
shown = ImageRows(tiles, rows)
if FROZEN:
    shown = backbone_features(backbone, shown, run.path / "features", PRECISION)
    run.say(f"{len(rows):,} tiles gave features of {' x '.join(map(str, shown.shape[1:]))} each.")
part, grade = parts.to_numpy()[rows], (assessed.grades[rows] - GRADED[0]).to_numpy(int)


# %%
def batches(name, **options):
    chosen = np.flatnonzero(part == name)
    images, targets = ImageRows(shown, chosen), grade[chosen]
    if FROZEN:
        return FeatureBatches(images, targets, BATCH_SIZE, **options)
    turn = {"turn": True} if options else {}
    return TileBatches(images, targets, scorer.input_shape[1:], BATCH_SIZE, **options, **turn)


trained = train(
    lambda: ordinal_scorer(head if FROZEN else scorer),
    batches("train", seed=SEED, balance=BALANCE),
    batches("validation"),
    Recipe("grade", EPOCHS, LEARNING_RATE, PATIENCE, SEED),
    run.models / "birads_trained.keras",
)
network = join_at_features(backbone, trained.model) if FROZEN else trained.model
save_model(network, run.models / "birads.keras")

# %% tags=["hide-input"]
run.show_figure(
    figures.epochs_panels(trained.history, "BI-RADS 2 to 5, means over the categories"),
    "birads_epochs",
    "Precision, sensitivity and specificity over epochs, means over BI-RADS 2 to 5.",
    "Three panels over epochs, each with a training and a validation line.",
)

# %% [markdown]
# ## On tiles it did not see
#
# Each row of predictions keeps the four probabilities, the category, and beside them what the
# scorer of [](attention.ipynb) said of the same tile. All that follows is computed from these rows.

# %%
judged = rows[part == "held-out"]
official = (store.table["origin"].iloc[judged] != "training").all()
names = store.table["tile"].iloc[judged]
judges = "held-out tiles" if official else "tiles of the validation part"
if official:
    stored = run.read_predictions("scorer").set_index("tile")
    classes = stored.loc[names, list(LESION_CODES)].to_numpy()
else:
    classes = apply_network(scorer, tiles[judged])

# %%
cumulative = trained.model.predict(batches("held-out").dataset(), verbose=0)
answers = pd.DataFrame(category_probabilities(cumulative), columns=list(metrics.GRADE_SCORES))
answers[list(LESION_CODES)] = classes
predictions = run.save_predictions(
    "real_birads",
    store.table.iloc[judged],
    answers.assign(assessment=grade[part == "held-out"] + GRADED[0]),
    stage="birads",
    split="held-out" if official else "validation",
    protocol="official" if official else "tenth by group",
    model=weights_digest(network),
    threshold=np.nan,
)
scores = metrics.evaluate(predictions, "birads")
intervals = metrics.intervals_in_words(scores)

# %% tags=["hide-input"]
if not official:
    run.say(
        "No held-out tile has a category, so the scorer's validation part judges. It chose the "
        "scorer's best epoch, so the figures are a little too high; no group of it taught or "
        "steered here."
    )

# %% tags=["hide-input"]
run.show_figure(
    figures.confusion_single(
        scores["confusion_matrix"], scores["classes"], f"This study, {judges}"
    ),
    "birads_matrix",
    f"BI-RADS category ({assessed.source}) against the predicted one, {judges}.",
    "Heat map of four by four cells, BI-RADS 2 to 5, actual against predicted.",
    mark=MARK,
)

# %% [markdown]
# ## How far they agree
#
# Kappa takes out the agreement that two readers with the same habits would have by chance. Linear
# weights count a mistake by its distance, quadratic ones by the square of it. The network's answer
# is the category at which its probabilities, added up from 2 on, reach a half; the rule is that of
# {cite:t}`cao2020`. This is the median: its mistakes are the smallest on average, but it may lie
# between two categories that are more likely. Other answers stand beside it:
#
# * the network's most probable category;
# * the class scorer's class, read as the paper reads it: C2 as category 2, to C5 as category 5;
# * the best constant answer;
# * the best answer of a reader who knows the true class of each tile and nothing else, found by
#   trying all, for each measure its own.

# %%
actual, group = metrics.actual_class(predictions, "birads"), predictions["group"]
commonest = np.bincount(actual).argmax()
constant = f"always {commonest + GRADED[0]}"
said = {
    "this network": metrics.predicted_class(predictions, "birads"),
    "its most probable category": predictions[list(metrics.GRADE_SCORES)].to_numpy().argmax(axis=1),
    "class scorer, C2 to C5 read as 2 to 5": metrics.predicted_class(predictions, "scorer"),
    constant: np.full_like(actual, commonest),
}
beside = {name: metrics.agreement(actual, given, group) for name, given in said.items()}
by_class = metrics.confusion_matrix(predictions["label"] - 1, actual, len(GRADED))
bound = best_answers(by_class, GRADED)

# %%
table = pd.DataFrame({k: {m: metrics.in_words(f) for m, f in v.items()} for k, v in beside.items()})
table["best by true class"] = {name: metrics.in_words(found) for name, found in bound.items()}
run.show_table(
    table.rename(index=lambda name: name.replace("_", " ")),
    "birads_agreement",
    f"Agreement with the BI-RADS category ({assessed.source}) on {judges}, with {intervals}.",
)

# %%
quadratic = beside["this network"]["quadratic_kappa"]
run.say(
    f"Accuracy **{metrics.in_words(beside['this network']['accuracy'])}**, quadratic-weighted "
    f"kappa **{metrics.in_words(quadratic)}** on {scores['tiles']:,} tiles of {scores['groups']:,} "
    "groups."
)

# %% tags=["hide-input"]
if assessed.source == DRAWN:
    run.say(
        "The categories were drawn from the class alone, so no picture tells more of them than the "
        "class does. The best answer by class is therefore a **ceiling**: accuracy "
        f"{metrics.in_words(bound['accuracy'])}, quadratic-weighted kappa "
        f"{metrics.in_words(bound['quadratic_kappa'])} on these tiles, chosen on them. A network "
        f"can pass it by luck only. The best constant answer, **{constant}**, has accuracy "
        f"{metrics.in_words(beside[constant]['accuracy'])} without looking at any picture; a "
        "network that stays below it has shown nothing."
    )

# %% [markdown]
# ## Is a stated probability what the category promises?
#
# The ACR's atlas gives each category a range for the likelihood of cancer {cite:p}`acr2013`:
# essentially 0 % for 2, up to 2 % for 3, over 2 % and under 95 % for 4, and 95 % or more for 5.
# Below, tiles stand by the category that the network gave them, with the share that is malignant,
# and the mean probability of malignancy that the class scorer stated for the same tiles, P(C4) +
# P(C5).
#
# The ranges are for women in practice, where few lesions are cancer. A data set collects cancers,
# and a share observed in it follows what was collected. Where only benign or only malignant tiles
# got a category, the interval is the exact one for its groups.

# %%
malignancy = metrics.malignancy_by_grade(predictions)
run.show_figure(
    malignancy_by_grade(malignancy),
    "birads_malignancy",
    "Malignant tiles among those given each BI-RADS category, observed and as the class scorer "
    f"states it, over the ranges of the ACR; {judges}, {intervals}. A mark without "
    "whiskers has too few groups for one.",
    "For each predicted category from two to five a shaded range, a round mark for the share "
    "observed and a diamond for the mean probability stated, with whiskers.",
    mark=MARK,
)

# %%
columns = {
    "tiles": "tiles",
    "groups": "groups",
    "rate": "malignant, observed",
    "stated": "probability stated, mean",
    "acr": "stated by the ACR",
}
rates = pd.DataFrame(malignancy).T.rename_axis("predicted BI-RADS")
rates = rates.assign(
    rate=rates["rate"].map(metrics.in_words), stated=rates["stated"].map(metrics.in_words)
)
run.show_table(
    rates[list(columns)].rename(columns=columns),
    "birads_malignancy_rates",
    "The same as a table; shares are 0 to 1, the ACR's ranges in percent.",
    thousands=",",
)

# %%
run.save_results(
    {
        "available": True,
        "source": assessed.source,
        "birads": scores,
        "beside": beside,
        "bound_by_class": bound,
        "malignancy": malignancy,
        "frozen": FROZEN,
        "epochs": len(trained.history),
        "model": weights_digest(network),
    }
)

# %% [markdown]
# ## Summary
#
# * Ordered categories call for an ordered answer, and for a measure that counts how far off it is.
# * A frozen backbone is run once; after that an epoch costs seconds.
# * With drawn categories the best result that can be reached is known. Real ones may hold more than
#   the class.
# * A range that holds in practice need not hold where cancers were collected.

# %% [markdown]
# ## Check yourself
#
# **Why does one weight vector $w$ serve all three thresholds?**
#
# :::{dropdown} Answer
# So that the three curves differ only by a shift and never cross. With biases in order, "above 4"
# is never more likely than "above 3", and no category gets a negative probability. With three
# vectors that would not be certain for every tile.
# :::
#
# **For drawn categories the best answer by class is a ceiling. Why can no better network pass
# it?**
#
# :::{dropdown} Answer
# The category was drawn from the class alone, so the picture knows no more of it than the class
# does. Whatever else a network sees in it has nothing to do with the draw. It can pass the
# ceiling only by luck, on few tiles.
# :::
#
# **The answer is the median under four probabilities. How can it be a category that is not the most
# likely?**
#
# :::{dropdown} Answer
# If 2 and 5 are both likely, the probabilities may pass one half at 3 or 4, though neither is
# likely itself. Such an answer is never far off, and rarely exact. Which is better depends on
# what a large mistake costs.
# :::

# %% [markdown]
# ## Exercises
#
# Where the code goes: [how to try things](data_merging.ipynb#how-to-try-things).
#
# **1.** Recompute quadratic-weighted kappa from `predictions/real_birads.parquet` with
# `sklearn.metrics.cohen_kappa_score`.
#
# :::{dropdown} Solution
# ```python
# from sklearn.metrics import cohen_kappa_score
#
# rows = pd.read_parquet(run.predictions / "real_birads.parquet")
# chance = rows[list(metrics.GRADE_SCORES)].to_numpy()
# above = 1 - chance.cumsum(axis=1)[:, :-1]  # that the category lies above 2, 3, 4
# answer = GRADED[0] + (above > 0.5).sum(axis=1)
# cohen_kappa_score(rows["assessment"], answer, labels=GRADED, weights="quadratic")
# ```
#
# It is the figure of the table. Do not leave out `labels`: scikit-learn weights by the place in
# the list of labels, and a category that nobody gave would bring its neighbours together.
# :::
#
# **2.** Round the mean category under the four probabilities instead of taking the median. Which
# measure gains, which loses?
#
# :::{dropdown} Solution
# ```python
# mean = predictions[list(metrics.GRADE_SCORES)].to_numpy() @ np.array(GRADED)
# rounded = np.rint(mean).astype(int) - GRADED[0]
# for name, given in {"median": said["this network"], "mean": rounded}.items():
#     found = metrics.agreement(actual, given, group)
#     print(name, {measure: metrics.in_words(figure) for measure, figure in found.items()})
# ```
#
# The mean is the answer with the smallest expected *squared* distance, the median that with the
# smallest distance, and the most probable category is most often exactly right. So expect the
# quadratic weights to favour the mean, and plain accuracy to suffer: the mean answers 3 and 4 where
# the others risk a 2 or a 5. The table says whether it is so here, and the intervals whether it is
# more than luck.
# :::
#
# **3.** What share of malignant tiles would a set need for a perfect class scorer to keep
# category 3 within its range, if categories were drawn as here?
#
# :::{dropdown} Solution
# A perfect scorer states 0 or 1, so the mean it states among tiles of category 3 is the share
# that is malignant. With a share $m$ of malignant tiles, and $q_b$ and $q_m$ the shares of benign
# and of malignant tiles that are given a 3, that has to be
#
# $$
# \frac{m\,q_m}{m\,q_m + (1 - m)\,q_b} \le 0.02, \qquad\text{so}\qquad
# \frac{m}{1 - m} \le \frac{0.02}{0.98} \cdot \frac{q_b}{q_m}
# $$
#
# ```python
# q = conditional_table()[3]  # of C2 to C5
# tiles = store.table["label"].value_counts().loc[[1, 2, 3, 4]]
# benign, malignant = (np.average(q.iloc[k : k + 2], weights=tiles.iloc[k : k + 2]) for k in (0, 2))
# odds = 0.02 / 0.98 * benign / malignant
# odds / (1 + odds)
# ```
#
# With the classes in the proportions of the Kaggle set's training files it comes to about one
# malignant tile in seventeen. In those files nearly every second lesion tile is malignant. A
# range of practice cannot be kept in a set that collects cancers, by the best of scorers.
# :::
