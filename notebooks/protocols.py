# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Protocols: one training, many scores
#
# **You will learn** how much a score depends on which tiles judge, how crops of one lesion carry
# memory from training into a test, and how far plain statistics of a tile get without looking at
# a lesion.
#
# **You need** [](cascade.ipynb). **Time**: about a minute on a laptop.
#
# The networks are those of the chapters before; nothing is trained anew. One training saw some of
# the training tiles. Three sets of tiles can judge it:
#
# * **the training tiles themselves**: the totals of the paper's Figures 5 and 7 are those of the
#   whole training set;
# * **a random tenth of the training records**, which it did not see, drawn whatever lesion they
#   show, as most public notebooks do;
# * **the merged held-out set**, with other patients' lesions.
#
# A fourth stands beside them: the validation part, a tenth in whole groups. It chose the best
# epoch, so it is a little too kind, but shares no lesion with training.

# %% tags=["parameters"]
RUN = "_build/run/paper"  # where this run writes
SEED = 0
THRESHOLD = 0.5
VALIDATION = 0.1  # share of the training tiles, by group, that steered
ASIDE = 0.1  # share of the other training records, at random, kept for this chapter

# %% tags=["hide-input"]
import numpy as np
import pandas as pd

from birads_lib import metrics
from birads_lib.cascade import apply_network
from birads_lib.labels import LESION_CODES
from birads_lib.networks import read_model, weights_digest
from birads_lib.study import figures
from birads_lib.study.run import Run
from birads_lib.tiles.leakage import (
    NEAR_BITS,
    expected_sibling_share,
    nearest_distances,
    perceptual_hashes,
    sibling_shares,
)
from birads_lib.tiles.shortcuts import PROBES, probe_features, probe_scores

figures.use_style()
run = Run(RUN, "protocols", SEED)
store = run.store
split = run.split(VALIDATION, ASIDE)
infected = (store.table["label"] > 0).to_numpy()
PARTS = {
    "train": "training tiles",
    "aside": "random tenth",
    "validation": "tenth by group",
    "held-out": "official",
}

# %% [markdown]
# ## One training, four judges
#
# A part can judge only if it shows every class; in a small set the validation part or the random
# tenth may not.

# %%
shown = store.table.groupby(split.to_numpy())["label"].nunique()
complete = [part for part in PARTS if shown.get(part, 0) == store.table["label"].nunique()]
if left_out := [PARTS[part] for part in PARTS if part not in complete]:
    run.say(
        f"Left out because a class has no tile there: {', '.join(left_out)}. What the figures and "
        "the text below say of them does not apply."
    )

# %%
gate, scorer = (read_model(run.models / f"{name}.keras") for name in ("gate", "scorer"))
denoised = run.denoised()
scores = pd.DataFrame({"gate": apply_network(gate, denoised)[:, 0]})
scores[list(LESION_CODES)] = np.nan
scores.loc[infected, list(LESION_CODES)] = apply_network(scorer, denoised.where(infected))


# %%
def judged_by(stage, model, part):
    if part == "held-out":
        return pd.read_parquet(run.predictions / f"{stage}.parquet")
    rows = (split == part).to_numpy() & (infected | (stage == "gate"))
    facts = {"stage": stage, "split": part, "protocol": PARTS[part], "threshold": THRESHOLD}
    name, model = f"protocols_{stage}_{part}", weights_digest(model)
    return run.save_predictions(name, store.table[rows], scores[rows], model=model, **facts)


def judge(stage, model):
    tables = {PARTS[part]: judged_by(stage, model, part) for part in complete}
    return {name: metrics.evaluate(table, stage)["overall"] for name, table in tables.items()}


gate_by, scorer_by = judge("gate", gate), judge("scorer", scorer)

# %% tags=["hide-input"]
table = pd.DataFrame(
    {
        "gate, AUROC": {name: metrics.in_words(f["auroc"]) for name, f in gate_by.items()},
        "gate, accuracy": {name: metrics.in_words(f["accuracy"]) for name, f in gate_by.items()},
        "scorer, balanced accuracy": {
            name: metrics.in_words(f["balanced_accuracy"]) for name, f in scorer_by.items()
        },
        "scorer, accuracy": {
            name: metrics.in_words(f["accuracy"]) for name, f in scorer_by.items()
        },
    }
)
run.show_table(
    table.rename_axis("judged by"),
    "protocols",
    "The same two networks, one training, judged by four sets of tiles; 95 % intervals by group.",
)

# %% tags=["hide-input"]
run.show_figure(
    figures.protocol_points(
        {
            "gate, AUROC": {name: f["auroc"] for name, f in gate_by.items()},
            "scorer, balanced accuracy": {
                name: f["balanced_accuracy"] for name, f in scorer_by.items()
            },
        }
    ),
    "protocols_points",
    "One training, four judges: figures of merit with 95 % intervals.",
    "Two panels of four points with error bars each: training tiles, random tenth, tenth by "
    "group, official held-out set.",
)

# %% [markdown]
# ## Who has a sibling in training?
#
# Three crops were cut from each lesion. If records are drawn blindly and a share $f$ is not used
# for training, a drawn crop has at least one of its two siblings in training with a chance of
# $1 - f^2$.

# %%
shares = {
    part: sibling_shares(store.table, split, part) for part in ("aside", "validation", "held-out")
}
expected = expected_sibling_share(store.table, split, "aside")
siblings = pd.DataFrame(
    {
        "lesion tiles with a sibling crop": {PARTS[p]: s["lesion"] for p, s in shares.items()},
        "tiles with one of the same group": {PARTS[p]: s["group"] for p, s in shares.items()},
    }
)
run.show_table(
    siblings,
    "siblings",
    "Share of judged tiles whose lesion or group stands in training too.",
    precision=3,
)

# %% tags=["hide-input"]
f = (split == "aside").sum() / split.isin(["aside", "train"]).sum()


def gap(by, figure):
    return by["random tenth"][figure]["value"] - by["official"][figure]["value"]


figures_of = {"gate, AUROC": (gate_by, "auroc")}
figures_of["scorer, balanced accuracy"] = (scorer_by, "balanced_accuracy")
memory = {name: gap(*of) for name, of in figures_of.items() if "aside" in complete}
run.say(
    f"With f = {f:.3f} the formula gives {1 - f**2:.3f} for three crops a lesion, and "
    f"{expected:.3f} for the crops that are here; measured: **{shares['aside']['lesion']:.3f}**."
)

# %% tags=["hide-input"]
if memory:
    run.say(
        "Between the random tenth and the official held-out set lie "
        + " and ".join(
            f"**{100 * points:+.1f} points** ({name})" for name, points in memory.items()
        )
        + ". Part of that is memory of lesions, part the different tiles; the intervals above say "
        "how well either is known."
    )

# %% [markdown]
# ## Duplicates
#
# Exact copies share their pixels. Near ones share a perceptual hash but for a few bits (package
# `imagehash`); lesion tiles are hashed in all eight flips and turns.

# %%
digests = store.table["digest"]
in_training = (split == "train").to_numpy()
lesion_training = perceptual_hashes(store.images[in_training & infected])
near = {
    part: nearest_distances(
        perceptual_hashes(store.images[(split == part).to_numpy() & infected], 8), lesion_training
    )
    for part in ("aside", "held-out")
}
exact = {part: digests[split == part].isin(set(digests[in_training])).sum() for part in near}
run.say(
    " ".join(
        f"{PARTS[part].capitalize()}: {exact[part]} exact copies of training tiles; "
        f"{100 * (distances <= NEAR_BITS).mean():.1f} % of its {len(distances)} lesion tiles lie "
        f"within {NEAR_BITS} bits of a training lesion tile."
        for part, distances in near.items()
    )
)

# %% [markdown]
# ## The shortcut probe
#
# Positives and normals of the data set took different roads from film to file. How far does a
# logistic regression get on a few plain numbers a tile, none of which looks at a lesion? In the
# simulated set a difference in grey levels between the two was put in on purpose, so the answer
# should not be chance there.

# %%
held_out = (split == "held-out").to_numpy()


def probe(name):
    chance = probe_scores(probe_features(store.images, name), infected, in_training)[held_out]
    facts = {"stage": "gate", "split": "held-out", "protocol": f"probe: {name}"}
    tiles, scores = store.table[held_out], pd.DataFrame({"gate": chance})
    facts |= {"model": "logistic regression", "threshold": THRESHOLD}
    return run.save_predictions(f"probe_{name.replace(' ', '_')}", tiles, scores, **facts)


probes = {name: probe(name) for name in PROBES}

# %% tags=["hide-input"]
official = pd.read_parquet(run.predictions / "gate.parquet")
judged = {name: metrics.evaluate(t, "gate")["overall"]["auroc"] for name, t in probes.items()}
compared = {name: metrics.mcnemar(official, t, "gate") for name, t in probes.items()}
run.show_table(
    pd.DataFrame(
        {
            "AUROC": {
                **{name: metrics.in_words(a) for name, a in judged.items()},
                "the gate": metrics.in_words(gate_by["official"]["auroc"]),
            },
            "only the gate right": {n: str(c["only_first"]) for n, c in compared.items()},
            "only the probe right": {n: str(c["only_second"]) for n, c in compared.items()},
            "McNemar p": {n: f"{c['p']:.2g}" for n, c in compared.items()},
        }
    ).fillna(""),
    "shortcuts",
    "Infected or not, from plain statistics of a tile, on the official held-out set.",
)

# %%
run.save_results(
    {
        "gate": gate_by,
        "scorer": scorer_by,
        "siblings": shares,
        "expected_siblings": expected,
        "memory": memory,
        "exact_copies": {part: int(n) for part, n in exact.items()},
        "near_copies": {part: float((d <= NEAR_BITS).mean()) for part, d in near.items()},
        "probes": judged,
    }
)

# %% [markdown]
# ## Summary
#
# * The same network has a different score for each set of tiles that may judge it.
# * A random split of this data set's records puts a sibling crop of nearly every judged lesion
#   into training.
# * Some of the gate's task can be done without looking at a lesion.
#
# ## Exercises
#
# 1. What would $1 - f^2$ be for a five-fold division? For leave-one-record-out?
# 2. Train the gate on tiles whose mean and deviation were made equal. What is left?
