"""Simulated mammogram tiles, written exactly as the Kaggle set unpacks.

The real tiles may not be redistributed, so the study's default data are
simulated: a controlled experiment whose lesions, scans, patients and noise are
known. The layout and the defects of `skooch/ddsm-mammography` are kept: test10
has masses only and cv10 nearly all calcifications; each training file lacks its
last row; each lesion is cropped three times; about 27 normal tiles come from
one scan and are spread over training and test; positives took another road to
grey levels than normals.

A complete plan is made first, so that each tile's place in its file is known
and workers can draw scans in any order and write in place. Each scan and view
has its own random stream ``[seed, stream, index]``: the bytes do not depend on
the number of processes.

From the bottom up: ``patients`` (women, scans, views), ``plan`` (every tile's
place), ``tissue`` and ``lesions`` (what is drawn), ``drawing`` (one scan or view
to tiles), ``truth`` (what is known of each tile), ``writing`` (all of it to disk).
"""

from birads_lib.tiles.phantom.plan import Plan, plan_phantom, planned_counts, tile_id
from birads_lib.tiles.phantom.truth import PhantomTruth
from birads_lib.tiles.phantom.writing import write_phantom

__all__ = [
    "PhantomTruth",
    "Plan",
    "plan_phantom",
    "planned_counts",
    "tile_id",
    "write_phantom",
]
