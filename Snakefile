"""The study as a graph: data -> chapters -> results -> book.

A step's output is a stamp named by the digest of all it depends on (see
birads_lib/study/graph.py), so a change of content, and nothing else, makes it
run again. Inputs are marked `ancient` because order matters here and times do not.

    snakemake --cores 1 --config profile=laptop
    snakemake --cores 1 --config profile=laptop data=/path external=/path

A group of a sweep (sweeps.yml) is a step too, in the graph only when asked for; `birads
sweep` also collects what they leave.

    snakemake sweep_ablations --cores 1 --keep-going --config profile=laptop sweep=ablations

On a cluster without a shared folder the output is a copy of the stamp, sent to
its storage; what the steps themselves write lies in _build.
"""

import shlex

from birads_lib.study.graph import CHAPTERS, NEEDS, Study, book_stamp

profile = config.get("profile", "laptop")
data = config.get("data") or None
external = config.get("external") or None
study = Study(profile, data, external)
given = {"profile": profile, "data": data, "external": external}
given["distribute"] = config.get("distribute")
options = " ".join(f"--{name} {shlex.quote(str(value))}" for name, value in given.items() if value)


rule book:
    input:
        ancient(book_stamp(study)),


rule run:
    input:
        ancient(study.stamp("results")),


rule html:
    input:
        ancient(study.stamp("results")),
    output:
        book_stamp(study),
    params:
        stamp=book_stamp(study),
    shell:
        "birads step html {options} --stamp {params.stamp} && touch {output}"


rule results:
    input:
        [ancient(study.stamp(chapter)) for chapter in CHAPTERS],
    output:
        study.stamp("results"),
    params:
        stamp=study.stamp("results"),
    shell:
        "birads step results {options} --stamp {params.stamp} && touch {output}"


rule data:
    output:
        study.stamp("data"),
    params:
        stamp=study.stamp("data"),
    shell:
        "birads step data {options} --stamp {params.stamp} && touch {output}"


for chapter, needs in NEEDS.items():

    rule:
        name:
            chapter
        input:
            [ancient(study.stamp(step)) for step in needs],
        output:
            study.stamp(chapter),
        params:
            step=chapter,
            stamp=study.stamp(chapter),
        threads: workflow.cores
        shell:
            "birads step {params.step} {options} --stamp {params.stamp} && touch {output}"


if config.get("sweep"):

    from birads_lib.study.sweeps import NEEDED, group_stamp, read_sweeps

    seeds = f"--seeds {shlex.quote(str(config['seeds']))}" if "seeds" in config else ""

    sweeps = read_sweeps(profile, seeds=config.get("seeds"))

    for sweep in [sweeps[name] for name in config["sweep"].split(",")]:

        rule:
            name:
                f"sweep_{sweep.name}"
            input:
                [ancient(group_stamp(study, sweep, group)) for group in sweep.groups],

        # A group takes one core, so that several run side by side; a cluster's profile
        # gives each its own (set-threads).
        for group in sweep.groups:

            rule:
                name:
                    f"sweep_{sweep.name}_{group}"
                input:
                    ancient(study.stamp(NEEDED)),
                output:
                    group_stamp(study, sweep, group),
                params:
                    what=f"{sweep.name} --group {group} {seeds}",
                    stamp=group_stamp(study, sweep, group),
                shell:
                    "birads sweep {params.what} {options} --stamp {params.stamp} && touch {output}"
