"""Which type holds all values of a column."""

from __future__ import annotations

from typing import Any

import pytest

from hpo_workflow.reading.columns import kind_of, kind_of_param
from hpo_workflow.space import SearchSpace


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([True, False], "bool"),
        ([1, 2], "int64"),
        ([1, 0.5], "double"),
        (["a", "b"], "string"),
        ([1, True], "string"),
        ([1, "a"], "string"),
        ([2**63], "string"),
        ([], "string"),
    ],
)
def test_a_column_has_the_type_that_holds_all_values(values: list[Any], kind: str) -> None:
    assert kind_of(values) == kind


def test_what_a_parameter_can_be_decides_not_what_it_happened_to_be() -> None:
    space = SearchSpace.from_mapping(
        {
            "x": {"type": "float", "low": 0.0, "high": 1.0},
            "n": {"type": "int", "low": 1, "high": 9},
            "c": [1, "a"],
            "k": 3,
            "twice": {"expr": "2 * x"},
        }
    )
    kinds = {name: kind_of_param(space, name, [3] if name == "k" else []) for name in space.names()}
    assert kinds == {"x": "double", "n": "int64", "c": "string", "k": "int64", "twice": "string"}
