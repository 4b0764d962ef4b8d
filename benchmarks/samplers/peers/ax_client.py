"""Ax's client. Conditions are not given to it: all parameters vary always, and inactive ones are dropped."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

from benchmarks.samplers.peers import Start
from benchmarks.samplers.spaces import Configuration, Entry, active_part, filled

LOSS = "loss"


def _parameter(name: str, entry: Entry) -> Any:
    if entry["type"] == "categorical":
        return ChoiceParameterConfig(name=name, values=entry["choices"], parameter_type="str", is_ordered=False)
    return RangeParameterConfig(
        name=name,
        bounds=(entry["low"], entry["high"]),
        parameter_type=entry["type"],
        scaling="log" if entry.get("log") else None,
    )


class AxPlayer:
    """Its default strategy."""

    def __init__(self, start: Start) -> None:
        warnings.filterwarnings("ignore")
        for name in list(logging.root.manager.loggerDict):
            if name.split(".")[0] == "ax":
                logging.getLogger(name).setLevel(logging.CRITICAL)
        torch.manual_seed(start.seed)
        torch.set_num_threads(1)
        self._space = start.space
        self._client = Client(random_seed=start.seed)
        self._client.configure_experiment([_parameter(name, entry) for name, entry in start.space.items()])
        self._client.configure_optimization(objective=f"-{LOSS}")

    def ask(self, n: int) -> list[tuple[Any, Configuration]]:
        asked: list[tuple[Any, Configuration]] = []
        while len(asked) < n:
            given = self._client.get_next_trials(max_trials=n - len(asked))
            asked += [(number, active_part(self._space, values)) for number, values in given.items()]
        return asked

    def tell(self, handle: Any, loss: float) -> None:
        self._client.complete_trial(handle, raw_data={LOSS: loss})

    def learn(self, configurations: Sequence[Configuration], losses: Sequence[float]) -> None:
        for one, loss in zip(configurations, losses, strict=True):
            number = self._client.attach_trial(parameters=filled(self._space, one))
            self._client.complete_trial(number, raw_data={LOSS: loss})


def player(start: Start, which: str) -> AxPlayer:
    return AxPlayer(start)
