"""One loss for each configuration, whatever level of the ladder it has reached, so that any sampler learns from all.

The loss at a level is taken to be about a + b times the loss at the level before (b >= 0), an autoregressive model of
fidelities. Its line is fitted to the configurations that have both, robustly, as a few trainings always diverge between
two levels. The lines are chained up to the highest level that has results: what was observed there is kept, and every
other configuration gets what its last loss lets expect of it. Among configurations that stopped at the same level the
order stays as it was.

Source: Kennedy and O'Hagan 2000 (equation 1, with a constant for the discrepancy).
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hpo_workflow.multifidelity.actions import Step
from hpo_workflow.trial import TrialState

SAME_ORDER = 3.0
"""So many pairs in favour of a line along which the spread of one level becomes that of the next: with few pairs a
slope is mostly noise."""

FAR = 10.0
"""A loss counts as at most so many spreads away from the median."""

BENDS = 1.5
"""Residuals beyond so many median ones count less (Huber)."""

ROUNDS = 10
"""Of weighing and fitting; more change nothing that matters."""


@dataclass(frozen=True)
class Line:
    """y = middle_y + slope * (x - middle_x)."""

    middle_x: float = 0.0
    middle_y: float = 0.0
    slope: float = 1.0

    def __call__(self, x: float) -> float:
        y = self.middle_y + self.slope * (x - self.middle_x)
        return min(max(y, -1e308), 1e308)


def _spread(values: Sequence[float], middle: float) -> float:
    """The median distance from the middle; where more than half are there, the mean distance."""
    away = [abs(value - middle) for value in values]
    return statistics.median(away) or math.fsum(away) / len(away)


def robust_line(pairs: Sequence[tuple[float, float]]) -> Line:
    """The line through pairs (x, y), one or more; it never falls.

    It does not depend on their order, and follows any change of the units of x and y (where there are two or more).
    """
    pairs = sorted(pairs)
    xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
    middle_x, middle_y = statistics.median(xs), statistics.median(ys)
    spread_x, spread_y = _spread(xs, middle_x), _spread(ys, middle_y)
    if not (0.0 < spread_x < math.inf and spread_y < math.inf):
        return Line(middle_x, middle_y)  # one pair, or equal losses: they say nothing of a slope
    if spread_y == 0.0:
        return Line(middle_x, middle_y, 0.0)
    u = [min(max((x - middle_x) / spread_x, -FAR), FAR) for x in xs]
    v = [min(max((y - middle_y) / spread_y, -FAR), FAR) for y in ys]
    slope, height = 1.0, 0.0
    for _ in range(ROUNDS):
        residuals = [abs(b - height - slope * a) for a, b in zip(u, v, strict=True)]
        bend = BENDS * statistics.median(residuals)
        weights = [1.0 if residual <= bend else bend / residual for residual in residuals]
        total = math.fsum(weights)
        if total == 0.0:  # more than half lie on the line
            weights = [float(residual == 0.0) for residual in residuals]
            total = math.fsum(weights)
        mean_u = math.fsum(w * a for w, a in zip(weights, u, strict=True)) / total
        mean_v = math.fsum(w * b for w, b in zip(weights, v, strict=True)) / total
        across = math.fsum(w * (a - mean_u) * (b - mean_v) for w, a, b in zip(weights, u, v, strict=True))
        along = math.fsum(w * (a - mean_u) ** 2 for w, a in zip(weights, u, strict=True))
        slope = max(0.0, (across + SAME_ORDER) / (along + SAME_ORDER))
        height = mean_v - slope * mean_u
    return Line(middle_x, middle_y + height * spread_y, slope * spread_y / spread_x)


@dataclass
class _Course:
    """What a configuration has shown so far: its losses by level, and how its last trial ended."""

    losses: dict[int, float] = field(default_factory=dict)
    last: Step | None = None


def _courses(steps: Iterable[Step]) -> dict[int, _Course]:
    """By configuration; those of which nothing is known are left out."""
    found: dict[int, _Course] = {}
    for step in sorted(steps, key=lambda each: each.number):
        if step.is_pending or step.state is TrialState.CANCELLED:
            continue
        course = found.setdefault(step.config, _Course())
        if step.loss is not None:
            course.losses[step.level] = step.loss
        if course.last is None or step.level >= course.last.level:
            course.last = step
    return found


def level_lines(losses: Sequence[dict[int, float]]) -> list[tuple[int, Line]]:
    """(level, line from it to the next level with results) for each level with results but the highest, ascending.

    Without a configuration that has both levels, the medians of the levels are taken for a pair.

    Args:
        losses: Of each configuration, by level.
    """
    levels = sorted({level for course in losses for level in course})
    lines = []
    for low, high in itertools.pairwise(levels):
        pairs = [(course[low], course[high]) for course in losses if low in course and high in course]
        if not pairs:
            medians = [statistics.median(course[k] for course in losses if k in course) for k in (low, high)]
            pairs = [(medians[0], medians[1])]
        lines.append((low, robust_line(pairs)))
    return lines


def final_losses(steps: Sequence[Step], top: int) -> dict[int, float | None]:
    """By configuration, a loss that can be compared with that of any other; None where the last trial failed.

    A configuration without any result is left out. One that was pruned is worth what its earlier losses let expect, but
    at least the median of those that got through the level where it was pruned; without any such loss it counts as
    failed.

    Args:
        steps: All trials, in any order.
        top: The highest level of the ladder; results above it (of an earlier, longer ladder) are compared as they are.
    """
    courses = _courses(steps)
    losses = [{min(k, top): loss for k, loss in sorted(course.losses.items())} for course in courses.values()]
    lines = level_lines(losses)
    medians = {
        level: statistics.median(course[level] for course in losses if level in course)
        for level in {level for course in losses for level in course}
    }

    def projected(level: int, loss: float) -> float:
        for low, line in lines:
            if low >= level:
                loss = line(loss)
        return loss

    found: dict[int, float | None] = {}
    for (config, course), by_level in zip(courses.items(), losses, strict=True):
        last = course.last
        assert last is not None
        known = [projected(level, by_level[level]) for level in sorted(by_level)[-1:]]
        if last.state is TrialState.PRUNED:
            level = min(last.level, top)
            above = [k for k in sorted(medians) if k >= level]
            if above:
                known.append(projected(above[0], medians[above[0]]))
        if last.state is TrialState.FAILED or not known:
            found[config] = None
        else:
            found[config] = max(known)
    return dict(sorted(found.items()))


def first_losses(steps: Sequence[Step]) -> dict[int, float | None]:
    """By configuration, what its first trial came to, which nothing that happens later changes; None where it failed.

    For samplers that live through a study from its beginning each time: with other losses they would live another life
    and not know their own proposals again. A configuration whose first trial was pruned counts as failed.
    """
    found: dict[int, float | None] = {}
    for step in sorted(steps, key=lambda each: each.number):
        if step.parent is None and not step.is_pending and step.state is not TrialState.CANCELLED:
            found[step.config] = step.loss
    return found
