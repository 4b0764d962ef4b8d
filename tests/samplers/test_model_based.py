"""TPE and the Gaussian process learn: they beat random search clearly, also in batches and with failures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from hpo_workflow.samplers import History, Observation, get_sampler
from hpo_workflow.space import SearchSpace

SPACE = SearchSpace.from_mapping(
    {
        "lr": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
        "width": {"type": "int", "low": 8, "high": 512, "log": True},
        "drop": {"type": "float", "low": 0.0, "high": 0.9},
        "optimizer": ["adam", "sgd", "rmsprop"],
        "momentum": {"type": "float", "low": 0.0, "high": 1.0, "when": {"optimizer": "sgd"}},
    }
)


def loss(params: dict[str, Any]) -> float:
    """Smooth, best (0) at lr 0.01, width 64, drop 0.3, sgd, momentum 0.9."""
    apart = (math.log10(params["lr"]) + 2) ** 2 + (math.log2(params["width"]) - 6) ** 2 / 4
    apart += 4 * (params["drop"] - 0.3) ** 2
    if params["optimizer"] == "sgd":
        return apart + 4 * (params["momentum"] - 0.9) ** 2
    return apart + 0.5


def best_of(name: str, trials: int, batch: int, seed: int, failing: bool = False) -> float:
    history = History()
    best = math.inf
    while len(history.observations) < trials:
        rng = np.random.default_rng([seed, len(history.observations)])
        proposals = get_sampler(name).propose(SPACE, history, batch, rng)
        results = []
        for params in proposals:
            value = loss(params)
            failed = failing and params["drop"] > 0.6
            results.append(Observation(params, None if failed else value))
            best = best if failed else min(best, value)
        history = History((*history.observations, *results))
    return best


def median_best(name: str, trials: int, batch: int = 1, failing: bool = False) -> float:
    return float(np.median([best_of(name, trials, batch, seed, failing) for seed in range(3)]))


@pytest.fixture(scope="module")
def random_best() -> float:
    return float(np.median([best_of("random", 50, 10, seed) for seed in range(25)]))


def test_tpe_beats_random_search_clearly(random_best: float) -> None:
    assert median_best("tpe", 50) < 0.6 * random_best


def test_the_gaussian_process_beats_random_search_by_far(random_best: float) -> None:
    assert median_best("gp", 32, batch=4) < 0.1 * random_best


def test_batches_cost_little(random_best: float) -> None:
    assert median_best("tpe", 56, batch=8) < 0.7 * random_best
    assert median_best("gp", 32, batch=8) < 0.2 * random_best


def test_failures_are_learned_from(random_best: float) -> None:
    assert median_best("tpe", 50, batch=2, failing=True) < 0.7 * random_best
    assert median_best("gp", 32, batch=4, failing=True) < 0.2 * random_best


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_a_region_that_fails_is_avoided(name: str) -> None:
    space = SearchSpace.from_mapping({"x": {"type": "float", "low": 0, "high": 1}})
    told = [Observation({"x": x}, None if x > 0.5 else (x - 0.4) ** 2) for x in np.linspace(0.01, 0.99, 30).tolist()]
    proposals = get_sampler(name).propose(space, History(tuple(told)), 5, np.random.default_rng(0))
    assert sum(params["x"] > 0.55 for params in proposals) <= 1


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_a_batch_spreads_out(name: str) -> None:
    space = SearchSpace.from_mapping({"x": {"type": "float", "low": 0, "high": 1}})
    told = [Observation({"x": x}, np.sin(20 * x)) for x in np.linspace(0.02, 0.97, 12).tolist()]
    values = [p["x"] for p in get_sampler(name).propose(space, History(tuple(told)), 6, np.random.default_rng(0))]
    assert max(values) - min(values) > 0.05


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_equal_losses_teach_nothing_and_the_search_goes_on_everywhere(name: str) -> None:
    space = SearchSpace.from_mapping({"x": {"type": "float", "low": 0, "high": 1}})
    told = tuple(Observation({"x": x}, 1.0) for x in np.linspace(0.01, 0.99, 12).tolist())
    values = [p["x"] for p in get_sampler(name).propose(space, History(told), 20, np.random.default_rng(0))]
    assert np.histogram(values, 4, (0, 1))[0].min() >= 1


def test_where_only_some_fail_tpe_stays_among_those_that_end_well() -> None:
    space = SearchSpace.from_mapping({"x": {"type": "float", "low": 0, "high": 1}})
    told = tuple(Observation({"x": x}, None if x > 0.5 else 1.0) for x in np.linspace(0.01, 0.99, 20).tolist())
    values = [p["x"] for p in get_sampler("tpe").propose(space, History(told), 10, np.random.default_rng(0))]
    assert np.mean(np.array(values) < 0.55) >= 0.9


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_many_observations_are_no_trouble(name: str) -> None:
    rng = np.random.default_rng(0)
    drawn = get_sampler("random").propose(SPACE, History(), 700, rng)
    history = History(tuple(Observation(params, loss(params)) for params in drawn))
    (params,) = get_sampler(name).propose(SPACE, history, 1, rng)
    assert loss(params) < 1.0
