"""How exports know a study and its trials again, wherever its folder is and whoever exports it."""

from __future__ import annotations

from hpo_workflow.errors import UsageError
from hpo_workflow.reading.study import Study
from hpo_workflow.spec import digest_of
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.study_state import Emission
from hpo_workflow.trial import Trial


def study_id(folder: StudyFolder) -> str:
    """What names a study: its first batch, which holds a random name of the run that made it.

    Raises:
        UsageError: It has proposed nothing yet.
    """
    first = folder.batch(0)
    if first is None:
        raise UsageError(f"{folder.root}: this study has not proposed a trial yet; there is nothing to export.")
    trials = [[trial["number"], trial["digest"]] for trial in first["trials"]]
    return digest_of(first["session"], first["identity"], trials)


def record_of(metrics_digest: str, emission: Emission, trial: Trial) -> str:
    """Names what is exported of a trial that has ended: another outcome, another name."""
    outcome = [trial.state.value, trial.reason, repr(trial.value), repr(trial.seconds), trial.host]
    return digest_of(metrics_digest, emission.batch, outcome)


def records_of(study: Study) -> dict[int, str]:
    """The same of each trial that has ended, by number."""
    state = study.state
    return {
        number: record_of(study.plan["metrics_digest"], state.emissions[number], trial)
        for number, trial in sorted(state.finished.items())
    }
