"""How far each configuration was trained, and which ones were trained further than others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hpo_workflow.objective import is_better
from hpo_workflow.study_state import StudyState
from hpo_workflow.trial import TrialState


@dataclass(frozen=True)
class Stay:
    """A configuration at one level.

    Args:
        config: The configuration.
        number: The trial.
        level: Index of the level, 0 the lowest.
        how: `promoted` (another trial goes on from it), `ended` (none does), `pruned`, `failed`, `cancelled`, or `open`
            while it has no result.
        value: The objective, None where it has none.
        bracket: The bracket that it belongs to, where the method has brackets.
    """

    config: int
    number: int
    level: int
    how: str
    value: float | None
    bracket: int | None = None


@dataclass(frozen=True)
class Rung:
    """One level of the ladder.

    Args:
        fidelity: How far trials are trained there.
        counts: How many trials there are of each kind of Stay.
        best: The best value of a complete trial there, and the trial that has it; None where there is none.
    """

    fidelity: float
    counts: dict[str, int]
    best: tuple[float, int] | None

    @property
    def n_trials(self) -> int:
        """How many trials there are at this level."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Rungs:
    """All levels of a study, from the lowest, and all stays of its configurations, by trial number."""

    levels: tuple[Rung, ...]
    stays: tuple[Stay, ...]


def rungs(state: StudyState) -> Rungs | None:
    """Configurations by level; None where the study has no fidelity."""
    fidelity = state.spec.fidelity
    if fidelity is None:
        return None
    parents = {emission.proposal.parent for emission in state.emissions.values()}
    stays = []
    for step in state.steps():
        trial = state.finished.get(step.number)
        if trial is None:
            how = "open"
        elif trial.state is TrialState.COMPLETE:
            how = "promoted" if step.number in parents else "ended"
        else:
            how = trial.state.value
        value = None if trial is None else trial.value
        stays.append(Stay(step.config, step.number, step.level, how, value, step.bracket))
    direction = state.spec.objective.direction
    levels = [
        _rung(float(size), [stay for stay in stays if stay.level == level], direction)
        for level, size in enumerate(fidelity.ladder.levels)
    ]
    return Rungs(tuple(levels), tuple(stays))


def _rung(fidelity: float, stays: Sequence[Stay], direction: str) -> Rung:
    best: tuple[float, int] | None = None
    for stay in stays:
        complete = stay.how in ("promoted", "ended") and stay.value is not None
        if complete and stay.value is not None and (best is None or is_better(stay.value, best[0], direction)):
            best = (stay.value, stay.number)
    return Rung(fidelity, dict(Counter(stay.how for stay in stays)), best)
