# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Ablations: what each part is worth
#
# **You will learn** what attention, the autoencoder and the second stage add, and how a difference
# between two networks is measured when it depends on the tiles and on the luck of training.
#
# **You need** [](cascade.ipynb). **Time**: seconds; this chapter trains nothing. `birads sweep` did
# the training, and does it only when asked.
#
# The paper says that attention improves results by 1.5 to 2.5 percentage points and prints no
# result without it. It prints none without the autoencoder or with one stage either. An
# {term}`ablation` leaves one part out, or does it differently, and keeps everything else.

# %% tags=["parameters"]
SRC = "ddsm-mammography"  # folder the tiles came from
RUN = "_build/run/paper"  # where this run writes
SEED = 0
RESULTS = "results/sweep_ablations.json"  # in the run's folder; a new one reruns this chapter
TILES = 300  # held-out tiles with calcifications that are measured, drawn by seed

# %% tags=["hide-input"]
from birads_lib.study import ablations, contrasts, figures, figures_sweeps, paper
from birads_lib.study.ablations import by_sign, difference, differences
from birads_lib.study.run import Run

figures.use_style()
run = Run(RUN, "ablations", SEED)
profile = run.path.name.split("-")[0]

# %% [markdown]
# ## Contrast of calcifications
#
# Calcifications are fine bright specks, and the sign of C2 and C4. A network that removes fine
# bright specks as noise removes them as well. Where simulated ones lie is known. So their contrast
# to the tissue around them can be measured, and the ratio of that contrast to the tissue's own
# spread, the {term}`contrast-to-noise ratio`: on held-out tiles as they are, and after this run's
# autoencoder. This needs no other training.

# %%
truth = run.truth(SRC)
if truth is None:
    changes = None
    run.say("Where calcifications lie in real tiles is not known, so there is nothing to measure.")
else:
    measured = contrasts.held_out_contrasts(run, truth, TILES)
    changes = contrasts.contrast_changes(measured)
    run.show_table(
        contrasts.contrast_table(changes),
        "ablations_calcifications",
        f"Calcifications of {len(measured)} held-out lesions before and after denoising, means "
        "with 95 % intervals over the simulated patients.",
    )
    run.say(contrasts.contrast_sentence(changes))

# %% [markdown]
# Two things move that ratio. One is the contrast itself, which is what a reader or a network can
# see. The other is the spread around it, which falls where grain is smoothed: that alone raises the
# ratio, and shows nothing new.
#
# ## The sweep

# %% tags=["hide-input"]
found = ablations.read_results(run.path, "ablations")
if found is None:
    run.save_results({"available": False, "seed": SEED, "calcifications": changes})
    run.end(
        "**No sweep has been run: the sections below say how it compares, and show no "
        "figures.** `birads sweep ablations "
        f"--profile {profile}` runs it (or `make sweep PROFILE={profile}`); then `make book` "
        "shows its results here."
    )
else:
    run.say(ablations.provenance(found))

# %% [markdown]
# ## How the members are compared
#
# Two members answer for the same held-out tiles, so their difference is taken tile by tile (a
# {term}`paired difference`). Its 95 % interval comes from drawing {term}`groups <group>` of tiles
# again, the same ones for both members, and {term}`seeds <seed>` again, the same ones for both.
# With one seed the interval covers the doubt about the tiles and not that about the training; with
# five it covers some of both. A group is a patient, or the best that is known: where the set names
# no woman it is a single tile, and the interval is too narrow.
#
# Members named for their attention are heads trained anew on frozen features: those of this run's
# own scorer, whose backbone learned with both attentions in place. If that favours anything, it is
# attention. One member trains its whole network without attention, beside one with it.

# %%
run.show_table(
    ablations.member_table(found, "scorer"),
    "ablations_scorer",
    "C2 to C5 on the held-out infected tiles, means over seeds with 95 % intervals.",
    precision=1,
)
run.show_table(
    ablations.member_table(found, "cascade"),
    "ablations_cascade",
    "C1 to C5 on all held-out tiles, means over seeds with 95 % intervals.",
    precision=1,
)
settings = ablations.settings_of(run.path, "ablations", found)
told = (ablations.cut_short, ablations.started_from, ablations.seen_at)
run.say(" ".join(tell(settings) for tell in told))

# %% tags=["hide-input"]
STAGES = {
    "scorer": "C2 to C5, infected tiles",
    "gate": "infected or not, all tiles",
    "cascade": "C1 to C5, all tiles",
}
panels = {STAGES[s]: differences(found, s) for s in STAGES if differences(found, s)}
run.show_figure(
    figures_sweeps.paired_differences(
        panels,
        "difference in accuracy, percentage points",
        paper.ATTENTION_GAIN,
        "the paper's gain",
    ),
    "ablations_differences",
    "By how much the accuracy of one member exceeds that of another on the same held-out tiles, "
    "with 95 % intervals over groups and seeds. The band is the gain the paper states for "
    "attention.",
    "Points with horizontal error bars around a line at zero, a row for each pair of members, in "
    "a panel for each stage; a band marks the paper's range in the first panel.",
)

# %% [markdown]
# ## Does attention add 1.5 to 2.5 points?
#
# Accuracy with attention less accuracy without, on the same tiles. The first answer decides: there
# every layer learned with attention, or without. Frozen features were learned with both
# attentions, and may lean to them.

# %%
words = ("attention helps here", "attention harms here")
answers = ablations.attention_answers(found)
run.say(
    "\n".join(
        f"* {ablations.ATTENTION_PAIRS[pair]}: {ablations.ANSWERS[answer]} {by_sign(gain, *words)}"
        for pair, (gain, answer) in answers.items()
    )
    or "Scorers with and without attention are not both there, so there is no answer."
)

# %% tags=["hide-input"]
run.show_table(
    ablations.difference_table(differences(found, "scorer")),
    "ablations_scorer_points",
    "Differences in accuracy over C2 to C5, percentage points. The two readings of equation (2) "
    "are pooling over the channels and pooling over a window.",
)

# %% [markdown]
# ## What does the autoencoder do?
#
# The same gate and the same scorer, trained and judged on tiles that the autoencoder denoised, and
# on tiles as they are.

# %%
AUTOENCODER = ("denoised", "undenoised")
gate = difference(found, *AUTOENCODER, "gate", "auroc")
scorer = difference(found, *AUTOENCODER, "scorer", "balanced_accuracy")
cascade = difference(found, *AUTOENCODER, "cascade", "balanced_accuracy")
words = ("denoising helps", "denoising harms")
run.say(
    f"* Gate, AUROC: {by_sign(gate, *words)}\n"
    f"* Scorer, balanced accuracy: {by_sign(scorer, *words)}\n"
    f"* Cascade, balanced accuracy: {by_sign(cascade, *words)}"
)

# %% [markdown]
# ## Two stages, or one network?
#
# One network of five classes sees every tile once. Its probability of "infected" is 1 - P(C1), and
# it is judged by the cascade's own rule: from a probability of one half on, the most probable of
# C2 to C5.

# %%
stages = difference(found, "denoised", "five-classes", "cascade", "balanced_accuracy")
run.say(
    "Two stages less one network, balanced accuracy over five classes: "
    + by_sign(stages, "two stages are better", "one network is better")
)

# %% [markdown]
# ## Four classes, or type times pathology?
#
# C2 to C5 are a lesion's type and its pathology (see [](../book/birads_explained.md)). Two heads of
# one answer each, mass or calcification and malignant or benign, give the four classes as products.

# %%
halves = difference(found, "type-and-pathology", "both", "scorer", "balanced_accuracy")
run.say(
    "Two binary heads less one head of four classes, balanced accuracy: "
    + by_sign(halves, "two questions are better", "one question is better")
)

# %% [markdown]
# ## A larger EfficientNet?
#
# The paper takes the largest of eight. How many of them a profile trains depends on its time.

# %%
sizes = ablations.member_table(found, "scorer", "backbones")
if sizes.empty:
    run.say("This profile trains one size alone.")
else:
    caption = "EfficientNet by size, all layers trained, on the held-out infected tiles."
    run.show_table(sizes, "ablations_sizes", caption, precision=1)

# %%
run.save_results(
    {
        "available": True,
        "sweep": {k: found[k] for k in ("complete", "failed", "missing", "date", "commit")},
        "attention": {
            f"{first} - {second}": {"gain": gain, "answer": answer}
            for (first, second), (gain, answer) in answers.items()
        },
        "denoising": {"gate": gate, "scorer": scorer, "cascade": cascade},
        "two_stages": stages,
        "type_and_pathology": halves,
        "seed": SEED,
        "calcifications": changes,
    }
)

# %% [markdown]
# ## Summary
#
# * A gain without its interval, and without the run that lacks the part, is not a result.
# * Two trainings of one network with different seeds differ too; a gain has to be larger than that.
# * An interval that holds 0 says that these tiles cannot tell, not that there is no difference.

# %% [markdown]
# ## Check yourself
#
# **Why do both members of a pair answer for the same tiles, with the same groups drawn again for
# both?**
#
# :::{dropdown} Answer
# Some tiles are hard for every network. Drawn for both alike, they move both figures together and
# hardly touch the difference. Its interval is then much narrower than two single intervals
# suggest.
# :::
#
# **The interval of a gain holds 0. Does the part do nothing?**
#
# :::{dropdown} Answer
# It may. It may also do as much as either end of the interval says. These tiles and trainings
# cannot tell, which is a fact about them and not about the part.
# :::
#
# **Suppose that denoising lowers the contrast of calcifications and raises their contrast-to-noise
# ratio. Do they stand out more?**
#
# :::{dropdown} Answer
# The ratio then rises because the grain around them is gone, and not because anything was added
# to them. Whether a network sees them better has to be measured: compare it on tiles as they are
# and on denoised ones.
# :::

# %% [markdown]
# ## Exercises
#
# **1.** Run the sweep with more seeds. Which intervals narrow, and which are held open by the
# tiles?
#
# :::{dropdown} Solution
# ```bash
# cp _build/run/laptop/results/sweep_ablations.json before.json
# .venv/bin/birads sweep ablations --profile laptop --seeds 10
# ```
#
# What was trained before is kept; only the new seeds cost time. Then set both files side by side:
#
# ```python
# import json
#
# files = ("before.json", "_build/run/laptop/results/sweep_ablations.json")
# for before, after in zip(*(json.load(open(name))["differences"] for name in files)):
#     for found in (before, after):
#         print(found["first"], found["second"], len(found["seeds"]), found["accuracy"])
# ```
#
# Doubt about training falls with the number of seeds, doubt about the tiles does not: the
# groups are the same. An interval that narrows was held open by training, one that stays by the
# tiles. There is a third kind. For a pair that had *one* seed, the interval covered the doubt about
# tiles alone; with more seeds it covers some of both, and may grow wider. The wider interval is the
# more honest one.
# :::
#
# **2.** Add a member with a bottleneck in equation (6). What does its kind have to learn to
# accept?
#
# :::{dropdown} Solution
# The setting `reduction`. `attention_head` knows it already; the kind does not hand it on.
#
# ```diff
# --- birads_lib/study/kinds.py
# +++ birads_lib/study/kinds.py
# -    task: Task, *, effort: dict[str, Any], attention: str = "both", pool: str = "channels"
# +    task: Task,
# +    *,
# +    effort: dict[str, Any],
# +    attention: str = "both",
# +    pool: str = "channels",
# +    reduction: int | None = None,
# -    return head_answers(task, Effort.of(effort), attention=attention, pool=pool)
# +    options = {"attention": attention, "pool": pool, "reduction": reduction}
# +    return head_answers(task, Effort.of(effort), **options)
# ```
#
# And in `sweeps.yml` a member, and a pair under `compare`:
#
# ```yaml
#     both-bottleneck:
#       {title: "both, equation (6) with a bottleneck", reference: equation (6),
#        kind: attention, stage: scorer, group: heads, settings: {attention: both, reduction: 16}}
#   compare:
#     - [both-bottleneck, both]
# ```
#
# The function is what decides a member's result, so all members of this kind are trained anew:
# their digests have changed.
# :::
