"""Hyperopt's TPE. Its spaces are trees: each value of a choice holds the parameters that exist with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from hyperopt import JOB_STATE_DONE, STATUS_OK, Trials, hp, space_eval, tpe
from hyperopt.base import Domain

from benchmarks.samplers.peers import Start
from benchmarks.samplers.spaces import Configuration, Entry, Space, active_part

INSIDE = 0.499
"""Ends of whole numbers go so much beyond, so that the first and the last have a share as large as the others."""


def _leaf(label: str, entry: Entry) -> Any:
    low, high = entry["low"], entry["high"]
    if entry["type"] == "float":
        return hp.loguniform(label, math.log(low), math.log(high)) if entry.get("log") else hp.uniform(label, low, high)
    if entry.get("log"):
        return hp.qloguniform(label, math.log(low - INSIDE), math.log(high + INSIDE), 1)
    return hp.quniform(label, low - INSIDE, high + INSIDE, 1)


def _tree(space: Space) -> dict[str, Any]:
    """The space, with each conditional parameter below the values of its parent."""

    def node(name: str, where: str) -> Any:
        entry = space[name]
        if entry["type"] != "categorical":
            return _leaf(name + where, entry)
        branches = []
        for value in entry["choices"]:
            below = [child for child, other in space.items() if value in other.get("when", {}).get(name, ())]
            inner = {child: node(child, f"{where} {name}={value}") for child in below}
            branches.append({"is": value, "with": inner})
        return hp.choice(name + where, branches)

    return {name: node(name, "") for name, entry in space.items() if not entry.get("when")}


def _flat(point: Mapping[str, Any]) -> Configuration:
    flat: Configuration = {}
    for name, value in point.items():
        if isinstance(value, dict):
            flat[name] = value["is"]
            flat.update(_flat(value["with"]))
        else:
            flat[name] = value
    return flat


class HyperoptPlayer:
    """Its `tpe.suggest`, one proposal a call, on trials that are kept here."""

    def __init__(self, start: Start) -> None:
        self._space = start.space
        self._tree = _tree(start.space)
        self._domain = Domain(lambda point: 0.0, self._tree)
        self._trials = Trials()
        self._rng = np.random.default_rng(start.seed)

    def ask(self, n: int) -> list[tuple[Any, Configuration]]:
        asked = []
        for _ in range(n):
            numbers = self._trials.new_trial_ids(1)
            self._trials.refresh()
            new = tpe.suggest(numbers, self._domain, self._trials, int(self._rng.integers(2**31 - 1)))
            self._trials.insert_trial_docs(new)
            self._trials.refresh()
            document = self._trials._dynamic_trials[-1]
            values = {label: drawn[0] for label, drawn in document["misc"]["vals"].items() if drawn}
            asked.append((document, active_part(self._space, _flat(space_eval(self._tree, values)))))
        return asked

    def tell(self, handle: Any, loss: float) -> None:
        handle["state"] = JOB_STATE_DONE
        handle["result"] = {"loss": loss, "status": STATUS_OK}
        self._trials.refresh()

    def learn(self, configurations: Sequence[Configuration], losses: Sequence[float]) -> None:
        if any(entry.get("when") for entry in self._space.values()):
            raise ValueError("earlier results are for spaces without conditions, as the one of the latencies")
        numbers = self._trials.new_trial_ids(len(configurations))
        for number, configuration, loss in zip(numbers, configurations, losses, strict=True):
            values = {
                name: [entry["choices"].index(configuration[name])]
                if entry["type"] == "categorical"
                else [configuration[name]]
                for name, entry in self._space.items()
            }
            places = {name: [number] for name in values}
            command = ("domain_attachment", "FMinIter_Domain")
            misc = {"tid": number, "cmd": command, "workdir": None, "idxs": places, "vals": values}
            result = {"loss": loss, "status": STATUS_OK}
            (document,) = self._trials.new_trial_docs([number], [None], [result], [misc])
            document["state"] = JOB_STATE_DONE
            self._trials.insert_trial_docs([document])
        self._trials.refresh()


def player(start: Start, which: str) -> HyperoptPlayer:
    return HyperoptPlayer(start)
