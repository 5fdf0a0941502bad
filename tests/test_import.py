"""What an import costs and what it brings along, each in a fresh process."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

LIMIT = 0.5  # s of processor time
HEAVY = ("tensorflow", "keras", "torch", "jax")
PACKAGE = Path(__file__).resolve().parents[1] / "birads_lib"
LAYERS = (
    {"errors"},
    {
        "agreement",
        "devices",
        "engines",
        "files",
        "labels",
        "pretrained",
        "processes",
        "recipe",
        "replicas",
    },
    {"export", "tiles"},
    {"networks", "texture"},
    {"metrics", "training"},
    {"cascade", "recalibration"},
    {"explain", "features", "prediction", "quantization"},
    {"study"},
    {"deployment", "report"},
    {"cli"},
)
"""Modules and packages, lowest first. Each imports, at its top, from lower layers alone."""


def run(code: str) -> str:
    """Last line that ``code`` prints in a process of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def heavy_after(code: str) -> str:
    """Names of the heavy packages that ``code`` loads."""
    return run(f"{code}\nimport sys\nprint([name for name in {HEAVY} if name in sys.modules])")


def test_the_library_imports_in_under_half_a_second():
    timed = (
        "import time\nt = time.process_time()\nimport birads_lib\nprint(time.process_time() - t)"
    )
    assert min(float(run(timed)) for _ in range(3)) < LIMIT


def test_no_module_loads_tensorflow_before_a_network_is_needed():
    light = [
        "birads_lib",
        "birads_lib.tiles",
        "birads_lib.tiles.phantom",
        "birads_lib.tiles.audit",
        "birads_lib.tiles.cbis",
        "birads_lib.tiles.cbis_labels",
        "birads_lib.tiles.pictures",
        "birads_lib.tiles.spectrum",
        "birads_lib.metrics",
        "birads_lib.recipe",
        "birads_lib.study.graph",
        "birads_lib.study.sweeps",
        "birads_lib.cli",
    ]
    code = f"""
import importlib, sys
for module in {light}:
    importlib.import_module(module)
    loaded = [name for name in {HEAVY} if name in sys.modules]
    assert not loaded, f"{{module}} loads {{loaded}}"
print("none")
"""
    assert run(code) == "none"


def test_the_tiles_package_alone_does_not_load_tensorflow():
    assert heavy_after("from birads_lib.tiles import TileStore, make_splits, merge_ddsm10") == "[]"


@pytest.mark.parametrize("command", [[], ["merge"], ["predict"], ["study"], ["sweep"]])
def test_help_does_not_load_tensorflow(command):
    arguments = [*command, "--help"]
    code = f"from birads_lib.cli import main\ntry: main({arguments})\nexcept SystemExit: pass"
    assert heavy_after(code) == "[]"


def test_a_picture_that_cannot_be_read_is_refused_before_tensorflow_loads(tmp_path):
    np.save(tmp_path / "tiles.npy", np.zeros((2, 5, 5), np.uint8))
    arguments = ["predict", "model", str(tmp_path / "tiles.npy")]
    code = f"from birads_lib.cli import main\nassert main({arguments}) == 2"
    assert heavy_after(code) == "[]"


def test_the_package_offers_cascade_without_loading_it():
    assert run("import birads_lib\nprint(birads_lib.__all__)") == "['Cascade']"
    assert heavy_after("import birads_lib") == "[]"


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    code = "import birads_lib\ntry: birads_lib.nothing\nexcept AttributeError as e: print(e)"
    assert "nothing" in run(code)


# Direction


def imported_at_the_top(path: Path) -> Iterator[str]:
    """Modules and packages of the library that a module's own level imports, by their first name.

    What stands in a function, or under ``TYPE_CHECKING``, loads nothing by itself.
    """
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == PACKAGE.name:
            parts = str(node.module).split(".")
            yield from parts[1:2] or [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            yield from (parts[1] for parts in names if parts[0] == PACKAGE.name and parts[1:])


def test_imports_run_one_way():
    rank = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    against = []
    for path in sorted(PACKAGE.rglob("*.py")):
        own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if own != "__init__":
            against += [
                f"{path.relative_to(PACKAGE)} imports {name}"
                for name in imported_at_the_top(path)
                if name != own and rank[name] >= rank[own]
            ]
    assert against == []


def test_every_module_has_a_layer():
    there = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    there |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert there == set().union(*LAYERS)
