"""Charts as inline SVG: values in, text out. Colours and lines are classes that the page's style sheet defines.

Dots of one colour are one path, because a page may hold a hundred thousand of them: `data-n` lists the trials in the
order of the path's coordinates, and the page's script finds the nearest one for the pointer. Lines are one path each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from hpo_workflow.metrics import printable
from hpo_workflow.report.axis import MINUS, Axis, Strips
from hpo_workflow.trial import Value

N_SHADES = 6
"""Colours for the order of trials, `o0` (the first) to `o5`."""

CHARACTER, WIDE_CHARACTER = 7.0, 10.5
"""Width of a letter in units of the drawing; in a wide chart as on a phone, where its texts are larger."""

MANY = 800
"""From so many dots on, coordinates are whole numbers."""

XY = tuple[float, float]


@dataclass(frozen=True)
class Dot:
    """A trial in a chart.

    Args:
        number: The trial.
        x: Value of its parameter, or its number.
        value: Its objective; None where it failed.
        order: Its place among all trials, from 0 to 1.
        pruned: Whether it was ended before its time, so that its value is that of a part.
    """

    number: int
    x: Value
    value: float | None
    order: float = 0.0
    pruned: bool = False


@dataclass(frozen=True)
class Line:
    """The course of one metric of a trial.

    Args:
        number: The trial.
        points: Step and value, as printed; a point that is not finite interrupts the line.
        order: The trial's place among all trials, from 0 to 1.
        kind: `""`, `best`, `failed` or `pruned`.
    """

    number: int
    points: Sequence[tuple[float, float]]
    order: float = 0.0
    kind: str = ""


@dataclass(frozen=True)
class Bar:
    """A number with its interval.

    Args:
        name: What it is of.
        value, low, high: The number, and the ends of the interval.
        text: What is written beside it.
    """

    name: str
    value: float
    low: float
    high: float
    text: str


@dataclass(frozen=True)
class Span:
    """A stretch of time in one row.

    Args:
        row: From 0, the lowest.
        begin, end: On the time axis.
        kind: Its class.
        number: The trial that it shows; None where it shows none.
    """

    row: int
    begin: float
    end: float
    kind: str
    number: int | None = None


@dataclass(frozen=True)
class Course:
    """A trial across axes that stand side by side.

    Args:
        number: The trial.
        places: Where it crosses each axis, from 0 to 1; None where it has no value there.
        kind: Its class.
    """

    number: int
    places: Sequence[float | None]
    kind: str


@dataclass(frozen=True)
class _Frame:
    """The plot area in a drawing, in its units: `rail` for failed trials below it, `letter` is the width of one."""

    width: int
    height: int
    left: int
    bottom: int
    rail: int
    letter: float = CHARACTER
    top: int = 14
    right: int = 16

    @property
    def floor(self) -> int:
        """The lower end of the plot area."""
        return self.height - self.bottom - self.rail

    def x(self, place: float) -> float:
        return self.left + place * (self.width - self.right - self.left)

    def y(self, place: float) -> float:
        return self.floor - place * (self.floor - self.top)


def _wide(rail: bool) -> _Frame:
    return _Frame(640, 330, left=84, bottom=58, rail=28 if rail else 0, letter=WIDE_CHARACTER)


def _small(rail: bool) -> _Frame:
    return _Frame(360, 250, left=66, bottom=52, rail=16 if rail else 0)


def progress(
    x: Axis, y: Axis, dots: Sequence[Dot], improvements: Sequence[tuple[int, float]], target: float | None
) -> str:
    """The values of all trials in their order, the best so far as a line, and the target.

    Args:
        improvements: The trials that were better than all before them, with their values.
    """
    frame = _wide(any(dot.value is None for dot in dots))
    parts = [_axes(frame, x, y), _dots(frame, x, y, dots, shades=False)]
    if target is not None and y.holds(target):
        height = _text(frame.y(y.place(target)))
        parts.append(f'<path class="target" d="M{frame.left} {height}H{frame.width - frame.right}"/>')
        above = y.place(target) < 0.9
        parts.append(
            f'<text class="said" text-anchor="end" x="{frame.width - frame.right - 4}" '
            f'y="{_text(float(height) + (-6 if above else 16))}">target</text>'
        )
    if improvements:
        path = ""
        for number, value in improvements:
            at_x, at_y = _text(frame.x(x.place(number))), _text(frame.y(y.place(value)))
            path += f"H{at_x}V{at_y}" if path else f"M{at_x} {at_y}"
        last = max((dot.number for dot in dots), default=improvements[-1][0])
        path += f"H{_text(frame.x(x.place(last)))}"
        parts.append(f'<path class="best" d="{path}"/>')
        parts.append(_ring(frame, x, y, improvements[-1][0], improvements[-1]))
    return _svg(frame, "wide", f"{y.title} of each trial, and the best so far", parts)


def scatter(x: Axis | Strips, y: Axis, dots: Sequence[Dot], best: int | None) -> str:
    """The objective against one parameter; trials that failed are crosses below.

    Args:
        best: Number of the best trial, which gets a ring.
    """
    frame = _small(any(dot.value is None for dot in dots))
    parts = [_axes(frame, x, y), _dots(frame, x, y, dots, shades=True)]
    for dot in dots:
        if dot.number == best and dot.value is not None:
            parts.append(_ring(frame, x, y, dot.number, (dot.x, dot.value)))
    return _svg(frame, "small", f"{y.title} against {x.title}", parts)


def curves(x: Axis, y: Axis, lines: Sequence[Line]) -> str:
    """The course of a metric in many trials; the best trial's is drawn on top."""
    frame = _wide(rail=False)
    return _svg(frame, "wide", f"{y.title} in the course of each trial", _lines(frame, x, y, lines))


def family(x: Axis, y: Axis, lines: Sequence[Line]) -> str:
    """The value at the end of each trial, joined to that of the trial that it went on from."""
    frame = _wide(rail=False)
    return _svg(frame, "wide", f"{y.title} from trial to trial", _lines(frame, x, y, lines))


def race(x: Axis, y: Axis, lines: Sequence[Line]) -> str:
    """The best so far of several studies, one line each; `kind` of a line is its class."""
    frame = _wide(rail=False)
    parts = [_axes(frame, x, y)]
    parts += [f'<path class="race {line.kind}" d="{_course(frame, x, y, line.points)}"/>' for line in lines]
    return _svg(frame, "wide", f"best {y.title} so far of each study, by {x.title}", parts)


def bars(x: Axis, rows: Sequence[Bar]) -> str:
    """A bar for each number, from the top, with its interval as a thin line."""
    longest = max(len(row.name) for row in rows)
    left = min(max(70, math.ceil(longest * CHARACTER) + 14), 220)
    frame = _Frame(640, 26 * len(rows) + 66, left=left, bottom=46, rail=0, right=130)
    parts = [_axes(frame, x, Axis("", 0.0, 1.0, ()))]
    zero = _text(frame.x(x.place(0.0)))
    for index, row in enumerate(rows):
        height = frame.y(1 - (index + 0.5) / len(rows))
        at, low, high = (_text(frame.x(x.place(each))) for each in (row.value, row.low, row.high))
        y = _text(height)
        name = _fitting(row.name, (left - 12) / CHARACTER)
        parts.append(f'<text class="title" text-anchor="end" x="{left - 8}" y="{_text(height + 4)}">{name}</text>')
        parts.append(f'<path class="bar" d="M{zero} {y}H{at}"/>')
        ends = "".join(f"M{end} {_text(height - 4)}v8" for end in (low, high))
        parts.append(f'<path class="interval" d="M{low} {y}H{high}{ends}"/>')
        parts.append(
            f'<text x="{frame.width - frame.right + 8}" y="{_text(height + 4)}">{_fitting(row.text, 18)}</text>'
        )
    return _svg(frame, "wide fixed", f"{x.title} of each of {len(rows)}", parts)


def stairs(x: Axis, y: Axis, points: Sequence[XY], target: float | None) -> str:
    """A distribution: at each value the share of trials up to it, from 0 on; and the target."""
    frame = _wide(rail=False)
    parts = [_axes(frame, x, y)]
    if target is not None and x.holds(target):
        at = _text(frame.x(x.place(target)))
        parts.append(f'<path class="target" d="M{at} {frame.top}V{frame.floor}"/>')
        parts.append(f'<text class="said" x="{_text(float(at) + 5)}" y="{frame.top + 12}">target</text>')
    path = f"M{frame.left} {_text(frame.y(y.place(0.0)))}"
    for value, share in points:
        path += f"H{_text(frame.x(x.place(value)))}V{_text(frame.y(y.place(share)))}"
    parts.append(f'<path class="best" d="{path}H{frame.width - frame.right}"/>')
    return _svg(frame, "wide", f"{y.title} by {x.title}", parts)


def slots(x: Axis, n_rows: int, spans: Sequence[Span], pauses: Sequence[XY]) -> str:
    """Who held which of `n_rows` slots when; slot 0 is the lowest row.

    Stretches of one kind that follow each other in a row too closely to be told apart are drawn as one.

    Args:
        spans: Kinds that begin with `wait` are thin lines.
        pauses: Begin and end of times in which nothing was going on.
    """
    height = min(max(6.0, 200 / n_rows), 18.0) if n_rows <= 60 else 360 / n_rows
    frame = _Frame(960, math.ceil(n_rows * height) + 66, left=62, bottom=46, rail=0)
    marks = [index for index in range(n_rows) if index % max(1, math.ceil(14 / height)) == 0]
    y = Axis("slot", 0.0, float(n_rows), tuple(((index + 0.5) / n_rows, str(index)) for index in marks))
    parts = [_axes(frame, x, y)]
    for begin, end in pauses:
        left, right = frame.x(x.place(begin)), frame.x(x.place(end))
        parts.append(
            f'<rect class="pause" x="{_text(left)}" y="{frame.top}" width="{_text(max(1.0, right - left))}" '
            f'height="{frame.floor - frame.top}"/>'
        )
    paths: dict[str, tuple[list[str], list[str]]] = {}
    for row, kind, begin, end, number in _merged(frame, x, spans):
        path, numbers = paths.setdefault(kind, ([], []))
        # it starts at the middle, where the pointer looks for the trial
        half = max(0.4, (end - begin) / 2)
        at_y = frame.y((row + 0.5) / n_rows)
        path.append(f"M{_text((begin + end) / 2)} {_text(at_y)}m{_text(-half)} 0h{_text(2 * half)}")
        if number is not None:
            numbers.append(str(number))
    for kind, (path, numbers) in paths.items():
        width = max(1.0, height * (0.2 if kind.startswith("wait") else 0.8))
        listed = f' data-n="{" ".join(numbers)}"' if len(numbers) == len(path) else ""
        parts.append(f'<path class="span {kind}" stroke-width="{_text(width)}" d="{"".join(path)}"{listed}/>')
    return _svg(frame, "whole", f"which trial held which of {n_rows} slots", parts)


def _merged(frame: _Frame, x: Axis, spans: Sequence[Span]) -> Iterable[tuple[int, str, float, float, int | None]]:
    """Row, kind, begin and end in the drawing, and trial: neighbours that cannot be told apart as one."""
    last: dict[tuple[int, str], tuple[float, float, int | None]] = {}
    for span in sorted(spans, key=lambda each: each.begin):
        begin, end = frame.x(x.place(span.begin)), frame.x(x.place(span.end))
        key = (span.row, span.kind)
        before = last.get(key)
        if before is not None and begin - before[1] < 0.3 and end - before[0] < 1.0:
            last[key] = (before[0], max(end, before[1]), before[2])
            continue
        if before is not None:
            yield span.row, span.kind, *before
        last[key] = (begin, end, span.number)
    for (row, kind), before in last.items():
        yield row, kind, *before


def ladder(x: Axis, y: Axis, places: Sequence[tuple[int, float, float, str]]) -> str:
    """Configurations by level: a dot for each trial.

    Args:
        places: Trial, place on either axis, and what became of it (its class).
    """
    frame = _Frame(960, min(90 + 44 * max(2, len(y.ticks)), 420), left=74, bottom=52, rail=0)
    parts = [_axes(frame, x, y)]
    groups: dict[str, list[tuple[XY, int]]] = {}
    for number, at_x, at_y, kind in places:
        groups.setdefault(kind, []).append(((frame.x(x.place(at_x)), frame.y(y.place(at_y))), number))
    small = " many" if len(places) >= MANY else ""
    for kind, members in groups.items():
        path = "".join(f"M{_text(px)} {_text(py)}h0" for (px, py), _ in members)
        numbers = " ".join(str(number) for _, number in members)
        parts.append(f'<path class="dots stay {kind}{small}" d="{path}" data-n="{numbers}"/>')
    return _svg(frame, "whole", f"{y.title} that each {x.title} has reached", parts)


def parallel(axes: Sequence[Axis | Strips], lines: Sequence[Course]) -> str:
    """Each trial as a line across all axes, which stand side by side; the last lines lie on top."""
    step = 110
    frame = _Frame(max(960, 100 + step * (len(axes) - 1)), 330, left=50, bottom=22, rail=0, top=30, right=50)
    gap = (frame.width - frame.left - frame.right) / max(1, len(axes) - 1)
    parts = []
    for line in lines:
        path, pen_down = "", False
        for index, place in enumerate(line.places):
            if place is None:
                pen_down = False
                continue
            path += f"{'L' if pen_down else 'M'}{_text(frame.left + index * gap)} {_text(frame.y(place))}"
            pen_down = True
        parts.append(f'<path class="line {line.kind}" d="{path}" data-n="{line.number}"/>')
    room = gap / CHARACTER
    for index, axis in enumerate(axes):
        at = frame.left + index * gap
        anchor = "middle" if 0 < index < len(axes) - 1 else "start" if index == 0 else "end"
        at_title = _text(at if anchor == "middle" else 4 if anchor == "start" else frame.width - 4)
        title = _fitting(_titled(axis), room)
        parts.append(f'<path class="axis" d="M{_text(at)} {frame.top}V{frame.floor}"/>')
        parts.append(f'<text class="title" text-anchor="{anchor}" x="{at_title}" y="16">{title}</text>')
        for place, text in axis.ticks:
            said = _fitting(text, room / 2)
            parts.append(f'<text class="said" x="{_text(at + 4)}" y="{_text(frame.y(place) + 4)}">{said}</text>')
    return _svg(frame, "whole", "parameters and objective of each trial, joined by a line", parts)


def schedule(x: Axis, y: Axis, lines: Sequence[Line]) -> str:
    """A parameter of all trials, each while it was trained; that of the best trial's line is drawn on top."""
    frame = _small(rail=False)
    return _svg(frame, "small", f"{y.title} while training", _lines(frame, x, y, lines))


def _lines(frame: _Frame, x: Axis, y: Axis, lines: Sequence[Line]) -> list[str]:
    """Axes and a path for each line, the best ones on top."""
    parts = [_axes(frame, x, y)]
    for line in sorted(lines, key=lambda each: each.kind == "best"):
        path = _course(frame, x, y, line.points)
        if path:
            colour = f"o{shade(line.order)}"
            kind = f"pruned {colour}" if line.kind == "pruned" else line.kind or colour
            parts.append(f'<path class="line {kind}" d="{path}" data-n="{line.number}"/>')
    return parts


def shade(order: float) -> int:
    """Which of the colours for the order of trials a trial has."""
    return min(int(order * N_SHADES), N_SHADES - 1)


def _course(frame: _Frame, x: Axis, y: Axis, points: Iterable[tuple[float, float]]) -> str:
    path, pen_down, single = "", False, False
    for step, value in points:
        if not (math.isfinite(step) and math.isfinite(value)):
            path += "h0" if single else ""
            pen_down = single = False
            continue
        at = f"{_text(frame.x(x.place(step)))} {_text(frame.y(y.place(value)))}"
        path += f"{'L' if pen_down else 'M'}{at}"
        single, pen_down = not pen_down, True
    return path + ("h0" if single else "")  # a lonely point shows as a dot: the lines' ends are round


def _dots(frame: _Frame, x: Axis | Strips, y: Axis, dots: Sequence[Dot], *, shades: bool) -> str:
    """A path for each colour, one for values beyond the axis, and the crosses of failed trials."""
    rail = frame.floor + frame.rail / 2
    groups: dict[str, list[tuple[XY, int]]] = {}
    for dot in dots:
        at_x = frame.x(_place(x, dot))
        if dot.value is None:
            groups.setdefault("failed", []).append(((at_x, rail), dot.number))
            continue
        colour = f"o{shade(dot.order)}" if shades else "o"
        how = ("" if y.holds(dot.value) else " beyond") + (" pruned" if dot.pruned else "")
        groups.setdefault(f"{colour}{how}", []).append(((at_x, frame.y(y.place(dot.value))), dot.number))
    digits = 0 if len(dots) >= MANY else 1
    parts = []
    if "failed" in groups:
        parts.append(f'<path class="rail" d="M{frame.left} {frame.floor + frame.rail}H{frame.width - frame.right}"/>')
        parts.append(f'<text class="said" text-anchor="end" x="{frame.left - 7}" y="{rail + 4:g}">failed</text>')
    small = " many" if len(dots) >= MANY else ""
    for kind, members in groups.items():
        numbers = " ".join(str(number) for _, number in members)
        if kind == "failed":
            path = "".join(f"M{_text(px - 3, digits)} {_text(py - 3, digits)}l6 6m0-6l-6 6" for (px, py), _ in members)
        else:
            path = "".join(f"M{_text(px, digits)} {_text(py, digits)}h0" for (px, py), _ in members)
        parts.append(
            f'<path class="{"crosses" if kind == "failed" else "dots"} {kind}{small}" d="{path}" data-n="{numbers}"/>'
        )
    return "".join(parts)


def _place(x: Axis | Strips, dot: Dot) -> float:
    if isinstance(x, Strips):
        return x.place(dot.x, dot.number)
    return x.place(float(dot.x))


def _ring(frame: _Frame, x: Axis | Strips, y: Axis, number: int, at: tuple[Value, float]) -> str:
    place = x.place(at[0], number) if isinstance(x, Strips) else x.place(float(at[0]))
    return f'<circle class="ring" cx="{_text(frame.x(place))}" cy="{_text(frame.y(y.place(at[1])))}" r="7"/>'


# ---- axes --------------------------------------------------------------------------------------------------
def _axes(frame: _Frame, x: Axis | Strips, y: Axis) -> str:
    grid, texts = "", ""
    for place, text in y.ticks:
        at = _text(frame.y(place))
        grid += f"M{frame.left} {at}H{frame.width - frame.right}"
        texts += f'<text text-anchor="end" x="{frame.left - 7}" y="{_text(frame.y(place) + 4)}">{text}</text>'
    floor = frame.floor + frame.rail
    texts += _strip_texts(frame, x) if isinstance(x, Strips) else _x_texts(frame, x)
    marks = "" if isinstance(x, Strips) else "".join(f"M{_text(frame.x(place))} {floor}v5" for place, _ in x.ticks)
    middle_x, middle_y = (frame.left + frame.width - frame.right) / 2, (frame.top + frame.floor) / 2
    room_x, room_y = frame.width - frame.left, 2 * middle_y - 12
    below, beside = _fitting(_titled(x), room_x / frame.letter), _fitting(_titled(y), room_y / frame.letter)
    return (
        f'<path class="grid" d="{grid}"/>'
        f'<path class="axis" d="M{frame.left} {frame.top}V{floor}H{frame.width - frame.right}{marks}"/>'
        f"{texts}"
        f'<text class="title" text-anchor="middle" x="{middle_x:g}" y="{frame.height - 8}">{below}</text>'
        f'<text class="title" text-anchor="middle" transform="translate(15 {middle_y:g}) rotate(-90)">{beside}</text>'
    )


def _titled(axis: Axis | Strips) -> str:
    return f"{axis.title} (log)" if isinstance(axis, Axis) and axis.log else axis.title


def _x_texts(frame: _Frame, x: Axis) -> str:
    """The texts of the marks, without those that would touch the one before."""
    shown, until = "", -math.inf
    for place, text in x.ticks:
        middle, half = frame.x(place), len(text) * frame.letter / 2
        if middle - half < until + frame.letter or middle + half > frame.width:
            continue
        until = middle + half
        shown += f'<text text-anchor="middle" x="{_text(middle)}" y="{frame.floor + frame.rail + 19}">{text}</text>'
    return shown


def _strip_texts(frame: _Frame, x: Strips) -> str:
    """A text below each strip; where there are many strips only below some, and what is long is cut."""
    width = (frame.width - frame.right - frame.left) / len(x.choices)
    texts = [text for _, text in x.ticks]
    stride = max(1, math.ceil(min(max(map(len, texts)) + 1, 7) * frame.letter / width))
    room = width * stride / frame.letter - 1
    starts = [_fitting(text, room) for text in texts]
    # names that begin alike are told apart by their ends
    fitted = starts if len(set(starts)) == len(set(texts)) else [_fitting(text, room, end=True) for text in texts]
    return "".join(
        f'<text text-anchor="middle" x="{_text(frame.x(place))}" y="{frame.floor + frame.rail + 19}">{text}</text>'
        for (place, _), text in list(zip(x.ticks, fitted, strict=True))[::stride]
    )


def _fitting(text: str, letters: float, *, end: bool = False) -> str:
    """A text as it may stand in SVG, cut to so many letters: its start, or its end."""
    room = max(2, int(letters))
    if end and len(text) > room:
        return escape("\N{HORIZONTAL ELLIPSIS}" + printable(text[1 - room :], room))
    return escape(printable(text, room))


def _text(coordinate: float, digits: int = 1) -> str:
    text = f"{coordinate:.{digits}f}"
    return text[:-2] if text.endswith(".0") else text


def _svg(frame: _Frame, size: str, label: str, parts: Iterable[str]) -> str:
    said = escape(printable(label, 200).replace(MINUS, "-"))
    return (
        f'<svg class="chart {size}" viewBox="0 0 {frame.width} {frame.height}" role="img" aria-label="{said}">'
        f"{''.join(parts)}</svg>"
    )
