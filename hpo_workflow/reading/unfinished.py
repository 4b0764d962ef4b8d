"""Trials whose outcome is not known: which of them run now, told by their claims."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpo_workflow.store.atomic import read_json
from hpo_workflow.store.processes import is_alive
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.study_state import StudyState
from hpo_workflow.trial import TrialState

QUIET_S = 300.0
"""A claim of another host is touched every few seconds; after so long without it nobody is taken to run the trial."""


@dataclass(frozen=True)
class RunningAttempt:
    """An attempt that somebody runs.

    Args:
        number: Which of the trial's attempts.
        begun: When it began, as seconds of the epoch by the file server's clock; None where it is not known.
        slurm_job: The job that it runs in; empty where it is none.
    """

    number: int
    begun: float | None
    slurm_job: str


def running_attempt(folder: StudyFolder, number: int) -> RunningAttempt | None:
    """The attempt of a trial that somebody runs, as far as can be seen from here; None where nobody does.

    It reads claims and asks nobody else: whoever watches a study looks at many trials every second.
    """
    attempt = 1
    last: tuple[str, Mapping[str, Any]] | None = None
    while True:
        path = folder.paths.claim(number, attempt)
        try:
            record: Any = read_json(path)
        except ValueError:
            record = {"pid": 0, "ended": {}}
        if record is None:
            break
        last = (path, record)
        attempt += 1
    if last is None or last[1].get("ended") is not None:
        return None
    path, record = last
    alive = is_alive(record)
    if alive is None:  # on another host
        try:
            alive = time.time() - os.stat(path).st_mtime < QUIET_S
        except OSError:
            alive = False
    if not alive:
        return None
    begun = record.get("born")
    known = float(begun) if isinstance(begun, (int, float)) else None
    return RunningAttempt(attempt - 1, known, str(record.get("slurm_job") or ""))


def is_running(folder: StudyFolder, number: int) -> bool:
    """Whether somebody runs an attempt of this trial, as far as can be seen from here."""
    return running_attempt(folder, number) is not None


def unfinished(folder: StudyFolder, state: StudyState) -> dict[int, TrialState]:
    """`running` or `proposed` for each trial that counts and has no outcome."""
    return {
        number: TrialState.RUNNING if is_running(folder, number) else TrialState.PROPOSED
        for number in state.emissions
        if number not in state.finished
    }
