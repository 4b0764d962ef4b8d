"""CMA-ES learns, and is the same search whenever it is asked and in whatever order trials end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hpo_workflow.samplers import History, Observation, Plan, get_sampler
from hpo_workflow.samplers.cma_es import _losses, _Search
from hpo_workflow.samplers.design import draw_all_new
from hpo_workflow.space import SearchSpace
from tests.contracts.spaces import MIXED

pytest.importorskip("cmaes")

CUBE = SearchSpace.from_mapping({f"x{i}": {"type": "float", "low": -1, "high": 1} for i in range(4)})
SPACE = SearchSpace.from_mapping(MIXED)
Loss = Callable[[dict[str, Any]], float | None]


def sphere(params: dict[str, Any]) -> float:
    return sum((value - 0.6) ** 2 for value in params.values())


def study(
    space: SearchSpace, loss: Loss, trials: int, parallel: int = 1, seed: int = 0, settings: Any = "cmaes"
) -> History:
    """A study of which any of the pending trials may end next."""
    chance = np.random.default_rng(seed)
    observations: list[Observation] = []
    pending: list[dict[str, Any]] = []
    while len(observations) < trials:
        rng = np.random.default_rng([seed, len(observations) + len(pending)])
        history = History(tuple(observations), tuple(pending))
        pending += get_sampler(settings, Plan(parallel=parallel)).propose(space, history, parallel - len(pending), rng)
        params = pending.pop(int(chance.integers(len(pending))))
        observations.append(Observation(params, loss(params)))
    return History(tuple(observations), tuple(pending))


def best(history: History) -> float:
    return min(o.loss for o in history.observations if o.loss is not None)


def search(space: SearchSpace, history: History, population: int, seed: int = 0) -> _Search:
    return _Search(space, history.keys(space), _losses(space, history.observations), seed, population, 0.2)


@pytest.mark.parametrize(("parallel", "part"), [(1, 0.15), (8, 0.6)])
def test_it_finds_what_random_search_does_not(parallel: int, part: float) -> None:
    random = [draw_all_new(CUBE, set(), 80, np.random.default_rng(seed)) for seed in range(9)]
    found = max(best(study(CUBE, sphere, 80, parallel, seed)) for seed in range(2))
    assert found < part * np.median([min(map(sphere, drawn)) for drawn in random])


@pytest.mark.parametrize(("space", "loss"), [(CUBE, sphere), (SPACE, lambda params: params["drop"])])
def test_every_trial_of_an_asynchronous_study_is_a_draw_that_is_found_again(space: SearchSpace, loss: Loss) -> None:
    history = study(space, loss, 60, parallel=7)
    again = search(space, history, population=max(4 + int(3 * np.log(len(space.parameters))), 7))
    next(again.new_draws())
    assert again._drawn >= history.keys(space)


def test_a_late_result_of_a_closed_study_does_not_change_the_draws_before_it() -> None:
    history = study(CUBE, sphere, 24, parallel=4)
    late = History(history.observations[:-1], (*history.pending, history.observations[-1].params))
    (new,) = get_sampler("cmaes").propose(CUBE, late, 1, np.random.default_rng([0, 1]))
    (other,) = get_sampler("cmaes").propose(CUBE, late, 1, np.random.default_rng([0, 99]))
    assert new == other  # the seed of the study decides, not the number of the batch
    assert CUBE.key(new) not in history.keys(CUBE)


def test_a_failure_is_worse_than_every_result() -> None:
    """The losses of what does not fail are large, and half of all fails at first."""
    history = study(CUBE, lambda params: None if params["x0"] > 0.0 else 1e6 + (params["x0"] + 0.4) ** 2, 80)
    assert sum(o.loss is None for o in history.observations[-20:]) <= 2


@pytest.mark.parametrize("loss", [lambda params: 1.0, lambda params: None, lambda params: float("nan")])
def test_a_generation_without_differences_moves_nothing(loss: Loss) -> None:
    history = study(CUBE, loss, 80)
    values = np.array([list(o.params.values()) for o in history.observations])
    assert np.all(np.abs(values.mean(0)) < 0.2)
    assert np.all(np.abs(values.std(0) - 0.4) < 0.12)  # sigma 0.2 of a range of 2


def test_only_the_ranks_of_losses_matter() -> None:
    plain = study(CUBE, sphere, 40)
    scaled = study(CUBE, lambda params: 1e300 * sphere(params) - 1e299, 40)
    assert [o.params for o in plain.observations] == [o.params for o in scaled.observations]


def test_it_begins_at_the_prior() -> None:
    mapping: dict[str, Any] = {
        "lr": {"type": "float", "low": 1e-4, "high": 1, "log": True, "prior": {"center": 0.1, "strength": "strong"}},
        "layers": {"type": "int", "low": 1, "high": 9, "prior": {"center": 8, "strength": "strong"}},
        "kind": {"choices": ["a", "b", "c"], "prior": {"center": "c", "strength": "strong"}},
    }
    space = SearchSpace.from_mapping(mapping)
    drawn = get_sampler("cmaes").propose(space, History(), 60, np.random.default_rng([1, 0]))
    assert np.median([params["lr"] for params in drawn]) == pytest.approx(0.1, rel=0.5)
    assert np.median([params["layers"] for params in drawn]) in (7, 8)
    assert np.mean([params["kind"] == "c" for params in drawn]) > 0.7


def test_the_population_is_the_option_or_at_least_what_runs_at_once() -> None:
    def generation(settings: Any, parallel: int) -> int:
        """How many results it takes until a proposal depends on losses."""
        first = get_sampler(settings, Plan(parallel=parallel)).propose(CUBE, History(), 40, np.random.default_rng(0))
        for n in range(1, 40):
            told = [History(tuple(Observation(p, sphere(p) * sign) for p in first[:n])) for sign in (1, -1)]
            one, other = (
                get_sampler(settings, Plan(parallel=parallel)).propose(CUBE, t, 1, np.random.default_rng(0))
                for t in told
            )
            if one != other:
                return n
        return 0

    assert generation("cmaes", 1) == 8
    assert generation("cmaes", 12) == 12
    assert generation({"name": "cmaes", "population": 5}, 12) == 5


def test_many_continuous_parameters_are_no_trouble() -> None:
    space = SearchSpace.from_mapping({f"x{i}": {"type": "float", "low": -1, "high": 1} for i in range(120)})
    first = get_sampler("cmaes").propose(space, History(), 18, np.random.default_rng([0, 0]))
    told = History(tuple(Observation(params, sphere(params)) for params in first))
    (params,) = get_sampler("cmaes").propose(space, told, 1, np.random.default_rng([0, 18]))
    assert space.fits(params)
    assert np.mean(list(params.values())) > 0.0  # towards 0.6


@pytest.mark.parametrize("space", [CUBE, SPACE], ids=["continuous", "mixed"])
def test_a_thousand_results_are_lived_through_in_a_moment(space: SearchSpace) -> None:
    """About 0.1 s; and the search goes on converging, or starts anew."""
    sampler = get_sampler("cmaes")
    told: list[Observation] = []
    while len(told) < 1000:
        for params in sampler.propose(space, History(tuple(told)), 250, np.random.default_rng([0, len(told)])):
            told.append(Observation(params, sum(v for v in params.values() if isinstance(v, float))))
    begun = time.process_time()
    (params,) = sampler.propose(space, History(tuple(told)), 1, np.random.default_rng([0, 1000]))
    assert time.process_time() - begun < 1.0
    assert space.fits(params)


def test_ten_thousand_results_of_somebody_else_are_passed_over() -> None:
    told = tuple(Observation(p, sphere(p)) for p in draw_all_new(CUBE, set(), 10_000, np.random.default_rng(0)))
    begun = time.process_time()
    assert len(get_sampler("cmaes").propose(CUBE, History(told), 3, np.random.default_rng(0))) == 3
    assert time.process_time() - begun < 3.0
