"""Who runs a study and how its jobs stand, told in the few words that stand in its picture."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from typing import Any

from hpo_workflow.cli.follow import Follower, Standing
from hpo_workflow.cli.head import OVER, head_facts, head_lines, read_head
from hpo_workflow.cli.slurm_queue import INTERVAL_S, SlurmQueue
from hpo_workflow.cli.terminal import since
from hpo_workflow.orphans import jobname_prefix
from hpo_workflow.reading.opened import elapsed_s, ending_of
from hpo_workflow.store.processes import is_alive
from hpo_workflow.store.session import read_session
from hpo_workflow.store.stop_request import stop_request
from hpo_workflow.study_state import Ending

SELDOM_S = 60.0
"""Where nothing tells that the study has jobs in Slurm, it is asked this often."""

ENDING_S = 10.0
"""Whether a study has ended is worked out when something has come, and this often for what only time brings about."""


class QueueOfOthers:
    """How the jobs of a study stand in Slurm's queue, for one who did not submit them and may be on any machine.

    Args:
        root: The study's folder.
        name: The study's name.
    """

    def __init__(self, name: str, root: str) -> None:
        found = shutil.which("squeue") is not None
        self._queue = SlurmQueue(jobname_prefix(name, root)) if found else None

    def sentence(self) -> str:
        """For people; empty where no job there has a name as `hpo run` gives it."""
        if self._queue is None:
            return ""
        self._queue.poll()
        has_jobs = bool(self._queue.n_running or self._queue.n_waiting)
        self._queue.interval_s = INTERVAL_S if has_jobs else SELDOM_S
        return self._queue.sentence if has_jobs else ""

    def close(self) -> None:
        """End a question that is under way."""
        if self._queue is not None:
            self._queue.close()


class Watchman:
    """Looks who runs a study, and whether it has ended.

    Attributes:
        is_run: Whether somebody runs it, as far as can be seen from here.
        is_awaited: Whether nobody does and a submitted head is to come.
        ending: Why nothing more is proposed, None while something may be.
    """

    def __init__(self, follower: Follower, queue: QueueOfOthers, clock: Callable[[], float] = time.monotonic) -> None:
        self._follower = follower
        self._queue = queue
        self._clock = clock
        self._known: tuple[int, int] | None = None
        self._judged = -ENDING_S
        self.is_run = False
        self.is_awaited = False
        self.ending: Ending | None = None

    def look(self) -> Standing:
        """How it stands now."""
        follower, paths = self._follower, self._follower.folder.paths
        state = follower.state
        session = read_session(paths)
        self.is_run = session is not None and is_alive(session) is not False
        head = head_facts(read_head(paths))
        self.is_awaited = not self.is_run and head is not None and head["state"] not in OVER
        known = (state.n_batches, len(state.finished))
        if known != self._known or self._clock() - self._judged >= ENDING_S:
            self._known, self._judged = known, self._clock()
            self.ending = ending_of(follower.folder, state)
        asked = stop_request(paths)
        return Standing(
            who=self._who(session if self.is_run else None),
            notes=tuple(head_lines(head, asked, self.is_run, paths.root)),
            queue=self._queue.sentence(),
            elapsed_s=elapsed_s(follower.folder, state) if state.spec.budget.wall_s is not None else None,
            is_over=self.ending is not None or not self.is_run,
        )

    def _who(self, session: Mapping[str, Any] | None) -> str:
        if session is None:
            return "nobody runs it" if self.ending is None else self.ending.sentence
        begun = session.get("since_unix")
        where = f"process {session.get('pid')} on {session.get('host')}"
        if not isinstance(begun, (int, float)):
            return f"runs ({where})"
        return f"runs for {since(max(0.0, time.time() - begun))} ({where})"
