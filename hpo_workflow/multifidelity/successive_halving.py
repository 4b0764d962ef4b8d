"""Successive halving: brackets of configurations that climb the ladder together.

A *bracket* is so many configurations that begin at one level. When all of them have ended there, the best go on to the
next level: of a bracket of n configurations, n // eta**k get k levels higher. Rungs of one bracket wait for each other;
a slot that would wait begins the next bracket.

Source: Jamieson and Talwalkar 2016, arXiv:1502.07943; Li et al. 2018, arXiv:1603.06560, algorithm 1, for the sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hpo_workflow.multifidelity.actions import Continue, Decision, Start, Step
from hpo_workflow.multifidelity.rungs import Ladder, not_promoted, rung_sizes
from hpo_workflow.space import SearchSpace


@dataclass(frozen=True)
class Shape:
    """A bracket, as it is meant to be.

    Args:
        size: Configurations that begin in it.
        level: Where they begin.
    """

    size: int
    level: int

    def rungs(self, ladder: Ladder) -> list[int]:
        """How many trials there are at each level from the first on."""
        return rung_sizes(self.size, ladder.eta, ladder.top - self.level)


@dataclass(frozen=True)
class SuccessiveHalving:
    """Brackets of `eta ** top` configurations, the fewest of which one reaches the top, one after the other.

    Args:
        ladder: The fidelities.
    """

    ladder: Ladder

    def shape(self, bracket: int) -> Shape:
        """The bracket with this number."""
        return Shape(self.ladder.eta**self.ladder.top, 0)

    def decide(
        self, space: SearchSpace, steps: Sequence[Step], n_free: int, n_new: int, rng: np.random.Generator
    ) -> list[Decision]:
        return self._decisions(steps, n_free, n_new)

    def may_act(self, steps: Sequence[Step], n_new: int) -> bool:
        return n_new > 0 or bool(self._decisions(steps, 1, 0))

    def sizes(self, n: int) -> list[int]:
        found = [0] * len(self.ladder.levels)
        bracket = 0
        while n > 0:
            shape = self.shape(bracket)
            begun = replace(shape, size=min(n, shape.size))
            for level, size in enumerate(begun.rungs(self.ladder), shape.level):
                found[level] += size
            n -= begun.size
            bracket += 1
        return found

    def ancestors(self, steps: Sequence[Step], n_new: int) -> set[int]:
        """Who is among the best of its rung that its bracket will have room for above, and has not gone up."""
        found: set[int] = set()
        # For one that is cancelled another is begun, so all that are not full may be filled while a first one runs.
        grows = n_new > 0 or any(step.is_pending and step.parent is None for step in steps)
        for bracket, members in _brackets(steps).items():
            shape = self.shape(bracket)
            begun = sum(step.parent is None for step in members)
            size = shape.size if grows else min(begun, shape.size)
            sizes = rung_sizes(size, self.ladder.eta, self.ladder.top - shape.level)
            promoted = {step.parent for step in members if step.parent is not None}
            for size, level in zip(sizes[1:], range(shape.level, self.ladder.top), strict=True):
                found.update(not_promoted((step for step in members if step.level == level), promoted, size))
        return found

    def _decisions(self, steps: Sequence[Step], n_free: int, n_new: int) -> list[Decision]:
        brackets = _brackets(steps)
        decisions: list[Decision] = []
        for bracket, members in sorted(brackets.items()):
            decisions += self._promotions(bracket, members, n_new)
        decisions = decisions[:n_free]
        bracket = 0
        while n_new > 0 and len(decisions) < n_free:
            shape = self.shape(bracket)
            begun = sum(step.parent is None for step in brackets.get(bracket, ()))
            n = min(max(0, shape.size - begun), n_free - len(decisions), n_new)
            decisions += [Start(shape.level, bracket) for _ in range(n)]
            n_new -= n
            bracket += 1
        return decisions

    def _promotions(self, bracket: int, members: Sequence[Step], n_new: int) -> list[Decision]:
        """Who goes up in one bracket: from each rung that is complete, those that have not gone yet."""
        shape = self.shape(bracket)
        begun = sum(step.parent is None for step in members)
        if begun < shape.size and n_new > 0:
            return []  # its first rung is not full, and can still be filled
        # With the budget at its end a bracket is what has begun in it.
        sizes = rung_sizes(min(begun, shape.size), self.ladder.eta, self.ladder.top - shape.level)
        promoted = {step.parent for step in members if step.parent is not None}
        decisions: list[Decision] = []
        for size, level in zip(sizes[1:], range(shape.level, self.ladder.top), strict=True):
            rung = [step for step in members if step.level == level]
            if any(step.is_pending for step in rung):
                break
            waiting = not_promoted(rung, promoted, size)
            decisions += [Continue(number, level + 1, bracket=bracket) for number in waiting]
            if waiting:
                break  # the rungs above are not complete
        return decisions


def _brackets(steps: Sequence[Step]) -> dict[int, list[Step]]:
    """The steps of each bracket, in their order."""
    brackets: dict[int, list[Step]] = {}
    for step in steps:
        if step.bracket is not None:
            brackets.setdefault(step.bracket, []).append(step)
    return brackets
