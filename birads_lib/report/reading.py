"""What a report says: the pictures, what the cascade answered, and what is known of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from birads_lib.errors import DataError, UsageError
from birads_lib.labels import CLASSES, LESION_CODES
from birads_lib.report.calibration import Calibration, calibration_of
from birads_lib.tiles.crops import TILE_PIXEL_MM
from birads_lib.tiles.layout import TILE
from birads_lib.tiles.pictures import open_pictures
from birads_lib.tiles.store import pixel_digests

if TYPE_CHECKING:
    from birads_lib import Cascade

MOST = 20
"""Tiles of a report; more are a table, which ``birads predict`` writes."""
MOST_PIXELS = 4_000_000  # a tile has a fraction of that even on film scale; more is a whole scan
STRETCH = 1.1  # sides that differ by more were not cut as tiles are
TITLES = {c.code: c.title for c in CLASSES}


@dataclass(frozen=True)
class Picture:
    """One tile to report on.

    Attributes:
        input: The path given.
        name: Of the tile.
        tile: uint8 (299, 299).
        size: Height and width before resizing, px; ``None`` where it was a tile.
    """

    input: str
    name: str
    tile: NDArray[np.uint8]
    size: tuple[int, int] | None


@dataclass(frozen=True)
class Finding:
    """What the cascade made of one picture.

    Attributes:
        picture: The tile.
        digest: SHA-256 of the tile's pixels.
        denoised: As gate and scorer got to see it, uint8 (h, w).
        attention: Cells of A_s, float32 (rows, columns), 0..1; ``None`` without any.
        gate: Probability of infected.
        scores: Probability of each of C2 to C5; ``None`` where the gate let nothing through.
        predicted: ``"C1"`` to ``"C5"``.
        remarks: How the picture is unlike a training tile, in sentences.
    """

    picture: Picture
    digest: str
    denoised: NDArray[np.uint8]
    attention: NDArray[np.float32] | None
    gate: float
    scores: dict[str, float] | None
    predicted: str
    remarks: tuple[str, ...]

    @property
    def title(self) -> str:
        """The predicted class in words."""
        return TITLES[self.predicted]


@dataclass(frozen=True)
class Model:
    """Which cascade answered; ``None`` is what it does not record.

    Attributes:
        folder: Where it lies, as given.
        digest: Of its weights and threshold.
        threshold: Least gate probability that is scored.
        engine: What ran the networks.
        profile: Size of the study that trained it.
        data: Digest of the store that it was trained on.
        simulated: Whether its training tiles were.
        maps: Whether its scorer has spatial attention.
        knows_its_tiles: Whether it can tell pictures that are unlike them.
    """

    folder: str
    digest: str
    threshold: float
    engine: str
    profile: str | None
    data: str | None
    simulated: bool | None
    maps: bool
    knows_its_tiles: bool


@dataclass(frozen=True)
class Report:
    """All that a report says, whatever its form."""

    created: datetime
    version: str
    model: Model
    calibration: Calibration
    findings: tuple[Finding, ...]


def read_inputs(paths: Iterable[Path]) -> list[Picture]:
    """Open every input and check it, before a network runs or anything is written.

    Args:
        paths: What ``open_pictures`` takes.

    Raises:
        UsageError: More tiles than ``MOST``, or none.
        DataError: An input cannot be read, is a whole scan, or a tile is all of one grey.
    """
    pictures: list[Picture] = []
    for path in paths:
        found = open_pictures(path)
        _refuse_whole_scan(_shown(path), found.size)
        count = len(pictures) + len(found.names)
        if count > MOST:
            raise UsageError(
                f"{_shown(path)}: {count:,} tiles in all; a report takes at most {MOST}; "
                "for many use birads predict"
            )
        tiles = np.asarray(found.images[:])
        named = zip(found.names, tiles, strict=True)
        pictures += [Picture(_shown(path), _shown(n), t, found.size) for n, t in named]
    if not pictures:
        raise UsageError("report: no tile in what was given; give at least one picture")
    for picture in pictures:
        _refuse_blank(picture)
    return pictures


def read_report(cascade: Cascade, pictures: Sequence[Picture], folder: Path, engine: str) -> Report:
    """Run a cascade over the pictures.

    Args:
        cascade: Loaded from ``folder`` with ``engine``.
        pictures: From ``read_inputs``.
        folder: Of the cascade; in a finished run its calibration is known.
        engine: What runs its networks.
    """
    tiles = np.stack([picture.tile for picture in pictures])
    reading = cascade.read(tiles)
    maps = reading.attention
    strange = cascade.familiar.remarks(tiles) if cascade.familiar else [[]] * len(tiles)
    findings = [
        Finding(
            picture=picture,
            digest=digest,
            denoised=denoised,
            attention=_map_of(maps, row),
            gate=float(answer["gate"]),
            scores=_scores_of(answer),
            predicted=str(answer["predicted"]),
            remarks=(*size_remarks(picture.size), *strange[row]),
        )
        for row, (picture, digest, denoised, answer) in enumerate(
            zip(
                pictures,
                pixel_digests(tiles),
                reading.denoised,
                reading.answers.to_dict("records"),
                strict=True,
            )
        )
    ]
    return Report(
        created=datetime.now(UTC).replace(microsecond=0),
        version=metadata.version("birads-lib"),
        model=_model(cascade, folder, engine, maps is not None),
        calibration=calibration_of(folder),
        findings=tuple(findings),
    )


def size_remarks(size: tuple[int, int] | None) -> list[str]:
    """What a picture's size tells: that it was resized, and that it was stretched.

    Args:
        size: Height and width, px; ``None`` of a tile.
    """
    if size is None or size == (TILE, TILE):
        return []
    height, width = size
    side = TILE * TILE_PIXEL_MM
    remarks = [
        f"The picture has {width} x {height} pixels and was resized to {TILE} x {TILE}. The "
        f"networks take every picture for a square of {side:.0f} mm."
    ]
    if max(size) > STRETCH * min(size):
        remarks.append("It is not square, so that it was stretched to become a tile.")
    return remarks


def _refuse_whole_scan(path: str, size: tuple[int, int] | None) -> None:
    if size is not None and size[0] * size[1] > MOST_PIXELS:
        raise DataError(
            f"{path}: {size[1]} x {size[0]} pixels, a whole scan it seems; the networks read tiles "
            f"of {TILE * TILE_PIXEL_MM:.0f} mm; cut one out first"
        )


def _refuse_blank(picture: Picture) -> None:
    level = int(picture.tile.flat[0])
    if (picture.tile == level).all():
        where = picture.input
        if picture.name != Path(where).stem:  # one of several
            where += f", tile {picture.name}"
        raise DataError(
            f"{where}: blank, grey level {level} throughout; nothing was scored; give a picture "
            "with tissue in it"
        )


def _map_of(maps: NDArray[np.float32] | None, row: int) -> NDArray[np.float32] | None:
    return None if maps is None or np.isnan(maps[row]).any() else maps[row]


def _scores_of(answer: dict[Any, Any]) -> dict[str, float] | None:
    scores = {code: float(answer[code]) for code in LESION_CODES}
    return None if np.isnan(list(scores.values())).any() else scores


def _model(cascade: Cascade, folder: Path, engine: str, maps: bool) -> Model:
    about = cascade.about
    return Model(
        folder=_shown(folder),
        digest=cascade.digest,
        threshold=float(cascade.threshold),
        engine=engine,
        profile=about.get("profile"),
        data=about.get("data"),
        simulated=about.get("simulated"),
        maps=maps,
        knows_its_tiles=cascade.familiar is not None,
    )


def _shown(path: str | Path) -> str:
    """A path as text; bytes that are no UTF-8 cannot be written and are marked instead."""
    return os.fsencode(path).decode("utf-8", "replace")
