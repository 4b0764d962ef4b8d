"""Multi-fidelity methods: which trial is trained further, and when a new one begins.

`actions` has the words that all share, `rungs` the ladder of fidelities. A method is one file; samplers know nothing of
rungs, and methods nothing of samplers.
"""

from __future__ import annotations

from hpo_workflow.multifidelity.actions import Continue, Decision, Forgetting, Method, Start, Step, ancestors
from hpo_workflow.multifidelity.methods import METHODS, get_method
from hpo_workflow.multifidelity.rungs import Ladder

__all__ = [
    "METHODS",
    "Continue",
    "Decision",
    "Forgetting",
    "Ladder",
    "Method",
    "Start",
    "Step",
    "ancestors",
    "get_method",
]
