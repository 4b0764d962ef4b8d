"""Acquisition: how promising a point is, from the mean and deviation that a surrogate expects there.

Notation: m points, f fantasies (possible results of what is pending); mean (m, f), std (m,), best (f,), losses.

The logarithm of expected improvement, which keeps an order among points of which none is likely to improve.
Source: Ament et al. 2023, arXiv:2310.20708, equations 8 to 10.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtr

from hpo_workflow.space.encoding import Array

_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
_LOG_SQRT_HALF_PI = 0.5 * math.log(0.5 * math.pi)
_SERIES_FROM = -1e3
"""Below, the difference of almost equal numbers is replaced by the first term of its series, 1 / z**2."""


def log_h(z: Array) -> Array:
    """log(phi(z) + z * Phi(z)), where phi and Phi are the standard normal density and distribution."""
    z = np.asarray(z, float)
    out = np.empty_like(z)
    near = z > -1.0
    at = z[near]
    out[near] = np.log(np.exp(-0.5 * at * at - _LOG_SQRT_2PI) + at * ndtr(at))
    at = z[~near]
    ratio = np.log(erfcx(-at / math.sqrt(2.0)) * -at) + _LOG_SQRT_HALF_PI  # log(-z Phi(z) / phi(z)), below 0
    far = at < _SERIES_FROM
    out[~near] = -0.5 * at * at - _LOG_SQRT_2PI
    out[~near] += np.where(far, -2.0 * np.log(-at), np.log(-np.expm1(np.where(far, -1.0, ratio))))
    return out


def log_expected_improvement(mean: Array, std: Array, best: Array) -> Array:
    """(m,) the logarithm of the improvement over `best` that is expected on average over the fantasies."""
    each = log_h((best - mean) / std[:, None]) + np.log(std)[:, None]
    top = each.max(1)
    average: Array = top + np.log(np.exp(each - top[:, None]).mean(1))
    return average


def log_expected_improvement_slopes(
    mean: Array, std: float, best: Array, mean_slopes: Array, std_slopes: Array
) -> tuple[float, Array]:
    """The same at one point, and its derivatives (c,).

    Args:
        mean: (f,).
        mean_slopes, std_slopes: (c, f), (c,) derivatives of mean and std by c coordinates.
    """
    z = (best - mean) / std
    log_ratio = log_h(z)
    each = log_ratio + math.log(std)
    top = each.max()
    shares = np.exp(each - top)
    value = top + math.log(shares.mean())
    shares = shares / shares.sum()
    by_mean = -np.exp(log_ndtr(z) - log_ratio) / std * shares
    by_std = (np.exp(-0.5 * z * z - _LOG_SQRT_2PI - log_ratio) / std * shares).sum()
    return float(value), mean_slopes @ by_mean + std_slopes * by_std
