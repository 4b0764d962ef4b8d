"""CMA-ES: a normal distribution that moves, grows and turns towards what was good. By the package `cmaes`.

Three of its optimisers: `CMA` where all parameters are continuous, `SepCMA` (no turning) where these are many, and
`CatCMAwM`, CMA-ES with margin and a categorical distribution, for everything else.

The optimisers keep a state, and a sampler here must not. So each ask lives the search through again from its seed, with
the results looked up by configuration. What makes this the same search each time:

- The distribution after g generations draws from a generator seeded by (study, run, g). A generation are the next
  `population` configurations of a queue of draws. It is told when all of them have a result: never the first ones that
  end, so that the order of results does not matter.
- While results of a generation are pending and more is asked for, more is drawn from the same distribution. These draws
  begin the next generation. Nobody needs to note how many there were: they are those whose configurations are known.
- Only ranks are told. A failure has the worst rank; equals are ranked as they were drawn, that is at random; a
  generation in which all are equal says nothing and is not told.
- A draw that was tried before, as is common where values are discrete, takes that result and costs no trial.
- Inactive parameters are told as they were drawn: as selection does not see them, they drift without direction.
- When a run has converged (or five generations have met nothing new), another starts at a random place with twice the
  population (IPOP). When three runs in a row meet nothing new, random configurations fill up the batch.

Results of configurations that it would not have drawn (other samplers', `start:`, another seed) are not used: CMA-ES
learns from its own draws. The same happens to earlier draws when the population, and with it the search, changes.

Sources: Hansen 2016, arXiv:1604.00772 (CMA-ES); Auger and Hansen 2005 (IPOP restarts); Hamano et al. 2025,
arXiv:2504.07884 (CatCMA with margin); Ros and Hansen 2008 (SepCMA).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, ClassVar

import numpy as np

from hpo_workflow.samplers.design import draw_all_new, study_seed
from hpo_workflow.samplers.history import History, Observation
from hpo_workflow.samplers.plan import Plan
from hpo_workflow.space import SearchSpace
from hpo_workflow.space.encoding import Array, Encoding, configuration, to_unit
from hpo_workflow.space.prior import DEVIATION, SHARE
from hpo_workflow.trial import Value

MOST_PLACES = 32
"""A number with more values is drawn as if it were continuous, and rounded."""

MOST_TURNING = 100
"""With more continuous parameters the covariance is diagonal: all of it would cost too much and learn too slowly."""

VAIN_GENERATIONS, VAIN_RUNS = 5, 3
"""So many generations, and runs, in a row may meet only what was drawn before."""

VAIN_DRAWS = 200
"""So many draws in a row from a distribution whose results are awaited."""


@dataclass(frozen=True)
class CMAES:
    """CMA-ES, replayed.

    Args:
        population: Results in a generation; by default 4 + 3 log(d), and at least as many as run at once.
        sigma: Standard deviation at the start, as a part of each parameter's range.
        plan: How many trials run at once.
    """

    population: int | None = None
    sigma: float = 0.2
    plan: Plan = field(default_factory=Plan)
    lives_through: ClassVar[bool] = True

    def propose(self, space: SearchSpace, history: History, n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        losses = _losses(space, history.observations)
        taken = losses.keys() | {space.key(params) for params in history.pending}
        varying = sum(parameter.size != 1 for parameter in space.parameters)
        found: list[dict[str, Value]] = []
        if varying and n:
            population = self.population or max(4 + int(3 * math.log(varying)), self.plan.parallel)
            search = _Search(space, taken, losses, study_seed(rng), population, self.sigma)
            found = list(islice(search.new_draws(), n))
        taken.update(space.key(params) for params in found)
        return found + draw_all_new(space, taken, n - len(found), rng)


def _losses(space: SearchSpace, observations: tuple[Observation, ...]) -> dict[str, float]:
    """The loss of each configuration by its key: inf where it failed, the lower median of several."""
    found: dict[str, list[float]] = {}
    for o in observations:
        failed = o.loss is None or not math.isfinite(o.loss)
        found.setdefault(space.key(o.params), []).append(math.inf if failed else float(o.loss or 0.0))
    return {key: sorted(losses)[(len(losses) - 1) // 2] for key, losses in found.items()}


@dataclass(frozen=True)
class _Draw:
    """A configuration that an optimiser drew, and what the optimiser must be told of it."""

    solution: Any
    params: dict[str, Value]
    key: str


class _Search:
    """All runs of one study, as far as results are known.

    Args:
        taken: Keys of everything that was ever proposed.
        losses: By key; what is taken and not in here is pending.
    """

    def __init__(
        self,
        space: SearchSpace,
        taken: set[str],
        losses: Mapping[str, float],
        seed: int,
        population: int,
        sigma: float,
    ) -> None:
        self._space, self._taken, self._losses = space, taken, losses
        self._seed, self._population, self._sigma = seed, population, sigma
        self._encoding = Encoding(space)
        self._drawn: set[str] = set()

    def new_draws(self) -> Iterator[dict[str, Value]]:
        """New configurations in the order in which the search wants them; it ends where it has nothing new to say."""
        vain, run = 0, 0
        while vain < VAIN_RUNS:
            before = len(self._drawn)
            yield from self._run(run)
            vain = vain + 1 if len(self._drawn) == before else 0
            run += 1

    def _run(self, run: int) -> Iterator[dict[str, Value]]:
        """New configurations of one run; it ends when the run has."""
        rng = np.random.default_rng([self._seed, run])
        population = self._population * 2 ** min(run, 10)
        distribution = _Distribution(self._space, self._encoding, population, self._sigma, run > 0, rng)
        queue: list[_Draw] = []
        vain = 0
        while vain < VAIN_GENERATIONS and not distribution.is_over():
            distribution.begin_generation(rng)
            before = len(self._drawn)
            while len(queue) < population:
                draw = distribution.draw()
                queue.append(draw)
                if draw.key not in self._taken and draw.key not in self._drawn:
                    yield draw.params
                self._drawn.add(draw.key)
            whole = all(draw.key in self._losses for draw in queue[:population])
            yield from self._draw_ahead(distribution, queue, whole)
            if not whole:
                return
            distribution.tell([(draw, self._losses[draw.key]) for draw in queue[:population]])
            del queue[:population]
            vain = vain + 1 if len(self._drawn) == before else 0

    def _draw_ahead(self, distribution: _Distribution, queue: list[_Draw], whole: bool) -> Iterator[dict[str, Value]]:
        """Draws beyond the generation: those that were proposed while it was pending, and new ones while it is."""
        vain = 0
        while vain < VAIN_DRAWS:
            draw = distribution.draw()
            if draw.key in self._drawn:
                vain += 1
                continue
            vain = 0
            if draw.key not in self._taken:
                if whole:
                    return
                yield draw.params
            queue.append(draw)
            self._drawn.add(draw.key)


class _Distribution:
    """One optimiser of the package, which draws configurations and is told their ranks.

    Each parameter that varies is drawn as a number of [0, 1] (`places` 0), as one of a few places of [0, 1], or as a
    choice.

    Args:
        anywhere: Whether the mean is random; else it is the middle, or the center of the prior.
    """

    def __init__(
        self,
        space: SearchSpace,
        encoding: Encoding,
        population: int,
        sigma: float,
        anywhere: bool,
        rng: np.random.Generator,
    ) -> None:
        from cmaes import CMA, CatCMAwM, SepCMA  # takes a while to load

        self._space = space
        sizes = [0 if parameter.size is None else parameter.size for parameter in space.parameters]
        self._choices = [
            i
            for i, size in enumerate(sizes)
            if size == 2 or (size > 2 and encoding.unordered[i])  # the package advises to draw two values as choices
        ]
        rest = [i for i in range(len(sizes)) if sizes[i] != 1 and i not in self._choices]
        self._continuous = [i for i in rest if not 0 < sizes[i] <= MOST_PLACES]
        self._stepped = [i for i in rest if i not in self._continuous]
        places = [encoding.places(i) for i in self._stepped]
        self._base = encoding.rest.copy()
        mean = np.array([self._start(i) for i in (*self._continuous, *self._stepped)])
        if anywhere:
            mean = rng.random(len(mean))
        spread = np.array([self._deviation(i, sigma) / sigma for i in (*self._continuous, *self._stepped)])
        bounds = np.array([[0.0, 1.0]] * len(self._continuous))
        self._plain = not self._stepped and not self._choices
        self._optimiser: Any
        if self._plain:
            if len(mean) > MOST_TURNING:
                self._optimiser = SepCMA(mean, sigma, bounds, population_size=population)
            else:
                self._optimiser = CMA(mean, sigma, bounds, population_size=population, cov=np.diag(spread**2))
        else:
            sizes_of_choices = [sizes[i] for i in self._choices]
            self._optimiser = CatCMAwM(
                x_space=bounds if self._continuous else None,
                z_space=places or None,
                c_space=sizes_of_choices or None,
                population_size=population,
                mean=mean if len(mean) else None,
                sigma=sigma,
                cov=np.diag(spread**2),
                cat_param=self._shares(sizes_of_choices) if self._choices else None,
            )

    def _start(self, i: int) -> float:
        prior = self._space.parameters[i].prior
        return 0.5 if prior is None else to_unit(self._space.parameters[i], prior.center)

    def _deviation(self, i: int, sigma: float) -> float:
        prior = self._space.parameters[i].prior
        return sigma if prior is None else min(sigma, DEVIATION[prior.strength])

    def _shares(self, sizes: list[int]) -> Array:
        """(choices, most values) how likely each value of each choice is at the start."""
        shares = np.zeros((len(sizes), max(sizes)))
        for row, i, size in zip(shares, self._choices, sizes, strict=True):
            prior = self._space.parameters[i].prior
            share = 0.0 if prior is None else SHARE[prior.strength]
            row[:size] = (1.0 - share) / size
            if prior is not None:
                row[_place(self._start(i), size)] += share
        return shares

    def begin_generation(self, rng: np.random.Generator) -> None:
        """Draw from a generator that does not depend on how much was drawn before."""
        self._optimiser.reseed_rng(rng.integers(2**32, size=4, dtype=np.uint32))

    def draw(self) -> _Draw:
        """A configuration."""
        solution = self._optimiser.ask()
        units = self._base.copy()
        if self._plain:
            units[self._continuous] = solution
        else:
            if self._continuous:
                units[self._continuous] = solution.x
            if self._stepped:
                units[self._stepped] = solution.z
            for i, row in zip(self._choices, () if solution.c is None else solution.c, strict=True):
                units[i] = (int(row.argmax()) + 0.5) / (self._space.parameters[i].size or 1)
        params = configuration(self._space, units)
        return _Draw(solution, params, self._space.key(params))

    def tell(self, results: list[tuple[_Draw, float]]) -> None:
        """Learn from a generation, unless all its losses are equal."""
        losses = [loss for _, loss in results]
        if min(losses) < max(losses):
            best_first = sorted(results, key=lambda result: result[1])
            self._optimiser.tell([(draw.solution, float(rank)) for rank, (draw, _) in enumerate(best_first)])

    def is_over(self) -> bool:
        """Whether the distribution of the numbers has shrunk to a point, or cannot be told apart from one."""
        return bool((self._continuous or self._stepped) and self._optimiser.should_stop())


def _place(unit: float, size: int) -> int:
    return min(int(unit * size), size - 1)
