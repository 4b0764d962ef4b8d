"""Syne Tune: its ASHA and MOBSTER, asked directly and without a backend.

Both know the rows of the table (`restrict_configurations`), so that nothing is lost on the way to them. They promote
(`type="promotion"`), as our methods do; everything else is as it is by default. The last release with MOBSTER is 0.13.
"""

from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.multifidelity.playing import Work
from benchmarks.multifidelity.tables import Table
from benchmarks.samplers.spaces import Entry, filled

ETA = 3
LONGEST_FIT = 150
"""Observations from which on MOBSTER fits its model to every fifth new one: at each one, a run takes an hour."""
EACH = 5


def _domain(entry: Entry) -> Any:
    from syne_tune import config_space

    if entry["type"] == "categorical":
        return config_space.choice(list(entry["choices"]))
    kinds = {
        ("float", False): config_space.uniform,
        ("float", True): config_space.loguniform,
        ("int", False): config_space.randint,
        ("int", True): config_space.lograndint,
    }
    return kinds[entry["type"], bool(entry.get("log"))](entry["low"], entry["high"])


def _key(configuration: Mapping[str, Any]) -> str:
    return json.dumps({name: str(value) for name, value in configuration.items()}, sort_keys=True)


class SyneTune:
    """A scheduler; each slot trains its trial an epoch at a time until it is paused or has come to the end."""

    def __init__(self, table: Table, which: str, seed: int) -> None:
        from syne_tune.optimizer import baselines

        for name in ("syne_tune", "root", ""):
            logging.getLogger(name).setLevel(logging.ERROR)
        rows = [filled(table.space, configuration) for configuration in table.configurations]
        self._row_of = {_key(configuration): row for row, configuration in enumerate(rows)}
        self._scheduler = getattr(baselines, which)(
            {name: _domain(entry) for name, entry in table.space.items()},
            metric="loss",
            mode="min",
            resource_attr="epoch",
            max_t=table.epochs,
            grace_period=1,
            reduction_factor=ETA,
            type="promotion",
            random_seed=seed,
            search_options={
                "restrict_configurations": rows,
                "debug_log": False,
                **({"opt_skip_init_length": LONGEST_FIT, "opt_skip_period": EACH} if which == "MOBSTER" else {}),
            },
        )
        self._names = list(table.space)
        self._trials: list[Any] = []
        self._rows: list[int] = []
        self._trained: list[int] = []
        self._going: dict[int, int] = {}

    def next(self, slot: int) -> Work | None:
        if slot not in self._going:
            number = self._started()
            if number is None:
                return None
            self._going[slot] = number
        number = self._going[slot]
        return Work(self._rows[number], self._trained[number] + 1)

    def tell(self, slot: int, work: Work, losses: Sequence[float]) -> None:
        number = self._going[slot]
        self._trained[number] = work.to
        decision = self._scheduler.on_trial_result(self._trials[number], {"loss": losses[-1], "epoch": work.to})
        if decision != "CONTINUE":
            self._scheduler.on_trial_remove(self._trials[number])
            del self._going[slot]

    def _started(self) -> int | None:
        """The trial that is begun, or gone on with."""
        from syne_tune.backend.trial_status import Trial

        suggestion = self._scheduler.suggest(len(self._trials))
        if suggestion is None:
            return None
        if not suggestion.spawn_new_trial_id:
            return int(suggestion.checkpoint_trial_id)
        configuration = {name: suggestion.config[name] for name in self._names}
        trial = Trial(len(self._trials), suggestion.config, datetime.datetime(2026, 1, 1))
        self._trials.append(trial)
        self._rows.append(self._row_of[_key(configuration)])
        self._trained.append(0)
        self._scheduler.on_trial_add(trial)
        return len(self._trials) - 1
