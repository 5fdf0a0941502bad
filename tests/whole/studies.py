"""Running the command line in a folder that holds a copy of the study."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
BIRADS = Path(sys.executable).with_name("birads")
SOURCES = (
    "notebooks", "book", "Snakefile", "profiles.yml", "sweeps.yml", "_config.yml", "_toc.yml",
)  # fmt: skip


def birads(folder, *arguments):
    return subprocess.run(
        [BIRADS, *arguments], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip


def contents():
    """Every page of the book, as its table of contents names them."""
    listed = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    parts = [chapter["file"] for part in listed["parts"] for chapter in part["chapters"]]
    return [listed["root"], *parts]
