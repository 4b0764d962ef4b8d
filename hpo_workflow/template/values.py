"""What a value looks like as text: the numbers and words that a program will read.

Floats are written in the shortest form that reads back as the same number, floats with a step in plain decimals (0.3,
never 0.30000000000000004), booleans as `true` and `false`, everything else as it stands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal

from hpo_workflow.space import Float, SearchSpace
from hpo_workflow.trial import Params, Value

LONGEST_VALUE = 100_000
"""Bytes; Linux refuses a single argument above 128 kB (MAX_ARG_STRLEN)."""


def text_of(value: Value, step: float | None = None, low: float = 0.0) -> str:
    """`value` as text; a float that moves in steps from `low` is written in decimals."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and step is not None:
        return format(_on_step(value, step, low), "f")
    return repr(value) if isinstance(value, float) else str(value)


def _on_step(value: float, step: float, low: float) -> Decimal:
    """The multiple of `step` above `low` that is nearest, with as many decimals as these two have."""
    unit, start = Decimal(repr(float(step))), Decimal(repr(float(low)))
    steps = ((Decimal(repr(value)) - start) / unit).to_integral_value()
    exact = start + steps * unit
    shortest = Decimal(repr(float(exact)))
    return shortest if shortest.as_tuple().exponent != 0 else shortest.quantize(Decimal("0.1"))


def formatted(value: Value, text: str, form: str) -> str:
    """`value` in a Python format; without a format its `text`. Booleans count as 0 and 1 in a number's format."""
    if not form:
        return text
    if isinstance(value, bool):
        return format(text if form[-1] == "s" or not form[-1].isalpha() else int(value), form)
    return format(value, form)


def problem_of(value: Value) -> str:
    """Why a value cannot be put into a command; empty where it can."""
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a finite number"
    if isinstance(value, str):
        if "\0" in value:
            return "contains a NUL character, which no program can be given"
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            return "contains half a surrogate pair, which is not a character"
        if size > LONGEST_VALUE:
            return f"is {size} bytes long; {LONGEST_VALUE} is the most that a program can be given"
    return ""


class Values:
    """The values of one configuration by name, and their texts.

    Args:
        space: The search space.
        params: Active sampled parameters.

    `active` are the names that have a value of their own; an inactive parameter with a fallback has that value in
    `values` and `texts` but is not active.
    """

    def __init__(self, space: SearchSpace, params: Params) -> None:
        complete = space.complete(params)
        self.active = frozenset(complete)
        self.values: dict[str, Value] = {}
        self.texts: dict[str, str] = {}
        floats: Mapping[str, Float] = {p.name: p for p in space.parameters if isinstance(p, Float)}
        for name in space.names():
            value = complete[name] if name in complete else space.fallback(name)
            if value is None:
                continue
            parameter = floats.get(name) if name in complete else None
            if parameter is not None and parameter.step is not None:
                self.texts[name] = text_of(value, parameter.step, parameter.low)
                value = float(self.texts[name])
            else:
                self.texts[name] = text_of(value)
            self.values[name] = value

    def is_true(self, name: str) -> bool:
        """Active, and not the boolean `false`."""
        return name in self.active and self.values[name] is not False
