"""The best trial of a study, with the command that gives it."""

from __future__ import annotations

import json
import os
import shlex
from typing import Any

from hpo_workflow.runner.command import resumed_from
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.store.trial_files import are_deleted
from hpo_workflow.study_state import StudyState
from hpo_workflow.template import RenderedTrial, describe

USUAL_PORT = 29500
"""What a command shows for `${trial.port}`: torch's own default; a trial gets a free one when it starts."""


def trial_facts(trial: dict[str, Any], rendered: RenderedTrial, root: str) -> dict[str, object]:
    """What `${trial.NAME}` stands for in the command of one trial of a batch record of the study in `root`."""
    number = trial["number"]
    paths = StudyPaths(root)
    place = paths.trial_dir(number)
    facts: dict[str, object] = {
        "number": number,
        "config": trial["config"],
        "dir": place,
        "seed": trial["seed"],
        "attempt": 1,
        "params_file": paths.params_file(number),
        "port": USUAL_PORT,
    }
    if trial["fidelity"] is not None:
        facts["fidelity"] = trial["fidelity"]
        facts["resume_from"] = resumed_from(paths, number, trial["parent"])
    facts.update({f"file.{name}": os.path.join(place, file["to"]) for name, file in rendered.files.items()})
    return facts


def best_record(folder: StudyFolder, state: StudyState) -> dict[str, Any] | None:
    """The best trial so far: `trial, value, params, command, metrics`; None while no trial is complete.

    Where `keep:` has deleted its files, or those that its command goes on from, `files_deleted` names these trials.
    """
    best = state.incumbent
    if best is None:
        return None
    emitted = folder.trial_record(best.number, best.batch)
    rendered = RenderedTrial.from_json(emitted["rendered"])
    elsewhere = state.spec.workdir == "trial"
    facts = trial_facts(emitted, rendered, os.path.abspath(folder.root) if elsewhere else folder.root)
    root = state.emissions.get(best.proposal.config)
    if root is not None and root.proposal.is_root:
        facts["resume_from"] = ""  # its parameters never changed, so one training from the start gives the same
    command = describe(rendered, facts, passed=state.spec.passed)
    if elsewhere:
        command = f"cd {shlex.quote(str(facts['dir']))}\n{command}"
    deleted = [best.number] if are_deleted(folder.paths, best.number) else []
    parent = best.proposal.parent
    named = bool(facts.get("resume_from")) and str(facts["resume_from"]) in command
    if named and parent is not None and are_deleted(folder.paths, parent):
        deleted.append(parent)
    return {
        "trial": best.number,
        "value": best.value,
        "params": json.loads(rendered.params_text),
        "command": command,
        "metrics": dict(best.metrics),
        **({"files_deleted": deleted} if deleted else {}),
    }
