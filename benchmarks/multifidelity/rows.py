"""Where the rows of a table lie, for whoever proposes configurations that are not in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.multifidelity.tables import Table
from benchmarks.samplers.spaces import Space, is_active

ABSENT = 0.5
"""The place of an inactive parameter."""


def _place(entry: Mapping[str, Any], value: Any) -> float:
    """Where a value lies in [0, 1]; of a choice, its index."""
    if entry["type"] == "categorical":
        return float(entry["choices"].index(value))
    low, high = float(entry["low"]), float(entry["high"])
    if entry.get("log"):
        return float(np.log(value / low) / np.log(high / low))
    return (float(value) - low) / (high - low)


def places(space: Space, configurations: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """(n, d) places of configurations; what is inactive is in the middle, or the first choice."""
    found = np.empty((len(configurations), len(space)))
    for i, configuration in enumerate(configurations):
        for j, (name, entry) in enumerate(space.items()):
            rest = 0.0 if entry["type"] == "categorical" else ABSENT
            active = name in configuration and is_active(entry, configuration)
            found[i, j] = _place(entry, configuration[name]) if active else rest
    return found


class Rows:
    """The rows of a table that nobody has taken yet."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._x = places(table.space, table.configurations)
        self._choices = np.array([entry["type"] == "categorical" for entry in table.space.values()])
        self.free = np.ones(len(self._x), bool)

    def take(self, row: int) -> int:
        """This row, which is taken from now on."""
        assert self.free[row]
        self.free[row] = False
        return row

    def nearest(self, configuration: Mapping[str, Any]) -> int | None:
        """The free row that is nearest to a configuration, which is taken from now on; other choices are 1 away."""
        if not self.free.any():
            return None
        away = np.abs(self._x - places(self.table.space, [configuration]))
        away[:, self._choices] = away[:, self._choices] > 0.0
        squares = np.where(self.free, (away**2).sum(1), np.inf)
        return self.take(int(squares.argmin()))

    def any(self, rng: np.random.Generator) -> int | None:
        """A free row at random."""
        left = np.flatnonzero(self.free)
        return self.take(int(rng.choice(left))) if len(left) else None
