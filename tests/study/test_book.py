"""The folder that the book is built from; built pages are looked at in tests/whole."""

import subprocess
from pathlib import Path

import nbformat
import pytest
import yaml

from birads_lib.errors import ChapterError, DataError
from birads_lib.study import book
from birads_lib.study.profiles import CHAPTERS

ADDRESS = "https://github.com/someone/study"


def git(folder, *arguments):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout of a public repository, as its workflow has it; the commit."""
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "remote", "add", "origin", f"{ADDRESS}.git")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    monkeypatch.chdir(tmp_path)
    for name, value in (("SERVER_URL", "https://github.com"), ("REPOSITORY", "someone/study")):
        monkeypatch.setenv(f"GITHUB_{name}", value)
    monkeypatch.setenv("GITHUB_SHA", commit)
    return commit


# Launch buttons


def test_a_workflow_in_its_own_checkout_builds_from_its_repository(checkout):
    found = book.published_from()
    assert found == book.Repository(ADDRESS, checkout)
    assert found.notebook("gate") == f"{ADDRESS}/blob/{checkout}/notebooks/gate.ipynb"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GITHUB_REPOSITORY", ""),
        ("GITHUB_REPOSITORY", "someone/else"),
        ("GITHUB_SERVER_URL", "https://git.example.org"),
        ("GITHUB_SHA", "0" * 40),
    ],
)
def test_anything_else_has_no_repository(checkout, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert book.published_from() is None


def test_a_folder_that_is_no_checkout_has_no_repository(checkout, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("copy"))
    assert book.published_from() is None


def test_buttons_are_configured_only_for_a_repository(in_project, tmp_path):
    own = yaml.safe_load(Path("_config.yml").read_text())
    book.stage_config(tmp_path, None)
    assert yaml.safe_load((tmp_path / "_config.yml").read_text()) == own
    assert "launch_buttons" not in own
    assert own["repository"]["url"] == ""
    book.stage_config(tmp_path, book.Repository(ADDRESS, "abc"))
    staged = yaml.safe_load((tmp_path / "_config.yml").read_text())
    assert staged.pop("repository") == {"url": ADDRESS, "branch": "abc"}
    buttons = staged.pop("launch_buttons")
    assert {"binderhub_url", "colab_url"} <= buttons.keys()
    assert "thebe" not in buttons
    own.pop("repository")
    assert staged == own


# Chapters and pages


def test_the_books_address_has_a_title_a_policy_and_a_way_on(in_project, tmp_path):
    book.write_start(tmp_path)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert '<html lang="en">' in page
    assert "<title>A study one can trust" in page
    assert page.count('"book/introduction.html"') == 1
    assert 'content="0; url=book/introduction.html"' in page
    assert "Content-Security-Policy" in page


def test_each_chapter_gets_links_to_its_files_and_stays_as_it_was(finished_run, tmp_path):
    book.stage_chapters(finished_run, tmp_path / "notebooks", None)
    for chapter in CHAPTERS:
        before, after = (
            nbformat.read(folder / "notebooks" / f"{chapter}.ipynb", as_version=4)
            for folder in (finished_run, tmp_path)
        )
        header = after.cells.pop(1)
        assert f"../downloads/notebooks/{chapter}.py" in header.source
        assert after == before
        nbformat.validate(after)


def test_a_chapter_that_has_not_run_or_that_failed_is_refused(copied, tmp_path):
    path = copied / "notebooks" / "gate.ipynb"
    failed = nbformat.read(path, as_version=4)
    failed.cells[1].execution_count = None
    nbformat.write(failed, path)
    with pytest.raises(ChapterError, match="chapter gate: cell 1 was not executed"):
        book.stage_chapters(copied, tmp_path / "first", None)
    path.unlink()
    with pytest.raises(DataError, match=r"gate\.ipynb: chapter has not run"):
        book.stage_chapters(copied, tmp_path / "second", None)


def test_pages_are_filled_in_and_the_tracked_ones_stay(finished_run, in_project, tmp_path):
    before = Path("book/status.md").read_text()
    book.stage_pages(finished_run, tmp_path)
    staged = [page.read_text() for page in (tmp_path / "book").glob("*.md")]
    assert len(staged) > 10
    assert not [page for page in staged if "<!-- run:" in page or "<!-- modules:" in page]
    assert Path("book/status.md").read_text() == before
    assert (tmp_path / "_static" / "study.css").is_file()
