"""What to try next: the one place where a study's state and its sampler meet.

Pure: equal arguments give equal answers. The generator is made from the seed and the number of the first new trial, so
a batch that is computed again from the same records is the same, and trials that were lost and emitted again in between
change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hpo_workflow.samplers import Checking, Plan, Replacement, get_sampler
from hpo_workflow.samplers.design import draw_within, start_rng
from hpo_workflow.spec import StudySpec
from hpo_workflow.study_state import Emission, StudyState
from hpo_workflow.trial import Params, Proposal


@dataclass(frozen=True)
class Action:
    """One trial to emit, and where it comes from.

    Args:
        proposal: The trial.
        origin: A sampler's name, `start`, `again` or `retry`.
        given: Of a start point, what the user gave of it.
    """

    proposal: Proposal
    origin: str
    given: Params | None = None


@dataclass(frozen=True)
class Answer:
    """What one batch holds.

    Args:
        kind: `open` (ask again when a slot frees), `wait` (ask when something new has finished) or `done`.
        reason: Why it is `done`: `exhausted`.
        actions: Trials to emit.
        replaced: What the sampler proposed and could not be used.
    """

    kind: str
    reason: str | None = None
    actions: tuple[Action, ...] = ()
    replaced: tuple[Replacement, ...] = ()


def batch_rng(seed: int, first: int) -> np.random.Generator:
    """The generator of the batch whose new trials begin with number `first`."""
    return np.random.default_rng([seed, first])


def plan_of(spec: StudySpec) -> Plan:
    """What a sampler is told of how much will be tried."""
    return Plan(spec.budget.trials, spec.budget.parallel)


def propose(spec: StudySpec, state: StudyState, rng: np.random.Generator) -> Answer:
    """Fill the free slots."""
    return fill(spec, state, *state.slots(), rng)


def fill(spec: StudySpec, state: StudyState, again: Sequence[Emission], fresh: int, rng: np.random.Generator) -> Answer:
    """First what nothing came of, then what the user wants run anew, then start points, then the sampler's ideas.

    Args:
        again: Trials to emit again.
        fresh: How many new ones.
    """
    actions = [Action(emission.proposal, "again") for emission in again]
    number = state.next_number
    retried = [dict(params) for params in state.to_retry[:fresh]]
    for params in retried:
        actions.append(Action(Proposal(number, number, params), "retry"))
        number += 1
    started = start_actions(spec, state, fresh - len(retried), number, retried)
    actions += started
    number += len(started)
    wanted = fresh - len(retried) - len(started)
    answer = Answer("open", actions=tuple(actions))
    if wanted == 0:
        return answer
    sampler = get_sampler(spec.sampler, plan_of(spec))
    history = state.history()
    if retried or started:
        history = history.with_pending([*retried, *(action.proposal.params for action in started)])
    replaced: list[Replacement] = []
    if isinstance(sampler, Checking):
        found, replaced = sampler.propose_checked(spec.search_space, history, wanted, rng)
    else:
        found = sampler.propose(spec.search_space, history, wanted, rng)
    name = str(spec.sampler["name"])
    actions += [Action(Proposal(number + i, number + i, params), name) for i, params in enumerate(found)]
    if len(found) < wanted:
        return Answer("done", "exhausted", tuple(actions), tuple(replaced))
    return Answer("open", None, tuple(actions), tuple(replaced))


def start_actions(
    spec: StudySpec, state: StudyState, n: int, number: int, retried: Sequence[Params] = ()
) -> list[Action]:
    """The next start points, `n` at most; what an entry does not give is drawn.

    An entry all of whose configurations were proposed already is passed over.

    Args:
        number: Of the first of them.
        retried: Configurations of the same batch.
    """
    actions: list[Action] = []
    waiting = state.to_start if n > 0 else []
    if not waiting:
        return actions
    space = spec.search_space
    taken = {space.key(params) for params in retried}
    taken.update(space.key(emission.proposal.params) for emission in state.emissions.values())
    for given in waiting:
        params = draw_within(space, given, taken, start_rng(spec.seed, number + len(actions)))
        if params is None:
            continue
        taken.add(space.key(params))
        actions.append(Action(Proposal(number + len(actions), number + len(actions), params), "start", given))
        if len(actions) == n:
            break
    return actions
