"""How many of a run's jobs Slurm runs and holds, and why they wait; asked in the background, never waited for."""

from __future__ import annotations

import getpass
import math
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from typing import IO

INTERVAL_S = 12.0
GIVEN_UP_S = 30.0
"""An answer that has not come after so long is not waited for any more."""


class SlurmQueue:
    """The jobs of one run, by the prefix of their names.

    Args:
        prefix: What Snakemake was told with --slurm-jobname-prefix.
    """

    def __init__(self, prefix: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.prefix = prefix
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._asked = -math.inf
        self.sentence = ""
        """How it stands, for people; empty while nothing is known."""
        self.n_running = 0
        self.n_waiting = 0
        self.interval_s = INTERVAL_S
        """Seconds between two questions."""
        self._empty_since: float | None = None

    @property
    def empty_s(self) -> float:
        """Seconds since Slurm said first, and without interruption, that it has no job of this run."""
        return 0.0 if self._empty_since is None else self._clock() - self._empty_since

    def poll(self) -> None:
        """Ask when it is time to, and take in an answer that has come."""
        now = self._clock()
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                if now - self._asked > GIVEN_UP_S:
                    self._process.kill()
                    self._process.wait()
                    self._take("", failed=True)
                return
            assert self._output is not None
            self._output.seek(0)
            self._take(self._output.read().decode("utf-8", "replace"), failed=code != 0)
        elif now - self._asked >= self.interval_s:
            self._asked = now
            self._output = tempfile.TemporaryFile()  # noqa: SIM115  (closed when the answer has come)
            call = ["squeue", "-h", "-o", "%i|%T|%r|%j", f"--user={getpass.getuser()}"]
            try:
                self._process = subprocess.Popen(
                    call, stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.DEVNULL
                )
            except OSError:
                self._take("", failed=True)

    def _take(self, answer: str, *, failed: bool) -> None:
        self._process = None
        if self._output is not None:
            self._output.close()
            self._output = None
        if failed:
            self.sentence = "Slurm: squeue does not answer"
            self._empty_since = None
            return
        self.n_running, self.n_waiting, reasons = count_jobs(answer, self.prefix)
        self.sentence = "Slurm: no job of this run in the queue"
        if self._empty_since is None:
            self._empty_since = self._clock()
        if self.n_running or self.n_waiting:
            self._empty_since = None
            self.sentence = f"Slurm: {self.n_running} running, {self.n_waiting} waiting"
            if reasons:
                self.sentence += f" ({', '.join(reasons)})"

    def close(self) -> None:
        """End a question that is under way."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._output is not None:
            self._output.close()
            self._output = None


def count_jobs(answer: str, prefix: str) -> tuple[int, int, list[str]]:
    """Running jobs, waiting jobs and the reasons why they wait, the commonest first."""
    running = waiting = 0
    reasons: Counter[str] = Counter()
    for line in answer.splitlines():
        fields = line.strip().split("|", 3)
        if len(fields) != 4 or not fields[3].startswith(prefix):
            continue
        if fields[1] == "PENDING":
            waiting += 1
            reasons[fields[2] or "None"] += 1
        elif fields[1] in ("RUNNING", "CONFIGURING", "COMPLETING"):
            running += 1
    named = [reason for reason, _ in reasons.most_common(3)]
    return running, waiting, [f"reason: {named[0]}", *named[1:]] if named else []
