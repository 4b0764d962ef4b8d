"""TPE: try what is likely among the good configurations and unlikely among the others.

The observations are split at a quantile of the loss. Two densities over configurations are made, `good` and `rest`;
proposals are drawn from `good`, the best are refined, and the one with the largest ratio good / rest is taken.
Failures belong to `rest`, and so does the immediate neighbourhood of what is pending. Nothing is tried twice.

Notation: n results, k good ones, d parameters, m candidates; x (n, d) points of the unit cube; loss (n,), NaN for
failures.

Sources: Bergstra et al. 2011 (TPE); Watanabe 2023, arXiv:2304.11127 (its components); Song et al. 2022,
arXiv:2206.13035 (good configurations weighed by how good they are); Hvarfner et al. 2022, arXiv:2204.11051 (priors).
docs/explanation/samplers.md says what was tried beside what is here. numpy only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np

from hpo_workflow.samplers.design import LISTED, draw_new, latin_new, unproposed
from hpo_workflow.samplers.history import History
from hpo_workflow.space import SearchSpace
from hpo_workflow.space.encoding import Array, Encoding, Mask
from hpo_workflow.space.prior import PriorDensity
from hpo_workflow.surrogates.parzen import ParzenEstimator, spreads
from hpo_workflow.trial import Value

GOOD_SHARE = 0.2
"""This part of all results is good."""

MOST_GOOD = 25
"""More are never good: later there are always that many that are very good."""

WIDTH = 0.7
"""Width of the kernels of one good configuration, as a part of the spread of the good ones."""

NARROWEST = 0.01
"""No kernel is narrower than this part of a parameter's range."""

GOOD_CHOICE, REST_CHOICE = 0.5, 0.05
"""Weight that kernels give to all choices together, beside 1 for their own."""

UNIFORM = 2.0
"""Weight of the uniform kernels; that of the configurations is 1 on average."""

NEARLY_NONE = 1e-9
"""Weight of a uniform kernel that is not wanted."""

PENDING_WIDTH = 0.25
"""Kernels of pending configurations are this part as wide as those of the rest. With full ones, as if all that is
pending were known to be bad (constant liar), a batch is driven from where it should be: on tuning problems in eights
the mean regret after 96 was a quarter higher than without any. With narrow ones a batch over few parameters still
spreads; over many, draws are further apart anyway."""

LEAST = 5
"""So many results are needed for a model, though `startup` configurations may be under way."""

ROUNDS, PARENTS, CHILDREN = 1, 4, 8
"""Of refining: in each round the best PARENTS candidates have CHILDREN each."""

BETA = 10.0
"""The prior is trusted as much as so many results: the ratio is weighed by prior**(BETA / n), as in piBO."""


@dataclass(frozen=True)
class TPE:
    """Tree-structured Parzen estimator with kernels over all parameters together.

    Args:
        startup: How many configurations are spread evenly before the model proposes any.
        candidates: Points that are drawn to look for the largest ratio.
    """

    startup: int = 10
    candidates: int = 24

    def propose(self, space: SearchSpace, history: History, n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        known = _Known(space, history)
        n_even = n if not known.teaches(min(self.startup, LEAST)) else min(max(self.startup - known.n, 0), n)
        found: list[dict[str, Value]] = []
        if n_even:
            found = latin_new(space, history.keys(space), n_even, self.startup, rng)
        if len(found) == n or len(found) < n_even:
            return found
        model = _Model(known, rng)
        for params in found:
            model.add(params)
        while len(found) < n:
            best = model.propose(self.candidates, rng) or _one_left(model, space, history.with_pending(found), rng)
            if best is None:
                break
            found.append(best)
            if len(found) < n:
                model.add(best)
        return found


class _Known:
    """What was told, as arrays, in an order that does not depend on which result came first.

    A loss that is not finite counts as a failure. Configurations that do not fit the space are left aside. Results of
    one configuration are one result: the mean of those that did not fail.

    Attributes:
        x: (n, d) what has ended.
        loss: (n,) NaN for failures.
        pending: (p, d).
        n: How many configurations were proposed, ended or not.
    """

    def __init__(self, space: SearchSpace, history: History) -> None:
        self.encoding = Encoding(space)
        told = [o for o in history.observations if space.fits(o.params)]
        x = self.encoding.encode(o.params for o in told)
        loss = np.array([math.nan if o.loss is None else o.loss for o in told], float)
        loss[~np.isfinite(loss)] = math.nan
        order = np.lexsort((loss, *x.T))
        self.x, self.loss = _merged(x[order], loss[order])
        pending = self.encoding.encode(params for params in history.pending if space.fits(params))
        self.pending = pending[np.lexsort(tuple(pending.T))]
        self.n = len(self.x) + len(self.pending)

    def teaches(self, least: int) -> bool:
        """Whether there are `least` results and any is better than another; an end is better than a failure."""
        finite = self.loss[np.isfinite(self.loss)]
        equal = len(finite) == 0 or (finite.min() == finite.max() and len(finite) == len(self.loss))
        return len(self.loss) >= least and not equal

    def ranked(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """The good configurations (k, d), best first, and the others.

        Where losses are equal chance decides, because any fixed order would prefer some region.
        """
        order = np.lexsort((rng.permutation(len(self.loss)), self.loss))  # NaN come last
        finite = self.loss[np.isfinite(self.loss)]
        k = len(finite) if finite.min() == finite.max() else min(math.ceil(GOOD_SHARE * len(finite)), MOST_GOOD)
        return self.x[order[:k]], self.x[order[k:]]


def _merged(x: Array, loss: Array) -> tuple[Array, Array]:
    """Equal neighbours among the rows of `x` (n, d) as one, with the mean of the losses that are not NaN."""
    first = np.ones(len(x), bool)
    first[1:] = (x[1:] != x[:-1]).any(1)
    if first.all():
        return x, loss
    group = np.cumsum(first) - 1
    finite = np.isfinite(loss)
    count = np.bincount(group, finite)
    # each is divided before they are added, because the sum of huge losses may not be finite
    mean = np.bincount(group, np.where(finite, loss, 0.0) / np.maximum(count, 1.0)[group])
    return x[first], np.where(count > 0, mean, math.nan)


class _Model:
    """The two densities, and what was proposed already.

    Args:
        known: Which teaches something.
        rng: Decides which of equal losses are the good ones.
    """

    def __init__(self, known: _Known, rng: np.random.Generator) -> None:
        self.encoding = known.encoding
        self.prior = PriorDensity(known.encoding)
        self.trust = BETA / len(known.loss)
        self._always: Mask = np.array([not parameter.when for parameter in known.encoding.space.parameters], bool)
        good, rest = known.ranked(rng)
        self._pending = known.pending
        self._taken = {row.tobytes() for row in np.vstack([known.x, known.pending])}
        weights = rank_weights(len(good))
        self._spreads = spreads(good, self.encoding.active(good), weights)
        self.good = ParzenEstimator(self.encoding, good, self._widths(len(good)), GOOD_CHOICE, weights, UNIFORM)
        self.rest = ParzenEstimator(self.encoding, rest, self._widths(len(rest)), REST_CHOICE, None, UNIFORM)

    def _widths(self, n: int) -> Array:
        """(d,) of n kernels."""
        rate = max(n, 1) ** (-1.0 / (self.encoding.d + 4))
        widths: Array = np.maximum(WIDTH * rate * self._spreads, NARROWEST)
        return widths

    def add(self, params: dict[str, Value]) -> None:
        """Lets `params` be pending from now on."""
        row = self.encoding.encode([params])
        self._taken.add(row[0].tobytes())
        self._pending = np.vstack([self._pending, row])

    def is_new(self, params: dict[str, Value]) -> bool:
        """Whether `params` was not proposed before."""
        return self.encoding.encode([params])[0].tobytes() not in self._taken

    def propose(self, m: int, rng: np.random.Generator) -> dict[str, Value] | None:
        """The most promising new configuration that was found from m draws; None when none of them is new."""
        pending = self._around_pending()
        x = self.good.sample(m, rng, self.prior)
        for _ in range(ROUNDS):
            in_turn = chain.from_iterable(zip_longest(*self._branches(x, pending)))
            parents = [i for i in in_turn if i is not None][:PARENTS]
            x = np.vstack([x, self._children(x[parents], rng)])
        best_first = (self.encoding.decode(x[i]) for i in chain.from_iterable(self._branches(x, pending)))
        return next((params for params in best_first if self.is_new(params)), None)

    def best_of(self, configurations: list[dict[str, Value]]) -> dict[str, Value]:
        """The most promising one."""
        branches = self._branches(self.encoding.encode(configurations), self._around_pending())
        return configurations[branches[0][0]]

    def _branches(self, x: Array, pending: ParzenEstimator | None) -> list[list[int]]:
        """The rows of `x` (m, d) that have the same active parameters together, the most promising first.

        Inside a branch the largest ratio is the best. The best of the branches are compared in the parameters that all
        configurations have: each further parameter multiplies the ratio by a factor whose largest value among some
        draws is well above 1 even where it means nothing, so the branch with most parameters would nearly always win.
        """
        active = self.encoding.active(x)
        ratio = self._value(x, active, pending)
        branches: dict[bytes, list[int]] = {}
        for i in np.argsort(-ratio, kind="stable"):
            branches.setdefault(active[i].tobytes(), []).append(int(i))
        if len(branches) == 1:
            return list(branches.values())
        shared = self._value(x, active & self._always, pending)
        return sorted(branches.values(), key=lambda branch: -shared[branch[0]])

    def _around_pending(self) -> ParzenEstimator | None:
        """The density near what is pending; None where nothing is."""
        if not len(self._pending):
            return None
        widths = PENDING_WIDTH * self._widths(self.rest.n)
        return ParzenEstimator(self.encoding, self._pending, widths, REST_CHOICE, None, NEARLY_NONE)

    def _value(self, x: Array, active: Mask, pending: ParzenEstimator | None) -> Array:
        """(m,) logarithm of what is maximised at the points `x` (m, d), as far as `active` (m, d) parameters go."""
        rest = self.rest.log_density(x, active)
        if pending is not None:
            share = math.log(pending.n / (self.rest.n + UNIFORM + pending.n))
            rest = np.logaddexp(rest + math.log1p(-math.exp(share)), pending.log_density(x, active) + share)
        ratio: Array = self.good.log_density(x, active) - rest
        return ratio + self.trust * self.prior.log_density(x, active)

    def _children(self, parents: Array, rng: np.random.Generator) -> Array:
        """(CHILDREN * parents, d) copies of good candidates, each with one parameter as the good density draws it.

        Where that wakes other parameters, they are drawn too.
        """
        x = np.repeat(parents, CHILDREN, axis=0)
        drawn = self.good.draw(len(x), rng, self.prior)
        changed = ~self.encoding.active(x)
        changed[np.arange(len(x)), rng.integers(self.encoding.d, size=len(x))] = True
        return self.encoding.snap(np.where(changed, drawn, x))


def rank_weights(k: int) -> Array:
    """(k,) weights of the good configurations, best first, that fall to almost 0 at the last; 1 on average.

    Ranks and not losses, so that one loss far from the others changes nothing.

    Source: the weights of CMA-ES (Hansen 2016, arXiv:1604.00772, eq. 49), for Song et al.'s purpose.
    """
    weights = math.log(k + 1.0) - np.log(np.arange(1, k + 1))
    return np.asarray(weights / weights.mean())


def _one_left(model: _Model, space: SearchSpace, history: History, rng: np.random.Generator) -> dict[str, Value] | None:
    """A new configuration where the draws met only known ones; None when the space is exhausted."""
    taken = history.keys(space)
    size = space.n_configurations()
    if size is None or size > LISTED:
        return draw_new(space, taken, rng)
    left = list(unproposed(space, taken))
    return model.best_of(left) if left else None
