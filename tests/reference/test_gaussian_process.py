"""The Gaussian process against the formulas of Rasmussen and Williams 2006, written as they stand there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal, norm

from hpo_workflow.space import SearchSpace
from hpo_workflow.space.encoding import Array, Encoding
from hpo_workflow.surrogates.coordinates import Coordinates
from hpo_workflow.surrogates.gaussian_process import (
    LEAST_NOISE,
    Data,
    Posterior,
    Prior,
    drawn,
    fit,
    loss_and_gradient,
)

NUMBER = {"type": "float", "low": 0.0, "high": 1.0}
ENCODING = Encoding(SearchSpace.from_mapping({"a": NUMBER, "b": NUMBER, "c": ["p", "q", "r"]}))
COORDINATES = Coordinates(ENCODING)
UNORDERED = ENCODING.unordered
NOTHING = np.zeros((0, 3))


def example(n: int = 25, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    x = rng.random((n, 3))
    x[:, 2] = (rng.integers(3, size=n) + 0.5) / 3
    y = np.sin(6.0 * x[:, 0]) + x[:, 1] ** 2 + (x[:, 2] > 0.5) + 0.05 * rng.standard_normal(n)
    return x, (y - y.mean()) / y.std()


def covariance(a: Array, b: Array, theta: Array) -> Array:
    """Equation 4.17 with nu = 5/2, point by point."""
    table = np.empty((len(a), len(b)))
    for i, left in enumerate(a):
        for j, right in enumerate(b):
            apart = np.where(UNORDERED, (left != right).astype(float), left - right)
            r = np.sqrt((np.exp(theta[:3]) * apart**2).sum())
            table[i, j] = np.exp(theta[3]) * (1 + np.sqrt(5) * r + 5 * r**2 / 3) * np.exp(-np.sqrt(5) * r)
    return table


THETA = np.array([2.0, 0.5, -0.3, 0.2, np.log(1e-2)])
NOISE = 1e-2 + LEAST_NOISE


def test_mean_and_deviation_are_equations_2_23_and_2_24() -> None:
    x, y = example()
    new = example(7, seed=1)[0]
    inverse = np.linalg.inv(covariance(x, x, THETA) + NOISE * np.eye(len(x)))
    between = covariance(new, x, THETA)
    mean, std = Posterior(THETA, COORDINATES, x, y, NOTHING, np.zeros((0, 8))).predict(new)
    np.testing.assert_allclose(mean[:, 0], between @ inverse @ y, rtol=1e-7)
    variance = covariance(new, new, THETA) - between @ inverse @ between.T
    np.testing.assert_allclose(std, np.sqrt(np.diag(variance)), rtol=1e-6)


def test_the_best_expected_loss_is_that_of_the_posterior_mean_at_the_data() -> None:
    x, y = example()
    posterior = Posterior(THETA, COORDINATES, x, y, NOTHING, np.zeros((0, 8)))
    np.testing.assert_allclose(posterior.best, posterior.predict(x)[0].min(), rtol=1e-9)


def test_the_loss_is_the_likelihood_times_the_prior() -> None:
    x, y = example()
    prior = Prior.of(UNORDERED)

    def direct(theta: Array) -> float:
        noise = np.exp(theta[4]) + LEAST_NOISE
        likelihood = multivariate_normal.logpdf(y, cov=covariance(x, x, theta) + noise * np.eye(len(x)))
        return float(-likelihood - norm.logpdf(theta, prior.mean, prior.deviation).sum())

    data = Data.of(COORDINATES, x, y)
    other = THETA + 0.3
    difference = loss_and_gradient(THETA, data, prior)[0] - loss_and_gradient(other, data, prior)[0]
    assert difference == pytest.approx(direct(THETA) - direct(other), rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_the_gradient_is_that_of_finite_differences(seed: int) -> None:
    x, y = example(seed=seed)
    data, prior = Data.of(COORDINATES, x, y), Prior.of(UNORDERED)
    theta = prior.mean + np.random.default_rng(seed).standard_normal(5)
    numeric = approx_fprime(theta, lambda t: loss_and_gradient(t, data, prior)[0], 1e-6)
    np.testing.assert_allclose(loss_and_gradient(theta, data, prior)[1], numeric, rtol=1e-3, atol=1e-3)


def test_imagined_results_have_the_joint_distribution_of_the_pending_points() -> None:
    x, y = example()
    pending = example(3, seed=2)[0]
    draws = np.random.default_rng(0).standard_normal((3, 40_000))
    posterior = Posterior(THETA, COORDINATES, x, y, pending, draws)
    mean, _ = posterior.predict(pending)
    plain = Posterior(THETA, COORDINATES, x, y, NOTHING, np.zeros((0, 1)))
    expected, std = plain.predict(pending)
    np.testing.assert_allclose(mean.mean(1), expected[:, 0], atol=0.02)
    assert (mean.std(1) < 1.1 * np.sqrt(std**2 + NOISE)).all()
    assert (posterior.predict(pending)[1] < std).all()


def test_a_pending_point_is_as_sure_as_an_observed_one() -> None:
    x, y = example()
    pending = example(2, seed=3)[0]
    with_pending = Posterior(THETA, COORDINATES, x, y, pending, np.zeros((2, 1)))
    mean, _ = Posterior(THETA, COORDINATES, x, y, NOTHING, np.zeros((0, 1))).predict(pending)
    told = Posterior(THETA, COORDINATES, np.vstack([x, pending]), np.append(y, mean[:, 0]), NOTHING, np.zeros((0, 1)))
    new = example(9, seed=4)[0]
    for a, b in zip(with_pending.predict(new), told.predict(new), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


def check_slopes(
    posterior: Posterior, point: Array, which: npt.NDArray[np.intp], mean_slopes: Array, std_slopes: Array
) -> None:
    """Slopes by the parameters `which` are those of finite differences."""
    for row, j in enumerate(which):
        step = np.zeros(len(point))
        step[j] = 1e-6
        above, below = posterior.predict((point + step)[None, :]), posterior.predict((point - step)[None, :])
        np.testing.assert_allclose(mean_slopes[row], (above[0] - below[0])[0] / 2e-6, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(std_slopes[row], (above[1] - below[1])[0] / 2e-6, rtol=1e-4, atol=1e-6)


def test_slopes_are_those_of_finite_differences() -> None:
    x, y = example()
    pending = example(2, seed=5)[0]
    posterior = Posterior(THETA, COORDINATES, x, y, pending, np.random.default_rng(1).standard_normal((2, 4)))
    point = np.array([0.3, 0.8, 0.5])
    which = np.array([0, 1])
    mean, std, mean_slopes, std_slopes = posterior.predict_with_slopes(point, which)
    expected_mean, expected_std = posterior.predict(point[None, :])
    np.testing.assert_allclose(mean, expected_mean[0], rtol=1e-9)
    assert std == pytest.approx(expected_std[0], rel=1e-9)
    check_slopes(posterior, point, which, mean_slopes, std_slopes)


def test_fitting_finds_the_parameter_that_matters() -> None:
    x, _ = example(40)
    y = np.sin(9.0 * x[:, 0])
    prior = Prior.of(UNORDERED)
    data = Data.of(COORDINATES, x, (y - y.mean()) / y.std())
    theta, loss = fit(data, prior, prior.mean, 60)
    assert loss < loss_and_gradient(prior.mean, data, prior)[0]
    assert theta[0] > max(theta[1], theta[2]) + 2.0


def test_equal_rows_and_no_noise_can_still_be_factored() -> None:
    x = np.repeat(example(3)[0], 10, 0)
    y = np.repeat([0.0, 1.0, 2.0], 10)
    theta = np.array([-9.0, -9.0, -9.0, 3.0, -40.0])
    mean, std = Posterior(theta, COORDINATES, x, y, x[:4], np.zeros((4, 2))).predict(x)
    assert np.isfinite(mean).all()
    assert np.isfinite(std).all()


def test_slopes_by_a_parameter_with_a_condition_are_those_of_finite_differences() -> None:
    space = {"a": NUMBER, "c": ["p", "q"], "b": {**NUMBER, "when": {"c": "p"}}}
    encoding = Encoding(SearchSpace.from_mapping(space))
    x = encoding.snap(np.random.default_rng(0).random((20, 3)))
    y = np.sin(5.0 * x[:, 0]) + x[:, 2]
    theta = np.array([1.0, 0.0, 0.5, 0.0, np.log(1e-2)])
    posterior = Posterior(theta, Coordinates(encoding), x, y, np.zeros((0, 3)), np.zeros((0, 1)))
    point = encoding.encode([{"a": 0.4, "c": "p", "b": 0.2}])[0]
    which = np.array([0, 2])
    _, _, mean_slopes, std_slopes = posterior.predict_with_slopes(point, which)
    check_slopes(posterior, point, which, mean_slopes, std_slopes)


def test_hyper_parameters_are_drawn_from_the_curvature_of_their_posterior() -> None:
    x, y = example(60)
    prior, data = Prior.of(UNORDERED), Data.of(COORDINATES, x, y)
    theta, _ = fit(data, prior, prior.mean, 100)
    hessian = np.array(
        [approx_fprime(theta, lambda t, i=i: loss_and_gradient(t, data, prior)[1][i], 1e-5) for i in range(5)]
    )
    rng = np.random.default_rng(0)
    found = np.array([drawn(theta, data, prior, rng) for _ in range(400)])
    expected = np.sqrt(np.diag(np.linalg.inv(0.5 * (hessian + hessian.T))))
    np.testing.assert_allclose(found.std(0), expected, rtol=0.2)
    np.testing.assert_allclose(found.mean(0), theta, atol=0.25)


def test_what_the_data_do_not_tell_is_drawn_from_no_wider_than_the_prior() -> None:
    x, _ = example(8)
    prior = Prior.of(UNORDERED)
    data = Data.of(COORDINATES, x, np.zeros(8))
    theta, _ = fit(data, prior, prior.mean, 60)
    rng = np.random.default_rng(0)
    found = np.array([drawn(theta, data, prior, rng) for _ in range(200)])
    assert (found.std(0) < 1.2 * prior.deviation.max()).all()
    assert (np.abs(found - prior.mean) <= 4.0 * prior.deviation + 1e-9).all()
