"""Direction is known in one place."""

from __future__ import annotations

import math

import pytest

from hpo_workflow.objective import is_better, loss_of, reached, value_of


def test_a_loss_is_smaller_for_what_is_better() -> None:
    assert loss_of(0.9, "maximize") < loss_of(0.8, "maximize")
    assert loss_of(0.8, "minimize") < loss_of(0.9, "minimize")
    assert [value_of(loss_of(0.3, way), way) for way in ("maximize", "minimize")] == [0.3, 0.3]
    assert math.copysign(1.0, loss_of(0.0, "maximize")) == 1.0


def test_equal_is_not_better_but_reaches() -> None:
    assert not is_better(1.0, 1.0, "maximize")
    assert is_better(2.0, 1.0, "maximize")
    assert is_better(1.0, 2.0, "minimize")
    assert reached(0.98, 0.98, "maximize")
    assert not reached(0.97, 0.98, "maximize")
    assert reached(0.1, 0.2, "minimize")


def test_nan_is_never_better_and_never_reaches() -> None:
    assert not is_better(math.nan, 1.0, "minimize")
    assert is_better(1.0, math.nan, "minimize")
    assert not is_better(math.nan, math.nan, "minimize")
    assert not reached(math.nan, 1.0, "maximize")


def test_another_direction_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="up"):
        loss_of(1.0, "up")
