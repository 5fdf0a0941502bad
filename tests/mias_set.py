"""Writes a small mini-MIAS download: films as PGM and their list.

films = MiasSet()                       # 6 films of 3 women, one mass, one calcification
source = films.write(tmp_path / "mias")
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

SIDE = 1024  # px of a mini-MIAS scan
HEADER = """\
              MAMMOGRAPHIC IMAGE ANALYSIS SOCIETY
Thank you for downloading the MIAS MiniMammographic Database.
1) The list is arranged in pairs of films, where each pair
   represents the left (even filename numbers) and right mammograms
   (odd filename numbers) of a single patient.
=================================================================

"""
SEPARATOR = "=" * 65


def breast(grey: int = 100) -> np.ndarray:
    """A film with a bright half disc of 90 mm at its left edge, uint8 (1024, 1024)."""
    return cv2.circle(np.zeros((SIDE, SIDE), np.uint8), (0, SIDE // 2), 450, grey, -1)


class MiasSet:
    """Six hand-made films of three women; change what should be wrong, then write.

    Attributes:
        scans: Pixels by name.
        lines: The list of ``Info.txt``.
        header: What stands before it.
        files: Whole files by relative path, over those made of ``scans``.
    """

    def __init__(self) -> None:
        self.scans = {f"mdb{number:03d}": breast(100 + number) for number in range(1, 7)}
        self.lines = [
            "mdb001 D NORM",
            "mdb002 D NORM ",
            "mdb003 F CIRC B 200 800 10",
            "mdb004 F NORM ",
            "mdb005 G CALC M 150 300 12",
            "mdb006 G NORM ",
            SEPARATOR,
        ]
        self.header = HEADER
        self.files: dict[str, bytes] = {}

    def write(self, folder: Path, scans: str = "") -> Path:
        """Write the set; ``scans`` is a folder below for the films."""
        pictures = {
            f"{scans}/{name}.pgm".lstrip("/"): b"P5\n1024 1024\n255\n" + pixels.tobytes()
            for name, pixels in self.scans.items()
        }
        info = {"Info.txt": (self.header + "\n".join(self.lines) + "\n").encode()}
        for relative, content in (pictures | info | self.files).items():
            path = folder / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder
