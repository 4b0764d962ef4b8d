"""A study that Optuna has stored: its space as the trials show it, and the trials themselves as `history:`.

Optuna stores no space, only the distribution of each value that a trial asked for. Together they are a space without
conditions; `optuna_conditions` infers those from who asked for what. What is inferred is said in words, as trials may
have shown less than the program does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from hpo_workflow.importers.draft import Draft, listed, quoted
from hpo_workflow.importers.ranges import float_range, int_range, without_repetition
from hpo_workflow.importers.study_text import flow, without_password
from hpo_workflow.integrations.optuna_conditions import recognise
from hpo_workflow.integrations.optuna_distributions import code_of, coded, value_of_code
from hpo_workflow.integrations.optuna_storage import StoredStudy
from hpo_workflow.space import Categorical, Condition, SearchSpace
from hpo_workflow.space.parameters import Parameter, exact

METRIC = "value"
"""The objective where the study has not named its metric."""

Distributions = dict[str, BaseDistribution]


def draft_study(stored: StoredStudy, url: str, *, only: bool = True) -> Draft:
    """A stored study as a draft of a study file.

    Args:
        stored: The study.
        url: Where it is, as `history:` takes it; a password in it is left out.
        only: Whether it is the only study there, so that its name need not be said.
    """
    draft = Draft("a study of Optuna")
    draft.name_study(stored.name, "study")
    distributions = _distributions(draft, stored)
    # by the order in which a program asks, parents first
    complete = [trial for trial in stored.trials if trial.state is TrialState.COMPLETE]
    if not distributions:
        draft.need("space", "The stored study has no trial that asked for a parameter.", "{lr: [0.001, 0.01]}")
    else:
        _space(draft, distributions, complete)
    shown = " ".join(f"--{name}=${{hpo.{name}{mark}}}" for name, mark in _placeholders(draft))
    draft.need("command", "Optuna stores no command.", f"python train.py {shown}".strip())
    _objective(draft, stored)
    draft.need("budget.trials", "Optuna does not store how many trials were wanted.", "64")
    renamed = [name for name in distributions if name not in {**draft.study.get("space", {}), **_missing(draft)}]
    if renamed:
        said = f"results are mapped by name, and {listed(renamed)} cannot be a name here: the old trials are left out."
        draft.leave_out("history", said, "Give them as a table with the new names: `history: [{csv: old.csv}]`.")
    else:
        entry = {"optuna": _without_password(draft, url)}
        draft.study["history"] = [entry if only else {**entry, "study_name": stored.name}]
    if not complete:
        draft.change("trials", "no trial is complete, so there are no conditions and no results to learn from.")
    return draft


def _missing(draft: Draft) -> dict[str, None]:
    """Parameters that are left to the user."""
    return {key.removeprefix("space."): None for key in draft.missing if key.startswith("space.")}


def _objective(draft: Draft, stored: StoredStudy) -> None:
    name = re.sub(r"[\s=]+", "_", stored.metric or "").strip("_") or METRIC
    draft.study["objective"] = {"metric": name, "direction": stored.direction}
    draft.change(
        "objective",
        "Optuna takes what a function returns.",
        f"Let the program print `{name}=0.5` instead.",
    )


def _without_password(draft: Draft, url: str) -> str:
    """The URL of a database without the secret in it."""
    kept = without_password(url)
    if kept != url:
        draft.change(
            "history",
            "the password of the database is not copied.",
            "Give it where the study is started, for PostgreSQL in ~/.pgpass.",
        )
    return kept


# ---- distributions -----------------------------------------------------------------------------------------------
def _distributions(draft: Draft, stored: StoredStudy) -> Distributions:
    """Each parameter's distribution; where trials differ, one that holds all of their values."""
    found: Distributions = {}
    unlike: dict[str, None] = {}
    for trial in stored.trials:
        for name, distribution in trial.distributions.items():
            if name not in found or found[name] == distribution:
                found.setdefault(name, distribution)
                continue
            both = _together(found[name], distribution)
            unlike[name] = None
            # of two kinds that cannot be put together the later one counts, as in Optuna itself
            found[name] = distribution if both is None else both
    for name in unlike:
        draft.change(
            f"params.{name}",
            f"trials had it from different ranges; here it is {flow(_entry(found[name]))}.",
            "Check that this is the range that you mean: results outside of it are left out.",
        )
    return found


def _together(one: BaseDistribution, other: BaseDistribution) -> BaseDistribution | None:
    """A distribution with the values of both; None where there is none."""
    if isinstance(one, FloatDistribution) and isinstance(other, FloatDistribution):
        low, high = min(one.low, other.low), max(one.high, other.high)
        steps = [exact(low) - exact(one.low), exact(low) - exact(other.low), exact(high) - exact(low)]
        meet = one.step is None or all(part % exact(one.step) == 0 for part in steps)
        if one.log == other.log and one.step == other.step and meet:
            return FloatDistribution(low, high, log=one.log, step=one.step)
    if isinstance(one, IntDistribution) and isinstance(other, IntDistribution) and one.log == other.log:
        step = math.gcd(one.step, other.step, one.low - other.low)
        return IntDistribution(min(one.low, other.low), max(one.high, other.high), log=one.log, step=max(1, step))
    return None


def _entry(distribution: BaseDistribution) -> Any:
    """What stands in `space:`."""
    if isinstance(distribution, CategoricalDistribution):
        return without_repetition([_choice(choice) for choice in distribution.choices])
    if isinstance(distribution, IntDistribution):
        return int_range(distribution.low, distribution.high, log=distribution.log, step=distribution.step)
    assert isinstance(distribution, FloatDistribution)
    entry = float_range(distribution.low, distribution.high, log=distribution.log)
    return {**entry, "step": distribution.step} if distribution.step and distribution.low < distribution.high else entry


def _choice(choice: Any) -> Any:
    """A choice as a study file can have it; others, such as null, as their text."""
    if isinstance(choice, (bool, str, int)) or (isinstance(choice, float) and math.isfinite(choice)):
        return choice
    return repr(choice)


# ---- the space ---------------------------------------------------------------------------------------------------
def _space(draft: Draft, distributions: Distributions, complete: list[FrozenTrial]) -> None:
    """Write the parameters, with the conditions that complete trials show."""
    parameters = {name: coded(name, distribution) for name, distribution in distributions.items()}
    conditional = any(parameters.keys() - trial.params.keys() for trial in complete)
    known = SearchSpace(tuple(parameters.values()), order=tuple(parameters))
    if conditional:
        known = recognise(parameters, [_row(trial, parameters, distributions) for trial in complete])
    names = {name: draft.parameter(f"params.{name}", name) for name in distributions}
    # parents first, as the reader of the file expects them; the others in the order in which they were asked for
    order = [parameter.name for parameter in known.parameters]
    for name in (*order, *(name for name in distributions if name not in order)):
        entry = _entry(distributions[name])
        _name_texts(draft, name, distributions[name])
        if name not in known.by_name:
            n = sum(name in trial.params for trial in complete)
            cure = f"Give {names[name]} the `when:` that the program has for it."
            said = f"{n} of {len(complete)} complete trials have it, and no single earlier parameter decides which."
            draft.leave_out(f"params.{name}", said, cure)
            shown = {**({"choices": entry} if isinstance(entry, list) else entry), "when": {"PARENT": "VALUE"}}
            draft.need(f"space.{names[name]}", said, flow(shown))
            continue
        when = {}
        for condition in known.by_name[name].when:
            parent = condition.parent
            when[names[parent]] = _wanted(condition, known.by_name[parent], distributions[parent])
        if when:
            entry = {**({"choices": entry} if isinstance(entry, list) else entry), "when": when}
            draft.change(
                f"params.{name}",
                f"no trial tells its condition; by {len(complete)} complete ones it exists where {flow(when)}.",
                "Compare it with the program.",
            )
        draft.section("space")[names[name]] = entry


def _row(
    trial: FrozenTrial, parameters: Mapping[str, Parameter], distributions: Distributions
) -> dict[str, int | float]:
    row: dict[str, int | float] = {}
    for name, value in trial.params.items():
        code = code_of(distributions[name], parameters[name], value)
        if code is not None:
            row[name] = code
    return row


def _wanted(condition: Condition, parent: Parameter, distribution: BaseDistribution) -> Any:
    """A condition on codes as one on values, as `when:` spells it."""
    if isinstance(parent, Categorical):
        codes = [code for code in range(parent.size) if condition.holds(code)]
        values = [_choice(value_of_code(distribution, code)) for code in codes]
        return values[0] if len(values) == 1 else values
    if condition.values is not None:
        return list(condition.values) if len(condition.values) > 1 else condition.values[0]
    bounds: dict[str, Any] = {}
    if condition.ge is not None:
        bounds["ge"] = math.ceil(condition.ge) if isinstance(distribution, IntDistribution) else condition.ge
    if condition.le is not None:
        bounds["le"] = math.floor(condition.le) if isinstance(distribution, IntDistribution) else condition.le
    return bounds


def _name_texts(draft: Draft, name: str, distribution: BaseDistribution) -> None:
    if not isinstance(distribution, CategoricalDistribution):
        return
    foreign = [choice for choice in distribution.choices if _choice(choice) is not choice]
    if foreign:
        said = f"{listed([quoted(choice) for choice in foreign])}: texts here, as no choice can be anything else."
        draft.change(f"params.{name}", said, "Let the program know them by these texts.")


def _placeholders(draft: Draft) -> list[tuple[str, str]]:
    """The parameters, and the mark that leaves a word out where one has a condition."""
    space = draft.study.get("space", {})
    return [(name, "?" if isinstance(entry, dict) and "when" in entry else "") for name, entry in space.items()]
