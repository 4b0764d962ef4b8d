"""At which commit of its git repository a folder is: for the provenance of a study, not for its identity."""

from __future__ import annotations

import os
import re
import subprocess
from typing import Any

PATIENCE_S = 3.0
"""For each call: a study does not wait for a repository of millions of files on a slow disk."""

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def git_state(folder: str) -> dict[str, Any] | None:
    """`commit` (the whole hash) and `changed` (whether tracked files differ from it, None where that took too long).

    None outside of a repository, in one without a commit, and where git is not installed or fails. Nothing else is
    recorded: the addresses of remotes may hold tokens. Nothing is written: no lock is taken, no index refreshed.
    """
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if commit is None or not COMMIT.fullmatch(commit):
        return None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty")
    return {"commit": commit, "changed": None if changes is None else bool(changes)}


def _git(folder: str, *arguments: str) -> str | None:
    """What git says, without the blanks around it; None where it fails."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    command = ["git", "-c", "core.fsmonitor=false", "-C", folder, *arguments]
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S, check=False
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else None


def git_text(state: object) -> str:
    """A state as it was recorded, for people: `0123456789ab, with changes that were not committed`; empty for none."""
    if not isinstance(state, dict) or not isinstance(state.get("commit"), str):
        return ""
    changed = state.get("changed")
    remark = (
        ", with changes that were not committed" if changed is True else ", changes unknown" if changed is None else ""
    )
    return f"{state['commit'][:12]}{remark}"
