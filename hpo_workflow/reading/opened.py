"""A study as a user names it: a study file, or the folder of its results."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo_workflow.errors import UsageError
from hpo_workflow.spec import StudySpec
from hpo_workflow.store.plan import Plan
from hpo_workflow.store.processes import is_alive
from hpo_workflow.store.session import read_session, session_seconds
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.store.usage import held_gpu_s
from hpo_workflow.study_state import Ending, StudyState

if TYPE_CHECKING:
    from hpo_workflow.study_file import LoadedStudy


@dataclass(frozen=True)
class OpenStudy:
    """A study that a user named.

    Args:
        argument: What the user typed, to be shown in commands.
        folder: Its records.
        plan: The plan in force, as JSON; of a study that has never run, the one that its file gives.
        spec: The study as the plan has it.
        has_run: Whether there are records.
    """

    argument: str
    folder: StudyFolder
    plan: dict[str, Any]
    spec: StudySpec
    has_run: bool

    def state(self) -> StudyState:
        """The study as its records tell it."""
        return self.folder.state(self.plan, self.spec)


def load_plan(path: str) -> tuple[Plan, LoadedStudy]:
    """A study file as a plan.

    Raises:
        ConfigError: The file has faults.
        UsageError: There is no such file; the message names those that are there.
    """
    if not os.path.exists(path):
        raise UsageError(_no_such(path))
    from hpo_workflow.study_file import planning

    return planning.load_plan(path)


def open_study(argument: str) -> OpenStudy:
    """The study of a study file or of a results folder.

    Raises:
        ConfigError: The file has faults.
        UsageError: There is no such file, or the folder is not a study's.
    """
    if not os.path.isdir(argument):
        plan, _ = load_plan(argument)
        folder = StudyFolder(plan.spec.root)
        current = folder.current_plan()
        if current is None:
            return OpenStudy(argument, folder, plan.to_json(), plan.spec, has_run=False)
    else:
        folder = StudyFolder(os.path.normpath(argument))
        current = folder.current_plan()
        if current is None:
            raise UsageError(_no_study_in(argument))
    return OpenStudy(argument, folder, current, StudySpec.from_json(current["spec"]), has_run=True)


def elapsed_s(folder: StudyFolder, state: StudyState) -> float:
    """How long the study has run, all runs together; the present one by this host's clock."""
    session = read_session(folder.paths)
    if session is None or is_alive(session) is False:
        return state.elapsed_s()
    return state.elapsed_s(session.get("token")) + session_seconds(folder.paths)


def ending_of(folder: StudyFolder, state: StudyState) -> Ending | None:
    """Why a study proposes no more, with the time that it has taken and the GPUs that it holds."""
    elapsed = elapsed_s(folder, state) if state.spec.budget.wall_s is not None else 0.0
    return state.ending(elapsed, held_gpu_s(folder.paths, state))


def _no_such(path: str) -> str:
    found = sorted({str(file) for pattern in ("*.yaml", "*.yml", "config/*.yaml") for file in Path().glob(pattern)})
    message = f"{path}: there is no such file or folder."
    if found:
        return f"{message}\n  Here are {', '.join(found[:8])}."
    return f"{message}\n  `hpo init` writes a first study file."


def _no_study_in(argument: str) -> str:
    inside = sorted(str(file.parent.parent) for file in Path(argument).glob("*/state/plan.json"))
    message = f"{argument}: no study has run in this folder."
    if inside:
        return f"{message}\n  Below it are {', '.join(inside[:8])}."
    return f"{message}\n  Give a study file, or the folder that a study wrote (outdir/study)."
