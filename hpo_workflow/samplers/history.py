"""What a sampler is told: results, failures and what is still pending."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from hpo_workflow.space import SearchSpace
from hpo_workflow.trial import Params


@dataclass(frozen=True)
class Observation:
    """A configuration that was tried.

    Args:
        params: Its active parameters.
        loss: Smaller is better; None where it failed.
    """

    params: Params
    loss: float | None


@dataclass(frozen=True)
class History:
    """All that is known when a sampler is asked.

    Args:
        observations: What has ended, complete or failed.
        pending: What was proposed and has no result yet.
    """

    observations: tuple[Observation, ...] = ()
    pending: tuple[Params, ...] = ()

    def with_pending(self, more: Iterable[Params]) -> History:
        """The same with more pending configurations."""
        return History(self.observations, (*self.pending, *more))

    def keys(self, space: SearchSpace) -> set[str]:
        """Keys of everything that was ever proposed."""
        found = {space.key(observation.params) for observation in self.observations}
        found.update(space.key(params) for params in self.pending)
        return found

    def in_order(self, space: SearchSpace) -> History:
        """What fits the space, in an order that does not depend on which result came first.

        A loss that is not finite counts as a failure.
        """
        observations = [
            Observation(o.params, o.loss if o.loss is not None and math.isfinite(o.loss) else None)
            for o in self.observations
            if space.fits(o.params)
        ]
        observations.sort(key=lambda o: (space.key(o.params), o.loss is None, o.loss or 0.0))
        pending = sorted((params for params in self.pending if space.fits(params)), key=space.key)
        return History(tuple(observations), tuple(pending))
