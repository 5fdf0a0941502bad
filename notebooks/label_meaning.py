# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What the labels mean
#
# **You will learn** what the classes C2 to C5 are beside the BI-RADS category that the
# radiologist gave, how agreement is measured when one answer is common, and what a split by
# file leaves together.
#
# **You need** [](../book/birads_explained.md). **Time**: half a minute on a laptop; no tiles and
# no network.
#
# The paper reads the data set's labels as BI-RADS categories: benign calcification as C2, benign
# mass as C3, malignant calcification as C4, malignant mass as C5 (section III.5). CBIS-DDSM, from
# which the lesions come {cite:p}`lee2017,cbisddsm2016`, states the radiologist's own category, the
# {term}`assessment`, of every lesion in every {term}`view`. This chapter sets one beside the other.

# %% tags=["parameters"]
RUN = "_build/run/paper"  # where this run writes
SEED = 0  # of the run; the intervals below carry their own, stated with them

# %% tags=["hide-input"]
import pandas as pd

from birads_lib import metrics
from birads_lib.labels import CLASSES
from birads_lib.study import figures
from birads_lib.study.run import Run
from birads_lib.tiles.cbis_labels import ASSESSMENTS, PARTS, REFINED_TITLES, shipped_counts

figures.use_style()
run = Run(RUN, "label_meaning", SEED, tiles=False)
counts = shipped_counts()
titles = {c.code: f"{c.code} {c.title}" for c in CLASSES}

# %% [markdown]
# ## Where the numbers come from
#
# From four files, which The Cancer Imaging Archive offers under CC BY 3.0. This book holds counts
# of them and no copy. `birads cbis-labels DIR` counts again from the files, and says so if a file
# is not, byte for byte, the one counted here.

# %%
files = pd.DataFrame(counts["files"]).T[["rows", "sha256"]]
run.show_table(
    files.rename_axis("file"),
    "case_files",
    f"The case description files, {counts['source']['publisher']}, DOI {counts['source']['doi']}, "
    f"{counts['source']['licence']}: lesion-views and SHA-256.",
    thousands=",",
)

# %%
run.say(
    f"A row is one lesion in one view: **{counts['lesion_views']['all']:,} lesion-views** of "
    f"{counts['patients']['all']:,} patients. Rows that could not be counted: "
    f"{sum(counts['apart'].values())}."
)

# %% [markdown]
# ## Class by assessment
#
# A row is a class, a column is what the radiologist said. `BENIGN_WITHOUT_CALLBACK` is a finding
# that was judged benign without a further examination; the data set counts it as benign. The figure
# shows it apart. Under the paper's reading all counts would lie in the framed cells.

# %% tags=["hide-input"]
apart = pd.DataFrame(counts["by_assessment"]["all"]["callback_apart"], index=ASSESSMENTS).T
run.show_figure(
    figures.class_by_assessment(apart.rename(REFINED_TITLES)),
    "class_by_assessment",
    "Lesion-views of CBIS-DDSM by class and by the radiologist's assessment, training and test "
    "together, benign without callback apart. Framed: where the class's number is the category.",
    "Heat map of six classes against assessments zero to five. Benign calcifications without "
    "callback lie nearly all at two, other benign calcifications at four; benign masses spread "
    "over zero, three and four; malignant classes lie at four and five. One framed cell a row.",
)

# %%
tables = {
    part: pd.DataFrame(counts["by_assessment"][part]["merged"], index=ASSESSMENTS).T.rename(titles)
    for part in PARTS
}
run.show_table(
    pd.concat(tables, names=["part", "class"]),
    "class_by_assessment_merged",
    "The same by part of the split, with both kinds of benign merged as in the data set; columns "
    "are the assessment.",
    thousands=",",
)

# %%
tables = {
    part: pd.DataFrame(counts["by_assessment"][part]["callback_apart"], index=ASSESSMENTS).T.rename(
        REFINED_TITLES
    )
    for part in PARTS
}
run.show_table(
    pd.concat(tables, names=["part", "class"]),
    "class_by_assessment_apart",
    "The same with benign without callback apart.",
    thousands=",",
)

# %% [markdown]
# ## Agreement
#
# Read label plus one as the category, and count how often the radiologist said the same. Three
# measures:
#
# * **accuracy**, the share that agrees;
# * **{term}`Cohen's kappa`**, which takes out what two independent readers with the same habits
#   would agree on by chance: 0 is chance, 1 is full agreement;
# * **quadratic-{term}`weighted kappa`**, which counts a difference of two categories four times as
#   much as a difference of one.
#
# Beside them stands the best answer that looks at nothing: the same category every time. Category
# 0 means "incomplete" and is no step on the scale, so the second column leaves it out.

# %% tags=["hide-input"]
columns = {
    "all lesion-views": counts["agreement"],
    "without assessment 0": counts["agreement_without_0"],
}
beside = pd.DataFrame(
    {
        title: {
            "lesion-views": f"{found['lesion_views']:,}",
            "accuracy": metrics.in_words(found["accuracy"]),
            "Cohen's kappa": metrics.in_words(found["kappa"], ".2f"),
            "quadratic-weighted kappa": metrics.in_words(found["quadratic_kappa"], ".2f"),
            "best constant answer": str(found["constant"]["answer"]),
            "its accuracy": metrics.in_words(found["constant"]["accuracy"]),
            "accuracy less that": metrics.in_words(found["accuracy_less_constant"], "+.3f"),
        }
        for title, found in columns.items()
    }
)
run.show_table(
    beside,
    "label_agreement",
    "Agreement of the reading \u201clabel plus one is the BI-RADS category\u201d with the "
    f"radiologist, with 95 % intervals over {counts['bootstrap']['replicates']:,} resamplings of "
    f"patients (seed {counts['bootstrap']['seed']}). A constant answer has kappa 0.",
    tiles=False,
)

# %%
found, c2 = counts["agreement"], counts["c2_agreements"]
run.say(
    f"The reading agrees in **{100 * found['accuracy']['value']:.1f} %** of "
    f"{found['lesion_views']:,} lesion-views ({found['agree']:,}); always answering "
    f"\u201c{found['constant']['answer']}\u201d agrees in "
    f"**{100 * found['constant']['accuracy']['value']:.1f} %** "
    f"({found['constant']['agree']:,}). Kappa is **{metrics.in_words(found['kappa'], '.2f')}**, "
    f"quadratic-weighted **{metrics.in_words(found['quadratic_kappa'], '.2f')}**.\n\n"
    f"Of the {c2['agree']:,} agreements of C2, {c2['without_callback']:,} are benign without "
    f"callback, a share of {metrics.in_words(c2['share'])}."
)

# %% [markdown]
# ## How often an assessment was cancer
#
# The ACR's atlas states a likelihood of cancer for each category {cite:p}`acr2013`. Its ranges are
# for women in practice; the rate in a data set also depends on which cases were chosen for it, and
# these assessments were given under an earlier edition.

# %% tags=["hide-input"]
run.show_figure(
    figures.malignancy_by_assessment(counts["malignancy"]),
    "malignancy_by_assessment",
    "Share of malignant lesion-views at each assessment in CBIS-DDSM, with 95 % intervals over "
    "patients, and the range that the ACR states. An open mark: too few patients for an interval.",
    "Points with error bars over assessments zero to five, with a shaded range for one to five. "
    "The share is near zero at two and rises through three and four to nearly all at five; at "
    "three it lies above the shaded range, at one a single open mark lies at the top.",
)

# %%
rates = pd.DataFrame(counts["malignancy"]).T.rename_axis("assessment")
rates["malignant, share"] = rates["rate"].map(metrics.in_words)
rates = rates.rename(columns={"acr": "stated by the ACR", "lesion_views": "lesion-views"})
run.show_table(
    rates[["lesion-views", "patients", "malignant", "malignant, share", "stated by the ACR"]],
    "malignancy_rates",
    "The same as a table; shares are 0 to 1, the ACR's ranges in percent.",
    thousands=",",
)

# %% [markdown]
# ## Patients on both sides
#
# CBIS-DDSM divides calcifications into training and test, and masses into training and test, each
# on its own. A patient who has both kinds can then stand on both sides.

# %%
both = counts["both_sides"]
run.say(
    f"Within one pair of files, {both['within']['calcification']} patients (calcifications) and "
    f"{both['within']['mass']} (masses) stand on both sides. Across the pairs "
    f"**{both['patients']} patients** do, with {both['lesion_views']['training']} lesion-views in "
    f"training and {both['lesion_views']['test']} in test; {both['image_names']} image names stand "
    "on both sides too."
)

# %% [markdown]
# ## Can the category be recovered?
#
# The data set's training files name patient, side and view of each tile, but not the lesion. Where
# all lesions of an image have one assessment, the name is enough to look the category up.

# %%
names = pd.DataFrame(counts["image_names"]).T.loc[list(PARTS)]
names["share"] = names["one_assessment"] / names["names"]
run.show_table(
    names.rename(columns={"names": "image names", "one_assessment": "with one assessment"}),
    "image_names",
    "Image names of CBIS-DDSM, and those whose lesions all have one assessment.",
    thousands=",",
    precision=3,
)

# %%
run.save_results(counts)

# %% [markdown]
# ## Summary
#
# * C2 to C5 are lesion type and pathology. The radiologist's category is another quantity, and
#   CBIS-DDSM states it.
# * An agreement is read beside the best constant answer and with its interval.
# * For most training images the name is enough to recover the category, so a network could be
#   trained on it.
# * The division of CBIS-DDSM is by patient within each kind of lesion, and not across them.
#
# Back to [](../book/birads_explained.md).

# %% [markdown]
# ## Check yourself
#
# **The reading is right a little less often than "4" every time, and still its kappa is above 0.
# How can both be?**
#
# :::{dropdown} Answer
# Accuracy rewards the most common answer. Kappa asks for more than that: a constant answer has
# kappa 0, because it knows nothing of the single lesion. The reading does know something, since
# benign lesions get lower categories than malignant ones. But it is no substitute for the category.
# :::
#
# **Why is quadratic-weighted kappa the larger one here?**
#
# :::{dropdown} Answer
# It counts near misses for little. Calling a 3 a 4 costs a ninth of calling a 2 a 5, and the
# reading is off by one step more often than by three. Which weighting is right depends on what a
# mistake costs, so both are shown.
# :::
#
# **At category 3 more lesions are malignant here than the ACR's 2 %. Were the radiologists
# wrong?**
#
# :::{dropdown} Answer
# That does not follow. The ACR speaks of women in practice, where few lesions are cancer. This
# data set was made to show cancers, so there are more of them at every category. The edition was
# an earlier one, too.
# :::

# %% [markdown]
# ## Exercises
#
# Where the code goes: [how to try things](data_merging.ipynb#how-to-try-things).
#
# **1.** Compute Cohen's kappa of the table by hand from its row and column sums, and check it
# with `sklearn.metrics.cohen_kappa_score`.
#
# :::{dropdown} Solution
# Observed agreement is $1615 / 3568 \approx 0.453$. Expected by chance is the sum, over the
# categories that both give, of row sum times column sum over the total squared. The rows C2 to C5
# hold 1,199, 912, 673 and 784 lesion-views, the columns 2 to 5 hold 644, 477, 1,633 and 573:
#
# $(1199 \cdot 644 + 912 \cdot 477 + 673 \cdot 1633 + 784 \cdot 573) / 3568^2 \approx 0.216$
#
# So $\kappa = (0.4526 - 0.2164) / (1 - 0.2164) \approx 0.301$. Assessments 0 and 1 add nothing to
# the agreement, because the reading never gives them, but their lesion-views stand in the total.
#
# ```python
# from sklearn.metrics import cohen_kappa_score
#
# merged = pd.DataFrame(counts["by_assessment"]["all"]["merged"], index=ASSESSMENTS).T
# cells = merged.rename(index=lambda code: int(code[1])).stack()
# reading, radiologist = (cells.index.get_level_values(level) for level in (0, 1))
# cohen_kappa_score(reading, radiologist, sample_weight=cells)
# ```
# :::
#
# **2.** Which reading of the four labels, each label one category, agrees best with the
# radiologist? There are few enough to try them all.
#
# :::{dropdown} Solution
# ```python
# from birads_lib.agreement import best_answers
#
# merged = pd.DataFrame(counts["by_assessment"]["all"]["merged"], index=ASSESSMENTS).T
# for measure, found in best_answers(merged, ASSESSMENTS).items():
#     print(measure, found["answers"], round(found["value"], 3))
# ```
#
# $6^4 = 1296$ readings were tried. It depends on the measure. By accuracy the best is 2, 4, 4, 5
# for C2 to C5: benign masses were called 4 more often than 3. By Cohen's kappa it is 2, 3, 4, 5,
# the paper's own; by quadratic-weighted kappa 2, 2, 5, 5. None of them comes near full agreement,
# because lesions of one class were given many categories.
# :::
#
# **3.** Move the patients who stand on both sides to training. How many test lesion-views are
# left?
#
# :::{dropdown} Solution
# They have 60 lesion-views in test, of 704. So 644 are left:
#
# ```python
# counts["lesion_views"]["test"] - both["lesion_views"]["test"]
# ```
#
# Nothing is lost: training gains the 60. Then no patient stands on both sides, whatever kind of
# lesion she has.
# :::
