"""Values: which are possible, which a grid tries, and that decimals stay decimals."""

from __future__ import annotations

import pytest

from hpo_workflow.space import Categorical, Condition, Float, Int
from hpo_workflow.space.parameters import satisfying


def test_stepped_floats_are_exact_in_decimal() -> None:
    parameter = Float("x", 0.0, 1.0, step=0.1)
    assert parameter.size == 11
    assert [repr(parameter.value(i)) for i in (1, 2, 3, 6, 7, 10)] == ["0.1", "0.2", "0.3", "0.6", "0.7", "1.0"]
    assert parameter.contains(0.3)
    assert not parameter.contains(0.1 + 0.2)
    assert not parameter.contains(0.25)


def test_stepped_floats_are_exact_far_from_one() -> None:
    parameter = Float("x", -1e-300, 1e-300, step=5e-301)
    assert [parameter.value(i) for i in range(5)] == [-1e-300, -5e-301, 0.0, 5e-301, 1e-300]
    assert Float("x", 1e22, 1e22 + 1e8, step=1e7).size == 11


@pytest.mark.parametrize("value", [True, "0.5", None, float("nan"), float("inf"), -0.1, 1.1, [0.5]])
def test_a_float_refuses_what_is_no_number_in_its_range(value: object) -> None:
    assert not Float("x", 0.0, 1.0).contains(value)


def test_a_float_takes_whole_numbers() -> None:
    assert Float("x", 0.0, 1.0).contains(1)
    assert repr(Float("x", 0.0, 1.0).canonical(1)) == "1.0"


@pytest.mark.parametrize("value", [True, 2.0, "2", 3, 0, 10])
def test_an_int_refuses_what_is_no_step_of_it(value: object) -> None:
    assert not Int("n", 2, 8, step=2).contains(value)


def test_choices_keep_their_types() -> None:
    parameter = Categorical("c", (1, True, "1", 2.5))
    assert [parameter.index(value) for value in (1.0, True, "1", 2.5)] == [0, 1, 2, 3]
    assert not parameter.contains(False)
    assert not parameter.contains(None)
    assert not parameter.contains([1])


def test_ordered_numbers_are_ranked_by_size_and_texts_as_given() -> None:
    assert Categorical("c", (64, 16, 32), ordered=True).by_rank == (16, 32, 64)
    assert Categorical("c", (64, 16, 32), ordered=True).ranks == (2, 0, 1)
    assert Categorical("c", ("s", "m", "l"), ordered=True).by_rank == ("s", "m", "l")


@pytest.mark.parametrize(
    ("parameter", "grid"),
    [
        (Float("x", 1e-5, 0.1, log=True, points=5), (1e-5, 1e-4, 1e-3, 1e-2, 0.1)),
        (Float("x", 0.1, 0.5, points=5), (0.1, 0.2, 0.3, 0.4, 0.5)),
        (Float("x", 0.0, 1.0, points=1), (0.5,)),
        (Float("x", 1e-4, 1.0, log=True, points=1), (0.01,)),
        (Float("x", 0.0, 1.0, points=2), (0.0, 1.0)),
        (Float("x", 3.0, 3.0, points=4), (3.0,)),
        (Float("x", 0.0, 1.0), None),
        (Float("x", 0.0, 0.4, step=0.1), (0.0, 0.1, 0.2, 0.3, 0.4)),
        (Float("x", 0.0, 1.0, step=0.1, points=3), (0.0, 0.5, 1.0)),
        (Int("n", 1, 4), (1, 2, 3, 4)),
        (Int("n", 2, 8, step=3), (2, 5, 8)),
        (Int("n", 1, 100, points=4), (1, 34, 67, 100)),
        (Int("n", 1, 1000, log=True, points=4), (1, 10, 100, 1000)),
        (Int("n", 1, 4, log=True, points=4), (1, 2, 3, 4)),
        (Int("n", 1, 3, points=9), (1, 2, 3)),
        (Categorical("c", ("b", "a")), ("b", "a")),
    ],
)
def test_a_grid_tries_numbers_that_a_person_would_write(
    parameter: Float | Int | Categorical, grid: tuple[object, ...] | None
) -> None:
    assert (None if parameter.grid is None else tuple(parameter.grid)) == grid


def test_grid_points_of_ints_are_different_and_have_both_ends() -> None:
    for points in range(2, 12):
        for log in (False, True):
            grid = tuple(Int("n", 3, 17, log=log, points=points).grid)
            assert grid[0] == 3
            assert grid[-1] == 17
            assert sorted(set(grid)) == list(grid)
            assert len(grid) <= points


def test_the_values_that_satisfy_a_condition_are_found_without_listing() -> None:
    huge = Int("n", 0, 2**53, step=2)
    assert satisfying(huge, Condition("n", ge=7, lt=100)) == [(4, 50)]
    assert satisfying(huge, Condition("n", gt=8)) == [(5, 2**52 + 1)]
    assert satisfying(huge, Condition("n", values=(6, 2))) == [(1, 2), (3, 4)]
    assert satisfying(huge, Condition("n", gt=8, lt=10)) == []
    assert satisfying(Categorical("c", (5, 1, 3)), Condition("c", ge=3)) == [(0, 1), (2, 3)]
