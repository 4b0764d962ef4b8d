"""A Gaussian process: mean and uncertainty of the loss at configurations that were not tried.

Notation: n observations, p pending, m points, d parameters, f fantasies; x (n, d) points of the unit cube, y (n,)
losses that were transformed to about mean 0 and variance 1 (`samplers.bayesian`); K (n, n) covariance with noise.

`theta` (d + 2,) are the logarithms of: weights (d,) = 1 / length**2, variance of the signal, variance of the noise.
They are fitted to the maximum of likelihood times a normal prior on theta (MAP) by L-BFGS with analytic gradients.
Source: Rasmussen and Williams 2006, algorithm 2.1 and equation 5.9.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

from hpo_workflow.space.encoding import Array, Mask
from hpo_workflow.surrogates.kernels import matern, matern_slope, squared_differences, squared_distances

LEAST_NOISE = 1e-6
"""Added to the variance of the noise, so that K can be factored."""

HOPELESS = 1e25
"""Stands for a likelihood that cannot be computed: L-BFGS steps back from it."""


@dataclass(frozen=True)
class Prior:
    """A normal prior on theta.

    Lengths of numbers have the median 0.35 * sqrt(d): in more dimensions all distances are longer (Hvarfner et al.
    2024). Those of choices have 1, and the noise has 1e-3; the deviations leave a factor of 10 open.
    """

    mean: Array
    deviation: Array

    @classmethod
    def of(cls, unordered: Mask) -> Prior:
        """The prior for parameters of which these are unordered choices."""
        d = len(unordered)
        weights = np.where(unordered, 0.0, -2.0 * math.log(0.35 * math.sqrt(d)))
        mean = np.concatenate([weights, [0.0, math.log(1e-3)]])
        deviation = np.concatenate([np.full(d, 1.8), [0.7, 1.6]])
        return cls(mean, deviation)


@dataclass(frozen=True)
class Data:
    """Observations and what the likelihood needs of them.

    Args:
        squares: (d, n * n) squared differences.
    """

    x: Array
    y: Array
    squares: Array

    @classmethod
    def of(cls, x: Array, y: Array, unordered: Mask) -> Data:
        return cls(x, y, squared_differences(x, x, unordered).reshape(x.shape[1], -1))


def loss_and_gradient(theta: Array, data: Data, prior: Prior) -> tuple[float, Array]:
    """The negative logarithm of likelihood times prior (without constants), and its gradient by theta."""
    n, d = data.x.shape
    weights, signal, noise = np.exp(theta[:d]), math.exp(theta[d]), math.exp(theta[d + 1])
    r2 = (weights @ data.squares).reshape(n, n)
    covariance = signal * matern(r2)
    try:
        noisy = covariance + (noise + LEAST_NOISE) * np.eye(n)
        factor = cholesky(noisy, lower=True, check_finite=False, overwrite_a=True)
    except LinAlgError:
        return HOPELESS, np.zeros_like(theta)
    alpha = cho_solve((factor, True), data.y, check_finite=False)
    apart = (theta - prior.mean) / prior.deviation
    loss = 0.5 * data.y @ alpha + np.log(np.diag(factor)).sum() + 0.5 * apart @ apart

    inverse, _ = dpotri(factor, lower=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    outer = np.outer(alpha, alpha) - inverse  # d loss / d K = -outer / 2
    gradient = apart / prior.deviation
    gradient[:d] -= 0.5 * weights * (data.squares @ (outer * signal * matern_slope(r2)).ravel())
    gradient[d] -= 0.5 * (outer * covariance).sum()
    gradient[d + 1] -= 0.5 * noise * np.trace(outer)
    return float(loss), gradient


def fit(data: Data, prior: Prior, start: Array, iterations: int) -> tuple[Array, float]:
    """Theta at the maximum that L-BFGS finds from `start`, and its loss."""
    low, high = prior.mean - 5.0 * prior.deviation, prior.mean + 5.0 * prior.deviation
    found = minimize(
        loss_and_gradient,
        np.clip(start, low, high),
        args=(data, prior),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"maxiter": iterations},
    )
    return np.asarray(found.x, float), float(found.fun)


def factored(covariance: Array, noise: float) -> Array:
    """Lower Cholesky factor of a covariance with noise; more noise is added until there is one."""
    while True:
        try:
            factor: Array = cholesky(covariance + noise * np.eye(len(covariance)), lower=True, check_finite=False)
        except LinAlgError:
            noise *= 10.0
            continue
        return factor


class Posterior:
    """What is known of the loss, with `f` possible results imagined at each pending point.

    Args:
        theta: Fitted.
        x, y: (n, d), (n,) observations.
        unordered: (d,) which parameters are unordered choices.
        pending: (p, d) points without a result.
        draws: (p, f) standard normal numbers; the imagined results are a joint sample made from them.

    Attributes:
        best: (f,) lowest expected loss at observed and pending points; f is 1 without pending points.
    """

    def __init__(self, theta: Array, x: Array, y: Array, unordered: Mask, pending: Array, draws: Array) -> None:
        d = x.shape[1]
        self.unordered = unordered
        self.weights: Array = np.exp(theta[:d])
        self.signal = math.exp(theta[d])
        self.noise = math.exp(theta[d + 1]) + LEAST_NOISE
        self.x = x
        factor = factored(self._covariance(x, x), self.noise)
        alpha = cho_solve((factor, True), y, check_finite=False)
        expected = y - self.noise * alpha
        results = y[:, None]
        self.best: Array = np.array([expected.min()])
        if len(pending):
            between = self._covariance(pending, x)
            half = solve_triangular(factor, between.T, lower=True, check_finite=False)
            spread = self._covariance(pending, pending) - half.T @ half
            imagined = (between @ alpha)[:, None] + factored(spread, 0.1 * self.noise + LEAST_NOISE) @ draws
            self.best = np.minimum(expected.min(), imagined.min(0))
            results = np.vstack([np.repeat(results, draws.shape[1], 1), imagined])
            self.x = np.vstack([x, pending])
            factor = factored(self._covariance(self.x, self.x), self.noise)
        self.factor = factor
        self.alpha: Array = cho_solve((factor, True), results, check_finite=False)

    def _covariance(self, a: Array, b: Array) -> Array:
        return self.signal * matern(squared_distances(a, b, self.weights, self.unordered))

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean (m, f) and standard deviation (m,) of the loss, without noise, at points (m, d)."""
        between = self._covariance(x, self.x)
        half = solve_triangular(self.factor, between.T, lower=True, check_finite=False)
        variance = self.signal - np.einsum("ij,ij->j", half, half)
        return between @ self.alpha, np.sqrt(np.maximum(variance, 1e-12))

    def predict_with_slopes(self, x: Array, which: npt.NDArray[np.intp]) -> tuple[Array, float, Array, Array]:
        """At one point x (d,): mean (f,), deviation, and their derivatives (c, f), (c,) by c parameters.

        Args:
            which: (c,) indexes of these parameters.
        """
        r2 = squared_distances(x[None, :], self.x, self.weights, self.unordered)[0]
        between = self.signal * matern(r2)
        solved = cho_solve((self.factor, True), between, check_finite=False)
        deviation = math.sqrt(max(float(self.signal - between @ solved), 1e-12))
        apart = x[which] - self.x[:, which]
        slopes = (2.0 * self.signal * matern_slope(r2))[:, None] * apart * self.weights[which]  # (n + p, c)
        return between @ self.alpha, deviation, slopes.T @ self.alpha, -(slopes.T @ solved) / deviation
