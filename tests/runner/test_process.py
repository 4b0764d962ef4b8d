"""Logs of bounded size, and what is read from the kernel."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo_workflow.metrics import MetricReader
from hpo_workflow.runner.process import LogFile, MetricsFile, dies_of, oom_kills, resident_mb

LOSS = {"metric": "loss", "direction": "minimize", "reduce": "last"}


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 70), max_size=30), st.integers(2, 120))
def test_a_log_is_whole_or_its_two_ends(tmp_path_factory: pytest.TempPathFactory, sizes: list[int], cap: int) -> None:
    folder = tmp_path_factory.mktemp("log")
    path = folder / "log"
    text = bytes(33 + i % 90 for i in range(sum(sizes)))
    log = LogFile(str(path), cap)
    at = 0
    for size in sizes:
        log.write(text[at : at + size])
        at += size
    log.close()
    log.close()  # once more does nothing
    found = path.read_bytes()
    assert os.listdir(folder) == ["log"]
    assert log.written == len(text)
    if len(text) <= cap // 2 * 2:
        assert found == text
        assert log.dropped == 0
    else:
        half = cap // 2
        marker = f"\n[... {log.dropped} bytes left out here: limits.log ...]\n".encode()
        assert found == text[:half] + marker + text[-half:]
        assert log.dropped == len(text) - 2 * half


def test_a_log_never_follows_a_link_that_somebody_laid(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("precious")
    (tmp_path / "log").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic links"):
        LogFile(str(tmp_path / "log"), 100)
    assert (tmp_path / "target").read_text() == "precious"


def test_the_metrics_file_is_read_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    reader = MetricReader({}, LOSS)
    metrics = MetricsFile(str(path), reader)
    assert not metrics.read()
    path.write_text('{"loss": 1}\n{"lo')
    assert metrics.read()
    with path.open("a") as file:
        file.write('ss": 2}\n')
    assert metrics.read()
    assert not metrics.read()
    assert reader.close().points == {"loss": [(1.0, 1.0), (2.0, 2.0)]}


def test_a_pipe_in_place_of_the_metrics_file_does_not_hang_the_runner(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "metrics.jsonl")
    assert not MetricsFile(str(tmp_path / "metrics.jsonl"), MetricReader({}, LOSS)).read()


def test_memory_of_a_session_is_seen() -> None:
    assert resident_mb(os.getsid(0)) > 1
    assert resident_mb(-1) == 0


def test_oom_kills_can_be_asked_for_anywhere() -> None:
    assert oom_kills() >= 0


@pytest.mark.parametrize(("handling", "dies"), [("", True), ("trap 'exit 0' TERM;", False), ("trap '' TERM;", False)])
def test_whether_a_signal_would_kill_a_process_is_read_from_the_kernel(handling: str, dies: bool) -> None:
    with subprocess.Popen(
        ["bash", "-c", f"{handling} echo; read"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        assert dies_of(signal.SIGTERM, shell.pid) == dies
        shell.kill()
    assert not dies_of(signal.SIGTERM, 2**30), "nobody is there"
