"""Which parameters made the difference between trials, and how sure that is.

The ranks of the losses are fitted by a sum of one function for each parameter: what functional analysis of variance
calls the main effects (Hutter, Hoos and Leyton-Brown 2014). Ranks, because a run that diverged is one bad trial and not
the whole variance. The functions are fitted together, with a penalty on their size (Hoerl and Kennard 1970): a sampler
moves all parameters at once towards good values, and each of them alone would look as if it had been the cause. An
importance is what the fit loses on trials that it has not seen when the parameter's values are permuted among them
(Breiman 2001, section 10), so a parameter that explains nothing gets about 0, however many values it has. It is
measured on many bootstrap samples of the trials, whose spread is the interval.

What parameters do only together is not seen: it is missing from `explained`. With few trials the penalty makes all
shares smaller than they are. The trials are those that the sampler chose, mostly good ones: a parameter that was soon
settled explains little of what differs among them.

Notation: n trials, k columns; x: (n, k), all columns of one parameter side by side; y: (n,), ranks of losses, with
variance 1. numpy is imported when it is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from hpo_workflow.space import Categorical, Parameter
from hpo_workflow.trial import Params, Value

if TYPE_CHECKING:
    import numpy as np

FEWEST = 20
"""Of fewer trials nothing is said: an interval would go from nothing to all."""

PLENTY = 100
"""From so many on, the penalty hardly makes shares smaller."""

MOST = 2000
"""Of more trials so many are taken, evenly spread: the interval is narrow enough."""

KNOTS = 6
"""A numeric parameter's function is a polygon with so many corners, evenly spread over the ranks of its values."""

SAMPLES = 80
"""Bootstrap samples; the ends of an interval are the 4th from below and above."""

PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0)
"""In trials: a value with so many trials has half of its effect. The one that predicts unseen trials best is taken."""

OUTSIDE = 0.05
"""The share of bootstrap samples that may lie below an interval, and above it."""


@dataclass(frozen=True)
class Importance:
    """How much of the differences between trials one parameter explains.

    Args:
        name: The parameter.
        share: Of the variance of the trials' ranks; 0 nothing, 1 all.
        low, high: Between them lie 90 % of its bootstrap samples; `low` is 0 where it may be nothing.
        n_trials: In how many trials it was active.
    """

    name: str
    share: float
    low: float
    high: float
    n_trials: int


@dataclass(frozen=True)
class Importances:
    """The importances of all parameters.

    Args:
        parameters: The most important first; empty where they cannot be told.
        explained: The share that all of them explain together; the rest is noise or interplay. None without them.
        n_trials: Trials that they were estimated from.
        note: Why there are none, or what limits them; a sentence.
    """

    parameters: tuple[Importance, ...]
    explained: float | None
    n_trials: int
    note: str


def importances(parameters: Sequence[Parameter], trials: Sequence[tuple[Params, float]]) -> Importances:
    """The importance of each parameter that varied.

    Args:
        parameters: What is sampled.
        trials: Parameters and loss of each trial; of one whose loss is not finite nothing is learnt.

    The same trials in the same order always give the same answer.
    """
    known = [(params, loss) for params, loss in trials if math.isfinite(loss)]
    if len(known) > MOST:
        known = [known[i * len(known) // MOST] for i in range(MOST)]
    n = len(known)
    if n < FEWEST:
        return Importances((), None, n, f"Importances need {FEWEST} trials with a value; there are {n}.")
    if len({loss for _, loss in known}) == 1:
        return Importances((), None, n, "All trials have the same value, so no parameter made a difference.")
    import numpy as np

    blocks = {}
    for parameter in parameters:
        block = _columns(parameter, [params.get(parameter.name) for params, _ in known])
        if block is not None:
            blocks[parameter.name] = block
    if not blocks:
        return Importances((), None, n, "No parameter was varied.")
    ranks = _ranks([loss for _, loss in known])
    y = (ranks - ranks.mean()) / ranks.std()
    shares, explained = _shares(list(blocks.values()), y)
    found = []
    for name, values in zip(blocks, shares.T, strict=True):
        ends = np.quantile(values, [OUTSIDE, 1 - OUTSIDE])
        share, low, high = (min(max(float(each), 0.0), 1.0) for each in (values.mean(), *ends))
        found.append(Importance(name, share, low, high, sum(name in params for params, _ in known)))
    found.sort(key=lambda each: -each.share)  # of equals the first in the file
    note = f"Estimated from {n} trials: with so few, shares come out smaller than they are." if n < PLENTY else ""
    return Importances(tuple(found), explained, n, note)


def _ranks(values: Sequence[float]) -> np.ndarray:
    """Ranks from 0 to 1; equal values share the middle of theirs."""
    import numpy as np

    _, place, counts = np.unique(np.asarray(values, dtype=float), return_inverse=True, return_counts=True)
    middles = np.cumsum(counts) - (counts + 1) / 2
    ranks: np.ndarray = middles[place] / max(1, len(values) - 1)
    return ranks


def _columns(parameter: Parameter, values: Sequence[Value | None]) -> np.ndarray | None:
    """The columns of a parameter, (n, columns); None where it did not vary.

    A column for each value where there are few, else one for each corner of a polygon over the ranks. Each has mean 0
    over the trials in which the parameter is active and is 0 in the others: to be active at all is no effect of it.
    """
    import numpy as np

    active = np.array([value is not None for value in values])
    present = [value for value in values if value is not None]
    places: list[float]
    if isinstance(parameter, Categorical):
        places = [parameter.index(value) for value in present if parameter.contains(value)]
        if len(places) < len(present):
            return None  # of a space that has changed since
    else:
        places = [float(value) for value in present]
    different = sorted(set(places))
    if len(different) < 2:
        return None
    if isinstance(parameter, Categorical) or len(different) <= KNOTS:
        inner = np.array([[place == each for each in different] for place in places], dtype=float)
    else:
        at = _ranks(places)[:, None] * (KNOTS - 1)
        inner = np.clip(1 - np.abs(at - np.arange(KNOTS)), 0, None)
    columns = np.zeros((len(values), inner.shape[1]))
    columns[active] = inner - inner.mean(axis=0)
    return columns


def _shares(blocks: Sequence[np.ndarray], y: np.ndarray) -> tuple[np.ndarray, float]:
    """What each parameter explains of the trials outside of each bootstrap sample, (SAMPLES, parameters), and all do.

    With fits f_p, permuting the values of p among unseen trials adds 2 cov(y - sum of the other fits, f_p) to the mean
    squared error: this is the average over all permutations. Half of it is the variance that p explains.
    """
    import numpy as np

    rng = np.random.default_rng(0)  # a page that is written again says the same
    x = np.concatenate(blocks, axis=1)
    n, k = x.shape
    ends = np.cumsum([0, *(block.shape[1] for block in blocks)])
    errors = np.zeros(len(PENALTIES))
    shares = np.zeros((len(PENALTIES), SAMPLES, len(blocks)))
    total = 0.0
    for sample in range(SAMPLES):
        weights = np.bincount(rng.integers(n, size=n), minlength=n).astype(float)
        unseen = weights == 0  # about a third of the trials
        if not unseen.any():  # one sample of 10 000 000 with 20 trials
            continue
        mean_x, mean_y = weights @ x / n, float(weights @ y) / n
        inside, y_inside = x - mean_x, y - mean_y
        gram = inside.T @ (inside * weights[:, None])
        right = inside.T @ (y_inside * weights)
        x_out, y_out = inside[unseen], y_inside[unseen]
        spread = float(np.mean((y_out - y_out.mean()) ** 2)) or 1.0
        total += spread
        for index, penalty in enumerate(PENALTIES):
            beta = np.linalg.solve(gram + penalty * np.eye(k), right)
            fits = np.stack([x_out[:, a:b] @ beta[a:b] for a, b in pairwise(ends)], axis=1)
            residual = y_out - fits.sum(axis=1)
            errors[index] += float(np.mean(residual**2))
            centred = fits - fits.mean(axis=0)
            shares[index, sample] = np.mean((residual[:, None] + fits) * centred, axis=0) / spread
    best = int(np.argmin(errors))
    explained = 1 - float(errors[best]) / total
    return shares[best], min(max(explained, 0.0), 1.0)
