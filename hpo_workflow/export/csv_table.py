"""`hpo export --to csv`: the trials as a table, and all values at all steps as another one."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from typing import Any

from hpo_workflow.export import trial_table
from hpo_workflow.export.destination import table_paths, whole_file
from hpo_workflow.export.registry import Written
from hpo_workflow.export.trial_table import CURVE, DETAILS, PLAIN, Table
from hpo_workflow.reading.study import Study

LONGEST_HEADER = 1 << 20
"""Bytes of a first line that is looked at."""


def export(study: Study, options: Mapping[str, Any]) -> Written:
    """Write NAME.csv and, for `curves`, NAME-curves.csv beside it.

    Raises:
        UsageError: Something else is there.
    """
    path, curves = table_paths(study.name, "csv", options, is_table)
    rows = trial_table.detailed_rows(study)
    table = Table.of(rows, DETAILS)
    _write(path, table.csv(rows))
    lines = [f"wrote {path}: {len(rows)} trials, {len(table.columns)} columns"]
    if curves is not None:
        values = _write(curves, (trial_table.line(row) for row in (CURVE, *trial_table.curve_rows(study)))) - 1
        lines.append(f"wrote {curves}: {values} values")
    return Written(tuple(lines))


def is_table(path: str) -> bool:
    """Whether a file is a table as an export or `hpo trials --csv` writes it; not one with a column more."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            header = next(csv.reader([file.readline(LONGEST_HEADER)]), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    if tuple(header) == CURVE:
        return True
    rest = header[len(PLAIN) :]
    known = all(name in DETAILS or name.startswith(("param.", "metric.")) for name in rest)
    return tuple(header[: len(PLAIN)]) == PLAIN and known


def _write(path: str, lines: Iterable[str]) -> int:
    """Write lines; how many they are. Half of a character, which UTF-8 does not have, shows as `\\ud800`."""
    count = 0
    with whole_file(path) as file:
        for text in lines:
            file.write(text.encode("utf-8", "backslashreplace"))
            count += 1
    return count
