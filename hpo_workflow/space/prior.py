"""What the user expects of good values, as a density over the unit cube.

d parameters, m points; u (m, d) uniform points; x (m, d) points of the unit cube, as `encoding` makes them.

A parameter with `prior: {center, strength}` has the density, relative to the uniform one,

- `floor + (1 - floor) * normal(x; center, deviation)`, the normal cut off at 0 and 1, for numbers and ordered choices.
  It is on the scale that the space gives: with log: true the distance is one of logarithms. A value that owns a cell
  (an int, a step, an ordered choice) has the mean over its cell;
- `1 - share + share * n_choices` for the center and `1 - share` for the others, for choices without order: the center
  gets `share` of all draws, and what is left is spread over all choices, the center among them.

No value has density 0, so that a wrong prior costs time and hides nothing. Parameters are independent of each other.

Source: Souza et al. 2021 (BOPrO) and Hvarfner et al. 2022 (piBO, arXiv:2204.11051) for priors of this form. numpy only.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from hpo_workflow.space.encoding import Array, Encoding, Mask, to_unit
from hpo_workflow.space.parameters import Categorical, Parameter

FLOOR = 0.1
"""This part of all draws is uniform, for numbers and ordered choices."""

DEVIATION = {"weak": 0.4, "medium": 0.2, "strong": 0.1}
"""Standard deviation, as a part of the parameter's range: two thirds of a strong prior are within a tenth of it."""

SHARE = {"weak": 0.25, "medium": 0.5, "strong": 0.8}
"""For choices without order."""

KNOTS = 2049
"""Points of the table of a distribution; between them it is taken as linear, with errors below 1e-4."""

NARROW = 4.0 / KNOTS
"""In a cell below this width the density is that at its middle."""


class _Marginal:
    """The prior of one parameter.

    Args:
        center: Its place in [0, 1].
        strength: A key of DEVIATION.
        n_choices: How many choices without order there are; 0 for all other parameters.
    """

    def __init__(self, center: float, strength: str, n_choices: int) -> None:
        self.center = center
        self.deviation = DEVIATION[strength]
        if n_choices:
            self.masses: Array = np.full(n_choices, (1.0 - SHARE[strength]) / n_choices)
            self.masses[min(int(center * n_choices), n_choices - 1)] += SHARE[strength]
            self.knots: Array = np.linspace(0.0, 1.0, n_choices + 1)
            self.below: Array = np.concatenate([[0.0], np.cumsum(self.masses)])
        else:
            scale = self.deviation * math.sqrt(2.0)
            self.knots = np.linspace(0.0, 1.0, KNOTS)
            normal = np.array([math.erf((knot - center) / scale) for knot in self.knots.tolist()])
            self.inside = 0.5 * float(normal[-1] - normal[0])
            self.below = FLOOR * self.knots + (1.0 - FLOOR) * (normal - normal[0]) / (normal[-1] - normal[0])
        self.below[-1] = 1.0

    def quantile(self, u: Array) -> Array:
        """(m,) places below which the parts `u` (m,) of all draws lie."""
        return np.interp(u, self.below, self.knots)

    def mass(self, x: Array) -> Array:
        """(m,) the part of all draws that lies below each place."""
        return np.interp(x, self.knots, self.below)

    def density(self, x: Array) -> Array:
        """(m,) at the places `x` (m,); not for choices without order."""
        bell = np.exp(-0.5 * ((x - self.center) / self.deviation) ** 2)
        return FLOOR + (1.0 - FLOOR) * bell / (self.deviation * math.sqrt(2.0 * math.pi) * self.inside)


@lru_cache(maxsize=1024)
def _marginal(center: float, strength: str, n_choices: int) -> _Marginal:
    return _Marginal(center, strength, n_choices)


def _marginal_of(parameter: Parameter) -> _Marginal | None:
    """The prior of a parameter, None where there is nothing to expect."""
    if parameter.prior is None or parameter.size == 1:
        return None
    unordered = isinstance(parameter, Categorical) and not parameter.ordered
    n_choices = parameter.size if unordered and parameter.size is not None else 0
    return _marginal(to_unit(parameter, parameter.prior.center), parameter.prior.strength, n_choices)


class PriorDensity:
    """The prior of a whole space.

    Attributes:
        informative: Whether any parameter has a prior.
    """

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        found = ((i, _marginal_of(parameter)) for i, parameter in enumerate(encoding.space.parameters))
        self._marginals = [(i, marginal) for i, marginal in found if marginal is not None]

    @property
    def informative(self) -> bool:
        return bool(self._marginals)

    def log_density(self, x: Array, active: Mask | None = None) -> Array:
        """(m,) logarithm of the density relative to the uniform one; inactive parameters and those without add 0.

        Args:
            x: (m, d).
            active: (m, d) as `encoding.active(x)` gives it, where the caller has it.
        """
        total = np.zeros(len(x))
        if not self._marginals:
            return total
        active = self.encoding.active(x) if active is None else active
        for i, marginal in self._marginals:
            total += np.where(active[:, i], np.log(self._density(i, marginal, x[:, i])), 0.0)
        return total

    def _density(self, i: int, marginal: _Marginal, x: Array) -> Array:
        """(m,) of parameter i at the places `x` (m,)."""
        if self.encoding.continuous[i]:
            return marginal.density(x)
        if self.encoding.unordered[i]:
            relative: Array = marginal.masses[self.encoding.ranks(i, x)] * self.encoding.sizes[i]
            return relative
        low, high = self.encoding.cells(i, self.encoding.ranks(i, x))
        width = high - low
        narrow = width < NARROW
        mean = (marginal.mass(high) - marginal.mass(low)) / np.where(narrow, 1.0, width)
        return np.where(narrow, marginal.density(0.5 * (low + high)), mean)

    def from_uniform(self, u: Array) -> Array:
        """(m, d) points that are spread as the prior says, from points `u` (m, d) that are spread evenly.

        Order is kept in each parameter, so even points stay as even as the prior allows.
        """
        if not self._marginals:
            return u
        x = np.array(u, float)
        for i, marginal in self._marginals:
            x[:, i] = marginal.quantile(x[:, i])
        return x
