"""A study as a value: what `hpo_workflow.load` gives, and what exports and comparisons read.

    study = hpo_workflow.load("results/digits")
    study.best["params"]

Nothing is changed by it, and it may be made while the study runs: it is the study at that moment.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from markupsafe import escape

from hpo_workflow.analysis import Point
from hpo_workflow.errors import UsageError, printable
from hpo_workflow.objective import loss_of
from hpo_workflow.reading.best import best_record
from hpo_workflow.reading.columns import kind_of_param
from hpo_workflow.reading.logs import log_path, log_text
from hpo_workflow.reading.opened import open_study
from hpo_workflow.reading.rows import trial_rows
from hpo_workflow.reading.snapshot import Snapshot
from hpo_workflow.spec import StudySpec
from hpo_workflow.store.atomic import read_json
from hpo_workflow.study_state import StudyState
from hpo_workflow.trial import Value

if TYPE_CHECKING:
    import optuna
    import pandas

COLUMNS = {
    "number": "int64",
    "state": "string",
    "value": "float64",
    "config": "int64",
    "fidelity": "float64",
    "parent": "Int64",
    "bracket": "Int64",
    "reason": "string",
    "detail": "string",
    "audited": "string",
    "seconds": "float64",
    "max_rss_mb": "float64",
    "batch": "int64",
    "origin": "string",
    "cached": "bool",
    "dir": "string",
}
"""The columns of a table of trials, and their types in pandas; parameters and metrics come after `value`."""

DTYPES = {"double": "float64", "int64": "int64", "bool": "bool", "string": "object"}
"""The types in pandas of what `kind_of` says."""

SHOWN = 10
"""So many trials are shown of a study in a notebook."""


class Study:
    """The trials of one study, as they were when it was opened.

    Args:
        folder: Its records.
        plan: The plan in force.

    Attributes:
        spec: The study file as it was understood.
        state: The trials and how the study stands.
        plan: The plan in force, as JSON.
        folder: Its records.
    """

    def __init__(self, folder: Snapshot, plan: Mapping[str, Any]) -> None:
        self.folder = folder
        self.plan = dict(plan)
        self.spec = StudySpec.from_json(self.plan["spec"])
        self.state: StudyState = folder.state(self.plan, self.spec)

    @classmethod
    def open(cls, argument: str) -> Study:
        """The study of a study file or of the folder of its results.

        Raises:
            ConfigError: The file has faults.
            UsageError: There is no such file or folder, or the study has not run.
        """
        opened = open_study(argument)
        if not opened.has_run:
            raise UsageError(f"{argument}: this study has not run yet: there is nothing in {opened.folder.root}.")
        return cls(Snapshot(opened.folder.root, opened.plan), opened.plan)

    def __repr__(self) -> str:
        best = self.state.incumbent
        found = "no complete trial" if best is None else f"best {self.metric} {best.value:g} (trial {best.number})"
        return f"<study {self.name}: {self.state.done_text}, {found}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: how the study stands, and its best trials."""
        complete = [row for row in self._rows if row["state"] == "complete"]
        best = sorted(complete, key=lambda row: (loss_of(row["value"], self.direction), row["number"]))[:SHOWN]
        space = self.spec.search_space
        varied = [name for name in space.names() if space.sampled(name)]
        lines = ["".join(f"<th>{_html(name)}</th>" for name in ("trial", self.metric, *varied))]
        for row in best:
            values = [row["number"], f"{row['value']:g}", *(row["params"].get(name, "") for name in varied)]
            lines.append("".join(f"<td>{_html(value)}</td>" for value in values))
        table = "".join(f"<tr>{line}</tr>" for line in lines)
        return f"<p>{_html(repr(self)[1:-1])}</p>" + (f"<table>{table}</table>" if best else "")

    # ---- the study ----------------------------------------------------------------------------------------
    @property
    def name(self) -> str:
        """The study's name."""
        return self.spec.study

    @property
    def description(self) -> str:
        """What the study file says of it."""
        return self.spec.description

    @property
    def root(self) -> str:
        """The folder of its records."""
        return self.folder.root

    @property
    def metric(self) -> str:
        """The metric that is optimised."""
        return self.spec.objective.metric

    @property
    def direction(self) -> str:
        """`minimize` or `maximize`."""
        return self.spec.objective.direction

    @property
    def target(self) -> float | None:
        """The value at which the study ends, None where it has none."""
        return self.spec.objective.target

    @cached_property
    def best(self) -> dict[str, Any] | None:
        """The best trial: `trial, value, params, command, metrics`; None while no trial is complete."""
        return best_record(self.folder, self.state)

    # ---- its trials ---------------------------------------------------------------------------------------
    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        return trial_rows(self.folder, self.state)

    def rows(self) -> list[dict[str, Any]]:
        """All trials that count, by number, as `hpo trials --json` prints them."""
        return [dict(row) for row in self._rows]

    @property
    def trials(self) -> pandas.DataFrame | list[dict[str, Any]]:
        """All trials that count: a table of pandas with a column for each parameter and metric (`param.lr`,
        `metric.loss`), or `rows()` where pandas is not installed.

        Whole numbers and truth values that some trials lack are of pandas' types that have a missing value.
        """
        try:
            import pandas
        except ImportError:
            return self.rows()
        params = [name for name in self.spec.search_space.names() if any(name in row["params"] for row in self._rows)]
        metrics = dict.fromkeys(name for row in self._rows for name in row["metrics"])
        columns: dict[str, Any] = {}
        for name, dtype in COLUMNS.items():
            columns[name] = pandas.Series([row[name] for row in self._rows], dtype=dtype)
            if name == "value":
                columns |= {f"param.{each}": self._column_of(each) for each in params}
                for each in metrics:
                    values = [row["metrics"].get(each) for row in self._rows]
                    columns[f"metric.{each}"] = pandas.Series(values, dtype="float64")
        return pandas.DataFrame(columns)

    def _column_of(self, name: str) -> pandas.Series:
        """The values of a parameter."""
        import pandas

        values = [row["params"].get(name) for row in self._rows]
        known = [value for value in values if value is not None]
        dtype = DTYPES[kind_of_param(self.spec.search_space, name, known)]
        if dtype == "object" and all(isinstance(value, str) for value in known):
            dtype = "string"
        if len(known) < len(values):
            dtype = {"int64": "Int64", "bool": "boolean"}.get(dtype, dtype)
        return pandas.Series(values, dtype=dtype)

    def sampled(self, number: int) -> dict[str, Value]:
        """The active sampled parameters of a trial, without constants and derived values."""
        return dict(self.state.emissions[number].proposal.params)

    def result(self, number: int) -> dict[str, Any] | None:
        """How the program of a trial ended: host, times, attempts, exit code; None while it has not."""
        return self.folder.result(number)

    def moments(self, number: int) -> tuple[datetime | None, datetime | None]:
        """When the first attempt of a trial started and when its last one ended; None where that is not known."""
        result = self.result(number)
        if result is None:
            return moment(self._claim(number).get("started")), None
        attempts = result.get("attempts") or [result]
        return moment(attempts[0].get("started") or result.get("started")), moment(result.get("ended"))

    def _claim(self, number: int) -> dict[str, Any]:
        """What the first attempt of a trial wrote when it started; empty while it has not."""
        try:
            record = read_json(self.folder.paths.claim(number, 1))
        except (ValueError, OSError):
            record = None
        return record if isinstance(record, dict) else {}

    def points(self, number: int) -> dict[str, list[Point]]:
        """Step and value of all that a trial printed, by metric, the objective first; empty where there is nothing."""
        result = self.folder.whole_result(number)
        try:
            if result is None or not self.folder.is_readable(result):
                return {}
            found = self.folder.extraction(result).points
        except (AttributeError, KeyError, TypeError, ValueError, OSError):
            return {}  # damaged, or its log has gone
        first = {self.metric: found[self.metric]} if self.metric in found else {}
        return {name: list(points) for name, points in {**first, **found}.items()}

    def curves(self, metric: str | None = None) -> dict[int, list[Point]]:
        """Step and value by trial, of one metric.

        Args:
            metric: None for the one that is optimised.

        Raises:
            UsageError: No trial has printed it.
        """
        wanted = self.metric if metric is None else metric
        all_points = {number: self.points(number) for number in sorted(self.state.finished)}
        found = {number: points[wanted] for number, points in all_points.items() if wanted in points}
        if not found and metric is not None:
            known = list(dict.fromkeys(name for points in all_points.values() for name in points))
            raise UsageError(
                f"{metric}: no trial of {self.name} has printed it. Give one of {', '.join(known) or '-'}."
            )
        return found

    def log(self, number: int) -> str:
        """The log of the last attempt of a trial, as a path, where there is no file if `hpo compact` has sealed it."""
        return log_path(self.folder, number)

    def log_text(self, number: int) -> str:
        """What the last attempt of a trial printed; empty where its log is gone. Printed, it may steer a terminal."""
        return log_text(self.folder, self.log(number))

    # ---- elsewhere ----------------------------------------------------------------------------------------
    def to_optuna(self) -> optuna.Study:
        """The same as a study of Optuna in memory; `integrations.optuna_results` says what becomes of what.

        Raises:
            MissingExtra: Optuna is not installed.
        """
        from hpo_workflow.integrations.optuna_results import in_memory  # an extra

        return in_memory(self.name, self.metric, self.direction, self.frozen_trials())

    def frozen_trials(self, numbers: Collection[int] | None = None) -> Iterator[optuna.trial.FrozenTrial]:
        """Trials as Optuna's, by number, each read when it is asked for.

        Args:
            numbers: Which; None for all that count.

        Raises:
            MissingExtra: Optuna is not installed.
        """
        from hpo_workflow.integrations.optuna_results import Conversion  # an extra

        conversion = Conversion(self.spec.search_space)
        for row in self._rows:
            number = row["number"]
            if numbers is not None and number not in numbers:
                continue
            points = self.points(number).get(self.metric, ())  # first: it reads the record, and the rest is known then
            started, ended = self.moments(number)
            yield conversion.trial(
                row,
                self.sampled(number),
                points=points,
                started=started,
                ended=ended,
                host=str((self.result(number) or {}).get("host") or ""),
            )


def _html(value: object) -> str:
    return str(escape(printable(str(value))))


def moment(text: object) -> datetime | None:
    """A time of a record (ISO 8601 with its zone), or None where it is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def load(path: str | os.PathLike[str]) -> Study:
    """A study that has run, read-only, as it is at this moment.

    Args:
        path: Its study file, or the folder of its results.

    Raises:
        ConfigError: The file has faults.
        UsageError: There is no such file or folder, or the study has not run.
    """
    return Study.open(os.fspath(path))
