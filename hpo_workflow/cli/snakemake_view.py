"""What `snakemake --logger hpo` shows: the studies of a workflow as pictures, and what Snakemake says besides.

The rules of a study run by the thousand, and Snakemake's blocks about them say less than the picture; they are left
out, and stand in Snakemake's own log. Everything else is shown as Snakemake words it: other rules, warnings, errors.

Without a terminal, `parse` prints a line for each trial that ends, as it does under any Snakemake, and a sign of life
comes once a minute. A dry run, and a Snakemake that `hpo run` has started, are left as they are.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, TextIO

from hpo_workflow.cli.follow import Follower, Standing
from hpo_workflow.cli.progress import LineProgress, is_drawn_on, remarkable_texts
from hpo_workflow.cli.standing import QueueOfOthers, Watchman
from hpo_workflow.errors import HPOWorkflowError, printable
from hpo_workflow.store.session import TOKEN
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.workflow import LISTENERS

if TYPE_CHECKING:
    from rich.text import Text

TICK_S = 1.0

CHATTER = (
    "Assuming unrestricted",
    "Building DAG of jobs",
    "DAG of jobs will be updated",
    "Execute ",
    "Rules claiming more threads",
    "Select jobs to execute",
    "Updating checkpoint dependencies",
    "Using shell",
)
"""How messages of Snakemake begin that come again with each batch, or tell nothing of the workflow."""

LEFT_OUT = frozenset({"job_started", "resources_info", "workflow_started"})
"""Events of the same kind."""

OF_ALL_JOBS = frozenset({"progress", "run_info"})
"""Left out where a study runs: how many jobs there will be is known to nobody."""


class SnakemakeView:
    """Takes Snakemake's records and shows what is worth it.

    Args:
        is_dry: Nothing runs.
        no_color: Snakemake was told `--nocolor`.
        to_stdout: Its messages go to standard output.
    """

    def __init__(self, *, is_dry: bool, no_color: bool, to_stdout: bool) -> None:
        self._stream: TextIO = sys.stdout if to_stdout else sys.stderr
        self._passes_all = is_dry or TOKEN in os.environ
        self._no_color = no_color
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._plans: dict[str, dict[str, Any]] = {}
        self._studies: dict[str, _StudyView] = {}
        self._jobs: set[Any] = set()
        self._picture: _Picture | None = None
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None
        if not self._passes_all:
            self._thread = threading.Thread(target=self._watch, name="hpo logger", daemon=True)
            self._thread.start()
            atexit.register(self.close)
            LISTENERS.append(self.begin)

    def begin(self, root: str, plan: dict[str, Any]) -> None:
        """A study is about to run, and none of its jobs was started: from here on its picture is drawn."""
        with self._lock:
            self._plans[root] = plan
            if self._picture is None and is_drawn_on(self._stream) and os.isatty(2):
                self._picture = _Picture(no_color=self._no_color)
            if self._picture is not None:
                self._picture.begin(plan["spec"]["study"])

    # ---- what Snakemake says -------------------------------------------------------------------------------
    def take(self, record: logging.LogRecord, text: str) -> None:
        """Show a record.

        Args:
            record: As Snakemake made it.
            text: The same in Snakemake's words.
        """
        if os.getpid() != self._pid:
            return  # a forked child
        if text in ("", "None") or (not self._passes_all and self._is_told_already(record)):
            return
        with self._lock:
            if self._picture is not None:
                self._picture.note(text)
            else:
                print(text, file=self._stream, flush=True)

    def _is_told_already(self, record: logging.LogRecord) -> bool:
        """Whether the pictures say it, or nobody needs it."""
        event = str(getattr(record, "event", None) or "")
        if event == "job_info" and self._is_of_a_study(record):
            self._jobs.add(getattr(record, "jobid", None))
            return True
        if event == "job_finished" and getattr(record, "job_id", None) in self._jobs:
            self._jobs.discard(getattr(record, "job_id", None))
            return True
        if record.levelno >= logging.WARNING:
            return False
        if event in OF_ALL_JOBS:
            return bool(self._plans)
        return event in LEFT_OUT or (not event and str(record.msg).startswith(CHATTER))

    def _is_of_a_study(self, record: logging.LogRecord) -> bool:
        """Whether a job makes files of a study that runs."""
        outputs = [str(path) for path in getattr(record, "output", None) or ()]
        roots = tuple(f"{root}/" for root in list(self._plans))
        return any(path.startswith(roots) for path in outputs)

    # ---- pictures ------------------------------------------------------------------------------------------
    def _watch(self) -> None:
        while not self._is_over.wait(TICK_S):
            self._look()

    def _look(self) -> None:
        """Take in what has come, and draw."""
        for root, plan in list(self._plans.items()):
            if root not in self._studies:
                try:
                    self._studies[root] = _StudyView(root, plan)
                except (HPOWorkflowError, OSError):
                    continue  # just being written; at the next look
        for study in self._studies.values():
            study.look()
        with self._lock:
            if self._picture is not None:
                self._picture.update(list(self._studies.values()))
                return
        for study in self._studies.values():
            study.say(self._stream)

    def close(self) -> None:
        """Take the pictures away, and let the terminal be as it was."""
        if os.getpid() != self._pid or self._is_over.is_set():
            return
        self._is_over.set()
        if self._thread is not None:
            atexit.unregister(self.close)
            LISTENERS.remove(self.begin)
            self._thread.join()
        with self._lock:
            if self._picture is not None:
                for study in self._studies.values():
                    study.look()
                self._picture.close(list(self._studies.values()))
                self._picture = None
        for study in self._studies.values():
            study.queue.close()


class _StudyView:
    """One study.

    Attributes:
        name: Its name.
        follower: What is known.
        standing: Who runs it, and how its jobs stand.
        new: What is worth a line since this was last asked.
    """

    def __init__(self, root: str, plan: dict[str, Any]) -> None:
        self.follower = Follower(StudyFolder(root), plan)
        self.name: str = self.follower.state.spec.study
        self.queue = QueueOfOthers(self.name, root)
        self._watchman = Watchman(self.follower, self.queue)
        self._lines: LineProgress | None = None
        self.standing = Standing()
        self.new: list[str] = []

    @property
    def is_over(self) -> bool:
        """Whether it has ended; the workflow may go on with other rules."""
        return self._watchman.ending is not None and not self.follower.state.live

    def look(self) -> None:
        """Take in what has come."""
        finished = self.follower.tick()
        self.new += self.follower.new_warnings(finished)
        self.new += remarkable_texts(finished, self.follower.state)
        self.new += self.follower.new_retries()
        self.standing = self._watchman.look()

    def say(self, stream: TextIO) -> None:
        """The sign of life of a study without a terminal; `parse` has told of each trial."""
        if self._lines is None:
            self._lines = LineProgress(stream, name=self.name)
        self.new.clear()
        self._lines.update(self.follower, [], self.standing.queue, "")


class _Picture:
    """The terminal with the pictures of all studies, and above them what anybody has written."""

    def __init__(self, *, no_color: bool) -> None:
        from hpo_workflow.cli.captured_output import CapturedOutput
        from hpo_workflow.cli.screen import Screen

        self._caught = CapturedOutput()
        self._screen = Screen(self._caught.terminal, no_color=no_color)
        self._own: tuple[str, ...] = ()

    def begin(self, name: str) -> None:
        """A study of this name is drawn too; what its rules print for each trial and batch is left out."""
        self._own += (f"{name}: trial ", f"{name}: batch ")

    def note(self, text: str) -> None:
        """Say something above the pictures, after what was written before it."""
        self._screen.note(*self._foreign(self._caught.lines()), text)

    def _foreign(self, caught: list[str]) -> list[str]:
        """What others wrote, without the lines of `parse` and `propose`."""
        return [line for line in caught if not line.startswith(self._own)]

    def update(self, studies: list[_StudyView]) -> None:
        """Draw them, and say what has come."""
        from hpo_workflow.cli.picture import picture

        self._screen.note(*self._news(self._caught.lines(), studies))
        width, height = self._screen.size
        drawn = [study for study in studies if not study.is_over]
        lines: list[Text] = []
        for index, study in enumerate(drawn):
            room = (height - len(lines)) // (len(drawn) - index)
            lines += picture(study.follower, study.standing, width, room, utf8=self._screen.utf8) if room else []
        self._screen.draw(lines)

    def _news(self, caught: list[str], studies: list[_StudyView]) -> list[str]:
        """What others wrote, then what the studies tell."""
        texts = self._foreign(caught)
        for study in studies:
            before = f"{study.name}: " if len(studies) > 1 else ""
            texts += [f"{before}{text}" for text in study.new]
            study.new.clear()
        return texts

    def close(self, studies: list[_StudyView]) -> None:
        """Take the pictures away; what was written and not shown comes last."""
        self._screen.note(*self._news(self._caught.lines(), studies))
        self._screen.close()
        for line in self._foreign(self._caught.restore()):
            print(printable(line), file=sys.stderr)
