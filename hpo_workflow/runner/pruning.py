"""The pruner of a running trial: told what the program reports, it says when the program shall end."""

from __future__ import annotations

import time

from hpo_workflow.pruners.pruner import Pruner
from hpo_workflow.store.curve_index import CurveIndex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from hpo_workflow.pruners.pruner import Finding

PAUSE_S = 0.1
"""Time between two judgements: a program that reports ten thousand times a second is not judged as often."""
LOOK_S = 1.0
"""Time between two looks at the index."""


class Pruning:
    """Joins the reports of one trial, its pruner and the index of the others' curves.

    Args:
        spec: The plan's spec, with its `pruner`.
        number, fidelity: The trial.
        index: Where the others' curves are.
        clock: Seconds; monotonic.

    Attributes:
        due: When the next judgement may be made, on the clock; None while there is nothing to judge.
        finding: That the trial is hopeless, once it was found; nothing is judged afterwards.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        number: int,
        fidelity: float | None,
        index: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pruner = Pruner(spec["pruner"], spec["objective"], spec["seed"], number)
        self._index = CurveIndex(index, number, fidelity)
        self._clock = clock
        self._is_recorded = False
        self._next = clock()
        self._next_look = clock()
        self.due: float | None = None
        self.finding: Finding | None = None

    def report(self, points: Sequence[tuple[float, float]], recorded: bool) -> None:
        """Take in what was read.

        Args:
            points: Step and value of the objective.
            recorded: Whether they stood in $HPO_METRICS_FILE, whose values stand for the printed ones.
        """
        if self.finding is not None or (self._is_recorded and not recorded):
            return
        pruner = self._pruner
        if points and recorded and not self._is_recorded:
            self._is_recorded = True
            pruner.forget()
        for step, value in points:
            pruner.report(step, value)
        if self.due is None and pruner.is_due():
            self.due = self._next

    def judge(self) -> Finding | None:
        """Judge, if it is time to; what was found."""
        now = self._clock()
        if self.due is None or now < self.due:
            return None
        if now >= self._next_look:
            if not self._index.read():
                self.due = now  # the whole of it first, a piece at a time, with the program's output between
                return None
            self._next_look = now + LOOK_S
        self.due = None
        self._next = now + PAUSE_S
        self.finding = self._pruner.judge(self._index.others)
        return self.finding
