"""The types of columns: what holds all values of a parameter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hpo_workflow.space import Categorical, Float, Int, SearchSpace


def kind_of_param(space: SearchSpace, name: str, values: Iterable[Any]) -> str:
    """The type that holds all possible values of a parameter, as `kind_of` says.

    Args:
        space: Where it may be sampled.
        name: The parameter, constant or derived value.
        values: Those that it had; they decide where nothing is known beforehand.
    """
    parameter = space.sampled(name)
    if isinstance(parameter, Float):
        return "double"
    if isinstance(parameter, Int):
        return kind_of((parameter.low, parameter.high))
    return kind_of(parameter.choices if isinstance(parameter, Categorical) else values)


def kind_of(values: Iterable[Any]) -> str:
    """The type that holds all values as they are; `string` where none does."""
    kinds = {_kind_of_one(value) for value in values}
    if len(kinds) == 1:
        return kinds.pop()
    return "double" if kinds == {"int64", "double"} else "string"


def _kind_of_one(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64" if -(2**63) <= value < 2**63 else "string"
    return "double" if isinstance(value, float) else "string"
