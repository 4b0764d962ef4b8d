"""Studies of Optuna that are stored, imported and begun here with what they know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from hpo_workflow.study_file import load_study
from tests.cli.conftest import Hpo, here, hpo

__all__ = ["here", "hpo"]

pytestmark = pytest.mark.need("optuna")

COMMAND = "echo ${hpo.optimizer} ${hpo.lr} ${hpo.momentum?} ${hpo.layers} ${hpo.width?} value=0.5"


def objective(trial: Any) -> float:
    optimizer = trial.suggest_categorical("optimizer", ["adam", "sgd", None])
    loss: float = trial.suggest_float("lr", 1e-5, 0.1, log=True)
    if optimizer == "sgd":
        loss += trial.suggest_float("momentum", 0.5, 0.9, step=0.1)
    if trial.suggest_int("layers", 1, 4) >= 3:
        loss += trial.suggest_int("width", 16, 64, step=16)
    return loss


def journal(path: str) -> Any:
    """A storage that is made sooner than a database."""
    import optuna

    return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(path))


@pytest.fixture
def stored(here: Path) -> str:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=journal("old.log"),
        study_name="mlp 1",
        direction="minimize",
        sampler=optuna.samplers.RandomSampler(seed=1),
    )
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.set_metric_names(["val loss"])
    study.optimize(lambda trial: objective(trial), n_trials=25)
    return "journal:old.log"


def test_old_trials_come_along_as_history(stored: str, hpo: Hpo) -> None:
    answer = hpo("import", "optuna", stored, "--command", COMMAND.replace("value", "val_loss"), "--trials", "10")
    assert answer.code == 0, answer.err
    study = yaml.safe_load(Path("study.yaml").read_text())
    assert study["space"] == {
        "optimizer": ["adam", "sgd", "None"],
        "lr": {"type": "float", "low": 1e-5, "high": 0.1, "log": True},
        "momentum": {"type": "float", "low": 0.5, "high": 0.9, "step": 0.1, "when": {"optimizer": "sgd"}},
        "layers": {"type": "int", "low": 1, "high": 4},
        "width": {"type": "int", "low": 16, "high": 64, "step": 16, "when": {"layers": {"ge": 3}}},
    }
    assert study["objective"] == {"metric": "val_loss", "direction": "minimize"}
    assert study["history"] == [{"optuna": stored}] and study["study"] == "mlp-1"
    assert "by 25 complete ones it exists where {optimizer: sgd}" in answer.out
    checked = hpo("check", "study.yaml")
    assert checked.code == 0, checked.err
    assert "history: 25 of 25 rows of journal:old.log used\n" in checked.out


def test_without_a_command_and_a_budget_the_user_is_asked_for_them(stored: str, hpo: Hpo) -> None:
    answer = hpo("import", "optuna", stored, "--study", "mlp 1")
    assert answer.code == 0 and "To be filled in:\n  command:" in answer.out
    text = Path("study.yaml").read_text()
    assert "# command: python train.py --optimizer=${hpo.optimizer} --lr=${hpo.lr} --momentum=${hpo.momentum?}" in text
    assert 'study_name: "mlp 1"' in text
    assert "command: is missing" in hpo("check", "study.yaml").err.replace("study.yaml, ", "")
    filled = text.replace("# command:", "command:").replace("# budget:", "budget:").replace("# trials:", "trials:")
    Path("study.yaml").write_text(filled)
    assert load_study("study.yaml").spec.budget.trials == 64


def test_ranges_that_differ_from_trial_to_trial_are_put_together(here: Path, hpo: Hpo) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage="sqlite:///o.db", study_name="s")
    for low, high in ((0, 4), (2, 8)):
        trial = study.ask()
        value = trial.suggest_int("n", low, high, step=2) + trial.suggest_float("x", low / 10, high / 10)
        study.tell(trial, value)
    study.ask().suggest_int("n", 0, 4, step=2)
    answer = hpo("import", "optuna", "o.db", "--command", "echo ${hpo.n} ${hpo.x}", "--trials", "3")
    assert answer.code == 0
    space = yaml.safe_load(Path("study.yaml").read_text())["space"]
    assert space == {
        "n": {"type": "int", "low": 0, "high": 8, "step": 2},
        "x": {"type": "float", "low": 0.0, "high": 0.8},
    }
    assert "trials had it from different ranges" in answer.out
    assert "history: 2 of 2 rows of o.db used" in hpo("check", "study.yaml").out


def test_a_parameter_whose_condition_no_trial_tells_is_left_to_the_user(here: Path, hpo: Hpo) -> None:
    import optuna

    study = optuna.create_study(storage=journal("o.log"))
    for index in range(6):
        trial = study.ask()
        trial.suggest_categorical("kind", ["a", "b"])
        if index % 3 == 0:
            trial.suggest_float("hidden", 0, 1)
        study.tell(trial, index)
        study.enqueue_trial({"kind": "ab"[index % 2]})
    answer = hpo("import", "optuna", "o.log", "--command", "echo ${hpo.kind} ${hpo.hidden?}", "--trials", "3")
    assert "params.hidden: 2 of 6 complete trials have it" in answer.out
    assert "space.hidden: nothing is given" in hpo("check", "study.yaml").err.replace("study.yaml, ", "")


def test_trials_with_names_that_cannot_be_mapped_are_named(here: Path, hpo: Hpo) -> None:
    import optuna

    study = optuna.create_study(storage=journal("o.log"))
    study.optimize(lambda trial: trial.suggest_float("learning rate", 0, 1), n_trials=2)
    answer = hpo("import", "optuna", "o.log")
    assert "history: results are mapped by name, and learning rate cannot be a name here" in answer.out
    study_file = yaml.safe_load(Path("study.yaml").read_text())
    assert list(study_file["space"]) == ["learning_rate"] and "history" not in study_file


def test_a_storage_that_is_not_there_is_refused_in_words(here: Path, hpo: Hpo) -> None:
    answer = hpo("import", "optuna", "sqlite:///absent.db")
    assert answer.code == 2 and "there is no file absent.db" in answer.err
    assert not list(here.iterdir())
