"""What a trial is in MLflow: a run's name, parameters, metrics and tags, within MLflow's limits.

Pure: records of a study go in, a `TrialRun` comes out. Names that MLflow does not take are changed, and a tag
`hpo.name.NEW` says how they were. Steps are whole numbers there and times are milliseconds. Source of the limits:
mlflow/utils/validation.py of 3.17.
"""

from __future__ import annotations

import math
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hpo_workflow.analysis import Point
from hpo_workflow.spec import StudySpec, digest_of
from hpo_workflow.study_state import Emission
from hpo_workflow.trial import Trial, TrialState

LONGEST_NAME = 250
LONGEST_PARAM = 6000
LONGEST_TAG = 5000
"""Characters; servers before 2.15 take no longer tags."""

STATUS = {
    TrialState.COMPLETE: "FINISHED",
    TrialState.FAILED: "FAILED",
    TrialState.PRUNED: "KILLED",
    TrialState.CANCELLED: "KILLED",
}
"""The status of a run for the state of its trial; MLflow has no word for what a pruner has ended."""

ATTEMPTS = "hpo.attempts"
"""The tag that says in which attempt a trial is or was."""

_FOREIGN = re.compile(r"[^\w./: -]")


@dataclass(frozen=True)
class MetricPoint:
    """A value of a metric as MLflow keeps it.

    Args:
        name: The metric, under the name that MLflow takes.
        step: A whole number.
        value: NaN where it was not finite: the databases behind MLflow turn infinities into 1.8e308.
        time_ms: When, since 1970.
    """

    name: str
    step: int
    value: float
    time_ms: int

    @property
    def key(self) -> tuple[int, str]:
        """Equal for equal values at one step, whenever they were sent."""
        return self.step, repr(self.value)


@dataclass(frozen=True)
class TrialRun:
    """A trial as a run.

    Args:
        number: The trial.
        name: The run's name.
        params: Name -> text.
        tags: Name -> text, without those that mark how far the export is.
        points: All values of all metrics.
        started_ms, ended_ms: None where that is not known or not yet.
        status: A status of MLflow.
        joined: Whether its attempts go on from each other and what they print counts as one output.
    """

    number: int
    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    points: Sequence[MetricPoint]
    started_ms: int | None
    ended_ms: int | None
    status: str
    joined: bool = False


class Names:
    """Names that MLflow takes, one for each of ours.

    Attributes:
        changed: New name -> our name, of those that had to be changed.
    """

    def __init__(self) -> None:
        self.changed: dict[str, str] = {}
        self._given: dict[str, str] = {}
        self._taken: set[str] = set()

    def of(self, name: str) -> str:
        """The name in MLflow: letters, digits, `_ - . / :` and blanks, and a path that names itself."""
        if name not in self._given:
            new = _fitting(name)
            base, count = new, 1
            while new in self._taken:
                count += 1
                new = f"{base}_{count}"
            self._taken.add(new)
            self._given[name] = new
            if new != name:
                self.changed[new] = name
        return self._given[name]


def _fitting(name: str) -> str:
    new = _FOREIGN.sub("_", name) or "_"
    if posixpath.normpath(new) != new or new.startswith(("/", "..")) or new == ".":
        new = new.replace("/", "_").replace("..", "_")
        new = "_" if new == "." else new
    if len(new) > LONGEST_NAME - 10:  # room for a count
        new = f"{new[: LONGEST_NAME - 30]}_{digest_of(name)}"
    return new


def text_of(value: Any) -> str:
    """A parameter's value as text, as study files have it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def cut(text: str, longest: int) -> str:
    """`text`, or its beginning and how long it is where it is longer than MLflow takes."""
    if len(text) <= longest:
        return text
    end = f"... ({len(text)} characters)"
    return text[: longest - len(end)] + end


def milliseconds(moment: datetime | None) -> int | None:
    """A moment since 1970."""
    return None if moment is None else round(moment.timestamp() * 1000)


def whole_step(step: float, index: int) -> int:
    """A step as a whole number: itself where it is one, else which value of its metric it is, from 1."""
    return int(step) if math.isfinite(step) and step == int(step) and abs(step) < 2**53 else index + 1


def metric_points(
    found: Mapping[str, Sequence[Point]], names: Names, started_ms: int, ended_ms: int
) -> Iterator[MetricPoint]:
    """The values of a trial that has ended. Logs have no clock: their times are spread evenly over the trial."""
    for metric, points in found.items():
        name = names.of(metric)
        each = (ended_ms - started_ms) / max(1, len(points))
        for index, (step, value) in enumerate(points):
            at = round(started_ms + (index + 1) * each)
            yield MetricPoint(name, whole_step(step, index), _finite(value), at)


def nonfinite_tags(found: Mapping[str, Sequence[Point]], names: Names) -> dict[str, str]:
    """What was not finite, by metric: `hpo.nonfinite.loss: 2 inf, 1 nan`."""
    tags = {}
    for metric, points in found.items():
        counts = Counter(str(value) for _, value in points if not math.isfinite(value))
        if counts:
            tags[f"hpo.nonfinite.{names.of(metric)}"[:LONGEST_NAME]] = ", ".join(f"{n} {k}" for k, n in counts.items())
    return tags


def name_tags(names: Names) -> dict[str, str]:
    """How names were that MLflow does not take."""
    return {f"hpo.name.{new}"[:LONGEST_NAME]: cut(old, LONGEST_TAG) for new, old in names.changed.items()}


def params_of(spec: StudySpec, emission: Emission, names: Names) -> dict[str, str]:
    """All parameters of a trial: sampled, constant and derived."""
    complete = spec.search_space.complete(emission.proposal.params)
    return {names.of(name): cut(text_of(value), LONGEST_PARAM) for name, value in complete.items()}


def trial_tags(spec: StudySpec, emission: Emission) -> dict[str, str]:
    """What is known of a trial when it begins."""
    proposal = emission.proposal
    facts = {
        "hpo.study": spec.study,
        "hpo.trial": proposal.number,
        "hpo.config": proposal.config,
        "hpo.batch": emission.batch,
        "hpo.origin": emission.origin,
        "hpo.fidelity": None if proposal.fidelity is None else f"{proposal.fidelity:g}",
        "hpo.parent_trial": proposal.parent,
        "hpo.bracket": proposal.bracket,
    }
    return texts(facts)


def texts(facts: Mapping[str, Any]) -> dict[str, str]:
    """Facts as tags; what is empty is left out."""
    return {name: cut(str(value), LONGEST_TAG) for name, value in facts.items() if value is not None and value != ""}


def trial_name(number: int) -> str:
    """How the run of a trial is called."""
    return f"trial {number}"


def ended_run(
    spec: StudySpec,
    emission: Emission,
    trial: Trial,
    points: Mapping[str, Sequence[Point]],
    result: Mapping[str, Any] | None,
    moments: tuple[datetime | None, datetime | None],
) -> TrialRun:
    """A trial that has ended, as a run.

    Args:
        points: Step and value of all that it printed, by metric.
        result: How its program ended, None where that cannot be read.
        moments: When its first attempt started and its last one ended.
    """
    ended = milliseconds(moments[1])
    started = milliseconds(moments[0])
    if started is None and ended is not None:
        started = ended - round(1000 * (trial.seconds or 0.0))
    begin, end = started or 0, ended or started or 0
    names, param_names = Names(), Names()
    measured = {"trial.value": trial.value, "trial.seconds": trial.seconds, "trial.max_rss_mb": trial.max_rss_mb}
    facts = [
        MetricPoint(names.of(name), 0, _finite(value), end)
        for name, value in measured.items()
        if value is not None and name not in points
    ]
    record = result or {}
    tags = {
        **trial_tags(spec, emission),
        "hpo.state": trial.state.value,
        "hpo.reason": trial.reason,
        "hpo.detail": trial.detail,
        "hpo.audited": trial.audited,
        "hpo.host": trial.host or record.get("host"),
        ATTEMPTS: _attempt(record),
        "hpo.exit_code": record.get("exit_code"),
        "hpo.cached": "true" if trial.cached else None,
        "hpo.warnings": "\n".join(trial.warnings),
    }
    return TrialRun(
        number=trial.number,
        name=trial_name(trial.number),
        params=params_of(spec, emission, param_names),
        points=[*metric_points(points, names, begin, end), *facts],
        tags={**texts(tags), **name_tags(param_names), **name_tags(names), **nonfinite_tags(points, names)},
        started_ms=started,
        ended_ms=ended,
        status=STATUS[trial.state],
        joined=bool(record.get("joined")),
    )


def _attempt(record: Mapping[str, Any]) -> int:
    """The attempt that ended a trial: its log is named after it."""
    suffix = str(record.get("log") or "").rpartition("log.")[2]
    return int(suffix) if suffix.isdigit() else len(record.get("attempts") or [None])


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.nan


def in_parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """`items` in pieces of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def missing(points: Iterable[MetricPoint], present: Mapping[str, Counter[tuple[int, str]]]) -> list[MetricPoint]:
    """Those points that a run does not have yet.

    Args:
        present: By metric how often each value is there, as `MetricPoint.key` has it.
    """
    left = {name: Counter(keys) for name, keys in present.items()}
    found = []
    for point in points:
        keys = left.get(point.name)
        if keys is not None and keys[point.key] > 0:
            keys[point.key] -= 1
        else:
            found.append(point)
    return found
