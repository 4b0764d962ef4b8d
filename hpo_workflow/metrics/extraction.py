"""What was found in the output of one attempt, and what it makes of the trial."""

from __future__ import annotations

from array import array

from hpo_workflow.metrics.numbers import is_finite
from hpo_workflow.objective import loss_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


class Series:
    """All points of one metric, in bounded memory.

    Attributes:
        count: How many values were printed.
        last, lowest, highest: (index, step, value); the latter two of finite values only, None while there is none.
    """

    __slots__ = ("_steps", "_stride", "_values", "count", "highest", "last", "lowest")

    def __init__(self) -> None:
        self._steps = array("d")
        self._values = array("d")
        self._stride = 1
        self.count = 0
        self.last: tuple[int, float, float] | None = None
        self.lowest: tuple[int, float, float] | None = None
        self.highest: tuple[int, float, float] | None = None

    def append(self, step: float, value: float, cap: int) -> None:
        index = self.count
        self.count = index + 1
        self.last = point = (index, step, value)
        if index % self._stride == 0:
            self._steps.append(step)
            self._values.append(value)
            while len(self._values) > cap:
                self._steps = self._steps[::2]
                self._values = self._values[::2]
                self._stride *= 2
        if value - value == 0:
            if self.lowest is None or value < self.lowest[2]:
                self.lowest = point
            if self.highest is None or value > self.highest[2]:
                self.highest = point

    def extend(self, steps: Sequence[float], values: Sequence[float], cap: int) -> None:
        """`append` for many points, and at least one."""
        begin = self.count
        total = sum(values)
        if total - total != 0 or len(values) < 4:
            for step, value in zip(steps, values):  # noqa: B905 - 3.8
                self.append(float(step), value, cap)
            return
        self.count += len(values)
        self.last = (self.count - 1, float(steps[-1]), values[-1])
        at = -begin % self._stride
        while at < len(values):
            stop = at + max(1, cap + 1 - len(self._values)) * self._stride
            self._steps.extend(steps[at : stop : self._stride])
            self._values.extend(values[at : stop : self._stride])
            while len(self._values) > cap:
                self._steps = self._steps[::2]
                self._values = self._values[::2]
                self._stride *= 2
            at = stop + -(begin + stop) % self._stride
        low, high = min(values), max(values)
        if self.lowest is None or low < self.lowest[2]:
            index = values.index(low)
            self.lowest = (begin + index, float(steps[index]), low)
        if self.highest is None or high > self.highest[2]:
            index = values.index(high)
            self.highest = (begin + index, float(steps[index]), high)

    def points(self) -> list[tuple[float, float]]:
        """(step, value) in the order of printing."""
        kept = {i * self._stride: point for i, point in enumerate(zip(self._steps, self._values))}  # noqa: B905 - 3.8
        for extreme in (self.lowest, self.highest, self.last):
            if extreme is not None:
                kept[extreme[0]] = extreme[1:]
        return [kept[index] for index in sorted(kept)]


def _plain(value: float) -> float | int | str:
    """A number for strict JSON: whole steps as ints, what is not finite as `"nan"`, `"inf"`, `"-inf"`."""
    return value if is_finite(value) else str(value)


def _step(value: float) -> float | int | str:
    return int(value) if is_finite(value) and value == int(value) and abs(value) < 2**53 else _plain(value)


class Extraction:
    """All that was read from the output of one attempt.

    Attributes:
        points: Metric name -> [(step, value), ...]; the last, lowest and highest are always among them.
        counts: Metric name -> how many values were printed; more than points where they were thinned.
        problems: What stood where a number of a wanted metric was expected: `{"line", "metric", "text", "kind",
            "reason"}`. Kind `ambiguous` could be read in two ways, `word` has no digit, `slow` is a regular
            expression that was given up. The first and last few; `n_problems` counts all.
        unreadable: The problem that forbids to read the objective, or None.
        hints: Sentences for a person whose objective was not found.
        warnings: Sentences for a person whose objective was found, but perhaps not as meant.
        shapes: Kinds of lines that the objective stood on, numbers masked: `[[shape, count], ...]`.
        lines, cut_lines: Lines in all, and those longer than CAP_LINE.
        dropped_names: Metrics that were not kept because there were too many.
    """

    _FIELDS = ("counts", "problems", "n_problems", "unreadable", "hints", "warnings", "shapes", "lines", "cut_lines")

    def __init__(self) -> None:
        self.points: dict[str, list[tuple[float, float]]] = {}
        self.counts: dict[str, int] = {}
        self.problems: list[dict[str, Any]] = []
        self.n_problems = 0
        self.unreadable: dict[str, Any] | None = None
        self.hints: list[str] = []
        self.warnings: list[str] = []
        self.shapes: list[list[Any]] = []
        self.lines = 0
        self.cut_lines = 0
        self.dropped_names = 0

    def last(self) -> dict[str, float]:
        """Last value of each metric, where it is finite."""
        return {name: points[-1][1] for name, points in self.points.items() if is_finite(points[-1][1])}

    def to_json(self) -> dict[str, Any]:
        data = {name: getattr(self, name) for name in (*self._FIELDS, "dropped_names")}
        data["points"] = {
            name: [[_step(step), _plain(value)] for step, value in points] for name, points in self.points.items()
        }
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Extraction:
        """The extraction that `to_json` wrote; what an older version did not write keeps its empty value."""
        extraction = cls()
        for name in (*cls._FIELDS, "dropped_names"):
            if name in data:
                setattr(extraction, name, data[name])
        extraction.points = {
            name: [(float(step), float(value)) for step, value in points] for name, points in data["points"].items()
        }
        return extraction


def describe_problem(problem: Mapping[str, Any]) -> str:
    """A problem as a sentence."""
    return f"line {problem['line']}: `{problem['text']}`: {problem['reason']}"


def judge(
    end: Mapping[str, Any],
    extraction: Extraction,
    objective: Mapping[str, Any],
    seconds: float | None,
    max_rss_mb: float | None,
) -> dict[str, Any]:
    """State and value of a trial: `{"state", "reason", "value", "detail"}`.

    Args:
        end: How its program ended: `{"kind": "done" | "pruned" | "failed" | "cancelled", "reason", "detail"}`. What was
            pruned keeps the value of what it had printed, None where nothing of it is finite.
        extraction: What it printed.
        objective: `metric`, `direction`, `reduce` as in the study file.
        seconds, max_rss_mb: The values of the built-in metrics `trial.seconds` and `trial.max_rss_mb`.
    """

    def failed(reason: str, detail: str) -> dict[str, Any]:
        return {"state": "failed", "reason": reason, "value": None, "detail": detail}

    if end["kind"] == "pruned":
        value = _reduced_so_far(extraction, objective)
        return {"state": "pruned", "reason": end.get("reason"), "value": value, "detail": end.get("detail") or ""}
    if end["kind"] != "done":
        return {"state": end["kind"], "reason": end.get("reason"), "value": None, "detail": end.get("detail") or ""}
    metric = objective["metric"]
    if metric in ("trial.seconds", "trial.max_rss_mb"):
        value = seconds if metric == "trial.seconds" else max_rss_mb
        if value is None:
            return failed("metric_missing", f"`{metric}` was not measured")
        return {"state": "complete", "reason": end.get("reason"), "value": value, "detail": end.get("detail") or ""}
    if extraction.unreadable is not None:
        return failed("metric_unreadable", f"`{metric}` cannot be read: {describe_problem(extraction.unreadable)}")
    points = extraction.points.get(metric)
    if not points:
        return failed("metric_missing", f"`{metric}` was never printed: {'; '.join(extraction.hints) or 'no output'}")
    if objective.get("reduce") == "best":
        finite = [value for _, value in points if is_finite(value)]
        if not finite:
            return failed("nonfinite", f"`{metric}` was never a finite number (last: {points[-1][1]})")
        value = min(finite, key=lambda each: loss_of(each, objective["direction"]))
    else:
        value = points[-1][1]
        if not is_finite(value):
            return failed("nonfinite", f"the last `{metric}` is {value}")
    return {"state": "complete", "reason": end.get("reason"), "value": value, "detail": end.get("detail") or ""}


def _reduced_so_far(extraction: Extraction, objective: Mapping[str, Any]) -> float | None:
    """The objective of a trial that did not come to its end: its last or best finite value."""
    points = extraction.points.get(objective["metric"]) if extraction.unreadable is None else None
    finite = [value for _, value in points or () if is_finite(value)]
    if not finite:
        return None
    if objective.get("reduce") == "best":
        return min(finite, key=lambda each: loss_of(each, objective["direction"]))
    return finite[-1]
