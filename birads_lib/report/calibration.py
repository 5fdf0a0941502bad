"""What is known of a cascade's calibration: read from the run that it lies in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from birads_lib.cascade import DESCRIPTION
from birads_lib.errors import DataError
from birads_lib.files import read_json, sha256
from birads_lib.study.written import LEDGER, METRICS

PLACE = Path("models/cascade")
"""Where a cascade lies in its run."""
STAGES = ("gate", "scorer", "cascade")
HELD_OUT = {"protocol": "official", "split": "held-out"}
ERROR = "expected_calibration_error"


@dataclass(frozen=True)
class StageCalibration:
    """Expected calibration error of one stage.

    Attributes:
        stage: ``"gate"``, ``"scorer"`` or ``"cascade"``.
        protocol, split, seed, tiles, groups: What it was measured on.
        error: ``value`` 0..1 and 95 % ``interval``; ``None`` where it is not defined.
    """

    stage: str
    protocol: str
    split: str
    seed: int
    tiles: int
    groups: int
    error: dict[str, Any] | None


@dataclass(frozen=True)
class Calibration:
    """What is known, or why nothing is.

    Attributes:
        stages: Empty where nothing is known.
        unknown: Why; empty where something is known.
    """

    stages: tuple[StageCalibration, ...]
    unknown: str = ""


def calibration_of(folder: Path) -> Calibration:
    """Look up a cascade's calibration on the held-out tiles of its run.

    The numbers count only if the run's ledger says that they were computed when this very
    cascade lay there.

    Args:
        folder: Of the cascade, ``<run>/models/cascade`` if it lies in a run.
    """
    place = folder.resolve()
    run = place.parent.parent
    if place != run / PLACE or not (run / METRICS).is_file() or not (run / LEDGER).is_file():
        return Calibration((), "the model lies in no finished run, where it would be measured")
    try:
        stages = _stages(run)
    except (DataError, KeyError, TypeError, AttributeError):
        return Calibration((), f"the run's {METRICS} or {LEDGER} cannot be read")
    if stages is None:
        return Calibration((), "the run's results are not of the model as it is now")
    if not stages:
        return Calibration((), "the run's results hold none of it")
    return Calibration(stages)


def _stages(run: Path) -> tuple[StageCalibration, ...] | None:
    """Records of the held-out tiles in the order of ``STAGES``; ``None`` if of another model."""
    digests = read_json(run / LEDGER)["files"]
    for name in (METRICS, (PLACE / DESCRIPTION).as_posix()):
        if digests.get(name) != sha256(run / name):
            return None
    records = [
        record
        for record in read_json(run / METRICS)
        if record["stage"] in STAGES and HELD_OUT.items() <= record.items()
    ]
    records.sort(key=lambda record: (STAGES.index(record["stage"]), record["seed"]))
    facts = ("stage", "protocol", "split", "seed", "tiles", "groups")
    return tuple(
        StageCalibration(**{fact: r[fact] for fact in facts}, error=r["overall"][ERROR])
        for r in records
    )
