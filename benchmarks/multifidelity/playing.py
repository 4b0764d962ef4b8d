"""Playing a method on a table: who is trained how far, what that costs, and when good configurations were reached.

Everybody pays one epoch for an epoch; a configuration that is trained further goes on where it stopped. A program
prints after each epoch, so each loss of a curve counts as soon as it has been trained.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from benchmarks.multifidelity.tables import Table

SHARES = (0.05, 0.02, 0.01)
"""A run is asked when it has found one of the best 5 %, 2 % and 1 % of the configurations."""
SPREAD = 0.8
"""Standard deviation of the logarithm of what an epoch of a configuration takes: the slowest of eight some three
medians."""


@dataclass(frozen=True)
class Work:
    """Train a row of a table.

    Args:
        row: Which configuration.
        to: Up to which epoch, from 1; it was trained less far.
    """

    row: int
    to: int


class Player(Protocol):
    """A method in one run. Losses are minimised."""

    def next(self, slot: int) -> Work | None:
        """What a free slot should do; None to wait for another slot, or where nothing is left."""
        ...

    def tell(self, slot: int, work: Work, losses: Sequence[float]) -> None:
        """What has come of it: the loss after each epoch that was trained."""
        ...


@dataclass(frozen=True)
class Outcome:
    """A run.

    Args:
        epochs: Spent when a share of `SHARES` was reached, None where it was not.
        hours: The same in mean durations of an epoch, on so many slots.
        spent: Epochs of the whole run.
        cpu_s: Of all decisions.
        decisions: How often the method was asked.
    """

    epochs: tuple[int | None, ...]
    hours: tuple[float | None, ...]
    spent: int
    cpu_s: float
    decisions: int


def speeds(table: Table, seed: int) -> np.ndarray:
    """(n,) how long an epoch of each configuration takes: log-normal with mean 1, the same for all methods."""
    drawn = np.random.default_rng([9, seed]).standard_normal(len(table.losses))
    return np.asarray(np.exp(SPREAD * drawn - 0.5 * SPREAD**2))


def play(table: Table, player: Player, seed: int, slots: int, budget: int) -> Outcome:
    """Play until the last share is reached, or the budget (epochs) is spent, or nobody has anything to do."""
    targets = [table.target(share) for share in SHARES]
    epochs: list[int | None] = [None] * len(targets)
    hours: list[float | None] = [None] * len(targets)
    takes = speeds(table, seed)
    trained: dict[int, int] = {}
    free = list(range(slots))
    running: list[tuple[float, int, int, Work]] = []
    spent, decisions, cpu_s, now = 0, 0, 0.0, 0.0

    while spent < budget and epochs[-1] is None:
        while free:
            begun = time.process_time()
            work = player.next(free[0])
            cpu_s += time.process_time() - begun
            decisions += 1
            if work is None:
                break
            slot = free.pop(0)
            count = work.to - trained.get(work.row, 0)
            assert count > 0, f"row {work.row} was trained to {trained[work.row]} already"
            heapq.heappush(running, (now + count * float(takes[work.row]), decisions, slot, work))
        if not running:
            break
        now, _, slot, work = heapq.heappop(running)
        begun_at = trained.get(work.row, 0)
        losses = [float(loss) for loss in table.losses[work.row, begun_at : work.to]]
        trained[work.row] = work.to
        for number, loss in enumerate(losses, 1):
            for i, target in enumerate(targets):
                if epochs[i] is None and loss <= target:
                    epochs[i] = spent + number
                    hours[i] = now - (len(losses) - number) * float(takes[work.row])
        spent += len(losses)
        begun = time.process_time()
        player.tell(slot, work, losses)
        cpu_s += time.process_time() - begun
        free.append(slot)
    return Outcome(tuple(epochs), tuple(hours), spent, cpu_s, decisions)
