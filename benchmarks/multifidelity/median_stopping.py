"""Our median pruner with random search: each trial is trained an epoch at a time until the pruner stops it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.multifidelity.playing import Work
from benchmarks.multifidelity.rows import Rows
from benchmarks.multifidelity.tables import Table
from hpo_workflow.pruners.curves import Others, curve_of, entry_of
from hpo_workflow.pruners.pruner import Pruner
from hpo_workflow.pruners.registry import normal

OBJECTIVE = {"metric": "loss", "direction": "minimize"}


class _Trial:
    def __init__(self, number: int, row: int, seed: int) -> None:
        self.number, self.row = number, row
        self.pruner = Pruner(normal("median"), OBJECTIVE, seed, number)
        self.points: list[tuple[float, float]] = []


class MedianStopping:
    """Random search whose trials are pruned."""

    def __init__(self, table: Table, seed: int) -> None:
        self._table, self._seed = table, seed
        self._rows = Rows(table)
        self._rng = np.random.default_rng(seed)
        self._finished: list[_Trial] = []
        self._going: dict[int, _Trial] = {}
        self._count = 0

    def next(self, slot: int) -> Work | None:
        if slot not in self._going:
            row = self._rows.any(self._rng)
            if row is None:
                return None
            self._going[slot] = _Trial(self._count, row, self._seed)
            self._count += 1
        trial = self._going[slot]
        return Work(trial.row, len(trial.points) + 1)

    def tell(self, slot: int, work: Work, losses: Sequence[float]) -> None:
        trial = self._going[slot]
        trial.points.append((float(work.to), losses[-1]))
        trial.pruner.report(float(work.to), losses[-1])
        if work.to == self._table.epochs:
            self._finished.append(trial)
            del self._going[slot]
        elif trial.pruner.is_due() and trial.pruner.judge(self._others(trial)) is not None:
            del self._going[slot]

    def _others(self, trial: _Trial) -> Others:
        """What a running trial knows of those that are complete."""
        others = Others(trial.number, None)
        best = min((one.points[-1][1] for one in self._finished), default=float("inf"))
        for one in self._finished:
            curve = curve_of(one.points)
            assert curve is not None
            others.add(entry_of(one.number, None, one.points[-1][1], best, curve))
        return others
