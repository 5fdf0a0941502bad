"""Alternatives timed side by side: in turns, in one run, with medians and ratios.

Whatever else the machine does falls on all alternatives alike when they take turns
(a, b, a, b, ...), so their ratio is steadier than any of their times.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from birads_lib.errors import UsageError
from birads_lib.study import machine

QUICK, USUAL, FULL = SIZES = ("quick", "usual", "full")
"""To see that it works; within minutes; at the size of the Kaggle set."""

PACKAGES = ("opencv-python-headless", "google-crc32c", "ai-edge-litert")
"""Whose versions are told beside those that every run is told with."""
STATUS = Path("/proc/self/status")
SAMPLED = 0.02  # s between looks at a process's memory


@dataclass(frozen=True)
class Row:
    """One alternative's figure: median and spread (least, most) over its repeats."""

    name: str
    median: float
    unit: str
    repeats: int
    spread: tuple[float, float]

    @classmethod
    def of(cls, name: str, values: Sequence[float], unit: str) -> Row:
        """Summarise repeated measurements.

        Raises:
            UsageError: There are none.
        """
        if not values:
            raise UsageError(f"benchmark: {name} has no measurement; repeat it once or more")
        spread = min(values), max(values)
        return cls(name, statistics.median(values), unit, len(values), spread)


@dataclass(frozen=True)
class Ratio:
    """Median of ``over`` as a multiple of the median of ``under``; both are rows."""

    over: str
    under: str
    value: float


@dataclass(frozen=True)
class Target:
    """What the study set out to reach: ``value`` within ``least`` and ``most``."""

    name: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def met(self) -> bool:
        above = self.least is None or self.value >= self.least
        return above and (self.most is None or self.value <= self.most)


@dataclass
class Result:
    """A question and its answer.

    Attributes:
        question: What was asked, in words.
        rows: One figure an alternative.
        ratios: Between rows.
        targets: What was to be reached.
        facts: Sizes, and figures that follow from the rows.
    """

    question: str
    rows: list[Row] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    facts: dict[str, float | str] = field(default_factory=dict)

    def row(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)

    def ratio(
        self, over: str, under: str, least: float | None = None, most: float | None = None
    ) -> None:
        """Add a ratio of two rows' medians, and a target for it if bounds are given."""
        value = self.row(over).median / self.row(under).median
        self.ratios.append(Ratio(over, under, value))
        if least is not None or most is not None:
            self.targets.append(Target(f"{over} / {under}", value, least, most))

    def as_json(self) -> dict[str, Any]:
        """As plain values; targets carry whether they were met."""
        return {**asdict(self), "targets": [{**asdict(t), "met": t.met} for t in self.targets]}


@dataclass(frozen=True)
class Alternative:
    """One way of doing a thing.

    Attributes:
        name: Of its row.
        action: What is timed.
        count: Things it does, such as tiles; its rate is ``count`` a second.
        prepare: Called before each repeat, outside the time.
    """

    name: str
    action: Callable[[], object]
    count: int
    prepare: Callable[[], object] = lambda: None


def timed(action: Callable[[], object]) -> float:
    """Seconds that an action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def take_turns(
    alternatives: Iterable[Alternative], repeats: int, unit: str = "tiles/s"
) -> list[Row]:
    """Time each alternative ``repeats`` times, in turns, and give its rate."""
    listed = list(alternatives)
    rates: dict[str, list[float]] = {alternative.name: [] for alternative in listed}
    for _ in range(repeats):
        for alternative in listed:
            alternative.prepare()
            rates[alternative.name].append(alternative.count / timed(alternative.action))
    return [Row.of(name, values, unit) for name, values in rates.items()]


@dataclass(frozen=True)
class Memory:
    """Most memory a process held, bytes.

    Attributes:
        resident: All that was resident, pages of files included.
        private: What it alone held; pages of files go whenever others need the room.
    """

    resident: int
    private: int


class OwnProcess:
    """A fresh process that does what it is told, one thing after another.

    For what must not share a process: peak memory, numbers of threads. Use as a
    context manager; functions and arguments must be importable and picklable.

    Args:
        environment: Variables that it has otherwise than this one; ``None`` unsets one.
    """

    def __init__(self, environment: Mapping[str, str | None] | None = None):
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(
            1, mp_context=spawn, initializer=_set_environment, initargs=(dict(environment or {}),)
        )

    def __enter__(self) -> OwnProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What the function returns there."""
        return self._pool.submit(function, *arguments).result()


def _set_environment(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def peak_memory(function: Callable[..., object], *arguments: Any) -> Memory:
    """Most memory that a fresh process holds while it calls a function."""
    with OwnProcess() as process:
        return process.call(_watched, function, arguments)


def _watched(function: Callable[..., object], arguments: Sequence[Any]) -> Memory:
    private, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLED):
            private.append(_memory("RssAnon"))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    function(*arguments)
    ended.set()
    watcher.join()
    # VmHWM and not getrusage, whose figure a child inherits from its parent.
    return Memory(_memory("VmHWM"), max(*private, _memory("RssAnon")))


def _memory(entry: str) -> int:
    line = next(x for x in STATUS.read_text().splitlines() if x.startswith(f"{entry}:"))
    return 1024 * int(line.split()[1])


def describe_machine() -> dict[str, Any]:
    """Processor, memory, versions, day and commit: what a figure depends on."""
    from birads_lib.study.run import commit  # brings plotting along, which children do without

    described = machine.describe_machine()
    more = {name: found for name in PACKAGES if (found := machine.version(name))}
    return {
        **described,
        "packages": {**described["packages"], **more},
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
    }


def in_words(result: Result) -> str:
    """A result as lines of text."""
    width = max(len(row.name) for row in result.rows) + 2
    lines = [result.question]
    for row in result.rows:
        low, high = (f"{x:,.4g}" for x in row.spread)
        lines.append(f"  {row.name:{width}}{row.median:>12,.4g} {row.unit}  ({low} to {high})")
    lines += [f"  {x.over} / {x.under}: {x.value:.2f}" for x in result.ratios]
    for target in result.targets:
        least = "" if target.least is None else f" at least {target.least:,g}"
        most = "" if target.most is None else f" at most {target.most:,g}"
        verdict = "reached" if target.met else "not reached"
        lines.append(f"  {verdict}: {target.name} {target.value:,.4g}, wanted{least}{most}")
    for name, value in result.facts.items():
        lines.append(f"  {name}: {value if isinstance(value, str) else f'{value:,.4g}'}")
    return "\n".join(lines)
