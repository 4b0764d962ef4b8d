"""What one running trial has reported so far."""

from __future__ import annotations

TYPE_CHECKING = False


class Course:
    """The objective of one trial, as losses, by its steps.

    A step that is not above all earlier ones (a second fold that counts from 1 again, a repeated line) does not move
    `step` back: its value counts at the largest step so far. So `best` is what the trial has reached by `step`, and it
    never becomes worse.

    Args:
        min_delta: A loss is an improvement for `since` when it is lower than the last improvement by more than this.

    Attributes:
        n: How many finite values were reported; others are ignored altogether.
        step: The largest step, None before the first value.
        best: The lowest loss.
        newest: The last one.
        since: Values since the last improvement.
    """

    __slots__ = ("_min_delta", "_reference", "best", "n", "newest", "since", "step")

    def __init__(self, min_delta: float = 0.0) -> None:
        self._min_delta = min_delta
        self._reference = 0.0
        self.n = 0
        self.step: float | None = None
        self.best = 0.0
        self.newest = 0.0
        self.since = 0

    def add(self, step: float, loss: float) -> None:
        """Take in one report."""
        if loss - loss != 0 or step - step != 0:  # NaN, inf
            return
        self.n += 1
        self.newest = loss
        if self.step is None:
            self.step, self.best, self._reference = step, loss, loss
            return
        if step > self.step:
            self.step = step
        if loss < self.best:
            self.best = loss
        if self._reference - loss > self._min_delta:
            self._reference = loss
            self.since = 0
        else:
            self.since += 1
