"""ASHA: successive halving in which nobody waits for a rung to be complete.

A free slot goes to the highest rung that has earned somebody a promotion, else to a new configuration. The share of
trials that leave a rung is counted over all that got through it, those promoted earlier included.

Source: Li et al. 2020, arXiv:1810.05934, algorithm 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpo_workflow.multifidelity.actions import Continue, Decision, Start, Step
from hpo_workflow.multifidelity.rungs import Ladder, next_promotion, not_promoted, rung_sizes
from hpo_workflow.space import SearchSpace


@dataclass(frozen=True)
class ASHA:
    """Asynchronous successive halving.

    Args:
        ladder: The fidelities.
    """

    ladder: Ladder

    def decide(
        self, space: SearchSpace, steps: Sequence[Step], n_free: int, n_new: int, rng: np.random.Generator
    ) -> list[Decision]:
        return self._decisions(steps, n_free, n_new)

    def may_act(self, steps: Sequence[Step], n_new: int) -> bool:
        return n_new > 0 or bool(self._decisions(steps, 1, 0))

    def sizes(self, n: int) -> list[int]:
        return rung_sizes(n, self.ladder.eta, self.ladder.top)

    def ancestors(self, steps: Sequence[Step], n_new: int) -> set[int]:
        """Who is still among the best `n // eta` of its rung when everybody has got through it who may.

        Each result of a rung lets at most one more be promoted from it, whoever that is, because the best k of n are
        among the best k + 1 of n + 1. So to the next rung may come those that have earned it now, and as many as may
        still come to this one.
        """
        rungs: list[list[Step]] = [[] for _ in self.ladder.levels]
        for step in steps:
            rungs[step.level].append(step)
        promoted = {step.parent for step in steps if step.parent is not None}
        found: set[int] = set()
        n_coming = n_new
        for rung in rungs[: self.ladder.top]:
            n_coming += sum(step.is_pending for step in rung)
            n_through = sum(step.score is not None for step in rung)
            found.update(not_promoted(rung, promoted, (n_through + n_coming) // self.ladder.eta))
            n_coming += len(not_promoted(rung, promoted, n_through // self.ladder.eta))
        return found

    def _decisions(self, steps: Sequence[Step], n_free: int, n_new: int) -> list[Decision]:
        rungs: list[list[Step]] = [[] for _ in self.ladder.levels]
        for step in steps:
            rungs[step.level].append(step)
        promoted = {step.parent for step in steps if step.parent is not None}
        decisions: list[Decision] = []
        for level in reversed(range(self.ladder.top)):
            while len(decisions) < n_free:
                number = next_promotion(rungs[level], promoted, self.ladder.eta)
                if number is None:
                    break
                promoted.add(number)
                decisions.append(Continue(number, level + 1))
        n_started = min(n_new, n_free - len(decisions))
        return decisions + [Start() for _ in range(n_started)]
