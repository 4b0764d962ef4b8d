"""Optuna with the same sleeping program on as many threads as there are slots; called by slots.py with its settings.

    python optuna_study.py '{"sampler": "tpe", ...}'

What a user would write: an objective that starts the program and reads the number that it prints.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import optuna


def suggest(trial: optuna.Trial, name: str, entry: Any) -> Any:
    """The value of one parameter of a study file's space."""
    if isinstance(entry, list):
        return trial.suggest_categorical(name, entry)
    if entry["type"] == "int":
        return trial.suggest_int(name, entry["low"], entry["high"])
    return trial.suggest_float(name, entry["low"], entry["high"])


def run_earlier(space: Mapping[str, Any], count: int) -> list[optuna.trial.FrozenTrial]:
    """Trials that have ended, with random parameters."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))

    def objective(trial: optuna.Trial) -> float:
        first, *_ = [suggest(trial, name, entry) for name, entry in space.items()]
        return float(first)

    study.optimize(objective, n_trials=count)
    return list(study.trials)


def main(settings: Mapping[str, Any]) -> None:
    """Run the study."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = settings["space"]

    def objective(trial: optuna.Trial) -> float:
        values = [suggest(trial, name, entry) for name, entry in space.items()]
        words = [*settings["program"], str(trial.number), *settings["files"], *map(str, values)]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        return float(said.partition("loss=")[2])

    study = optuna.create_study(storage=settings["storage"], sampler=optuna.samplers.RandomSampler(seed=0))
    study.add_trials(run_earlier(space, int(settings["earlier"])))
    if settings["sampler"] == "tpe":
        study.sampler = optuna.samplers.TPESampler(seed=0)
    study.optimize(objective, n_trials=int(settings["trials"]), n_jobs=int(settings["slots"]))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
