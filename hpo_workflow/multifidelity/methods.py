"""The methods there are, by the name that `fidelity.method` has."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpo_workflow.multifidelity.actions import Method
from hpo_workflow.multifidelity.rungs import Ladder


@dataclass(frozen=True)
class Entry:
    """One method.

    Args:
        module: Its module in this package, imported when the method is first asked for.
        name: Its class, which is made from a ladder and the method's options.
        description: What it is, in a few words.
        shape: The key of `fidelity:` that spaces its ladder: `eta` or `interval`.
        options: Its own keys beside that.
    """

    module: str
    name: str
    description: str
    shape: str = "eta"
    options: tuple[str, ...] = ()


METHODS: dict[str, Entry] = {
    "asha": Entry("asha", "ASHA", "successive halving in which nobody waits; for clusters"),
    "hyperband": Entry(
        "hyperband", "Hyperband", "brackets that begin at different levels; robust where low fidelities mislead"
    ),
    "pbt": Entry(
        "population",
        "PopulationBasedTraining",
        "population based training; parameters change while a model is trained",
        "interval",
        ("exploit", "quantile", "explore", "resample", "fixed"),
    ),
    "sha": Entry("successive_halving", "SuccessiveHalving", "successive halving in brackets whose rungs wait"),
}


def get_method(name: str, ladder: Ladder, options: Mapping[str, Any] | None = None) -> Method:
    """The method of this name on a ladder."""
    entry = METHODS[name]
    made: Any = getattr(importlib.import_module(f"hpo_workflow.multifidelity.{entry.module}"), entry.name)
    method: Method = made(ladder, **(options or {}))
    return method
