"""Which trial held which slot when, and what slots that stood empty waited for.

Records do not say in which slot a trial ran, only when it began and ended. It is put into the slot that has been empty
for longest; how long slots stood empty in all does not depend on that. Times are seconds since 1970; records hold whole
seconds, so a wait of a second may be none.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

RESOLUTION_S = 1.5
"""A trial that seems to begin so little before a slot is free has begun in it: times were cut to whole seconds."""

SHORTEST_PAUSE_S = 5.0
"""Between two runs of a study; what is shorter is a restart and counts as a wait."""

CAUSES = ("others", "proposing", "starting", "nothing left")
"""What an empty slot waits for."""


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
class Asking:
    """One batch: when it was made, in which run of the study, what it emitted and which new results it took in."""

    created: float
    session: str
    trials: tuple[int, ...]
    new: tuple[int, ...] = ()


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
        waits: Each time that a slot stood empty before a trial, in the order in which the trials began.
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


def timeline(
    attempts: Iterable[Attempt], batches: Sequence[Asking], parallel: int, *, together: bool = False, over: bool = True
) -> Timeline | None:
    """Who held the slots; None where no attempt is known.

    Args:
        attempts: All that is known, in any order.
        batches: In their order.
        parallel: How many trials may run at a time. Where more ran (the study file said more), there are more slots.
        together: Whether trials wait for each other by intention: rounds, or rungs that have to be filled. Elsewhere a
            slot never waits for other trials.
        over: Whether the study has ended, so that slots without a trial wait for nothing.
    """
    held = sorted(attempts, key=lambda each: (each.begun, each.number, each.attempt))
    if not held:
        return None
    created = [batch.created for batch in batches]
    begun = min([held[0].begun, *created[:1]])
    ended = max(each.ended for each in held)
    pauses = _pauses(held, batches)
    last_end = {each.number: each.ended for each in sorted(held, key=lambda each: each.ended)}
    emitted: dict[int, list[Asking]] = {}
    for batch in batches:
        for number in batch.trials:
            emitted.setdefault(number, []).append(batch)

    slots: list[list[Attempt]] = []
    unused = max(1, parallel)
    free: list[tuple[float, int]] = []  # since when, which
    waits = []
    for attempt in held:
        if unused:  # it has been empty from the beginning
            unused -= 1
            since, slot = begun, len(slots)
            slots.append([])
        elif free and free[0][0] <= attempt.begun + RESOLUTION_S:
            since, slot = heapq.heappop(free)
        else:
            since, slot = attempt.begun, len(slots)
            slots.append([])
        slots[slot].append(attempt)
        heapq.heappush(free, (attempt.ended, slot))
        source = _source(emitted.get(attempt.number, ()), attempt.begun)
        waits.append(_wait(slot, attempt, since, source, last_end if together else {}, pauses))
    idle = {
        "others": sum(wait.others_s for wait in waits),
        "proposing": sum(wait.proposing_s for wait in waits),
        "starting": sum(wait.starting_s for wait in waits),
        "nothing left": sum(_lasting(since, ended, pauses) for since, _ in free) if over else 0.0,
    }
    return Timeline(
        slots=tuple(map(tuple, slots)),
        waits=tuple(wait for wait in waits if wait.seconds > 0),
        begun=begun,
        ended=ended,
        pauses=tuple(pauses),
        busy_s=sum(each.ended - each.begun for each in held),
        lost_s=sum(each.ended - each.begun for each in held if each.how == "lost"),
        idle_s=idle,
    )


def _source(batches: Sequence[Asking], begun: float) -> Asking | None:
    """The batch that an attempt comes from: the last one before it."""
    place = bisect_right([batch.created for batch in batches], begun + RESOLUTION_S)
    return batches[place - 1] if place else None


def _wait(
    slot: int,
    attempt: Attempt,
    since: float,
    source: Asking | None,
    last_end: Mapping[int, float],
    pauses: Sequence[tuple[float, float]],
) -> Wait:
    """How long a slot waited for an attempt, and for what."""
    until = max(attempt.begun, since)
    proposed = since if source is None else min(max(source.created, since), until)
    results = [] if source is None else [last_end[number] for number in source.new if number in last_end]
    known = min(max([since, *results]), proposed)
    parts = [_lasting(a, b, pauses) for a, b in ((since, known), (known, proposed), (proposed, until))]
    return Wait(slot, attempt.number, since, *parts)


def _lasting(begin: float, end: float, pauses: Sequence[tuple[float, float]]) -> float:
    """Seconds from `begin` to `end` without the pauses."""
    paused = sum(max(0.0, min(end, b) - max(begin, a)) for a, b in pauses)
    return max(0.0, end - begin - paused)


def _pauses(held: Sequence[Attempt], batches: Sequence[Asking]) -> list[tuple[float, float]]:
    """Times between two runs of the study: between the last batch of one and the first of the next, the longest one in
    which no trial ran."""
    pauses = []
    for before, after in pairwise(batches):
        if before.session == after.session or after.created - before.created < SHORTEST_PAUSE_S:
            continue
        longest = (before.created, before.created)
        quiet_since = before.created
        for attempt in held:
            if attempt.ended <= quiet_since:
                continue
            until = min(max(attempt.begun, quiet_since), after.created)
            if until - quiet_since > longest[1] - longest[0]:
                longest = (quiet_since, until)
            quiet_since = max(quiet_since, attempt.ended)
            if quiet_since >= after.created:
                break
        if after.created - quiet_since > longest[1] - longest[0]:
            longest = (quiet_since, after.created)
        if longest[1] - longest[0] >= SHORTEST_PAUSE_S:
            pauses.append(longest)
    return pauses
