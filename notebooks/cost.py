# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What it costs
#
# **You will learn** how many operations and bytes each network needs, which of the two limits it
# on this processor, how fast the study's parts are beside the usual way, and what the paper's
# sizes would take.
#
# **You need** [](attention.ipynb). **Time**: under half a minute; nothing is trained.
#
# The paper names a laptop and no running times. Costs decide what can be repeated: a network that
# trains for a week is trained once.

# %% tags=["parameters"]
RUN = "_build/run/paper"  # where this run writes
SEED = 0
VALIDATION = 0.1  # share of the training tiles, by group, that steered
ASIDE = 0.1  # share of the other training records, at random, kept for the chapter protocols
BENCH = "benchmarks/results.json"  # what `make bench` measured
PRINTED = "paper"  # the profile whose cost is projected
GPU = "NVIDIA A100, 40 GB"  # assumed, not measured; figures of its data sheet:
GPU_TERAFLOPS = 19.5  # float32 operations a second, without tensor cores
GPU_GIGABYTES = 1555  # of memory moved a second

# %% tags=["hide-input"]
import pandas as pd

from birads_lib.networks.cost import Peaks, cost_of, measured_peaks
from birads_lib.study import costs, figures, figures_cost, measurements
from birads_lib.study.markup import code
from birads_lib.study.run import Run

figures.use_style()
run = Run(RUN, "cost", SEED)
profile = run.path.name.split("-")[0]

# %% [markdown]
# ## Operations and bytes
#
# A network's work is counted from its layers: a convolution multiplies its kernel at each place of
# its output. One product and one sum are one {term}`multiply-add`. The papers on MobileNetV2
# {cite:p}`sandler2018` and EfficientNet {cite:p}`tan2019` mean these by "multiply-adds" and
# "FLOPs", and the same count gives the figures that they print. Features moved are those that each
# layer reads and writes, in float32, as if no two layers were merged. Bytes are these and the
# weights, each read once, and operations a byte are over both.

# %%
printed = costs.profile_networks(PRINTED)
here = costs.profile_networks(profile)
sizes = pd.DataFrame(
    {f"{name}, {profile}": costs.size_row(model) for name, model in here.items()}
    | {f"{name}, {PRINTED}": costs.size_row(model) for name, model in printed.items()}
).T
run.show_table(
    sizes,
    "network_costs",
    "The three networks for one tile, forward: at the sizes of this run's profile and at those of "
    "the profile that follows the paper.",
    tiles=False,
    formatter={
        "weights": "{:,}",
        "million multiply-adds": "{:,.0f}",
        "MB of features moved": "{:,.1f}",
        "operations a byte": "{:,.1f}",
    },
)

# %% tags=["hide-input"]
run.show_table(
    cost_of(printed["scorer"])
    .by_kind()
    .head(6)
    .rename(columns=lambda name: name.replace("_", "-")),
    "scorer_by_kind",
    "Where the work of the printed scorer lies, forward, one tile: the six kinds of layer with "
    "most multiply-adds.",
    tiles=False,
    thousands=",",
)

# %% [markdown]
# ## What limits it: the roofline
#
# A processor has two roofs (the {term}`roofline`) {cite:p}`williams2009`: how many operations it
# does a second, and how many bytes it moves. Which one a network meets depends on its operations a
# byte. The roofs are measured here, by a large matrix product and a large copy; the points are this
# run's trainings, from their seconds an epoch.

# %%
peaks = measured_peaks()
trainings = costs.trainings_of_run(
    run.models, profile, run.store.table, run.split(VALIDATION, ASIDE)
)
pace = costs.pace_table(trainings, costs.epoch_seconds(run.models))

# %% tags=["hide-input"]
run.show_figure(
    figures_cost.roofline(peaks, pace),
    "roofline",
    "Operations a second that this run's trainings reached, under the two roofs of this processor.",
    "Logarithmic axes: a line that rises and then is level, and a point for each of three "
    "networks.",
)

# %%
run.show_table(
    pace.assign(
        **{
            "GFLOP/s": pace["operations/s"] / 1e9,
            "share of the nearer roof": pace["operations/s"]
            / pace["operations a byte"].map(peaks.attainable),
        }
    ).drop(columns=["operations", "operations/s"]),
    "training_pace",
    "This run's trainings. A training step counts as three forward passes; steering tiles as one. "
    "A share above one means that bytes counted as moved stayed in the processor's caches.",
    precision=2,
    thousands=",",
)

# %% tags=["hide-input"]
if costs.backbone_frozen(run.models / "scorer.keras"):
    run.say(
        "The scorer's backbone was frozen in this run: its row and its point are those of the head "
        "on kept features. Below, the whole scorer is projected at the gate's pace."
    )
run.say(
    f"On this machine a float32 matrix product reaches **{peaks.operations / 1e9:,.0f} GFLOP/s** "
    f"and a copy **{peaks.bandwidth / 1e9:,.0f} GB/s**; below "
    f"{peaks.operations / peaks.bandwidth:,.1f} operations a byte memory is the limit."
)

# %% [markdown]
# ## What the paper's sizes would take
#
# Tiles times epochs times operations give the work; the operations a second give the hours. For
# this processor they are those that each network reached above, at its smaller size: the
# assumption is that a larger one keeps them. For a GPU nothing was measured. Its hours follow from
# two figures of a data sheet, as if it reached them throughout: for float32 without tensor cores a
# lower bound, caches aside, of which real trainings take a multiple. In bfloat16, which this study
# takes on such a GPU, half the bytes move and it may be less. Epochs are the most that the profile
# allows.

# %%
gpu = Peaks(GPU_TERAFLOPS * 1e12, GPU_GIGABYTES * 1e9)
projected = costs.projection_table(
    costs.trainings_of_paper(printed, PRINTED), costs.whole_pace(pace, run.models), gpu
)
run.show_table(
    projected,
    "projected_cost",
    f"Projected, not measured: the trainings of profile {PRINTED} on the Kaggle set's training "
    f"files. GPU: {GPU}, {GPU_TERAFLOPS} TFLOP/s and {GPU_GIGABYTES:,} GB/s by its data sheet.",
    tiles=False,
    formatter=lambda value: (
        "" if pd.isna(value) else f"{value:,.3g}" if value < 1e3 else f"{value:,.0f}"
    ),
)

# %% tags=["hide-input"]
total = projected.loc["all"]
run.say(
    f"Together **{total['hours, this processor']:,.0f} hours** on this processor, and "
    f"**{total['hours, one GPU at its roofs']:.2f} hours** on the GPU assumed, were it at its "
    "roofs all the time."
)

# %% [markdown]
# ## Beside the usual way
#
# `make bench` times the study's parts against what is usually done, in turns and in one run, and
# keeps every figure with the machine it was measured on. That machine need not be this one.

# %%
measured = measurements.read_measurements(BENCH)
if measured is None:
    run.say(f"There is no {code(BENCH)}: nothing has been measured yet. `make bench` writes it.")

# %% tags=["hide-input"]
if measured is not None:
    run.show_table(
        measurements.target_table(measured),
        "bench_targets",
        "What the study set out to reach, and whether it did; where a target speaks of the whole "
        "set, its name says how many tiles were measured.",
        tiles=False,
    )
    run.show_table(
        measurements.ratio_table(measured),
        "bench_ratios",
        "Ratios of medians, each within one run.",
        tiles=False,
    )
    run.show_table(
        measurements.measurement_table(measured),
        "bench_rows",
        "Every figure measured: median, least and most.",
        tiles=False,
    )
    run.show_table(
        measurements.machine_table(measured),
        "bench_machine",
        "The machine of these measurements, and of each the size at which it was asked.",
        tiles=False,
    )

# %%
run.save_results(
    {
        "networks": sizes.to_dict("index"),
        "pace": pace.to_dict("index"),
        "peaks": {"operations": peaks.operations, "bandwidth": peaks.bandwidth},
        "projected_hours": {
            "this processor": float(total["hours, this processor"]),
            "assumed GPU": float(total["hours, one GPU at its roofs"]),
        },
    }
)

# %% [markdown]
# ## Summary
#
# * Work is counted from the networks; only speed is measured.
# * A projection holds as far as its assumption; both stand in the caption.
# * Ratios come from one run in which the alternatives took turns.

# %% [markdown]
# ## Check yourself
#
# **One network has half the multiply-adds of another. Does it take half the time?**
#
# :::{dropdown} Answer
# Only if both meet the roof of operations. A network with few operations a byte waits for memory,
# and the processor is idle meanwhile. MobileNetV2 saves multiply-adds by layers that do little with
# each number they read.
# :::
#
# **Why does a training step count as three forward passes?**
#
# :::{dropdown} Answer
# There is the forward pass; then the gradient of the features, to hand on to the layer before; and
# the gradient of the weights, to change them. Each multiplies as many pairs of numbers as the
# first.
# :::
#
# **The projection gives hours on a GPU that nobody here has used. What may be said of them?**
#
# :::{dropdown} Answer
# That they follow from counted work and two figures of a data sheet. Real trainings do not reach
# the roofs throughout, so the hours are a lower bound and no forecast.
# :::

# %% [markdown]
# ## Exercises
#
# Where the code goes: [how to try things](data_merging.ipynb#how-to-try-things).
#
# **1.** Halve the gate's input size. By what factor do its multiply-adds fall, and its weights?
#
# :::{dropdown} Solution
# ```python
# from birads_lib.networks import mobilenet_gate
#
# whole, half = (cost_of(mobilenet_gate((side, side, 1))) for side in (224, 112))
# whole.multiply_adds / half.multiply_adds, whole.weights / half.weights
# ```
#
# The weights do not change: a convolution has one kernel, however many places it is laid on. The
# multiply-adds fall by a little less than four. A quarter of the places is left in most layers,
# but a map of 7 × 7 cells becomes one of 4 × 4, because halves are rounded up; and the fully
# connected layer at the end costs what it did.
# :::
#
# **2.** Put the data sheet's figures of another GPU into the parameters. Which of the three
# networks gains least, and why?
#
# :::{dropdown} Solution
# Compare each training's operations a byte with the corner of the roofline, the operations a
# second over the bytes a second. For the GPU assumed that is
# $19.5 \cdot 10^{12} / (1555 \cdot 10^{9}) \approx 12.5$.
#
# ```python
# for name, work in costs.trainings_of_paper(printed, PRINTED).items():
#     corner = gpu.operations / gpu.bandwidth
#     print(name, round(work.intensity, 1), "operations" if work.intensity > corner else "memory")
# ```
#
# A network left of both GPUs' corners gains by the ratio of their bandwidths, and not at all from
# more operations. One right of both gains by the ratio of their operations. The gate has the
# fewest operations a byte, so on a GPU that adds operations more than bandwidth it gains least,
# together with the scorer as long as that waits for memory, too.
# :::
