"""Parts of pages that are made from a run: their numbers are the run's."""

import importlib
import re
from collections import Counter
from pathlib import Path

import pytest

from birads_lib.errors import UsageError
from birads_lib.files import read_json, write_json
from birads_lib.metrics import in_words
from birads_lib.study import pages
from birads_lib.study.profiles import CHAPTERS
from birads_lib.study.verdicts import WORDS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "book").glob("*.md"))
CONTRACT = {
    "birads_lib.tiles": (
        "TileStore", "make_splits", "merge_ddsm10", "tiles_from_cbis", "tiles_from_mias",
        "write_phantom",
    ),
    "birads_lib.networks": (
        "ChannelAttention", "SpatialAttention", "attention_scorer", "denoising_autoencoder",
        "mobilenet_gate",
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _(in_project):
    """Parts read the project's cards and scripts."""


def marks():
    """What the pages of the book ask for: (kind, name)."""
    return [mark for page in PAGES for mark in pages.MARK.findall(page.read_text())]


# Marks


def test_every_part_is_asked_for_by_one_page_and_exists():
    asked = Counter(name for kind, name in marks() if kind == "run")
    assert asked == dict.fromkeys(pages.PARTS, 1)


def test_a_mark_gives_way_to_its_part_and_the_rest_of_the_page_stays(finished_run):
    text = "# Title\n\n<!-- run: data_uses -->\n\nEnd. <!-- run: data_uses -->\n"
    filled = pages.fill_page(text, finished_run)
    assert filled.startswith("# Title\n\n**Meant for:**")
    assert filled.endswith("\n\nEnd. <!-- run: data_uses -->\n")


def test_an_unknown_part_or_package_is_named(finished_run):
    with pytest.raises(UsageError, match="part: unknown 'weather'"):
        pages.fill_page("<!-- run: weather -->", finished_run)
    with pytest.raises(UsageError, match="package: unknown 'weather'"):
        pages.fill_page("<!-- modules: weather -->", finished_run)


def test_a_cell_with_a_bar_or_a_line_break_stays_one_cell():
    assert pages.table(("a", "n"), [("x | y\nz", "1,024")]) == (
        "| a | n |\n| --- | ---: |\n| x \\| y z | 1,024 |\n"
    )


# The API reference


def test_every_module_of_the_library_is_on_one_page_of_the_reference():
    asked = [pages.modules(name) for kind, name in marks() if kind == "modules"]
    listed = Counter(re.findall(r"automodule:: (\S+)", "".join(asked)))
    files = (ROOT / "birads_lib").rglob("*.py")
    expected = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in files
        if path.stem != "__init__"
    }
    assert listed == dict.fromkeys(expected, 1)


def test_the_overview_names_what_the_contract_promises():
    overview = (ROOT / "book" / "api.md").read_text()
    for package, names in CONTRACT.items():
        module = importlib.import_module(package)
        for name in names:
            defined = getattr(module, name)
            assert f"`~{defined.__module__}.{name}`" in overview


# The front page


def test_the_findings_are_those_of_the_results(finished_run):
    said = pages.findings(finished_run)
    verdicts = read_json(finished_run / "results" / "verdicts.json")
    fails = sum(v["verdict"] == "does not hold" for v in verdicts)
    assert f"**{fails} of {len(verdicts)}**" in said
    agreement = read_json(finished_run / "results" / "label_meaning.json")["agreement"]
    assert f"**{100 * agreement['accuracy']['value']:.1f} %**" in said
    assert in_words(agreement["kappa"], ".2f") in said
    right = read_json(finished_run / "results" / "cascade.json")["infected_right"]
    assert f"**{100 * right['value']:.1f} %**" in said
    assert all(f"{100 * x:.1f}" in said for x in right["interval"])
    for chapter in ("verdict", "label_meaning", "cascade"):
        assert f":link: ../notebooks/{chapter}\n" in said


def test_other_verdicts_change_the_front_page(finished_run, copied):
    verdicts = read_json(copied / "results" / "verdicts.json")
    write_json(copied / "results" / "verdicts.json", [{**v, "verdict": "holds"} for v in verdicts])
    assert f"**0 of {len(verdicts)}**" in pages.findings(copied)
    assert f"do not hold. {len(verdicts)} hold." in pages.findings(copied)


def test_every_verdict_has_its_words():
    assert {*pages.SAID, "does not hold"} == set(WORDS)


def test_a_measured_number_of_a_smoke_run_is_not_to_be_quoted(finished_run, copied):
    assert "profile smoke, a test whose numbers mean nothing." in pages.findings(finished_run)
    laptop = copied.rename(copied.with_name("laptop"))
    assert "One training, profile laptop. The paper" in pages.findings(laptop)


@pytest.mark.parametrize("simulated", [True, False])
def test_a_measured_share_says_on_what_tiles(copied, simulated):
    path = copied / "models" / "cascade" / "cascade.json"
    write_json(path, {**read_json(path), "about": {"simulated": simulated}})
    said = pages.findings(copied)
    assert ("`simulated tiles`" in said) is simulated
    assert ("`real tiles`" in said) is not simulated


# Status


def test_status_lists_the_steps_in_the_studys_order_and_the_machine(finished_run):
    said = pages.status_steps(finished_run)
    steps = re.findall(r"^\| \[?([a-z ]+)", said, re.M)
    assert steps == ["step ", "data merging", "gate", "verdict", "together "]
    step = read_json(finished_run / "timings" / "gate.json")
    assert pages.minutes(step["seconds"]) in said
    machine = pages.status_machine(finished_run)
    assert machine.count("| processor |") == 1, "one machine is described once"
    assert step["machine"]["processor"] in machine
    for package, version in step["machine"]["packages"].items():
        assert f"| {package} | {version} |" in machine


def test_steps_of_two_machines_are_told_apart(copied):
    path = copied / "timings" / "gate.json"
    step = read_json(path)
    write_json(path, {**step, "machine": {**step["machine"], "cores": 512}})
    machine = pages.status_machine(copied)
    assert machine.count("| processor |") == 2
    assert "| steps | gate |" in machine
    assert "| steps | data_merging, verdict |" in machine


def test_a_run_without_times_says_so(copied):
    for path in (copied / "timings").iterdir():
        path.unlink()
    assert "No times were recorded" in pages.status_steps(copied)
    assert "| commit | - |" in pages.status_run(copied)


@pytest.mark.parametrize(
    ("seconds", "clock"), [(7.4, "0:07"), (59.7, "1:00"), (750, "12:30"), (3725, "1:02:05")]
)
def test_times_are_minutes_and_seconds(seconds, clock):
    assert pages.minutes(seconds) == clock


# Figures


def test_the_index_says_how_each_figure_was_made(finished_run):
    index = pages.figure_index(finished_run)
    for path in (finished_run / "figures").glob("*.json"):
        figure = read_json(path)
        (row,) = re.findall(rf"^\| \[?`{figure['name']}`.*$", index, re.M)
        assert f"`{figure['sha256'][:12]}`" in row
        assert f"../downloads/figures/{path.name}" in row
    assert (
        f"made them with profile smoke, seed 3, data `{figure['data'][:12]}`, "
        f"at commit `{figure['commit'][:12]}`."
    ) in index
    assert "[`curve`](#fig-curve)" in index, "a figure on a page is linked"
    assert "[`tiles`]" not in index, "what no chapter shows has no place to link to"
    assert r"length \| with a bar" in index


def test_the_index_states_the_parameters_of_the_run_without_its_places(finished_run):
    index = pages.figure_index(finished_run)
    assert "`SEED = 0`, `EPOCHS = 3`" in index
    assert "/home/me" not in index
    assert index.count("## ") == len(CHAPTERS)


# Downloads and cards


def test_each_table_of_predictions_is_listed_with_its_size(finished_run):
    listed = pages.predictions(finished_run)
    for path in (finished_run / "predictions").iterdir():
        assert f"../downloads/predictions/{path.name}" in listed
        assert f"../downloads/predictions/{path.stem}.csv" in listed


def test_a_chapters_header_names_kaggle_only_where_its_notebook_is_public():
    assert "kaggle" not in pages.chapter_header("gate").lower()
    address = "https://github.com/o/r/blob/abc/notebooks/gate.ipynb"
    header = pages.chapter_header("gate", address)
    assert f"src={address})" in header
    assert "install the library first" in header


def test_the_model_card_shows_official_figures_with_intervals_and_what_tiles(finished_run):
    said = pages.model_metrics(finished_run)
    records = read_json(finished_run / "results" / "metrics.json")
    for record in records:
        assert in_words(record["overall"]["balanced_accuracy"]) in said
    assert "**simulated** tiles" in said
    assert "95 % intervals by group" in said
    assert "by tile" not in said


def test_the_model_card_says_where_each_tile_is_its_own_group(copied):
    path = copied / "results" / "metrics.json"
    write_json(path, [{**record, "groups": record["tiles"]} for record in read_json(path)])
    assert "with 95 % intervals by tile (" in pages.model_metrics(copied)
