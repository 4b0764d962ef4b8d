"""Text of a trial's output -> numbers.

Standard library only, Python 3.8 or newer: the runner imports it on every node. Works on bytes, in bounded memory, and
gives the same result however the text is cut into reads.

A *line* ends at `\\n` or `\\r` (progress bars); lines are counted as editors count them, by `\\n`. Terminal colours are
removed, NUL and invalid UTF-8 are survived, and a line is read up to CAP_LINE bytes. A *point* is one value of a metric
with its step: the value of `metrics.step` on the same line, else the last one printed before, else the count of values.

numbers         what is a number on a line, and what is refused with a reason
lines           a stream of bytes -> numbered lines
line_formats    what `metrics.format` finds on a line: equals, katib, json
user_patterns   `metrics.define` and `metrics.lines`, and the watchdog over their regular expressions
line_scanner    one line -> all that stands on it
repeated_lines  lines that differ from an earlier one in digits only, and are read faster
extraction      what was found in the output of one attempt, and what it makes of the trial
hints           sentences for a person whose objective was not found as meant
reader          the output of a program, while it is printed -> points
line_report     what `hpo metrics` shows; no trial needs it
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hpo_workflow.metrics.extraction import Extraction, describe_problem, judge
    from hpo_workflow.metrics.line_report import LineReport, explain
    from hpo_workflow.metrics.numbers import printable
    from hpo_workflow.metrics.reader import MetricReader

__all__ = ["Extraction", "LineReport", "MetricReader", "describe_problem", "explain", "judge", "printable"]

_HOME = {
    "Extraction": "extraction",
    "describe_problem": "extraction",
    "judge": "extraction",
    "LineReport": "line_report",
    "explain": "line_report",
    "printable": "numbers",
    "MetricReader": "reader",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: most calls of parse need no reader."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
