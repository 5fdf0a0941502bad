"""Data card and model card as data: written by hand, checked, and filled in from a run.

What a person has to say stands in ``book/data_card.yml`` and ``book/model_card.yml``: terms,
uses, limits. What a run can say is added when the book is built: counts, digests, and every
figure of merit with its interval. Both parts together are published as JSON.

The fields are in the spirit of Datasheets for Datasets and of Model Cards, as they are used
for repositories of data sets and models.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from birads_lib.errors import DataError
from birads_lib.files import read_json
from birads_lib.labels import CLASSES
from birads_lib.study.profiles import read_yaml
from birads_lib.tiles import layout
from birads_lib.tiles.ddsm10 import KNOWN_COUNTS
from birads_lib.tiles.store import TileStore

DATA_CARD, MODEL_CARD = Path("book/data_card.yml"), Path("book/model_card.yml")
PARTS = ("gate", "scorer", "cascade", "birads")
"""Stages whose figures of merit a model card states, in this order."""

_TEXT = {"type": "string", "minLength": 2}
_LINES = {"type": "array", "items": _TEXT, "minItems": 1, "uniqueItems": True}
_DOI = {"type": ["string", "null"], "pattern": r"^10\.\d{4,9}/\S+$"}
_COUNTS = {
    "type": "array",
    "items": {"type": "integer", "minimum": 0},
    "minItems": len(CLASSES),
    "maxItems": len(CLASSES),
}
_DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def _entry(**properties: Any) -> dict[str, Any]:
    """Schema of an object that has these fields, all of them, and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_SOURCE = _entry(
    id=_TEXT,
    name=_TEXT,
    simulated={"type": "boolean"},
    origin=_TEXT,
    licence=_TEXT,
    doi=_DOI,
    cite=_LINES,
    groups=_TEXT,
)
_CLASS = _entry(label={"type": "integer"}, code=_TEXT, lesion=_TEXT, pathology=_TEXT)
DATA_SCHEMA = _entry(
    title=_TEXT,
    summary=_TEXT,
    version=_TEXT,
    licence=_TEXT,
    task=_TEXT,
    modality=_TEXT,
    language=_TEXT,
    sources={"type": "array", "items": _SOURCE, "minItems": 1},
    labels=_TEXT,
    known_defects=_LINES,
    intended_use=_LINES,
    out_of_scope=_LINES,
    limits=_LINES,
    privacy=_LINES,
    maintenance=_TEXT,
)
"""What stands in ``book/data_card.yml``."""

_NETWORK = _entry(
    name=_TEXT, task=_TEXT, design=_TEXT, cite=_LINES, takes=_TEXT, gives=_TEXT, paper=_TEXT,
    chapter=_TEXT,
)  # fmt: skip
_INPUT = _entry(
    what=_TEXT,
    dtype={"const": "uint8"},
    height={"const": layout.TILE},
    width={"const": layout.TILE},
    least={"const": 0},
    most={"const": layout.GREY_MAX},
)
MODEL_SCHEMA = _entry(
    title=_TEXT,
    summary=_TEXT,
    version=_TEXT,
    licence=_TEXT,
    library=_TEXT,
    paper=_entry(title=_TEXT, doi=_DOI),
    networks={"type": "array", "items": _NETWORK, "minItems": 3, "maxItems": 3},
    input=_INPUT,
    output=_TEXT,
    training_data=_TEXT,
    intended_use=_LINES,
    out_of_scope=_LINES,
    limits=_LINES,
    ethics=_LINES,
)
"""What stands in ``book/model_card.yml``."""

_SHARE = {"type": "number", "minimum": -1, "maximum": 1}  # a kappa may be below 0
_FIGURE = _entry(
    value=_SHARE,
    interval={"type": ["array", "null"], "items": _SHARE, "minItems": 2, "maxItems": 2},
)
_METRICS = _entry(
    stage={"enum": list(PARTS)},
    protocol=_TEXT,
    split=_TEXT,
    seed={"type": "integer"},
    tiles={"type": "integer", "minimum": 1},
    groups={"type": "integer", "minimum": 1},
    figures={"type": "object", "additionalProperties": _FIGURE, "minProperties": 1},
)


def _published(schema: dict[str, Any], **added: Any) -> dict[str, Any]:
    return _entry(**schema["properties"], **added)


PUBLISHED_DATA_SCHEMA = _published(
    DATA_SCHEMA,
    classes={"type": "array", "items": _CLASS, "minItems": len(CLASSES)},
    kaggle_counts={"type": "object", "additionalProperties": _COUNTS},
    run=_entry(
        profile=_TEXT,
        simulated={"type": "boolean"},
        data_digest=_DIGEST,
        tiles={"type": "integer", "minimum": 1},
        groups={"type": "integer", "minimum": 1},
        counts={"type": "object", "additionalProperties": _COUNTS, "minProperties": 1},
    ),
)
"""The data card as published: with the classes, the counts and the run's own facts."""
PUBLISHED_MODEL_SCHEMA = _published(
    MODEL_SCHEMA,
    run=_entry(
        profile=_TEXT,
        simulated={"type": "boolean"},
        data_digest=_DIGEST,
        model_digest=_DIGEST,
        weights={"type": "object", "additionalProperties": _DIGEST, "minProperties": 2},
        threshold={"type": "number", "minimum": 0, "maximum": 1},
        metrics={"type": "array", "items": _METRICS, "minItems": 1},
    ),
)
"""The model card as published: with the run's digests and figures of merit."""


def read_data_card(path: Path = DATA_CARD) -> dict[str, Any]:
    """The data card as written by hand.

    Raises:
        DataError: Missing, not YAML, or not as ``DATA_SCHEMA`` wants it.
    """
    return read_yaml(path, DATA_SCHEMA)


def read_model_card(path: Path = MODEL_CARD) -> dict[str, Any]:
    """The model card as written by hand.

    Raises:
        DataError: Missing, not YAML, or not as ``MODEL_SCHEMA`` wants it.
    """
    return read_yaml(path, MODEL_SCHEMA)


def published_data_card(run: Path) -> dict[str, Any]:
    """The data card with the classes, the known counts, and what a run's tiles are.

    Raises:
        DataError: The card is not as the schema wants it, or the run has no store.
    """
    store = TileStore.open(run / "store")
    return {
        **read_data_card(),
        "classes": [asdict(each) for each in CLASSES],
        "kaggle_counts": {part: list(counts) for part, counts in KNOWN_COUNTS.items()},
        "run": {
            "profile": run.name,
            "simulated": store.simulated,
            "data_digest": store.digest,
            "tiles": len(store),
            "groups": int(store.table["group"].nunique()),
            "counts": store.meta["counts"],
        },
    }


def published_model_card(run: Path) -> dict[str, Any]:
    """The model card with a run's digests, threshold and figures of merit.

    Raises:
        DataError: The card is not as the schema wants it, or the run has no cascade or
            metrics.
    """
    described = read_json(run / "models" / "cascade" / "cascade.json")
    records = read_json(run / "results" / "metrics.json")
    store = TileStore.open(run / "store")
    return {
        **read_model_card(),
        "run": {
            "profile": run.name,
            "simulated": store.simulated,
            "data_digest": store.digest,
            "model_digest": model_digest(run),
            "weights": described["weights"],
            "threshold": described["threshold"],
            "metrics": sorted(map(_figures_of, records), key=lambda m: PARTS.index(m["stage"])),
        },
    }


def model_digest(run: Path) -> str:
    """Digest of the cascade that made a run's predictions, ``Cascade.digest``.

    Raises:
        DataError: The table names another number of cascades than one.
    """
    path = run / "predictions" / "cascade.parquet"
    digests = pd.read_parquet(path, columns=["model"])["model"].unique().tolist()
    if len(digests) != 1:
        raise DataError(f"{path}: of {len(digests)} cascades; expected one; run its chapter again")
    return str(digests[0])


def _figures_of(record: dict[str, Any]) -> dict[str, Any]:
    """One record of ``results/metrics.json`` as a model card states it."""
    about = {k: record[k] for k in ("stage", "protocol", "split", "seed", "tiles", "groups")}
    figures = {name: figure for name, figure in record["overall"].items() if figure is not None}
    for name, of_class in record["per_class"].items():
        stated = {f"{key}, {name}": figure for key, figure in of_class.items()}
        figures |= {key: figure for key, figure in stated.items() if figure is not None}
    return {**about, "figures": figures}
