"""hpo doctor: each finding is caused for real, told with the command that mends it, and mended by that command."""

from __future__ import annotations

import itertools
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hpo_workflow
from hpo_workflow.orphans import jobname_prefix
from hpo_workflow.runner.claim import processes_of
from hpo_workflow.store.atomic import publish, replace, seal, to_json, unseal
from hpo_workflow.store.inspection import inspect
from hpo_workflow.store.processes import this_process
from hpo_workflow.store.study_folder import StudyFolder
from tests.cli.conftest import Answer, Hpo
from tests.cli.studies import emit, end, finished_study, read, write_study
from tests.soak import size

ROOT = Path(__file__).resolve().parents[2]
RUNNER = ROOT / "hpo_workflow" / "runner" / "__main__.py"


@pytest.fixture(autouse=True)
def without_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No test asks the Slurm of this machine; what a test puts into the folder it calls instead."""
    programs = tmp_path_factory.mktemp("bin")
    monkeypatch.setenv("PATH", str(programs))
    return programs


@pytest.fixture
def squeue(without_slurm: Path) -> Callable[[str], None]:
    """Let Slurm answer with these lines."""

    def answer(text: str, code: int = 0) -> None:
        program = without_slurm / "squeue"
        program.write_text(f"#!/bin/sh\nprintf %s {shlex.quote(text)}\nexit {code}\n")
        program.chmod(0o755)

    return answer


def findings(answer: Answer) -> dict[str, dict[str, Any]]:
    """What `hpo doctor --json` found, by kind."""
    assert not answer.err, answer.err
    report = json.loads(answer.out)
    assert answer.code == int(report["needs_a_hand"])
    return {finding["kind"]: finding for finding in report["findings"]}


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def dead_session(here: Path) -> Callable[[], int]:
    """Let a process take the study and be killed -9; its pid."""

    def die() -> int:
        code = (
            "import os, signal; from hpo_workflow.store.paths import StudyPaths;"
            "from hpo_workflow.store.session import Session;"
            "Session.acquire(StudyPaths('results/s')); os.kill(os.getpid(), signal.SIGKILL)"
        )
        process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)})
        assert process.wait() == -signal.SIGKILL
        return process.pid

    return die


@pytest.fixture
def runner(here: Path) -> Iterator[Callable[[StudyFolder, str], subprocess.Popen[bytes]]]:
    """Start the real runner of trial 0, and wait until its program runs."""
    started: list[subprocess.Popen[bytes]] = []

    def start(folder: StudyFolder, plan: str) -> subprocess.Popen[bytes]:
        replace(folder.paths.batch(0), Path(folder.paths.batch_record(0)).read_text())
        call = [sys.executable, "-S", "-E", "-P", str(RUNNER), "--root", folder.root, "--plan", folder.paths.plan(plan)]
        call += ["--batch", folder.paths.batch(0), "--number", "0", "--out", folder.paths.done(0, 0)]
        process = subprocess.Popen(call, stderr=subprocess.DEVNULL, env={**os.environ, "PATH": os.defpath})
        started.append(process)
        wait_for(lambda: len(processes_of(os.path.abspath(folder.paths.trial_dir(0)))) > 0)
        wait_for(lambda: read(folder.paths.claim(0, 1))["group"] is not None)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
    for pid in processes_of(os.path.abspath("results/s/trials/000/0")):
        os.kill(pid, signal.SIGKILL)


# ---- healthy studies ---------------------------------------------------------------------------------------
def test_a_finished_study_needs_no_hand(hpo: Hpo) -> None:
    finished_study()
    assert "Nothing needs a hand." in hpo("doctor", "study.yaml").out
    assert not {kind for kind, each in findings(hpo("doctor", "results/s", "--json")).items() if each["needs_a_hand"]}


def test_a_study_that_has_not_run_needs_no_hand_and_a_wrong_call_is_2(hpo: Hpo, here: Path) -> None:
    answer = hpo("doctor", write_study())
    assert answer.code == 0 and "has not run yet" in answer.out
    (here / "empty").mkdir()
    assert hpo("doctor", "empty").code == 2
    assert hpo("doctor", "nothing.yaml").code == 2
    Path("study.yaml").write_text("study: [")
    assert hpo("doctor", "study.yaml").code == 2


def test_nothing_is_written(hpo: Hpo, here: Path) -> None:
    finished_study()
    before = {path: path.stat().st_mtime_ns for path in here.rglob("*")}
    hpo("doctor", "study.yaml")
    assert {path: path.stat().st_mtime_ns for path in here.rglob("*")} == before


# ---- who runs what -----------------------------------------------------------------------------------------
def test_a_trial_that_runs_is_shown_and_an_orphan_without_a_head(hpo: Hpo, runner: Any, dead_session: Any) -> None:
    folder, plan = emit(write_study(command="echo ${hpo.x}; sleep 60"))
    session = {**this_process(), "since": "2026-01-01T00:00:00+00:00", "token": "t"}
    publish(folder.paths.session, session)
    process = runner(folder, plan.digest)
    answer = hpo("doctor", "study.yaml", "--json")
    row = json.loads(answer.out)["running"][0]
    assert (row["trial"], row["attempt"], row["pid"], row["life"]) == (0, 1, process.pid, "alive")
    assert row["heartbeat_s"] < 30 and row["host"] == os.uname().nodename
    assert answer.code == 0 and f"process {os.getpid()} on" in json.loads(answer.out)["standing"]

    os.unlink(folder.paths.session)
    pid = dead_session()
    assert "`hpo doctor study.yaml` tells" in hpo("status", "study.yaml").out
    found = findings(hpo("doctor", "study.yaml", "--json"))
    assert f"process {pid} on" in found["stale session"]["what"]
    assert found["stale session"]["command"] == "hpo run study.yaml"
    assert f"kill {process.pid}" in found["orphaned trial"]["cure"]

    process.kill()
    process.wait()
    found = findings(hpo("doctor", "study.yaml", "--json"))
    programs = processes_of(os.path.abspath(folder.paths.trial_dir(0)))
    assert programs and all(str(pid) in found["dead claim"]["what"] for pid in programs)
    assert found["dead claim"]["command"] == "hpo run study.yaml" and "orphaned trial" not in found


def test_from_another_folder_the_command_goes_to_where_the_study_is_run(
    hpo: Hpo, dead_session: Any, here: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    emit(write_study())
    dead_session()
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    found = findings(hpo("doctor", str(here / "results/s"), "--json"))
    assert found["stale session"]["command"] == f"cd {here} && hpo run study.yaml"


def test_a_session_of_another_host_is_asked_for_there_when_it_has_left_no_trace(hpo: Hpo) -> None:
    folder, _ = emit(write_study())
    session = {"host": "login2", "boot": "b", "pids": "p", "pid": 77, "pid_start": "1", "since": "2026-01-01"}
    publish(folder.paths.session, session)
    assert not any(each["needs_a_hand"] for each in findings(hpo("doctor", "study.yaml", "--json")).values())
    os.utime(folder.paths.session, (1e9, 1e9))
    found = findings(hpo("doctor", "study.yaml", "--json"))["silent session"]
    assert found["command"] == "ssh login2 ps -p 77" and "hpo run study.yaml --force" in found["cure"]


def claim_elsewhere(folder: StudyFolder, number: int, job: str | None = None) -> None:
    record = {"host": "node7", "boot": "b", "pids": "p", "pid": 5, "pid_start": "1", "slurm_job": job, "ended": None}
    publish(folder.paths.claim(number, 1), {"number": number, "batch": 0, "attempt": 1, **record})


def test_a_claim_of_another_host_is_alive_while_it_is_touched(hpo: Hpo) -> None:
    folder, _ = emit(write_study())
    claim_elsewhere(folder, 0)
    assert "orphaned trial" in findings(hpo("doctor", "study.yaml", "--json"))
    os.utime(folder.paths.claim(0, 1), (1e9, 1e9))
    assert findings(hpo("doctor", "study.yaml", "--json"))["silent claim"]["command"] == "ssh node7 ps -p 5"


def test_snakemakes_locks_of_a_dead_run_are_named_and_those_of_a_living_one_are_not(
    hpo: Hpo, dead_session: Any
) -> None:
    emit(write_study())
    dead_session()
    lock, other = Path(".snakemake/locks/0.output.lock"), Path(".snakemake/locks/1.output.lock")
    lock.parent.mkdir(parents=True)
    lock.write_text("results/s/state/done/000/0-0.json\n")
    other.write_text("results/s/best.json\nelse.txt\n")
    found = findings(hpo("doctor", "study.yaml", "--json"))
    assert found["stale lock"]["paths"] == [str(lock)] and found["stale lock"]["command"] == "hpo run study.yaml"
    assert found["foreign lock"]["command"] == f"rm -- {other}"
    replace("results/s/state/session.json", to_json({**this_process(), "since": "now", "token": "t"}))
    assert not {"stale lock", "foreign lock"} & findings(hpo("doctor", "study.yaml", "--json")).keys()


# ---- the queue ---------------------------------------------------------------------------------------------
def job_line(job: int, state: str, trial: int | None, root: str = "results/s") -> str:
    comment = "rule_propose" if trial is None else f"rule_trial_wildcards_0_{trial}_0"
    return f"{job}|{state}|{jobname_prefix('s', root)}_1234|{comment}\n"


def test_jobs_of_the_study_that_nobody_waits_for_are_taken_over_or_cancelled(hpo: Hpo, squeue: Any) -> None:
    folder, plan = emit(write_study())
    end(folder, plan, {1: 0.5})
    os.utime(folder.paths.result_record(1), (1e9, 1e9))
    Path(folder.paths.snakemake_log).write_text("Using profile /site/gpu for setting default command line arguments.\n")
    lines = [job_line(11, "RUNNING", 0), job_line(12, "PENDING", 0), job_line(13, "RUNNING", 1)]
    squeue("".join([*lines, job_line(14, "RUNNING", 9), "99|RUNNING|another_1|rule_trial_wildcards_0_1_0\n"]))
    found = findings(hpo("doctor", "study.yaml", "--json"))
    assert found["orphaned job"]["command"] == "hpo run study.yaml --profile /site/gpu"
    assert "scancel 11" in found["orphaned job"]["cure"]
    assert found["second job"]["command"] == "scancel 12"
    assert found["useless job"]["command"] == "scancel 13 14"


def test_the_claim_of_a_job_that_slurm_has_no_more_is_dead(hpo: Hpo, squeue: Any) -> None:
    folder, _ = emit(write_study())
    claim_elsewhere(folder, 0, "21")
    squeue(job_line(21, "RUNNING", 0))
    report = json.loads(hpo("doctor", "study.yaml", "--json").out)
    assert (report["running"][0]["slurm_state"], report["running"][0]["life"]) == ("RUNNING", "alive")
    squeue("")
    assert "dead claim" in findings(hpo("doctor", "study.yaml", "--json"))
    squeue("", 1)
    assert "no answer from Slurm" in findings(hpo("doctor", "study.yaml", "--json"))


def test_a_submitted_study_whose_head_has_gone_is_submitted_again(hpo: Hpo, squeue: Any) -> None:
    folder, _ = emit(write_study())
    settings = {"study": "s", "study_file": "study.yaml", "profile": "slurm", "folder": os.getcwd()}
    head = {"settings": settings, "state": "running", "job": "31", "next": "32"}
    replace(folder.paths.head, to_json(head))
    prefix = jobname_prefix("s", folder.root).partition("-")[2]
    squeue(f"32|PENDING|hpo-head-{prefix}|(null)\n33|RUNNING|hpo-head-{prefix}|(null)\n")
    found = findings(hpo("doctor", "study.yaml", "--json"))
    assert found["unknown head"]["command"] == "scancel 33" and "lost head" not in found
    squeue("")
    assert findings(hpo("doctor", "study.yaml", "--json"))["lost head"]["command"] == (
        "hpo submit study.yaml --profile slurm"
    )


# ---- records -----------------------------------------------------------------------------------------------
def damage(path: str) -> None:
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[:5] + b"\0" + data[6:])


def test_damaged_records_are_named_each_with_what_mends_it(hpo: Hpo) -> None:
    folder, plan = emit(write_study(), 1)
    end(folder, plan, {0: 0.5})
    publish(folder.paths.result_record(1), {"number": 1, "end": {"kind": "done"}})
    replace(folder.paths.batch(0), Path(folder.paths.batch_record(0)).read_text())
    folder.decide({"kind": "retry_failed", "numbers": []})
    claim_elsewhere(folder, 1)
    for path in (folder.paths.result_record(1), folder.paths.batch_record(0), folder.paths.claim(1, 1)):
        damage(path)
    found = findings(hpo("doctor", "study.yaml", "--json"))
    assert found["damaged result"]["paths"] == ["results/s/ledger/results/000/1.json"]
    assert found["damaged result"]["command"] == "hpo run study.yaml"
    subprocess.run(found["damaged batch"]["command"], shell=True, check=True, env={"PATH": os.defpath})
    assert "damaged batch" not in findings(hpo("doctor", "study.yaml", "--json"))

    damage(folder.paths.batch_record(0))
    os.unlink(folder.paths.batch(0))
    damage(folder.paths.decision(0))
    damage(folder.paths.current_plan)
    found = findings(hpo("doctor", "study.yaml", "--json"))
    assert not found["damaged batch"]["command"] and "backup" in found["damaged batch"]["cure"]
    decision = folder.paths.decision(0)
    assert found["damaged decision"]["command"] == f"mv -- {decision} {decision}.damaged"
    pointer = folder.paths.current_plan
    assert found["damaged pointer"]["command"] == f"mv -- {pointer} {pointer}.damaged && hpo run study.yaml"


def test_the_result_of_a_trial_that_has_ended_is_moved_away_and_the_study_is_well(hpo: Hpo) -> None:
    _, folder, _ = finished_study()
    damage(folder.paths.result_record(3))
    found = findings(hpo("doctor", "study.yaml", "--json"))["damaged result"]
    subprocess.run(found["command"], shell=True, check=True, env={"PATH": os.defpath})
    found = findings(hpo("doctor", "study.yaml", "--json"))
    assert "damaged result" not in found and not found["missing result"]["needs_a_hand"]
    assert "trial 3" in found["missing result"]["what"]
    assert found["set aside records"]["paths"] == [f"{folder.paths.result_record(3)}.damaged"]
    assert json.loads(hpo("status", "study.yaml", "--json").out)["n_counted"] == 4


def test_a_result_without_metrics_is_read_by_the_next_run(hpo: Hpo) -> None:
    folder, plan = emit(write_study())
    end(folder, plan, {0: 0.5, 1: 0.25})
    os.unlink(folder.paths.metric(plan.spec.metrics_digest, 1, 0))
    found = findings(hpo("doctor", "study.yaml", "--json"))["unread result"]
    assert found["what"].startswith("trial 1:") and found["command"] == "hpo run study.yaml"


def test_an_index_that_is_out_of_step_is_harmless_and_said(hpo: Hpo) -> None:
    _, folder, _ = finished_study()
    folder.index_batches(folder.batches())
    with open(folder.paths.batch_index, "a") as file:
        file.write("{torn")
    found = findings(hpo("doctor", "study.yaml", "--json"))["index"]
    assert not found["needs_a_hand"] and found["paths"] == [folder.paths.batch_index]
    subprocess.run(found["command"], shell=True, check=True, env={"PATH": os.defpath})
    assert json.loads(hpo("status", "study.yaml", "--json").out)["n_counted"] == 4


def test_half_written_files_of_the_dead_are_named_and_those_of_the_living_are_not(hpo: Hpo, dead_session: Any) -> None:
    _, folder, _ = finished_study()
    pid = dead_session()
    os.unlink(folder.paths.session)
    host = os.uname().nodename
    left = Path(folder.root, f"ledger/results/000/.9.json.{host}.{pid}.0.tmp")
    left.write_text('{"number":')
    Path(folder.root, f"ledger/results/000/.8.json.{host}.{os.getpid()}.0.tmp").write_text("{")
    found = findings(hpo("doctor", "study.yaml", "--json"))["half-written"]
    assert found["paths"] == [str(left)] and not found["needs_a_hand"]
    subprocess.run(found["command"], shell=True, check=True, env={"PATH": os.defpath})
    assert "half-written" not in findings(hpo("doctor", "study.yaml", "--json"))


def test_the_claim_of_a_trial_that_has_its_result_is_a_leftover(hpo: Hpo) -> None:
    _, folder, _ = finished_study()
    claim_elsewhere(folder, 2)
    assert "leftover claim" not in findings(hpo("doctor", "study.yaml", "--json"))  # its owner may be at it
    os.utime(folder.paths.claim(2, 1), (1e9, 1e9))
    found = findings(hpo("doctor", "study.yaml", "--json"))["leftover claim"]
    assert found["command"] == f"rm -- {folder.paths.claim(2, 1)}" and not found["needs_a_hand"]


def spoil(path: Path, how: str, rng: random.Random) -> None:
    data = path.read_bytes()
    at = rng.randrange(len(data))
    path.unlink()
    if how == "a folder":
        path.mkdir()
    elif how == "a pipe":
        os.mkfifo(path)
    elif how == "a link to nowhere":
        path.symlink_to("nowhere")
    elif how == "a circle":
        path.symlink_to(path.name)
    else:
        others = {
            "flipped": data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :],
            "cut": data[:at],
            "empty": b"",
            "zeros": b"\0" * len(data),
            "nested": b"[" * 100_000,
            "another shape": b'{"kind": 3, "pid": "x", "trials": [[]], "spec": [], "settings": 1, "plan": "../x"}\n',
            "a list": b"[1, 2]\n",
        }
        path.write_bytes(others[how])


SPOILT = ["flipped", "cut", "empty", "zeros", "nested", "another shape", "a list"]
SPOILT += ["a folder", "a pipe", "a link to nowhere", "a circle"]


@pytest.mark.parametrize("how", SPOILT)
def test_whatever_is_in_the_folder_it_is_no_traceback(hpo: Hpo, here: Path, how: str) -> None:
    _, folder, _ = finished_study()
    folder.index_batches(folder.batches())
    folder.decide({"kind": "keep", "identity": "a", "others": ["b"]})
    claim_elsewhere(folder, 2)
    publish(folder.paths.session, {**this_process(), "since": "now", "token": "t"})
    replace(folder.paths.head, to_json({"settings": {}, "state": "ended"}))
    replace(folder.paths.stop_request, to_json({"running": "finish", "by": "me", "at": "now"}))
    shutil.copytree("results", "whole")
    rng = random.Random(5)
    files = sorted(path for path in Path("whole/s").rglob("*.json*") if path.is_file() and "trials" not in path.parts)
    assert len(files) > 15
    for whole in files:
        path = Path("results", *whole.parts[1:])
        spoil(path, how, rng)
        answer = hpo("doctor", "results/s", "--json")
        assert answer.code in (0, 1) and not answer.err, (path, answer)
        told = json.loads(answer.out)["findings"]
        named = any(str(path) in finding["paths"] for finding in told)
        is_unsealed = how == "flipped" and b"crc32" not in whole.read_bytes()  # another number looks like any other
        is_index = any(finding["kind"] == "index" for finding in told)
        assert named or is_unsealed or is_index or (how == "another shape" and path.name == "stop_request.json"), path
        assert hpo("doctor", "results/s").out.count("Traceback") == 0
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
        shutil.copy2(whole, path)


ODD: list[Any] = [None, True, -1, 10**30, 1e308, "", "\x1b]52;c;aGk=\x07", "../../x", [], {}, [[]], {"a": None}, "12"]


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a JSON value, as the keys that lead there."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*above, key)
        yield from places(value[key], (*above, key))


@pytest.mark.soak
def test_odd_values_under_a_good_check_sum_are_no_traceback_either(hpo: Hpo) -> None:
    _, folder, _ = finished_study()
    claim_elsewhere(folder, 2, "12")
    folder.decide({"kind": "retry_failed", "numbers": [1]})
    publish(folder.paths.session, {**this_process(), "since": "now", "token": "t", "slurm_job": None})
    settings = {"study_file": "study.yaml", "profile": "p", "folder": "elsewhere"}
    replace(folder.paths.head, seal({"settings": settings, "state": "running", "job": "1", "next": "2"}))
    files = sorted(path for path in Path("results/s").rglob("*.json") if "trials" not in path.parts)
    rng = random.Random(3)
    for _ in range(size(60, 3000)):
        path = rng.choice(files)
        before = path.read_bytes()
        record = unseal(before)
        *above, key = rng.choice(list(places(record)))
        inner = record
        for each in above:
            inner = inner[each]
        if isinstance(inner, dict) and rng.random() < 0.25:
            del inner[key]
        else:
            inner[key] = rng.choice(ODD)
        path.write_text(seal(record))
        for arguments in (("results/s",), ("study.yaml", "--json")):
            answer = hpo("doctor", *arguments)
            assert answer.code in (0, 1) and not answer.err and "\x1b" not in answer.out, (path, record)
        path.write_bytes(before)


@pytest.mark.parametrize("where", ["ledger", "state", "ledger/results", "ledger/results/000", "trials", "state/index"])
def test_a_file_in_place_of_a_folder_is_named(hpo: Hpo, where: str) -> None:
    _, folder, _ = finished_study()
    shutil.rmtree(f"{folder.root}/{where}", ignore_errors=True)
    Path(folder.root, where).write_text("x")
    found = findings(hpo("doctor", "results/s", "--json"))["misplaced"]
    assert found["paths"] == [f"{folder.root}/{where}"] and found["command"].startswith("mv -- ")


def test_reading_ends_at_its_deadline_and_what_was_left_out_is_counted(hpo: Hpo) -> None:
    _, folder, _ = finished_study()
    damage(folder.paths.result_record(0))
    ticks = itertools.count()
    found = inspect(folder.paths, seconds=2.5, clock=lambda: float(next(ticks)))
    assert found.n_unread == 4 + 2 + 4 - 2  # results, batches and metrics without an index; two ticks
    assert set(found.results) == {0, 1, 2, 3} and not found.broken
    assert [each.path for each in inspect(folder.paths).broken] == [folder.paths.result_record(0)]


# ---- the machine and the plan --------------------------------------------------------------------------------
def test_too_little_room_for_the_rest_is_told(hpo: Hpo, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, plan = emit(write_study(budget={"trials": 1000, "parallel": 2}))
    end(folder, plan, {0: 0.5, 1: 0.25}, log=["x" * 99] * 10_000)
    room = json.loads(hpo("doctor", "study.yaml", "--json").out)["space"]
    assert room["bytes_each"] > 990_000 and room["n_left"] == 998 and room["needed_bytes"] > 950e6
    real = os.statvfs

    def nearly_full(path: Any) -> os.statvfs_result:
        fields = list(real(path))
        fields[4], fields[8 - 1] = int(500e6 // real(path).f_frsize), 700
        fields[5], fields[6] = 10_000, 700
        return os.statvfs_result((*fields[:5], fields[5], fields[6], 700, *fields[8:]))

    monkeypatch.setattr(os, "statvfs", nearly_full)
    found = findings(hpo("doctor", "study.yaml", "--json"))
    assert "998 trials need" in found["little space"]["what"] and found["little space"]["needs_a_hand"]
    assert "files is left" in found["little inodes"]["what"]
    assert "`hpo compact results/s --logs`" in found["little inodes"]["cure"]
    assert "hpo compact" not in found["little space"]["cure"]


def test_clocks_that_differ_are_told_and_those_of_a_copied_study_are_not(hpo: Hpo) -> None:
    _, folder, _ = finished_study()
    for number in range(4):
        path = folder.paths.result_record(number)
        ended = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1e9 + 1000 * number))
        Path(path).write_text(seal({**read(path), "host": "node3", "ended": ended}))
        os.utime(path, (1e9 + 1000 * number + 300, 1e9 + 1000 * number + 300))
    found = findings(hpo("doctor", "study.yaml", "--json"))["clock"]
    assert found["what"] == "the clock of node3 is 300 s behind the file server's." and not found["needs_a_hand"]
    for number in range(4):
        os.utime(folder.paths.result_record(number), (1e9 + 5e5, 1e9 + 5e5))
    assert "clock" not in findings(hpo("doctor", "study.yaml", "--json"))
    ahead = time.time() + 100
    os.utime(folder.paths.result_record(0), (ahead, ahead))
    assert "in this host's future" in findings(hpo("doctor", "study.yaml", "--json"))["clock"]["what"]


@pytest.mark.need("root")
def test_folders_that_may_not_be_written_into_are_told(hpo: Hpo, here: Path) -> None:
    finished_study()
    hpo("doctor", "results/s")  # nobody may not read this package
    here.chmod(0o755)
    os.chmod("results/s/ledger/results/000/3.json", 0)
    os.seteuid(65534)
    try:
        found = findings(hpo("doctor", "results/s", "--json"))
    finally:
        os.seteuid(0)
    assert {"results/s", "results/s/ledger/results/000"} <= set(found["not writable"]["paths"])
    assert found["not writable"]["command"] == 'sudo chown -R "$USER" results/s'
    assert found["not readable"]["paths"] == ["results/s/ledger/results/000/3.json"]


def test_a_plan_of_another_version_and_an_edit_are_told(hpo: Hpo, monkeypatch: pytest.MonkeyPatch) -> None:
    finished_study()
    monkeypatch.setattr(hpo_workflow, "__version__", "99.0")
    assert "this is 99.0" in findings(hpo("doctor", "results/s", "--json"))["other version"]["what"]
    write_study(budget={"trials": 9, "parallel": 2})
    assert not findings(hpo("doctor", "study.yaml", "--json"))["edited"]["needs_a_hand"]
    write_study(command="echo loss=1${hpo.x}")
    found = findings(hpo("doctor", "study.yaml", "--json"))["undecided edit"]
    assert found["command"] == "hpo run study.yaml --keep" and "4 finished trials" in found["what"]


def test_a_study_that_has_stopped_by_itself_and_trials_set_aside_are_told(hpo: Hpo) -> None:
    folder, plan = emit(write_study(budget={"trials": 9, "parallel": 5}))
    end(folder, plan, dict.fromkeys(range(5), "exit_code"))
    found = findings(hpo("doctor", "study.yaml", "--json"))["failed study"]
    assert found["command"] == "hpo run study.yaml --retry-failed"
    folder.decide({"kind": "retry_failed", "numbers": [0, 1, 2]})
    assert "3 trials not counted" in findings(hpo("doctor", "study.yaml", "--json"))["set aside"]["what"]
