"""`hpo export --to optuna`: a study in a storage of Optuna, a journal file or a database of SQLite.

A storage that is there already is added to, and other studies in it stay. What was exported before is known by the
attribute `number` of its trials: those that had ended are left alone, those that ran are brought up to date, and the
rest is added, all in one step. So an export can be repeated at any time, also while a dashboard shows the file.

What cannot be brought up to date is refused: a trial that had ended with another value or other parameters (the study
was run anew, or reads another metric). `--force` writes the study anew.

Importing this module imports Optuna.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hpo_workflow.errors import MissingExtra, UsageError
from hpo_workflow.export.destination import chosen, refuse_foreign
from hpo_workflow.export.optuna_targets import Journal, Sqlite, Target
from hpo_workflow.export.registry import Written
from hpo_workflow.integrations.optuna_results import STATES, Conversion
from hpo_workflow.integrations.optuna_storage import kind_of_storage
from hpo_workflow.reading.study import Study
from hpo_workflow.samplers.optuna_sampler import quiet
from hpo_workflow.store.atomic import open_beside
from hpo_workflow.trial import Value

try:
    from optuna.distributions import CategoricalDistribution
    from optuna.exceptions import OptunaError
    from optuna.study import StudyDirection
    from optuna.trial import FrozenTrial, TrialState
    from sqlalchemy.exc import SQLAlchemyError
except ImportError as error:
    raise MissingExtra("optuna", "optuna") from error

MARK = "hpo_workflow:root"
"""The attribute of a study that an export wrote: the folder that it was read from."""


@dataclass(frozen=True)
class Update:
    """How many trials an export added, brought up to date, and left as they were."""

    added: int
    changed: int
    kept: int


def export(study: Study, options: Mapping[str, Any]) -> Written:
    """Write NAME-optuna.log, or add to the storage that `out` names.

    Raises:
        UsageError: Something else is there, or what is there says something else of a trial.
    """
    usual = f"{study.name}-optuna.log"
    kind, path = kind_of_storage(usual if options["out"] is None else str(options["out"]))
    if kind == "server":
        raise UsageError(
            f"--out {options['out']}: exports go into a file, NAME.log or NAME.db.\n"
            "  optuna.copy_study takes a study from there to a server."
        )
    path = chosen(path, usual)
    target: type[Target] = Journal if kind == "journal" else Sqlite
    name = options["name"] or study.name
    is_there = os.path.lexists(path) and (os.path.islink(path) or os.path.getsize(path) > 0)
    is_storage = is_there and target.is_storage(path)
    if is_there:
        refuse_foreign(path, is_ours=is_storage, force=options["force"])
    with quiet():
        if is_storage:
            with _alone(path):
                done = _bring(target, path, path, study, name, force=options["force"])
        else:
            done = _make(target, path, study, name)
    trials = f"{done.added} trials" if not is_storage else _told(done)
    lines = [f"{'brought up to date' if is_storage else 'wrote'} {path}: study {name}, {trials}"]
    return Written(tuple(lines), f"optuna-dashboard {shlex.quote(target.shown(path))}")


def _told(done: Update) -> str:
    return f"{done.added} trials added, {done.changed} changed, {done.kept} as they were"


def _make(target: type[Target], path: str, study: Study, name: str) -> Update:
    """Write a storage with one study, which appears as a whole."""
    descriptor, temporary = open_beside(path)
    os.close(descriptor)
    try:
        done = _bring(target, temporary, path, study, name, force=False)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    return done


@contextlib.contextmanager
def _alone(path: str) -> Iterator[None]:
    """No other export writes into a storage meanwhile. Where the file system knows no locks, that is up to the user."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{path}: another export is writing into it. Call this again when it has ended.") from None
        except OSError:
            pass
        yield
    finally:
        os.close(descriptor)


def _bring(target: type[Target], place: str, path: str, study: Study, name: str, *, force: bool) -> Update:
    """Bring the study in a storage up to date.

    Args:
        target: What kind of storage it is.
        place: The file that is written.
        path: What the user calls it.
        study: Ours.
        name: Its name there.
        force: Whether a study of this name is replaced.
    """
    try:
        opened = target(place)
    except Exception as error:  # of SQLAlchemy and of Optuna, each with errors of its own, and ValueError
        raise _failed(path, error) from error
    try:
        return _bring_study(opened, path, study, name, force=force)
    except (OptunaError, SQLAlchemyError) as error:
        raise _failed(path, error) from error
    finally:
        opened.close()


def _failed(path: str, error: Exception) -> UsageError:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return UsageError(f"{path}: Optuna cannot use it as a storage: {first}\n  Give another file with --out.")


def _bring_study(target: Target, path: str, study: Study, name: str, *, force: bool) -> Update:
    storage = target.storage
    there = {each.study_name: each for each in storage.get_all_studies()}.get(name)
    if there is not None and force:
        storage.delete_study(there._study_id)
        there = None
    if there is None:
        study_id = storage.create_new_study([StudyDirection[study.direction.upper()]], name)
        _describe(target, study_id, study)
        target.settle()
        stored: dict[int, FrozenTrial] = {}
    else:
        study_id = there._study_id
        _refuse_another(path, name, study, there)
        stored = target.exported(study_id)
    rows = {row["number"]: row for row in study.rows()}
    conversion = Conversion(study.spec.search_space)
    for number in sorted(rows.keys() & stored.keys()):
        problem = difference(stored[number], rows[number], study.sampled(number), conversion)
        if problem:
            raise UsageError(
                f"{path}: trial {number} of {name} is there already, with {problem}.\n"
                "  --force writes the study anew there, --name gives it another name, --out another file."
            )
    changed = {number for number in rows.keys() & stored.keys() if is_further(stored[number], rows[number])}
    added = rows.keys() - stored.keys()
    for trial in study.frozen_trials(added | changed):
        number = trial.user_attrs["number"]
        if number in changed:
            target.change(stored[number], trial)
        else:
            target.add(study_id, trial)
    target.commit()
    return Update(len(added), len(changed), len(rows) - len(added) - len(changed))


def _describe(target: Target, study_id: int, study: Study) -> None:
    """Say what the study is: where it comes from, what is optimised."""
    attributes = {MARK: os.path.abspath(study.root), "description": study.description}
    for name, value in attributes.items():
        if value:
            target.storage.set_study_user_attr(study_id, name, value)
    target.storage.set_study_system_attr(study_id, "study:metric_names", [study.metric])


def _refuse_another(path: str, name: str, study: Study, there: Any) -> None:
    """Refuse to add to a study that is not this one."""
    cure = "--name gives the study another name there, --out another file; --force replaces what is there."
    root = os.path.abspath(study.root)
    mark = there.user_attrs.get(MARK)
    if mark != root:
        whose = "something else wrote" if mark is None else f"was exported from {mark}"
        raise UsageError(f"{path}: holds a study {name} that {whose}.\n  {cure}")
    directions = [direction.name.lower() for direction in there.directions]
    if directions != [study.direction]:
        raise UsageError(
            f"{path}: its study {name} is to {' and '.join(directions)}, not to {study.direction}.\n  {cure}"
        )


def difference(stored: FrozenTrial, row: Mapping[str, Any], params: Mapping[str, Value], conversion: Conversion) -> str:
    """In what a trial that was exported cannot be what it is now; empty where there is nothing."""
    if stored.params.keys() != params.keys():
        return "other parameters"
    for name, value in params.items():
        now, then = conversion.distributions[name], stored.distributions[name]
        if isinstance(now, CategoricalDistribution) and now != then:
            return f"other choices of {name}"
        if now.to_internal_repr(conversion.value(name, value)) != then.to_internal_repr(stored.params[name]):
            return f"{name} {stored.params[name]}, not {value}"
    if stored.state.is_finished():
        if stored.state is not STATES[row["state"]]:
            return f"the state {stored.state.name.lower()}, not {row['state']}"
        if stored.state in (TrialState.COMPLETE, TrialState.PRUNED) and stored.value != row["value"]:
            return f"the value {stored.value}, not {row['value']}"
    return ""


def is_further(stored: FrozenTrial, row: Mapping[str, Any]) -> bool:
    """Whether more is known of a trial than when it was exported."""
    now = STATES[row["state"]]
    return not stored.state.is_finished() and now is not stored.state and now is not TrialState.WAITING
