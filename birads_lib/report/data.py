"""The report as JSON; the schema stands in the package's docstring."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from birads_lib.cascade import INTENDED_USE, NOT_INTENDED_USE
from birads_lib.files import write_json
from birads_lib.labels import BIRADS, CLASSES
from birads_lib.report import words
from birads_lib.report.reading import Finding, Model, Report


def write(report: Report, out: Path) -> None:
    """Write the report, whole or not at all."""
    write_json(out, as_data(report))


def as_data(report: Report) -> dict[str, Any]:
    """The report as JSON values."""
    return {
        "notice": words.NOTICE,
        "created": report.created.isoformat(),
        "version": report.version,
        "model": _model(report.model),
        "calibration": {
            "known": bool(report.calibration.stages),
            "note": words.calibration_note(report),
            "stages": [
                {**{k: v for k, v in asdict(stage).items() if k != "error"}, **_error(stage.error)}
                for stage in report.calibration.stages
            ],
        },
        "classes": [
            {"title": c.title, **_fields(c, "code", "lesion", "pathology")} for c in CLASSES
        ],
        "birads": [_fields(c, "category", "meaning", "likelihood", "advice") for c in BIRADS],
        "images": [_image(finding, report.model) for finding in report.findings],
    }


def _model(model: Model) -> dict[str, Any]:
    kept = ("folder", "digest", "threshold", "engine", "profile", "data", "simulated")
    return {
        **_fields(model, *kept),
        "familiarity_checked": model.knows_its_tiles,
        "card": {
            "page": words.MODEL_CARD,
            "intended_use": list(INTENDED_USE),
            "not_intended_use": list(NOT_INTENDED_USE),
        },
    }


def _image(finding: Finding, model: Model) -> dict[str, Any]:
    picture, cells = finding.picture, finding.attention
    return {
        "input": picture.input,
        "tile": picture.name,
        "digest": finding.digest,
        "size": None if picture.size is None else list(picture.size),
        "passed": finding.gate >= model.threshold,
        **_fields(finding, "gate", "predicted", "title", "scores"),
        "attention": None
        if cells is None
        else {
            "lowest": float(cells.min()),
            "highest": float(cells.max()),
            "cells": cells.tolist(),
        },
        "remarks": list(finding.remarks),
    }


def _error(error: dict[str, Any] | None) -> dict[str, Any]:
    return error or {"value": None, "interval": None}


def _fields(thing: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in names}
