"""What the complete trials of a study had reached by which step.

The best loss so far of a trial is a staircase: `steps` ascending and `losses` descending, a pair for each improvement.
"""

from __future__ import annotations

from bisect import bisect_right

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

CAP_IMPROVEMENTS = 64
"""Improvements of one trial that are kept."""
CAP_TRIALS = 1000
"""Trials that a running one is compared with: the last ones that were told."""


class Curve:
    """One complete trial.

    Attributes:
        steps, losses: Its improvements.
        last: The largest step at which it reported a finite value.
    """

    __slots__ = ("last", "losses", "steps")

    def __init__(self, steps: Sequence[float], losses: Sequence[float], last: float) -> None:
        self.steps = steps
        self.losses = losses
        self.last = last


def curve_of(points: Sequence[tuple[float, float]]) -> Curve | None:
    """The curve of a trial that reported these (step, loss), in this order; None where nothing is finite.

    Steps that go back count at the largest step so far, as in `Course`. Of more than CAP_IMPROVEMENTS an even choice is
    kept, both ends among it: what is left out lets the trial look worse for a few steps, and prunes less.
    """
    steps: list[float] = []
    losses: list[float] = []
    at = None
    for step, loss in points:
        if loss - loss != 0 or step - step != 0:
            continue
        if at is None or step > at:
            at = step
        if losses and loss >= losses[-1]:
            continue
        if steps and steps[-1] == at:
            losses[-1] = loss
        else:
            steps.append(at)
            losses.append(loss)
    if at is None:
        return None
    if len(steps) > CAP_IMPROVEMENTS:
        kept = [i * (len(steps) - 1) // (CAP_IMPROVEMENTS - 1) for i in range(CAP_IMPROVEMENTS)]
        steps, losses = [steps[i] for i in kept], [losses[i] for i in kept]
    return Curve(steps, losses, at)


def entry_of(number: int, fidelity: float | None, loss: float, best: float, curve: Curve) -> dict[str, Any]:
    """A complete trial as a line of the index of curves.

    Args:
        number, fidelity: The trial.
        loss: Its objective.
        best: The lowest objective of all complete trials, its own among them.
        curve: Its course.
    """
    return {
        "number": number,
        "fidelity": fidelity,
        "loss": loss,
        "best": best,
        "last": curve.last,
        "steps": curve.steps,
        "losses": curve.losses,
    }


def is_entry(value: Any) -> bool:
    """Whether a value is what `entry_of` makes, and can be reckoned with."""
    try:
        steps, losses = value["steps"], value["losses"]
        total = sum(steps) + sum(losses) + value["loss"] + value["best"] + value["last"]
        if total - total != 0 or not steps or len(steps) != len(losses) or steps != sorted(set(steps)):
            return False
        return isinstance(value["number"], int) and not isinstance(value["fidelity"], (str, list, dict))
    except (KeyError, TypeError):
        return False


class Others:
    """The complete trials that a running one is compared with, and the best of all.

    Args:
        number: The running trial, which is never its own competitor.
        fidelity: Its fidelity; only trials of the same one are compared.

    Attributes:
        best: The lowest loss of any complete trial of the study, at any fidelity; None while none is known.
        longest: The largest step that one of the compared trials has come to; None while there is none.
    """

    def __init__(self, number: int, fidelity: float | None) -> None:
        self._number = number
        self._fidelity = fidelity
        self._curves: dict[int, Curve] = {}
        self.best: float | None = None
        self.longest: float | None = None

    def __len__(self) -> int:
        return len(self._curves)

    def add(self, entry: Mapping[str, Any]) -> None:
        """Take in a line of the index that `is_entry`; of several on one trial the last one counts."""
        number, last = entry["number"], entry["last"]
        if number == self._number:
            return
        best = min(entry["loss"], entry["best"])
        if self.best is None or best < self.best:
            self.best = best
        if entry["fidelity"] != self._fidelity:
            return
        self._curves.pop(number, None)
        self._curves[number] = Curve(entry["steps"], entry["losses"], last)
        if len(self._curves) > CAP_TRIALS:
            del self._curves[next(iter(self._curves))]
        if self.longest is None or last > self.longest:
            self.longest = last

    def losses_at(self, step: float) -> list[float]:
        """What each of them had reached by `step`, ascending.

        One that was shorter counts with its best, one that had not reported by then not at all.
        """
        found = []
        for curve in self._curves.values():
            index = bisect_right(curve.steps, step)
            if index:
                found.append(curve.losses[index - 1])
        found.sort()
        return found
