"""Conditions: when a parameter is active."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hpo_workflow.trial import Value

BOUNDS = ("ge", "gt", "le", "lt")


@dataclass(frozen=True)
class Condition:
    """What must be true of one parent.

    Args:
        parent: Name of the parameter that decides.
        values: Any of these; None where bounds decide.
        ge, gt, le, lt: Bounds, all of which must hold.
    """

    parent: str
    values: tuple[Value, ...] | None = None
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    def holds(self, value: Any) -> bool:
        """Whether the parent's value makes this true. `true` is not 1."""
        if self.values is not None:
            return any(isinstance(value, bool) is isinstance(one, bool) and value == one for one in self.values)
        return self.above(value) and self.below(value)

    def above(self, value: Any) -> bool:
        """Whether the lower bounds hold."""
        return (self.ge is None or value >= self.ge) and (self.gt is None or value > self.gt)

    def below(self, value: Any) -> bool:
        """Whether the upper bounds hold."""
        return (self.le is None or value <= self.le) and (self.lt is None or value < self.lt)
