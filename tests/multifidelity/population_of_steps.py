"""A study whose trials end in any order, as a multi-fidelity method sees it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hpo_workflow.multifidelity import Continue, Method, Step
from hpo_workflow.space import SearchSpace
from hpo_workflow.trial import TrialState

SPACE = SearchSpace.from_mapping({"x": {"type": "float", "low": 0.0, "high": 1.0}})

Outcome = tuple[TrialState, float | None]
Course = Callable[[Step, random.Random], Outcome]
"""How a trial ends."""


def by_x(step: Step, chance: random.Random) -> Outcome:
    """Complete; the lower x, the lower the loss, and the higher the level, the lower."""
    return TrialState.COMPLETE, float(step.params["x"]) - 0.01 * step.level


def mixed(step: Step, chance: random.Random) -> Outcome:
    """All that may come of a trial, ties included."""
    draw = chance.random()
    if draw < 0.1:
        return TrialState.FAILED, None
    if draw < 0.2:
        return TrialState.PRUNED, None
    return TrialState.COMPLETE, round(float(step.params["x"]), 1)


class Study:
    """Runs a method with so many slots.

    Attributes:
        steps: All trials.
        n_new: Configurations that may still be begun.
    """

    def __init__(self, method: Method, n_trials: int, parallel: int, course: Course = by_x, seed: int = 0) -> None:
        self.method = method
        self.parallel = parallel
        self.course = course
        self.chance = random.Random(seed)
        self.steps: list[Step] = []
        self.n_new = n_trials

    @property
    def pending(self) -> list[Step]:
        return [step for step in self.steps if step.is_pending]

    def fill(self) -> int:
        """Ask the method for all free slots; gives how many it filled."""
        rng = np.random.default_rng([7, len(self.steps)])
        free = self.parallel - len(self.pending)
        decisions = self.method.decide(SPACE, self.steps, free, self.n_new, rng)
        assert len(decisions) <= free
        for decision in decisions:
            number = len(self.steps)
            if isinstance(decision, Continue):
                parent = self.steps[decision.parent]
                params = parent.params if decision.params is None else decision.params
                config = parent.config if decision.params is None else number
                step = Step(
                    number, config, params, decision.level, TrialState.PROPOSED, parent.number, decision.bracket
                )
            else:
                assert self.n_new > 0
                self.n_new -= 1
                params = decision.params if decision.params is not None else {"x": self.chance.random()}
                step = Step(number, number, params, decision.level, TrialState.PROPOSED, None, decision.bracket)
            self.steps.append(step)
        return len(decisions)

    def end_one(self) -> None:
        """Any of the running trials ends."""
        step = self.chance.choice(self.pending)
        state, loss = self.course(step, self.chance)
        self.steps[step.number] = replace(step, state=state, loss=loss)
        if state is TrialState.CANCELLED and step.parent is None:
            self.n_new += 1  # it cost nothing

    def run(self) -> None:
        """To the end: until the method wants nothing more and nothing runs."""
        while True:
            if len(self.pending) < self.parallel:
                may = self.method.may_act(self.steps, self.n_new)
                n = self.fill()
                assert may == bool(n), f"may_act says {may}, and decide gives {n} decisions"
            if not self.pending:
                return
            self.end_one()

    def at_level(self, level: int, bracket: int | None = None) -> list[Step]:
        return [step for step in self.steps if step.level == level and step.bracket == bracket]
