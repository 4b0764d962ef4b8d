"""A study followed while it runs: what has finished since the last look, what runs now.

Nothing is listed and no look reads more than a bounded number of files: new batches by their number, outcomes of live
trials by their known names.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from hpo_workflow.errors import StudyFolderError
from hpo_workflow.reading.unfinished import is_running
from hpo_workflow.store.study_folder import StudyFolder, without_rendering
from hpo_workflow.trial import Trial

AGAIN = {"timeout": "its time was over, and it goes on", "oom": "it ran out of memory, and is started with more"}
"""What `retry:` does with a trial, by the reason why it failed."""

LOOKS = 64
"""Live trials that are looked at in one tick; where more are live, they take turns."""


def warning_text(number: int, warning: str) -> str:
    """A doubt about how a trial's output was read, as a line."""
    return f"warning: trial {number}: {warning}"


class Follower:
    """The state of a study, kept up to date.

    Attributes:
        state: All that is known; `tick` adds to it.
        running: Numbers of trials that run.
        peak: The most that ran at once.
    """

    def __init__(self, folder: StudyFolder, plan: dict[str, Any], clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self.digest: str = plan["metrics_digest"]
        self.state = folder.state(plan)
        self.running: set[int] = set()
        self.peak = 1
        self.n_before = len(self.state.finished)
        self._warned = set(self.state.warnings)
        self._retried = {number: dict(failed) for number, failed in self.state.failed_attempts.items()}
        self._clock = clock
        self.begun = clock()
        self._next = 0

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
                    if is_running(self.folder, number):
                        self.running.add(number)
                    else:
                        self.running.discard(number)
                    continue
                self.running.discard(number)
                state.add_outcome(metric)
                if number in state.finished:
                    finished.append(state.finished[number])
        except (StudyFolderError, OSError):
            pass  # a display does not end a study; what is really damaged, the rules report
        self.peak = max(self.peak, len(self.running))
        return finished

    def _turn(self) -> list[int]:
        live = list(self.state.live)
        if len(live) <= LOOKS:
            return live
        start = self._next % len(live)
        self._next = start + LOOKS
        return (live + live)[start : start + LOOKS]

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
        """About how long it will take, or None while nothing has finished in this run."""
        spec = self.state.spec
        here = len(self.state.finished) - self.n_before
        if spec.n_configurations is None or here <= 0:
            return None
        remaining = max(0, spec.n_configurations - self.state.n_counted)
        at_a_time = max(1, min(self.peak, spec.budget.parallel))
        times = [trial.seconds for trial in self.state.finished.values() if trial.seconds is not None]
        # Trials that go on from others are part of what a configuration takes.
        each = max(1, self.state.n_counted) / max(1, len(self.state.finished))
        by_duration = remaining * sum(times) / len(times) / each / at_a_time if times else 0.0
        return max(by_duration, remaining * self.elapsed_s / here / each if here >= 2 * at_a_time else 0.0)
