"""JSON and YAML: what a store, a cascade and an export say of themselves; profiles and sweeps."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sound
from damage import (
    Change,
    append,
    cut,
    edited,
    flip,
    folder,
    gone,
    itself,
    nowhere,
    pipe,
    put,
    stretch,
    swap,
)

from birads_lib.cli import DONE
from birads_lib.deployment import export_cascade
from birads_lib.files import read_json
from birads_lib.study.profiles import read_profiles
from birads_lib.study.sweeps import read_sweeps
from birads_lib.tiles.store import META

ROOT = Path(__file__).resolve().parents[2]


def entries(**changed: Any) -> Change:
    """Gives entries of a JSON object other values; ``...`` takes one out."""

    def change(path: Path) -> None:
        said = json.loads(path.read_text()) | changed
        path.write_text(json.dumps({k: v for k, v in said.items() if v is not ...}))

    return change


# JSON

NONE = r"not readable as JSON \(.+\); write it again"

JSONS = {
    "nothing is left of it": (cut(0), NONE),
    "it ends within an entry": (cut(30), NONE),
    "it lacks its last bracket": (cut(-2), NONE),
    "a bit of a bracket is turned over": (flip(0), NONE),
    "a bit makes it no text": (flip(5, bit=7), NONE),
    "more follows it": (append(b"{}"), NONE),
    "a number in it is none": (swap("{", '{"x": NaN, '), "NaN is no finite number"),
    "a number in it is infinite": (swap("{", '{"x": -Infinity, '), "-Infinity is no finite"),
    "a number in it is too large": (swap("{", '{"x": 1e999, '), "1e999 is no finite number"),
    "a number in it has 10,000 digits": (swap("{", '{"x": ' + "9" * 10_000 + ", "), NONE),
    "a key stands in it twice": (swap("{", '{"notes": [], '), "'notes' stands twice"),
    "it is nested a hundred thousand deep": (put("[" * 100_000), "nested too deeply"),
    "it is UTF-16": (edited(lambda text: text.decode().encode("utf-16")), NONE),
    "it is Python": (put("{'digest': None}"), NONE),
    "it is a pickle": (put(b"\x80\x04]\x94."), NONE),
    "it is a terabyte": (stretch(1 << 40), "expected at most 67,108,864; write it again"),
    "it is a pipe": (pipe, "no file but a folder, a pipe or a device; write it again"),
    "it is a folder": (folder, "no file but a folder, a pipe or a device; write it again"),
    "it is a link to nothing": (nowhere, "no such file; write it again"),
    "it is missing": (gone, "no such file; write it again"),
}
STORES = {
    "it is a list": (put("[1, 2]"), "digest, simulated, counts, notes missing or of another kind"),
    "it is nothing": (put("null"), "digest, simulated, counts, notes missing"),
    "its digest is missing": (entries(digest=...), "digest missing or of another kind"),
    "its digest is a number": (entries(digest=7), "digest missing or of another kind"),
    "it does not say what was simulated": (entries(simulated="no"), "simulated missing or of"),
    "its counts are a list": (entries(counts=[]), "counts missing or of another kind"),
    "its notes are text": (entries(notes="none"), "notes missing or of another kind"),
}


@pytest.mark.parametrize(("change", "told"), JSONS.values(), ids=JSONS)
def test_damaged_json_is_refused(auditing, change, told):
    auditing.refuses(META, change, told)


@pytest.mark.parametrize(("change", "told"), STORES.values(), ids=STORES)
def test_a_store_that_says_something_else_of_itself_is_refused(auditing, change, told):
    auditing.refuses(META, change, f"{told}.*; merge the tiles again")


def test_a_store_without_known_counts_is_audited(auditing):
    auditing.write(auditing.source)
    entries(known_counts=...)(auditing.source / META)
    code, printed, said = auditing.check.run("audit", auditing.source)
    assert code == 0, said
    assert json.loads(printed)["known_counts"] == {}


# YAML

SMALL = """\
tiny:
  about: Small.
  data: {scale: 0.01, positives: 0.4, seed: 0}
  all: {SEED: 3}
  chapters:
    gate: {EPOCHS: 1}
"""
LAUGHS = "a0: &a0 [ha, ha]\n" + "".join(
    f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}, *a{i - 1}]\n" for i in range(1, 40)
)
"""Each line stands for four times what the one before it stands for."""
LOOP = "tiny: &tiny\n  about: *tiny\n"

YAMLS = {
    "nothing is left of it": (cut(0), "top level: None is not of type 'object'"),
    "it ends within brackets": (cut(SMALL.index("0.4")), r"not YAML \(.*line"),
    "it ends before its chapters": (cut(SMALL.index("  chapters")), "'chapters' is a required"),
    "a bit of an indent is turned over": (flip(SMALL.index("  all") + 1), "not YAML|tiny"),
    "a bit makes it no text": (flip(7, bit=7), "not YAML"),
    "a tab indents it": (swap("  about", "\tabout"), "not YAML"),
    "it holds a NUL": (append(b"\0"), "not YAML"),
    "a profile stands in it twice": (append(SMALL.encode()), "'tiny' stands twice"),
    "an entry stands in it twice": (swap("{SEED: 3}", "{SEED: 3, SEED: 4}"), "'SEED' stands twice"),
    "it makes a Python object": (
        swap("Small.", "!!python/object/apply:os.system ['touch sprung']"), "not YAML",
    ),
    "its aliases stand for more than there is": (put(LAUGHS), "more than 100,000 entries"),
    "an alias stands for itself": (put(LOOP), "an alias within what it stands for"),
    "it is nested ten thousand deep": (put("[" * 10_000), "not YAML"),
    "it is a list": (put("- tiny\n"), "top level: .* is not of type 'object'"),
    "a size is no number": (swap("0.01", ".nan"), ".nan is no finite number"),
    "a share is infinite": (swap("0.4", ".inf"), ".inf is no finite number"),
    "a size is below 0": (swap("0.01", "-1"), "tiny/data"),
    "a seed is a date": (swap("seed: 0", "seed: 2026-13-45"), "not YAML"),
    "an entry is unknown": (swap("about", "abuot"), "tiny"),
    "a chapter is unknown": (swap("gate", "gatte"), "tiny/chapters"),
    "a profile's name leads upwards": (swap("tiny", "../../tiny"), "does not match"),
    "a profile's name holds a line break": (swap("tiny", '"tiny\\nmore"'), "does not match"),
    "it is UTF-16": (edited(lambda text: text.decode().encode("utf-16")), "not YAML"),
    "it is a terabyte": (stretch(1 << 40), "expected at most 1,048,576"),
    "it is a pipe": (pipe, "no file but a folder, a pipe or a device; run from the project's"),
    "it is missing": (gone, "no such file; run from the project's folder"),
    "it is a link to itself": (itself, "not readable .Too many levels.*run from the project's"),
}  # fmt: skip


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A folder with the study's sources, and profiles and sweeps of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    (tmp_path / "profiles.yml").write_text(SMALL)
    shutil.copy(ROOT / "sweeps.yml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(("change", "told"), YAMLS.values(), ids=YAMLS)
def test_a_damaged_file_of_profiles_is_refused(project, check, change, told):
    change(project / "profiles.yml")
    check.refuses(["study", "--profile", "tiny"], "profiles.yml", told)
    assert not (project / "sprung").exists()
    (project / "profiles.yml").unlink(missing_ok=True)
    (project / "profiles.yml").write_text(SMALL)
    assert read_profiles()["tiny"].chapters["gate"] == {"SEED": 3, "EPOCHS": 1}


SWEEPS = {
    "nothing is left of it": (cut(0), "top level"),
    "it is cut": (cut(1200), "sweeps.yml"),
    "its aliases stand for more than there is": (append(LAUGHS.encode()), "more than 100,000"),
    "a sweep's name leads upwards": (append(b"../../x: {}\n"), "does not match"),
    "a sweep stands in it twice": (append(b"ablations: {}\n"), "'ablations' stands twice"),
}


@pytest.mark.parametrize(("change", "told"), SWEEPS.values(), ids=SWEEPS)
def test_a_damaged_file_of_sweeps_is_refused(project, check, change, told):
    profiles = (ROOT / "profiles.yml").read_bytes()
    (project / "profiles.yml").write_bytes(profiles)
    change(project / "sweeps.yml")
    check.refuses(["sweep", "--profile", "smoke"], "sweeps.yml", told)
    shutil.copy(ROOT / "sweeps.yml", project)
    assert "ablations" in read_sweeps("smoke")


# What a cascade and an export say of themselves

CASCADES = {
    "it is missing": (gone, "no cascade", "model"),
    "it is cut": (cut(40), "not readable as JSON", None),
    "it is a list": (put("[]"), "top level: .* is not of type 'object'", None),
    "its threshold is missing": (entries(threshold=...), "'threshold' is a required", None),
    "its threshold is no number": (swap("0.5", "NaN"), "NaN is no finite number", None),
    "its threshold is text": (entries(threshold="0.5"), "threshold: .*not of type", None),
    "its threshold is beyond 1": (entries(threshold=50), "threshold: 50 is greater", None),
    "its weights are a list": (entries(weights=[]), "weights: .* not of type 'object'", None),
    "its weights name no scorer": (entries(weights={"gate": "0"}), "no gate and scorer", None),
    "its weights name a path": (
        entries(weights={"gate": "0", "scorer": "1", "../x": "2"}), "no gate and scorer", None,
    ),
    "its files are a number": (entries(files=7), "files: 7 is not of type 'object'", None),
    "its digests are numbers": (entries(files={"gate.onnx": 7}), "files/gate.onnx", None),
    "its ranges are none": (entries(familiar={"mean": [1]}), "familiar", None),
}  # fmt: skip
NETWORKS = {
    "it is missing": (gone, "the model is missing; run the study again"),
    "a bit of it is turned over": (flip(20), "has changed since it was saved; run the study"),
    "it is cut": (cut(-1), "has changed since it was saved; run the study again"),
    "it is a pipe": (pipe, "the model is missing; run the study again"),
    "it is a link to nothing": (nowhere, "the model is missing; run the study again"),
}
NO_NETWORKS = {
    "nothing is left of it": b"",
    "it is text": b"a letter",
    "it is a pickle": b"\x80\x04]\x94.",
    "it is a ZIP archive": b"PK\x03\x04" + bytes(100),
    "it is cut": sound.network(sound.GATE)[:100],
}


@pytest.fixture
def loading(entrance, tmp_path):
    """A cascade made by hand, which reads one tile."""
    (tmp_path / "left.png").write_bytes(sound.picture(".png"))

    def write(source: Path) -> None:
        source.mkdir()
        sound.cascade(source / "model")

    return entrance(write, predicting("onnx"))


def predicting(engine: str) -> Callable[[Path, Path], list[str | Path]]:
    def command(source: Path, out: Path) -> list[str | Path]:
        tile = source.parent / "left.png"
        return ["predict", source / "model", tile, "--engine", engine]

    return command


@pytest.mark.parametrize(("change", "told", "blamed"), CASCADES.values(), ids=CASCADES)
def test_a_cascade_that_says_something_else_of_itself_is_refused(loading, change, told, blamed):
    loading.refuses("model/cascade.json", change, told, blamed)


@pytest.mark.parametrize(("change", "told"), NETWORKS.values(), ids=NETWORKS)
def test_a_changed_network_is_refused(loading, change, told):
    loading.refuses("model/gate.onnx", change, told)


def forged(name: str, content: bytes) -> Change:
    """Puts a network there whose digest is right."""

    def change(path: Path) -> None:
        (path.parent / name).write_bytes(content)
        said = read_json(path)
        said["files"][name] = sound.digest(content)
        path.write_text(json.dumps(said))

    return change


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
@pytest.mark.parametrize("content", NO_NETWORKS.values(), ids=NO_NETWORKS)
def test_what_is_no_network_is_refused_though_its_digest_is_right(loading, content, engine):
    loading.command = predicting(engine)
    told = r"not a readable network \(.*\); run the study again"
    change = forged("gate.onnx", content)
    loading.refuses("model/cascade.json", change, told, blamed="model/gate.onnx")


@pytest.mark.parametrize("content", NO_NETWORKS.values(), ids=NO_NETWORKS)
def test_what_is_no_litert_network_is_refused_though_its_digest_is_right(loading, content, check):
    loading.write(loading.source)
    model = loading.source / "model"
    for name in ("gate.tflite", "scorer.tflite"):
        forged(name, content)(model / "cascade.json")
    told = r"not a readable network \(.*\); run the study again"
    check.refuses(predicting("litert")(loading.source, loading.out), model / "gate.tflite", told)
    assert check.run(*predicting("onnx")(loading.source, loading.out))[0] == DONE


@pytest.mark.parametrize("name", sound.NETWORKS)
def test_a_network_that_answers_no_numbers_is_refused(loading, name):
    change = forged(name, sound.network(name, math.nan))
    told = "answers with NaN or infinity; remove it and run the study again"
    loading.refuses("model/cascade.json", change, told, blamed=f"model/{name}")


@pytest.mark.parametrize("content", [b"", b"a letter", b"\x80\x04]\x94."])
def test_a_keras_file_that_is_no_archive_is_refused_before_keras_is_loaded(loading, content, check):
    loading.write(loading.source)
    model = loading.source / "model"
    for name in ("gate.keras", "scorer.keras"):
        forged(name, content)(model / "cascade.json")
    told = r"not a readable network \(no \.keras archive\); run the study again"
    check.refuses(predicting("keras")(loading.source, loading.out), model / "gate.keras", told)


def test_an_unknown_engine_is_refused_with_the_known(loading, check):
    loading.write(loading.source)
    told = "unknown 'guess'; use one of openvino, onnx, litert, keras"
    check.refuses(predicting("guess")(loading.source, loading.out), "engine", told)


MANIFESTS = {
    "it is cut": (cut(-40), "not readable as JSON"),
    "it is empty": (put("{}"), "top level: 'notice' is a required property"),
    "it names a network that is not there": (swap("gate.onnx", "gates.onnx"), "gate.*missing"),
    "it names a file above the export": (swap('"gate.onnx": {', '"../gate.onnx": {'), "elsewhere"),
    "it names a file of the system": (swap('"gate.onnx": {', '"/etc/passwd": {'), "elsewhere"),
    "it names no gate": (swap('"name": "gate"', '"name": "autoencoder"'), "no gate and scorer"),
    "its threshold is no number": (swap('"threshold": 0.5', '"threshold": NaN'), "no finite"),
    "its form is unknown": (swap('"form": "onnx"', '"form": "pickle"'), "form: 'pickle' is not"),
}


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> Path:
    """A cascade made by hand, exported; do not write into it."""
    folder = tmp_path_factory.mktemp("exported")
    sound.cascade(folder / "model")
    export_cascade(folder / "model", folder / "onnx", "onnx")
    return folder / "onnx"


@pytest.mark.parametrize(("change", "told"), MANIFESTS.values(), ids=MANIFESTS)
def test_a_damaged_manifest_is_refused(entrance, exported, tmp_path, change, told):
    (tmp_path / "left.png").write_bytes(sound.picture(".png"))
    loading = entrance(
        lambda source: shutil.copytree(exported, source),
        lambda source, out: ["predict", source, tmp_path / "left.png"],
    )
    blamed = "gate.onnx" if "missing" in told else None
    loading.refuses("manifest.json", change, told, blamed)
