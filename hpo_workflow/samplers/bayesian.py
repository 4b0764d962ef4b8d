"""Bayesian optimisation: a Gaussian process of the loss, and the point where it expects the largest improvement.

Notation: n observations, p pending, m points, d parameters; x (m, d) points of the unit cube, on the middle of cells.

The recipe, with the module that does each part:
- Sobol points to begin with (`samplers.design`);
- losses made about normal (`surrogates.output_transform`); a failure counts as the worst loss;
- a Gaussian process over coordinates that know conditions (`surrogates.coordinates`, `surrogates.gaussian_process`);
- its hyper-parameters are the most probable ones (MAP) for each second proposal, and drawn from their posterior for the
  others. A single model is sure of itself: in a batch it sends all proposals into one valley, and one by one it can
  overlook a parameter for long. Draws alone find less with few results;
- the logarithm of expected improvement (`acquisition`), averaged over imagined results of what is pending, one proposal
  of a batch after the other; weighed by the prior of the user (piBO);
- its maximum (`samplers.acquisition_search`).

Sources: Snoek et al. 2012 (fantasies, hyper-parameters drawn); Ament et al. 2023, arXiv:2310.20708 (LogEI); Hvarfner et
al. 2022, arXiv:2204.11051 (piBO).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hpo_workflow.acquisition import log_expected_improvement, log_expected_improvement_slopes
from hpo_workflow.samplers.acquisition_search import BEST, AcquisitionSearch, names
from hpo_workflow.samplers.design import sobol_new, unproposed
from hpo_workflow.samplers.history import History
from hpo_workflow.samplers.tpe import BETA, TPE
from hpo_workflow.space import SearchSpace
from hpo_workflow.space.encoding import Array, Encoding
from hpo_workflow.space.prior import PriorDensity
from hpo_workflow.surrogates.coordinates import Coordinates
from hpo_workflow.surrogates.gaussian_process import Data, Posterior, Prior, drawn, fit
from hpo_workflow.surrogates.output_transform import normalised
from hpo_workflow.trial import Value

LEAST_RESULTS = 8
"""Results that a model waits for, or fewer where `startup` is less; until then proposals are Sobol points, whatever was
asked before. Where eight trials run at once, a model of the first four results led the next four astray."""

LEAST_STARTUP, MOST_STARTUP = 5, 10
"""Bounds of d + 2, the default number of Sobol points."""

FANTASIES = 8
"""Results that are imagined for each pending configuration."""

SMALL = 1000
"""A finite space up to this size is looked at whole."""

FIT_ROWS, FIT_BEST = 150, 60
"""Hyper-parameters are fitted on so many observations, of which so many are the best."""

MODEL_ROWS, MODEL_BEST = 400, 200
"""The same for the model; without these bounds an ask takes 10 s at n = 1000."""

MOST_RESULTS = 2000
"""With more results TPE takes over: of the rest this model would not learn, and TPE learns from all of them."""

FIRST_ROWS = 50
"""A fit begins on so many rows, where a step costs little, and ends on all."""

FIRST_ITERATIONS, LAST_ITERATIONS = 40, 20
"""Of L-BFGS, on the first rows and on all."""

DIFFERENCE = 1e-6
"""For the slope of the logarithm of a prior."""


def _some(y: Array, rows: int, best: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Indexes of at most `rows` observations: the `best`, and others at random."""
    order = np.argsort(y, kind="stable")
    if len(y) <= rows:
        return order
    return np.concatenate([order[:best], np.sort(rng.choice(order[best:], rows - best, replace=False))])


class Beliefs:
    """What observations say of the hyper-parameters.

    Args:
        coordinates: Of the space.
        x, y: (n, d), (n,) observations.
        rng: For the rows that a fit looks at, its second start, and the draws.

    Attributes:
        most_probable: Theta (see `surrogates.gaussian_process`) at the maximum of the posterior.
    """

    def __init__(self, coordinates: Coordinates, x: Array, y: Array, rng: np.random.Generator) -> None:
        self._prior = Prior.of(coordinates.encoding.unordered)
        self._rng = rng
        rows = _some(y, FIT_ROWS, FIT_BEST, rng)
        x, y = x[rows], y[rows]
        few = _some(y, FIRST_ROWS, FIRST_ROWS // 2, rng)
        first = Data.of(coordinates, x[few], y[few])
        self._data = first if len(few) == len(y) else Data.of(coordinates, x, y)
        mean, deviation = self._prior.mean, self._prior.deviation
        starts = [mean, mean + 0.5 * deviation * rng.standard_normal(len(mean))]
        found = [fit(first, self._prior, start, FIRST_ITERATIONS) for start in starts]
        theta, _ = min(found, key=lambda each: each[1])
        if self._data is not first:
            theta, _ = fit(self._data, self._prior, theta, LAST_ITERATIONS)
        self.most_probable: Array = theta

    def drawn(self) -> Array:
        """Theta drawn from the posterior."""
        return drawn(self.most_probable, self._data, self._prior, self._rng)


class Improvement:
    """Logarithm of expected improvement times prior**(BETA / n).

    Args:
        posterior: Of the loss.
        prior: Of the user.
        n: Number of results.
    """

    def __init__(self, posterior: Posterior, prior: PriorDensity, n: int) -> None:
        self.posterior = posterior
        self.prior = prior
        self.trust = BETA / n if prior.informative else 0.0

    def score(self, x: Array) -> Array:
        """(m,) at points (m, d)."""
        mean, std = self.posterior.predict(x)
        scores = log_expected_improvement(mean, std, self.posterior.best)
        return scores + self.trust * self.prior.log_density(x) if self.trust else scores

    def slopes(self, x: Array, which: npt.NDArray[np.intp]) -> tuple[float, Array]:
        """At one point (d,), with derivatives (k,) by the parameters `which` (k,)."""
        mean, std, mean_slopes, std_slopes = self.posterior.predict_with_slopes(x, which)
        value, slopes = log_expected_improvement_slopes(mean, std, self.posterior.best, mean_slopes, std_slopes)
        if not self.trust:
            return value, slopes
        around = np.repeat(x[None, :], 2 * len(which) + 1, 0)
        for i, parameter in enumerate(which):
            around[2 * i + 1, parameter] += DIFFERENCE
            around[2 * i + 2, parameter] -= DIFFERENCE
        logs = self.trust * self.prior.log_density(around)
        return value + float(logs[0]), slopes + (logs[1::2] - logs[2::2]) / (2.0 * DIFFERENCE)


class _Batch:
    """Proposals that are made one after the other from the same observations.

    Args:
        space: The search space.
        history: In order; with at least one loss.
        worst: What a failure counts as.
        found: Proposals of this batch that were made without a model.
        taken: Keys of everything that was proposed, these included.
    """

    def __init__(
        self,
        space: SearchSpace,
        history: History,
        worst: float,
        found: list[dict[str, Value]],
        taken: set[str],
        rng: np.random.Generator,
    ) -> None:
        self.space, self.taken, self.rng = space, taken, rng
        self.encoding = Encoding(space)
        self.coordinates = Coordinates(self.encoding)
        self.prior = PriorDensity(self.encoding)
        x = self.encoding.encode(o.params for o in history.observations)
        y = normalised(np.array([worst if o.loss is None else o.loss for o in history.observations], float))
        self.n = len(y)
        self.beliefs = Beliefs(self.coordinates, x, y, rng)
        self.pending = self.encoding.encode([*history.pending, *found])
        self.known = set(names(np.vstack([x, self.pending])))
        rows = _some(y, MODEL_ROWS, MODEL_BEST, rng)
        self.x, self.y = x[rows], y[rows]
        self.best = self.x[np.argsort(self.y, kind="stable")[:BEST]]
        size = space.n_configurations()
        self.left = list(unproposed(space, taken)) if size is not None and size <= SMALL else None

    def _improvement(self) -> Improvement:
        """The acquisition of the next proposal."""
        proposed = self.n + len(self.pending)
        theta = self.beliefs.most_probable if proposed % 2 == 0 else self.beliefs.drawn()
        draws = self.rng.standard_normal((len(self.pending), FANTASIES))
        posterior = Posterior(theta, self.coordinates, self.x, self.y, self.pending, draws)
        return Improvement(posterior, self.prior, self.n)

    def next(self) -> dict[str, Value] | None:
        """The most promising new configuration, which is pending from now on; None when the space is exhausted."""
        improvement = self._improvement()
        if self.left is not None:
            params = self._best_left(improvement)
        else:
            params = self._best_met(improvement) or next(iter(sobol_new(self.space, self.taken, 1, self.rng)), None)
        if params is not None:
            self.taken.add(self.space.key(params))
            row = self.encoding.encode([params])
            self.known.update(names(row))
            self.pending = np.vstack([self.pending, row])
        return params

    def _best_left(self, improvement: Improvement) -> dict[str, Value] | None:
        """The most promising of all that are left of a small space, which is taken from the list."""
        if not self.left:
            return None
        return self.left.pop(int(improvement.score(self.encoding.encode(self.left)).argmax()))

    def _best_met(self, improvement: Improvement) -> dict[str, Value] | None:
        """The most promising new configuration that the search meets."""
        search = AcquisitionSearch(self.encoding, improvement.score, improvement.slopes, self.known, self.rng)
        for row in search.best_first(self.best):
            params = self.encoding.decode(row)
            if self.space.key(params) not in self.taken:
                return params
        return None


@dataclass(frozen=True)
class GaussianProcessSampler:
    """Bayesian optimisation.

    Args:
        startup: Configurations that are Sobol points; by default d + 2, at least 5 and at most 10.
    """

    startup: int | None = None

    def propose(self, space: SearchSpace, history: History, n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        if len(history.observations) > MOST_RESULTS:
            return TPE().propose(space, history, n, rng)
        taken = history.keys(space)
        history = history.in_order(space)
        worst = max((o.loss for o in history.observations if o.loss is not None), default=math.nan)
        startup = self.startup
        if startup is None:
            startup = min(max(len(space.parameters) + 2, LEAST_STARTUP), MOST_STARTUP)
        proposed = len(history.observations) + len(history.pending)
        n_even = max(0, min(n, startup - proposed))
        if len(history.observations) < min(LEAST_RESULTS, startup) or math.isnan(worst):
            n_even = n
        found = sobol_new(space, taken, n_even, rng)
        if len(found) == n or len(found) < n_even:
            return found
        taken |= {space.key(params) for params in found}
        batch = _Batch(space, history, worst, found, taken, rng)
        while len(found) < n:
            params = batch.next()
            if params is None:
                break
            found.append(params)
        return found
