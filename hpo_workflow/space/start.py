"""Configurations that the user wants to be run first: `start:` of a study file. Standard library only.

An entry gives some parameters, or all; what it does not give is drawn when its turn comes. A parameter with a condition
can be given only beside the parents that make it active, so that an entry says all that decides which values count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpo_workflow.errors import ConfigError, Fault
from hpo_workflow.space.conditions import BOUNDS, Condition
from hpo_workflow.space.parameters import Categorical
from hpo_workflow.space.reading import domain, near, nearest, shown
from hpo_workflow.space.search_space import SearchSpace, condition_holds
from hpo_workflow.trial import Value


@dataclass(frozen=True)
class StartPoints:
    """What `start:` says.

    Args:
        points: The values that each entry gives, active parameters only, each in its one spelling.
        faults: What is wrong, in the order of the entries.
        notes: What is right and perhaps not meant; sentences.
    """

    points: tuple[dict[str, Value], ...]
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()


def read_start(space: SearchSpace, entries: Any) -> StartPoints:
    """The start points of a space, or every fault.

    An entry that determines a configuration which an earlier one determines too is left out, with a note.
    """
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        return StartPoints((), (Fault("start", f"{shown(entries)} is not a list of configurations.", EXAMPLE),))
    points: list[dict[str, Value]] = []
    faults: list[Fault] = []
    notes: list[str] = []
    first: dict[str, int] = {}
    for index, entry in enumerate(entries):
        point, wrong = _read_entry(space, f"start[{index}]", entry)
        faults += wrong
        if wrong:
            continue
        within = with_values(space, point)
        if within.n_configurations() == 1:
            key = space.key(next(within.configurations()))
            if key in first:
                notes.append(f"start[{index}] is the same configuration as start[{first[key]}]; it is run once.")
                continue
            first[key] = index
        points.append(point)
    return StartPoints(() if faults else tuple(points), tuple(faults), tuple(notes))


def with_values(space: SearchSpace, given: Mapping[str, Value]) -> SearchSpace:
    """The part of a space in which some parameters have these values wherever they are active."""
    parameters = tuple(
        Categorical(p.name, (given[p.name],), when=p.when) if p.name in given else p for p in space.parameters
    )
    return SearchSpace(parameters, space.constants, space.derived, space.order)


EXAMPLE = "Give a list of mappings, for example start: [{lr: 0.001}]."


def _read_entry(space: SearchSpace, key: str, entry: Any) -> tuple[dict[str, Value], list[Fault]]:
    if not isinstance(entry, Mapping):
        return {}, [Fault(key, f"{shown(entry)} is not a configuration.", EXAMPLE)]
    given = {str(name): value for name, value in entry.items() if not str(name).startswith("x-")}
    if not given:
        return {}, [Fault(key, "gives no parameter.", "Give at least one, for example {lr: 0.001}, or remove it.")]
    faults = [fault for name, value in given.items() if (fault := _check_value(space, f"{key}.{name}", name, value))]
    if faults:
        return {}, faults
    point = space.canonical({name: value for name, value in given.items() if name in space.by_name})
    active = space.active(point)
    faults = [_inactive(space, key, name, point, active) for name in point if name not in active]
    if not faults:
        try:
            space.complete(point)
        except ConfigError as error:
            faults = [Fault(key, f"{fault.key}: {fault.problem}", fault.cure) for fault in error.faults]
    return point, faults


def _check_value(space: SearchSpace, key: str, name: str, value: Any) -> Fault | None:
    parameter = space.sampled(name)
    if parameter is not None:
        if parameter.contains(value):
            return None
        return Fault(key, f"{name} is never {shown(value)}.", f"It is {domain(parameter)}.{near(parameter, value)}")
    if name in space.constants:
        constant = space.constants[name]
        if isinstance(value, bool) is isinstance(constant, bool) and value == constant:
            return None
        return Fault(key, f"{name} is the constant {shown(constant)}, not {shown(value)}.", f"Remove {name}.")
    if name in space.derived:
        return Fault(key, f"{name} is derived: it follows from the other values.", f"Remove {name}.")
    return Fault(key, f"there is no parameter {name}.", nearest(name, tuple(space.by_name)))


def _inactive(space: SearchSpace, key: str, name: str, point: Mapping[str, Value], active: Sequence[str]) -> Fault:
    """Why a parameter has no value in an entry that gives it one."""
    for condition in space.by_name[name].when:
        parent, needed = condition.parent, _wanted(condition)
        if parent not in point:
            problem = f"{name} exists only where {needed}, and {parent} is not given."
            return Fault(f"{key}.{name}", problem, f"Give {parent} too, or remove {name}.")
        if not condition_holds(condition, point):
            problem = f"{name} is inactive where {parent} is {shown(point[parent])}: it needs {needed}."
            return Fault(f"{key}.{name}", problem, f"Remove {name}, or give another {parent}.")
    parent = next(condition.parent for condition in space.by_name[name].when if condition.parent not in active)
    return Fault(f"{key}.{name}", f"{name} is inactive, because {parent} is.", f"Remove {name} and {parent}.")


def _wanted(condition: Condition) -> str:
    """A condition as a study file spells it."""
    if condition.values is not None:
        values = [shown(value) for value in condition.values]
        return f"{condition.parent}: {values[0] if len(values) == 1 else '[' + ', '.join(values) + ']'}"
    bounds = {word: getattr(condition, word) for word in BOUNDS}
    inside = ", ".join(f"{word}: {shown(bound)}" for word, bound in bounds.items() if bound is not None)
    return f"{condition.parent}: {{{inside}}}"
