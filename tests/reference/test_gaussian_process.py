"""The Gaussian process against the formulas of Rasmussen and Williams 2006, written as they stand there."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal, norm

from hpo_workflow.space.encoding import Array
from hpo_workflow.surrogates.gaussian_process import LEAST_NOISE, Data, Posterior, Prior, fit, loss_and_gradient

UNORDERED = np.array([False, False, True])
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
    mean, std = Posterior(THETA, x, y, UNORDERED, NOTHING, np.zeros((0, 8))).predict(new)
    np.testing.assert_allclose(mean[:, 0], between @ inverse @ y, rtol=1e-7)
    variance = covariance(new, new, THETA) - between @ inverse @ between.T
    np.testing.assert_allclose(std, np.sqrt(np.diag(variance)), rtol=1e-6)


def test_the_best_expected_loss_is_that_of_the_posterior_mean_at_the_data() -> None:
    x, y = example()
    posterior = Posterior(THETA, x, y, UNORDERED, NOTHING, np.zeros((0, 8)))
    np.testing.assert_allclose(posterior.best, posterior.predict(x)[0].min(), rtol=1e-9)


def test_the_loss_is_the_likelihood_times_the_prior() -> None:
    x, y = example()
    prior = Prior.of(UNORDERED)

    def direct(theta: Array) -> float:
        noise = np.exp(theta[4]) + LEAST_NOISE
        likelihood = multivariate_normal.logpdf(y, cov=covariance(x, x, theta) + noise * np.eye(len(x)))
        return float(-likelihood - norm.logpdf(theta, prior.mean, prior.deviation).sum())

    data = Data.of(x, y, UNORDERED)
    other = THETA + 0.3
    difference = loss_and_gradient(THETA, data, prior)[0] - loss_and_gradient(other, data, prior)[0]
    assert difference == pytest.approx(direct(THETA) - direct(other), rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_the_gradient_is_that_of_finite_differences(seed: int) -> None:
    x, y = example(seed=seed)
    data, prior = Data.of(x, y, UNORDERED), Prior.of(UNORDERED)
    theta = prior.mean + np.random.default_rng(seed).standard_normal(5)
    numeric = approx_fprime(theta, lambda t: loss_and_gradient(t, data, prior)[0], 1e-6)
    np.testing.assert_allclose(loss_and_gradient(theta, data, prior)[1], numeric, rtol=1e-3, atol=1e-3)


def test_imagined_results_have_the_joint_distribution_of_the_pending_points() -> None:
    x, y = example()
    pending = example(3, seed=2)[0]
    draws = np.random.default_rng(0).standard_normal((3, 40_000))
    posterior = Posterior(THETA, x, y, UNORDERED, pending, draws)
    mean, _ = posterior.predict(pending)
    plain = Posterior(THETA, x, y, UNORDERED, NOTHING, np.zeros((0, 1)))
    expected, std = plain.predict(pending)
    np.testing.assert_allclose(mean.mean(1), expected[:, 0], atol=0.02)
    assert (mean.std(1) < 1.1 * np.sqrt(std**2 + NOISE)).all()
    assert (posterior.predict(pending)[1] < std).all()


def test_a_pending_point_is_as_sure_as_an_observed_one() -> None:
    x, y = example()
    pending = example(2, seed=3)[0]
    with_pending = Posterior(THETA, x, y, UNORDERED, pending, np.zeros((2, 1)))
    mean, _ = Posterior(THETA, x, y, UNORDERED, NOTHING, np.zeros((0, 1))).predict(pending)
    told = Posterior(THETA, np.vstack([x, pending]), np.append(y, mean[:, 0]), UNORDERED, NOTHING, np.zeros((0, 1)))
    new = example(9, seed=4)[0]
    for a, b in zip(with_pending.predict(new), told.predict(new), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


def test_slopes_are_those_of_finite_differences() -> None:
    x, y = example()
    pending = example(2, seed=5)[0]
    posterior = Posterior(THETA, x, y, UNORDERED, pending, np.random.default_rng(1).standard_normal((2, 4)))
    point = np.array([0.3, 0.8, 0.5])
    which = np.array([0, 1])
    mean, std, mean_slopes, std_slopes = posterior.predict_with_slopes(point, which)
    expected_mean, expected_std = posterior.predict(point[None, :])
    np.testing.assert_allclose(mean, expected_mean[0], rtol=1e-9)
    assert std == pytest.approx(expected_std[0], rel=1e-9)
    for row, j in enumerate(which):
        step = np.zeros(3)
        step[j] = 1e-6
        above, below = posterior.predict((point + step)[None, :]), posterior.predict((point - step)[None, :])
        np.testing.assert_allclose(mean_slopes[row], (above[0] - below[0])[0] / 2e-6, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(std_slopes[row], (above[1] - below[1])[0] / 2e-6, rtol=1e-4, atol=1e-6)


def test_fitting_finds_the_parameter_that_matters() -> None:
    x, _ = example(40)
    y = np.sin(9.0 * x[:, 0])
    prior = Prior.of(UNORDERED)
    data = Data.of(x, (y - y.mean()) / y.std(), UNORDERED)
    theta, loss = fit(data, prior, prior.mean, 60)
    assert loss < loss_and_gradient(prior.mean, data, prior)[0]
    assert theta[0] > max(theta[1], theta[2]) + 2.0


def test_equal_rows_and_no_noise_can_still_be_factored() -> None:
    x = np.repeat(example(3)[0], 10, 0)
    y = np.repeat([0.0, 1.0, 2.0], 10)
    theta = np.array([-9.0, -9.0, -9.0, 3.0, -40.0])
    mean, std = Posterior(theta, x, y, UNORDERED, x[:4], np.zeros((4, 2))).predict(x)
    assert np.isfinite(mean).all()
    assert np.isfinite(std).all()
