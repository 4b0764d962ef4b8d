"""TERM reaches Snakemake's scheduler at any moment, also while it holds its own lock."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from hpo_workflow.graceful_stop import answer_in_a_thread, make_term_safe


def wait_for(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + 10
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


def test_a_term_while_the_scheduler_holds_its_lock_is_answered_afterwards() -> None:
    from snakemake.scheduling.job_scheduler import JobScheduler

    make_term_safe()
    scheduler: Any = object.__new__(JobScheduler)
    scheduler._lock = threading.Lock()
    scheduler._open_jobs = threading.Semaphore(0)
    scheduler._user_kill = None
    before = signal.signal(signal.SIGTERM, scheduler.exit_gracefully)
    try:
        with scheduler._lock:
            signal.raise_signal(signal.SIGTERM)
            assert scheduler._user_kill is None
        assert wait_for(lambda: scheduler._user_kill == "graceful")
        assert scheduler._open_jobs.acquire(timeout=10)  # and the scheduler is woken up
    finally:
        signal.signal(signal.SIGTERM, before)


def test_two_studies_in_one_workflow_change_the_scheduler_once() -> None:
    class Scheduler:
        n_calls = 0

        def exit_gracefully(self, *args: object) -> None:
            Scheduler.n_calls += 1

    answer_in_a_thread(Scheduler)
    once = Scheduler.exit_gracefully
    answer_in_a_thread(Scheduler)
    assert Scheduler.exit_gracefully is once
    Scheduler().exit_gracefully(15, None)
    assert wait_for(lambda: Scheduler.n_calls == 1)
