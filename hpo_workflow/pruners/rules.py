"""The rules: why a trial is hopeless, as a sentence, or None where it is not.

A rule is asked at the newest report of a trial (`course`) and knows what the complete trials had reached (`others`). It
compares strictly, so a tie stops nobody. `pruner` asks it, and keeps what no rule may do.
"""

from __future__ import annotations

from hpo_workflow.objective import value_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from hpo_workflow.pruners.course import Course
    from hpo_workflow.pruners.curves import Others


def quantile(ascending: Sequence[float], percent: float) -> float:
    """The value below which `percent` of the values lie, linear between two of them (Hyndman and Fan 1996, type 7)."""
    place = (len(ascending) - 1) * percent / 100
    below = int(place)
    low = ascending[below]
    if below + 1 == len(ascending) or place == below:
        return low
    return low + (ascending[below + 1] - low) * (place - below)


def shown(*values: float) -> list[str]:
    """Numbers for a sentence: short, but in full where two of them would look the same."""
    for texts in ([f"{value:.6g}" for value in values], [repr(float(value)) for value in values]):
        if len(set(texts)) == len(texts):
            return texts
    return texts


class Percentile:
    """A trial goes on while its best value so far is among the best `percentile` % of what others had by this step.

    Nothing is stopped before `startup` others can be compared, up to the step `warmup`, at a step that is not above the
    one judged before by `interval`, and from the step on to which the longest of the others has come: there is nothing
    left to save, and the trial may have ended by itself already.

    Source: the median rule of Golovin et al. 2017 (Google Vizier, section 3.2.2), with best-so-far values.
    """

    def __init__(self, settings: Mapping[str, Any], metric: str, direction: str) -> None:
        self._percentile: float = settings.get("percentile", 50)
        self._is_median = settings["name"] == "median"
        self._startup: int = settings["startup"]
        self._interval: float = settings["interval"]
        self._metric = metric
        self._direction = direction
        self._judged: float | None = None

    def is_due(self, course: Course) -> bool:
        """Whether there is a step to judge."""
        if course.step is None:
            return False
        return self._judged is None or (course.step > self._judged and course.step >= self._judged + self._interval)

    def judge(self, course: Course, others: Others) -> str | None:
        """The reason, without the step."""
        assert course.step is not None
        self._judged = course.step
        if others.longest is None or course.step >= others.longest:
            return None
        losses = others.losses_at(course.step)
        if len(losses) < self._startup:
            return None
        bound = quantile(losses, self._percentile)
        if not course.best > bound:
            return None
        own, least = shown(value_of(course.best, self._direction), value_of(bound, self._direction))
        best = f"the best {self._metric} so far, {own}, is worse than"
        if self._is_median:
            return f"{best} the median {least} of {len(losses)} trials"
        return f"{best} {least}, which the best {self._percentile:g} % of {len(losses)} trials had reached"


class Threshold:
    """A trial ends when its newest value is beyond a bound."""

    def __init__(self, settings: Mapping[str, Any], metric: str, direction: str) -> None:
        self._lower: float | None = settings["lower"]
        self._upper: float | None = settings["upper"]
        self._metric = metric
        self._direction = direction
        self._n = 0

    def is_due(self, course: Course) -> bool:
        """Whether there is a new value."""
        return course.n > self._n

    def judge(self, course: Course, others: Others) -> str | None:
        """The reason, without the step."""
        self._n = course.n
        value = value_of(course.newest, self._direction)
        for bound, is_beyond, word in (
            (self._lower, self._lower is not None and value < self._lower, "below lower"),
            (self._upper, self._upper is not None and value > self._upper, "above upper"),
        ):
            if is_beyond and bound is not None:
                own, limit = shown(value, bound)
                return f"{self._metric} {own} is {word}, {limit}"
        return None


class Patient:
    """A trial ends after `patience` reports in a row without a value that is better by more than `min_delta`."""

    def __init__(self, settings: Mapping[str, Any], metric: str, direction: str) -> None:
        self._patience: int = settings["patience"]
        self._min_delta: float = settings["min_delta"]
        self._metric = metric
        self._direction = direction
        self._n = 0

    def is_due(self, course: Course) -> bool:
        """Whether there is a new value."""
        return course.n > self._n

    def judge(self, course: Course, others: Others) -> str | None:
        """The reason, without the step."""
        self._n = course.n
        if course.since < self._patience:
            return None
        best = f"{value_of(course.best, self._direction):.6g}"
        more = f" by more than {self._min_delta:g}" if self._min_delta else ""
        return f"no better {self._metric} than {best}{more} in {course.since} reports"


RULES = {"median": Percentile, "percentile": Percentile, "threshold": Threshold, "patient": Patient}
"""By the name that `pruner:` has."""
