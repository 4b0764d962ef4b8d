"""Which process is meant: a pid alone is given to another one sooner or later.

Standard library only, Python 3.8 or newer: the runner imports it on every node.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def start_time(pid: int) -> str | None:
    """When a process started, in clock ticks since boot, or None where it does not run. With the pid it names one."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        if os.path.isdir("/proc/self"):
            return None
        try:  # no /proc (macOS)
            os.kill(pid, 0)
        except OSError:
            return None
        return "running"
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().strip()
    except OSError:
        return ""


def machine() -> dict[str, str]:
    """What a pid refers to: the host, this boot of it, and the container's own numbering of processes."""
    try:
        pids = os.readlink("/proc/self/ns/pid")
    except OSError:
        pids = ""
    return {"host": os.uname().nodename, "boot": _first_line("/proc/sys/kernel/random/boot_id"), "pids": pids}


def this_process(pid: int | None = None) -> dict[str, Any]:
    """What names a process of this machine in a record; the caller's own by default."""
    number = os.getpid() if pid is None else pid
    return {**machine(), "pid": number, "pid_start": start_time(number)}


def is_alive(record: Mapping[str, Any]) -> bool | None:
    """Whether the process that `this_process` once described runs; None when it is on another machine."""
    here = machine()
    if all(record.get(key) == here[key] for key in ("host", "boot", "pids")):
        return start_time(int(record["pid"])) == record.get("pid_start")
    if record.get("host") == here["host"] and record.get("boot") != here["boot"]:
        return False  # the machine was started anew since
    return None
