"""Samplers: from what is known to what to try next.

Every sampler is a pure function of (space, history, n, rng): equal arguments give equal proposals, in any process.
It returns fewer than `n` proposals only when nothing unproposed is left. A sampler's module is imported when it is
first asked for, because some of them need scipy, which takes a while to load.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from hpo_workflow.errors import ConfigError, Fault
from hpo_workflow.samplers.history import History, Observation
from hpo_workflow.space import Categorical, SearchSpace
from hpo_workflow.trial import Value


class Sampler(Protocol):
    """Makes proposals."""

    def propose(self, space: SearchSpace, history: History, n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        """`n` configurations to try next, none of them in the history; fewer only when no more are left."""
        ...


@dataclass(frozen=True)
class _Entry:
    """Where a sampler lives and which options it takes (name -> smallest value; all options are whole numbers)."""

    module: str
    name: str
    options: Mapping[str, int] = field(default_factory=dict)


_SAMPLERS = {
    "auto": _Entry("tpe", "TPE"),
    "tpe": _Entry("tpe", "TPE", {"startup": 1, "candidates": 1}),
    "gp": _Entry("bayesian", "GaussianProcessSampler", {"startup": 1}),
    "random": _Entry("random_search", "RandomSearch"),
    "grid": _Entry("grid_search", "GridSearch"),
    "sobol": _Entry("quasi_random", "Sobol"),
}

_HINTS = {
    "bayes": "gp",
    "bayesian": "gp",
    "bo": "gp",
    "gaussian_process": "gp",
    "parzen": "tpe",
    "hyperopt": "tpe",
    "optuna": "tpe",
    "random_search": "random",
    "grid_search": "grid",
    "qmc": "sobol",
    "default": "auto",
}

_LATER = ("cmaes", "external", "nsga2")


def known_samplers() -> tuple[str, ...]:
    """Names that `sampler:` may have."""
    return tuple(_SAMPLERS)


def _normal(settings: Mapping[str, Any] | str) -> Mapping[str, Any]:
    return {"name": settings} if isinstance(settings, str) else settings


def get_sampler(settings: Mapping[str, Any] | str) -> Sampler:
    """The sampler of a study file's `sampler:`; ConfigError if there is no such sampler or option."""
    settings = _normal(settings)
    faults = _check_names(settings)
    if faults:
        raise ConfigError("sampler", faults)
    entry = _SAMPLERS[settings.get("name", "auto")]
    make = getattr(importlib.import_module(f"hpo_workflow.samplers.{entry.module}"), entry.name)
    sampler: Sampler = make(**{key: settings[key] for key in entry.options if key in settings})
    return sampler


def check_settings(settings: Mapping[str, Any] | str, space: SearchSpace) -> list[Fault]:
    """All faults of `sampler:`, also those that appear only with this space."""
    settings = _normal(settings)
    faults = _check_names(settings)
    if not faults and settings.get("name") == "grid":
        for parameter in space.parameters:
            if not isinstance(parameter, Categorical) and parameter.grid is None:
                key = f"space.{parameter.name}"
                problem = "the grid sampler cannot try all values of a float."
                faults.append(Fault(key, problem, "Give points, for example points: 5, or choose another sampler."))
    return faults


def _check_names(settings: Any) -> list[Fault]:
    if not isinstance(settings, Mapping):
        return [Fault("sampler", f"{settings!r} is not a sampler.", f"Choose one of {_listed(_SAMPLERS)}.")]
    name = settings.get("name", "auto")
    if not isinstance(name, str) or name not in _SAMPLERS:
        if name in _LATER:
            return [Fault("sampler.name", f"{name} is not in this version.", f"Choose one of {_listed(_SAMPLERS)}.")]
        return [Fault("sampler.name", f"{name} is not a sampler.", _nearest(str(name), _SAMPLERS, _HINTS))]
    options = _SAMPLERS[name].options
    faults = []
    for key, value in settings.items():
        if key == "name" or str(key).startswith("x-"):
            continue
        if key not in options:
            cure = _nearest(str(key), ("name", *options), {})
            faults.append(Fault(f"sampler.{key}", f"the sampler {name} has no such option.", cure))
        elif not isinstance(value, int) or isinstance(value, bool) or not options[key] <= value <= 10**6:
            cure = f"Give a whole number from {options[key]}."
            faults.append(Fault(f"sampler.{key}", f"{value!r} is not a possible {key}.", cure))
    return faults


def _listed(names: Any) -> str:
    return ", ".join(names)


def _nearest(name: str, known: Any, hints: Mapping[str, str]) -> str:
    close = [hints[name.lower()]] if name.lower() in hints else difflib.get_close_matches(name, list(known), 1)
    meant = f"Did you mean {close[0]}? " if close else ""
    return f"{meant}Known here: {_listed(known)}."


__all__ = ["History", "Observation", "Sampler", "check_settings", "get_sampler", "known_samplers"]
