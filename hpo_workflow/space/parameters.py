"""Parameters: what may vary, which values it can take, and which of them a grid tries.

Values are numbered where they can be: `value(i)` and `index(value)` for i from 0 to `size - 1`. A `size` of None means
infinitely many (a float without `step`). Standard library only.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any

from hpo_workflow.space.conditions import Condition
from hpo_workflow.trial import Value


def exact(number: float) -> Fraction:
    """The decimal number that a float shows (0.1 is 1/10), without rounding."""
    return Fraction(Decimal(repr(number)))


def is_number(value: object) -> bool:
    """Whether `value` is a number; booleans are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def same_choice(value: Any) -> tuple[bool, Any]:
    """What makes two choices the same one: 1 and 1.0 are, 1 and true are not."""
    return isinstance(value, bool), value


def _spread(size: int, points: int) -> list[int]:
    """At most `points` of the numbers below `size`, evenly spread with both ends, without repetition."""
    if points >= size:
        return list(range(size))
    if points == 1:
        return [(size - 1) // 2]
    return sorted({(2 * i * (size - 1) + points - 1) // (2 * (points - 1)) for i in range(points)})


STRENGTHS = ("weak", "medium", "strong")
"""How sure the user can be of a prior; `space.prior` says in numbers what they mean."""


@dataclass(frozen=True)
class Prior:
    """Where the user expects good values of a parameter.

    Args:
        center: A possible value, in its one spelling.
        strength: One of STRENGTHS.
    """

    center: Value
    strength: str = "medium"


@dataclass(frozen=True)
class Float:
    """A real number from `low` to `high`, both included.

    Args:
        log: Spread evenly over orders of magnitude; `low` is then above 0 and `step` is None.
        step: Only low, low + step, ... are possible; exact in decimal.
        points: How many values a grid tries; None where none were asked for.
        when: All must hold for the parameter to be active.
        fallback: What is rendered while it is inactive.
        prior: Where good values are expected; None where the user did not say.
    """

    name: str
    low: float
    high: float
    log: bool = False
    step: float | None = None
    points: int | None = None
    when: tuple[Condition, ...] = ()
    fallback: Value | None = None
    prior: Prior | None = None

    @cached_property
    def _steps(self) -> tuple[Fraction, Fraction]:
        return exact(self.low), exact(self.step or 1.0)

    @cached_property
    def size(self) -> int | None:
        if self.low == self.high:
            return 1
        if self.step is None:
            return None
        return int((exact(self.high) - exact(self.low)) / exact(self.step)) + 1

    def value(self, index: int) -> float:
        low, step = self._steps
        return float(low + index * step)

    def index(self, value: Any) -> int:
        low, step = self._steps
        return round((exact(float(value)) - low) / step)

    def contains(self, value: object) -> bool:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not self.low <= value <= self.high:
            return False
        return self.step is None or self.value(self.index(value)) == value

    def canonical(self, value: Any) -> float:
        """The value as it is written everywhere; there is no -0.0."""
        return float(value) + 0.0

    @cached_property
    def grid(self) -> tuple[float, ...] | None:
        """The values that a grid tries, ascending; None where `points` is missing and the values are endless."""
        if self.size is not None:
            return tuple(self.value(i) for i in _spread(self.size, self.points or self.size))
        if self.points is None:
            return None
        return tuple(self._point(i, self.points) for i in range(self.points))

    def _point(self, i: int, points: int) -> float:
        """Point `i` of a grid, rounded to what a person would have written (0.001, not 0.0009999999999999998)."""
        where = Fraction(i, points - 1) if points > 1 else Fraction(1, 2)
        if where in (0, 1):
            return self.high if where else self.low
        if not self.log:
            return float(exact(self.low) * (1 - where) + exact(self.high) * where)
        value = math.exp(math.log(self.low) * (1 - float(where)) + math.log(self.high) * float(where))
        return min(max(float(f"{value:.12g}"), self.low), self.high)


@dataclass(frozen=True)
class Int:
    """A whole number from `low` to `high`, both included; the rest as for Float."""

    name: str
    low: int
    high: int
    log: bool = False
    step: int = 1
    points: int | None = None
    when: tuple[Condition, ...] = ()
    fallback: Value | None = None
    prior: Prior | None = None

    @property
    def size(self) -> int:
        return (self.high - self.low) // self.step + 1

    def value(self, index: int) -> int:
        return self.low + index * self.step

    def index(self, value: Any) -> int:
        return (int(value) - self.low) // self.step

    def contains(self, value: object) -> bool:
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return self.low <= value <= self.high and (value - self.low) % self.step == 0

    def canonical(self, value: Any) -> int:
        return int(value)

    @cached_property
    def grid(self) -> tuple[int, ...] | range:
        if self.points is None or self.points >= self.size:
            return range(self.low, self.high + 1, self.step)
        if not self.log or self.points == 1:
            return tuple(self.value(i) for i in _spread(self.size, self.points))
        low, high = math.log(self.low), math.log(self.high)
        wanted = [math.exp(low + (high - low) * i / (self.points - 1)) for i in range(self.points)]
        return tuple(sorted({min(max(round(value), self.low), self.high) for value in wanted}))


@dataclass(frozen=True)
class Categorical:
    """One of `choices`, which keep the order and the types of the study file.

    Args:
        ordered: Neighbours are alike: by size where all are numbers, else in the order given.
    """

    name: str
    choices: tuple[Value, ...]
    ordered: bool = False
    when: tuple[Condition, ...] = ()
    fallback: Value | None = None
    prior: Prior | None = None

    @property
    def size(self) -> int:
        return len(self.choices)

    def value(self, index: int) -> Value:
        return self.choices[index]

    @cached_property
    def _indexes(self) -> dict[tuple[bool, Any], int]:
        return {same_choice(choice): i for i, choice in enumerate(self.choices)}

    def index(self, value: Any) -> int:
        return self._indexes[same_choice(value)]

    def contains(self, value: object) -> bool:
        return isinstance(value, (bool, int, float, str)) and same_choice(value) in self._indexes

    def canonical(self, value: Any) -> Value:
        return self.choices[self.index(value)]

    @property
    def grid(self) -> tuple[Value, ...]:
        return self.choices

    @cached_property
    def ranks(self) -> tuple[int, ...]:
        """Place of each choice in the order; the file's order where the choices are not ordered numbers."""
        places = list(range(len(self.choices)))
        if self.ordered and all(is_number(choice) for choice in self.choices):
            by_size = sorted(places, key=lambda i: float(self.choices[i]))
            return tuple(by_size.index(i) for i in places)
        return tuple(places)

    @cached_property
    def by_rank(self) -> tuple[Value, ...]:
        """The choices in their order."""
        return tuple(choice for _, choice in sorted(zip(self.ranks, self.choices, strict=True), key=lambda x: x[0]))


Parameter = Float | Int | Categorical


def satisfying(parameter: Parameter, condition: Condition) -> list[tuple[int, int]]:
    """The indexes [start, stop) of a finite parameter's values for which a condition on it holds, ascending."""
    size = parameter.size
    assert size is not None
    if condition.values is not None or isinstance(parameter, Categorical):
        if isinstance(parameter, Categorical):
            found = [i for i in range(size) if condition.holds(parameter.value(i))]
        else:
            found = sorted({parameter.index(value) for value in condition.values or ()})
        return [(i, i + 1) for i in found]
    start = bisect_left(range(size), True, key=lambda i: condition.above(parameter.value(i)))
    stop = bisect_left(range(size), True, key=lambda i: not condition.below(parameter.value(i)))
    return [(start, stop)] if start < stop else []
