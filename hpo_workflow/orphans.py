"""Trials whose cluster jobs outlive the Snakemake that submitted them: found, adopted, awaited.

When a head (Snakemake, or `hpo run` with it) is killed or hands over, the cluster's jobs go on. The next head adopts
them: their trials are in flight although it has submitted nothing. One job of the rule `adopt`, on the head's own
machine and without a slot of the cluster, waits until the first of them ends, and so on. A job that has gone without a
result leaves its trial to be submitted again.

The verb `adopt` at the end is called by that rule; standard library only, so that it costs little while it waits.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import time

from hpo_workflow.call_options import REQUIRED, read_options
from hpo_workflow.store import atomic
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.processes import is_alive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from typing import Any

LONGEST_PREFIX = 50
"""Characters of --slurm-jobname-prefix; the plugin refuses more."""

ANSWER_S = 30.0
"""So long Slurm may take for an answer."""

POLL_S, ASK_S = 2.0, 15.0
"""Between two looks at results, and between two questions to Slurm."""

LATENCY_S = 60.0
"""A result that a job has written is seen here after so long, on any file system."""

LONGEST_WAIT_S = 600.0
"""Then the wait ends without news: Snakemake looks at the study anew, at its budget of time for example."""

_TRIAL = re.compile(r"_wildcards_\d+_(\d+)_\d+$")
"""How the plugin's comment on a job of the rule `trial` ends: shard, number and batch."""


class Job:
    """A job of the cluster, as squeue shows it: its id, state, name and comment."""

    __slots__ = ("comment", "id", "name", "state")

    def __init__(self, identifier: str, state: str, name: str, comment: str) -> None:
        self.id, self.state, self.name, self.comment = identifier, state, name, comment

    @property
    def trial(self) -> int | None:
        """The number of the trial that it runs, where its comment says so."""
        found = _TRIAL.search(self.comment)
        return None if found is None else int(found[1])

    @property
    def waits(self) -> bool:
        return self.state == "PENDING"


def jobname_prefix(study: str, root: str) -> str:
    """How the names of a study's Slurm jobs begin, whoever submits them: letters, digits, `_` and `-` only.

    Args:
        study: Its name.
        root: Its folder; two studies of one name have jobs of different names.
    """
    digest = hashlib.sha256(os.path.realpath(root).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    name = re.sub(r"[^A-Za-z0-9_-]", "-", study)[: LONGEST_PREFIX - len("hpo--12345678")]
    return f"hpo-{name}-{digest}"


def read_queue(answer: str) -> list[Job]:
    """Jobs in what squeue has said to `ask_queue`; other lines are left out."""
    lines = (line.strip().split("|", 3) for line in answer.splitlines())
    return [Job(*fields) for fields in lines if len(fields) == 4 and fields[0][:1].isdigit()]


def ask_queue() -> list[Job] | None:
    """This user's jobs that wait or run, or None where Slurm does not answer."""
    call = ["squeue", "-h", "-o", "%i|%T|%j|%k", f"--user={os.getuid()}"]
    try:
        done = subprocess.run(
            call, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=ANSWER_S
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return read_queue(done.stdout.decode("utf-8", "replace")) if done.returncode == 0 else None


def cancel(jobs: Iterable[str]) -> bool:
    """Let Slurm cancel jobs; whether it took the order."""
    listed = list(jobs)
    if not listed:
        return True
    try:
        done = subprocess.run(
            ["scancel", *listed],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=ANSWER_S,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def claimed_jobs(paths: StudyPaths, numbers: Iterable[int]) -> dict[int, str]:
    """The Slurm jobs that hold trials, by number, as their claims tell it.

    Those that have ended are left out, and those whose runner was on this machine and is dead: the job may go on
    without it, where it is an allocation in which a whole study ran.
    """
    held: dict[int, str] = {}
    for number in numbers:
        attempt, last = 1, None
        while True:
            try:
                record = atomic.read_json(paths.claim(number, attempt))
            except ValueError:
                record = {}  # damaged: whoever claims the trial next sets it aside
            if record is None:
                break
            last, attempt = record, attempt + 1
        if not isinstance(last, dict) or last.get("ended") or not last.get("slurm_job"):
            continue
        if not isinstance(last.get("pid"), int) or is_alive(last) is not False:
            held[number] = str(last["slurm_job"])
    return held


def orphans_of(
    queue: Sequence[Job] | None, prefix: str, live: Collection[int], claimed: Mapping[int, str]
) -> dict[int, str]:
    """The trials that jobs of an earlier head run, or will run: the job of each.

    A job is known by its name and comment, or by the claim that its runner has made. Of several jobs of one trial it is
    the one that holds the claim, else one that runs, else the oldest.

    Args:
        queue: What `ask_queue` gave. Where Slurm did not answer, claims are believed: waiting for a job that has gone
            costs a minute, a second copy costs a training.
        prefix: What the names of the study's jobs begin with.
        live: Trials without an outcome.
        claimed: What `claimed_jobs` gave.
    """
    if queue is None:
        return {number: job for number, job in sorted(claimed.items()) if number in live}
    found: dict[int, tuple[bool, bool, int, str]] = {}
    by_id = {number: job for number, job in claimed.items() if number in live}
    holders = {job: number for number, job in by_id.items()}
    for job in queue:
        number = holders.get(job.id)
        if number is None and job.name.startswith(f"{prefix}_"):
            number = job.trial
        if number is None or number not in live:
            continue
        digits = re.match(r"\d+", job.id)
        rank = (by_id.get(number) != job.id, job.waits, int(digits[0]) if digits else 0, job.id)
        found[number] = min(found.get(number, rank), rank)
    return {number: found[number][3] for number in sorted(found)}


def find_orphans(paths: StudyPaths, study: str, live: Collection[int]) -> dict[int, str]:
    """The same, asked now."""
    if not live:
        return {}
    return orphans_of(ask_queue(), jobname_prefix(study, paths.root), set(live), claimed_jobs(paths, live))


# ---- waiting for them ------------------------------------------------------------------------------------------
class Watch:
    """Decides which adopted trials are settled; it is told what is seen, and when.

    Args:
        jobs: The job of each trial.
        latency_s: So long after its job has gone, a trial's result may still come into sight.
    """

    def __init__(self, jobs: Mapping[int, str], latency_s: float = LATENCY_S) -> None:
        self.jobs = dict(jobs)
        self._latency_s = latency_s
        self._gone_since: dict[int, float] = {}

    def look(self, ended: Collection[int], queued: Collection[str] | None, now: float) -> tuple[list[int], list[int]]:
        """Trials that have their result, and trials whose job has gone without one.

        Args:
            ended: Trials whose results are seen.
            queued: Jobs that Slurm has, or None where it was not asked or did not answer.
            now: Seconds on any clock that does not jump.
        """
        if queued is not None:
            for number, job in self.jobs.items():
                if job in queued:
                    self._gone_since.pop(number, None)
                else:
                    self._gone_since.setdefault(number, now)
        gone = [n for n, since in self._gone_since.items() if now - since >= self._latency_s and n not in ended]
        return sorted(n for n in self.jobs if n in ended), sorted(gone)


OPTIONS = {
    "root": (str, REQUIRED, "the study's folder"),
    "plan": (str, REQUIRED, "the compiled study"),
    "out": (str, REQUIRED, "written when one of the trials is settled"),
    "latency-s": (float, LATENCY_S, "seconds until a file of another node is seen here"),
}


def run(argv: Sequence[str]) -> int:
    """Wait until one of the adopted trials is settled; gives the exit code."""
    options = read_options("hpo adopt", "Wait for trials whose jobs an earlier run submitted.", OPTIONS, argv)
    paths = StudyPaths(options.root)
    adopted = read_adopted(paths)
    ended, gone = wait(paths, adopted, latency_s=options.latency_s)
    atomic.replace(options.out, atomic.to_json({"ended": ended, "gone": gone}) + "\n")
    for number in ended:
        sys.stderr.write(f"trial {number}: job {adopted[number]} of an earlier run has ended it\n")
    for number in gone:
        sys.stderr.write(f"trial {number}: job {adopted[number]} of an earlier run has gone; it is submitted again\n")
    return 0


def wait(
    paths: StudyPaths,
    adopted: Mapping[int, str],
    *,
    latency_s: float = LATENCY_S,
    queue: Callable[[], Sequence[Job] | None] = ask_queue,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[list[int], list[int]]:
    """Wait; gives the trials that have their result and those whose job has gone, both empty after LONGEST_WAIT_S."""
    watch = Watch(adopted, latency_s)
    begun = clock()
    asked = begun - ASK_S
    while True:
        now = clock()
        queued = None
        if now - asked >= ASK_S:
            asked = now
            jobs = queue()
            queued = None if jobs is None else {job.id for job in jobs}
        seen = [number for number in adopted if _has_result(paths, number)]
        ended, gone = watch.look(seen, queued, now)
        if ended or gone or now - begun >= LONGEST_WAIT_S:
            return ended, gone
        sleep(POLL_S)


def _has_result(paths: StudyPaths, number: int) -> bool:
    try:
        with open(paths.result_record(number), "rb"):  # opened, not looked at: NFS asks its server then
            return True
    except OSError:
        return False


def write_adopted(paths: StudyPaths, jobs: Mapping[int, str]) -> None:
    """Write down which trials are adopted, for the verb and for `hpo status`; none removes the file."""
    if jobs:
        text = atomic.to_json({"jobs": {str(number): job for number, job in jobs.items()}})
        atomic.replace(paths.adopted, text + "\n")
        return
    try:
        os.unlink(paths.adopted)
    except FileNotFoundError:
        pass


def read_adopted(paths: StudyPaths) -> dict[int, str]:
    """The trials that are adopted, and the job of each."""
    try:
        record: Any = atomic.read_json(paths.adopted)
        return {int(number): str(job) for number, job in record["jobs"].items()} if record else {}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
