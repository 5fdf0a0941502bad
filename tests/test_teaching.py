"""What a student meets: openings, self-checks, exercises with solutions, glossary, sources."""

import ast
import functools
import re
from pathlib import Path

import jupytext
import numpy as np
import pandas as pd
import pytest
import yaml
from pybtex.database import parse_file

from birads_lib import metrics
from birads_lib.agreement import best_answers
from birads_lib.labels import BIRADS
from birads_lib.study import arithmetic, paper
from birads_lib.tiles.assessments import conditional_table
from birads_lib.tiles.cbis_labels import ASSESSMENTS, shipped_counts
from birads_lib.tiles.layout import TRAINING_COUNTS

ROOT = Path(__file__).resolve().parents[1]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
FILES = [chapter["file"] for part in TOC["parts"] for chapter in part["chapters"]]
CHAPTERS = [name.removeprefix("notebooks/") for name in FILES if name.startswith("notebooks/")]
LESSONS = [*CHAPTERS, "birads_explained", "confusion_matrix"]
PAGES = sorted(path.stem for path in (ROOT / "book").glob("*.md"))
BIBLIOGRAPHY = parse_file(ROOT / "book" / "references.bib").entries

OPENING = ("**You will learn**", "**You need**", "**Time**")
SELF_CHECK = re.compile(r"^\*\*(.+?)\*\*\n\n:::\{dropdown\} Answer\n(.+?)\n:::$", re.M | re.S)
EXERCISE = re.compile(r"^\*\*(\d+)\.\*\* ", re.M)
SOLUTION = re.compile(r"^:::\{dropdown\} Solution\n(.+?)\n:::$", re.M | re.S)
CODE = re.compile(r"^```python\n(.+?)^```$", re.M | re.S)
CHANGE = re.compile(r"^```diff\n--- (\S+)\n\+\+\+ \1\n(.+?)^```$", re.M | re.S)
TERM = re.compile(r"\{term\}`(?:[^`<]*<([^`>]+)>|([^`<]+))`")
DOI = re.compile(r"10\.\d{4,9}/\S+")
BOX_CLASS = re.compile(r"^\s*:class:[ \t]*(.*)$", re.M)
LOOKS = {"important", "tip", "warning"}


@functools.cache
def cells(chapter):
    return jupytext.read(ROOT / "notebooks" / f"{chapter}.py", fmt="py:percent").cells


@functools.cache
def prose(name):
    """Markdown of a chapter, a blank line between two cells, or of a page."""
    if name in CHAPTERS:
        return "\n\n".join(c.source for c in cells(name) if c.cell_type == "markdown")
    return (ROOT / "book" / f"{name}.md").read_text(encoding="utf-8")


def section(name, heading):
    """Text below a heading of the second level, up to the next one."""
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", prose(name), re.M | re.S)
    assert found, f"{name}: no section {heading!r}"
    return found[1]


# What a lesson holds


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_opens_with_what_it_teaches_what_it_needs_and_how_long_it_takes(name):
    opening = prose(name)
    opening = cells(name)[0].source if name in CHAPTERS else opening[: opening.index("\n## ")]
    places = [opening.find(words) for words in OPENING]
    assert -1 < places[0] < places[1] < places[2]
    needed = opening[places[1] : places[2]]
    assert "](" in needed or name not in CHAPTERS, "link to what is needed"


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_asks_at_least_two_questions_each_with_an_answer_behind_a_click(name):
    text = section(name, "Check yourself")
    found = SELF_CHECK.findall(text)
    assert len(found) >= 2
    assert all(question.endswith("?") and len(answer) > 40 for question, answer in found)
    left = SELF_CHECK.sub("", text)
    assert not left.strip(), "a question without an answer, or an answer without a question"


@pytest.mark.parametrize("name", [n for n in LESSONS if "## Exercises" in prose(n)])
def test_each_exercise_is_followed_by_its_solution(name):
    text = section(name, "Exercises")
    _, *parts = EXERCISE.split(text)
    numbers, bodies = parts[::2], parts[1::2]
    assert numbers == [str(n) for n in range(1, len(numbers) + 1)]
    assert numbers
    for number, body in zip(numbers, bodies, strict=True):
        solutions = SOLUTION.findall(body)
        assert len(solutions) == 1, f"exercise {number}: {len(solutions)} solutions"
        assert len(solutions[0]) > 100
        assert body.index(":::{dropdown}") > 20, f"exercise {number}: asks nothing"


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_has_exercises_after_its_questions(name):
    assert 0 < prose(name).index("## Check yourself") < prose(name).index("## Exercises")


@pytest.mark.parametrize("name", LESSONS)
def test_every_box_is_closed(name):
    """Sphinx does not warn: a box that stays open swallows the rest of its page."""
    lines = prose(name).splitlines()
    assert sum(x.startswith(":::{") for x in lines) == sum(x.rstrip() == ":::" for x in lines)


@pytest.mark.parametrize("name", [*CHAPTERS, *PAGES])
def test_every_box_has_a_look_that_the_theme_knows(name):
    """What follows ``:class:`` on its line is taken for a class: text there would be lost."""
    assert [found for found in BOX_CLASS.findall(prose(name)) if found not in LOOKS] == []


# The code of solutions


def bound(module):
    """Names that a module of the library binds at its top, or that lie in its folder."""
    path = ROOT / module.replace(".", "/")
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    assert source.is_file(), f"no module {module}"
    names = {child.stem for child in path.glob("*.py")} if path.is_dir() else set()
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {x.id for t in targets for x in ast.walk(t) if isinstance(x, ast.Name)}
    return names


def imported(tree):
    """(module, name) of each name imported from the library."""
    return [
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("birads_lib")
        for alias in node.names
    ]


def is_module(name):
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@pytest.mark.parametrize("name", CHAPTERS)
def test_solutions_name_only_what_the_library_has(name):
    own = ast.parse("\n".join(c.source for c in cells(name) if c.cell_type == "code"))
    blocks = CODE.findall("\n".join(SOLUTION.findall(prose(name))))
    for tree in map(ast.parse, blocks):
        assert [pair for pair in imported(tree) if pair[1] not in bound(pair[0])] == []
        known = {x: f"{m}.{x}" for m, x in imported(own) + imported(tree)}
        modules = {alias: full for alias, full in known.items() if is_module(full)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                module = modules.get(node.value.id)
                assert not module or node.attr in bound(module), f"{module}.{node.attr}"


@pytest.mark.parametrize("name", [n for n in CHAPTERS if "```diff" in prose(n)])
def test_a_change_that_a_solution_shows_still_fits_its_file(name):
    changes = CHANGE.findall(prose(name))
    assert len(changes) == prose(name).count("```diff")
    for file, lines in changes:
        source = (ROOT / file).read_text(encoding="utf-8").splitlines()
        removed = [line[1:] for line in lines.splitlines() if line.startswith("-")]
        assert removed, f"{file}: nothing is taken away"
        assert set(removed) <= set(source), file


# Numbers that were worked out by hand


def chance_agreement(table):
    """Share that two readers with these habits agree on by chance; both name columns 2 to 5."""
    rows, columns = table.sum(axis=1).to_numpy(), table[[2, 3, 4, 5]].sum(axis=0).to_numpy()
    return rows @ columns / table.to_numpy().sum() ** 2


def most_malignant():
    """Share of malignant tiles with which drawn category 3 keeps to the ACR's 2 %."""
    given_3, tiles = conditional_table()[3].to_numpy(), np.array(TRAINING_COUNTS[1:])
    benign, malignant = (np.average(given_3[k : k + 2], weights=tiles[k : k + 2]) for k in (0, 2))
    odds = 0.02 / 0.98 * benign / malignant
    return odds / (1 + odds)


def worked_out():
    """Page, and the words that must stand in it if its arithmetic is right."""
    implied, bounds = arithmetic.implied_table_2(), arithmetic.end_to_end()
    stopped, (right, all_c5) = paper.FIGURE_5[1, 0], (paper.TABLE_1[3, 3], paper.TABLE_1[3].sum())
    counts = shipped_counts()
    table = pd.DataFrame(counts["by_assessment"]["all"]["merged"], index=ASSESSMENTS).T
    answers = {name: found["answers"] for name, found in best_answers(table, ASSESSMENTS).items()}
    left = counts["lesion_views"]["test"] - counts["both_sides"]["lesion_views"]["test"]
    fewest = np.trace(paper.FIGURE_5) - paper.FIGURE_5[0].sum()
    rare = metrics.class_figures([[9504, 396], [4, 96]]).loc[1, "precision"]
    return [
        ("gate", f"\\approx {rare:.3f}"),
        ("attention", f"/ 7239 \\approx {implied.loc['C2', 'accuracy']:.3f}$"),
        ("attention", f"that is ${implied['accuracy'].mean():.3f}$."),
        ("cascade", f"\\approx {bounds.loc['independent', 'of the infected']:.3f}"),
        ("cascade", f"That is {bounds.loc['independent', 'right']:,.0f} tiles"),
        *(("cascade", f"{bounds.loc[case, 'right']:,.0f}") for case in ("worst case", "best case")),
        ("paper_audit", f"\\approx {(right - stopped) / all_c5:.3f}"),
        ("paper_audit", f"\\approx {(all_c5 - stopped) / all_c5:.3f}"),
        ("label_meaning", f"\\approx {chance_agreement(table):.3f}"),
        ("label_meaning", f"\\approx {counts['agreement']['kappa']['value']:.3f}$"),
        ("label_meaning", f"best is {', '.join(map(str, answers['accuracy']))} for"),
        ("label_meaning", f"it is {', '.join(map(str, answers['kappa']))}, the"),
        ("label_meaning", f"kappa {', '.join(map(str, answers['quadratic_kappa']))}."),
        ("label_meaning", f"So {left} are left"),
        ("real_birads", {17: "one malignant tile in seventeen"}[round(1 / most_malignant())]),
        ("confusion_matrix", f"\\approx {fewest / paper.FIGURE_5[1].sum():.3f}$"),
    ]


@pytest.mark.parametrize(("name", "words"), worked_out(), ids=lambda x: x[:30])
def test_the_arithmetic_of_a_solution_is_right(name, words):
    assert words in " ".join(prose(name).split())


def test_of_the_cells_of_table_1_only_some_on_the_diagonal_can_change():
    """What the solution of the paper's audit says of one cell more or less."""
    solvable = set()
    for cell in np.ndindex(4, 4):
        for change in (1, -1):
            changed = paper.TABLE_1.copy()
            changed[cell] += change
            on_diagonal = cell[0] == cell[1]
            assert (None in arithmetic.column_constants(changed)) is not on_diagonal
            if arithmetic.integer_solutions(changed):
                solvable.add((cell, change))
    assert solvable == {((k, k), -1) for k in range(3)}


# Glossary


def glossary_terms():
    blocks = re.findall(r"^```\{glossary\}\n(.*?)^```$", prose("glossary"), re.M | re.S)
    lines = "\n".join(blocks).splitlines()
    return [line for line in lines if line and not line.startswith((" ", ":"))]


def test_no_term_is_explained_twice():
    terms = [term.lower() for term in glossary_terms()]
    assert sorted(terms) == sorted(set(terms))
    assert len(terms) > 50


@pytest.mark.parametrize("name", [*CHAPTERS, *PAGES])
def test_every_term_that_is_linked_is_explained(name):
    terms = {term.lower() for term in glossary_terms()}
    linked = [a or b for a, b in TERM.findall(" ".join(prose(name).split()))]
    assert prose(name).count("{term}`") == len(linked)
    assert [term for term in linked if term.strip().lower() not in terms] == []


@pytest.mark.parametrize("name", [*LESSONS, "own_data", "extend"])
def test_a_chapter_leads_to_the_glossary(name):
    assert "{term}`" in prose(name)


def test_entries_of_the_glossary_lead_to_one_another():
    assert prose("glossary").count("{term}`") > len(glossary_terms()) / 2


# Bibliography


@pytest.mark.parametrize("key", sorted(BIBLIOGRAPHY))
def test_every_source_can_be_found(key):
    fields = BIBLIOGRAPHY[key].fields
    assert {"doi", "url", "isbn"} & {name.lower() for name in fields}
    assert "doi" not in fields or DOI.fullmatch(fields["doi"])
    assert "url" not in fields or fields["url"].startswith("https://")


def isbn_is_valid(isbn):
    digits = [10 if x == "X" else int(x) for x in isbn if x not in "- "]
    if len(digits) == 13:
        return sum(x * (3 if i % 2 else 1) for i, x in enumerate(digits)) % 10 == 0
    return len(digits) == 10 and sum(x * (10 - i) for i, x in enumerate(digits)) % 11 == 0


@pytest.mark.parametrize("key", [k for k, e in BIBLIOGRAPHY.items() if "isbn" in e.fields])
def test_an_isbn_has_the_right_check_digit(key):
    assert isbn_is_valid(BIBLIOGRAPHY[key].fields["isbn"])


def test_no_two_sources_share_a_doi():
    fields = [entry.fields for entry in BIBLIOGRAPHY.values()]
    found = [own["doi"].lower() for own in fields if "doi" in own]
    assert sorted(found) == sorted(set(found))


def test_the_table_of_categories_says_what_the_library_says():
    rows = re.findall(r"^\| (\d) \| (.+?) \| (.+?) \| (.+?) \|$", prose("birads_explained"), re.M)
    assert [int(number) for number, *_ in rows] == [c.category for c in BIRADS]
    for (_, meaning, likelihood, _), category in zip(rows, BIRADS, strict=True):
        assert bounds_of(likelihood) == category.bounds, category
        assert meaning.split()[0].strip(":") in (category.meaning.split()[0], "cancer"), category


def bounds_of(likelihood):
    """Shares that a likelihood in words reaches from and to; ``None`` where it has no numbers."""
    numbers = [int(number) / 100 for number in re.findall(r"(\d+) %", likelihood)]
    if "or more" in likelihood:
        return numbers[0], 1.0
    return (numbers[0], numbers[-1]) if numbers else None
