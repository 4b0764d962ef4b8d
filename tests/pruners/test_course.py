"""What one trial has reported so far."""

from __future__ import annotations

import math

from hpo_workflow.pruners.course import Course


def course_of(*reports: tuple[float, float], min_delta: float = 0.0) -> Course:
    course = Course(min_delta)
    for step, loss in reports:
        course.add(step, loss)
    return course


def test_the_best_so_far_never_becomes_worse() -> None:
    course = course_of((1, 0.9), (2, 0.4), (3, 0.7))
    assert (course.n, course.step, course.best, course.newest, course.since) == (3, 3, 0.4, 0.7, 1)


def test_what_is_not_finite_is_no_report_at_all() -> None:
    course = course_of((1, math.nan), (2, math.inf), (3, -math.inf), (math.nan, 0.1))
    assert (course.n, course.step) == (0, None)
    course = course_of((1, 0.5), (2, math.nan), (9, -math.inf))
    assert (course.n, course.step, course.best, course.newest, course.since) == (1, 1, 0.5, 0.5, 0)


def test_steps_that_go_back_and_repeated_ones_count_at_the_largest_step() -> None:
    course = course_of((1, 0.9), (5, 0.8), (2, 0.3), (5, 0.5))
    assert (course.step, course.best, course.newest) == (5, 0.3, 0.5)


def test_a_course_may_begin_anywhere() -> None:
    assert course_of((28, 0.2)).step == 28
    assert course_of((-3, 0.2), (-1, 0.3)).step == -1


def test_small_improvements_count_together_when_they_are_enough() -> None:
    course = course_of((1, 1.0), (2, 0.95), (3, 0.92), min_delta=0.1)
    assert course.since == 2
    course.add(4, 0.9)  # 0.1 better than the first, which is not more than min_delta
    assert course.since == 3
    course.add(5, 0.89)
    assert (course.since, course.best) == (0, 0.89)


def test_an_equal_value_is_no_improvement() -> None:
    assert course_of((1, 0.5), (2, 0.5), (3, 0.5)).since == 2
