"""The grid and its two orders."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import numpy as np
import pytest

from hpo_workflow.samplers import History, get_sampler
from hpo_workflow.samplers.grid_search import shuffled
from hpo_workflow.space import SearchSpace
from tests.contracts.spaces import FINITE

SPACE = SearchSpace.from_mapping(FINITE["mixed"])
SHUFFLED = {"name": "grid", "order": "shuffled"}


def rest(settings: Any, space: SearchSpace, batches: list[int], seed: int = 3) -> list[dict[str, Any]]:
    """What a study proposes in batches of these sizes, each in a generator of its own."""
    found: list[dict[str, Any]] = []
    for n in batches:
        rng = np.random.default_rng([seed, len(found)])
        found += get_sampler(settings).propose(space, History(pending=tuple(found)), n, rng)
    return found


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 12, 24, 97, 1000])
def test_a_shuffled_order_has_each_number_once(n: int) -> None:
    assert sorted(shuffled(n, seed=7)) == list(range(n))


def test_all_orders_of_a_few_numbers_are_about_as_likely() -> None:
    orders = Counter(tuple(shuffled(4, seed)) for seed in range(2400))
    assert len(orders) == 24
    assert max(orders.values()) < 160 and min(orders.values()) > 55  # 100 each, standard deviation 10


def test_the_start_of_a_shuffled_order_is_spread_over_the_whole_grid() -> None:
    start = [number for number, _ in zip(shuffled(10**6, seed=1), range(1000), strict=False)]
    assert np.histogram(start, 10, (0, 10**6))[0].min() > 60
    assert np.histogram(np.array(start) % 1000, 10, (0, 1000))[0].min() > 60
    assert abs(np.corrcoef(start[:-1], start[1:])[0, 1]) < 0.12


def test_as_written_the_last_parameter_changes_fastest() -> None:
    assert rest("grid", SPACE, [5]) == list(SPACE.grid())[:5] == rest({"name": "grid", "order": "written"}, SPACE, [5])


def test_interruptions_and_growth_keep_the_shuffled_order() -> None:
    size = SPACE.grid_size()
    assert size is not None
    whole = rest(SHUFFLED, SPACE, [size + 3])
    assert whole == rest(SHUFFLED, SPACE, [1, 2, 5, 1, size]) != list(SPACE.grid())
    assert sorted(map(SPACE.key, whole)) == sorted(map(SPACE.key, SPACE.grid()))
    assert rest(SHUFFLED, SPACE, [size], seed=4) != whole


def test_a_grid_of_a_million_million_starts_at_once() -> None:
    axis = {"type": "float", "low": 0, "high": 1, "points": 10}
    space = SearchSpace.from_mapping({f"x{i}": dict(axis) for i in range(12)})
    assert space.grid_size() == 10**12
    begun = time.process_time()
    found = rest(SHUFFLED, space, [20, 20])
    assert time.process_time() - begun < 0.5  # a hundred times what it takes
    assert len({space.key(params) for params in found}) == 40
    for name in space.by_name:
        assert len({params[name] for params in found}) > 5  # all digits move from the start
