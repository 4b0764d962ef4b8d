"""Samplers: from what is known to what to try next.

Every sampler is a pure function of (space, history, n, rng): equal arguments give equal proposals, in any process.
It returns fewer than `n` proposals only when nothing unproposed is left. A sampler's module is imported when it is
first asked for, because some of them need scipy, which takes a while to load. `registry` lists them.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import importlib.util
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from hpo_workflow.errors import ConfigError, Fault
from hpo_workflow.samplers.history import History, Observation
from hpo_workflow.samplers.plan import Plan
from hpo_workflow.samplers.registry import HINTS, LATER, SAMPLERS, Entry
from hpo_workflow.samplers.replacement import Replacement
from hpo_workflow.space import SearchSpace
from hpo_workflow.trial import Value


class Sampler(Protocol):
    """Makes proposals."""

    def propose(self, space: SearchSpace, history: History, n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        """`n` configurations to try next, none of them in the history; fewer only when no more are left."""
        ...


@runtime_checkable
class Checking(Protocol):
    """A sampler whose ideas are not trusted, and which says what it had to replace among them."""

    def propose_checked(
        self, space: SearchSpace, history: History, n: int, rng: np.random.Generator
    ) -> tuple[list[dict[str, Value]], list[Replacement]]:
        """Proposals, and what was replaced."""
        ...


def lives_through(sampler: Sampler) -> bool:
    """Whether a sampler lives through what it was told from the beginning, and must be told the same each time."""
    return bool(getattr(sampler, "lives_through", False))


def known_samplers() -> tuple[str, ...]:
    """Names that `sampler:` may have."""
    return tuple(SAMPLERS)


def get_sampler(settings: Mapping[str, Any] | str, plan: Plan | None = None) -> Sampler:
    """The sampler of a study file's `sampler:`.

    Args:
        settings: Its name, or a mapping of `name` and options.
        plan: How much is going to be tried, for samplers that choose by it.

    Raises:
        ConfigError: There is no such sampler or option, or what it needs is not installed.
    """
    settings = _normal(settings)
    faults = _check_names(settings)
    if faults:
        raise ConfigError("sampler", faults)
    entry = SAMPLERS[settings.get("name", "auto")]
    make = getattr(_module(entry), entry.name)
    values = {key: settings[key] for key in entry.options if key in settings}
    if entry.rest:
        values[entry.rest] = {key: settings[key] for key in _keys(settings) if key not in entry.options}
    if any(field.name == "plan" for field in dataclasses.fields(make)):
        values["plan"] = plan or Plan()
    sampler: Sampler = make(**values)
    return sampler


def check_settings(settings: Mapping[str, Any] | str, space: SearchSpace) -> list[Fault]:
    """All faults of `sampler:`, also those that appear only with this space."""
    settings = _normal(settings)
    faults = _check_names(settings)
    if not faults:
        entry = SAMPLERS[settings.get("name", "auto")]
        if entry.check:
            found: list[Fault] = getattr(_module(entry), entry.check)(settings, space)
            return found
    return faults


def _normal(settings: Mapping[str, Any] | str) -> Mapping[str, Any]:
    return {"name": settings} if isinstance(settings, str) else settings


def _module(entry: Entry) -> Any:
    return importlib.import_module(f"hpo_workflow.samplers.{entry.module}")


def _keys(settings: Mapping[str, Any]) -> list[str]:
    """The options that are given."""
    return [key for key in settings if key != "name" and not str(key).startswith("x-")]


def _check_names(settings: Any) -> list[Fault]:
    if not isinstance(settings, Mapping):
        return [Fault("sampler", f"{settings!r} is not a sampler.", f"Choose one of {', '.join(SAMPLERS)}.")]
    name = settings.get("name", "auto")
    if not isinstance(name, str) or name not in SAMPLERS:
        if name in LATER:
            return [Fault("sampler.name", f"{name} is not in this version.", f"Choose one of {', '.join(SAMPLERS)}.")]
        return [Fault("sampler.name", f"{name} is not a sampler.", _nearest(str(name), SAMPLERS, HINTS))]
    entry = SAMPLERS[name]
    faults = []
    if entry.package and importlib.util.find_spec(entry.package) is None:
        cure = f"Install it with pip install 'hpo-workflow[{entry.package}]', or choose another sampler."
        faults.append(Fault("sampler.name", f"{name} needs the package {entry.package}, which is not installed.", cure))
    for key in _keys(settings):
        value, option = settings[key], entry.options.get(key)
        if option is None and not entry.rest:
            cure = _nearest(str(key), ("name", *entry.options), {})
            faults.append(Fault(f"sampler.{key}", f"the sampler {name} has no such option.", cure))
        elif option is not None and not option.accepts(value):
            faults.append(Fault(f"sampler.{key}", f"{value!r} is not a possible {key}.", f"Give {option.wanted}."))
    for key, option in entry.options.items():
        if option.required and key not in settings:
            cure = f"Give {option.wanted}. {option.description}"
            faults.append(Fault(f"sampler.{key}", f"is missing, and the sampler {name} needs it.", cure))
    return faults


def _nearest(name: str, known: Iterable[str], hints: Mapping[str, str]) -> str:
    close = [hints[name.lower()]] if name.lower() in hints else difflib.get_close_matches(name.lower(), list(known), 1)
    meant = f"Did you mean {close[0]}? " if close else ""
    return f"{meant}Known here: {', '.join(known)}."


__all__ = [
    "Checking",
    "History",
    "Observation",
    "Plan",
    "Replacement",
    "Sampler",
    "check_settings",
    "get_sampler",
    "known_samplers",
    "lives_through",
]
