"""Configurations as points of the unit cube, for the samplers.

d parameters, in the space's order. A unit vector holds a number from 0 to 1 for each parameter:
- floats: the place between low and high (of the logarithms with log: true);
- ints, stepped floats and choices own equal cells, and their unit is the middle of the cell (ints with log: true: the
  place of log(value), where the cell of v reaches from log(v - 1/2) to log(v + 1/2));
- inactive: 0.5, and the first cell for unordered choices.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from hpo_workflow.space.parameters import Categorical, Float, Int, Parameter, satisfying
from hpo_workflow.space.search_space import SearchSpace, is_active
from hpo_workflow.trial import Params, Value

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def _log_range(parameter: Float | Int) -> tuple[float, float]:
    """The logarithms at unit 0 and unit 1."""
    if isinstance(parameter, Int):
        return math.log(parameter.low - 0.5), math.log(parameter.high + 0.5)
    return math.log(parameter.low), math.log(parameter.high)


def _has_cells(parameter: Parameter) -> bool:
    """Whether all values own equal cells."""
    return isinstance(parameter, Categorical) or (parameter.size is not None and not parameter.log)


def to_unit(parameter: Parameter, value: Value) -> float:
    """Where a possible value lies in [0, 1]."""
    return float(to_units(parameter, [value])[0])


def to_units(parameter: Parameter, values: Sequence[Any]) -> Array:
    """(m,) where possible values lie in [0, 1]."""
    if isinstance(parameter, Categorical):
        ranks = np.array([parameter.ranks[parameter.index(value)] for value in values], float)
        return np.asarray((ranks + 0.5) / parameter.size)
    if parameter.size == 1:
        return np.full(len(values), 0.5)
    if parameter.log:
        start, stop = _log_range(parameter)
        return np.asarray((np.array([math.log(value) for value in values], float) - start) / (stop - start))
    if parameter.size is not None:
        return np.asarray((np.array([parameter.index(value) for value in values], float) + 0.5) / parameter.size)
    return np.asarray((np.array(values, float) - parameter.low) / (parameter.high - parameter.low))


def from_unit(parameter: Parameter, unit: float) -> Value:
    """The value at a place of [0, 1]; always a possible one."""
    unit = min(max(float(unit), 0.0), 1.0)
    if isinstance(parameter, Categorical):
        return parameter.by_rank[min(int(unit * parameter.size), parameter.size - 1)]
    if parameter.size == 1:
        return parameter.low
    if parameter.log:
        start, stop = _log_range(parameter)
        value = math.exp(start + unit * (stop - start))
        if isinstance(parameter, Int):
            return min(max(round(value), parameter.low), parameter.high)
        return min(max(value, parameter.low), parameter.high)
    if parameter.size is not None:
        return parameter.value(min(int(unit * parameter.size), parameter.size - 1))
    assert isinstance(parameter, Float)
    value = parameter.low + unit * (parameter.high - parameter.low)
    return min(max(value, parameter.low), parameter.high) + 0.0


def configuration(space: SearchSpace, units: Sequence[float] | Array) -> dict[str, Value]:
    """The configuration at a point of the unit cube."""
    params: dict[str, Value] = {}
    for parameter, unit in zip(space.parameters, units, strict=True):
        if is_active(parameter, params, params):
            params[parameter.name] = from_unit(parameter, float(unit))
    return params


class Encoding:
    """A space's configurations as rows of unit numbers, many at once.

    Attributes:
        d: Number of parameters.
        sizes: (d,) how many values each parameter has, inf for endlessly many.
        unordered: (d,) True for categoricals whose neighbours are nothing alike.
        continuous: (d,) True for floats without step.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.d = len(space.parameters)
        self.sizes: Array = np.array([math.inf if p.size is None else p.size for p in space.parameters], float)
        self.unordered: Mask = np.array([isinstance(p, Categorical) and not p.ordered for p in space.parameters], bool)
        self.continuous: Mask = np.isinf(self.sizes)
        self.rest: Array = np.where(self.unordered, 0.5 / self.sizes, 0.5)
        """(d,) what stands for an inactive parameter."""
        self._places = {parameter.name: i for i, parameter in enumerate(space.parameters)}

    @cached_property
    def conditional(self) -> bool:
        """Whether any parameter can be inactive."""
        return any(parameter.when for parameter in self.space.parameters)

    def encode(self, configurations: Iterable[Params]) -> Array:
        """(n, d) unit vectors of configurations that fit the space."""
        rows = list(configurations)
        x = np.tile(self.rest, (len(rows), 1))
        for i, parameter in enumerate(self.space.parameters):
            name = parameter.name
            values = [params[name] for params in rows if name in params]
            here = slice(None) if len(values) == len(rows) else [name in params for params in rows]
            x[here, i] = to_units(parameter, values)
        return x

    def decode(self, row: Array) -> dict[str, Value]:
        """The configuration at one point."""
        return configuration(self.space, row)

    def active(self, x: Array) -> Mask:
        """(m, d) which parameters are active at the points `x` (m, d)."""
        active = np.ones(x.shape, bool)
        for i, parameter in enumerate(self.space.parameters):
            for condition in parameter.when:
                j = self._places[condition.parent]
                active[:, i] &= active[:, j] & self._holds(j, condition, x[:, j])
        return active

    def _holds(self, j: int, condition: Any, units: Array) -> Mask:
        parent = self.space.parameters[j]
        if parent.size is None:
            assert isinstance(parent, Float)
            if parent.log:
                start, stop = _log_range(parent)
                values = np.exp(start + units * (stop - start))
            else:
                values = parent.low + units * (parent.high - parent.low)
            holds = np.ones(len(units), bool)
            for bound, compare in (
                (condition.ge, np.greater_equal),
                (condition.gt, np.greater),
                (condition.le, np.less_equal),
                (condition.lt, np.less),
            ):
                if bound is not None:
                    holds &= compare(values, bound)
            return holds
        ranks = self.ranks(j, units)
        if isinstance(parent, Categorical):
            table = np.array([condition.holds(choice) for choice in parent.by_rank], bool)
            found: Mask = table[ranks]
            return found
        holds = np.zeros(len(units), bool)
        for start_index, stop_index in satisfying(parent, condition):
            holds |= (ranks >= start_index) & (ranks < stop_index)
        return holds

    def places(self, i: int) -> Array:
        """(size,) the units of all values of the finite parameter i, ascending."""
        return self._units(i, np.arange(int(self.sizes[i])))

    def _units(self, i: int, ranks: npt.NDArray[np.int64]) -> Array:
        parameter = self.space.parameters[i]
        if isinstance(parameter, Int) and parameter.log and parameter.size > 1:
            start, stop = _log_range(parameter)
            logs: Array = np.log((ranks + parameter.low).astype(float))
            return (logs - start) / (stop - start)
        units: Array = (ranks + 0.5) / self.sizes[i]
        return units

    def ranks(self, i: int, units: Array) -> npt.NDArray[np.int64]:
        """(m,) the number of the value at each place, of the finite parameter i."""
        parameter = self.space.parameters[i]
        assert parameter.size is not None
        if _has_cells(parameter) or parameter.size == 1:
            return np.clip(np.floor(units * parameter.size), 0, parameter.size - 1).astype(np.int64)
        assert isinstance(parameter, Int)
        start, stop = _log_range(parameter)
        values = np.clip(np.round(np.exp(start + units * (stop - start))), parameter.low, parameter.high)
        return values.astype(np.int64) - parameter.low

    def cells(self, i: int, ranks: npt.NDArray[np.int64]) -> tuple[Array, Array]:
        """(m,) and (m,): where the cells of values of the finite parameter i begin and end."""
        parameter = self.space.parameters[i]
        if isinstance(parameter, Int) and parameter.log and parameter.size > 1:
            start, stop = _log_range(parameter)
            values = (ranks + parameter.low).astype(float)
            return (np.log(values - 0.5) - start) / (stop - start), (np.log(values + 0.5) - start) / (stop - start)
        return ranks / self.sizes[i], (ranks + 1) / self.sizes[i]

    def shifted(self, x: Array, steps: npt.NDArray[np.int64]) -> Array:
        """(m, d) the same points with each finite parameter `steps` values further, not beyond its ends."""
        moved = x.copy()
        for i, parameter in enumerate(self.space.parameters):
            if parameter.size is not None:
                moved[:, i] = self._units(i, np.clip(self.ranks(i, x[:, i]) + steps[:, i], 0, parameter.size - 1))
        return moved

    def snap(self, x: Array) -> Array:
        """(m, d) the same points where configurations are: in the middle of cells, with inactive parameters at rest."""
        x = np.clip(x, 0.0, 1.0)
        for i, parameter in enumerate(self.space.parameters):
            if parameter.size is not None:
                x[:, i] = self._units(i, self.ranks(i, x[:, i]))
        if self.conditional:
            x = np.where(self.active(x), x, self.rest)
        return x
