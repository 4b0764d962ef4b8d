"""Our methods through their pure interface, and our samplers as a study asks them: steps in, decisions out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.multifidelity.playing import Work
from benchmarks.multifidelity.rows import Rows
from benchmarks.multifidelity.tables import Table
from hpo_workflow.multifidelity.actions import Continue, Decision, Method, Step
from hpo_workflow.multifidelity.projection import final_losses
from hpo_workflow.multifidelity.rungs import Ladder
from hpo_workflow.samplers import Plan, get_sampler
from hpo_workflow.samplers.history import History, Observation
from hpo_workflow.space import SearchSpace
from hpo_workflow.trial import TrialState

ETA = 3


def ladder_of(table: Table) -> Ladder:
    """From one epoch to all of them."""
    return Ladder.geometric(1, table.epochs, ETA, whole=True)


class Ours:
    """A method with a sampler.

    Args:
        table: What is played.
        method: Decides what goes on.
        sampler: Proposes new configurations; the nearest row is taken. `random` takes any row.
        seed: Everything random depends on this alone.
        slots: How many trials are under way.
    """

    def __init__(self, table: Table, method: Method, sampler: str, seed: int, slots: int) -> None:
        self._table, self._method, self._seed = table, method, seed
        self._ladder = ladder_of(table)
        self._space = SearchSpace.from_mapping(table.space)
        self._rows = Rows(table)
        self._row_of: list[int] = []
        self._random = sampler == "random"
        self._sampler = get_sampler(sampler, Plan(len(table.configurations), slots))
        self._steps: list[Step] = []
        self._running: dict[int, int] = {}

    def next(self, slot: int) -> Work | None:
        rng = np.random.default_rng([self._seed, len(self._steps)])
        left = int(self._rows.free.sum())
        decisions = self._method.decide(self._space, self._steps, 1, left, rng)
        if not decisions:
            return None
        step = self._begun(decisions[0], rng)
        if step is None:
            return None
        self._running[slot] = step.number
        self._steps.append(step)
        return Work(self._row_of[step.number], int(self._ladder.levels[step.level]))

    def tell(self, slot: int, work: Work, losses: Sequence[float]) -> None:
        number = self._running.pop(slot)
        self._steps[number] = replace(self._steps[number], state=TrialState.COMPLETE, loss=losses[-1])

    def _begun(self, decision: Decision, rng: np.random.Generator) -> Step | None:
        """The trial that a decision makes."""
        number = len(self._steps)
        if isinstance(decision, Continue):
            assert decision.params is None, "a table has no curves of other parameters"
            parent = self._steps[decision.parent]
            self._row_of.append(self._row_of[parent.number])
            return Step(
                number,
                parent.config,
                parent.params,
                decision.level,
                TrialState.RUNNING,
                parent.number,
                decision.bracket,
            )
        row = self._new_row(decision.params, rng)
        if row is None:
            return None
        self._row_of.append(row)
        params = self._space.canonical(self._table.configurations[row])
        return Step(number, number, params, decision.level, TrialState.RUNNING, None, decision.bracket)

    def _new_row(self, wanted: Any, rng: np.random.Generator) -> int | None:
        if wanted is not None:
            return self._rows.nearest(wanted)
        if self._random:
            return self._rows.any(rng)
        found = self._sampler.propose(self._space, self._history(), 1, rng)
        return self._rows.nearest(found[0]) if found else None

    def _history(self) -> History:
        """What the sampler of a study is told."""
        params = {step.config: step.params for step in self._steps}
        losses = final_losses(self._steps, self._ladder.top)
        told = tuple(Observation(params[config], loss) for config, loss in losses.items())
        return History(told, tuple(params[config] for config in params if config not in losses))
