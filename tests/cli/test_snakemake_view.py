"""`snakemake --logger hpo`: which records are shown, with and without a terminal, and one real run."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

from hpo_workflow.cli import snakemake_view
from hpo_workflow.cli.captured_output import CapturedOutput
from hpo_workflow.cli.snakemake_view import SnakemakeView
from hpo_workflow.store.session import TOKEN
from hpo_workflow.workflow import LISTENERS
from tests.cli.studies import emit, end, write_study
from tests.terminal import Pty

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(TOKEN, raising=False)
    monkeypatch.setattr(snakemake_view, "TICK_S", 3600.0)  # the tests look themselves


def a_view(**changes: bool) -> SnakemakeView:
    return SnakemakeView(**{"is_dry": False, "no_color": False, "to_stdout": False, **changes})


def record(message: str | None, event: LogEvent | None = None, level: int = logging.INFO, **extra: Any) -> Any:
    """A record as Snakemake makes it."""
    made = logging.LogRecord("snakemake", level, "workflow.py", 1, message, (), None)
    for name, value in {**extra, **({"event": event} if event else {})}.items():
        setattr(made, name, value)
    return made


def job(jobid: int, *outputs: str) -> list[tuple[Any, str]]:
    """The records of one job from its start to its end, with Snakemake's words."""
    return [
        (record("Rule", LogEvent.JOB_INFO, jobid=jobid, output=list(outputs)), f"info {jobid}"),
        (record(None, LogEvent.JOB_STARTED, jobs=[jobid]), f"started {jobid}"),
        (record("Finished", LogEvent.JOB_FINISHED, job_id=jobid), f"finished {jobid}"),
        (record(None, LogEvent.PROGRESS, done=1, total=2), f"progress {jobid}"),
    ]


def test_snakemake_finds_the_plugin() -> None:
    plugin = LoggerPluginRegistry().get_plugin("hpo")
    assert plugin.name == "hpo" and plugin.settings_cls is None


def test_jobs_of_a_study_are_left_out_and_those_of_other_rules_shown(capfd: pytest.CaptureFixture[str]) -> None:
    _, plan = emit(write_study())
    messages = [record("Select jobs to execute..."), record("Nothing to be done."), record("Execute 2 jobs...")]
    records = [
        *job(1, "results/s/state/done/000/0-0.json"),
        *job(2, "results/s/best.json", "results/s/report.html"),
        *job(3, "results/s2/best.json"),
        *((each, str(each.msg)) for each in messages),
        (record("Error", LogEvent.JOB_ERROR, logging.ERROR, jobid=1, output=["results/s/x"]), "error of a trial"),
        (record("MissingInput", LogEvent.ERROR, logging.ERROR), "error of Snakemake"),
        (record("careful", None, logging.WARNING), "careful"),
    ]
    with contextlib.closing(a_view()) as view:
        view.begin("results/s", plan.to_json())
        for each, text in records:
            view.take(each, text)
    shown = ["info 3", "finished 3", "Nothing to be done.", "error of a trial", "error of Snakemake", "careful"]
    assert capfd.readouterr().err.splitlines() == shown


def test_without_a_study_progress_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with contextlib.closing(a_view()) as view:
        for each, text in job(3, "a.txt"):
            view.take(each, text)
    assert capfd.readouterr().err.splitlines() == ["info 3", "finished 3", "progress 3"]


def test_without_a_terminal_a_sign_of_life_comes_once_a_minute(capfd: pytest.CaptureFixture[str]) -> None:
    folder, plan = emit(write_study())
    with contextlib.closing(a_view()) as view:
        view.begin("results/s", plan.to_json())
        view._look()
        end(folder, plan, {0: 0.5})
        view._look()
        assert capfd.readouterr().err == "", "parse tells of the trial itself"
        (study,) = view._studies.values()
        assert study._lines is not None
        study._lines._last -= 61
        view._look()
    assert capfd.readouterr().err.startswith("s: 1 of 4 trials done; best 0.5 (trial 0)")


@pytest.mark.parametrize("reason", ["a dry run", "hpo run started it"])
def test_a_dry_run_and_a_snakemake_of_hpo_run_are_left_as_they_are(
    reason: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason != "a dry run":
        monkeypatch.setenv(TOKEN, "token")
    view = a_view(is_dry=reason == "a dry run")
    assert not LISTENERS
    for each, text in job(1, "results/s/best.json"):
        view.take(each, text)
    view.close()
    assert len(capfd.readouterr().err.splitlines()) == 4


# ---- on a terminal -----------------------------------------------------------------------------------------
@contextlib.contextmanager
def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pty]:
    """A pseudo-terminal is standard output and error of this process."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)
    opened = Pty(80, 24)
    kept = {number: os.dup(number) for number in (1, 2)}
    for number in kept:
        os.dup2(opened.slave, number)
    monkeypatch.setattr(sys, "stderr", opened.stream)
    monkeypatch.setattr(sys, "stdout", opened.stream)
    try:
        yield opened
    finally:
        monkeypatch.undo()
        for number, place in kept.items():
            os.dup2(place, number)
            os.close(place)
        opened.close()


def test_studies_are_drawn_one_below_the_other_and_foreign_output_scrolls_by_above(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, plan = emit(write_study(study="first"))
    other, other_plan = emit(write_study(study="second", budget={"trials": 2, "parallel": 2}))
    with on_a_terminal(monkeypatch) as terminal:
        view = a_view()
        for root, each in (("results/first", plan), ("results/second", other_plan)):
            view.begin(root, each.to_json())
        view._look()
        subprocess.run(["sh", "-c", r"printf '10%%\r20%%\n\033[31mred\033[0m\n' >&2; echo out"], check=True)
        subprocess.run(["sh", "-c", "echo 'first: trial 0 complete: loss=0.5' >&2"], check=True)
        view.take(record("careful", None, logging.WARNING), "careful")
        end(folder, plan, {0: 0.5})
        view._look()
        lines = terminal.read().lines
        assert lines[:4] == ["20%", "red", "out", "careful"]
        assert lines[4] == "first: [1/4] trial 0 in 1 min 30 s: loss 0.5, the best so far"
        assert [line[:6] for line in lines[5:] if line.startswith(("first ", "second"))] == ["first ", "second"]
        end(other, other_plan, {0: 0.5, 1: 0.25})
        view._look()
        assert not any(line.startswith("second  ") for line in terminal.read().lines), "it has ended"
        subprocess.run(["sh", "-c", "printf 'without an end' >&2"], check=True)
        view.close()
        lines = terminal.read().lines
        assert lines[-1] == "without an end" and not any(line.startswith("slots") for line in lines)
        os.write(2, b"free again\n")
        assert terminal.read().lines[-1] == "free again" and not LISTENERS


def test_a_program_that_outlives_the_picture_writes_on_without_being_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    with on_a_terminal(monkeypatch):
        caught = CapturedOutput()
        child = subprocess.Popen(["sh", "-c", "read go; echo one >&2; echo two >&2; exit 7"], stdin=subprocess.PIPE)
        assert caught.restore() == []
        child.communicate(b"go\n")
    assert child.returncode == 7


def test_what_is_caught_is_not_lost_where_others_write_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    with on_a_terminal(monkeypatch):
        caught = CapturedOutput()
        call = ["sh", "-c", "for n in $(seq 300); do echo $0 $n; done"]
        children = [subprocess.Popen([*call, name]) for name in ("a", "b")]
        while any(child.poll() is None for child in children):
            lines += caught.lines()
            time.sleep(0.001)
        lines += caught.restore()
    assert sorted(lines) == sorted(f"{name} {n}" for name in ("a", "b") for n in range(1, 301))


def test_a_real_run_is_drawn_and_ends_with_the_result(tmp_path: Path) -> None:
    write_study(budget={"trials": 2, "parallel": 2}, command="echo loss=${hpo.x}; sleep 2")
    opened = Pty(100, 30)
    call = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    call += ["--configfile", "study.yaml", "--scheduler", "greedy", "--logger", "hpo"]
    environment = {**os.environ, "TERM": "xterm", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        call, stdin=subprocess.DEVNULL, stdout=opened.slave, stderr=opened.slave, env=environment
    )
    pictures = set()
    while process.poll() is None:
        pictures |= {re.sub(r"\d+ s ", "", line) for line in opened.read().lines}
        time.sleep(0.1)
    lines = opened.read().text.splitlines()
    assert process.returncode == 0, lines
    assert any(line.startswith("slots   2 of 2 running") for line in pictures), pictures
    assert "study s: 2 of 2 trials done" in lines and not any(line.startswith("slots") for line in lines)
    assert not any(re.match("localrule trial|Select jobs|1 of", line) for line in lines)
    opened.close()
