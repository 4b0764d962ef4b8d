"""At which commit a study ran."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from hpo_workflow.store.git_state import git_state, git_text


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=n", "-c", "user.email=e@e", "-c", "init.defaultBranch=main", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_a_folder_says_its_commit_and_whether_tracked_files_differ(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert git_state(str(tmp_path)) is None  # nothing is committed yet
    (tmp_path / "train.py").write_text("1\n")
    git(tmp_path, "add", "train.py")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    git(tmp_path, "remote", "add", "origin", "https://user:token@example.org/x.git")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "new").write_text("untracked")
    assert git_state(str(tmp_path)) == {"commit": commit, "changed": False}
    (tmp_path / "train.py").write_text("2\n")
    state = git_state(str(tmp_path / "results"))
    assert state == {"commit": commit, "changed": True}
    assert "token" not in json.dumps(state)


def test_outside_of_a_repository_and_without_git_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git_state(str(tmp_path)) is None
    assert git_state(str(tmp_path / "missing")) is None
    assert git_state("\0") is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(str(Path(__file__).parent)) is None


@pytest.mark.parametrize("answer", ["sleep 5", "echo not-a-commit", "exit 3"])
def test_a_git_that_hangs_or_fails_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    program = tmp_path / "git"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("hpo_workflow.store.git_state.PATIENCE_S", 0.2)
    assert git_state(str(tmp_path)) is None


def test_a_recorded_state_is_short_for_people() -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    assert git_text({"commit": commit, "changed": False}) == "0123456789ab"
    assert git_text({"commit": commit, "changed": True}) == "0123456789ab, with changes that were not committed"
    assert git_text({"commit": commit, "changed": None}) == "0123456789ab, changes unknown"
    assert git_text({"commit": commit, "changed": ["x"]}) == "0123456789ab"
    assert git_text(None) == git_text({}) == git_text("x") == git_text({"commit": 3}) == ""
