"""Progress of a run: a live picture on a terminal, lines elsewhere."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from hpo_workflow.cli.follow import Follower, Standing
from hpo_workflow.cli.terminal import duration, number, one_line, plural, printable
from hpo_workflow.study_state import StudyState
from hpo_workflow.trial import Trial, TrialState

HEARTBEAT_S = 60.0
QUEUE_S = 10.0
"""After so long a silence a change in the cluster's queue is worth a line."""

DRAW_S = 0.9
"""Between two pictures while nothing comes but time."""


def counts_text(state: StudyState, n_running: int) -> str:
    """`13 of 64 trials done, 8 running, 3 pruned, 2 failed (exit_code 1, timeout 1)`."""
    words = [state.done_text]
    if n_running:
        words.append(f"{n_running} running")
    pruned = state.n_in(TrialState.PRUNED)
    if pruned:
        words.append(f"{pruned} pruned")
    failures = state.failures
    if failures:
        reasons = ", ".join(f"{reason} {count}" for reason, count in failures.items())
        words.append(f"{sum(failures.values())} failed ({reasons})")
    cancelled = state.n_in(TrialState.CANCELLED)
    if cancelled:
        words.append(f"{cancelled} cancelled")
    return ", ".join(words)


def trial_text(trial: Trial, state: StudyState, n_counted: int) -> str:
    """How one trial ended, after which `n_counted` have cost budget."""
    took = "" if trial.seconds is None else f" in {duration(trial.seconds)}"
    if trial.cached:
        took = " from the cache"
    if trial.state is TrialState.COMPLETE:
        ended = f"{state.spec.objective.metric} {number(trial.value)}"
        if state.incumbent is not None and state.incumbent.number == trial.number:
            ended += ", the best so far"
    else:
        reason = f" ({trial.reason})" if trial.reason else ""
        detail = f": {one_line(trial.detail)}" if trial.detail else ""
        ended = f"{trial.state.value}{reason}{detail}"
    total = "" if state.spec.n_configurations is None else f"/{state.spec.n_configurations}"
    rung = state.fidelity_text(trial.proposal)
    return f"[{n_counted}{total}] trial {trial.number}{f' ({rung})' if rung else ''}{took}: {ended}"


def trial_texts(finished: Sequence[Trial], state: StudyState) -> list[str]:
    """How the trials ended that `state` has just taken in."""
    n_counted = state.n_counted - sum(trial.counts for trial in finished)
    texts = []
    for trial in finished:
        n_counted += trial.counts
        texts.append(trial_text(trial, state, n_counted))
    return texts


class LineProgress:
    """One line for each trial that ends, and now and then a sign of life.

    Args:
        stream: Where the lines go.
        quiet: Only notes are written.
        name: The study's, where several write to one stream.
    """

    def __init__(
        self, stream: TextIO, *, quiet: bool = False, name: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._quiet = quiet
        self._clock = clock
        self._last = clock()
        self._queue = ""
        self._before = f"{name}: " if name else ""

    def note(self, text: str) -> None:
        """Say something that is no progress."""
        print(printable(self._before + text), file=self._stream, flush=True)
        self._last = self._clock()

    def update(self, follower: Follower, finished: list[Trial], queue: str, stopping: str) -> None:
        """Show the study as it stands."""
        for warning in follower.new_warnings(finished):
            self.note(warning)
        if self._quiet:
            return
        for text in trial_texts(finished, follower.state):
            self.note(text)
        silent_s = self._clock() - self._last
        if queue and queue != self._queue and silent_s >= QUEUE_S:
            self.note(queue)
        self._queue = queue or self._queue
        if silent_s >= HEARTBEAT_S:
            words = [counts_text(follower.state, len(follower.running))]
            best = follower.state.incumbent
            if best is not None:
                words.append(f"best {number(best.value)} (trial {best.number})")
            left = follower.left_s()
            if left:
                words.append(f"about {duration(left)} left")
            words += [text for text in (queue, stopping) if text]
            self.note("; ".join(words))

    def close(self, *, keep: bool = False) -> None:
        """Nothing is on the screen that could be taken away."""


class LiveProgress:
    """A picture at the bottom of a terminal; failures and improvements scroll by above it.

    Args:
        stream: The terminal.
        standing: What the follower does not know, asked for when a picture is drawn.
    """

    def __init__(
        self, stream: TextIO, standing: Callable[[], Standing], clock: Callable[[], float] = time.monotonic
    ) -> None:
        from hpo_workflow.cli.screen import Screen

        self.screen = Screen(stream)
        self._standing = standing
        self._clock = clock
        self._drawn = -DRAW_S

    def note(self, text: str) -> None:
        """Say something above the picture."""
        self.screen.note(text)

    def update(self, follower: Follower, finished: list[Trial], queue: str, stopping: str) -> None:
        """Draw the study as it stands, once a second, or at once where something has come."""
        from hpo_workflow.cli.picture import picture

        self.screen.note(*follower.new_warnings(finished), *remarkable_texts(finished, follower.state))
        now = self._clock()
        if not finished and now - self._drawn < DRAW_S:
            return
        self._drawn = now
        standing = self._standing()
        notes = (*standing.notes, stopping) if stopping else standing.notes
        standing = dataclasses.replace(standing, notes=notes, queue=queue or standing.queue)
        width, height = self.screen.size
        self.screen.draw(picture(follower, standing, width, height, utf8=self.screen.utf8))

    def close(self, *, keep: bool = False) -> None:
        """Take the picture away, or with `keep` leave it where it is."""
        self.screen.close(keep=keep)


def remarkable_texts(finished: Sequence[Trial], state: StudyState) -> list[str]:
    """Of the trials that have just ended, those that failed or are the best so far, as lines."""
    best = state.incumbent
    return [
        text
        for trial, text in zip(finished, trial_texts(finished, state), strict=True)
        if trial.state is TrialState.FAILED or (best is not None and best.number == trial.number)
    ]


def is_drawn_on(stream: TextIO) -> bool:
    """Whether a picture can be drawn there: a terminal that moves its cursor."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def stopping_text(n_running: int, asked: int) -> str:
    """What Ctrl-C has led to."""
    if asked == 1:
        if not n_running:
            return "no new trials"
        ends = "finishes" if n_running == 1 else "finish"
        return f"no new trials; {n_running} running {ends} (Ctrl-C again to stop them)"
    return f"stopping {plural(n_running, 'trial')}" if n_running else "stopping"
