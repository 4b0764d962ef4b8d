"""A report as one HTML page that needs nothing else: no network, no other file, no data that is code."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from hpo_workflow.analysis import best_so_far, some_of, thinned
from hpo_workflow.report import chart, overview
from hpo_workflow.report.axis import Axis, choice_text, number_axis, parameter_axis, value_axis
from hpo_workflow.report.chart import Dot, Line
from hpo_workflow.report.content import Content, Row
from hpo_workflow.report.figures import Figure, Figures, is_installed, packed_plotly_js, plotly_js
from hpo_workflow.report.figures import figures as figures_of
from hpo_workflow.report.html import digest, environment, exact, param_text, part, script_json, shown, value_text
from hpo_workflow.space import Categorical, Parameter
from hpo_workflow.space.parameters import Float
from hpo_workflow.trial import Value

LONGEST_CELL = 60
"""Characters of one cell of the table."""
LONGEST_REASON = 40

STATIC_ROWS = 500
"""Rows that are in the page as they are; a browser takes seconds for 10 000, and the rest are data for the script."""

MOST_DOTS = 60_000
"""Dots in the scatter plots of all parameters together; a browser draws them without effort."""

FEWEST_DOTS = 500
"""Dots in each of them at least."""

POINTS_OF_A_CURVE = 200
MOST_SENTENCES = 200
"""Pruned trials whose reasons are listed."""
MOST_METRICS = 8
MOST_JOINED = 1000
"""Of so many trials the lineage is drawn."""

OPEN_PLOTS = 24
"""So many scatter plots are open when the page is; the rest can be unfolded."""


@dataclass(frozen=True)
class _Column:
    """A column of the table of trials.

    Args:
        kind: `n` sorts as numbers, `s` as text.
        first: How the first click sorts it.
    """

    name: str
    kind: str
    first: str = "ascending"


@dataclass(frozen=True)
class _Lineage:
    """Who went on from whom.

    Args:
        svg: Values, joined from trial to trial.
        note: What is left out of it.
        names: Parameters that the best trial's line has.
        schedules: Charts of those that changed on the way.
    """

    svg: Markup
    note: str
    names: Sequence[str]
    schedules: Sequence[Markup]


@dataclass(frozen=True)
class _Curves:
    """The learning curves of one metric."""

    metric: str
    svg: Markup
    note: str


def render(content: Content, figures: Figures | None = None, hint: str = "") -> str:
    """The page.

    Args:
        figures: Optuna's plots, which take the places of the plain charts once the page's script has drawn them; the
            page then carries plotly.js. None for plain charts only.
        hint: What the reader could have besides; a line at the end.
    """
    style, script = part("page.css"), part("page.js")
    drawn = figures if figures is not None else Figures({})
    library = packed_plotly_js() if drawn.by_key else ""
    columns, cells = _table(content)
    progress, progress_note = progress_chart(content)
    plots, plot_note = parameter_charts(content)
    curves, curves_left_out = curve_charts(content)
    states = {state: sum(row.state == state for row in content.rows) for state in dict.fromkeys(_states(content))}
    contours = drawn.starting("contour")
    importance, importance_note = overview.importance_chart(content)
    parallel, parallel_note = overview.parallel_chart(content)
    distribution, distribution_note = overview.distribution_chart(content)
    slots, slots_note = overview.slots_chart(content)
    levels, levels_note = overview.ladder_chart(content)
    return (
        environment()
        .from_string(part("page.html"))
        .render(
            content=content,
            style=Markup(style),
            script=Markup(script),
            policy=_policy(style, script, plotly_js() if library else ""),
            figures=drawn,
            figure_json=lambda figure: Markup(figure.json),
            library=Markup(library),
            hint=hint,
            progress=progress,
            progress_note=progress_note,
            importance_chart=importance,
            importance_note=importance_note,
            important=importance is not None or drawn.get("importances") is not None,
            plots=plots,
            open_plots=OPEN_PLOTS,
            plot_note=plot_note,
            slice_note=_common_note(drawn.starting("slice")),
            pairs=bool(contours) or parallel is not None or drawn.get("parallel") is not None,
            parallel=parallel,
            parallel_note=parallel_note,
            contours=contours,
            ranked=content.importances is not None and bool(content.importances.parameters),
            curves=curves,
            curves_left_out=curves_left_out,
            lineage=_lineage(content),
            spread=distribution is not None or drawn.get("edf") is not None,
            distribution_chart=distribution,
            distribution_note=distribution_note,
            levels=levels,
            levels_note=levels_note,
            slots=slots,
            slots_said=overview.slots_said(content.timeline),
            slots_note=slots_note,
            columns=columns,
            cells=cells,
            static_rows=STATIC_ROWS,
            rest=_rest(cells[STATIC_ROWS:]),
            state_text=_state_text,
            filter_example=_filter_example(content),
            states=states,
            n_shades=chart.N_SHADES,
            most_sentences=MOST_SENTENCES,
            exact=exact,
            params_json=None if content.best is None else json.dumps(content.best.params),
            value_text=value_text,
            param_text=param_text,
        )
    )


def interactive_plots(content: Content) -> tuple[Figures | None, str]:
    """Optuna's plots for `render`, and what to say where there are none."""
    if not is_installed():
        return None, (
            "Plots to zoom and point at, and contours, come with pip install 'hpo-workflow[report]'; "
            "then `hpo report` writes this page anew."
        )
    ranked = [] if content.importances is None else [each.name for each in content.importances.parameters]
    try:
        return figures_of(content, ranked), ""
    except Exception as error:  # a broken installation of a package of others must not cost a study its report
        return None, f"The interactive plots could not be made: {type(error).__name__}: {error}"


def _policy(style: str, script: str, library: str) -> str:
    """What the page may do: its own style sheet and script, and plotly.js where it carries it; no network, no eval.

    Plotly writes its rules into a style sheet that is empty when it is added, and makes pictures that can be saved.
    """
    styles, scripts, further = f"'{digest(style)}'", f"'{digest(script)}'", ""
    if library:
        styles, scripts, further = f"{styles} '{digest('')}'", f"{scripts} '{digest(library)}'", "img-src data: blob:; "
    return f"default-src 'none'; style-src {styles}; script-src {scripts}; {further}base-uri 'none'; form-action 'none'"


def _common_note(figures: Sequence[Figure]) -> str:
    """What is said of all figures, where it is the same of each."""
    notes = {figure.note for figure in figures}
    return notes.pop() if len(notes) == 1 else ""


def _filter_example(content: Content) -> str:
    """What one could type into the filter of the table."""
    numeric = [p for p in content.parameters if isinstance(p, Float) and re.fullmatch(r"[\w.-]{1,16}", p.name)]
    if not numeric:
        return "trial<10"
    middle = math.sqrt(numeric[0].low * numeric[0].high) if numeric[0].log else (numeric[0].low + numeric[0].high) / 2
    return f"{numeric[0].name}<{middle:.1g}"


# ---- charts ------------------------------------------------------------------------------------------------
def _states(content: Content) -> list[str]:
    return [row.state for row in content.rows]


def _order(content: Content) -> dict[int, float]:
    """Place of each trial among all, from 0 to 1."""
    last = max(1, len(content.rows) - 1)
    return {row.number: index / last for index, row in enumerate(content.rows)}


def _judged(content: Content) -> list[Row]:
    """The trials that a chart can show: with a value, or failed."""
    return [row for row in content.rows if row.value is not None or row.state == "failed"]


def progress_chart(content: Content) -> tuple[Markup | None, str]:
    """The values in the order of the trials, and what is left out."""
    rows = _judged(content)
    values = [(row.number, row.value) for row in rows if row.value is not None]
    if not values:
        return None, ""
    complete = [(row.number, row.value) for row in rows if row.value is not None and row.state == "complete"]
    y = value_axis(content.metric, [value for _, value in values], content.direction, content.target)
    x = number_axis("trial", rows[0].number, rows[-1].number, whole=True)
    dots = [Dot(row.number, row.number, row.value, pruned=row.state == "pruned") for row in rows]
    notes = []
    if y.cut:
        notes.append(_beyond(y, [value for _, value in values]))
    if content.target is not None and not y.holds(content.target):
        notes.append(f"The target, {value_text(content.target)}, lies off the axis.")
    return Markup(chart.progress(x, y, dots, best_so_far(complete, content.direction), content.target)), " ".join(notes)


def _beyond(y: Axis, values: Iterable[float]) -> str:
    count = sum(not y.holds(value) for value in values)
    if count == 1:
        return "1 value is far off and drawn as a square at the edge."
    return f"{count} values are far off and drawn as squares at the edge."


def parameter_charts(content: Content) -> tuple[list[tuple[str, Markup]], str]:
    """A scatter plot for each parameter with the name of Optuna's plot of it, and what is left out of them."""
    rows = _judged(content)
    values = [row.value for row in rows if row.value is not None]
    if not values or not content.parameters:
        return [], ""
    y = value_axis(content.metric, values, content.direction)
    notes = []
    if y.cut:
        notes.append(_beyond(y, values))
    cap = max(FEWEST_DOTS, MOST_DOTS // len(content.parameters))
    if len(rows) > cap:
        kept = set(some_of({row.number: row.value for row in rows}, cap, content.direction))
        notes.append(f"Of {len(rows)} trials {cap} are drawn: the {cap // 3} best, and others evenly spread.")
        rows = [row for row in rows if row.number in kept]
    order = _order(content)
    best = None if content.best is None else content.best.number
    plots = []
    for index, parameter in enumerate(content.parameters):
        dots = [
            Dot(row.number, row.params[parameter.name], row.value, order[row.number], row.state == "pruned")
            for row in rows
            if _shows(parameter, row.params.get(parameter.name))
        ]
        if any(dot.value is not None for dot in dots):
            plots.append((f"slice-{index}", Markup(chart.scatter(parameter_axis(parameter), y, dots, best))))
    return plots, " ".join(notes)


def _shows(parameter: Parameter, value: Value | None) -> bool:
    """Whether a value has a place on the parameter's axis; what is inactive has none."""
    return value is not None and parameter.contains(value)


def curve_charts(content: Content) -> tuple[list[_Curves], str]:
    """The learning curves of each metric that has some, and which metrics are left out."""
    states = {row.number: row.state for row in content.rows if row.state in ("failed", "pruned")}
    order = _order(content)
    best = None if content.best is None else content.best.number
    metrics = [name for name, trials in content.curves.items() if any(len(points) > 1 for points in trials.values())]
    drawn = []
    for metric in metrics[:MOST_METRICS]:
        lines = []
        for number, points in content.curves[metric].items():
            kind = "best" if number == best else states.get(number, "")
            lines.append(Line(number, thinned(points, POINTS_OF_A_CURVE), order.get(number, 0.0), kind))
        drawn.append(_metric_curves(content, metric, lines))
    left_out = metrics[MOST_METRICS:]
    return drawn, f"Not drawn: {', '.join(left_out[:MOST_METRICS])}." if left_out else ""


def _metric_curves(content: Content, metric: str, lines: Sequence[Line]) -> _Curves:
    steps = [step for line in lines for step, _ in line.points if math.isfinite(step)] or [0.0]
    values = [value for line in lines for _, value in line.points]
    y = value_axis(metric, values, content.direction if metric == content.metric else "")
    x = number_axis(content.step, min(steps), max(steps), whole=all(step == int(step) for step in steps))
    note = "Values far off are drawn at the edge." if y.cut else ""
    return _Curves(metric, Markup(chart.curves(x, y, lines)), note)


# ---- lineage -----------------------------------------------------------------------------------------------
def _lineage(content: Content) -> _Lineage | None:
    """How trials went on from each other; None where none did."""
    rows = {row.number: row for row in content.rows if row.value is not None and row.fidelity is not None}
    if not any(row.parent in rows for row in rows.values()):
        return None
    order = _order(content)
    of_best = {stage.number for stage in content.stages}
    drawn = set(some_of({row.number: row.value for row in rows.values()}, MOST_JOINED, content.direction)) | of_best
    lines = []
    for row in rows.values():
        if row.number in drawn:
            family = [rows[row.parent], row] if row.parent in rows else [row]
            points = [(each.fidelity, each.value) for each in family]
            known = [(x, y) for x, y in points if x is not None and y is not None]
            lines.append(Line(row.number, known, order[row.number], "best" if row.number in of_best else ""))
    y = value_axis(content.metric, [value for line in lines for _, value in line.points], content.direction)
    x = _fidelity_axis(content)
    notes = [_beyond(y, [line.points[-1][1] for line in lines])] if y.cut else []
    if len(drawn) < len(rows):
        notes.append(f"Of {len(rows)} trials {len(drawn)} are drawn: the best ones, and others evenly spread.")
    names = [p.name for p in content.parameters if any(p.name in stage.params for stage in content.stages)]
    return _Lineage(Markup(chart.family(x, y, lines)), " ".join(notes), names, _schedules(content, drawn))


def _fidelity_axis(content: Content) -> Axis:
    ends = [row.fidelity for row in content.rows if row.fidelity is not None]
    return number_axis(content.fidelity, 0, max(ends), whole=all(end == int(end) for end in ends))


def _schedules(content: Content, drawn: Collection[int]) -> list[Markup]:
    """A chart for each numeric parameter that changed on the way to the best trial."""
    rows = {row.number: row for row in content.rows if row.fidelity is not None}
    order = _order(content)
    x = _fidelity_axis(content)
    charts = []
    for parameter in content.parameters:
        name = parameter.name
        y = parameter_axis(parameter)
        of_best = [stage for stage in content.stages if _shows(parameter, stage.params.get(name))]
        if not isinstance(y, Axis) or len({stage.params[name] for stage in of_best}) < 2:
            continue
        lines = []
        for row in rows.values():
            if row.number in drawn and _shows(parameter, row.params.get(name)):
                begins = rows[row.parent].fidelity if row.parent in rows else 0.0
                held = float(row.params[name])
                lines.append(Line(row.number, [(begins or 0.0, held), (row.fidelity or 0.0, held)], order[row.number]))
        course = [(end, float(stage.params[name])) for stage in of_best for end in (stage.begins, stage.ends)]
        lines.append(Line(of_best[-1].number, course, 1.0, "best"))
        charts.append(Markup(chart.schedule(x, y, lines)))
    return charts


# ---- the table ---------------------------------------------------------------------------------------------
def _table(content: Content) -> tuple[list[_Column], list[tuple[Row, list[str]]]]:
    """The columns, and for each trial its cells from the third on (number and state are the template's)."""
    rows = content.rows
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics if name != content.metric))[:MOST_METRICS]
    best_first = "descending" if content.direction == "maximize" else "ascending"
    columns = [
        _Column("trial", "n"),
        _Column("state", "s"),
        _Column(content.metric, "n", best_first),
        *([_Column(content.fidelity, "n"), _Column("from", "n")] if content.fidelity else []),
        _Column("seconds", "n"),
        *(_Column(parameter.name, _kind(parameter)) for parameter in content.parameters),
        *(_Column(name, "n") for name in metrics),
    ]
    names = [parameter.name for parameter in content.parameters]
    cells = []
    for row in rows:
        params: Mapping[str, Value | None] = row.params
        further = [value_text(row.fidelity), "" if row.parent is None else str(row.parent)]
        line = [*(further if content.fidelity else []), value_text(row.seconds)]
        line += [_cell(params.get(name)) for name in names]
        line += [value_text(row.metrics.get(name)) for name in metrics]
        cells.append((row, line))
    return columns, cells


def _state_text(row: Row) -> str:
    """What a row says of its trial's state."""
    reason = (
        ""
        if not row.reason
        else row.reason
        if len(row.reason) <= LONGEST_REASON
        else f"{row.reason[: LONGEST_REASON - 1]}…"
    )
    return row.state + (f" ({reason})" if reason else "") + (", from the cache" if row.cached else "")


def _rest(cells: Sequence[tuple[Row, list[str]]]) -> Markup:
    """Rows that the page's script makes when they are asked for: number, state, exact value, and all texts."""
    rows = [
        [row.number, row.state, _finite(row.value), *map(shown, [_state_text(row), value_text(row.value), *line])]
        for row, line in cells
    ]
    return script_json(rows)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _kind(parameter: Parameter) -> str:
    if not isinstance(parameter, Categorical):
        return "n"
    return "n" if all(isinstance(c, (int, float)) and not isinstance(c, bool) for c in parameter.choices) else "s"


def _cell(value: Value | None) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return value_text(value)
    text = choice_text(value)
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"
