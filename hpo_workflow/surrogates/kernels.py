"""The covariance of the loss at two configurations: Matern 5/2 with a length for each parameter.

Notation: n, m points, d parameters; a (n, d), b (m, d) points of the unit cube; weights (d,) = 1 / length**2.

    r2 = sum over parameters of weight * (a - b)**2; for unordered choices (a - b)**2 is 0 or 1 (Hamming distance)
    k  = (1 + s + s**2 / 3) * exp(-s), with s = sqrt(5 * r2)

Source: Rasmussen and Williams 2006, equation 4.17.
"""

from __future__ import annotations

import numpy as np

from hpo_workflow.space.encoding import Array, Mask


def squared_differences(a: Array, b: Array, unordered: Mask) -> Array:
    """(d, n, m) the squared difference of each parameter."""
    difference: Array = a.T[:, :, None] - b.T[:, None, :]
    difference *= difference
    if unordered.any():
        difference[unordered] = difference[unordered] > 0.0
    return difference


def squared_distances(a: Array, b: Array, weights: Array, unordered: Mask) -> Array:
    """(n, m) the weighted sum of squared differences, without making the (d, n, m) array."""
    root = np.sqrt(weights[~unordered])
    scaled_a, scaled_b = a[:, ~unordered] * root, b[:, ~unordered] * root
    total: Array = (scaled_a**2).sum(1)[:, None] + (scaled_b**2).sum(1)[None, :] - 2.0 * scaled_a @ scaled_b.T
    np.maximum(total, 0.0, out=total)
    for j in np.flatnonzero(unordered):
        total += weights[j] * (a[:, j, None] != b[None, :, j])
    return total


def matern(r2: Array) -> Array:
    """The correlation at squared distances `r2`."""
    s = np.sqrt(5.0 * r2)
    correlation: Array = (1.0 + s + s * s / 3.0) * np.exp(-s)
    return correlation


def matern_slope(r2: Array) -> Array:
    """The derivative of `matern` by r2."""
    s = np.sqrt(5.0 * r2)
    slope: Array = (-5.0 / 6.0) * (1.0 + s) * np.exp(-s)
    return slope
