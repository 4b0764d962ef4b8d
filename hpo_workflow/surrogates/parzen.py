"""Parzen estimators: the density of configurations, as a mixture of one kernel per configuration.

Notation: k kernels (n configurations and one uniform prior), d parameters, m points; `x` (m, d) points of the unit
cube as `space.encoding` makes them, `active` (m, d) which of their parameters exist.

A kernel is a product over parameters. Where its configuration has the parameter:
- many values (floats, long ints): a Gaussian around the value, cut off at 0 and 1;
- few values in an order: the same Gaussian at the values only, which sum to 1;
- unordered choices: most of the weight on the choice, the rest on all.
Where it has not: uniform. So kernels of configurations with other active parameters still say what they know.

numpy only: a Gaussian's share inside [0, 1] needs no better error function than 1.5e-7, since it is never small.
Source: Bergstra et al. 2011 (TPE); Watanabe 2023, arXiv:2304.11127, for multivariate kernels and bandwidths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hpo_workflow.space.encoding import Array, Encoding, Mask

FEW = 64
"""Up to so many values, an ordered parameter's kernel is a table of probabilities instead of a curve."""


@dataclass(frozen=True)
class KernelWidths:
    """How wide kernels are.

    Args:
        scale: Standard deviation of Gaussians at n = 1; it shrinks as n^(-1 / (d + 4)) (Scott's rule).
        smallest: Lower bound of the deviation.
        prior: Weight of the uniform kernel; each configuration has weight 1.
        spread: Weight that a kernel gives to all choices together; its own choice has 1.
    """

    scale: float = 0.2
    smallest: float = 0.01
    prior: float = 1.0
    spread: float = 1.0


def error_function(x: Array) -> Array:
    """erf to 1.5e-7. Source: Abramowitz and Stegun 1964, 7.1.26."""
    t = 1.0 / (1.0 + 0.3275911 * np.abs(x))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.sign(x) * (1.0 - series * np.exp(-x * x))


def _inside(center: Array, width: Array) -> Array:
    """Share of Gaussians that lies in [0, 1]."""
    scaled = width * np.sqrt(2.0)
    return 0.5 * (error_function((1.0 - center) / scaled) + error_function(center / scaled))


class ParzenEstimator:
    """A density over configurations.

    Args:
        encoding: Of the space.
        x: (n, d) configurations; n may be 0, which leaves the prior.
        widths: Of the kernels.
        weights: (n,) relative weights of the configurations; equal by default.
    """

    def __init__(self, encoding: Encoding, x: Array, widths: KernelWidths, weights: Array | None = None) -> None:
        self.encoding = encoding
        self.x = x
        self.n, self.d = x.shape
        self.active = encoding.active(x)
        weights = np.ones(self.n) if weights is None else weights
        self.weights: Array = np.append(weights, widths.prior)
        self.weights = self.weights / self.weights.sum()
        self.width = max(widths.scale * max(self.n, 1) ** (-1.0 / (self.d + 4)), widths.smallest)
        tabled = encoding.unordered | (encoding.sizes <= FEW)
        self.tables = {j: self._table(j, widths) for j in range(self.d) if tabled[j]}

    def _table(self, j: int, widths: KernelWidths) -> Array:
        """(k, values) probability of each value of parameter j under each kernel."""
        size = int(self.encoding.sizes[j])
        table = np.full((self.n + 1, size), 1.0 / size)
        rows = np.flatnonzero(self.active[:, j])
        own = self.ranks(self.x[rows, j], j)
        if self.encoding.unordered[j]:
            table[rows] = widths.spread / size
            table[rows, own] += 1.0
        else:
            places = self.places(j)
            width = max(self.width, 0.5 / size)
            table[rows] = np.exp(-0.5 * ((places[None, :] - places[own][:, None]) / width) ** 2) + widths.spread * 1e-3
        table /= table.sum(1, keepdims=True)
        return table

    def places(self, j: int) -> Array:
        """(values,) units of all values of a parameter of few values."""
        return self.encoding.places(j)

    def ranks(self, units: Array, j: int) -> npt.NDArray[np.int64]:
        """(m,) the numbers of the values at `units` of parameter j."""
        return self.encoding.ranks(j, units)

    def log_density(self, x: Array, active: Mask) -> Array:
        """(m,) logarithm of the density; of each parameter relative to uniform for curves, a probability for tables."""
        logs = np.zeros((len(x), self.n + 1))
        for j in range(self.d):
            here = active[:, j]
            if not here.any():
                continue
            if j in self.tables:
                term = np.log(self.tables[j].T[self.ranks(x[:, j], j)])
            else:
                term = np.zeros((len(x), self.n + 1))
                rows = self.active[:, j]
                center = self.x[rows, j]
                norm = np.log(_inside(center, np.full(len(center), self.width)) * self.width * np.sqrt(2.0 * np.pi))
                term[:, :-1][:, rows] = -0.5 * ((x[:, j, None] - center) / self.width) ** 2 - norm
            logs += np.where(here[:, None], term, 0.0)
        logs += np.log(self.weights)
        top = logs.max(1)
        density: Array = top + np.log(np.exp(logs - top[:, None]).sum(1))
        return density

    def sample(self, m: int, rng: np.random.Generator) -> Array:
        """(m, d) points drawn from the density, snapped to configurations."""
        kernels = rng.choice(self.n + 1, size=m, p=self.weights)
        x = rng.random((m, self.d))
        own = np.vstack([self.active, np.zeros((1, self.d), bool)])[kernels]
        center = np.vstack([self.x, np.full((1, self.d), 0.5)])[kernels]
        for j in range(self.d):
            if j in self.tables:
                cumulative = self.tables[j][kernels].cumsum(1)
                chosen = (x[:, j, None] * cumulative[:, -1:] >= cumulative).sum(1)
                x[:, j] = self.places(j)[np.minimum(chosen, cumulative.shape[1] - 1)]
            else:
                rows = np.flatnonzero(own[:, j])
                x[rows, j] = _truncated_normal(center[rows, j], self.width, rng)
        return self.encoding.snap(x)


def _truncated_normal(center: Array, width: float, rng: np.random.Generator) -> Array:
    """One draw for each center from a Gaussian cut off at 0 and 1, by drawing again what falls outside."""
    drawn = center + width * rng.standard_normal(len(center))
    for _ in range(50):
        outside = np.flatnonzero((drawn < 0.0) | (drawn > 1.0))
        if not len(outside):
            break
        drawn[outside] = center[outside] + width * rng.standard_normal(len(outside))
    return np.clip(drawn, 0.0, 1.0)
