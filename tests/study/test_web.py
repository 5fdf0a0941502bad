"""Packages of the pages are fetched as listed, or the reason is said."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from birads_lib.errors import ChapterError
from birads_lib.study import web

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(web, "INSTALLED", tmp_path)
    return tmp_path


def test_packages_are_fetched_once_for_a_list(empty, monkeypatch):
    calls = []

    def run(command, cwd, **_):
        calls.append(command)
        (cwd / "node_modules" / "x").mkdir(parents=True)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", run)
    assert web.web_package("x").is_dir()
    assert web.web_package("x").is_dir()
    ((_, verb, *options),) = calls
    assert verb == "ci"
    assert "--ignore-scripts" in options


def test_what_npm_says_is_told_and_nothing_is_left(empty, monkeypatch):
    failed = SimpleNamespace(returncode=1, stderr="network is unreachable")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(ChapterError, match="network is unreachable"):
        web.web_package("x")
    assert list(empty.iterdir()) == []


def test_every_package_is_pinned_with_a_hash_and_no_host():
    text = (ROOT / "book" / "package-lock.json").read_text()
    assert "://" not in text
    packages = json.loads(text)["packages"]
    listed = packages.pop("")
    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    for kind in ("dependencies", "devDependencies"):
        for name, version in listed[kind].items():
            assert packages[f"node_modules/{name}"]["version"] == version
