"""Who runs an attempt: so that a living twin is seen and not doubled, and a dead one's program is ended first.

A claim is a record beside the results, published before the program starts. Its owner touches it every HEARTBEAT_S and
writes into it how the attempt ended; when the trial's result is published, its claims go. Correctness does not hang on
claims (the first published result wins); they save the cost of running a trial twice.
"""

from __future__ import annotations

import os
import signal
import time

from hpo_workflow.store import atomic
from hpo_workflow.store.processes import is_alive, machine, start_time, this_process
from hpo_workflow.store.usage import claimed_s

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any

    from hpo_workflow.store.paths import StudyPaths

HEARTBEAT_S = 10.0
STALE_S = 90.0
"""A claim of another host that was not touched for so long, by this host's clock, belongs to nobody. NFS shows a new
time of modification up to 60 s late."""


def processes_of(directory: str) -> list[int]:
    """Processes of this user that belong to a trial, by the directory in their environment; also those that left its
    process group. Never the caller or its ancestors."""
    wanted = f"HPO_TRIAL_DIR={directory}".encode("utf-8", "surrogateescape")
    spared = {os.getpid()}
    parent = os.getppid()
    while parent > 1 and parent not in spared:
        spared.add(parent)
        try:
            with open(f"/proc/{parent}/stat", "rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
        except OSError:
            break
    found = []
    try:
        entries = os.listdir("/proc")
    except OSError:
        return []
    for entry in entries:
        if not entry.isdigit() or int(entry) in spared:
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                if wanted in file.read().split(b"\0"):
                    found.append(int(entry))
        except OSError:  # not ours, or gone
            continue
    return found


def kill_processes(pids: list[int], number: int) -> None:
    """Send a signal to each; those that are gone are gone."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            continue


class Claim:
    """An attempt that is ours.

    Attributes:
        attempt: Its number among all attempts of the trial.
        record: What the claim's file holds.
        lost_before: The attempts that came before, as a result lists them.
    """

    def __init__(self, path: str, record: dict[str, Any], lost_before: list[dict[str, Any]]) -> None:
        self.path = path
        self.record = record
        self.lost_before = lost_before

    @property
    def attempt(self) -> int:
        return int(self.record["attempt"])

    def started(self, group: int) -> None:
        """Record the program's process group; it is about to start."""
        self.record["group"] = group
        self.record["group_start"] = start_time(group)
        self.record["born"] = os.stat(self.path).st_mtime  # by the file server's clock, as later touches are
        atomic.replace(self.path, atomic.seal(self.record))

    def ended(self, end: Mapping[str, Any]) -> None:
        """Record how the attempt ended where no result will say it."""
        self.record["ended"] = dict(end)
        atomic.replace(self.path, atomic.seal(self.record))

    def touch(self) -> bool:
        """The heartbeat; False when the claim has gone, because another copy has published the result."""
        try:
            os.utime(self.path)
        except FileNotFoundError:
            return False
        except OSError:
            return True  # a file system that has a bad moment is no reason to stop
        return True


def summary(record: Mapping[str, Any], end: Mapping[str, Any]) -> dict[str, Any]:
    """An attempt as a result lists it."""
    listed = {key: record.get(key) for key in ("attempt", "host", "pid", "slurm_job", "started")}
    listed.update({key: end.get(key) for key in ("end", "reason", "seconds", "exit_code")})
    return listed


def squeue_says_ended(job: str) -> bool:
    """Whether Slurm knows that a job has ended; False where it cannot be asked."""
    import subprocess

    try:
        answer = subprocess.run(
            ["squeue", "-h", "-j", job, "-o", "%T"], stdin=subprocess.DEVNULL, capture_output=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return False
    if answer.returncode != 0:
        return b"Invalid job id" in answer.stderr
    return not answer.stdout.strip()


def _restart() -> str:
    """How often Slurm has started this job again, by a requeue."""
    return os.environ.get("SLURM_RESTART_COUNT") or "0"


class Observer:
    """Decides whether the owner of a claim lives."""

    def __init__(self, path: str, record: Mapping[str, Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._record = record
        self.attempt = int(record.get("attempt") or 0)
        self.where = f"{record.get('host')} (pid {record.get('pid')})"
        self._clock = clock
        self._here = machine()
        self._touched: float | None = None
        self._since = clock()
        self._asked = -STALE_S

    @property
    def same_machine(self) -> bool:
        return all(self._record.get(key) == self._here[key] for key in ("host", "boot", "pids"))

    def state(self) -> str:
        """`alive`, `dead`, or `unknown` (on another host, not yet observed for long enough)."""
        record = self._record
        lives = is_alive(record)
        if lives is not None:
            return "alive" if lives else "dead"
        try:
            touched = os.stat(self._path).st_mtime
        except OSError:
            touched = None
        now = self._clock()
        if self._touched is not None and touched != self._touched:
            self._touched, self._since = touched, now
            return "alive"
        self._touched = touched
        job = record.get("slurm_job")
        here = _restart()
        if job and job == os.environ.get("SLURM_JOB_ID") and record.get("slurm_restart", here) != here:
            return "dead"  # a job that Slurm has requeued: it runs once at a time
        if job and job != os.environ.get("SLURM_JOB_ID") and now - self._asked >= 30:
            self._asked = now
            if squeue_says_ended(str(job)):
                return "dead"
        return "dead" if now - self._since > STALE_S else "unknown"


def end_leftovers(record: Mapping[str, Any], directory: str, grace_s: float) -> int:
    """End what a dead runner of this machine left running; how many processes that were."""
    if not Observer("", record).same_machine:
        return 0
    group = record.get("group")
    ours = group is not None and start_time(int(group)) == record.get("group_start") is not None

    def alive() -> list[int]:
        return [pid for pid in processes_of(directory) if start_time(pid) is not None]

    def send(number: int) -> None:
        if ours:
            try:
                os.killpg(int(group or 0), number)
            except OSError:  # it has ended meanwhile
                pass
        kill_processes(alive(), number)

    n = max(len(alive()), int(ours))
    if n == 0:
        return 0
    send(signal.SIGTERM)
    until = time.monotonic() + grace_s
    while time.monotonic() < until:
        if not alive() and (not ours or start_time(int(group or 0)) is None):
            return n
        time.sleep(0.1)
    send(signal.SIGKILL)
    until = time.monotonic() + 5
    while alive() and time.monotonic() < until:
        time.sleep(0.05)
    return n


def try_claim(
    paths: StudyPaths,
    number: int,
    batch: int,
    directory: str,
    grace_s: float,
    dead: Collection[int],
    say: Callable[[str], None],
) -> Claim | Observer:
    """Claim the next attempt of a trial, or give the observer of the twin that holds it.

    Args:
        directory: The trial's directory, absolute.
        grace_s: How long a dead twin's program has between SIGTERM and SIGKILL.
        dead: Attempts whose owner was observed to be dead.
    """
    here = machine()
    lost: list[dict[str, Any]] = []
    attempt = 1
    while True:
        path = paths.claim(number, attempt)
        try:
            found = atomic.read_json(path)
            if found is not None and not (isinstance(found, dict) and isinstance(found.get("pid"), int)):
                raise ValueError("not a claim")
        except ValueError:
            say(f"{path} is damaged; the attempt counts as lost")
            found = {"attempt": attempt, "pid": 0, "ended": {"end": "lost", "reason": "node"}}
        if found is None:
            record = {
                "schema": 1,
                "number": number,
                "batch": batch,
                "attempt": attempt,
                **this_process(),
                "slurm_job": os.environ.get("SLURM_JOB_ID"),
                "slurm_restart": _restart(),
                "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "group": None,
                "ended": None,
            }
            if atomic.publish(path, record):
                return Claim(path, record, lost)
            continue
        observer = Observer(path, found)
        ended = found.get("ended")
        state = observer.state() if found["pid"] and attempt not in dead else "dead"
        if state == "alive" or (state == "unknown" and not ended):
            return observer
        n = end_leftovers(found, directory, grace_s)
        if n:
            say(f"attempt {attempt} was left running without its runner; {n} process{'es' * (n != 1)} ended")
        if not ended:
            node = found.get("host") != here["host"] or found.get("boot") != here["boot"]
            ended = {"end": "lost", "reason": "node" if node else "killed", "detail": "its runner died"}
            ended["seconds"] = round(claimed_s(path, found), 3)  # before the claim is written anew
            atomic.replace(path, atomic.seal({**found, "ended": ended}))
        elif ended.get("seconds") is None:  # its runner was killed before the program had ended
            ended = {**ended, "seconds": round(claimed_s(path, found), 3)}
            atomic.replace(path, atomic.seal({**found, "ended": ended}))
        lost.append(summary(found, ended))
        attempt += 1


def remove_claims(paths: StudyPaths, number: int, up_to: int) -> None:
    """The result is published: nobody needs to know who ran it."""
    for attempt in range(1, up_to + 1):
        try:
            os.unlink(paths.claim(number, attempt))
        except OSError:
            continue
