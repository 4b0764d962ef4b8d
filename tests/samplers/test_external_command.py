"""Somebody else's program is started, bounded and ended, and says what went wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpo_workflow.errors import SamplerError
from hpo_workflow.samplers import external_command
from hpo_workflow.samplers.external_command import run_command


def said(command: str | list[str], timeout_s: float = 20.0) -> str:
    with pytest.raises(SamplerError) as raised:
        run_command(command, "{}\n", timeout_s)
    return str(raised.value)


def is_running(pid: int) -> bool:
    """Whether a process lives; one that has ended and waits to be collected by init does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_running(pid)


def test_text_goes_to_bash_as_a_trials_command_does_and_a_list_to_no_shell() -> None:
    assert run_command("cat; [[ a == a ]] && echo $((1 + 1))", "question\n", 20.0) == b"question\n2\n"
    assert run_command(["printf", "%s", "$HOME *"], "", 20.0) == b"$HOME *"
    assert "exit code 1" in said("false | cat; echo never")
    assert "unbound variable" in said("echo $NO_SUCH_NAME")


def test_a_large_question_and_a_large_answer_do_not_block_each_other() -> None:
    question = "x" * 3_000_000
    assert run_command("cat", question, 20.0) == question.encode()
    assert run_command("echo short", question, 20.0) == b"short\n"  # nobody reads the question


def test_a_failure_shows_the_exit_code_and_the_end_of_the_standard_error() -> None:
    message = said("for i in $(seq 2000); do echo line $i >&2; done; printf '\\033[31mred' >&2; exit 7")
    assert message.startswith("sampler.command ended with exit code 7. It printed to standard error:\n")
    assert "line 2000" in message and "line 1500" not in message
    assert "?[31mred" in message and "\033" not in message
    assert said("kill -9 $$") == "sampler.command was ended by signal 9. Its standard error was empty."
    assert (
        said(["/no/such/program"]) == "sampler.command: /no/such/program cannot be started: No such file or directory."
    )


def test_too_long_an_answer_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_command, "LARGEST_ANSWER", 2_000_000)
    assert "printed more than 2 MB" in said("yes")
    assert "printed more than 2 MB" in said("head -c 2500000 /dev/zero")
    assert len(run_command("head -c 2000000 /dev/zero", "", 20.0)) == 2_000_000


def test_what_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    script = f"trap 'echo asked >&2; exit 1' TERM; sleep 60 & echo $! > {tmp_path}/child; echo waiting >&2; wait"
    begun = time.monotonic()
    message = said(script, timeout_s=1.5)  # enough to say so on a busy machine
    assert "took longer than 1.5 s (sampler.timeout). It printed to standard error:\n  waiting\n  asked" in message
    assert time.monotonic() - begun < 10
    assert gone(int((tmp_path / "child").read_text()))


def test_what_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(external_command, "GRACE_S", 0.2)
    said(f"trap '' TERM; echo $$ > {tmp_path}/self; while :; do sleep 0.1; done", timeout_s=0.5)
    assert gone(int((tmp_path / "self").read_text()))


def test_what_a_command_leaves_behind_neither_delays_the_answer_nor_stays(tmp_path: Path) -> None:
    begun = time.monotonic()
    assert run_command(f"sleep 60 & echo $! > {tmp_path}/child; echo answer", "", 20.0) == b"answer\n"
    assert time.monotonic() - begun < 10
    assert gone(int((tmp_path / "child").read_text()))


def test_the_command_ends_with_who_asked(tmp_path: Path) -> None:
    script = (
        "import sys; from hpo_workflow.samplers.external_command import run_command; run_command(sys.argv[1], '', 90)"
    )
    asking = subprocess.Popen([sys.executable, "-c", script, f"echo $$ > {tmp_path}/pid; exec sleep 60"])
    deadline = time.monotonic() + 30
    while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(asking.pid, signal.SIGTERM)
    assert asking.wait(20) == 128 + signal.SIGTERM
    assert gone(int((tmp_path / "pid").read_text()))
