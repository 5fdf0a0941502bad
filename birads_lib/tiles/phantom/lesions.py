"""Simulated masses and calcifications for the phantom's tiles.

Shapes follow the words of the BI-RADS atlas. Benign masses are round, oval or
lobulated with a circumscribed margin; malignant ones irregular with a
spiculated, ill-defined or microlobulated margin. Benign calcifications are few
and coarse, lucent-centred or vascular; malignant ones are many, fine and
pleomorphic, or fine, linear and branching, in a cluster. Conspicuity is drawn
from one distribution for benign and malignant, so shape alone tells them apart.

One pixel is 0.1 mm. A drawing is a float32 image whose peak is about 1, beside
the mask of the lesion.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from birads_lib.labels import CLASSES

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
Bytes = NDArray[np.uint8]

# Conspicuity: lesion amplitude over the standard deviation of structure finer than 1.2 mm
CONSPICUITY_MEDIAN = {"mass": 6.8, "calcification": 9.5}
CONSPICUITY_SPREAD = 0.44  # of the logarithm, over lesions
VIEW_SPREAD = 0.20  # of the logarithm, over the views of one lesion
CONSPICUITY_RANGE = {"mass": (0.8, 14.0), "calcification": (1.2, 22.0)}

# Kinds and how often they come
KINDS = {
    1: (("coarse", 0.5), ("ring", 0.3), ("vascular", 0.2)),
    2: (("round", 0.3), ("oval", 0.4), ("lobulated", 0.3)),
    3: (("pleomorphic", 0.65), ("linear", 0.35)),
    4: (("spiculated", 0.6), ("irregular", 0.25), ("microlobulated", 0.15)),
}

# Masses, px
MASS_RADIUS = (30.0, 90.0)
SPICULATED_RADIUS = (28.0, 62.0)  # of the core; spicules reach further
SPICULE_COUNT = (13, 32)
SPICULE_REACH = (1.25, 2.4)  # radii from the centre
ANGLES = 512  # samples of an outline
MASS_EDGE = 0.12  # height of the profile at which a mass begins, for the mask
HALO = -0.10  # of a circumscribed mass's peak, a thin dark rim
INNER_TEXTURE = 0.08

# Calcifications, px
COARSE_COUNT, COARSE_DIAMETER, COARSE_SPREAD = (3, 10), (5.0, 14.0), (35.0, 95.0)
RING_COUNT, RING_DIAMETER = (2, 6), (9.0, 18.0)
VESSEL_LENGTH, VESSEL_WIDTH = (110.0, 220.0), (7.0, 12.0)
FINE_COUNT, FINE_DIAMETER, CLUSTER_RADIUS = (12, 40), (2.0, 5.0), (25.0, 70.0)
BRANCH_COUNT, BRANCH_LENGTH = (3, 7), (30.0, 90.0)
CALCIFICATION_BLUR = 0.6  # px, focal spot and screen
CALCIFICATION_MARGIN = 13  # px, diameter by which the mask surrounds each one
CALCIFICATION_EDGE = 60  # of 255
CALCIFICATION_CORE = 0.2  # height of a drawing at which a calcification begins
SUBPIXEL_BITS = 4


@dataclass(frozen=True)
class Lesion:
    """What the views of one lesion share.

    Attributes:
        label: Class 1 to 4.
        kind: One of the words in ``KINDS[label]``.
        size: Radius of a mass or of the spread of calcifications, px.
        conspicuity: Amplitude over the standard deviation of fine tissue structure.
    """

    label: int
    kind: str
    size: float
    conspicuity: float


def draw_lesion(rng: np.random.Generator, label: int) -> Lesion:
    """Draw the character of one lesion of class ``label`` (1 to 4)."""
    names, shares = zip(*KINDS[label], strict=True)
    kind = str(rng.choice(names, p=shares))
    family = CLASSES[label].lesion
    conspicuity = CONSPICUITY_MEDIAN[family] * np.exp(CONSPICUITY_SPREAD * rng.standard_normal())
    return Lesion(label, kind, _draw_size(rng, kind), float(conspicuity))


def view_conspicuity(rng: np.random.Generator, lesion: Lesion) -> float:
    """Conspicuity of a lesion in one view, within ``CONSPICUITY_RANGE``."""
    low, high = CONSPICUITY_RANGE[CLASSES[lesion.label].lesion]
    seen = lesion.conspicuity * np.exp(VIEW_SPREAD * rng.standard_normal())
    return float(np.clip(seen, low, high))


def _draw_size(rng: np.random.Generator, kind: str) -> float:
    ranges = {
        "spiculated": SPICULATED_RADIUS,
        "coarse": COARSE_SPREAD,
        "ring": COARSE_SPREAD,
        "vascular": (VESSEL_LENGTH[0] / 2, VESSEL_LENGTH[1] / 2),
        "pleomorphic": CLUSTER_RADIUS,
        "linear": CLUSTER_RADIUS,
    }
    low, high = ranges.get(kind, MASS_RADIUS)
    return low + (high - low) * rng.beta(1.3, 1.9)


def lesion_image(rng: np.random.Generator, lesion: Lesion, size: int) -> tuple[Image, Mask]:
    """Draw one view of a lesion at the middle of a field.

    Returns:
        The drawing, float32 ``(size, size)``, 0 outside and about 1 at its peak,
        and its mask, bool ``(size, size)``.
    """
    if lesion.label in (2, 4):
        return draw_mass(rng, lesion, size)
    canvas = np.zeros((size, size), np.uint8)
    draw = {
        "coarse": draw_coarse,
        "ring": draw_rings,
        "vascular": draw_tram_track,
        "pleomorphic": draw_cluster,
        "linear": draw_branches,
    }[lesion.kind]
    draw(rng, canvas, lesion.size)
    return finish_calcifications(canvas)


def calcification_cores(lesion: Lesion, image: Image) -> Mask:
    """Where the calcifications themselves are in a drawing; nowhere in one of a mass."""
    return image > CALCIFICATION_CORE if lesion.label in (1, 3) else np.zeros(image.shape, bool)


# Masses


def draw_mass(rng: np.random.Generator, lesion: Lesion, size: int) -> tuple[Image, Mask]:
    """Draw a mass of any kind: projected ellipsoid, margin, inner texture, spicules."""
    radius, angle = polar_grid(size)
    outline = lesion.size * mass_outline(rng, lesion.kind)
    index = (angle * np.float32(ANGLES / (2 * np.pi))).astype(np.int32) % ANGLES
    relative = radius / outline.astype(np.float32)[index]
    if lesion.kind in ("round", "oval", "lobulated"):
        image = circumscribed_profile(rng, relative)
    else:
        image = ill_defined_profile(rng, relative, lesion.kind)
    mask = image > MASS_EDGE
    image *= 1 + INNER_TEXTURE * smooth_noise(rng, size, 16.0)
    if lesion.kind == "spiculated":
        spicules = draw_spicules(rng, outline, size)
        mask |= spicules > 0.25
        np.maximum(image, 0.55 * image + spicules, out=image)
    return image, mask


def polar_grid(size: int) -> tuple[Image, Image]:
    """Distance (px) and angle (0 to 2 pi) from the middle, ``(size, size)`` float32 each."""
    at = np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)
    x, y = np.broadcast_arrays(at[None, :], at[:, None])
    return cv2.cartToPolar(np.ascontiguousarray(x), np.ascontiguousarray(y))


def mass_outline(rng: np.random.Generator, kind: str) -> NDArray[np.float64]:
    """Radius over angle, ``(ANGLES,)``, 1 on average.

    Orders of the Fourier series: 2 stretches, 3 to 6 lobulate, 5 to 24 make an
    outline irregular or microlobulated.
    """
    theta = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
    ratio = {"round": 1.08, "oval": 1.6}.get(kind, 1.3)
    stretch = np.sqrt(rng.uniform(1.0 if kind != "oval" else 1.25, ratio))
    turned = theta - rng.uniform(0, np.pi)
    outline = 1 / np.hypot(np.cos(turned) / stretch, np.sin(turned) * stretch)
    orders, height = {
        "round": ((2, 3), 0.02),
        "oval": ((2, 3), 0.03),
        "lobulated": ((2, 3, 4, 5), 0.055),
        "spiculated": ((3, 5, 7, 9, 11, 13), 0.09),
        "irregular": ((2, 3, 4, 5, 7, 9, 11), 0.12),
        "microlobulated": ((2, 3, 4, 8, 10, 13), 0.05),
    }[kind]
    for order in orders:
        wave = np.cos(order * theta + rng.uniform(0, 2 * np.pi))
        outline += height * rng.uniform(0.5, 1.3) * wave
    return np.maximum(outline, 0.3)


def circumscribed_profile(rng: np.random.Generator, relative: Image) -> Image:
    """Projected ellipsoid with a sharp edge; sometimes a halo, a thin dark rim."""
    inside = np.maximum(1 - relative * relative, 0)
    image = np.power(inside, np.float32(rng.uniform(0.28, 0.45)))
    if rng.random() < 0.35:
        image += np.float32(HALO) * np.exp(-(((relative - 1.05) / 0.035) ** 2)) * (relative > 1)
    return cv2.GaussianBlur(image, (0, 0), 1.2)


def ill_defined_profile(rng: np.random.Generator, relative: Image, kind: str) -> Image:
    """Brightest at the middle, fading over a margin that is uneven in sharpness."""
    softness = {"spiculated": 0.16, "irregular": 0.26, "microlobulated": 0.10}[kind]
    ragged = relative + np.float32(0.07) * smooth_noise(rng, relative.shape[0], 11.0)
    edge = 1 / (1 + np.exp(np.clip((ragged - 0.93) / np.float32(softness / 2), -30, 30)))
    return edge * (0.82 + 0.18 * np.exp(-relative * relative * 1.6))


def draw_spicules(rng: np.random.Generator, outline: NDArray[np.float64], size: int) -> Image:
    """Radiating, slightly curved lines, thick at the mass and fading outwards; 0 to about 0.7."""
    canvas = np.zeros((size, size), np.uint8)
    count = int(rng.integers(*SPICULE_COUNT))
    first = rng.uniform(0, 2 * np.pi)
    for i in range(count):
        heading = first + 2 * np.pi * (i + rng.uniform(-0.8, 0.8)) / count
        radius = outline[int(heading * ANGLES / (2 * np.pi)) % ANGLES]
        reach = radius * rng.uniform(*SPICULE_REACH)
        draw_spicule(rng, canvas, heading, 0.6 * radius, reach)
    image: Image = cv2.GaussianBlur(canvas.astype(np.float32), (0, 0), 1.1)
    return image * np.float32(1 / 255)


def draw_spicule(
    rng: np.random.Generator, canvas: Bytes, heading: float, near: float, far: float
) -> None:
    """Draw one spicule from ``near`` to ``far`` px from the middle."""
    pieces = 7
    along = np.linspace(near, far, pieces + 1)
    angles = heading + rng.normal(0, 0.12) * np.linspace(0, 1, pieces + 1) ** 2
    middle = (canvas.shape[0] - 1) / 2
    points = middle + along[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
    fixed = np.round(points * (1 << SUBPIXEL_BITS)).astype(np.int32).tolist()
    bright = rng.uniform(90, 240)
    for i in range(pieces):
        fade = 1 - (i + 0.5) / pieces
        thickness = 1 + round(5 * fade)
        colour = float(bright * (0.25 + 0.75 * fade))
        cv2.line(canvas, fixed[i], fixed[i + 1], colour, thickness, cv2.LINE_AA, SUBPIXEL_BITS)


def smooth_noise(rng: np.random.Generator, size: int, grain: float) -> Image:
    """Smooth noise of unit variance whose detail is about ``grain`` px."""
    small = round(size / grain) + 2
    noise = rng.standard_normal((small, small), dtype=np.float32)
    return cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)


# Calcifications


def draw_coarse(rng: np.random.Generator, canvas: Bytes, spread: float) -> None:
    """Few, large, smooth and round, far apart."""
    for _ in range(int(rng.integers(*COARSE_COUNT, endpoint=True))):
        x, y = scattered(rng, canvas, spread)
        diameter = rng.uniform(*COARSE_DIAMETER)
        ellipse(canvas, x, y, diameter, diameter * rng.uniform(0.75, 1), rng.uniform(170, 255))


def draw_rings(rng: np.random.Generator, canvas: Bytes, spread: float) -> None:
    """Round with a lucent centre (rim, eggshell), and a few without."""
    for _ in range(int(rng.integers(*RING_COUNT, endpoint=True))):
        x, y = scattered(rng, canvas, spread)
        outer, bright = rng.uniform(*RING_DIAMETER), rng.uniform(170, 255)
        squeeze = rng.uniform(0.85, 1)
        ellipse(canvas, x, y, outer, outer * squeeze, bright)
        if rng.random() < 0.8:
            inner = outer - rng.uniform(4.5, 6.5)
            ellipse(canvas, x, y, inner, inner * squeeze, bright * rng.uniform(0.15, 0.4))


def draw_tram_track(rng: np.random.Generator, canvas: Bytes, half_length: float) -> None:
    """Two broken parallel lines along the walls of a curved vessel."""
    pieces = 48
    bends = rng.normal(0, 0.03, pieces) + rng.normal(0, 0.02)
    headings = rng.uniform(0, 2 * np.pi) + np.cumsum(bends)
    steps = np.column_stack([np.cos(headings), np.sin(headings)]) * (2 * half_length / pieces)
    middle = np.cumsum(steps, axis=0)
    middle += (canvas.shape[0] - 1) / 2 - middle.mean(axis=0)
    across = np.column_stack([-np.sin(headings), np.cos(headings)]) * rng.uniform(*VESSEL_WIDTH) / 2
    for wall in (middle + across, middle - across):
        bright = rng.uniform(150, 240) * (rng.random(pieces) < 0.75)
        fixed = np.round(wall * (1 << SUBPIXEL_BITS)).astype(np.int32).tolist()
        for i in np.flatnonzero(bright[:-1]):
            cv2.line(
                canvas, fixed[i], fixed[i + 1], float(bright[i]), 2, cv2.LINE_AA, SUBPIXEL_BITS
            )


def draw_cluster(rng: np.random.Generator, canvas: Bytes, radius: float) -> None:
    """Many, fine, irregular, of differing size and brightness, close together."""
    for _ in range(int(rng.integers(*FINE_COUNT, endpoint=True))):
        distance = np.abs(rng.normal(0, 0.5)) * radius
        turn = rng.uniform(0, 2 * np.pi)
        x, y = (canvas.shape[0] - 1) / 2 + distance * np.array([np.cos(turn), np.sin(turn)])
        splinter(rng, canvas, x, y, rng.uniform(*FINE_DIAMETER), rng.uniform(110, 255))


def draw_branches(rng: np.random.Generator, canvas: Bytes, radius: float) -> None:
    """Fine, linear, branching: casts of ducts, dashes along a forking tree."""
    middle = (canvas.shape[0] - 1) / 2
    trunk = rng.uniform(0, 2 * np.pi)
    start = middle - radius * 0.7 * np.array([np.cos(trunk), np.sin(trunk)])
    for _ in range(int(rng.integers(*BRANCH_COUNT, endpoint=True))):
        heading = trunk + rng.normal(0, 0.45)
        root = start + rng.uniform(0, 0.9) * radius * np.array([np.cos(trunk), np.sin(trunk)])
        root += rng.normal(0, 0.12, 2) * radius
        dashed_branch(rng, canvas, root, heading, min(rng.uniform(*BRANCH_LENGTH), 1.6 * radius))


def dashed_branch(
    rng: np.random.Generator,
    canvas: Bytes,
    root: NDArray[np.float64],
    heading: float,
    length: float,
) -> None:
    """Draw dashes and dots of 0.2 to 1.4 mm along one duct."""
    at, travelled = root, 0.0
    while travelled < length:
        dash, gap = rng.choice([1.0, rng.uniform(3, 12)]), rng.uniform(3, 9)
        heading += rng.normal(0, 0.18)
        direction = np.array([np.cos(heading), np.sin(heading)])
        ends = np.round(np.stack([at, at + dash * direction]) * (1 << SUBPIXEL_BITS)).astype(int)
        thickness = int(rng.choice([1, 2, 3], p=[0.45, 0.45, 0.1]))
        cv2.line(
            canvas,
            ends[0].tolist(),
            ends[1].tolist(),
            float(rng.uniform(90, 255)),
            thickness,
            cv2.LINE_AA,
            SUBPIXEL_BITS,
        )
        at = at + (dash + gap) * direction
        travelled += dash + gap


def scattered(rng: np.random.Generator, canvas: Bytes, spread: float) -> NDArray[np.float64]:
    """A place ``(x, y)`` uniform in a disc of ``spread`` px about the middle."""
    turn, distance = rng.uniform(0, 2 * np.pi), spread * np.sqrt(rng.random())
    return (canvas.shape[0] - 1) / 2 + distance * np.array([np.cos(turn), np.sin(turn)])


def ellipse(
    canvas: Bytes, x: float, y: float, width: float, height: float, brightness: float
) -> None:
    """Draw a filled ellipse; px, brightness 0 to 255."""
    unit = 1 << SUBPIXEL_BITS
    centre = (round(x * unit), round(y * unit))
    axes = (round(max(width, 1) / 2 * unit), round(max(height, 1) / 2 * unit))
    cv2.ellipse(canvas, centre, axes, 0, 0, 360, float(brightness), -1, cv2.LINE_AA, SUBPIXEL_BITS)


def splinter(
    rng: np.random.Generator, canvas: Bytes, x: float, y: float, diameter: float, brightness: float
) -> None:
    """Draw an irregular polygon about ``diameter`` px across."""
    corners = int(rng.integers(4, 8))
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radii = diameter / 2 * rng.uniform(0.6, 1.5, corners)
    points = np.column_stack([x + radii * np.cos(angles), y + radii * np.sin(angles)])
    fixed = np.round(points * (1 << SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillPoly(canvas, [fixed], float(brightness), cv2.LINE_AA, SUBPIXEL_BITS)


def finish_calcifications(canvas: Bytes) -> tuple[Image, Mask]:
    """Blur as focal spot and screen do, and surround each calcification by the mask."""
    reach = np.ones((CALCIFICATION_MARGIN, CALCIFICATION_MARGIN), np.uint8)
    mask = cv2.dilate((canvas > CALCIFICATION_EDGE).astype(np.uint8), reach).astype(bool)
    image: Image = cv2.GaussianBlur(canvas.astype(np.float32), (0, 0), CALCIFICATION_BLUR)
    return image * np.float32(1 / 255), mask
