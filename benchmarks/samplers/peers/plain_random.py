"""Random search, drawn here: what all others are compared with must not depend on anybody's package."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.samplers.peers import Start
from benchmarks.samplers.spaces import Configuration, draw


class PlainRandom:
    """Every configuration for itself; none is avoided because it was there before."""

    def __init__(self, start: Start) -> None:
        self._space = start.space
        self._rng = np.random.default_rng(start.seed)

    def ask(self, n: int) -> list[tuple[None, Configuration]]:
        return [(None, draw(self._space, self._rng)) for _ in range(n)]

    def tell(self, handle: None, loss: float) -> None:
        """It learns nothing."""

    def learn(self, configurations: Sequence[Configuration], losses: Sequence[float]) -> None:
        """It learns nothing."""


def player(start: Start, which: str) -> PlainRandom:
    return PlainRandom(start)
