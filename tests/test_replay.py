"""Every batch follows from the ledger, whatever happened between two batches; what does not is named."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.replay import Replay, Replayed
from hpo_workflow.spec import Budget, MetricSettings, Objective
from hpo_workflow.trial import TrialState
from tests.simulated import Simulated

MIXED = {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "n": {"type": "int", "low": 1, "high": 9},
    "kind": ["a", "b"],
    "y": {"type": "float", "low": 0.1, "high": 1.0, "log": True, "when": {"kind": "b"}},
}


def replayed(study: Simulated) -> list[Replayed]:
    return list(Replay(study.folder))


def disagreeing(study: Simulated) -> list[Replayed]:
    found = replayed(study)
    assert found
    return [batch for batch in found if batch.verdict != "agrees" or batch.cause]


def in_any_order(seed: int) -> Any:
    rng = random.Random(seed)
    return rng.choice


@pytest.mark.parametrize("refill", ["rolling", "rounds"])
@pytest.mark.parametrize("name", ["random", "sobol", "grid", "tpe", "gp"])
def test_the_proposals_of_every_sampler_follow_from_the_ledger(tmp_path: Path, name: str, refill: str) -> None:
    space = {**MIXED, "x": {**MIXED["x"], "points": 5}, "y": {**MIXED["y"], "points": 3}}
    sampler = {"name": name, **({"startup": 4} if name in ("tpe", "gp") else {})}
    study = Simulated(tmp_path, space=space, sampler=sampler, budget=Budget(10, 3), refill=refill)
    study.run(10, in_any_order(3))
    assert disagreeing(study) == []
    shutil.rmtree(tmp_path / "state")  # nothing derived is needed
    assert disagreeing(study) == []


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_what_samplers_were_told_of_pruned_trials_follows_from_the_ledger(tmp_path: Path, name: str) -> None:
    """It depends on the trials that were complete then, so it is another loss at each batch."""
    study = Simulated(tmp_path, space=MIXED, sampler={"name": name, "startup": 3}, budget=Budget(14, 3))
    rng = random.Random(2)
    for ended in range(14):
        if study.wants_batch():
            study.propose()
        number = rng.choice(sorted(study.live))
        study.end(number, *([f"loss={rng.random()}\n", "pruned", "median"] if ended % 3 == 1 else []))
    assert study.folder.state(study.current).n_in(TrialState.PRUNED) == 5
    assert disagreeing(study) == []


def test_what_a_study_goes_through_can_all_be_replayed(tmp_path: Path) -> None:
    choose = in_any_order(1)
    study = Simulated(tmp_path, space=MIXED, sampler={"name": "tpe", "startup": 3}, budget=Budget(6, 3))
    study.run(5, choose)
    study.use(budget=Budget(40, 4))
    study.run(3, choose)
    study.lose(max(study.live))
    study.propose()
    assert study.folder.batches()[-1]["trials"][0]["origin"] == "again"
    study.end(min(study.live), "no number\n")
    study.end(min(study.live), kind="failed", reason="exit_code")
    study.end(min(study.live), kind="cancelled", reason="target")
    study.propose()
    study.use(sampler={"name": "gp", "startup": 3}, seed=9)
    study.run(4, choose)
    study.use(space={**MIXED, "n": {"type": "int", "low": 3, "high": 9}})
    study.run(4, choose)
    failed = [n for n, trial in study.folder.state(_plan(study)).finished.items() if trial.value is None]
    study.folder.decide({"kind": "retry_failed", "numbers": failed})
    study.run(4, choose)
    assert "retry" in {trial["origin"] for record in study.folder.batches() for trial in record["trials"]}
    study.folder.decide({"kind": "keep", "identity": "identity-b", "others": ["identity-a"]})
    study.use(identity="identity-b")
    study.run(4, choose)
    study.folder.decide({"kind": "fresh", "identity": "identity-c", "others": ["identity-a", "identity-b"]})
    study.use(identity="identity-c")
    study.live.clear()
    study.run(5, choose)
    assert disagreeing(study) == []


def _plan(study: Simulated) -> dict[str, Any]:
    plan = study.folder.current_plan()
    assert plan is not None
    return plan


TWO = "loss={}\nother={}\n"


def metrics_changed(tmp_path: Path) -> Simulated:
    """A study that minimised `loss` for four batches, and then `other`."""
    study = Simulated(tmp_path, sampler={"name": "tpe", "startup": 2}, budget=Budget(12, 1))
    for number in range(4):
        study.propose()
        study.end(number, TWO.format(number, (7 * number) % 5))
    study.use(objective=Objective("other", "maximize"), metrics=MetricSettings(lines="o"))
    study.read_again()
    for number in range(4, 8):
        study.propose()
        study.end(number, TWO.format(number, (7 * number) % 5))
    return study


def test_a_batch_is_replayed_with_the_objective_of_its_time(tmp_path: Path) -> None:
    study = metrics_changed(tmp_path)
    assert disagreeing(study) == []


def test_a_log_that_was_read_differently_and_has_gone_is_said(tmp_path: Path) -> None:
    study = metrics_changed(tmp_path)
    Path(study.folder.paths.log(1, 1)).unlink()
    found = replayed(study)
    assert [batch.verdict for batch in found] == ["agrees"] * 4 + ["unknown"] * 4
    log = study.folder.paths.log(1, 1)
    assert found[4].cause == f"the objective was read differently then, and the log of trial 1 ({log}) has gone"


def finished(tmp_path: Path, **changes: Any) -> Simulated:
    settings: dict[str, Any] = {"sampler": {"name": "tpe", "startup": 2}, "budget": Budget(6, 2), **changes}
    study = Simulated(tmp_path, **settings)
    study.run(settings["budget"].trials)
    return study


def test_an_edited_proposal_is_named_with_both_values(tmp_path: Path) -> None:
    study = finished(tmp_path, sampler={"name": "random"})
    path = study.folder.paths.batch_record(1)
    was: list[float] = []

    def edit(record: dict[str, Any]) -> None:
        was.append(record["trials"][0]["params"]["x"])
        record["trials"][0]["params"]["x"] = 0.5

    study.edit(path, edit)
    differing = [batch for batch in replayed(study) if batch.verdict == "differs"]
    assert [batch.batch for batch in differing] == [1]
    (difference,) = differing[0].differences
    number = differing[0].trials[0]
    assert (difference.trial, difference.what, difference.recorded, difference.recomputed) == (number, "x", 0.5, was[0])
    assert "the record of this batch was edited" in differing[0].cause


def test_an_edited_result_is_named_with_what_the_sampler_was_told(tmp_path: Path) -> None:
    study = finished(tmp_path, budget=Budget(12, 2))  # TPE waits for five results
    trials = study.folder.state(_plan(study)).finished
    number = min(
        range(5), key=lambda trial: trials[trial].value or 0.0
    )  # TPE looks at the order of the good ones alone
    value = trials[number].value

    def edit(record: dict[str, Any]) -> None:
        record["metrics"]["points"]["loss"][-1][-1] = 77.0

    study.edit(study.folder.paths.result_record(number), edit)
    found = replayed(study)
    told = next(batch for batch in found if batch.cause)
    assert told.cause == (
        f"its sampler was told loss={value!r} of trial {number}, and the ledger says loss=77.0: a record was edited"
    )
    assert any(batch.verdict == "differs" for batch in found), "TPE proposes something else for other losses"


def test_with_a_random_sampler_an_edited_result_changes_no_proposal_and_is_told_all_the_same(tmp_path: Path) -> None:
    study = finished(tmp_path, sampler={"name": "random"})
    study.edit(study.folder.paths.result_record(0), lambda record: record["end"].update(kind="failed"))
    found = replayed(study)
    assert {batch.verdict for batch in found} == {"agrees"}
    assert "and the ledger says a failure" in next(batch.cause for batch in found if batch.cause)


def test_other_versions_are_the_likely_cause_where_only_they_differ(tmp_path: Path) -> None:
    study = finished(tmp_path)

    def edit(record: dict[str, Any]) -> None:
        record["sampler"]["numpy"] = "1.0.0"
        record["trials"][0]["params"]["x"] += 1e-16 + record["trials"][0]["params"]["x"] * 1e-15

    study.edit(study.folder.paths.batch_record(2), edit)
    found = replayed(study)[2]
    assert found.verdict == "differs"
    assert found.cause.startswith("it was made with other versions: NumPy 1.0.0 then and ")


@pytest.mark.parametrize(
    ("edit", "cause"),
    [
        (lambda record: record.pop("plan"), "it does not say plan: an earlier version wrote it"),
        (lambda record: record.update(plan="0123456789ab"), "ledger/plans/0123456789ab.json is not there"),
        (lambda record: record["trials"][0].pop("params"), "a record was edited and is not whole (KeyError('params'))"),
    ],
)
def test_what_cannot_be_replayed_says_why(tmp_path: Path, edit: Any, cause: str) -> None:
    study = finished(tmp_path)
    study.edit(study.folder.paths.batch_record(1), edit)
    found = replayed(study)
    assert found[0].verdict == "agrees"
    assert found[1].verdict == "unknown"
    assert cause in found[1].cause
    assert len(found) == len(study.folder.batches())


def test_a_result_that_has_gone_is_said(tmp_path: Path) -> None:
    study = finished(tmp_path)
    path = Path(study.folder.paths.result_record(0))
    path.unlink()
    assert f"told of trial 0, and {path} is not there" in replayed(study)[-1].cause


@pytest.mark.parametrize("change", ["one less", "one more", "another number", "another answer"])
def test_a_batch_with_other_trials_differs(tmp_path: Path, change: str) -> None:
    study = finished(tmp_path, sampler={"name": "random"})

    def edit(record: dict[str, Any]) -> None:
        trials = record["trials"]
        if change == "one less":
            trials.pop()
        elif change == "one more":
            trials.append({**trials[-1], "number": 99, "params": {"x": 0.5}})
        elif change == "another number":
            trials[0]["number"] = 99
        else:
            record["answer"] = "done"

    study.edit(study.folder.paths.batch_record(0), edit)
    (found,) = replayed(study)[0].differences
    assert (found.trial, found.what) == {
        "one less": (1, "all parameters"),
        "one more": (99, "all parameters"),
        "another number": (99, "number"),
        "another answer": (None, "answer"),
    }[change]
