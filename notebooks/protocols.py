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
# **You will learn** how much a score depends on which tiles judge, how often a judged crop has
# another crop of its lesion in training, and how far plain statistics of a tile get without knowing
# where a lesion is.
#
# **You need** [](cascade.ipynb). **Time**: about a minute on a laptop.
#
# The networks are those of the chapters before; nothing is trained anew. They were trained once,
# on part of the training tiles. Four sets of tiles judge them:
#
# * **the training tiles themselves**: the paper's Figure 5 sums to as many tiles as the training
#   files hold, and Table 1 to the infected tiles that the paper counts in them;
# * **a random tenth of the training records**, which they did not see, drawn whatever lesion the
#   records show, as most public notebooks do;
# * **the validation part**, a tenth in whole {term}`groups <group>`: it chose the best epoch, so
#   its figures are a little too high, but it shares no lesion with training;
# * **the merged held-out set**, the division that the data set's makers drew; on simulated tiles,
#   with other patients' lesions.

# %% tags=["parameters"]
SRC = "ddsm-mammography"  # folder the tiles came from
RUN = "_build/run/paper"  # where this run writes
SEED = 0
THRESHOLD = 0.5
NORMALS = 500  # normal tiles of each judged part whose near duplicates are sought, drawn by seed
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
    near_duplicates,
    sibling_shares,
)
from birads_lib.tiles.phantom.tissue import SCANNERS, road_gap
from birads_lib.tiles.shortcuts import PROBES, probe_features, probe_scores
from birads_lib.tiles.store import streamed

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
gate, scorer = (read_model(run.model_file(name)) for name in ("gate", "scorer"))
denoised = run.denoised()
scores = pd.DataFrame({"gate": apply_network(gate, denoised)[:, 0]})
scores[list(LESION_CODES)] = np.nan
scores.loc[infected, list(LESION_CODES)] = apply_network(scorer, denoised.where(infected))


# %%
def judged_by(stage, model, part):
    if part == "held-out":
        return run.read_predictions(stage)
    rows = (split == part).to_numpy() & (infected | (stage == "gate"))
    facts = {"stage": stage, "split": part, "protocol": PARTS[part], "threshold": THRESHOLD}
    name, model = f"protocols_{stage}_{part}", weights_digest(model)
    return run.save_predictions(name, store.table[rows], scores[rows], model=model, **facts)


def judge(stage, model):
    tables = {PARTS[part]: judged_by(stage, model, part) for part in complete}
    return {name: metrics.evaluate(table, stage) for name, table in tables.items()}


judged_gate, judged_scorer = judge("gate", gate), judge("scorer", scorer)
gate_by, scorer_by = (
    {name: scores["overall"] for name, scores in judged.items()}
    for judged in (judged_gate, judged_scorer)
)
intervals = " or ".join(sorted(set(map(metrics.intervals_in_words, judged_gate.values()))))

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
    f"The same two networks, one training, judged by four sets of tiles, with {intervals}.",
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
    f"One training, four judges: figures of merit with {intervals}.",
    "Two panels of four points with error bars each: training tiles, random tenth, tenth by "
    "group, official held-out set.",
)

# %% [markdown]
# ## Who has a sibling in training?
#
# Three crops were cut from each lesion in each scan that shows it. If records are drawn blindly and
# a share $f$ is not used for training, one of three crops has at least one of its two
# {term}`siblings <sibling>` in training with a chance of $1 - f^2$; a lesion seen in two scans has
# six crops here, and a greater chance. That is {term}`leakage`.

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


def random_less_official(stage, model, figure):
    apart = (judged_by(stage, model, part) for part in ("aside", "held-out"))
    return metrics.difference_of_sets(*apart, figure)


judges = (("gate", gate, "auroc"), ("scorer", scorer, "balanced_accuracy"))
memory = {
    f"{stage}, {figure}": random_less_official(stage, model, figure)
    for stage, model, figure in judges
    if "aside" in complete
}
run.say(
    f"With f = {f:.3f} the formula gives {1 - f**2:.3f} for three crops a lesion, and "
    f"{expected:.3f} for the crops that are here; measured: **{shares['aside']['lesion']:.3f}**."
)

# %% tags=["hide-input"]
if memory:
    run.say(
        "The random tenth less the official held-out set: "
        + " and ".join(
            f"**{metrics.in_words(points, '+.3f')}** ({name.replace('_', ' ')})"
            for name, points in memory.items()
        )
        + ", with 95 % intervals by group. An interval that holds 0 decides nothing. A difference "
        "may come from memory of lesions, and from the tiles being others."
    )

# %% [markdown]
# ## Duplicates
#
# Exact copies share their pixels. Near ones share a {term}`perceptual hash` but for a few bits
# (package `imagehash`). Judged tiles are hashed in all eight flips and turns: every lesion tile of
# a part, and a sample of its normal tiles. They are compared with all training tiles of their kind.

# %%
digests = store.table["digest"]
in_training = (split == "train").to_numpy()
found = near_duplicates(
    streamed(store.images), store.table, split, ("aside", "validation", "held-out"), NORMALS, SEED
)
near = {(PARTS[part], kind): copies for (part, kind), copies in found.items()}
copied = digests.isin(set(digests[in_training]))
exact = {part: int(copied[split == part].sum()) for part in ("aside", "validation", "held-out")}

# %% tags=["hide-input"]
run.show_table(
    pd.DataFrame(
        {
            "tiles compared": {place: len(found) for place, found in near.items()},
            "with a near duplicate in training": {
                place: metrics.in_words(metrics.share_with_interval(found, found.index))
                for place, found in near.items()
                if len(found)
            },
        }
    ).rename_axis(["judged by", "tiles"]),
    "near_duplicates",
    f"Share of judged tiles within {NEAR_BITS} bits of a training tile of their kind, in any flip "
    f"or turn, with {intervals}.",
    thousands=",",
    na_rep="",
)
run.say(
    "Exact copies of training tiles: "
    + ", ".join(f"{PARTS[part]} {count}" for part, count in exact.items())
    + "."
)

# %% [markdown]
# ## The shortcut probe
#
# Positives and normals of the data set took different roads from film to file, which may offer a
# {term}`shortcut`. How far does a logistic regression get on a few plain numbers of each tile, none
# of which knows where a lesion is? (A bright lesion still brightens the mean of its tile.)

# %%
held_out = (split == "held-out").to_numpy()
plain = {name: probe_features(store.images, name) for name in PROBES}


def probe(name, among=True, of=""):
    chance = probe_scores(plain[name], infected, in_training & among)[held_out & among]
    facts = {"stage": "gate", "split": "held-out", "protocol": f"probe: {name}{of}"}
    tiles, scores = store.table[held_out & among], pd.DataFrame({"gate": chance})
    facts |= {"model": "logistic regression", "threshold": THRESHOLD}
    return run.save_predictions(f"probe_{name}{of}".replace(" ", "_"), tiles, scores, **facts)


probes = {name: probe(name) for name in PROBES}

# %% tags=["hide-input"]
official = run.read_predictions("gate")
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
    "Infected or not, from plain statistics of a tile, on the official held-out set. McNemar's "
    "test takes tiles as independent, which tiles of one woman are not; its p is too small there.",
)

# %% [markdown]
# For simulated tiles the answer is known. Normal tissue got a mean grey level for each scanner,
# infected tissue the same one on all three, so on each scanner the two differ by a known number of
# grey levels. A probe that is trained and judged on one scanner alone should find more, the more
# they differ; but on so few scanners, two of which may lie close together, an order is a weak sign,
# and the intervals say how weak. Where tissue is close, what is left is the lesion itself, and that
# infected tissue was drawn a little denser.

# %% tags=["hide-input"]
truth = run.truth(SRC)
by_scanner = {}
if truth is not None:
    scanner = truth.table.set_index("tile").loc[store.table["tile"], "scanner"].to_numpy()
    parts = {name: scanner == name for name in SCANNERS}
    shows_both = [
        name
        for name, own in parts.items()
        if all(len(np.unique(infected[own & part])) == 2 for part in (in_training, held_out))
    ]
    by_scanner = {
        name: metrics.evaluate(probe("mean and deviation", parts[name], f" on {name}"), "gate")
        for name in shows_both
    }

# %% tags=["hide-input"]
few = {n: {"interval": None} for n, s in by_scanner.items() if s["groups"] < metrics.FEWEST_GROUPS}
if by_scanner:
    run.show_table(
        pd.DataFrame(
            {
                "infected above normal, grey levels": {n: road_gap(n) for n in by_scanner},
                "AUROC": {
                    n: metrics.in_words(s["overall"]["auroc"] | few.get(n, {}))
                    for n, s in by_scanner.items()
                },
                "tiles": {n: s["tiles"] for n, s in by_scanner.items()},
                "groups": {n: s["groups"] for n, s in by_scanner.items()},
            }
        )
        .rename_axis("scanner")
        .sort_values("infected above normal, grey levels", key=abs),
        "shortcuts_by_scanner",
        "The probe of mean and deviation on one scanner alone, beside how far apart the simulation "
        "put the mean grey levels of infected and normal tissue there; held-out tiles, 95 % "
        f"intervals by group, from {metrics.FEWEST_GROUPS} groups on.",
        precision=0,
    )
elif truth is not None:
    run.say("No scanner of this set has infected and normal tiles in both parts.")

# %%
run.save_results(
    {
        "gate": gate_by,
        "scorer": scorer_by,
        "siblings": shares,
        "expected_siblings": expected,
        "memory": memory,
        "exact_copies": exact,
        "near_copies": {
            f"{part}, {kind}": float(found.mean())
            for (part, kind), found in near.items()
            if len(found)
        },
        "probes": judged,
        "probes_by_scanner": {n: s["overall"]["auroc"] for n, s in by_scanner.items()},
    }
)

# %% [markdown]
# ## Summary
#
# * The same network may have another score for each set of tiles that judges it; the table above
#   says how far apart they are here, and how well that is known.
# * If records are drawn blindly, a share of $1 - f^2$ of the judged crops has a sibling in
#   training; the smaller the share $f$ that is set aside, the more.
# * What a plain statistic of a tile scores above chance needs no knowledge of where the lesion is;
#   part of it may still be the lesion's own brightness.

# %% [markdown]
# ## Check yourself
#
# **One network, four scores. Which one is its score?**
#
# :::{dropdown} Answer
# Each is a true score of another question. What will it do for women it has never seen? Of these
# four only the official set comes near that, with other lesions, mostly of other patients, and
# only for the same scanners. Its normal tiles share women with training (the table of siblings
# counts them), so its specificity is still measured on familiar tissue.
# :::
#
# **The networks were never trained on the random tenth. Why may its score still be too high?**
#
# :::{dropdown} Answer
# Wherever a lesion in it has another crop in training, the network may know *this* lesion, which
# helps with it and with no other. The counts above say how often that is so. A held-out tile is not
# yet a held-out woman.
# :::
#
# **Suppose that mean and deviation of grey alone tell infected tiles from normal ones. Why would
# that be bad news for the gate's score?**
#
# :::{dropdown} Answer
# What a logistic regression finds, a network can find too. A part of the score may then come from
# the road from film to file and not from lesions, and would be lost on tiles that took another
# road. [](external_validation.ipynb) tries it.
# :::

# %% [markdown]
# ## Exercises
#
# Where the code goes: [how to try things](data_merging.ipynb#how-to-try-things).
#
# **1.** What would $1 - f^2$ be for a five-fold division? For leave-one-record-out?
#
# :::{dropdown} Solution
# In five folds $f = 1/5$, so $1 - 1/25 = 0.96$: of a hundred judged crops, 96 have a sibling in
# training. With one record left out $f = 1/n$, and $1 - 1/n^2$ is as good as 1. Here the formula
# is not even needed: all other records are in training, so both siblings are. The more folds, the
# worse the leak; only a division by lesion or by patient closes it.
# :::
#
# **2.** Train the gate on tiles whose mean and deviation were made equal. What is left?
#
# :::{dropdown} Solution
# First the probes, which cost no training:
#
# ```python
# from birads_lib.study.sweep_data import PreparedRows
# from birads_lib.tiles.store import streamed
#
#
# def evened(images):
#     grey = images.astype(np.float32)
#     centred = grey - grey.mean(axis=(1, 2), keepdims=True)
#     spread = np.maximum(grey.std(axis=(1, 2), keepdims=True), 1)
#     return np.clip(np.rint(128 + 30 * centred / spread), 0, 255).astype(np.uint8)
#
#
# even = PreparedRows(streamed(store.images), evened)
# for name in PROBES:
#     chance = probe_scores(probe_features(even, name), infected, in_training)[held_out]
#     found = metrics.evaluate(official.assign(gate=chance), "gate")["overall"]["auroc"]
#     print(name, metrics.in_words(found))
# ```
#
# Mean and deviation are now the same for all, and the first probe sees only what rounding and
# clipping left. The histogram sees how a tile's greys lie around their mean. The third is made of
# ratios, which `evened` hardly changes.
#
# Then the gate. In the copy's [](gate.ipynb) add `evened` and, below `tiles = run.denoised()`,
# the line `tiles = PreparedRows(tiles, evened)`; run all cells, and compare both gates tile by
# tile:
#
# ```python
# runs = ["_build/run/laptop", "_build/run/laptop-copy"]
# as_it_was, even = (pd.read_parquet(f"{path}/predictions/gate.parquet") for path in runs)
# metrics.paired_difference([as_it_was], [even], "auroc")
# ```
#
# The difference is what the grey levels had contributed. An AUROC above one half that remains comes
# from texture and shape, of lesions or of the road that the tiles took.
# :::
