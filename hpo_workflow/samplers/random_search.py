"""Random search: every configuration as likely as the ranges say, none twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hpo_workflow.samplers.history import History, draw_unproposed
from hpo_workflow.space import SearchSpace
from hpo_workflow.space.encoding import configuration
from hpo_workflow.trial import Value

TRIES = 200
"""Draws in a row that may meet known configurations before the space is looked through instead."""


def draw_new(space: SearchSpace, taken: set[str], rng: np.random.Generator) -> dict[str, Value] | None:
    """One uniform configuration that is not in `taken`, or None after many vain tries."""
    for _ in range(TRIES):
        params = configuration(space, rng.random(len(space.parameters)))
        if space.key(params) not in taken:
            return params
    return None


def draw_all_new(space: SearchSpace, taken: set[str], n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
    """`n` different uniform configurations that are not in `taken`; fewer only when no more are left."""
    taken = set(taken)
    found: list[dict[str, Value]] = []
    while len(found) < n:
        params = draw_new(space, taken, rng)
        if params is None:
            return found + draw_unproposed(space, taken, n - len(found), rng)
        taken.add(space.key(params))
        found.append(params)
    return found


@dataclass(frozen=True)
class RandomSearch:
    """Uniform over the unit cube of the space."""

    def propose(self, space: SearchSpace, history: History, n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        return draw_all_new(space, history.keys(space), n, rng)
