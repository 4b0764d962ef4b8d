"""Studies with `method: pbt`, from batch to batch: who goes on from whom, and what follows from the ledger."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.spec import Budget, Fidelity
from tests.multifidelity.test_studies import disagreeing, emitted, to_the_end
from tests.simulated import Simulated

SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}, "k": ["a", "b", "c"]}
OPTIONS = {"exploit": "truncation", "quantile": 0.25, "explore": "factor", "resample": 0.25, "fixed": ["k"]}
POPULATION = Fidelity("epochs", "int", 2, 9, method="pbt", interval=2, options=OPTIONS)
LEVELS = {2: None, 4: 2, 6: 4, 8: 6, 9: 8}


def study(root: Path, options: dict[str, Any] | None = None, **changes: Any) -> Simulated:
    fidelity = replace(POPULATION, options={**OPTIONS, **(options or {})})
    settings = {"space": SPACE, "fidelity": fidelity, "budget": Budget(6, 3), "sampler": {"name": "random"}}
    return Simulated(root, **{**settings, **changes})


@pytest.mark.parametrize("options", [{}, {"exploit": "tournament", "explore": "resample", "fixed": []}])
def test_every_batch_follows_from_the_ledger_and_every_member_is_trained_to_the_end(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    run = study(tmp_path, options)
    to_the_end(run, troubled=True)
    assert disagreeing(run) == []
    trials = emitted(run)
    assert Counter(trial["bracket"] for trial in trials.values() if trial["parent"] is None) == Counter(range(6))
    last = {trial["bracket"]: trial["fidelity"] for trial in trials.values()}
    assert set(last.values()) <= set(LEVELS)
    assert list(last.values()).count(9) >= 4
    ending = run.folder.state(run.current).ending()
    assert ending is not None and ending.reason == "budget"


def test_who_is_replaced_has_the_winners_work_new_parameters_and_a_configuration_of_its_own(tmp_path: Path) -> None:
    run = study(tmp_path)
    to_the_end(run)
    trials = emitted(run)
    replaced = 0
    for trial in trials.values():
        if trial["parent"] is None:
            continue
        parent = trials[trial["parent"]]
        assert parent["fidelity"] == LEVELS[trial["fidelity"]]
        assert trial["origin"] == "pbt"
        if trial["params"] == parent["params"]:
            assert (trial["config"], trial["bracket"]) == (parent["config"], parent["bracket"])
        else:
            replaced += 1
            assert trial["config"] == trial["number"]
            assert trial["bracket"] != parent["bracket"]
            assert trial["params"]["k"] == parent["params"]["k"]
    assert replaced > 0
    assert len({trial["digest"] for trial in trials.values()}) == len(trials)
    assert run.folder.state(run.current).n_counted == 6


@pytest.mark.parametrize("steady", [False, True])
def test_a_sampler_is_told_of_members_and_not_of_parameters_that_began_with_the_work_of_others(
    tmp_path: Path, steady: bool
) -> None:
    run = study(tmp_path)
    to_the_end(run)
    state = run.folder.state(run.current)
    begun = [trial["params"] for trial in emitted(run).values() if trial["parent"] is None]
    told = state.history(steady=steady)
    assert [observation.params for observation in told.observations] == begun
    assert told.pending == ()
    assert all(observation.loss is not None for observation in told.observations)
    run.use(budget=Budget(7, 3))
    numbers = run.propose()
    pending = run.folder.state(run.current).history(steady=steady).pending
    assert list(pending) == [run.live[number][1]["params"] for number in numbers]


def test_in_rounds_a_level_is_complete_before_the_next_one_begins(tmp_path: Path) -> None:
    run = study(tmp_path, refill="rounds", budget=Budget(6, 6))
    to_the_end(run)
    assert [{trial["fidelity"] for trial in record["trials"]} for record in run.folder.batches()] == [
        {level} for level in LEVELS
    ]


def test_a_population_grows_by_members_that_begin_and_levels_that_are_added(tmp_path: Path) -> None:
    run = study(tmp_path)
    to_the_end(run)
    before = set(emitted(run))
    run.use(fidelity=replace(POPULATION, high=10), budget=Budget(8, 3))
    to_the_end(run)
    later = [trial for number, trial in emitted(run).items() if number not in before]
    begun = [trial for trial in later if trial["parent"] is None]
    assert [trial["bracket"] for trial in begun] == [6, 7]
    assert {trial["bracket"] for trial in later if trial["fidelity"] == 10} == set(range(8))
    assert disagreeing(run) == []


def test_a_population_that_fails_at_its_second_level_comes_to_an_end(tmp_path: Path) -> None:
    run = study(tmp_path, budget=Budget(3, 3, failures=1000))
    while run.wants_batch() or run.live:
        if run.wants_batch():
            run.propose()
        number = min(run.live)
        if run.live[number][1]["parent"] is None:
            run.end(number)
        else:
            run.end(number, "", "failed", "exit_code")
    assert Counter(trial["fidelity"] for trial in emitted(run).values()) == {2: 3, 4: 9}
    assert run.folder.state(run.current).ending() is not None


def test_a_failed_step_that_is_retried_goes_on_from_the_same_trial_for_the_same_member(tmp_path: Path) -> None:
    run = study(tmp_path, budget=Budget(1, 1))
    run.end(run.propose()[0])
    (failed,) = run.propose()
    run.end(failed, "", "failed", "oom")
    run.folder.decide({"kind": "retry_failed", "numbers": [failed]})
    (number,) = run.propose()
    told = ("parent", "config", "fidelity", "bracket", "params")
    assert [emitted(run)[number][key] for key in told] == [emitted(run)[failed][key] for key in told]
    assert disagreeing(run) == []
