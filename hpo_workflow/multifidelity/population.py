"""Population based training: members are trained side by side, and the bad ones go on from copies of the good ones.

Each member is trained from level to level of the ladder. A step that ended is judged against all steps that got through
the same level so far, whoever made them. A good one goes on with its parameters. A bad one is replaced (*exploit*): its
member goes on from the work of a better step, with parameters near those of that one (*explore*). Nobody waits for the
others. So the parameters of the winner may have changed many times while it was trained; that schedule is the result.

A step's `bracket` is its member, so all follows from the steps alone: what a member does next depends on its last one.

Sources: Jaderberg et al. 2017, arXiv:1711.09846 (truncation, binary tournament, perturb, resample); Li et al. 2019,
arXiv:1902.01894, for trials that are short, end at any time and go on from a parent's checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from hpo_workflow.multifidelity.actions import Continue, Decision, Start, Step
from hpo_workflow.multifidelity.perturbation import perturbed
from hpo_workflow.multifidelity.rungs import Ladder
from hpo_workflow.space import SearchSpace
from hpo_workflow.trial import Params, TrialState

PATIENCE = 3
"""After so many steps in a row of which nothing came, a member is given up."""


@dataclass(frozen=True)
class PopulationBasedTraining:
    """Population based training, asynchronous.

    Args:
        ladder: The fidelities; a member is judged at each of them.
        exploit: `truncation`: who is among the worst `quantile` of its level is replaced by one of the best `quantile`.
            `tournament`: another step of the level is drawn; the better one of the two is gone on from.
        quantile: A part of the steps of a level, up to 0.5.
        explore: `factor` or `resample`, as `perturbation` describes them.
        resample: Probability that a parameter is drawn anew.
        fixed: Names of parameters that stay as the winner has them.
    """

    ladder: Ladder
    exploit: str = "truncation"
    quantile: float = 0.25
    explore: str = "factor"
    resample: float = 0.25
    fixed: Collection[str] = ()

    def decide(
        self, space: SearchSpace, steps: Sequence[Step], n_free: int, n_new: int, rng: np.random.Generator
    ) -> list[Decision]:
        """New members first, then those that are behind: so each level is judged among as many as possible."""
        members = _members(steps)
        unused = (number for number in count() if number not in members)
        decisions: list[Decision] = [Start(bracket=next(unused)) for _ in range(min(n_new, n_free))]
        known = {step.number: step for step in steps}
        tried: list[tuple[int | None, Params]] = [(step.parent, step.params) for step in steps]
        rungs = self._rungs(steps)
        for member, step in sorted(self._due(members, rungs), key=lambda due: (due[1].level, due[1].number)):
            if len(decisions) >= n_free:
                break
            if step.state is TrialState.CANCELLED:
                decision = _once_more(space, member, step, known)
            else:
                decision = self._next(space, member, step, rungs, tried, rng)
            if decision.params is not None:
                tried.append((decision.parent, decision.params))
            decisions.append(decision)
        return decisions

    def may_act(self, steps: Sequence[Step], n_new: int) -> bool:
        return n_new > 0 or any(True for _ in self._due(_members(steps), self._rungs(steps)))

    def sizes(self, n: int) -> list[int]:
        return [n] * len(self.ladder.levels)

    def ancestors(self, steps: Sequence[Step], n_new: int) -> set[int]:
        """What members stand on, and whom they may be replaced by at the levels where they may still be judged."""
        rungs = self._rungs(steps)
        found: set[int] = set()
        floors = [0] * (n_new > 0)  # the lowest level that each member may still be judged at
        nexts = []  # the lowest level that each may still get to
        for member in _members(steps).values():
            last = member[-1]
            floor = self._ground(last.level, rungs)
            if last.is_pending or last.state is TrialState.CANCELLED:
                if last.parent is not None:
                    found.add(last.parent)
                elif not last.is_pending:
                    continue
                nexts.append(min(last.level, floor + 1))
            elif _got_through(last):
                if last.level == self.ladder.top:
                    continue
                found.add(last.number)
                nexts.append(last.level + 1)
            elif _in_vain(member) < PATIENCE:
                nexts.append(floor + 1)
            else:
                continue
            floors.append(floor)
        for level in range(min(floors, default=self.ladder.top), self.ladder.top):
            n_more = PATIENCE * (n_new + sum(other <= level for other in nexts))  # so often it may end there
            n_best = max(1, int(self.quantile * (len(rungs[level]) + n_more)))
            finite = [step.number for step in rungs[level] if _got_through(step)]
            found.update(finite if self.exploit == "tournament" else finite[:n_best])
        return found

    def _ground(self, level: int, rungs: Sequence[Sequence[Step]]) -> int:
        """The highest level up to this one that a member may fall back to, which only rises with time."""
        reached = (k for k in reversed(range(min(level + 1, self.ladder.top))) if any(map(_got_through, rungs[k])))
        return next(reached, 0)

    # ---- who has something to do ------------------------------------------------------------------------
    def _rungs(self, steps: Sequence[Step]) -> list[list[Step]]:
        """The steps that got through each level, the best first; of equals the lower number."""
        rungs: list[list[Step]] = [[] for _ in self.ladder.levels]
        for step in steps:
            if _loss(step) is not None:
                rungs[step.level].append(step)
        for rung in rungs:
            rung.sort(key=lambda step: (_loss(step), step.number))
        return rungs

    def _due(self, members: dict[int, list[Step]], rungs: Sequence[Sequence[Step]]) -> Iterator[tuple[int, Step]]:
        """Members whose last step has ended and that can go on, with that step.

        One whose step failed waits for somebody to copy. One that has reached the top is done.
        """
        numbers = {step.number for steps in members.values() for step in steps}
        for member, steps in members.items():
            last = steps[-1]
            if last.is_pending:
                continue
            if last.state is TrialState.CANCELLED:
                if last.parent in numbers:  # one without a parent cost nothing, and another member may start for it
                    yield member, last
            elif _got_through(last):
                if last.level < self.ladder.top:
                    yield member, last
            elif _in_vain(steps) < PATIENCE and self._winners(last, rungs):
                yield member, last

    def _winners(self, step: Step, rungs: Sequence[Sequence[Step]]) -> Sequence[Step]:
        """Whom a step that did not get through may be replaced by: the best of the highest level that it has reached.

        Its own earlier self may be among them.
        """
        for level in reversed(range(min(step.level + 1, self.ladder.top))):
            finite = [other for other in rungs[level] if _got_through(other)]
            if finite:
                return finite[: max(1, int(self.quantile * len(rungs[level])))]
        return ()

    # ---- what it does ------------------------------------------------------------------------------------
    def _next(
        self,
        space: SearchSpace,
        member: int,
        step: Step,
        rungs: Sequence[Sequence[Step]],
        tried: Sequence[tuple[int | None, Params]],
        rng: np.random.Generator,
    ) -> Continue:
        """What a member does after a step that has ended.

        Args:
            tried: Which steps were gone on from, and with which parameters.
        """
        winner = self._winner(step, rungs, rng)
        if winner is None:
            return Continue(step.number, step.level + 1, None, member)
        known = {space.key(winner.params), *(space.key(params) for parent, params in tried if parent == winner.number)}
        params = perturbed(space, winner.params, self.explore, self.resample, self.fixed, known, rng)
        return Continue(winner.number, winner.level + 1, params, member)

    def _winner(self, step: Step, rungs: Sequence[Sequence[Step]], rng: np.random.Generator) -> Step | None:
        """Whose work the member of a step goes on from; None for its own."""
        if not _got_through(step):
            winners = self._winners(step, rungs)
            return winners[int(rng.integers(len(winners)))]
        rung = rungs[step.level]
        if self.exploit == "tournament":
            rivals = [other for other in rung if other.number != step.number]
        else:
            n_cut = int(self.quantile * len(rung))
            worst = rung[len(rung) - n_cut :]
            rivals = list(rung[:n_cut]) if any(other.number == step.number for other in worst) else []
        if not rivals:
            return None
        rival = rivals[int(rng.integers(len(rivals)))]
        loss, rival_loss = _loss(step), _loss(rival)
        assert loss is not None
        assert rival_loss is not None
        return rival if rival_loss < loss else None


def _once_more(space: SearchSpace, member: int, step: Step, known: Mapping[int, Step]) -> Continue:
    """The decision that led to a step.

    Args:
        known: All steps by number.
    """
    assert step.parent is not None
    as_before = space.key(step.params) == space.key(known[step.parent].params)
    return Continue(step.parent, step.level, None if as_before else step.params, member)


def _loss(step: Step) -> float | None:
    """What ranks a step: infinity where it was pruned, None where it did not get through."""
    score = step.score
    return None if score is None or math.isnan(score) else score


def _got_through(step: Step) -> bool:
    """Whether it has a loss, and so work that can be gone on with."""
    return _loss(step) not in (None, math.inf)


def _members(steps: Sequence[Step]) -> dict[int, list[Step]]:
    """The steps of each member, in their order.

    A step without a member's number belongs to its parent's member, and a new one without it gets the first free one.
    """
    members: dict[int, list[Step]] = {}
    of_step: dict[int, int] = {}
    for step in steps:
        member = step.bracket
        if member is None and step.parent is not None:
            member = of_step.get(step.parent)
        if member is None:
            member = next(number for number in count() if number not in members)
        of_step[step.number] = member
        members.setdefault(member, []).append(step)
    return members


def _in_vain(steps: Sequence[Step]) -> int:
    """How many of a member's steps came to nothing, counted back from the last one; cancelled ones say nothing."""
    found = 0
    for step in reversed(steps):
        if step.state is not TrialState.CANCELLED:
            if _got_through(step):
                break
            found += 1
    return found
