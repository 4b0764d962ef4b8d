"""Files that Optuna keeps studies in, written in one step: journals and databases of SQLite.

Optuna's own calls write trial by trial, and a database asks several times for each value: 10 000 trials would take
many minutes. Here all that an export has to say is one block of lines in a journal, or one transaction. So it is there
as a whole or not at all, and times of trials that were exported while they ran are those of the trials.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any
from urllib.parse import quote

from hpo_workflow.errors import MissingExtra

try:
    import optuna
    import sqlalchemy
    from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
    from optuna.storages._rdb import models
    from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
    from optuna.trial import FrozenTrial, TrialState
    from sqlalchemy.orm import Session
except ImportError as error:
    raise MissingExtra("optuna", "optuna") from error

AT_A_TIME = 500
"""Trials of a database that are put together before they are sent."""


class Target(ABC):
    """A file that is open for an export.

    Attributes:
        storage: What Optuna makes of it. Trials that were added or changed need not be there before `commit`.
    """

    storage: optuna.storages.BaseStorage

    @abstractmethod
    def __init__(self, path: str) -> None:
        """Open a file; an empty one becomes a storage without studies."""

    @staticmethod
    @abstractmethod
    def is_storage(path: str) -> bool:
        """Whether a file holds studies of Optuna, as this kind keeps them."""

    @staticmethod
    @abstractmethod
    def shown(path: str) -> str:
        """The file as `optuna-dashboard` and `read_trials` take it."""

    @abstractmethod
    def exported(self, study_id: int) -> dict[int, FrozenTrial]:
        """The trials of a study that exports wrote, by their attribute `number`: at least state, value, parameters."""

    @abstractmethod
    def add(self, study_id: int, trial: FrozenTrial) -> None:
        """Add a trial at the end of a study."""

    @abstractmethod
    def change(self, stored: FrozenTrial, trial: FrozenTrial) -> None:
        """Let a trial that had not ended be what it is now; its parameters are the same."""

    @abstractmethod
    def settle(self) -> None:
        """Let all see the studies that were made or deleted; what is added from now on hangs on them."""

    @abstractmethod
    def commit(self) -> None:
        """Let all see what was added and changed."""

    @abstractmethod
    def close(self) -> None:
        """Leave the file; what was not committed is forgotten."""


# ---- a journal -----------------------------------------------------------------------------------------------
class _Gathered(BaseJournalBackend):
    """A journal file as it was, and lines that it does not have yet."""

    def __init__(self, path: str) -> None:
        if not _ends_a_line(path):  # Optuna passes over it, and what is appended would become a part of it
            raise ValueError("it ends in the middle of a line, as if a disk had been full; remove that line")
        self._file = JournalFileBackend(path)
        self._known = list(self._file.read_logs(0))
        self.lines: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        n_known = len(self._known)
        if log_number_from >= n_known:
            return iter(self.lines[log_number_from - n_known :])
        return chain(self._known[log_number_from:], self.lines)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.lines.extend(logs)

    def write(self) -> None:
        """Append the lines to the file, in one step."""
        if self.lines:
            self._file.append_logs(self.lines)
            self._known += self.lines
            self.lines = []


def _ends_a_line(path: str) -> bool:
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return file.read() in (b"", b"\n")


class Journal(Target):
    """A journal file."""

    def __init__(self, path: str) -> None:
        self._gathered = _Gathered(path)
        self.storage = optuna.storages.JournalStorage(self._gathered)

    @staticmethod
    def is_storage(path: str) -> bool:
        try:
            with open(path, "rb") as file:
                first = json.loads(file.readline(1 << 20))
        except (OSError, ValueError):
            return False
        return isinstance(first, dict) and {"op_code", "worker_id"} <= first.keys()

    @staticmethod
    def shown(path: str) -> str:
        return path

    def exported(self, study_id: int) -> dict[int, FrozenTrial]:
        trials = self.storage.get_all_trials(study_id, deepcopy=False)
        return {number: trial for trial in trials if isinstance(number := trial.user_attrs.get("number"), int)}

    def add(self, study_id: int, trial: FrozenTrial) -> None:
        self.storage.create_new_trial(study_id, trial)

    def change(self, stored: FrozenTrial, trial: FrozenTrial) -> None:
        at = stored._trial_id
        for step, value in trial.intermediate_values.items():
            self.storage.set_trial_intermediate_value(at, step, value)
        for name, value in trial.user_attrs.items():
            if stored.user_attrs.get(name) != value:
                self.storage.set_trial_user_attr(at, name, value)
        if stored.state is TrialState.WAITING:
            self.storage.set_trial_state_values(at, TrialState.RUNNING)
            self._gathered.lines[-1]["datetime_start"] = _utc(trial.datetime_start)
        if trial.state.is_finished():
            self.storage.set_trial_state_values(at, trial.state, trial.values)
            self._gathered.lines[-1]["datetime_complete"] = _utc(trial.datetime_complete)

    def settle(self) -> None:
        self._gathered.write()

    def commit(self) -> None:
        self._gathered.write()

    def close(self) -> None:
        self.storage.remove_session()


def _utc(local: datetime | None) -> str:
    assert local is not None  # of a trial that has started, or ended
    return local.astimezone(UTC).isoformat(timespec="microseconds")


# ---- a database ----------------------------------------------------------------------------------------------
class Sqlite(Target):
    """A database of SQLite."""

    def __init__(self, path: str) -> None:
        self._rdb = optuna.storages.RDBStorage(f"sqlite:///file:{quote(path)}?uri=true")
        self.storage = self._rdb
        self._session = Session(self._rdb.engine)
        self._waiting: list[tuple[models.TrialModel, FrozenTrial]] = []
        self._n_trials: dict[int, int] = {}

    @staticmethod
    def is_storage(path: str) -> bool:
        try:
            with contextlib.closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)) as database:
                found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        except sqlite3.Error:
            return False
        return {("studies",), ("trials",), ("alembic_version",)} <= set(found)

    @staticmethod
    def shown(path: str) -> str:
        return f"sqlite:///{path}"

    def exported(self, study_id: int) -> dict[int, FrozenTrial]:
        """Two questions for all; Optuna's own way reads the curves too, and takes longer than writing them did."""
        trial, noted = models.TrialModel, models.TrialUserAttributeModel
        value, param = models.TrialValueModel, models.TrialParamModel
        numbered = (
            sqlalchemy.select(trial.trial_id, trial.number, trial.state, noted.value_json, value.value)
            .join(noted, noted.trial_id == trial.trial_id)
            .outerjoin(value, value.trial_id == trial.trial_id)
            .where(trial.study_id == study_id, noted.key == "number")
        )
        found: dict[int, FrozenTrial] = {}
        by_id: dict[int, FrozenTrial] = {}
        for at, place, state, text, result in self._session.execute(numbered):
            number = json.loads(text)
            if isinstance(number, int):
                by_id[at] = found[number] = FrozenTrial(place, state, result, None, None, {}, {}, {}, {}, {}, at)
        params = (
            sqlalchemy.select(param.trial_id, param.param_name, param.param_value, param.distribution_json)
            .join(trial, param.trial_id == trial.trial_id)
            .where(trial.study_id == study_id)
        )
        known: dict[str, BaseDistribution] = {}
        for at, name, internal, text in self._session.execute(params):
            if at in by_id:
                if text not in known:
                    known[text] = json_to_distribution(text)
                by_id[at].distributions[name] = known[text]
                by_id[at].params[name] = known[text].to_external_repr(internal)
        return found

    def add(self, study_id: int, trial: FrozenTrial) -> None:
        if study_id not in self._n_trials:
            self._n_trials[study_id] = self._rdb.get_n_trials(study_id)
        row = models.TrialModel(
            study_id=study_id,
            number=self._n_trials[study_id],
            state=trial.state,
            datetime_start=trial.datetime_start,
            datetime_complete=trial.datetime_complete,
        )
        self._n_trials[study_id] += 1
        self._waiting.append((row, trial))
        if len(self._waiting) >= AT_A_TIME:
            self._send()

    def _send(self) -> None:
        """Send the trials that wait, with all that belongs to them."""
        if not self._waiting:
            return
        self._session.add_all(row for row, _ in self._waiting)
        self._session.flush()  # now they have their ids
        rows = [(row.trial_id, trial) for row, trial in self._waiting]
        self._insert(models.TrialParamModel, [one for at, trial in rows for one in _params(at, trial)])
        self._insert_what_may_change(rows)
        self._session.expunge_all()
        self._waiting = []

    def _insert_what_may_change(self, rows: list[tuple[int, FrozenTrial]]) -> None:
        self._insert(models.TrialValueModel, [one for at, trial in rows for one in _values(at, trial)])
        self._insert(models.TrialUserAttributeModel, [one for at, trial in rows for one in _attributes(at, trial)])
        self._insert(models.TrialIntermediateValueModel, [one for at, trial in rows for one in _curve(at, trial)])

    def _insert(self, model: Any, rows: list[dict[str, Any]]) -> None:
        if rows:
            self._session.execute(sqlalchemy.insert(model), rows)

    def change(self, stored: FrozenTrial, trial: FrozenTrial) -> None:
        at = stored._trial_id
        row = self._session.get_one(models.TrialModel, at)
        row.state = trial.state
        row.datetime_start = trial.datetime_start
        row.datetime_complete = trial.datetime_complete
        attributes = self._session.execute(
            sqlalchemy.select(models.TrialUserAttributeModel.key, models.TrialUserAttributeModel.value_json).where(
                models.TrialUserAttributeModel.trial_id == at
            )
        )
        theirs = {name: json.loads(text) for name, text in attributes if name not in trial.user_attrs}
        for model in (models.TrialValueModel, models.TrialUserAttributeModel, models.TrialIntermediateValueModel):
            self._session.execute(sqlalchemy.delete(model).where(model.trial_id == at))
        trial.user_attrs.update(theirs)  # what somebody else noted stays
        self._insert_what_may_change([(at, trial)])

    def settle(self) -> None:
        """Optuna has committed them."""

    def commit(self) -> None:
        self._send()
        self._session.commit()

    def close(self) -> None:
        self._session.close()
        self._rdb.remove_session()
        self._rdb.engine.dispose()


def _params(at: int, trial: FrozenTrial) -> Iterator[dict[str, Any]]:
    for name, value in trial.params.items():
        distribution = trial.distributions[name]
        yield {
            "trial_id": at,
            "param_name": name,
            "param_value": distribution.to_internal_repr(value),
            "distribution_json": distribution_to_json(distribution),
        }


def _values(at: int, trial: FrozenTrial) -> Iterator[dict[str, Any]]:
    for objective, value in enumerate(trial.values or ()):
        stored, kind = models.TrialValueModel.value_to_stored_repr(value)
        yield {"trial_id": at, "objective": objective, "value": stored, "value_type": kind}


def _attributes(at: int, trial: FrozenTrial) -> Iterator[dict[str, Any]]:
    for name, value in trial.user_attrs.items():
        yield {"trial_id": at, "key": name, "value_json": json.dumps(value)}


def _curve(at: int, trial: FrozenTrial) -> Iterator[dict[str, Any]]:
    for step, value in trial.intermediate_values.items():
        stored, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
        yield {"trial_id": at, "step": step, "intermediate_value": stored, "intermediate_value_type": kind}
