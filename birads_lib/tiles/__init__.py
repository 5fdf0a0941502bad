"""Data in: readers, the store, splits. Nothing here needs TensorFlow."""

from birads_lib.tiles.cbis_tiles import tiles_from_cbis
from birads_lib.tiles.ddsm10 import merge_ddsm10
from birads_lib.tiles.mias import tiles_from_mias
from birads_lib.tiles.phantom import write_phantom
from birads_lib.tiles.sources import merge_tiles
from birads_lib.tiles.splits import make_splits
from birads_lib.tiles.store import TileStore

__all__ = [
    "TileStore",
    "make_splits",
    "merge_ddsm10",
    "merge_tiles",
    "tiles_from_cbis",
    "tiles_from_mias",
    "write_phantom",
]
