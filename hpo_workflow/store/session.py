"""Who runs a study: one Snakemake at a time, and a dead one does not block the next.

The session file is a courtesy that saves GPU-hours; correctness does not rest on it (records are published once,
attempts are claimed).
"""

from __future__ import annotations

import atexit
import json
import os
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from hpo_workflow.errors import UsageError
from hpo_workflow.store.atomic import publish, read_json
from hpo_workflow.store.git_state import git_state
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.processes import is_alive, this_process

TOKEN = "HPO_SESSION"
"""Environment variable by which `hpo run` tells the Snakemake that it starts that the session is theirs."""

HEAD_JOB = "HPO_HEAD_JOB"
"""Environment variable that tells in which Slurm job a head runs that was submitted (`hpo submit`)."""


def read_session(paths: StudyPaths) -> dict[str, Any] | None:
    """The session file, or None; a garbled one counts as none."""
    try:
        session: dict[str, Any] | None = read_json(paths.session)
    except ValueError:
        return None
    return session


class Session:
    """Held from `acquire` until `release`, at the latest until the process ends."""

    def __init__(self, paths: StudyPaths, token: str) -> None:
        self.paths = paths
        self.token = token
        self._pid = os.getpid()

    @classmethod
    def acquire(
        cls, paths: StudyPaths, *, force: bool = False, doing: str = "run"
    ) -> tuple[Session, dict[str, Any] | None]:
        """Take the study; also gives the session of a dead owner that was cleared away, if any.

        Args:
            force: Take it from whoever has it.
            doing: What is done with it, for others: `run`, or `compacted`.

        Raises:
            UsageError: Somebody else runs it; the message names host, process and since when.
        """
        session = cls(paths, uuid.uuid4().hex)
        record = {
            **this_process(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
            "since_unix": time.time(),
            "token": session.token,
            **({"git": git_state(".")} if doing == "run" else {"doing": doing}),
            "slurm_job": os.environ.get(HEAD_JOB) or os.environ.get("SLURM_JOB_ID"),
        }
        cleared = None
        while not publish(paths.session, record):
            other = read_session(paths)
            if other is not None and not force:
                alive = is_alive(other)
                if alive or alive is None:
                    raise UsageError(_refusal(paths, other, visible=alive is not None))
            cleared = other
            try:
                os.unlink(paths.session)
            except FileNotFoundError:
                pass
        atexit.register(session.release)
        return session, cleared

    def release(self) -> None:
        """Give the study free, if it is still ours."""
        if os.getpid() != self._pid:
            return  # a forked child
        current = read_session(self.paths)
        if current is not None and current.get("token") == self.token:
            try:
                os.unlink(self.paths.session)
            except FileNotFoundError:
                pass


def _refusal(paths: StudyPaths, other: dict[str, Any], *, visible: bool) -> str:
    where = f"process {other['pid']} on {other['host']}, since {other['since']}"
    doing = "compacted" if other.get("doing") == "compacted" else "run"
    message = f"{paths.root}: this study is being {doing} already ({where})."
    if visible and doing == "compacted":
        return f"{message}\n  Wait for it, or end that process: what it has not done can be done later."
    if visible:
        return f"{message}\n  Wait for it, watch it with `hpo status`, or end that process first."
    return (
        f"{message}\n  It is on another host and cannot be checked from here. If it is dead, use `hpo run --force`"
        f"\n  (or remove {paths.session}). `hpo doctor` tells when it last gave a sign of life."
    )


def session_seconds(paths: StudyPaths) -> float:
    """Seconds since the present session began; both clocks are this host's. 0 when there is none."""
    try:
        with open(paths.session, encoding="utf-8") as file:
            since = json.load(file)["since_unix"]
    except (OSError, ValueError, KeyError):
        return 0.0
    return max(0.0, time.time() - float(since))
