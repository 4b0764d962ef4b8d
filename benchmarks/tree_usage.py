"""Run a command and write down what its whole tree of processes used; a program of its own, standard library only.

    python -I -S tree_usage.py OUT.json COMMAND ...

It makes itself the reaper of orphans, so that a process whose parent ended first is waited for and counted too.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
ORPHANS_S = 60.0
"""How long processes may live on after the command has ended."""


def busy_s() -> float:
    """CPU seconds that all processes of this machine have used since it was started; the hypervisor's share too."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _iowait, irq, softirq, steal = (int(word) for word in file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def wait_for_all(main: int, start: float) -> tuple[int, float, int]:
    """Collect every descendant until none is left; gives exit code and wall seconds of `main`, and how many orphans.

    Raises:
        RuntimeError: Some live on for too long.
    """
    code, wall, orphans = -1, None, 0
    while True:
        try:
            pid, status = os.waitpid(-1, 0 if wall is None else os.WNOHANG)
        except ChildProcessError:
            return code, wall or 0.0, orphans
        if pid == main:
            code, wall = os.waitstatus_to_exitcode(status), time.monotonic() - start
        elif pid:
            orphans += 1
        elif wall is not None:
            if time.monotonic() - start - wall > ORPHANS_S:
                raise RuntimeError(f"processes live on {ORPHANS_S:.0f} s after the command has ended")
            time.sleep(0.02)


def main(out: str, command: list[str]) -> int:
    """Run `command` and write OUT.json; the exit code is the command's."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    busy = busy_s()
    begun = time.time()
    start = time.monotonic()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it goes to the whole group; this process waits for the others
    pid = os.posix_spawnp(command[0], command, os.environ, setsigdef=[signal.SIGTERM])
    code, wall, orphans = wait_for_all(pid, start)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    values = {
        "code": code,
        "begun": begun,
        "wall_s": round(wall, 4),
        "cpu_s": round(cpu, 4),
        "peak_mb": round(used.ru_maxrss * 1024 / 1e6, 1),
        "orphans": orphans,
        "others_cpu_s": round(max(0.0, busy_s() - busy - cpu), 2),
    }
    with open(out, "w", encoding="utf-8") as file:
        json.dump(values, file)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
