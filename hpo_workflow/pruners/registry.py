"""The pruners there are, and the options that each takes in a study file."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hpo_workflow.errors import Fault
from hpo_workflow.samplers.options import Option, number, whole

AT_THE_END = ("trial.seconds", "trial.max_rss_mb")
"""Objectives that are known only when a trial has ended."""


@dataclass(frozen=True)
class Entry:
    """One pruner.

    Args:
        description: Which trials it stops, in a few words.
        options: Its own keys beside `name`.
    """

    description: str
    options: Mapping[str, Option] = field(default_factory=dict)


def _amount(description: str, default: float | None = None, low: float = -math.inf) -> Option:
    """A finite number from `low` on."""

    def accepts(value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and max(low, -1e300) <= value <= 1e300

    return Option("a number" if math.isinf(low) else f"a number from {low:g}", accepts, description, default)


_WARMUP = _amount("No trial is stopped up to this step; 0 is no such bound.", 0, 0)
_AUDIT = number(
    "The share of the trials that would be stopped which runs on, to see what is lost; the seed decides which.", 0, 1, 0
)
_COMPARED = {
    "startup": whole("Complete trials that are waited for before anything is stopped.", 5),
    "warmup": _WARMUP,
    "interval": _amount("Steps between two judgements of a trial; with 0 each new step is judged.", 0, 0),
    "audit": _AUDIT,
}

PRUNERS: dict[str, Entry] = {
    "median": Entry("stops a trial whose best value so far is worse than the median of the others'", _COMPARED),
    "percentile": Entry(
        "the same with another share than one half",
        {
            "percentile": Option(
                "a number above 0 and below 100",
                lambda value: isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 100,
                "How many percent go on: with 25, a trial whose best value is among the best 25 % of the others'.",
                required=True,
            ),
            **_COMPARED,
        },
    ),
    "threshold": Entry(
        "stops a trial as soon as its newest value is beyond a bound",
        {
            "lower": _amount("A value below it stops the trial."),
            "upper": _amount("A value above it stops the trial."),
            "warmup": _WARMUP,
            "audit": _AUDIT,
        },
    ),
    "patient": Entry(
        "stops a trial that no longer becomes better",
        {
            "patience": Option(
                "a whole number from 1",
                lambda value: isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10**9,
                "So many reports in a row without a better value.",
                required=True,
            ),
            "min_delta": _amount("A value counts as better when it is so by more than this.", 0, 0),
            "warmup": _WARMUP,
            "audit": _AUDIT,
        },
    ),
}
"""By the name that `pruner:` has."""

_HINTS = {
    "medianpruner": "median",
    "median_stopping": "median",
    "medianstop": "median",
    "percentilepruner": "percentile",
    "thresholdpruner": "threshold",
    "patientpruner": "patient",
    "patience": "patient",
    "plateau": "patient",
    "early_stopping": "patient",
}
"""What people call a pruner -> its name here."""

_METHODS = ("asha", "hyperband", "sha", "successive_halving", "successivehalving", "pbt")
"""Names of what is a method of `fidelity:` here."""

_NOTHING = ("none", "off", "no", "false", "null", "nop", "noppruner")

_OTHER_KEYS = {
    "n_startup_trials": "startup",
    "min_trials": "startup",
    "n_warmup_steps": "warmup",
    "grace_period": "warmup",
    "interval_steps": "interval",
    "min_improvement": "min_delta",
    "low": "lower",
    "high": "upper",
    "min": "lower",
    "max": "upper",
}
"""What people call an option -> its name here."""


def normal(settings: Mapping[str, Any] | str) -> dict[str, Any]:
    """A `pruner:` without faults as the runner reads it: its name, and every option with its default filled in."""
    given = {"name": settings} if isinstance(settings, str) else settings
    options = PRUNERS[given["name"]].options
    return {"name": given["name"], **{key: given.get(key, option.default) for key, option in options.items()}}


def check_settings(settings: Mapping[str, Any] | str, metric: str | None) -> list[Fault]:
    """All faults of a `pruner:`.

    Args:
        settings: A name, or a mapping of `name` and options; `x-*` keys are the user's own.
        metric: The objective, where it is known.
    """
    given = {"name": settings} if isinstance(settings, str) else settings
    name = given.get("name")
    if name not in PRUNERS:
        return [Fault("pruner.name", f"{name} is not a pruner.", _known(str(name)))]
    faults = []
    if metric in AT_THE_END:
        problem = f"stops trials by what they print, and the objective, {metric}, is known when a trial has ended."
        faults.append(Fault("pruner", problem, "Remove it, or optimise a metric that the program prints."))
    options = PRUNERS[name].options
    listed = ", ".join(options)
    for key, value in given.items():
        if key == "name" or str(key).startswith("x-"):
            continue
        if key not in options:
            meant = _OTHER_KEYS.get(str(key).lower()) or next(iter(difflib.get_close_matches(key, options, 1)), None)
            cure = f"Did you mean {meant}? " if meant in options else ""
            faults.append(Fault(f"pruner.{key}", f"{name} has no such option.", f"{cure}It has {listed}."))
        elif not options[key].accepts(value):
            faults.append(Fault(f"pruner.{key}", f"{value!r} is not a possible {key}.", f"Give {options[key].wanted}."))
    for key, option in options.items():
        if option.required and key not in given:
            cure = f"Give {option.wanted}. {option.description}"
            faults.append(Fault(f"pruner.{key}", f"is missing, and {name} needs it.", cure))
    if name == "threshold" and not faults:
        lower, upper = given.get("lower"), given.get("upper")
        if lower is None and upper is None:
            cure = "Give at least one of them, for example `upper: 10`."
            faults.append(Fault("pruner", "threshold needs a bound, and neither lower nor upper is given.", cure))
        elif lower is not None and upper is not None and lower >= upper:
            faults.append(Fault("pruner.lower", f"{lower:g} is not below upper, {upper:g}.", "Give a lower one."))
    return faults


def _known(name: str) -> str:
    word = name.lower()
    if word in _NOTHING:
        return f"Remove pruner:, and nothing is stopped. Known here: {', '.join(PRUNERS)}."
    if word in _METHODS:
        return f"That is a method of `fidelity:`. Known here: {', '.join(PRUNERS)}."
    close = [_HINTS[word]] if word in _HINTS else difflib.get_close_matches(name, list(PRUNERS), 1)
    meant = f"Did you mean {close[0]}? " if close else ""
    return f"{meant}Known here: {', '.join(PRUNERS)}."


def describe(settings: Mapping[str, Any]) -> str:
    """What a pruner will do, for people: `median, once 5 trials are complete, after step 3`.

    Args:
        settings: As `normal` gives them.
    """
    name = settings["name"]
    words = [name]
    if name == "percentile":
        words = [f"percentile, the best {settings['percentile']:g} % go on"]
    elif name == "threshold":
        bounds = [
            f"{side} {settings[key]:g}"
            for key, side in (("lower", "below"), ("upper", "above"))
            if settings[key] is not None
        ]
        words = [f"threshold, {' or '.join(bounds)}"]
    elif name == "patient":
        more = f" by more than {settings['min_delta']:g}" if settings["min_delta"] else ""
        words = [f"patient, {settings['patience']} reports without a better value{more}"]
    startup = settings.get("startup", 1)
    words.append(f"once {startup} trials are complete" if startup > 1 else "once a trial is complete")
    if settings["warmup"]:
        words.append(f"after step {settings['warmup']:g}")
    if settings["audit"]:
        words.append(f"{100 * settings['audit']:g} % of what it would stop run on (audit)")
    return ", ".join(words)
