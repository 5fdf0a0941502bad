"""Sweeps: many ways of doing one stage, trained and judged on the same tiles.

A sweep is a list of members in ``sweeps.yml``; a member is trained once for each seed.
Members of one group share a process, so that TensorFlow is loaded once. What a training
answers lies in ``RUN/sweeps/<sweep>/<member>/<seed>.parquet`` beside a ``.json`` with the
digest of all that decided it: where that digest is unchanged it is never repeated.
``collect`` makes one table and one file of results of them.
"""

from __future__ import annotations

import functools
import inspect
import os
import shutil
import textwrap
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from birads_lib.errors import DataError, StudyError, UsageError, one_of
from birads_lib.files import (
    CHECKSUM,
    fingerprint,
    is_sealed,
    read_json,
    sealed,
    sha256,
    whole_file,
    write_json,
)
from birads_lib.labels import LESION_CODES
from birads_lib.metrics import PREDICTION_COLUMNS, check_complete, check_predictions
from birads_lib.recipe import Effort
from birads_lib.study.graph import Study, code_digest
from birads_lib.study.kinds import KINDS
from birads_lib.study.notebooks import run_chapter
from birads_lib.study.profiles import NAME, NOTEBOOKS, read_yaml
from birads_lib.study.run import Run, commit
from birads_lib.study.sweep_data import HELD_OUT, Answers, SweepData, Task
from birads_lib.study.sweep_scores import STAGES, differences_of, scores_of, seeds_of
from birads_lib.tiles.store import streamed

if TYPE_CHECKING:
    from birads_lib.study.kinds import Kind

SWEEPS = "sweeps.yml"
FOLDER = "sweeps"
NOTEBOOK = "sweep_member"
NEEDED = "attention"
"""The chapter before all sweeps: its scorer, and the denoised tiles of one before it."""
NETWORKS = ("autoencoder", "gate", "scorer")
NOTED = {"digest", "table", "seconds", "parameters"}
"""What is noted beside the answers of a training, at least."""
VALIDATION_SHARE, ASIDE_SHARE = 0.1, 0.1  # as in the chapters, so that the division is theirs
THRESHOLD = 0.5
DONE, KEPT, FAILED = "done", "done before", "failed"

_MEMBER = {
    "type": "object",
    "required": ["title", "kind", "stage", "group"],
    "additionalProperties": False,
    "properties": {
        "title": {"type": "string"},
        "reference": {"type": "string"},
        "kind": {"type": "string"},
        "stage": {"enum": list(STAGES)},
        "group": NAME,
        "settings": {"type": "object"},
    },
}
_SIZE = {
    "type": "object",
    "required": ["seeds"],
    "additionalProperties": False,
    "properties": {
        "seeds": {"type": "integer", "minimum": 1},
        "members": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "settings": {"type": "object"},
        "each": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "seeds": {"type": "integer", "minimum": 1},
                    "settings": {"type": "object"},
                },
            },
        },
    },
}
SCHEMA = {
    "type": "object",
    "propertyNames": NAME,
    "additionalProperties": {
        "type": "object",
        "required": ["about", "members", "profiles"],
        "additionalProperties": False,
        "properties": {
            "about": {"type": "string"},
            "members": {"type": "object", "propertyNames": NAME, "additionalProperties": _MEMBER},
            "compare": {
                "type": "array",
                "items": {
                    "type": "array",
                    "items": {"type": "string"},
                    "minItems": 2,
                    "maxItems": 2,
                },
            },
            "profiles": {
                "type": "object",
                "additionalProperties": {"type": "object", "additionalProperties": _SIZE},
            },
        },
    },
}


@dataclass(frozen=True)
class Member:
    """One way of doing one stage.

    Attributes:
        sweep: Name of its sweep.
        name: Its own, unique in the sweep.
        kind: One of ``KINDS``.
        stage: The stage that it is for: ``"gate"``, ``"scorer"`` or ``"cascade"``.
        group: Members that share a process.
        seeds: How many times it is trained, with seeds from 0.
        parameters: Settings of its kind.
        title: For a reader.
        reference: Where it comes from; "" for the study's own.
    """

    sweep: str
    name: str
    kind: str
    stage: str
    group: str
    seeds: int
    parameters: dict[str, Any]
    title: str
    reference: str = ""


@dataclass(frozen=True)
class Sweep:
    """What one profile trains of a sweep.

    Attributes:
        name, about: For a reader.
        members: By name.
        compare: Pairs of names: by how much the first exceeds the second.
    """

    name: str
    about: str
    members: dict[str, Member]
    compare: tuple[tuple[str, str], ...]

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups, each once, in order."""
        return tuple(dict.fromkeys(member.group for member in self.members.values()))

    def group(self, name: str) -> list[Member]:
        """Members of one group.

        Raises:
            UsageError: No such group; the message lists them.
        """
        one_of("group", name, self.groups)
        return [member for member in self.members.values() if member.group == name]


def read_sweeps(
    profile: str, path: str | os.PathLike[str] = SWEEPS, seeds: int | None = None
) -> dict[str, Sweep]:
    """Read and check ``sweeps.yml``.

    Args:
        profile: Name of the profile, which decides sizes, seeds and members.
        path: The file.
        seeds: How many seeds, over what the profile says.

    Raises:
        DataError: Missing, not YAML, not as the schema wants it, or a kind gets settings
            that it does not know.
        UsageError: No such profile, kind, member, network or effort, or fewer than one seed;
            the message lists what there is.
    """
    if seeds is not None and seeds < 1:
        raise UsageError(f"seeds: {seeds} given; expected 1 or more")
    raw = read_yaml(path, SCHEMA)
    return {name: _sweep(name, entry, profile, seeds) for name, entry in raw.items()}


def get_sweep(
    name: str, profile: str, path: str | os.PathLike[str] = SWEEPS, seeds: int | None = None
) -> Sweep:
    """One sweep by name.

    Raises:
        UsageError: No such sweep; the message lists them.
    """
    sweeps = read_sweeps(profile, path, seeds)
    return sweeps[one_of("sweep", name, sweeps)]


def _sweep(name: str, entry: dict[str, Any], profile: str, seeds: int | None) -> Sweep:
    sizes = entry["profiles"][one_of(f"sweep {name}: profile", profile, entry["profiles"])]
    pairs = entry.get("compare", [])
    _check_names(name, entry["members"], sizes, pairs)
    members = {}
    for member, described in entry["members"].items():
        size = sizes.get(described["group"])
        if size and member in size.get("members", [member]):
            members[member] = _member(name, member, described, size, seeds)
    compare = tuple((a, b) for a, b in pairs if a in members and b in members)
    return Sweep(name, entry["about"], members, compare)


def _check_names(
    sweep: str, members: dict[str, Any], sizes: dict[str, Any], pairs: list[list[str]]
) -> None:
    """Refuse a kind, group, member or shared setting that is not there."""
    for described in members.values():
        one_of(f"sweep {sweep}: kind", described["kind"], KINDS)
    for group, size in sizes.items():
        kinds = {m["kind"] for m in members.values() if m["group"] == group}
        one_of(f"sweep {sweep}: group", group, sorted({m["group"] for m in members.values()}))
        known = sorted({setting for kind in kinds for setting in _settings(kind)})
        for setting in size.get("settings", ()):
            one_of(f"sweep {sweep}: group {group}: setting", setting, known)
    for member in [m for size in sizes.values() for m in size.get("members", ())]:
        one_of(f"sweep {sweep}: member", member, members)
    for member in [member for pair in pairs for member in pair]:
        one_of(f"sweep {sweep}: member", member, members)
    for group, size in sizes.items():
        own = [name for name, described in members.items() if described["group"] == group]
        for member in size.get("each", ()):
            one_of(f"sweep {sweep}: group {group}: member", member, own)


def _member(
    sweep: str, name: str, entry: dict[str, Any], size: dict[str, Any], seeds: int | None
) -> Member:
    """A member with the settings of its group that its kind knows, and its own over them.

    What the profile says of this member alone goes over both.
    """
    kind = entry["kind"]
    known = _settings(kind)
    alone = size.get("each", {}).get(name, {})
    own = _over(entry.get("settings", {}), alone.get("settings", {}))
    shared = {k: v for k, v in size.get("settings", {}).items() if k in known}
    given = _over(shared, own)
    unknown = sorted(own.keys() - known.keys())
    absent = [k for k, needed in known.items() if needed and k not in given]
    if unknown or absent:
        raise DataError(
            f"sweep {sweep}: member {name}: "
            + (f"no setting {unknown[0]!r}" if unknown else f"setting {absent[0]!r} is missing")
            + f"; {kind} takes {', '.join(known)}"
        )
    try:
        KINDS[kind].check(given)
        if "effort" in given:
            Effort.of(given["effort"])
    except UsageError as error:
        raise UsageError(f"sweep {sweep}: member {name}: {error}") from None
    return Member(
        sweep,
        name,
        kind,
        entry["stage"],
        entry["group"],
        seeds or alone.get("seeds", size["seeds"]),
        given,
        entry["title"],
        entry.get("reference", ""),
    )


def _over(shared: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """A member's settings over its group's; of ``effort`` and the like entry by entry."""
    nested = {k: {**shared[k], **v} for k, v in own.items() if isinstance(v, dict) and k in shared}
    return {**shared, **own, **nested}


def _settings(kind: str) -> dict[str, bool]:
    """Settings that a kind takes, and whether it needs them."""
    parameters = inspect.signature(KINDS[kind].predict).parameters.values()
    named = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    return {p.name: p.default is p.empty for p in named}


# One training


def member_folder(run: Run, member: Member) -> Path:
    """Where a member's answers lie."""
    return run.path / FOLDER / member.sweep / member.name


def member_digest(run: Run, member: Member, seed: int) -> str:
    """Digest of all that decides what a member answers; titles do not."""
    kind = KINDS[member.kind]
    return fingerprint(
        {
            "member": [member.kind, member.stage, member.parameters, seed],
            "code": _kind_digest(kind),
            "tiles": run.store.digest,
            "split": [VALIDATION_SHARE, ASIDE_SHARE, run.seed],
            "files": {name: _content(run.path / name) for name in kind.reads},
        }
    )


@functools.cache
def _kind_digest(kind: Kind) -> str:
    return code_digest(textwrap.dedent(inspect.getsource(kind.predict)))


def _content(path: Path) -> str:
    """Digest of a file of the run: of a network its weights, else its bytes.

    Raises:
        DataError: It is not there.
    """
    if not path.is_file():
        raise DataError(f"{path}: missing; run `birads study` before a sweep")
    stat = path.stat()
    digest = _bytes_digest(path, stat.st_size, stat.st_mtime_ns)
    described = path.with_suffix(".json")
    if path.suffix == ".keras" and described.is_file():
        training = read_json(described)
        return str(training["weights"]) if training["file"] == digest else digest
    return digest


@functools.cache
def _bytes_digest(path: Path, size: int, changed: int) -> str:
    return sha256(path)


def run_member(run: Run, member: Member, seed: int) -> pd.DataFrame:
    """Train a member with one seed and keep its answers, unless they are there already.

    Returns:
        ``PREDICTION_COLUMNS`` of the held-out tiles; of several stages one under another.

    Raises:
        StudyError: Its settings or the tiles do not fit, or its answers are not one for
            each held-out tile.
    """
    digest = member_digest(run, member, seed)
    path = member_folder(run, member) / f"{seed}.parquet"
    if (found := _state(path)) and found.get("digest") == digest:
        return pd.read_parquet(path)
    work = path.with_suffix("")
    started = time.monotonic()
    answers = KINDS[member.kind].predict(Task(_data(run), seed, work), **member.parameters)
    table = _as_predictions(run, member, seed, answers)
    with whole_file(path) as partial:
        table.to_parquet(partial, index=False)
    _write_affine(run, affine_path(path), answers)
    about = {"digest": digest, "seed": seed, "parameters": member.parameters}
    about |= {"seconds": round(time.monotonic() - started, 1), "model": answers.model}
    write_json(path.with_suffix(".json"), {**about, "table": sha256(path), "commit": commit()})
    shutil.rmtree(work, ignore_errors=True)
    return table


def affine_path(table: Path) -> Path:
    """Where, beside a training's table, the affine maps of a spatial transformer lie."""
    return table.with_suffix(".affine.json")


def _write_affine(run: Run, path: Path, answers: Answers) -> None:
    """Affine maps by tile; of a network without any, none are left of an earlier training."""
    path.unlink(missing_ok=True)
    if answers.affine:
        tiles = held_out(run, "scorer")["tile"].tolist()
        write_json(path, {tiles[row]: found.tolist() for row, found in answers.affine.items()})


def _state(path: Path) -> dict[str, Any] | None:
    """What is known of one training; ``None`` where its table is not the one described.

    Of one that failed only why, under ``failed``.
    """
    described = path.with_suffix(".json")
    found = _entries(described)
    if "failed" in found:
        return {"failed": str(found["failed"])}
    whole = found.keys() >= NOTED and path.is_file() and found["table"] == sha256(path)
    return found if whole else None


def _entries(path: Path) -> dict[str, Any]:
    """What a JSON file of a sweep says; nothing of one that is missing or damaged."""
    try:
        found = read_json(path)
    except DataError:
        return {}
    return found if isinstance(found, dict) else {}


@functools.lru_cache(maxsize=1)
def _data(run: Run) -> SweepData:
    for name in NETWORKS:
        run.model_file(name)  # as its chapter wrote it
    return SweepData(
        streamed(run.store.images),
        run.denoised(),
        run.store.table["label"].to_numpy(np.int64),
        run.split(VALIDATION_SHARE, ASIDE_SHARE).to_numpy(),
        run.models,
        run.path / "features",
    )


def held_out(run: Run, stage: str) -> pd.DataFrame:
    """Rows of the store's table by which a stage is judged."""
    table = run.store.table
    judged = (run.split(VALIDATION_SHARE, ASIDE_SHARE) == HELD_OUT).to_numpy()
    return table[judged & ((table["label"] > 0).to_numpy() | (stage != "scorer"))]


def _as_predictions(run: Run, member: Member, seed: int, answers: Answers) -> pd.DataFrame:
    """Answers as rows of predictions, each stage checked."""
    one_of(f"member {member.name}: stage", member.stage, answers.scores)
    parts = []
    for stage, scores in answers.scores.items():
        tiles = held_out(run, stage)
        if len(scores) != len(tiles):
            raise DataError(
                f"member {member.name}: {len(scores)} answers of the {stage}; expected "
                f"{len(tiles)}, one for each held-out tile"
            )
        part = tiles[["tile", "group", "label"]].reset_index(drop=True)
        for column in ("gate", *LESION_CODES):
            part[column] = scores[column].to_numpy(float) if column in scores else np.nan
        part = part.assign(stage=stage, split=HELD_OUT, protocol="official", seed=seed)
        parts.append(part.assign(model=answers.model, threshold=THRESHOLD))
    table = pd.concat(parts, ignore_index=True)[list(PREDICTION_COLUMNS)]
    check_table(run, table)
    return table


def check_table(run: Run, table: pd.DataFrame) -> None:
    """Refuse a member's table unless each stage has each held-out tile once.

    Raises:
        DataError: See ``metrics.check_predictions`` and ``metrics.check_complete``.
    """
    for stage, rows in table.groupby("stage"):
        check_complete(rows, held_out(run, str(stage))["tile"])
        check_predictions(rows, str(stage))


# One group


def run_group(run: Run, sweep: Sweep, group: str) -> pd.DataFrame:
    """Train the members of a group, each seed; one that fails does not stop the others.

    Returns:
        A row a training: ``member``, ``seed``, ``state`` (one of ``DONE``, ``KEPT``,
        ``FAILED``), ``seconds`` and ``reason``.

    Raises:
        UsageError: No such group.
    """
    rows = [
        _attempt(run, member, seed) for member in sweep.group(group) for seed in range(member.seeds)
    ]
    return pd.DataFrame(rows, columns=["member", "seed", "state", "seconds", "reason"])


def _attempt(run: Run, member: Member, seed: int) -> tuple[str, int, str, float, str]:
    started = time.monotonic()
    state, reason = DONE, ""
    path = member_folder(run, member) / f"{seed}.json"
    before = path.stat().st_mtime_ns if path.exists() else None
    try:
        run_member(run, member, seed)
        if before == path.stat().st_mtime_ns:
            state = KEPT
    except Exception as error:  # whatever stops one member is its own affair
        state, reason = FAILED, describe(error)
        write_json(path, {"failed": reason})
    print(f"{member.name} {seed}: {state} {reason}".rstrip(), flush=True)
    return member.name, seed, state, round(time.monotonic() - started, 1), reason


def describe(error: Exception) -> str:
    """An error as one line."""
    line = next(iter(str(error).splitlines()), "")
    return line if isinstance(error, StudyError) else f"{type(error).__name__}: {line}"


def run_group_notebook(study: Study, sweep: Sweep, group: str, seeds: int | None) -> Path:
    """Run a group as a notebook, and give the executed notebook's path.

    Raises:
        ChapterError: The notebook itself failed.
    """
    target = study.run / FOLDER / sweep.name / "notebooks" / f"{group}.ipynb"
    values = {"RUN": str(study.run), "PROFILE": study.profile.name, "SWEEP": sweep.name}
    run_chapter(
        NOTEBOOKS / f"{NOTEBOOK}.py",
        target,
        {**values, "GROUP": group, "SEEDS": seeds},
        study.run / "figures",
    )
    return target


def failures(run: Run, members: Iterable[Member]) -> dict[str, str]:
    """Members of which a training failed or has not finished, and why."""
    found: dict[str, str] = {}
    for member in members:
        for seed in range(member.seeds):
            if reason := _trouble(run, member, seed):
                found.setdefault(member.name, f"seed {seed}: {reason}")
    return found


UNFINISHED = "not finished"


def _trouble(run: Run, member: Member, seed: int) -> str:
    """Why a training has no answers as things stand; "" if it has."""
    found = _state(member_folder(run, member) / f"{seed}.parquet")
    if found is not None and "failed" in found:
        return str(found["failed"])
    done = found is not None and found["digest"] == member_digest(run, member, seed)
    return "" if done else UNFINISHED


def group_stamp(study: Study, sweep: Sweep, group: str) -> Path:
    """File that says a group is done as it stands; see ``graph.Study.stamp``."""
    members = sweep.group(group)
    digest = fingerprint(
        [
            study.effect(NEEDED),
            [[m.name, m.kind, m.stage, m.seeds, m.parameters] for m in members],
            sorted({_kind_digest(KINDS[m.kind]) for m in members}),
        ]
    )
    return study.run / "stamps" / f"sweep_{sweep.name}_{group}" / digest[:16]


def drop_stamps_of_lost_answers(study: Study, sweep: Sweep) -> None:
    """Take back that a group is done where the answers of a training are there no more.

    They may have been removed, damaged, or given by networks that were trained again since.
    """
    if not study.stamp(NEEDED).exists():
        return  # before the networks are there no answers are compared with them
    run = Run(study.run, sweep.name)
    for group in sweep.groups:
        stamp = group_stamp(study, sweep, group)
        if stamp.exists() and failures(run, sweep.group(group)):
            shutil.rmtree(stamp.parent)


# The whole sweep


def table_path(run: Path, sweep: str) -> Path:
    """The predictions of a sweep's members, one table."""
    return run / "predictions" / f"sweep_{sweep}.parquet"


def results_path(run: Path, sweep: str) -> Path:
    """What ``collect`` found out about a sweep."""
    return run / "results" / f"sweep_{sweep}.json"


def collect(run: Run, sweep: Sweep) -> dict[str, Any]:
    """Make one table and one file of results of what a sweep's members answered.

    A training that failed, is not finished, or whose table is not of the held-out tiles,
    each once, is named and left out; the rest stays, and results and table say that they
    are not complete: the table in its ``attrs``, which stand in the file. The file of results
    is left as it is where only its date would change.

    Returns:
        ``complete``, ``failed`` (reason by member), ``missing`` (trainings not finished),
        ``date``, ``commit``, ``profile``, ``data``, ``simulated``, ``table`` (digest),
        ``members``, ``pairs`` to be compared and ``differences`` (see ``describe_members``
        and ``sweep_scores.differences_of``), ``checksum`` (see ``files.sealed``).
    """
    tables: dict[str, list[pd.DataFrame]] = {}
    failed: dict[str, str] = {}
    missing: list[str] = []
    for member in sweep.members.values():
        for seed in range(member.seeds):
            reason = _trouble(run, member, seed)
            table = None if reason else _checked(run, member, seed)
            if isinstance(table, pd.DataFrame):
                tables.setdefault(member.name, []).append(table)
            elif reason == UNFINISHED:
                missing.append(f"{member.name}, seed {seed}")
            else:
                failed.setdefault(member.name, f"seed {seed}: {reason or table}")
    state = {"complete": not failed and not missing, "failed": failed, "missing": missing}
    found = {
        **state,
        "profile": run.path.name,
        "data": run.store.digest,
        "simulated": run.store.simulated,
        "table": _write_table(table_path(run.path, sweep.name), tables, state),
        "members": describe_members(run, sweep, tables),
        "pairs": [list(pair) for pair in sweep.compare],
        "differences": differences_of(tables, sweep.compare),
    }
    return _write_dated(results_path(run.path, sweep.name), found)


def _checked(run: Run, member: Member, seed: int) -> pd.DataFrame | str:
    """A training's table, or why it is refused."""
    table = pd.read_parquet(member_folder(run, member) / f"{seed}.parquet")
    try:
        check_table(run, table)
    except DataError as error:
        return str(error)
    return table


def _write_table(
    path: Path, tables: Mapping[str, list[pd.DataFrame]], state: dict[str, Any]
) -> str | None:
    """Write all tables as one with a column ``member``; its digest, or ``None`` if empty.

    Its state (``complete``, ``failed``, ``missing``) goes with it: pandas reads it as ``attrs``.
    """
    if not tables:
        path.unlink(missing_ok=True)
        return None
    parts = [table.assign(member=name) for name, found in tables.items() for table in found]
    whole = pd.concat(parts, ignore_index=True)
    whole.attrs.update(state)
    with whole_file(path) as partial:
        whole.to_parquet(partial, index=False)
    return sha256(path)


def _write_dated(path: Path, found: dict[str, Any]) -> dict[str, Any]:
    dated = {"date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), "commit": commit()}
    before = _entries(path)
    known = {"date", "commit", CHECKSUM}
    if is_sealed(before) and {k: v for k, v in before.items() if k not in known} == found:
        return before
    written = sealed({**found, **dated})
    write_json(path, written)
    return written


def describe_members(
    run: Run, sweep: Sweep, tables: Mapping[str, list[pd.DataFrame]]
) -> dict[str, dict[str, Any]]:
    """By member: ``title``, ``reference``, ``stage``, ``group``, ``seeds``, ``seconds`` (mean of
    a training) and ``scores`` (see ``sweep_scores.scores_of``).
    """
    return {
        name: {
            **{k: getattr(sweep.members[name], k) for k in ("title", "reference", "stage")},
            "group": sweep.members[name].group,
            "seeds": seeds_of(found),
            "seconds": _mean_seconds(run, sweep.members[name], found),
            "scores": scores_of(found),
        }
        for name, found in tables.items()
    }


def _mean_seconds(run: Run, member: Member, tables: list[pd.DataFrame]) -> float:
    folder = member_folder(run, member)
    seconds = [read_json(folder / f"{t['seed'].iloc[0]}.json")["seconds"] for t in tables]
    return round(float(np.mean(seconds)), 1)
