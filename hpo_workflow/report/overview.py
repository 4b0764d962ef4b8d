"""Drawings of a whole study, from what a report shows: importances, spread of values, slots, levels, all parameters.

Each function gives the drawing, None where there is nothing to draw, and what is to be said of it.
"""

from __future__ import annotations

import math

from markupsafe import Markup

from hpo_workflow.analysis import some_of
from hpo_workflow.analysis.timeline import Timeline
from hpo_workflow.report import chart
from hpo_workflow.report.axis import Axis, Strips, number_axis, parameter_axis, value_axis
from hpo_workflow.report.chart import Bar, Course, Span
from hpo_workflow.report.content import Content, Row
from hpo_workflow.space import Parameter

MOST_BARS = 30
"""Parameters whose importance is drawn."""

MOST_SLOTS = 200
"""Slots that are drawn."""

MOST_STAYS = 20_000
"""Trials that are drawn in the picture of levels."""

MOST_LINES = 300
"""Trials that are drawn across all parameters."""

MOST_AXES = 12
"""Parameters that stand side by side."""

SHADES = 5
"""Classes `v0` (the worst) to `v4` (the best) of trials by value."""

UNITS = (
    (1.0, "seconds", 600.0),
    (60.0, "minutes", 21_600.0),
    (3600.0, "hours", 864_000.0),
    (86_400.0, "days", math.inf),
)
"""Seconds of a unit of time, its name, and up to which length it is used."""

CAUSES = {
    "others": "for other trials",
    "proposing": "for metrics to be read and a trial to be proposed",
    "starting": "for that trial to start, with the queue",
    "nothing left": "at the end, when nothing was left",
}


def importance_chart(content: Content) -> tuple[Markup | None, str]:
    """The importance of each parameter with its interval."""
    found = content.importances
    if found is None:
        return None, ""
    if not found.parameters:
        return None, found.note
    shown = found.parameters[:MOST_BARS]
    rows = [
        Bar(each.name, each.share, each.low, each.high, f"{each.share:.0%} ({each.low:.0%} to {each.high:.0%})")
        for each in shown
    ]
    x = number_axis("share of the differences", 0.0, max(0.1, *(each.high for each in shown)))
    notes = [] if found.explained is None else [f"Together they explain {found.explained:.0%} of the differences."]
    if len(shown) < len(found.parameters):
        notes.append(f"{len(found.parameters) - len(shown)} less important ones are left out.")
    return Markup(chart.bars(x, rows)), " ".join([*notes, found.note]).strip()


def distribution_chart(content: Content) -> tuple[Markup | None, str]:
    """At each value the share of the complete trials that are not above it."""
    points = content.distribution
    if len(points) < 2:
        return None, ""
    x = value_axis(content.metric, [value for value, _ in points], content.direction, content.target)
    y = number_axis("share of trials", 0.0, 1.0)
    note = "Values far off are drawn at the edge." if x.cut else ""
    return Markup(chart.stairs(x, y, points, content.target)), note


def slots_chart(content: Content) -> tuple[Markup | None, str]:
    """Who held which slot when, and what empty slots waited for."""
    found = content.timeline
    if found is None:
        return None, ""
    length = max(found.ended - found.begun, 1.0)
    unit, name = next((seconds, name) for seconds, name, most in UNITS if length <= most)

    def at(moment: float) -> float:
        return (moment - found.begun) / unit

    shown = found.slots[:MOST_SLOTS]
    spans = [
        Span(row, at(each.begun), at(each.ended), f"held {each.how}", each.number)
        for row, attempts in enumerate(shown)
        for each in attempts
    ]
    for wait in found.waits:
        if wait.slot < len(shown):
            since = wait.begun
            parts = {"others": wait.others_s, "proposing": wait.proposing_s, "starting": wait.starting_s}
            for cause, seconds in parts.items():
                if seconds > 0:
                    spans.append(Span(wait.slot, at(since), at(since + seconds), f"wait {cause}"))
                since += seconds
    pauses = [(at(begin), at(end)) for begin, end in found.pauses]
    x = number_axis(f"{name} since the first trial was proposed", 0.0, length / unit)
    note = f"{len(found.slots) - len(shown)} further slots are not drawn." if len(shown) < len(found.slots) else ""
    return Markup(chart.slots(x, len(shown), spans, pauses)), note


def slots_said(found: Timeline | None) -> list[str]:
    """How much of the slots' time was used, and what the rest waited for; sentences."""
    if found is None:
        return []
    idle = sum(found.idle_s.values())
    whole = found.busy_s + idle
    if whole <= 0:
        return []
    many = "1 slot was" if len(found.slots) == 1 else f"{len(found.slots)} slots were"
    share = f"{found.busy_s / whole:.0%} of the time ({_time(found.busy_s)} of {_time(whole)}, added up)"
    said = [f"{many} busy for {share}."]
    if found.lost_s > 0:
        said.append(f"{_time(found.lost_s)} of it went into attempts that nothing came of.")
    causes = [f"{_time(seconds)} {CAUSES[cause]}" for cause, seconds in found.idle_s.items() if seconds >= 1]
    if causes:
        said.append(f"Empty slots waited {', '.join(causes)}.")
    if found.pauses:
        paused = sum(end - begin for begin, end in found.pauses)
        said.append(f"Nobody ran the study for {_time(paused)} in between; this does not count.")
    return said


def _time(seconds: float) -> str:
    for unit, letter in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.1f} {letter}"
    return f"{seconds:.0f} s"


def ladder_chart(content: Content) -> tuple[Markup | None, str]:
    """How far each configuration was trained, and which were promoted."""
    found = content.rungs
    if found is None or not found.stays:
        return None, ""
    stays = found.stays
    note = ""
    if len(stays) > MOST_STAYS:
        stays = tuple(stays[i * len(stays) // MOST_STAYS] for i in range(MOST_STAYS))
        note = f"Of {len(found.stays)} trials {MOST_STAYS} are drawn, evenly spread."
    n = len(found.levels)
    stride = max(1, math.ceil(n / 8))
    ticks = [((level + 0.5) / n, f"{rung.fidelity:g}") for level, rung in enumerate(found.levels)]
    y = Axis(content.fidelity, -0.5, n - 0.5, tuple(ticks[::stride]))
    configs = [stay.config for stay in stays]
    x = number_axis("configuration", min(configs), max(configs), whole=True)
    places = [(stay.number, float(stay.config), float(stay.level), stay.how) for stay in stays]
    return Markup(chart.ladder(x, y, places)), note


def parallel_chart(content: Content) -> tuple[Markup | None, str]:
    """All parameters of the trials and the objective side by side, the best trials on top."""
    rows = [row for row in content.rows if row.value is not None and row.state == "complete"]
    parameters = list(content.parameters)
    if len(rows) < 2 or len(parameters) < 2:
        return None, ""
    notes = []
    if len(parameters) > MOST_AXES:
        order = {each.name: i for i, each in enumerate(content.importances.parameters if content.importances else ())}
        parameters.sort(key=lambda parameter: order.get(parameter.name, len(order)))
        notes.append(f"Of {len(parameters)} parameters the {MOST_AXES} most important ones are shown.")
        parameters = parameters[:MOST_AXES]
    if len(rows) > MOST_LINES:
        kept = set(some_of({row.number: row.value for row in rows}, MOST_LINES, content.direction))
        few = f"{MOST_LINES} are drawn: the {MOST_LINES // 3} best, and others evenly spread."
        notes.append(f"Of {len(rows)} complete trials {few}")
        rows = [row for row in rows if row.number in kept]
    values = [row.value for row in rows if row.value is not None]
    axes: list[Axis | Strips] = [parameter_axis(parameter) for parameter in parameters]
    objective = value_axis(content.metric, values, content.direction)
    best = None if content.best is None else content.best.number
    rows.sort(key=lambda row: (row.value or 0.0) * (-1 if content.direction == "minimize" else 1))  # the worst first
    lines = []
    for i, row in enumerate(rows):
        places = [_crossing(parameter, axis, row) for parameter, axis in zip(parameters, axes, strict=True)]
        places.append(None if row.value is None else objective.place(row.value))
        lines.append(Course(row.number, places, "best" if row.number == best else f"v{i * SHADES // len(rows)}"))
    lines.sort(key=lambda line: line.kind == "best")
    return Markup(chart.parallel([*axes, objective], lines)), " ".join(notes)


def _crossing(parameter: Parameter, axis: Axis | Strips, row: Row) -> float | None:
    """Where a trial crosses the axis of a parameter; None where that is inactive in it."""
    value = row.params.get(parameter.name)
    if value is None or not parameter.contains(value):
        return None
    return axis.place(value, row.number) if isinstance(axis, Strips) else axis.place(float(value))
