"""Reading Optuna's storages: what comes out, what is refused, and that nothing is changed."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from hpo_workflow.errors import MissingExtra, UsageError

pytestmark = pytest.mark.need("optuna")

RUNS = [
    ({"lr": 0.1, "drop": 0.30000000000000004, "n": 3, "kind": "a"}, 0.5),
    ({"lr": 0.01, "n": 4, "kind": None}, 0.25),
]


def fill(storage: object, name: str = "digits", direction: str = "minimize") -> None:
    """A study with two complete trials, one pruned, one failed, one that runs and one that waits."""
    import optuna

    study = optuna.create_study(storage=storage, study_name=name, direction=direction)
    for params, value in RUNS:
        study.enqueue_trial(params)
        trial = study.ask()
        trial.suggest_float("lr", 1e-3, 1.0, log=True)
        trial.suggest_int("n", 1, 9)
        if trial.suggest_categorical("kind", ["a", None]) == "a":
            trial.suggest_float("drop", 0.0, 0.5, step=0.1)
        study.tell(trial, value)
    pruned = study.ask()
    pruned.suggest_int("n", 2, 2)
    pruned.report(0.75, 3)
    study.tell(pruned, state=optuna.trial.TrialState.PRUNED)
    study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)
    study.ask()
    study.enqueue_trial({"n": 1})


def place(kind: str, folder: Path) -> str:
    """A filled storage; its URL, relative to the folder."""
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    if kind == "journal":
        fill(JournalStorage(JournalFileBackend(str(folder / "old.log"))))
        return "journal:old.log"
    storage = RDBStorage(f"sqlite:///{folder / 'old study.db'}")
    fill(storage)
    storage.engine.dispose()
    return "sqlite:///old study.db"


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_the_trials_that_have_ended_are_read_and_the_file_stays_as_it_is(kind, tmp_path):
    from hpo_workflow.integrations.optuna import read_trials

    url = place(kind, tmp_path)
    (file,) = tmp_path.iterdir()
    before = file.read_bytes()
    trials = read_trials(url, "digits", tmp_path)
    assert [(trial.number, trial.state, trial.value) for trial in trials] == [
        (0, "complete", 0.5),
        (1, "complete", 0.25),
        (2, "pruned", None),
        (3, "failed", None),
    ]
    assert trials[0].params == {"lr": 0.1, "n": 3, "kind": "a", "drop": 0.3}
    assert trials[1].params == {"lr": 0.01, "n": 4, "kind": None}
    assert {trial.direction for trial in trials} == {"minimize"}
    assert trials == read_trials(url, None, tmp_path)  # it is the only one
    assert trials == read_trials(file.name, folder=tmp_path)  # the name says what it is
    assert trials == read_trials(f"{url.partition(':')[0]}:{'///' if kind == 'sqlite' else ''}{file}")
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///gone.db", "there is no file .*gone.db"),
        ("journal:gone.log", "there is no file .*gone.log"),
        ("sqlite:///:memory:", "in memory"),
        ("old.txt", "sqlite:///PATH"),
        ("sqlite:///text.db", "cannot be read as a storage of Optuna"),
        ("sqlite:///foreign.db", "cannot be read as a storage of Optuna"),
        ("journal:text.db", "cannot be read as a storage of Optuna"),
        ("nodatabase://host/name", "cannot be read as a storage of Optuna"),
        ("journal:empty.log", "holds no study"),
    ],
)
def test_what_is_no_storage_is_refused_in_a_sentence_and_nothing_is_created(url, said, tmp_path):
    from hpo_workflow.integrations.optuna import read_trials

    (tmp_path / "text.db").write_text("trial,lr\n0,0.1\n")
    (tmp_path / "empty.log").touch()
    with sqlite3.connect(tmp_path / "foreign.db") as connection:
        connection.execute("create table runs (id integer)")
    connection.close()
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(UsageError, match=said):
        read_trials(url, None, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_of_several_studies_one_must_be_named(tmp_path):
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    from hpo_workflow.integrations.optuna import read_trials

    path = tmp_path / "two.log"
    storage = JournalStorage(JournalFileBackend(str(path)))
    fill(storage, "one")
    fill(storage, "two", "maximize")
    with pytest.raises(UsageError, match="holds 2 studies.*one, two"):
        read_trials(str(path))
    with pytest.raises(UsageError, match="no study three. There is one, two"):
        read_trials(str(path), "three")
    assert {trial.direction for trial in read_trials(str(path), "two")} == {"maximize"}


def test_several_objectives_are_refused(tmp_path):
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    from hpo_workflow.integrations.optuna import read_trials

    path = str(tmp_path / "pareto.log")
    optuna.create_study(storage=JournalStorage(JournalFileBackend(path)), study_name="p", directions=["minimize"] * 2)
    with pytest.raises(UsageError, match="2 objectives"):
        read_trials(path)


def test_without_optuna_the_error_names_the_extra():
    script = "import sys; sys.modules['optuna'] = None\nimport hpo_workflow.integrations.optuna"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].strip() == "pip install 'hpo-workflow[optuna]'"
    assert issubclass(MissingExtra, ImportError)
