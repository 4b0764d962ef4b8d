"""TPE: try what is likely among the good configurations and unlikely among the others.

The observations are split at a quantile of the loss. Two densities over configurations are made, `good` and `rest`;
proposals are drawn from `good` and the one with the largest ratio good / rest is taken. Failures and what is pending
belong to `rest`, so that a batch spreads out and nothing is tried twice.

Source: Bergstra et al. 2011; Watanabe 2023, arXiv:2304.11127. numpy only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpo_workflow.samplers.design import LISTED, draw_all_new, draw_new, unproposed
from hpo_workflow.samplers.history import History
from hpo_workflow.space import SearchSpace
from hpo_workflow.space.encoding import Array, Encoding
from hpo_workflow.surrogates.parzen import KernelWidths, ParzenEstimator
from hpo_workflow.trial import Value

GOOD = KernelWidths(scale=0.12, spread=0.5)
REST = KernelWidths(scale=0.12, spread=0.05)
"""Narrower than the usual 0.2. Chosen by trial on tuning problems (tables of real trainings, BBOB, mixed and
conditional spaces) where wider kernels were a little worse; there is no theory behind the numbers."""


def n_good(n: int) -> int:
    """How many of n results count as good."""
    return min(math.ceil(0.1 * n), 25)


@dataclass(frozen=True)
class TPE:
    """Tree-structured Parzen estimator with kernels over all parameters together.

    Args:
        startup: Results that are waited for; until then proposals are random.
        candidates: Points among which the best ratio is chosen.
    """

    startup: int = 10
    candidates: int = 24

    def propose(self, space: SearchSpace, history: History, n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        taken = history.keys(space)
        history = history.in_order(space)
        finite = [o for o in history.observations if o.loss is not None]
        failed = [o for o in history.observations if o.loss is None]
        finite.sort(key=lambda o: o.loss or 0.0)
        constant = not finite or finite[0].loss == finite[-1].loss
        if len(history.observations) < self.startup or not finite or (constant and not failed):
            return draw_all_new(space, taken, n, rng)
        encoding = Encoding(space)
        split = len(finite) if constant else n_good(len(finite))
        good = encoding.encode(o.params for o in finite[:split])
        others = [o.params for o in [*finite[split:], *failed]]
        rest = encoding.encode([*others, *history.pending])
        model_good = ParzenEstimator(encoding, good, GOOD)
        found: list[dict[str, Value]] = []
        while len(found) < n:
            model_rest = ParzenEstimator(encoding, rest, REST)
            params = self._next(space, model_good, model_rest, taken, rng)
            if params is None:
                break
            found.append(params)
            taken.add(space.key(params))
            rest = np.vstack([rest, encoding.encode([params])])
        return found

    def _next(
        self,
        space: SearchSpace,
        good: ParzenEstimator,
        rest: ParzenEstimator,
        taken: set[str],
        rng: np.random.Generator,
    ) -> dict[str, Value] | None:
        """The new configuration with the largest ratio, or None when the space is exhausted."""
        points = good.sample(self.candidates, rng)
        for i in _best_first(good, rest, points):
            params = good.encoding.decode(points[i])
            if space.key(params) not in taken:
                return params
        size = space.n_configurations()
        if size is not None and size <= LISTED:
            left = list(unproposed(space, taken))
            return left[_best_first(good, rest, good.encoding.encode(left))[0]] if left else None
        return draw_new(space, taken, rng)


def _best_first(good: ParzenEstimator, rest: ParzenEstimator, points: Array) -> Sequence[int]:
    """Rows of `points` from the largest ratio to the smallest; ties in their order."""
    active = good.encoding.active(points)
    ratio = good.log_density(points, active) - rest.log_density(points, active)
    return [int(i) for i in np.argsort(-ratio, kind="stable")]
