# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # One group of a sweep
#
# This is no chapter of the book. `birads sweep` runs it once for each group of members in
# `sweeps.yml`; members of a group share a process, so that TensorFlow is loaded once. A training
# that is done, and that nothing it depends on has changed since, is not repeated. One that fails
# is recorded and the others go on.

# %% tags=["parameters"]
RUN = "_build/run/paper"  # where this run writes
PROFILE = "paper"  # decides sizes and seeds
SWEEP = "ablations"  # a sweep of sweeps.yml
GROUP = "heads"  # one of its groups
SEEDS = None  # how many seeds; None for as many as the profile says
SEED = 0  # of the division into parts, as in the chapters

# %%
from birads_lib.study.run import Run
from birads_lib.study.sweeps import get_sweep, run_group

sweep = get_sweep(SWEEP, PROFILE, seeds=SEEDS)
run = Run(RUN, f"sweep_{SWEEP}", SEED)

# %%
print(run_group(run, sweep, GROUP).to_string())
