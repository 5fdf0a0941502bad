"""Simulated breast tissue on digitised film: the background of the phantom's tiles.

One pixel is 0.1 mm: the data set's author cut 598 px of 50 um and halved them.
The steps follow the road of light through a film mammogram.

1. Tissue. Power-law noise, radially averaged spectrum 1/f^beta with beta near 3
   (Burgess, Jacobson and Judy 2001; Heine and Velthuizen 2002), pushed through
   a soft threshold so that bright glandular patches with scalloped borders lie
   in darker fat, plus a net of septa, vessels, ducts and Cooper's ligaments.
2. Film. An S-shaped characteristic curve (Hurter and Driffield) from tissue to
   grey level, another one for each of the three film scanners.
   A fourth scanner, ``OUTSIDE``, is drawn only where it is asked for: a set that a
   network trained on the three has never seen the like of. It is made up, within the
   bounds of film: brighter and flatter than the three, bent towards the dark end, out
   of focus by about a pixel, and noisier. Its positives take the same road as its
   normals.
3. Noise. Quantum noise follows the slope of the film curve and grows where
   thick tissue leaves few photons; film grain is correlated over 1.5 px.

Tissue is in arbitrary units in which the structure of one tile has a standard
deviation near 1; brighter is denser. Arrays are float32 throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from birads_lib.tiles.layout import TILE

Image = NDArray[np.float32]

SCANNERS = ("DBA", "HOWTEK", "LUMISYS")
OUTSIDE = "OUTSIDE"
SCANNER_SHARES = {
    "training": {"DBA": 0.25, "HOWTEK": 0.33, "LUMISYS": 0.42},
    "outside": {OUTSIDE: 1.0},
}

# Power-law tissue
BETA_MEAN, BETA_SPREAD = 3.25, 0.42  # exponent of the spectrum, over scans
BETA_RANGE = (2.5, 4.2)
TILE_CYCLE = 1 / TILE  # cycles a px of one cycle a tile; unit variance lies above
LONGEST_WAVE = 1 / 500  # cycles a px below which the spectrum flattens
FINEST_WAVE = 0.25  # cycles a px; finer texture drowns in noise
STRETCH = (1.0, 2.1)  # anisotropy: along over across the ducts

# Composition of the tissue, in tissue units
TEXTURE, GLANDULAR, NET, STRANDS, THICKNESS = 0.55, 0.95, 0.55, 1.4, 0.5
GLANDULAR_EDGE = 0.42  # width of the soft threshold between fat and gland
GLANDULAR_SMOOTH = 4.0  # px, its borders are scalloped, not ragged
STRUCTURE_SIGMA = 12.0  # px (1.2 mm): structure finer than this hides a lesion

# Net of septa
NET_STEP = 2  # px, the net is drawn at half size
NET_SMOOTH = 2.2  # half-size px
NET_WIDTH = (0.7, 1.5)  # half-size px

# Strands, a field of one tile's area; lengths in px
STRANDS_A_TILE = (8.0, 48.0)
STRAND_LENGTH = (60.0, 420.0)
STRAND_PIECES = 12
STRAND_FADE = np.sin(np.pi * (np.arange(STRAND_PIECES) + 0.7) / (STRAND_PIECES + 0.4)).tolist()
"""How bright each piece is, as a share of the line's brightness."""
VESSEL_SHARE = 0.05
SUBPIXEL_BITS = 4

# Rare things, chance a tile's area
PECTORAL_CHANCE, PATCH_CHANCE, DUST_CHANCE = 0.03, 0.12, 0.30

# Skin: a band beside one side of the field
SKIN_FIELD_CHANCE = 0.24  # of a 3 x 3 field of which one column is touched: 8 % of tiles
SKIN_LESION_CHANCE = 0.06
SKIN_ROLL_OFF = (30.0, 110.0)  # px over which the breast thins towards the skin
AIR = -9.0  # tissue units of air outside the skin

# Film: grey level of mean tissue (by scanner, normals), its spread over scans and fields
MIDDLE_GREY = {"DBA": 146.0, "HOWTEK": 142.0, "LUMISYS": 90.0, OUTSIDE: 165.0}
MIDDLE_GREY_POSITIVE = 137.0  # positives took another road, one for all three scanners
MIDDLE_SPREAD, MIDDLE_FIELD_SPREAD = 19.0, 15.0
MIDDLE_RANGE = (48.0, 205.0)
# Grey levels a tissue unit
CONTRAST = {"DBA": 32.0, "HOWTEK": 29.0, "LUMISYS": 27.0, OUTSIDE: 22.0}
CONTRAST_POSITIVE = 29.5
CONTRAST_SPREAD = 0.22  # of the logarithm
FILM_GAMMA = {"DBA": 1.25, "HOWTEK": 1.0, "LUMISYS": 0.75, OUTSIDE: 1.6}
FILM_GAMMA_POSITIVE = 1.0
FILM_CEILING = 250.0  # grey levels, the scanner's brightest
FILM_BASE = {"DBA": 6.0, "HOWTEK": 3.0, "LUMISYS": 12.0, OUTSIDE: 20.0}  # grey level of air
FOCUS_BLUR = {OUTSIDE: 0.9}  # px, standard deviation; the three are in focus
CURVE_STEPS, CURVE_REACH = 8192, 9.0  # table of the curve: entries, logits each way

# Noise, grey levels at the steepest point of the film curve
QUANTUM_NOISE = {"DBA": 2.2, "HOWTEK": 1.6, "LUMISYS": 1.3, OUTSIDE: 3.0}
GRAIN_NOISE = {"DBA": 1.3, "HOWTEK": 1.0, "LUMISYS": 0.8, OUTSIDE: 1.8}
NOISE_SPREAD = 0.25  # of the logarithm, over scans
GRAIN_SIGMA = 0.65  # px; correlation length near 1.5 px
GRAIN_SHIFT = (101, 67)  # px between the two uses of one white noise


@dataclass(frozen=True)
class Scan:
    """What all tiles of one scan share.

    Attributes:
        scanner: One of ``SCANNERS``, or ``OUTSIDE``.
        beta: Exponent of the tissue's power spectrum.
        stretch: Length over width of the texture, 1 or more.
        angle: Direction of ducts and texture, radians.
        density: Share of glandular tissue, as a threshold in standard deviations.
        strands: Strands on the area of one tile.
        middle: Grey level of mean tissue.
        contrast: Grey levels of one tissue unit at the middle.
        gamma: Skewness of the film curve.
        blur: Standard deviation of the scanner's focus, px; 0 in focus.
        quantum, grain: Noise, grey levels.
    """

    scanner: str
    beta: float
    stretch: float
    angle: float
    density: float
    strands: float
    middle: float
    contrast: float
    gamma: float
    blur: float
    quantum: float
    grain: float


def allot_scanners(
    rng: np.random.Generator, count: int, scanners: str = "training"
) -> NDArray[np.str_]:
    """A scanner for each of ``count`` women, in ``SCANNER_SHARES`` as exactly as they divide.

    Drawn one by one, a small set's grey levels would hang on the luck of the draw. All
    sets of scanners use up ``rng`` alike, so that the same women can be seen on another.
    """
    shares = SCANNER_SHARES[scanners]
    bounds = np.cumsum(list(shares.values())) * count
    return np.array(list(shares))[np.searchsorted(bounds[:-1], rng.permutation(count) + 0.5)]


def draw_scan(rng: np.random.Generator, scanner: str, *, positive: bool) -> Scan:
    """Draw the parameters of one scan; positives are denser, and those of the three
    scanners normalised another way."""
    other_road = positive and scanner in SCANNERS
    middle = MIDDLE_GREY_POSITIVE if other_road else MIDDLE_GREY[scanner]
    contrast = CONTRAST_POSITIVE if other_road else CONTRAST[scanner]
    loudness = np.exp(NOISE_SPREAD * rng.standard_normal())
    return Scan(
        scanner=scanner,
        beta=float(np.clip(rng.normal(BETA_MEAN, BETA_SPREAD), *BETA_RANGE)),
        stretch=rng.uniform(*STRETCH),
        angle=rng.uniform(0, np.pi),
        density=rng.normal(0.15 if positive else 0.0, 0.55),
        strands=rng.uniform(*STRANDS_A_TILE),
        middle=rng.normal(middle, MIDDLE_SPREAD),
        contrast=contrast * float(np.exp(CONTRAST_SPREAD * rng.standard_normal())),
        gamma=FILM_GAMMA_POSITIVE if other_road else FILM_GAMMA[scanner],
        blur=FOCUS_BLUR.get(scanner, 0.0),
        quantum=QUANTUM_NOISE[scanner] * loudness,
        grain=GRAIN_NOISE[scanner] * loudness,
    )


def road_gap(scanner: str) -> float:
    """Grey levels by which infected tissue was put above normal tissue of one scanner.

    It is the distance of the mean levels alone: contrast and film curve differ as well, and
    infected tissue is drawn a little denser. 0 on the scanner outside, where both take one road.
    """
    infected = MIDDLE_GREY_POSITIVE if scanner in SCANNERS else MIDDLE_GREY[scanner]
    return infected - MIDDLE_GREY[scanner]


def power_law_filter(size: int, beta: float, stretch: float, angle: float) -> Image:
    """Amplitudes by which white noise becomes tissue, for waves of a ``size`` px field.

    The scale does not depend on ``size``: waves shorter than one tile together
    have unit variance.

    Returns:
        float32 ``(size / 2, size / 2)``: frequencies below ``FINEST_WAVE`` alone,
        in the order of the discrete Fourier transform. Finer texture is far below
        the noise, and three quarters of all waves.
    """
    along, across = _rotated_frequencies(size, angle)
    squared = along * stretch + across / stretch + np.float32(LONGEST_WAVE**2)
    density = (beta - 2) * TILE_CYCLE ** (beta - 2) / (2 * np.pi)
    amplitude = np.exp(np.float32(-beta / 4) * np.log(squared))
    amplitude *= np.float32(np.sqrt(density) / size)
    amplitude[0, 0] = 0
    return amplitude


def _rotated_frequencies(size: int, angle: float) -> tuple[Image, Image]:
    """Squared frequency along and across ``angle``, (cycles a px)^2."""
    waves = int(2 * FINEST_WAVE * size)
    f = (fft.fftfreq(waves) * waves / size).astype(np.float32)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along = cos * f[None, :] + sin * f[:, None]
    across = cos * f[:, None] - sin * f[None, :]
    return along * along, across * across


def two_fields(rng: np.random.Generator, amplitude: Image, size: int) -> tuple[Image, Image]:
    """Two independent noise fields of one spectrum, ``(size, size)`` float32 each.

    Complex white noise has independent real and imaginary parts after the
    transform, so one transform gives two fields.
    """
    white = rng.standard_normal((*amplitude.shape, 2), dtype=np.float32)
    waves = white.view(np.complex64)[..., 0] * amplitude
    field = _waves_to_field(_waves_to_field(waves, 1, size), 0, size)
    return np.ascontiguousarray(field.real), np.ascontiguousarray(field.imag)


def _waves_to_field(waves: NDArray[np.complex64], axis: int, size: int) -> NDArray[np.complex64]:
    """Inverse transform along one axis, zero above ``FINEST_WAVE``; the first ``size`` px."""
    half = waves.shape[axis] // 2
    shape = list(waves.shape)
    shape[axis] = round(half / FINEST_WAVE)
    full = np.zeros(shape, np.complex64)
    first, last = [slice(None)] * 2, [slice(None)] * 2
    first[axis], last[axis] = slice(half), slice(-half, None)
    full[tuple(first)], full[tuple(last)] = waves[tuple(first)], waves[tuple(last)]
    field = fft.ifft(full, axis=axis, overwrite_x=True, workers=1, norm="forward")
    return field[:, :size] if axis else field[:size]


def tissue_field(rng: np.random.Generator, scan: Scan, amplitude: Image, size: int) -> Image:
    """Tissue without lesion, ``(size, size)`` float32 in tissue units, mean near 0.

    Args:
        rng: Source of randomness.
        scan: The scan the field belongs to.
        amplitude: ``power_law_filter`` of at least ``size``.
        size: Side in px.
    """
    texture, second = two_fields(rng, amplitude, size)
    gland = glandular_share(texture, scan.density)
    tissue = TEXTURE * texture
    tissue += GLANDULAR * (gland - 0.5)
    tissue += NET * (septa_net(rng, second, size) + septa_net(rng, second - texture, size))
    tissue += STRANDS * strands(rng, scan, size)
    tissue += THICKNESS * slow_variation(rng, size)
    add_rare_things(rng, tissue)
    return tissue


def glandular_share(texture: Image, density: float) -> Image:
    """Share of glandular tissue, 0 (fat) to 1, by a soft threshold of the texture."""
    share = smooth(texture, GLANDULAR_SMOOTH, step=2)
    share += np.float32(density)
    share *= np.float32(-1 / GLANDULAR_EDGE)
    np.exp(np.minimum(share, 30, out=share), out=share)
    share += 1
    return np.reciprocal(share, out=share)


def septa_net(rng: np.random.Generator, field: Image, size: int) -> Image:
    """Thin bright curves where ``field`` crosses zero; 0 to 1, uneven along their length.

    Distance to the crossing is value over gradient, so that a septum keeps its width.
    """
    half = cv2.resize(field, None, fx=1 / NET_STEP, fy=1 / NET_STEP, interpolation=cv2.INTER_AREA)
    half = cv2.GaussianBlur(half, (0, 0), NET_SMOOTH)
    slope_x = cv2.Sobel(half, cv2.CV_32F, 1, 0, scale=1 / 8)
    slope_y = cv2.Sobel(half, cv2.CV_32F, 0, 1, scale=1 / 8)
    slope = slope_x * slope_x + slope_y * slope_y
    width = np.float32(rng.uniform(*NET_WIDTH) ** 2)
    net = np.exp(-(half * half) / (slope * width + np.float32(1e-7)))
    strength = np.sqrt(np.minimum(slope / (4 * float(slope.mean()) + 1e-9), 1))
    net *= strength
    return cv2.resize(net, (size, size), interpolation=cv2.INTER_LINEAR)


def strands(rng: np.random.Generator, scan: Scan, size: int) -> Image:
    """Vessels, ducts and ligaments: thin, curved, tapered lines; 0 to 1, ``(size, size)``.

    Most run along the scan's direction, some across it.
    """
    fine = np.zeros((size, size), np.uint8)
    wide = np.zeros((size, size), np.uint8)
    count = rng.poisson(scan.strands * (size / TILE) ** 2)
    decided = [decide_strand(rng, scan.angle) for _ in range(count)]
    for points, strand in zip(strand_paths(decided, size), decided, strict=True):
        draw_tapered(wide if strand.thickness > 2 else fine, points, strand)
    image = fine.astype(np.float32)
    image = cv2.GaussianBlur(image, (0, 0), 0.9)
    image += cv2.GaussianBlur(wide.astype(np.float32), (0, 0), 1.8)
    image *= np.float32(1 / 255)
    return image


class Strand(NamedTuple):
    """One line, before it is drawn.

    Attributes:
        headings: Direction of each piece, radians.
        length: px.
        middle: Where its middle lies, as shares of the field's side.
        brightness: 0 to 255.
        thickness: px; vessels have three or more.
    """

    headings: NDArray[np.float64]
    length: float
    middle: NDArray[np.float64]
    brightness: float
    thickness: int


def decide_strand(rng: np.random.Generator, angle: float) -> Strand:
    """Decide on one line, which most likely runs along ``angle``, radians."""
    direction = angle + rng.normal(0, 0.45) + (np.pi / 2 if rng.random() < 0.2 else 0)
    length = rng.uniform(*STRAND_LENGTH)
    bends = rng.normal(0, 0.05, STRAND_PIECES) + rng.normal(0, 0.06)
    middle = rng.uniform(-0.1, 1.1, 2)
    vessel = rng.random() < VESSEL_SHARE
    brightness = rng.uniform(50, 130) if vessel else 15 + 165 * rng.random() ** 2.5
    thickness = int(rng.integers(3, 6)) if vessel else int(rng.integers(1, 3))
    return Strand(direction + np.cumsum(bends), length, middle, brightness, thickness)


def strand_paths(strands: Sequence[Strand], size: int) -> list[list[list[int]]]:
    """Points of curved lines, ``STRAND_PIECES + 1`` each, as (x, y) in parts of a px.

    All lines of a field at once: one by one they took a seventh of a tile's time.
    """
    headings = np.array([strand.headings for strand in strands]).reshape(-1, STRAND_PIECES)
    piece = np.array([strand.length for strand in strands]) / STRAND_PIECES
    steps = np.stack([np.cos(headings), np.sin(headings)], axis=-1) * piece[:, None, None]
    middle = np.array([strand.middle for strand in strands]).reshape(-1, 1, 2) * size
    start = middle - steps.sum(axis=1, keepdims=True) / 2
    points = np.concatenate([start, start + np.cumsum(steps, axis=1)], axis=1)
    return np.round(points * (1 << SUBPIXEL_BITS)).astype(np.int32).tolist()


def draw_tapered(
    canvas: NDArray[np.uint8], points: Sequence[Sequence[int]], strand: Strand
) -> None:
    """Draw a line on ``canvas`` that fades towards both ends."""
    for fade, here, there in zip(STRAND_FADE, points[:-1], points[1:], strict=True):
        grey = strand.brightness * fade
        cv2.line(canvas, here, there, grey, strand.thickness, cv2.LINE_AA, SUBPIXEL_BITS)


def slow_variation(rng: np.random.Generator, size: int) -> Image:
    """Thickness of the breast over the field: smooth, standard deviation near 1."""
    knots = max(3, round(size / TILE) + 2)
    grid = rng.standard_normal((knots, knots), dtype=np.float32)
    return cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)


def add_rare_things(rng: np.random.Generator, tissue: Image) -> None:
    """Add what misleads a reader, lesion or not: muscle edge, dense patch, dust. In place."""
    tiles = (tissue.shape[0] / TILE) ** 2
    if rng.random() < PECTORAL_CHANCE * tiles:
        tissue += half_plane(rng, tissue.shape[0])
    for _ in range(rng.poisson(PATCH_CHANCE * tiles)):
        add_dense_patch(rng, tissue)
    for _ in range(rng.poisson(DUST_CHANCE * tiles)):
        add_dust(rng, tissue)


def half_plane(rng: np.random.Generator, size: int) -> Image:
    """The pectoral muscle: brighter on one side of a nearly straight line near a corner."""
    turn = rng.uniform(0, 2 * np.pi)
    at = np.arange(size, dtype=np.float32) - size / 2
    distance = np.float32(np.cos(turn)) * at[None, :] + np.float32(np.sin(turn)) * at[:, None]
    distance -= np.float32(size * rng.uniform(0.15, 0.5))
    height, softness = rng.uniform(0.7, 1.5), rng.uniform(5, 14)
    return np.float32(height / 2) * (1 + np.tanh(distance / np.float32(softness)))


def add_dense_patch(rng: np.random.Generator, tissue: Image) -> None:
    """Add a soft bright blob 4 to 12 mm across, without a margin. In place."""
    radius = rng.uniform(20, 60)
    patch, where = blob_window(rng, tissue.shape[0], radius)
    tissue[where] += np.float32(rng.uniform(0.4, 1.2)) * patch


def blob_window(
    rng: np.random.Generator, size: int, radius: float
) -> tuple[Image, tuple[slice, slice]]:
    """A stretched Gaussian of ``radius`` px somewhere inside the field, and its place."""
    reach = int(2.4 * radius)
    x, y = rng.integers(0, size - 1, 2)
    rows = slice(max(0, y - reach), min(size, y + reach))
    columns = slice(max(0, x - reach), min(size, x + reach))
    dy = np.arange(rows.start - y, rows.stop - y, dtype=np.float32)[:, None]
    dx = np.arange(columns.start - x, columns.stop - x, dtype=np.float32)[None, :]
    turn, stretch = rng.uniform(0, np.pi), rng.uniform(1, 1.8)
    along = np.float32(np.cos(turn)) * dx + np.float32(np.sin(turn)) * dy
    across = np.float32(np.cos(turn)) * dy - np.float32(np.sin(turn)) * dx
    squared = along * along / np.float32(stretch) + across * across * np.float32(stretch)
    return np.exp(-squared / np.float32(radius * radius)), (rows, columns)


def add_dust(rng: np.random.Generator, tissue: Image) -> None:
    """Add one isolated dot or short hair, bright or dark, as dust on film leaves. In place."""
    size = tissue.shape[0]
    x, y = rng.integers(8, size - 8, 2)
    canvas = np.zeros((15, 15), np.uint8)
    turn = rng.uniform(0, np.pi)
    half = rng.choice([0.3, 0.8, 1.5, 4.0], p=[0.4, 0.3, 0.2, 0.1])
    shift = np.array([np.cos(turn), np.sin(turn)]) * half * (1 << SUBPIXEL_BITS)
    middle = 7 << SUBPIXEL_BITS
    first, last = np.round(middle + shift).astype(int), np.round(middle - shift).astype(int)
    cv2.line(canvas, first.tolist(), last.tolist(), 255, 1, cv2.LINE_AA, SUBPIXEL_BITS)
    sign = 1.0 if rng.random() < 0.8 else -1.0
    dot = cv2.GaussianBlur(canvas.astype(np.float32), (0, 0), 0.6) / 255
    tissue[y - 7 : y + 8, x - 7 : x + 8] += np.float32(sign * rng.uniform(1.0, 4.0)) * dot


def skin_depth(rng: np.random.Generator, size: int, reach: tuple[float, float]) -> Image:
    """Distance inside the skin, px, ``(size, size)``; negative in the air.

    The skin is an arc of large radius along one side of the field, ``reach`` px
    from it at its middle.
    """
    radius = rng.uniform(1200, 3000)
    inside = rng.uniform(*reach)
    at = np.arange(size, dtype=np.float32)
    centre_x = size - inside - radius
    centre_y = size * rng.uniform(0.35, 0.65)
    dx, dy = at[None, :] - np.float32(centre_x), at[:, None] - np.float32(centre_y)
    depth = np.float32(radius) - np.sqrt(dx * dx + dy * dy)
    return np.ascontiguousarray(np.rot90(depth, int(rng.integers(4))))


def thin_towards_skin(rng: np.random.Generator, tissue: Image, depth: Image) -> Image:
    """Tissue that thins towards the skin line and ends in air; ``tissue`` is not changed."""
    roll = np.float32(rng.uniform(*SKIN_ROLL_OFF))
    inner = np.maximum(depth, 0)
    thin = np.exp(-inner / roll)
    line = np.float32(0.5) * np.exp(-((depth - 7) ** 2) / 18)
    outside = 1 / (1 + np.exp(np.clip(depth * 1.5, -30, 30)))
    shaded = tissue * (1 - 0.75 * thin) - np.float32(3.6) * thin + line
    return shaded * (1 - outside) + np.float32(AIR) * outside


def structure(tissue: Image) -> float:
    """Standard deviation of structure finer than 1.2 mm, tissue units: what hides a lesion."""
    return float((tissue - smooth(tissue, STRUCTURE_SIGMA, step=4)).std())


def smooth(image: Image, sigma: float, step: int) -> Image:
    """Gaussian blur of ``sigma`` px, computed on every ``step``-th px for speed."""
    small = cv2.resize(image, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / step)
    return cv2.resize(small, image.shape[::-1], interpolation=cv2.INTER_LINEAR)


@lru_cache(maxsize=16)
def _film_tables(gamma: float, base: float) -> tuple[Image, Image]:
    """Grey level and quantum noise over the logit of exposure, ``CURVE_STEPS`` each."""
    logit = np.linspace(-CURVE_REACH, CURVE_REACH, CURVE_STEPS)
    share = (1 / (1 + np.exp(-logit))) ** gamma
    slope = np.gradient(share, logit)
    noise = slope / slope.max() * np.exp(np.clip(logit, -3, 3) / 6)
    grey = base + (FILM_CEILING - base) * share
    return grey.astype(np.float32), noise.astype(np.float32)


def film_curve(tissue: Image, scan: Scan, middle: float) -> tuple[Image, Image]:
    """Grey levels of ``tissue`` on this scan's film, and the relative quantum noise there.

    Args:
        tissue: Tissue units, 0 the mean.
        scan: Gives contrast and curve.
        middle: Grey level of mean tissue in this field.

    Returns:
        Grey levels, float32 within 0 to 255, and noise weights, float32 about 0 to 1.
    """
    base = FILM_BASE[scan.scanner]
    grey, noise = _film_tables(scan.gamma, base)
    share = (np.clip(middle, *MIDDLE_RANGE) - base) / (FILM_CEILING - base)
    root = share ** (1 / scan.gamma)
    start = np.log(root / (1 - root))
    slope = scan.gamma * share * (1 - root) * (FILM_CEILING - base)
    steps = CURVE_STEPS / (2 * CURVE_REACH)
    index = tissue * np.float32(scan.contrast / slope * steps)
    index += np.float32((start + CURVE_REACH) * steps)
    np.clip(index, 0, CURVE_STEPS - 1, out=index)
    entry = index.astype(np.uint16)
    return grey[entry], noise[entry]


def field_middle(rng: np.random.Generator, scan: Scan) -> float:
    """Grey level of mean tissue in one field of a scan: exposure differs from place to place."""
    return rng.normal(scan.middle, MIDDLE_FIELD_SPREAD)


def out_of_focus(grey: Image, scan: Scan) -> Image:
    """Grey levels as the scanner's optics see them: blurred, or unchanged if in focus."""
    return cv2.GaussianBlur(grey, (0, 0), scan.blur) if scan.blur else grey


def add_noise(rng: np.random.Generator, grey: Image, weight: Image, scan: Scan) -> Image:
    """Grey levels with quantum noise and film grain; inputs are not changed.

    Grain is the same white noise, blurred and moved far enough to be independent
    at every point, which saves half of the random numbers.
    """
    white = rng.standard_normal(grey.shape, dtype=np.float32)
    grain = np.roll(cv2.GaussianBlur(white, (0, 0), GRAIN_SIGMA), GRAIN_SHIFT, axis=(0, 1))
    grain *= np.float32(scan.grain * 2 * np.sqrt(np.pi) * GRAIN_SIGMA)
    white *= weight
    white *= np.float32(scan.quantum)
    white += grain
    white += grey
    return white


def to_bytes(grey: Image) -> NDArray[np.uint8]:
    """Round grey levels to uint8, clipped to 0..255."""
    return np.clip(grey + np.float32(0.5), 0, 255).astype(np.uint8)
