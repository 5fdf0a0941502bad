# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # On a phone
#
# **You will learn** how trained networks leave Python, what eight bits in place of thirty-two do to
# their size, their speed and their answers, and what has to travel with them.
#
# **You need** [](cascade.ipynb). **Time**: one to four minutes; nothing is trained.
#
# The paper says that its model "can also be used as an application on a mobile phone or a web
# page". [](../book/demo.md) is the web page. This chapter writes what a phone needs, and measures
# it on this machine: **no phone was measured**.

# %% tags=["parameters"]
RUN = "_build/run/paper"  # where this run writes
SEED = 0
CALIBRATED = 40  # training tiles of each class that scales are read off
MEASURED = 120  # held-out tiles of each class that both precisions read
AGREEING = 8  # held-out tiles of each class that each form and Keras read
FORMS = ["litert", "onnx", "openvino"]

# %% tags=["hide-input"]
from birads_lib import Cascade, metrics
from birads_lib.deployment import Exporter, read_export
from birads_lib.quantization import FLOAT, INT8, drawn_tiles
from birads_lib.study import figures, figures_phone, phone
from birads_lib.study.run import Run
from birads_lib.tiles.splits import HELD_OUT

figures.use_style()
run = Run(RUN, "phone", SEED)
saved, folder = run.cascade_folder, run.models / "phone"

# %% [markdown]
# ## Three forms
#
# Keras' own file needs Keras, and Keras needs Python. Three other forms do not:
#
# * **LiteRT**, once TensorFlow Lite, runs on Android and iOS, and in browsers;
# * **ONNX** is read by ONNX Runtime, on phones, in browsers and on servers, and by many others;
# * **OpenVINO** is for processors made by Intel and those like them.
#
# A form holds the layers and their weights. It does not hold what happens between the networks:
# each tile is resized by averaging over areas, and grey levels are handed on unrounded.

# %%
exporter = Exporter(saved, run.store_path, SEED, CALIBRATED, MEASURED)
exports = {(form, FLOAT): exporter.write(folder / f"{form}-{FLOAT}", form, FLOAT) for form in FORMS}

# %% [markdown]
# ## Do they say the same?

# %%
tiles = drawn_tiles(run.store, HELD_OUT, AGREEING, SEED)
keras_cascade = Cascade.load(saved, "keras")
in_float = {form: read_export(folder / f"{form}-{FLOAT}") for form in FORMS}
apart = phone.largest_differences(in_float, keras_cascade, tiles)
run.show_table(
    apart,
    "phone_agreement",
    f"Largest difference of any probability from that of Keras, over {len(tiles)} held-out tiles.",
    formatter="{:.1e}",
)

# %% [markdown]
# ## Eight bits
#
# A weight in float32 takes four bytes. After {term}`quantisation` to eight bits it takes one: a
# whole number $q$ that stands for $s (q - z)$, where $s$ and $z$ are a {term}`scale and a zero
# point <scale and zero point>` {cite:p}`jacob2018`. Weights get a scale for each filter. Features
# get one for each layer; it is read off a few training tiles, which is called {term}`calibration`.
# Nothing is trained again, and no held-out tile takes part.
#
# What follows a network's last layer with weights stays in float in the ONNX form, so that its
# answers are not rounded to bytes. Weights there use seven bits of their eight: processors without
# instructions for products of bytes add two of them in sixteen bits, where larger ones overflow.
#
# The networks in eight bits are then judged on held-out tiles, as many of each class, beside those
# in float.

# %%
exports |= {(form, INT8): exporter.write(folder / f"{form}-{INT8}", form, INT8) for form in FORMS}

# %%
sizes = phone.size_table(exports)
run.show_table(sizes, "phone_sizes", "Size of each network in megabytes.", tiles=False, precision=2)

# %% [markdown]
# ## What it costs in quality

# %%
loss = phone.loss_table(exports)
intervals = metrics.intervals_in_words(exports[FORMS[0], INT8]["quantization"]["loss"])
run.show_figure(
    figures_phone.loss_rows(loss),
    "phone_loss",
    f"By how much each figure of merit changes in eight bits: paired differences with {intervals}; "
    "negative is worse.",
    "One row a figure of merit, each with a point and its interval for every form, around a line "
    "at zero.",
)

# %% tags=["hide-input"]
run.show_table(
    loss[[FLOAT, INT8, f"{INT8} - {FLOAT}"]],
    "phone_quality",
    "Quality in float and in eight bits on the same held-out tiles, and the paired difference, "
    f"with {intervals}.",
)

# %%
run.show_table(
    phone.change_table(exports),
    "phone_changes",
    "How far single answers move in eight bits: absolute differences of probabilities over the "
    "held-out tiles counted below, and of grey levels of the denoised tiles.",
    formatter="{:.3g}",
)

# %% tags=["hide-input"]
run.say(phone.loss_sentence(exports))

# %% [markdown]
# ## What it does to speed, here
#
# Both precisions read the same tiles in turns. Whether eight bits are faster depends on the
# processor: a phone's has instructions that multiply and add four pairs of bytes at once, and many
# a laptop's has them too.

# %%
pace = phone.pace_table(exports)
run.show_table(
    pace,
    "phone_pace",
    "Tiles a second of the whole cascade on this machine, medians over turns.",
    precision=2,
)

# %% tags=["hide-input"]
run.say(phone.pace_sentence(exports))

# %% [markdown]
# ## What has to travel with it
#
# A network without a description is a trap: fed with colours, or with values from 0 to 1, it
# answers all the same. So each folder has a {term}`manifest`, `manifest.json`, checked against a
# published schema. It says what goes in and what comes out, in which order the networks run and how
# a tile is resized between them, the threshold, the classes, the digest of every file, what the
# networks are for and what not, how well they did on held-out tiles, and what eight bits cost.

# %% tags=["hide-input"]
run.say(phone.manifest_excerpt(exports[FORMS[0], INT8]))

# %%
run.save_results(
    {
        "agreement": apart.astype(object).where(apart.notna(), None).to_dict("index"),
        "megabytes": sizes.to_dict("index"),
        "eight_bits": phone.quantizations(exports),
    }
)

# %% [markdown]
# ## Summary
#
# * `birads export` writes the cascade in three forms; `birads predict` reads each of them.
# * A weight takes a quarter of the bytes in eight bits; what surrounds the weights does not, so a
#   very small network can grow. The table of sizes shows which it was. What eight bits cost in
#   quality is measured on held-out tiles, in pairs, and written into the manifest.
# * Speed belongs to a processor. Measure it on the one that will run it.

# %% [markdown]
# ## Check yourself
#
# **Why do two engines that run the same weights not give the same last digit?**
#
# :::{dropdown} Answer
# Sums of floating-point numbers depend on their order, and each engine adds in the order that suits
# its processor. Engines also merge layers, for instance a {term}`batch normalisation` into the
# convolution before it, and round once where others round twice.
# :::
#
# **Eight bits change some answers. Why is the difference measured in pairs, on the same tiles?**
#
# :::{dropdown} Answer
# Most of the doubt about a figure of merit comes from which women are in the sample. Both
# precisions meet the same women, so this doubt drops out of the difference, and the interval of
# the difference is narrower than those of the two figures suggest.
# :::
#
# **Why may no held-out tile take part in the calibration, when nothing is trained?**
#
# :::{dropdown} Answer
# Calibration sets numbers of the network, its scales, by looking at tiles. A scale chosen on the
# tiles that judge it fits them a little better than it fits others, and the measured loss is too
# small.
# :::

# %% [markdown]
# ## Exercises
#
# Where the code goes: [how to try things](data_merging.ipynb#how-to-try-things).
#
# **1.** The features of one layer lie between -1 and 3. With which scale and zero point do they fit
# the whole numbers from 0 to 255, and how large is the largest error of rounding?
#
# :::{dropdown} Solution
# The scale is $4/255$ and the zero point 64, since $-1$ becomes $64 - 255/4$, which rounds to 0.
# Between the ends a value lies at most half a step from a number that can be written: $2/255$.
# :::
#
# **2.** Why is a network in eight bits not a quarter of its size in float?
#
# :::{dropdown} Solution
# Only weights of convolutions and matrix products become bytes. Biases stay whole numbers of four
# bytes, every filter brings a scale, the last layer stays in float in the ONNX form, and the
# description of the layers takes the same room as before. The smaller the network, the more of it
# is description.
# :::
#
# **3.** Read the gate's scales off normal tiles alone. What do you expect of its sensitivity?
#
# :::{dropdown} Solution
# ```python
# from birads_lib.quantization import calibration_inputs, quantize_onnx
#
# drawn = drawn_tiles(run.store, "train", CALIBRATED, SEED)
# normal = drawn.subset(drawn.table["label"] == 0)
# inputs = calibration_inputs(exporter.cascade, normal)["gate"]
# quantize_onnx(saved / "gate.onnx", "gate.onnx", inputs)
# ```
#
# A feature that lesions raise above all that normal tiles show is cut off at the largest value
# seen, so lesions look paler to the network, and sensitivity can fall. Calibrate on what the
# network will meet.
# :::
