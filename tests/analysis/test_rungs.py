"""Configurations by level."""

from __future__ import annotations

import math
from typing import Any

from hpo_workflow.analysis.rungs import Stay, rungs
from hpo_workflow.spec import Budget, Fidelity
from hpo_workflow.study_state import StudyState
from tests.records import IDENTITY, batch, outcome, spec


def climbing(trials: list[dict[str, Any]], outcomes: list[dict[str, Any]], direction: str = "minimize") -> StudyState:
    """A study of 1, 3 and 9 epochs with these trials."""
    changes: dict[str, Any] = {"fidelity": Fidelity("epochs", "int", 1, 9, 3, "asha"), "budget": Budget(9, 3)}
    study = spec(**changes)
    study = spec(**changes, objective=type(study.objective)("loss", direction))
    state = StudyState(study, IDENTITY)
    record = batch(0, {trial["number"]: {"x": trial["number"] / 10} for trial in trials}, study)
    for emitted, trial in zip(record["trials"], trials, strict=True):
        emitted.update(trial)
    state.add_batch(record)
    for each in outcomes:
        state.add_outcome(each)
    return state


def test_a_study_without_fidelity_has_no_rungs() -> None:
    assert rungs(StudyState(spec(), IDENTITY)) is None


def test_each_trial_says_what_became_of_it_at_its_level() -> None:
    trials = [{"number": n, "fidelity": 1, "bracket": 2} for n in range(6)]
    trials.append({"number": 6, "fidelity": 3, "parent": 0, "config": 0, "bracket": 2})
    outcomes = [
        outcome(0, 0, 0.5),
        outcome(1, 0, 0.9),
        outcome(2, 0),
        outcome(3, 0, 0.8, state="pruned", reason="median"),
        outcome(4, 0, None, state="cancelled", reason="stopped"),
    ]
    found = rungs(climbing(trials, outcomes))
    assert found is not None
    assert [stay.how for stay in found.stays] == [
        "promoted",
        "ended",
        "failed",
        "pruned",
        "cancelled",
        "open",
        "open",
    ]
    assert found.stays[6] == Stay(0, 6, 1, "open", None, 2)
    low, middle, top = found.levels
    assert (low.fidelity, low.n_trials, low.best) == (1, 6, (0.5, 0))
    assert low.counts == {"promoted": 1, "ended": 1, "failed": 1, "pruned": 1, "cancelled": 1, "open": 1}
    assert (middle.counts, middle.best) == ({"open": 1}, None)
    assert (top.n_trials, top.best) == (0, None)


def test_the_best_of_a_level_follows_the_direction_and_a_pruned_or_endless_value_is_none() -> None:
    trials = [{"number": n, "fidelity": 1} for n in range(4)]
    outcomes = [
        outcome(0, 0, 0.5),
        outcome(1, 0, 0.9),
        outcome(2, 0, 5.0, state="pruned", reason="median"),
        outcome(3, 0, math.nan),
    ]
    found = rungs(climbing(trials, outcomes, "maximize"))
    assert found is not None and found.levels[0].best == (0.9, 1)
