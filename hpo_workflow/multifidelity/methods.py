"""The methods there are, by the name that `fidelity.method` has."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from hpo_workflow.multifidelity.actions import Method
from hpo_workflow.multifidelity.rungs import Ladder


@dataclass(frozen=True)
class Entry:
    """One method.

    Args:
        module: Its module in this package, imported when the method is first asked for.
        name: Its class, which is made from a ladder.
        description: What it is, in a few words.
    """

    module: str
    name: str
    description: str


METHODS: dict[str, Entry] = {
    "asha": Entry("asha", "ASHA", "successive halving in which nobody waits; for clusters"),
    "hyperband": Entry(
        "hyperband", "Hyperband", "brackets that begin at different levels; robust where low fidelities mislead"
    ),
    "sha": Entry("successive_halving", "SuccessiveHalving", "successive halving in brackets whose rungs wait"),
}


def get_method(name: str, ladder: Ladder) -> Method:
    """The method of this name on a ladder."""
    entry = METHODS[name]
    made: Any = getattr(importlib.import_module(f"hpo_workflow.multifidelity.{entry.module}"), entry.name)
    method: Method = made(ladder)
    return method
