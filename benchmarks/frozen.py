"""What does a frozen backbone save whose features are kept?"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import FULL, QUICK, USUAL, Alternative, Result, take_turns
from benchmarks.sets import BENCH
from birads_lib.labels import LESION_CODES
from birads_lib.study.profiles import chapter_settings
from birads_lib.tiles.layout import TILE

PROFILE = "laptop"
TILES = {QUICK: 64, USUAL: 512, FULL: 2_048}  # an epoch
REPEATS = {QUICK: 1, USUAL: 3, FULL: 3}
SMALLEST = {"INPUT_HEIGHT": 32, "INPUT_WIDTH": 32, "LAST_BLOCK": 1}
WHOLE = "whole scorer, an epoch"
HEAD = "attention head on kept features, an epoch"
ONCE = "backbone run once, features written"


def measure(size: str = USUAL) -> Result:
    """An epoch of the whole scorer, one of its head alone, and what makes the head's input."""
    given = chapter_settings(PROFILE, "attention")
    given = {**given, **SMALLEST} if size == QUICK else given
    rng = np.random.default_rng(0)
    tiles = rng.integers(0, 256, (TILES[size], TILE, TILE), np.uint8)
    labels = rng.integers(0, len(LESION_CODES), len(tiles))
    BENCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BENCH) as folder:
        alternatives = _alternatives(given, tiles, labels, Path(folder, "features"))
        for alternative in alternatives:
            alternative.prepare()
            alternative.action()  # traces before the clock starts
        rows = take_turns(alternatives, REPEATS[size])
    name = f"What does a frozen {given['BACKBONE']} save?"
    result = Result(name, rows, facts={"tiles": len(tiles), "batch": given["BATCH_SIZE"]})
    result.ratio(HEAD, WHOLE)
    return result


def _alternatives(
    given: dict[str, Any], tiles: Any, labels: Any, folder: Path
) -> list[Alternative]:
    from birads_lib.features import backbone_features
    from birads_lib.networks import attention_scorer, split_at_features
    from birads_lib.tiles.feed import FeatureBatches, TileBatches

    shape = (given["INPUT_HEIGHT"], given["INPUT_WIDTH"], 3)
    scorer = attention_scorer(given["BACKBONE"], shape, last_block=given["LAST_BLOCK"])
    backbone, head = split_at_features(scorer)
    size = given["BATCH_SIZE"]
    fed = TileBatches(tiles, labels, shape, size, 0, True, given["BALANCE"])
    kept = FeatureBatches(
        backbone_features(backbone, tiles, folder), labels, size, 0, given["BALANCE"]
    )
    again = folder.with_name("again")
    return [
        Alternative(WHOLE, _epoch(scorer, fed), len(tiles)),
        Alternative(HEAD, _epoch(head, kept), len(tiles)),
        Alternative(
            ONCE,
            lambda: backbone_features(backbone, tiles, again),
            len(tiles),
            prepare=lambda: shutil.rmtree(again, ignore_errors=True),
        ),
    ]


def _epoch(model: Any, batches: Any) -> Any:
    """Compile a network as the study does; what trains it for an epoch."""
    from birads_lib.training import Recipe, compile_for

    compile_for(model, Recipe("score", 1), len(batches))
    dataset = batches.dataset()
    return lambda: model.fit(dataset, shuffle=False, verbose=0)
