"""Functions of the BBOB set, from the package `ioh`: plain, with whole numbers and choices, and one of two.

Source: Hansen et al. 2009, Real-Parameter Black-Box Optimization Benchmarking, INRIA RR-6829. Instance 1 of each.
A loss is the distance to the lowest value that is possible.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.samplers.spaces import Entry, Space, choice, real, whole

LOW, HIGH = -5.0, 5.0
STEPS = 10
"""A whole number goes from 0 to this and stands for evenly spaced values."""
WORDS = ("ash", "elm", "fir", "oak", "yew")
"""A choice stands for one of as many values, in an order that its name does not tell."""
OFFSET = 0.2
"""The worse of two functions ends so much higher, where 1 is the median of random points."""


def _function(number: int, dimensions: int) -> Callable[[Sequence[float]], float]:
    import ioh

    problem = ioh.get_problem(number, instance=1, dimension=dimensions, problem_class=ioh.ProblemClass.BBOB)
    lowest = float(problem.optimum.y)
    return lambda point: max(float(problem(list(point))) - lowest, 0.0)


def space(dimensions: int, prefix: str = "x", when: Mapping[str, list[Any]] | None = None) -> Space:
    return {f"{prefix}{index}": real(LOW, HIGH, when=when) for index in range(dimensions)}


def mixed_space(n_whole: int, n_choices: int, numbers: int) -> Space:
    made: dict[str, Entry] = {f"i{index}": whole(0, STEPS) for index in range(n_whole)}
    made.update({f"c{index}": choice(*WORDS) for index in range(n_choices)})
    return {**made, **space(numbers)}


def either_space(first: int, second: int) -> Space:
    return {
        "which": choice("first", "second"),
        **space(first, "a", {"which": ["first"]}),
        **space(second, "b", {"which": ["second"]}),
    }


class _Exact(ABC):
    """A landscape that tells what it scores by."""

    best: float | None

    @abstractmethod
    def loss(self, configuration: Mapping[str, Any]) -> float:
        """What a sampler is scored by."""

    def told(self, configuration: Mapping[str, Any], rng: np.random.Generator) -> float:
        return self.loss(configuration)


class Plain(_Exact):
    """A function as it is."""

    def __init__(self, number: int, dimensions: int) -> None:
        self._function = _function(number, dimensions)
        self.best = 0.0

    def loss(self, configuration: Mapping[str, Any]) -> float:
        return self._function(list(configuration.values()))


class Mixed(_Exact):
    """Some coordinates have eleven evenly spaced values, some have five with names; what is possible is not known."""

    best: float | None = None

    def __init__(self, number: int, n_whole: int, n_choices: int, numbers: int) -> None:
        self._function = _function(number, n_whole + n_choices + numbers)
        rng = np.random.default_rng(number)
        self._named = [
            dict(zip(WORDS, rng.permutation(np.linspace(LOW + 1, HIGH - 1, len(WORDS))).tolist(), strict=True))
            for _ in range(n_choices)
        ]

    def loss(self, configuration: Mapping[str, Any]) -> float:
        named = iter(self._named)
        point: list[float] = []
        for value in configuration.values():
            if isinstance(value, str):
                point.append(next(named)[value])
            elif isinstance(value, int):
                point.append(LOW + (HIGH - LOW) * value / STEPS)
            else:
                point.append(value)
        return self._function(point)


class Either(_Exact):
    """A choice picks a function, each with parameters of its own and scaled to a median of 1; the first can be lower.

    Args:
        first, second: Number and dimensions of each.
    """

    def __init__(self, first: tuple[int, int], second: tuple[int, int]) -> None:
        self._functions = {}
        self.best = 0.0
        for word, (number, dimensions), offset in (("first", first, 0.0), ("second", second, OFFSET)):
            function = _function(number, dimensions)
            points = np.random.default_rng(number).uniform(LOW, HIGH, (1001, dimensions))
            scale = float(np.median([function(point) for point in points.tolist()]))
            self._functions[word] = (function, scale, offset)

    def loss(self, configuration: Mapping[str, Any]) -> float:
        which, *point = configuration.values()
        function, scale, offset = self._functions[which]
        return function(point) / scale + offset
