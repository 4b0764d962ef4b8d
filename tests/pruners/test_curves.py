"""What the complete trials had reached by which step."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from hpo_workflow.pruners.course import Course
from hpo_workflow.pruners.curves import CAP_IMPROVEMENTS, CAP_TRIALS, Others, curve_of, entry_of, is_entry


def entry(
    number: int, *points: tuple[float, float], fidelity: float | None = None, best: float = 9.0
) -> dict[str, Any]:
    curve = curve_of(points)
    assert curve is not None
    return entry_of(number, fidelity, curve.losses[-1], best, curve)


def others(*entries: dict[str, Any], number: int = -1, fidelity: float | None = None) -> Others:
    found = Others(number, fidelity)
    for each in entries:
        found.add(each)
    return found


def test_a_curve_is_its_improvements_and_how_far_it_went() -> None:
    curve = curve_of([(1, 0.9), (2, 0.95), (3, 0.5), (4, 0.5), (5, math.nan), (6, 0.7)])
    assert curve is not None
    assert (list(curve.steps), list(curve.losses), curve.last) == ([1, 3], [0.9, 0.5], 6)


@pytest.mark.parametrize("points", [[], [(1, math.nan)], [(1, math.inf), (2, -math.inf)], [(math.nan, 0.5)]])
def test_nothing_finite_is_no_curve(points: list[tuple[float, float]]) -> None:
    assert curve_of(points) is None


def test_a_curve_says_of_each_step_what_a_running_trial_would_have_said() -> None:
    points = [(1, 0.9), (4, 0.8), (2, 0.6), (4, 0.7), (5, 0.5), (5, 0.4), (3, 0.3), (7, 0.35)]
    course, curve = Course(), curve_of(points)
    assert curve is not None
    known = {}
    for step, loss in points:
        course.add(step, loss)
        known[course.step] = course.best
    assert {step: others(entry(1, *points)).losses_at(step or 0)[0] for step in known} == known


def test_a_long_curve_keeps_both_ends_and_never_looks_better_than_it_is() -> None:
    points = [(step, 1 / step) for step in range(1, 1001)]
    curve = curve_of(points)
    assert curve is not None
    assert len(curve.steps) == len(curve.losses) == CAP_IMPROVEMENTS
    assert (curve.steps[0], curve.steps[-1], curve.losses[-1]) == (1, 1000, 1 / 1000)
    compared = others(entry(1, *points))
    assert all(compared.losses_at(step)[0] >= 1 / step for step in range(1, 1001))


def test_a_shorter_trial_counts_with_its_best_and_one_that_begins_later_not_yet() -> None:
    compared = others(entry(1, (1, 0.9), (2, 0.4)), entry(2, (10, 0.3)), entry(3, (1, 0.8), (30, 0.1)))
    assert compared.losses_at(0.5) == []
    assert compared.losses_at(5) == [0.4, 0.8]
    assert compared.losses_at(12) == [0.3, 0.4, 0.8]
    assert compared.longest == 30


def test_only_trials_of_the_same_fidelity_are_compared_and_the_best_is_that_of_all() -> None:
    compared = others(
        entry(1, (1, 0.9), fidelity=9), entry(2, (1, 0.2), fidelity=27), entry(3, (1, 0.8), fidelity=9.0), fidelity=9
    )
    assert (len(compared), compared.losses_at(1), compared.best) == (2, [0.8, 0.9], 0.2)
    assert others(entry(1, (1, 0.5), best=0.01)).best == 0.01


def test_a_trial_is_not_its_own_competitor() -> None:
    compared = others(entry(7, (1, 0.1)), number=7)
    assert (len(compared), compared.best, compared.longest) == (0, None, None)


def test_of_two_readings_of_a_trial_the_last_one_counts() -> None:
    compared = others(entry(1, (1, 0.9)), entry(2, (1, 0.7)), entry(1, (1, 0.5)))
    assert compared.losses_at(1) == [0.5, 0.7]


def test_no_more_than_the_last_trials_are_kept() -> None:
    compared = others(*(entry(number, (1, float(number))) for number in range(CAP_TRIALS + 3)))
    assert len(compared) == CAP_TRIALS
    assert compared.losses_at(1)[0] == 3.0
    assert compared.best == 0.0  # of all


def test_an_entry_survives_json() -> None:
    made = entry(3, (1, 0.9), (2, 0.4), fidelity=0.5)
    assert is_entry(json.loads(json.dumps(made)))


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": []},
        {"steps": [1]},
        {"steps": [2, 1]},
        {"steps": [1, 1]},
        {"steps": "ab"},
        {"losses": [0.9, None]},
        {"losses": [0.9, math.nan]},
        {"last": None},
        {"best": "0.1"},
        {"best": -math.inf},
        {"number": "3"},
        {"fidelity": [1]},
        {"loss": None},
    ],
)
def test_what_is_no_entry_is_known(changes: dict[str, Any]) -> None:
    good = entry(3, (1, 0.9), (2, 0.4))
    assert is_entry(good)
    assert not is_entry({**good, **changes})
    assert not is_entry({key: value for key, value in good.items() if key not in changes})


@pytest.mark.parametrize("value", [None, 3, "x", [], {}, [1, 2]])
def test_other_json_is_no_entry(value: object) -> None:
    assert not is_entry(value)
