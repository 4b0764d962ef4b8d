"""Who runs a study: one Snakemake at a time, and a dead one does not block the next.

The session file is a courtesy that saves GPU-hours; correctness does not rest on it (records are published once,
attempts are claimed).
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import time
import uuid
from datetime import datetime, timezone
from typing import Any

from hpo_workflow.errors import UsageError
from hpo_workflow.store.atomic import publish, read_json
from hpo_workflow.store.paths import StudyPaths

TOKEN = "HPO_SESSION"
"""Environment variable by which `hpo run` tells the Snakemake that it starts that the session is theirs."""


def start_time_of(pid: int) -> str | None:
    """When a process of this host started, in clock ticks since boot; None when there is none such."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            after_name = file.read().rpartition(")")[2].split()
        return None if after_name[0] == "Z" else after_name[19]
    except FileNotFoundError:
        if os.path.isdir("/proc/self"):
            return None
    except OSError:
        return None
    try:  # no /proc (macOS): the process id alone has to do
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""


def boot_id() -> str:
    """Names this start of this host, so that a process id from before a reboot is not taken for a live one."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def is_alive(session: dict[str, Any]) -> bool | None:
    """Whether the owner of a session still runs; None when it is on another host and cannot be seen from here."""
    if session["host"] != socket.gethostname():
        return None
    return session["boot"] == boot_id() and start_time_of(session["pid"]) == session["started_ticks"]


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
    def acquire(cls, paths: StudyPaths, *, force: bool = False) -> tuple[Session, dict[str, Any] | None]:
        """Take the study; also gives the session of a dead owner that was cleared away, if any.

        Raises:
            UsageError: Somebody else runs it; the message names host, process and since when.
        """
        session = cls(paths, uuid.uuid4().hex)
        record = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started_ticks": start_time_of(os.getpid()),
            "boot": boot_id(),
            "since": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "since_unix": time.time(),
            "token": session.token,
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
    message = f"{paths.root}: this study is being run already ({where})."
    if visible:
        return f"{message}\n  Wait for it, watch it with `hpo status`, or end that process first."
    return (
        f"{message}\n  It is on another host and cannot be checked from here. If it is dead, use `hpo run --force`"
        f"\n  (or remove {paths.session})."
    )


def session_seconds(paths: StudyPaths) -> float:
    """Seconds since the present session began; both clocks are this host's. 0 when there is none."""
    try:
        with open(paths.session, encoding="utf-8") as file:
            since = json.load(file)["since_unix"]
    except (OSError, ValueError, KeyError):
        return 0.0
    return max(0.0, time.time() - float(since))
