"""Parzen estimators are densities, and say nothing about parameters that are not there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from hpo_workflow.space import SearchSpace
from hpo_workflow.space.encoding import Array, Encoding
from hpo_workflow.space.prior import PriorDensity
from hpo_workflow.surrogates.parzen import FEW, ParzenEstimator, error_function, spreads

FLOATS = {"x": {"type": "float", "low": 0, "high": 1}, "y": {"type": "float", "low": 1e-3, "high": 1, "log": True}}
DISCRETE = {
    "k": {"type": "int", "low": 1, "high": 5},
    "l": {"type": "int", "low": 1, "high": 20, "log": True},
    "c": ["a", "b", "c"],
    "o": {"choices": [4, 1, 2]},
}
TREE = {
    "opt": ["adam", "sgd"],
    "m": {"type": "float", "low": 0, "high": 1, "when": {"opt": "sgd"}},
    "k": {"choices": ["p", "q"], "when": {"opt": "adam"}},
    "n": {"type": "int", "low": 1, "high": 3, "when": {"m": {"gt": 0.5}}},
}


def encoding_of(mapping: dict[str, Any]) -> Encoding:
    return Encoding(SearchSpace.from_mapping(mapping))


def estimator(
    mapping: dict[str, Any], configurations: list[dict[str, Any]], width: float = 0.1, **more: Any
) -> ParzenEstimator:
    encoding = encoding_of(mapping)
    return ParzenEstimator(encoding, encoding.encode(configurations), np.full(encoding.d, width), **more)


def density(model: ParzenEstimator, x: Array) -> Array:
    return np.exp(model.log_density(x, model.encoding.active(x)))


def test_the_error_function_is_good_to_seven_digits() -> None:
    x = np.linspace(-6.0, 6.0, 2001)
    np.testing.assert_allclose(error_function(x), [math.erf(value) for value in x], atol=1.6e-7)


def test_a_density_over_floats_integrates_to_one() -> None:
    model = estimator(FLOATS, [{"x": 0.02, "y": 1e-3}, {"x": 0.5, "y": 0.9}, {"x": 1.0, "y": 0.1}])
    edge = (np.arange(200) + 0.5) / 200
    x = np.stack(np.meshgrid(edge, edge), -1).reshape(-1, 2)
    assert density(model, x).mean() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("width", [0.01, 0.2, 1.0])
def test_probabilities_over_discrete_parameters_sum_to_one(width: float) -> None:
    told = [{"k": 1, "l": 20, "c": "a", "o": 4}, {"k": 5, "l": 2, "c": "b", "o": 1}]
    model = estimator(DISCRETE, told, width)
    encoding = model.encoding
    listed = encoding.encode(encoding.space.configurations())
    assert len(listed) == 5 * 20 * 3 * 3
    share = np.ones(len(listed))  # of uniform draws
    for j in range(encoding.d):
        low, high = encoding.cells(j, encoding.ranks(j, listed[:, j]))
        share *= high - low
    assert (density(model, listed) * share).sum() == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(
    "told",
    [
        [{"opt": "sgd", "m": 0.9, "n": 1}, {"opt": "sgd", "m": 0.2}, {"opt": "adam", "k": "p"}],
        [{"opt": "adam", "k": "p"}],
        [],
    ],
)
def test_a_density_over_a_tree_integrates_to_one(told: list[dict[str, Any]]) -> None:
    model = estimator(TREE, told)
    grid = (np.arange(60) + 0.5) / 60
    x = np.stack(np.meshgrid([0.25, 0.75], grid, [0.25, 0.75], [1 / 6, 0.5, 5 / 6]), -1).reshape(-1, 4)
    assert density(model, model.encoding.snap(x)).mean() == pytest.approx(1.0, abs=1e-3)


def test_the_density_of_one_kernel_is_its_formula() -> None:
    model = estimator(FLOATS | {"c": ["a", "b", "c", "d"]}, [{"x": 0.3, "y": 1.0, "c": "b"}], 0.2, spread=0.5)
    x = model.encoding.encode([{"x": 0.4, "y": 1e-3**0.25, "c": "b"}, {"x": 0.4, "y": 1e-3**0.25, "c": "d"}])

    def normal(distance: float, low: float, high: float) -> float:
        inside = 0.5 * (math.erf(high / 0.2 / math.sqrt(2)) - math.erf(low / 0.2 / math.sqrt(2)))
        return math.exp(-0.5 * (distance / 0.2) ** 2) / (0.2 * math.sqrt(2 * math.pi)) / inside

    curve = normal(0.1, -0.3, 0.7) * normal(0.25, -1.0, 0.0)
    choice = np.array([4 * (1 + 0.125) / 1.5, 4 * 0.125 / 1.5])
    np.testing.assert_allclose(density(model, x), 0.5 * (curve * choice + 1.0), rtol=1e-5)


def test_a_configuration_without_a_parameter_leaves_it_uniform() -> None:
    model = estimator(TREE, [{"opt": "adam", "k": "p"}])
    sgd = model.encoding.encode([{"opt": "sgd", "m": value} for value in (0.01, 0.2, 0.49)])
    np.testing.assert_allclose(density(model, sgd), density(model, sgd)[0])


def test_a_parameter_that_a_point_lacks_adds_nothing() -> None:
    sgd = {"opt": "sgd", "m": 0.9, "n": 1}
    tree = estimator({name: TREE[name] for name in ("opt", "m", "n")}, [{"opt": "adam"}, sgd])
    flat = estimator({"opt": ["adam", "sgd"]}, [{"opt": "adam"}, {"opt": "sgd"}])
    at_tree, at_flat = (density(model, model.encoding.encode([{"opt": "adam"}])) for model in (tree, flat))
    assert at_tree == pytest.approx(at_flat)


def test_long_ints_and_short_ones_have_nearly_the_same_density() -> None:
    def at(high: int) -> Array:
        model = estimator({"k": {"type": "int", "low": 1, "high": high}}, [{"k": high // 4}, {"k": high}], 0.2)
        return density(model, model.encoding.encode([{"k": value} for value in (1, high // 2, high)]))

    np.testing.assert_allclose(at(FEW), at(FEW + 4), rtol=0.05)


@pytest.mark.parametrize("mapping", [FLOATS, DISCRETE, TREE])
def test_samples_follow_the_density(mapping: dict[str, Any]) -> None:
    encoding = encoding_of(mapping)
    rng = np.random.default_rng(0)
    told = encoding.snap(rng.random((6, encoding.d)))
    model = ParzenEstimator(encoding, told, np.full(encoding.d, 0.15), weights=np.arange(1.0, 7.0))
    drawn = model.sample(40_000, rng)
    uniform = encoding.snap(rng.random((40_000, encoding.d)))
    weights = density(model, uniform)  # the mean of any function under the density is a mean of uniform points
    assert weights.mean() == pytest.approx(1.0, abs=0.05)
    for power in (1, 2):
        np.testing.assert_allclose((drawn**power).mean(0), (weights[:, None] * uniform**power).mean(0), atol=0.03)


def test_samples_are_configurations() -> None:
    model = estimator(TREE, [{"opt": "sgd", "m": 0.9, "n": 2}])
    drawn = model.sample(200, np.random.default_rng(1))
    np.testing.assert_array_equal(model.encoding.snap(drawn), drawn)


def test_what_the_uniform_kernel_draws_may_follow_a_prior() -> None:
    model = estimator({"x": {"type": "float", "low": 0, "high": 1, "prior": {"center": 0.9, "strength": "strong"}}}, [])
    prior = PriorDensity(model.encoding)
    followed, even = (model.sample(500, np.random.default_rng(0), p)[:, 0] for p in (prior, None))
    assert np.mean(followed > 0.7) > 0.8
    assert np.mean(even > 0.7) < 0.4


def test_without_configurations_the_density_is_uniform() -> None:
    model = estimator(FLOATS, [])
    np.testing.assert_allclose(density(model, np.random.default_rng(0).random((5, 2))), 1.0)


def test_weights_say_how_much_a_kernel_counts() -> None:
    told = [{"x": 0.2, "y": 0.1}, {"x": 0.8, "y": 0.1}]
    model = estimator(FLOATS, told, weights=np.array([3.0, 1.0]), uniform=0.01)
    left, right = density(model, model.encoding.encode(told))
    assert left / right == pytest.approx(3.0, rel=0.02)


def test_spreads_are_deviations_with_one_even_configuration_more() -> None:
    encoding = encoding_of(FLOATS)
    x = np.array([[0.2, 0.5], [0.4, 0.5], [0.6, 0.5]])
    active = np.ones(x.shape, bool)
    found = spreads(x, active, np.ones(3))
    variance = float(np.var([0.2, 0.4, 0.6]))
    np.testing.assert_allclose(found, np.sqrt([(1 / 12 + 3 * variance) / 4, 1 / 12 / 4]))
    np.testing.assert_allclose(spreads(x[:0], active[:0], np.ones(0)), math.sqrt(1 / 12))
    np.testing.assert_allclose(spreads(x, active, np.array([1.0, 0.0, 0.0])), math.sqrt(1 / 24))
    assert encoding.d == 2


def test_only_those_that_have_a_parameter_make_its_spread() -> None:
    encoding = encoding_of(TREE)
    told: list[dict[str, Any]] = [{"opt": "sgd", "m": 0.1}] * 2 + [{"opt": "adam", "k": "p"}]
    x = encoding.encode(told)
    found = spreads(x, encoding.active(x), np.ones(3))
    assert found[1] == pytest.approx(math.sqrt(1 / 36))
    assert found[3] == pytest.approx(math.sqrt(1 / 12))
