"""Where an acquisition function is largest, over a space of numbers and choices.

Notation: m points, d parameters; x (m, d) points of the unit cube, on the middle of cells.

Three stages: many points are compared, a Latin hypercube all over the space and neighbours of the best observations;
the best few of them climb by looking around in smaller and smaller steps; the continuous parameters of the very best
follow the gradient (L-BFGS). Configurations that were proposed before do not count.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from hpo_workflow.samplers.design import latin_hypercube
from hpo_workflow.space.encoding import Array, Encoding

Score = Callable[[Array], Array]
"""(m, d) -> (m,) how good points are."""

Slopes = Callable[[Array, npt.NDArray[np.intp]], tuple[float, Array]]
"""(d,), indexes (k,) -> the score of one point, and its derivatives (k,) by these parameters."""

EVEN, NEIGHBOURS, BEST = 512, 64, 5
"""Points that are compared first: even ones, and neighbours of each of the best observations."""

NEAREST, FARTHEST = 0.005, 0.3
"""Steps to these neighbours."""

CLIMBERS, STEPS, TRIES, APART = 6, (0.1, 0.04, 0.015, 0.005), 32, 0.03
"""Climbers that start from the best points (this far apart in one parameter at least), and how they look around."""

CHANGED = 3.0
"""So many parameters of a neighbour differ on average, where there are so many."""

POLISHED, POLISH_ITERATIONS = 2, 15


def names(x: Array) -> list[bytes]:
    """A name for each point, equal for equal configurations."""
    rounded = np.round(x, 9) + 0.0
    return [row.tobytes() for row in rounded]


class AcquisitionSearch:
    """Finds the maximum of a score among configurations that were not proposed.

    Args:
        encoding: Of the space.
        score: What is maximised.
        slopes: The same with derivatives.
        known: Names of everything that was proposed.
        rng: For the points that are looked at.
    """

    def __init__(
        self, encoding: Encoding, score: Score, slopes: Slopes, known: set[bytes], rng: np.random.Generator
    ) -> None:
        self.encoding = encoding
        self._score = score
        self._slopes = slopes
        self.known = known
        self.rng = rng
        self.changed = min(1.0, CHANGED / encoding.d)

    def score(self, x: Array) -> Array:
        """(m,) the scores of points; -inf for what was proposed already."""
        scores = self._score(x)
        scores[[name in self.known for name in names(x)]] = -math.inf
        return scores

    def neighbours(self, x: Array, step: Array) -> Array:
        """(m, d) each point with some parameters changed, by steps (m,) or, for half of the ints, to a next value."""
        m, d = x.shape
        change = self.rng.random((m, d)) < self.changed
        change[np.arange(m), self.rng.integers(d, size=m)] = True
        moved = x + step[:, None] * self.rng.standard_normal((m, d))
        moved = 1.0 - np.abs(1.0 - np.abs(moved))  # reflected at 0 and 1
        next_value = self.encoding.shifted(x, self.rng.integers(-1, 2, size=(m, d)))
        takes_next = (self.rng.random((m, d)) < 0.5) & ~self.encoding.continuous
        moved = np.where(takes_next, next_value, moved)
        moved = np.where(self.encoding.unordered, self.rng.random((m, d)), moved)
        return self.encoding.snap(np.where(change, moved, x))

    def candidates(self, best: Array) -> Array:
        """Points all over the space and near the best observations (BEST, d)."""
        even = latin_hypercube(EVEN, self.encoding.d, self.rng)
        centers = np.repeat(best, NEIGHBOURS, 0)
        steps = np.exp(self.rng.uniform(math.log(NEAREST), math.log(FARTHEST), len(centers)))
        return np.vstack([self.encoding.snap(even), self.neighbours(centers, steps)])

    def climb(self, x: Array, scores: Array) -> tuple[Array, Array]:
        """The best few of `x`, after they have looked around in smaller and smaller steps; with their scores."""
        chosen: list[int] = []
        for i in np.argsort(-scores, kind="stable"):
            if all(np.abs(x[i] - x[j]).max() > APART for j in chosen):
                chosen.append(int(i))
            if len(chosen) == CLIMBERS:
                break
        x, scores = x[chosen], scores[chosen]
        every = np.arange(len(x))
        for step in STEPS:
            around = self.neighbours(np.repeat(x, TRIES, 0), np.full(len(x) * TRIES, step))
            found = self.score(around).reshape(len(x), TRIES)
            best = found.argmax(1)
            better = found[every, best] > scores
            x = np.where(better[:, None], around.reshape(len(x), TRIES, -1)[every, best], x)
            scores = np.where(better, found[every, best], scores)
        order = np.argsort(-scores, kind="stable")
        return x[order], scores[order]

    def polish(self, x: Array) -> Array:
        """(d,) a point with its continuous parameters at the nearest maximum."""
        active = self.encoding.active(x[None, :])[0]
        which = np.flatnonzero(self.encoding.continuous & active)
        if not len(which):
            return x
        at = x.copy()

        def negative(values: Array) -> tuple[float, Array]:
            at[which] = values
            value, slopes = self._slopes(at, which)
            return -value, -slopes

        found = minimize(
            negative,
            x[which],
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, 1.0)] * len(which),
            options={"maxiter": POLISH_ITERATIONS},
        )
        at[which] = np.clip(found.x, 0.0, 1.0)
        snapped: Array = self.encoding.snap(at[None, :])[0]
        return snapped

    def best_first(self, best: Array) -> Array:
        """(m, d) the most promising points, best first; what was proposed is not among them.

        Args:
            best: (BEST, d) or fewer, the best observations.
        """
        points = self.candidates(best)
        scores = self.score(points)
        climbed, heights = self.climb(points, scores)
        polished = np.array([self.polish(x) for x in climbed[:POLISHED]])
        points = np.vstack([polished, climbed, points])
        scores = np.concatenate([self.score(polished), heights, scores])
        order = np.argsort(-scores, kind="stable")
        return points[order[scores[order] > -math.inf]]
