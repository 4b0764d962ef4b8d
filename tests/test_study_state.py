"""The state of a study is a pure function of its records."""

from __future__ import annotations

import random
from typing import Any

import pytest

from hpo_workflow.spec import Budget, Objective, Retry, StudySpec
from hpo_workflow.study_state import StudyState, read_state
from hpo_workflow.trial import TrialState
from tests.records import IDENTITY, batch, outcome, spec


def state_of(study: StudySpec, *events: dict[str, Any], **options: Any) -> StudyState:
    state = StudyState(study, IDENTITY, **options)
    for event in events:
        if "trials" in event:
            state.add_batch(event)
        else:
            state.add_outcome(event)
    return state


def x(value: float) -> dict[str, float]:
    return {"x": value}


def test_an_empty_study_wants_as_many_trials_as_run_at_once() -> None:
    state = state_of(spec())
    assert state.wants_batch()
    assert state.slots() == ([], 2)


def test_a_full_house_wants_nothing() -> None:
    study = spec()
    state = state_of(study, batch(0, {0: x(0.1), 1: x(0.2)}, study))
    assert not state.wants_batch()
    assert list(state.live) == [0, 1]


def test_trials_that_are_asked_for_ahead_wait_beside_those_that_run() -> None:
    study = spec(budget=Budget(5, 2, ahead=1))
    state = state_of(study)
    assert state.slots() == ([], 3)
    state.add_batch(batch(0, {0: x(0.1), 1: x(0.2), 2: x(0.3)}, study))
    assert not state.wants_batch()
    state.add_outcome(outcome(1, 0, 0.5))
    assert state.slots() == ([], 1)
    state.add_batch(batch(1, {3: x(0.4)}, study))
    state.add_outcome(outcome(0, 0, 0.5))
    state.add_outcome(outcome(2, 0, 0.5))
    assert state.slots() == ([], 1), "never more than the budget"


def pruned(number: int, of_batch: int, value: float | None, **changes: Any) -> dict[str, Any]:
    return outcome(number, of_batch, value, **{"state": "pruned", "reason": "median", **changes})


def test_a_pruned_trial_counts_is_never_the_best_and_is_told_as_no_better_than_the_median() -> None:
    study = spec()
    trials = {n: x(n / 10) for n in range(7)}
    state = state_of(study, batch(0, trials, study), pruned(0, 0, 0.1))
    assert state.losses() == {0: 0.1}, "nothing is known that it could be compared with"
    for number, value in ((1, 0.2), (2, 0.4), (3, 0.9)):
        state.add_outcome(outcome(number, 0, value))
    for number, kept in ((4, 0.3), (5, 0.7), (6, None)):
        state.add_outcome(pruned(number, 0, kept))
    assert state.losses() == {0: 0.4, 1: 0.2, 2: 0.4, 3: 0.9, 4: 0.4, 5: 0.7, 6: None}
    assert state.incumbent is not None
    assert (state.incumbent.number, state.n_counted) == (1, 7)


def test_a_pruned_trial_is_told_by_its_loss_where_larger_values_are_better() -> None:
    study = spec(objective=Objective("acc", "maximize"))
    state = state_of(
        study,
        batch(0, {0: x(0.1), 1: x(0.2), 2: x(0.3)}, study),
        outcome(0, 0, 0.5),
        pruned(1, 0, 0.9),
        pruned(2, 0, 0.25),
    )
    assert state.losses() == {0: -0.5, 1: -0.5, 2: -0.25}


def test_who_must_be_told_the_same_each_time_is_told_that_a_pruned_trial_failed() -> None:
    study = spec()
    state = state_of(study, batch(0, {0: x(0.1), 1: x(0.2)}, study), outcome(0, 0, 0.5), pruned(1, 0, 0.2))
    assert [one.loss for one in state.history().observations] == [0.5, 0.5]
    assert [one.loss for one in state.history(steady=True).observations] == [0.5, None]


def test_what_is_told_of_a_pruned_trial_does_not_depend_on_the_order_of_results() -> None:
    study = spec()
    outcomes = [outcome(n, 0, n / 7) for n in range(4)] + [pruned(n, 0, n / 50) for n in range(4, 8)]
    told = set()
    for seed in range(5):
        random.Random(seed).shuffle(outcomes)
        told.add(state_of(study, batch(0, {n: x(n / 10) for n in range(8)}, study), *outcomes).told())
    assert len(told) == 1


def test_a_trial_that_ends_frees_its_slot() -> None:
    study = spec()
    state = state_of(study, batch(0, {0: x(0.1), 1: x(0.2)}, study), outcome(1, 0, 0.5))
    assert state.wants_batch()
    assert state.slots() == ([], 1)
    assert state.new == [1]


def test_rounds_wait_until_all_are_done() -> None:
    study = spec(refill="rounds")
    state = state_of(study, batch(0, {0: x(0.1), 1: x(0.2)}, study), outcome(1, 0, 0.5))
    assert not state.wants_batch()
    state.add_outcome(outcome(0, 0, 0.4))
    assert state.slots() == ([], 2)


def test_the_budget_counts_what_is_in_flight() -> None:
    study = spec(budget=Budget(3, 2))
    state = state_of(study, batch(0, {0: x(0.1), 1: x(0.2)}, study), outcome(0, 0, 0.5))
    assert state.slots() == ([], 1)
    state.add_batch(batch(1, {2: x(0.3)}, study))
    state.add_outcome(outcome(1, 0, 0.6))
    assert not state.wants_batch()
    state.add_outcome(outcome(2, 1, 0.7))
    ending = state.ending()
    assert ending is not None and (ending.reason, ending.success) == ("budget", True)


def test_a_lowered_budget_is_told_as_such() -> None:
    study = spec(budget=Budget(1, 2))
    state = state_of(study, batch(0, {0: x(0.1), 1: x(0.2)}, study), outcome(0, 0, 0.5), outcome(1, 0, 0.5))
    ending = state.ending()
    assert ending is not None and ending.sentence == "2 trials done, and budget.trials is 1"


def test_a_cancelled_trial_costs_no_budget() -> None:
    study = spec(budget=Budget(2, 2))
    state = state_of(study, batch(0, {0: x(0.1), 1: x(0.2)}, study))
    state.add_outcome(outcome(0, 0, state="cancelled", reason="target"))
    state.add_outcome(outcome(1, 0, 0.2))
    assert state.n_counted == 1
    assert state.slots() == ([], 1)


def test_a_lost_trial_is_emitted_again_before_anything_new_and_costs_nothing() -> None:
    study = spec()
    state = state_of(study, batch(0, {0: x(0.1), 1: x(0.2)}, study), outcome(0, 0, state="lost", attempts=3))
    again, fresh = state.slots()
    assert [emission.proposal.number for emission in again] == [0]
    assert fresh == 0
    assert state.wants_batch()
    state.add_batch(batch(1, {0: x(0.1)}, study))
    assert list(state.live) == [0, 1]
    assert state.live[0].batch == 1
    state.add_outcome(outcome(0, 1, 0.3))
    assert state.n_counted == 1


def test_losses_in_a_row_end_the_study_and_one_good_trial_resets_the_count() -> None:
    study = spec(budget=Budget(100, 10))
    state = state_of(study, batch(0, {n: x(n / 10) for n in range(10)}, study))
    for number in range(6):
        state.add_outcome(outcome(number, 0, state="lost", attempts=3))
    assert state.ending() is None
    state.add_outcome(outcome(9, 0, 0.1))
    state.add_outcome(outcome(6, 0, state="lost", attempts=3))
    assert state.ending() is None
    for number in (7, 8):
        state.add_outcome(outcome(number, 0, state="lost", attempts=10))
    ending = state.ending()
    assert ending is not None and (ending.reason, ending.success) == ("lost", False)


def ends(*kinds: str, first: int = 1, host: str = "node1") -> list[list[Any]]:
    """Attempts as parse tells them: `killed` and the like are lost, `timeout` and `oom` failed and tried again."""
    kind = {"timeout": "failed", "oom": "failed"}
    return [[first + i, kind.get(reason, "lost"), reason, host] for i, reason in enumerate(kinds)]


def test_an_attempt_that_an_earlier_emission_has_told_of_is_not_counted_again() -> None:
    study = spec(budget=Budget(100, 10))
    state = state_of(study, batch(0, {0: x(0.1)}, study))
    for emission in range(1, 7):
        told = ends(*["node"] * 3 * emission)  # all attempts of the trial so far
        state.add_outcome(outcome(0, emission - 1, state="lost", attempts=len(told), ends=told))
        assert state.ending() is None, "3, 6, ... 18 attempts are not 63"
        state.add_batch(batch(emission, {0: x(0.1)}, study))
    state.add_outcome(outcome(0, 6, state="lost", attempts=21, ends=ends(*["node"] * 21)))
    ending = state.ending()
    assert ending is not None
    assert ending.sentence == (
        "21 attempts in a row were lost and nothing came of them; the commonest reason is node (21)"
    )


def test_who_is_tried_again_keeps_the_study_going_costs_nothing_and_is_told_to_the_next_batch() -> None:
    study = spec(retry=Retry(timeouts=50, ooms=2, mem=1.5), mem_mb=1000.0)
    state = state_of(study, batch(0, {0: x(0.1), 1: x(0.2)}, study))
    state.add_outcome(outcome(0, 0, state="lost", attempts=1, ends=ends("timeout"), again="timeout"))
    assert [emission.proposal.number for emission in state.slots()[0]] == [0]
    assert (state.n_counted, state.failures, state.new, state.losses()) == (0, {}, [], {})
    assert state.retried(0) == {"timeout": 1, "oom": 0}
    assert state.retried(1) == {}
    again = batch(1, {0: x(0.1)}, study)
    again["trials"][0]["retried"] = state.retried(0)
    state.add_batch(again)
    told = ends("timeout", *["node"] * 18, "oom", "killed", "oom")
    state.add_outcome(outcome(0, 1, state="lost", attempts=len(told), ends=told, again="oom"))
    assert state.ending() is None, "who fails has run, so the machine is not what fails"
    assert state.retried(0) == {"timeout": 1, "oom": 2, "mem_mb": 2250.0}


def test_what_was_tried_again_is_known_from_the_batches_alone() -> None:
    study = spec(retry=Retry(ooms=2), mem_mb=1000.0)
    again = batch(1, {0: x(0.1)}, study)
    again["trials"][0]["retried"] = {"timeout": 0, "oom": 1, "mem_mb": 2000.0}
    state = state_of(study, batch(0, {0: x(0.1)}, study), again)  # what parse said is lost
    state.add_outcome(outcome(0, 1, state="lost", attempts=1))
    assert state.retried(0) == {"timeout": 0, "oom": 1, "mem_mb": 2000.0}


def test_a_new_run_tries_again_after_losses_in_a_row() -> None:
    study = spec(budget=Budget(100, 10))
    lost = [outcome(n, 0, state="lost", attempts=10) for n in range(3)]
    state = state_of(study, batch(0, {n: x(n / 10) for n in range(3)}, study, session="a"), *lost)
    assert state.ending() is not None
    state.begin_run()
    assert state.ending() is None and state.wants_batch()
    again = batch(1, {n: x(n / 10) for n in range(3)}, study, session="b")
    told = state_of(study, batch(0, {n: x(n / 10) for n in range(3)}, study, session="a"), *lost, again)
    assert told.ending() is None  # who reads the records later comes to the same
    for number in range(2):
        told.add_outcome(outcome(number, 1, state="lost", attempts=10))
    ending = told.ending()
    assert ending is not None and ending.sentence.startswith("20 attempts in a row")


@pytest.mark.parametrize("order", range(5))
def test_the_order_of_reading_does_not_matter(order: int) -> None:
    study = spec(budget=Budget(40, 40))
    outcomes = [outcome(n, 0, None if n % 3 == 0 else (n * 7 % 11) / 10) for n in range(30)]
    random.Random(order).shuffle(outcomes)
    state = state_of(study, batch(0, {n: x(n / 40) for n in range(40)}, study), *outcomes)
    assert state.incumbent is not None and state.incumbent.number == 11
    assert state.ending() is None
    assert [len(state.history().observations), len(state.history().pending)] == [30, 10]
    assert [observation.params["x"] for observation in state.history().observations] == [n / 40 for n in range(30)]


def test_a_failure_is_told_as_a_failure_and_a_maximised_value_as_a_negative_loss() -> None:
    study = spec(objective=Objective("accuracy", "maximize"))
    state = state_of(study, batch(0, {0: x(0.1), 1: x(0.2)}, study), outcome(0, 0, 0.75), outcome(1, 0))
    assert [observation.loss for observation in state.history().observations] == [-0.75, None]


@pytest.mark.parametrize(
    ("direction", "target", "ends"), [("minimize", 0.3, True), ("minimize", 0.2, False), ("maximize", 0.25, True)]
)
def test_the_target_is_inclusive_in_both_directions(direction: str, target: float, ends: bool) -> None:
    study = spec(objective=Objective("loss", direction, target=target))
    state = state_of(study, batch(0, {0: x(0.1)}, study), outcome(0, 0, 0.3 if direction == "minimize" else 0.25))
    assert (state.ending() is not None) is ends


def test_the_target_comes_before_the_failures() -> None:
    study = spec(objective=Objective("loss", "minimize", target=0.5), budget=Budget(8, 8, failures=1))
    state = state_of(study, batch(0, {0: x(0.1), 1: x(0.2)}, study), outcome(0, 0), outcome(1, 0, 0.1))
    ending = state.ending()
    assert ending is not None and ending.reason == "target"


def test_the_first_five_failures_end_the_study_by_default() -> None:
    study = spec(budget=Budget(50, 8))
    state = state_of(study, batch(0, {n: x(n / 10) for n in range(8)}, study), *(outcome(n, 0) for n in range(4)))
    assert state.ending() is None
    state.add_outcome(outcome(4, 0, reason="timeout"))
    ending = state.ending()
    assert ending is not None and not ending.success
    assert ending.sentence == "the first 5 trials all failed; the commonest reason is exit_code (4)"


def test_more_than_half_of_the_last_twenty_end_the_study_by_default() -> None:
    study = spec(budget=Budget(100, 30))
    record = batch(0, {n: x(n / 100) for n in range(30)}, study)
    good = [outcome(n, 0, 0.5) for n in range(10)]
    state = state_of(study, record, *good, *(outcome(n, 0) for n in range(10, 20)))
    assert state.ending() is None
    state.add_outcome(outcome(20, 0))
    ending = state.ending()
    assert ending is not None and ending.sentence.startswith("11 of the last 20 trials failed")


def test_a_limit_of_failures_replaces_the_default_rule() -> None:
    study = spec(budget=Budget(50, 8, failures=7))
    state = state_of(study, batch(0, {n: x(n / 10) for n in range(8)}, study), *(outcome(n, 0) for n in range(6)))
    assert state.ending() is None
    state.add_outcome(outcome(6, 0))
    assert state.ending() is not None


def test_the_wall_stops_proposing() -> None:
    study = spec(budget=Budget(8, 2, wall_s=60.0))
    state = state_of(study)
    assert state.wants_batch(59.0)
    assert not state.wants_batch(60.0)
    ending = state.ending(61.0)
    assert ending is not None and (ending.reason, ending.success) == ("wall", True)


def test_gpu_hours_stop_proposing_and_every_attempt_counts() -> None:
    study = spec(budget=Budget(8, 2, gpu_hours=2.0), resources={"gpu": 2})
    emitted = batch(0, {0: x(0.1), 1: x(0.2)}, study)
    lost = outcome(0, 0, state="lost", gpu_s=1800.0, attempts=3)
    state = state_of(study, emitted, lost)
    assert state.gpu_hours() == 0.5 and state.wants_batch()
    state = state_of(study, emitted, lost, outcome(0, 0, 0.5, gpu_s=4000.0))  # all its attempts, the lost ones again
    assert state.gpu_hours() == pytest.approx(4000 / 3600)
    assert state.wants_batch(0.0, {1: 3000.0})
    assert not state.wants_batch(0.0, {1: 3200.0})  # trial 1 runs, and what it has used counts
    ending = state.ending(0.0, {1: 3200.0})
    assert ending is not None and (ending.reason, ending.success) == ("gpu_hours", True)
    assert ending.sentence == "2 GPU-hours used, and budget.gpu_hours is 2"


def test_what_lost_attempts_took_is_a_part_of_the_gpu_hours_and_counted_once() -> None:
    study = spec(budget=Budget(8, 2), resources={"gpu": 2})
    emitted = batch(0, {0: x(0.1), 1: x(0.2)}, study)
    lost = outcome(0, 0, state="lost", gpu_s=1800.0, attempts=1, n_lost=1, lost_gpu_s=1800.0)
    told_again = outcome(0, 0, 0.5, gpu_s=5400.0, n_lost=2, lost_gpu_s=3600.0)
    state = state_of(study, emitted, lost, told_again, outcome(1, 0, 0.5, gpu_s=3600.0, n_lost=1))
    assert (state.n_lost, state.lost_gpu_hours, state.gpu_hours()) == (3, 1.0, 2.5)


def test_a_session_that_is_not_over_is_left_out_of_the_time_so_far() -> None:
    study = spec()
    state = state_of(study)
    for number, (session, elapsed) in enumerate([("a", 10.0), ("a", 50.0), ("b", 55.0), ("b", 90.0)]):
        state.add_batch(batch(number, {}, study, session=session, elapsed_s=elapsed))
    assert (state.elapsed_s(), state.elapsed_s("b"), state.elapsed_s("a")) == (90.0, 50.0, 90.0)


def test_gpu_hours_of_trials_that_count_no_more_were_used_all_the_same() -> None:
    study = spec(budget=Budget(8, 2, gpu_hours=2.0), resources={"gpu": 2})
    other = batch(0, {0: x(0.1)}, study, identity="identity-b")
    state = state_of(study, other, outcome(0, 0, 0.5, gpu_s=7200.0))
    assert state.n_counted == 0 and state.ending() is not None
    state = state_of(study, batch(0, {0: x(0.1)}, study), outcome(0, 0, 0.5, gpu_s=7200.0), set_aside=[0])
    assert state.n_counted == 0 and state.ending() is not None


def test_metric_files_of_earlier_versions_tell_the_gpu_hours_of_the_last_attempt() -> None:
    study = spec(budget=Budget(8, 2, gpu_hours=2.0))
    emitted = batch(0, {n: x(n / 9) for n in range(3)}, study)
    old = [outcome(0, 0, 0.5, gpus=4, seconds=900.0), outcome(1, 0, 0.5, gpus=4, seconds=900.0, cached=True)]
    assert state_of(study, emitted, *old, outcome(2, 0, 0.5)).gpu_hours() == 1.0


def test_a_bound_of_gpu_hours_is_a_limit_and_ledgers_without_one_keep_theirs() -> None:
    assert spec().limits_digest != spec(budget=Budget(8, 2, gpu_hours=1.0)).limits_digest
    assert spec().limits_digest == "ef0a7659ce0f"


def test_an_exhausted_space_ends_the_study_until_the_limits_change() -> None:
    study = spec(budget=Budget(None, 2))
    done = batch(1, {}, study, answer="done", reason="exhausted")
    state = state_of(study, batch(0, {0: x(0.1)}, study), outcome(0, 0, 0.5), done)
    ending = state.ending()
    assert ending is not None and (ending.reason, ending.success) == ("exhausted", True)
    wider = spec(budget=Budget(None, 2), space={"x": {"type": "float", "low": 0.0, "high": 2.0}})
    assert state_of(wider, batch(0, {0: x(0.1)}, study), outcome(0, 0, 0.5), done).wants_batch()


def test_after_wait_only_news_lead_to_another_question() -> None:
    study = spec(budget=Budget(8, 4))
    state = state_of(study, batch(0, {0: x(0.1), 1: x(0.2)}, study), batch(1, {}, study, answer="wait"))
    assert not state.wants_batch()
    state.add_outcome(outcome(0, 0, 0.5))
    assert state.wants_batch()
    state.add_batch(batch(2, {}, study, answer="wait", new=[0]))
    assert not state.wants_batch()


def test_trials_outside_a_narrowed_space_are_not_counted() -> None:
    study = spec()
    narrow = spec(space={"x": {"type": "float", "low": 0.0, "high": 0.5}})
    state = state_of(narrow, batch(0, {0: x(0.1), 1: x(0.9)}, study), outcome(0, 0, 0.5), outcome(1, 0, 0.1))
    assert state.n_counted == 1
    assert state.misfits == {1}
    assert state.incumbent is not None and state.incumbent.number == 0
    assert state.next_number == 2


def test_trials_of_another_identity_are_not_counted_unless_it_was_accepted() -> None:
    study = spec()
    events = [batch(0, {0: x(0.1), 1: x(0.2)}, study, identity="older"), outcome(0, 0, 0.5)]
    state = state_of(study, *events)
    assert (state.n_counted, state.next_number, state.foreign) == (0, 2, {"older": {0, 1}})
    state = state_of(study, *events, accepted=["older"])
    assert state.n_counted == 1
    assert [emission.proposal.number for emission in state.to_emit_again] == [1]


def test_trials_set_aside_are_not_counted_and_remembered() -> None:
    study = spec()
    state = state_of(study, batch(0, {0: x(0.1), 1: x(0.2)}, study), outcome(0, 0), set_aside=[0])
    assert state.n_counted == 0
    assert [proposal.params for proposal in state.asides] == [x(0.1)]


@pytest.mark.parametrize("answer", ["done", "wait", "open"])
def test_trials_set_aside_run_anew_also_where_nothing_else_is_left(answer: str) -> None:
    study = spec()
    first = batch(0, {0: x(0.1), 1: x(0.2)}, study, answer=answer)
    state = state_of(study, first, outcome(0, 0), outcome(1, 0, state="failed"), set_aside=[1])
    assert [proposal.params for proposal in state.to_retry] == [x(0.2)]
    assert state.ending() is None and state.wants_batch()
    state.add_batch(batch(1, {2: x(0.2)}, study, answer=answer, new=[0, 1]))
    assert state.to_retry == [] and state.live
    state.add_outcome(outcome(2, 1))
    ending = state.ending()
    assert (ending is not None and ending.reason == "exhausted") == (answer == "done")


def test_a_terminal_outcome_never_changes() -> None:
    study = spec()
    state = state_of(study, batch(0, {0: x(0.1)}, study), outcome(0, 0, 0.5), outcome(0, 0, 0.1))
    assert state.finished[0].value == 0.5
    assert state.n_in(TrialState.COMPLETE) == 1


def test_of_equal_values_the_lowest_number_is_the_incumbent() -> None:
    study = spec()
    for order in ((0, 1), (1, 0)):
        state = state_of(study, batch(0, {0: x(0.1), 1: x(0.2)}, study), *(outcome(n, 0, 0.5) for n in order))
        assert state.incumbent is not None and state.incumbent.number == 0


def test_reading_all_at_once_equals_following_along() -> None:
    study = spec(budget=Budget(20, 3))
    batches = [batch(0, {0: x(0.1), 1: x(0.2)}, study), batch(1, {2: x(0.3)}, study), batch(2, {0: x(0.1)}, study)]
    known = {(0, 0): outcome(0, 0, state="lost"), (1, 0): outcome(1, 0, 0.5), (0, 2): outcome(0, 2, 0.4)}
    read = read_state(study, IDENTITY, (), (), batches, lambda number, b: known.get((number, b)))
    followed = state_of(study, *batches[:2], known[0, 0], known[1, 0], batches[2], known[0, 2])
    assert read.finished == followed.finished
    assert read.live == followed.live
    assert read.slots() == followed.slots()


def test_a_warning_is_told_once_with_the_first_trial_that_it_is_true_of() -> None:
    study = spec(budget=Budget(8, 4))
    state = state_of(study, batch(0, {n: x(n / 10) for n in range(4)}, study))
    for number in (3, 1, 2):
        state.add_outcome(outcome(number, 0, 0.5, warnings=["two kinds of lines"] + ["cut"] * (number == 2)))
    assert state.warnings == {"two kinds of lines": 1, "cut": 2}
