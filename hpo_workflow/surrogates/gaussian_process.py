"""A Gaussian process: mean and uncertainty of the loss at configurations that were not tried.

Notation: n observations, p pending, m points, d parameters, c coordinates, f fantasies; x (n, d) points of the unit
cube, a (n, c) their coordinates, y (n,) losses of about mean 0 and variance 1 (`surrogates.output_transform`); K (n, n)
covariance with noise.

`theta` (d + 2,) are the logarithms of: weights (d,) = 1 / length**2, variance of the signal, variance of the noise.
They are fitted to the maximum of likelihood times a normal prior on theta (MAP) by L-BFGS with analytic gradients, or
drawn from the normal distribution that touches their posterior there (Laplace).

Sources: Rasmussen and Williams 2006, algorithm 2.1 and equation 5.9; MacKay 1992 (Laplace's approximation); Snoek et
al. 2012 (fantasies).
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
from hpo_workflow.surrogates.coordinates import Coordinates
from hpo_workflow.surrogates.kernels import matern, matern_with_slope

LEAST_NOISE = 1e-6
"""Added to the variance of the noise, so that K can be factored."""

LEAST_VARIANCE = 1e-12
"""Below, the difference of almost equal numbers says nothing."""

HOPELESS = 1e25
"""Stands for a likelihood that cannot be computed: L-BFGS steps back from it."""

FARTHEST, DRAWN_FARTHEST = 5.0, 4.0
"""Theta stays within so many deviations of its prior; draws within a little less."""

STEP = 1e-2
"""Of the differences that give the Hessian; theta is logarithms, so 1 %."""


@dataclass(frozen=True)
class Prior:
    """A normal prior on theta.

    Lengths of numbers have the median 0.35 * sqrt(d): in more dimensions all distances are longer (Hvarfner et al.
    2024, arXiv:2402.02229). Those of choices have 1, and the noise has 1e-3; the deviations leave a factor of 10 open.
    """

    mean: Array
    deviation: Array

    @classmethod
    def of(cls, unordered: Mask) -> Prior:
        """The prior for parameters of which these (d,) are choices without order."""
        d = len(unordered)
        weights = np.where(unordered, 0.0, -2.0 * math.log(0.35 * math.sqrt(d)))
        mean = np.concatenate([weights, [0.0, math.log(1e-3)]])
        deviation = np.concatenate([np.full(d, 1.8), [0.7, 1.6]])
        return cls(mean, deviation)

    def within(self, theta: Array, farthest: float) -> Array:
        """Theta, not further than so many deviations from the mean."""
        return np.clip(theta, self.mean - farthest * self.deviation, self.mean + farthest * self.deviation)


@dataclass(frozen=True)
class Data:
    """Observations and what the likelihood needs of them.

    Args:
        d: Number of parameters.
        y: (n,).
        squares: (d, n * n) squared differences.
    """

    d: int
    y: Array
    squares: Array

    @classmethod
    def of(cls, coordinates: Coordinates, x: Array, y: Array) -> Data:
        a = coordinates.of(x)
        return cls(coordinates.d, y, coordinates.squared_differences(a, a).reshape(coordinates.d, -1))


def loss_and_gradient(theta: Array, data: Data, prior: Prior) -> tuple[float, Array]:
    """The negative logarithm of likelihood times prior (without constants), and its gradient by theta."""
    n, d = len(data.y), data.d
    weights, signal, noise = np.exp(theta[:d]), math.exp(theta[d]), math.exp(theta[d + 1])
    r2 = (weights @ data.squares).reshape(n, n)
    correlation, slope = matern_with_slope(r2)
    covariance = signal * correlation
    try:
        noisy = covariance.copy()
        noisy.flat[:: n + 1] += noise + LEAST_NOISE
        factor = cholesky(noisy, lower=True, check_finite=False, overwrite_a=True)
    except LinAlgError:
        return HOPELESS, np.zeros_like(theta)
    alpha = cho_solve((factor, True), data.y, check_finite=False)
    apart = (theta - prior.mean) / prior.deviation
    loss = 0.5 * data.y @ alpha + np.log(np.diag(factor)).sum() + 0.5 * apart @ apart

    lower, _ = dpotri(factor, lower=1)  # of the inverse; what is above its diagonal is zero, as it is in the factor
    outer = np.outer(alpha, alpha) - lower - lower.T  # d loss / d K = -outer / 2
    outer.flat[:: n + 1] += np.diag(lower)
    gradient = apart / prior.deviation
    gradient[:d] -= 0.5 * weights * (data.squares @ (outer * (signal * slope)).ravel())
    gradient[d] -= 0.5 * (outer * covariance).sum()
    gradient[d + 1] -= 0.5 * noise * np.trace(outer)
    return float(loss), gradient


def fit(data: Data, prior: Prior, start: Array, iterations: int) -> tuple[Array, float]:
    """Theta at the maximum that L-BFGS finds from `start`, and its loss."""
    low, high = prior.mean - FARTHEST * prior.deviation, prior.mean + FARTHEST * prior.deviation
    found = minimize(
        loss_and_gradient,
        prior.within(start, FARTHEST),
        args=(data, prior),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"maxiter": iterations},
    )
    return np.asarray(found.x, float), float(found.fun)


def drawn(theta: Array, data: Data, prior: Prior, rng: np.random.Generator) -> Array:
    """Theta drawn from its posterior, as far as a normal distribution around the maximum `theta` describes it.

    In no direction is it wider than the prior: where the data say nothing, they do not say less than that.
    """
    _, gradient = loss_and_gradient(theta, data, prior)
    hessian = np.empty((len(theta), len(theta)))
    for i in range(len(theta)):
        further = theta.copy()
        further[i] += STEP
        hessian[i] = (loss_and_gradient(further, data, prior)[1] - gradient) / STEP
    precisions, directions = np.linalg.eigh(0.5 * (hessian + hessian.T))
    deviations = 1.0 / np.sqrt(np.maximum(precisions, 1.0 / prior.deviation.max() ** 2))
    return prior.within(theta + directions @ (deviations * rng.standard_normal(len(theta))), DRAWN_FARTHEST)


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
        theta: Fitted or drawn.
        coordinates: Of the space.
        x, y: (n, d), (n,) observations.
        pending: (p, d) points without a result.
        draws: (p, f) standard normal numbers; the imagined results are a joint sample made from them.

    Attributes:
        best: (f,) lowest expected loss at observed and pending points; f is 1 without pending points. It is the model
            that chooses it: under noise the lowest loss that was seen is a lucky one.
    """

    def __init__(
        self, theta: Array, coordinates: Coordinates, x: Array, y: Array, pending: Array, draws: Array
    ) -> None:
        d = coordinates.d
        self.coordinates = coordinates
        self.weights: Array = np.exp(theta[:d])
        self.signal = math.exp(theta[d])
        self.noise = math.exp(theta[d + 1]) + LEAST_NOISE
        self.a = coordinates.of(x)
        factor = factored(self._covariance(self.a, self.a), self.noise)
        alpha = cho_solve((factor, True), y, check_finite=False)
        expected = y - self.noise * alpha
        results = y[:, None]
        self.best: Array = np.array([expected.min()])
        if len(pending):
            ahead = coordinates.of(pending)
            between = self._covariance(ahead, self.a)
            half = solve_triangular(factor, between.T, lower=True, check_finite=False)
            spread = self._covariance(ahead, ahead) - half.T @ half
            imagined = (between @ alpha)[:, None] + factored(spread, 0.1 * self.noise + LEAST_NOISE) @ draws
            self.best = np.minimum(expected.min(), imagined.min(0))
            results = np.vstack([np.repeat(results, draws.shape[1], 1), imagined])
            self.a = np.vstack([self.a, ahead])
            factor = factored(self._covariance(self.a, self.a), self.noise)
        self.factor = factor
        self.alpha: Array = cho_solve((factor, True), results, check_finite=False)

    def _covariance(self, a: Array, b: Array) -> Array:
        return self.signal * matern(self.coordinates.squared_distances(a, b, self.weights))

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean (m, f) and standard deviation (m,) of the loss, without noise, at points (m, d)."""
        between = self._covariance(self.coordinates.of(x), self.a)
        half = solve_triangular(self.factor, between.T, lower=True, check_finite=False)
        variance = self.signal - np.einsum("ij,ij->j", half, half)
        return between @ self.alpha, np.sqrt(np.maximum(variance, LEAST_VARIANCE))

    def predict_with_slopes(self, x: Array, which: npt.NDArray[np.intp]) -> tuple[Array, float, Array, Array]:
        """At one point x (d,): mean (f,), deviation, and their derivatives (k, f), (k,) by k parameters.

        Args:
            which: (k,) indexes of these parameters, which are numbers that the point has.
        """
        at = self.coordinates.of(x[None, :])
        r2 = self.coordinates.squared_distances(at, self.a, self.weights)[0]
        correlation, slope = matern_with_slope(r2)
        between = self.signal * correlation
        solved = cho_solve((self.factor, True), between, check_finite=False)
        deviation = math.sqrt(max(float(self.signal - between @ solved), LEAST_VARIANCE))
        owner = self.coordinates.owner
        by_coordinate = 2.0 * (at[0] - self.a) * (self.coordinates.slopes(x) * self.weights[owner])  # of r2, (n + p, c)
        belongs = (owner[:, None] == which[None, :]).astype(float)  # (c, k)
        slopes = (self.signal * slope)[:, None] * (by_coordinate @ belongs)  # of the covariances
        return between @ self.alpha, deviation, slopes.T @ self.alpha, -(slopes.T @ solved) / deviation
