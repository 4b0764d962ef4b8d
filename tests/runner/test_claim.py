"""Whether the owner of a claim lives."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.runner import claim as module
from hpo_workflow.runner.claim import Observer, end_leftovers, processes_of, try_claim
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.processes import machine, start_time

from .conftest import is_running, wait_for


def record_of(pid: int, **changes: Any) -> dict[str, Any]:
    return {"attempt": 1, **machine(), "pid": pid, "pid_start": start_time(pid), "ended": None, **changes}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def claimed(tmp_path: Path) -> str:
    path = tmp_path / "claim.json"
    path.write_text("{}")
    return str(path)


def test_a_process_is_known_by_its_pid_and_when_it_started() -> None:
    here = record_of(os.getpid())
    assert Observer("", here).state() == "alive"
    assert Observer("", {**here, "pid_start": "12"}).state() == "dead"  # another process has got its pid


def test_a_process_that_ended_is_dead_also_while_nobody_has_reaped_it() -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    record = record_of(process.pid)
    assert Observer("", record).state() == "alive"
    process.kill()
    wait_for(lambda: start_time(process.pid) is None)
    assert Observer("", record).state() == "dead"
    process.communicate()
    assert start_time(process.pid) is None


def test_a_claim_from_before_a_reboot_is_dead() -> None:
    assert Observer("", record_of(os.getpid(), boot="another")).state() == "dead"


@pytest.mark.parametrize("other", [{"host": "elsewhere", "boot": "another"}, {"pids": "pid:[7]"}])
def test_a_claim_from_elsewhere_lives_as_long_as_it_is_seen_to_be_touched(claimed: str, other: dict[str, str]) -> None:
    clock = Clock()
    observer = Observer(claimed, record_of(os.getpid(), **other), clock)
    assert observer.state() == "unknown"
    clock.now += module.STALE_S - 1
    assert observer.state() == "unknown"
    os.utime(claimed, (5, 5))  # a clock that is far off
    assert observer.state() == "alive"
    clock.now += module.STALE_S - 1
    assert observer.state() == "unknown"
    clock.now += 2
    assert observer.state() == "dead"


def test_a_claim_of_a_job_that_slurm_has_requeued_is_dead_at_once(
    claimed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")

    def state(**claim: str) -> str:
        return Observer(claimed, record_of(os.getpid(), host="elsewhere", boot="another", **claim), Clock()).state()

    assert state(slurm_job="7", slurm_restart="0") == "dead"
    assert state(slurm_job="7", slurm_restart="1") == "unknown", "another process of this start of the job"
    assert state(slurm_job="7") == "unknown", "an older version did not write it"
    monkeypatch.setattr(module, "squeue_says_ended", lambda job: False)
    assert state(slurm_job="8", slurm_restart="0") == "unknown"


def test_only_processes_of_this_trial_are_ended(tmp_path: Path) -> None:
    def sleeper(directory: str) -> subprocess.Popen[bytes]:
        env = {**os.environ, "HPO_TRIAL_DIR": directory}
        return subprocess.Popen(["sleep", "60"], env=env, start_new_session=True)

    ours, other = sleeper(str(tmp_path / "1")), sleeper(str(tmp_path / "12"))
    try:
        wait_for(lambda: processes_of(str(tmp_path / "1")) == [ours.pid])
        gone = record_of(os.getpid(), pid_start="1", group=None)
        assert end_leftovers(gone, str(tmp_path / "1"), 1.0) == 1
        assert not is_running(ours.pid)
        assert is_running(other.pid)
    finally:
        for process in (ours, other):
            process.kill()
            process.communicate()


def test_leftovers_on_another_host_are_not_looked_for_here(tmp_path: Path) -> None:
    record = record_of(os.getpid(), host="elsewhere", group=os.getpid(), group_start=start_time(os.getpid()))
    assert end_leftovers(record, str(tmp_path), 0.1) == 0


def test_of_many_claimers_one_wins_each_attempt(tmp_path: Path) -> None:
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from hpo_workflow.runner.claim import Claim, try_claim\n"
        "from hpo_workflow.store.paths import StudyPaths\n"
        "got = try_claim(StudyPaths(sys.argv[2]), 5, 0, '/nowhere', 0.1, set(), print)\n"
        "print(type(got).__name__, got.attempt, flush=True); sys.stdin.read()"
    )
    package = str(Path(module.__file__).resolve().parents[2])
    call = [sys.executable, "-S", "-c", code, package, str(tmp_path)]
    claimers = [subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    said = [claimer.stdout.readline() for claimer in claimers if claimer.stdout is not None]
    for claimer in claimers:
        claimer.communicate()
    assert sorted(said) == ["Claim 1\n"] + ["Observer 1\n"] * 5
    started = time.monotonic()
    got = try_claim(StudyPaths(str(tmp_path)), 5, 0, "/nowhere", 0.1, set(), print)
    assert isinstance(got, module.Claim)
    assert got.attempt == 2
    assert [each["end"] for each in got.lost_before] == ["lost"]
    assert time.monotonic() - started < 5
