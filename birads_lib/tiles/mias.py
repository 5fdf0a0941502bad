"""Mini-MIAS: 322 whole film mammograms of 161 women, to tiles at the data set's scale.

Suckling et al., Excerpta Medica, International Congress Series 1069, 375-378 (1994).
Scans are PGM pictures of 1024 x 1024 px of 0.2 mm. The list of findings, ``Info.txt``,
stands behind a page of prose that explains it: coordinates count from the bottom left,
widespread calcifications have none, a film has a line for each finding, and two numbers
that follow each other, odd and even, are the breasts of one woman.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from birads_lib.errors import DataError
from birads_lib.files import read_whole, shown
from birads_lib.labels import CLASSES
from birads_lib.tiles.crops import (
    TILE_PIXEL_MM,
    Box,
    Scan,
    cut_tiles,
    lesion_crops,
    tile_positions,
)
from birads_lib.tiles.ddsm10 import counts_by_origin
from birads_lib.tiles.layout import GREY_MAX
from birads_lib.tiles.store import TileBlock, TileStore, collect_store

Progress = Callable[[int, int], None]
"""Called with (scans done, scans in all)."""

INFO = "Info.txt"
SCAN_FILE = re.compile(r"(mdb[0-9]{3})\.pgm", re.IGNORECASE)
ENTRY = re.compile(r"mdb[0-9]")
LEFT = re.compile(r"\bleft\s+\((even|odd)\b")
NOTE = "*NOTE"  # stands for coordinates that the list's notes say are left out

SCAN_SIDE = 1024  # px
SCAN_PIXEL_MM = 0.2
SCALE = SCAN_PIXEL_MM / TILE_PIXEL_MM
_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"  # white space and comments
PGM_HEADER = re.compile(
    rb"P5" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})" + _GAP + rb"(\d{1,9})\s"
)
MOST_HEADER, MOST_INFO = 1 << 16, 1 << 20  # bytes that a film's header and the list may hold
SHOWN = 60  # characters of a line that a message repeats

NORMAL = "NORM"
LESION_TYPES = {
    "CALC": "calcification",
    "CIRC": "mass",
    "SPIC": "mass",
    "MISC": "mass",
    "ARCH": "mass",
    "ASYM": "mass",
}
"""Ours by theirs. CBIS-DDSM's mass files list architectural distortions and asymmetries
as well, so the data set's labels 2 and 4 hold them too."""
MASS_LIKE = ("ARCH", "ASYM")
PATHOLOGIES = {"B": "benign", "M": "malignant"}
LABELS = {(c.lesion, c.pathology): c.label for c in CLASSES}

TRAINING, HELD_OUT = "training", "held-out"
HELD_OUT_SHARE = 0.25  # of the women
DRAWS = 200  # divisions tried, for one that shows each class on both sides


@dataclass(frozen=True)
class Finding:
    """One line of ``Info.txt`` that names an abnormality.

    Attributes:
        kind: Key of ``LESION_TYPES``.
        severity: ``"B"`` or ``"M"``.
        circle: Column, row and radius in px of the scan, counted from its upper left
            corner; ``None`` where the list gives no place.
    """

    kind: str
    severity: str
    circle: tuple[float, float, float] | None

    @property
    def label(self) -> int:
        """Label 1 to 4 of its tiles."""
        return LABELS[LESION_TYPES[self.kind], PATHOLOGIES[self.severity]]

    @property
    def box(self) -> Box | None:
        """The square about its circle in px of 0.1 mm."""
        if self.circle is None:
            return None
        column, row, radius = (SCALE * value for value in self.circle)
        low, high = math.floor, math.ceil
        return low(row - radius), low(column - radius), high(row + radius), high(column + radius)


@dataclass(frozen=True)
class Info:
    """What ``Info.txt`` says.

    Attributes:
        findings: Findings by name of the scan, none for a normal one.
        left_is_even: Whether even numbers are left breasts.
        repeated: Lines that say what an earlier one said; they count once.
    """

    findings: dict[str, tuple[Finding, ...]]
    left_is_even: bool
    repeated: int


def tiles_from_mias(
    folder: str | os.PathLike[str],
    store: str | os.PathLike[str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> TileStore:
    """Cut mini-MIAS scans into tiles as the author of the Kaggle set cut his.

    Scans are enlarged twofold to 0.1 mm a pixel. Each located lesion gives three crops
    (see ``lesion_crops``); scans without any lesion give all windows that show enough
    breast, a tile apart. A scan whose lesions have no place gives no tile.

    Args:
        folder: Holds ``Info.txt`` and ``mdb001.pgm`` ..., together or in folders below.
        store: Folder to write; without one the tiles stay in memory.
        seed: For the crops and for the division of women into training and held-out. The
            crops of a scan do not depend on which others are there.
        progress: Called with scans done and scans in all.

    Returns:
        The store. ``group`` and ``patient`` are the woman, such as ``"mdb003-004"``;
        ``origin`` is ``"training"`` or ``"held-out"``, a quarter of the women. ``meta`` has
        ``counts`` and ``notes``; ``known_counts`` is empty, since they are the Kaggle set's.

    Raises:
        DataError: Files are missing, stand twice or are damaged, ``Info.txt`` cannot be
            understood, or no tile came out.
    """
    source = Path(folder)
    info_path, scans = find_files(source)
    info = read_info(info_path)
    named = {name: path for name, path in scans.items() if name in info.findings}
    if not named:
        raise DataError(
            f"{info_path}: names none of the {len(scans)} scans beside it; give the list that "
            "came with them"
        )
    remarks = _remarks(info, scans)

    def finish(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
        if table.empty:
            raise DataError(f"{source}: no scan gave a tile; give scans that show breast tissue")
        table = table.assign(origin=_origins(table, seed))
        women = table.groupby("origin")["group"].nunique()
        division = f"women held out, by seed {seed}: {women.get(HELD_OUT, 0)} of {women.sum()}"
        return table, {
            "simulated": False,
            "source": {"layout": "mini-mias", "scans": len(named), "seed": seed},
            "counts": counts_by_origin(table),
            "known_counts": {},
            "notes": [*remarks, division],
        }

    return collect_store(store, _cut(named, info, source, seed, progress), finish)


def find_files(source: Path) -> tuple[Path, dict[str, Path]]:
    """Find ``Info.txt`` and the scans, at any depth.

    Returns:
        The list, and the scans by lower-case name, such as ``"mdb003"``, in order.

    Raises:
        DataError: The folder, the list or every scan is missing, or a name stands twice.
    """
    if not source.is_dir():
        raise DataError(f"{source}: no such folder; give the unpacked mini-MIAS set")
    found: dict[str, Path] = {}
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        match = SCAN_FILE.fullmatch(path.name)
        name = match[1].lower() if match else path.name.lower()
        if not match and name != INFO.lower():
            continue
        if name in found:
            raise DataError(f"{path}: also at {found[name]}; keep one of the two")
        found[name] = path
    info = found.pop(INFO.lower(), None)
    if info is None or not found:
        lacking = "mdb001.pgm, ..." if info else INFO
        raise DataError(f"{source}: {lacking} not found; give the unpacked mini-MIAS set")
    return info, dict(sorted(found.items()))


def read_info(path: Path) -> Info:
    """Read the list of findings; prose before it and separators are passed over.

    Raises:
        DataError: No entry at all, or one that cannot be understood.
    """
    content = read_whole(path, MOST_INFO, "copy it again")
    text = content.decode("utf-8", errors="replace")
    lines = [
        (" ".join(line.split()), number)
        for number, line in enumerate(text.splitlines(), 1)
        if ENTRY.match(line)
    ]
    if not lines:
        raise DataError(f"{path}: no line such as 'mdb001 G CIRC B 535 425 197'; copy it again")
    findings: dict[str, list[Finding | None]] = {}
    entries = dict(reversed(lines))  # of equal lines the first gives the number
    for entry, number in sorted(entries.items(), key=lambda item: item[1]):
        name, finding = _read_entry(f"{path}: line {number}", entry)
        listed = findings.setdefault(name, [])
        listed.append(finding)
        if None in listed and len(listed) > 1:
            raise DataError(
                f"{path}: line {number}: {name} is {NORMAL} here or in an earlier line that says "
                "otherwise; remove one of the two"
            )
    left = LEFT.search(text)
    return Info(
        {name: tuple(f for f in listed if f) for name, listed in findings.items()},
        left is None or left[1] == "even",
        len(lines) - len(entries),
    )


def _read_entry(where: str, entry: str) -> tuple[str, Finding | None]:
    """Name of a scan, and its finding; ``None`` if it is normal."""
    name, *fields = entry.split()
    shown = entry if len(entry) <= SHOWN else f"{entry[:SHOWN]} ..."
    if not SCAN_FILE.fullmatch(f"{name}.pgm") or len(fields) < 2:
        raise DataError(
            f"{where}: {shown!r} found; expected reference, tissue and class; correct the line"
        )
    kind, *rest = fields[1:]
    if kind == NORMAL and not rest:
        return name, None
    if kind not in LESION_TYPES or not rest or rest[0] not in PATHOLOGIES:
        raise DataError(
            f"{where}: {shown!r} found; expected {NORMAL}, or one of "
            f"{', '.join(LESION_TYPES)} and then B or M; correct the line"
        )
    return name, Finding(kind, rest[0], _read_circle(where, shown, rest[1:]))


def _read_circle(where: str, shown: str, fields: list[str]) -> tuple[float, float, float] | None:
    """Column, row and radius of a finding; the list counts y from the scan's lower edge."""
    if not fields or fields[0].startswith(NOTE):
        return None
    try:
        x, y, radius = map(float, fields)
    except ValueError:
        raise DataError(
            f"{where}: {shown!r} found; expected x, y and radius in px; correct the line"
        ) from None
    if not (0 <= x < SCAN_SIDE and 0 <= y < SCAN_SIDE and 0 < radius < SCAN_SIDE):
        raise DataError(
            f"{where}: centre ({x:g}, {y:g}), radius {radius:g} lies outside the scan of "
            f"{SCAN_SIDE} x {SCAN_SIDE} px; correct the line"
        )
    return x + 0.5, SCAN_SIDE - y - 0.5, radius


def read_pgm(path: Path) -> NDArray[np.uint8]:
    """Read one scan: a binary PGM of 8 bits, comments allowed.

    Returns:
        uint8 (1024, 1024), 0..255, 0.2 mm a pixel.

    Raises:
        DataError: Another format, size or depth, or too few or too many bytes.
    """
    remedy = "give the unchanged mini-MIAS scan"
    raw = read_whole(path, MOST_HEADER + 2 * SCAN_SIDE**2, remedy)
    header = PGM_HEADER.match(raw)
    if not header:
        raise DataError(
            f"{path}: begins with {raw[:2]!r}; expected a binary PGM (P5); copy it again"
        )
    width, height, greatest = map(int, header.groups())
    if (width, height, greatest) != (SCAN_SIDE, SCAN_SIDE, GREY_MAX):
        raise DataError(
            f"{path}: {width} x {height} px up to grey level {greatest}; expected {SCAN_SIDE} x "
            f"{SCAN_SIDE} up to {GREY_MAX} (8 bits); {remedy}"
        )
    held, expected = len(raw) - header.end(), width * height
    if held != expected:
        raise DataError(
            f"{path}: holds {held:,} bytes of pixels; expected {expected:,}; copy it again"
        )
    return np.frombuffer(raw, np.uint8, offset=header.end()).reshape(height, width)


def read_scan(path: Path, left_is_even: bool = True) -> Scan:
    """Read one scan and enlarge it to the tiles' 0.1 mm a pixel.

    All are mediolateral oblique views. Cubic interpolation adds pixels, no detail.

    Raises:
        DataError: As ``read_pgm``.
    """
    name = path.stem.lower()
    pixels = cv2.resize(read_pgm(path), None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)
    left = (_number(name) % 2 == 0) == left_is_even
    return Scan(name, woman(name), "LEFT" if left else "RIGHT", "MLO", pixels)


def woman(name: str) -> str:
    """The woman a scan shows: ``"mdb003-004"`` of ``"mdb003"`` and ``"mdb004"``."""
    first = (_number(name) - 1) // 2 * 2 + 1
    return f"mdb{first:03d}-{first + 1:03d}"


def _number(name: str) -> int:
    return int(name.removeprefix("mdb"))


def _cut(
    scans: dict[str, Path], info: Info, source: Path, seed: int, progress: Progress | None
) -> Iterator[TileBlock]:
    """Tiles of each scan, and their rows of the table but for ``origin``."""
    for done, (name, path) in enumerate(scans.items(), 1):
        rng = np.random.default_rng([seed, _number(name)])
        scan = read_scan(path, info.left_is_even)
        images, lesions = _tiles_of(scan, info.findings[name], rng)
        shared = {
            "group": scan.patient,
            "source": shown(path.relative_to(source)),
            "filename": path.name,
            "patient": scan.patient,
            "side": scan.side,
            "view": scan.view,
        }
        yield (
            images,
            [
                {"tile": f"{name}/{index:03d}", "label": label, "lesion": lesion, **shared}
                for index, (label, lesion) in enumerate(lesions)
            ],
        )
        if progress:
            progress(done, len(scans))


def _tiles_of(
    scan: Scan, findings: tuple[Finding, ...], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], list[tuple[int, str]]]:
    """Tiles of one scan, with label and lesion of each; none if no lesion has a place."""
    if not findings:
        images = cut_tiles(scan, tile_positions(scan))
        return images, [(0, "")] * len(images)
    crops, lesions = [cut_tiles(scan, np.empty((0, 2), np.int64))], []
    for number, finding in enumerate(findings, 1):
        if finding.box:
            images, _ = lesion_crops(scan.pixels, finding.box, rng)
            crops.append(images)
            lesions += [(finding.label, f"{scan.name}/lesion{number}")] * len(images)
    return np.concatenate(crops), lesions


def _origins(table: pd.DataFrame, seed: int) -> NDArray[np.str_]:
    """Training or held-out for each tile, by women.

    Women are divided within each stratum, the greatest label they have. A woman may have
    tiles of other labels too, so of several such divisions the first is taken that shows
    most classes on both sides.
    """
    strata = table.groupby("group")["label"].max().to_numpy()
    women = pd.crosstab(table["group"], table["label"]) > 0  # in the order of the strata
    rng = np.random.default_rng(seed)
    divisions = [_draw_held_out(strata, rng) for _ in range(DRAWS)]
    has = women.to_numpy()
    shown = [has[held].any(axis=0).sum() + has[~held].any(axis=0).sum() for held in divisions]
    held_out = women.index[divisions[int(np.argmax(shown))]]
    return np.where(table["group"].isin(held_out), HELD_OUT, TRAINING)


def _draw_held_out(strata: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """About a quarter of each stratum, at least one of two or more: bool, one a woman."""
    held = np.zeros(len(strata), bool)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        count = max(round(HELD_OUT_SHARE * len(members)), int(len(members) > 1))
        held[rng.permutation(members)[:count]] = True
    return held


def _remarks(info: Info, scans: dict[str, Path]) -> list[str]:
    """What there is to say about the set; counts only where there is something to count."""
    used = [found for name, found in info.findings.items() if name in scans]
    lesions = [finding for found in used for finding in found]
    counted = {
        "scans named by Info.txt but absent": len(info.findings.keys() - scans.keys()),
        "scans that Info.txt does not name, not read": len(scans.keys() - info.findings.keys()),
        "lines of Info.txt that repeat an earlier one, passed over": info.repeated,
        "lesions without coordinates, not cut": sum(f.circle is None for f in lesions),
        "scans of such lesions alone, which give no tile": sum(
            bool(found) and all(f.circle is None for f in found) for found in used
        ),
        "architectural distortions and asymmetries (ARCH, ASYM), labelled as masses as in "
        "CBIS-DDSM": sum(f.kind in MASS_LIKE for f in lesions),
    }
    return [
        f"scans enlarged from {SCAN_PIXEL_MM} to {TILE_PIXEL_MM} mm a pixel by cubic "
        "interpolation, which adds no detail",
        *(f"{remark}: {count}" for remark, count in counted.items() if count),
    ]
