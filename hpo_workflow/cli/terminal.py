"""Text for a terminal: nothing in it can steer the terminal, numbers and times read well."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hpo_workflow.errors import printable

__all__ = ["duration", "number", "one_line", "params_text", "plural", "printable", "say", "show", "since", "table"]
__all__ += ["value_text"]


def one_line(text: str) -> str:
    """The same, with line ends made visible too."""
    return printable(text).replace("\n", "\\n")


def say(*lines: str) -> None:
    """Print lines for people to stderr."""
    for line in lines:
        print(printable(line), file=sys.stderr, flush=True)


def show(*lines: str) -> None:
    """Print lines that were asked for to stdout."""
    for line in lines:
        print(printable(line), flush=True)


def number(value: Any) -> str:
    """A value of a metric, short."""
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def value_text(value: Any) -> str:
    """A parameter's value as it is written in a study file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return one_line(str(value))


def params_text(params: Mapping[str, Any]) -> str:
    """Parameters on one line."""
    return " ".join(f"{name}={value_text(value)}" for name, value in params.items())


def duration(seconds: float) -> str:
    """A time for people: `45 s`, `3 min 20 s`, `2 h 05 min`, `3 d 04 h`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, small_size, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // small_size
            return f"{whole // size} {unit} {rest:02d} {small}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def since(seconds: float) -> str:
    """A time that changes seldom while it grows: `12 s`, `3 min`, `2 h 05 min`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600:02d} h"


def plural(count: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns that line up; a column of numbers is aligned to the right."""
    cells = [[one_line(cell) for cell in row] for row in rows]
    columns = list(zip(header, *cells, strict=True))
    shown = []
    for name, *column in columns:
        width = max(map(len, [name, *column]))
        right = any(column) and all(_is_number(cell) for cell in column if cell not in ("", "-"))
        shown.append([cell.rjust(width) if right else cell.ljust(width) for cell in [name, *column]])
    return ["  ".join(row).rstrip() for row in zip(*shown, strict=True)]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
