"""Search spaces and Optuna's distributions, in both directions, value for value.

Optuna has no conditions beside the program that suggests: `suggest` asks for a parameter only where it is active, and
distributions by themselves become a space without conditions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hpo_workflow.errors import ConfigError, Fault, MissingExtra
from hpo_workflow.space import Categorical, Float, Int, SearchSpace
from hpo_workflow.space.parameters import Parameter, same_choice
from hpo_workflow.space.search_space import is_active
from hpo_workflow.trial import Value

try:
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
except ImportError as error:
    raise MissingExtra("optuna", "optuna") from error


def as_space(space: SearchSpace | Mapping[str, Any]) -> SearchSpace:
    """A space that is given as `space:` of a study file, or as it is."""
    return space if isinstance(space, SearchSpace) else SearchSpace.from_mapping(space)


def to_distributions(space: SearchSpace | Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """What Optuna knows of each parameter that varies, without conditions; constants and derived values are left out.

    ConfigError for choices that Optuna takes for the same (1 and true).
    """
    parameters = as_space(space).parameters
    faults = [fault for parameter in parameters if (fault := _alike(parameter))]
    if faults:
        raise ConfigError("space", faults)
    return {parameter.name: _distribution(parameter) for parameter in parameters}


def _alike(parameter: Parameter) -> Fault | None:
    if isinstance(parameter, Categorical) and len(set(parameter.choices)) < len(parameter.choices):
        problem = f"Optuna cannot tell these choices apart: {', '.join(map(repr, parameter.choices))}."
        return Fault(f"space.{parameter.name}", problem, "Write them as text.")
    return None


def _distribution(parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, Categorical):
        return CategoricalDistribution(parameter.choices)
    if isinstance(parameter, Float):
        return FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)
    return IntDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)


def suggest(trial: optuna.trial.BaseTrial, space: SearchSpace | Mapping[str, Any]) -> dict[str, Value]:
    """The trial's configuration: each active parameter is suggested, parents first.

    Values are those of the space (0.3, where Optuna gives 0.30000000000000004).
    """
    space = as_space(space)
    distributions = to_distributions(space)
    params: dict[str, Value] = {}
    for parameter in space.parameters:
        if is_active(parameter, params, params):
            value = _suggested(trial, parameter.name, distributions[parameter.name])
            if isinstance(parameter, Float) and parameter.step is not None:
                value = parameter.value(parameter.index(value))
            params[parameter.name] = parameter.canonical(value)
    return params


def _suggested(trial: optuna.trial.BaseTrial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, FloatDistribution):
        return trial.suggest_float(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    assert isinstance(distribution, IntDistribution)
    return trial.suggest_int(name, distribution.low, distribution.high, step=distribution.step, log=distribution.log)


def from_distributions(distributions: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """The `space:` of a study file in which these parameters vary.

    ConfigError for choices that a study file cannot have (None, NaN) and for names that it does not allow.
    """
    faults = []
    space: dict[str, Any] = {}
    for name, distribution in distributions.items():
        if isinstance(distribution, CategoricalDistribution):
            foreign = [choice for choice in distribution.choices if not _is_value(choice)]
            if foreign:
                problem = f"{', '.join(map(repr, foreign))} cannot be a choice."
                faults.append(Fault(f"space.{name}.choices", problem, "A choice is true, false, a number or text."))
            space[name] = {"choices": list(distribution.choices)}
        elif isinstance(distribution, FloatDistribution):
            space[name] = {"type": "float", "low": distribution.low, "high": distribution.high}
            if distribution.step is not None and distribution.low < distribution.high:
                space[name]["step"] = distribution.step
        else:
            assert isinstance(distribution, IntDistribution)
            space[name] = {"type": "int", "low": distribution.low, "high": distribution.high}
            if distribution.step != 1:
                space[name]["step"] = distribution.step
        if getattr(distribution, "log", False):
            space[name]["log"] = True
    if faults:
        raise ConfigError("space", faults)
    SearchSpace.from_mapping(space)
    return space


def _is_value(choice: Any) -> bool:
    return isinstance(choice, (bool, int, str)) or (isinstance(choice, float) and math.isfinite(choice))


# ---- codes -----------------------------------------------------------------------------------------------------
def coded(name: str, distribution: BaseDistribution) -> Parameter:
    """A distribution as a parameter of ours; choices are numbered, so that they may be anything that Optuna allows.

    Choices that are all different numbers are ordered, as in a study file, and numbered by size.
    """
    if isinstance(distribution, CategoricalDistribution):
        return Categorical(name, tuple(range(len(distribution.choices))), ordered=_by_size(distribution) is not None)
    if isinstance(distribution, FloatDistribution):
        step = distribution.step if distribution.low < distribution.high else None
        return Float(name, distribution.low, distribution.high, distribution.log, step)
    assert isinstance(distribution, IntDistribution)
    return Int(name, distribution.low, distribution.high, distribution.log, distribution.step)


def _by_size(distribution: CategoricalDistribution) -> list[int] | None:
    """The indexes of choices by size, or None where they have no order."""
    choices: tuple[Any, ...] = distribution.choices
    if not all(isinstance(c, (int, float)) and not isinstance(c, bool) and math.isfinite(c) for c in choices):
        return None
    if len(set(choices)) < len(choices):
        return None
    return sorted(range(len(choices)), key=lambda i: choices[i])


def code_of(distribution: BaseDistribution, parameter: Parameter, value: Any) -> int | float | None:
    """A value of a trial as that of the coded parameter; None where the distribution has no such value."""
    if isinstance(value, np.generic):  # trials that somebody made by hand
        value = value.item()
    if isinstance(distribution, CategoricalDistribution):
        index = _index(distribution.choices, value)
        order = _by_size(distribution)
        return index if index is None or order is None else order.index(index)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    if isinstance(parameter, Float):
        if parameter.step is not None and parameter.low <= value <= parameter.high:
            near = parameter.value(parameter.index(value))
            return near if abs(near - value) <= 1e-8 * parameter.step else None
        return float(value) if parameter.contains(float(value)) else None
    return int(value) if parameter.contains(int(value)) and int(value) == value else None


def _index(choices: tuple[Any, ...], value: Any) -> int | None:
    """Which choice a value is; NaN is NaN, and 1 is not true."""
    for i, choice in enumerate(choices):
        both_nan = value != value and choice != choice
        if both_nan or (same_choice(choice) == same_choice(value)):
            return i
    return None


def value_of_code(distribution: BaseDistribution, code: Value) -> Any:
    """What Optuna calls a value of the coded parameter."""
    if isinstance(distribution, CategoricalDistribution):
        order = _by_size(distribution)
        return distribution.choices[int(code) if order is None else order[int(code)]]
    return code
