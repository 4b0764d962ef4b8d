"""Playing a sampler on a problem, and the lines that are kept of it."""

from __future__ import annotations

import heapq
import json
import math
import time
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.json_lines import append, read
from benchmarks.samplers.peers import Player, Start
from benchmarks.samplers.problems import Problem
from benchmarks.samplers.spaces import Configuration, active_part

DIGITS = 8
"""Of a loss, in the files."""
SPREAD = 0.8
"""Standard deviation of the logarithm of a duration: the slowest of eight takes some three medians."""


@dataclass(frozen=True)
class Mode:
    """How trials are asked for.

    Args:
        title: In a few words.
        suite: Problems of what is reported.
        tuning: Problems of the same kind for those who work on samplers.
        reports: Numbers of trials at which the best so far is scored; the last is the budget.
        parallel: Trials at a time.
        rolling: Ask for one whenever one has ended, instead of for all when all have ended.
    """

    title: str
    suite: str
    tuning: str
    reports: tuple[int, ...]
    parallel: int = 1
    rolling: bool = False

    @property
    def budget(self) -> int:
        return self.reports[-1]


MODES = {
    "sequential": Mode("one after the other", "test", "tune", (50, 100)),
    "eights": Mode("in batches of eight", "test", "tune", (48, 96), parallel=8),
    "asynchronous": Mode(
        "on eight workers, each asks when it is free", "test", "tune", (48, 96), parallel=8, rolling=True
    ),
    "noisy": Mode("one after the other, with noise", "test_noisy", "tune_noisy", (50, 100)),
}


@dataclass(frozen=True)
class Run:
    """A sampler on a problem with one seed.

    Args:
        improved: (number of the trial from 1, loss) whenever one was the best so far, in the order in which they ended.
        trials: How many have ended.
        cpu_s: CPU seconds of all that the sampler was asked and told.
    """

    sampler: str
    version: str
    problem: str
    seed: int
    budget: int
    trials: int
    improved: tuple[tuple[int, float], ...]
    cpu_s: float

    def best(self, after: int) -> float:
        """The lowest loss of the first trials."""
        return min(loss for number, loss in self.improved if number <= after)

    @property
    def lowest(self) -> float:
        return self.improved[-1][1]


class _Play:
    """A run while it goes on: what the sampler says and what it costs, and the losses that count."""

    def __init__(self, problem: Problem, player: Player, seed: int) -> None:
        self._problem, self._player = problem, player
        self._noise = np.random.default_rng([zlib.crc32(problem.name.encode()), seed])
        self.cpu_s = 0.0
        self.losses: list[float] = []

    def ask(self, n: int) -> list[tuple[Any, Configuration]]:
        begun = time.process_time()
        asked = self._player.ask(n)
        self.cpu_s += time.process_time() - begun
        if len(asked) != n:
            raise RuntimeError(f"{len(asked)} proposals, and {n} were asked for")
        space = self._problem.space
        return [(handle, active_part(space, configuration)) for handle, configuration in asked]

    def end(self, handle: Any, configuration: Configuration) -> None:
        told = self._problem.landscape.told(configuration, self._noise)
        self.losses.append(self._problem.landscape.loss(configuration))
        begun = time.process_time()
        self._player.tell(handle, told)
        self.cpu_s += time.process_time() - begun


def play(problem: Problem, player: Player, mode: Mode, budget: int, seed: int) -> tuple[list[float], float]:
    """The losses of a run in the order in which trials ended, and the CPU seconds of the sampler."""
    going = _Play(problem, player, seed)
    if not mode.rolling:
        while len(going.losses) < budget:
            for asked in going.ask(min(mode.parallel, budget - len(going.losses))):
                going.end(*asked)
        return going.losses, going.cpu_s
    # Durations go by the order of starting and are the same for all samplers.
    durations = np.exp(SPREAD * np.random.default_rng([7, seed]).standard_normal(budget)).tolist()
    started = 0
    running: list[tuple[float, int, Any, Configuration]] = []
    for handle, configuration in going.ask(min(mode.parallel, budget)):
        heapq.heappush(running, (durations[started], started, handle, configuration))
        started += 1
    while running:
        now, _, handle, configuration = heapq.heappop(running)
        going.end(handle, configuration)
        if started < budget:
            ((handle, configuration),) = going.ask(1)
            heapq.heappush(running, (now + durations[started], started, handle, configuration))
            started += 1
    return going.losses, going.cpu_s


def improvements(losses: Iterable[float]) -> tuple[tuple[int, float], ...]:
    """(number, loss) of each that is lower than all before it, in DIGITS digits."""
    found: list[tuple[int, float]] = []
    for number, loss in enumerate(losses, 1):
        rounded = float(f"{loss:.{DIGITS}g}")
        if not found or rounded < found[-1][1]:
            found.append((number, rounded))
    return tuple(found)


@dataclass(frozen=True)
class RunFiles:
    """Runs in a folder, a file for each mode and sampler."""

    folder: Path

    def path(self, mode: str, sampler: str) -> Path:
        return self.folder / f"{mode}-{sampler}.jsonl"

    def newest(self, mode: str, sampler: str) -> list[Run]:
        """The runs of the version that was measured last; of equal ones the longest."""
        records = read(self.path(mode, sampler))
        found: dict[tuple[str, int], Run] = {}
        for record in records:
            if record["version"] != records[-1]["version"]:
                continue
            run = Run(**{**record, "improved": tuple((number, loss) for number, loss in record["improved"])})
            key = run.problem, run.seed
            if key not in found or run.trials >= found[key].trials:
                found[key] = run
        return list(found.values())

    def lowest(self) -> dict[str, float]:
        """For each problem the lowest loss that anybody has seen in any mode, with any version."""
        found: dict[str, float] = {}
        for path in sorted(self.folder.glob("*-*.jsonl")):
            for record in read(path):
                loss = record["improved"][-1][1]
                found[record["problem"]] = min(found.get(record["problem"], math.inf), loss)
        return found

    def done(self, mode: str, sampler: str, version: str, budget: int) -> set[tuple[str, int]]:
        """Problem and seed of the runs that need not be repeated."""
        return {
            (record["problem"], record["seed"])
            for record in read(self.path(mode, sampler))
            if record["version"] == version and record["trials"] >= budget
        }

    def add(self, mode: str, run: Run) -> None:
        append(self.path(mode, run.sampler), {**vars(run), "improved": [list(pair) for pair in run.improved]})

    def drop_old_versions(self, mode: str, sampler: str) -> int:
        """Forget the runs of all versions but the one that was measured last; how many there were."""
        path = self.path(mode, sampler)
        records = read(path)
        kept = [record for record in records if record["version"] == records[-1]["version"]]
        if len(kept) < len(records):
            path.write_text("".join(json.dumps(one, sort_keys=True) + "\n" for one in kept), encoding="utf-8")
        return len(records) - len(kept)


def start_of(problem: Problem, mode: Mode, budget: int, seed: int) -> Start:
    return Start(problem.space, seed, budget, mode.parallel)


def seeds_of(runs: Sequence[Run]) -> int:
    """How many seeds every problem has."""
    problems: dict[str, int] = {}
    for run in runs:
        problems[run.problem] = problems.get(run.problem, 0) + 1
    return min(problems.values(), default=0)
