"""Losses made about normal, which is what a Gaussian process expects.

Losses of training are skewed: a few diverged trials are ten or 1e30 times worse than the rest, and what matters happens
among the good ones. Yeo and Johnson's power transform takes the skew away and keeps the order; its power is the MAP
under a normal prior N(1, 1) (1 changes nothing), so few losses are left as they are.

Sources: Yeo and Johnson 2000; Cowen-Rivers et al. 2022, arXiv:2012.03826 (HEBO: it pays in Bayesian optimisation).
"""

from __future__ import annotations

import math

import numpy as np

from hpo_workflow.space.encoding import Array

OUTLIER = 10.0
"""Losses are cut off this many times as far above the median as the best is below: one 1e30 would hide all others."""

POWERS = np.linspace(-4.0, 4.0, 65)
"""Of these the MAP is taken."""

FLAT = 1e-12
"""A variance below this is that of equal losses."""


def yeo_johnson(y: Array, power: float) -> Array:
    """The transform of losses (n,); 1 leaves them as they are, smaller powers pull in the large ones."""
    size = np.log1p(np.abs(y))
    exponent = np.where(y >= 0.0, power, 2.0 - power)
    flat = np.abs(exponent) < 1e-8
    scaled = np.where(flat, size, np.expm1(exponent * size) / np.where(flat, 1.0, exponent))
    return np.sign(y) * scaled


def _standardised(y: Array) -> Array:
    deviation = y.std()
    return (y - y.mean()) / deviation if deviation > FLAT else np.zeros_like(y)


def _within_reach(losses: Array) -> Array:
    """Losses from 0 (the best) to 1, outliers on the bad side cut off; safe for 1e300 and for 1e-300."""
    largest = np.abs(losses).max()
    y = losses / largest if largest > 0.0 else losses
    middle, best = np.median(y), y.min()
    if middle > best:
        y = np.minimum(y, middle + OUTLIER * (middle - best))
    reach = y.max() - best
    return (y - best) / reach if reach > 0.0 else np.zeros_like(y)


def normalised(losses: Array) -> Array:
    """(n,) losses with mean 0, deviation 1 and about a normal distribution; zeros if all are equal.

    Order is kept, except among outliers on the bad side, which become equal.
    """
    y = _standardised(_within_reach(losses))
    if not y.any():
        return y
    slope = (np.sign(y) * np.log1p(np.abs(y))).sum()
    highest, chosen = -math.inf, y
    for power in POWERS:
        transformed = yeo_johnson(y, power)
        variance = transformed.var()
        if not math.isfinite(variance) or variance < FLAT:
            continue
        posterior = -0.5 * len(y) * math.log(variance) + (power - 1.0) * slope - 0.5 * (power - 1.0) ** 2
        if posterior > highest:
            highest, chosen = posterior, transformed
    return _standardised(chosen)
