"""Our samplers, through the public Optimizer."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.samplers.peers import Start
from benchmarks.samplers.spaces import Configuration
from hpo_workflow import Optimizer


class Ours:
    """A space of these benchmarks is the `space:` of a study file, so nothing is translated."""

    def __init__(self, start: Start, name: str) -> None:
        self._optimizer = Optimizer(start.space, name, start.seed, budget=start.budget, parallel=start.parallel)

    def ask(self, n: int) -> list[tuple[Configuration, Configuration]]:
        return [(one, one) for one in self._optimizer.ask(n)]

    def tell(self, handle: Configuration, loss: float) -> None:
        self._optimizer.tell(handle, loss)

    def learn(self, configurations: Sequence[Configuration], losses: Sequence[float]) -> None:
        for configuration, loss in zip(configurations, losses, strict=True):
            self._optimizer.tell(configuration, loss)


def player(start: Start, which: str) -> Ours:
    return Ours(start, which)
