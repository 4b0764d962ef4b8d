"""One Snakemake a study; a dead one does not block the next."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hpo_workflow.errors import UsageError
from hpo_workflow.store.atomic import unseal
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.session import Session, read_session, session_seconds

HOLD = "\n".join(
    [
        "import sys, time",
        "from hpo_workflow.store.paths import StudyPaths",
        "from hpo_workflow.store.session import Session",
        "session, _ = Session.acquire(StudyPaths(sys.argv[1]))",
        "print('held', flush=True)",
        "sys.stdin.read()",
    ]
)


def holder(root: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_one_is_refused_with_host_process_and_time(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        with pytest.raises(UsageError) as caught:
            Session.acquire(StudyPaths(str(tmp_path)))
        message = str(caught.value)
        assert f"process {process.pid} on {socket.gethostname()}, since 20" in message
        assert process.stdin is not None
        process.stdin.close()
    assert process.returncode == 0
    assert read_session(StudyPaths(str(tmp_path))) is None  # given free at exit


def test_a_killed_owner_is_cleared_away(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.kill()
    session, cleared = Session.acquire(StudyPaths(str(tmp_path)))
    assert cleared is not None and cleared["pid"] == process.pid
    assert session_seconds(session.paths) < 60
    session.release()
    assert read_session(session.paths) is None


def test_a_process_id_that_was_given_to_another_is_not_the_owner(tmp_path: Path) -> None:
    paths = StudyPaths(str(tmp_path))
    session, _ = Session.acquire(paths)
    record = unseal(Path(paths.session).read_bytes())
    record["pid_start"] = "1"
    Path(paths.session).write_text(json.dumps(record))
    second, cleared = Session.acquire(paths)
    assert cleared is not None and cleared["pid"] == os.getpid()
    session.release()  # no longer its own: leaves the second one's file alone
    assert read_session(paths) is not None
    second.release()


def test_the_session_says_at_which_commit_the_folder_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"commit": "0" * 40, "changed": True}
    monkeypatch.setattr("hpo_workflow.store.session.git_state", lambda folder: state)
    session, _ = Session.acquire(StudyPaths(str(tmp_path)))
    record = read_session(session.paths)
    session.release()
    assert record is not None and record["git"] == state


def test_an_owner_on_another_host_blocks_unless_forced(tmp_path: Path) -> None:
    paths = StudyPaths(str(tmp_path))
    session, _ = Session.acquire(paths)
    record = unseal(Path(paths.session).read_bytes())
    record["host"] = "login-2"
    Path(paths.session).write_text(json.dumps(record))
    with pytest.raises(UsageError, match="on login-2, .*\n.*cannot be checked from here.*hpo run --force"):
        Session.acquire(paths)
    forced, _ = Session.acquire(paths, force=True)
    forced.release()
    session.release()


def test_a_garbled_session_file_blocks_nobody(tmp_path: Path) -> None:
    paths = StudyPaths(str(tmp_path))
    Path(paths.state).mkdir()
    Path(paths.session).write_text('{"host": ')
    session, cleared = Session.acquire(paths)
    assert cleared is None
    session.release()
