"""What a study's trials show, as plain values."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest

from hpo_workflow.analysis import (
    Pruning,
    best_so_far,
    busy_s,
    distribution,
    failures_by_reason,
    gpu_hours,
    lineage,
    pruning,
    some_of,
    thinned,
)
from hpo_workflow.spec import Budget
from hpo_workflow.study_state import StudyState
from tests.records import IDENTITY, batch, outcome, spec


def test_best_so_far_lists_the_improvements_only() -> None:
    values = [(0, 3.0), (1, 4.0), (2, 3.0), (4, 1.0), (5, math.nan), (6, 2.0)]
    assert best_so_far(values, "minimize") == [(0, 3.0), (4, 1.0)]
    assert best_so_far(values, "maximize") == [(0, 3.0), (1, 4.0)]
    assert best_so_far([], "minimize") == []
    assert best_so_far([(0, math.inf), (1, 1e300)], "minimize") == [(1, 1e300)]


def test_a_lineage_goes_from_the_root_to_the_trial() -> None:
    parents = {0: None, 1: None, 2: 0, 3: 2, 4: 2, 7: 6}
    assert lineage(parents, 3) == [0, 2, 3]
    assert lineage(parents, 1) == [1]
    assert lineage(parents, 7) == [7]
    assert lineage(parents, 9) == []


def test_some_of_the_trials_are_the_best_and_others_evenly_spread() -> None:
    values: dict[int, float | None] = {number: float(number) for number in range(100)}
    chosen = some_of(values, 9, "maximize")
    assert chosen[-3:] == [97, 98, 99]
    assert len(chosen) == 9 and chosen[0] == 0
    assert max(b - a for a, b in pairwise(chosen[:6])) <= 17


def test_all_trials_are_taken_where_they_are_few_and_failed_ones_count_as_the_worst() -> None:
    assert some_of({3: None, 1: 2.0}, 2, "minimize") == [1, 3]
    assert 5 in some_of({number: None if number != 5 else 1.0 for number in range(50)}, 6, "minimize")


def test_thinned_points_keep_the_ends_and_every_peak() -> None:
    points = [(float(step), math.sin(step)) for step in range(1000)]
    points[500] = (500.0, 99.0)
    few = thinned(points, 50)
    assert len(few) <= 50
    assert few[0] == points[0] and few[-1] == points[-1] and (500.0, 99.0) in few
    assert few == sorted(few)
    assert thinned(points[:50], 50) == points[:50]
    assert len(thinned([(float(step), math.nan) for step in range(1000)], 50)) == 2


def test_failed_trials_are_grouped_by_reason_the_commonest_first() -> None:
    study = spec()
    state = StudyState(study, IDENTITY)
    state.add_batch(batch(0, {number: {"x": number / 10} for number in range(5)}, study))
    for number, reason in {3: "oom", 4: "timeout", 1: "oom"}.items():
        state.add_outcome(outcome(number, 0, reason=reason))
    state.add_outcome(outcome(0, 0, 1.0))
    assert list(failures_by_reason(state).items()) == [("oom", [1, 3]), ("timeout", [4])]


def test_gpu_hours_count_every_attempt_and_no_cached_result() -> None:
    results = [
        {"gpus": 2, "seconds": 3600.0, "attempts": [{"seconds": 1800.0}, {"seconds": 3600.0}]},
        {"gpus": 1, "seconds": 3600.0, "attempts": []},
        {"gpus": 4, "seconds": 3600.0, "cached": {"folder": "c"}},
        {"gpus": 0, "seconds": 3600.0},
        {"gpus": 1, "attempts": [{"seconds": None}]},
    ]
    assert gpu_hours(results) == pytest.approx(4.0)
    assert gpu_hours(results[2:4]) is None
    assert gpu_hours([]) is None


def test_busy_time_counts_overlaps_once_and_pauses_not_at_all() -> None:
    assert busy_s([]) == 0
    assert busy_s([(100.0, 130.0), (0.0, 10.0), (5.0, 8.0), (8.0, 20.0), (7.0, 7.0)]) == 50


def ended(number: int, value: float | None, state: str = "complete", audited: str = "") -> dict[str, Any]:
    reason = None if state == "complete" else "median"
    return outcome(number, 0, value, state=state, reason=reason, audited=audited)


def test_an_audit_counts_what_it_would_have_been_wrong_to_end() -> None:
    study = spec(budget=Budget(40, 40))
    state = StudyState(study, IDENTITY)
    state.add_batch(batch(0, {n: {"x": n / 40} for n in range(14)}, study))
    for number in range(8):
        state.add_outcome(ended(number, 1.0 + number))
    assert pruning(state) == Pruning(0, None, 1.0, (), (), (), None)
    for number, value, how in ((8, 0.5, "complete"), (9, 3.5, "complete"), (10, None, "failed"), (11, 2.0, "complete")):
        state.add_outcome(ended(number, value, how, audited="step 3: ..."))
    state.add_outcome(ended(12, 0.1, "pruned"))
    state.add_outcome(ended(13, None, "pruned"))
    # of eleven complete trials the best two are 8 (0.5) and 0 (1.0)
    assert pruning(state) == Pruning(2, 1.0, 1.0, (8, 9, 10, 11), (8, 9, 11), (8,), 8)


def test_of_few_complete_trials_the_best_one_is_the_best_quarter_and_fidelities_are_apart() -> None:
    study = spec(budget=Budget(40, 40))
    state = StudyState(study, IDENTITY)
    record = batch(0, {n: {"x": n / 40} for n in range(4)}, study)
    for trial in record["trials"]:
        trial["fidelity"] = 9.0 if trial["number"] < 2 else 27.0
    state.spec = spec(budget=Budget(40, 40))
    state.add_batch(record)
    for number, value in enumerate((0.9, 0.8, 0.2, 0.1)):
        state.add_outcome(ended(number, value, audited="step 1: ..." if number in (1, 2) else ""))
    assert pruning(state) == Pruning(0, None, 1.0, (1, 2), (1, 2), (1,), None)


def test_a_distribution_rises_to_one_and_counts_ties_together() -> None:
    assert distribution([3.0, 1.0, 1.0, math.nan, math.inf, 2.0]) == [(1.0, 0.5), (2.0, 0.75), (3.0, 1.0)]
    assert distribution([math.nan]) == []


def test_a_long_distribution_keeps_both_ends() -> None:
    few = distribution([float(value) for value in range(5000)], 7)
    assert len(few) == 7
    assert few[0] == (0.0, 1 / 5000) and few[-1] == (4999.0, 1.0)
    assert few == sorted(few)
