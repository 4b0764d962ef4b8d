"""Search spaces as the `space:` of a study file writes them, for programs that do not know `hpo_workflow`.

A parameter is `{"type": "float" | "int", "low", "high", "log"?}` or `{"type": "categorical", "choices"}`, and has
`"when": {parent: [values]}` where it exists only then. Parents stand before their children. A configuration holds
its active parameters and no others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

Entry = Mapping[str, Any]
Space = Mapping[str, Entry]
Configuration = dict[str, Any]


def real(low: float, high: float, *, log: bool = False, when: Mapping[str, list[Any]] | None = None) -> Entry:
    """A number."""
    return _entry({"type": "float", "low": low, "high": high}, log, when)


def whole(low: int, high: int, *, log: bool = False, when: Mapping[str, list[Any]] | None = None) -> Entry:
    """A whole number; both ends are possible."""
    return _entry({"type": "int", "low": low, "high": high}, log, when)


def choice(*choices: str, when: Mapping[str, list[Any]] | None = None) -> Entry:
    """One of some words."""
    return _entry({"type": "categorical", "choices": list(choices)}, False, when)


def _entry(entry: dict[str, Any], log: bool, when: Mapping[str, list[Any]] | None) -> Entry:
    if log:
        entry["log"] = True
    if when:
        entry["when"] = dict(when)
    return entry


def is_active(entry: Entry, configuration: Mapping[str, Any]) -> bool:
    """Whether a parameter exists beside those that stand before it."""
    return all(configuration.get(parent) in values for parent, values in entry.get("when", {}).items())


def value_at(entry: Entry, place: float) -> Any:
    """The value at a place of [0, 1): choices have equal shares, whole numbers those of their cells."""
    if entry["type"] == "categorical":
        return entry["choices"][min(int(place * len(entry["choices"])), len(entry["choices"]) - 1)]
    low, high = float(entry["low"]), float(entry["high"])
    if entry["type"] == "int":
        low, high = low - 0.5, high + 0.5
    value = math.exp(_between(math.log(low), math.log(high), place)) if entry.get("log") else _between(low, high, place)
    return as_value(entry, value)


def _between(low: float, high: float, place: float) -> float:
    return low + place * (high - low)


def as_value(entry: Entry, value: Any) -> Any:
    """A plain int, float or word inside of the bounds, of whatever a package made of it."""
    if entry["type"] == "categorical":
        return str(value)
    if entry["type"] == "int":
        return min(max(round(float(value)), entry["low"]), entry["high"])
    return min(max(float(value), float(entry["low"])), float(entry["high"]))


def draw(space: Space, rng: np.random.Generator) -> Configuration:
    """A configuration of random search. Every parameter uses one number of `rng`, also an inactive one."""
    places = rng.random(len(space))
    return active_part(
        space, {name: value_at(space[name], float(place)) for name, place in zip(space, places, strict=True)}
    )


def active_part(space: Space, values: Mapping[str, Any]) -> Configuration:
    """Without the inactive parameters, for packages that know no conditions: they vary all parameters always."""
    configuration: Configuration = {}
    for name, entry in space.items():
        if is_active(entry, configuration):
            configuration[name] = as_value(entry, values[name])
    return configuration


def filled(space: Space, configuration: Mapping[str, Any]) -> Configuration:
    """With the middle, or the first choice, for each inactive parameter."""
    middle = {name: value_at(entry, 0.0 if entry["type"] == "categorical" else 0.5) for name, entry in space.items()}
    return {**middle, **configuration}
