# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # External validation: another scanner, other women
#
# **You will learn** what becomes of a trained cascade on tiles of another source, how to see that
# the source differs before anyone is misread, and how much a recalibration on a few women of that
# source recovers.
#
# **You need** [](cascade.ipynb). **Time**: under a minute on a laptop.
#
# A held-out set comes from the same scanners and the same preparation as the training set. A
# hospital's films do not. Here the cascade, as trained, reads a set that it never saw: the folder
# given as `make book EXTERNAL=/path`, or else tiles simulated on a scanner that is none of the
# training three. That scanner is brighter, flatter, noisier and a little out of focus, and its
# tiles show other women. Its infected tiles take the same road to grey levels as its normal ones,
# so a {term}`shortcut` that grey levels offer in training is of no use on it. The scanner is made
# up: what it does to a network shows what *can* happen, not how much any real scanner does.

# %% tags=["parameters"]
RUN = "_build/run/paper"  # where this run writes
EXTERNAL = ""  # folder of external tiles; "" to simulate them
SCALE = 0.01  # of the simulated external set, as a share of the Kaggle set's size
POSITIVES = 0.3  # its share of infected tiles
EXTERNAL_SEED = 1000  # its women
SEED = 0
SAMPLE = 150  # tiles of each kind whose grey levels and spectra are compared
WOMEN = [2, 5, 10, 20]  # of the external set, to recalibrate on
DRAWS = 50  # how often as many women are drawn

# %% tags=["hide-input"]
import numpy as np
import pandas as pd

from birads_lib import Cascade, metrics
from birads_lib.recalibration import OUTCOMES, possible_sizes, recalibrate, spread
from birads_lib.study import figures
from birads_lib.study.external import draw_tiles, external_store, simulated_mark
from birads_lib.study.figures_external import recalibration_panels
from birads_lib.study.run import Run
from birads_lib.tiles.shift import grey_distance
from birads_lib.tiles.spectrum import power_law_exponents, radial_spectrum

figures.use_style()
run = Run(RUN, "external_validation", SEED)
store = run.store

# %% [markdown]
# ## The external tiles

# %%
external = external_store(run.path, EXTERNAL, SCALE, POSITIVES, EXTERNAL_SEED)
mark = simulated_mark(store.simulated, external.simulated)
marked = {"mark": mark, "simulated": mark is not None}
run.say(
    f"{len(external):,} {'simulated' if external.simulated else 'real'} tiles of "
    f"{external.table['group'].nunique()} women (or other groups, where women are not known), "
    f"{(external.table['label'] > 0).sum()} tiles infected; data {external.digest[:8]}. The "
    f"cascade was trained on {'simulated' if store.simulated else 'real'} tiles."
)

# %%
cascade = Cascade.load(run.cascade_folder)
predictions = run.save_predictions(
    "external",
    external.table,
    cascade.predict(external.images),
    stage="cascade",
    split="external",
    protocol="external",
    model=cascade.digest,
    threshold=cascade.threshold,
)

# %% [markdown]
# ## Internal beside external
#
# The same cascade at the same threshold, on the held-out tiles of its own source and on the
# external ones.

# %%
judges = {
    "internal held-out": run.read_predictions("cascade"),
    "external": predictions,
}
gate = {name: metrics.evaluate(table, "gate") for name, table in judges.items()}
whole = {name: metrics.evaluate(table, "cascade", absent=True) for name, table in judges.items()}


def headline(name):
    infected, overall = gate[name]["per_class"]["infected"], gate[name]["overall"]
    return {
        "gate, sensitivity": infected["sensitivity"],
        "gate, specificity": infected["specificity"],
        "gate, AUROC": overall["auroc"],
        "five classes, balanced accuracy": whole[name]["overall"]["balanced_accuracy"],
        "gate, precision": infected["precision"],
        "gate, expected calibration error": overall["expected_calibration_error"],
    }


figures_of = {name: headline(name) for name in judges}
intervals = " or ".join(sorted(set(map(metrics.intervals_in_words, gate.values()))))

# %% tags=["hide-input"]
run.show_table(
    pd.DataFrame(figures_of).map(metrics.in_words),
    "external_figures",
    "One cascade, one threshold: figures of merit on the internal held-out tiles and on the "
    f"external ones, with {intervals}.",
    **marked,
)

# %% tags=["hide-input"]
SHOWN = list(figures_of["external"])[:4]
run.show_figure(
    figures.protocol_points(
        {
            title.replace(", ", ",\n"): {name: found[title] for name, found in figures_of.items()}
            for title in SHOWN
            if all(found[title] for found in figures_of.values())
        }
    ),
    "external_points",
    "Sensitivity, specificity and AUROC of the gate, and balanced accuracy of the whole cascade, "
    f"on internal and external tiles, with {intervals}.",
    "Panels of two points with error bars each, internal held-out above external.",
    **marked,
)

# %% [markdown]
# Sensitivity, specificity and AUROC look at infected and at uninfected tiles separately, so another
# share of infected tiles moves them only by chance. Precision depends on that share by definition,
# and so does every statement of the form "of those called infected". To compare precision, the
# share must be the same.

# %% tags=["hide-input"]
share = {name: (table["label"] > 0).mean() for name, table in judges.items()}
at_same_share = metrics.precision_at(
    share["internal held-out"],
    *(figures_of["external"][f"gate, {key}"] for key in ("sensitivity", "specificity")),
)
run.say(
    f"Infected are {100 * share['internal held-out']:.0f} % of the internal and "
    f"{100 * share['external']:.0f} % of the external tiles. Precision is "
    f"{metrics.in_words(figures_of['internal held-out']['gate, precision'])} and "
    f"{metrics.in_words(figures_of['external']['gate, precision'])}; at the internal share, the "
    f"external sensitivity and specificity would give **{metrics.in_words(at_same_share)}**."
)

# %% [markdown]
# ## How the source differs
#
# None of this needs a network, only tiles. Uninfected tiles are set beside uninfected ones and
# infected beside infected ones, so that another share of lesions is not taken for another scanner.
# The held-out tiles show how much two sets of one source differ.

# %%
training = (store.table["origin"] == "training").to_numpy()
PARTS = {
    "training": store.subset(training),
    "held-out": store.subset(~training),
    "external": external,
}
samples = {
    kind: {
        part: draw_tiles(tiles, kind == "infected", SAMPLE, SEED) for part, tiles in PARTS.items()
    }
    for kind in ("uninfected", "infected")
}
normal = {part: np.asarray(tiles.images) for part, tiles in samples["uninfected"].items()}
counts = [
    {"groups": tiles.table["group"].nunique(), "tiles": len(tiles)} for tiles in PARTS.values()
]
drawn_by = " or ".join(sorted(set(map(metrics.intervals_in_words, counts))))

# %% tags=["hide-input"]
run.show_figure(
    figures.grey_histograms(normal),
    "external_grey_levels",
    "Grey levels of uninfected tiles, by source.",
    "Three curves of the share of pixels over grey levels: training, held-out and external tiles.",
    **marked,
)

# %% tags=["hide-input"]
run.show_figure(
    figures.spectra({part: radial_spectrum(images) for part, images in normal.items()}),
    "external_spectra",
    "Radial power spectra of uninfected tiles, by source: median and middle half of the tiles. "
    "Blur lowers the fine end, noise lifts it.",
    "Three curves of power over cycles a tile on log axes: training, held-out and external tiles.",
    **marked,
)


# %%
def measured(tiles, reference):
    images, groups = np.asarray(tiles.images), tiles.table["group"]
    beta = power_law_exponents(images)
    known = np.isfinite(beta)  # a tile without texture has no exponent
    return {
        "mean grey level": metrics.mean_with_interval(images.mean(axis=(1, 2)), groups),
        "exponent of the spectrum": metrics.mean_with_interval(beta[known], groups[known]),
        "distance": grey_distance(images, np.asarray(reference.images)),
    }


shift = {
    f"{part}, {kind}": measured(tiles, drawn["training"])
    for kind, drawn in samples.items()
    for part, tiles in drawn.items()
}

# %% tags=["hide-input"]
run.show_table(
    pd.DataFrame(
        {
            name: {
                "mean grey level": metrics.in_words(found["mean grey level"], ".0f"),
                "exponent of the spectrum": metrics.in_words(
                    found["exponent of the spectrum"], ".2f"
                ),
                "Wasserstein distance to training, grey levels": f"{found['distance']:.1f}",
            }
            for name, found in shift.items()
        }
    ).T,
    "external_shift",
    f"How the sources differ, at most {SAMPLE} tiles of each, with {drawn_by}.",
    **marked,
)

# %% [markdown]
# ## What a few women recover
#
# Two remedies leave the weights alone. **A new threshold**: the one of highest balanced accuracy
# on some women of the external set, whose findings are known. **{term}`Platt scaling`**
# {cite:p}`platt1999`: a logistic regression of infected or not on the logit of the gate's
# probability; the threshold stays as it was. Both are fitted on a few women and judged on all the
# others; nobody is on both sides. What a few women teach depends on who they are, so they are drawn
# many times.
#
# Few women may all be of one kind. A draw that leaves either side without infected or without
# uninfected tiles teaches or judges nothing and is drawn again, so the results hold for a clinic
# that makes sure to take both. A number of women that would leave less than half of them to judge
# by is left out.
#
# Neither remedy changes how the gate ranks tiles, so AUROC stays (unless the fitted slope turns
# out negative). Platt scaling learns the share of infected tiles too: where few are infected, the
# same threshold then calls fewer.

# %%
sizes = possible_sizes(predictions["group"], WOMEN)
outcomes = recalibrate(
    predictions["gate"].to_numpy(),
    (predictions["label"] > 0).to_numpy(),
    predictions["group"].to_numpy(),
    sizes,
    cascade.threshold,
    DRAWS,
    SEED,
)
reached = spread(outcomes)

# %% tags=["hide-input"]
run.show_figure(
    recalibration_panels(reached),
    "recalibration",
    f"The gate on external women not fitted on: median and middle 90 % over {DRAWS} draws. As "
    "trained, with a new threshold, and after Platt scaling. A new threshold leaves the "
    "calibration error as it is.",
    "Four panels over the number of women fitted on: sensitivity, specificity, balanced accuracy "
    "and calibration error, each with three lines of points with bars.",
    **marked,
)


# %% tags=["hide-input"]
def spelled(case):
    return {
        outcome.replace("_", " "): "{middle:.2f} ({low:.2f} to {high:.2f})".format(**case[outcome])
        for outcome in OUTCOMES
    }


table = pd.DataFrame.from_dict({case: spelled(row) for case, row in reached.iterrows()}, "index")
run.show_table(
    table.rename_axis(["women", "method"]),
    "recalibration_table",
    f"Recalibration on a few external women, judged on the others: median (5 to 95 % of {DRAWS} "
    "draws). This is the spread over who is drawn, no confidence interval.",
    **marked,
)

# %% tags=["hide-input"]
middle = reached.loc[max(sizes)].xs("middle", axis=1, level=1)
best, error = middle["balanced_accuracy"], middle["calibration_error"]
tiles = outcomes[outcomes["women"] == max(sizes)]["fitted_tiles"].median()
found = middle["sensitivity"]
spread_of_error = spelled(reached.loc[(max(sizes), "Platt scaling")])["calibration error"]
run.say(
    f"With {max(sizes)} women ({tiles:.0f} tiles in the middle draw), balanced accuracy is "
    f"{best['as trained']:.2f} as trained, **{best['new threshold']:.2f}** with a new threshold "
    f"and **{best['Platt scaling']:.2f}** after Platt scaling; sensitivity is "
    f"{found['as trained']:.2f}, {found['new threshold']:.2f} and {found['Platt scaling']:.2f}. "
    f"Platt scaling brings the calibration error from {error['as trained']:.2f} to "
    f"**{spread_of_error}**. All are medians over draws, in brackets the middle 90 %. "
    "Neither changes the ranking: AUROC stays at "
    f"{metrics.in_words(figures_of['external']['gate, AUROC'])}, beside "
    f"{metrics.in_words(figures_of['internal held-out']['gate, AUROC'])} on internal tiles."
)

# %%
run.save_results(
    {
        "simulated": {"training": store.simulated, "external": external.simulated},
        "external": {"digest": external.digest, "tiles": len(external), "infected": share},
        "figures": figures_of,
        "shift": shift,
        "recalibration": [
            {"women": int(women), "method": method, **{k: dict(row[k]) for k in OUTCOMES}}
            for (women, method), row in reached.iterrows()
        ],
    }
)

# %% [markdown]
# ## Summary
#
# * What was measured on a held-out set of one's own source need not hold for another; a set of
#   that source has to tell.
# * That the source differs can be seen in its tiles before the network is believed.
# * Recalibration on a few women changes threshold and calibration; how well depends on which women
#   they are, and the spread over draws shows by how much. What does not rank well needs training,
#   not recalibration.

# %% [markdown]
# ## Check yourself
#
# **An external set has the same kinds of tiles, and only a smaller share of infected ones. Which
# figures of the gate must change?**
#
# :::{dropdown} Answer
# Precision, and what else mixes infected and uninfected tiles, such as accuracy and the
# calibration error. Sensitivity looks at infected tiles alone, specificity at the others, AUROC
# at pairs of one each: they change by chance only.
# :::
#
# **Why can neither remedy raise the AUROC?**
#
# :::{dropdown} Answer
# A new threshold moves no probability. Platt scaling moves them all by one rising curve, so the
# order of the tiles stays. AUROC depends on the order alone. (Only a fitted slope below 0 would
# turn it round.)
# :::
#
# **Someone recalibrates on five women and reports the result on the same five. What is wrong?**
#
# :::{dropdown} Answer
# A threshold that was chosen to be best for these women is best for these women. Others have to
# judge. And five others would have given another threshold; how different is what the spread over
# draws shows.
# :::

# %% [markdown]
# ## Exercises
#
# Where the code goes: [how to try things](data_merging.ipynb#how-to-try-things). Both need
# simulated external tiles.
#
# **1.** Set `POSITIVES` to 0.1. Which figures in the first table move, and which do not?
#
# :::{dropdown} Solution
# Set it in a copy of the run and run the chapter again; the column of internal tiles stays as it
# is. Precision falls by its nature, and the calibration error moves, because both mix the two
# kinds of tiles. Sensitivity, specificity, AUROC and balanced accuracy move by chance: the set is
# drawn anew, with fewer infected tiles, so their intervals grow wider.
#
# The sentence below the first figure takes chance out of the comparison: it keeps the external
# sensitivity and specificity as they are, and changes the share alone.
# :::
#
# **2.** Give the scanner outside the focus and noise of the three (`FOCUS_BLUR`, `QUANTUM_NOISE`,
# `GRAIN_NOISE`). How much of any loss was due to grey levels alone?
#
# :::{dropdown} Solution
# The same women on the same film, in focus and less noisy:
#
# ```python
# from birads_lib.tiles.phantom import tissue
#
# tissue.FOCUS_BLUR[tissue.OUTSIDE] = 0.0
# for noise in (tissue.QUANTUM_NOISE, tissue.GRAIN_NOISE):
#     noise[tissue.OUTSIDE] = float(np.mean([noise[name] for name in tissue.SCANNERS]))
# greys = external_store(run.path / "greys", "", SCALE, POSITIVES, EXTERNAL_SEED, processes=1)
# seen = run.save_predictions(
#     "external_greys",
#     greys.table,
#     cascade.predict(greys.images),
#     stage="cascade",
#     split="external",
#     protocol="external, grey levels alone",
#     model=cascade.digest,
#     threshold=cascade.threshold,
# )
# of_greys = metrics.evaluate(seen, "gate")["overall"]["auroc"]
# pair = ([table.assign(stage="gate")] for table in (seen, predictions))
# recovered = metrics.paired_difference(*pair, "auroc")
# metrics.in_words(of_greys), metrics.in_words(recovered, "+.3f")
# ```
#
# (`processes=1` matters: other processes would not know of the change.) The loss is
# `figures_of["internal held-out"]["gate, AUROC"]` less `figures_of["external"]["gate, AUROC"]`.
# What of it remains with `of_greys` mixes brightness, contrast and the bend of the film curve with
# what else is different: other women, and the greys that tell infected from normal in training.
# These two sets cannot divide it. `recovered` is what focus and noise had cost, on the same tiles;
# if its interval leaves out 0, it is more than chance.
# :::
