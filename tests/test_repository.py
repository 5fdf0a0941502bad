"""The repository's papers agree with one another: lock, environment, citation, book, workflows."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]

PYTHONS = ("3.11", "3.12", "3.13")
MOST_BYTES = 700_000  # of any file in the repository

PIN = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)"
    r"\s*(?:;\s*(?P<marker>[^\\]+))?"
)
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")

# Jupyter Book 1 takes unknown keys without a word. A tuple lists the keys below a key;
# () is a value. Keys of sphinx.config are Sphinx's or an extension's own.
CONFIG_KEYS: dict[str, tuple[str, ...]] = {
    "title": (),
    "author": (),
    "copyright": (),
    "logo": (),
    "exclude_patterns": (),
    "only_build_toc_files": (),
    "bibtex_bibfiles": (),
    "execute": ("execute_notebooks",),
    "parse": ("myst_enable_extensions",),
    "html": (
        "baseurl",
        "extra_footer",
        "favicon",
        "home_page_in_navbar",
        "use_edit_page_button",
        "use_issues_button",
        "use_multitoc_numbering",
        "use_repository_button",
    ),
    "repository": ("url",),
    "latex": ("latex_engine", "latex_documents"),
    "sphinx": ("config", "extra_extensions", "local_extensions"),
}
SPHINX_KEYS = {
    "add_module_names",
    "autodoc_member_order",
    "autodoc_typehints_format",
    "bibtex_default_style",
    "bibtex_reference_style",
    "html_context",
    "html_css_files",
    "html_domain_indices",
    "html_extra_path",
    "html_js_files",
    "html_static_path",
    "html_use_index",
    "language",
    "mathjax_path",
    "myst_heading_anchors",
    "napoleon_attr_annotations",
    "napoleon_numpy_docstring",
    "napoleon_use_ivar",
    "napoleon_use_rtype",
    "nb_merge_streams",
    "nb_render_image_options",
    "nb_render_markdown_format",
    "nitpick_ignore_regex",
    "suppress_warnings",
    "templates_path",
}


def _yaml(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


@cache
def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _direct_dependencies() -> list[str]:
    extras = _project().get("optional-dependencies", {})
    extra = [line for lines in extras.values() for line in lines]
    return sorted({*_project()["dependencies"], *extra})


@cache
def _locked() -> dict[str, list[tuple[Version, Marker | None, int]]]:
    """Pins of each package: version, marker, number of hashes."""
    pins: dict[str, list[tuple[Version, Marker | None, int]]] = {}
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for entry in lines.replace("\\\n", " ").splitlines():
        if entry.strip():
            found = PIN.match(entry)
            assert found, f"requirements.lock: not a pin with ==: {entry[:80]!r}"
            marker = found["marker"] and Marker(found["marker"].split("--hash")[0].strip())
            pin = (Version(found["version"]), marker or None, len(HASH.findall(entry)))
            pins.setdefault(canonicalize_name(found["name"]), []).append(pin)
    return pins


def _environment(python: str) -> dict[str, str]:
    return {
        "python_version": python,
        "python_full_version": f"{python}.1",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "os_name": "posix",
    }


def _tracked_or_unignored() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60)
    paths = {ROOT / name for name in listed.stdout.decode().split("\0") if name}
    return sorted(path for path in paths if path.is_file())


# Packages


def _needed_dependencies() -> list[tuple[str, str]]:
    """Each direct dependency with each Python that it is for, on Linux."""
    pairs = itertools.product(_direct_dependencies(), PYTHONS)
    markers = {line: Requirement(line).marker for line in _direct_dependencies()}
    return [(x, p) for x, p in pairs if not markers[x] or markers[x].evaluate(_environment(p))]


@pytest.mark.parametrize(("line", "python"), _needed_dependencies())
def test_every_direct_dependency_has_one_fitting_pin(line: str, python: str) -> None:
    requirement = Requirement(line)
    pins = _locked().get(canonicalize_name(requirement.name), [])
    apply = [v for v, marker, _ in pins if marker is None or marker.evaluate(_environment(python))]
    assert len(apply) == 1, f"{line}: {len(apply)} pins apply to Python {python}"
    assert requirement.specifier.contains(apply[0], prereleases=True), f"{line}: locked {apply[0]}"


def test_every_pin_has_a_hash() -> None:
    bare = [name for name, pins in _locked().items() if any(hashes == 0 for *_, hashes in pins)]
    assert bare == []


def test_lock_has_no_local_path_or_index() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    foreign = re.compile(r"file:|://|^\s*-(?!-hash)| @ ")
    strange = [line for line in text.splitlines() if foreign.search(line)]
    assert strange == []


def test_environment_installs_the_lock_and_nothing_else() -> None:
    environment = _yaml("environment.yml")
    conda = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    pip = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    python = [entry.removeprefix("python=") for entry in conda if entry.startswith("python=")]
    assert environment["name"] == "birads"
    assert environment["channels"] == ["conda-forge"]
    assert pip == [["-r requirements.lock"]]
    assert set(conda) == {"pip", f"python={python[0]}"}
    assert python[0] in PYTHONS


def test_binder_installs_the_project_over_the_environment() -> None:
    script = ROOT / "postBuild"
    assert os.access(script, os.X_OK)
    command = "pip install --no-deps --no-build-isolation -e ."
    assert script.read_text().splitlines()[-1] == command, "hatchling is that of the lock"
    assert script.read_text().splitlines()[-1] in (ROOT / "environment.yml").read_text()


def test_pythons_tested_are_those_allowed() -> None:
    allowed = SpecifierSet(_project()["requires-python"])
    matrix = _yaml(".github/workflows/test.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert tuple(matrix) == PYTHONS
    assert [f"3.{minor}" for minor in range(30) if f"3.{minor}.1" in allowed] == list(PYTHONS)


# Commands


def _makefile() -> str:
    return (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", ["README.md", ".ci/run", "Makefile", "book"])
def test_every_make_command_that_is_named_exists(path: str) -> None:
    files = sorted((ROOT / path).glob("*.md")) if (ROOT / path).is_dir() else [ROOT / path]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    named = re.findall(r"(?:^[#\s]*|`)make ([a-z]+)", text, re.M)
    assert named
    assert set(named) <= set(re.findall(r"^([a-z]+):", _makefile(), re.M))


@pytest.mark.parametrize("path", ["README.md", "book/how_to_read.md"])
def test_every_command_of_the_program_is_named(path: str) -> None:
    source = (ROOT / "birads_lib" / "cli.py").read_text(encoding="utf-8")
    commands = set(re.findall(r'_command\(\s*commands, "([a-z-]+)"', source)) - {"step"}
    assert len(commands) > 10
    text = (ROOT / path).read_text(encoding="utf-8")
    assert [name for name in commands if not re.search(rf"(birads |`){name}\b", text)] == []


def test_ci_ends_with_the_readmes_test_command() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [line for line in script if "make" in line] == script[-1:] == ["make test"]
    assert re.search(r"^make test\b", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)


@pytest.mark.parametrize("version", ["3.10", *PYTHONS, "3.14"])
def test_another_python_is_refused_in_one_line_before_anything_is_installed(version: str) -> None:
    (check,) = re.findall(r"^\t@\$\(PYTHON\) -c '(.*version_info.*)'$", _makefile(), re.M)
    number = tuple(map(int, version.split(".")))
    posed = f"import sys; sys.version_info = {(*number, 1)}; exec({check!r})"
    done = subprocess.run(
        [sys.executable, "-c", posed], capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == (version in PYTHONS)
    assert done.stderr.count("\n") == (version not in PYTHONS)
    assert version in PYTHONS or "PYTHON=" in done.stderr


# Papers


def test_citation_names_this_software_and_the_paper() -> None:
    citation = _yaml("CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert citation["message"]
    assert citation["authors"]
    assert citation["title"] == _yaml("_config.yml")["title"]
    assert str(citation["version"]) == _project()["version"]
    assert citation["license"] == _project()["license"]["text"]
    papers = {(entry["type"], entry["doi"]) for entry in citation["references"]}
    bibliography = (ROOT / "book/references.bib").read_text(encoding="utf-8")
    assert ("article", "10.48161/qaj.v4n4a686") in papers
    assert all(f"{{{doi}}}" in bibliography for _, doi in papers)


def test_licence_is_mit_with_a_holder() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.startswith("MIT License\n\nCopyright (c) 2026 The authors of the study\n")
    assert "without restriction" in text
    assert 'PROVIDED "AS IS"' in text


def test_no_file_is_too_large() -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so tracked files cannot be listed")
    sizes = {str(p.relative_to(ROOT)): p.stat().st_size for p in _tracked_or_unignored()}
    assert len(sizes) > 10
    assert {name: size for name, size in sizes.items() if size > MOST_BYTES} == {}


# Book


def test_config_has_known_keys_only() -> None:
    config = _yaml("_config.yml")
    unknown = set(config) - set(CONFIG_KEYS)
    for key, below in CONFIG_KEYS.items():
        if below:
            unknown |= {f"{key}.{name}" for name in set(config.get(key, {})) - set(below)}
    unknown |= set(config["sphinx"]["config"]) - SPHINX_KEYS
    assert unknown == set()


def test_config_executes_nothing_and_reads_only_the_book() -> None:
    config = _yaml("_config.yml")
    assert config["execute"]["execute_notebooks"] == "off"
    assert config["only_build_toc_files"] is True
    assert all((ROOT / name).is_file() for name in config["bibtex_bibfiles"])


def test_config_asks_for_nothing_from_the_network() -> None:
    text = (ROOT / "_config.yml").read_text(encoding="utf-8")
    assert re.findall(r"\w+://\S+|['\"]//\S+", text) == []


def test_every_page_of_the_contents_exists() -> None:
    contents = _yaml("_toc.yml")
    pages = [contents["root"]]
    pages += [chapter["file"] for part in contents["parts"] for chapter in part["chapters"]]
    assert contents["format"] == "jb-book"
    assert len(pages) == len(set(pages))
    sources = {"book": ".md", "notebooks": ".py"}
    absent = [p for p in pages if not (ROOT / f"{p}{sources[p.split('/')[0]]}").is_file()]
    assert absent == []


def test_every_page_of_prose_is_in_the_contents() -> None:
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8").split()
    written = {f"book/{path.stem}" for path in (ROOT / "book").glob("*.md")}
    assert written <= set(contents)


# Workflows


@pytest.mark.parametrize("name", ["test", "book"])
def test_workflow_has_little_power_and_an_end(name: str) -> None:
    workflow = _yaml(f".github/workflows/{name}.yml")
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 120
        granted = {key for key, value in job.get("permissions", {}).items() if value == "write"}
        assert granted <= {"pages", "id-token"}
        for step in job["steps"]:
            does = r"make (test|book|audit)|pipx install pip-audit==[0-9.]+"
            assert re.fullmatch(does, step.get("run", "make test"))
            assert step.get("uses", "actions/").startswith("actions/"), "GitHub's own alone"
