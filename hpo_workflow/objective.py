"""Direction: the only place that knows whether larger or smaller values are better.

Everything inside minimises a `loss`; the user's `value` is what the program printed.
"""

from __future__ import annotations

DIRECTIONS = ("minimize", "maximize")


def _sign(direction: str) -> float:
    if direction not in DIRECTIONS:
        raise ValueError(f"direction is {direction!r}, not one of {', '.join(DIRECTIONS)}")
    return 1.0 if direction == "minimize" else -1.0


def loss_of(value: float, direction: str) -> float:
    """The value turned so that smaller is better."""
    return _sign(direction) * value + 0.0


def value_of(loss: float, direction: str) -> float:
    """The value whose loss this is."""
    return _sign(direction) * loss + 0.0


def is_better(a: float, b: float, direction: str) -> bool:
    """Whether value `a` is strictly better than value `b`; NaN is better than nothing and nothing is worse than NaN."""
    loss_a, loss_b = loss_of(a, direction), loss_of(b, direction)
    if loss_a != loss_a:
        return False
    return loss_b != loss_b or loss_a < loss_b


def reached(value: float, target: float, direction: str) -> bool:
    """Whether a value is as good as the target; equal counts."""
    return loss_of(value, direction) <= loss_of(target, direction)
