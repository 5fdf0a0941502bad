# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The paper's numbers, worked out again
#
# **You will learn** which printed numbers follow from one another, which do not, and how far a
# pencil goes in checking a {term}`confusion matrix`.
#
# **You need** [](../book/confusion_matrix.md) and [](cascade.ipynb).
# **Time**: half a minute; no network is run.
#
# All of it is arithmetic on what the paper prints {cite:p}`flayeh2024`, and on the known counts of
# the data set. It says what the numbers do, and not why.

# %% tags=["parameters"]
RUN = "_build/run/paper"  # where this run writes
SEED = 0

# %% tags=["hide-input"]
import numpy as np
import pandas as pd

from birads_lib import metrics
from birads_lib.labels import GATE_NAMES, LESION_CODES
from birads_lib.study import arithmetic, figures, judgements, paper
from birads_lib.study.run import Run

figures.use_style()
run = Run(RUN, "paper_audit", SEED)
gate = run.read_predictions("gate")
scorer = run.read_predictions("scorer")
ours = {
    "gate": metrics.evaluate(gate, "gate"),
    "scorer": metrics.evaluate(scorer, "scorer"),
}

# %% [markdown]
# ## The four things to redraw
#
# Figure 5 and Figure 7 are drawn again from the printed counts, beside the same figure of this
# study. Cells are tiles; shares are of the row.

# %% tags=["hide-input"]
run.show_figure(
    figures.confusion_pair(
        ours["gate"]["confusion_matrix"],
        paper.FIGURE_5,
        GATE_NAMES,
        "This study, held-out tiles",
        "The paper, Figure 5",
    ),
    "audit_figure_5",
    "Figure 5 redrawn from its printed counts (right), beside this study's gate on held-out tiles "
    "(left). Rows actual, columns predicted.",
    "Two heat maps of two by two cells, uninfected and infected, actual against predicted. "
    "Left this study, right the paper.",
)

# %% tags=["hide-input"]
run.show_figure(
    figures.confusion_pair(
        ours["scorer"]["confusion_matrix"],
        paper.TABLE_1,
        LESION_CODES,
        "This study, held-out tiles",
        "The paper, Figure 7",
    ),
    "audit_figure_7",
    "Figure 7 redrawn from the counts of Table 1 (right), beside this study's scorer on held-out "
    "tiles (left). Rows actual, columns predicted.",
    "Two heat maps of four by four cells, C2 to C5, actual against predicted. Left this study, "
    "right the paper.",
)

# %% tags=["hide-input"]
matrix = np.array(ours["scorer"]["confusion_matrix"])
both = {"the paper": paper.table_1(), "this study, held out": paper.confusion_table(matrix)}
run.show_table(
    pd.concat(both, axis=1),
    "audit_table_1",
    "Table 1 as printed, and this study's on held-out tiles.",
    thousands=",",
)

# %% tags=["hide-input"]
per_class = ours["scorer"]["per_class"]
measured = pd.DataFrame(
    {c.capitalize(): {k: metrics.in_words(per_class[k][c]) for k in LESION_CODES}
     for c in arithmetic.FIGURES}
)  # fmt: skip
implied = arithmetic.implied_table_2().rename(columns=str.capitalize).map("{:.4f}".format)
sources = {
    "the paper": paper.TABLE_2.astype(str).replace("0.9", "0.90"),
    "from its Table 1": implied,
    "this study, held out": measured,
}
run.show_table(
    pd.concat(sources, axis=1),
    "audit_table_2",
    "Table 2 as printed (accuracy in percent), as Table 1 implies it, and this study's (accuracy "
    f"one-versus-rest) with {metrics.intervals_in_words(ours['scorer'])}.",
)

# %% [markdown]
# ## What holds
#
# The three figures of the gate in section IV follow from Figure 5. {term}`Precision <precision>`
# and {term}`sensitivity` of Table 2 follow from Table 1.

# %%
printed = pd.Series(paper.GATE_TEXT, name="printed")
stage_one = pd.concat([printed, arithmetic.implied_gate().rename("from Figure 5")], axis=1)
run.show_table(
    stage_one.loc[[*paper.GATE_TEXT, "accuracy"]],
    "audit_gate",
    "The gate: figures printed in section IV, and from Figure 5. The text gives accuracy as 96 %.",
    tiles=False,
    precision=4,
    na_rep="",
)

# %% tags=["hide-input"]
check = arithmetic.table_2_check()
run.show_table(
    check.assign(rounds=check["rounds"].map({True: "yes", False: "no"}),
                 cut=check["cut"].map({True: "yes", False: "no"})),
    "audit_table_2_cells",
    "Each cell of Table 2 beside what Table 1 gives, and whether that value gives the printed one "
    "when rounded, or when cut off. Accuracy is one-versus-rest, in percent.",
    tiles=False,
    precision=4,
)  # fmt: skip

# %%
count = check["rounds"].groupby("figure", sort=False).sum()
run.say(
    f"**{check['rounds'].sum()} of {len(check)}** cells follow by rounding: "
    + ", ".join(f"{name.lower()} {n} of {len(LESION_CODES)}" for name, n in count.items())
    + "."
)

# %% [markdown]
# ## What does not hold: accuracy, and a specificity
#
# In each row of Table 2 the last column is the first one times a hundred. The text calls it "the
# overall proportion of true predictions", which is another quantity, {term}`accuracy`. For a single
# class, accuracy is {term}`one-versus-rest`.

# %%
versus = (100 * arithmetic.implied_table_2()["accuracy"]).map("{:.2f}".format)
equal = "is" if arithmetic.accuracy_is_precision() else "is not"
c3, c4 = (check.loc[(code, "Specificity"), "implied"] for code in ("C3", "C4"))
run.say(
    f"The printed accuracy **{equal}** 100 times the printed precision in all four rows. By "
    f"Table 1, one-versus-rest accuracy is {' / '.join(versus)} %, and overall accuracy, the "
    f"diagonal over the total, **{100 * arithmetic.overall_accuracy(paper.TABLE_1):.2f} %**; the "
    f"paper does not print it. Specificity of C3 is {c3:.5f} by Table 1, printed as "
    f"{paper.TABLE_2.loc['C3', 'Specificity']}; of C4 {c4:.5f}, printed as "
    f"{paper.TABLE_2.loc['C4', 'Specificity']}."
)

# %% [markdown]
# ## Class sums
#
# The text gives C1 and all infected tiles together; row sums of Table 1 give C2 to C5. The
# [known counts](../book/data_card.md) of the training files stand beside.

# %%
sums = arithmetic.class_sums()
run.show_table(
    sums,
    "audit_class_sums",
    "Printed class totals, what the training files hold, and printed minus files.",
    tiles=False,
    thousands=",",
)

# %%
over = sums.loc[list(LESION_CODES), "difference"]
run.say(
    f"C1 has {arithmetic.moved()} tiles more than the files, C2 to C5 together as many fewer, so "
    f"the total agrees. {' and '.join(over.index[over > 0])} have more tiles in Table 1 than the "
    "training files hold."
)

# %% [markdown]
# ### Shares of the classes
#
# The abstract and section III.5 give 86 % negative and 14 % positive.

# %%
run.show_table(
    arithmetic.shares(),
    "audit_shares",
    "Negative and positive tiles in percent: printed, and by each count.",
    tiles=False,
    precision=2,
)

# %% [markdown]
# ## Two totals
#
# The abstract counts 55,890 training samples, section III 55,885. The data set's author published
# the code that wrote the files {cite:p}`scuccimarra2018`: rows are shuffled with a stated random
# state, divided into five equal parts, and each part is written by a loop that ends one row early.
# That loop is replayed here on the row numbers.

# %%
written, left_out = arithmetic.replay_writing_loop()
run.say(
    f"Written: {' + '.join(f'{len(rows):,}' for rows in written)} = "
    f"**{sum(map(len, written)):,}**. Left out, by their number before the shuffle: "
    f"{', '.join(map(str, left_out))}. Both printed totals are accounted for: one counts rows "
    "prepared, the other rows written."
)

# %% [markdown]
# ## The whole training set
#
# Both matrices can be added up. What a score on training tiles is worth is the question of
# [](protocols.ipynb).

# %%
run.say(
    f"Figure 5 sums to **{paper.FIGURE_5.sum():,}**, as many as all training records, and Table 1 "
    f"to **{paper.TABLE_1.sum():,}**, all infected tiles of section III.5. The text defines such a "
    "matrix, at Figure 7, as one \u201con a set of test data\u201d; no division of the tiles into "
    "training, validation and test is reported."
)

# %% [markdown]
# ## Constant columns
#
# In Table 1, the three cells off the diagonal are equal in each column. Four classes of different
# size would be confused with C2 equally often, in tiles, and likewise for C3, C4 and C5.

# %%
constants, solutions = arithmetic.column_constants(), arithmetic.integer_solutions()
(totals,), percents = solutions, arithmetic.percent_rates()
rates = [percent for (percent,) in percents]
solution = pd.DataFrame(
    {"off the diagonal": constants, "p, %": rates, "T": totals},
    index=pd.Index(LESION_CODES, name="column"),
)
run.show_table(
    solution,
    "audit_solution",
    "Each column of Table 1: its one value off the diagonal, and the rate p and total T with "
    "which round(T p) is the diagonal and round(T (1 - p) / 3) every other cell.",
    tiles=False,
    thousands=",",
)

# %% [markdown]
# For each column every whole percentage $p$ from 1 to 99 was tried with every whole $T$ that can
# fit.

# %%
fitting = arithmetic.fitting_totals()
alike = rates == [round(100 * rate) for rate in paper.TABLE_2["Precision"]]
run.say(
    f"How many percentages remain, C2 to C5: {', '.join(str(len(left)) for left in percents)}"
    f"{'; each is the precision of Table 2' if alike else ''}. Totals that remain for them: "
    f"{'; '.join(' or '.join(f'{total:,}' for total in fits) for fits in fitting)}. With the sum "
    f"of {paper.INFECTED:,}, solutions for all {paper.TABLE_1.size} cells: **{len(solutions)}**."
)

# %% tags=["hide-input"]
run.show_figure(
    figures.confusion_pair(
        arithmetic.regenerate(totals),
        paper.TABLE_1,
        LESION_CODES,
        "round(T p), round(T (1 - p) / 3)",
        "The paper, Figure 7",
    ),
    "audit_regenerated",
    "Table 1 regenerated from four rates and four whole totals (left), and as printed (right). "
    "Rows actual, columns predicted.",
    "Two heat maps of four by four cells, C2 to C5, with the same number in each cell.",
    tiles=False,
)

# %%
diagonal, off = arithmetic.unrounded_column(totals[0])
again = arithmetic.regenerate_figure_5()
same = int((arithmetic.regenerate(totals) == paper.TABLE_1).sum())
run.say(
    f"**{same} of {paper.TABLE_1.size}** cells agree. Before rounding, column C2 holds "
    f"{diagonal:.2f} and {off:.3f}; the text of section IV quotes "
    f"{paper.NON_INTEGER_CELLS['diagonal']} and {paper.NON_INTEGER_CELLS['off']} as counts. "
    f"In the same way **{int((again == paper.FIGURE_5).sum())} of {again.size}** cells of Figure 5 "
    f"equal {arithmetic.GATE_RATE:.2f} or {1 - arithmetic.GATE_RATE:.2f} of their row's sum, "
    "rounded."
)

# %% [markdown]
# ## No end-to-end figure, and its bound
#
# The second stage is scored on all 7,239 infected tiles, whether or not the first lets them
# through. How many are passed *and* scored right is not printed. It cannot exceed the smaller of
# the two counts, and cannot fall below what remains if every tile that the gate stops would have
# been scored right. [](cascade.ipynb) measures it for this study's networks.

# %%
bound = arithmetic.end_to_end()
run.show_table(
    bound.assign(right=bound["right"].round().astype(int)),
    "audit_bound",
    "Infected tiles that can end in their right category by Figure 5 and Table 1, as a count and "
    "as shares: of the infected, of all that the gate passes, and right answers of all tiles.",
    tiles=False,
    precision=4,
    thousands=",",
)

# %%
best, worst = bound.loc["best case"], bound.loc["worst case"]
by_class = arithmetic.independent_by_class()
run.say(
    f"The gate passes {paper.FIGURE_5[1, 1]:,} of {paper.INFECTED:,} infected tiles. Between "
    f"**{100 * worst['of the infected']:.1f} and {100 * best['of the infected']:.1f} %** of the "
    "infected tiles can end in their right category. Of all tiles that reach the second stage, "
    f"false alarms included, at most {100 * best['of those scored']:.1f} % can be given their true "
    "class. If the stages erred independently, sensitivities end to end would be "
    + ", ".join(f"{code} {value:.3f}" for code, value in by_class.items())
    + "."
)

# %% [markdown]
# ## The text beside itself
#
# Statements without a number to add up: they are set beside what the paper says elsewhere, and
# beside the networks and categories that it names.

# %%
run.show_table(
    judgements.structure_table(),
    "audit_text",
    "Statements of the text, what stands beside them, and what follows.",
    tiles=False,
)

# %%
run.save_results(
    {
        "table_2_cells_that_follow": int(check["rounds"].sum()),
        "overall_accuracy": arithmetic.overall_accuracy(paper.TABLE_1),
        "moved": arithmetic.moved(),
        "left_out": left_out.tolist(),
        "column_totals": list(totals),
        "cells_regenerated": same,
        "end_to_end": bound.to_dict("index"),
    }
)

# %% [markdown]
# ## Summary
#
# * Precision and sensitivity follow from the printed matrices; the column "Accuracy" does not.
# * Figure 5 sums to as many tiles as the training files hold, Table 1 to the infected tiles that
#   the paper counts.
# * Four rates and four totals give all sixteen cells of Table 1; one rate gives Figure 5.
# * For both stages together the printed numbers allow a range, and no value.

# %% [markdown]
# ## Check yourself
#
# **The three cells off the diagonal are equal in each column of Table 1. What does that say, and
# what not?**
#
# :::{dropdown} Answer
# That each class was confused with C2 in equally many tiles, however many it has, and likewise
# for C3, C4 and C5. It does not say how this came about. A table cannot say that.
# :::
#
# **Why is the column "Accuracy" not simply a rounded one-versus-rest accuracy?**
#
# :::{dropdown} Answer
# Because Table 1 gives other values: all four lie near 96 %, while the printed ones are 93, 92,
# 90 and 93, one hundred times the column "Precision". Rounding moves a value by half a unit at
# most.
# :::
#
# **Why do Figure 5 and Table 1 give a range for both stages together, and no value?**
#
# :::{dropdown} Answer
# They say how many infected tiles the gate stops, and how many the scorer gets wrong, but not how
# many are both. The same tiles may be in both counts, or quite different ones.
# :::

# %% [markdown]
# ## Exercises
#
# Where the code goes: [how to try things](data_merging.ipynb#how-to-try-things).
#
# **1.** Show by hand that only T = 2,066 gives column C2 with p = 0.93.
#
# :::{dropdown} Solution
# The diagonal wants $0.93\,T$ to round to 1,921, so $1920.5 \le 0.93\,T < 1921.5$, or
# $2065.05\ldots \le T < 2066.13\ldots$ Only one whole number lies there, 2,066. The cells off the
# diagonal agree: $2066 \cdot 0.07 / 3 \approx 48.2$, rounded 48.
#
# ```python
# arithmetic.column_totals(1921, 48, 0.93)
# ```
# :::
#
# **2.** Change one cell of `paper.TABLE_1` by one. What do `column_constants` and
# `integer_solutions` return?
#
# :::{dropdown} Solution
# ```python
# for cell in np.ndindex(4, 4):
#     changed = paper.TABLE_1.copy()
#     changed[cell] += 1  # and once with -= 1
#     print(cell, arithmetic.column_constants(changed), arithmetic.integer_solutions(changed))
# ```
#
# Off the diagonal, the column no longer has one value: its constant is `None`, and there is no
# solution, whichever of the twelve cells it is. On the diagonal the constants stay. Raised by
# one, there is no solution either. Lowered by one, there still is one for C2, C3 and C4, since
# column C5 has two totals that fit, 1,792 and 1,793, and can make up for the missing tile; for C5
# there is none. So the equal cells off the diagonal are what the twelve changes break, every
# time.
# :::
#
# **3.** Suppose the gate stopped only C5 tiles. Bound the end-to-end sensitivity of C5.
#
# :::{dropdown} Solution
# Then all 290 tiles that it stops are of C5, and 1,815 - 290 = 1,525 of C5 arrive. The scorer has
# 1,667 of all 1,815 right. At worst every stopped tile was one of these, at best all that arrive
# are right:
#
# $(1667 - 290) / 1815 \approx 0.759$ at worst, $1525 / 1815 \approx 0.840$ at best.
#
# Both lie far below the printed 0.918: a gate that is right for 96 % of all infected tiles may
# still be much worse for one class.
# :::
