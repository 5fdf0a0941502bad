"""How fast tiles are simulated, merged and fed: tiles a second, median of three.

make bench
"""

from __future__ import annotations

import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from birads_lib.tiles import TileStore, merge_ddsm10
from birads_lib.tiles.phantom import write_phantom

SCALE, POSITIVES = 0.05, 0.4
REPEATS = 3


def median_rate(tiles: int, action: Callable[[], object]) -> float:
    """Tiles a second, median of three."""
    rates = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        action()
        rates.append(tiles / (time.perf_counter() - started))
    return statistics.median(rates)


def main() -> int:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        source, store = Path(folder, "source"), Path(folder, "store")

        def simulate() -> None:
            shutil.rmtree(source, ignore_errors=True)
            write_phantom(source, scale=SCALE, positives=POSITIVES, seed=0)

        simulate()
        tiles = len(merge_ddsm10(source, store))
        print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
        print(f"{tiles:,} tiles of 299 x 299")
        print(f"simulate  {median_rate(tiles, simulate):8,.0f} tiles/s")
        print(f"merge     {median_rate(tiles, lambda: merge_ddsm10(source, store)):8,.0f} tiles/s")
        print(f"feed      {feed_rate(TileStore.open(store)):8,.0f} tiles/s at 96 x 96")
    return 0


def feed_rate(store: TileStore) -> float:
    """Shuffled, turned and resized batches from the memory map."""
    from birads_lib.tiles.feed import TileBatches

    labels = store.table["label"].to_numpy()
    batches = TileBatches(store.images, labels, (96, 96, 1), seed=0, turn=True)
    return median_rate(len(store), lambda: [batches[index] for index in range(len(batches))])


if __name__ == "__main__":
    sys.exit(main())
