"""Snakemake, started for one study: its command line, its process, what its log says."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpo_workflow.cli.profile import Profile, option_in
from hpo_workflow.cli.terminal import printable
from hpo_workflow.shipped import shipped
from hpo_workflow.spec import StudySpec

_ERROR = re.compile(r"\b(?:\w*Error|\w*Exception|exception)\b|: error: |No rule to|^Traceback")
_FAILED_RULE = re.compile(r"^Error in (?:rule|checkpoint) (\w+)", re.MULTILINE)
_OUTPUT = re.compile(r"/done/\d+/(\d+)-\d+\.json")
_REFUSED = ("Job submission failed", "SLURM sbatch failed", "SLURM job submission failed")
_NO_CONTROLLER = re.compile(r"Unable to contact|Connection (?:refused|timed out)|Socket timed out|Zero Bytes|try again")
EXCERPT = 25


def snakemake_call(
    study: str,
    spec: StudySpec,
    profile: Profile,
    *,
    cores: int | None,
    jobs: int | None,
    n_gpus: int | None,
    prefix: str | None,
    extra: Sequence[str],
) -> list[str]:
    """The command that runs a study.

    Args:
        study: The study file.
        spec: What it says.
        profile: Where it runs.
        cores: CPUs for local trials.
        jobs: Jobs at a time.
        n_gpus: GPUs of this machine that local trials may hold together; None where somebody else counts them.
        prefix: How the names of its Slurm jobs begin.
        extra: The user's own arguments; they come last and win.
    """
    # -P: a file `random.py` beside the study must not be imported in place of Python's own
    call = [
        sys.executable,
        "-P",
        "-m",
        "snakemake",
        "--snakefile",
        str(shipped("rules/study.smk")),
        "--configfile",
        study,
    ]
    call += ["--profile", profile.folder]
    if n_gpus is not None:
        call += ["--resources", f"gpu={n_gpus}"]
    call += ["--scheduler", "greedy", "--rerun-incomplete", "--keep-going"]
    if cores is not None:
        call += ["--cores", str(cores)]
    if jobs is not None:
        call += ["--jobs", str(jobs)]
    elif profile.executor != "local" and cores is None and not _has_jobs(profile, extra):
        call += ["--jobs", str(spec.budget.parallel + spec.budget.ahead)]
    if prefix is not None:
        call += ["--slurm-jobname-prefix", prefix]
    return [*call, *extra]


def busy_children(pid: int) -> int:
    """How many programs a process has started, without those that only wait for adopted trials; 1 if not known."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
        children: list[str] = []
        for task in tasks:
            with open(f"/proc/{pid}/task/{task}/children") as file:
                children += file.read().split()
    except OSError:
        return 1
    busy = 0
    for child in children:
        try:
            with open(f"/proc/{child}/cmdline", "rb") as file:
                words = file.read()
        except OSError:
            continue
        busy += bool(words) and b" adopt " not in words.replace(b"\0", b" ")
    return busy


def _has_jobs(profile: Profile, extra: Sequence[str]) -> bool:
    return (
        any(name in profile.settings for name in ("jobs", "j", "cores")) or option_in(extra, "--jobs", "-j") is not None
    )


class SnakemakeProcess:
    """A Snakemake that runs in a process group of its own, so that a terminal's Ctrl-C does not reach it.

    Args:
        call: Its command.
        log: Where its output goes, appended.
        environment: Its environment.
    """

    def __init__(self, call: Sequence[str], log: str, environment: Mapping[str, str]) -> None:
        os.makedirs(os.path.dirname(log) or ".", exist_ok=True)
        with open(log, "ab") as output:
            self.log = log
            self.log_start = output.tell()
            self._read_to = self.log_start
            self._process = subprocess.Popen(
                list(call),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, timeout_s: float) -> int | None:
        """Its exit code, or None when it still runs after the time."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def start_nothing_more(self) -> None:
        """Let what runs finish, and end then."""
        if self._process.poll() is None:
            os.kill(self.pid, signal.SIGTERM)

    def leave(self, grace_s: float) -> int:
        """End it and leave its cluster jobs as they are: they are adopted by the next run. Gives its exit code.

        Any answer that Snakemake has to a signal either waits for its jobs or cancels them, so it is killed; nothing
        that it was about to write is lost by that, because records are written whole. First it is told to submit no
        more, and what it does on this machine gets time to end.

        Args:
            grace_s: That time.
        """
        self.start_nothing_more()
        until = time.monotonic() + grace_s
        quiet = 0
        while (code := self.wait(0.5)) is None and quiet < 2 and time.monotonic() < until:
            quiet = 0 if busy_children(self.pid) else quiet + 1
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        return self._process.wait() if code is None else code

    def stop(self) -> None:
        """End what runs too: local programs are told, cluster jobs are cancelled."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGINT)

    def silent_s(self) -> float:
        """Seconds since it wrote into its log last."""
        try:
            return time.time() - os.stat(self.log).st_mtime
        except OSError:
            return 0.0

    def said(self) -> str:
        """What it has written into its log since it was started."""
        try:
            with open(self.log, "rb") as file:
                file.seek(self.log_start)
                return file.read(10_000_000).decode("utf-8", "replace")
        except OSError:
            return ""

    def new_failures(self) -> list[JobFailure]:
        """Jobs of trials that have failed since the last look, as far as its log tells it whole."""
        try:
            with open(self.log, "rb") as file:
                file.seek(self._read_to)
                data = file.read(1_000_000)
        except OSError:
            return []
        failures, taken = job_failures(data.decode("utf-8", "surrogateescape"))
        self._read_to += len(taken.encode("utf-8", "surrogateescape"))
        return failures


@dataclass(frozen=True)
class JobFailure:
    """A job of a trial that came to no result, in the words of whoever ran it.

    Args:
        trial: The trial's number.
        message: Why, on one line.
        log: What the job itself has printed; empty where it never was a job.
        refused: Whether it was never submitted.
    """

    trial: int
    message: str
    log: str
    refused: bool

    @property
    def passes(self) -> bool:
        """Whether a refusal may be over in a while: the controller did not answer."""
        return _NO_CONTROLLER.search(self.message) is not None


def job_failures(text: str) -> tuple[list[JobFailure], str]:
    """Failed jobs of trials in Snakemake's log, and the part of `text` that was taken in: the rest is unfinished."""
    failures = []
    lines = text.splitlines(keepends=True)
    taken = start = 0
    while start < len(lines) and lines[start].endswith("\n"):
        if not lines[start].startswith("Error in rule trial:"):
            start += 1
            taken = start
            continue
        # The block ends with its shell command; a message may have lines that begin at the margin.
        end = next((n for n in range(start, len(lines)) if lines[n].strip() == "shell:"), None)
        if end is None:
            break
        failures.append(_job_failure([line.rstrip("\n") for line in lines[start + 1 : end]]))
        start = taken = end + 1
    return [failure for failure in failures if failure is not None], "".join(lines[:taken])


def _job_failure(block: Sequence[str]) -> JobFailure | None:
    keys = {}
    message: list[str] = []
    in_message = False
    for line in block:
        key, colon, value = line.strip().partition(": ")
        if line.startswith("    ") and not line.startswith("     ") and colon and key.isidentifier():
            in_message = key == "message"
            keys[key] = value
            message += [value] if in_message else []
        elif in_message:
            message.append(line)
    number = _OUTPUT.search(keys.get("output", ""))
    if number is None or not message:
        return None
    said = "\n".join(message).partition("For further error details see")[0]
    refused = said.startswith(_REFUSED)
    said = said.partition("\n    sbatch call:")[0].partition(" Detailed failure reason unavailable")[0]
    said = said.partition(" Consider enabling requeueing")[0]  # two copies of a trial would run
    said = re.sub(r"^SLURM sbatch failed\. The error message was '(.*)'\.?$", r"\1", said.strip(), flags=re.DOTALL)
    said = re.sub(r"^Job submission failed with exception: ", "", said)
    said = " ".join(said.replace("sbatch: error: ", "").split()).rstrip(".")
    log = keys.get("log", "").partition(" (check log file")[0]
    return JobFailure(int(number[1]), said, log, refused)


def job_words(log: str) -> str:
    """What Slurm has written last into a job's log about its end, as the rest of a sentence; empty where nothing."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.path.getsize(log) - 100_000))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    said = [line for line in lines if re.match(r"(?:srun|slurmstepd\S*): error: ", line)]
    return f" ({said[-1].partition(': error: ')[2].strip('* ')[:300]})" if said else ""


def failed_rules(text: str) -> set[str]:
    """The rules of which Snakemake reports that a job failed for good or in one attempt."""
    return set(_FAILED_RULE.findall(text))


def excerpt(text: str) -> list[str]:
    """The part of Snakemake's log that tells why it failed, safe to print."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    first = next((index for index, line in enumerate(lines) if _ERROR.search(line)), max(0, len(lines) - EXCERPT))
    return [printable(line)[:500] for line in lines[first : first + EXCERPT]]
