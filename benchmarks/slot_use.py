"""Durations of sleeping trials, how well slots were used by them, and how well they could have been."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SIGMA = 0.8
CAP = 5.0
"""No trial is longer than so many means: one very long last trial would say more about luck than about slots."""


def log_normal(count: int, mean_s: float, seed: int = 3) -> list[float]:
    """`count` durations whose mean is exactly `mean_s`, in milliseconds' steps; the same for the same arguments."""
    draw = random.Random(seed)
    raw = [min(draw.lognormvariate(-SIGMA * SIGMA / 2, SIGMA), CAP) for _ in range(count)]
    scale = mean_s * count / math.fsum(raw)
    return [round(scale * value, 3) for value in raw]


def greedy_makespan(durations: Sequence[float], slots: int) -> float:
    """When the last trial ends if each starts, in this order, the moment a slot is free, at no cost."""
    free = [0.0] * slots
    for duration in durations:
        heapq.heapreplace(free, free[0] + duration)
    return max(free)


def rounds_makespan(durations: Sequence[float], slots: int) -> float:
    """The same if `slots` trials start together and the next ones when all of them have ended."""
    return math.fsum(max(durations[first : first + slots]) for first in range(0, len(durations), slots))


def bounds(durations: Sequence[float], slots: int) -> dict[str, float]:
    """What is possible at no cost; the share of slot time in which a trial runs.

    `greedy` refills a slot at once, in the order of the numbers: the bound that figures are compared with. `rounds`
    waits for all. Work that could be cut into pieces at will would use everything: 1.
    """
    work = math.fsum(durations)
    return {
        "greedy": work / (slots * greedy_makespan(durations, slots)),
        "rounds": work / (slots * rounds_makespan(durations, slots)),
    }


@dataclass(frozen=True)
class TrialTime:
    """When the program of a trial ran, in seconds of the epoch; `job` is Slurm's number or `-`."""

    number: int
    start: float
    end: float
    job: str


def read_times(file: Path, first: int = 0) -> list[TrialTime]:
    """What sleeper.sh wrote about trials from number `first` on, by number."""
    rows = (line.split() for line in file.read_text(encoding="ascii").splitlines())
    times = [TrialTime(int(number), float(start), float(end), job) for number, start, end, job in rows]
    return sorted((time for time in times if time.number >= first), key=lambda time: time.number)


def use(times: Sequence[TrialTime], durations: Sequence[float], slots: int) -> dict[str, float]:
    """How well the slots were used between the first start and the last end.

    The work is what the trials were told to sleep, not what they took, so a busy machine does not look better.

    Raises:
        ValueError: Not every trial ran exactly once.
    """
    if len(times) != len(durations) or len({time.number for time in times}) != len(durations):
        raise ValueError(f"{len(times)} trials have run, and {len(durations)} were meant to run once each")
    span = max(time.end for time in times) - min(time.start for time in times)
    share = math.fsum(durations) / (slots * span)
    return {"span_s": span, "use": share, "of_greedy": share / bounds(durations, slots)["greedy"]}
