"""Distributions of other tools as parameters of a study file, where the two have exactly the same values.

An entry is what stands behind a parameter's name in `space:`. Sums and products are exact in decimal: 0.1, 0.2, 0.3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from hpo_workflow.space.parameters import exact, same_choice

MOST_LISTED = 50
"""So many values of a grid that is not even are listed."""


def float_range(low: float, high: float, *, log: bool = False) -> dict[str, Any]:
    """Real numbers; one that has a single value is a range of one."""
    entry: dict[str, Any] = {"type": "float", "low": float(low), "high": float(high)}
    return {**entry, "log": True} if log else entry


def int_range(low: float, high: float, *, log: bool = False, step: int = 1) -> dict[str, Any]:
    """Whole numbers."""
    entry: dict[str, Any] = {"type": "int", "low": int(low), "high": int(high)}
    if step != 1 and low < high:
        entry["step"] = int(step)
    return {**entry, "log": True} if log else entry


def natural_log_range(low: float, high: float) -> dict[str, Any] | None:
    """The range whose natural logarithms are these two; None where it is beyond what a float holds."""
    if max(abs(low), abs(high)) > 700:
        return None
    return float_range(math.exp(low), math.exp(high), log=True)


def rounded(low: float, high: float, q: float, *, clipped: bool, whole: bool) -> dict[str, Any] | list[Any] | None:
    """The values of `round(x / q) * q` for x between `low` and `high`; None where no grid and no short list has them.

    Args:
        clipped: Values outside of the range are its ends (NNI), else they stay outside (W&B).
        whole: They are whole numbers, not floats that happen to be whole.

    An end that lies just between two multiples is taken alone by one x, which is not drawn.
    """
    start, stop, step = exact(low), exact(high), exact(q)
    first = math.floor(start / step + Fraction(1, 2))
    last = max(first, math.ceil(stop / step - Fraction(1, 2)))
    if last - first >= 2**53:
        return None
    ends = (first * step, last * step)
    inside = not clipped or (ends[0] >= start and ends[1] <= stop)
    if inside and not (clipped and (ends[0], ends[1]) != (start, stop) and _reaches_ends(start, stop, ends)):
        number = int if whole else float
        entry = {"type": "int" if whole else "float", "low": number(ends[0]), "high": number(ends[1])}
        return {**entry, "step": number(step)} if last > first and not (whole and step == 1) else entry
    if last - first >= MOST_LISTED:
        return None
    values = sorted({min(max(k * step, start), stop) for k in range(first, last + 1)})
    return [int(value) if whole else float(value) for value in values]


def _reaches_ends(start: Fraction, stop: Fraction, ends: tuple[Fraction, Fraction]) -> bool:
    """Whether clipping makes an end of the range a value that is no multiple."""
    return ends[0] < start or ends[1] > stop


def stepped(low: float, high: float, step: float, *, whole: bool) -> tuple[dict[str, Any], bool]:
    """`low`, `low + step`, ... up to `high`, and whether `high` itself is one of them."""
    start, stop, size = exact(low), exact(high), exact(step)
    n = math.floor((stop - start) / size)
    end = start + n * size
    number = int if whole else float
    entry: dict[str, Any] = {"type": "int" if whole else "float", "low": number(start), "high": number(end)}
    if n and not (whole and size == 1):
        entry["step"] = number(size)
    return entry, end == stop


def suggested(center: float, spread: float, *, log: bool = False) -> dict[str, Any]:
    """A range to begin with in place of a normal distribution, for the user to judge: two deviations to each side.

    Args:
        center, spread: Mean and standard deviation; of the logarithm with `log`.
    """
    ends = (center - 2 * spread, center, center + 2 * spread)
    if log and max(map(abs, ends)) > 700:
        return float_range(1e-3, 1.0, log=True)
    low, middle, high = (float(f"{math.exp(end) if log else end:.3g}") for end in ends)
    entry = float_range(low, high, log=log)
    return {**entry, "prior": {"center": middle}} if low < middle < high else float_range(0, 1)


def without_repetition(choices: Sequence[Any]) -> list[Any]:
    """The choices, each once: 1 and 1.0 are the same one, 1 and true are not."""
    kept: dict[tuple[bool, Any], Any] = {}
    for choice in choices:
        kept.setdefault(same_choice(choice), choice)
    return list(kept.values())
