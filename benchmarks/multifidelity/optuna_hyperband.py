"""Optuna: TPE with the Hyperband pruner, both by default but for the resources.

Optuna proposes anywhere in the space, and the nearest free row of the table is tried: it is enqueued, so that the
sampler learns of what was tried and not of what it wished for.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import optuna

from benchmarks.multifidelity.playing import Work
from benchmarks.multifidelity.rows import Rows
from benchmarks.multifidelity.tables import Table
from benchmarks.samplers.spaces import Configuration, Entry, is_active

ETA = 3


def _distribution(entry: Entry) -> optuna.distributions.BaseDistribution:
    if entry["type"] == "categorical":
        return optuna.distributions.CategoricalDistribution(entry["choices"])
    integer = entry["type"] == "int"
    kind = optuna.distributions.IntDistribution if integer else optuna.distributions.FloatDistribution
    return kind(entry["low"], entry["high"], log=bool(entry.get("log")))


class OptunaHyperband:
    """A study in memory; each slot trains its trial an epoch at a time until it is pruned or trained to the end."""

    def __init__(self, table: Table, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self._table = table
        self._rows = Rows(table)
        self._distributions = {name: _distribution(entry) for name, entry in table.space.items()}
        self._study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=optuna.pruners.HyperbandPruner(1, table.epochs, ETA),
        )
        self._going: dict[int, tuple[Any, int, int]] = {}

    def next(self, slot: int) -> Work | None:
        if slot not in self._going:
            started = self._started()
            if started is None:
                return None
            self._going[slot] = (*started, 0)
        _, row, trained = self._going[slot]
        return Work(row, trained + 1)

    def tell(self, slot: int, work: Work, losses: Sequence[float]) -> None:
        trial, row, _ = self._going[slot]
        trial.report(losses[-1], work.to)
        if work.to == self._table.epochs:
            self._study.tell(trial, losses[-1])
        elif trial.should_prune():
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            self._going[slot] = trial, row, work.to
            return
        del self._going[slot]

    def _started(self) -> tuple[Any, int] | None:
        """A trial and its row."""
        asked = self._study.ask()
        wished = self._suggested(asked)
        row = self._rows.nearest(wished)
        if row is None:
            return None
        tried = self._table.configurations[row]
        if wished != tried:
            # The wish itself was never tried, so it is withdrawn, and asked for again with the values of the row.
            self._study.tell(asked, state=optuna.trial.TrialState.FAIL)
            self._study.enqueue_trial(dict(tried))
            asked = self._study.ask()
            self._suggested(asked)
        return asked, row

    def _suggested(self, trial: Any) -> Configuration:
        configuration: Configuration = {}
        for name, entry in self._table.space.items():
            if is_active(entry, configuration):
                configuration[name] = trial._suggest(name, self._distributions[name])
        return configuration
