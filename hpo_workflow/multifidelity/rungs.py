"""The ladder of fidelities, and who has earned the next rung of it.

Sources: Jamieson and Talwalkar 2016 (successive halving); Li et al. 2018 (Hyperband); Li et al. 2020 (ASHA).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from hpo_workflow.multifidelity.actions import Step
from hpo_workflow.space.parameters import exact

DIGITS = 4
"""Significant digits of a fidelity between `low` and `high` that is not a whole number."""


@dataclass(frozen=True)
class Ladder:
    """The fidelities at which trials end.

    Args:
        levels: Ascending, one or more.
        eta: One of so many gets from a level to the next.
    """

    levels: tuple[float, ...]
    eta: int = 3

    @classmethod
    def geometric(cls, low: float, high: float, eta: int, whole: bool) -> Ladder:
        """Levels from `low` to `high`, each about `eta` times the one before.

        Where `high / low` is a power of `eta` they are those of the papers. Elsewhere the ratio is the nearest one with
        which both ends are levels: from 1 to 100 with eta 3 they are 1, 3, 10, 32, 100.

        Args:
            whole: Whether levels are whole numbers.
        """
        n = max(1, round(math.log(high / low) / math.log(eta))) if high > low else 0
        between = [low * (high / low) ** (k / n) for k in range(1, n)]
        inner = [float(round(x)) if whole else float(f"{x:.{DIGITS}g}") for x in between]
        levels = sorted({low, high, *(x for x in inner if low < x < high)})
        return cls(tuple(int(x) if whole else float(x) for x in levels), eta)

    @classmethod
    def even(cls, low: float, high: float, interval: float, whole: bool) -> Ladder:
        """Levels `low`, `low + interval`, ... and `high`; the last step is a shorter one where they do not meet it.

        Sums are exact in decimal: 0.1, 0.2, 0.3.

        Args:
            whole: Whether levels are whole numbers.
        """
        start, end, step = exact(low), exact(high), exact(interval)
        n = math.ceil((end - start) / step)
        levels = [*(start + k * step for k in range(n)), end]
        return cls(tuple(int(x) if whole else float(x) for x in levels))

    @property
    def top(self) -> int:
        """Index of the highest level."""
        return len(self.levels) - 1

    def level_of(self, fidelity: float) -> int | None:
        """The index of a fidelity, None where it is not of this ladder."""
        try:
            return self.levels.index(fidelity)
        except ValueError:
            return None


def rung_sizes(size: int, eta: int, n_promotions: int) -> list[int]:
    """How many of `size` configurations are in each rung, the first one included."""
    return [size // eta**k for k in range(n_promotions + 1)]


def next_promotion(rung: Iterable[Step], promoted: Collection[int], eta: int) -> int | None:
    """The trial that has earned the next level, or None while nobody has.

    It is among the best `n // eta` of the n trials that got through this rung, complete or pruned. Trials promoted
    earlier still count, otherwise every call would let one more through. Failed trials are not in a rung.

    Args:
        rung: Trials of one level, in any order; pending ones are passed over.
        promoted: Numbers of the trials that were sent up from this rung.
        eta: Reduction factor, 2 or more.

    Ties go to the lower trial number, so that a repeated call agrees with the first. A pruned trial is never promoted.
    Source: Li et al. 2020 (ASHA), algorithm 2.
    """
    through = [step for step in rung if step.score is not None]
    return next(iter(not_promoted(through, promoted, len(through) // eta)), None)


def not_promoted(rung: Iterable[Step], promoted: Collection[int], n: int) -> list[int]:
    """Of the best `n` of a rung those that were not sent up, the best first; a pruned trial is never among them."""
    through = sorted((step.score, step.number) for step in rung if step.score is not None)
    return [number for score, number in through[:n] if math.isfinite(score) and number not in promoted]
