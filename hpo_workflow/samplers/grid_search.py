"""Grid search: all values of ints and choices, `points` of floats, in the order of the space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from hpo_workflow.errors import ConfigError, Fault
from hpo_workflow.samplers.history import History
from hpo_workflow.space import Categorical, SearchSpace
from hpo_workflow.trial import Value


def faults_of(settings: Mapping[str, Any], space: SearchSpace) -> list[Fault]:
    """The floats of which a grid cannot try all values."""
    problem = "the grid sampler cannot try all values of a float."
    cure = "Give points, for example points: 5, or choose another sampler."
    endless = [p.name for p in space.parameters if not isinstance(p, Categorical) and p.grid is None]
    return [Fault(f"space.{name}", problem, cure) for name in endless]


@dataclass(frozen=True)
class GridSearch:
    """The grid from its beginning, without what was already proposed; fewer than asked when the grid ends."""

    def propose(self, space: SearchSpace, history: History, n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        if space.grid_size() is None:
            raise ConfigError("space", faults_of({}, space))
        taken = history.keys(space)
        return list(islice((params for params in space.grid() if space.key(params) not in taken), n))
