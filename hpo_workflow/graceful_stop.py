"""Snakemake's answer to TERM (start nothing more, let what runs finish), made safe at any moment.

Snakemake's handler takes the scheduler's lock. Python runs a handler in the main thread, which holds that lock itself
while it brings the graph up to date: a TERM that arrives then would never return, and Snakemake neither go on nor end.
"""

from __future__ import annotations

import _thread
import functools
import importlib
from typing import Any

SCHEDULERS = ("snakemake.scheduling.job_scheduler", "snakemake.scheduler")
"""Where Snakemake 9 has its scheduler, newest first."""


def answer_in_a_thread(scheduler: type) -> None:
    """Let a scheduler's `exit_gracefully` wait for the lock in a thread of its own."""
    original = scheduler.exit_gracefully  # type: ignore[attr-defined]
    if hasattr(original, "__wrapped__"):
        return

    @functools.wraps(original)
    def exit_gracefully(self: Any, *args: Any) -> None:
        _thread.start_new_thread(original, (self, *args))  # threading.Thread.start() takes a lock too

    scheduler.exit_gracefully = exit_gracefully  # type: ignore[attr-defined]


def make_term_safe() -> None:
    """Do that for the Snakemake of this process; one whose scheduler is elsewhere is left as it is."""
    for name in SCHEDULERS:
        try:
            answer_in_a_thread(importlib.import_module(name).JobScheduler)
        except (ImportError, AttributeError):
            continue
        return


__all__ = ["SCHEDULERS", "answer_in_a_thread", "make_term_safe"]
