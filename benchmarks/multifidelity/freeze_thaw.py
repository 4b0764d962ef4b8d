"""Freeze-thaw: a model of all curves chooses between going on with a paused configuration and beginning another.

A method on trial, no part of the package: it is good where it chooses among given configurations, and not yet where it
makes them.

Successive halving compares losses of one level only, so it is as wrong as early ranks are, and it learns nothing about
configurations that were not tried. Here a Gaussian process over (configuration, level) learns from every trial. A free
slot goes to what promises the largest improvement: the next level of a configuration that was paused, or the lowest
level of a new one, drawn all over the space and near the best. What they promise is judged one level above the highest
that has results (at their next level, if that is higher): further up the model would only guess, and improvements at
low levels alone would send everybody down the ladder's easy end.

What keeps a wrong model from doing harm:
- of those that got through a level at most SHARE may go on, so that new ones are begun; and when nothing new may be
  begun any more, no more than in asynchronous halving, so that a study does not end with training everybody to the top;
- each SAFEGUARD-th trial is what asynchronous halving would promote, if it would promote any, and of the others each
  SAFEGUARD-th that is begun is left to the study's sampler;
- until there are results of STARTUP configurations, new ones are left to the sampler.

A result that is pending is imagined, as the `gp` sampler does. A trial that failed counts as the worst loss, one that
was pruned as the median of its level at best.

Sources: Swersky et al. 2014, arXiv:1406.3896 (freeze-thaw); Wistuba et al. 2022, arXiv:2202.09774 (DyHPO: the process
over configuration and budget); Klein et al. 2020, arXiv:2003.10865 (MOBSTER: imagined results, asynchronous rungs);
Li et al. 2020, arXiv:1810.05934 (ASHA).

Notation: n observations, p pending, m points, d parameters; x (., d + 1) points of the unit cube, the level last.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hpo_workflow.multifidelity.actions import Continue, Decision, Start, Step
from hpo_workflow.multifidelity.projection import final_losses
from hpo_workflow.multifidelity.rungs import Ladder, next_promotion
from hpo_workflow.space import SearchSpace
from hpo_workflow.space.encoding import Array, Encoding
from hpo_workflow.space.parameters import Float
from hpo_workflow.space.prior import PriorDensity
from hpo_workflow.trial import Params, TrialState, Value

STARTUP = 8
"""Configurations that are begun without a model."""

LEAST_RESULTS = 4
"""Losses that the model waits for."""

SHARE = 0.8
"""The most that may go on from a level, while new ones may be begun. On tables of real curves narrower ladders
found good configurations much later where early ranks mislead, and a little sooner where noise does."""

SAFEGUARD = 24
"""Each so many-th trial is asynchronous halving's, each so many-th new configuration the sampler's. With each eighth it
took half as many epochs again, or twice as many, where early ranks mislead."""

MODEL_ROWS, FIT_ROWS = 150, 80
"""Observations that the model knows, and that its hyper-parameters are fitted to: half of them the best, the others at
random. A decision then takes some ten milliseconds, however long a study is."""

ITERATIONS = 40
"""Of L-BFGS."""

FANTASIES = 8
"""Results that are imagined for each pending trial."""

EVEN, BEST, NEIGHBOURS = 200, 5, 32
"""New configurations that are looked at: some all over the space, and neighbours of each of the best."""

NEAREST, FARTHEST = 0.01, 0.3
"""Steps to these neighbours."""

CHANGED = 3.0
"""So many parameters of a neighbour differ on average, where there are so many."""

SMALL = 1000
"""A finite space up to this size is looked at whole."""


@dataclass(frozen=True)
class FreezeThaw:
    """Chooses by a model what goes on.

    Args:
        ladder: The fidelities.
        configurations: Begin only these; with none, any of the space.
    """

    ladder: Ladder
    configurations: tuple[Params, ...] = ()

    def decide(
        self, space: SearchSpace, steps: Sequence[Step], n_free: int, n_new: int, rng: np.random.Generator
    ) -> list[Decision]:
        known = list(steps)
        decisions: list[Decision] = []
        model: _Model | None = None
        while len(decisions) < n_free:
            decision = self._without_model(known, n_new)
            if decision is None:
                if model is None:
                    model = _Model(space, self.ladder, steps, rng)
                decision = self._best(model, known, n_new)
            if decision is None:
                break
            decisions.append(decision)
            n_new -= isinstance(decision, Start)
            imagined = _begun(decision, known)
            known.append(imagined)
            if model is not None:
                model.await_result(imagined)
        return decisions

    def may_act(self, steps: Sequence[Step], n_new: int) -> bool:
        return n_new > 0 or bool(self._paused(steps, n_new))

    def sizes(self, n: int) -> list[int]:
        """The most that there may be."""
        found = [n]
        for _ in range(self.ladder.top):
            found.append(self._may_leave(found[-1], wide=True))
        return found

    def ancestors(self, steps: Sequence[Step], n_new: int) -> set[int]:
        """All that are paused at a level that somebody may still leave, if all goes well that is pending or to come."""
        found: set[int] = set()
        n_coming = n_new
        wide = n_new > 0 or any(step.is_pending and step.parent is None for step in steps)  # which may be cancelled
        for level, rung in enumerate(self._rungs(steps)[: self.ladder.top]):
            n_coming += sum(step.is_pending for step in rung)
            n_through = sum(step.score is not None for step in rung)
            n_coming = max(0, self._may_leave(n_through + n_coming, wide) - _n_left(steps, level))
            if n_coming > 0:
                found.update(step.number for step in _not_left(rung, steps))
        return found

    def _may_leave(self, n: int, wide: bool) -> int:
        """How many of `n` that get through a level may go on in all."""
        share = SHARE if wide else 1 / self.ladder.eta
        return max(1, math.floor(n * share + 1e-9)) if n else 0

    def _rungs(self, steps: Sequence[Step]) -> list[list[Step]]:
        rungs: list[list[Step]] = [[] for _ in self.ladder.levels]
        for step in steps:
            rungs[step.level].append(step)
        return rungs

    def _paused(self, steps: Sequence[Step], n_new: int) -> list[Step]:
        """The trials that may be gone on from now."""
        found: list[Step] = []
        for level, rung in enumerate(self._rungs(steps)[: self.ladder.top]):
            n_through = sum(step.score is not None for step in rung)
            if self._may_leave(n_through, n_new > 0) > _n_left(steps, level):
                found += _not_left(rung, steps)
        return found

    def _without_model(self, steps: Sequence[Step], n_new: int) -> Decision | None:
        """What has to be done whatever the model says, if anything."""
        n_begun = sum(step.parent is None for step in steps)
        n_results = sum(step.loss is not None for step in steps)
        if n_new > 0 and (n_begun < STARTUP or n_results < LEAST_RESULTS):
            return Start()
        if len(steps) % SAFEGUARD == 0:
            paused = {step.number for step in self._paused(steps, n_new)}
            promoted = {step.parent for step in steps if step.parent is not None}
            for level, rung in reversed(list(enumerate(self._rungs(steps)[: self.ladder.top]))):
                number = next_promotion(rung, promoted, self.ladder.eta)
                if number is not None and number in paused:
                    return Continue(number, level + 1)
        return None

    def _best(self, model: _Model, steps: Sequence[Step], n_new: int) -> Decision | None:
        """What promises most."""
        paused = self._paused(steps, n_new)
        new = model.new_configurations(self.configurations) if n_new > 0 else []
        if not paused and not new:
            return Start() if n_new > 0 else None
        levels = [step.level + 1 for step in paused] + [0] * len(new)
        scores = model.promises([step.params for step in paused] + new, levels)
        chosen = int(scores.argmax())
        if chosen < len(paused):
            return Continue(paused[chosen].number, levels[chosen])
        n_begun = sum(step.parent is None for step in steps)
        return Start(params=None if n_begun % SAFEGUARD == 0 else new[chosen - len(paused)])


def _n_left(steps: Sequence[Step], level: int) -> int:
    """How many have gone on from a level, whatever has come of it."""
    return sum(step.parent is not None and step.level == level + 1 for step in steps)


def _not_left(rung: Sequence[Step], steps: Sequence[Step]) -> list[Step]:
    """The complete trials of a rung from which nobody has gone on."""
    parents = {step.parent for step in steps}
    return [step for step in rung if step.state is TrialState.COMPLETE and step.number not in parents]


def _begun(decision: Decision, steps: Sequence[Step]) -> Step:
    """The trial that a decision makes, as far as it is known here."""
    number = 1 + max((step.number for step in steps), default=-1)
    if isinstance(decision, Start):
        return Step(number, number, decision.params or {}, decision.level, TrialState.PROPOSED)
    parent = next(step for step in steps if step.number == decision.parent)
    pending = TrialState.PROPOSED
    return replace(parent, number=number, level=decision.level, state=pending, parent=parent.number, loss=None)


def losses_to_learn(steps: Sequence[Step]) -> list[tuple[Step, float]]:
    """Every trial that has ended, with the loss that it stands for; none while there is no loss at all."""
    losses: dict[int, list[float]] = {}
    for step in steps:
        if step.loss is not None:
            losses.setdefault(step.level, []).append(step.loss)
    if not losses:
        return []
    worst = max(max(each) for each in losses.values())
    found = []
    for step in sorted(steps, key=lambda each: each.number):
        if step.loss is not None:
            found.append((step, step.loss))
        elif step.state is TrialState.PRUNED:
            found.append((step, statistics.median(losses[step.level]) if step.level in losses else worst))
        elif step.state is TrialState.FAILED:
            found.append((step, worst))
    return found


class _Model:
    """What the trials of a study say of any configuration at any level.

    Args:
        space: The search space.
        ladder: The fidelities.
        steps: All trials; those that do not fit the space are passed over. At least one has a loss.
        rng: For the rows that are learned from, imagined results and new configurations.
    """

    def __init__(self, space: SearchSpace, ladder: Ladder, steps: Sequence[Step], rng: np.random.Generator) -> None:
        # These load scipy, which a study that still begins does without.
        from hpo_workflow.surrogates.coordinates import Coordinates
        from hpo_workflow.surrogates.gaussian_process import Data, Prior, fit
        from hpo_workflow.surrogates.output_transform import normalised

        self._space, self._ladder, self._rng = space, ladder, rng
        self._encoding = Encoding(space)
        self._prior = PriorDensity(self._encoding)
        name = "level"
        while name in space.order or name in space.by_name:
            name += "_"
        leveled = SearchSpace((*space.parameters, Float(name, 0.0, 1.0)))
        self._coordinates = Coordinates(Encoding(leveled))
        fitting = [step for step in steps if space.fits(step.params)]
        self._taken = {space.key(step.params) for step in fitting}
        learned = losses_to_learn(fitting)
        self._highest = max((step.level for step, _ in learned), default=0)
        losses = np.array([loss for _, loss in learned], float)
        y = normalised(np.log(losses) if len(losses) and losses.min() > 0.0 else losses) if len(losses) else losses
        x = self._points([step.params for step, _ in learned], [step.level for step, _ in learned])
        rows = self._some(y, MODEL_ROWS)
        self._x, self._y = x[rows], y[rows]
        prior = Prior.of(self._coordinates.encoding.unordered)
        self._theta: Array = prior.mean
        if len(y):
            few = self._some(self._y, FIT_ROWS)
            data = Data.of(self._coordinates, self._x[few], self._y[few])
            self._theta, _ = fit(data, prior, prior.mean, ITERATIONS)
        pending = [step for step in fitting if step.is_pending]
        self._pending = self._points([step.params for step in pending], [step.level for step in pending])
        self._best = self._best_configurations(fitting)

    def _points(self, params: Sequence[Params], levels: Sequence[int]) -> Array:
        """(m, d + 1)."""
        places = np.array(levels, float) / max(1, self._ladder.top)
        return np.column_stack([self._encoding.encode(params), places])

    def _some(self, y: Array, rows: int) -> np.ndarray:
        """Indexes of at most so many observations: half of them the best, the others at random."""
        order = np.argsort(y, kind="stable")
        if len(y) <= rows:
            return order
        others = self._rng.choice(order[rows // 2 :], rows - rows // 2, replace=False)
        return np.concatenate([order[: rows // 2], np.sort(others)])

    def _best_configurations(self, steps: Sequence[Step]) -> Array:
        """(BEST, d) or fewer, by what their losses come to at the highest level."""
        losses = final_losses(steps, self._ladder.top)
        params = {step.config: step.params for step in steps}
        order = sorted((loss, config) for config, loss in losses.items() if loss is not None)
        return self._encoding.encode([params[config] for _, config in order[:BEST]])

    def await_result(self, step: Step) -> None:
        """Take in a trial that was decided on just now."""
        if step.params or not self._space.parameters:
            self._taken.add(self._space.key(step.params))
            self._pending = np.vstack([self._pending, self._points([step.params], [step.level])])

    def promises(self, params: Sequence[Params], levels: Sequence[int]) -> Array:
        """(m,) the logarithm of the improvement that each promises, at its own level (m,) or above."""
        from hpo_workflow.acquisition import log_expected_improvement
        from hpo_workflow.surrogates.gaussian_process import Posterior

        draws = self._rng.standard_normal((len(self._pending), FANTASIES))
        posterior = Posterior(self._theta, self._coordinates, self._x, self._y, self._pending, draws)
        judged = min(self._highest + 1, self._ladder.top)
        mean, std = posterior.predict(self._points(params, [max(level, judged) for level in levels]))
        return log_expected_improvement(mean, std, posterior.best)

    def new_configurations(self, configurations: Sequence[Params]) -> list[Params]:
        """Some that were not begun, of these or else of the space."""
        if configurations:
            return [params for params in configurations if self._space.key(params) not in self._taken]
        size = self._space.n_configurations()
        found = self._space.configurations() if size is not None and size <= SMALL else self._drawn()
        new: dict[str, Params] = {}
        for params in found:
            key = self._space.key(params)
            if key not in self._taken:
                new.setdefault(key, params)
        return list(new.values())

    def _drawn(self) -> Iterator[Mapping[str, Value]]:
        """Configurations all over the space, as dense as its prior says, and neighbours of the best."""
        even = self._rng.random((EVEN, self._encoding.d))
        if self._prior.informative:
            even[: EVEN // 2] = self._prior.from_uniform(even[: EVEN // 2])
        centers = np.repeat(self._best, NEIGHBOURS, 0)
        m, d = centers.shape
        change = self._rng.random((m, d)) < min(1.0, CHANGED / d)
        change[np.arange(m), self._rng.integers(d, size=m)] = True
        steps = np.exp(self._rng.uniform(math.log(NEAREST), math.log(FARTHEST), (m, 1)))
        moved = centers + steps * self._rng.standard_normal((m, d))
        moved = 1.0 - np.abs(1.0 - np.abs(moved))  # reflected at 0 and 1
        moved = np.where(self._encoding.unordered, self._rng.random((m, d)), moved)
        for row in self._encoding.snap(np.vstack([even, np.where(change, moved, centers)])):
            yield self._encoding.decode(row)
