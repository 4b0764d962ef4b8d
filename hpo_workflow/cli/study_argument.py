"""What to say where the argument STUDY of a verb names a study that has not run."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from hpo_workflow.reading.opened import OpenStudy
from hpo_workflow.store.study_folder import read_record


def not_run_yet(study: OpenStudy) -> str:
    """What to say of a study without records."""
    where = os.path.abspath(study.folder.root)
    nothing = f"study {study.spec.study} has not run yet: there is nothing in {where}.\n"
    moved = _roots_of_modules(study.argument)
    if moved:
        return f"{nothing}  As a module with a prefix it has: give {' or '.join(shlex.quote(root) for root in moved)}."
    return (
        f"{nothing}"
        f"  Start it with `hpo run {shlex.quote(study.argument)}`, or call this in the folder where it was started."
    )


def _roots_of_modules(study_file: str) -> list[str]:
    """Where modules of the workflow of this folder have run a study file, by the notes that they leave for jobs."""
    from hpo_workflow.workflow import POINTERS

    roots = set()
    for pointer in Path(POINTERS).glob("*.json"):
        known = read_record(str(pointer))
        plan = None if known is None else read_record(known["plan"])
        if plan is not None and os.path.abspath(plan["study_file"]) == os.path.abspath(study_file):
            roots.add(str(Path(known["plan"]).parent.parent.parent))
    return sorted(roots)
