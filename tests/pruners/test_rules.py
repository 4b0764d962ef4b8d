"""Each rule, in both directions, at its edges."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest

from hpo_workflow.objective import loss_of
from hpo_workflow.pruners.course import Course
from hpo_workflow.pruners.curves import Others, curve_of, entry_of
from hpo_workflow.pruners.registry import normal
from hpo_workflow.pruners.rules import RULES, quantile, shown

DIRECTIONS = ("minimize", "maximize")


def rule(direction: str = "minimize", **settings: Any) -> Any:
    return RULES[settings["name"]](normal(settings), "loss", direction)


def others(*trials: list[float], direction: str = "minimize", longest: int = 100) -> Others:
    """Complete trials by the values that they printed at the steps 1, 2, ...; one of them went on to `longest`."""
    found = Others(-1, None)
    for number, values in enumerate(trials):
        points = [(step, loss_of(value, direction)) for step, value in enumerate(values, start=1)]
        points.append((longest, points[-1][1])) if number == 0 else None
        curve = curve_of(points)
        assert curve is not None
        found.add(entry_of(number, None, curve.losses[-1], curve.losses[-1], curve))
    return found


def judge(a_rule: Any, compared: Others, *values: float, direction: str = "minimize", first: int = 1) -> str | None:
    """What is found at the last of these reports; earlier ones are judged too."""
    course = Course(getattr(a_rule, "_min_delta", 0.0))
    found = None
    for step, value in enumerate(values, start=first):
        course.add(step, loss_of(value, direction))
        found = a_rule.judge(course, compared) if a_rule.is_due(course) else None
    return found


# ---- median and percentile ---------------------------------------------------------------------------------
FIVE = ([0.9, 0.5], [0.8, 0.4], [0.7, 0.3], [0.6, 0.2], [0.5, 0.1])


def test_the_median_stops_what_is_worse_than_half_of_the_others_at_the_same_step() -> None:
    assert judge(rule(name="median"), others(*FIVE), 0.71) == (
        "the best loss so far, 0.71, is worse than the median 0.7 of 5 trials"
    )
    assert judge(rule(name="median"), others(*FIVE), 0.71, 0.31) == (
        "the best loss so far, 0.31, is worse than the median 0.3 of 5 trials"
    )
    assert judge(rule(name="median"), others(*FIVE), 0.69) is None


def test_a_tie_stops_nobody() -> None:
    assert judge(rule(name="median"), others(*FIVE), 0.7) is None
    assert judge(rule(name="median"), others(*([0.5] for _ in range(9))), 0.5) is None


def test_its_best_value_counts_and_not_its_last() -> None:
    assert judge(rule(name="median"), others(*FIVE), 0.2, 0.99) is None


def test_larger_is_better_where_the_direction_says_so() -> None:
    compared = others([0.1], [0.2], [0.3], [0.4], [0.5], direction="maximize")
    a_rule = rule("maximize", name="median")
    assert judge(a_rule, compared, 0.29, direction="maximize") == (
        "the best loss so far, 0.29, is worse than the median 0.3 of 5 trials"
    )
    assert judge(rule("maximize", name="median"), compared, 0.31, direction="maximize") is None


@pytest.mark.parametrize("n", [0, 1, 4])
def test_fewer_complete_trials_than_startup_stop_nobody(n: int) -> None:
    assert judge(rule(name="median"), others(*FIVE[:n]), 99.0) is None
    assert judge(rule(name="median", startup=4), others(*FIVE[:4]), 99.0) is not None


def test_only_trials_that_had_reported_by_then_are_counted_for_startup() -> None:
    compared = others(*FIVE)
    assert judge(rule(name="median"), compared, 99.0, first=0) is None  # at step 0 nobody had reported
    assert judge(rule(name="median"), compared, 99.0, first=1) is not None


def test_a_course_that_begins_later_is_compared_with_what_others_had_by_then() -> None:
    assert judge(rule(name="median"), others(*FIVE), 0.31, first=50) is not None
    assert judge(rule(name="median"), others(*FIVE), 0.29, first=50) is None


def test_a_trial_that_has_come_as_far_as_the_longest_is_left_alone() -> None:
    compared = others(*FIVE, longest=2)
    assert judge(rule(name="median"), compared, 99.0) is not None
    assert judge(rule(name="median"), compared, 99.0, first=2) is None
    assert judge(rule(name="median"), compared, 99.0, first=3) is None


def test_the_interval_says_how_often_a_trial_is_judged() -> None:
    a_rule, course = rule(name="median", interval=3), Course()
    judged = []
    for step in range(1, 12):
        course.add(step, 0.0)
        if a_rule.is_due(course):
            judged.append(step)
            a_rule.judge(course, others(*FIVE))
    assert judged == [1, 4, 7, 10]


def test_a_step_is_judged_once_and_one_that_goes_back_not_at_all() -> None:
    a_rule, course = rule(name="median"), Course()
    judged = []
    for step in (1, 2, 2, 1, 2, 3, 1, 3.5):
        course.add(step, 0.0)
        if a_rule.is_due(course):
            judged.append(step)
            a_rule.judge(course, others(*FIVE))
    assert judged == [1, 2, 3, 3.5]


def test_a_percentile_says_how_many_go_on() -> None:
    compared = others(*([float(value)] for value in range(1, 102)))
    for percent in (10, 25, 50, 90):
        least = 1.0 + percent
        assert judge(rule(name="percentile", percentile=percent), compared, least) is None
        assert judge(rule(name="percentile", percentile=percent), compared, least + 0.01) == (
            f"the best loss so far, {least + 0.01:g}, is worse than {least:g},"
            f" which the best {percent} % of 101 trials had reached"
        )


def test_the_fiftieth_percentile_is_the_median() -> None:
    rng = random.Random(3)
    compared = others(*([rng.random()] for _ in range(8)))
    for _ in range(50):
        value = rng.random()
        found = (
            judge(rule(name="median"), compared, value),
            judge(rule(name="percentile", percentile=50), compared, value),
        )
        assert (found[0] is None) == (found[1] is None)


def test_quantiles_are_those_of_numpy() -> None:
    rng = np.random.default_rng(1)
    for n in (1, 2, 3, 10, 101):
        values = sorted(rng.normal(size=n).tolist())
        for percent in (0.1, 25, 50, 75, 99.9):
            assert quantile(values, percent) == pytest.approx(float(np.percentile(values, percent)), abs=1e-12)
    assert quantile([0.3] * 7, 33.3) == 0.3


# ---- threshold ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_threshold_is_a_bound_of_the_printed_value_in_any_direction(direction: str) -> None:
    def found(value: float) -> str | None:
        a_rule = rule(direction, name="threshold", lower=0.1, upper=10)
        return judge(a_rule, others([1.0], direction=direction), value, direction=direction)

    assert found(0.1) is None
    assert found(10) is None
    assert found(0.09) == "loss 0.09 is below lower, 0.1"
    assert found(12) == "loss 12 is above upper, 10"


def test_a_threshold_looks_at_the_newest_value_also_where_steps_go_back() -> None:
    a_rule, course = rule(name="threshold", upper=10), Course()
    for step, value in ((5, 1.0), (2, 11.0)):
        course.add(step, value)
    assert a_rule.judge(course, others([1.0])) == "loss 11 is above upper, 10"
    course.add(6, 3.0)
    assert a_rule.is_due(course)
    assert a_rule.judge(course, others([1.0])) is None
    assert not a_rule.is_due(course)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_beyond_no_threshold(value: float) -> None:
    assert judge(rule(name="threshold", lower=0, upper=10), others([1.0]), 5.0, value) is None


# ---- patient -----------------------------------------------------------------------------------------------
def test_patience_ends_after_so_many_reports_without_a_better_value() -> None:
    values = [0.9, 0.5, 0.6, 0.5, 0.7]
    assert judge(rule(name="patient", patience=3), others([1.0]), *values[:4]) is None
    assert judge(rule(name="patient", patience=3), others([1.0]), *values) == "no better loss than 0.5 in 3 reports"


def test_patience_counts_reports_and_none_that_is_not_finite() -> None:
    assert judge(rule(name="patient", patience=2), others([1.0]), 0.5, math.nan, 0.6, math.nan, math.inf) is None
    assert judge(rule(name="patient", patience=2), others([1.0]), 0.5, math.nan, 0.6, math.nan, 0.7) is not None


def test_an_improvement_must_be_larger_than_min_delta() -> None:
    a_rule = rule("maximize", name="patient", patience=2, min_delta=0.1)
    assert judge(a_rule, others([1.0]), 0.5, 0.55, 0.6, direction="maximize") == (
        "no better loss than 0.6 by more than 0.1 in 2 reports"
    )


def test_numbers_that_look_alike_are_shown_in_full() -> None:
    assert shown(0.5, 0.25) == ["0.5", "0.25"]
    assert shown(0.123456789, 0.123456788) == ["0.123456789", "0.123456788"]
