"""Optuna: define by run, so that conditions are what its users write."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import optuna

from benchmarks.samplers.peers import Start
from benchmarks.samplers.spaces import Configuration, Entry, is_active


def _distribution(entry: Entry) -> optuna.distributions.BaseDistribution:
    kinds = optuna.distributions
    if entry["type"] == "categorical":
        return kinds.CategoricalDistribution(entry["choices"])
    kind = kinds.IntDistribution if entry["type"] == "int" else kinds.FloatDistribution
    return kind(entry["low"], entry["high"], log=bool(entry.get("log")))


def _sampler(which: str, seed: int) -> optuna.samplers.BaseSampler:
    if which == "gp":
        return optuna.samplers.GPSampler(seed=seed)
    if which == "cmaes":
        return optuna.samplers.CmaEsSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed)


class OptunaPlayer:
    """A study in memory."""

    def __init__(self, start: Start, which: str) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        self._space = start.space
        self._distributions = {name: _distribution(entry) for name, entry in start.space.items()}
        self._study = optuna.create_study(sampler=_sampler(which, start.seed))

    def ask(self, n: int) -> list[tuple[Any, Configuration]]:
        return [self._ask() for _ in range(n)]

    def _ask(self) -> tuple[Any, Configuration]:
        trial = self._study.ask()
        configuration: Configuration = {}
        for name, entry in self._space.items():
            if not is_active(entry, configuration):
                continue
            if entry["type"] == "categorical":
                configuration[name] = trial.suggest_categorical(name, entry["choices"])
            else:
                suggest = trial.suggest_int if entry["type"] == "int" else trial.suggest_float
                configuration[name] = suggest(name, entry["low"], entry["high"], log=bool(entry.get("log")))
        return trial, configuration

    def tell(self, handle: Any, loss: float) -> None:
        self._study.tell(handle, loss)

    def learn(self, configurations: Sequence[Configuration], losses: Sequence[float]) -> None:
        self._study.add_trials(
            [
                optuna.trial.create_trial(
                    params=one, distributions={name: self._distributions[name] for name in one}, value=loss
                )
                for one, loss in zip(configurations, losses, strict=True)
            ]
        )


def player(start: Start, which: str) -> OptunaPlayer:
    return OptunaPlayer(start, which)
