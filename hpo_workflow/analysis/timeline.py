"""Which trial held which slot when, and what slots that stood empty waited for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Attempt:
    """One start of a trial's program.

    Args:
        number: The trial.
        attempt: 1 for the first.
        begun, ended: Seconds since 1970; one that runs ends now.
        how: How it ended, or `running`: `complete | pruned | failed | cancelled | lost | running`.
        host: Where it ran; empty where that is not known.
    """

    number: int
    attempt: int
    begun: float
    ended: float
    how: str
    host: str = ""


@dataclass(frozen=True)
class Wait:
    """A slot that stood empty until a trial started in it, and what it waited for, in seconds.

    Args:
        slot: The slot.
        number: The trial that ended the wait.
        begun: When the slot became free, in seconds since 1970.
        others_s: Until the last result that its proposal took in: a round was not over, or a rung not filled.
        proposing_s: From there until it was proposed: metrics were read and the sampler was asked.
        starting_s: From there until its program started: the queue, and the start of the job.
    """

    slot: int
    number: int
    begun: float
    others_s: float
    proposing_s: float
    starting_s: float

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.others_s + self.proposing_s + self.starting_s


@dataclass(frozen=True)
class Timeline:
    """Who held the slots.

    Args:
        slots: Of each slot the attempts that were in it, in their order; a slot is a place in a picture, no machine.
        waits: Each time that a slot stood empty before a trial, in the order in which they began.
        begun, ended: When the first trial was proposed and when the last attempt ended, in seconds since 1970.
        pauses: Times in which nobody ran the study, as (begin, end); they count neither as busy nor as idle.
        busy_s: Time that attempts took, added up over slots.
        lost_s: What of it was lost: attempts that nothing came of.
        idle_s: Time that slots stood empty while the study ran, by what they waited for: `others`, `proposing` and
            `starting` as in Wait, and `nothing left` after the last trial that there was for a slot.
    """

    slots: tuple[tuple[Attempt, ...], ...]
    waits: tuple[Wait, ...]
    begun: float
    ended: float
    pauses: tuple[tuple[float, float], ...]
    busy_s: float
    lost_s: float
    idle_s: Mapping[str, float]
