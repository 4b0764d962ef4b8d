"""Progress of a run: a live picture on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

from hpo_workflow.cli.follow import Follower
from hpo_workflow.cli.terminal import duration, number, one_line, params_text, plural, printable
from hpo_workflow.study_state import StudyState
from hpo_workflow.trial import Trial, TrialState

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

HEARTBEAT_S = 60.0
QUEUE_S = 10.0
"""After so long a silence a change in the cluster's queue is worth a line."""

BAR = 30


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


def best_text(state: StudyState) -> str:
    """The best so far with its trial and parameters; empty while there is none."""
    best = state.incumbent
    if best is None:
        return ""
    params = params_text(state.spec.search_space.complete(best.params))
    return f"best {state.spec.objective.metric} {number(best.value)}, trial {best.number}: {params}"


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
    """

    def __init__(self, stream: TextIO, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._quiet = quiet
        self._clock = clock
        self._last = clock()
        self._queue = ""

    def note(self, text: str) -> None:
        """Say something that is no progress."""
        print(printable(text), file=self._stream, flush=True)
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

    def close(self) -> None:
        """Nothing is left on the screen."""


class LiveProgress:
    """A few lines at the bottom of a terminal, drawn anew at each tick; improvements scroll by above them."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._live: Live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live.start()

    def note(self, text: str) -> None:
        """Say something above the live lines."""
        self._console.print(printable(text), soft_wrap=True)

    def update(self, follower: Follower, finished: list[Trial], queue: str, stopping: str) -> None:
        """Draw the study as it stands."""
        for warning in follower.new_warnings(finished):
            self.note(warning)
        best = follower.state.incumbent
        for trial, text in zip(finished, trial_texts(finished, follower.state), strict=True):
            if trial.state is TrialState.FAILED or (best is not None and best.number == trial.number):
                self.note(text)
        self._live.update(self._picture(follower, queue, stopping), refresh=True)

    def _picture(self, follower: Follower, queue: str, stopping: str) -> Text:
        from rich.text import Text

        state = follower.state
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{state.spec.study}  ", "bold")
        total = state.spec.n_configurations
        if total:
            utf8 = self._console.encoding.lower().startswith("utf")
            full = min(BAR, BAR * state.n_counted // total)
            text.append(("█" if utf8 else "#") * full, "green")
            text.append(("░" if utf8 else ".") * (BAR - full), "dim")
            text.append("  ")
        text.append(counts_text(state, len(follower.running)))
        best = best_text(state)
        text.append("\n" + (best or "no trial is complete yet"), "" if best else "dim")
        left = follower.left_s()
        times = [f"{duration(follower.elapsed_s)} so far"] + ([f"about {duration(left)} left"] if left else [])
        text.append("\n" + ", ".join(times), "dim")
        for extra in (queue, stopping):
            if extra:
                text.append("\n" + extra, "yellow")
        return text

    def close(self) -> None:
        """Take the live lines away."""
        self._live.stop()


def stopping_text(n_running: int, asked: int) -> str:
    """What Ctrl-C has led to."""
    if asked == 1:
        if not n_running:
            return "no new trials"
        ends = "finishes" if n_running == 1 else "finish"
        return f"no new trials; {n_running} running {ends} (Ctrl-C again to stop them)"
    return f"stopping {plural(n_running, 'trial')}" if n_running else "stopping"
