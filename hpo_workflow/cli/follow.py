"""A study followed while it runs: what has finished since the last look, what runs now.

Nothing is listed and no look reads more than a bounded number of files: new batches by their number, outcomes of live
trials by their known names. What is shown all the time is counted as trials end, so that a look costs the same after
ten thousand of them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from hpo_workflow.errors import StudyFolderError
from hpo_workflow.objective import is_better
from hpo_workflow.reading.latest_values import LatestValue, LatestValues
from hpo_workflow.reading.unfinished import RunningAttempt, running_attempt
from hpo_workflow.store.study_folder import StudyFolder, without_rendering
from hpo_workflow.trial import Trial, TrialState

AGAIN = {"timeout": "its time was over, and it goes on", "oom": "it ran out of memory, and is started with more"}
"""What `retry:` does with a trial, by the reason why it failed."""

LOOKS = 64
"""Live trials that are looked at in one tick; where more are live, they take turns."""

GPU_S = 5.0
"""GPU-hours are added up this often: every trial has a part in them."""


@dataclass(frozen=True)
class Standing:
    """What the records of trials do not tell of a study.

    Args:
        who: Whether and since when somebody runs the study, in a few words.
        notes: What else to know, each on a line of its own.
        queue: How its jobs stand in a cluster's queue; empty where there is none.
        elapsed_s: How long the study has run, all runs together; wanted where `budget.wall` bounds it.
        is_over: Whether nothing more comes, so that no end is estimated.
    """

    who: str = ""
    notes: tuple[str, ...] = ()
    queue: str = ""
    elapsed_s: float | None = None
    is_over: bool = False


def warning_text(number: int, warning: str) -> str:
    """A doubt about how a trial's output was read, as a line."""
    return f"warning: trial {number}: {warning}"


class Follower:
    """The state of a study, kept up to date.

    Attributes:
        state: All that is known; `tick` adds to it.
        attempts: The attempts that run, by trial.
        peak: The most that ran at once.
        failures: Failed trials by reason.
        levels: Trials that came to a value, by fidelity; empty where the study has none.
        course: How many trials had finished and their best value, each time that it became better; trials that had
            finished before are in the order of their numbers.
        n_cached: Results that were known already.
        total: How many configurations the study will try; None where only time bounds it.
    """

    def __init__(self, folder: StudyFolder, plan: dict[str, Any], clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self.plan = plan
        self.digest: str = plan["metrics_digest"]
        self.state = folder.state(plan)
        self.total = self.state.spec.n_configurations
        self.attempts: dict[int, RunningAttempt] = {}
        self.peak = 1
        self.n_before = len(self.state.finished)
        self.failures: Counter[str] = Counter()
        self.levels: Counter[float] = Counter()
        self.course: list[tuple[int, float]] = []
        self.n_cached = 0
        self._seconds = 0.0
        self._n_timed = 0
        self._n_counted = 0
        self._count(self.state.finished[number] for number in sorted(self.state.finished))
        self._values = LatestValues(folder.paths, plan["spec"])
        self._warned = set(self.state.warnings)
        self._retried = {number: dict(failed) for number, failed in self.state.failed_attempts.items()}
        self._gpu: tuple[float, tuple[float, float]] | None = None
        self._clock = clock
        self.begun = clock()
        self._next = 0

    @property
    def running(self) -> Collection[int]:
        """Numbers of trials that run."""
        return self.attempts.keys()

    def tick(self) -> list[Trial]:
        """Trials that have finished since the last tick."""
        state = self.state
        finished = []
        try:
            while (record := self.folder.batch(state.n_batches)) is not None:
                state.add_batch(without_rendering(record))
            for number in self._turn():
                emission = state.emissions[number]
                metric = self.folder.outcome(self.digest, number, emission.batch)
                if metric is None:
                    attempt = running_attempt(self.folder, number)
                    if attempt is not None:
                        self.attempts[number] = attempt
                    else:
                        self.attempts.pop(number, None)
                    continue
                self.attempts.pop(number, None)
                state.add_outcome(metric)
                if number in state.finished:
                    finished.append(state.finished[number])
        except (StudyFolderError, OSError):
            pass  # a display does not end a study; what is really damaged, the rules report
        self._count(finished)
        self.peak = max(self.peak, len(self.attempts))
        return finished

    def _turn(self) -> list[int]:
        live = list(self.state.live)
        if len(live) <= LOOKS:
            return live
        start = self._next % len(live)
        self._next = start + LOOKS
        return (live + live)[start : start + LOOKS]

    def _count(self, finished: Iterable[Trial]) -> None:
        direction = self.state.spec.objective.direction
        for trial in finished:
            self._n_counted += 1
            if trial.state is TrialState.FAILED:
                self.failures[trial.reason or "unknown"] += 1
            elif trial.value is not None and trial.proposal.fidelity is not None:
                self.levels[trial.proposal.fidelity] += 1
            self.n_cached += trial.cached
            if trial.seconds is not None and not trial.cached:
                self._seconds += trial.seconds
                self._n_timed += 1
            if trial.state is not TrialState.COMPLETE or trial.value is None:
                continue
            if not self.course or is_better(trial.value, self.course[-1][1], direction):
                self.course.append((self._n_counted, trial.value))

    def latest(self, numbers: Collection[int]) -> dict[int, LatestValue]:
        """The latest value of the objective of running trials, read from what they have printed since the last call."""
        return self._values.look({n: self.attempts[n].number for n in numbers if n in self.attempts})

    def gpu_hours(self) -> tuple[float, float]:
        """GPU-hours that all trials have used up to now, and those that lost attempts took."""
        now = self._clock()
        if self._gpu is None or now - self._gpu[0] >= GPU_S:
            gpus = self.state.spec.resources.get("gpu", 0)
            each = gpus if isinstance(gpus, int) else 0
            clock = time.time()
            held = {
                number: each * max(0.0, clock - attempt.begun)
                for number, attempt in self.attempts.items()
                if attempt.begun is not None
            }
            self._gpu = now, (self.state.gpu_hours(held), self.state.lost_gpu_hours)
        return self._gpu[1]

    def new_warnings(self, finished: list[Trial]) -> list[str]:
        """What is doubtful about the trials that have just finished and was not said before."""
        texts = []
        for trial in finished:
            for warning in trial.warnings:
                if warning not in self._warned:
                    self._warned.add(warning)
                    texts.append(warning_text(trial.number, warning))
        return texts

    def new_retries(self) -> list[str]:
        """Trials that were started again by `retry:` since this was last asked, as lines."""
        texts = []
        for number, failed in self.state.failed_attempts.items():
            before = self._retried.get(number, {})
            for reason, count in failed.items():
                if count > before.get(reason, 0):
                    texts.append(f"trial {number}: {AGAIN[reason]} (retry.{reason}, {count})")
            self._retried[number] = dict(failed)
        return texts

    @property
    def elapsed_s(self) -> float:
        """Seconds since this run began."""
        return self._clock() - self.begun

    def left_s(self) -> float | None:
        """About how long it will take, or None while nothing tells it: no trial has finished, or none runs."""
        state, total = self.state, self.total
        here = len(state.finished) - self.n_before
        if total is None or (here <= 0 and not (self.attempts and self._n_timed)):
            return None
        remaining = max(0, total - state.n_counted)
        at_a_time = max(1, min(self.peak, state.spec.budget.parallel))
        # Trials that go on from others are part of what a configuration takes.
        each = max(1, state.n_counted) / max(1, len(state.finished))
        by_duration = remaining * self._seconds / self._n_timed / each / at_a_time if self._n_timed else 0.0
        return max(by_duration, remaining * self.elapsed_s / here / each if here >= 2 * at_a_time else 0.0)
