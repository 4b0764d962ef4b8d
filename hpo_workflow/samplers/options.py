"""Options of samplers: what each may be, said once for the check of a study file and for its reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hpo_workflow.quantities import seconds_of


@dataclass(frozen=True)
class Option:
    """One setting of a sampler.

    Args:
        wanted: What it may be, in words that fit behind "Give": `a whole number from 1`.
        accepts: Whether a value is that.
        description: What it does. A sentence.
        default: What holds without it; None where the description says it, or where it is required.
        required: Whether the sampler cannot do without.
    """

    wanted: str
    accepts: Callable[[Any], bool]
    description: str
    default: Any = None
    required: bool = False


def whole(description: str, default: int | None = None, low: int = 1, high: int = 10**6) -> Option:
    """A whole number from `low` to `high`."""

    def accepts(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return Option(f"a whole number from {low}", accepts, description, default)


def number(description: str, low: float, high: float, default: float | None = None) -> Option:
    """A number from `low` to `high`, both included."""

    def accepts(value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high

    words = f"a number from {low:g} to {high:g}" if math.isfinite(high) else f"a number from {low:g}"
    return Option(words, accepts, description, default)


def choice(description: str, choices: Sequence[str], default: str | None = None) -> Option:
    """One of a few words."""
    words = " or ".join(choices)
    return Option(words, lambda value: isinstance(value, str) and value in choices, description, default)


def text(description: str, required: bool = False) -> Option:
    """Text that is not blank."""
    return Option("text", lambda v: isinstance(v, str) and bool(v.strip()), description, required=required)


def flag(description: str, default: bool) -> Option:
    """true or false."""
    return Option("true or false", lambda value: isinstance(value, bool), description, default)


def command(description: str) -> Option:
    """What to run: text for the shell, or a list of arguments that no shell reads. Required."""

    def accepts(value: Any) -> bool:
        words = [value] if isinstance(value, str) else value
        if not isinstance(words, (list, tuple)) or not all(isinstance(word, str) for word in words):
            return False
        return bool(words) and bool(words[0].strip()) and not any("\0" in word for word in words)

    return Option("text for the shell, or a list of arguments", accepts, description, required=True)


def duration(description: str, default: str) -> Option:
    """A time such as 90s or 5m; a plain number counts seconds."""

    def accepts(value: Any) -> bool:
        try:
            return not isinstance(value, bool) and isinstance(value, (int, float, str)) and seconds_of(value) > 0
        except ValueError:
            return False

    return Option("a time such as 90s or 5m", accepts, description, default)
