"""A study as a value: what `hpo_workflow.load` gives, and what exports and comparisons read.

    study = hpo_workflow.load("results/digits")
    study.best["params"]

Nothing is changed by it, and it may be made while the study runs: it is the study at that moment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hpo_workflow.analysis import Point
from hpo_workflow.errors import UsageError
from hpo_workflow.reading.best import best_record
from hpo_workflow.reading.logs import log_path
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

COLUMNS = ("number", "state", "value")
"""The first columns of a table of trials; parameters, metrics and the rest follow."""


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
        `metric.loss`), or `rows()` where pandas is not installed."""
        try:
            import pandas
        except ImportError:
            return self.rows()
        rows = [_flat(row) for row in self._rows]
        rest = [name for name in (self._rows[0] if self._rows else ()) if name not in (*COLUMNS, "params", "metrics")]
        params = dict.fromkeys(f"param.{name}" for row in self._rows for name in row["params"])
        metrics = dict.fromkeys(f"metric.{name}" for row in self._rows for name in row["metrics"])
        return pandas.DataFrame(rows, columns=[*COLUMNS, *params, *metrics, *rest])

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
        """The log of the last attempt of a trial, as a path."""
        return log_path(self.folder, number)

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


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with a column for each parameter and metric."""
    flat = {name: value for name, value in row.items() if name not in ("params", "metrics")}
    flat |= {f"param.{name}": value for name, value in row["params"].items()}
    return flat | {f"metric.{name}": value for name, value in row["metrics"].items()}


def moment(text: object) -> datetime | None:
    """A time of a record (ISO 8601 with its zone), or None where it is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def load(path: str) -> Study:
    """A study that has run, read-only.

    Args:
        path: Its study file, or the folder of its results.

    Raises:
        ConfigError: The file has faults.
        UsageError: There is no such file or folder, or the study has not run.
    """
    return Study.open(str(path))
