"""Parzen estimators: the density of configurations, as a mixture of one kernel per configuration and a uniform one.

Notation: n configurations, k = n + 1 kernels (the last is the uniform one), d parameters, m points; `x` (m, d) points
of the unit cube as `space.encoding` makes them, `active` (m, d) which of their parameters exist.

All densities are relative to the uniform one, whose density is 1. A kernel is a product over the parameters that both
its configuration and the point have; a parameter that one of them lacks adds a factor of 1, so a kernel of another
branch of a tree says what it knows of the parameters in common, and nothing of the others. The factors are:
- many values (floats, long ints): a Gaussian around the value, cut off at 0 and 1;
- few values in an order: the share of that Gaussian in each value's cell;
- choices without order: 1 for the choice and `spread` for all choices together, made to sum to 1.

The logarithm of a kernel is linear in what is known of a point (its squares, itself, a constant, its value's number),
so the densities at m points under k kernels are one product of matrices and a look-up for each parameter of few values.

Sources: Bergstra et al. 2011 (TPE); Watanabe 2023, arXiv:2304.11127 (multivariate kernels, weights, bandwidths); Scott
1992 (rate of the width); Aitchison and Aitken 1976 (choices). numpy only.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hpo_workflow.space.encoding import Array, Encoding, Mask
from hpo_workflow.space.prior import PriorDensity

FEW = 64
"""Up to so many values, an ordered parameter's kernel is a table of probabilities instead of a curve."""

NARROWEST = 0.25
"""A Gaussian over cells is at least this part of a cell wide; below, all of it is in one cell anyway."""

LEAK = 1e-5
"""This part of a Gaussian over cells is spread evenly, so that no cell has probability 0."""

VARIANCE = 1.0 / 12.0
"""Of the uniform distribution over [0, 1]."""

REDRAWS = 50
"""Rounds in which draws outside [0, 1] are drawn again. At worst a third falls inside, so 1e-9 of all are clipped."""


def error_function(x: Array) -> Array:
    """erf to 1.5e-7; no more is needed, as a Gaussian's share inside [0, 1] is never small.

    Source: Abramowitz and Stegun 1964, 7.1.26.
    """
    t = 1.0 / (1.0 + 0.3275911 * np.abs(x))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.sign(x) * (1.0 - series * np.exp(-x * x))


def spreads(x: Array, active: Mask, weights: Array) -> Array:
    """(d,) how far configurations are spread in each parameter, as a standard deviation.

    One further configuration is imagined that is spread evenly, so that one or two configurations, or equal ones, do
    not make a spread of 0. A parameter that nobody has is spread evenly.

    Args:
        x: (n, d).
        active: (n, d).
        weights: (n,) of the configurations.
    """
    mass = np.where(active, weights[:, None], 0.0)
    total = np.maximum(mass.sum(0), np.finfo(float).tiny)
    mean = (mass * x).sum(0) / total
    variance = (mass * (x - mean) ** 2).sum(0) / total
    count = total**2 / np.maximum((mass**2).sum(0), np.finfo(float).tiny)  # Kish's effective number
    count = np.where(active.any(0), count, 0.0)
    spread: Array = np.sqrt((VARIANCE + count * variance) / (1.0 + count))
    return spread


class ParzenEstimator:
    """A density over configurations.

    Args:
        encoding: Of the space.
        x: (n, d) configurations; n may be 0, which leaves the uniform kernel.
        widths: (d,) standard deviation of the Gaussians of each parameter.
        spread: Weight that a kernel gives to all choices together; its own choice has 1.
        weights: (n,) of the configurations; 1 by default.
        uniform: Weight of the uniform kernel.
    """

    def __init__(
        self,
        encoding: Encoding,
        x: Array,
        widths: Array,
        spread: float = 1.0,
        weights: Array | None = None,
        uniform: float = 1.0,
    ) -> None:
        self.encoding = encoding
        self.x = x
        self.n, self.d = x.shape
        self.active = encoding.active(x)
        self.widths = widths
        weights = np.append(np.ones(self.n) if weights is None else weights, uniform)
        self.weights: Array = weights / weights.sum()
        tabled = encoding.unordered | (encoding.sizes <= FEW)
        self.tabled = [int(j) for j in np.flatnonzero(tabled)]
        self.curved = np.flatnonzero(~tabled)
        self._coefficients = self._curves()
        self._shares = {j: self._table(j, spread) for j in self.tabled}
        self._own = {j: self._rows(j) for j in self.tabled}

    def _curves(self) -> Array:
        """(3 c, k) coefficients of the squares, the values and the existence of a point's c curved parameters."""
        width = self.widths[self.curved]
        own = np.vstack([self.active[:, self.curved], np.zeros((1, len(width)))])
        center = np.vstack([self.x[:, self.curved], np.full((1, len(width)), 0.5)])
        scaled = width * math.sqrt(2.0)
        inside = 0.5 * (error_function((1.0 - center) / scaled) + error_function(center / scaled))
        precision = own / width**2
        constant = -0.5 * precision * center**2 - own * np.log(inside * width * math.sqrt(2.0 * math.pi))
        return np.vstack([-0.5 * precision.T, (precision * center).T, constant.T])

    def _table(self, j: int, spread: float) -> Array:
        """(size + 1, size) probability of each value under a kernel around each value, and under the uniform kernel."""
        size = int(self.encoding.sizes[j])
        low, high = self.encoding.cells(j, np.arange(size))
        cells = high - low
        if self.encoding.unordered[j]:
            table = np.eye(size) + spread / size
        else:
            width = max(float(self.widths[j]), NARROWEST / size) * math.sqrt(2.0)
            center = self.encoding.places(j)[:, None]
            table = 0.5 * (error_function((high - center) / width) - error_function((low - center) / width))
            table = np.maximum(table, 0.0) / table.sum(1, keepdims=True) + LEAK * cells
        table = np.vstack([table, cells])
        return np.asarray(table / table.sum(1, keepdims=True))

    def _rows(self, j: int) -> npt.NDArray[np.int64]:
        """(k,) which row of the table of parameter j each kernel has."""
        size = int(self.encoding.sizes[j])
        ranks = np.where(self.active[:, j], self.encoding.ranks(j, self.x[:, j]), size)
        return np.append(ranks, size)

    def log_density(self, x: Array, active: Mask) -> Array:
        """(m,) logarithm of the density at `x` (m, d), relative to the uniform one."""
        own = active[:, self.curved].astype(float)
        place = x[:, self.curved]
        logs = np.hstack([own * place**2, own * place, own]) @ self._coefficients + np.log(self.weights)
        for j in self.tabled:
            shares = self._shares[j]
            log_shares = np.log(shares / shares[-1])
            ranks = self.encoding.ranks(j, x[:, j])
            logs += np.where(active[:, j, None], log_shares.T[ranks], 0.0)[:, self._own[j]]
        top = logs.max(1)
        density: Array = top + np.log(np.exp(logs - top[:, None]).sum(1))
        return density

    def sample(self, m: int, rng: np.random.Generator, prior: PriorDensity | None = None) -> Array:
        """(m, d) points drawn from the density, snapped to configurations; arguments as for `draw`."""
        return self.encoding.snap(self.draw(m, rng, prior))

    def draw(self, m: int, rng: np.random.Generator, prior: PriorDensity | None = None) -> Array:
        """(m, d) points drawn from the density, with a place for each parameter, also where it is inactive.

        Args:
            m: How many.
            rng: Where chance comes from.
            prior: If given, what the uniform kernel draws is drawn from it.
        """
        kernels = rng.choice(self.n + 1, size=m, p=self.weights)
        x = rng.random((m, self.d))
        even = kernels == self.n
        if prior is not None:
            x[even] = prior.from_uniform(x[even])
        for j in self.tabled:
            rows = np.flatnonzero(~even)
            below = self._shares[j].cumsum(1)[self._own[j][kernels[rows]]]
            chosen = (x[rows, j, None] * below[:, -1:] >= below).sum(1)
            x[rows, j] = self.encoding.places(j)[np.minimum(chosen, below.shape[1] - 1)]
        own = np.vstack([self.active[:, self.curved], np.zeros((1, len(self.curved)), bool)])
        point, column = np.nonzero(own[kernels])
        parameter = self.curved[column]
        x[point, parameter] = _cut_normal(self.x[kernels[point], parameter], self.widths[parameter], rng)
        return x


def _cut_normal(center: Array, width: Array, rng: np.random.Generator) -> Array:
    """One draw for each center from a Gaussian cut off at 0 and 1, by drawing again what falls outside."""
    drawn: Array = center + width * rng.standard_normal(len(center))
    for _ in range(REDRAWS):
        outside = np.flatnonzero((drawn < 0.0) | (drawn > 1.0))
        if not len(outside):
            break
        drawn[outside] = center[outside] + width[outside] * rng.standard_normal(len(outside))
    return np.clip(drawn, 0.0, 1.0)
