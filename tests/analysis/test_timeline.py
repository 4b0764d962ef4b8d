"""Who held which slot when, and what empty slots waited for."""

from __future__ import annotations

import time

import pytest

from hpo_workflow.analysis.timeline import Asking, Attempt, timeline


def ran(number: int, begun: float, ended: float, how: str = "complete", attempt: int = 1) -> Attempt:
    return Attempt(number, attempt, begun, ended, how)


def asked(created: float, *trials: int, new: tuple[int, ...] = (), session: str = "one") -> Asking:
    return Asking(created, session, trials, new)


def test_without_an_attempt_there_is_no_timeline() -> None:
    assert timeline([], [asked(0, 0)], 2) is None


def test_a_trial_goes_into_the_slot_that_has_been_empty_for_longest() -> None:
    found = timeline([ran(0, 0, 10), ran(1, 0, 20), ran(2, 14, 30), ran(3, 25, 40)], [asked(0, 0, 1, 2, 3)], 2)
    assert found is not None
    assert [[each.number for each in slot] for slot in found.slots] == [[0, 2], [1, 3]]
    assert (found.begun, found.ended, found.busy_s) == (0, 40, 61)


def test_a_wait_is_divided_where_the_trial_was_proposed() -> None:
    found = timeline([ran(0, 5, 10), ran(1, 18, 30)], [asked(2, 0), asked(13, 1, new=(0,))], 1)
    assert found is not None
    first, second = found.waits
    assert (first.number, first.proposing_s, first.starting_s) == (0, 0, 3)
    assert (second.begun, second.others_s, second.proposing_s, second.starting_s) == (10, 0, 3, 5)
    assert found.idle_s == {"others": 0, "proposing": 3, "starting": 8, "nothing left": 0}


def test_a_trial_that_was_proposed_ahead_waits_for_its_start_only() -> None:
    found = timeline([ran(0, 0, 10), ran(1, 12, 30)], [asked(0, 0, 1)], 1)
    assert found is not None
    assert (found.waits[0].proposing_s, found.waits[0].starting_s) == (0, 2)


@pytest.mark.parametrize(("together", "others"), [(True, 10), (False, 0)])
def test_the_end_of_a_round_is_waited_for_only_where_there_are_rounds(together: bool, others: float) -> None:
    attempts = [ran(0, 0, 10), ran(1, 0, 20), ran(2, 23, 30), ran(3, 23, 30)]
    found = timeline(attempts, [asked(0, 0, 1), asked(22, 2, 3, new=(0, 1))], 2, together=together)
    assert found is not None
    assert found.idle_s["others"] == others
    assert sum(found.idle_s.values()) == 10 + 3 + 3


def test_slots_without_a_trial_wait_for_nothing_once_the_study_is_over() -> None:
    attempts, batches = [ran(0, 0, 10), ran(1, 0, 25)], [asked(0, 0, 1)]
    over, going_on = timeline(attempts, batches, 2), timeline(attempts, batches, 2, over=False)
    assert over is not None and going_on is not None
    assert over.idle_s["nothing left"] == 15
    assert going_on.idle_s["nothing left"] == 0


def test_busy_and_idle_time_fill_all_slots_from_begin_to_end() -> None:
    attempts, batches, now = [], [], 0.0
    ends = [0.0, 0.0, 0.0]
    for number in range(60):
        slot = ends.index(min(ends))
        created = ends[slot] + number % 3
        begun = created + number % 4
        ends[slot] = begun + 7 + number * 5 % 11
        attempts.append(ran(number, begun, ends[slot]))
        batches.append(asked(created, number))
        now = max(now, ends[slot])
    found = timeline(attempts, sorted(batches, key=lambda batch: batch.created), 3)
    assert found is not None
    assert found.busy_s + sum(found.idle_s.values()) == pytest.approx(3 * (found.ended - found.begun))


def test_the_time_between_two_runs_is_a_pause_and_no_wait() -> None:
    attempts = [ran(0, 1, 10), ran(1, 5005, 5010)]
    found = timeline(attempts, [asked(0, 0), asked(5000, 1, new=(0,), session="two")], 1)
    assert found is not None
    assert found.pauses == ((10, 5000),)
    assert sum(found.idle_s.values()) == 1 + 5


def test_a_run_that_follows_while_trials_still_run_makes_no_pause() -> None:
    attempts = [ran(0, 1, 10), ran(1, 9, 5001), ran(2, 5002, 5010)]
    found = timeline(attempts, [asked(0, 0, 1), asked(5000, 2, session="two")], 2)
    assert found is not None
    assert found.pauses == ()


def test_lost_attempts_are_held_time_and_a_trial_comes_from_its_last_emission() -> None:
    attempts = [ran(0, 0, 50, "lost"), ran(0, 62, 90, attempt=2)]
    found = timeline(attempts, [asked(0, 0), asked(60, 0)], 1)
    assert found is not None
    assert (found.busy_s, found.lost_s) == (78, 50)
    assert (found.waits[0].proposing_s, found.waits[0].starting_s) == (10, 2)


def test_times_cut_to_whole_seconds_open_no_further_slot_and_more_trials_at_a_time_do() -> None:
    cut = timeline([ran(0, 0, 10.8), ran(1, 10, 20)], [asked(0, 0, 1)], 1)
    more = timeline([ran(0, 0, 10), ran(1, 4, 20)], [asked(0, 0, 1)], 1)
    assert cut is not None and more is not None
    assert len(cut.slots) == 1 and cut.waits == ()
    assert len(more.slots) == 2 and more.waits == ()


def test_ten_thousand_trials_take_no_time() -> None:
    attempts = [ran(n, n // 50 * 10.0, n // 50 * 10.0 + 8) for n in range(10_000)]
    batches = [asked(n // 50 * 10.0, n, session=str(n // 1000)) for n in range(10_000)]
    begun = time.process_time()
    found = timeline(attempts, batches, 50)
    assert time.process_time() - begun < 2
    assert found is not None and len(found.slots) == 50
