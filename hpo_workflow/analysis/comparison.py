"""Several studies side by side: what each found, how soon, and what was different between them.

Pure: values of trials go in, a table, courses and differences come out. Studies can be compared when they optimise the
same metric in the same direction; nothing else is assumed of them.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpo_workflow.analysis.summaries import best_so_far
from hpo_workflow.objective import is_better, loss_of, reached

ABSENT = "(not given)"
"""What a study shows where another one has a setting."""

Course = list[tuple[float, float]]
"""The best value so far, where it changed: how much was spent, and the value."""


@dataclass(frozen=True)
class Ended:
    """A trial with a value, in the order in which they ended.

    Args:
        number: The trial.
        value: Its objective.
        hours: Since the study's first trial began, waiting and pauses included; None where it is not known.
        spent_hours: Hours of all trials that had ended by then, added up.
    """

    number: int
    value: float
    hours: float | None
    spent_hours: float


@dataclass(frozen=True)
class Candidate:
    """One of the studies that are compared.

    Args:
        label: What it is called here; no two have the same.
        root: Its folder.
        metric, direction: Its objective.
        state: How it stands, for people.
        seed: Of its sampler.
        settings: What its study file says, by key; without name, folder, seed and description.
        counts: How many trials ended in each state.
        complete: Trials with a value that are complete.
        trial_hours: Hours of all trials added up.
        gpu_hours: None where no trial had a GPU.
        steps: Whether its trials are trained to different levels (`fidelity:`).
        params: The parameters of its best trial.
    """

    label: str
    root: str
    metric: str
    direction: str
    state: str
    seed: int
    settings: Mapping[str, Any]
    counts: Mapping[str, int]
    complete: Sequence[Ended]
    trial_hours: float
    gpu_hours: float | None = None
    params: Mapping[str, Any] | None = None
    steps: bool = False

    @property
    def best(self) -> Ended | None:
        """Its best trial; of equals the one that ended first."""
        best = None
        for trial in self.complete:
            if math.isfinite(trial.value) and (best is None or is_better(trial.value, best.value, self.direction)):
                best = trial
        return best

    @property
    def n_others(self) -> int:
        """Trials that have ended and are not complete."""
        return sum(count for state, count in self.counts.items() if state != "complete")

    def by_trials(self) -> Course:
        """The best value so far against the number of complete trials."""
        values = [(index, trial.value) for index, trial in enumerate(self.complete, start=1)]
        return [(float(index), value) for index, value in best_so_far(values, self.direction)]

    def by_hours(self) -> Course:
        """The best value so far against the time since the first trial began; empty where times are not known."""
        if any(trial.hours is None for trial in self.complete):
            return []
        values = [(index, trial.value) for index, trial in enumerate(self.complete)]
        return [(self.complete[index].hours or 0.0, value) for index, value in best_so_far(values, self.direction)]


@dataclass(frozen=True)
class Reached:
    """When a study was as good as some value: after how many complete trials, and hours."""

    n_trials: int
    hours: float | None
    spent_hours: float


@dataclass(frozen=True)
class Group:
    """Studies that differ in nothing but their seeds.

    Args:
        labels: Their names.
        best: Their best values, as the studies are ordered.
        median, low, high: Of these.
    """

    labels: tuple[str, ...]
    best: tuple[float, ...]
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """What there is to say of several studies.

    Args:
        candidates: The studies, the best one first; those without a complete trial last.
        common: A value that each study with a complete trial has reached: the worst of their best ones.
        reached: When each reached it, by label.
        differences: What the study files say differently: key, and the text of each study in their order.
        groups: Studies that differ only in their seeds, where there are some.
        sentences: What follows, and what does not.
    """

    candidates: tuple[Candidate, ...]
    common: float | None
    reached: Mapping[str, Reached]
    differences: tuple[tuple[str, tuple[str, ...]], ...]
    groups: tuple[Group, ...]
    sentences: tuple[str, ...]


def compare(candidates: Sequence[Candidate]) -> Comparison:
    """Compare studies of the same metric and direction.

    Args:
        candidates: Two or more; their labels differ.
    """
    ranked = tuple(sorted(candidates, key=_rank))
    bests = [best.value for best in (each.best for each in ranked) if best is not None]
    common = bests[-1] if bests else None
    groups = _groups(ranked)
    return Comparison(
        candidates=ranked,
        common=common,
        reached={} if common is None else {each.label: _when(each, common) for each in ranked if each.best is not None},
        differences=differences([each.settings for each in ranked]),
        groups=groups,
        sentences=_sentences(ranked, groups),
    )


def _rank(candidate: Candidate) -> tuple[bool, float]:
    best = candidate.best
    if best is None:
        return True, 0.0
    return False, loss_of(best.value, candidate.direction)


def _when(candidate: Candidate, value: float) -> Reached:
    """When a study that has reached `value` did so."""
    for index, trial in enumerate(candidate.complete, start=1):
        if math.isfinite(trial.value) and reached(trial.value, value, candidate.direction):
            return Reached(index, trial.hours, trial.spent_hours)
    raise AssertionError(f"{candidate.label} has never reached {value}")


def time_unit(longest_hours: float) -> tuple[str, float]:
    """A unit in which a time reads well, and how many of it an hour has."""
    return next(
        (unit for unit in (("seconds", 3600.0), ("minutes", 60.0)) if longest_hours * unit[1] < 200), ("hours", 1.0)
    )


def differences(settings: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Settings that are not the same everywhere: their key, dots between levels, and each one's value as text."""
    flat = [_flat(each) for each in settings]
    keys = dict.fromkeys(key for each in flat for key in each)
    rows = [(key, tuple(each.get(key, ABSENT) for each in flat)) for key in keys]
    return tuple((key, texts) for key, texts in rows if len(set(texts)) > 1)


def _flat(value: Any, key: str = "") -> dict[str, str]:
    """Nested mappings as one, with dots between the keys; what is empty or None says nothing."""
    if isinstance(value, Mapping):
        found: dict[str, str] = {}
        for name, inner in value.items():
            found |= _flat(inner, f"{key}.{name}" if key else str(name))
        return found
    if value is None or value == "" or value == [] or value == ():
        return {}
    return {key: value if isinstance(value, str) else json.dumps(value)}


def _groups(candidates: Sequence[Candidate]) -> tuple[Group, ...]:
    together: dict[str, list[Candidate]] = {}
    for each in candidates:
        together.setdefault(json.dumps(_flat(each.settings), sort_keys=True), []).append(each)
    found = []
    for members in together.values():
        bests = [best.value for best in (member.best for member in members) if best is not None]
        if len(members) > 1 and len({member.seed for member in members}) == len(members) == len(bests):
            median = statistics.median(bests)
            found.append(Group(tuple(each.label for each in members), tuple(bests), median, min(bests), max(bests)))
    return tuple(found)


def _sentences(ranked: Sequence[Candidate], groups: Sequence[Group]) -> tuple[str, ...]:
    found = [(each, each.best) for each in ranked]
    good = [(each, best) for each, best in found if best is not None]
    if not good:
        return ("No study has a complete trial yet.",)
    said = []
    (first, best), *others = good
    if others:
        second, runner_up = others[0]
        margin = abs(best.value - runner_up.value)
        if margin == 0:
            said.append(f"{first.label} and {second.label} found the same best {first.metric}, {best.value:.6g}.")
        else:
            said.append(
                f"The best {first.metric}, {best.value:.6g}, is of {first.label}; {second.label} comes next with "
                f"{runner_up.value:.6g}."
            )
    sizes = {len(each.complete) for each, _ in good}
    if len(good) > 1 and len(sizes) > 1:
        said.append(
            "They have different numbers of complete trials: compare the courses at equal numbers, not the best values."
        )
    if any(each.steps for each in ranked):
        said.append("With `fidelity:` trials are of different lengths: compare hours, not numbers of trials.")
    if not groups and len(good) > 1:
        said.append(
            "One run of each: another seed may turn the order round. Studies that differ only in `seed:` are "
            "put together here."
        )
    for group in groups:
        said.append(
            f"{', '.join(group.labels)} differ only in their seeds: best {first.metric} from {group.low:.6g} to "
            f"{group.high:.6g}, median {group.median:.6g}."
        )
    spread = max((group.high - group.low for group in groups), default=None)
    if spread is not None and len(groups) > 1:
        medians = sorted(group.median for group in groups)
        if medians[-1] - medians[0] <= spread:
            said.append("Between groups there is no more difference than between the seeds of one group.")
    empty = [each.label for each, nothing in found if nothing is None]
    if empty:
        said.append(f"No complete trial yet: {', '.join(empty)}.")
    return tuple(said)
