"""What a training runs on: one device, the GPUs of this machine, or several hosts; how precisely.

TensorFlow is imported where it is needed, so that the command line can check
an option without it.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from birads_lib.errors import UsageError, one_of

if TYPE_CHECKING:
    import tensorflow as tf

ONE, LOCAL, HOSTS = DISTRIBUTIONS = ("one", "local", "hosts")
DISTRIBUTE = "BIRADS_DISTRIBUTE"
"""Environment variable that carries ``--distribute`` to the chapters' processes."""
TF_CONFIG = "TF_CONFIG"
FLOAT16_FROM, BFLOAT16_FROM = (7, 0), (8, 0)
"""Compute capabilities from which NVIDIA's tensor cores calculate in these types."""
EXAMPLE = (
    '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
)


@dataclass(frozen=True)
class Device:
    """A processor that TensorFlow sees.

    Attributes:
        kind: ``"CPU"`` or ``"GPU"``.
        name: Such as ``"NVIDIA A100"``.
        capability: CUDA compute capability (major, minor); ``None`` where there is none.
    """

    kind: str
    name: str
    capability: tuple[int, int] | None = None


@dataclass(frozen=True)
class Settings:
    """How to calculate on a set of devices.

    Attributes:
        policy: Keras' dtype policy: ``"float32"``, ``"mixed_float16"`` or ``"mixed_bfloat16"``.
        jit_compile: Whether XLA compiles the training step.
        reason: Why, for the log.
    """

    policy: str
    jit_compile: bool
    reason: str


@dataclass(frozen=True)
class Member:
    """This process among the hosts of a training.

    Attributes:
        kind: ``"chief"`` or ``"worker"``.
        index: Its place in the list of its kind, from 0.
        size: Processes in all.
        chief: Whether it writes checkpoints and models.
    """

    kind: str
    index: int
    size: int
    chief: bool


def precision_for(devices: Sequence[Device], replicas: int = 1) -> Settings:
    """Precision and compilation that pay on ``devices``.

    The weakest GPU decides, as all take the same step. XLA compiles the step of one GPU;
    TensorFlow does not compile the sums that several exchange.

    Args:
        devices: What TensorFlow sees on this host.
        replicas: Devices that share each batch.
    """
    gpus = [device for device in devices if device.kind == "GPU"]
    if not gpus:
        return Settings("float32", False, "no GPU")
    weakest = min(gpus, key=lambda gpu: gpu.capability or (0, 0))
    capability = weakest.capability or (0, 0)
    known = ".".join(map(str, capability)) if weakest.capability else "unknown"
    reason = f"{weakest.name}, compute capability {known}"
    if capability >= BFLOAT16_FROM:
        policy = "mixed_bfloat16"
    elif capability >= FLOAT16_FROM:
        policy = "mixed_float16"
    else:
        policy = "float32"
    return Settings(policy, replicas == 1, reason)


def visible_devices() -> list[Device]:
    """The GPUs that TensorFlow sees on this host, after its CPU."""
    import tensorflow as tf

    found = [Device("CPU", "CPU")]
    for gpu in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpu)
        found.append(
            Device("GPU", details.get("device_name", gpu.name), details.get("compute_capability"))
        )
    return found


def read_member(environment: Mapping[str, str] | None = None) -> Member:
    """Which of the hosts this process is, from ``TF_CONFIG``.

    Args:
        environment: Environment variables; ``None`` for this process's own.

    Raises:
        UsageError: ``TF_CONFIG`` is missing, is not JSON, or does not name this process.
    """
    text = (os.environ if environment is None else environment).get(TF_CONFIG)
    if not text:
        raise UsageError(f"{TF_CONFIG}: not set; several hosts need it, such as {EXAMPLE}")
    try:
        config = json.loads(text)
        cluster = {str(kind): list(hosts) for kind, hosts in config["cluster"].items()}
        kind, index = config["task"]["type"], config["task"]["index"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{TF_CONFIG}: not a cluster and a task in JSON ({_one_line(error)}); give it as "
            f"{EXAMPLE}"
        ) from None
    for name, hosts in cluster.items():
        _check_hosts(name, hosts)
    one_of(f"{TF_CONFIG} task type", kind, cluster)
    if type(index) is not int or not 0 <= index < len(cluster[kind]):
        raise UsageError(
            f"{TF_CONFIG}: task index {index!r}; expected 0 to {len(cluster[kind]) - 1}, a place "
            f"in the list {kind!r}"
        )
    chief = kind == "chief" or ("chief" not in cluster and index == 0)
    return Member(kind, index, sum(map(len, cluster.values())), chief)


def _check_hosts(kind: str, hosts: list[Any]) -> None:
    one_of(f"{TF_CONFIG} cluster", kind, ("chief", "worker"))
    wrong = [h for h in hosts if not (isinstance(h, str) and h.rpartition(":")[2].isdigit())]
    if wrong or not hosts:
        found = repr(wrong[0]) if wrong else "no host"
        raise UsageError(f"{TF_CONFIG}: {kind}: {found}; expected HOST:PORT for each process")


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def chosen_distribution() -> str:
    """What ``--distribute`` said to this process or the one that started it; else ``"one"``.

    Raises:
        UsageError: The environment variable holds something else.
    """
    return one_of(DISTRIBUTE, os.environ.get(DISTRIBUTE, ONE), DISTRIBUTIONS)


@functools.cache  # a process joins its hosts once
def training_strategy(distribute: str = ONE) -> tf.distribute.Strategy:
    """TensorFlow's strategy for ``--distribute``.

    Args:
        distribute: ``"one"``: one device, TensorFlow's default; ``"local"``: all GPUs of
            this machine, or one device where it has none; ``"hosts"``: the processes that
            ``TF_CONFIG`` lists. Hosts must be joined before anything is calculated, and
            the call waits until all have come.

    Raises:
        UsageError: Another word; ``TF_CONFIG`` is missing or wrong; joined too late.
    """
    one_of("--distribute", distribute, DISTRIBUTIONS)
    if distribute == HOSTS:
        read_member()
    import tensorflow as tf

    if distribute == HOSTS:
        return _join_hosts()
    if distribute == LOCAL and tf.config.list_physical_devices("GPU"):
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def _join_hosts() -> tf.distribute.Strategy:
    import tensorflow as tf

    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise UsageError(
            f"--distribute hosts: {_one_line(error)}; set {DISTRIBUTE}=hosts before birads_lib "
            "is imported"
        ) from None


def describe_choice(
    distribute: str, devices: Sequence[Device], settings: Settings, replicas: int
) -> str:
    """One line for the log: on what a training runs, and how precisely."""
    gpus = any(device.kind == "GPU" for device in devices)
    parts = f"{replicas} {'GPU' if gpus else 'CPU'} replica{'s' * (replicas > 1)}"
    fallback = " (no GPU here: one device)" if distribute == LOCAL and not gpus else ""
    compiled = "compiled by XLA" if settings.jit_compile else "not compiled"
    return (
        f"distribute {distribute}{fallback}: {parts}, {settings.policy}, {compiled} "
        f"({settings.reason})"
    )


@contextmanager
def path_to_write(path: Path, distribute: str) -> Iterator[Path]:
    """Yield where this process writes a model: only the chief of several hosts at ``path``.

    The others take every step that it takes, saving included, in a temporary folder. That
    folder starts with what stands at ``path``, so that all find the same training
    finished or half done. The hosts share the folder of ``path``.
    """
    if distribute != HOSTS or read_member().chief:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix=f"birads-{path.stem}-") as folder:
        for file in path.parent.glob(f"{path.stem}.*"):
            shutil.copy(file, folder)
        yield Path(folder) / path.name
