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
# **You will learn** how an autoencoder is taught to take noise out of a tile, what it takes out
# besides, and how to measure both.
#
# **You need** [](data_merging.ipynb). **Time**: about two minutes on a laptop.
#
# The paper's first step (section III.1) is "an image-denoising autoencoder": an encoder of
# convolutions and pooling, a latent code, a decoder of up-sampling and convolutions
# {cite:p}`vincent2008extracting`. Noise is added to a tile, and the network has to give the tile
# back. The paper states neither sizes nor noise; what was chosen here stands in the next cell.

# %% tags=["parameters"]
SRC = "ddsm-mammography"  # folder the tiles came from
RUN = "_build/run/paper"  # where this run writes
SEED = 0
TILE_SIZE = 299  # px, side of the tiles the cascade works on
FILTERS = [16, 32]  # convolutions of the encoder
LATENT = 8  # channels of the latent code
NOISE_SD = 12.0  # grey levels, standard deviation of the noise added
TRAIN_TILES = None  # how many training tiles to learn from; None for all
EPOCHS = 20
BATCH_SIZE = 16
LEARNING_RATE = 2e-3
VALIDATION = 0.1  # share of the training tiles, by group, that steers

# %%
import numpy as np
import pandas as pd

from birads_lib import metrics
from birads_lib.cascade import denoise_tiles
from birads_lib.networks import denoising_autoencoder
from birads_lib.study import figures
from birads_lib.study.run import Run
from birads_lib.tiles.feed import TileBatches, add_noise, resized_tiles
from birads_lib.training import Recipe, train

figures.use_style()
run = Run(RUN, "autoencoder", SEED)
store, split = run.store, run.split(VALIDATION).to_numpy()

# %% [markdown]
# ## The method, and where we are in it
#
# The paper's Figure 1 draws three networks in a row. This chapter builds the first.

# %%
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
run.say(f"It has **{drawn.count_params():,} weights**. The paper gives no number.")

# %% [markdown]
# ## Training on noisy against clean
#
# The input is a tile with noise added. The target is the clean tile: for simulated tiles the
# tile as it was before film and quantum noise, which the simulation knows; for real ones the
# tile as it is, since nothing cleaner exists.

# %%
truth = run.truth(SRC)
tiles = resized_tiles(store.images, TILE_SIZE)
clean = tiles if truth is None else truth.clean_resized(store.table["tile"], TILE_SIZE)
rng = np.random.default_rng(SEED)
learning = rng.permutation(np.flatnonzero(split == "train"))[:TRAIN_TILES]
steering = rng.permutation(np.flatnonzero(split == "validation"))[:TRAIN_TILES]

# %%
trained = train(
    lambda: denoising_autoencoder(shape, FILTERS, LATENT),
    TileBatches(tiles[learning], clean[learning], shape, BATCH_SIZE, SEED, turn=True, noise=NOISE_SD),
    TileBatches(tiles[steering], clean[steering], shape, BATCH_SIZE, SEED + 1, noise=NOISE_SD),
    Recipe("denoise", EPOCHS, LEARNING_RATE, seed=SEED),
    run.models / "autoencoder.keras",
)

# %%
run.show_figure(
    figures.loss_curve(trained.history, "mean absolute error, grey levels"),
    "autoencoder_loss",
    "Loss of the autoencoder over epochs.",
    "Two falling curves, training and validation loss, over epochs.",
)

# %% [markdown]
# ## Noisy, denoised, truth
#
# Shown and measured on held-out tiles only, which the network has never seen.

# %%
held_out = np.flatnonzero(split == "held-out")
noisy = add_noise(tiles[held_out], NOISE_SD, SEED)
cleaned = denoise_tiles(trained.model, noisy)
infected = store.table["label"].to_numpy()[held_out] > 0
shown = np.r_[np.flatnonzero(~infected)[:2], np.flatnonzero(infected)[:: max(1, infected.sum() // 4)][:4]]
run.show_figure(
    figures.tile_rows(
        [("noisy", noisy[shown]), ("denoised", cleaned[shown]), ("truth", clean[held_out][shown])],
        store.table["label"].to_numpy()[held_out][shown].astype(str),
    ),
    "figure_4",
    "Denoising, after the paper's Figure 4: noisy, denoised and true tile; the number over a "
    "column is the label.",
    "Three rows of six grey tiles. The first row is grainy, the second smooth and slightly "
    "blurred, the third sharp.",
)

# %%
group = store.table["group"].to_numpy()[held_out]
as_is = denoise_tiles(trained.model, tiles[held_out])
compared = {
    "tile with noise added": noisy,
    "the same, denoised": cleaned,
    "tile as it is": tiles[held_out],
    "tile as it is, denoised": as_is,
}
quality = {
    name: metrics.mean_with_interval(
        metrics.peak_signal_to_noise(images, clean[held_out]), group
    )
    for name, images in compared.items()
}
table = pd.DataFrame(
    {"peak signal-to-noise ratio, dB": {n: metrics.in_words(q, ".1f") for n, q in quality.items()}}
)
run.show_table(table, "denoising", "How close held-out tiles come to the truth, mean with 95 % interval.")

# %% [markdown]
# Read the last two rows before you read on. In the cascade the autoencoder gets tiles **as they
# are**, without noise added, and there it can only blur. The paper shows the first two rows'
# case (its Figure 4) and gives no measure of either.

# %%
gain = quality["the same, denoised"]["value"] - quality["tile with noise added"]["value"]
cost = quality["tile as it is, denoised"]["value"] - quality["tile as it is"]["value"]
run.say(
    f"Against added noise the autoencoder changes the ratio by **{gain:+.1f} dB**; on tiles as "
    f"they are by **{cost:+.1f} dB**."
    + ("" if truth else " On real tiles the second figure is measured against the tile itself, "
       "so the tile as it is counts as perfect.")
)

# %%
run.save_denoised(denoise_tiles(trained.model, tiles))
run.save_results({"weights": drawn.count_params(), "psnr": quality, "model": trained.digest})

# %% [markdown]
# ## Summary
#
# * A bottleneck removes added noise, and fine detail with it.
# * All tiles, denoised, are now kept for the next chapter, [](gate.ipynb).
#
# ## Exercises
#
# 1. Set `LATENT` to 2 and to 32. Which rows of the table move, and which calcifications vanish?
# 2. Replace the autoencoder by a median filter (`scipy.ndimage.median_filter`). Does it do worse?
