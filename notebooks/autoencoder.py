# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The denoising autoencoder
#
# **You will learn** how an autoencoder is taught to take noise out of a tile, what else it takes
# out, and how to measure both.
#
# **You need** [](data_merging.ipynb). **Time**: two to seven minutes on two cores.
#
# The paper's first step (section III.1) is "an image-denoising {term}`autoencoder <denoising
# autoencoder>`": an encoder of convolutions and pooling, a {term}`latent code`, a decoder of
# up-sampling and convolutions {cite:p}`vincent2008`. Noise is added to a tile, and the network has
# to give the tile back. The paper states neither sizes nor noise; what was chosen here stands in
# the next cell.

# %% tags=["parameters"]
SRC = "ddsm-mammography"  # folder the tiles came from
RUN = "_build/run/paper"  # where this run writes
SEED = 0
TILE_SIZE = 299  # px, side of the tiles the cascade works on
FILTERS = [16, 32]  # convolutions of the encoder
LATENT = 8  # channels of the latent code
NOISE_SD = 12.0  # grey levels, largest standard deviation of the noise added
PATCH_SIZE = 96  # px, side of the patches it learns from; one a tile
TRAIN_TILES = None  # how many training tiles to learn from; None for all
EVALUATED = 400  # held-out tiles on which denoising is measured
EPOCHS = 20
BATCH_SIZE = 16
LEARNING_RATE = 2e-3
VALIDATION = 0.1  # share of the training tiles, by group, that steers
ASIDE = 0.1  # share of the other training records, at random, kept for the chapter protocols

# %% tags=["hide-input"]
import numpy as np
import pandas as pd

from birads_lib import metrics
from birads_lib.cascade import denoise_tiles, denoise_to
from birads_lib.labels import TITLES
from birads_lib.networks import denoising_autoencoder
from birads_lib.study import built, figures
from birads_lib.study.run import LIGHT_DPI, Run
from birads_lib.tiles.feed import TileBatches, add_noise, random_patches
from birads_lib.tiles.store import streamed
from birads_lib.training import Recipe, save_model, train

figures.use_style()
run = Run(RUN, "autoencoder", SEED)
store, split = run.store, run.split(VALIDATION, ASIDE).to_numpy()

# %% [markdown]
# ## The method, and where we are in it
#
# The paper's Figure 1 draws three networks in a row. This chapter builds the first.

# %% tags=["hide-input"]
run.show_figure(
    figures.method_diagram(),
    "figure_1",
    "The proposed method, after the paper's Figure 1: tiles are denoised, a gate tells infected "
    "from uninfected, and only infected ones are scored.",
    "Flow chart: mammogram tiles, autoencoder, MobileNetV2, and from it either C1 uninfected or "
    "EfficientNetB7 with attention, which gives C2, C3, C4 or C5.",
    tiles=False,
)

# %% [markdown]
# ## The network
#
# The code between encoder and decoder is the bottleneck: it has fewer numbers than the tile, so
# the network must describe tissue rather than copy pixels. Noise, which cannot be described,
# stays out.

# %%
shape = (TILE_SIZE, TILE_SIZE, 1)
drawn = denoising_autoencoder(shape, FILTERS, LATENT)
run.show_figure(
    figures.layer_diagram(figures.autoencoder_blocks(drawn)),
    "figure_2",
    "The autoencoder, after the paper's Figure 2; over each layer its height, width and channels.",
    "Row of boxes that shrink from the noisy tile to the latent code and grow back to the "
    "denoised tile.",
    tiles=False,
)

# %% tags=["hide-input"]
run.say(f"It has **{drawn.count_params():,} weights**. The paper gives no number.")

# %% [markdown]
# ## Training on noisy against clean
#
# The input is a tile with noise added, of a strength drawn for each tile. The target is the clean
# tile: for simulated tiles the tile as it was before film and quantum noise, which the simulation
# knows; for real ones the tile as it is, since nothing cleaner exists. Noise is local, so the
# network learns from one small patch a tile; its convolutions then run over whole tiles.

# %%
truth = run.truth(SRC)


def clean_tiles(rows):
    if truth is None:
        return streamed(store.images).rows(rows)
    return streamed(truth.clean_images).rows(truth.rows_of(store.table["tile"].iloc[rows]))


def patches(rows, seed):
    noisy, clean = streamed(store.images).rows(rows), clean_tiles(rows)
    return random_patches(noisy, PATCH_SIZE, seed), random_patches(clean, PATCH_SIZE, seed)


rng = np.random.default_rng(SEED)
learning, steering, held_out = (
    np.sort(rng.permutation(np.flatnonzero(split == part))[:most])
    for part, most in (("train", TRAIN_TILES), ("validation", TRAIN_TILES), ("held-out", EVALUATED))
)

# %%
patch = (PATCH_SIZE, PATCH_SIZE, 1)
trained = train(
    lambda: denoising_autoencoder(patch, FILTERS, LATENT),
    TileBatches(*patches(learning, SEED), patch, BATCH_SIZE, SEED, turn=True, noise=NOISE_SD),
    TileBatches(*patches(steering, SEED + 1), patch, BATCH_SIZE, SEED + 1, noise=NOISE_SD),
    Recipe("denoise", EPOCHS, LEARNING_RATE, seed=SEED),
    run.models / "autoencoder_patches.keras",
)
autoencoder = denoising_autoencoder(shape, FILTERS, LATENT)
autoencoder.set_weights(trained.model.get_weights())
save_model(autoencoder, run.models / "autoencoder.keras")

# %% tags=["hide-input"]
run.show_figure(
    figures.loss_curve(trained.history, "mean absolute error, grey levels"),
    "autoencoder_loss",
    "Loss of the autoencoder over epochs.",
    "Two curves over epochs, training and validation loss.",
)

# %% [markdown]
# ## Noisy, denoised, truth
#
# Shown and measured on {term}`held-out tiles` only, which the network has never seen. The measure
# is the {term}`peak signal-to-noise ratio`.

# %%
as_is, clean = np.asarray(store.images[held_out]), np.asarray(clean_tiles(held_out))
noisy = add_noise(as_is, NOISE_SD, SEED)
denoised = denoise_tiles(autoencoder, noisy)
label = store.table["label"].to_numpy()[held_out]
shown = [np.flatnonzero(label == k)[0] for k in np.unique(label)]
run.show_figure(
    figures.tile_rows(
        [("noisy", noisy[shown]), ("denoised", denoised[shown]), ("truth", clean[shown])],
        [TITLES[k] for k in label[shown]],
    ),
    "figure_4",
    f"Denoising, after the paper's Figure 4: tile with noise of {NOISE_SD:g} grey levels added, "
    "the same denoised, and the truth.",
    "Three rows of grey tiles, one column a class: the tile with noise added, the same denoised, "
    "and the truth.",
    dpi=LIGHT_DPI,
)

# %%
compared = {
    "tile with noise added": noisy,
    "the same, denoised": denoised,
    "tile as it is": as_is,
    "tile as it is, denoised": denoise_tiles(autoencoder, as_is),
}
group = store.table["group"].to_numpy()[held_out]
ratio = {name: metrics.peak_signal_to_noise(images, clean) for name, images in compared.items()}
quality = {name: metrics.mean_with_interval(ratios, group) for name, ratios in ratio.items()}
intervals = metrics.intervals_in_words({"groups": len(set(group)), "tiles": len(group)})
table = pd.DataFrame(
    {"peak signal-to-noise ratio, dB": {n: metrics.in_words(q, ".1f") for n, q in quality.items()}}
)
run.show_table(
    table,
    "denoising",
    f"How close {len(clean)} held-out tiles come to the truth: means with {intervals}.",
)

# %% [markdown]
# Compare the last two rows before you read on. In the cascade the autoencoder gets tiles **as
# they are**, without noise added. The paper shows the case of the first two rows (its Figure 4)
# and gives no measure of either.

# %%
gain, cost = (
    metrics.mean_with_interval(ratio[after] - ratio[before], group)
    for before, after in (
        ("tile with noise added", "the same, denoised"),
        ("tile as it is", "tile as it is, denoised"),
    )
)
run.say(
    f"Against added noise the autoencoder changes the ratio by **{metrics.in_words(gain, '+.1f')} "
    f"dB**; on tiles as they are by **{metrics.in_words(cost, '+.1f')} dB**, tile by tile."
    + (
        ""
        if truth is not None
        else " On real tiles the second figure is measured against the tile itself, "
        "so the tile as it is counts as perfect."
    )
)

# %%
denoise_to(run.denoised_path, autoencoder, store.images)
facts = built.BuiltAutoencoder.of(drawn, NOISE_SD)
run.save_results(
    {
        "weights": facts.weights,
        built.BUILT: {built.TRAINED: built.save(facts)},
        "psnr": quality,
        "gain": gain,
        "seed": SEED,
        "model": trained.digest,
    }
)

# %% [markdown]
# ## Summary
#
# * Denoising is judged by two numbers: how much added noise it removes, and what it costs where
#   none was added, which is how the cascade uses it.
# * All tiles, denoised, are now kept for the next chapter, [](gate.ipynb).

# %% [markdown]
# ## Check yourself
#
# **Why is the network given a noisy tile, and not the clean one that it has to return?**
#
# :::{dropdown} Answer
# If it only had to return what it was given, copying would be enough, and it would learn nothing
# about noise. When noise goes in and the clean tile is wanted, copying costs it. What helps is to
# know what tissue looks like.
# :::
#
# **How can the ratio of a tile as it is *fall* when it is denoised?**
#
# :::{dropdown} Answer
# The bottleneck loses fine detail together with the noise. A tile that holds little noise has
# little to gain, and the lost detail weighs more. On real tiles the tile itself counts as the
# truth, so there any change is a loss.
# :::
#
# **One denoiser has the higher ratio. Is it the better one for calcifications?**
#
# :::{dropdown} Answer
# Not necessarily. The ratio is a mean over all pixels, and a calcification is a handful of them:
# it may vanish and hardly move the mean. Calcifications have to be measured by themselves;
# [](ablations.ipynb) does so.
# :::

# %% [markdown]
# ## Exercises
#
# Where the code goes: [how to try things](data_merging.ipynb#how-to-try-things).
#
# **1.** Set `LATENT` to 2 and to 32. Which rows of the table move, and which calcifications
# vanish?
#
# :::{dropdown} Solution
# The two rows that say "denoised" move. The other two are made without the network and stay as
# they are, to the last digit. The code has `LATENT` numbers for every 4 × 4 pixels: with 2 an
# eighth as many as the tile, with 32 twice as many. Then the code is no longer a bottleneck by
# its size, and only the noise in training keeps the network from copying.
#
# What is left of each calcified lesion, those that lost most first (simulated tiles only):
#
# ```python
# from birads_lib.study import contrasts
#
# found = contrasts.held_out_contrasts(run, truth, EVALUATED)
# left = found["contrast_after"] / found["contrast_before"]
# found.assign(left=left).sort_values("left").head(10)
# ```
#
# Compare its mean for the three codes, `left.mean()`, and look at the worst lesions: are they the
# small ones? `truth.calcifications(tiles).sum(axis=(1, 2))` gives the pixels of each tile's
# calcifications.
# :::
#
# **2.** Replace the autoencoder by a median filter (`scipy.ndimage.median_filter`). Does it do
# worse?
#
# :::{dropdown} Solution
# ```python
# from scipy.ndimage import median_filter
#
# filtered = median_filter(noisy, size=(1, 3, 3))
# better = metrics.peak_signal_to_noise(denoised, clean) - metrics.peak_signal_to_noise(
#     filtered, clean
# )
# metrics.in_words(metrics.mean_with_interval(better, group), "+.1f")
# ```
#
# The difference is taken tile by tile, and above 0 the autoencoder is better. Only an interval
# that leaves out 0 decides. Try `size=(1, 5, 5)` too, and both filters on `as_is`. A median over
# 3 × 3 pixels removes every bright speck of up to four pixels, and keeps edges. A speck is what a
# fine calcification looks like, so the ratio is again not the whole answer.
# :::
