"""The search space: which configurations exist.

A configuration is given by the values of its active sampled parameters (`params`, JSON values by name). A parameter
is active when all its conditions hold; a condition on an inactive parent does not hold. Standard library only: parse
and the runner's callers read a space without waiting for numpy.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

from hpo_workflow.errors import ConfigError, Fault
from hpo_workflow.space.conditions import Condition
from hpo_workflow.space.expression import Expression, ExpressionError
from hpo_workflow.space.parameters import Float, Parameter, satisfying
from hpo_workflow.trial import Params, Value


@dataclass(frozen=True)
class SearchSpace:
    """What may vary, what is constant and what is computed.

    Args:
        parameters: What is sampled, parents before children.
        constants: Values that never change.
        derived: Computed values, inputs before those that read them.
        order: All names as the study file lists them.
    """

    parameters: tuple[Parameter, ...]
    constants: Mapping[str, Value] = field(default_factory=dict)
    derived: Mapping[str, Expression] = field(default_factory=dict)
    order: tuple[str, ...] = ()

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> SearchSpace:
        """The space that a study file's `space:` describes; ConfigError with every fault if it has any."""
        from hpo_workflow.space.reading import read_space

        space, faults = read_space(mapping)
        if space is None:
            raise ConfigError("space", faults)
        return space

    @cached_property
    def by_name(self) -> dict[str, Parameter]:
        return {parameter.name: parameter for parameter in self.parameters}

    def names(self) -> tuple[str, ...]:
        """All names, in the order of the file."""
        return self.order

    def sampled(self, name: str) -> Parameter | None:
        """The parameter of this name, or None where the name is a constant, derived or unknown."""
        return self.by_name.get(name)

    @cached_property
    def _conditional(self) -> frozenset[str]:
        found = {parameter.name for parameter in self.parameters if parameter.when}
        for name, expression in self.derived.items():
            if found.intersection(expression.inputs):
                found.add(name)
        return frozenset(found)

    def is_conditional(self, name: str) -> bool:
        """Whether some configurations are without this name."""
        return name in self._conditional

    def fallback(self, name: str) -> Value | None:
        """What is rendered for a conditional parameter while it is inactive; None where the file gives nothing."""
        parameter = self.by_name.get(name)
        return parameter.fallback if parameter is not None else None

    # ---- one configuration -----------------------------------------------------------------------------
    def active(self, params: Params) -> tuple[str, ...]:
        """Names of the parameters that are active with these values, parents first; absent values count as inactive."""
        found: list[str] = []
        for parameter in self.parameters:
            if is_active(parameter, params, found):
                found.append(parameter.name)
        return tuple(found)

    def fits(self, params: Params) -> bool:
        """Whether `params` is a configuration: exactly the active parameters, each with a possible value."""
        active: set[str] = set()
        for parameter in self.parameters:
            if is_active(parameter, params, active):
                if parameter.name not in params or not parameter.contains(params[parameter.name]):
                    return False
                active.add(parameter.name)
        return len(active) == len(params)

    def canonical(self, params: Params) -> dict[str, Value]:
        """A configuration that fits, with each value in its one spelling (floats as floats, choices as in the file)."""
        return {p.name: p.canonical(params[p.name]) for p in self.parameters if p.name in params}

    def complete(self, params: Params) -> dict[str, Value]:
        """All values of a configuration in the order of the file: active parameters, constants and derived values.

        What is inactive, or derived from something inactive, is absent. ConfigError where a derived value does not
        exist (a division by zero).
        """
        active = self.active(params)
        values: dict[str, Value] = dict(self.constants)
        values.update((name, self.by_name[name].canonical(params[name])) for name in active if name in params)
        for name, expression in self.derived.items():
            if all(source in values for source in expression.inputs):
                try:
                    values[name] = expression.value(values)
                except ExpressionError as error:
                    where = ", ".join(f"{source}: {values[source]!r}" for source in expression.inputs)
                    problem = f"{error.problem} ({where})" if where else error.problem
                    raise ConfigError("space", [Fault(f"space.{name}.expr", problem, error.cure)]) from error
        return {name: values[name] for name in self.order if name in values}

    def key(self, params: Params) -> str:
        """A text that is equal for equal configurations, however they are spelled; also for params that do not fit."""
        pairs = []
        for name in sorted(params):
            value = params[name]
            parameter = self.by_name.get(name)
            if parameter is not None and parameter.contains(value):
                value = parameter.canonical(value)
            pairs.append((name, value))
        return json.dumps(pairs)

    # ---- all configurations ----------------------------------------------------------------------------
    def n_configurations(self) -> int | None:
        """How many configurations there are, None if endlessly many."""
        return self._size

    @cached_property
    def _size(self) -> int | None:
        return survey(self.parameters, possible_outcomes).n_configurations

    def grid_size(self) -> int | None:
        """How many configurations a grid tries, None while a float has neither `points` nor `step`."""
        return self._grid_size

    @cached_property
    def _grid_size(self) -> int | None:
        return survey(self.parameters, grid_outcomes).n_configurations

    def configurations(self) -> Iterator[dict[str, Value]]:
        """Every configuration of a finite space once; the last parameter changes fastest."""
        assert self.n_configurations() is not None, "the space has endlessly many configurations"
        return _walk(self.parameters, _all_values)

    def grid(self) -> Iterator[dict[str, Value]]:
        """Every configuration of the grid once; the last parameter changes fastest."""
        assert self.grid_size() is not None, "a float has no points"
        return _walk(self.parameters, lambda parameter: parameter.grid or ())


def is_active(parameter: Parameter, params: Params, active: Iterable[str]) -> bool:
    """Whether all conditions hold; a parent counts only while it is itself in `active` and has a value."""
    return not parameter.when or all(
        condition.parent in active and condition.parent in params and condition_holds(condition, params)
        for condition in parameter.when
    )


def condition_holds(condition: Condition, params: Params) -> bool:
    """Whether a condition holds for the parent's value, which may be of a foreign type (it then does not)."""
    try:
        return condition.holds(params[condition.parent])
    except TypeError:
        return False


# ---- counting ----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Outcome:
    """Values of one parameter that decide the same conditions.

    Args:
        fails: Children whose condition on this parameter is false for these values.
        weight: How many values; None for endlessly many.
    """

    fails: frozenset[str]
    weight: int | None


@dataclass(frozen=True)
class Survey:
    """What exists in a space.

    Args:
        n_configurations: None if endlessly many.
        reachable: Parameters that are active in at least one configuration.
    """

    n_configurations: int | None
    reachable: frozenset[str]


Children = Sequence[tuple[str, Condition]]
"""Conditions on one parent, with the name of the child each belongs to."""


def survey(parameters: Sequence[Parameter], outcomes: Callable[[Parameter, Children], list[Outcome]]) -> Survey:
    """Count configurations without listing them.

    Walks the parameters, parents first, with a table (children that are already known to be inactive -> number of
    configurations of the parameters so far). A child leaves the table when its turn comes, and children follow their
    parents closely, so the table stays small.
    """
    children = children_of(parameters)
    table: dict[frozenset[str], int] = {frozenset(): 1}
    reachable = set()
    endless = False
    for parameter in children_close(parameters):
        name = parameter.name
        all_children = frozenset(child for child, _ in children[name])
        ways: list[Outcome] | None = None
        following: dict[frozenset[str], int] = {}
        for inactive, count in table.items():
            if name in inactive:
                state = (inactive - {name}) | all_children
                following[state] = following.get(state, 0) + count
                continue
            reachable.add(name)
            ways = outcomes(parameter, children[name]) if ways is None else ways
            for way in ways:
                endless = endless or way.weight is None
                state = inactive | way.fails
                following[state] = following.get(state, 0) + count * (1 if way.weight is None else way.weight)
        table = following
    return Survey(None if endless else sum(table.values()), frozenset(reachable))


def children_of(parameters: Sequence[Parameter]) -> dict[str, list[tuple[str, Condition]]]:
    """The conditions on each parameter."""
    children: dict[str, list[tuple[str, Condition]]] = {parameter.name: [] for parameter in parameters}
    for parameter in parameters:
        for condition in parameter.when:
            children[condition.parent].append((parameter.name, condition))
    return children


def children_close(parameters: Sequence[Parameter]) -> list[Parameter]:
    """The parameters so that each child follows its last parent as soon as possible."""
    children: dict[str, list[Parameter]] = {parameter.name: [] for parameter in parameters}
    for parameter in parameters:
        for condition in parameter.when:
            children[condition.parent].append(parameter)
    ordered: list[Parameter] = []
    placed: set[str] = set()
    stack = [parameter for parameter in reversed(parameters) if not parameter.when]
    while stack:
        parameter = stack.pop()
        if parameter.name in placed:
            continue
        ordered.append(parameter)
        placed.add(parameter.name)
        ready = [c for c in children[parameter.name] if all(condition.parent in placed for condition in c.when)]
        stack.extend(reversed(ready))
    return ordered


def _grouped(fails: Iterable[tuple[frozenset[str], int | None]]) -> list[Outcome]:
    """Outcomes with equal `fails` put together."""
    weights: dict[frozenset[str], int | None] = {}
    for failing, weight in fails:
        so_far = weights.get(failing, 0)
        weights[failing] = None if so_far is None or weight is None else so_far + weight
    return [Outcome(failing, weight) for failing, weight in weights.items()]


def _failing(children: Children, value: Any) -> frozenset[str]:
    return frozenset(child for child, condition in children if not condition.holds(value))


def possible_outcomes(parameter: Parameter, children: Children) -> list[Outcome]:
    """What a parameter's possible values decide."""
    if not children:
        return [Outcome(frozenset(), parameter.size)]
    if parameter.size is None:
        assert isinstance(parameter, Float)
        cuts = {parameter.low, parameter.high}
        for _, condition in children:
            bounds = (condition.ge, condition.gt, condition.le, condition.lt)
            cuts.update(float(b) for b in bounds if b is not None and parameter.low < b < parameter.high)
        edges = sorted(cuts)
        middles = [low + (high - low) / 2 for low, high in pairwise(edges)]
        return _grouped((_failing(children, middle), None) for middle in middles)
    return _grouped((span.fails, span.stop - span.start) for span in _possible_spans(parameter, children))


@dataclass(frozen=True)
class Span:
    """Neighbouring values of one parameter, by their numbers [start, stop), that decide the same conditions."""

    start: int
    stop: int
    fails: frozenset[str]


def _possible_spans(parameter: Parameter, children: Children) -> list[Span]:
    """All values of a finite parameter, ascending."""
    assert parameter.size is not None
    intervals = [(child, satisfying(parameter, condition)) for child, condition in children]
    starts = sorted({0, *(edge for _, spans in intervals for span in spans for edge in span if edge < parameter.size)})
    stops = [*starts[1:], parameter.size]
    return [
        Span(start, stop, frozenset(child for child, spans in intervals if not _covers(spans, start)))
        for start, stop in zip(starts, stops, strict=True)
    ]


def grid_spans(parameter: Parameter, children: Children) -> list[Span]:
    """The values that a grid tries, by their places in `parameter.grid`."""
    assert parameter.grid is not None
    if len(parameter.grid) == parameter.size:
        return _possible_spans(parameter, children)
    return [Span(i, i + 1, _failing(children, value)) for i, value in enumerate(parameter.grid)]


def _covers(spans: Sequence[tuple[int, int]], index: int) -> bool:
    """Whether an index is inside one of the ascending spans [start, stop)."""
    place = bisect_right(spans, index, key=lambda span: span[0])
    return place > 0 and index < spans[place - 1][1]


def grid_outcomes(parameter: Parameter, children: Children) -> list[Outcome]:
    """What the values that a grid tries decide."""
    if parameter.grid is None or len(parameter.grid) == parameter.size:
        return possible_outcomes(parameter, children)
    return _grouped((_failing(children, value), 1) for value in parameter.grid)


# ---- listing -----------------------------------------------------------------------------------------------
_INACTIVE: Any = object()


def _all_values(parameter: Parameter) -> Iterable[Value]:
    assert parameter.size is not None
    return (parameter.value(i) for i in range(parameter.size))


def _walk(
    parameters: Sequence[Parameter], values: Callable[[Parameter], Iterable[Value]]
) -> Iterator[dict[str, Value]]:
    """All combinations; an inactive parameter has the single choice of being absent."""
    chosen: dict[str, Value] = {}

    def choices(parameter: Parameter) -> Iterator[Any]:
        return iter(values(parameter)) if is_active(parameter, chosen, chosen) else iter((_INACTIVE,))

    stack = [choices(parameters[0])] if parameters else []
    while stack:
        name = parameters[len(stack) - 1].name
        chosen.pop(name, None)
        for value in stack[-1]:
            if value is not _INACTIVE:
                chosen[name] = value
            break
        else:
            stack.pop()
            continue
        if len(stack) == len(parameters):
            yield dict(chosen)
        else:
            stack.append(choices(parameters[len(stack)]))
