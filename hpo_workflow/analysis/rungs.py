"""How far each configuration was trained, and which ones were trained further than others."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stay:
    """A configuration at one level.

    Args:
        config: The configuration.
        number: The trial.
        level: Index of the level, 0 the lowest.
        how: `promoted` (another trial goes on from it), `ended` (none does), `pruned`, `failed`, or `open` while it has
            no result.
        value: The objective, None where it has none.
        bracket: The bracket that it belongs to, where the method has brackets.
    """

    config: int
    number: int
    level: int
    how: str
    value: float | None
    bracket: int | None = None


@dataclass(frozen=True)
class Rung:
    """One level of the ladder.

    Args:
        fidelity: How far trials are trained there.
        n_trials, n_promoted, n_pruned, n_failed, n_open: How many trials there are, and what became of them.
        best: The best value there, and the trial that has it; None where there is none.
    """

    fidelity: float
    n_trials: int
    n_promoted: int
    n_pruned: int
    n_failed: int
    n_open: int
    best: tuple[float, int] | None


@dataclass(frozen=True)
class Rungs:
    """All levels of a study, from the lowest, and all stays of its configurations, by trial number."""

    levels: tuple[Rung, ...]
    stays: tuple[Stay, ...]
