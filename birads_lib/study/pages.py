"""Parts of pages that are made when the book is built, as Markdown: no number is typed.

A page says where a part belongs by a comment on a line of its own::

    <!-- run: findings -->
    <!-- modules: tiles -->

The first is made from a run; ``PARTS`` lists them. The second is the API reference of a
package's modules, built from their docstrings; ``.`` stands for ``birads_lib`` itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
import pandas as pd
from nbformat import NotebookNode

from birads_lib.errors import one_of
from birads_lib.files import read_json, sha256
from birads_lib.labels import CLASSES
from birads_lib.metrics import figure_title, in_words, intervals_in_words
from birads_lib.study.cards import published_data_card, published_model_card
from birads_lib.study.downloads import (
    DATA_CARD,
    DOWNLOADS,
    MANIFEST_SCHEMA,
    MODEL_CARD,
    RESULTS,
    SUMS,
    figure_files,
    prediction_tables,
)
from birads_lib.study.judgements import FAILS, HOLDS, NOTE, UNTESTABLE
from birads_lib.study.machine import TIMINGS
from birads_lib.study.markup import code, plain
from birads_lib.study.measurements import MEASURED, REPEAT, read_measurements, repeat_table
from birads_lib.study.notebooks import run_parameters
from birads_lib.study.profiles import CHAPTERS, DATA, NOTEBOOKS
from birads_lib.study.questions import PREFIX
from birads_lib.study.verdicts import NEEDS_KAGGLE, NOT_REPRODUCED, PARTLY, REPRODUCED

MARK = re.compile(r"^<!-- (run|modules): (\S+) -->$", re.MULTILINE)
NUMBER = re.compile(r"[\d,.:]*(\s[kMG]B)?")
PACKAGE = Path(__file__).parents[1]
PLACES = ("SRC", "RUN", "EXTERNAL")  # folders of a machine, which decide no result
SAID = {
    HOLDS: "hold",
    NOTE: "hold with a note",
    UNTESTABLE: "cannot be tested",
    REPRODUCED: "were reproduced",
    PARTLY: "were reproduced in part",
    NOT_REPRODUCED: "were not reproduced",
    NEEDS_KAGGLE: "need the Kaggle set",
}
"""Verdicts but ``FAILS``, as the end of a sentence that begins with their number."""
SHOWN = 12  # digits of a digest on a page; the files have all
SWEEPS = "sweeps"
SMOKE = "smoke"
UNKNOWN = "-"
PAGES = "html"  # the step that builds them
SIMULATED_TILES = "{bdg-warning}`simulated tiles`"
REAL_TILES = "{bdg-info}`real tiles`"


def fill_page(text: str, run: Path) -> str:
    """A page with every part that it asks for.

    Raises:
        UsageError: It asks for a part that does not exist.
        DataError: The run lacks what a part is made from.
    """

    def part(mark: re.Match[str]) -> str:
        kind, name = mark.groups()
        return modules(name) if kind == "modules" else PARTS[one_of("part", name, PARTS)](run)

    return MARK.sub(lambda mark: part(mark).strip(), text)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; cells are Markdown. Columns of numbers alone are aligned right."""
    cells = [[_cell(value) for value in row] for row in rows]
    columns = list(zip(*cells, strict=True)) or [()] * len(head)
    rule = ["---:" if all(map(NUMBER.fullmatch, column)) else "---" for column in columns]
    lines = [list(map(_cell, head)), rule, *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cell(value: Any) -> str:
    return str(value).replace("\n", " ").replace("|", r"\|")


def bullets(lines: Iterable[str]) -> str:
    """A Markdown list."""
    return "".join(f"* {line}\n" for line in lines)


def within(name: str, text: str) -> str:
    """Markdown in a division of a class, which ``study.css`` knows."""
    return f":::{{div}} {name}\n{text}:::\n"


def file_link(place: str, text: str) -> str:
    """A link to a file below ``downloads/``, from any page of the book.

    HTML, since Sphinx would take the file for a page that it does not know.
    """
    return f'<a href="../{DOWNLOADS}/{quote(place)}" download>{plain(text)}</a>'


def chapter_link(chapter: str, text: str) -> str:
    return f"[{text}](../notebooks/{chapter}.ipynb)"


def short(digest: str | None) -> str:
    """First digits of a digest or commit, as code."""
    return f"`{digest[:SHOWN]}`" if digest else UNKNOWN


def size(count: int) -> str:
    """Bytes in words, such as ``"12 kB"``, on one line."""
    return (
        f"{count / 1e6:,.1f}\N{NO-BREAK SPACE}MB"
        if count >= 1e6
        else f"{count / 1e3:,.0f}\N{NO-BREAK SPACE}kB"
    )


# The API reference


def modules(package: str) -> str:
    """What Sphinx is told to build the reference of a package's modules from.

    Args:
        package: A folder below ``birads_lib``, such as ``"tiles"``; ``"."`` for itself.

    Raises:
        UsageError: No such package.
    """
    folder = PACKAGE / one_of("package", package, packages())
    found = sorted(path for path in folder.glob("*.py") if path.stem != "__init__")
    sections = []
    for path in found:
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        directive = f"```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n```\n"
        sections.append(f"## {name.removeprefix(f'{PACKAGE.name}.')}\n\n{directive}")
    return "\n".join(sections)


def packages() -> list[str]:
    """Folders of modules below ``birads_lib``, and ``"."`` for itself."""
    found = sorted(PACKAGE.rglob("__init__.py"))
    return [path.parent.relative_to(PACKAGE).as_posix() for path in found]


# The front page


def findings(run: Path) -> str:
    """Three findings as cards, each with its numbers and a link to where they come from."""
    cards = [
        ("What the paper prints", "verdict", _verdicts_in_words(run)),
        ("What its labels mean", "label_meaning", _agreement_in_words(run)),
        ("What the chain reaches", "cascade", _chain_in_words(run)),
    ]
    grid = "".join(
        f":::{{grid-item-card}} {title}\n:link: ../notebooks/{chapter}\n:link-type: doc\n"
        f":link-alt: {title}, the chapter\n\n{text}\n:::\n\n"
        for title, chapter, text in cards
    )
    return f"::::{{grid}} 1 1 3 3\n:gutter: 3\n:class-container: findings\n\n{grid}::::\n"


def _verdicts_in_words(run: Path) -> str:
    found = read_json(run / "results" / "verdicts.json")
    verdicts = [verdict for verdict in found if not verdict["id"].startswith(PREFIX)]
    counts = Counter(verdict["verdict"] for verdict in verdicts)
    rest = [f"{counts[word]} {said}" for word, said in SAID.items() if counts[word]]
    return (
        f"**{counts[FAILS]} of {len(verdicts)}**\n\n"
        "of the paper's statements, single cells of its tables among them, do not hold. "
        f"{_and(rest)}."
    )


def _and(parts: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)


def _agreement_in_words(run: Path) -> str:
    found = read_json(run / "results" / "label_meaning.json")["agreement"]
    constant = found["constant"]
    return (
        f"**{100 * found['accuracy']['value']:.1f} %**\n\n"
        f"of {found['lesion_views']:,} real lesion-views get the radiologist's BI-RADS category if "
        f"C2 to C5 are read as BI-RADS 2 to 5. Always answering {constant['answer']} gets "
        f"{100 * constant['accuracy']['value']:.1f} %. "
        f"Kappa is {in_words(found['kappa'], '.2f')}."
    )


def _chain_in_words(run: Path) -> str:
    right = read_json(run / "results" / "cascade.json")["infected_right"]
    bound = read_json(run / "results" / "paper_audit.json")["end_to_end"]
    low, high = (100 * bound[case]["of the infected"] for case in ("worst case", "best case"))
    simulated = read_json(run / "models" / "cascade" / "cascade.json")["about"]["simulated"]
    return (
        f"**{100 * right['value']:.1f} %**\n\n"
        f"{SIMULATED_TILES if simulated else REAL_TILES}\n\n"
        "of the infected held-out tiles end in their right class after all three networks"
        f"{_interval(right)}. One training, profile {plain(run.name)}{_warning(run)}. "
        f"The paper prints no such figure; its matrices bound it to {low:.1f} to {high:.1f} %."
    )


def _interval(share: Mapping[str, Any]) -> str:
    if share["interval"] is None:
        return ""
    low, high = (100 * bound for bound in share["interval"])
    return f" (95 % interval {low:.1f} to {high:.1f})"


def _warning(run: Path) -> str:
    """What must be said of a measured number of the smallest profile."""
    return ", a test whose numbers mean nothing" if run.name.split("-")[0] == SMOKE else ""


# Status


def status_steps(run: Path) -> str:
    """When each step of a run ran, for how long, and what it held in memory."""
    steps = read_timings(run)
    if not steps:
        return "No times were recorded with this run.\n"
    rows = [
        (
            _step_name(step["step"]),
            minutes(step["seconds"]),
            UNKNOWN if step["peak_memory_gb"] is None else f"{step['peak_memory_gb']:.1f} GB",
            step["date"][:16].replace("T", " "),
            short(step["commit"]),
        )
        for step in steps
    ]
    total = minutes(sum(step["seconds"] for step in steps))
    head = ("step", "time", "peak memory", "began (UTC)", "commit")
    return within("plain-rows", table(head, [*rows, ("together", total, "", "", "")]))


def status_machine(run: Path) -> str:
    """The machines that ran the steps, and the versions there."""
    machines: dict[str, list[str]] = {}
    described: dict[str, dict[str, Any]] = {}
    for step in read_timings(run):
        machines.setdefault(str(step["machine"]), []).append(step["step"])
        described[str(step["machine"])] = step["machine"]
    if not machines:
        return "Nor was the machine.\n"
    return "\n".join(
        _machine_table(described[key], steps if len(machines) > 1 else [])
        for key, steps in machines.items()
    )


def _machine_table(machine: Mapping[str, Any], steps: Sequence[str]) -> str:
    facts = [
        ("processor", machine["processor"]),
        ("cores", machine["cores"]),
        *_computing(machine),
        ("memory", f"{machine['memory_gb']:.0f} GB"),
        ("system", machine["system"]),
        ("Python", machine["python"]),
        *machine["packages"].items(),
    ]
    named = [("steps", ", ".join(steps))] if steps else []
    return table(("what", "which"), [tuple(map(plain, fact)) for fact in [*named, *facts]])


def _computing(machine: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What else sums depend on; nothing of a step that ran before this was recorded."""
    if "flags" not in machine:
        return []
    threads = ", ".join(f"{name}={value}" for name, value in machine["threads"].items())
    return [
        ("cores that it could use", machine["usable_cores"]),
        ("instructions", ", ".join(machine["flags"]) or "none of those that networks use"),
        ("threads set by the environment", threads or "none"),
        ("oneDNN in TensorFlow", machine["oneDNN"]),
    ]


def status_repeats(run: Path) -> str:
    """How far the answers of a training go with what does not repeat."""
    measured = read_measurements(MEASURED) or {"machine": {}, "results": {}}
    rows = repeat_table(measured)
    if rows.empty:
        return "How far they differ was not measured here; `make bench ONLY=repeat` does.\n"
    asked, machine = measured["results"][REPEAT], measured["machine"]
    facts = asked["facts"]
    head = ("the same training, with", *rows.columns)
    return (
        f"A gate was trained for {facts['epochs']} epochs and judged "
        f"{facts['tiles that are judged']:,} simulated tiles it had not seen (`make bench "
        f"ONLY=repeat`, {plain(asked['date'])}, commit {short(asked['commit'])}, on "
        f"{plain(machine['processor'])} with {machine['cores']} cores). Each row compares pairs of "
        "such trainings: the median over pairs, in brackets least and most.\n\n"
        + table(head, [tuple(map(plain, row)) for row in rows.itertuples()])
    )


def status_run(run: Path) -> str:
    """Profile, data, commit and model of a run."""
    data, model = published_data_card(run)["run"], published_model_card(run)["run"]
    commits = {step["commit"] for step in read_timings(run)}
    return table(
        ("what", "which"),
        [
            ("profile", plain(data["profile"])),
            ("tiles", f"{data['tiles']:,}, {'simulated' if data['simulated'] else 'real'}"),
            ("digest of the data", f"`{data['data_digest']}`"),
            ("digest of the cascade", f"`{model['model_digest']}`"),
            ("commit", ", ".join(sorted(map(short, commits))) or UNKNOWN),
        ],
    )


def read_timings(run: Path) -> list[dict[str, Any]]:
    """What ``machine.timed_step`` wrote, in the order of the study, then the sweeps."""
    order = {step: place for place, step in enumerate((DATA, *CHAPTERS, "results", PAGES))}
    own = [read_json(path) for path in (run / TIMINGS).glob("*.json")]
    own = sorted((step for step in own if step["step"] in order), key=lambda s: order[s["step"]])
    swept = sorted((run / SWEEPS).glob(f"*/{TIMINGS}/*.json"))
    return own + [
        {**read_json(path), "step": f"sweep {path.parents[1].name}, {path.stem}"} for path in swept
    ]


def _step_name(step: str) -> str:
    if step == PAGES:
        return "the pages, when last built"  # before this page was written
    return chapter_link(step, step.replace("_", " ")) if step in CHAPTERS else plain(step)


def minutes(seconds: float) -> str:
    """``"0:07"``, ``"12:30"``, ``"1:02:05"``: minutes and seconds, hours if there are any."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    clock = f"{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
    return f"{hours}:{clock}" if hours else clock


# How each figure was made


def figure_index(run: Path) -> str:
    """Every figure and table of a run, by chapter: what made it, from what, and its files."""
    offered = {path.name for path in figure_files(run)}
    described = [read_json(path) for path in sorted((run / "figures").glob("*.json"))]
    sections = []
    for chapter in CHAPTERS:
        own = [figure for figure in described if figure["chapter"] == chapter]
        notebook = executed_chapter(run, chapter)
        shown = nbformat.writes(notebook)
        rows = [_figure_row(figure, f'"fig-{figure["name"]}"' in shown, offered) for figure in own]
        body = table(("name", "what it shows", "SHA-256", "files"), rows)
        sections.append(
            f"## {title_of(notebook)}\n\n{_made_by(chapter, own, run)}\n\n"
            f"{_parameters(notebook)}\n{within('figures-made', body) if rows else ''}"
        )
    return "\n".join(sections)


def _figure_row(figure: Mapping[str, Any], linked: bool, offered: set[str]) -> list[str]:
    name = figure["name"]
    files = [f"{name}.{end}" for end in ("json", "svg", "csv") if f"{name}.{end}" in offered]
    return [
        f"[{code(name)}](#fig-{name})" if linked else code(name),
        figure["caption"].split(" [")[0],
        short(figure["sha256"]),
        ", ".join(file_link(f"figures/{file}", file.rsplit(".")[-1].upper()) for file in files),
    ]


def _made_by(chapter: str, figures: Sequence[Mapping[str, Any]], run: Path) -> str:
    """Chapter, script, profile, seed, data and commit of a chapter's figures."""
    script = file_link(f"notebooks/{chapter}.py", "script")
    links = f"{chapter_link(chapter, 'This chapter')} ({script})"
    if not figures:
        return f"{links} shows no figure or table in this run."
    seeds, data, commits = (_each(figures, key) for key in ("seed", "data", "commit"))
    tiles = f"data {', '.join(map(short, data))}, " if any(data) else ""
    return (
        f"{links} made them with profile {plain(run.name)}, seed {', '.join(map(str, seeds))}, "
        f"{tiles}at commit {', '.join(map(short, commits))}."
    )


def _each(figures: Sequence[Mapping[str, Any]], key: str) -> list[Any]:
    """The values of a field, each once: one, as long as a chapter runs as a whole."""
    return list(dict.fromkeys(figure[key] for figure in figures))


def _parameters(notebook: NotebookNode) -> str:
    """What a chapter ran with, folded away."""
    values = {k: v for k, v in run_parameters(notebook).items() if k not in PLACES}
    said = ", ".join(code(f"{name} = {value!r}") for name, value in values.items())
    return f":::{{dropdown}} Parameters of this run\n{said or 'None.'}\n:::\n"


def executed_chapter(run: Path, chapter: str) -> NotebookNode:
    return nbformat.read(run / "notebooks" / f"{chapter}.ipynb", as_version=4)


def title_of(notebook: NotebookNode) -> str:
    """The first heading of a chapter."""
    return re.search(r"^# (.+)$", notebook.cells[0].source, re.MULTILINE)[1]  # type: ignore[index]


# Downloads


def predictions(run: Path) -> str:
    """The run's tables of predictions with their size."""
    rows = [
        (
            code(path.stem),
            f"{file_link(f'predictions/{path.name}', 'Parquet')}, "
            f"{file_link(f'predictions/{path.stem}.csv', 'CSV')}",
            f"{len(read):,}",
            len(read.columns),
            size(path.stat().st_size),
        )
        for path in prediction_tables(run)
        for read in [pd.read_parquet(path)]
    ]
    head = ("table", "files", "rows", "columns", "size")
    return within("plain-rows", table(head, rows))


def result_files(run: Path) -> str:
    """Metrics, verdicts and ledger as links, with their digests."""
    files = [run / "results" / name for name in RESULTS]
    rows = [
        (file_link(f"results/{f.name}", f.name), size(f.stat().st_size), short(sha256(f)))
        for f in files
    ]
    return within("plain-rows", table(("file", "size", "SHA-256"), rows))


def card_files(run: Path) -> str:
    """Links to the two cards, to what they keep to, and to the list of digests."""
    data_schema, model_schema = (f"{Path(c).stem}.schema.json" for c in (DATA_CARD, MODEL_CARD))
    return bullets(
        [
            f"{file_link(DATA_CARD, DATA_CARD)}: [](data_card.md) as data; its schema is "
            f"{file_link(data_schema, data_schema)}",
            f"{file_link(MODEL_CARD, MODEL_CARD)}: [](model_card.md) as data, with the digests and "
            "every figure of merit of this run; its schema is "
            f"{file_link(model_schema, model_schema)}",
            f"{file_link(MANIFEST_SCHEMA, MANIFEST_SCHEMA)}: the schema of the manifest that "
            "`birads export` writes",
            f"{file_link(SUMS, SUMS)}: full digests of all files here, for "
            f"`sha256sum --check {SUMS}`",
        ]
    )


def chapter_files(run: Path) -> str:
    """Each chapter as an executed notebook and as its script."""
    rows = []
    for chapter in CHAPTERS:
        notebook, script = run / "notebooks" / f"{chapter}.ipynb", NOTEBOOKS / f"{chapter}.py"
        title = title_of(executed_chapter(run, chapter))
        links = [
            f"{file_link(f'notebooks/{path.name}', path.name)}, {size(path.stat().st_size)}"
            for path in (notebook, script)
        ]
        rows.append((chapter_link(chapter, title), *links))
    return table(("chapter", "executed", "script"), rows)


def chapter_header(chapter: str, address: str | None = None) -> str:
    """First lines of a chapter's page: its files, and where else it opens.

    Args:
        chapter: Its name.
        address: Of the notebook in the repository that the book is built from, if any.
    """
    links = [
        file_link(f"notebooks/{chapter}.ipynb", "executed notebook"),
        file_link(f"notebooks/{chapter}.py", "script"),
    ]
    if address:
        links.append(f"[open on Kaggle](https://kaggle.com/kernels/welcome?src={address})")
    told = f"This chapter as a file: {', '.join(links)}."
    if address:
        told += (
            " On Kaggle and Colab install the library first, as [this section]"
            "(../book/how_to_read.md#in-binder-colab-or-kaggle) says."
        )
    return within("chapter-files", f"{told}\n").strip()


# Cards


def data_sources(run: Path) -> str:
    """Where tiles come from, on what terms."""
    rows = [
        (
            source["name"],
            "simulated" if source["simulated"] else "real",
            f"{source['origin']} {cited(source['cite'])}",
            source["licence"],
            f"[DOI](https://doi.org/{source['doi']})" if source["doi"] else UNKNOWN,
        )
        for source in published_data_card(run)["sources"]
    ]
    return table(("Source", "Real?", "Where it comes from", "Terms", "DOI"), rows)


def data_counts(run: Path) -> str:
    """The Kaggle set's known counts."""
    known = published_data_card(run)["kaggle_counts"]
    held_out = [sum(pair) for pair in zip(known["test10"], known["cv10"], strict=True)]
    rows = [
        (each.label, each.title, f"{training:,}", f"{apart:,}")
        for each, training, apart in zip(CLASSES, known["training"], held_out, strict=True)
    ]
    head = ("Label", "Class", "Training files", "test10 and cv10 together")
    return table(head, [*rows, ("", "all", f"{sum(known['training']):,}", f"{sum(held_out):,}")])


def data_run(run: Path) -> str:
    """What this run's tiles are, and how many of each class."""
    facts = published_data_card(run)["run"]
    parts = facts["counts"]
    rows = [(each.label, each.title, *(f"{parts[p][each.label]:,}" for p in parts))
            for each in CLASSES]  # fmt: skip
    kind = "simulated" if facts["simulated"] else "real"
    return (
        f"{facts['tiles']:,} {kind} tiles of {facts['groups']:,} groups, profile "
        f"{plain(facts['profile'])}, digest {short(facts['data_digest'])}.\n\n"
        + table(("Label", "Class", *parts), rows)
    )


def data_uses(run: Path) -> str:
    card = published_data_card(run)
    meant, not_meant = ("; ".join(card[key]) for key in ("intended_use", "out_of_scope"))
    return f"**Meant for:** {meant}.\n\n**Not meant for:** {not_meant}.\n"


def model_networks(run: Path) -> str:
    """The three networks side by side."""
    networks = published_model_card(run)["networks"]
    rows = [
        ("Task", *(n["task"] for n in networks)),
        ("Design", *(f"{n['design']} {cited(n['cite'])}" for n in networks)),
        ("Takes", *(n["takes"] for n in networks)),
        ("Gives", *(n["gives"] for n in networks)),
        ("In the paper", *(n["paper"] for n in networks)),
        ("Chapter", *(chapter_link(n["chapter"], n["name"]) for n in networks)),
    ]
    return table(("property", *(n["name"] for n in networks)), rows)


def model_uses(run: Path) -> str:
    return bullets(published_model_card(run)["intended_use"])


def model_scope(run: Path) -> str:
    return bullets(published_model_card(run)["out_of_scope"])


def model_metrics(run: Path) -> str:
    """The run's overall figures of merit on held-out tiles, each with its interval."""
    facts = published_model_card(run)["run"]
    official = [m for m in facts["metrics"] if m["protocol"] == "official"]
    names = ("accuracy", "balanced_accuracy", "auroc", "auprc", "expected_calibration_error")
    rows = [
        (figure_title(name), *(in_words(m["figures"].get(name)) for m in official))
        for name in names
    ]
    kind = "**simulated** tiles" if facts["simulated"] else "real tiles"
    intervals = " or ".join(sorted(set(map(intervals_in_words, official))))
    return (
        f"Measured on held-out {kind}, protocol `official`, profile "
        f"{plain(facts['profile'])}, with {intervals}; cascade {short(facts['model_digest'])}, "
        f"data {short(facts['data_digest'])}. Each network was trained once. The stage `birads` "
        "is the network of [](../notebooks/real_birads.ipynb), which says whether its categories "
        f"are a radiologist's or were drawn. All others, by class and protocol, are in "
        f"{file_link(MODEL_CARD, MODEL_CARD)}.\n\n"
        + table(("figure", *(f"{m['stage']}, {m['tiles']:,} tiles" for m in official)), rows)
    )


def cited(keys: Sequence[str]) -> str:
    return f"{{cite:p}}`{','.join(keys)}`"


PARTS: Mapping[str, Callable[[Path], str]] = {
    part.__name__: part
    for part in (
        findings, status_steps, status_machine, status_repeats, status_run, figure_index,
        predictions, result_files, card_files, chapter_files, data_sources, data_counts,
        data_run, data_uses, model_networks, model_uses, model_scope, model_metrics,
    )
}  # fmt: skip
"""Every part that a page may ask for, by name: from a run's folder to Markdown."""
