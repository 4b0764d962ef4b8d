"""`hpo status --watch`: a study looked at until it ends. Whoever watches changes nothing, and may leave at any time."""

from __future__ import annotations

import os
import shlex
import sys
import time
from typing import TextIO

from hpo_workflow.cli.follow import LOOKS, Follower, Standing
from hpo_workflow.cli.head import head_facts, head_lines, read_head
from hpo_workflow.cli.outcome import best_lines, end_sentence, failure_lines
from hpo_workflow.cli.progress import LineProgress, LiveProgress, counts_text, is_drawn_on
from hpo_workflow.cli.standing import QueueOfOthers, Watchman
from hpo_workflow.cli.study_argument import not_run_yet
from hpo_workflow.errors import StudyFolderError
from hpo_workflow.reading.best import best_record
from hpo_workflow.reading.opened import OpenStudy
from hpo_workflow.store.atomic import read_json

STOPPED = 130
"""Exit code where a study was stopped before its end while it was watched, as `hpo run` itself gives it."""

LEAVING_S = 10.0
"""Whoever runs a study that has ended gets so long to write its report; a workflow of more rules goes on without us."""


def watch(opened: OpenStudy, interval_s: float, stream: TextIO | None = None) -> int:
    """Show a study until it ends; gives the exit code: of its outcome, or 0 where the user leaves (Ctrl-C).

    Args:
        opened: The study; it may not have begun.
        interval_s: Seconds between two looks.
        stream: Where to, by default standard output.
    """
    watched = _Watch(opened, interval_s, sys.stdout if stream is None else stream)
    try:
        return watched.go()
    except KeyboardInterrupt:
        watched.close(keep=True)
        return 0
    finally:
        watched.close()


class _Watch:
    def __init__(self, opened: OpenStudy, interval_s: float, stream: TextIO) -> None:
        self._opened = opened
        self._folder = opened.folder
        self._interval_s = interval_s
        self._queue = QueueOfOthers(opened.spec.study, opened.folder.root)
        self._standing = Standing()
        self._is_drawn = is_drawn_on(stream)
        self._progress = LiveProgress(stream, lambda: self._standing) if self._is_drawn else LineProgress(stream)

    def close(self, *, keep: bool = False) -> None:
        """End the picture, and a question to Slurm that is under way."""
        self._progress.close(keep=keep)
        self._queue.close()

    def go(self) -> int:
        """Wait for the study to begin, and watch it to its end."""
        is_told = False
        while True:
            digest = self._plan_digest()
            plan = None if digest is None else self._folder.current_plan()
            if digest is not None and plan is not None:
                code = self._follow(digest, Follower(self._folder, plan))
                if code is not None:
                    return code
                continue
            if not is_told:
                is_told = True
                head = head_lines(head_facts(read_head(self._folder.paths)), None, False, "")
                self._progress.note("\n".join([not_run_yet(self._opened), *head]))
                self._progress.note("waiting until it starts (Ctrl-C leaves)")
            time.sleep(self._interval_s)

    def _plan_digest(self) -> str | None:
        """Which plan is in force; None where there is none, or it is just being written."""
        try:
            pointer = read_json(self._folder.paths.current_plan)
        except (ValueError, OSError):
            return None
        return str(pointer["plan"]) if isinstance(pointer, dict) and "plan" in pointer else None

    def _follow(self, digest: str, follower: Follower) -> int | None:
        """Watch it under one plan; None where another one takes its place."""
        folder, state = self._folder, follower.state
        watchman = Watchman(follower, self._queue)
        n_decisions = len(folder.decisions())
        was_run, n_missed, ended_at = False, 0, None
        while True:
            finished = follower.tick()
            self._standing = watchman.look()
            if watchman.ending is None or (watchman.is_run and state.live):
                ended_at = None
            elif ended_at is None:
                ended_at = time.monotonic()
            if ended_at is not None and (not watchman.is_run or time.monotonic() - ended_at > LEAVING_S):
                return self._result(follower, watchman)
            if not (self._is_drawn or was_run or n_missed):
                self._begin_lines(follower, watchman)
            self._progress.update(follower, finished, self._standing.queue, "")
            # A single look that finds nobody may fall between two owners of the session.
            n_missed = 0 if watchman.is_run or watchman.is_awaited else n_missed + 1
            if was_run and n_missed >= 2:
                return self._stopped(follower)
            was_run = was_run or watchman.is_run
            if self._plan_digest() != digest or os.path.exists(folder.paths.decision(n_decisions)):
                return None
            if len(finished) < LOOKS // 2:  # else a long line of outcomes waits
                time.sleep(self._interval_s)

    def _begin_lines(self, follower: Follower, watchman: Watchman) -> None:
        """Where it stands, before the first line of a trial."""
        words = f"study {self._opened.spec.study}: {self._standing.who}; "
        words += counts_text(follower.state, len(follower.attempts))
        self._progress.note("\n".join([words, *self._standing.notes]))
        if not (watchman.is_run or watchman.is_awaited):
            self._progress.note("waiting until somebody runs it (Ctrl-C leaves)")

    def _result(self, follower: Follower, watchman: Watchman) -> int:
        """Say what came of it."""
        self._progress.close()
        state, paths = follower.state, self._folder.paths
        try:
            best = best_record(self._folder, state)
        except StudyFolderError as error:
            self._say(str(error))
            return 1
        result = [] if best is None else best_lines(state.spec.objective.metric, best)
        page = paths.report if os.path.exists(paths.report) else ""
        if best is None or (watchman.ending is not None and not watchman.ending.success):
            self._say(*result, *failure_lines(self._folder, state, watchman.ending, page))
            return 1
        self._say(f"study {state.spec.study}: {end_sentence(state, watchman.ending)}", *result)
        if page:
            self._say(f"report: {page}")
        return 0

    def _stopped(self, follower: Follower) -> int:
        self._progress.close()
        argument = self._opened.argument
        on = f" `hpo run {shlex.quote(argument)}` goes on." if argument.endswith((".yaml", ".yml")) else ""
        self._say(f"study {follower.state.spec.study}: stopped; {follower.state.done_text}.{on}")
        return STOPPED

    def _say(self, *texts: str) -> None:
        self._progress.note("\n".join(texts))
