"""Whose files are of no use any more: which trials `keep:` of the study file lets go.

Pure. Only trials that count are let go, so what an earlier command, space or ladder has left stays.
"""

from __future__ import annotations

from hpo_workflow.multifidelity import ancestors
from hpo_workflow.study_state import Ending, StudyState
from hpo_workflow.trial import TrialState

FOR_GOOD = ("target", "budget", "exhausted")
"""Endings after which nothing goes on unless the user asks for more. With a longer `wall` all goes on where it was."""


def let_go(state: StudyState, ending: Ending | None = None) -> set[int]:
    """Trials that have ended and whose files nobody needs.

    Args:
        state: The study, with all that was emitted.
        ending: Why it has ended, None while it goes on.
    """
    keep = state.spec.keep
    if keep == "all":
        return set()
    needed = parents_needed(state, ending)
    best = state.incumbent
    if best is not None and not (keep == "none" and ending is not None and ending.success):
        needed.add(best.number)
    return state.finished.keys() - needed


def parents_needed(state: StudyState, ending: Ending | None = None) -> set[int]:
    """Trials that another one goes on from, or may go on from.

    These are the parents of trials that are pending, of those that failed (`--retry-failed` runs them anew), and all
    that the multi-fidelity method may still want.
    """
    proposals = [state.emissions[number].proposal for number in state.pending]
    proposals += [trial.proposal for trial in state.finished.values() if trial.state is TrialState.FAILED]
    proposals += state.to_retry
    needed = {proposal.parent for proposal in proposals if proposal.parent is not None}
    if state.method is not None and (ending is None or ending.reason not in FOR_GOOD):
        needed |= ancestors(state.method, state.steps(), state.n_new())
    return needed
