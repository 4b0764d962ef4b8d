"""Coordinates: where configurations lie for a kernel, so that what a configuration does not have adds no distance.

Notation: m points, d parameters, c coordinates; x (m, d) points of the unit cube as `space.encoding` makes them.

Squared distances are sums over parameters of a weight times
- (u - v)**2 for numbers and ordered choices; 0 or 1 for choices without order (Hamming distance);
- for a parameter with conditions: 0 between two points that lack it, about 1 (the length of its range) between one that
  lacks it and one that has it, whatever its value there, and as above (but for the curvature) between two that have it.

The last is had from two coordinates: (sin(u - 1/2), cos(u - 1/2)), a point of an arc of the unit circle, or the centre
of that circle where the parameter is inactive. These are coordinates of Euclidean space, so any kernel of distances
stays a kernel. Along the arc the distance is 2 sin(|u - v| / 2), at most 5 % less than |u - v|. An inactive choice
without order is one choice more.

Source: Swersky et al. 2014, arXiv:1409.4011 (arc kernel).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hpo_workflow.space.encoding import Array, Encoding, Mask

ABSENT = -1.0
"""The place of an inactive choice without order; choices themselves lie in [0, 1]."""


class Coordinates:
    """The coordinates of a space.

    Attributes:
        d: Number of parameters.
        owner: (c,) the parameter that each coordinate belongs to.
        unordered: (c,) whether a coordinate is a choice without order.
    """

    def __init__(self, encoding: Encoding) -> None:
        self.encoding = encoding
        self.d = encoding.d
        conditional = np.array([bool(parameter.when) for parameter in encoding.space.parameters], bool)
        self._arcs = np.flatnonzero(conditional & ~encoding.unordered)
        self._absent = np.flatnonzero(conditional & encoding.unordered)
        self.owner: npt.NDArray[np.intp] = np.concatenate([np.arange(self.d), self._arcs])
        self.unordered: Mask = encoding.unordered[self.owner]

    def of(self, x: Array) -> Array:
        """(m, c) the coordinates of points (m, d)."""
        if not len(self._arcs) and not len(self._absent):
            return x
        active = self.encoding.active(x)
        found = np.empty((len(x), len(self.owner)))
        found[:, : self.d] = x
        angle = x[:, self._arcs] - 0.5
        has = active[:, self._arcs]
        found[:, self._arcs] = np.where(has, np.sin(angle), 0.0)
        found[:, self.d :] = np.where(has, np.cos(angle), 0.0)
        found[:, self._absent] = np.where(active[:, self._absent], x[:, self._absent], ABSENT)
        return found

    def slopes(self, x: Array) -> Array:
        """(c,) derivatives of the coordinates by their parameters, at a point (d,) that has what is asked for."""
        slopes = np.ones(len(self.owner))
        angle = x[self._arcs] - 0.5
        slopes[self._arcs] = np.cos(angle)
        slopes[self.d :] = -np.sin(angle)
        return slopes

    def squared_differences(self, a: Array, b: Array) -> Array:
        """(d, n, m) what each parameter adds to the squared distances of coordinates a (n, c) and b (m, c)."""
        difference: Array = a.T[:, :, None] - b.T[:, None, :]
        difference *= difference
        if self.unordered.any():
            difference[self.unordered] = difference[self.unordered] > 0.0
        for extra, parameter in enumerate(self._arcs):
            difference[parameter] += difference[self.d + extra]
        return difference[: self.d]

    def squared_distances(self, a: Array, b: Array, weights: Array) -> Array:
        """(n, m) the weighted sum of these, without making the (d, n, m) array; weights (d,)."""
        weights = weights[self.owner]
        numbers = ~self.unordered
        root = np.sqrt(weights[numbers])
        scaled_a, scaled_b = a[:, numbers] * root, b[:, numbers] * root
        total: Array = (scaled_a**2).sum(1)[:, None] + (scaled_b**2).sum(1)[None, :] - 2.0 * scaled_a @ scaled_b.T
        np.maximum(total, 0.0, out=total)
        for j in np.flatnonzero(self.unordered):
            total += weights[j] * (a[:, j, None] != b[None, :, j])
        return total
