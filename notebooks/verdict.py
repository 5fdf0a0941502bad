# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Verdicts, claim by claim
#
# **You will find** every quantitative or structural statement of the paper
# {cite:p}`flayeh2024`, with what it prints, what follows from its own numbers, what this run
# measured, and a verdict with its reason.
#
# **You need** the chapters before. **Time**: under a minute; no network is run.

# %% tags=["parameters"]
RUN = "_build/run/paper"  # where this run writes
SEED = 0

# %% tags=["hide-input"]
from birads_lib.study import paper
from birads_lib.study.run import Run
from birads_lib.study.verdicts import page_link, verdict_counts, verdict_table, write_verdicts

run = Run(RUN, "verdict", SEED)
verdicts = write_verdicts(run.path)

# %% [markdown]
# ## How to read it
#
# A statement is judged once, in the way that fits it:
#
# | Test | What decides | Verdicts |
# |---|---|---|
# | arithmetic | the paper's own printed numbers | holds, holds with a note, does not hold |
# | structure | its equations, its text, and the networks built as it describes | the same |
# | data set | the known counts and labels of the Kaggle set | the same |
# | measurement | this study's networks on tiles | reproduced, partly, not; needs the Kaggle set |
# | none | nothing here bears on it | not testable |
#
# "Reproduced" means that the 95 % interval measured on the held-out tiles of the Kaggle set
# reaches the printed value. On any other tiles, simulated ones above all, the measured value is
# shown and the verdict stays "needs the Kaggle set". Where a statement is decided by arithmetic and
# the same figure was measured, both are shown and the arithmetic decides. A dash means that there
# is nothing to show.

# %%
run.show_table(
    verdict_counts(verdicts),
    "verdict_counts",
    "Statements by verdict and by the test that decides.",
    tiles=False,
)

# %%
measured = sum(v.measured is not None for v in verdicts)
run.say(
    f"**{len(verdicts)} statements**, as many as the register holds ({len(paper.REGISTER)}). "
    f"{measured} of them have a measured value beside them, from this run: "
    f"{'simulated tiles' if run.store.simulated else 'real tiles'}, profile {run.path.name}."
)

# %% [markdown]
# ## All statements, in the paper's order
#
# Cells of matrices and tables stand one by one at the end. The working is shown in
# [](paper_audit.ipynb); [](../book/paper_map.md) leads from each part of the paper to its chapter.
# The same rows, with protocol, data and seeds, are in `results/verdicts.json` of the run.

# %% tags=["hide-input", "full-width"]
run.show_table(
    verdict_table(verdicts),
    "verdicts",
    "Every statement with its verdict. Measured values on held-out tiles, with 95 % intervals by "
    "group.",
    sortable=True,
    formatter={"chapter": page_link},
)

# %% [markdown]
# ## Summary
#
# * Each statement has one verdict, and each verdict a reason that can be checked.
# * What needs a measurement on the Kaggle set is decided there and nowhere else:
#   `make book PROFILE=paper DATA=/path/to/ddsm-mammography`.
#
# ## Exercises
#
# 1. Choose a statement that does not hold and check it with the paper and a calculator.
# 2. Which verdicts could change with the Kaggle set, and which never?
