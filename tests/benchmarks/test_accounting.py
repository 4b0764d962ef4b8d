"""The bill of a process tree: nobody is left out, whoever its parent was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from benchmarks.accounting import MeasurementError, account, job_times, timed_environment
from benchmarks.results_files import ROOT
from tests.workflow.running import wait_for

BURN = """
import os, sys, time

def burn(seconds):
    while time.process_time() < seconds:
        pass

if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(0.2)  # by now its parent and the command have ended
        burn(0.4)
    os._exit(0)
burn(0.2)
"""


def test_a_process_that_outlives_its_parents_is_waited_for_and_counted(tmp_path):
    usage = account([sys.executable, "-S", "-c", BURN], tmp_path)
    assert usage.orphans == 2
    assert 0.55 < usage.cpu_s < 1.5
    assert 0.1 < usage.wall_s < usage.cpu_s + 5
    assert 4 < usage.peak_mb < 60


def test_the_peak_is_that_of_the_largest_process_alone(tmp_path):
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'b = bytearray(80_000_000)'])"
    assert 80 < account([sys.executable, "-c", code], tmp_path).peak_mb < 120


def test_a_command_that_fails_is_no_measurement_and_shows_its_last_words(tmp_path):
    with pytest.raises(MeasurementError, match="ended with 3:\nthe disk is full"):
        account(["sh", "-c", "echo the disk is full >&2; exit 3"], tmp_path)
    assert account(["sh", "-c", "exit 3"], tmp_path, codes=(0, 3)).code == 3
    with pytest.raises(MeasurementError, match="could not be run"):
        account(["no-such-program-here"], tmp_path)


def test_each_bash_leaves_its_command_and_its_time(tmp_path):
    environment = {**os.environ, **timed_environment(tmp_path)}
    burn = f"{sys.executable} -S -c 'import time\nwhile time.process_time() < 0.2: pass'"
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", f"true; {burn}; exit 7"], env=environment, check=False)
    assert done.returncode == 7, "the exit code of a job must stay"
    subprocess.run(["bash", "-c", "true"], env=environment, check=True)
    jobs = {job.command: job.cpu_s for job in job_times(tmp_path)}
    assert len(jobs) == 2
    assert jobs.pop("true") < 0.1
    ((command, cpu_s),) = jobs.items()
    assert command.startswith("true; ") and command.endswith("pass'; exit 7")
    assert 0.2 <= cpu_s < 1.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_call_leaves_nothing_behind(tmp_path, number):
    pids = tmp_path / "pids"
    busy = ["sh", "-c", f"echo $$ >>{pids}; sleep 300 & echo $! >>{pids}; wait"]
    code = (
        "import dataclasses, runpy, sys; from benchmarks import startup; from benchmarks.accounting import account; "
        f"measure = lambda case, work: account({busy!r}, work.folder); "
        "startup.PART = dataclasses.replace(startup.PART, measure=measure); "
        f"sys.argv[1:] = ['startup', '--results', {str(tmp_path)!r}, '--repeat', '1']; "
        "runpy.run_module('benchmarks', run_name='__main__')"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == "interrupted; the same call goes on where it was\n"
    assert not [pid for pid in pids.read_text().split() if os.path.exists(f"/proc/{pid}")]
