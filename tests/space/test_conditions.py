"""Conditions hold or not."""

from __future__ import annotations

import pytest

from hpo_workflow.space import Condition


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        (Condition("p", values=("a", "b")), "b", True),
        (Condition("p", values=("a",)), "b", False),
        (Condition("p", values=(1,)), True, False),
        (Condition("p", values=(True,)), 1, False),
        (Condition("p", values=(1,)), 1.0, True),
        (Condition("p", ge=2), 2, True),
        (Condition("p", gt=2), 2, False),
        (Condition("p", le=2), 2, True),
        (Condition("p", lt=2), 2, False),
        (Condition("p", ge=1, lt=3), 3, False),
        (Condition("p", ge=1, lt=3), 2.9, True),
    ],
)
def test_a_condition_holds_for_its_values_only(condition: Condition, value: object, holds: bool) -> None:
    assert condition.holds(value) is holds
