"""Trials whose outcome is not known: which of them run now, told by their claims."""

from __future__ import annotations

import os
import time

from hpo_workflow.runner.claim import Observer
from hpo_workflow.store.atomic import read_json
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.study_state import StudyState
from hpo_workflow.trial import TrialState

QUIET_S = 300.0
"""A claim of another host is touched every few seconds; after so long without it nobody is taken to run the trial."""


def is_running(folder: StudyFolder, number: int) -> bool:
    """Whether somebody runs an attempt of this trial, as far as can be seen from here."""
    attempt = 1
    last = None
    while True:
        path = folder.paths.claim(number, attempt)
        try:
            record = read_json(path)
        except ValueError:
            record = {"pid": 0, "ended": {}}
        if record is None:
            break
        last = (path, record)
        attempt += 1
    if last is None or last[1].get("ended") is not None:
        return False
    path, record = last
    state = Observer(path, record).state()
    if state == "unknown":
        try:
            return time.time() - os.stat(path).st_mtime < QUIET_S
        except OSError:
            return False
    return state == "alive"


def unfinished(folder: StudyFolder, state: StudyState) -> dict[int, TrialState]:
    """`running` or `proposed` for each trial that counts and has no outcome."""
    return {
        number: TrialState.RUNNING if is_running(folder, number) else TrialState.PROPOSED
        for number in state.emissions
        if number not in state.finished
    }
