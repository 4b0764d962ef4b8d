"""Counts and choices from trials: the best so far, how values are spread, which trials to draw, what failed.

A *point* is `(step, value)` of one metric of one trial.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpo_workflow.multifidelity.projection import final_losses
from hpo_workflow.objective import is_better, loss_of
from hpo_workflow.study_state import StudyState
from hpo_workflow.trial import Params, TrialState

Point = tuple[float, float]


def best_so_far(values: Iterable[tuple[int, float]], direction: str) -> list[tuple[int, float]]:
    """The trials that were better than all before them, with their values, in the order of `values`."""
    improvements: list[tuple[int, float]] = []
    for number, value in values:
        if math.isfinite(value) and (not improvements or is_better(value, improvements[-1][1], direction)):
            improvements.append((number, value))
    return improvements


def distribution(values: Iterable[float], cap: int = 400) -> list[tuple[float, float]]:
    """(value, share of the values that are not larger), ascending; each value once, what is not finite left out.

    Args:
        cap: Of more different values (2 or more) so many are given, evenly spread, both ends among them.

    The empirical distribution function, by which whole searches are compared (Radosavovic et al. 2019, section 3).
    """
    finite = sorted(value for value in values if math.isfinite(value))
    shares = {value: (i + 1) / len(finite) for i, value in enumerate(finite)}  # the last one of equals
    last = list(shares.items())
    if len(last) <= cap:
        return last
    return [last[i * (len(last) - 1) // (cap - 1)] for i in range(cap)]


def lineage(parents: Mapping[int, int | None], number: int) -> list[int]:
    """The trials that led to one, from the first to itself.

    Args:
        parents: Number of the trial that each goes on from; what is not in it is not looked further back from.
    """
    line: list[int] = []
    last: int | None = number
    while last is not None and last in parents:
        line.append(last)
        last = parents[last]
    return line[::-1]


def some_of(values: Mapping[int, float | None], cap: int, direction: str) -> list[int]:
    """At most `cap` of the trials in `values`: a third of them the best, the rest evenly spread; ascending.

    Args:
        values: Value of each trial by its number, None where it has none.
    """
    numbers = sorted(values)
    if len(numbers) <= cap:
        return numbers

    def by_loss(number: int) -> tuple[bool, float, int]:
        value = values[number]
        return (True, 0.0, number) if value is None else (False, loss_of(value, direction), number)

    chosen = set(sorted(numbers, key=by_loss)[: cap // 3])
    rest = [number for number in numbers if number not in chosen]
    wanted = cap - len(chosen)
    chosen.update(rest[i * len(rest) // wanted] for i in range(wanted))
    return sorted(chosen)


def thinned(points: Sequence[Point], cap: int) -> list[Point]:
    """At most `cap` of the points (4 or more), in their order: both ends, and of each stretch the lowest and highest.

    What is not finite gives way to what is.
    """
    if len(points) <= cap:
        return list(points)
    kept = {0, len(points) - 1}
    n_stretches = (cap - 2) // 2
    for i in range(n_stretches):
        stretch = range(i * len(points) // n_stretches, (i + 1) * len(points) // n_stretches)
        finite = [index for index in stretch if math.isfinite(points[index][1])]
        if finite:
            kept.add(min(finite, key=lambda index: points[index][1]))
            kept.add(max(finite, key=lambda index: points[index][1]))
    return [points[index] for index in sorted(kept)]


@dataclass(frozen=True)
class Observed:
    """A configuration with a loss that can be compared with that of any other one."""

    number: int
    params: Params
    loss: float


def observed(state: StudyState) -> list[Observed]:
    """The configurations of which a loss is known, by number; what is not finite is left out.

    Pruned trials count as `study_state.loss_of_pruned` says. With fidelity there is one loss for each configuration, as
    if all had been trained as far as the farthest, and one that began with what another had learnt is left out.
    """
    losses: dict[int, float | None]
    if state.spec.fidelity is None:
        losses = state.losses()
    else:
        borrowed = {number for number, emission in state.emissions.items() if not emission.proposal.is_root}
        steps = [step for step in state.steps() if step.config not in borrowed]
        losses = final_losses(steps, state.spec.fidelity.ladder.top)
    return [
        Observed(number, state.emissions[number].proposal.params, loss)
        for number, loss in sorted(losses.items())
        if loss is not None and math.isfinite(loss) and number in state.emissions
    ]


def failures_by_reason(state: StudyState) -> dict[str, list[int]]:
    """Numbers of the failed trials, ascending, by reason; the commonest reason first."""
    numbers: dict[str, list[int]] = {reason: [] for reason in state.failures}
    for number in sorted(state.finished):
        trial = state.finished[number]
        if trial.state is TrialState.FAILED:
            numbers[trial.reason or "unknown"].append(number)
    return numbers


def gpu_hours(results: Iterable[Mapping[str, Any]]) -> float | None:
    """GPU-hours of all attempts of the trials whose result records these are, cached ones left out.

    None where no trial had a GPU.
    """
    seconds, any_gpu = 0.0, False
    for result in results:
        gpus = result.get("gpus") or 0
        if result.get("cached") or not gpus:
            continue
        any_gpu = True
        attempts = result.get("attempts") or [result]
        seconds += gpus * sum(float(attempt.get("seconds") or 0.0) for attempt in attempts)
    return seconds / 3600 if any_gpu else None


def busy_s(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds during which at least one of the spans (begin, end; in seconds) was going on."""
    total, until = 0.0, None
    for begin, end in sorted(spans):
        start = begin if until is None else max(begin, until)
        if end > start:
            total += end - start
            until = end
    return total


@dataclass(frozen=True)
class Pruning:
    """What a study's pruner did, and what its audit says of it.

    Args:
        n_pruned: Trials that it ended.
        pruned_s: How long they ran on average, in seconds; None where there are none, or it is not known.
        complete_s: The same of the complete trials that ran in this study.
        audited: Numbers of the trials that it would have ended and that ran on, ascending.
        complete: Those of them that are complete.
        among_best: Those that are among the best quarter of the complete trials of their fidelity: had they been ended,
            it would have been a mistake.
        best: The best trial of the study, where it is one of them.
    """

    n_pruned: int
    pruned_s: float | None
    complete_s: float | None
    audited: tuple[int, ...]
    complete: tuple[int, ...]
    among_best: tuple[int, ...]
    best: int | None


def pruning(state: StudyState) -> Pruning:
    """What pruning cost and what it may have cost, from the trials that have ended.

    Of n complete trials the best quarter are n // 4, at least one; ties go to the lower number.
    """
    direction = state.spec.objective.direction
    audited = tuple(sorted(number for number, trial in state.finished.items() if trial.audited))
    ranked: dict[float | None, list[tuple[float, int]]] = {}
    for number, trial in state.finished.items():
        if trial.state is TrialState.COMPLETE and trial.value is not None:
            ranked.setdefault(trial.proposal.fidelity, []).append((loss_of(trial.value, direction), number))
    complete = {number for found in ranked.values() for _, number in found}
    top = {number for found in ranked.values() for _, number in sorted(found)[: max(1, len(found) // 4)]}
    best = state.incumbent
    return Pruning(
        n_pruned=state.n_in(TrialState.PRUNED),
        pruned_s=_mean_seconds(state, TrialState.PRUNED),
        complete_s=_mean_seconds(state, TrialState.COMPLETE),
        audited=audited,
        complete=tuple(number for number in audited if number in complete),
        among_best=tuple(number for number in audited if number in top),
        best=best.number if best is not None and best.audited else None,
    )


def _mean_seconds(state: StudyState, ended: TrialState) -> float | None:
    trials = state.finished.values()
    seconds = [t.seconds for t in trials if t.state is ended and t.seconds is not None and not t.cached]
    return math.fsum(seconds) / len(seconds) if seconds else None
