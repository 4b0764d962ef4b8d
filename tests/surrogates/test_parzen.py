"""Parzen estimators are densities, and say nothing about parameters that are not there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from hpo_workflow.space import SearchSpace
from hpo_workflow.space.encoding import Array, Encoding
from hpo_workflow.surrogates.parzen import KernelWidths, ParzenEstimator, error_function

FLOATS = {"x": {"type": "float", "low": 0, "high": 1}, "y": {"type": "float", "low": 1e-3, "high": 1, "log": True}}
DISCRETE = {"k": {"type": "int", "low": 1, "high": 5}, "c": ["a", "b", "c"], "o": [4, 1, 2]}
TREE = {
    "opt": ["adam", "sgd"],
    "m": {"type": "float", "low": 0, "high": 1, "when": {"opt": "sgd"}},
    "k": {"choices": ["p", "q"], "when": {"opt": "adam"}},
}


def estimator(mapping: dict[str, Any], configurations: list[dict[str, Any]], **widths: float) -> ParzenEstimator:
    encoding = Encoding(SearchSpace.from_mapping(mapping))
    return ParzenEstimator(encoding, encoding.encode(configurations), KernelWidths(**widths))


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


def test_probabilities_over_discrete_parameters_sum_to_one() -> None:
    model = estimator(DISCRETE, [{"k": 1, "c": "a", "o": 4}, {"k": 5, "c": "b", "o": 1}])
    listed = model.encoding.encode(model.encoding.space.configurations())
    assert len(listed) == 45
    assert density(model, listed).sum() == pytest.approx(1.0, rel=1e-12)


def test_probabilities_over_a_tree_sum_to_one() -> None:
    model = estimator(TREE, [{"opt": "sgd", "m": 0.9}, {"opt": "adam", "k": "p"}, {"opt": "adam", "k": "p"}])
    edge = (np.arange(2000) + 0.5) / 2000
    sgd = model.encoding.encode([{"opt": "sgd", "m": float(value)} for value in edge])
    adam = model.encoding.encode([{"opt": "adam", "k": "p"}, {"opt": "adam", "k": "q"}])
    assert density(model, sgd).mean() + density(model, adam).sum() == pytest.approx(1.0, abs=1e-5)


def test_a_configuration_without_a_parameter_leaves_it_uniform() -> None:
    model = estimator(TREE, [{"opt": "adam", "k": "p"}])
    sgd = model.encoding.encode([{"opt": "sgd", "m": value} for value in (0.01, 0.5, 0.99)])
    np.testing.assert_allclose(density(model, sgd), density(model, sgd)[0])


@pytest.mark.parametrize("mapping", [FLOATS, DISCRETE, TREE])
def test_samples_follow_the_density(mapping: dict[str, Any]) -> None:
    encoding = Encoding(SearchSpace.from_mapping(mapping))
    rng = np.random.default_rng(0)
    told = encoding.snap(rng.random((6, encoding.d)))
    model = ParzenEstimator(encoding, told, KernelWidths())
    drawn = model.sample(40_000, rng)
    uniform = encoding.snap(rng.random((40_000, encoding.d)))
    # the mean of any function under the density, from samples and by weighing uniform points
    weights = density(model, uniform)
    share = np.where(encoding.active(uniform), 1.0 / np.where(encoding.continuous, 1.0, encoding.sizes), 1.0).prod(1)
    weights = weights / share
    assert weights.mean() == pytest.approx(1.0, abs=0.05)
    for power in (1, 2):
        np.testing.assert_allclose((drawn**power).mean(0), (weights[:, None] * uniform**power).mean(0), atol=0.03)


def test_samples_are_configurations() -> None:
    model = estimator(TREE, [{"opt": "sgd", "m": 0.9}])
    drawn = model.sample(200, np.random.default_rng(1))
    np.testing.assert_array_equal(model.encoding.snap(drawn), drawn)


def test_without_configurations_there_is_the_prior() -> None:
    model = estimator(FLOATS, [])
    np.testing.assert_allclose(density(model, np.random.default_rng(0).random((5, 2))), 1.0)


def test_more_configurations_make_narrower_kernels_down_to_a_limit() -> None:
    few = estimator(FLOATS, [{"x": 0.5, "y": 0.1}])
    many = estimator(FLOATS, [{"x": 0.5, "y": 0.1}] * 500)
    assert many.width < few.width
    assert estimator(FLOATS, [{"x": 0.5, "y": 0.1}] * 500, smallest=0.4).width == 0.4
