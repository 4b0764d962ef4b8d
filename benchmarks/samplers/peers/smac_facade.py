"""SMAC3's facade for hyperparameters: a random forest, with conditions."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Sequence
from typing import Any

import ConfigSpace
from smac import HyperparameterOptimizationFacade, Scenario
from smac.runhistory.dataclasses import TrialInfo, TrialValue

from benchmarks.samplers.peers import Start
from benchmarks.samplers.spaces import Configuration, Entry, active_part

SPARE = 64
"""Trials beyond the budget: asked for its last ones, SMAC otherwise gives none."""
A_DIMENSION, AT_MOST = 10, 0.25
"""Size of the first design, as the facade has it: so many points a dimension, at most this share of the budget."""


def _parameter(name: str, entry: Entry) -> Any:
    if entry["type"] == "categorical":
        return ConfigSpace.CategoricalHyperparameter(name, entry["choices"])
    whole = entry["type"] == "int"
    kind = ConfigSpace.UniformIntegerHyperparameter if whole else ConfigSpace.UniformFloatHyperparameter
    return kind(name, entry["low"], entry["high"], log=bool(entry.get("log")))


class SmacPlayer:
    """Told and asked from outside; its files go to a temporary folder."""

    def __init__(self, start: Start) -> None:
        warnings.filterwarnings("ignore")
        logging.getLogger("smac").setLevel(logging.CRITICAL)
        self._space = start.space
        space = ConfigSpace.ConfigurationSpace(seed=start.seed)
        made = {name: _parameter(name, entry) for name, entry in start.space.items()}
        space.add(*made.values())
        for name, entry in start.space.items():
            for parent, values in entry.get("when", {}).items():
                space.add(ConfigSpace.InCondition(made[name], made[parent], values))
        self._configurations = space
        self._folder = tempfile.TemporaryDirectory(prefix="smac-")
        scenario = Scenario(
            space,
            deterministic=True,
            n_trials=start.budget + SPARE,
            seed=start.seed,
            output_directory=self._folder.name,
        )
        first = max(2, min(A_DIMENSION * len(made), int(AT_MOST * start.budget)))
        design = HyperparameterOptimizationFacade.get_initial_design(scenario, n_configs=first, max_ratio=1.0)
        self._smac = HyperparameterOptimizationFacade(
            scenario,
            lambda config, seed=0: 0.0,
            initial_design=design,
            overwrite=True,
            logging_level=logging.CRITICAL,
        )

    def ask(self, n: int) -> list[tuple[Any, Configuration]]:
        asked = [self._smac.ask() for _ in range(n)]
        return [(info, active_part(self._space, dict(info.config))) for info in asked]

    def tell(self, handle: Any, loss: float) -> None:
        self._smac.tell(handle, TrialValue(cost=loss, time=0.1))

    def learn(self, configurations: Sequence[Configuration], losses: Sequence[float]) -> None:
        for one, loss in zip(configurations, losses, strict=True):
            known = ConfigSpace.Configuration(self._configurations, values=one)
            self._smac.tell(TrialInfo(config=known, seed=0), TrialValue(cost=loss, time=0.1))


def player(start: Start, which: str) -> SmacPlayer:
    return SmacPlayer(start)
