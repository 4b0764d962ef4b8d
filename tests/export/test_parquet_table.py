"""A study as Parquet: the same as in CSV, with types."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.errors import UsageError
from tests.export.studies import STATES, empty, mixed, opened
from tests.machine import need

need("pyarrow")

import pyarrow  # noqa: E402
from pyarrow import parquet  # noqa: E402

from hpo_workflow.export import csv_table  # noqa: E402
from hpo_workflow.export.parquet_table import export  # noqa: E402
from hpo_workflow.export.registry import Written  # noqa: E402


def exported(study: Any, out: Path, **options: Any) -> Written:
    return export(opened(study), {"out": str(out), "curves": False, "force": False, **options})


def test_columns_have_the_types_of_their_values(tmp_path: Path) -> None:
    exported(mixed(tmp_path / "s"), tmp_path / "t.parquet")
    table = parquet.read_table(tmp_path / "t.parquet")
    types = {field.name: str(field.type) for field in table.schema}
    assert types["number"] == types["param.layers"] == types["param.epochs"] == types["parent"] == "int64"
    assert types["value"] == types["param.lr"] == types["param.momentum"] == types["metric.loss"] == "double"
    assert types["param.scaled"] == types["param.drop"] == types["fidelity"] == "double"
    assert types["param.amp"] == types["cached"] == "bool"
    assert types["param.optimizer"] == types["param.mixed"] == types["state"] == "string"
    assert types["started"] == types["ended"] == "timestamp[us, tz=UTC]"
    rows = table.to_pylist()
    assert [row["state"] for row in rows] == STATES
    assert rows[0]["started"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert {row["param.mixed"] for row in rows} <= {"1", "true", "auto", "0.5"}
    for row in rows:
        assert (row["param.momentum"] is None) is (row["param.optimizer"] == "adam")
    assert table.schema.metadata[b"hpo_workflow.study"] == b"s"


def test_it_says_the_same_as_the_csv(tmp_path: Path) -> None:
    import pandas

    study = mixed(tmp_path / "s")
    exported(study, tmp_path / "t.parquet", curves=True)
    csv_table.export(opened(study), {"out": str(tmp_path / "t.csv"), "curves": True, "force": False})
    for name in ("t", "t-curves"):
        typed = pandas.read_parquet(tmp_path / f"{name}.parquet")
        text = pandas.read_csv(tmp_path / f"{name}.csv")
        assert list(typed.columns) == list(text.columns)
        assert len(typed) == len(text)
        for column in typed.columns.intersection(["number", "value", "param.lr", "step", "metric.acc"]):
            assert typed[column].astype(float).equals(text[column].astype(float)), column


def test_values_that_are_no_numbers_stay_in_the_curves(tmp_path: Path) -> None:
    exported(mixed(tmp_path / "s"), tmp_path / "t.parquet", curves=True)
    rows = parquet.read_table(tmp_path / "t-curves.parquet").to_pylist()
    assert math.isnan(next(row["value"] for row in rows if (row["number"], row["step"]) == (0, 2.0)))


def test_an_empty_study_is_a_table_without_rows(tmp_path: Path) -> None:
    exported(empty(tmp_path / "s"), tmp_path / "t.parquet", curves=True)
    assert parquet.read_table(tmp_path / "t.parquet").num_rows == 0
    assert parquet.read_table(tmp_path / "t-curves.parquet").column_names == ["number", "metric", "step", "value"]


def test_what_another_program_wrote_is_not_replaced(tmp_path: Path) -> None:
    study = mixed(tmp_path / "s")
    out = tmp_path / "t.parquet"
    exported(study, out)
    exported(study, out)
    parquet.write_table(pyarrow.table({"a": [1]}), out)
    with pytest.raises(UsageError, match="is there already"):
        exported(study, out)
    out.write_text("no parquet")
    with pytest.raises(UsageError, match="is there already"):
        exported(study, out)
    exported(study, out, force=True)
    assert parquet.read_table(out).num_rows == 7
