"""Studies with `fidelity:`, from batch to batch: what counts, what goes on, what follows from the ledger."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.replay import Replay
from hpo_workflow.spec import Budget, Fidelity
from hpo_workflow.trial import TrialState
from tests.simulated import Simulated

SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}, "k": ["a", "b", "c"]}
EPOCHS = Fidelity("epochs", "int", 1, 9, 3, "asha")


def study(root: Path, **changes: Any) -> Simulated:
    settings = {"space": SPACE, "fidelity": EPOCHS, "budget": Budget(9, 3), "sampler": {"name": "random"}}
    return Simulated(root, **{**settings, **changes})


def to_the_end(run: Simulated, seed: int = 0, troubled: bool = False) -> None:
    """Run until the study wants nothing more."""
    chance = random.Random(seed)
    while True:
        if run.wants_batch():
            run.propose()
        if not run.live:
            return
        number = chance.choice(sorted(run.live))
        draw = chance.random()
        if troubled and draw < 0.15:
            run.lose(number)
        elif troubled and draw < 0.3:
            run.end(number, "", "failed", "exit_code")
        else:
            x = run.live[number][1]["params"]["x"]
            fidelity = run.live[number][1]["fidelity"]
            run.end(number, f"loss={(x - 0.3) ** 2 + 1 / fidelity!r}\n")


def emitted(run: Simulated) -> dict[int, dict[str, Any]]:
    return {trial["number"]: trial for record in run.folder.batches() for trial in record["trials"]}


def disagreeing(run: Simulated) -> list[Any]:
    return [batch for batch in Replay(run.folder) if batch.verdict != "agrees" or batch.cause]


def test_only_trials_without_a_parent_cost_budget(tmp_path: Path) -> None:
    run = study(tmp_path)
    to_the_end(run)
    state = run.folder.state(run.current)
    trials = emitted(run).values()
    assert state.n_counted == 9 == sum(trial["parent"] is None for trial in trials)
    assert len(trials) > 12
    ending = state.ending()
    assert ending is not None and ending.reason == "budget"


def test_a_promotion_is_the_same_configuration_at_the_next_fidelity(tmp_path: Path) -> None:
    run = study(tmp_path)
    to_the_end(run)
    trials = emitted(run)
    levels = {1: 3, 3: 9}
    for trial in trials.values():
        if trial["parent"] is not None:
            parent = trials[trial["parent"]]
            assert (trial["config"], trial["params"]) == (parent["config"], parent["params"])
            assert trial["fidelity"] == levels[parent["fidelity"]]
            assert trial["origin"] == "asha"
    assert len({trial["digest"] for trial in trials.values()}) == len(trials)


def test_trials_are_trained_further_although_the_last_configuration_has_begun(tmp_path: Path) -> None:
    run = study(tmp_path, budget=Budget(3, 3))
    run.propose()
    for number in (0, 1, 2):
        run.end(number)
    state = run.folder.state(run.current)
    assert state.n_counted == 3 and state.ending() is None and state.wants_batch()
    assert [emitted(run)[number]["fidelity"] for number in run.propose()] == [3]
    state = run.folder.state(run.current)
    assert state.ending() is None and not state.wants_batch()


@pytest.mark.parametrize("method", ["asha", "sha", "hyperband"])
@pytest.mark.parametrize("sampler", ["random", "tpe", "gp"])
def test_every_batch_follows_from_the_ledger(tmp_path: Path, method: str, sampler: str) -> None:
    fidelity = Fidelity("epochs", "int", 1, 9, 3, method)
    settings = {"name": sampler, **({} if sampler == "random" else {"startup": 3})}
    run = study(tmp_path, fidelity=fidelity, sampler=settings, budget=Budget(14, 4))
    to_the_end(run, troubled=True)
    assert disagreeing(run) == []
    assert run.folder.state(run.current).n_counted == 14


SAMPLERS = [
    {"name": "auto"},
    {"name": "cmaes"},
    {"name": "sobol"},
    {"name": "grid", "order": "shuffled"},
    {"name": "optuna", "sampler": "TPESampler"},
]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: str(sampler["name"]))
def test_any_sampler_goes_with_it(tmp_path: Path, sampler: dict[str, Any]) -> None:
    for package in {"cmaes", "optuna"} & {sampler["name"]}:
        pytest.importorskip(package)
    space = {"x": {"type": "float", "low": 0.0, "high": 1.0, "points": 7}, "k": ["a", "b", "c"]}
    run = study(tmp_path, space=space, sampler=sampler, budget=Budget(20, 4))
    to_the_end(run, troubled=True)
    assert run.folder.state(run.current).n_counted == 20
    trials = emitted(run).values()
    begun = [str(trial["params"]) for trial in trials if trial["parent"] is None]
    assert len(set(begun)) == len(begun) == 20
    assert disagreeing(run) == []


def test_a_sampler_that_lives_through_the_study_knows_its_own_proposals(tmp_path: Path) -> None:
    """Were it told of a promotion's loss, CMA-ES would live another life and not know what it proposed in this one."""
    pytest.importorskip("cmaes")
    sampler = {"name": "cmaes", "population": 6}
    space = {"x": SPACE["x"], "y": SPACE["x"]}
    run = study(tmp_path, space=space, sampler=sampler, budget=Budget(48, 6), refill="rounds")
    while run.wants_batch():
        for number in run.propose():
            params, fidelity = run.live[number][1]["params"], run.live[number][1]["fidelity"]
            low = abs(params["x"] - 0.3) + abs(params["y"] - 0.6)
            run.end(number, f"loss={low if fidelity == 1 else number % 5 - 5!r}\n")  # another order higher up
    begun = [trial["params"] for trial in emitted(run).values() if trial["parent"] is None]
    away = [abs(params["x"] - 0.3) + abs(params["y"] - 0.6) for params in begun]
    assert sum(away[24:]) < 0.8 * sum(away[:24])


def test_a_finite_space_that_is_used_up_is_still_trained_to_the_end(tmp_path: Path) -> None:
    run = study(tmp_path, space={"k": ["a", "b", "c", "d"]}, command="echo ${hpo.k}", budget=Budget(50, 2))
    while run.wants_batch() or run.live:
        if run.wants_batch():
            run.propose()
        number = min(run.live)
        run.end(number, f"loss={number}\n")
    state = run.folder.state(run.current)
    ending = state.ending()
    assert ending is not None and ending.reason == "exhausted"
    assert [trial["fidelity"] for trial in emitted(run).values()].count(3) == 1


def test_a_higher_top_goes_on_with_what_is_there(tmp_path: Path) -> None:
    run = study(tmp_path)
    to_the_end(run)
    before = len(emitted(run))
    run.use(fidelity=Fidelity("epochs", "int", 1, 27, 3, "asha"), budget=Budget(27, 3))
    to_the_end(run)
    later = [trial for number, trial in emitted(run).items() if number >= before]
    assert sum(trial["parent"] is None for trial in later) == 18
    assert any(trial["fidelity"] == 27 for trial in later)
    assert disagreeing(run) == []


def test_trials_of_another_ladder_are_left_out(tmp_path: Path) -> None:
    run = study(tmp_path)
    to_the_end(run)
    run.use(fidelity=Fidelity("epochs", "int", 2, 8, 2, "asha"))
    state = run.folder.state(run.current)
    assert state.n_counted == 0 and len(state.misfits) == len(emitted(run))
    to_the_end(run)
    assert run.folder.state(run.current).n_counted == 9


def test_a_failed_promotion_that_is_retried_goes_on_from_the_same_trial(tmp_path: Path) -> None:
    run = study(tmp_path, budget=Budget(3, 1))
    for loss in ("0.1", "0.2", "0.3"):
        run.end(run.propose()[0], f"loss={loss}\n")
    promoted = run.propose()[0]
    run.end(promoted, "", "failed", "oom")
    assert run.folder.state(run.current).ending() is not None
    run.folder.decide({"kind": "retry_failed", "numbers": [promoted]})
    (number,) = run.propose()
    again = emitted(run)[number]
    assert (again["parent"], again["config"], again["fidelity"]) == (0, 0, 3)
    assert disagreeing(run) == []


def test_a_sampler_is_told_one_loss_for_each_configuration(tmp_path: Path) -> None:
    run = study(tmp_path)
    to_the_end(run, troubled=True)
    state = run.folder.state(run.current)
    history = state.history()
    assert len(history.observations) == 9 and not history.pending
    failed = {n for n, t in state.finished.items() if t.state is TrialState.FAILED}
    assert sum(one.loss is None for one in history.observations) <= len(failed)


def test_a_configuration_that_is_trained_further_is_not_pending(tmp_path: Path) -> None:
    run = study(tmp_path, budget=Budget(9, 3))
    run.propose()
    for number in (0, 1, 2):
        run.end(number)
    numbers = run.propose()
    kinds = [emitted(run)[number]["parent"] is None for number in numbers]
    assert kinds == [False, True, True]
    history = run.folder.state(run.current).history()
    assert len(history.observations) == 3 and len(history.pending) == 2
