"""The nouns that all parts share: proposals, trials and how they end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Value = bool | int | float | str
"""What a parameter can be."""

Params = Mapping[str, Value]
"""Values of the active sampled parameters, by name; constants and derived values are not in it."""


class TrialState(StrEnum):
    """Where a trial stands. The last four are terminal."""

    PROPOSED = "proposed"
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return self not in (TrialState.PROPOSED, TrialState.RUNNING)


@dataclass(frozen=True)
class Proposal:
    """A trial that was suggested.

    Args:
        number: Its number in the study, from 0.
        config: Number of its configuration; the trial that first ran it has the same number.
        params: Active sampled parameters.
        fidelity: Size of the trial, or None where the study has no fidelity.
        parent: Number of the trial whose work it goes on from, None where it starts from nothing.
        replicate: Which repetition of the configuration it is.
        bracket: The bracket that it belongs to, where the multi-fidelity method has brackets.
    """

    number: int
    config: int
    params: Params
    fidelity: float | None = None
    parent: int | None = None
    replicate: int = 0
    bracket: int | None = None

    @property
    def is_root(self) -> bool:
        """Whether it begins a configuration; only these count in the budget."""
        return self.parent is None


@dataclass(frozen=True)
class Trial:
    """A proposal and what has come of it.

    Args:
        proposal: What was suggested.
        batch: The batch that emitted it.
        state: Where it stands.
        value: The objective as the program printed it, only of a complete or pruned trial.
        reason: Why it failed or was cancelled (`exit_code`, `timeout`, `metric_missing`, ...).
        detail: The same as a sentence for people.
        seconds: How long its last attempt ran.
        cached: Its result was known already; it cost nothing.
        metrics: Last value of each metric that it printed.
        warnings: What is doubtful about how its output was read; sentences.
        host: Where its last attempt ran; empty where that is not known.
        audited: Why the pruner would have ended it, where it ran on as an audit.
    """

    proposal: Proposal
    batch: int
    state: TrialState
    value: float | None = None
    reason: str | None = None
    detail: str = ""
    seconds: float | None = None
    max_rss_mb: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    cached: bool = False
    audited: str = ""
    host: str = ""

    @property
    def counts(self) -> bool:
        """Whether it costs budget, once it has ended: trials that go on from others do not, nor cancelled ones."""
        return self.proposal.is_root and self.state is not TrialState.CANCELLED

    @property
    def number(self) -> int:
        return self.proposal.number

    @property
    def params(self) -> Params:
        return self.proposal.params
