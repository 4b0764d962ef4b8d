"""Configurations that need no model."""

from __future__ import annotations

import numpy as np
import pytest

from hpo_workflow.samplers import History, get_sampler
from hpo_workflow.samplers.design import draw_all_new, draw_unproposed, latin_new, latin_points, sobol_new, study_seed
from hpo_workflow.space import SearchSpace

SQUARE = SearchSpace.from_mapping(
    {"x": {"type": "float", "low": 0, "high": 1}, "y": {"type": "float", "low": 0, "high": 1}}
)


def test_the_generators_of_a_study_share_its_seed() -> None:
    assert [study_seed(np.random.default_rng([7, batch])) for batch in (0, 3)] == [7, 7]
    assert study_seed(np.random.default_rng(7)) == 7


@pytest.mark.parametrize("batches", [[64], [1] * 64, [5] * 12 + [4]])
def test_sobol_points_of_many_batches_are_as_even_as_those_of_one(batches: list[int]) -> None:
    history = History()
    for number, n in enumerate(batches):
        rng = np.random.default_rng([7, number])
        history = history.with_pending(get_sampler("sobol").propose(SQUARE, history, n, rng))
    cells = {(int(float(p["x"]) * 8), int(float(p["y"]) * 8)) for p in history.pending}
    assert len(cells) == 64  # one point in each cell of an 8 x 8 board


def test_each_part_of_each_range_gets_one_point_of_a_latin_hypercube() -> None:
    points = latin_points(3, seed=4, first=6)
    for size in (6, 12, 24):
        cells = np.sort(np.floor(np.array([next(points) for _ in range(size)]) * size), axis=0)
        np.testing.assert_array_equal(cells, np.tile(np.arange(size)[:, None], (1, 3)))


def test_latin_points_of_many_batches_are_those_of_one() -> None:
    whole = latin_new(SQUARE, set(), 12, 5, np.random.default_rng([7, 0]))
    taken: set[str] = set()
    parts = []
    for number, n in enumerate((3, 1, 8)):
        parts += latin_new(SQUARE, taken, n, 5, np.random.default_rng([7, number]))
        taken |= {SQUARE.key(params) for params in parts}
    assert parts == whole
    assert latin_new(SQUARE, set(), 12, 5, np.random.default_rng([8, 0])) != whole


def test_the_last_free_configurations_of_a_large_space_are_found() -> None:
    space = SearchSpace.from_mapping(
        {"a": {"type": "int", "low": 1, "high": 210}, "b": {"type": "int", "low": 1, "high": 100}}
    )
    taken = {space.key(params) for params in space.configurations()}
    taken -= {space.key({"a": 209, "b": 7}), space.key({"a": 2, "b": 50})}
    rng = np.random.default_rng(0)
    for found in (
        draw_all_new(space, taken, 3, rng),
        draw_unproposed(space, taken, 3, rng),
        sobol_new(space, taken, 3, rng),
        latin_new(space, taken, 3, 10, rng),
    ):
        assert sorted(params["a"] for params in found) == [2, 209]


def test_random_draws_are_as_likely_as_the_ranges_say() -> None:
    space = SearchSpace.from_mapping(
        {
            "lr": {"type": "float", "low": 1e-4, "high": 1, "log": True},
            "n": {"type": "int", "low": 1, "high": 4},
            "c": ["a", "b"],
        }
    )
    drawn = draw_all_new(space, set(), 4000, np.random.default_rng(0))
    assert np.mean([params["lr"] < 1e-2 for params in drawn]) == pytest.approx(0.5, abs=0.03)
    for n in range(1, 5):
        assert np.mean([params["n"] == n for params in drawn]) == pytest.approx(0.25, abs=0.03)
    assert np.mean([params["c"] == "a" for params in drawn]) == pytest.approx(0.5, abs=0.03)
