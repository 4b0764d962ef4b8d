"""Trials in jobs of an earlier head: which are adopted, when one is settled, how they are waited for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from hpo_workflow import orphans
from hpo_workflow.orphans import (
    Job,
    Watch,
    ask_queue,
    cancel,
    claimed_jobs,
    jobname_prefix,
    orphans_of,
    read_adopted,
    read_queue,
    wait,
    write_adopted,
)
from hpo_workflow.store.atomic import publish
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.processes import this_process

OURS = "hpo-s-01234567"
ANSWER = f"""\
101|RUNNING|{OURS}_aaaa|rule_trial_wildcards_000_3_1
102|PENDING|{OURS}_aaaa|rule_trial_wildcards_000_4_1
103|RUNNING|hpo-s-89abcdef_bbbb|rule_trial_wildcards_000_5_1
104|RUNNING|{OURS}_cccc|rule_x_trial_wildcards_001_1006_12
105|RUNNING|somebody|
slurm_load_jobs error: nonsense
"""


def orphaned(live: set[int], claimed: Mapping[int, str] | None = None, answer: str = ANSWER) -> dict[int, str]:
    return orphans_of(read_queue(answer), OURS, live, claimed or {})


# ---- which -------------------------------------------------------------------------------------------------
def test_jobs_that_wait_or_run_are_known_by_name_and_comment() -> None:
    assert orphaned({3, 4, 5, 1006}) == {3: "101", 4: "102", 1006: "104"}


def test_trials_that_have_ended_are_not_adopted() -> None:
    assert orphaned({4}) == {4: "102"} and orphaned(set()) == {}


def test_a_job_of_another_name_is_known_by_the_claim_that_it_holds() -> None:
    assert orphaned({5, 7}, {5: "103", 7: "999"}) == {5: "103"}  # job 999 has gone, so trial 7 may be started again


def test_of_two_jobs_of_a_trial_the_one_that_holds_the_claim_is_waited_for() -> None:
    twice = f"7|PENDING|{OURS}_a|rule_trial_wildcards_000_3_1\n9|RUNNING|{OURS}_b|rule_trial_wildcards_000_3_2\n"
    assert orphaned({3}, answer=twice) == {3: "9"}
    assert orphaned({3}, {3: "7"}, twice) == {3: "7"}
    old = twice.replace("PENDING", "RUNNING")
    assert orphaned({3}, answer=old) == {3: "7"}


def test_where_slurm_does_not_answer_claims_are_believed() -> None:
    assert orphans_of(None, OURS, {3, 4}, {3: "101", 8: "102"}) == {3: "101"}


def test_names_of_jobs_are_what_the_plugin_accepts_and_tell_studies_of_one_name_apart(tmp_path: Path) -> None:
    name = jobname_prefix("my.study", str(tmp_path / "a"))
    assert name.startswith("hpo-my-study-") and len(name) == len("hpo-my-study-01234567")
    assert name == jobname_prefix("my.study", str(tmp_path / "b" / ".." / "a"))
    assert name != jobname_prefix("my.study", str(tmp_path / "b"))
    assert len(jobname_prefix("x" * 64, "r")) == 50


def test_the_last_claim_of_a_trial_says_which_job_holds_it(tmp_path: Path) -> None:
    paths = StudyPaths(str(tmp_path))
    lost = {"end": "lost"}
    for number, attempt, job, ended in [(0, 1, "5", lost), (0, 2, "6", None), (1, 1, "7", lost), (2, 1, None, None)]:
        publish(paths.claim(number, attempt), {"attempt": attempt, "pid": 1, "slurm_job": job, "ended": ended})
    Path(paths.claim(3, 1)).write_text("{torn")
    here = {"attempt": 1, "slurm_job": "8", "ended": None}
    publish(paths.claim(5, 1), {**here, **this_process()})
    publish(paths.claim(6, 1), {**here, **this_process(), "pid_start": "1"})  # dead; its job is an allocation
    assert claimed_jobs(paths, range(7)) == {0: "6", 5: "8"}


# ---- when it is settled ------------------------------------------------------------------------------------
def test_a_trial_is_settled_by_its_result_or_when_its_job_has_been_gone_for_a_while() -> None:
    watch = Watch({1: "11", 2: "12", 3: "13"}, latency_s=60)
    assert watch.look([], {"11", "12", "13"}, 0) == ([], [])
    assert watch.look([], {"11"}, 10) == ([], [])  # 12 and 13 have gone; their results may come into sight
    assert watch.look([3], None, 20) == ([3], [])
    assert watch.look([3], {"11"}, 70) == ([3], [2])


def test_a_job_that_slurm_forgot_for_a_moment_has_not_gone() -> None:
    watch = Watch({1: "11"}, latency_s=60)
    watch.look([], set(), 0)
    assert watch.look([], {"11"}, 30) == ([], [])
    assert watch.look([], set(), 61) == ([], []) and watch.look([], set(), 120) == ([], [])
    assert watch.look([], None, 121) == ([], [1])


class Clock:
    """Time that passes while somebody sleeps; every `results` come at their second."""

    def __init__(self, paths: StudyPaths, results: dict[int, float]) -> None:
        self.now = 0.0
        self.paths = paths
        self.results = results

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for number, when in self.results.items():
            if when <= self.now:
                publish(self.paths.result_record(number), {"number": number})

    def __call__(self) -> float:
        return self.now


def test_waiting_ends_with_the_first_result(tmp_path: Path) -> None:
    paths = StudyPaths(str(tmp_path))
    clock = Clock(paths, {4: 100, 5: 101, 6: 300})
    queue = [Job(str(n), "RUNNING", "", "") for n in (14, 15, 16)]
    answer = wait(paths, {4: "14", 5: "15", 6: "16"}, queue=lambda: queue, sleep=clock.sleep, clock=clock)
    assert answer == ([4], []) and clock.now == 100
    answer = wait(paths, {5: "15", 6: "16"}, queue=lambda: queue, sleep=clock.sleep, clock=clock)
    assert answer == ([5], [])


def test_waiting_ends_with_the_latency_after_a_job_has_gone_and_never_while_slurm_is_silent(tmp_path: Path) -> None:
    paths = StudyPaths(str(tmp_path))
    clock = Clock(paths, {})
    given = {"sleep": clock.sleep, "clock": clock}
    assert wait(paths, {4: "14"}, latency_s=30, queue=lambda: [], **given) == ([], [4])  # type: ignore[arg-type]
    assert 30 <= clock.now <= 30 + orphans.POLL_S
    clock.now = 0
    assert wait(paths, {4: "14"}, latency_s=30, queue=lambda: None, **given) == ([], [])  # type: ignore[arg-type]
    assert clock.now >= orphans.LONGEST_WAIT_S  # Snakemake looks at the rest of the study, and asks again


# ---- the world ---------------------------------------------------------------------------------------------
def test_the_verb_writes_what_is_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = StudyPaths(str(tmp_path))
    write_adopted(paths, {2: "12", 3: "13"})
    publish(paths.result_record(3), {"number": 3})
    monkeypatch.setenv("PATH", str(tmp_path))
    assert orphans.run(["--root", str(tmp_path), "--plan", "p", "--out", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out").read_text()) == {"ended": [3], "gone": []}
    assert capsys.readouterr().err == "trial 3: job 13 of an earlier run has ended it\n"


def test_who_is_adopted_is_written_down_and_a_garbled_note_counts_as_none(tmp_path: Path) -> None:
    paths = StudyPaths(str(tmp_path))
    assert read_adopted(paths) == {}
    write_adopted(paths, {2: "12"})
    assert read_adopted(paths) == {2: "12"}
    Path(paths.adopted).write_text('{"jobs": [1]}')
    assert read_adopted(paths) == {}
    write_adopted(paths, {})
    write_adopted(paths, {})
    assert not Path(paths.adopted).exists()


def test_squeue_and_scancel_are_called_and_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name, does in (("squeue", f"cat <<'END'\n{ANSWER}END"), ("scancel", f'echo "$@" > {tmp_path}/cancelled')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    queue = ask_queue()
    assert queue is not None and [job.id for job in queue] == ["101", "102", "103", "104", "105"]
    assert [job.id for job in queue if job.waits] == ["102"]
    assert cancel(["5", "6"]) and (tmp_path / "cancelled").read_text() == "5 6\n"
    assert cancel([])
    for name in ("squeue", "scancel"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
    assert ask_queue() is None and not cancel(["5"])
    (tmp_path / "squeue").unlink()
    (tmp_path / "scancel").unlink()
    if not Path("/usr/bin/squeue").exists():
        assert ask_queue() is None and not cancel(["5"])
