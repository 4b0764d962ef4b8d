"""Explore: a configuration near another one, for training that goes on from the other's work.

Source: Jaderberg et al. 2017, arXiv:1711.09846, for perturbing by a factor and for resampling. What they say of floats
is carried over here to whole numbers, steps, choices and conditions.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from hpo_workflow.space import Categorical, Parameter, SearchSpace
from hpo_workflow.space.encoding import Encoding, configuration
from hpo_workflow.space.prior import PriorDensity
from hpo_workflow.space.start import with_values
from hpo_workflow.trial import Params, Value

FACTORS = (0.8, 1.2)
"""Those of Jaderberg et al. 2017."""

TRIES = 50
"""So many draws may meet known configurations; a space where all do has hardly any others."""

DIGITS = 12
"""Significant digits of a float that was multiplied: 0.08, not 0.08000000000000002."""

KINDS = ("factor", "resample")


def perturbed(
    space: SearchSpace,
    params: Params,
    kind: str,
    share: float,
    fixed: Collection[str],
    taken: Collection[str],
    rng: np.random.Generator,
) -> dict[str, Value]:
    """A configuration of `space` near `params`.

    `factor` multiplies each number by 0.8 or 1.2, whatever its scale, moves each ordered choice to a neighbour or keeps
    it, and redraws each unordered choice with probability `share`. `resample` redraws each parameter with probability
    `share` and keeps it otherwise. What is redrawn follows the prior of the space. A parameter that is inactive in
    `params` and active in what is found is drawn.

    Args:
        params: A configuration that fits.
        kind: One of KINDS.
        share: From 0 to 1.
        fixed: Names of parameters that keep their values.
        taken: Keys of configurations that are not wanted; one of them comes back only where nothing else is found.
    """
    found: dict[str, Value] = dict(params)
    for _ in range(TRIES):
        given: dict[str, Value] = {}
        for parameter in space.parameters:
            name = parameter.name
            if name not in params:
                continue
            value: Value | None = params[name]
            if name not in fixed:
                value = _moved(parameter, params[name], kind, share, rng)
            if value is not None:
                given[name] = value
        found = _drawn_within(space, given, rng)
        if space.key(found) not in taken:
            break
    return found


def _moved(parameter: Parameter, value: Value, kind: str, share: float, rng: np.random.Generator) -> Value | None:
    """Another value of a parameter, or the same; None where it is to be drawn."""
    if kind == "resample" or (isinstance(parameter, Categorical) and not parameter.ordered):
        return None if rng.random() < share else value
    up = bool(rng.random() < 0.5)
    if isinstance(parameter, Categorical):
        rank = parameter.ranks[parameter.index(value)] + (1 if up else -1)
        return parameter.by_rank[min(max(rank, 0), parameter.size - 1)]
    if parameter.size is None and value == 0:
        return None  # no factor changes it
    return scaled(parameter, value, FACTORS[up])


def scaled(parameter: Parameter, value: Value, factor: float) -> Value:
    """The possible value of a numeric parameter that is nearest to `factor * value`, inside its bounds.

    Where that is the value itself, because the next ones are further away, it is the next one on that side.
    """
    assert not isinstance(parameter, Categorical)
    number = float(value)
    wanted = min(max(factor * number, parameter.low), parameter.high)
    if parameter.size is None:
        return min(max(float(f"{wanted:.{DIGITS}g}"), parameter.low), parameter.high)
    step = parameter.step or 1.0
    index = round((wanted - parameter.low) / step) if parameter.size > 1 else 0
    now = parameter.index(value)
    if index == now:
        grows = (factor > 1.0) is (number >= 0.0)
        index = now + (1 if grows else -1)
    return parameter.value(min(max(index, 0), parameter.size - 1))


def _drawn_within(space: SearchSpace, given: Params, rng: np.random.Generator) -> dict[str, Value]:
    """A configuration with the values `given` wherever they are active; the rest is drawn as the prior says."""
    part = with_values(space, given)
    point = PriorDensity(Encoding(part)).from_uniform(rng.random((1, len(part.parameters))))
    return configuration(part, point[0])
