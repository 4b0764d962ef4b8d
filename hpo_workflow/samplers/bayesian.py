"""Bayesian optimisation: a Gaussian process of the loss, and the point where it expects the largest improvement.

Notation: n observations, p pending, m points, d parameters; x (m, d) points of the unit cube, on the middle of cells.

The recipe: Sobol points to begin with; losses made normal by a power transform (`normalised`); hyper-parameters by
MAP; expected improvement averaged over imagined results of what is pending, one proposal of a batch after the other;
its maximum from Sobol points and neighbours of the best, by climbers with shrinking steps, then by L-BFGS.
Sources: Snoek et al. 2012 (fantasies); Cowen-Rivers et al. 2022, HEBO (output transform); Ament et al. 2023 (LogEI).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.stats import qmc

from hpo_workflow.acquisition import log_expected_improvement, log_expected_improvement_slopes
from hpo_workflow.samplers.design import sobol_new, unproposed
from hpo_workflow.samplers.history import History
from hpo_workflow.space import SearchSpace
from hpo_workflow.space.encoding import Array, Encoding
from hpo_workflow.surrogates.gaussian_process import Data, Posterior, Prior, fit
from hpo_workflow.trial import Value

LEAST_RESULTS = 4
"""Results that a model needs; until then proposals are Sobol points, whatever was asked before."""

FANTASIES = 8
SMALL = 1000
"""A finite space up to this size is looked at whole."""

FIT_ROWS, FIT_BEST = 150, 60
"""Hyper-parameters are fitted on so many observations, of which so many are the best."""

MODEL_ROWS, MODEL_BEST = 400, 200
"""The same for the model; without these bounds an ask takes 10 s at n = 1000."""

FIRST_ROWS = 50
"""A fit begins on so many rows, where a step costs little, and ends on all."""

SOBOL, NEIGHBOURS, BEST = 512, 64, 5
"""Points that are compared first: Sobol points, and neighbours of each of the best observations."""

CLIMBERS, STEPS, TRIES, APART = 6, (0.1, 0.04, 0.015, 0.005), 32, 0.03
"""Climbers that start from the best points (this far apart in one parameter at least), and how they look around."""

POLISHED, POLISH_ITERATIONS = 2, 15

OUTLIER = 10.0
"""Losses are cut off this many times as far above the median as the best is below: one 1e30 would hide all others."""


def yeo_johnson(y: Array, power: float) -> Array:
    """Source: Yeo and Johnson 2000."""
    size = np.log1p(np.abs(y))
    exponent = np.where(y >= 0.0, power, 2.0 - power)
    flat = np.abs(exponent) < 1e-8
    scaled = np.where(flat, size, np.expm1(exponent * size) / np.where(flat, 1.0, exponent))
    return np.sign(y) * scaled


def _standardised(y: Array) -> Array:
    deviation = y.std()
    return (y - y.mean()) / deviation if deviation > 1e-12 else np.zeros_like(y)


def normalised(losses: Array) -> Array:
    """(n,) losses with mean 0, deviation 1 and about a normal distribution; zeros if all are equal.

    The power is the MAP of Yeo and Johnson's transform under a normal prior N(1, 1), from a table. Order is kept,
    except among outliers on the bad side, which become equal.
    """
    largest = np.abs(losses).max()
    y = losses / largest if largest > 0.0 else losses
    middle, best = np.median(y), y.min()
    if middle > best:
        y = np.minimum(y, middle + OUTLIER * (middle - best))
    reach = y.max() - best
    y = _standardised((y - best) / reach if reach > 0.0 else np.zeros_like(y))
    if not y.any():
        return y
    slope = (np.sign(y) * np.log1p(np.abs(y))).sum()
    highest, chosen = -math.inf, y
    for power in np.linspace(-4.0, 4.0, 65):
        transformed = yeo_johnson(y, power)
        variance = transformed.var()
        if not math.isfinite(variance) or variance < 1e-12:
            continue
        posterior = -0.5 * len(y) * math.log(variance) + (power - 1.0) * slope - 0.5 * (power - 1.0) ** 2
        if posterior > highest:
            highest, chosen = posterior, transformed
    return _standardised(chosen)


def _some(y: Array, rows: int, best: int, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Indexes of at most `rows` observations: the `best`, and others at random."""
    order = np.argsort(y, kind="stable")
    if len(y) <= rows:
        return order
    return np.concatenate([order[:best], np.sort(rng.choice(order[best:], rows - best, replace=False))])


def fitted(x: Array, y: Array, encoding: Encoding, rng: np.random.Generator) -> Array:
    """Theta (see `gaussian_process`) of a model of these observations."""
    prior = Prior.of(encoding.unordered)
    rows = _some(y, FIT_ROWS, FIT_BEST, rng)
    x, y = x[rows], y[rows]
    few = _some(y, FIRST_ROWS, FIRST_ROWS // 2, rng)
    first = Data.of(x[few], y[few], encoding.unordered)
    starts = [prior.mean, prior.mean + 0.5 * prior.deviation * rng.standard_normal(len(prior.mean))]
    theta, _ = min((fit(first, prior, start, 40) for start in starts), key=lambda found: found[1])
    if len(few) < len(y):
        theta, _ = fit(Data.of(x, y, encoding.unordered), prior, theta, 20)
    return theta


def _names(x: Array) -> list[bytes]:
    """A name for each point, equal for equal configurations."""
    rounded = np.round(x, 9) + 0.0
    return [row.tobytes() for row in rounded]


class _Search:
    """Finds the maximum of expected improvement among configurations that were not proposed.

    Args:
        x, y: (n, d), (n,) observations, y transformed.
        known: Names of everything that was proposed.
    """

    def __init__(
        self, encoding: Encoding, x: Array, y: Array, posterior: Posterior, known: set[bytes], rng: np.random.Generator
    ) -> None:
        self.encoding = encoding
        self.x, self.y = x, y
        self.posterior = posterior
        self.known = known
        self.rng = rng
        self.changed = min(1.0, 3.0 / encoding.d)
        """Probability that a parameter of a neighbour differs."""

    def score(self, x: Array) -> Array:
        """(m,) log expected improvement; -inf for what was proposed already."""
        mean, std = self.posterior.predict(x)
        scores = log_expected_improvement(mean, std, self.posterior.best)
        scores[[name in self.known for name in _names(x)]] = -math.inf
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

    def candidates(self) -> Array:
        """Points all over the space and near the best observations."""
        even = qmc.Sobol(self.encoding.d, rng=self.rng).random(SOBOL)
        best = np.repeat(self.x[np.argsort(self.y, kind="stable")[:BEST]], NEIGHBOURS, 0)
        steps = np.exp(self.rng.uniform(math.log(0.005), math.log(0.3), len(best)))
        return np.vstack([self.encoding.snap(even), self.neighbours(best, steps)])

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
            mean, std, mean_slopes, std_slopes = self.posterior.predict_with_slopes(at, which)
            value, slopes = log_expected_improvement_slopes(mean, std, self.posterior.best, mean_slopes, std_slopes)
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

    def best_first(self) -> Array:
        """(m, d) the most promising points, best first; what was proposed is not among them."""
        points = self.candidates()
        scores = self.score(points)
        climbed, heights = self.climb(points, scores)
        polished = np.array([self.polish(x) for x in climbed[:POLISHED]])
        points = np.vstack([polished, climbed, points])
        scores = np.concatenate([self.score(polished), heights, scores])
        order = np.argsort(-scores, kind="stable")
        return points[order[scores[order] > -math.inf]]


@dataclass(frozen=True)
class GaussianProcessSampler:
    """Bayesian optimisation.

    Args:
        startup: Configurations that are Sobol points; by default d + 2, at least 5 and at most 10.
    """

    startup: int | None = None

    def propose(self, space: SearchSpace, history: History, n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        taken = history.keys(space)
        history = history.in_order(space)
        losses = np.array([math.nan if o.loss is None else o.loss for o in history.observations], float)
        worst = losses[np.isfinite(losses)].max(initial=-math.inf)
        startup = min(max(len(space.parameters) + 2, 5), 10) if self.startup is None else self.startup
        proposed = len(history.observations) + len(history.pending)
        n_even = max(0, min(n, startup - proposed))
        if len(losses) < min(LEAST_RESULTS, startup) or worst == -math.inf:
            n_even = n
        found = sobol_new(space, taken, n_even, rng)
        if len(found) == n or len(found) < n_even:
            return found
        encoding = Encoding(space)
        x = encoding.encode(o.params for o in history.observations)
        y = normalised(np.where(np.isfinite(losses), losses, worst))
        theta = fitted(x, y, encoding, rng)
        rows = _some(y, MODEL_ROWS, MODEL_BEST, rng)
        x, y = x[rows], y[rows]
        taken |= {space.key(params) for params in found}
        size = space.n_configurations()
        left = list(unproposed(space, taken)) if size is not None and size <= SMALL else None
        pending = encoding.encode([*history.pending, *found])
        known = set(_names(np.vstack([encoding.encode(o.params for o in history.observations), pending])))
        while len(found) < n:
            draws = rng.standard_normal((len(pending), FANTASIES))
            posterior = Posterior(theta, x, y, encoding.unordered, pending, draws)
            search = _Search(encoding, x, y, posterior, known, rng)
            if left is not None:
                params = self._best_of(search, left)
            else:
                params = self._next(space, search, taken)
                params = params or next(iter(sobol_new(space, taken, 1, rng)), None)
            if params is None:
                break
            found.append(params)
            taken.add(space.key(params))
            row = encoding.encode([params])
            known.update(_names(row))
            pending = np.vstack([pending, row])
        return found

    @staticmethod
    def _best_of(search: _Search, left: list[dict[str, Value]]) -> dict[str, Value] | None:
        """The most promising of all that are left, which is taken from the list."""
        if not left:
            return None
        mean, std = search.posterior.predict(search.encoding.encode(left))
        return left.pop(int(log_expected_improvement(mean, std, search.posterior.best).argmax()))

    @staticmethod
    def _next(space: SearchSpace, search: _Search, taken: set[str]) -> dict[str, Value] | None:
        """The most promising new configuration that the search met."""
        for row in search.best_first():
            params = search.encoding.decode(row)
            if space.key(params) not in taken:
                return params
        return None
