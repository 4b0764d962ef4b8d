"""Several studies on one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from hpo_workflow.analysis.comparison import Candidate, Comparison, Course, time_unit
from hpo_workflow.report import chart
from hpo_workflow.report.axis import number_axis, value_axis
from hpo_workflow.report.chart import Line
from hpo_workflow.report.html import digest, environment, param_text, part, value_text

N_COLOURS = 8
"""Studies in colours of their own; further ones repeat them with dashes."""


@dataclass(frozen=True)
class _Race:
    """A chart of all studies."""

    title: str
    svg: Markup


def render(comparison: Comparison, written: str) -> str:
    """The page.

    Args:
        written: When and by what it was written.
    """
    style = part("page.css") + part("compare.css")
    first = comparison.candidates[0]
    unit = time_unit(max([each.trial_hours for each in comparison.candidates]))
    names = list(dict.fromkeys(name for each in comparison.candidates for name in each.params or ()))
    return (
        environment()
        .from_string(part("compare.html"))
        .render(
            comparison=comparison,
            candidates=comparison.candidates,
            metric=first.metric,
            direction=first.direction,
            style=Markup(style),
            policy=f"default-src 'none'; style-src '{digest(style)}'; base-uri 'none'; form-action 'none'",
            kinds=[_kind(index) for index in range(len(comparison.candidates))],
            races=_races(comparison.candidates, unit),
            unit=unit[0],
            in_unit=lambda hours: "" if hours is None else f"{hours * unit[1]:.3g}",
            names=names,
            value_text=value_text,
            param_text=param_text,
            written=written,
        )
    )


def _kind(index: int) -> str:
    """The class of a study's line."""
    return f"c{index % N_COLOURS}" + (" further" if index >= N_COLOURS else "")


def _races(candidates: Sequence[Candidate], unit: tuple[str, float]) -> list[_Race]:
    metric, (unit_name, per_hour) = candidates[0].metric, unit
    by_trials = [(each.by_trials(), float(len(each.complete))) for each in candidates]
    by_time = [
        (
            [(hours * per_hour, value) for hours, value in each.by_hours()],
            per_hour * max([trial.hours or 0.0 for trial in each.complete] or [0.0]),
        )
        for each in candidates
    ]
    races = []
    for by, x_title, courses, whole in (
        ("trials", "complete trials", by_trials, True),
        ("time", f"{unit_name} since the first trial began", by_time, False),
    ):
        svg = _race(x_title, metric, candidates[0].direction, courses, whole=whole)
        if svg is not None:
            races.append(_Race(f"Best {metric} so far, by {by}", svg))
    return races


def _race(
    x_title: str, metric: str, direction: str, courses: Sequence[tuple[Course, float]], *, whole: bool
) -> Markup | None:
    """The best so far of each study as a staircase, to the end of the study; None where there is nothing to draw."""
    values = [value for course, _ in courses for _, value in course]
    if not values:
        return None
    x = number_axis(x_title, 1 if whole else 0, max(end for _, end in courses), whole=whole)
    y = value_axis(metric, values, direction)
    lines = [
        Line(index, _stairs(course, end), kind=_kind(index)) for index, (course, end) in enumerate(courses) if course
    ]
    return Markup(chart.race(x, y, lines))


def _stairs(course: Course, end: float) -> Course:
    points: Course = []
    for spent, value in course:
        if points:
            points.append((spent, points[-1][1]))
        points.append((spent, value))
    return [*points, (end, points[-1][1])]
