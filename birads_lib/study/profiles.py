"""Sizes of the study: which data, and which parameters each chapter gets."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from birads_lib.errors import DataError, UsageError, one_of
from birads_lib.files import fingerprint, read_json, read_whole, sha256, write_json

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
    "paper_audit": ("cascade",),
    "label_meaning": (),
    "real_birads": ("attention",),
    "protocols": ("cascade",),
    "external_validation": ("cascade",),
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
        "phone",
    ),
}
"""The chapters that compute, and the steps that each builds on."""
CHAPTERS = tuple(NEEDS)
DEFAULT = "laptop"
KAGGLE = "skooch/ddsm-mammography"
BUILD = Path("_build")
NOTEBOOKS = Path("notebooks")

MOST_YAML = 1 << 20  # bytes of a YAML file
MOST_ENTRIES = 100_000  # of a YAML file, each counted wherever an alias repeats it
SHOWN = 200  # characters of a schema's complaint, which may repeat a whole entry
NOT_FINITE = {".inf", "-.inf", "+.inf", ".nan"}

NAME = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z"}
"""Schema of a name that becomes part of a path."""
_VALUE = {"type": ["number", "string", "boolean", "array", "null"]}
SCHEMA = {
    "type": "object",
    "propertyNames": NAME,
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
        DataError: Missing, not YAML, a key stands twice, a number is not finite, aliases
            make it endless, or not as the schema wants it.
    """
    content = read_whole(path, MOST_YAML, "run from the project's folder")
    try:
        raw = _load_yaml(content.decode("utf-8"))
        jsonschema.validate(raw, schema)
    except RecursionError:
        raise DataError(f"{path}: not YAML (nested too deeply); correct it") from None
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: not YAML ({reason}); correct it") from None
    except jsonschema.ValidationError as error:
        place = "/".join(map(str, error.absolute_path)) or "top level"
        raise DataError(f"{path}: {place}: {error.message:.{SHOWN}}; correct this entry") from None
    return raw


def _load_yaml(text: str) -> Any:
    """``yaml.safe_load`` of finite numbers and ends, where no key stands twice.

    Raises:
        yaml.YAMLError, ValueError, RecursionError: It is not YAML, or not such YAML.
    """
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _count_entries(root, {})
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _count_entries(node: yaml.Node, known: dict[int, int]) -> int:
    """Entries of a node, those of an alias counted again; ``known`` holds nodes seen before."""
    if id(node) in known:
        if not known[id(node)]:
            raise ValueError(f"{_line(node)}: an alias within what it stands for")
        return known[id(node)]
    known[id(node)] = 0  # until it is counted
    known[id(node)] = 1 + sum(_count_entries(part, known) for part in _parts(node))
    if known[id(node)] > MOST_ENTRIES:
        raise ValueError(f"{_line(node)}: more than {MOST_ENTRIES:,} entries")
    return known[id(node)]


def _parts(node: yaml.Node) -> list[yaml.Node]:
    """The nodes within a node."""
    if isinstance(node, yaml.SequenceNode):
        return node.value
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key, count in Counter(keys).items():
            if count > 1:
                raise ValueError(f"{_line(node)}: {key!r} stands twice")
        return [part for pair in node.value for part in pair]
    if node.tag.endswith(":float") and node.value.lower() in NOT_FINITE:
        raise ValueError(f"{_line(node)}: {node.value} is no finite number")
    return []


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"


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

    A file whose size and times of change are known from an earlier call is not read again.
    One of these times is the system's own, which no program that copies files sets back.

    Raises:
        DataError: No such folder, or nothing in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the unpacked data set")
    remembered = build / "digests.json"
    known = _remembered_digests(remembered)
    digests, seen = {}, {}
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        stat = path.stat()
        key = f"{path.resolve()}\t{stat.st_size}\t{stat.st_mtime_ns}\t{stat.st_ctime_ns}"
        seen[key] = known.get(key) or sha256(path)
        digests[path.relative_to(root).as_posix()] = seen[key]
    if not digests:
        raise DataError(f"{root}: an empty folder; give the unpacked data set")
    if not seen.keys() <= known.keys():
        write_json(remembered, {**known, **seen})
    return fingerprint(digests)


def _remembered_digests(path: Path) -> dict[str, str]:
    """Digests by path, size and times from earlier calls; none where they cannot be read."""
    try:
        found = read_json(path)
    except DataError:
        return {}
    return found if isinstance(found, dict) else {}
