"""Sizes of the study: which data, and which parameters each chapter gets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from birads_lib.errors import DataError, UsageError, one_of
from birads_lib.files import fingerprint, read_json, sha256, write_json

DATA = "data"
NEEDS: dict[str, tuple[str, ...]] = {
    "data_merging": (DATA,),
    "autoencoder": ("data_merging",),
    "gate": ("autoencoder",),
    "attention": ("gate",),
    "explanations": ("attention",),
    "cascade": ("attention",),
    "ablations": ("cascade",),
    "related_work": ("cascade",),
    "protocols": ("cascade",),
    "external_validation": ("cascade",),
    "label_meaning": (),
    "real_birads": ("attention",),
    "paper_audit": ("cascade",),
    "cost": ("attention",),
    "phone": ("cascade",),
    "verdict": (
        "cascade",
        "ablations",
        "related_work",
        "protocols",
        "label_meaning",
        "paper_audit",
        "explanations",
    ),
}
"""The chapters that compute, and the steps that each builds on."""
CHAPTERS = tuple(NEEDS)
DEFAULT = "laptop"
KAGGLE = "skooch/ddsm-mammography"
BUILD = Path("_build")
NOTEBOOKS = Path("notebooks")

_VALUE = {"type": ["number", "string", "boolean", "array", "null"]}
SCHEMA = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["about", "data", "chapters"],
        "additionalProperties": False,
        "properties": {
            "about": {"type": "string"},
            "data": {
                "oneOf": [
                    {"const": "kaggle"},
                    {
                        "type": "object",
                        "required": ["scale", "positives", "seed"],
                        "additionalProperties": False,
                        "properties": {
                            "scale": {"type": "number", "exclusiveMinimum": 0},
                            "positives": {"type": "number"},
                            "seed": {"type": "integer"},
                        },
                    },
                ]
            },
            "all": {"type": "object", "additionalProperties": _VALUE},
            "chapters": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    name: {"type": "object", "additionalProperties": _VALUE} for name in CHAPTERS
                },
            },
        },
    },
}


@dataclass(frozen=True)
class Profile:
    """One size of the study.

    Attributes:
        name: Such as ``"laptop"``.
        about: One sentence for the reader.
        phantom: ``scale``, ``positives`` and ``seed`` of the simulated set, or ``None``
            where the Kaggle set is needed.
        chapters: Parameters for each chapter, over those in its own cell.
    """

    name: str
    about: str
    phantom: dict[str, Any] | None
    chapters: dict[str, dict[str, Any]]


def read_yaml(path: str | os.PathLike[str], schema: dict[str, Any]) -> Any:
    """Read a YAML file of the project and check it.

    Raises:
        DataError: Missing, not YAML, or not as the schema wants it.
    """
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        jsonschema.validate(raw, schema)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; run from the project's folder") from None
    except yaml.YAMLError as error:
        raise DataError(f"{path}: not YAML ({str(error).splitlines()[0]})") from None
    except jsonschema.ValidationError as error:
        place = "/".join(map(str, error.absolute_path)) or "top level"
        raise DataError(f"{path}: {place}: {error.message}; correct this entry") from None
    return raw


def read_profiles(path: str | os.PathLike[str] = "profiles.yml") -> dict[str, Profile]:
    """Read and check ``profiles.yml``.

    Raises:
        DataError: Missing, not YAML, or not as the schema wants it.
    """
    raw = read_yaml(path, SCHEMA)
    return {name: _profile(name, entry) for name, entry in raw.items()}


def get_profile(name: str, path: str | os.PathLike[str] = "profiles.yml") -> Profile:
    """One profile by name.

    Raises:
        UsageError: No such profile; the message lists them.
    """
    profiles = read_profiles(path)
    return profiles[one_of("profile", name, profiles)]


def _profile(name: str, entry: dict[str, Any]) -> Profile:
    shared = entry.get("all", {})
    chapters = {c: {**shared, **entry["chapters"].get(c, {})} for c in CHAPTERS}
    phantom = None if entry["data"] == "kaggle" else entry["data"]
    return Profile(name, entry["about"], phantom, chapters)


def chapter_settings(name: str, chapter: str, notebooks: Path = NOTEBOOKS) -> dict[str, Any]:
    """Parameters of a chapter in a profile: its own, and what the profile sets over them.

    Raises:
        UsageError: No such profile or chapter.
    """
    from birads_lib.study.notebooks import declared_parameters, read_chapter

    given = get_profile(name).chapters[one_of("chapter", chapter, CHAPTERS)]
    return {**declared_parameters(read_chapter(notebooks / f"{chapter}.py")), **given}


def run_folder(profile: Profile, data: str | None, build: Path = BUILD) -> Path:
    """Where a run writes: ``run/<profile>``, or ``run/<profile>-<data digest>``."""
    name = profile.name if data is None else f"{profile.name}-{data_digest(data, build)[:12]}"
    return build / "run" / name


def given_data(profile: Profile, data: str | None) -> str | None:
    """The folder given, or where a profile needs the Kaggle set, the one mounted by Kaggle."""
    if data is None and profile.phantom is None:
        from birads_lib.tiles.sources import find_data

        found = find_data()
        return str(found) if found else None
    return data


def data_folder(profile: Profile, data: str | None, build: Path = BUILD) -> Path:
    """Where a run reads: see ``given_data``, or the folder of the profile's simulated set.

    Raises:
        UsageError: The profile needs the Kaggle set, and none is given or mounted.
    """
    data = given_data(profile, data)
    if data is not None:
        return Path(data)
    if profile.phantom is None:
        raise UsageError(
            f"profile {profile.name}: needs the Kaggle set {KAGGLE}; unpack it and give its "
            "folder as DATA=... or --data"
        )
    phantom = profile.phantom
    name = f"phantom-{phantom['scale']}-{phantom['positives']}-{phantom['seed']}"
    return build / "data" / name


def data_digest(folder: str | os.PathLike[str], build: Path = BUILD) -> str:
    """SHA-256 over the files of a data folder, by relative name and content.

    A file whose size and time of change are known from an earlier call is not read again.

    Raises:
        DataError: No such folder, or nothing in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the unpacked data set")
    remembered = build / "digests.json"
    known = read_json(remembered) if remembered.exists() else {}
    digests, seen = {}, {}
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        stat = path.stat()
        key = f"{path.resolve()}\t{stat.st_size}\t{stat.st_mtime_ns}"
        seen[key] = known.get(key) or sha256(path)
        digests[path.relative_to(root).as_posix()] = seen[key]
    if not digests:
        raise DataError(f"{root}: an empty folder; give the unpacked data set")
    if not seen.keys() <= known.keys():
        write_json(remembered, {**known, **seen})
    return fingerprint(digests)
