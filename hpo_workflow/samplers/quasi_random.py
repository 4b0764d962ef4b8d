"""Sobol points: as even as random points are not.

One scrambled sequence serves a whole study. It is found again in each call from the study's seed, and what was already
proposed is passed over, so that the points of many small batches are as even as those of one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

from hpo_workflow.samplers.history import History, draw_unproposed
from hpo_workflow.space import SearchSpace
from hpo_workflow.space.encoding import configuration
from hpo_workflow.trial import Value

VAIN = 1024
"""Points in a row that may meet known configurations before the space is looked through instead."""


def study_seed(rng: np.random.Generator) -> int:
    """The number that the generators of all batches of a study share.

    They are made from [seed of the study, number of the batch], or from the seed alone.
    """
    sequence: Any = getattr(rng.bit_generator, "seed_seq", None)
    entropy = getattr(sequence, "entropy", 0)
    if isinstance(entropy, int):
        return entropy
    return int(entropy[0]) if entropy is not None and len(entropy) else 0


def sobol_points(d: int, seed: int) -> Iterator[npt.NDArray[np.float64]]:
    """Points (d,) of one scrambled sequence, from its beginning, made in chunks of a power of two."""
    if d == 0:
        return
    sequence = qmc.Sobol(d, rng=np.random.default_rng(seed), bits=62)
    exponent = 6
    yield from sequence.random_base2(exponent)
    while True:
        yield from sequence.random_base2(exponent)
        exponent += 1


@dataclass(frozen=True)
class Sobol:
    """Points of one sequence in their order, without what was already proposed."""

    def propose(self, space: SearchSpace, history: History, n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        taken = history.keys(space)
        allowed = VAIN + len(taken)  # points that repeat the sequence's own beginning are no sign of an exhausted space
        found: list[dict[str, Value]] = []
        vain = 0
        for point in sobol_points(len(space.parameters), study_seed(rng)):
            if len(found) == n:
                return found
            params = configuration(space, point)
            key = space.key(params)
            if key in taken:
                vain += 1
                if vain > allowed:
                    break
                continue
            vain = 0
            taken.add(key)
            found.append(params)
        return found + draw_unproposed(space, taken, n - len(found), rng)
