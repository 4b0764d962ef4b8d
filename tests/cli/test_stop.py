"""`hpo stop`: the request, who reads it, what is told."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from hpo_workflow.cli import run as run_module
from hpo_workflow.cli.head import head_lines, read_head, write_head
from hpo_workflow.orphans import jobname_prefix
from hpo_workflow.store.atomic import publish
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.processes import this_process
from hpo_workflow.store.stop_request import request_stop, stop_request, withdraw_stop
from tests.cli.conftest import ROOT, Hpo, calls
from tests.cli.studies import emit, finished_study, write_study
from tests.clone import block

PATHS = StudyPaths("results/s")


def session(**changes: object) -> dict[str, object]:
    return {
        **this_process(),
        "since": "2026-01-01",
        "since_unix": 0.0,
        "token": "t",
        "slurm_job": None,
        **changes,
    }


# ---- the request -------------------------------------------------------------------------------------------
def test_a_request_lets_trials_finish_or_ends_them_and_is_taken_back(tmp_path: Path) -> None:
    paths = StudyPaths(str(tmp_path))
    assert stop_request(paths) is None and not withdraw_stop(paths)
    request_stop(paths, "finish", "me")
    asked = stop_request(paths)
    assert asked is not None and (asked["running"], asked["by"]) == ("finish", "me")
    assert not os.path.exists(paths.stop)
    request_stop(paths, "cancel", "me")
    assert json.loads(Path(paths.stop).read_text())["reason"] == "stop_request"
    assert withdraw_stop(paths) and stop_request(paths) is None and not os.path.exists(paths.stop)


def test_taking_it_back_leaves_a_stop_for_another_reason(tmp_path: Path) -> None:
    paths = StudyPaths(str(tmp_path))
    request_stop(paths, "finish", "me")
    Path(paths.stop).write_text('{"reason": "target"}')
    assert withdraw_stop(paths) and os.path.exists(paths.stop)


def test_a_garbled_request_lets_trials_finish(tmp_path: Path) -> None:
    paths = StudyPaths(str(tmp_path))
    Path(paths.state).mkdir()
    Path(paths.stop_request).write_text("{torn")
    asked = stop_request(paths)
    assert asked is not None and asked["running"] == "finish"


def test_propose_refuses_while_the_study_is_being_stopped(hpo: Hpo) -> None:
    folder, plan = emit(write_study())
    request_stop(folder.paths, "finish", "me")
    call = ["--root", folder.root, "--plan", folder.paths.plan(plan.digest), "--batch", "1", "--out", "out"]
    answer = hpo("propose", *call)
    assert answer.code == 1 and "nothing more is proposed" in answer.err and folder.batch(1) is None


# ---- who runs it -------------------------------------------------------------------------------------------
def test_there_is_nothing_to_stop_where_nobody_runs_it(slurm: Path, hpo: Hpo) -> None:
    study = write_study()
    assert "has not run yet" in hpo("stop", study).err
    finished_study()
    answer = hpo("stop", study)
    assert answer.code == 0 and "nobody runs it; there is nothing to stop." in answer.err
    assert stop_request(PATHS) is None


@pytest.mark.parametrize("option", ["--finish", "--cancel"])
def test_a_run_of_this_machine_ends_and_the_next_one_goes_on(snakemake: Path, hpo: Hpo, option: str) -> None:
    folder, _ = emit(write_study())
    stop = f"os.system({f'{sys.executable} -m hpo_workflow stop study.yaml {option} 2> said'!r})\n"
    wait = "while not os.path.exists('signals'): time.sleep(0.05)\n"
    (snakemake / "play.py").write_text(f"{stop}{wait}sys.exit(1)\n")
    answer = hpo("run", "study.yaml")
    assert answer.code == 130, answer.err
    what = "running trials finish" if option == "--finish" else "running trials are ended"
    assert f"no new trials; {what}" in answer.err and "stopped; 0 of 4 trials done" in answer.err
    assert (snakemake / "signals").read_text() == "SIGTERM\n"
    said = (snakemake / "said").read_text()
    assert "study s: process " in said and "is told to end it; no new trials, running trials" in said
    assert os.path.exists(folder.paths.stop) == (option == "--cancel")
    status = hpo("status", "study.yaml")
    assert "study s: stopped" in status.out
    (snakemake / "play.py").write_text("sys.exit(0)\n")
    answer = hpo("run", "study.yaml")
    assert "the study was stopped (hpo stop); going on from there" in answer.err
    assert len(calls(snakemake)) == 2 and not os.path.exists(folder.paths.stop_request)


def test_trials_that_do_not_end_in_time_are_cancelled(
    snakemake: Path, hpo: Hpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    emit(write_study(limits={"grace": "1s"}))
    monkeypatch.setattr(run_module, "CANCEL_MARGIN_S", -0.9)
    request = "from hpo_workflow.store.stop_request import request_stop\n"
    request += (
        "from hpo_workflow.store.paths import StudyPaths\nrequest_stop(StudyPaths('results/s'), 'cancel', 'me')\n"
    )
    (snakemake / "play.py").write_text(f"{request}time.sleep(60)\n")
    assert hpo("run", "study.yaml").code == 130
    assert (snakemake / "signals").read_text() == "SIGTERM\nSIGINT\n"


@pytest.mark.parametrize(
    ("head", "runs", "said"),
    [
        ({"state": "running", "job": "4", "next": "5"}, True, "its head is Slurm job 4; job 5 goes on after that"),
        ({"state": "running", "job": "4", "next": "5"}, False, "its head, Slurm job 4, has ended; job 5 goes on if"),
        ({"state": "handed over", "job": "4", "next": "5"}, False, "its next head is submitted, Slurm job 5;"),
        (
            {"state": "refused", "job": "4", "next": None, "why": "no"},
            False,
            "its head has ended (refused: no); see r/",
        ),
        ({"state": "gave up", "job": "4", "next": None, "why": None}, False, "its head has ended (gave up); see r/"),
    ],
)
def test_status_tells_of_the_head(head: dict[str, object], runs: bool, said: str) -> None:
    (line,) = head_lines(head, None, runs, "r")
    assert line.startswith(said)
    assert head_lines({"state": "ended"}, None, runs, "r") == head_lines(None, None, runs, "r") == []


def test_status_shows_that_a_run_elsewhere_is_being_stopped(slurm: Path, hpo: Hpo) -> None:
    _, folder, _ = finished_study(budget={"trials": 9, "parallel": 2})
    publish(folder.paths.session, session(host="elsewhere", boot="b", slurm_job="77"))
    (slurm / "queue").write_text("77|RUNNING|x|\n")
    answer = hpo("stop", "study.yaml", "--cancel")
    assert "study s: job 77 on elsewhere is told to end it; no new trials, running trials are ended" in answer.err
    status = hpo("status", "study.yaml")
    assert "no new trials, running trials are being ended" in status.out
    assert json.loads(hpo("status", "study.yaml", "--json").out)["stop_request"]["running"] == "cancel"
    assert not (slurm / "cancelled").exists()  # whoever runs it does that


def test_heads_that_have_not_begun_are_cancelled(slurm: Path, hpo: Hpo) -> None:
    study = write_study()
    write_head(PATHS, {"settings": {"study": "s"}}, state="handed over", job="4", next="5")
    (slurm / "queue").write_text("5|PENDING|hpo-head-s|\n")
    answer = hpo("stop", study)
    assert "study s: its head had not begun; job 5 cancelled." in answer.err
    assert (slurm / "cancelled").read_text() == "5\n"
    head = read_head(PATHS)
    assert head is not None and head["state"] == "stopped" and stop_request(PATHS) is not None


def test_jobs_of_a_dead_run_finish_and_those_that_wait_are_cancelled(slurm: Path, hpo: Hpo) -> None:
    emit(write_study())
    prefix = jobname_prefix("s", "results/s")
    queue = f"8|RUNNING|{prefix}_x|rule_trial_wildcards_000_0_0\n9|PENDING|{prefix}_x|rule_trial_wildcards_000_1_0\n"
    (slurm / "queue").write_text(queue)
    answer = hpo("stop", "study.yaml")
    assert "study s: nobody runs it; no new trials." in answer.err
    assert "1 job that waited in Slurm cancelled." in answer.err
    assert "1 job of an earlier run end by themselves." in answer.err
    assert (slurm / "cancelled").read_text() == "9\n"


# ---- jobs of an earlier run, when the study is run again ---------------------------------------------------
def in_queue(slurm: Path) -> None:
    name = f"{jobname_prefix('s', 'results/s')}_x"
    (slurm / "queue").write_text(f"8|RUNNING|{name}|rule_trial_wildcards_000_0_0\n")


def test_jobs_of_an_earlier_run_are_taken_over(snakemake: Path, slurm: Path, hpo: Hpo) -> None:
    emit(write_study())
    in_queue(slurm)
    (call,) = block(ROOT / "docs/how-to/login-node.md", "heads-again").commands
    answer = hpo(*call.split()[1:])
    assert "1 job of an earlier run still in Slurm; their trials are taken over and not started again" in answer.err
    assert not (slurm / "cancelled").exists() and len(calls(snakemake)) == 1


def test_or_they_are_cancelled_before_anything_is_started(snakemake: Path, slurm: Path, hpo: Hpo) -> None:
    emit(write_study())
    in_queue(slurm)
    answer = hpo("run", "study.yaml", "--profile", "slurm", "--cancel-orphans")
    assert "cancelled 1 job of an earlier run; their trials are started again" in answer.err
    assert (slurm / "cancelled").read_text() == "8\n" and len(calls(snakemake)) == 1


def test_a_run_that_has_ended_in_a_job_of_another_host_is_no_obstacle(snakemake: Path, slurm: Path, hpo: Hpo) -> None:
    _, folder, _ = finished_study()
    publish(folder.paths.session, session(host="elsewhere", boot="b", slurm_job="77"))
    (slurm / "queue").write_text("77|RUNNING|x|\n")
    assert hpo("run", "study.yaml", "--profile", "slurm").code == 2
    (slurm / "queue").write_text("")
    answer = hpo("run", "study.yaml", "--profile", "slurm")
    assert answer.code == 0 and "an earlier run (elsewhere, process" in answer.err


def test_a_run_for_a_time_ends_with_a_code_of_its_own(snakemake: Path, slurm: Path, hpo: Hpo) -> None:
    emit(write_study())
    (snakemake / "play.py").write_text("time.sleep(60)\n")
    answer = hpo("run", "study.yaml", "--profile", "slurm", "--for", "1s")
    assert answer.code == 75 and "study s: handed over; 0 of 4 trials done; 2 trials in flight." in answer.err
    answer = hpo("run", "study.yaml", "--for", "soon")
    assert answer.code == 2 and "--for soon: this is not a time." in answer.err
