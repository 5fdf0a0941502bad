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
# **You will learn** what became of every quantitative or structural statement of the paper
# {cite:p}`flayeh2024`: what it prints, what follows from its own numbers, what this run measured,
# and a verdict with its reason.
#
# **You need** [](paper_audit.ipynb) for the arithmetic, and the chapters that measure; each row
# leads to its own. **Time**: under a minute; no network is run.

# %% tags=["parameters"]
RUN = "_build/run/paper"  # where this run writes
SEED = 0

# %% tags=["hide-input"]
from birads_lib.study import paper
from birads_lib.study.run import Run
from birads_lib.study.verdicts import page_link, verdict_counts, verdict_table, write_verdicts

run = Run(RUN, "verdict", SEED)
verdicts = write_verdicts(run.path)
stated, asked = ([v for v in verdicts if v.asked == own] for own in (False, True))

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
# What the paper tells of other systems was measured on other pictures and stays "not testable";
# what such a system reaches on this run's tiles stands beside it, if its sweep has been run.
#
# "Reproduced" means that the upper end of the 95 % {term}`interval <bootstrap interval>` measured
# on the held-out tiles of the Kaggle set reaches the printed value, and that the network measured
# is the one the paper describes, at its size; a wide interval reaches far, so look at it before you
# take the word as strong. "Partly" means that some of several printed values are reached and some
# are not, or that a change goes the way the paper says and may be chance. A smaller network on that
# set leaves the statement "not testable". On
# any other tiles, such as simulated ones, the measured value is shown and the verdict stays
# "needs the Kaggle set". Where a statement is decided by arithmetic and the same figure was
# measured, both are shown and the arithmetic decides. A dash means that there is nothing to show.

# %%
run.show_table(
    verdict_counts(verdicts),
    "verdict_counts",
    "Statements by verdict and by the test that decides, and the questions of this study.",
    tiles=False,
)

# %%
measured = sum(v.measured is not None for v in stated)
run.say(
    f"**{len(stated)} statements**, as many as the register holds ({len(paper.REGISTER)}). "
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
    verdict_table(stated),
    "verdicts",
    "Every statement with its verdict. Measured values on held-out tiles, with 95 % intervals over "
    "groups; where the set names no woman, a group is a single tile.",
    sortable=True,
    formatter={"chapter": page_link},
)

# %% [markdown]
# ## What this study asks beyond the paper
#
# The paper compares none of these. Each is put as a claim and judged in the same way; nothing
# printed stands beside it. "Holds" and "does not hold" are for the Kaggle set and networks of the
# printed sizes, by whether the interval of the difference leaves out 0.

# %% tags=["hide-input", "full-width"]
run.show_table(
    verdict_table(asked),
    "verdicts_asked",
    "Questions of this study, which are no statements of the paper: differences on the same "
    "held-out tiles, points, with 95 % intervals over groups and seeds.",
    sortable=True,
    formatter={"chapter": page_link},
)

# %% [markdown]
# ## Summary
#
# * Each statement has one verdict, and each verdict a reason that can be checked.
# * What needs a measurement on the Kaggle set is decided there and nowhere else:
#   `make book PROFILE=paper DATA=/path/to/ddsm-mammography`.

# %% [markdown]
# ## Check yourself
#
# **A measured value lies close to the printed one, and the verdict is still "needs the Kaggle
# set". Why?**
#
# :::{dropdown} Answer
# It was measured on other tiles. If two numbers agree on different pictures, that shows neither
# that the paper's number holds nor that it does not.
# :::
#
# **Why does arithmetic decide where a figure was also measured?**
#
# :::{dropdown} Answer
# Then the statement is about the paper's own numbers, such as a column that follows from a
# matrix. No other network on other tiles can make that right or wrong.
# :::

# %% [markdown]
# ## Exercises
#
# **1.** Choose a statement that does not hold and check it with the paper and a calculator.
#
# :::{dropdown} Solution
# For example "A 93% total accuracy" (section IV). Total accuracy is the diagonal of Table 1 over
# its sum: 1,921 + 1,752 + 1,329 + 1,667 = 6,669 of 7,239, or 92.1 %. One-versus-rest accuracy of
# C2, the class of that paragraph, is (1,921 + 5,032) / 7,239, or 96.0 %. Neither is 93 %. All
# candidates:
#
# ```python
# for v in verdicts:
#     if v.verdict == "does not hold":
#         print(v.id, "|", v.claim, "|", v.why)
# ```
# :::
#
# **2.** Which verdicts could change with the Kaggle set, and which never?
#
# :::{dropdown} Solution
# Those that wait for it:
#
# ```python
# [v.id for v in stated if v.verdict == "needs the Kaggle set"]
# ```
#
# On that set, with the sweeps run, they can become "reproduced", "partly reproduced" or "not
# reproduced". (The questions of this study wait for it too; an interval that holds 0 would leave
# them "not testable".) All others stay: what arithmetic, equations or known counts decide is
# decided by the paper's own text, and what nothing here bears on remains "not testable". They would
# change only if a number was copied wrongly, or a known count is wrong; the first exercise is how
# to find out.
# :::
