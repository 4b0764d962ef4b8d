"""Trials of an Optuna study, read from where Optuna keeps them.

    read_trials("sqlite:///old.db", "digits")      a database, by the URL that Optuna takes
    read_trials("journal:old.log", None)           a journal file, of a storage with one study

Reading changes nothing: a file is opened read-only and none is created. Values come as Optuna gave them to the
program, except those of a float with a step: Optuna computes them with rounding errors (0.30000000000000004), and here
they are the decimal numbers that they stand for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hpo_workflow.errors import MissingExtra, UsageError
from hpo_workflow.samplers.optuna_sampler import quiet
from hpo_workflow.space import Float

try:
    import optuna
    from optuna.storages.journal import JournalFileBackend
except ImportError as error:
    raise MissingExtra("optuna", "optuna") from error

SQLITE = "sqlite:///"
JOURNAL = "journal:"
DATABASES = (".db", ".sqlite", ".sqlite3")
JOURNALS = (".log", ".journal", ".jsonl")
"""Ends of names that tell what a plain path is."""

ENDED = {
    optuna.trial.TrialState.COMPLETE: "complete",
    optuna.trial.TrialState.PRUNED: "pruned",
    optuna.trial.TrialState.FAIL: "failed",
}


@dataclass(frozen=True)
class EarlierTrial:
    """A trial of an Optuna study that has ended.

    Args:
        number: Its number in that study.
        params: The values that it was run with, by name; not checked against any space of ours.
        value: What its program reported in the end; None unless it is complete.
        state: `complete`, `pruned` or `failed`.
        direction: Whether that study minimises or maximises: `minimize` or `maximize`.
    """

    number: int
    params: Mapping[str, Any]
    value: float | None
    state: str
    direction: str


@dataclass(frozen=True)
class StoredStudy:
    """A study of Optuna as its storage has it.

    Args:
        name: Its name there.
        direction: `minimize` or `maximize`.
        metric: What its program calls the objective; None where it has not said so.
        trials: All trials, by number, as Optuna has them; not to be changed.
    """

    name: str
    direction: str
    metric: str | None
    trials: tuple[optuna.trial.FrozenTrial, ...]


def read_trials(url: str, study: str | None = None, folder: Path | None = None) -> list[EarlierTrial]:
    """The trials of a study that have ended, by number. Arguments and errors are those of `read_study`."""
    stored = read_study(url, study, folder)
    return [_earlier(trial, stored.direction) for trial in stored.trials if trial.state in ENDED]


def read_study(url: str, study: str | None = None, folder: Path | None = None) -> StoredStudy:
    """A study with its trials.

    Args:
        url: As Optuna takes it (`sqlite:///old.db`, `postgresql://...`), `journal:PATH`, or the path of a file that
            ends in .db, .sqlite, .sqlite3 (a database) or .log, .journal, .jsonl (a journal).
        study: Name of the study; None where the storage holds only one.
        folder: Where relative paths begin; None for the working directory.

    UsageError where there is no such file or study, where several studies could be meant, where the study has several
    objectives, and where the storage cannot be read.
    """
    with quiet():
        storage = _open(url, folder)
        try:
            found = {one.study_name: one for one in storage.get_all_studies()}
            chosen = found[_choose(url, study, sorted(found))]
            if len(chosen.directions) > 1:
                problem = f"the study {chosen.study_name} has {len(chosen.directions)} objectives"
                raise UsageError(f"{url}: {problem}; only studies with one can be read.")
            trials = storage.get_all_trials(chosen._study_id, deepcopy=False)
        except UsageError:
            raise
        except Exception as error:
            raise _unreadable(url, error) from error
        finally:
            storage.remove_session()
    names = chosen.system_attrs.get("study:metric_names")
    metric = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else None
    return StoredStudy(chosen.study_name, chosen.directions[0].name.lower(), metric, tuple(trials))


def _earlier(trial: optuna.trial.FrozenTrial, direction: str) -> EarlierTrial:
    state = ENDED[trial.state]
    params = {name: _exact(value, trial.distributions[name]) for name, value in trial.params.items()}
    return EarlierTrial(trial.number, params, trial.value if state == "complete" else None, state, direction)


def _exact(value: Any, distribution: optuna.distributions.BaseDistribution) -> Any:
    """A value without the rounding errors of a step."""
    if isinstance(distribution, optuna.distributions.FloatDistribution) and distribution.step is not None:
        stepped = Float("", distribution.low, distribution.high, step=distribution.step)
        return stepped.value(stepped.index(value))
    return value


def _choose(url: str, study: str | None, names: list[str]) -> str:
    """The name of the study that is meant."""
    listed = ", ".join(names)
    if not names:
        raise UsageError(f"{url}: holds no study.")
    if study is None and len(names) > 1:
        raise UsageError(f"{url}: holds {len(names)} studies: {listed}.\n  Name the one that is meant.")
    if study is not None and study not in names:
        raise UsageError(f"{url}: holds no study {study}. There is {listed}.")
    return study or names[0]


def _open(url: str, folder: Path | None) -> optuna.storages.BaseStorage:
    """The storage behind a URL; nothing is created and no file is changed."""
    kind, rest = kind_of_storage(url)
    if kind == "server":
        return _database(url, url)
    path = rest if folder is None else str(folder / rest)
    if not Path(path).is_file():
        raise UsageError(f"{url}: there is no file {path}.")
    if kind == "journal":
        try:
            return optuna.storages.JournalStorage(JournalFileBackend(path))
        except Exception as error:
            raise _unreadable(url, error) from error
    return _database(url, f"{SQLITE}file:{quote(path)}?mode=ro&uri=true")


def kind_of_storage(url: str) -> tuple[str, str]:
    """(`sqlite`, path), (`journal`, path) or (`server`, URL)."""
    if url.startswith(SQLITE):
        rest = url.removeprefix(SQLITE)
        if rest in ("", ":memory:"):
            raise UsageError(f"{url}: a database in memory is gone when its process ends. Give that of a file.")
        return "sqlite", rest.partition("?")[0]
    if url.startswith(JOURNAL):
        return "journal", url.removeprefix(JOURNAL).removeprefix("//")
    if "://" in url:
        return "server", url
    if url.endswith(DATABASES):
        return "sqlite", url
    if url.endswith(JOURNALS):
        return "journal", url
    raise UsageError(
        f"{url}: is neither a URL that Optuna takes nor a file of a kind that is known by its name.\n"
        f"  Give {SQLITE}PATH for a database, or {JOURNAL}PATH for a journal."
    )


def _database(url: str, opened: str) -> optuna.storages.BaseStorage:
    try:
        return optuna.storages.RDBStorage(opened, skip_table_creation=True)
    except Exception as error:  # of the driver, of SQLAlchemy and of Optuna, each with errors of its own
        raise _unreadable(url, error) from error


def _unreadable(url: str, error: Exception) -> UsageError:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return UsageError(f"{url}: cannot be read as a storage of Optuna: {first}")
