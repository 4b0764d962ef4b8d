"""The trials of a study as rows: one JSON value each."""

from __future__ import annotations

from typing import Any

from hpo_workflow.reading.unfinished import unfinished
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.study_state import StudyState


def trial_rows(folder: StudyFolder, state: StudyState) -> list[dict[str, Any]]:
    """Each trial that counts as JSON values, by number. `params` are complete, with constants and derived values."""
    rows = []
    open_states = unfinished(folder, state)
    for number_, emission in sorted(state.emissions.items()):
        trial = state.finished.get(number_)
        rows.append(
            {
                "number": number_,
                "config": emission.proposal.config,
                "state": open_states[number_].value if trial is None else trial.state.value,
                "value": None if trial is None else trial.value,
                "params": state.spec.search_space.complete(emission.proposal.params),
                "metrics": {} if trial is None else dict(trial.metrics),
                "fidelity": emission.proposal.fidelity,
                "parent": emission.proposal.parent,
                "bracket": emission.proposal.bracket,
                "reason": None if trial is None else trial.reason,
                "detail": None if trial is None else trial.detail or None,
                "audited": None if trial is None else trial.audited or None,
                "seconds": None if trial is None else trial.seconds,
                "max_rss_mb": None if trial is None else trial.max_rss_mb,
                "batch": emission.batch,
                "origin": emission.origin,
                "cached": trial is not None and trial.cached,
                "dir": folder.paths.trial_dir(number_),
            }
        )
    return rows
