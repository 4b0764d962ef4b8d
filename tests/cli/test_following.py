"""What a run shows while it goes: the study followed, the queue asked, the picture and the lines."""

from __future__ import annotations

import io
import json
import os
import time
from pathlib import Path

import pytest

from hpo_workflow.cli import slurm_queue
from hpo_workflow.cli.follow import LOOKS, Follower, Standing
from hpo_workflow.cli.progress import LineProgress, LiveProgress, counts_text, is_drawn_on, stopping_text, trial_texts
from hpo_workflow.cli.slurm_queue import SlurmQueue, count_jobs
from hpo_workflow.cli.stale_locks import clear_stale_locks
from hpo_workflow.cli.standing import SELDOM_S, QueueOfOthers
from hpo_workflow.orphans import jobname_prefix
from hpo_workflow.reading.unfinished import RunningAttempt, is_running, running_attempt
from hpo_workflow.store.atomic import publish, replace, to_json
from hpo_workflow.store.plan import Plan
from hpo_workflow.store.processes import this_process
from hpo_workflow.store.study_folder import StudyFolder
from tests.cli.conftest import Hpo
from tests.cli.studies import emit, end, finished_study, read, write_study
from tests.terminal import Pty


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def claim(folder: StudyFolder, number: int, attempt: int = 1, **changes: object) -> None:
    """Somebody, by default this process, runs an attempt."""
    owner = {**this_process(), "ended": None}
    publish(folder.paths.claim(number, attempt), {**owner, "attempt": attempt, **changes})


# ---- following ---------------------------------------------------------------------------------------------
def test_outcomes_and_batches_are_seen_once() -> None:
    folder, plan = emit(write_study())
    follower = Follower(folder, plan.to_json())
    assert follower.tick() == []
    end(folder, plan, {0: 0.5, 1: "timeout"})
    assert [trial.number for trial in follower.tick()] == [0, 1]
    assert follower.tick() == []
    emit("study.yaml")
    end(folder, plan, {3: 0.25})
    assert [trial.number for trial in follower.tick()] == [3]
    assert follower.state.incumbent is not None and follower.state.incumbent.number == 3


def tried_again(folder: StudyFolder, plan: Plan, number: int, *reasons: str, batch: int = 0) -> None:
    """The attempts of a trial so far have failed, and `retry:` starts it again."""
    ends = [[attempt, "failed", reason, "node1"] for attempt, reason in enumerate(reasons, 1)]
    metric = {"number": number, "batch": batch, "state": "lost", "attempts": len(ends), "ends": ends}
    rest = {"config": number, "reason": reasons[-1], "detail": "", "value": None, "seconds": 1.0, "metrics": {}}
    replace(folder.paths.metric(plan.spec.metrics_digest, number, batch), to_json({**metric, **rest}) + "\n")


def test_a_trial_that_is_tried_again_is_told_once_each_time(hpo: Hpo) -> None:
    retry = {"timeout": {"resume": True, "times": 3}, "oom": {"times": 2}}
    study = write_study(resources={"runtime": "12h", "mem": "8GB"}, retry=retry)
    folder, plan = emit(study)
    follower = Follower(folder, plan.to_json())
    tried_again(folder, plan, 0, "timeout")
    assert follower.tick() == []
    assert follower.new_retries() == ["trial 0: its time was over, and it goes on (retry.timeout, 1)"]
    assert follower.new_retries() == []
    tried_again(folder, plan, 1, "oom")
    emit(study)  # the outcome and the batch that follows from it come into sight together
    follower.tick()
    assert follower.new_retries() == ["trial 1: it ran out of memory, and is started with more (retry.oom, 1)"]
    assert Follower(folder, plan.to_json()).new_retries() == [], "what was there before is not news"
    assert "; tried again: timeout 1, oom 1; " in hpo("status", study).out
    assert json.loads(hpo("status", study, "--json").out)["tried_again"] == {"timeout": 1, "oom": 1}


def test_what_was_there_before_is_not_news() -> None:
    _, folder, plan = finished_study()
    follower = Follower(folder, plan.to_json())
    assert follower.n_before == 4 and follower.tick() == []


def test_a_tick_reads_a_bounded_number_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    folder, plan = emit(write_study(budget={"trials": 500, "parallel": 200}))
    follower = Follower(folder, plan.to_json())
    asked: list[int] = []
    monkeypatch.setattr(folder, "outcome", lambda digest, number, batch: asked.append(number))
    follower.tick()
    assert len(asked) == LOOKS
    for _ in range(3):
        follower.tick()
    assert set(asked) == set(range(200))  # they take turns


def test_a_damaged_file_does_not_end_the_display() -> None:
    folder, plan = emit(write_study())
    follower = Follower(folder, plan.to_json())
    end(folder, plan, {0: 0.5})
    path = Path(folder.paths.metric(plan.spec.metrics_digest, 0, 0))
    whole = path.read_text()
    path.write_text(whole[:20])
    assert follower.tick() == []
    path.write_text(whole)
    assert [trial.number for trial in follower.tick()] == [0]


def test_time_left_is_remaining_trials_by_duration_and_slots() -> None:
    now = [0.0]
    folder, plan = emit(write_study(budget={"trials": 10, "parallel": 2}))
    follower = Follower(folder, plan.to_json(), clock=lambda: now[0])
    assert follower.left_s() is None
    claim(folder, 0)
    claim(folder, 1)
    follower.tick()
    assert follower.running == {0, 1} and follower.peak == 2
    end(folder, plan, {0: 0.5, 1: 0.5})
    follower.tick()
    assert follower.running == set()
    now[0] = 90.0
    assert follower.left_s() == 8 * 90 / 2


def test_a_finite_space_bounds_the_time_that_is_left() -> None:
    now = [0.0]
    choices = {"x": {"choices": [1, 2, 3]}, "k": 3}
    folder, plan = emit(write_study(space=choices, sampler="grid", budget={"parallel": 1}))
    follower = Follower(folder, plan.to_json(), clock=lambda: now[0])
    claim(folder, 0)
    follower.tick()
    end(folder, plan, {0: 0.5})
    ended = follower.tick()
    assert trial_texts(ended, follower.state) == ["[1/3] trial 0 in 1 min 30 s: loss 0.5, the best so far"]
    assert follower.left_s() == 2 * 90


def test_running_is_known_from_the_last_claim_and_its_owner() -> None:
    folder, _ = emit(write_study())
    assert not is_running(folder, 0)
    claim(folder, 0, ended={"end": "lost"})
    assert not is_running(folder, 0)
    claim(folder, 0, attempt=2)
    assert is_running(folder, 0)
    claim(folder, 1, pid_start="1")  # the process id has been used again
    assert not is_running(folder, 1)


def test_a_claim_of_another_host_counts_while_it_is_touched() -> None:
    folder, _ = emit(write_study())
    claim(folder, 0, host="elsewhere", boot="b", pids="p")
    assert is_running(folder, 0)
    os.utime(folder.paths.claim(0, 1), (time.time() - 1000, time.time() - 1000))
    assert not is_running(folder, 0)


def test_watching_asks_slurm_nothing_about_single_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\ntouch called\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    folder, _ = emit(write_study())
    claim(folder, 0, attempt=1, host="elsewhere", boot="b", pids="p", slurm_job="77", born=1000.5)
    assert running_attempt(folder, 0) == RunningAttempt(1, 1000.5, "77")
    assert not Path("called").exists()


# ---- progress ----------------------------------------------------------------------------------------------
def test_lines_have_a_heartbeat_after_a_minute_of_silence() -> None:
    now = [0.0]
    folder, plan = emit(write_study())
    follower = Follower(folder, plan.to_json(), clock=lambda: now[0])
    stream = io.StringIO()
    progress = LineProgress(stream, clock=lambda: now[0])
    for second in (1.0, 30.0, 59.0, 61.0, 100.0, 120.0, 122.0):
        now[0] = second
        progress.update(follower, [], "", "")
    assert stream.getvalue() == "0 of 4 trials done\n" * 2


def test_a_change_in_the_queue_is_a_line_of_its_own() -> None:
    now = [0.0]
    folder, plan = emit(write_study())
    follower = Follower(folder, plan.to_json())
    stream = io.StringIO()
    progress = LineProgress(stream, clock=lambda: now[0])
    for now[0], queue in ((15.0, "Slurm: a"), (26.0, "Slurm: a"), (40.0, "Slurm: b")):
        progress.update(follower, [], queue, "")
    assert stream.getvalue() == "Slurm: a\nSlurm: b\n"


def test_quiet_shows_no_progress() -> None:
    folder, plan = emit(write_study())
    follower = Follower(folder, plan.to_json())
    end(folder, plan, {0: 0.5})
    stream = io.StringIO()
    LineProgress(stream, quiet=True).update(follower, follower.tick(), "Slurm: x", "")
    assert stream.getvalue() == ""


def test_a_live_progress_draws_the_study_and_says_what_is_remarkable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    folder, plan = emit(write_study(budget={"trials": 4, "parallel": 4}), n_batches=1)
    follower = Follower(folder, plan.to_json())
    terminal, now = Pty(80, 24), [0.0]
    progress = LiveProgress(terminal.stream, lambda: Standing("3 s so far"), clock=lambda: now[0])
    end(folder, plan, {0: 0.5, 1: 0.75, 2: "timeout"})
    claim(folder, 3)
    progress.update(follower, follower.tick(), "Slurm: 1 running", "no new trials")
    lines = terminal.read().lines
    assert lines[:2] == ["[1/4] trial 0 in 1 min 30 s: loss 0.5, the best so far", lines[1]]
    assert lines[1].startswith("[3/4] trial 2 in 1 min 30 s: failed (timeout)")
    assert (
        lines[2:4] == ["s  3 s so far", "no new trials"] and "1 of 4 running; Slurm: 1 running" in terminal.screen.text
    )
    written = progress.screen.written
    progress.update(follower, [], "", "")
    assert progress.screen.written == written, "once a second"
    now[0] = 1.0
    progress.update(follower, [], "", "")
    assert "no new trials" not in terminal.read().text
    progress.close()
    assert len(terminal.read().lines) == 2
    terminal.close()


def test_a_picture_needs_a_terminal_that_moves_its_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Pty()
    for name, drawn in (("xterm", True), ("dumb", False), ("", False)):
        monkeypatch.setenv("TERM", name)
        assert is_drawn_on(terminal.stream) is drawn
        assert not is_drawn_on(io.StringIO())
    terminal.close()


def test_failures_are_counted_by_reason_the_commonest_first() -> None:
    folder, plan = emit(write_study(budget={"trials": 9, "parallel": 4}))
    end(folder, plan, {0: "timeout", 1: "exit_code", 2: "exit_code", 3: 0.5})
    state = Follower(folder, plan.to_json()).state
    assert counts_text(state, 2) == "4 of 9 trials done, 2 running, 3 failed (exit_code 2, timeout 1)"
    path = folder.paths.metric(plan.spec.metrics_digest, 3, 0)
    replace(path, to_json({**read(path), "state": "pruned", "reason": "median"}))
    state = Follower(folder, plan.to_json()).state
    assert counts_text(state, 0) == "4 of 9 trials done, 1 pruned, 3 failed (exit_code 2, timeout 1)"


def test_ctrl_c_is_answered_with_what_happens_next() -> None:
    assert stopping_text(3, 1) == "no new trials; 3 running finish (Ctrl-C again to stop them)"
    assert stopping_text(1, 1) == "no new trials; 1 running finishes (Ctrl-C again to stop them)"
    assert stopping_text(0, 1) == "no new trials"
    assert stopping_text(3, 2) == "stopping 3 trials"


# ---- the queue ---------------------------------------------------------------------------------------------
ANSWER = """\
1|RUNNING|None|hpo-s-1_abc
2|PENDING|Resources|hpo-s-1_abc
3|PENDING|Priority|hpo-s-1_abc
4|PENDING|Resources|hpo-s-1_abc
5|PENDING|Resources|somebody's|job
6|RUNNING|None|hpo-s-2_abc
garbage
"""


def test_only_the_jobs_of_this_run_are_counted() -> None:
    assert count_jobs(ANSWER, "hpo-s-1") == (1, 3, ["reason: Resources", "Priority"])
    assert count_jobs("", "hpo-s-1") == (0, 0, [])


def wait_for(queue: SlurmQueue, sentence: str) -> str:
    until = time.monotonic() + 10
    while queue.sentence != sentence and time.monotonic() < until:
        queue.poll()
        time.sleep(0.02)
    return queue.sentence


def test_squeue_is_asked_in_the_background(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    squeue = tmp_path / "squeue"
    squeue.write_text(f"#!/bin/sh\ncat <<'END'\n{ANSWER}END\n")
    squeue.chmod(0o755)
    queue = SlurmQueue("hpo-s-1")
    sentence = "Slurm: 1 running, 3 waiting (reason: Resources, Priority)"
    assert wait_for(queue, sentence) == sentence
    queue.close()


def test_a_squeue_that_fails_or_hangs_does_not_hold_up_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(slurm_queue, "GIVEN_UP_S", 0.2)
    squeue = tmp_path / "squeue"
    for script in ("exit 1", "exec sleep 60"):
        squeue.write_text(f"#!/bin/sh\n{script}\n")
        squeue.chmod(0o755)
        queue = SlurmQueue("hpo-s-1")
        assert wait_for(queue, "Slurm: squeue does not answer") == "Slurm: squeue does not answer"
        queue.close()
    squeue.unlink()
    assert wait_for(SlurmQueue("hpo-s-1"), "Slurm: squeue does not answer") == "Slurm: squeue does not answer"


def test_whoever_watches_asks_slurm_seldom_while_the_study_has_no_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert QueueOfOthers("s", "results/s").sentence() == "", "there is no squeue"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\necho asked >> asked; cat queue\n")
    squeue.chmod(0o755)
    mine = jobname_prefix("s", "results/s")
    for jobs, sentence, interval_s in (
        ("7|RUNNING|None|hpo-other-1234_abc\n", "", SELDOM_S),
        (f"7|PENDING|Priority|{mine}_abc\n", "Slurm: 0 running, 1 waiting (reason: Priority)", slurm_queue.INTERVAL_S),
    ):
        Path("asked").unlink(missing_ok=True)
        Path("queue").write_text(jobs)
        queue = QueueOfOthers("s", "results/s")
        assert queue._queue is not None
        until = time.monotonic() + 10
        while not queue._queue.sentence and time.monotonic() < until:
            queue.sentence()
            time.sleep(0.02)
        assert queue.sentence() == sentence and queue._queue.interval_s == interval_s
        assert Path("asked").read_text() == "asked\n"
        queue.close()


# ---- locks -------------------------------------------------------------------------------------------------
def test_only_locks_on_files_of_this_study_alone_are_removed() -> None:
    locks = Path(".snakemake/locks")
    locks.mkdir(parents=True)
    texts = {
        "0.input.lock": "results/s/state/batches/000/0.json\ndata/d.npz\n",
        "0.output.lock": "results/s/best.json\n",
        "1.output.lock": "results/s/best.json\nother/best.json\n",  # a workflow of several studies
        "1.input.lock": "data/d.npz\n",
        "2.output.lock": "results/s2/best.json\n",
        "2.input.lock": "results/s/best.json\nother.txt\n",
        "notes.txt": "results/s/best.json\n",
    }
    for name, text in texts.items():
        (locks / name).write_text(text)
    removed = clear_stale_locks("results/s", ["data/d.npz"])
    assert removed == [".snakemake/locks/0.input.lock", ".snakemake/locks/0.output.lock"]
    assert sorted(path.name for path in locks.iterdir()) == sorted(set(texts) - {"0.input.lock", "0.output.lock"})
    assert clear_stale_locks("results/s", [], "nowhere") == []
