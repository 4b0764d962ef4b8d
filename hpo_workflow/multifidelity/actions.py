"""What a multi-fidelity method is told of a study, and what it may decide.

A *step* is one trial as such a method sees it: a configuration that is trained up to one level of the ladder, on top of
its parent's work if it has a parent. A method is pure: steps in, decisions out; it knows nothing of samplers, files or
clocks, and draws only from the generator that it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from hpo_workflow.space import SearchSpace
from hpo_workflow.trial import Params, TrialState


@dataclass(frozen=True)
class Step:
    """One trial.

    Args:
        number: The trial's.
        config: Its configuration's number.
        params: Active sampled parameters.
        level: Index of its fidelity in the ladder, 0 the lowest.
        state: A terminal one, or `proposed` while nothing is known of how it ends (it may be running).
        parent: Number of the trial that it goes on from, None where it starts from nothing.
        bracket: The bracket that it belongs to, where the method has brackets.
        loss: Smaller is better, finite; only of a complete trial, else None.
    """

    number: int
    config: int
    params: Params
    level: int
    state: TrialState
    parent: int | None = None
    bracket: int | None = None
    loss: float | None = None

    @property
    def is_pending(self) -> bool:
        """Whether its outcome is not known."""
        return not self.state.is_terminal

    @property
    def score(self) -> float | None:
        """What ranks it in its rung: its loss, infinity where it was pruned, None where it did not get through."""
        if self.state is TrialState.PRUNED:
            return float("inf")
        return self.loss if self.state is TrialState.COMPLETE else None


@dataclass(frozen=True)
class Start:
    """Begin a new configuration.

    Args:
        level: At which level of the ladder.
        bracket: For which bracket, where the method has brackets.
        params: Which configuration; None leaves it to the sampler.
    """

    level: int = 0
    bracket: int | None = None
    params: Params | None = None


@dataclass(frozen=True)
class Continue:
    """Go on from a trial.

    Args:
        parent: Number of the trial whose work is gone on with.
        level: To which level of the ladder.
        params: Other parameters than its own, None for the same configuration.
        bracket: Of the new trial.
    """

    parent: int
    level: int
    params: Params | None = None
    bracket: int | None = None


Decision = Start | Continue


class Method(Protocol):
    """Decides what is trained next."""

    def decide(
        self, space: SearchSpace, steps: Sequence[Step], n_free: int, n_new: int, rng: np.random.Generator
    ) -> list[Decision]:
        """What to do with `n_free` slots, at most so many decisions; fewer when nothing else may be done now.

        Args:
            steps: All trials of the study, ascending by number.
            n_new: How many configurations may still be started from nothing.
        """
        ...

    def may_act(self, steps: Sequence[Step], n_new: int) -> bool:
        """Whether `decide` would find something to do with a free slot. Cheap: it is asked whenever a trial ends."""
        ...

    def sizes(self, n: int) -> list[int]:
        """About how many trials there will be at each level in a study of `n` configurations of which none fails."""
        ...


@runtime_checkable
class Forgetting(Protocol):
    """A method that knows which trials it will never go on from, so that their files are of no use to it."""

    def ancestors(self, steps: Sequence[Step], n_new: int) -> set[int]:
        """Trials that a decision may still go on from, now or later, whatever becomes of those that are pending.

        A trial that is left out must never come back while the study goes on as it is set: its files may be deleted.
        One that is in it too many costs disk. Pending trials may be cancelled, and others begun instead of them.

        Args:
            steps: All trials of the study, ascending by number.
            n_new: How many configurations may still be started from nothing.
        """
        ...


def ancestors(method: Method, steps: Sequence[Step], n_new: int) -> set[int]:
    """The same of any method: of one that does not say, all trials that are complete."""
    if isinstance(method, Forgetting):
        return method.ancestors(steps, n_new)
    return {step.number for step in steps if step.state is TrialState.COMPLETE}
