"""Ask and tell from Python, without a workflow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hpo_workflow.errors import ConfigError, UsageError
from hpo_workflow.samplers import Plan, check_settings, get_sampler
from hpo_workflow.samplers.design import draw_within, start_rng
from hpo_workflow.samplers.history import History, Observation
from hpo_workflow.space import SearchSpace
from hpo_workflow.space.start import read_start
from hpo_workflow.trial import Value


class Optimizer:
    """Minimises a loss over a search space::

        space = {"lr": {"type": "float", "low": 1e-5, "high": 0.1, "log": True}}
        opt = Optimizer(space, sampler="gp", seed=0)
        for params in opt.ask(8):
            opt.tell(params, train(**params))

    Args:
        space: As `space:` in a study file.
        sampler: A name, or a mapping with a name and options, as `sampler:` in a study file.
        seed: Equal seeds and equal calls give equal proposals, in any process.
        budget: How many configurations will be tried, if that is known; some samplers choose by it.
        parallel: How many are under way at once.
        start: Configurations, or parts of them, that `ask` gives first; what they leave out is drawn.

    What was asked and not told is pending: samplers know of it and do not propose it again.
    """

    def __init__(
        self,
        space: Mapping[str, Any] | SearchSpace,
        sampler: str | Mapping[str, Any] = "auto",
        seed: int = 0,
        *,
        budget: int | None = None,
        parallel: int = 1,
        start: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.space = space if isinstance(space, SearchSpace) else SearchSpace.from_mapping(space)
        faults = check_settings(sampler, self.space)
        if faults:
            raise ConfigError("sampler", faults)
        if not _is_whole(seed) or seed < 0:
            raise UsageError(f"seed is {seed!r}; give a whole number from 0.")
        self.seed = int(seed)
        for name, count in (("budget", 1 if budget is None else budget), ("parallel", parallel)):
            if not _is_whole(count) or count < 1:
                raise UsageError(f"{name} is {count!r}; give a whole number from 1.")
        self._sampler = get_sampler(sampler, Plan(budget, parallel))
        points = read_start(self.space, [_plain_all(point) for point in start])
        if points.faults:
            raise ConfigError("Optimizer", points.faults)
        self._start = list(points.points)
        self._observations: list[Observation] = []
        self._pending: dict[str, dict[str, Value]] = {}

    @property
    def history(self) -> History:
        """What the sampler is told."""
        return History(tuple(self._observations), tuple(self._pending.values()))

    def ask(self, n: int = 1) -> list[dict[str, Value]]:
        """`n` configurations to try, active parameters only; fewer only when nothing new is left in the space."""
        if not _is_whole(n) or n < 0:
            raise UsageError(f"ask({n!r}): give how many proposals you want, a whole number from 0.")
        if n == 0:
            return []
        first = self._next_start(int(n))
        if len(first) == n:
            return first
        history = self.history
        rng = np.random.default_rng([self.seed, len(history.observations) + len(history.pending)])
        proposals = self._sampler.propose(self.space, history, int(n) - len(first), rng)
        for params in proposals:
            self._pending[self.space.key(params)] = dict(params)
        return first + proposals

    def _next_start(self, n: int) -> list[dict[str, Value]]:
        """The next start points, `n` at most; one that was proposed or told already is passed over."""
        found: list[dict[str, Value]] = []
        while self._start and len(found) < n:
            history = self.history
            rng = start_rng(self.seed, len(history.observations) + len(history.pending))
            params = draw_within(self.space, self._start.pop(0), history.keys(self.space), rng)
            if params is not None:
                self._pending[self.space.key(params)] = dict(params)
                found.append(params)
        return found

    def tell(self, params: Mapping[str, Any], loss: float | None) -> None:
        """What came of a configuration; `None` (or a number that is not finite) says that it failed.

        The configuration need not have been asked for: results of earlier searches can be told before the first ask.
        """
        values = {name: _plain(value) for name, value in params.items()}
        if not self.space.fits(values):
            raise UsageError(f"tell({values!r}): {self._misfit(values)}")
        values = self.space.canonical(values)
        number = None if loss is None else float(loss)
        if number is not None and not math.isfinite(number):
            number = None
        self._pending.pop(self.space.key(values), None)
        self._observations.append(Observation(values, number))

    def _misfit(self, values: Mapping[str, Any]) -> str:
        """Why a configuration does not fit the space."""
        active = self.space.active(values)
        for name in values:
            parameter = self.space.sampled(name)
            if parameter is None:
                return f"{name} is not a parameter that varies; those are {', '.join(self.space.by_name)}."
            if name not in active:
                return f"{name} is inactive with these values; leave it out."
            if not parameter.contains(values[name]):
                return f"{values[name]!r} is not possible for {name}."
        missing = [name for name in active if name not in values]
        return f"{', '.join(missing)} missing."


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _plain(value: Any) -> Any:
    """A number of numpy as one of Python."""
    return value.item() if isinstance(value, np.generic) else value


def _plain_all(values: Any) -> Any:
    """The same for all values of a mapping; anything else as it is."""
    return {name: _plain(value) for name, value in values.items()} if isinstance(values, Mapping) else values
