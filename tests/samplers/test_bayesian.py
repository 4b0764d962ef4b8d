"""The parts of Bayesian optimisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hpo_workflow.acquisition import log_expected_improvement
from hpo_workflow.samplers import History, Observation, bayesian, get_sampler
from hpo_workflow.samplers.bayesian import MOST_RESULTS, Beliefs, Improvement
from hpo_workflow.space import SearchSpace
from hpo_workflow.space.encoding import Array, Encoding
from hpo_workflow.space.prior import PriorDensity
from hpo_workflow.surrogates.coordinates import Coordinates
from hpo_workflow.surrogates.gaussian_process import Posterior
from hpo_workflow.surrogates.output_transform import normalised


def test_it_starts_with_points_of_the_sobol_sequence() -> None:
    space = SearchSpace.from_mapping({"x": {"type": "float", "low": 0, "high": 1}, "c": ["a", "b"]})
    rng = np.random.default_rng([3, 0])
    first = get_sampler("gp").propose(space, History(), 5, rng)
    assert first == get_sampler("sobol").propose(space, History(), 5, np.random.default_rng([3, 0]))


def test_the_start_continues_while_nothing_but_pending_points_is_known() -> None:
    space = SearchSpace.from_mapping({"x": {"type": "float", "low": 0, "high": 1}})
    gp, sobol = get_sampler("gp"), get_sampler("sobol")
    history = History(pending=tuple(gp.propose(space, History(), 12, np.random.default_rng([3, 0]))))
    rng = np.random.default_rng
    assert gp.propose(space, history, 3, rng([3, 1])) == sobol.propose(space, history, 3, rng([3, 1]))
    one = History((Observation(history.pending[0], 1.0),), history.pending[1:])
    assert gp.propose(space, one, 3, rng([3, 2])) == sobol.propose(space, one, 3, rng([3, 2]))


def test_a_small_space_is_searched_whole() -> None:
    space = SearchSpace.from_mapping({"a": {"type": "int", "low": 0, "high": 20}, "b": ["x", "y"]})
    told = [Observation({"a": a, "b": b}, (a - 13) ** 2 + (b == "x")) for a in range(0, 21, 4) for b in ("x", "y")]
    proposals = get_sampler("gp").propose(space, History(tuple(told)), 3, np.random.default_rng(0))
    assert {"a": 13, "b": "y"} in proposals


SPACE = SearchSpace.from_mapping(
    {
        "x": {"type": "float", "low": 0, "high": 1, "prior": {"center": 0.8, "strength": "strong"}},
        "c": ["a", "b"],
        "y": {"type": "float", "low": 0, "high": 1, "when": {"c": "a"}},
    }
)


def told(space: SearchSpace, n: int, seed: int = 0) -> History:
    """A study of n random trials."""
    params = get_sampler("random").propose(space, History(), n, np.random.default_rng(seed))
    return History(tuple(Observation(p, float(p["x"]) ** 2 + float(p.get("y", 0.3))) for p in params))


def improvement(n: int = 12) -> tuple[Encoding, Improvement]:
    """The acquisition of a study of n results."""
    encoding = Encoding(SPACE)
    coordinates, history = Coordinates(encoding), told(SPACE, n)
    x = encoding.encode(o.params for o in history.observations)
    y = normalised(np.array([o.loss for o in history.observations], float))
    theta = Beliefs(coordinates, x, y, np.random.default_rng(0)).most_probable
    posterior = Posterior(theta, coordinates, x, y, np.zeros((0, 3)), np.zeros((0, 1)))
    return encoding, Improvement(posterior, PriorDensity(encoding), n)


def test_a_prior_weighs_the_improvement_less_with_every_result() -> None:
    encoding, few = improvement(12)
    x = encoding.snap(np.random.default_rng(1).random((20, 3)))
    prior = PriorDensity(encoding)
    without = log_expected_improvement(*few.posterior.predict(x), few.posterior.best)
    np.testing.assert_allclose(few.score(x) - without, 10.0 / 12.0 * prior.log_density(x))
    many = Improvement(few.posterior, prior, 1000)
    np.testing.assert_allclose(many.score(x) - without, 10.0 / 1000.0 * prior.log_density(x))


def test_slopes_of_the_weighed_improvement_are_those_of_finite_differences() -> None:
    encoding, weighed = improvement()
    point = encoding.encode([{"x": 0.37, "c": "a", "y": 0.61}])[0]
    which = np.array([0, 2])
    value, slopes = weighed.slopes(point, which)
    assert value == pytest.approx(weighed.score(point[None, :])[0])
    for row, j in enumerate(which):
        step = np.zeros(3)
        step[j] = 1e-5
        numeric = (weighed.score((point + step)[None, :]) - weighed.score((point - step)[None, :]))[0] / 2e-5
        assert slopes[row] == pytest.approx(numeric, rel=1e-3, abs=1e-4)


def test_each_second_proposal_takes_drawn_hyper_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    most_probable = bayesian.Posterior

    def noted(theta: Array, *others: Any) -> Posterior:
        seen.append(any(theta is found for found in fitted))
        return most_probable(theta, *others)

    fitted: list[Array] = []
    make = bayesian.Beliefs

    def beliefs(*arguments: Any) -> Beliefs:
        made = make(*arguments)
        fitted.append(made.most_probable)
        return made

    monkeypatch.setattr(bayesian, "Posterior", noted)
    monkeypatch.setattr(bayesian, "Beliefs", beliefs)
    get_sampler("gp").propose(SPACE, told(SPACE, 12), 4, np.random.default_rng(0))
    get_sampler("gp").propose(SPACE, told(SPACE, 13), 1, np.random.default_rng(0))
    assert seen == [True, False, True, False, False]


def test_with_very_many_results_tpe_takes_over() -> None:
    history = told(SPACE, MOST_RESULTS + 1)
    rng = np.random.default_rng
    assert get_sampler("gp").propose(SPACE, history, 2, rng(0)) == get_sampler("tpe").propose(SPACE, history, 2, rng(0))
