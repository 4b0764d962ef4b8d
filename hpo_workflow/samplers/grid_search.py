"""Grid search: all values of ints and choices, `points` of floats.

As written, the last parameter changes fastest. Shuffled, the order is a permutation that is computed a number at a time
from the study's seed: it needs no list of the grid, and it is the same one after an interruption or when the budget
grows. A number below n = a * b is a pair (x, y), and in turn x is shifted by a hash of y and y by one of x; where a * b
is a little more than n, a number that falls outside is sent round again until it falls inside.
Source: Black and Rogaway 2002, "Ciphers with arbitrary finite domains" (generalised Feistel network, cycle walking).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from hpo_workflow.errors import ConfigError, Fault
from hpo_workflow.samplers.design import study_seed
from hpo_workflow.samplers.history import History
from hpo_workflow.space import Categorical, SearchSpace
from hpo_workflow.space.grid_index import GridIndex
from hpo_workflow.trial import Value

SWEEPS = 4
"""Both halves of a number are shifted so often; three suffice where nobody attacks."""


def faults_of(settings: Mapping[str, Any], space: SearchSpace) -> list[Fault]:
    """The floats of which a grid cannot try all values."""
    problem = "the grid sampler cannot try all values of a float."
    cure = "Give points, for example points: 5, or choose another sampler."
    endless = [p.name for p in space.parameters if not isinstance(p, Categorical) and p.grid is None]
    return [Fault(f"space.{name}", problem, cure) for name in endless]


def shuffled(n: int, seed: int) -> Iterator[int]:
    """The numbers below `n` in a random order, each once; they are made one by one."""
    a = math.isqrt(n - 1) + 1 if n else 1
    b = -(-n // a)
    for number in range(n):
        while True:
            x, y = divmod(number, b)
            for sweep in range(SWEEPS):
                x = (x + _hash(seed, sweep, 0, y)) % a
                y = (y + _hash(seed, sweep, 1, x)) % b
            number = x * b + y
            if number < n:
                break
        yield number


def _hash(*numbers: int) -> int:
    return int.from_bytes(hashlib.blake2b(repr(numbers).encode(), digest_size=16).digest(), "big")


@dataclass(frozen=True)
class GridSearch:
    """The grid from its beginning, without what was already proposed; fewer than asked when the grid ends.

    Args:
        order: `written` or `shuffled`.
    """

    order: str = "written"

    def propose(self, space: SearchSpace, history: History, n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        if space.grid_size() is None:
            raise ConfigError("space", faults_of({}, space))
        taken = history.keys(space)
        grid = space.grid()
        if self.order == "shuffled":
            index = GridIndex(space)
            grid = (index[number] for number in shuffled(index.size, study_seed(rng)))
        return list(islice((params for params in grid if space.key(params) not in taken), n))
