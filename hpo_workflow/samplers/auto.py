"""The sampler for those who do not want to choose one."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hpo_workflow.samplers.history import History
from hpo_workflow.samplers.plan import Plan
from hpo_workflow.samplers.tpe import TPE
from hpo_workflow.space import SearchSpace
from hpo_workflow.trial import Value


@dataclass(frozen=True)
class Auto:
    """TPE, which takes all kinds of parameters and costs little.

    Args:
        plan: How much is going to be tried.
    """

    plan: Plan = field(default_factory=Plan)

    def propose(self, space: SearchSpace, history: History, n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        return TPE().propose(space, history, n, rng)
