"""What the book offers for download, copied from a run: never the tiles themselves.

Everything lies below ``downloads/`` of the built pages, under names that stay the same
from run to run, with ``SHA256SUMS`` beside it. Sphinx does not check links into that
folder; tests/whole/test_html.py does, on the built pages.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd

from birads_lib.errors import DataError
from birads_lib.files import sha256, write_json
from birads_lib.study.cards import (
    PUBLISHED_DATA_SCHEMA,
    PUBLISHED_MODEL_SCHEMA,
    published_data_card,
    published_model_card,
)
from birads_lib.study.profiles import CHAPTERS, NOTEBOOKS
from birads_lib.study.written import STORES
from birads_lib.tiles.store import TileStore

DOWNLOADS = "downloads"
DATA_CARD, MODEL_CARD, SUMS = "data_card.json", "model_card.json", "SHA256SUMS"
MANIFEST_SCHEMA = "manifest.schema.json"
"""Of what ``birads export`` writes; it lies in the package."""
PACKAGE = Path(__file__).parents[1]
RESULTS = ("metrics.json", "verdicts.json", "ledger.json")
BESIDE_A_PICTURE = (".json", ".svg", ".csv")
EMBEDDED = b"<image "
"""In an SVG file: pixels, such as those of tiles, beside lines and letters."""


def copy_downloads(run: Path, target: Path) -> None:
    """Write all that a book offers for download.

    Args:
        run: A finished run's folder.
        target: New folder to write.

    Raises:
        DataError: A card is not as its schema wants it, or the run lacks a result.
    """
    target.mkdir(parents=True)
    for chapter in CHAPTERS:
        copy_into(target / "notebooks", run / "notebooks" / f"{chapter}.ipynb")
        copy_into(target / "notebooks", NOTEBOOKS / f"{chapter}.py")
    for name in RESULTS:
        copy_into(target / "results", run / "results" / name)
    for path in figure_files(run):
        copy_into(target / "figures", path)
    for path in prediction_tables(run):
        copy_into(target / "predictions", path)
        table = pd.read_parquet(path)
        table.to_csv(target / "predictions" / f"{path.stem}.csv", index=False)
    write_card(target / DATA_CARD, published_data_card(run), PUBLISHED_DATA_SCHEMA)
    write_card(target / MODEL_CARD, published_model_card(run), PUBLISHED_MODEL_SCHEMA)
    copy_into(target, PACKAGE / MANIFEST_SCHEMA)
    write_sums(target)


def write_card(path: Path, card: dict[str, Any], schema: dict[str, Any]) -> None:
    """Write a card, and beside it the schema that it keeps to.

    Raises:
        DataError: It does not.
    """
    try:
        jsonschema.validate(card, schema)
    except jsonschema.ValidationError as error:
        place = "/".join(map(str, error.absolute_path)) or "top level"
        told = f"{path.name}: {place}: {error.message}; run `birads study` again"
        raise DataError(told) from None
    write_json(path, card)
    write_json(path.with_suffix(".schema.json"), schema)


def prediction_tables(run: Path) -> list[Path]:
    """The run's tables of predictions, those of sweeps among them."""
    return sorted((run / "predictions").glob("*.parquet"))


def figure_files(run: Path) -> list[Path]:
    """What stands beside the pictures on the pages: descriptions, drawings, tables.

    Drawings that hold pixels are offered of a run whose tiles are all simulated: of real
    tiles nothing leaves but the picture on the page.
    """
    names = [path.stem for path in (run / "figures").glob("*.json")]
    files = (run / "figures" / f"{name}{end}" for name in names for end in BESIDE_A_PICTURE)
    simulated = all_simulated(run)
    return sorted(f for f in files if f.is_file() and (simulated or not _holds_pixels(f)))


def all_simulated(run: Path) -> bool:
    """Whether none of a run's tiles, the external ones included, is real."""
    return all(TileStore.open(run / s).simulated for s in STORES if (run / s).is_dir())


def _holds_pixels(path: Path) -> bool:
    return path.suffix == ".svg" and EMBEDDED in path.read_bytes()


def write_sums(folder: Path) -> None:
    """Write ``SHA256SUMS``, which ``sha256sum --check`` reads, over a folder's files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    (folder / SUMS).write_text("".join(lines))


def copy_into(folder: Path, file: Path) -> None:
    """Copy a file into a folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, folder)
