"""Snakemake, started for one study: its command line, its process, what its log says."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

from hpo_workflow.cli.profile import Profile, option_in
from hpo_workflow.cli.terminal import printable
from hpo_workflow.shipped import shipped
from hpo_workflow.spec import StudySpec

LONGEST_PREFIX = 50
"""Characters of --slurm-jobname-prefix; the plugin refuses more."""

_ERROR = re.compile(r"\b(?:\w*Error|\w*Exception|exception)\b|: error: |No rule to|^Traceback")
_FAILED_RULE = re.compile(r"^Error in (?:rule|checkpoint) (\w+)", re.MULTILINE)
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
        call += ["--jobs", str(spec.budget.parallel)]
    if prefix is not None:
        call += ["--slurm-jobname-prefix", prefix]
    return [*call, *extra]


def _has_jobs(profile: Profile, extra: Sequence[str]) -> bool:
    return (
        any(name in profile.settings for name in ("jobs", "j", "cores")) or option_in(extra, "--jobs", "-j") is not None
    )


def jobname_prefix(study: str, token: str) -> str:
    """How the names of a run's Slurm jobs begin: letters, digits, `_` and `-` only."""
    name = re.sub(r"[^A-Za-z0-9_-]", "-", study)[: LONGEST_PREFIX - len("hpo--12345678")]
    return f"hpo-{name}-{token[:8]}"


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

    def stop(self) -> None:
        """End what runs too: local programs are told, cluster jobs are cancelled."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGINT)

    def said(self) -> str:
        """What it has written into its log since it was started."""
        try:
            with open(self.log, "rb") as file:
                file.seek(self.log_start)
                return file.read(10_000_000).decode("utf-8", "replace")
        except OSError:
            return ""


def failed_rules(text: str) -> set[str]:
    """The rules of which Snakemake reports that a job failed for good or in one attempt."""
    return set(_FAILED_RULE.findall(text))


def excerpt(text: str) -> list[str]:
    """The part of Snakemake's log that tells why it failed, safe to print."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    first = next((index for index, line in enumerate(lines) if _ERROR.search(line)), max(0, len(lines) - EXCERPT))
    return [printable(line)[:500] for line in lines[first : first + EXCERPT]]
