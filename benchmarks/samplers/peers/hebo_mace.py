"""HEBO. It knows no conditions: all parameters vary always, and inactive ones are dropped from what is tried."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from hebo.design_space.design_space import DesignSpace
from hebo.optimizers.hebo import HEBO

from benchmarks.samplers.peers import Start
from benchmarks.samplers.spaces import Configuration, Entry, active_part, filled


def _parameter(name: str, entry: Entry) -> dict[str, Any]:
    if entry["type"] == "categorical":
        return {"name": name, "type": "cat", "categories": entry["choices"]}
    kind = {"float": ("num", "pow"), "int": ("int", "pow_int")}[entry["type"]][bool(entry.get("log"))]
    base = {"base": 10} if entry.get("log") else {}
    return {"name": name, "type": kind, "lb": entry["low"], "ub": entry["high"], **base}


class HeboPlayer:
    """Its default optimiser; each result is observed as soon as it is there."""

    def __init__(self, start: Start) -> None:
        warnings.filterwarnings("ignore")
        np.random.seed(start.seed)
        torch.manual_seed(start.seed)
        torch.set_num_threads(1)
        self._space = start.space
        space = DesignSpace().parse([_parameter(name, entry) for name, entry in start.space.items()])
        self._hebo = HEBO(space, scramble_seed=start.seed)

    def ask(self, n: int) -> list[tuple[Any, Configuration]]:
        rows = self._hebo.suggest(n_suggestions=n)
        asked = []
        for index in range(n):
            row = rows.iloc[[index]]
            asked.append((row, active_part(self._space, {name: row.iloc[0][name] for name in self._space})))
        return asked

    def tell(self, handle: Any, loss: float) -> None:
        self._hebo.observe(handle, np.array([[loss]]))

    def learn(self, configurations: Sequence[Configuration], losses: Sequence[float]) -> None:
        rows = pd.DataFrame([filled(self._space, one) for one in configurations])[list(self._space)]
        self._hebo.observe(rows, np.array(losses, dtype=float).reshape(-1, 1))


def player(start: Start, which: str) -> HeboPlayer:
    return HeboPlayer(start)
