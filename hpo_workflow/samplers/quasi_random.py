"""Sobol points: as even as random points are not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hpo_workflow.samplers.design import sobol_new
from hpo_workflow.samplers.history import History
from hpo_workflow.space import SearchSpace
from hpo_workflow.trial import Value


@dataclass(frozen=True)
class Sobol:
    """Points of one scrambled sequence in their order, without what was already proposed."""

    def propose(self, space: SearchSpace, history: History, n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        return sobol_new(space, history.keys(space), n, rng)
