"""An exported cascade: its networks, its manifest, and what refuses to be exported."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_cascade import small_cascade

from birads_lib import Cascade, deployment
from birads_lib.cli import main
from birads_lib.deployment import Exporter, check_manifest, export_cascade, read_export
from birads_lib.engines import openvino_core
from birads_lib.errors import DataError
from birads_lib.files import read_json, sha256, write_json
from birads_lib.labels import CLASSES, LESION_CODES
from birads_lib.metrics import summarise
from birads_lib.tiles.store import writing_store

FORMS = {"onnx": [".onnx"], "openvino": [".bin", ".xml"], "litert": [".tflite"]}
NAMES = ("autoencoder", "gate", "scorer")


@pytest.fixture(scope="module")
def run(store, tmp_path_factory) -> Path:
    """A run as the cascade chapter leaves it."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    cascade = small_cascade()
    cascade.save(folder / "models" / "cascade")
    shutil.copytree(store.path, folder / "store")
    held_out = store.subset(store.table["origin"] != "training")
    facts = {"split": "held-out", "stage": "cascade", "protocol": "official", "seed": 0}
    answers = cascade.predict(held_out.images).drop(columns="predicted")
    table = pd.concat([held_out.table[["tile", "group", "label"]], answers], axis=1)
    (folder / "predictions").mkdir()
    table.assign(**facts, model=cascade.digest, threshold=cascade.threshold).to_parquet(
        folder / "predictions" / "cascade.parquet", index=False
    )
    return folder


@pytest.fixture(scope="module")
def model(run) -> Path:
    return run / "models" / "cascade"


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory) -> dict[tuple[str, str], Path]:
    """Each form in each precision."""
    folder, exporter = tmp_path_factory.mktemp("exported"), Exporter(model)
    paths = {
        (form, precision): folder / f"{form}-{precision}"
        for form in FORMS
        for precision in ("float32", "int8")
    }
    for (form, precision), path in paths.items():
        exporter.write(path, form, precision)
    return paths


@pytest.fixture(params=FORMS)
def plain(request, exported) -> Path:
    return exported[request.param, "float32"]


@pytest.fixture(params=FORMS)
def quantized(request, exported) -> Path:
    return exported[request.param, "int8"]


def manifest_of(folder: Path) -> dict:
    return read_json(folder / "manifest.json")


# What is written


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("form", FORMS)
def test_folder_holds_the_networks_and_a_manifest_that_lists_them(form, precision, exported):
    folder = exported[form, precision]
    networks = sorted(f"{name}{suffix}" for name in NAMES for suffix in FORMS[form])
    assert sorted(path.name for path in folder.iterdir()) == sorted([*networks, "manifest.json"])
    manifest = check_manifest(manifest_of(folder), folder)
    assert (manifest["form"], manifest["precision"]) == (form, precision)
    assert sorted(manifest["files"]) == networks
    for name, facts in manifest["files"].items():
        path = folder / name
        assert facts == {"bytes": path.stat().st_size, "sha256": sha256(path)}


def test_manifest_says_how_to_run_the_networks(plain, model):
    manifest = manifest_of(plain)
    assert manifest["input"] == {
        "shape": [299, 299], "dtype": "uint8", "range": [0, 255], "colour": "grey", "pixel_mm": 0.1,
    }  # fmt: skip
    steps = [(x["name"], x["takes"], x["input"]["shape"]) for x in manifest["networks"]]
    assert steps == [
        ("autoencoder", "the tile", [40, 44, 1]),
        ("gate", "the denoised tile", [24, 24, 1]),
        ("scorer", "the denoised tile", [32, 32, 3]),
    ]
    shapes = [[output["shape"] for output in x["outputs"]] for x in manifest["networks"]]
    assert shapes == [[[40, 44, 1]], [[1]], [[4], [16, 16, 1]]]
    assert manifest["threshold"] == 0.5
    assert manifest["classes"] == [{"code": c.code, "title": c.title} for c in CLASSES]
    assert manifest["cascade"] == Cascade.load(model).digest


def test_manifest_warns(plain):
    manifest = manifest_of(plain)
    assert manifest["notice"] == "Research software, not a medical device."
    assert manifest["simulated"] is True
    assert any("Diagnosis" in line for line in manifest["not_intended_use"])


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("form", FORMS)
def test_tensors_are_named_as_the_file_names_them(form, precision, exported):
    """A program that knows the manifest alone gets the right outputs."""
    folder = exported[form, precision]
    (entry,) = (x for x in manifest_of(folder)["networks"] if x["name"] == "scorer")
    x = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    tensors = [output["tensor"] for output in entry["outputs"]]
    answers, attention = RUNNERS[form](folder / entry["file"], entry["input"]["tensor"], x, tensors)
    assert answers.shape == (1, 4)
    assert attention.shape == (1, 16, 16, 1)
    scorer = read_export(folder).scorer
    np.testing.assert_allclose(answers, scorer(x), atol=1e-5)
    np.testing.assert_allclose(attention[..., 0], scorer.attention(x), atol=1e-5)


def run_onnx(path, entry, x, tensors):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(tensors, {entry: x})


def run_openvino(path, entry, x, tensors):
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    found = openvino_core().compile_model(path, "CPU", hints)({entry: x})
    return [found[tensor] for tensor in tensors]


def run_litert(path, entry, x, tensors):
    from ai_edge_litert.interpreter import Interpreter

    network = Interpreter(str(path))
    network.allocate_tensors()
    (found,) = (d for d in network.get_input_details() if d["name"] == entry)
    network.set_tensor(found["index"], x)
    network.invoke()
    places = {d["name"]: d["index"] for d in network.get_output_details()}
    return [network.get_tensor(places[tensor]) for tensor in tensors]


RUNNERS = {"onnx": run_onnx, "openvino": run_openvino, "litert": run_litert}


def test_int8_manifest_states_what_eight_bits_cost(quantized, store):
    said = manifest_of(quantized)["quantization"]
    assert said["tiles"] == {"store": store.digest, "simulated": True, "seed": 0}
    labels = store.table[store.table["origin"] == "training"]["label"].value_counts().clip(upper=40)
    infected = int(labels.drop(0).sum())
    everything = infected + int(labels[0])
    assert said["calibration"] == {
        "autoencoder": everything, "gate": everything, "scorer": infected,
    }  # fmt: skip
    assert said["loss"]["tiles"] == (store.table["origin"] != "training").sum()
    assert said["loss"]["probability_difference"]["gate"]["largest"] < 0.1
    assert 0 < said["loss"]["grey_difference"]["largest"] < 8
    for found in said["loss"]["figures"].values():
        change = found["int8"]["value"] - found["float32"]["value"]
        assert found["difference"]["value"] == pytest.approx(change)
    assert said["speed"]["float32"] > 0
    assert said["speed"]["machine"]["cores"] >= 1
    assert manifest_of(quantized.with_name(quantized.name.replace("int8", "float32")))[
        "quantization"
    ] is None  # fmt: skip


def test_held_out_tiles_are_measured_and_only_training_tiles_calibrate(
    model, store, tmp_path, monkeypatch
):
    seen, whole = {}, deployment.calibration_inputs

    def watched(cascade, tiles):
        seen["calibration"] = set(tiles.table["origin"])
        return whole(cascade, tiles)

    def stopped(first, second, tiles):
        seen["measurement"] = set(tiles.table["origin"])
        raise KeyboardInterrupt

    monkeypatch.setattr(deployment, "calibration_inputs", watched)
    monkeypatch.setattr(deployment, "measured_loss", stopped)
    with pytest.raises(KeyboardInterrupt):
        export_cascade(model, tmp_path / "out", "onnx", int8=True, tiles=store.path)
    assert seen == {"calibration": {"training"}, "measurement": {"test10", "cv10"}}
    assert list(tmp_path.iterdir()) == []


# Metrics


def test_metrics_are_those_of_the_runs_predictions(plain, run):
    said = manifest_of(plain)["metrics"]
    predictions = pd.read_parquet(run / "predictions" / "cascade.parquet")
    (expected,) = json.loads(json.dumps(summarise(predictions)))
    assert said == {"record": expected, "reason": None}
    assert expected["overall"]["balanced_accuracy"]["interval"]


def test_cascade_outside_a_run_has_no_metrics_and_the_reason(model, tmp_path):
    shutil.copytree(model, tmp_path / "cascade")
    said = export_cascade(tmp_path / "cascade", tmp_path / "out", "onnx")["metrics"]
    assert said == {"record": None, "reason": "The cascade lies in no run that has predictions."}


def test_predictions_of_another_cascade_do_not_count(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("store"))
    path = copy / "predictions" / "cascade.parquet"
    pd.read_parquet(path).assign(model="0" * 64).to_parquet(path, index=False)
    said = export_cascade(copy / "models" / "cascade", tmp_path / "out", "onnx")["metrics"]
    assert said == {"record": None, "reason": "The run's predictions are of another cascade."}


# Reading it back


def test_export_in_float_answers_as_the_saved_cascade(plain, model, store):
    images = store.images[:12]
    expected, found = (c.predict(images) for c in (Cascade.load(model), read_export(plain)))
    pd.testing.assert_frame_equal(found, expected, atol=1e-4)


def test_export_in_eight_bits_answers_nearly_so(quantized, model, store):
    images = store.images[:12]
    expected, found = (c.predict(images) for c in (Cascade.load(model), read_export(quantized)))
    np.testing.assert_allclose(found["gate"], expected["gate"], atol=0.1)
    scored = found["C2"].notna() & expected["C2"].notna()
    assert scored.any()
    columns = list(LESION_CODES)
    np.testing.assert_allclose(found[scored][columns], expected[scored][columns], atol=0.1)


def test_predict_takes_an_export(plain, model, store, tmp_path, capsys):
    np.save(tmp_path / "tiles.npy", store.images[:5])
    said = []
    for folder in (model, plain):
        assert main(["predict", str(folder), str(tmp_path / "tiles.npy")]) == 0
        said.append(pd.read_csv(io.StringIO(capsys.readouterr().out)))
    pd.testing.assert_frame_equal(*said, atol=1e-4)


def test_changed_network_is_named(plain, tmp_path, flip_byte):
    folder = Path(shutil.copytree(plain, tmp_path / "copy"))
    name = next(path.name for path in sorted(folder.iterdir()) if path.name.startswith("gate"))
    flip_byte(folder / name, 100)
    with pytest.raises(DataError, match="changed since it was exported") as error:
        read_export(folder)
    assert str(folder / name) in str(error.value)


NO_NETWORKS = {
    "its first bytes": lambda content: content[:40],
    "its first half": lambda content: content[: len(content) // 2],
    "a letter": lambda content: b"Dear reader,\n" * 40,
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("edit", NO_NETWORKS.values(), ids=NO_NETWORKS)
def test_what_is_no_network_is_named_though_its_digest_is_right(plain, tmp_path, edit):
    folder = Path(shutil.copytree(plain, tmp_path / "copy"))
    named = {Path(name).suffix: name for name in manifest_of(folder)["files"] if "gate" in name}
    name = next(named[suffix] for suffix in (".xml", ".onnx", ".tflite") if suffix in named)
    (folder / name).write_bytes(edit((folder / name).read_bytes()))
    told = manifest_of(folder)
    told["files"][name] = {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)}
    write_json(folder / "manifest.json", told)
    with pytest.raises(DataError, match="not a readable network") as error:
        read_export(folder)
    assert str(folder / name) in str(error.value)
    assert "\n" not in str(error.value)


def test_manifest_that_says_something_else_is_named(plain, tmp_path):
    folder = Path(shutil.copytree(plain, tmp_path / "copy"))
    write_json(folder / "manifest.json", {**manifest_of(folder), "threshold": 3})
    with pytest.raises(DataError, match=r"manifest\.json: threshold: 3 is greater than") as error:
        read_export(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        {"notice": "Fit for patients."},
        {"precision": "int8"},
        {"metrics": {"record": None, "reason": None}},
        {"files": {}},
        {"form": "coreml"},
        {"extra": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_schema_refuses_what_no_export_writes(change, exported, tmp_path):
    manifest = manifest_of(exported["onnx", "float32"])
    check_manifest(manifest, tmp_path)
    with pytest.raises(DataError):
        check_manifest({**manifest, **change}, tmp_path)


# Whole or not at all


def test_export_takes_the_place_of_an_earlier_one(model, tmp_path):
    out = tmp_path / "out"
    export_cascade(model, out, "openvino")
    export_cascade(model, out, "onnx")
    assert manifest_of(out)["form"] == "onnx"
    assert not (out / "gate.xml").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_export_that_fails_leaves_nothing(model, tmp_path, monkeypatch):
    def fails(*args):
        raise RuntimeError

    monkeypatch.setattr(deployment, "metrics_of_cascade", fails)
    with pytest.raises(RuntimeError):
        export_cascade(model, tmp_path / "out", "onnx")
    assert list(tmp_path.iterdir()) == []


def test_forms_but_litert_need_no_tensorflow(model, tmp_path):
    """OpenVINO's form is made from ONNX, so both are."""
    code = (
        "import sys; from birads_lib.cli import main; assert main(sys.argv[1:]) == 0; "
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    arguments = ["export", model, tmp_path / "out", "--format", "openvino", "--int8"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{tmp_path / 'out'}: openvino, int8, ")
    assert lines[0].endswith("Research software, not a medical device.")
    assert [line.split(",")[0] for line in lines[1:4]] == ["gate", "scorer", "cascade"]
    assert "no phone was measured" in lines[4]


# Bad input


@pytest.fixture
def refused(capsys, tmp_path):
    """Runs an export that must end with code 2 and one line, and write nothing; gives the line."""

    def run(*arguments) -> str:
        before = sorted(tmp_path.rglob("*"))
        assert main(["export", *map(str, arguments)]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert sorted(tmp_path.rglob("*")) == before
        return said.err

    return run


def test_folder_without_a_cascade_is_refused(refused, tmp_path):
    assert f"{tmp_path}: no cascade" in refused(tmp_path, tmp_path / "out")


def test_unknown_format_lists_the_known(refused, model, tmp_path):
    said = refused(model, tmp_path / "out", "--format", "coreml")
    assert "format: unknown 'coreml'; use one of onnx, litert, openvino" in said


def test_int8_without_tiles_is_refused(refused, model, tmp_path):
    copy = shutil.copytree(model, tmp_path / "run" / "models" / "cascade")
    assert "int8: no tiles to calibrate on" in refused(copy, tmp_path / "out", "--int8")


def test_tiles_without_int8_are_refused(refused, model, store, tmp_path):
    assert "float32 needs none" in refused(model, tmp_path / "out", "--tiles", store.path)


def test_tiles_that_are_no_store_are_refused(refused, model, tmp_path):
    said = refused(model, tmp_path / "out", "--int8", "--tiles", tmp_path / "absent")
    assert f"{tmp_path / 'absent'}: no such store" in said


def test_store_that_lacks_a_class_is_refused(refused, model, small_store, tmp_path):
    table = small_store.table.drop(columns="digest")
    with writing_store(tmp_path / "lacking") as writer:
        writer.append(np.asarray(small_store.images[:]))
        writer.table = table.assign(label=table["label"].replace(4, 2))
        writer.meta = small_store.meta
    said = refused(model, tmp_path / "out", "--int8", "--tiles", tmp_path / "lacking")
    assert f"{tmp_path / 'lacking'}: train part: no tile of label 4" in said


def test_place_of_something_else_is_refused(refused, model, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert "nor one with a manifest.json" in refused(model, tmp_path / "out")
