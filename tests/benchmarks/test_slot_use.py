"""Durations, bounds and slot use, by hand."""

from __future__ import annotations

import math

import pytest

from benchmarks.slot_use import (
    CAP,
    TrialTime,
    bounds,
    greedy_makespan,
    log_normal,
    read_times,
    rounds_makespan,
    use,
)


def test_durations_have_the_mean_that_was_asked_for_and_are_the_same_each_time():
    durations = log_normal(96, 4.0)
    assert math.fsum(durations) == pytest.approx(4.0 * 96, abs=0.05)
    assert durations == log_normal(96, 4.0)
    assert durations != log_normal(96, 4.0, seed=4)
    assert 0 < min(durations) < 1 and 8 < max(durations) < 4.0 * CAP * 1.3
    logs = [math.log(value) for value in log_normal(5000, 4.0)]
    mean = math.fsum(logs) / len(logs)
    assert math.sqrt(math.fsum((one - mean) ** 2 for one in logs) / len(logs)) == pytest.approx(0.8, abs=0.05)


def test_a_free_slot_takes_the_next_trial():
    assert greedy_makespan([3, 1, 1, 1], 2) == 3
    assert greedy_makespan([1, 1, 1, 3], 2) == 4
    assert greedy_makespan([2], 8) == 2


def test_a_round_waits_for_its_longest_trial():
    assert rounds_makespan([3, 1, 1, 1], 2) == 4
    assert rounds_makespan([3, 1, 5], 2) == 8


def test_bounds_are_shares_of_the_time_of_all_slots():
    assert bounds([3, 1, 1, 1], 2) == {"greedy": 1.0, "rounds": 0.75}


def test_slot_use_counts_what_trials_were_told_to_sleep():
    times = [TrialTime(0, 100.0, 103.2, "-"), TrialTime(1, 100.1, 101.2, "-"), TrialTime(2, 102.0, 104.0, "-")]
    found = use(times, [3.0, 1.0, 1.0], 2)
    assert found["span_s"] == 4.0
    assert found["use"] == 5 / 8
    assert found["of_greedy"] == pytest.approx((5 / 8) / (5 / 6))


def test_a_trial_that_ran_twice_or_not_at_all_is_no_measurement():
    once = TrialTime(0, 1.0, 2.0, "-")
    with pytest.raises(ValueError, match="1 trials have run, and 2 were meant to"):
        use([once], [1.0, 1.0], 2)
    with pytest.raises(ValueError, match="once each"):
        use([once, once], [1.0, 1.0], 2)


def test_times_are_read_by_number_and_earlier_trials_are_left_out(tmp_path):
    (tmp_path / "times").write_text("7 10.5 11.0 -\n5 10.0 12.0 431\n0 1.0 1.0 -\n")
    assert read_times(tmp_path / "times", 5) == [TrialTime(5, 10.0, 12.0, "431"), TrialTime(7, 10.5, 11.0, "-")]
