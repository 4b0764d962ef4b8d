"""Random search: every configuration as likely as the ranges say, none twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hpo_workflow.samplers.design import draw_all_new
from hpo_workflow.samplers.history import History
from hpo_workflow.space import SearchSpace
from hpo_workflow.trial import Value


@dataclass(frozen=True)
class RandomSearch:
    """Uniform over the unit cube of the space."""

    def propose(self, space: SearchSpace, history: History, n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        return draw_all_new(space, history.keys(space), n, rng)
