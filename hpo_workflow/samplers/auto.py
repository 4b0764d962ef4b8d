"""The sampler for those who do not want to choose one: the rule by which it chooses.

| what is known | sampler |
| --- | --- |
| a plan of more than 10 000 trials, or more than 1000 results | `tpe` |
| everything else | `gp` |

`docs/explanation/samplers.md` has the measurements behind it: one by one, in batches of 8 and of 32, under noise, and
in 20 to 40 dimensions, `gp` found as much as `tpe` or more. What it costs is time, which grows with the results.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hpo_workflow.samplers.history import History
from hpo_workflow.samplers.plan import Plan
from hpo_workflow.space import SearchSpace
from hpo_workflow.trial import Value

MOST_FOR_GP = 1000
"""Results up to which a Gaussian process learns from most of them, in less than 0.1 s a proposal."""

LONG = 10_000
"""Trials of a plan whose trials must be so short that 0.1 s a proposal would hold them up."""


@dataclass(frozen=True)
class Auto:
    """Chooses by the plan and by how much is known.

    Args:
        plan: How much is going to be tried.
    """

    plan: Plan = field(default_factory=Plan)

    def choice(self, n_results: int) -> str:
        """The name of the sampler for a study with so many results."""
        if n_results > MOST_FOR_GP or (self.plan.trials or 0) > LONG:
            return "tpe"
        return "gp"

    def propose(self, space: SearchSpace, history: History, n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        if self.choice(len(history.observations)) == "tpe":
            from hpo_workflow.samplers.tpe import TPE

            return TPE().propose(space, history, n, rng)
        from hpo_workflow.samplers.bayesian import GaussianProcessSampler  # which loads scipy

        return GaussianProcessSampler().propose(space, history, n, rng)
