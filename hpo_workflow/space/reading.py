"""From a study file's `space:` to a SearchSpace, with every fault in one report."""

from __future__ import annotations

import difflib
import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from hpo_workflow.errors import Fault
from hpo_workflow.space.conditions import BOUNDS, Condition
from hpo_workflow.space.expression import Expression, ExpressionError, parse_expression, unknown_name_cure
from hpo_workflow.space.parameters import (
    STRENGTHS,
    Categorical,
    Float,
    Int,
    Parameter,
    Prior,
    exact,
    is_number,
    same_choice,
    satisfying,
)
from hpo_workflow.space.search_space import SearchSpace, possible_outcomes, survey
from hpo_workflow.trial import Value

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")

MAX_INT = 2**53
"""Beyond it floats, and with them the samplers, cannot tell neighbours apart."""

MAX_PARAMETERS = 1000
MAX_CHOICES = 10_000
MAX_POINTS = 1_000_000
MAX_PROBES = 4000
"""Combinations of values at which an expression is tried."""

COMMON_KEYS = ("when", "fallback", "prior")
KEYS = {
    "float": ("type", "low", "high", "log", "step", "points", *COMMON_KEYS),
    "int": ("type", "low", "high", "log", "step", "points", *COMMON_KEYS),
    "categorical": ("type", "choices", "ordered", *COMMON_KEYS),
}

RESERVED = ("dist", "repeat")

TYPE_HINTS = {
    "double": "float",
    "real": "float",
    "number": "float",
    "uniform": "float",
    "loguniform": "float",
    "log_uniform": "float",
    "integer": "int",
    "randint": "int",
    "discrete": "int",
    "cat": "categorical",
    "category": "categorical",
    "choice": "categorical",
    "choices": "categorical",
    "enum": "categorical",
    "list": "categorical",
    "bool": "categorical",
    "boolean": "categorical",
    "str": "categorical",
    "string": "categorical",
}
KEY_HINTS = {
    "min": "low",
    "minimum": "low",
    "lower": "low",
    "max": "high",
    "maximum": "high",
    "upper": "high",
    "values": "choices",
    "options": "choices",
    "categories": "choices",
    "condition": "when",
    "conditions": "when",
    "if": "when",
    "default": "fallback",
    "q": "step",
    "scale": "log",
    "grid": "points",
    "n_points": "points",
}
PRIOR_HINTS = {
    "mean": "center",
    "mu": "center",
    "mode": "center",
    "value": "center",
    "guess": "center",
    "centre": "center",
    "confidence": "strength",
    "sigma": "strength",
    "std": "strength",
    "weight": "strength",
}
STRENGTH_HINTS = {"low": "weak", "normal": "medium", "default": "medium", "high": "strong"}


def read_space(mapping: Any) -> tuple[SearchSpace | None, list[Fault]]:
    """The space, or None and every fault, in the order of the file.

    Args:
        mapping: The file's `space:` as parsed (JSON values).
    """
    return _Reader().read(mapping)


def shown(value: Any) -> str:
    """A value as a study file spells it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else (".inf" if value > 0 else "-.inf")
    if isinstance(value, str):
        text = value if len(value) <= 60 else value[:57] + "..."
        return text if NAME.fullmatch(text) else repr(text)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    return repr(value)


def nearest(name: str, known: Sequence[str], hints: Mapping[str, str] | None = None) -> str:
    """A cure for a word that is not known: the nearest that is, and all that are."""
    hint = (hints or {}).get(name.lower())
    close = [hint] if hint in known else difflib.get_close_matches(name, known, 1)
    meant = f"Did you mean {close[0]}? " if close else ""
    return f"{meant}Known here: {', '.join(known)}."


class _Reader:
    """Collects faults while it reads; a part that is faulty becomes None and reading goes on."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.parameters: dict[str, Parameter] = {}
        self.constants: dict[str, Value] = {}
        self.derived: dict[str, Expression] = {}
        self.order: list[str] = []
        self.broken: set[str] = set()
        """Names whose definition has a fault: others may refer to them without a second report."""

    def fault(self, key: str, problem: str, cure: str = "") -> None:
        self.faults.append(Fault(f"space.{key}" if key else "space", problem, cure))

    # ---- the whole -----------------------------------------------------------------------------------------
    def read(self, mapping: Any) -> tuple[SearchSpace | None, list[Fault]]:
        if not isinstance(mapping, Mapping):
            self.fault("", f"{shown(mapping)} is not a list of parameters by name.", EXAMPLE)
            return None, self.faults
        for name, value in mapping.items():
            if not (isinstance(name, str) and name.startswith("x-")):
                self.read_entry(name, value)
        if not self.parameters and not self.broken:
            self.fault("", "no parameter varies.", EXAMPLE)
        if len(self.parameters) > MAX_PARAMETERS:
            self.fault("", f"{len(self.parameters)} parameters vary; at most {MAX_PARAMETERS} are possible.")
        ordered = self.sort_parameters()
        derived = self.sort_derived()
        if not self.faults:
            self.check_reachable(ordered)
        if self.faults:
            places = {name: place for place, name in enumerate(self.order)}
            self.faults.sort(key=lambda fault: places.get(_name_in(fault.key, places), -1))
            return None, self.faults
        space = SearchSpace(tuple(ordered), self.constants, derived, tuple(self.order))
        self.check_derived(space)
        return (None if self.faults else space), self.faults

    def read_entry(self, name: Any, value: Any) -> None:
        key = str(name)
        self.order.append(key)
        before = len(self.faults)
        if not isinstance(name, str) or not NAME.fullmatch(name):
            cure = "Names are letters, digits and _, with dots between parts, as in model.lr."
            suggestion = re.sub(r"[^A-Za-z0-9_.]", "_", key)
            if NAME.fullmatch(suggestion):
                cure = f"Write {suggestion}. {cure}"
            self.fault(key, f"{shown(name) if not isinstance(name, str) else repr(name)} is not a name.", cure)
        self.read_value(key, value)
        if len(self.faults) > before:
            self.broken.add(key)
            self.parameters.pop(key, None)

    def read_value(self, name: str, value: Any) -> None:
        if isinstance(value, list):
            self.read_categorical(name, {"choices": value}, f"{name}")
        elif isinstance(value, Mapping):
            if "expr" in value:
                self.read_derived(name, value)
            else:
                self.read_parameter(name, value)
        elif value is None:
            self.fault(name, "nothing is given.", "Give a range, a list of choices or a constant.")
        elif self.scalar(name, value, "a constant"):
            self.constants[name] = value

    def scalar(self, key: str, value: Any, what: str) -> bool:
        """Whether `value` can be a value of a parameter; a fault if not."""
        if isinstance(value, float) and not math.isfinite(value):
            self.fault(key, f"{shown(value)} cannot be {what}.", "Give a finite number, or a text in quotes.")
        elif not isinstance(value, (bool, int, float, str)):
            kind = "null" if value is None else f"{shown(value)}"
            cure = "Give a number, a text, true or false."
            if value is None:
                cure = 'Write "null" or "none" in quotes if your program understands the text.'
            elif isinstance(value, (list, Mapping)):
                cure = 'Give each a name, and let your program look the name up: for example "64-32" for [64, 32].'
            self.fault(key, f"{kind} cannot be {what}.", cure)
        else:
            return True
        return False

    # ---- one parameter --------------------------------------------------------------------------------------
    def read_parameter(self, name: str, given: Mapping[str, Any]) -> None:
        kind = given.get("type")
        if "type" not in given:
            if "choices" in given:
                kind = "categorical"
            elif reserved := [key for key in RESERVED if key in given]:
                for key in reserved:
                    self.fault(f"{name}.{key}", f"{key} is not in this version.", f"Remove {key}.")
                return
            else:
                both_int = all(isinstance(given.get(bound), int) for bound in ("low", "high"))
                guess = "int" if both_int else "float"
                self.fault(name, "type is missing.", f"Give type: {guess}, or another of {', '.join(KEYS)}.")
                return
        if not isinstance(kind, str) or kind not in KEYS:
            self.fault(f"{name}.type", f"{shown(kind)} is not a type.", nearest(str(kind), list(KEYS), TYPE_HINTS))
            return
        self.check_keys(name, given, KEYS[kind])
        if kind == "categorical":
            self.read_categorical(name, given, f"{name}.choices")
        elif kind == "int":
            self.read_int(name, given)
        else:
            self.read_float(name, given)
        if "prior" in given:
            self.read_prior(name, given["prior"])

    def read_prior(self, name: str, given: Any) -> None:
        """Give the parameter, if it has no faults, its prior."""
        parameter = self.parameters.get(name)
        if not isinstance(given, Mapping):
            example = shown(given) if parameter is not None and parameter.contains(given) else "VALUE"
            cure = f"Give prior: {{center: {example}}}, and with it strength: {_either(STRENGTHS)} if you like."
            self.fault(f"{name}.prior", f"{shown(given)} is not a prior.", cure)
            return
        for key in given:
            if key not in ("center", "strength") and not str(key).startswith("x-"):
                cure = nearest(str(key), ("center", "strength"), PRIOR_HINTS)
                self.fault(f"{name}.prior.{key}", "this key is not known.", cure)
        strength = given.get("strength", "medium")
        if not isinstance(strength, str) or strength not in STRENGTHS:
            cure = nearest(str(strength), STRENGTHS, STRENGTH_HINTS)
            self.fault(f"{name}.prior.strength", f"{shown(strength)} is not a strength.", cure)
        if "center" not in given:
            self.fault(f"{name}.prior", "center is missing.", "Give center, the value that you expect to be good.")
        elif parameter is not None and not parameter.contains(given["center"]):
            problem = f"{name} is never {shown(given['center'])}."
            self.fault(f"{name}.prior.center", problem, f"It is {domain(parameter)}.{near(parameter, given['center'])}")
        elif parameter is not None and isinstance(strength, str):
            prior = Prior(parameter.canonical(given["center"]), strength)
            self.parameters[name] = replace(parameter, prior=prior)

    def check_keys(self, name: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
        for key in given:
            if not isinstance(key, str) or (key not in known and not key.startswith("x-")):
                if key in RESERVED:
                    self.fault(f"{name}.{key}", f"{key} is not in this version.", f"Remove {key}.")
                elif any(key in keys for keys in KEYS.values()) and "type" in known:
                    kinds = " or ".join(kind for kind, keys in KEYS.items() if key in keys)
                    self.fault(
                        f"{name}.{key}", f"{key} belongs to type {kinds}.", f"Remove {key}, or give another type."
                    )
                else:
                    self.fault(f"{name}.{key}", "this key is not known.", nearest(str(key), known, KEY_HINTS))

    def flag(self, name: str, given: Mapping[str, Any], key: str, default: bool = False) -> bool:
        value = given.get(key, default)
        if not isinstance(value, bool):
            self.fault(f"{name}.{key}", f"{shown(value)} is not true or false.", f"Write {key}: true or {key}: false.")
            return default
        return value

    def real(self, name: str, given: Mapping[str, Any], key: str) -> float | None:
        """A finite number, or None with a fault."""
        if key not in given:
            self.fault(name, f"{key} is missing.", f"Give {key}.")
            return None
        value = given[key]
        if not is_number(value):
            cure = "Give a number."
            if isinstance(value, str) and _reads_as_number(value):
                cure = f"Write {key}: {value} without quotes."
            self.fault(f"{name}.{key}", f"{shown(value)} is not a number.", cure)
            return None
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self.fault(f"{name}.{key}", f"{shown(value)} is not a finite number.", "Give a finite number.")
            return None
        return number

    def whole(self, name: str, given: Mapping[str, Any], key: str) -> int | None:
        """A whole number, or None with a fault."""
        number = self.real(name, given, key)
        if number is None:
            return None
        value = given[key]
        if not isinstance(value, int):
            near = round(number)
            cure = f"Write {near}." if near == number else "Give a whole number, or type: float."
            self.fault(f"{name}.{key}", f"{shown(value)} is not a whole number, which type: int needs.", cure)
            return None
        if abs(value) > MAX_INT:
            self.fault(f"{name}.{key}", f"{value} is too large.", "Give a number between -2**53 and 2**53.")
            return None
        return value

    def points(self, name: str, given: Mapping[str, Any]) -> int | None:
        value = given.get("points")
        if value is None and "points" not in given:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_POINTS:
            self.fault(
                f"{name}.points", f"{shown(value)} is not a number of points.", "Give a whole number from 1, such as 5."
            )
            return None
        return value

    def check_range(self, name: str, low: float, high: float, log: bool, whole: bool) -> bool:
        if low > high:
            self.fault(f"{name}.low", f"{shown(low)} is above high: {shown(high)}.", "Exchange low and high.")
        elif log and low <= 0:
            example = "1" if whole else "1.0e-6"
            self.fault(
                f"{name}.low",
                f"{shown(low)} is not possible with log: true.",
                f"Give a low above 0, for example {example}, or remove log: true.",
            )
        elif not math.isfinite(float(high) - float(low)):
            self.fault(f"{name}.high", "the range from low to high is too wide.", "Give a narrower range.")
        else:
            return True
        return False

    def read_float(self, name: str, given: Mapping[str, Any]) -> None:
        low, high = self.real(name, given, "low"), self.real(name, given, "high")
        log = self.flag(name, given, "log")
        step = self.real(name, given, "step") if "step" in given else None
        points = self.points(name, given)
        when, fallback = self.read_when(name, given), self.read_fallback(name, given)
        if "step" in given and log:
            self.fault(
                f"{name}.step",
                "step is not possible with log: true.",
                "Remove one of the two, or list the values: [1.0e-4, 1.0e-3, 1.0e-2].",
            )
            step = None
        if low is None or high is None:
            return
        if not self.check_range(name, low, high, log, whole=False):
            return
        if step is not None and not self.check_step(name, exact(low), exact(high), exact(step), step):
            return
        if step is not None and low == high:
            step = None
        self.parameters[name] = Float(name, low + 0.0, high + 0.0, log, step, points, when, fallback)

    def read_int(self, name: str, given: Mapping[str, Any]) -> None:
        low, high = self.whole(name, given, "low"), self.whole(name, given, "high")
        log = self.flag(name, given, "log")
        step = self.whole(name, given, "step") if "step" in given else 1
        points = self.points(name, given)
        when, fallback = self.read_when(name, given), self.read_fallback(name, given)
        if log and step not in (1, None):
            self.fault(
                f"{name}.step",
                f"step: {step} is not possible with log: true.",
                "Remove one of the two, or list the values: [16, 32, 64, 128].",
            )
            step = None
        if low is None or high is None or not self.check_range(name, low, high, log, whole=True) or step is None:
            return
        if self.check_step(name, Fraction(low), Fraction(high), Fraction(step), step):
            self.parameters[name] = Int(name, low, high, log, step, points, when, fallback)

    def check_step(self, name: str, low: Fraction, high: Fraction, step: Fraction, spelled: float) -> bool:
        if step <= 0:
            self.fault(f"{name}.step", f"{shown(spelled)} is not above 0.", "Give a step above 0.")
            return False
        steps = (high - low) / step
        if steps > MAX_INT:
            self.fault(f"{name}.step", f"{shown(spelled)} makes too many values.", "Give a larger step, or none.")
            return False
        if steps.denominator != 1:
            under, over = (low + math.floor(steps) * step, low + math.ceil(steps) * step)
            number = int if isinstance(spelled, int) else float
            self.fault(
                f"{name}.step",
                f"{shown(spelled)} does not lead from low: {shown(number(low))} to high: {shown(number(high))}.",
                f"Give high: {shown(number(under))} or {shown(number(over))}, or another step.",
            )
            return False
        return True

    def read_categorical(self, name: str, given: Mapping[str, Any], key: str) -> None:
        choices = given.get("choices")
        when, fallback = self.read_when(name, given), self.read_fallback(name, given)
        if "choices" not in given:
            self.fault(name, "choices is missing.", "Give choices: [a, b].")
            return
        if not isinstance(choices, list):
            self.fault(key, f"{shown(choices)} is not a list.", "Give choices: [a, b].")
            return
        if not choices:
            self.fault(key, "there are no choices.", "Give at least one.")
            return
        if len(choices) > MAX_CHOICES:
            self.fault(key, f"there are {len(choices)} choices; at most {MAX_CHOICES} are possible.")
            return
        seen: dict[tuple[bool, Any], Any] = {}
        good = True
        for choice in choices:
            if not self.scalar(key, choice, "a choice"):
                good = False
                continue
            if same_choice(choice) in seen:
                first = seen[same_choice(choice)]
                again = "there twice" if shown(first) == shown(choice) else f"the same choice as {shown(first)}"
                self.fault(key, f"{shown(choice)} is {again}.", "Remove one of the two.")
                good = False
            seen.setdefault(same_choice(choice), choice)
        numbers = all(is_number(choice) for choice in choices)
        ordered = self.flag(name, given, "ordered", numbers)
        if good:
            self.parameters[name] = Categorical(name, tuple(choices), ordered, when, fallback)

    def read_fallback(self, name: str, given: Mapping[str, Any]) -> Value | None:
        if "fallback" not in given:
            return None
        value = given["fallback"]
        if "when" not in given:
            self.fault(
                f"{name}.fallback",
                "a parameter without when: is never inactive.",
                "Remove fallback, or say when: the parameter is active.",
            )
            return None
        return value if self.scalar(f"{name}.fallback", value, "a fallback") else None

    # ---- conditions -----------------------------------------------------------------------------------------
    def read_when(self, name: str, given: Mapping[str, Any]) -> tuple[Condition, ...]:
        """The conditions as written; `check_parent` looks at the parents when all are known."""
        if "when" not in given:
            return ()
        when = given["when"]
        if not isinstance(when, Mapping) or not when:
            self.fault(f"{name}.when", f"{shown(when)} is not a condition.", WHEN_EXAMPLE)
            return ()
        found = []
        for parent, wanted in when.items():
            condition = self.read_condition(f"{name}.when.{parent}", str(parent), wanted)
            if condition is not None:
                found.append(condition)
        return tuple(found)

    def read_condition(self, key: str, parent: str, wanted: Any) -> Condition | None:
        if isinstance(wanted, Mapping):
            before = len(self.faults)
            for word, bound in wanted.items():
                if word not in BOUNDS:
                    hints = {">=": "ge", ">": "gt", "<=": "le", "<": "lt", "min": "ge", "max": "le"}
                    self.fault(f"{key}.{word}", "this key is not known.", nearest(str(word), BOUNDS, hints))
                elif not is_number(bound) or not math.isfinite(bound):
                    self.fault(f"{key}.{word}", f"{shown(bound)} is not a finite number.", "Give a number.")
            if not wanted:
                self.fault(key, "{} says nothing.", WHEN_EXAMPLE)
            return None if len(self.faults) > before else Condition(parent, **dict(wanted))
        values = wanted if isinstance(wanted, list) else [wanted]
        if not values:
            self.fault(key, "[] is never true.", "Give at least one value.")
            return None
        good = [self.scalar(key, value, "a value of a condition") for value in values]
        return Condition(parent, tuple(values)) if all(good) else None

    def check_parent(self, name: str, condition: Condition) -> None:
        """Fault a condition on something that is not a parameter, or that can never be true."""
        key = f"{name}.when.{condition.parent}"
        parent = self.parameters.get(condition.parent)
        if parent is None:
            if condition.parent in self.broken:
                return
            if condition.parent in self.constants or condition.parent in self.derived:
                kind = "a constant" if condition.parent in self.constants else "derived"
                self.fault(key, f"{condition.parent} is {kind}.", "A condition needs a parameter that varies.")
                return
            close = difflib.get_close_matches(condition.parent, list(self.parameters), 1)
            known = ", ".join(self.parameters) or "none"
            meant = f"Did you mean {close[0]}?" if close else f"Parameters: {known}."
            self.fault(key, f"there is no parameter {condition.parent}.", meant)
            return
        if condition.values is not None:
            for value in condition.values:
                if isinstance(parent, Float) and parent.size is None:
                    self.fault(
                        key,
                        f"{condition.parent} is practically never {shown(value)}: it is a float without step.",
                        "Give bounds, for example {ge: 0.1, lt: 0.5}.",
                    )
                elif not parent.contains(value):
                    self.fault(key, f"{condition.parent} is never {shown(value)}.", f"It is {domain(parent)}.")
            return
        given = {word: getattr(condition, word) for word in BOUNDS}
        bounds = ", ".join(f"{word}: {shown(bound)}" for word, bound in given.items() if bound is not None)
        if isinstance(parent, Categorical) and not all(is_number(choice) for choice in parent.choices):
            self.fault(
                key,
                f"{{{bounds}}} needs numbers, and {condition.parent} is {domain(parent)}.",
                f"List the values: {condition.parent}: [{shown(parent.choices[0])}].",
            )
        elif not self.possible(parent, condition):
            self.fault(key, f"{{{bounds}}} is never true.", f"{condition.parent} is {domain(parent)}.")

    @staticmethod
    def possible(parent: Parameter, condition: Condition) -> bool:
        if parent.size is not None:
            return bool(satisfying(parent, condition))
        ways = possible_outcomes(parent, [("child", condition)])
        return any(not way.fails for way in ways)

    def sort_parameters(self) -> list[Parameter]:
        """Parents before children, else as in the file; faults conditions on what is unknown and circles."""
        for name, parameter in self.parameters.items():
            for condition in parameter.when:
                self.check_parent(name, condition)
        needs = {name: {c.parent for c in parameter.when} for name, parameter in self.parameters.items()}
        order, circle = _sorted_by_need(needs)
        if circle:
            chain = " -> ".join([*circle, circle[0]])
            self.fault(f"{circle[0]}.when", f"the conditions go in a circle: {chain}.", "Remove one of them.")
        return [self.parameters[name] for name in order]

    def check_reachable(self, parameters: Sequence[Parameter]) -> None:
        """Fault a parameter whose conditions contradict each other: one parent is inactive when another allows it."""
        reachable = survey(parameters, possible_outcomes).reachable
        for parameter in parameters:
            parents = {condition.parent for condition in parameter.when}
            if parameter.name not in reachable and parents <= reachable:
                self.fault(
                    f"{parameter.name}.when",
                    "no configuration makes all of this true at once.",
                    "Remove the parameter or one of the conditions.",
                )

    # ---- derived values -------------------------------------------------------------------------------------
    def read_derived(self, name: str, given: Mapping[str, Any]) -> None:
        for key in given:
            if key != "expr" and not str(key).startswith("x-"):
                if key in (*COMMON_KEYS, *KEYS["float"], *KEYS["categorical"]):
                    problem = f"{key} is not possible beside expr: a derived value is never sampled."
                    self.fault(f"{name}.{key}", problem, f"Remove {key}.")
                else:
                    self.fault(f"{name}.{key}", "this key is not known.", nearest(str(key), ["expr"]))
        text = given["expr"]
        if is_number(text):
            text = str(text)
        if not isinstance(text, str):
            self.fault(
                f"{name}.expr", f"{shown(text)} is not an expression.", "Write arithmetic such as lr * batch / 64."
            )
            return
        try:
            self.derived[name] = parse_expression(text)
        except ExpressionError as error:
            self.fault(f"{name}.expr", error.problem, error.cure)

    def sort_derived(self) -> dict[str, Expression]:
        """Inputs before those that read them; faults names that do not exist and circles."""
        known = [*self.parameters, *self.constants, *self.derived]
        for name, expression in self.derived.items():
            for source in expression.inputs:
                if source not in known and source not in self.broken:
                    problem = f"there is no parameter {source}, which {expression.text!r} reads."
                    self.fault(f"{name}.expr", problem, unknown_name_cure(source, [n for n in known if n != name]))
        order, circle = _sorted_by_need({name: set(expression.inputs) for name, expression in self.derived.items()})
        if circle:
            chain = " -> ".join([*circle, circle[0]])
            self.fault(f"{circle[0]}.expr", f"the expressions go in a circle: {chain}.", "Remove one of them.")
        return {name: self.derived[name] for name in order}

    def check_derived(self, space: SearchSpace) -> None:
        """Try each expression at the ends and the middle of its inputs, so that a division by zero is seen now."""
        sources: dict[str, set[str]] = {}
        for name, expression in space.derived.items():
            sources[name] = set().union(*(_sources(space, sources, source) for source in expression.inputs))
            if any(source in self.broken for source in expression.inputs):
                self.broken.add(name)  # reported where it begins
                continue
            try:
                self.try_expression(space, name, sources)
            except ExpressionError as error:
                self.fault(f"{name}.expr", error.problem, error.cure)
                self.broken.add(name)

    @staticmethod
    def try_expression(space: SearchSpace, name: str, sources: Mapping[str, set[str]]) -> None:
        sampled = [parameter for parameter in space.parameters if parameter.name in sources[name]]
        before = [other for other in space.derived if sources.get(other, {name}) <= sources[name]]
        for combination in itertools.islice(itertools.product(*map(_probes, sampled)), MAX_PROBES):
            params = {parameter.name: value for parameter, value in zip(sampled, combination, strict=True)}
            if len(space.active(params)) < len(params):
                continue
            values: dict[str, Value] = {**space.constants, **params}
            for other in before:
                if all(source in values for source in space.derived[other].inputs):
                    try:
                        values[other] = space.derived[other].value(values)
                    except ExpressionError as error:
                        if other != name:
                            continue
                        inputs = (source for source in space.derived[name].inputs if source in values)
                        where = ", ".join(f"{source}: {shown(values[source])}" for source in inputs)
                        problem = error.problem + (f" Seen with {where}." if where else "")
                        raise ExpressionError(problem, error.cure) from error


EXAMPLE = "Give for example lr: {type: float, low: 1.0e-5, high: 0.1, log: true}."
WHEN_EXAMPLE = "Give for example when: {optimizer: sgd}, {optimizer: [sgd, adam]} or {layers: {ge: 3}}."


def _name_in(key: str, names: Mapping[str, int]) -> str:
    """The entry that a fault's key is about; names may have dots."""
    text = key.removeprefix("space.")
    while text and text not in names:
        text = text.rpartition(".")[0]
    return text


def _reads_as_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def domain(parameter: Parameter) -> str:
    """What a parameter can be, for people."""
    if isinstance(parameter, Categorical):
        texts = [shown(choice) for choice in parameter.choices[:8]]
        return "one of " + ", ".join(texts) + (", ..." if len(parameter.choices) > 8 else "")
    step = "" if parameter.step in (None, 1) else f" in steps of {shown(parameter.step)}"
    kind = "whole and " if isinstance(parameter, Int) else ""
    return f"{kind}from {shown(parameter.low)} to {shown(parameter.high)}{step}"


def near(parameter: Parameter, value: Any) -> str:
    """A cure for a value that a parameter never has: ` The nearest is 32.`, or nothing where none is near."""
    if isinstance(parameter, Categorical):
        texts = {str(shown(choice)): choice for choice in parameter.choices}
        found = difflib.get_close_matches(value, list(texts), 1) if isinstance(value, str) else []
        return f" Did you mean {found[0]}?" if found else ""
    if not is_number(value) or not abs(value) < 1e300:  # not a number is not below either
        return ""
    inside = min(max(value, parameter.low), parameter.high)
    if parameter.size is None:
        return f" The nearest is {shown(inside)}."
    last = parameter.size - 1
    index = min(
        max(math.floor((exact(inside) - exact(parameter.low)) / exact(parameter.step or 1) + Fraction(1, 2)), 0), last
    )
    return f" The nearest is {shown(parameter.value(index))}."


def _either(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _sorted_by_need(needs: Mapping[str, set[str]]) -> tuple[list[str], list[str]]:
    """Names so that each comes after what it needs (else in the given order), and one circle if there is any.

    Needed names that are not keys of `needs` count as there. Members of circles are appended in the given order.
    """
    waiting = {name: {need for need in needed if need in needs} for name, needed in needs.items()}
    order: list[str] = []
    done: set[str] = set()
    while True:
        ready = next((name for name in waiting if waiting[name] <= done), None)
        if ready is None:
            break
        order.append(ready)
        done.add(ready)
        del waiting[ready]
    if not waiting:
        return order, []
    path: list[str] = []
    name = next(iter(waiting))
    while name not in path:
        path.append(name)
        name = next(need for need in sorted(waiting[name]) if need in waiting)
    circle = path[path.index(name) :]
    first = min(range(len(circle)), key=lambda i: list(needs).index(circle[i]))
    return order + list(waiting), circle[first:] + circle[:first]


def _sources(space: SearchSpace, derived: Mapping[str, set[str]], name: str) -> set[str]:
    """Parameters that decide a value, with all that decide whether these are active."""
    if name in derived:
        return derived[name]
    found: set[str] = set()
    waiting = [name] if name in space.by_name else []
    while waiting:
        source = waiting.pop()
        if source not in found:
            found.add(source)
            waiting.extend(condition.parent for condition in space.by_name[source].when)
    return found


def _probes(parameter: Parameter) -> Iterable[Value]:
    """Values at which an expression is tried: all if they are few, else the ends, the middle, and 0 and 1."""
    size = parameter.size
    if size is not None and size <= 8:
        return [parameter.value(i) for i in range(size)]
    if isinstance(parameter, Categorical):
        return parameter.choices
    if size is not None:
        found = {0, size // 2, size - 1}
        found.update(parameter.index(value) for value in (0, 1) if parameter.contains(value))
        return [parameter.value(i) for i in sorted(found)]
    assert isinstance(parameter, Float)
    inside = [value for value in (0.0, 1.0) if parameter.contains(value)]
    return sorted({parameter.low, parameter.low / 2 + parameter.high / 2, parameter.high, *inside})
