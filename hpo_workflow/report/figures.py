"""Optuna's plots of a study as figures that a page draws with plotly.js: trials in, JSON out.

Nothing that a study calls something reaches Optuna or Plotly: names, choices and the metric go in as tokens (`~003~`)
and come back as texts at the end, with everything escaped that Plotly would take for a tag (`<b>`, `<a href>`), an
entity, a formula (`$...$`) or a placeholder (`%{...}`). The tokens also keep the order of the study file where Optuna
sorts, and are never cut where it shortens.

Colours are names that the page resolves, so that one figure fits light and dark: under a key that ends in `color`,
`--NAME` is a variable of the style sheet and `scale:0.4` a place on the scale from the worst to the best value; under
`colorscale` the names `order`, `good-low` and `good-high` are whole scales.

Optuna and Plotly are imported when a figure is made (extra `report`).
"""

from __future__ import annotations

import base64
import gzip
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import resources
from importlib.util import find_spec
from itertools import combinations
from typing import TYPE_CHECKING, Any

from hpo_workflow.analysis import Point, best_so_far, some_of, thinned
from hpo_workflow.metrics import printable
from hpo_workflow.objective import loss_of
from hpo_workflow.report.axis import Axis, Strips, choice_text, parameter_axis, value_axis
from hpo_workflow.report.content import Content, Row
from hpo_workflow.report.html import script_json
from hpo_workflow.space import Categorical, Parameter, SearchSpace
from hpo_workflow.space.parameters import Float, same_choice

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

LONGEST_NAME = 40
"""Characters of a name or a choice in a figure."""

MOST_POINTS = 4000
"""Trials in one figure of points: each is an element of the page, and a browser draws so many in half a second."""

MOST_SLICED = 20_000
"""Points in the figures of all parameters together; in each at least FEWEST_SLICED."""
FEWEST_SLICED = 300

MOST_LINES = 250
"""Trials in the parallel coordinates; more are a carpet."""

MOST_DIMENSIONS = 12
TOUCHING = 0.05
"""Marks on an axis of the parallel coordinates that are nearer to each other touch."""

FEW_NUMBERS = 8
"""So many whole numbers have a mark each on an axis of the parallel coordinates."""

MOST_CROSSED = 4
"""Of so many parameters each pair has a contour."""

MOST_IN_CONTOUR = 400
FEWEST_IN_CONTOUR = 20
STRETCHES = 16
GRID = 40
"""Points along each side of a contour between numbers; Optuna's own has as many as there are trials."""

MOST_IN_IMPORTANCES = 1000
FEWEST_IN_IMPORTANCES = 20
MOST_DISTRIBUTED = 5000
POINTS_OF_A_CURVE = 200
MOST_METRICS = 8

DIGITS = 7
"""Of a number in a figure."""

TOKEN = re.compile(r"'~(\d+)~'|~(\d+)~")


@dataclass(frozen=True)
class Figure:
    """A plot.

    Args:
        key: What it is, for the page: `history`, `slice-0`, ...
        title: What it shows, in words, as they are: whoever shows it escapes it.
        json: Data and layout, safe inside of a `<script>`.
        height: In pixels.
        width: Pixels that it needs at least; a page scrolls where it has fewer.
        note: What is left out of it.
    """

    key: str
    title: str
    json: str
    height: int
    width: int = 0
    note: str = ""


@dataclass(frozen=True)
class Figures:
    """All plots of a study by key, and what went wrong with others."""

    by_key: Mapping[str, Figure]
    problems: Sequence[str] = ()

    def get(self, key: str) -> Figure | None:
        """The figure of that name."""
        return self.by_key.get(key)

    def starting(self, kind: str) -> list[Figure]:
        """All figures whose key begins so, in their order."""
        return [figure for key, figure in self.by_key.items() if key.startswith(f"{kind}-")]


def is_installed() -> bool:
    """Whether the extra `report` is there, without importing it."""
    return find_spec("optuna") is not None and find_spec("plotly") is not None


@cache
def plotly_js() -> str:
    """The script that draws, as the installed package ships it."""
    source = resources.files("plotly") / "package_data" / "plotly.min.js"
    return source.read_bytes().decode("utf-8")


@cache
def packed_plotly_js() -> str:
    """The same as gzip in base64: 2 MB instead of 5. The same bytes each time."""
    return base64.b64encode(gzip.compress(plotly_js().encode(), 9, mtime=0)).decode("ascii")


# ---- names ------------------------------------------------------------------------------------------------------
def literal(text: str) -> str:
    """A text that Plotly shows as it is: without tags, entities, formulas or placeholders; of a long one both ends."""
    if len(text) > LONGEST_NAME:
        text = f"{text[: LONGEST_NAME // 2]}\N{HORIZONTAL ELLIPSIS}{text[-(LONGEST_NAME // 2 - 1) :]}"
    shown = printable(text, LONGEST_NAME)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("$", "&#36;"), ("%", "&#37;")):
        shown = shown.replace(character, entity)
    return shown


class _Names:
    """What stands for what."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._shown: dict[str, str] = {}

    def token(self, text: str) -> str:
        """A name for a text; each call gives a new one, also for a text that is known."""
        shown, count = literal(text), 1
        while self._shown.setdefault(shown, text) != text:  # two that are equal where they are not cut
            count += 1
            shown = f"{literal(text)} ({count})"
        self._texts.append(shown)
        return f"~{len(self._texts) - 1:04}~"

    def told(self, text: str) -> str:
        """A text of Optuna's with the real names in it."""
        return TOKEN.sub(lambda found: self._texts[int(found[1] or found[2])], text)


class _Trials:
    """The trials of a study as Optuna knows them, and the axis of their values."""

    def __init__(self, content: Content, ranked: Sequence[str]) -> None:
        from hpo_workflow.integrations.optuna_results import ATTRIBUTES, Conversion

        self.content = content
        self.names = _Names()
        self.metric = self.names.token(content.metric)
        self.parameters = {p.name: self._renamed(p) for p in content.parameters}
        self.ranked = [name for name in ranked if name in self.parameters]
        self.ranked += [name for name in self.parameters if name not in self.ranked]
        tokens = tuple(self.parameters.values())
        self._conversion = Conversion(SearchSpace(tokens, order=tuple(p.name for p in tokens)))
        self._empty: dict[str, Any] = {**dict.fromkeys(ATTRIBUTES), "params": {}, "metrics": {}}
        self._choices = {
            p.name: {same_choice(c): new for c, new in zip(p.by_rank, self.parameters[p.name].by_rank, strict=True)}
            for p in content.parameters
            if isinstance(p, Categorical)
        }
        self._known = {p.name: p for p in content.parameters}
        self._params: dict[int, dict[str, Any]] = {}
        self._studies: dict[Any, optuna.Study] = {}
        self.values = {row.number: row.value for row in content.rows if row.value is not None}
        self.complete = [
            row
            for row in content.rows
            if row.state == "complete" and row.value is not None and math.isfinite(row.value)
        ]
        self.pruned = [
            row for row in content.rows if row.state == "pruned" and row.value is not None and math.isfinite(row.value)
        ]
        self.failed = [row for row in content.rows if row.state == "failed"]
        self.axis = value_axis(content.metric, self.values.values(), content.direction)

    def _renamed(self, parameter: Parameter) -> Any:
        name = self.names.token(parameter.name)
        if isinstance(parameter, Categorical):
            choices = tuple(self.names.token(choice_text(choice)) for choice in parameter.by_rank)
            return Categorical(name, choices)
        plain = replace(parameter, name=name, when=(), fallback=None, prior=None)
        return replace(plain, step=None) if isinstance(plain, Float) else plain

    def token(self, name: str) -> str:
        """What Optuna calls a parameter."""
        return str(self.parameters[name].name)

    def params(self, row: Row) -> dict[str, Any]:
        """The active sampled parameters of a trial, as far as they have a place in the space."""
        if row.number not in self._params:
            found: dict[str, Any] = {}
            for name, parameter in self._known.items():
                value = row.params.get(name)
                if value is not None and parameter.contains(value):
                    token = self.token(name)
                    found[token] = self._choices[name][same_choice(value)] if name in self._choices else value
            self._params[row.number] = found
        return self._params[row.number]

    def some(self, rows: Sequence[Row], cap: int) -> tuple[list[Row], str]:
        """At most `cap` of the trials, and what is left out of them."""
        if len(rows) <= cap:
            return list(rows), ""
        kept = set(some_of({row.number: row.value for row in rows}, cap, self.content.direction))
        note = f"Of {len(rows)} trials {len(kept)} are drawn: the {cap // 3} best, and others evenly spread."
        return [row for row in rows if row.number in kept], note

    def study(
        self,
        rows: Sequence[Row],
        *,
        value: Callable[[float], float] = float,
        params: bool = True,
        points: Sequence[Sequence[Point]] = (),
    ) -> optuna.Study:
        """Complete trials as a study of Optuna, numbered from 0 in the order of `rows`.

        Args:
            value: What becomes of their values.
            params: Whether the plot wants their parameters; without them it is made much sooner.
            points: The course of each, where courses are drawn.
        """
        from hpo_workflow.integrations.optuna_results import in_memory

        key = (tuple(row.number for row in rows), value, params)
        if not points and key in self._studies:  # most slices are of the same trials
            return self._studies[key]
        trials: list[FrozenTrial] = []
        for index, row in enumerate(rows):
            known = {**self._empty, "state": "complete", "value": 0.0 if row.value is None else value(row.value)}
            course = points[index] if points else ()
            trials.append(self._conversion.trial(known, self.params(row) if params else {}, points=course))
        study = in_memory("study", self.metric, self.content.direction, trials)
        get = study.get_trials  # nobody changes them here, and copies of all of them would cost a second for each plot
        study.get_trials = lambda deepcopy=True, states=None: get(deepcopy=False, states=states)  # type: ignore[method-assign]
        if not points:
            self._studies[key] = study
        return study

    def scaled(self, value: float) -> float:
        """A value within the ends of the axis; its logarithm on a logarithmic one."""
        place = self.axis.place(value)
        return self.axis.low + place * (self.axis.high - self.axis.low)

    def beyond(self, rows: Iterable[Row]) -> str:
        """How many of the values lie outside of the picture."""
        count = sum(row.value is not None and not self.axis.holds(row.value) for row in rows)
        if not count:
            return ""
        many = "1 value is" if count == 1 else f"{count} values are"
        return f"{many} far off and outside of the picture: a double click shows all."

    @property
    def mixed(self) -> str:
        """What is to be said where trials of different levels stand side by side."""
        levels = {row.fidelity for row in self.complete}
        return "Trials of all levels are in it." if len(levels) > 1 else ""

    @property
    def good(self) -> str:
        """The scale of colours for values."""
        return "good-high" if self.content.direction == "maximize" else "good-low"


# ---- all of them ---------------------------------------------------------------------------------------------------
def figures(content: Content, ranked: Sequence[str] = ()) -> Figures:
    """Optuna's plots of a study.

    Args:
        content: The study.
        ranked: Its parameters, the most important first; contours and parallel coordinates take the first ones.

    Raises:
        MissingExtra: The extra `report` is not installed.
    """
    from hpo_workflow.samplers.optuna_sampler import quiet

    with quiet():
        trials = _Trials(content, ranked)
        wanted: dict[str, Callable[[], Figure | None]] = {}
        if trials.complete:
            wanted["history"] = partial(_history, trials)
            for index, name in enumerate(trials.parameters):
                wanted[f"slice-{index}"] = partial(_slice, trials, name, f"slice-{index}")
            wanted["parallel"] = partial(_parallel, trials)
            for index, (first, second) in enumerate(combinations(trials.ranked[:MOST_CROSSED], 2)):
                wanted[f"contour-{index}"] = partial(_contour, trials, first, second, f"contour-{index}")
            wanted["importances"] = partial(_importances, trials)
            wanted["edf"] = partial(_edf, trials)
        drawn = [name for name, known in content.curves.items() if any(len(points) > 1 for points in known.values())]
        for index, name in enumerate(drawn[:MOST_METRICS]):
            wanted[f"curves-{index}"] = partial(_curves, trials, name, f"curves-{index}")
        made: dict[str, Figure] = {}
        problems = []
        for key, make in wanted.items():
            try:
                figure = make()
            except Exception as error:  # code of others: a fault in a picture must not cost a study its report
                problems.append(f"The plot {key} could not be made: {type(error).__name__}: {error}")
                continue
            if figure is not None:
                made[key] = figure
    return Figures(made, problems)


def _finished(
    trials: _Trials, key: str, title: str, figure: Mapping[str, Any], height: int, *, width: int = 0, note: str = ""
) -> Figure:
    """A figure with the names in it, without Plotly's own colours, as JSON for a page."""
    data = [trace for trace in figure["data"] if not _is_empty(trace)]
    layout = {name: value for name, value in figure["layout"].items() if name not in ("template", "title", "width")}
    layout.setdefault("margin", {"l": 8, "r": 12, "t": 30, "b": 8})
    layout["height"] = height
    for name, value in layout.items():
        if re.fullmatch(r"[xy]axis\d*", name) and "title" in value:
            value.setdefault("automargin", True)
    text = str(script_json(_told({"data": data, "layout": layout}, trials.names)))
    return Figure(key, title, text, height, width, note)


def _is_empty(trace: Mapping[str, Any]) -> bool:
    xs = trace.get("x")
    return trace.get("type", "scatter") == "scatter" and (xs is None or len(xs) == 0)


def _told(value: Any, names: _Names) -> Any:
    """A part of a figure with real names and short numbers; what is not finite is absent."""
    if isinstance(value, str):
        return names.told(value)
    if isinstance(value, Mapping):
        return {key: _told(inner, names) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_told(inner, names) for inner in value]
    if hasattr(value, "tolist"):
        return _told(value.tolist(), names)
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def _dict(figure: Any) -> dict[str, Any]:
    """A figure of Plotly's as plain values."""
    return {
        "data": [trace.to_plotly_json() for trace in figure.data],
        "layout": figure.layout.to_plotly_json(),
    }


# ---- parts of figures ------------------------------------------------------------------------------------------------
def _value_range(axis: Axis) -> dict[str, Any]:
    """How Plotly draws an axis of values: logarithmic and cut like ours."""
    return {"type": "log" if axis.log else "linear", "range": [axis.low, axis.high], "autorange": False}


def _colour_bar(trials: _Trials) -> dict[str, Any]:
    """The bar of colours for values, marked like the axis; colours are places on it, from 0 to 1."""
    ticks = trials.axis.ticks
    return {
        "title": {"text": trials.metric, "side": "right"},
        "tickvals": [place for place, _ in ticks],
        "ticktext": [text for _, text in ticks],
        "thickness": 12,
        "outlinewidth": 0,
    }


def _crosses(trials: _Trials, xs: Sequence[Any], numbers: Sequence[int]) -> dict[str, Any]:
    """Trials that failed, along the lower end of a picture."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "failed",
        "x": list(xs),
        "y": [0.015] * len(xs),
        "yaxis": "y2",
        "marker": {"symbol": "x-thin", "size": 7, "line": {"width": 1.5, "color": "--red"}, "color": "--red"},
        "customdata": list(numbers),
        "hoverinfo": "none",
    }


RAIL = {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}
"""The axis of what has no value."""


def _faint(trials: _Trials, xs: Sequence[Any], rows: Sequence[Row]) -> dict[str, Any]:
    """Trials that were ended before their time: their values are those of a part."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "pruned",
        "x": list(xs),
        "y": [row.value for row in rows],
        "marker": {"size": 6, "color": "--dot", "opacity": 0.4},
        "customdata": [row.number for row in rows],
        "hoverinfo": "none",
    }


# ---- the plots -------------------------------------------------------------------------------------------------------
def _history(trials: _Trials) -> Figure:
    """Optuna's optimisation history, with pruned and failed trials and the target."""
    import optuna.visualization

    content = trials.content
    rows, note = trials.some(trials.complete, MOST_POINTS)
    improvements = {
        n for n, _ in best_so_far([(row.number, row.value or 0.0) for row in trials.complete], content.direction)
    }
    kept = {row.number for row in rows} | improvements
    rows = [row for row in trials.complete if row.number in kept]  # the line of the best stays whole
    plot = optuna.visualization.plot_optimization_history(trials.study(rows, params=False), target_name=trials.metric)
    figure = _dict(plot)
    numbers = [row.number for row in rows]
    for trace in figure["data"]:
        trace["x"] = [numbers[int(x)] for x in trace["x"]]
    points, best = figure["data"][:2]
    many = len(rows) > 500
    points |= {"name": "complete", "customdata": numbers, "hoverinfo": "none"}
    points["marker"] = {"color": "--dot", "size": 4 if many else 7, "opacity": 0.7 if many else 0.9}
    best |= {"name": "best so far", "hoverinfo": "skip", "line": {"shape": "hv", "color": "--blue", "width": 2.5}}
    if content.rows and best["x"][-1] < content.rows[-1].number:
        best["x"], best["y"] = [*best["x"], content.rows[-1].number], [*best["y"], best["y"][-1]]
    pruned, _ = trials.some(trials.pruned, MOST_POINTS)
    figure["data"].append(_faint(trials, [row.number for row in pruned], pruned))
    failed = trials.failed[:MOST_POINTS]
    figure["data"].append(_crosses(trials, [row.number for row in failed], [row.number for row in failed]))
    axis = value_axis(content.metric, trials.values.values(), content.direction, content.target)
    layout = figure["layout"]
    layout["xaxis"] = {"title": {"text": "trial"}, "rangemode": "tozero" if rows[0].number < 50 else "normal"}
    layout["yaxis"] = {"title": {"text": trials.metric}, **_value_range(axis)}
    layout["yaxis2"] = dict(RAIL)
    layout["legend"] = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
    if content.target is not None and axis.holds(content.target):
        at = math.log10(content.target) if axis.log else content.target
        line = {"color": "--green", "width": 1.5, "dash": "dash"}
        layout["shapes"] = [
            {
                "type": "line",
                "xref": "paper",
                "x0": 0,
                "x1": 1,
                "y0": content.target,
                "y1": content.target,
                "line": line,
            }
        ]
        layout["annotations"] = [
            {
                "xref": "paper",
                "x": 0.01,
                "y": at,
                "text": "target",
                "showarrow": False,
                "xanchor": "left",
                "yanchor": "bottom",
            }
        ]
    notes = [note, trials.beyond([*trials.complete, *trials.pruned])]
    return _finished(
        trials, "history", f"{content.metric} of each trial, and the best so far", figure, 380, note=_joined(notes)
    )


def _joined(notes: Iterable[str]) -> str:
    return " ".join(note for note in notes if note)


def _slice(trials: _Trials, name: str, key: str) -> Figure | None:
    """Optuna's slice of one parameter, with pruned and failed trials and a ring around the best one."""
    import optuna.visualization

    content, token = trials.content, trials.token(name)
    cap = min(MOST_POINTS, max(FEWEST_SLICED, MOST_SLICED // len(trials.parameters)))
    rows, note = trials.some([row for row in trials.complete if token in trials.params(row)], cap)
    if not rows:
        return None
    plot = optuna.visualization.plot_slice(trials.study(rows), params=[token], target_name=trials.metric)
    figure = _dict(plot)
    points = figure["data"][0]
    numbers = [rows[int(index)].number for index in points["marker"]["color"]]
    last = max(1, content.rows[-1].number)
    points |= {"customdata": numbers, "hoverinfo": "none"}
    points["marker"] = {
        "color": [number / last for number in numbers],
        **{"colorscale": "order", "cmin": 0, "cmax": 1, "showscale": False},
        **({"size": 4, "opacity": 0.75} if len(rows) > 500 else {"size": 7, "opacity": 0.9}),
    }
    pruned, _ = trials.some([row for row in trials.pruned if token in trials.params(row)], cap)
    failed = [row for row in trials.failed if token in trials.params(row)][:cap]
    figure["data"].append(_faint(trials, [trials.params(row)[token] for row in pruned], pruned))
    at = [trials.params(row)[token] for row in failed]
    figure["data"].append(_crosses(trials, at, [row.number for row in failed]))
    best = next((row for row in rows if content.best is not None and row.number == content.best.number), None)
    if best is not None:
        figure["data"].append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [trials.params(best)[token]],
                "y": [best.value],
                "marker": {
                    "symbol": "circle-open",
                    "size": 14,
                    "color": "--text",
                    "line": {"width": 2, "color": "--text"},
                },
                "hoverinfo": "skip",
                "cliponaxis": False,  # the best value lies at the edge as a rule
            }
        )
    layout = figure["layout"]
    layout["showlegend"] = False
    layout["margin"] = {"l": 8, "r": 12, "t": 14, "b": 8}
    layout["yaxis"] = {"title": {"text": trials.metric}, **_value_range(trials.axis)}
    layout["yaxis2"] = dict(RAIL)
    _span(layout["xaxis"], trials, name)
    notes = [note, trials.beyond([*rows, *pruned])]
    return _finished(trials, key, f"{content.metric} against {name}", figure, 290, note=_joined(notes))


def _span(axis: dict[str, Any], trials: _Trials, name: str) -> None:
    """Let an axis show all of a numeric parameter's range, with its name."""
    axis["title"] = {"text": trials.token(name)}
    parameter = next(p for p in trials.content.parameters if p.name == name)
    if isinstance(parameter, Categorical):
        return
    ours = parameter_axis(parameter)
    if isinstance(ours, Strips):  # a few whole numbers
        axis |= {"range": [parameter.low - 0.5, parameter.high + 0.5], "autorange": False}
        axis["tickvals"] = [parameter.value(i) for i in range(parameter.size or 0)]
        axis["type"] = "linear"
    else:
        axis |= {"type": "log" if ours.log else "linear", "range": [ours.low, ours.high], "autorange": False}


def _parallel(trials: _Trials) -> Figure | None:
    """Optuna's parallel coordinates: the objective, then the most important parameters; good trials lie on top."""
    import optuna.visualization

    names = trials.ranked[:MOST_DIMENSIONS]
    rows, note = trials.some(trials.complete, MOST_LINES)
    present = {token for row in rows for token in trials.params(row)}
    names = [name for name in names if trials.token(name) in present]
    if len(names) < 2 or len(rows) < 2:
        return None
    plot = optuna.visualization.plot_parallel_coordinate(
        trials.study(rows, value=trials.scaled),
        params=[trials.token(name) for name in names],
        target_name=trials.metric,
    )
    figure = _dict(plot)
    lines, bar = figure["data"][: len(rows)], figure["data"][-1]
    places = [trials.axis.place(row.value or 0.0) for row in rows]
    for row, place, line in zip(rows, places, lines, strict=True):
        line["y"] = [place, *list(line["y"])[1:]]
        line["line"] = {**line["line"], "color": f"scale:{_goodness(trials, place):.3f}"}
        line |= {"meta": row.number, "hoverinfo": "none"}
        del line["hovertemplate"], line["customdata"]
    order = sorted(
        range(len(rows)), key=lambda i: loss_of(rows[i].value or 0.0, trials.content.direction), reverse=True
    )
    bar["marker"] |= {"color": [0, 1], "cmin": 0, "cmax": 1, "colorscale": trials.good, "reversescale": False}
    bar["marker"]["colorbar"] = _colour_bar(trials)
    bar["x"], bar["y"] = [0, 0], [0, 1]
    bar["marker"]["opacity"] = 0
    figure["data"] = [*(lines[i] for i in order), bar]
    layout = figure["layout"]
    layout.pop("plot_bgcolor", None)
    marks = [_mark(0, place, text) for place, text in trials.axis.ticks]
    order_of_axes = sorted(names, key=trials.token)  # Optuna sorts, and tokens are in the order of the study file
    for index, name in enumerate(order_of_axes, start=1):
        values = [trials.params(row).get(trials.token(name)) for row in rows]
        parameter = next(p for p in trials.content.parameters if p.name == name)
        ours = _dimension(parameter, values)
        if ours is None:
            marks += [_mark(index, place, text) for place, text in _apart(layout["annotations"], index)]
            continue
        for line, value in zip(lines, values, strict=True):
            line["y"][index] = ours[value]
        marks += [_mark(index, place, "inactive" if value is None else str(value)) for value, place in ours.items()]
    for mark in marks:
        mark["text"] = "inactive" if mark["text"] == "None" else mark["text"]  # no choice is: choices are tokens
    for shape in layout["shapes"]:
        shape["line"] = {"color": "--soft", "width": 1}
    layout["annotations"] = marks
    layout["xaxis"] |= {"range": [-0.4, len(names) + 0.15], "fixedrange": True, "side": "top", "showline": False}
    layout["xaxis"] |= {"ticks": "", "showgrid": False}
    left_out = len(trials.ranked) - len(names)
    more = f"{left_out} of {len(trials.ranked)} parameters are left out." if left_out else ""
    width = 120 + 88 * (len(names) + 1)
    return _finished(
        trials, "parallel", "parallel coordinates", figure, 430, width=width, note=_joined([note, more, trials.mixed])
    )


def _mark(axis: int, place: float, text: str) -> dict[str, Any]:
    """A text beside an axis of the parallel coordinates."""
    return {
        **{"x": axis, "y": place, "text": text, "showarrow": False, "xanchor": "right", "xshift": -5},
        **{"font": {"size": 11, "color": "--text"}, "bgcolor": "--back", "borderpad": 1, "opacity": 0.85},
    }


def _apart(annotations: Iterable[Mapping[str, Any]], axis: int) -> list[tuple[float, str]]:
    """Place and text of Optuna's marks on one axis, without those that would touch others; both ends stay."""
    marks = sorted((mark["y"], mark["text"]) for mark in annotations if mark["x"] == axis)
    kept = marks[:1]
    for place, text in marks[1:-1]:
        if place - kept[-1][0] >= TOUCHING and marks[-1][0] - place >= TOUCHING:
            kept.append((place, text))
    return kept + marks[-1:] if len(marks) > 1 else kept


def _dimension(parameter: Parameter, values: Sequence[Any]) -> dict[Any, float] | None:
    """Place of each choice or small whole number on its axis, in their order, and of being inactive (None).

    None for all others: there Optuna's own axis is right. It orders choices by their first trial.
    """
    present = sorted({value for value in values if value is not None})
    if not isinstance(parameter, Categorical) and (isinstance(parameter, Float) or len(present) > FEW_NUMBERS):
        return None
    marks = [*([None] if None in values else []), *present]
    return {mark: index / max(1, len(marks) - 1) for index, mark in enumerate(marks)}


def _goodness(trials: _Trials, place: float) -> float:
    """From 0, the worst, to 1."""
    return place if trials.content.direction == "maximize" else 1 - place


def _contour(trials: _Trials, first: str, second: str, key: str) -> Figure | None:
    """Optuna's contour of two parameters: between numbers on a grid of few points, linearly interpolated."""
    import optuna.visualization

    x, y = trials.token(first), trials.token(second)
    both = [row for row in trials.complete if {x, y} <= trials.params(row).keys()]
    places = {(trials.params(row)[x], trials.params(row)[y]) for row in both}
    if (
        len(both) < FEWEST_IN_CONTOUR
        or len(places) < 4
        or min(len({p[0] for p in places}), len({p[1] for p in places})) < 2
    ):
        return None
    rows, note = trials.some(both, MOST_IN_CONTOUR)
    study = trials.study(rows, value=trials.axis.place)
    figure = _dict(optuna.visualization.plot_contour(study, params=[x, y], target_name=trials.metric))
    surface, points = figure["data"][:2]
    layout = figure["layout"]
    swapped = points["x"][0] != trials.params(rows[0])[x] or points["y"][0] != trials.params(rows[0])[y]
    across, up = (second, first) if swapped else (first, second)
    kinds = {p.name: isinstance(p, Categorical) for p in trials.content.parameters}
    _span(layout["xaxis"], trials, across)
    _span(layout["yaxis"], trials, up)
    logs = tuple(axis.get("type") == "log" for axis in (layout["xaxis"], layout["yaxis"]))
    if kinds[first] != kinds[second]:
        along, by = (points["y"], points["x"]) if kinds[across] else (points["x"], points["y"])
        rows_of = _rows_of_choices(along, by, [trials.axis.place(row.value or 0.0) for row in rows], any(logs))
        surface = {"type": "heatmap", "x": rows_of["numbers"], "y": rows_of["choices"], "z": rows_of["z"]}
        if kinds[across]:
            surface |= {"x": rows_of["choices"], "y": rows_of["numbers"], "z": list(zip(*rows_of["z"], strict=True))}
    elif kinds[first]:
        surface = {"type": "heatmap", **{name: surface[name] for name in ("x", "y", "z")}}
    else:
        surface |= _surface(points["x"], points["y"], [trials.axis.place(row.value or 0.0) for row in rows], logs)
        surface["connectgaps"] = False
    surface |= {"zmin": 0, "zmax": 1, "colorscale": trials.good, "reversescale": False, "hoverinfo": "skip"}
    surface["colorbar"] = _colour_bar(trials)
    if surface["type"] == "contour":
        surface |= {"line": {"width": 0.5, "color": "--edge"}, "autocontour": False}
        surface["contours"] = {"coloring": "heatmap", "start": 0, "end": 1, "size": 0.1}
    many = len(rows) > 150
    points["marker"] = {
        "color": "--text",
        "size": 3 if many else 5,
        "opacity": 0.75,
        "line": {"width": 0.8, "color": "--back"},
    }
    points |= {"customdata": [row.number for row in rows], "hoverinfo": "none"}
    figure["data"] = [surface, points]
    title = f"{trials.content.metric} against {across} and {up}"
    return _finished(trials, key, title, figure, 330, note=_joined([note, trials.mixed]))


def _surface(xs: Sequence[float], ys: Sequence[float], zs: Sequence[float], logs: tuple[bool, bool]) -> dict[str, Any]:
    """Values on a grid within the hull of the points, in the scale of the axes."""
    import numpy as np
    from scipy.interpolate import griddata
    from scipy.spatial import QhullError

    def scaled(values: Sequence[float], log: bool) -> np.ndarray:
        array = np.asarray(values, dtype=float)
        return np.log10(array) if log else array

    at_x, at_y = scaled(xs, logs[0]), scaled(ys, logs[1])
    across, up = np.linspace(at_x.min(), at_x.max(), GRID), np.linspace(at_y.min(), at_y.max(), GRID)
    spans = np.ptp(at_x) or 1.0, np.ptp(at_y) or 1.0
    points = np.column_stack([at_x / spans[0], at_y / spans[1]])
    wanted = np.meshgrid(across / spans[0], up / spans[1])
    try:
        z = griddata(points, np.asarray(zs), tuple(wanted), method="linear")
    except QhullError:  # all on one line: there is no surface
        z = np.full((GRID, GRID), np.nan)
    back = (10**across if logs[0] else across), (10**up if logs[1] else up)
    return {"x": back[0], "y": back[1], "z": z}


def _rows_of_choices(
    numbers: Sequence[float], choices: Sequence[str], zs: Sequence[float], log: bool
) -> dict[str, list[Any]]:
    """The mean value in each of a few stretches of a number, or at each number where there are few; a row for each
    choice. Between choices there is nothing to interpolate."""
    scaled = [math.log10(number) if log else float(number) for number in numbers]
    different = sorted(set(scaled))
    low, width = different[0], (different[-1] - different[0]) / STRETCHES or 1.0
    few = len(different) <= STRETCHES
    middles = different if few else [low + (i + 0.5) * width for i in range(STRETCHES)]
    found: dict[tuple[str, int], list[float]] = {}
    for place, choice, z in zip(scaled, choices, zs, strict=True):
        index = different.index(place) if few else min(int((place - low) / width), STRETCHES - 1)
        found.setdefault((choice, index), []).append(z)
    names = sorted(set(choices))
    rows = [
        [math.fsum(at) / len(at) if (at := found.get((n, i))) else None for i in range(len(middles))] for n in names
    ]
    return {"numbers": [10**m if log else m for m in middles], "choices": names, "z": rows}


def _importances(trials: _Trials) -> Figure | None:
    """Optuna's importances: PED-ANOVA, what the best trials have in common."""
    import optuna.visualization

    rows, note = trials.some(trials.complete, MOST_IN_IMPORTANCES)
    if len(rows) < FEWEST_IN_IMPORTANCES or len({row.value for row in rows}) < 2 or not trials.parameters:
        return None
    if note:  # the best ones among them would be too many
        rows = [trials.complete[i * len(trials.complete) // MOST_IN_IMPORTANCES] for i in range(MOST_IN_IMPORTANCES)]
        note = f"Estimated from {len(rows)} of {len(trials.complete)} trials."
    plot = optuna.visualization.plot_param_importances(trials.study(rows), target_name=trials.metric)
    figure = _dict(plot)
    (bars,) = figure["data"]
    bars |= {"marker": {"color": "--blue"}, "hoverinfo": "skip"}
    bars.pop("hovertemplate", None)
    layout = figure["layout"]
    layout["xaxis"] = {
        "title": {"text": "importance for being among the best"},
        "rangemode": "tozero",
        "fixedrange": True,
    }
    layout["yaxis"] = {"type": "category", "fixedrange": True, "automargin": True}
    layout["margin"] = {"l": 8, "r": 40, "t": 4, "b": 8}
    height = 90 + 30 * len(bars["y"])
    return _finished(
        trials, "importances", "importances by PED-ANOVA", figure, height, note=_joined([note, trials.mixed])
    )


def _edf(trials: _Trials) -> Figure | None:
    """Optuna's empirical distribution function of the values, on the axis of the values."""
    import optuna.visualization

    rows, note = trials.complete, ""
    best = None if trials.content.best is None else trials.content.best.number
    levels = {row.number: row.fidelity for row in rows}
    if best in levels:  # values of different levels are no distribution of one thing
        rows = [row for row in rows if row.fidelity == levels[best]]
    if len(rows) < len(trials.complete):
        note = f"Of the {len(rows)} trials that were trained as far as the best one."
    if len(rows) < 2:
        return None
    if len(rows) > MOST_DISTRIBUTED:
        rows = [rows[i * len(rows) // MOST_DISTRIBUTED] for i in range(MOST_DISTRIBUTED)]
        note = _joined([note, f"{MOST_DISTRIBUTED} of them are counted."])
    plot = optuna.visualization.plot_edf(
        trials.study(rows, value=trials.scaled, params=False), target_name=trials.metric
    )
    figure = _dict(plot)
    (line,) = figure["data"]
    line["x"] = [10.0 ** float(x) if trials.axis.log else float(x) for x in line["x"]]
    line |= {
        "line": {"color": "--blue", "width": 2.5, "shape": "hv"},
        "hovertemplate": "%{y:.0%} at most %{x}<extra></extra>",
    }
    layout = figure["layout"]
    layout["xaxis"] = {"title": {"text": trials.metric}, **_value_range(trials.axis)}
    layout["yaxis"] = {
        "title": {"text": "share of trials"},
        "range": [0, 1.02],
        "tickformat": ".0%",
        "fixedrange": True,
    }
    return _finished(trials, "edf", f"distribution of {trials.content.metric}", figure, 320, note=note)


def _curves(trials: _Trials, metric: str, key: str) -> Figure | None:
    """Optuna's intermediate values of one metric."""
    import optuna.visualization

    content = trials.content
    rows = {row.number: row for row in content.rows}
    known = [(rows[n], points) for n, points in content.curves[metric].items() if n in rows and points]
    if not known:
        return None
    courses = [thinned(points, POINTS_OF_A_CURVE) for _, points in known]
    plot = optuna.visualization.plot_intermediate_values(
        trials.study([row for row, _ in known], params=False, points=courses)
    )
    figure = _dict(plot)
    best = None if content.best is None else content.best.number
    last = max(1, content.rows[-1].number)
    for (row, _), points, trace in zip(known, courses, figure["data"], strict=True):
        ascending = sorted(points, key=lambda point: point[0])
        trace["x"], trace["y"] = [x for x, _ in ascending], [y for _, y in ascending]
        trace["mode"] = "lines+markers" if len(points) < 3 else "lines"
        trace |= {"name": f"trial {row.number}", "meta": row.number, "hoverinfo": "none", "opacity": 0.75}
        how = {"failed": ("--red", "dash", 1.4), "pruned": ("", "dot", 1.6)}.get(row.state, ("", "solid", 1.4))
        trace["line"] = {"color": how[0] or f"order:{row.number / last:.3f}", "dash": how[1], "width": how[2]}
        if row.number == best:
            trace |= {"line": {"color": "--blue", "width": 3.5}, "opacity": 1}
    figure["data"].sort(key=lambda trace: trace["meta"] == best)
    values = [value for points in courses for _, value in points]
    axis = value_axis(metric, values, content.direction if metric == content.metric else "")
    layout = figure["layout"]
    layout["showlegend"] = False
    layout["xaxis"] = {"title": {"text": trials.names.token(content.step)}}
    name = trials.names.token(metric)
    layout["yaxis"] = {"title": {"text": name}, **_value_range(axis)}
    note = "Values far off are outside of the picture: a double click shows all." if axis.cut else ""
    return _finished(trials, key, f"{metric} in the course of each trial", figure, 400, note=note)
