"""The runs that a study has in an experiment of MLflow: which are there, and what they lack.

What has been exported is known by tags of the runs, so that an export again, from anywhere, adds what is new and
nothing twice: `hpo.study_id` names the study, `hpo.trial` the trial, and `hpo.record` what of it was exported, written
last. A run without it was not finished, or its trial still ran: what it lacks is added. A run of another record (the
trial was read anew after a change of `metrics:`) is deleted, which MLflow can undo, and made again: a value that MLflow
has cannot be taken back.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hpo_workflow.errors import ExportError
from hpo_workflow.export.identity import study_id
from hpo_workflow.export.mlflow_server import Server
from hpo_workflow.export.mlflow_values import (
    ATTEMPTS,
    LONGEST_TAG,
    MetricPoint,
    TrialRun,
    cut,
    in_parts,
    milliseconds,
    missing,
    texts,
)
from hpo_workflow.objective import is_better
from hpo_workflow.reading.opened import ending_of
from hpo_workflow.reading.snapshot import Snapshot
from hpo_workflow.reading.study import moment
from hpo_workflow.spec import StudySpec
from hpo_workflow.study_state import StudyState
from hpo_workflow.trial import TrialState

STUDY_ID, TRIAL, RECORD, COUNTS = "hpo.study_id", "hpo.trial", "hpo.record", "hpo.counts"
PARENT = "mlflow.parentRunId"

MOST_METRICS, MOST_PARAMS, MOST_TAGS, MOST_TEXT = 800, 100, 100, 400_000
"""Of one call; MLflow takes 1000 values in all, 100 parameters, 100 tags and 1 MB."""

PAGE = 1000
FEW = 64
"""So many of the first and of the last trials are asked when the study began and ended."""

LOG_BYTES = 1_000_000
"""Of a log, from its end, with `logs`."""

ARTIFACTS = ("study.yaml", "best.json", "report.html")


@dataclass
class Known:
    """A run that MLflow has.

    Args:
        id: MLflow's name of it.
        tags: Its tags.
        status: Its status.
        metrics: Names of its metrics.
        has_params: Whether it has its parameters.
    """

    id: str
    tags: dict[str, str] = field(default_factory=dict)
    status: str = "RUNNING"
    metrics: set[str] = field(default_factory=set)
    has_params: bool = False


def moments_in(result: Mapping[str, Any] | None) -> tuple[datetime | None, datetime | None]:
    """When the first attempt of a trial started and when its last one ended, by its result."""
    record = result or {}
    attempts = record.get("attempts") or [record]
    return moment(attempts[0].get("started") or record.get("started")), moment(record.get("ended"))


class StudyRuns:
    """The runs of one study in one experiment.

    Args:
        server: Where.
        experiment: The experiment's name; it is made where it is not there.
        folder: The study's records.
        spec: The study.
        metrics_digest: Under which metric settings its trials were read.

    Attributes:
        trials: What MLflow has, by trial.
        n_new: How many runs of trials were completed.
    """

    def __init__(self, server: Server, experiment: str, folder: Snapshot, spec: StudySpec, metrics_digest: str) -> None:
        self.server = server
        self.experiment = experiment
        self.folder = folder
        self.spec = spec
        self.metrics_digest = metrics_digest
        self.id = study_id(folder)
        self.trials: dict[int, Known] = {}
        self.parent: Known | None = None
        self.n_new = 0
        self.experiment_id = ""

    @property
    def _client(self) -> Any:
        return self.server.client

    # ---- what is there ------------------------------------------------------------------------------------
    def load(self) -> None:
        """Ask MLflow for the experiment and for the runs of the study."""
        with self.server.errors():
            self.experiment_id = self._experiment()
            self.trials, self.parent = {}, None
            token = None
            wanted = f"tags.`{STUDY_ID}` = '{self.id}'"
            while True:
                page = self._client.search_runs([self.experiment_id], wanted, max_results=PAGE, page_token=token)
                for run in page:
                    self._note(run)
                token = page.token
                if not token:
                    break

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(self.experiment)
        if found is None:
            try:
                return str(self._client.create_experiment(self.experiment))
            except Exception:
                found = self._client.get_experiment_by_name(self.experiment)  # somebody else has made it just now
                if found is None:
                    raise
        if found.lifecycle_stage != "active":
            raise ExportError(
                f"MLflow at {self.server.shown}: the experiment {self.experiment} was deleted.\n"
                f"  `mlflow experiments restore --experiment-id {found.experiment_id}` brings it back; or give another"
                " name with --experiment."
            )
        return str(found.experiment_id)

    def _note(self, run: Any) -> None:
        known = Known(
            run.info.run_id, dict(run.data.tags), run.info.status, set(run.data.metrics), bool(run.data.params)
        )
        number = known.tags.get(TRIAL, "")
        if not number.isdigit():
            before, self.parent = self.parent, known
        else:
            before = self.trials.get(int(number))
            self.trials[int(number)] = known
        if before is not None:  # two exports at once, on a file system without locks
            keep, drop = (before, known) if RECORD in before.tags or RECORD not in known.tags else (known, before)
            if not number.isdigit():
                self.parent = keep
            else:
                self.trials[int(number)] = keep
            self._client.delete_run(drop.id)

    # ---- the study ----------------------------------------------------------------------------------------
    def begin(self, started_ms: int | None) -> str:
        """The run of the study, made where it is not there."""
        if self.parent is not None and self.parent.tags.get(RECORD) != self.metrics_digest:
            with self.server.errors():
                self._client.delete_run(self.parent.id)
                for number, known in list(self.trials.items()):
                    self._client.delete_run(known.id)
                    del self.trials[number]
            self.parent = None
        if self.parent is None:
            spec = self.spec
            tags = texts(
                {
                    STUDY_ID: self.id,
                    RECORD: self.metrics_digest,
                    "hpo.study": spec.study,
                    "hpo.root": os.path.abspath(self.folder.root),
                    "mlflow.note.content": spec.description,
                    "mlflow.source.name": "hpo-workflow",
                    "mlflow.user": _user(),
                }
            )
            params = texts(
                {
                    "metric": spec.objective.metric,
                    "direction": spec.objective.direction,
                    "sampler": spec.sampler["name"],
                    "trials": spec.budget.trials,
                    "parallel": spec.budget.parallel,
                    "seed": spec.seed,
                    "fidelity": None if spec.fidelity is None else spec.fidelity.method,
                    "pruner": None if spec.pruner is None else spec.pruner["name"],
                }
            )
            with self.server.errors():
                run = self._client.create_run(self.experiment_id, started_ms, tags, spec.study)
                self.parent = Known(run.info.run_id, tags, "RUNNING")
                self._send(self.parent, params, [], {})
        return self.parent.id

    def begun_ms(self, state: StudyState) -> int:
        """When the first trials began; now where that is not known."""
        first = (moments_in(self.folder.result(number))[0] for number in sorted(state.finished)[:FEW])
        return milliseconds(min(filter(None, first), default=None)) or round(time.time() * 1000)

    def _ended_ms(self, state: StudyState) -> int | None:
        last = (moments_in(self.folder.result(number))[1] for number in sorted(state.finished)[-FEW:])
        return milliseconds(max(filter(None, last), default=None))

    def finish(self, state: StudyState, *, running: bool) -> list[str]:
        """Bring the run of the study up to date: its best value so far, its files, how it stands.

        Args:
            running: Whether somebody runs it.

        Returns:
            What could not be done, as sentences.
        """
        assert self.parent is not None
        ending = ending_of(self.folder, state)
        best = state.incumbent
        tags = texts(
            {
                "hpo.trials": state.done_text,
                "hpo.best_trial": None if best is None else best.number,
                "hpo.ended": None if ending is None else ending.sentence,
            }
        )
        changed = {name: text for name, text in tags.items() if self.parent.tags.get(name) != text}
        points = self._best_points(state) if changed or "best" not in self.parent.metrics else []
        status = "RUNNING" if running else "KILLED"
        if ending is not None and not state.live:
            status = "FINISHED" if ending.success else "FAILED"
        with self.server.errors():
            if points:
                points = missing(points, self.present(self.parent))
            self._send(self.parent, {}, points, changed)
            problems = self._files()
            self._counted(state)
            if self.parent.status != status:
                self._status(self.parent, status, self._ended_ms(state))
        return problems

    def _best_points(self, state: StudyState) -> list[MetricPoint]:
        """The value of each trial that was better than all with a lower number."""
        best: float | None = None
        points = []
        for number, trial in sorted(state.finished.items()):
            if trial.state is not TrialState.COMPLETE or trial.value is None:
                continue
            if best is None or is_better(trial.value, best, self.spec.objective.direction):
                best = trial.value
                at = milliseconds(moments_in(self.folder.result(number))[1])
                points.append(MetricPoint("best", number, best, at or 0))
        return points

    def _files(self) -> list[str]:
        """Send the study's files that are new or have changed; what could not be sent."""
        assert self.parent is not None
        problems = []
        for name in ARTIFACTS:
            path = os.path.join(self.folder.root, name)
            try:
                with open(path, "rb") as file:
                    digest = hashlib.sha256(file.read()).hexdigest()[:12]
            except OSError:
                continue
            tag = f"hpo.file.{name}"
            if self.parent.tags.get(tag) != digest:
                said = self._artifact(self.parent, path)
                if said:
                    problems.append(said)
                    break
                self._send(self.parent, {}, [], {tag: digest})
        return problems

    def _artifact(self, known: Known, path: str, folder: str | None = None) -> str:
        """Send a file or a folder; why that was not possible, or empty."""
        try:
            with self.server.errors():
                if os.path.isdir(path):
                    self._client.log_artifacts(known.id, path, folder)
                else:
                    self._client.log_artifact(known.id, path, folder)
        except ExportError as error:
            return f"{path} was not stored: {str(error).splitlines()[0]}"
        return ""

    def store(self, known: Known, path: str, folder: str) -> None:
        """Send a file, or a folder with its name, into a folder of a run's artefacts.

        Raises:
            ExportError: The server does not take it.
        """
        is_folder = os.path.isdir(path)
        problem = self._artifact(known, path, os.path.join(folder, os.path.basename(path)) if is_folder else folder)
        if problem:
            raise ExportError(problem)

    def _counted(self, state: StudyState) -> None:
        """Mark trials that do not count any more, and again those that do."""
        for number, known in self.trials.items():
            counts = "true" if number in state.emissions else "false"
            if known.tags.get(COUNTS, "true") != counts:
                self._send(known, {}, [], {COUNTS: counts})

    # ---- trials -------------------------------------------------------------------------------------------
    def has(self, number: int, record: str) -> bool:
        """Whether a trial that has ended is there as it is, and whole."""
        known = self.trials.get(number)
        return known is not None and known.tags.get(RECORD) == record and known.status != "RUNNING"

    def open(self, run: TrialRun) -> Known:
        """The run of a trial, made where it is not there; one of another attempt or of another record makes way."""
        assert self.parent is not None
        known = self.trials.get(run.number)
        with self.server.errors():
            if known is not None and not _goes_on(known, run):
                self._client.delete_run(known.id)
                del self.trials[run.number]
                known = None
            if known is None:
                tags = {
                    **run.tags,
                    STUDY_ID: self.id,
                    TRIAL: str(run.number),
                    PARENT: self.parent.id,
                    "mlflow.user": _user(),
                    "mlflow.source.name": "hpo-workflow",
                }
                made = self._client.create_run(self.experiment_id, run.started_ms, tags, run.name)
                known = self.trials[run.number] = Known(made.info.run_id, tags)
        return known

    def put_running(self, run: TrialRun) -> None:
        """Add what is new of a trial that runs; `run.points` are new ones only."""
        known = self.open(run)
        with self.server.errors():
            tags = {name: text for name, text in run.tags.items() if known.tags.get(name) != text}
            self._send(known, run.params if not known.has_params else {}, run.points, tags)

    def put(self, run: TrialRun, record: str, log: str = "") -> str:
        """Complete the run of a trial that has ended; what could not be done, or empty.

        Args:
            record: What is exported of it, as `record_of` names it.
            log: The end of this file is stored beside it; empty for none.
        """
        known = self.trials.get(run.number)
        if known is not None and known.tags.get(RECORD) not in (None, record):
            with self.server.errors():
                self._client.delete_run(known.id)
            self.trials.pop(run.number)
        known = self.open(run)
        problem = self._log(known, log) if log and "hpo.file.log" not in known.tags else ""
        with self.server.errors():
            points: Sequence[MetricPoint] = run.points
            if known.metrics:
                points = missing(points, self.present(known))
            tags = {name: text for name, text in run.tags.items() if known.tags.get(name) != text}
            self._send(known, run.params, points, {**tags, RECORD: record})
            self._status(known, run.status, run.ended_ms)
        self.n_new += 1
        return problem

    def _log(self, known: Known, path: str) -> str:
        import tempfile

        data, size = b"", 0
        try:
            with self.folder.sealed.open(path) as file:
                while piece := file.read(LOG_BYTES):
                    size += len(piece)
                    data = (data + piece)[-LOG_BYTES:]
        except (OSError, ValueError):
            return ""  # its program was never started, its files are gone, or they are damaged
        with tempfile.TemporaryDirectory() as folder:
            end = os.path.join(folder, "log.txt")
            with open(end, "wb") as copy:
                copy.write((b"... (its end)\n" if size > LOG_BYTES else b"") + data)
            problem = self._artifact(known, end)
        if not problem:
            with self.server.errors():
                self._send(known, {}, [], {"hpo.file.log": str(size)})
        return problem

    # ---- calls --------------------------------------------------------------------------------------------
    def present(self, known: Known) -> dict[str, Counter[tuple[int, str]]]:
        """The values that a run has, by metric."""
        with self.server.errors():
            return {
                name: Counter((each.step, repr(each.value)) for each in self._client.get_metric_history(known.id, name))
                for name in known.metrics
            }

    def _send(
        self, known: Known, params: Mapping[str, str], points: Sequence[MetricPoint], tags: Mapping[str, str]
    ) -> None:
        """Log what is given in as few calls as MLflow allows, tags last: one of them may say that all is there."""
        from mlflow.entities import Metric, Param, RunTag

        param_parts = _parts(list(params.items()), MOST_PARAMS)
        metric_parts = list(in_parts(points, MOST_METRICS))
        tag_parts = _parts(list(tags.items()), MOST_TAGS)
        n = max(len(param_parts), len(metric_parts), len(tag_parts))
        for k in range(n):
            at = k - (n - len(tag_parts))
            self._client.log_batch(
                known.id,
                [
                    Metric(p.name, p.value, p.time_ms, p.step)
                    for p in (metric_parts[k] if k < len(metric_parts) else ())
                ],
                [Param(*item) for item in (param_parts[k] if k < len(param_parts) else ())],
                [RunTag(*item) for item in (tag_parts[at] if at >= 0 else ())],
            )
            known.has_params = known.has_params or k < len(param_parts)
            if k < len(metric_parts):
                known.metrics |= {point.name for point in metric_parts[k]}
            if at >= 0:
                known.tags |= dict(tag_parts[at])

    def _status(self, known: Known, status: str, ended_ms: int | None) -> None:
        if status == "RUNNING":
            self._client.update_run(known.id, status)
        else:
            self._client.set_terminated(known.id, status, ended_ms)
        known.status = status


def _goes_on(known: Known, run: TrialRun) -> bool:
    """Whether what a run has belongs to the same output as what comes now."""
    before = known.tags.get(ATTEMPTS)
    return RECORD in known.tags or run.joined or before is None or before == run.tags.get(ATTEMPTS)


def _parts(items: Sequence[tuple[str, str]], most: int) -> list[list[tuple[str, str]]]:
    """Names and texts in pieces of at most `most` and MOST_TEXT characters."""
    parts: list[list[tuple[str, str]]] = []
    room = 0
    for name, text in items:
        size = len(name.encode()) + len(text.encode())
        if not parts or len(parts[-1]) == most or size > room:
            parts.append([])
            room = MOST_TEXT
        parts[-1].append((name, text))
        room -= size
    return parts


def _user() -> str:
    import getpass

    try:
        return cut(getpass.getuser(), LONGEST_TAG)
    except (KeyError, OSError):  # a container without names
        return "unknown"
