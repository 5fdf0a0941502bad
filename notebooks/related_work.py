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
# cost, and what a classic model on texture heeds.
#
# **You need** [](cascade.ipynb). **Time**: under a minute; `birads sweep` did the training, and
# does it only when asked.
#
# The paper's second section tells the accuracies of other systems, each on pictures of its own:
# ultrasound, histology, other mammograms. Such figures cannot be set side by side. Its third
# section says that MobileNetV2 is better than SqueezeNet and ShuffleNet and compares none. Here
# all of them learn from the same tiles and answer for the same held-out ones.

# %% tags=["parameters"]
RUN = "_build/run/paper"  # where this run writes
SEED = 0
GATES = "results/sweep_gates.json"  # in the run's folder; a new one reruns this chapter
RELATED = "results/sweep_related.json"  # likewise
LEARNING = 1200  # infected tiles that the explained model learns from, at most
EXPLAINED = 300  # held-out infected tiles that it is explained by, at most

# %% tags=["hide-input"]
from birads_lib.study import ablations, figures, figures_sweeps, figures_texture, related
from birads_lib.study.ablations import difference_table, differences
from birads_lib.study.run import Run

figures.use_style()
run = Run(RUN, "related_work", SEED)
profile = run.path.name.split("-")[0]
gates = ablations.read_results(run.path, related.GATES)
others = ablations.read_results(run.path, related.RELATED)
if not all(found and found["members"] for found in (gates, others)):
    run.save_results({"available": False})
    run.end(
        "**The sweeps of gates and of related work have not both been run with success, so there "
        f"is nothing to show.** `birads sweep gates related --profile {profile}` runs them (or "
        f"`make sweep PROFILE={profile}`); then `make book` shows their results here."
    )
else:
    run.say(
        f"Lightweight gates: {ablations.provenance(gates)}\n\n"
        f"Related work: {ablations.provenance(others)}"
    )

# %% [markdown]
# ## Lightweight gates
#
# Five light networks, each with the head of this study's gate, learn from the denoised tiles
# whether a tile is infected. Weights and multiply-adds are counted from their layers at the size of
# the sweep, not at that of their papers. The sweep records no latency, so none is stated; what a
# tile costs this run's own gate in time is in [](cost.ipynb).

# %%
costs = related.member_costs(run.path, related.GATES, gates)
run.show_table(
    related.gate_table(gates, related.swept_predictions(run.path, related.GATES), costs),
    "related_gates",
    "Infected or not, on all held-out tiles, at a threshold of one half, with 95 % intervals. That "
    "of AUROC draws patients and seeds, the other two patients alone.",
)
run.say(related.cut_short(related.settings_of(run.path, related.GATES, gates)))

# %% tags=["hide-input"]
run.show_figure(
    figures_sweeps.quality_against_cost(related.cost_points(gates, costs)),
    "related_gates_cost",
    "Quality of the light gates against their cost: AUROC on the held-out tiles with its 95 % "
    "interval, over multiply-adds a tile.",
    "One point with a vertical error bar for each network over a logarithmic axis of "
    "multiply-adds; a dotted line marks chance.",
)

# %% [markdown]
# ## Is MobileNetV2 better than SqueezeNet and ShuffleNet?
#
# Intervals that overlap decide nothing, since the tiles are the same. What decides is the
# difference, taken tile by tile; see [](ablations.ipynb).

# %%
run.show_table(
    difference_table(differences(gates, "gate", "auroc")),
    "related_gates_points",
    "MobileNetV2 less each other gate: AUROC on the same held-out tiles, in hundredths, with 95 % "
    "intervals.",
)

# %% tags=["hide-input"]
gains, answer = related.peer_gains(gates) or (None, None)
if gains is None:
    run.say("MobileNetV2, SqueezeNet and ShuffleNetV2 are not all there, so there is no answer.")
else:
    run.say(f"By AUROC: {related.ANSWERS[answer]}")

# %% [markdown]
# ## The systems, one a row
#
# Each learns C2 to C5 from the infected tiles, as far as its description goes and a tile allows.
# What a reference reports stands beside it where the paper or the reference is known to say so. It
# was measured on other pictures, often on another question: it is there to be known, not compared.
#
# * **[16]** Two networks in a row, the first of which finds the region; ResNet and VGG.
# * **[17]** VGG16, frozen and then fine-tuned, on tiles without noise, with more contrast and with
#   the breast alone.
# * **[18]** GoogLeNet with momentum, a learning rate that falls in steps, and averaged weights.
# * **[19]** EfficientNet-B7, the paper's own backbone, without attention.
# * **[21]** GoogLeNet behind a spatial transformer, which shifts, turns and scales its input.
# * **[22]** Five classic models on texture features.
# * **Sections IV and VI, abstract.** The plain network of 8 to 128 filters, Hu moments, and
#   co-occurrence, region of interest and clusters.

# %%
run.show_table(
    related.reference_table(others, related.member_costs(run.path, related.RELATED, others)),
    "related_systems",
    "C2 to C5 on the held-out infected tiles: balanced accuracy, mean over seeds with its 95 % "
    "interval. Chance is one in four. Weights at the size of the sweep.",
)
run.say(related.cut_short(related.settings_of(run.path, related.RELATED, others)))

# %%
run.show_table(
    difference_table(differences(others, "scorer", "balanced_accuracy")),
    "related_points",
    "The first less the second: balanced accuracy on the same held-out tiles, percentage points, "
    "with 95 % intervals.",
)

# %% [markdown]
# The sweep keeps answers and no networks, so the sampling grid of the spatial transformer, which
# says where it looked, is not drawn here. `SpatialTransformer.grid` gives it of a network at hand.
#
# ## What does texture weigh?
#
# Reference [22] explains its XGBoost by SHAP: how far each feature moved each answer. The same
# here, of an XGBoost on texture features, fitted in this chapter to some of the training tiles and
# explained on held-out ones. A feature that moves an answer is heeded; that it is right to heed it
# does not follow.

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
        },
        "peer_gains": gains,
        "peer_answer": answer,
        "balanced_accuracy": {
            name: member["scores"]["scorer"]["balanced_accuracy"]
            for name, member in others["members"].items()
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
#
# ## Exercises
#
# 1. Train the gates with more seeds. Does the order in the figure stay?
# 2. Fit the forest on Hu moments and on co-occurrence together. Which of them does SHAP name?
