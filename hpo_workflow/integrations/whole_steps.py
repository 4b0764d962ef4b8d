"""Steps as whole numbers, which is what most programs that draw curves want."""

from __future__ import annotations

import math
from collections.abc import Sequence

MOST_STEPS = 2**53
"""Steps from here on are not whole numbers for certain."""


def whole_steps(points: Sequence[tuple[float, float]]) -> tuple[dict[int, float], bool]:
    """Values by step, and whether they are counted because some step is not a whole number from 0 on.

    Counted values begin with 0 and keep the order of printing. Of several values at one step the last one stays.
    """
    counted = not all(0 <= step < MOST_STEPS and step == math.floor(step) for step, _ in points)
    if counted:
        return {index: float(value) for index, (_, value) in enumerate(points)}, True
    return {int(step): float(value) for step, value in points}, False
