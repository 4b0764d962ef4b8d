"""The message for an edit that would make finished trials stop counting."""

from __future__ import annotations

import os
import shlex

from hpo_workflow.store.plan import IdentityConflict, Plan
from hpo_workflow.store.study_folder import StudyFolder, read_record
from hpo_workflow.study_file.identity import diff_identity

DIFF_LINES = 60
"""The diff is cut here: a replaced data file must not scroll the choices away."""


def describe_conflict(folder: StudyFolder, plan: Plan, conflict: IdentityConflict) -> str:
    """What changed, what it would cost, and the two choices."""
    n = conflict.n_trials
    trials = "1 finished trial" if n == 1 else f"{n} finished trials"
    if conflict.gpu_hours is not None:
        cost = f" ({conflict.gpu_hours:.3g} GPU-hours)"
    elif conflict.hours >= 0.01:
        cost = f" ({conflict.hours:.2g} hours)"
    else:
        cost = f" ({conflict.hours * 3600:.2g} seconds)"
    lines = [
        f"{plan.study_file}: {trials}{cost} of study {plan.spec.study} ran something else than this file says now."
    ]
    for other in conflict.others:
        stored = read_record(folder.paths.identity(other))
        if stored is None:
            lines.append(f"  What they ran is not known: {folder.paths.identity(other)} is not there.")
            continue
        difference = diff_identity(stored, plan.identity_content)
        lines.append("  What has changed since:")
        lines += [f"    {line}" for line in difference[:DIFF_LINES]]
        if len(difference) > DIFF_LINES:
            lines.append(f"    ... and {len(difference) - DIFF_LINES} more lines")
    study = shlex.quote(plan.study_file)
    lines += [
        "  Nothing was started. Decide, or undo the change:",
        f"    hpo run {study} --keep    the change does not matter: old and new results count alike",
        f"    hpo run {study} --fresh   it matters: the old results stay on disk and do not count",
    ]
    if os.path.normpath(folder.root) != os.path.normpath(plan.spec.root):
        outdir = os.path.dirname(os.path.normpath(folder.root))
        lines.append(
            f"  `hpo run` knows no prefix of a module. Take it away first and write `outdir: {outdir}` into the study"
            " file: that is the same folder."
        )
    return "\n".join(lines)
