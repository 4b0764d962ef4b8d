"""The runner as the trial rule calls it, with real programs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.parse import read_output
from hpo_workflow.runner.command import resume_from, resumed_from
from hpo_workflow.store.atomic import unseal
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.trial_files import are_deleted, delete_files
from tests.machine import need

from .conftest import IMPATIENT, MAIN, Study, is_running, wait_for


def fact(name: str, quote: bool = True) -> dict[str, Any]:
    return {"trial": name, "quote": quote}


# ---- a program that ends by itself -------------------------------------------------------------------------


def test_a_trial_that_ends_well_leaves_one_record_and_no_claim(study: Study) -> None:
    study.use("echo epoch=1 loss=0.5; echo oops >&2; echo epoch=2 loss=0.25")
    study.spec["metrics"]["step"] = "epoch"
    code, said = study.run("--runtime-s", "600", impatient=False)
    assert (code, said) == (0, "")
    result = study.result
    assert result["end"] == {"kind": "done", "reason": None, "detail": ""}
    assert result["metrics"]["points"] == {"loss": [[1, 0.5], [2, 0.25]]}
    assert result["metrics"]["digest"] == "m1"
    assert (result["number"], result["config"], result["batch"]) == (12, 11, 3)
    assert (result["digest"], result["identity"], result["params"]) == ("d12", "abc", {"lr": 0.1, "units": 128})
    assert (result["exit_code"], result["gpus"], result["log"]) == (0, 0, "trials/000/12/log")
    assert result["max_rss_mb"] > 1
    [attempt] = result["attempts"]
    assert (attempt["attempt"], attempt["end"], attempt["exit_code"]) == (1, "done", 0)
    assert study.log() == "epoch=1 loss=0.5\noops\nepoch=2 loss=0.25\n"
    assert result["log_bytes"] == len(study.log())
    assert study.done["end"] == result["end"]
    assert (study.done["number"], study.done["batch"]) == (12, 3)
    assert study.claim() is None


def test_a_second_call_runs_nothing_and_writes_the_output_again(study: Study) -> None:
    study.use("echo x >> ran; echo loss=1")
    study.run()
    first = Path(study.paths.result_record(12)).read_bytes()
    study.out.unlink()
    code, said = study.run()
    assert code == 0
    assert "had its result already" in said
    assert (study.launch / "ran").read_text() == "x\n"
    assert Path(study.paths.result_record(12)).read_bytes() == first
    assert study.done["end"]["kind"] == "done"


def test_a_program_that_fails_is_data_with_its_last_words(study: Study) -> None:
    study.use("echo loss=1; echo 'ImportError: no torch' >&2; exit 3")
    code, _ = study.run()
    assert code == 0
    end = study.result["end"]
    assert (end["kind"], end["reason"]) == ("failed", "exit_code")
    assert end["detail"] == "exit code 3; its last words: ImportError: no torch"
    assert study.result["exit_code"] == 3
    assert study.result["metrics"]["points"]["loss"] == [[1, 1.0]]


@pytest.mark.parametrize("command", ["false; echo loss=1", "false | cat; echo loss=1", "echo $UNSET_NAME loss=1"])
def test_the_shell_stops_at_the_first_thing_that_fails(study: Study, command: str) -> None:
    study.use(command)
    study.run()
    assert study.result["end"]["reason"] == "exit_code"
    assert "loss" not in study.result["metrics"]["points"]


def test_a_program_that_cannot_be_found_fails_with_its_name(study: Study) -> None:
    study.use([["no-such-program"], ["--x"]])
    assert study.run()[0] == 0
    assert study.result["exit_code"] == 127
    assert "no-such-program: No such file or directory" in study.result["end"]["detail"]
    assert "no-such-program" in study.log()


def test_a_segmentation_fault_is_the_programs_own(study: Study) -> None:
    study.use([["bash"], ["-c"], ["kill -SEGV $$"]])
    assert study.run()[0] == 0
    assert "killed by signal 11 (SIGSEGV)" in study.result["end"]["detail"]


def test_a_trial_sees_its_facts_its_files_and_its_environment(study: Study) -> None:
    program = (
        "import json, os, sys\n"
        "print(json.dumps({'argv': sys.argv[1:], 'cwd': os.getcwd(), 'stdin': sys.stdin.read(),\n"
        "    'env': {k: v for k, v in os.environ.items() if k.startswith(('HPO_', 'OMP', 'PYTHONUNB', 'WANDB'))}}))\n"
    )
    (study.launch / "show.py").write_text(program)
    study.use(
        [
            f"{sys.executable} show.py ",
            fact("number"),
            " --dir=",
            fact("dir"),
            " ",
            fact("file.cfg"),
            " ",
            fact("seed"),
        ],
        env={"WANDB_RUN": ["r ", fact("number", quote=False), " $HOME"], "WANDB_DIR": [fact("dir", quote=False)]},
        files={"cfg": {"to": "conf/run.ini", "text": ["[run]\ndir = ", fact("dir", quote=False), "\n"]}},
        hpo_env={"HPO_PARAM_LR": "0.1"},
        params_text='{"lr": 0.1}\n',
    )
    study.spec["resources"] = {"threads": 4}
    study.run(env={"HPO_PARAM_STALE": "1", "OMP_NUM_THREADS": ""})
    seen = json.loads(study.log())
    directory = str(study.root / "trials/000/12")
    assert seen["argv"] == ["12", f"--dir={directory}", f"{directory}/conf/run.ini", "77"]
    assert (seen["cwd"], seen["stdin"]) == (str(study.launch), "")
    assert seen["env"] == {
        "HPO_STUDY": "demo",
        "HPO_TRIAL": "12",
        "HPO_TRIAL_DIR": directory,
        "HPO_SEED": "77",
        "HPO_ATTEMPT": "1",
        "HPO_PARAMS_FILE": f"{directory}/params.json",
        "HPO_METRICS_FILE": f"{directory}/metrics.jsonl",
        "HPO_PARAM_LR": "0.1",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "",
        "WANDB_RUN": "r 12 $HOME",
        "WANDB_DIR": directory,
    }
    assert Path(directory, "conf/run.ini").read_text() == f"[run]\ndir = {directory}\n"
    assert Path(directory, "params.json").read_text() == '{"lr": 0.1}\n'


RESUMES = ["echo fidelity=", fact("fidelity"), " from=", fact("resume_from"), '; env | grep -E "HPO_(FID|RES)" | sort']


def test_the_first_trial_of_a_configuration_goes_on_from_nothing(study: Study) -> None:
    study.fidelity = 3
    study.use(RESUMES)
    study.run()
    assert study.log() == "fidelity=3 from=\nHPO_FIDELITY=3\nHPO_RESUME_FROM=\n"


def test_a_trial_with_a_parent_gets_its_directory(study: Study) -> None:
    study.fidelity, study.parent = 0.25, 4
    parent = study.root / "trials/000/4"
    parent.mkdir(parents=True)
    study.use(RESUMES)
    study.run()
    assert study.log() == f"fidelity=0.25 from={parent}\nHPO_FIDELITY=0.25\nHPO_RESUME_FROM={parent}\n"


def test_who_goes_on_from_a_cached_result_begins_at_nothing(study: Study) -> None:
    study.fidelity, study.parent = 9, 4
    record = Path(study.paths.result_record(4))
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"cached": {"study": "other"}}))
    study.use(RESUMES)
    study.run()
    assert study.log().splitlines()[0] == "fidelity=9 from="


def test_who_goes_on_from_files_that_were_deleted_begins_at_nothing(study: Study) -> None:
    study.fidelity, study.parent = 9, 4
    place = Path(study.paths.trial_dir(4))
    place.mkdir(parents=True)
    (place / "model").write_text("x")
    delete_files(study.paths, 4)
    study.use(RESUMES)
    study.run()
    assert study.log().splitlines()[0] == "fidelity=9 from="
    assert study.result["resumed"] is None
    assert resumed_from(study.paths, study.number, 4) == ""


def test_what_a_trial_went_on_from_is_on_record_when_the_files_there_have_gone(study: Study) -> None:
    study.fidelity, study.parent = 9, 4
    place = Path(study.paths.trial_dir(4))
    place.mkdir(parents=True)
    (place / "model").write_text("x")
    study.use(RESUMES)
    study.run()
    delete_files(study.paths, 4)
    assert study.result["resumed"] == 4
    assert (resume_from(study.paths, 4), resumed_from(study.paths, study.number, 4)) == ("", str(place))


def test_a_trial_that_runs_again_is_not_one_whose_files_were_deleted(study: Study) -> None:
    place = Path(study.paths.trial_dir(study.number))
    place.mkdir(parents=True)
    (place / "model").write_text("x")
    delete_files(study.paths, study.number)
    study.use("echo again")
    study.run()
    assert not are_deleted(study.paths, study.number)


def test_a_directory_that_appears_late_is_waited_for(study: Study) -> None:
    study.fidelity, study.parent = 9, 4
    study.use(RESUMES)
    process = study.start()
    wait_for(lambda: study.claim())
    Path(study.paths.trial_dir(4)).mkdir(parents=True)
    process.communicate(timeout=20)
    assert study.result["end"]["kind"] == "done"


def test_a_directory_that_never_appears_costs_an_attempt_and_no_result(study: Study) -> None:
    study.fidelity, study.parent = 9, 4
    study.use(RESUMES)
    code, said = study.run()
    assert code == 75 and "trials/000/4, which it goes on from, is not to be seen here" in said


def test_what_an_outer_trial_has_is_absent(study: Study) -> None:
    study.use("env | grep -E 'HPO_(FID|RES)' || echo none")
    study.run(env={"HPO_FIDELITY": "5", "HPO_RESUME_FROM": "/x"})
    assert study.log() == "none\n"


def test_a_hostile_path_reaches_the_program_as_one_word(tmp_path: Path) -> None:
    study = Study(tmp_path / 'it\'s $(touch bad); a `b` "c"')
    study.use(["printf '%s\\n' ", fact("dir"), " x", fact("dir")])
    study.run()
    directory = str(study.root / "trials/000/12")
    assert study.log() == f"{directory}\nx{directory}\n"
    assert not (study.launch / "bad").exists()


def test_setup_runs_first_in_the_same_shell_and_may_use_unset_names(study: Study) -> None:
    study.spec["setup"] = "x=$NEVER_SET\nmode=fast\nexport mode\n"
    study.use("echo $mode loss=1; set -o | grep nounset")
    study.run()
    assert study.log().split() == ["fast", "loss=1", "nounset", "on"]


def test_setup_and_a_list_of_arguments_need_no_quoting(study: Study) -> None:
    study.spec["setup"] = "export MODE=fast"
    study.use([["sh"], ["-c"], ['echo "$MODE $1"'], ["x"], ["a  b'\"$HOME"]])
    study.run()
    assert study.log() == "fast a  b'\"$HOME\n"


def test_the_working_directory_can_be_the_trials_own(study: Study) -> None:
    study.spec["workdir"] = "trial"
    study.use("pwd; echo loss=1")
    study.run()
    assert study.log().splitlines()[0] == str(study.root / "trials/000/12")


def test_the_metrics_file_counts(study: Study) -> None:
    study.use("""echo '{"loss": 0.125, "step": 9}' >> $HPO_METRICS_FILE; echo loss=7""")
    study.run()
    assert study.result["metrics"]["points"] == {"loss": [[9, 0.125]]}


def test_the_log_can_be_read_while_the_program_runs(study: Study) -> None:
    study.use("echo loss=1; while [ ! -e go ]; do sleep 0.05; done; echo loss=2")
    process = study.start()
    wait_for(lambda: study.log() == "loss=1\n")
    (study.launch / "go").touch()
    assert process.wait(20) == 0


def test_a_log_that_grows_too_long_loses_its_middle_and_the_record_says_so(study: Study) -> None:
    study.spec["limits"]["log_bytes"] = 20_000
    study.use("seq -f 'line %06.0f' 1 20000; echo loss=3")
    study.run()
    result, log = study.result, study.log()
    assert result["log_bytes"] == 20000 * 12 + 7
    assert result["log_dropped"] == result["log_bytes"] - 20_000
    assert log.startswith("line 000001\n")
    assert log.endswith("line 020000\nloss=3\n")
    assert f"[... {result['log_dropped']} bytes left out here: limits.log ...]" in log
    assert len(log) < 20_100
    assert [path.name for path in (study.root / "trials/000/12").iterdir() if "tail" in path.name] == []
    assert result["metrics"]["points"]["loss"] == [[1, 3.0]]


def test_a_hundred_megabytes_pass_in_little_memory(study: Study) -> None:
    study.spec["limits"]["log_bytes"] = 10**6
    study.use(
        "head -c 90000000 /dev/zero | tr '\\0' 'x'; echo; (yes $(seq 30) || true) | head -c 15000000; echo; echo loss=5"
    )
    process = study.start(impatient=False)
    peak = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        peak = max([peak, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))])
        time.sleep(0.02)
    assert process.wait(30) == 0
    assert 5_000 < peak < 64_000  # kB
    assert study.result["metrics"]["points"]["loss"] == [[1, 5.0]]
    assert study.result["metrics"]["cut_lines"] == 1


# ---- limits ------------------------------------------------------------------------------------------------


def test_the_deadline_comes_a_quarter_before_a_short_runtime(study: Study) -> None:
    study.use("echo loss=1; sleep 60")
    started = time.monotonic()
    code, said = study.run("--runtime-s", "1.2")
    assert 0.8 < time.monotonic() - started < 10
    assert code == 0
    assert study.result["end"]["reason"] == "timeout"
    assert "ended before its runtime of 1.2 s was over" in said
    assert study.result["metrics"]["points"]["loss"] == [[1, 1.0]]


def test_a_program_that_says_nothing_for_too_long_is_ended(study: Study) -> None:
    study.spec["limits"]["silence_s"] = 0.5
    study.use("for i in 1 2 3 4; do echo loss=$i; sleep 0.2; done; sleep 60")
    study.run()
    assert study.result["end"]["reason"] == "silence"
    assert study.result["end"]["detail"] == "printed nothing for 0.5 s (limits.silence)"
    assert len(study.result["metrics"]["points"]["loss"]) == 4


def test_who_ignores_sigterm_is_killed_after_the_grace_with_all_children(study: Study) -> None:
    study.spec["limits"]["grace_s"] = 0.5
    study.use(
        "trap '' TERM; (trap '' TERM; echo $BASHPID >> pids; exec sleep 100) & "
        "setsid bash -c 'trap \"\" TERM; echo $$ >> pids; exec sleep 100' & echo $$ >> pids; wait; sleep 100"
    )
    study.run("--runtime-s", "2")
    pids = [int(pid) for pid in (study.launch / "pids").read_text().split()]
    assert len(pids) == 3
    wait_for(lambda: not any(is_running(pid) for pid in pids))
    assert study.result["end"]["reason"] == "timeout"


def test_the_program_has_its_grace_to_save_its_state(study: Study) -> None:
    study.spec["limits"]["grace_s"] = 10
    study.use("trap 'sleep 0.3; echo saved; exit 0' TERM; sleep 60 & wait")
    study.run("--runtime-s", "1")
    assert study.log() == "saved\n"
    assert study.result["end"]["reason"] == "timeout"


def test_what_a_program_leaves_in_the_background_does_not_hold_the_trial(study: Study) -> None:
    study.use("sleep 100 & echo $! > pid; echo loss=1")
    started = time.monotonic()
    assert study.run()[0] == 0
    assert time.monotonic() - started < 8
    assert study.result["end"]["kind"] == "done"
    assert not is_running(int((study.launch / "pid").read_text()))


def test_reduce_best_ends_a_trial_that_has_reached_the_target(study: Study) -> None:
    study.spec["objective"].update(reduce="best", target=0.3)
    study.use("echo loss=0.5; echo loss=0.2; sleep 60")
    assert study.run()[0] == 0
    assert study.result["end"]["kind"] == "done"
    assert study.result["end"]["reason"] == "target"
    assert study.result["metrics"]["points"]["loss"][-1] == [2, 0.2]


# ---- stopped from outside ----------------------------------------------------------------------------------


def test_the_stop_file_cancels_a_running_trial(study: Study) -> None:
    study.use("echo loss=1; sleep 60")
    process = study.start()
    wait_for(study.log)
    study.stop()
    assert process.wait(20) == 0
    assert study.result["end"] == {
        "kind": "cancelled",
        "reason": "target",
        "detail": "the study was stopped (target)",
    }


def test_hpo_stop_ends_a_running_trial_as_a_lost_attempt_that_can_go_on(study: Study) -> None:
    study.use("trap 'touch $HPO_TRIAL_DIR/saved; exit 0' TERM; echo loss=1; while :; do sleep 0.1; done")
    process = study.start()
    wait_for(study.log)
    study.stop("stop_request")
    assert process.wait(20) == 75  # no output, no result: the next run starts the second attempt
    assert not study.out.exists() and not Path(study.paths.result_record(study.number)).exists()
    assert (Path(study.paths.trial_dir(study.number)) / "saved").exists()
    claim = study.claim()
    assert claim is not None and (claim["ended"]["end"], claim["ended"]["reason"]) == ("lost", "stopped")
    code, said = study.run(attempt=2)  # Snakemake tries again in the same job, for the last time
    assert code == 75 and "attempt lost (stopped)" in said
    assert study.claim(2) is None and not study.out.exists()


def test_the_stop_file_keeps_a_trial_from_starting(study: Study) -> None:
    study.use("touch ran")
    study.stop("user")
    assert study.run()[0] == 0
    assert study.result["end"]["reason"] == "user"
    assert not (study.launch / "ran").exists()


@pytest.mark.parametrize(("slurm", "reason"), [({}, "killed"), ({"SLURM_JOB_ID": "99999999"}, "preempted")])
def test_a_runner_that_is_told_to_end_records_a_lost_attempt_at_once(
    study: Study, slurm: dict[str, str], reason: str
) -> None:
    study.spec["limits"]["grace_s"] = 20
    study.use("trap 'echo got it; touch termed; sleep 1; exit 0' TERM; echo on; sleep 60 & wait")
    process = study.start(env=slurm)
    wait_for(study.log)
    process.send_signal(signal.SIGTERM)
    wait_for(lambda: (study.launch / "termed").exists())
    claim = wait_for(lambda: (study.claim() or {}).get("ended"))
    assert (claim["end"], claim["reason"]) == ("lost", reason)
    assert process.wait(20) == 75
    assert not Path(study.paths.result_record(12)).exists()
    assert not study.out.exists()


def test_a_signal_that_reaches_runner_and_program_at_once_is_no_failure_of_the_program(study: Study) -> None:
    study.use("echo loss=1; sleep 60")
    process = study.start(attempt=2)
    group = study.group()
    wait_for(study.log)
    os.kill(process.pid, signal.SIGSTOP)  # so that the program is the first to go
    os.killpg(group, signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    os.kill(process.pid, signal.SIGCONT)
    assert process.wait(20) == 0
    assert study.done["lost"] is True
    assert not Path(study.paths.result_record(12)).exists()


def test_a_runner_under_nohup_stays_when_the_terminal_goes(study: Study) -> None:
    study.use("echo loss=1; while [ ! -e go ]; do sleep 0.05; done; echo loss=2")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = study.start()
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_for(study.log)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    (study.launch / "go").touch()
    assert process.wait(20) == 0
    assert len(study.result["metrics"]["points"]["loss"]) == 2


def test_the_claim_is_touched_while_the_program_runs_and_while_it_ends(study: Study) -> None:
    study.spec["limits"]["grace_s"] = 20
    study.use("trap 'echo ending; sleep 1; exit 0' TERM; echo loss=1; while :; do sleep 0.1; done")
    process = study.start()
    study.group()
    path = study.paths.claim(12, 1)
    for words in ("loss", "ending"):
        wait_for(lambda words=words: words in study.log())
        os.utime(path, (1, 1))
        wait_for(lambda: os.stat(path).st_mtime > 1)
        study.stop()
    assert process.wait(20) == 0
    assert study.result["end"]["kind"] == "cancelled"


def test_the_last_lost_attempt_is_written_for_the_workflow_and_is_no_result(study: Study) -> None:
    study.use("echo loss=1; sleep 60")
    for attempt in (1, 2):
        process = study.start(attempt=attempt)
        wait_for(lambda attempt=attempt: study.log(attempt))
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == (75 if attempt == 1 else 0)
    done = study.done
    assert done["lost"] is True
    assert [(each["attempt"], each["reason"]) for each in done["attempts"]] == [(1, "killed"), (2, "killed")]
    assert not Path(study.paths.result_record(12)).exists()
    study.use("echo attempt=$HPO_ATTEMPT loss=1")
    study.run()  # emitted again: attempts go on counting
    assert study.result["metrics"]["points"]["attempt"] == [[1, 3.0]]
    assert [each["end"] for each in study.result["attempts"]] == ["lost", "lost", "done"]
    assert study.result["log"] == "trials/000/12/log.3"
    assert [study.claim(attempt) for attempt in (1, 2, 3)] == [None, None, None]


def test_a_program_killed_from_outside_is_lost_and_in_the_last_attempt_failed(study: Study) -> None:
    study.use("kill -9 $$")
    code, said = study.run()
    assert code == 75
    assert "attempt lost (killed): killed by signal 9 from outside" in said
    code, _ = study.run(attempt=2)
    assert code == 0
    end = study.result["end"]
    assert (end["kind"], end["reason"]) == ("failed", "exit_code")
    assert end["detail"].startswith("killed by signal 9 from outside in each attempt")


def test_a_program_that_is_killed_after_its_runners_were_is_lost_and_costs_nothing(study: Study) -> None:
    study.use("echo loss=1; sleep 60")
    runner = study.start(attempt=1)
    wait_for(lambda: study.log(1))
    runner.kill()
    runner.wait(20)
    study.use("kill -9 $$")
    code, said = study.run(attempt=2)
    assert code == 0 and "attempt lost (killed): killed by signal 9 from outside" in said
    assert [each["exit_code"] for each in study.done["attempts"]] == [None, -9]
    assert not Path(study.paths.result_record(12)).exists()
    assert study.run()[0] == 75  # emitted again, and now it is the program each time
    assert study.run(attempt=2)[0] == 0
    assert study.result["end"]["detail"].startswith("killed by signal 9 from outside in each attempt")


def test_a_child_that_was_killed_is_seen_through_the_shell(study: Study) -> None:
    study.use("bash -c 'kill -9 $$'; echo never")
    assert study.run()[0] == 75


def test_killed_near_its_memory_limit_is_out_of_memory(study: Study) -> None:
    study.use([[sys.executable], ["-c"], ["import os, time; x = bytearray(80_000_000); os.kill(os.getpid(), 9)"]])
    assert study.run("--mem-mb", "80")[0] == 0
    end = study.result["end"]
    assert (end["kind"], end["reason"]) == ("failed", "oom")
    assert study.result["max_rss_mb"] > 80


# ---- tried again -------------------------------------------------------------------------------------------

TRAINING = """
trap 'echo "$n" > "$HPO_TRIAL_DIR/state"; echo epoch=$n loss=$((10 - n)); exit 0' TERM
n=$(cat "$HPO_TRIAL_DIR/state" 2> /dev/null || echo 0)
while [ "$n" -lt 3 ]; do
    n=$((n + 1)); echo epoch=$n loss=$n; sleep 60 & wait
done
echo "epoch=4 loss=9"
"""
"""Each attempt trains one epoch, which is worse than the one before, and is told to end."""


def test_a_trial_whose_time_is_over_goes_on_from_what_it_has_saved_so_many_times(study: Study) -> None:
    study.spec["retry"] = {"timeouts": 2, "ooms": 0, "mem": 2.0}
    study.spec["metrics"]["step"] = "epoch"
    study.spec["objective"]["reduce"] = "best"
    study.use(TRAINING)
    for attempt in (1, 2):
        code, said = study.run("--runtime-s", "1.5")  # it is Snakemake's first try of a job each time
        assert code == 0
        assert f"attempt {attempt} failed (timeout), and another one follows: ended before its runtime" in said
        assert study.done["lost"] is True and study.done["again"] == "timeout"
        assert not Path(study.paths.result_record(12)).exists()
        study.out.unlink()
    study.run("--runtime-s", "1.5")
    result = study.result
    assert (result["end"]["kind"], result["end"]["reason"]) == ("failed", "timeout")
    assert [(each["end"], each["reason"]) for each in result["attempts"]] == [("failed", "timeout")] * 3
    assert all(each["seconds"] > 0.5 for each in result["attempts"]), "each has cost time"
    assert result["joined"] == 3
    steps = [step for step, _ in result["metrics"]["points"]["loss"]]
    assert steps == [1, 1, 2, 2, 3, 3], "one output, in the order of the attempts"
    assert [study.claim(attempt) for attempt in (1, 2, 3)] == [None] * 3


def test_what_attempts_print_that_go_on_from_each_other_is_one_output(study: Study) -> None:
    study.spec["retry"] = {"timeouts": 5, "ooms": 0, "mem": 2.0}
    study.use(
        'if [ "$HPO_ATTEMPT" = 1 ]; then printf "loss=3\\nloss=1"; echo \'{"acc": 0.5}\' > "$HPO_METRICS_FILE"; '
        "sleep 60; else echo loss=2; fi"
    )
    study.run("--runtime-s", "1.5")
    study.run("--runtime-s", "60")
    result = study.result
    assert result["end"]["kind"] == "done"
    assert [value for _, value in result["metrics"]["points"]["loss"]] == [3.0, 1.0, 2.0]
    assert [value for _, value in result["metrics"]["points"]["acc"]] == [0.5]
    again = read_output(study.paths, result, study.spec["metrics"], study.spec["objective"])
    assert again.to_json()["points"] == result["metrics"]["points"], "parse reads the same"


@pytest.mark.parametrize(("timeouts", "read"), [(5, [3.0, 1.0, 2.0]), (0, [2.0])])
def test_what_a_lost_attempt_printed_counts_where_the_study_says_that_attempts_go_on(
    study: Study, timeouts: int, read: list[float]
) -> None:
    study.spec["retry"] = {"timeouts": timeouts, "ooms": 0, "mem": 2.0}
    study.use('if [ "$HPO_ATTEMPT" = 1 ]; then printf "loss=3\\nloss=1"; sleep 60; else echo loss=2; fi')
    runner = study.start()
    wait_for(lambda: "loss=1" in study.log())
    runner.kill()
    runner.wait()
    study.run()
    result = study.result
    assert [(each["end"], each["reason"]) for each in result["attempts"]] == [("lost", "killed"), ("done", None)]
    assert [value for _, value in result["metrics"]["points"]["loss"]] == read
    again = read_output(study.paths, result, study.spec["metrics"], study.spec["objective"])
    assert again.to_json()["points"] == result["metrics"]["points"], "parse reads the same"


def test_a_runner_that_is_killed_while_its_program_saves_has_recorded_the_timeout(study: Study) -> None:
    study.spec["retry"] = {"timeouts": 1, "ooms": 0, "mem": 2.0}
    study.spec["limits"]["grace_s"] = 30
    study.use("trap 'sleep 60' TERM; echo loss=1; sleep 60 & wait")
    runner = study.start("--runtime-s", "2")
    wait_for(lambda: (study.claim() or {}).get("ended"))
    runner.kill()
    runner.wait()
    study.spec["limits"]["grace_s"] = 0.2
    study.run("--runtime-s", "1")
    assert [each["reason"] for each in study.result["attempts"]] == ["timeout", "timeout"]
    assert study.result["end"]["reason"] == "timeout", "it had one attempt more, and no other one"
    assert study.result["attempts"][0]["seconds"] is not None, "its time counts"


def test_out_of_memory_the_next_attempt_waits_for_a_job_with_more(study: Study) -> None:
    study.spec["retry"] = {"timeouts": 0, "ooms": 1, "mem": 2.0}
    program = "import os; print('ran'); x = bytearray(80_000_000); os.kill(os.getpid(), 9)"
    study.use([[sys.executable], ["-c"], [program]])
    code, said = study.run("--mem-mb", "80")
    assert code == 0 and "attempt 1 failed (oom), and another one follows" in said
    attempts = study.done["attempts"]
    assert [(each["attempt"], each["end"], each["reason"]) for each in attempts] == [(1, "failed", "oom")]
    study.out.unlink()
    assert study.run("--mem-mb", "80")[0] == 0  # the same job again, as after a crash of Snakemake: nothing is run
    assert study.done["attempts"] == [{key: attempts[0].get(key) for key in study.done["attempts"][0]}]
    assert study.log(2) == "" and study.claim(2) is None
    study.retried = {"timeout": 0, "oom": 1, "mem_mb": 85.0}
    study.run("--mem-mb", "10")  # a limit of 85 MB is that of this emission
    assert study.log(2) == "ran\n"
    assert (study.result["end"]["kind"], study.result["end"]["reason"]) == ("failed", "oom")
    assert "of 85 MB" in study.result["end"]["detail"]


def test_who_is_not_retried_fails_at_once_and_is_read_alone(study: Study) -> None:
    study.spec["retry"] = {"timeouts": 0, "ooms": 2, "mem": 2.0}
    study.use("echo loss=1; sleep 60")
    study.run("--runtime-s", "1")
    assert study.result["end"]["reason"] == "timeout"
    assert "joined" not in study.result


# ---- twins and dead runners --------------------------------------------------------------------------------


def test_a_killed_runner_leaves_nothing_behind_that_the_next_does_not_end(study: Study) -> None:
    study.use(
        "echo $$ >> pids; trap '' PIPE; [ $HPO_ATTEMPT = 1 ] || { echo loss=1; exit 0; }; sleep 100 & wait; sleep 100"
    )
    process = study.start()
    group = study.group()
    wait_for(lambda: (study.launch / "pids").exists())
    process.kill()
    process.wait()
    assert is_running(group)
    code, said = study.run()
    assert code == 0
    assert "attempt 1 was left running without its runner; 2 processes ended" in said
    assert not is_running(group)
    assert [(a["end"], a["reason"]) for a in study.result["attempts"]] == [("lost", "killed"), ("done", None)]


def test_a_living_twin_is_waited_for_and_not_doubled(study: Study) -> None:
    study.use("echo x >> ran; while [ ! -e go ]; do sleep 0.05; done; echo loss=1")
    first = study.start()
    study.group()
    second = study.start()
    time.sleep(0.7)
    assert second.poll() is None
    (study.launch / "go").touch()
    assert first.wait(20) == 0
    _, said = second.communicate(timeout=20)
    assert second.returncode == 0
    assert "attempt 1 is claimed by" in said
    assert "superseded" in said
    assert (study.launch / "ran").read_text() == "x\n"
    assert len(study.result["attempts"]) == 1


def test_when_the_twin_dies_its_work_is_taken_over(study: Study) -> None:
    study.use("echo x >> ran; while [ ! -e go ]; do sleep 0.05; done; echo loss=1")
    first = study.start()
    study.group()
    second = study.start()
    time.sleep(0.4)
    first.kill()
    first.wait()
    wait_for(lambda: (study.claim(2) or {}).get("group"))
    (study.launch / "go").touch()
    assert second.wait(20) == 0
    assert (study.launch / "ran").read_text() == "x\nx\n"
    assert [each["end"] for each in study.result["attempts"]] == ["lost", "done"]


def foreign_claim(study: Study) -> Path:
    path = Path(study.paths.claim(12, 1))
    path.parent.mkdir(parents=True)
    claim = {"schema": 1, "number": 12, "attempt": 1, "host": "elsewhere", "boot": "b", "pids": "p", "pid": 1}
    path.write_text(json.dumps({**claim, "pid_start": "1", "group": 1, "group_start": "1", "ended": None}))
    return path


def test_a_claim_of_another_host_holds_while_it_is_touched_and_no_longer(study: Study) -> None:
    path = foreign_claim(study)
    study.use("echo loss=1")
    process = study.start()
    for _ in range(8):
        time.sleep(0.4)
        os.utime(path)
    assert process.poll() is None  # 3 s; the claim would be stale after 2
    assert process.wait(20) == 0
    lost = study.result["attempts"][0]
    assert (lost["end"], lost["reason"], lost["host"]) == ("lost", "node", "elsewhere")


def test_waiting_for_a_twin_is_not_the_programs_time(study: Study) -> None:
    foreign_claim(study)
    study.use("sleep 1; echo loss=1")
    assert study.run("--runtime-s", "3")[0] == 0  # the claim is stale after 2 s
    assert study.result["end"]["kind"] == "done"


def test_slurm_is_asked_whether_the_job_of_a_claim_has_ended(study: Study) -> None:
    path = foreign_claim(study)
    path.write_text(json.dumps({**unseal(path.read_bytes()), "slurm_job": "4711"}))
    squeue = study.launch / "bin" / "squeue"
    squeue.parent.mkdir()
    squeue.write_text("#!/bin/sh\n# a mock of Slurm's\necho $* > asked\n")
    squeue.chmod(0o755)
    study.use("echo loss=1")
    started = time.monotonic()
    study.run(env={"PATH": f"{squeue.parent}:{os.environ['PATH']}"}, impatient=False)
    assert time.monotonic() - started < 10  # no observing for 90 s
    assert (study.launch / "asked").read_text() == "-h -j 4711 -o %T\n"


def test_the_first_result_wins_and_the_other_copy_says_superseded(study: Study) -> None:
    study.use("while [ ! -e go ]; do sleep 0.05; done; echo loss=2")
    process = study.start()
    study.group()
    other = Path(study.paths.result_record(12))
    other.parent.mkdir(parents=True)
    record = json.dumps({"number": 12, "end": {"kind": "done", "reason": None, "detail": "by another"}})
    other.write_text(record)
    (study.launch / "go").touch()
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "superseded" in said
    assert other.read_text() == record
    assert study.done["end"]["detail"] == "by another"


@pytest.mark.parametrize("text", ["", "{", "\0\0\0", "[1]", '{"number": 12}'])
def test_a_damaged_result_is_set_aside_and_the_trial_runs_again(study: Study, text: str) -> None:
    path = Path(study.paths.result_record(12))
    path.parent.mkdir(parents=True)
    path.write_text(text)
    study.use("echo loss=1")
    code, said = study.run()
    assert code == 0
    assert "its result record was damaged and is set aside as" in said
    assert study.result["end"]["kind"] == "done"
    [aside] = path.parent.glob("12.json.damaged.*")
    assert aside.read_text() == text


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}'])
def test_a_damaged_claim_counts_as_a_lost_attempt(study: Study, text: str) -> None:
    path = Path(study.paths.claim(12, 1))
    path.parent.mkdir(parents=True)
    path.write_text(text)
    study.use("echo loss=1")
    code, said = study.run()
    assert code == 0
    assert "is damaged; the attempt counts as lost" in said
    assert [each["end"] for each in study.result["attempts"]] == ["lost", "done"]


def test_killed_at_any_moment_the_next_call_ends_with_one_result(study: Study) -> None:
    study.use("echo x >> ran; sleep 0.1; echo loss=1")
    for delay in (0.02, 0.06, 0.09, 0.12, 0.16, 0.2):
        process = study.start(impatient=False)
        time.sleep(delay)
        process.kill()
        process.wait()
    assert study.run()[0] == 0
    assert study.result["end"]["kind"] == "done"
    assert study.run()[0] == 0
    assert study.result["metrics"]["points"]["loss"] == [[1, 1.0]]


def test_many_copies_at_once_run_the_program_once(study: Study) -> None:
    study.use("echo x >> ran; sleep 0.5; echo loss=1")
    copies = [study.start() for _ in range(4)]
    assert [copy.wait(30) for copy in copies] == [0, 0, 0, 0]
    assert (study.launch / "ran").read_text() == "x\n"


# ---- storage -----------------------------------------------------------------------------------------------


def test_a_full_disk_loses_the_attempt_and_tears_nothing(tmp_path: Path) -> None:
    need("root")
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", small], capture_output=True)
    if mounted.returncode:
        pytest.skip("mount: a tmpfs cannot be mounted here")
    try:
        study = Study(small)
        study.use("echo loss=1; yes fill | head -c 1000000; echo loss=2")
        before = study.launch / "precious"
        before.write_text("kept")
        code, said = study.run()
        assert code == 75
        assert "attempt lost (storage)" in said
        assert "No space left on device" in said
        assert before.read_text() == "kept"
        assert not Path(study.paths.result_record(12)).exists()
        for path in small.rglob("*.json"):
            json.loads(path.read_text())
        assert not list(small.rglob("*.tmp"))
        for path in (study.root / "trials").rglob("log*"):
            path.unlink()
        study.use("echo loss=3")
        assert study.run(attempt=2)[0] == 0
        assert study.result["metrics"]["points"]["loss"] == [[1, 3.0]]
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_a_program_that_meets_a_full_disk_itself_is_lost_too(tmp_path: Path) -> None:
    need("root")
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("mount: a tmpfs cannot be mounted here")
    try:
        study = Study(small)
        study.use("head -c 1000000 /dev/zero > $HPO_TRIAL_DIR/checkpoint 2>/dev/null")
        code, said = study.run()
        assert code == 75
        assert "exit code 1 on a full disk" in said
    finally:
        subprocess.run(["umount", "-l", small], check=True)


# ---- wrong calls -------------------------------------------------------------------------------------------


def test_a_wrong_call_is_told_without_a_traceback(study: Study) -> None:
    study.number = 13
    study.write()
    (study.launch / "batch.json").write_text(json.dumps({"batch": 3, "trials": []}))
    call = ["--root", "r", "--number", "13", "--out", "o", "--batch", "batch.json"]

    def said(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-S", "-E", "-P", MAIN, *call, *arguments],
            cwd=study.launch,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2
        return done.stderr

    assert said("--plan", "plan.json") == "batch.json: there is no trial 13 in this batch\n"
    assert said("--plan", "absent.json") == "absent.json: there is no plan\n"
    (study.launch / "bad.json").write_text("{")
    assert said("--plan", "bad.json").startswith("bad.json: the plan is damaged (")


def test_the_runner_starts_fast_and_imports_little(study: Study) -> None:
    study.use("echo loss=1")
    study.write()
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r})\n"
        "import hpo_workflow.runner.main, hpo_workflow.parse\n"
        "heavy = {'numpy', 'yaml', 'click', 'asyncio', 'subprocess', 'dataclasses', 'inspect', 'logging', 'difflib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    seen = subprocess.run([sys.executable, "-S", "-E", "-P", "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout == "[]\n"


def test_paths_are_the_ones_of_the_store(study: Study) -> None:
    assert StudyPaths("r").log(12, 1) == "r/trials/000/12/log"
    assert StudyPaths("r").log(12, 3) == "r/trials/000/12/log.3"


@pytest.mark.need("strace")
@pytest.mark.parametrize(
    ("calls", "fault"),
    [
        ("link,linkat", "signal=KILL"),
        ("link,linkat", "error=ENOSPC"),
        ("rename,renameat,renameat2", "signal=KILL"),
        ("rename,renameat,renameat2", "error=EIO"),
        ("unlink,unlinkat", "signal=KILL"),
    ],
)
def test_a_fault_at_any_step_of_writing_tears_nothing(study: Study, calls: str, fault: str) -> None:
    study.use("echo x >> ran; echo loss=1")
    study.write()
    fixed = ["--root", "results/demo", "--plan", "plan.json", "--batch", "batch.json", "--out", str(study.out)]
    runner = [sys.executable, "-S", "-E", "-P", "-c", IMPATIENT, *fixed, "--number", "12", "--attempts", "2"]
    for when in range(1, 20):
        inject = ["strace", "-qq", "-o", "trace", "-e", f"trace={calls}", "-e", f"inject={calls}:{fault}:when={when}"]
        subprocess.run([*inject, *runner], cwd=study.launch, capture_output=True, timeout=60)
        for path in study.root.rglob("*.json"):
            json.loads(path.read_text())
        if (
            "INJECTED" not in (study.launch / "trace").read_text()
            and "killed" not in (study.launch / "trace").read_text()
        ):
            break
        assert study.run()[0] == 0
        assert study.result["metrics"]["points"]["loss"] == [[1, 1.0]]
        assert study.done["end"]["kind"] == "done"
        shutil.rmtree(study.root)
    else:
        raise AssertionError("never came to an end")
    assert when > 1
