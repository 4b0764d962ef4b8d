"""The trials of a study as a table: its columns, and lines of CSV that do nothing in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hpo_workflow.reading.study import Study

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A text cell that starts with one of these is a formula to a spreadsheet. Source: OWASP, CSV injection."""

PLAIN = (
    *("number", "config", "state", "value", "fidelity", "parent", "bracket", "reason", "detail", "audited"),
    *("seconds", "max_rss_mb", "batch", "origin", "cached", "dir"),
)
"""Columns that every table has."""

DETAILS = ("host", "started", "ended")
"""Columns that an export has too; they are read from the record of each trial."""

CURVE = ("number", "metric", "step", "value")
"""The columns of a table of curves: one line for each value that was printed."""


@dataclass(frozen=True)
class Table:
    """Which columns the trials need.

    Args:
        params, metrics: Names, each a column `param.NAME` or `metric.NAME`; sorted.
        more: Further columns at the end, by the names that rows have them under.
    """

    params: tuple[str, ...]
    metrics: tuple[str, ...]
    more: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]], more: Sequence[str] = ()) -> Table:
        """The table that these rows need.

        Args:
            rows: As `reading.rows.trial_rows` gives them.
            more: Columns beside the usual ones.
        """
        params: set[str] = set()
        metrics: set[str] = set()
        for row in rows:
            params.update(row["params"])
            metrics.update(row["metrics"])
        return cls(tuple(sorted(params)), tuple(sorted(metrics)), tuple(more))

    @property
    def columns(self) -> list[str]:
        """The names of all columns."""
        named = [*(f"param.{name}" for name in self.params), *(f"metric.{name}" for name in self.metrics)]
        return [*PLAIN, *self.more, *named]

    def values(self, row: Mapping[str, Any]) -> list[Any]:
        """A row's values, in the order of the columns; None where it has none."""
        values = [row[name] for name in (*PLAIN, *self.more)]
        values += [row["params"].get(name) for name in self.params]
        return values + [row["metrics"].get(name) for name in self.metrics]

    def csv(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
        """The table as lines of CSV, the names first."""
        yield line(self.columns)
        for row in rows:
            yield line(self.values(row))


def text_of(value: Any) -> str:
    """A value as text: JSON where it is none. Half of a character, which UTF-8 does not have, shows as `\\ud800`."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "backslashreplace").decode()


def detailed_rows(study: Study) -> list[dict[str, Any]]:
    """The trials of a study with DETAILS: where each ran, and when as datetimes with their zones."""
    rows = []
    for row in study.rows():
        started, ended = study.moments(row["number"])
        host = (study.result(row["number"]) or {}).get("host") or None
        rows.append({**row, "host": host, "started": started, "ended": ended})
    return rows


def curve_rows(study: Study) -> Iterator[tuple[int, str, float, float]]:
    """All values that the trials printed, as CURVE says, the objective first of each trial."""
    for number in sorted(study.state.finished):
        for metric, points in study.points(number).items():
            for step, value in points:
                yield number, metric, step, value


def line(values: Iterable[Any]) -> str:
    """Values as a line of CSV. Told that lines end in `\\r\\n`, Python quotes a cell that holds one of the two."""
    row = io.StringIO()
    csv.writer(row, lineterminator="\r\n").writerow(cell(value) for value in values)
    return row.getvalue()[:-2] + "\n"


def cell(value: Any) -> str:
    """A value as a CSV cell that no spreadsheet runs: a text that it would take for a formula gets a `'` in front."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
