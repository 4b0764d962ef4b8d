"""`hpo run` with a pretended Snakemake; tests/workflow has the real one."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.cli import run as run_module
from hpo_workflow.cli import study_report
from hpo_workflow.cli.profile import Profile, find_profile, option_in
from hpo_workflow.cli.progress import LiveProgress
from hpo_workflow.cli.run import place
from hpo_workflow.cli.snakemake_process import (
    busy_children,
    excerpt,
    failed_rules,
    job_failures,
    job_words,
    snakemake_call,
)
from hpo_workflow.errors import UsageError
from hpo_workflow.reading.opened import load_plan
from hpo_workflow.store.atomic import publish
from hpo_workflow.store.processes import is_alive
from hpo_workflow.store.study_folder import StudyFolder
from tests.cli.conftest import Hpo, calls
from tests.cli.studies import emit, end, finished_study, read, write_study
from tests.terminal import Pty

ROOT = Path(__file__).resolve().parents[2]


# ---- the call ----------------------------------------------------------------------------------------------
def test_the_call_is_the_one_of_the_readme_with_our_snakefile(here: Path) -> None:
    plan, _ = load_plan(write_study())
    call = snakemake_call(
        "study.yaml", plan.spec, Profile("p"), cores=4, jobs=None, n_gpus=2, prefix=None, extra=["--foo", "1"]
    )
    assert call[:4] == [sys.executable, "-P", "-m", "snakemake"]
    assert call[4:] == [
        *("--snakefile", str(ROOT / "hpo_workflow" / "rules" / "study.smk"), "--configfile", "study.yaml"),
        *("--profile", "p", "--resources", "gpu=2", "--scheduler", "greedy", "--rerun-incomplete", "--keep-going"),
        *("--cores", "4", "--foo", "1"),
    ]


def test_a_cluster_profile_without_jobs_gets_as_many_as_the_study_wants(here: Path) -> None:
    plan, _ = load_plan(write_study())
    slurm = Profile("p", {"executor": "slurm"})
    given = {"cores": None, "n_gpus": None, "prefix": "hpo-s-1", "extra": []}
    assert snakemake_call("s", plan.spec, slurm, jobs=None, **given)[-4:] == [  # type: ignore[arg-type]
        *("--jobs", "2", "--slurm-jobname-prefix", "hpo-s-1"),
    ]
    slurm = Profile("p", {"executor": "slurm", "jobs": 100})
    assert "--jobs" not in snakemake_call("s", plan.spec, slurm, jobs=None, **given)  # type: ignore[arg-type]


def test_options_are_found_in_all_their_spellings() -> None:
    assert option_in(["--jobs", "4"], "--jobs", "-j") == "4"
    assert option_in(["--jobs=4"], "--jobs", "-j") == "4"
    assert option_in(["-j4"], "--jobs", "-j") == "4"
    assert option_in(["-j", "--foo"], "--jobs", "-j") == ""
    assert option_in(["--jobs-x", "4"], "--jobs", "-j") is None


def test_programs_that_only_wait_do_not_keep_a_snakemake_from_being_left() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', 'input()', *sys.argv[1:]])"
    for words, busy in ((["x", "adopt", "--root"], 0), (["x", "propose", "--root"], 1)):
        parent = subprocess.Popen([sys.executable, "-S", "-c", code, *words], stdin=subprocess.PIPE)
        try:
            until = time.monotonic() + 10
            children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
            while time.monotonic() < until and not (children.exists() and _has_begun(children.read_text())):
                time.sleep(0.02)
            if children.exists():  # not every kernel tells
                assert busy_children(parent.pid) == busy
        finally:
            parent.communicate(b"\n", timeout=10)
    assert busy_children(parent.pid) == 1  # gone: nothing is known of it


def _has_begun(pids: str) -> bool:
    """Whether a child is the program that it was started for, and no copy of its parent any more."""
    return any(b"input()" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in pids.split())


# ---- profiles ----------------------------------------------------------------------------------------------
def test_a_profile_of_the_folder_comes_before_the_shipped_one(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(here / "home"))
    assert find_profile("slurm").folder == str(ROOT / "profiles" / "slurm")
    assert find_profile("slurm").executor == "slurm" and find_profile("local").executor == "local"
    for place_ in ("home/snakemake/slurm", "slurm", "profiles/slurm"):
        (here / place_).mkdir(parents=True)
        (here / place_ / "config.yaml").write_text("executor: slurm\njobs: 3\n")
        found = find_profile("slurm")
        assert Path(found.folder).resolve() == here / place_ and found.settings["jobs"] == 3


def test_an_unknown_profile_lists_the_places(here: Path) -> None:
    with pytest.raises(UsageError, match=r"--profile nope: there is no such profile[\s\S]*profiles/nope"):
        find_profile("nope")


def test_a_garbled_profile_is_named(here: Path) -> None:
    (here / "profiles" / "p").mkdir(parents=True)
    (here / "profiles" / "p" / "config.yaml").write_text("a: [\n")
    with pytest.raises(UsageError, match=r"^profiles/p/config.yaml: this profile cannot be read"):
        find_profile("p")


# ---- where it runs -----------------------------------------------------------------------------------------
def test_more_gpus_than_the_machine_has_are_refused(hpo: Hpo, monkeypatch: pytest.MonkeyPatch, snakemake: Path) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    answer = hpo("run", write_study(resources={"gpu": 3}))
    assert answer.code == 2
    assert answer.err.startswith("study.yaml, resources.gpu: 3 asked for each trial, and this machine shows 2.")
    assert not calls(snakemake)


def test_local_gpus_are_told_to_snakemake_unless_the_user_does(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    plan, _ = load_plan(write_study(resources={"gpu": 1}))
    assert place(plan, Profile("p"), 4, None, ()).n_gpus == 2
    assert place(plan, Profile("p", {"resources": {"gpu": 1}}), 4, None, ()).n_gpus is None
    assert place(plan, Profile("p"), 4, None, ("--resources", "gpu=1")).n_gpus is None
    assert place(plan, Profile("p", {"executor": "slurm"}), None, None, ()).n_gpus is None


@pytest.mark.parametrize(("cores", "threads", "warned"), [(4, 1, False), (1, 1, True), (4, 4, True), (8, 4, False)])
def test_fewer_cores_than_the_study_wants_are_a_warning(here: Path, cores: int, threads: int, warned: bool) -> None:
    plan, _ = load_plan(write_study(resources={"threads": threads}))
    warnings = place(plan, Profile("p"), cores, None, ()).warnings
    assert bool(warnings) is warned
    if warned:
        assert warnings[0].startswith(f"budget.parallel is 2, but --cores {cores} runs only 1 at a time")


def test_more_threads_than_cores_are_told_as_such(here: Path) -> None:
    plan, _ = load_plan(write_study(resources={"threads": 64}, budget={"trials": 1}))
    said = place(plan, Profile("p"), 2, None, ()).warnings
    assert said == ("resources.threads is 64, but --cores 2: a trial gets 2 CPUs",)


def test_variables_to_pass_on_that_are_not_set_are_a_warning(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET_HERE", "")
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    plan, _ = load_plan(write_study(pass_env=["SET_HERE", "NOT_SET_HERE"]))
    said = place(plan, Profile("p"), 4, None, ()).warnings
    assert said == ("pass_env: NOT_SET_HERE is not set here, so trials do not get it",)


def test_cores_are_all_of_the_machine_unless_somebody_says_otherwise(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "local_cpus", lambda: 6)
    plan, _ = load_plan(write_study(budget={"trials": 9, "parallel": 5}))
    assert place(plan, Profile("p", {"cores": "all"}), None, None, ()).cores == 6
    assert place(plan, Profile("p"), None, None, ()).cores == 6
    mine = place(plan, Profile("p", {"cores": 3}), None, None, ())
    assert mine.cores is None and "--cores 3 runs only 3 at a time" in mine.warnings[0]
    typed = place(plan, Profile("p"), None, None, ("-c2",))
    assert typed.cores is None and "--cores 2 runs only 2 at a time" in typed.warnings[0]
    assert place(plan, Profile("p"), 4, None, ()).cores == 4


def test_fewer_jobs_than_the_study_wants_are_a_warning(here: Path) -> None:
    plan, _ = load_plan(write_study(budget={"trials": 50, "parallel": 20}))
    slurm = Profile("p", {"executor": "slurm", "jobs": 10})
    assert "--jobs 10 runs only 10 at a time" in place(plan, slurm, None, None, ()).warnings[0]
    assert not place(plan, slurm, None, 20, ()).warnings


# ---- decisions ---------------------------------------------------------------------------------------------
def test_an_edit_is_refused_before_anything_starts_and_then_kept(hpo: Hpo, snakemake: Path) -> None:
    study, folder, _ = finished_study()
    write_study(command="echo loss=${hpo.x} --new")
    answer = hpo("run", study)
    assert answer.code == 2 and "4 finished trials" in answer.err and not calls(snakemake)
    assert not os.path.exists(folder.paths.session)
    answer = hpo("run", study, "--keep")
    assert answer.code == 0 and "--keep: 4 earlier trials count from now on" in answer.err
    decision = folder.decisions()[0]
    assert decision["kind"] == "keep" and decision["identity"] == load_plan(study)[0].identity
    assert len(decision["others"]) == 1
    assert hpo("run", study).code == 0


def test_fresh_leaves_the_old_ones_on_disk(hpo: Hpo, snakemake: Path) -> None:
    study, folder, _ = finished_study()
    write_study(command="echo loss=${hpo.x} --new")
    answer = hpo("run", study, "--fresh")
    assert "--fresh: 4 earlier trials stay on disk and do not count" in answer.err
    assert folder.decisions()[0]["kind"] == "fresh" and folder.result(0) is not None
    assert "0 done" not in answer.err and "nothing done yet" in answer.err


def test_after_a_change_of_the_metric_it_says_that_outputs_are_read_and_not_that_nothing_is_done(
    hpo: Hpo, snakemake: Path
) -> None:
    finished_study()
    answer = hpo("run", write_study(objective={"metric": "other", "direction": "minimize"}))
    assert "at a time; the output of 4 trials is read first (Snakemake's log" in answer.err


def test_failed_trials_are_set_aside_to_run_anew(hpo: Hpo, snakemake: Path) -> None:
    folder, plan = emit(write_study())
    end(folder, plan, {0: "timeout", 1: 0.25})
    answer = hpo("run", "study.yaml", "--retry-failed")
    assert "--retry-failed: 1 failed configuration will run anew" in answer.err
    assert [(d["kind"], d["numbers"]) for d in folder.decisions()] == [("retry_failed", [0])]
    assert "no trial has failed" in hpo("run", "study.yaml", "--retry-failed").err


def test_decisions_without_need_are_said_and_do_no_harm(hpo: Hpo, snakemake: Path) -> None:
    study, folder, _ = finished_study()
    assert "there is nothing to decide" in hpo("run", study, "--keep").err
    assert not folder.decisions()


@pytest.mark.parametrize("arguments", [("--keep", "--fresh"), ("--keep", "-n"), ("--fresh", "--", "--dry-run")])
def test_decisions_that_contradict_the_rest_are_refused(hpo: Hpo, snakemake: Path, arguments: tuple[str, ...]) -> None:
    finished_study()
    assert hpo("run", "study.yaml", *arguments).code == 2
    assert not calls(snakemake)


def test_a_dry_run_records_nothing(hpo: Hpo, snakemake: Path) -> None:
    assert hpo("run", write_study(), "-n").code == 0
    argv = calls(snakemake)[0]["argv"]
    assert isinstance(argv, list) and argv[-1] == "-n"
    assert not (snakemake / "results").exists()


# ---- the run -----------------------------------------------------------------------------------------------
def test_a_finished_study_has_nothing_to_do_and_shows_its_best(hpo: Hpo, snakemake: Path) -> None:
    finished_study()
    answer = hpo("run", "study.yaml")
    assert answer.code == 0
    assert "study s: nothing to do, all 4 trials are done" in answer.err
    lines = answer.out.splitlines()
    assert len(lines) == 3 and lines[0].startswith("best loss 0.125 (trial 2): x=")
    assert lines[2] == "report: results/s/report.html"
    assert lines[1].startswith("command: K=3 echo loss=")


def test_a_study_that_ended_before_its_budget_says_why_there_is_nothing_to_do(hpo: Hpo, snakemake: Path) -> None:
    objective = {"metric": "loss", "direction": "minimize", "target": 0.2}
    finished_study(objective=objective, budget={"trials": 9, "parallel": 2})
    assert "study s: nothing to do, target 0.2 reached by trial 2\n" in hpo("run", "study.yaml").err


def test_on_a_terminal_it_is_drawn_while_it_runs_and_the_result_stays(
    hpo: Hpo, snakemake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished_study(budget={"trials": 4, "parallel": 2, "wall": "1h"})
    (snakemake / "play.py").write_text("time.sleep(0.4); sys.exit(0)\n")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(run_module, "TICK_TERMINAL_S", 0.05)
    terminal = Pty(80, 24)
    monkeypatch.setattr(sys, "stderr", terminal.stream)
    drawn: list[str] = []
    update = LiveProgress.update

    def updated(self: LiveProgress, *arguments: Any) -> None:
        update(self, *arguments)
        drawn.extend(terminal.read().lines)

    monkeypatch.setattr(LiveProgress, "update", updated)
    assert hpo("run", "study.yaml").code == 0
    monkeypatch.undo()
    assert "s  0 s so far" in drawn and any(line.endswith("4 of 4 trials done") for line in drawn)
    assert any(line.endswith("0 s of 1 h") for line in drawn)
    said = [line for line in terminal.read().lines if not line.startswith("warning: ")]
    assert said[0].startswith("study s: 4 trials, 2 at a time; 4 done already")
    assert said[-1] == "study s: nothing to do, all 4 trials are done"
    assert not any(line.startswith(("slots", "s  ")) for line in said)
    terminal.close()


def test_quiet_says_the_result_alone(hpo: Hpo, snakemake: Path) -> None:
    finished_study()
    assert hpo("run", "study.yaml", "-q").err == "study s: nothing to do, all 4 trials are done\n"


def test_snakemake_gets_our_session_and_it_is_free_afterwards(hpo: Hpo, snakemake: Path) -> None:
    _, folder, _ = finished_study()
    path = folder.paths.session
    (snakemake / "play.py").write_text(f"print(open({path!r}).read(), file=open('seen', 'w')); sys.exit(0)\n")
    hpo("run", "study.yaml")
    session = json.loads((snakemake / "seen").read_text())
    assert session["token"] == calls(snakemake)[0]["session"]
    assert not os.path.exists(path)


def test_a_snakemake_that_ends_before_the_study_is_started_again_and_is_no_success(hpo: Hpo, snakemake: Path) -> None:
    emit(write_study())
    inner = "from tests.cli.studies import emit, end; folder, plan = emit('study.yaml', 0); end(folder, plan, {0: 0.3})"
    (snakemake / "play.py").write_text(f"import os\nif not os.path.exists('once'):\n open('once', 'w')\n {inner}\n")
    answer = hpo("run", "study.yaml")
    assert answer.code == 1
    assert len(calls(snakemake)) == 6
    assert "Snakemake ended, and the study has not; starting again (5 of at most 5)" in answer.err
    assert "Snakemake ended, and the study has not: 1 of 4 trials done. `hpo run study.yaml` goes on." in answer.err


def test_lost_jobs_start_snakemake_again_at_most_five_times(hpo: Hpo, snakemake: Path) -> None:
    emit(write_study())
    (snakemake / "play.py").write_text("print('Error in rule trial:'); sys.exit(1)\n")
    answer = hpo("run", "study.yaml")
    assert answer.code == 1
    assert len(calls(snakemake)) == 6
    assert "2 trials lost their jobs in all attempts; starting again (5 of at most 5)" in answer.err
    assert (
        "Snakemake failed (exit code 1); 0 of 4 trials done. From its log, results/s/state/snakemake.log:" in answer.err
    )


REFUSED = """\
Error in rule trial:
    message: {}For further error details see the cluster/cloud log and the log files of the involved rule(s).
    jobid: 6
    output: results/s/state/done/000/1-0.json
    shell:
        runner
"""


def test_a_refused_account_is_said_at_once_and_not_tried_again(hpo: Hpo, snakemake: Path) -> None:
    emit(write_study())
    why = "Job submission failed with exception: The given account nope appears to be invalid.\\nAvailable: a, b"
    (snakemake / "play.py").write_text(f"print({REFUSED.format(why)!r}); sys.exit(1)\n".replace("\\\\n", "\\n"))
    answer = hpo("run", "study.yaml")
    assert answer.code == 1 and len(calls(snakemake)) == 1
    assert "Slurm took no job; 0 of 4 trials done. It says: The given account nope appears" in answer.err
    assert "slurm_account" in answer.err


def test_a_controller_that_does_not_answer_is_asked_again_after_a_pause(
    hpo: Hpo, snakemake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "PAUSE_S", 0.1)
    emit(write_study())
    why = "SLURM sbatch failed. The error message was 'sbatch: error: Unable to contact slurm controller'.\n"
    (snakemake / "play.py").write_text(f"print({REFUSED.format(why)!r}); sys.exit(1)\n")
    answer = hpo("run", "study.yaml")
    assert len(calls(snakemake)) == 6
    assert "2 trials could not be submitted; starting again in 0 s (1 of at most 5)" in answer.err
    assert answer.err.count("Slurm does not take the jobs: Unable to contact slurm controller") == 1


def test_a_snakemake_that_waits_for_jobs_unknown_to_slurm_is_started_again(
    hpo: Hpo, snakemake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    squeue = snakemake / "bin" / "squeue"
    squeue.parent.mkdir()
    squeue.write_text("#!/bin/sh\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{squeue.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(run_module, "FORGOTTEN_S", 0.3)
    emit(write_study())
    play = "if os.path.exists('once'): print('WorkflowError: second'); sys.exit(3)\n"
    play += "open('once', 'w').close()\ntime.sleep(60)\n"
    (snakemake / "play.py").write_text(play)
    answer = hpo("run", "study.yaml", "--profile", "slurm")
    assert len(calls(snakemake)) == 2, answer.err
    assert (snakemake / "signals").read_text() == "SIGINT\n"
    assert "2 trials were waited for by Snakemake and unknown to Slurm; starting again (1 of at most 5)" in answer.err


def test_a_failed_job_is_told_with_what_slurm_wrote_into_its_log(tmp_path: Path) -> None:
    log = tmp_path / "12.log"
    log.write_text("rule trial:\nsrun: error: Unable to create step for job 12: Invalid gres\nslurm ends\n")
    block = (
        "rule trial:\nError in rule trial:\n    message: SLURM-job '12' failed, SLURM status is: 'FAILED'. Detailed"
        " failure reason unavailable (status command is not 'sacct').For further error details see the log.\n"
        f"    jobid: 4\n    output: r/state/done/000/7-0.json\n    log: {log} (check log file(s) for error details)\n"
        "    shell:\n        runner\n"
    )
    failures, taken = job_failures(block)
    assert taken == block
    assert [(one.trial, one.refused, one.message) for one in failures] == [
        (7, False, "SLURM-job '12' failed, SLURM status is: 'FAILED'")
    ]
    assert job_words(failures[0].log) == " (Unable to create step for job 12: Invalid gres)"
    assert job_words("") == "" and job_words(str(tmp_path)) == ""
    unfinished = block[: block.index("    shell:")]
    assert job_failures(unfinished) == ([], "rule trial:\n")


def test_another_failure_of_snakemake_is_shown_and_not_repeated(hpo: Hpo, snakemake: Path) -> None:
    emit(write_study())
    (snakemake / "play.py").write_text(
        "print('Building DAG'); print('WorkflowError:\\n  \\x1b[31mno disk'); sys.exit(1)\n"
    )
    answer = hpo("run", "study.yaml")
    assert answer.code == 1 and len(calls(snakemake)) == 1
    assert answer.err.splitlines()[-2:] == ["  | WorkflowError:", "  |   \\x1b[31mno disk"]


def test_a_failed_study_shows_the_end_of_a_log_and_the_cure(hpo: Hpo, snakemake: Path) -> None:
    folder, plan = emit(write_study(budget={"trials": 8, "parallel": 5}))
    end(folder, plan, dict.fromkeys(range(5), "exit_code"), log=("boom",))
    (snakemake / "play.py").write_text("print('Error in rule study:'); sys.exit(1)\n")
    answer = hpo("run", "study.yaml")
    assert answer.code == 1
    assert "study s failed: the first 5 trials all failed; the commonest reason is exit_code (5)." in answer.err
    assert "  | boom" in answer.err
    assert answer.err.splitlines()[-1].startswith("When the cause is mended, `hpo run study.yaml --retry-failed`")


def test_a_failed_study_has_a_report_also_where_nothing_else_could_be_written(
    hpo: Hpo, snakemake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, plan = emit(write_study(budget={"trials": 8, "parallel": 5}))
    end(folder, plan, dict.fromkeys(range(5), "exit_code"), log=("boom",))
    (snakemake / "play.py").write_text("print('Error in rule study:'); sys.exit(1)\n")
    answer = hpo("run", "study.yaml")
    page = Path("results/s/report.html")
    assert f"all failures, with the ends of their logs: {page}\n" in answer.err
    assert "the first 5 trials all failed" in page.read_text() and "boom" in page.read_text()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(study_report, "write_report", full)
    answer = hpo("run", "study.yaml")
    assert answer.code == 1
    assert "all failures, with the ends of their logs: hpo report results/s\n" in answer.err
    assert answer.err.splitlines()[-1].startswith("When the cause is mended")


def test_trials_that_end_meanwhile_are_told_line_by_line(hpo: Hpo, snakemake: Path) -> None:
    write_study()
    (snakemake / "play.py").write_text(
        "from tests.cli.studies import emit, end\n"
        "folder, plan = emit('study.yaml'); time.sleep(0.3); end(folder, plan, {0: 0.5, 1: 'timeout'})\n"
        "emit('study.yaml'); time.sleep(0.3); end(folder, plan, {2: 0.75, 3: 0.25}); sys.exit(0)\n"
    )
    answer = hpo("run", "study.yaml")
    assert answer.code == 0, answer.err
    told = [line for line in answer.err.splitlines() if line.startswith("[")]
    assert told == [
        "[1/4] trial 0 in 1 min 30 s: loss 0.5, the best so far",
        "[2/4] trial 1 in 1 min 30 s: failed (timeout): it ended with timeout",
        "[3/4] trial 2 in 1 min 30 s: loss 0.75",
        "[4/4] trial 3 in 1 min 30 s: loss 0.25, the best so far",
    ]


def start(folder: Path) -> subprocess.Popen[str]:
    """`hpo run` as a process, once its Snakemake has started."""
    process = subprocess.Popen(
        [sys.executable, "-P", str(ROOT / "hpo_workflow" / "__main__.py"), "run", "study.yaml"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 30
    while not (folder / "started").exists() and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.2)
    return process


@pytest.mark.parametrize(
    ("sent", "arrived"),
    [([signal.SIGINT], ["SIGTERM"]), ([signal.SIGINT] * 2, ["SIGTERM", "SIGINT"]), ([signal.SIGTERM], ["SIGINT"])],
)
def test_ctrl_c_first_starts_nothing_more_and_then_stops(
    snakemake: Path, sent: list[signal.Signals], arrived: list[str]
) -> None:
    finished_study(budget={"trials": 9, "parallel": 2})
    (snakemake / "play.py").write_text(
        "for _ in range(100):\n    time.sleep(0.05)\n"
        + ("    if os.path.exists('signals'): time.sleep(0.5); sys.exit(1)\n" if len(sent) == 1 else "")
    )
    process = start(snakemake)
    for number in sent:
        process.send_signal(number)
        time.sleep(0.3)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert (snakemake / "signals").read_text().split() == arrived
    assert "study s: stopped; 4 of 9 trials done. `hpo run study.yaml` goes on." in err
    assert out.startswith("best loss 0.125 (trial 2)")
    assert not os.path.exists("results/s/state/session.json")


def test_when_hpo_is_killed_its_snakemake_still_holds_the_study(hpo: Hpo, snakemake: Path) -> None:
    _, folder, _ = finished_study()
    (snakemake / "play.py").write_text("while not os.path.exists('end'): time.sleep(0.05)\n")
    process = start(snakemake)
    process.kill()
    process.communicate(timeout=10)
    session = read(folder.paths.session)
    assert is_alive(session) and session["pid"] != process.pid
    answer = hpo("run", "study.yaml")
    assert answer.code == 2 and f"this study is being run already (process {session['pid']}" in answer.err
    (snakemake / "end").touch()
    until = time.monotonic() + 10
    while is_alive(session) and time.monotonic() < until:
        time.sleep(0.02)
    (snakemake / "play.py").write_text("sys.exit(0)\n")
    answer = hpo("run", "study.yaml")
    assert answer.code == 0 and "was cut off; going on from there" in answer.err


def test_locks_of_a_dead_run_are_removed_and_those_of_a_live_one_left(hpo: Hpo, snakemake: Path) -> None:
    _, folder, _ = finished_study()
    locks = snakemake / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    (locks / "0.output.lock").write_text("results/s/best.json\n")
    publish(folder.paths.session, {**live_session(), "pid": os.getpid()})
    assert hpo("run", "study.yaml").code == 2
    assert (locks / "0.output.lock").exists()
    os.unlink(folder.paths.session)
    publish(folder.paths.session, {**live_session(), "pid_start": "1"})
    answer = hpo("run", "study.yaml")
    assert answer.code == 0 and "removed 1 lock that a dead Snakemake has left" in answer.err
    assert not (locks / "0.output.lock").exists()


def live_session() -> dict[str, object]:
    """A session record of this process."""
    from hpo_workflow.store.processes import this_process

    return {**this_process(), "since": "2026-01-01T00:00:00+00:00", "since_unix": 0.0, "token": "other"}


# ---- what its log says -------------------------------------------------------------------------------------
def test_failed_rules_are_found_in_the_log() -> None:
    assert failed_rules("Error in rule trial:\n    jobid: 3\nError in checkpoint parse:\n  Error in rule x\n") == {
        "trial",
        "parse",
    }


def test_an_excerpt_starts_at_the_first_error_and_is_bounded() -> None:
    text = "Building DAG\nusage: snakemake [-h]\nMissingInputException in rule trial\n" + "more\n" * 50
    lines = excerpt(text)
    assert lines[0] == "MissingInputException in rule trial" and len(lines) == 25
    assert excerpt("a\nb\n") == ["a", "b"] and excerpt("") == []


def test_a_study_folder_stays_as_it_was_when_the_call_is_wrong(hpo: Hpo, here: Path) -> None:
    study = write_study()
    assert hpo("run", study, "--profile", "nope").code == 2
    assert StudyFolder("results/s").current_plan() is None and not (here / "results").exists()
