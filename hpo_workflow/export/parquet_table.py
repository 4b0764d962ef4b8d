"""`hpo export --to parquet`: the same tables as CSV, with types.

Numbers are numbers, times are instants (UTC). A column of a parameter is boolean, int64, double or text, as all its
possible values are; where they are of several kinds it is text, a value that is no text in JSON's spelling (`true`,
`0.5`). Importing this module imports pyarrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from hpo_workflow.errors import MissingExtra
from hpo_workflow.export import trial_table
from hpo_workflow.export.destination import table_paths, whole_file
from hpo_workflow.export.registry import Written
from hpo_workflow.export.trial_table import CURVE, DETAILS, Table, text_of
from hpo_workflow.reading.columns import kind_of_param
from hpo_workflow.reading.study import Study
from hpo_workflow.space import SearchSpace

try:
    import pyarrow
    from pyarrow import parquet
except ImportError as error:
    raise MissingExtra("pyarrow", "pyarrow") from error

KINDS = {
    "number": "int64",
    "config": "int64",
    "value": "double",
    "fidelity": "double",
    "parent": "int64",
    "bracket": "int64",
    "audited": "string",
    "seconds": "double",
    "max_rss_mb": "double",
    "batch": "int64",
    "cached": "bool",
    "started": "timestamp",
    "ended": "timestamp",
    "step": "double",
}
"""Columns that are no text."""

ROWS_AT_A_TIME = 100_000
"""Values of curves that are in memory at once."""

MARK = b"hpo_workflow.study"
"""The entry of a file's metadata that says which study it is of."""


def export(study: Study, options: Mapping[str, Any]) -> Written:
    """Write NAME.parquet and, for `curves`, NAME-curves.parquet beside it.

    Raises:
        UsageError: Something else is there.
    """
    path, curves = table_paths(study.name, "parquet", options, _is_ours)
    rows = trial_table.detailed_rows(study)
    table = Table.of(rows, DETAILS)
    kinds = [_kind(name, rows, study.spec.search_space) for name in table.columns]
    schema = _schema(study, table.columns, kinds)
    _write(path, schema, kinds, [[table.values(row) for row in rows]])
    lines = [f"wrote {path}: {len(rows)} trials, {len(table.columns)} columns"]
    if curves is not None:
        kinds = [KINDS.get(name, "string") for name in CURVE]
        count = _write(curves, _schema(study, CURVE, kinds), kinds, _pieces(trial_table.curve_rows(study)))
        lines.append(f"wrote {curves}: {count} values")
    return Written(tuple(lines))


def _kind(column: str, rows: Iterable[Mapping[str, Any]], space: SearchSpace) -> str:
    """The type of a column."""
    if column.startswith("metric."):
        return "double"
    if not column.startswith("param."):
        return KINDS.get(column, "string")
    name = column.removeprefix("param.")
    return kind_of_param(space, name, (row["params"][name] for row in rows if name in row["params"]))


def _as(kind: str, value: Any) -> Any:
    """A value as a column of this type holds it. Half of a character, which UTF-8 lacks, shows as `\\\\ud800`."""
    if value is None or kind not in ("double", "string"):
        return value
    if kind == "double":
        return float(value)
    return text_of(value)


def _schema(study: Study, names: Sequence[str], kinds: Sequence[str]) -> pyarrow.Schema:
    arrow = {
        "int64": pyarrow.int64(),
        "double": pyarrow.float64(),
        "bool": pyarrow.bool_(),
        "string": pyarrow.string(),
        "timestamp": pyarrow.timestamp("us", tz="UTC"),
    }
    metadata = {"hpo_workflow.study": study.name, "metric": study.metric, "direction": study.direction}
    fields = [(text_of(name), arrow[kind]) for name, kind in zip(names, kinds, strict=True)]
    return pyarrow.schema(fields, {key: text_of(value) for key, value in metadata.items()})


def _pieces(rows: Iterator[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    while piece := list(islice(rows, ROWS_AT_A_TIME)):
        yield piece


def _write(path: str, schema: pyarrow.Schema, kinds: Sequence[str], pieces: Iterable[Sequence[Sequence[Any]]]) -> int:
    """Write the rows; how many they are."""
    count = 0
    with whole_file(path) as file, parquet.ParquetWriter(file, schema) as writer:
        for rows in pieces:
            columns = [[_as(kind, row[i]) for row in rows] for i, kind in enumerate(kinds)]
            arrays = [pyarrow.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
            count += len(rows)
    return count


def _is_ours(path: str) -> bool:
    """Whether an export wrote a file."""
    try:
        metadata = parquet.read_schema(path).metadata or {}
    except (OSError, pyarrow.ArrowException):
        return False
    return MARK in metadata
