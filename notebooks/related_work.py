# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Related work: the systems the paper cites, on the same tiles
#
# **You will learn** how the networks that the paper names compare on one set of tiles, what they
# cost, and which texture features a classic model uses.
#
# **You need** [](cascade.ipynb). **Time**: under a minute; `birads sweep` did the training, and
# does it only when asked.
#
# The paper's second section tells the accuracies of other systems, each on data of its own:
# ultrasound, histology, other mammograms, records of patients. Such figures cannot be set side by
# side. Its third section says that MobileNetV2 is better than SqueezeNet and ShuffleNet, and shows
# no comparison. Here, once the sweeps are run, all of them learn from the same tiles and answer for
# the same held-out ones.

# %% tags=["parameters"]
RUN = "_build/run/paper"  # where this run writes
SEED = 0
GATES = "results/sweep_gates.json"  # in the run's folder; a new one reruns this chapter
RELATED = "results/sweep_related.json"  # likewise
LEARNING = 1200  # infected tiles that the explained model learns from, at most
EXPLAINED = 300  # held-out infected tiles that it is explained by, at most

# %% tags=["hide-input"]
from birads_lib.labels import CODES
from birads_lib.study import (
    ablations,
    figures,
    figures_sweeps,
    figures_texture,
    latency,
    related,
)
from birads_lib.study.ablations import difference_table, differences
from birads_lib.study.run import Run

figures.use_style()
run = Run(RUN, "related_work", SEED)
profile = run.path.name.split("-")[0]
gates = related.read_sweep(run.path, related.GATES)
others = related.read_sweep(run.path, related.RELATED)
run.say(related.what_ran({related.GATES: gates, related.RELATED: others}, profile))
if gates is None and others is None:
    run.save_results({"available": False})
    run.end("Until then the sections below say how each comparison is made, and show no figures.")

# %% [markdown]
# ## Lightweight gates
#
# Five light networks, each with the head of this study's gate, learn from the denoised tiles
# whether a tile is infected: MobileNetV2 {cite:p}`sandler2018`, SqueezeNet {cite:p}`iandola2016`,
# ShuffleNetV2 {cite:p}`ma2018`, MobileNetV3 {cite:p}`howard2019` and EfficientNetB0
# {cite:p}`tan2019`. Weights and {term}`multiply-adds <multiply-add>` are counted from
# their layers at the size of the sweep, not at that of their papers. Milliseconds are measured
# here, on this machine: the same networks, exported for the engine that predicts by default, given
# one tile at a time. Their weights are random, which changes no operation and so no time.

# %%
if gates:
    networks = related.member_networks(run.path, related.GATES, gates)
    costs, times = related.network_costs(networks), latency.latencies(networks)
    answers = related.swept_predictions(run.path, related.GATES)
    run.show_table(
        related.gate_table(gates, answers, costs, times),
        "related_gates",
        "Infected or not, on all held-out tiles, at a threshold of one half, with 95 % intervals. "
        "That of AUROC draws groups and seeds, the other two groups alone. Milliseconds: "
        "median and quartiles.",
    )
    settings = ablations.settings_of(run.path, related.GATES, gates)
    run.say(f"{ablations.cut_short(settings)} {ablations.seen_at(settings)}")

# %% tags=["hide-input"]
if gates:
    run.show_figure(
        figures_sweeps.quality_against_cost(related.cost_points(gates, costs, times)),
        "related_gates_cost",
        "Quality of the light gates against their cost: AUROC on the held-out tiles with its 95 % "
        "interval, over multiply-adds and over milliseconds a tile, one tile at a time.",
        "Two panels with one point and a vertical error bar for each network, over logarithmic "
        "axes of multiply-adds and of milliseconds; a dotted line marks chance.",
    )

# %% [markdown]
# ## Is MobileNetV2 better than SqueezeNet and ShuffleNet?
#
# Intervals that overlap decide nothing, since the tiles are the same. What decides is the
# difference, taken tile by tile; see [](ablations.ipynb).

# %%
if gates:
    run.show_table(
        difference_table(differences(gates, "gate", "auroc")),
        "related_gates_points",
        "MobileNetV2 less each other gate: AUROC on the same held-out tiles, in hundredths, with "
        "95 % intervals.",
    )

# %% tags=["hide-input"]
gains, answer = (related.peer_gains(gates) if gates else None) or (None, None)
if gains is None:
    run.say("MobileNetV2, SqueezeNet and ShuffleNetV2 are not all there, so there is no answer.")
else:
    run.say(f"By AUROC: {related.ANSWERS[answer]}")

# %% [markdown]
# ## The systems, one a row
#
# Each learns C2 to C5 from the infected tiles, built as far as its description and a single tile
# allow. What a reference reports stands beside it, where the paper or the reference itself says it.
# It was measured on other pictures, often for another question, so it is given to be known and not
# to be compared. Numbers in brackets are those of the paper's references.
#
# Networks read denoised tiles, or those of [17] its own preprocessing. Classic models read tiles as
# they are; nothing steers them, so they also learn from the tiles that steer the networks.
#
# * **[16]** Two networks in a row, the first of which finds the region {cite:p}`huang2019`; ResNet
#   {cite:p}`he2016` and VGG {cite:p}`simonyan2015`.
# * **[17]** VGG16, frozen and then fine-tuned, on tiles without noise, with more contrast and with
#   the breast alone {cite:p}`saber2021`.
# * **[18]** GoogLeNet with momentum, a learning rate that falls in steps, and averaged weights
#   {cite:p}`szegedy2015`.
# * **[19]** EfficientNet-B7, the paper's own backbone, without attention {cite:p}`purnama2024`.
# * **[21]** GoogLeNet behind a spatial transformer, which shifts, turns and scales its input
#   {cite:p}`abdulaal2024,jaderberg2015`.
# * **[22]** The five kinds of model of {cite:t}`islam2024`, here on texture features; one is
#   XGBoost {cite:p}`chen2016`.
# * **Sections IV and VI, abstract.** The plain network of 8 to 128 filters, Hu moments
#   {cite:p}`hu1962`, and co-occurrence {cite:p}`haralick1973`, region of interest and clusters.

# %%
if others:
    networks = related.member_networks(run.path, related.RELATED, others)
    run.show_table(
        related.reference_table(others, related.network_costs(networks)),
        "related_systems",
        "C2 to C5 on the held-out infected tiles: balanced accuracy, mean over seeds with its 95 % "
        "interval. Chance is one in four. Weights at the size of the sweep.",
    )
    settings = ablations.settings_of(run.path, related.RELATED, others)
    told = (ablations.cut_short, ablations.started_from, ablations.seen_at, related.averaged_over)
    run.say(" ".join(tell(settings) for tell in told))

# %%
if others:
    run.show_table(
        difference_table(differences(others, "scorer", "balanced_accuracy")),
        "related_points",
        "The first less the second: balanced accuracy on the same held-out tiles, percentage "
        "points, with 95 % intervals.",
    )

# %% [markdown]
# ## Where does the spatial transformer look?
#
# Reference [21] lets a small network choose which part of a tile the large one sees: an affine map,
# from the places of what is seen to places in the tile. The sweep keeps that map for the first and
# the last held-out tile of each class.

# %%
affine = related.affine_maps(run.path, others) if others else {}
run.say(related.sampling_sentence(affine))

# %% tags=["hide-input"]
if affine:
    rows = run.store.rows_of(list(affine))
    run.show_figure(
        figures_sweeps.sampled_quadrilaterals(
            run.denoised()[rows],
            [CODES[label] for label in run.store.table["label"].iloc[rows]],
            list(affine.values()),
        ),
        "related_sampling",
        "What GoogLeNet's spatial transformer reads of held-out tiles, after denoising: the "
        "quadrilateral becomes the square that the network sees; its dot, the upper left corner.",
        "Grey tiles, two for each lesion class, each with the outline of a quadrilateral and a "
        "dot in one of its corners.",
    )

# %% [markdown]
# ## Which texture features count?
#
# Reference [22] explains its XGBoost by {term}`SHAP` {cite:p}`lundberg2017`: how far each feature
# moved each answer. Once a sweep was run, the same is done here for an XGBoost on texture features,
# fitted in this chapter to some of the training tiles and explained on held-out ones. A feature
# that moves an answer is one that the model uses. Whether it is right to use it is another
# question.

# %%
weights = related.texture_weights(
    run.store.images,
    run.store.table["label"].to_numpy(),
    (run.store.table["origin"] != "training").to_numpy(),
    LEARNING,
    EXPLAINED,
    SEED,
)
run.show_figure(
    figures_texture.heaviest_features(weights, "margin of XGBoost"),
    "related_shap",
    "The texture features that move the answers of an XGBoost most: mean absolute SHAP value over "
    "held-out infected tiles, added over C2 to C5.",
    "Horizontal stacked bars, a texture feature each, longest on top, coloured by lesion class.",
)

# %%
run.save_results(
    {
        "available": True,
        "sweeps": {
            name: {k: found[k] for k in ("complete", "failed", "missing", "date", "commit")}
            for name, found in ((related.GATES, gates), (related.RELATED, others))
            if found
        },
        "peer_gains": gains,
        "peer_answer": answer,
        "milliseconds": {name: vars(time) for name, time in times.items()} if gates else {},
        "balanced_accuracy": {
            name: member["scores"]["scorer"]["balanced_accuracy"]
            for name, member in (others["members"] if others else {}).items()
        },
        "heaviest_features": weights.index[: figures_texture.HEAVIEST].tolist(),
    }
)

# %% [markdown]
# ## Summary
#
# * Accuracies on different pictures say which pictures are easy, not which network is good.
# * "Better" is a difference on the same tiles, with its interval; "efficient" is a count.
# * A small network trained briefly shows what little training gives it, not what it could learn.

# %% [markdown]
# ## Check yourself
#
# **One reference reports an accuracy of 98.96 %, another 79.7 %. Which has the better network?**
#
# :::{dropdown} Answer
# No one can tell. They were measured on other pictures, with other classes, and divided in other
# ways. Easy pictures make good figures.
# :::
#
# **The intervals of two gates overlap. Are the gates equally good?**
#
# :::{dropdown} Answer
# That does not follow. Both answered for the same tiles, so most of their doubt is shared. The
# difference, taken tile by tile, has a narrower interval, and that one decides.
# :::
#
# **Suppose SHAP names the mean grey level as the heaviest feature. Is grey a sign of the lesion's
# class?**
#
# :::{dropdown} Answer
# SHAP then says that the model uses it, and no more. Grey levels may come from the scanner, from
# the breast, or from how tiles of a class were prepared. [](protocols.ipynb) shows how far such
# shortcuts carry.
# :::

# %% [markdown]
# ## Exercises
#
# Where the code goes: [how to try things](data_merging.ipynb#how-to-try-things).
#
# **1.** Train the gates with more seeds. Does the order in the figure stay?
#
# :::{dropdown} Solution
# ```bash
# .venv/bin/birads sweep gates --profile laptop --seeds 5
# make book
# ```
#
# Earlier trainings are kept. Do not judge by the points alone: two gates whose difference has an
# interval that holds 0 may change places with every new seed. The table of differences says so
# for MobileNetV2; for any other pair add a line under `compare` in `sweeps.yml`.
# :::
#
# **2.** Fit the forest on Hu moments and on co-occurrence together. Which of them does SHAP name?
#
# :::{dropdown} Solution
# ```python
# import numpy as np
#
# from birads_lib.texture import fit_classic, shap_summary, texture_features
#
# labels = run.store.table["label"].to_numpy()
# held_out = (run.store.table["origin"] != "training").to_numpy()
# draw = np.random.default_rng(SEED)
# learning, explained = (
#     np.sort(draw.permutation(np.flatnonzero((labels > 0) & part))[:most])
#     for part, most in ((~held_out, LEARNING), (held_out, EXPLAINED))
# )
# tiles = run.store.images[np.concatenate([learning, explained])]
# features = texture_features(tiles, ["glcm", "hu"])
# forest = fit_classic("random forest", features[: len(learning)], labels[learning], SEED)
# weight = shap_summary(forest, features[len(learning) :]).sum(axis=1)
# weight.groupby(weight.index.str.split("_").str[0]).agg(["size", "sum", "mean", "max"])
# ```
#
# Where the sweeps were not run, this chapter has ended above and does nothing more. Then run the
# code in the notebook of [](protocols.ipynb), with `LEARNING, EXPLAINED = 1200, 300` before it.
#
# `weight.head()` names the heaviest features. Read the sums of the two groups with care: there
# are 36 features of co-occurrence and 14 Hu moments, and features that say nearly the same share
# their weight among them. A fairer test leaves one group out and looks at what the forest loses;
# the sweep's member "random forest on Hu moments" is half of it.
# :::
