"""Configurations that need no model: random ones, even ones, and whatever is left. Samplers begin with them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from hpo_workflow.space import SearchSpace
from hpo_workflow.space.encoding import Array, Encoding, configuration
from hpo_workflow.space.prior import PriorDensity
from hpo_workflow.space.start import with_values
from hpo_workflow.trial import Params, Value

LISTED = 20_000
"""A finite space up to this size is listed to draw from what is left; of a larger one the first free ones are taken."""

TRIES = 200
"""Draws in a row that may meet known configurations before the space is looked through instead."""

FREE = 11
"""Of so many draws one ignores the prior in all parameters at once. The floor of a prior does so in its own parameter,
which is not enough where the priors of many are wrong. Odd, as each second Sobol point is in the same half."""

VAIN = 1024
"""The same for points of a sequence."""


def unproposed(space: SearchSpace, taken: set[str]) -> Iterator[dict[str, Value]]:
    """Configurations of a finite space that are not in `taken`, each once, in its order; of an endless one nothing."""
    if space.n_configurations() is None:
        return iter(())
    return (params for params in space.configurations() if space.key(params) not in taken)


def draw_unproposed(space: SearchSpace, taken: set[str], n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
    """`n` new configurations by looking through the whole space; fewer only when no more are left.

    For when drawing at random keeps meeting what is taken. An endless space gives none.
    """
    size = space.n_configurations()
    if size is None or size > LISTED:
        return list(islice(unproposed(space, taken), n))
    left = list(unproposed(space, taken))
    return [left[i] for i in rng.permutation(len(left))[:n]]


def draw_new(
    space: SearchSpace, taken: set[str], rng: np.random.Generator, prior: PriorDensity | None = None
) -> dict[str, Value] | None:
    """One configuration that is not in `taken`, drawn as the space's prior says; None when the space is exhausted.

    Args:
        prior: That of the space, where the caller has it.
    """
    prior = prior or PriorDensity(Encoding(space))
    for _ in range(TRIES):
        point = rng.random((1, len(space.parameters)))
        if prior.informative and rng.random() >= 1 / FREE:
            point = prior.from_uniform(point)
        params = configuration(space, point[0])
        if space.key(params) not in taken:
            return params
    return next(iter(draw_unproposed(space, taken, 1, rng)), None)


def start_rng(seed: int, number: int) -> np.random.Generator:
    """The generator of what a start point leaves open; apart from that of the batch, which it does not disturb.

    Args:
        seed: Of the study.
        number: How many configurations were proposed before it.
    """
    return np.random.default_rng([seed, number, 1])


def draw_within(
    space: SearchSpace, given: Params, taken: set[str], rng: np.random.Generator
) -> dict[str, Value] | None:
    """A configuration with the values `given` and the rest drawn as the prior says; None when all are in `taken`."""
    return draw_new(with_values(space, given), taken, rng)


def draw_all_new(space: SearchSpace, taken: set[str], n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
    """`n` different configurations that are not in `taken`, as the prior says; fewer only when no more are left."""
    taken = set(taken)
    prior = PriorDensity(Encoding(space))
    found: list[dict[str, Value]] = []
    while len(found) < n:
        params = draw_new(space, taken, rng, prior)
        if params is None:
            break
        taken.add(space.key(params))
        found.append(params)
    return found


def study_seed(rng: np.random.Generator) -> int:
    """The number that the generators of all batches of a study share.

    They are made from [seed of the study, number of the batch], or from the seed alone.
    """
    sequence: Any = getattr(rng.bit_generator, "seed_seq", None)
    entropy = getattr(sequence, "entropy", None)
    if isinstance(entropy, int):
        return entropy
    return int(entropy[0]) if entropy is not None and len(entropy) else 0


def sobol_points(d: int, seed: int) -> Iterator[Array]:
    """Points (d,) of one scrambled sequence, from its beginning, made in chunks of a power of two."""
    from scipy.stats import qmc  # takes a while to load

    sequence = qmc.Sobol(d, rng=np.random.default_rng(seed), bits=62)
    exponent = 6
    yield from sequence.random_base2(exponent)
    while True:
        yield from sequence.random_base2(exponent)
        exponent += 1


def latin_hypercube(m: int, d: int, rng: np.random.Generator) -> Array:
    """(m, d) points; each parameter's range is cut into m parts, and each part gets one point.

    Source: McKay, Beckman and Conover 1979. numpy only, unlike Sobol sequences.
    """
    parts = rng.permuted(np.tile(np.arange(m)[:, None], (1, d)), axis=0)
    return np.asarray((parts + rng.random((m, d))) / m)


def latin_points(d: int, seed: int, first: int) -> Iterator[Array]:
    """Points (d,) of Latin hypercubes, of which the first has `first` points and each next one twice as many.

    So a few points try the values of every parameter evenly, and all choices as often, give or take one.
    """
    rng = np.random.default_rng(seed)
    size = first
    while True:
        yield from latin_hypercube(size, d, rng)
        size *= 2


def latin_new(
    space: SearchSpace, taken: set[str], n: int, first: int, rng: np.random.Generator
) -> list[dict[str, Value]]:
    """The next `n` points of the study's Latin hypercubes that are not in `taken`; fewer only when no more are left.

    Args:
        space: To draw from.
        taken: Keys of what was proposed before.
        n: How many.
        first: Points of the first hypercube.
        rng: Its seed tells the study.
    """
    return _next_new(space, taken, n, latin_points(len(space.parameters), study_seed(rng), first), rng)


def sobol_new(space: SearchSpace, taken: set[str], n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
    """The next `n` points of the study's Sobol sequence that are not in `taken`; fewer only when no more are left."""
    return _next_new(space, taken, n, sobol_points(len(space.parameters), study_seed(rng)), rng)


def _next_new(
    space: SearchSpace, taken: set[str], n: int, points: Iterator[Array], rng: np.random.Generator
) -> list[dict[str, Value]]:
    """The next `n` points of an endless sequence that are not in `taken`; fewer only when no more are left.

    One sequence serves a whole study. It is found again in each call from the study's seed, and what was already
    proposed is passed over, so that the points of many small batches are as even as those of one. Where the space has a
    prior, the points are as dense as it says, but for each eleventh.
    """
    taken = set(taken)
    prior = PriorDensity(Encoding(space))
    allowed = VAIN + len(taken)  # passing over the sequence's own beginning is no sign of an exhausted space
    found: list[dict[str, Value]] = []
    vain = 0
    for index, point in enumerate(
        points if n > 0 else ()
    ):  # not even one: Sobol points need a module that loads slowly
        if len(found) == n or vain > allowed:
            break
        if (index + 1) % FREE:
            point = prior.from_uniform(point[None, :])[0]
        params = configuration(space, point)
        key = space.key(params)
        if key in taken:
            vain += 1
            continue
        vain = 0
        taken.add(key)
        found.append(params)
    return found + draw_unproposed(space, taken, n - len(found), rng)
