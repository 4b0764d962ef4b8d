"""Conditions that trials show: a parameter that some trials lack is active for some values of an earlier one.

Optuna's spaces are programs. What a program suggests only sometimes depends, as a rule, on one parameter that it
suggested before, and the trials tell which: the values with which the parameter came along and those without which it
came do not mix. A condition that is recognised too early is replaced when a trial contradicts it; all complete trials
always agree with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from hpo_workflow.space import Categorical, Condition, Float, SearchSpace
from hpo_workflow.space.parameters import Parameter

Row = Mapping[str, int | float]
"""The values of a trial; choices by their numbers."""


def recognise(parameters: Mapping[str, Parameter], rows: Sequence[Row]) -> SearchSpace:
    """The space of the parameters that are always there, or whose condition is found.

    Args:
        parameters: All that is known, without conditions.
        rows: The values of complete trials, each in the order of suggestion.

    A parameter that depends on what no single earlier one decides is left out.
    """
    order = list(dict.fromkeys(name for row in rows for name in row if name in parameters))
    placed: dict[str, Parameter] = {}
    for name in order:
        present = [name in row for row in rows]
        if all(present):
            placed[name] = parameters[name]
            continue
        for parent in _likeliest(placed.values()):
            when = _when(parent, rows, present)
            if when is not None:
                placed[name] = dataclasses.replace(parameters[name], when=when)
                break
    return SearchSpace(tuple(placed.values()), order=tuple(placed))


def _likeliest(parents: Iterable[Parameter]) -> list[Parameter]:
    """Choices before numbers, since numbers part few trials by chance; of each kind the latest first."""

    def kind(parent: Parameter) -> int:
        if isinstance(parent, Categorical):
            return 1 if parent.ordered else 0
        return 3 if isinstance(parent, Float) else 2

    latest_first = list(parents)[::-1]
    return sorted(latest_first, key=kind)


def _when(parent: Parameter, rows: Sequence[Row], present: Sequence[bool]) -> tuple[Condition, ...] | None:
    """The conditions under which the parent decides what is present, or None where it does not."""
    name = parent.name
    if any(here and name not in row for row, here in zip(rows, present, strict=True)):
        return None
    with_it = {row[name] for row, here in zip(rows, present, strict=True) if here}
    without = {row[name] for row, here in zip(rows, present, strict=True) if not here and name in row}
    if not without:
        return parent.when or None  # it comes with the parent
    if with_it & without:
        return None
    if isinstance(parent, Categorical) and not parent.ordered:
        return (Condition(name, tuple(sorted(with_it))),)
    if min(with_it) > max(without):
        return (Condition(name, ge=_between(max(without), min(with_it))),)
    if max(with_it) < min(without):
        return (Condition(name, le=_between(max(with_it), min(without))),)
    return None if isinstance(parent, Float) else (Condition(name, tuple(sorted(with_it))),)


def _between(low: float, high: float) -> float:
    return low + (high - low) / 2
