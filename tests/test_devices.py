"""Devices: precision by GPU, the hosts of TF_CONFIG, and two workers that learn as one does."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import pytest
from train_on_hosts import learn

from birads_lib.devices import (
    Device,
    Member,
    chosen_distribution,
    describe_choice,
    path_to_write,
    precision_for,
    read_member,
    training_strategy,
    visible_devices,
)
from birads_lib.errors import UsageError
from birads_lib.networks import denoising_autoencoder, mobilenet_gate, plain_cnn, weights_digest

ROOT = Path(__file__).resolve().parents[1]
PROCESS = Path(__file__).with_name("train_on_hosts.py")
LIMIT = 180  # s, until a process that hangs is ended

CPU = Device("CPU", "CPU")
A100 = Device("GPU", "A100", (8, 0))
T4 = Device("GPU", "T4", (7, 5))
P100 = Device("GPU", "P100", (6, 0))
UNKNOWN = Device("GPU", "GPU:0")


@pytest.mark.parametrize(
    ("found", "replicas", "policy", "jit"),
    [
        ([CPU], 1, "float32", False),
        ([CPU], 2, "float32", False),
        ([CPU, A100], 1, "mixed_bfloat16", True),
        ([CPU, T4], 1, "mixed_float16", True),
        ([CPU, Device("GPU", "V100", (7, 0))], 1, "mixed_float16", True),
        ([CPU, Device("GPU", "H100", (9, 0))], 1, "mixed_bfloat16", True),
        ([CPU, P100], 1, "float32", True),
        ([CPU, UNKNOWN], 1, "float32", True),
        ([CPU, A100, T4], 2, "mixed_float16", False),
        ([CPU, A100, A100], 2, "mixed_bfloat16", False),
    ],
)
def test_precision_is_what_the_weakest_gpu_can_do(found, replicas, policy, jit):
    settings = precision_for(found, replicas)
    assert (settings.policy, settings.jit_compile) == (policy, jit)


def test_log_line_says_what_was_chosen_and_why():
    found = [CPU, A100, T4]
    line = describe_choice("local", found, precision_for(found, 2), 2)
    assert line == (
        "distribute local: 2 GPU replicas, mixed_float16, not compiled (T4, compute capability 7.5)"
    )


def test_local_without_a_gpu_says_that_it_trains_on_one_device():
    line = describe_choice("local", [CPU], precision_for([CPU]), 1)
    assert "no GPU here: one device" in line
    assert "\n" not in line


def test_one_device_is_the_default_and_changes_nothing(monkeypatch):
    monkeypatch.delenv("BIRADS_DISTRIBUTE", raising=False)
    assert chosen_distribution() == "one"
    assert training_strategy("one").num_replicas_in_sync == 1
    with training_strategy("one").scope():
        model = plain_cnn((8, 8, 1), (2,))
    assert model.dtype_policy.name == "float32"


@pytest.mark.parametrize(
    "build",
    [
        lambda: plain_cnn((32, 32, 1), (2,)),
        lambda: denoising_autoencoder((32, 32, 1), [2], 2),
        lambda: mobilenet_gate((32, 32, 1), 0.35, None, 4, last_block=1),
    ],
)
def test_answers_are_float32_under_mixed_precision(build):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build()
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.output.dtype == "float32"
    assert any(layer.compute_dtype == "bfloat16" for layer in model.layers)


def test_unknown_words_are_refused(monkeypatch):
    with pytest.raises(UsageError, match="--distribute: unknown 'all'; use one of one, local, h"):
        training_strategy("all")
    monkeypatch.setenv("BIRADS_DISTRIBUTE", "everywhere")
    with pytest.raises(UsageError, match="BIRADS_DISTRIBUTE: unknown 'everywhere'"):
        chosen_distribution()


def config(index: object = 0, kind: str = "worker", **cluster: object) -> dict[str, str]:
    described = {
        "cluster": cluster or {"worker": ["a:1", "b:2"]},
        "task": {"type": kind, "index": index},
    }
    return {"TF_CONFIG": json.dumps(described)}


@pytest.mark.parametrize(
    ("environment", "member"),
    [
        (config(0), Member("worker", 0, 2, True)),
        (config(1), Member("worker", 1, 2, False)),
        (config(0, chief=["c:1"], worker=["a:1"]), Member("worker", 0, 2, False)),
        (config(0, "chief", chief=["c:1"], worker=["a:1"]), Member("chief", 0, 2, True)),
    ],
)
def test_process_knows_its_place_among_the_hosts(environment, member):
    assert read_member(environment) == member


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "TF_CONFIG: not set; several hosts need it, such as {"),
        ({"TF_CONFIG": ""}, "not set"),
        ({"TF_CONFIG": "{"}, "TF_CONFIG: not a cluster and a task in JSON"),
        ({"TF_CONFIG": "[1]"}, "not a cluster and a task"),
        ({"TF_CONFIG": "{}"}, r"not a cluster and a task in JSON \(KeyError: 'cluster'\)"),
        ({"TF_CONFIG": '{"cluster": [], "task": {}}'}, "not a cluster and a task"),
        (config(2), "task index 2; expected 0 to 1"),
        (config("0"), "task index '0'; expected 0 to 1"),
        (config(True), "task index True"),
        (config(0, "ps"), "TF_CONFIG task type: unknown 'ps'; use one of worker"),
        (config(0, worker=["a"]), "worker: 'a'; expected HOST:PORT"),
        (config(0, worker=[]), "worker: no host; expected HOST:PORT"),
        (config(0, ps=["a:1"]), "TF_CONFIG cluster: unknown 'ps'; use one of chief, worker"),
    ],
)
def test_wrong_tf_config_is_told_in_one_line(environment, message, monkeypatch):
    with pytest.raises(UsageError, match=message) as caught:
        read_member(environment)
    assert "\n" not in str(caught.value)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=message):
        training_strategy.__wrapped__("hosts")


def test_only_the_chief_writes_at_the_models_path(tmp_path, monkeypatch):
    path = tmp_path / "gate.keras"
    path.with_suffix(".resume.json").write_text("half done")
    (tmp_path / "scorer.keras").touch()
    for index, chief in ((0, True), (1, False)):
        monkeypatch.setenv("TF_CONFIG", config(index)["TF_CONFIG"])
        with path_to_write(path, "hosts") as own:
            assert (own == path) is chief
            assert own.with_suffix(".resume.json").read_text() == "half done"
            own.write_text(f"by {index}")
    assert path.read_text() == "by 0"
    assert not own.parent.exists()
    monkeypatch.delenv("TF_CONFIG")
    with path_to_write(path, "one") as own:
        assert own == path


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def process(folder: Path, *networks: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process that trains; it has ended when the block has."""
    folder.mkdir(exist_ok=True)
    alone = {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    narrow = {"TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1"}
    started = subprocess.Popen(
        [sys.executable, PROCESS, folder, *networks],
        env={**os.environ, **alone, **narrow, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield started
    finally:
        started.kill()
        started.wait()


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The same trainings by two workers (``hosts``) and by two processors (``mirrored``)."""
    folder = tmp_path_factory.mktemp("trained")
    ports = [f"127.0.0.1:{port}" for port in free_ports(2)]
    with contextlib.ExitStack() as running:
        processes = [
            running.enter_context(
                process(
                    folder / "hosts", "plain", "statistics",
                    BIRADS_DISTRIBUTE="hosts", **config(index, worker=ports),
                )
            )
            for index in (0, 1)
        ]  # fmt: skip
        mirrored = process(
            folder / "mirrored", "statistics", BIRADS_DISTRIBUTE="local", MIRRORED="1"
        )
        processes.append(running.enter_context(mirrored))
        for each in processes:
            said, _ = each.communicate(timeout=LIMIT)
            assert each.returncode == 0, said[-3000:]
    return folder


def told(folder: Path, network: str) -> list[dict]:
    """What each process of a training told of it."""
    return [json.loads(path.read_text()) for path in folder.glob(f"{network}_*.json")]


def test_two_workers_reach_the_loss_of_one_process(trained, tmp_path):
    """The plain CNN has no batch normalisation, whose statistics each worker takes of its
    own half of a batch: the sums of two workers are exactly those of one process.

    Batches are odd and the last holds one tile, so the halves are unequal.
    """
    alone = learn("plain", tmp_path).history
    workers = told(trained / "hosts", "plain")
    assert len(workers) == 2
    for worker in workers:
        assert worker["history"]["epoch"] == [1, 2]
        for figure in ("loss", "val_loss", "val_sensitivity"):
            assert worker["history"][figure] == pytest.approx(alone[figure].tolist(), abs=1e-4)
    assert alone["loss"][1] < alone["loss"][0]


def test_two_workers_leave_one_model(trained):
    left = sorted(path.name for path in (trained / "hosts").glob("plain.*"))
    assert left == ["plain.json", "plain.keras"]
    one, other = told(trained / "hosts", "plain")
    model = keras.saving.load_model(trained / "hosts" / "plain.keras", compile=False)
    assert one["digest"] == other["digest"] == weights_digest(model)


def test_two_workers_and_two_processors_learn_the_same_with_batch_statistics(trained):
    every = [*told(trained / "hosts", "statistics"), *told(trained / "mirrored", "statistics")]
    assert len(every) == 3
    assert len({each["digest"] for each in every}) == 1


def test_local_training_without_a_gpu_runs_on_one_device(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BIRADS_DISTRIBUTE", "local")
    local = learn("plain", tmp_path)
    said = capsys.readouterr().err
    monkeypatch.setenv("BIRADS_DISTRIBUTE", "one")
    assert learn("plain", tmp_path / "one").digest == local.digest
    if precision_for(visible_devices()).reason == "no GPU":
        assert said.count("no GPU here: one device") == 1


def test_training_is_repeated_alone_only_where_the_number_of_workers_matters(trained):
    assert learn("plain", trained / "hosts").reused
    assert not learn("statistics", trained / "hosts").reused
