"""One run's folder, as a chapter sees it: where things lie, and how results leave."""

from __future__ import annotations

import functools
import os
import re
import subprocess
from html import escape
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.core.getipython import get_ipython
from IPython.display import HTML, Image, Markdown, display
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from birads_lib.files import read_parquet, sha256, whole_file, write_json
from birads_lib.labels import LESION_CODES
from birads_lib.metrics import GRADE_SCORES, check_predictions, columns_of
from birads_lib.study.outputs import FIGURE_KEY, MAP, MAP_TITLE, OF_THE_PAPER, TABLE_KEY
from birads_lib.study.written import AGAIN, check_written, remedy
from birads_lib.tiles.phantom import PhantomTruth
from birads_lib.tiles.splits import make_splits
from birads_lib.tiles.store import ImageRows, TileStore, load_array, open_whole, streamed

SIMULATED = "simulated tiles"
DPI = 120
LIGHT_DPI = 100  # of figures of many tiles, which would make a page heavy
BLANK_HEADING = re.compile(r'<th( class="blank[^>]*)>&nbsp;</th>')
"""An empty cell beside the headings, which is none itself."""
NAMES_BELOW = re.compile(
    r'(?:<th class="blank[^>]*>&nbsp;</th>\s*)+(?P<headings>(?:<th id=[^<]*</th>\s*)+</tr>)'
    r'\s*<tr>\s*(?P<names>(?:<th class="index_name[^<]*</th>\s*)+)'
    r'(?:<th class="blank[^>]*>&nbsp;</th>\s*)+</tr>'
)
"""Headings of columns, and below them those of the rows in a line of their own."""


class Run:
    """The folder of one run, opened by one chapter.

    Args:
        path: The run's folder, ``_build/run/<profile>``.
        chapter: Name of the chapter that asks.
        seed: The chapter's seed.
        tiles: Whether the chapter works on the run's tiles; if not, its captions name none.

    Attributes:
        models, predictions, figures, results: Its folders.
    """

    def __init__(
        self, path: str | os.PathLike[str], chapter: str, seed: int = 0, tiles: bool = True
    ):
        self.path, self.chapter, self.seed, self.tiles = Path(path), chapter, seed, tiles
        self.models = self.path / "models"
        self.predictions = self.path / "predictions"
        self.figures = self.path / "figures"
        self.results = self.path / "results"
        for folder in (self.models, self.predictions, self.figures, self.results):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def store_path(self) -> Path:
        """Folder of the run's merged tiles."""
        return self.path / "store"

    @functools.cached_property
    def store(self) -> TileStore:
        """The run's merged tiles.

        Raises:
            DataError: They are missing, or not as they were merged.
        """
        return open_whole(self.store_path, remedy(self.path))

    def split(self, validation: float, aside: float = 0.0) -> pd.Series:
        """Part of each tile under the official protocol, see ``make_splits``."""
        return make_splits(self.store.table, "official", validation, self.seed, aside)

    def truth(self, src: str | os.PathLike[str]) -> PhantomTruth | None:
        """What a simulated set knows of its tiles; ``None`` for real ones."""
        return PhantomTruth.open(src) if self.store.simulated else None

    @property
    def denoised_path(self) -> Path:
        """File of the denoised tiles, uint8 (N, S, S)."""
        return self.path / "tiles" / "denoised.npy"

    def denoised(self) -> ImageRows:
        """The denoised tiles, uint8 (N, S, S), in the store's order, read as they are needed.

        Raises:
            DataError: They are missing, or not as the chapter wrote them.
        """
        check_written(self.path, self.denoised_path)
        return streamed(load_array(self.denoised_path))

    def read_predictions(self, name: str) -> pd.DataFrame:
        """A table of predictions that a chapter before this one wrote.

        Args:
            name: File name without ending.

        Raises:
            DataError: It is missing, unreadable, or not as it was written.
        """
        path = self.predictions / f"{name}.parquet"
        check_written(self.path, path)
        return read_parquet(path, AGAIN)

    def model_file(self, name: str) -> Path:
        """File of a network that a chapter before this one trained.

        Args:
            name: File name without ending.

        Raises:
            DataError: It is not as it was written.
        """
        path = self.models / f"{name}.keras"
        check_written(self.path, path)
        return path

    @property
    def cascade_folder(self) -> Path:
        """Folder of the cascade that its chapter wrote.

        Raises:
            DataError: What it says of itself is not as it was written.
        """
        from birads_lib.cascade import DESCRIPTION

        folder = self.models / "cascade"
        check_written(self.path, folder / DESCRIPTION)
        return folder

    def save_predictions(
        self, name: str, tiles: pd.DataFrame, scores: pd.DataFrame, **facts: Any
    ) -> pd.DataFrame:
        """Write one table of predictions; metrics and figures come from it alone.

        Args:
            name: File name without ending.
            tiles: Rows of the store's table that were predicted.
            scores: Same length; ``gate`` and C2 to C5 as far as they were computed, and of
                the stage ``"birads"`` what ``metrics.BIRADS_COLUMNS`` adds.
            facts: ``stage``, ``split``, ``protocol``, ``model``, ``threshold``.

        Returns:
            The table, columns ``metrics.columns_of(stage)``.
        """
        table = tiles[["tile", "group", "label"]].reset_index(drop=True)
        columns = columns_of(facts["stage"])
        for column in {"gate", *LESION_CODES, *GRADE_SCORES} & set(columns):
            table[column] = scores[column].to_numpy(float) if column in scores else np.nan
        if "assessment" in columns:
            table["assessment"] = scores["assessment"].to_numpy(np.int64)
        table = table.assign(**facts, seed=self.seed)[list(columns)]
        check_predictions(table, facts["stage"])
        with whole_file(self.predictions / f"{name}.parquet") as partial:
            table.to_parquet(partial, index=False)
        return table

    def save_results(self, values: dict[str, Any]) -> None:
        """Write the chapter's numbers to ``results/<chapter>.json``."""
        write_json(self.results / f"{self.chapter}.json", values)

    def show_figure(
        self,
        figure: Figure,
        name: str,
        caption: str,
        alt: str,
        tiles: bool = True,
        mark: str | None = None,
        simulated: bool | None = None,
        dpi: int = DPI,
    ) -> None:
        """Save a figure as PNG and SVG with its description, and show it.

        Args:
            figure: Drawn and ready; closed here.
            name: File name without ending, unique in the run.
            caption: One or two sentences. Where it came from is added.
            alt: What the picture shows, for one who cannot see it.
            tiles: Whether tiles, or numbers measured on them, are in the picture; if they
                are simulated, picture, caption and alt text say so.
            mark: Words for that, where "simulated tiles" would not be exact.
            simulated: Whether anything simulated is in it, where that does not go by the
                run's own tiles.
            dpi: Pixels an inch of the PNG; fewer where many tiles would make a page heavy.
        """
        if not caption or not alt:
            raise ValueError(f"figure {name}: caption and alt text must say something")
        mark = self._mark(tiles, mark, simulated)
        if mark:
            # On the left, where this study's part is when the paper's stands beside it.
            figure.supxlabel(mark, x=0.005, ha="left", size="small", style="italic")
        picture, width = self.figures / f"{name}.png", round(figure.get_figwidth(), 2)
        with whole_file(picture) as partial:
            figure.savefig(partial, dpi=dpi, pil_kwargs={"optimize": True})
        with whole_file(picture.with_suffix(".svg")) as partial:
            figure.savefig(partial, dpi=dpi, metadata={"Date": None})
        plt.close(figure)
        note = _sentence(mark)
        described = {
            "name": name,
            "caption": f"{caption}{note} {self.source()}",
            "alt": f"{alt}{note}",
            "inches": width,
            "simulated": bool(mark),
            "sha256": sha256(picture),
            **self.provenance(),
        }
        write_json(picture.with_suffix(".json"), described)
        display(Image(str(picture)), metadata={FIGURE_KEY: name})

    def show_table(
        self,
        table: pd.DataFrame,
        name: str,
        caption: str,
        tiles: bool = True,
        sortable: bool = False,
        mark: str | None = None,
        simulated: bool | None = None,
        **formats: Any,
    ) -> None:
        """Save a table as CSV with its description, and show it with its caption.

        On the page its anchor is ``#T_NAME``.

        Args:
            table: Shown as it is.
            name: File name without ending, unique in the run.
            caption: One or two sentences. Where it came from is added.
            tiles: Whether its numbers were measured on the run's tiles.
            sortable: Whether a click on a heading sorts it on the page.
            mark, simulated: As of ``show_figure``.
            formats: For ``Styler.format``, such as ``precision``. Cells and headings show
                as they are; HTML comes from a formatter alone.
        """
        if not caption:
            raise ValueError(f"table {name}: its caption must say something")
        path = self.figures / f"{name}.csv"
        with whole_file(path) as partial:
            table.to_csv(partial)
        mark = self._mark(tiles, mark, simulated)
        full = f"{caption}{_sentence(mark)} {self.source()}"
        described = {
            "name": name,
            "caption": full,
            "simulated": bool(mark),
            "sha256": sha256(path),
            **self.provenance(),
        }
        write_json(path.with_suffix(".json"), described)
        back = f' <a href="{MAP}.html">{MAP_TITLE}</a>.' if OF_THE_PAPER.fullmatch(name) else ""
        if table.columns.nlevels == 1:
            table = table.rename_axis(columns=None)  # it would stand where the rows' name belongs
        style = escaped(table, **formats).set_caption(escape(full, quote=False) + back)
        kind = "table sortable" if sortable else "table"
        page = style.to_html(table_uuid=name, table_attributes=f'class="{kind}"')
        page = NAMES_BELOW.sub(r"\g<names>\g<headings>", page)
        display(HTML(BLANK_HEADING.sub(r"<td\1></td>", page)), metadata={TABLE_KEY: name})

    def say(self, text: str) -> None:
        """Show a sentence whose numbers come from results, as Markdown.

        Names and texts that come from data go into it by ``markup.plain`` or ``markup.code``.
        """
        display(Markdown(text))

    def _mark(self, tiles: bool, mark: str | None, simulated: bool | None) -> str:
        """Words that say what is simulated, or none."""
        if simulated is None:
            simulated = tiles and self.tiles and self.store.simulated
        return (mark or SIMULATED) if simulated else ""

    def end(self, reason: str) -> None:
        """Say why the chapter ends here; its later cells do nothing, and say nothing.

        Outside a notebook the program ends.
        """
        self.say(reason)
        shell = get_ipython()
        if shell is None:
            raise SystemExit(reason)
        shell.input_transformers_cleanup.append(lambda lines: [])

    def provenance(self) -> dict[str, Any]:
        """Chapter, commit, profile, seed and data digest."""
        return {
            "chapter": self.chapter,
            "commit": commit(),
            "profile": self.path.name,
            "seed": self.seed,
            "data": self.store.digest if self.tiles else None,
        }

    def source(self) -> str:
        """Provenance as the last line of a caption."""
        facts = self.provenance()
        data = f"seed {facts['seed']}, data {facts['data'][:8]}, " if self.tiles else ""
        return (
            f"[{facts['chapter']}, profile {facts['profile']}, {data}commit {facts['commit'][:8]}]"
        )


def escaped(table: pd.DataFrame, **formats: Any) -> Styler:
    """A table in whose cells, headings and names of headings nothing is taken for HTML."""
    style = table.style.format(escape="html", **formats)
    for axis in (0, 1):
        style.format_index(escape="html", axis=axis)
        style.format_index_names(escape="html", axis=axis)
    return style


def _sentence(mark: str) -> str:
    return f" {mark[0].upper()}{mark[1:]}." if mark else ""


@functools.cache
def commit() -> str:
    """Commit of the working tree, with ``+`` if something tracked has changed; else "unknown"."""
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
