"""The search for the largest value of a function over a mixed space."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hpo_workflow.samplers.acquisition_search import AcquisitionSearch, names
from hpo_workflow.space import SearchSpace
from hpo_workflow.space.encoding import Array, Encoding

SPACE = SearchSpace.from_mapping(
    {
        "x": {"type": "float", "low": 0, "high": 1},
        "k": {"type": "int", "low": 0, "high": 9},
        "c": ["a", "b", "c"],
        "y": {"type": "float", "low": 0, "high": 1, "when": {"c": "b"}},
    }
)
ENCODING = Encoding(SPACE)
TARGET = ENCODING.encode([{"x": 0.3137, "k": 7, "c": "b", "y": 0.0}])[0]


def score(x: Array) -> Array:
    apart = (x - TARGET) ** 2
    apart[:, 2] = x[:, 2] != TARGET[2]
    return np.asarray(-apart.sum(1))


def slopes(x: Array, which: npt.NDArray[np.intp]) -> tuple[float, Array]:
    return float(score(x[None, :])[0]), -2.0 * (x - TARGET)[which]


def search(known: set[bytes] | None = None, seed: int = 0) -> AcquisitionSearch:
    return AcquisitionSearch(ENCODING, score, slopes, known or set(), np.random.default_rng(seed))


START = ENCODING.snap(np.random.default_rng(5).random((5, 4)))


def test_it_finds_the_maximum_at_a_bound_and_between() -> None:
    best = search().best_first(START)[0]
    np.testing.assert_allclose(best, TARGET, atol=1e-6)


def test_what_was_proposed_is_not_among_the_points() -> None:
    known = set(names(TARGET[None, :]))
    points = search(known).best_first(START)
    assert not known & set(names(points))
    assert score(points[:1])[0] > -1e-4


def test_points_come_best_first_and_are_configurations() -> None:
    points = search().best_first(START)
    assert (np.diff(score(points)) <= 0).all()
    np.testing.assert_array_equal(points, ENCODING.snap(points))


def test_neighbours_change_something_and_stay_inside() -> None:
    x = np.repeat(START, 40, 0)
    moved = search().neighbours(x, np.full(len(x), 0.3))
    assert (moved >= 0).all() and (moved <= 1).all()
    assert (moved != x).any(1).mean() > 0.8


def test_climbers_start_apart() -> None:
    crowded = np.vstack([np.repeat(TARGET[None, :], 30, 0), START])
    climbed, heights = search().climb(crowded, score(crowded))
    assert len(climbed) > 1
    assert (np.diff(heights) <= 0).all()


def test_a_point_without_continuous_parameters_is_polished_already() -> None:
    encoding = Encoding(SearchSpace.from_mapping({"k": {"type": "int", "low": 0, "high": 9}}))
    it = AcquisitionSearch(encoding, lambda x: -x[:, 0], lambda x, _: (math.nan, x), set(), np.random.default_rng(0))
    x = encoding.snap(np.array([[0.4]]))[0]
    assert it.polish(x) is x
