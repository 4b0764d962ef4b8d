"""Which parameters made the difference between trials, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Importance:
    """How much of the differences between trials one parameter explains.

    Args:
        name: The parameter.
        share: Of the variance of the trials' ranks; 0 nothing, 1 all.
        low, high: Ends of the interval in which it lies with 90 % probability; `low` is 0 where it may be nothing.
        n_trials: In how many trials it was active.
    """

    name: str
    share: float
    low: float
    high: float
    n_trials: int


@dataclass(frozen=True)
class Importances:
    """The importances of all parameters.

    Args:
        parameters: The most important first; empty where they cannot be told.
        explained: The share that all of them explain together; the rest is noise or interplay. None without them.
        n_trials: Trials that they were estimated from.
        note: Why there are none, or what limits them; a sentence.
    """

    parameters: tuple[Importance, ...]
    explained: float | None
    n_trials: int
    note: str
