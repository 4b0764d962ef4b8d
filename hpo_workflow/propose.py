"""What to try next: the one place where a study's state and its sampler meet.

Pure: equal arguments give equal answers. The generator is made from the seed and the number of the first new trial, so
a batch that is computed again from the same records is the same, and trials that were lost and emitted again in between
change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hpo_workflow.multifidelity import Continue, Decision, Start
from hpo_workflow.samplers import Checking, Plan, Replacement, get_sampler, lives_through
from hpo_workflow.samplers.design import draw_within, start_rng
from hpo_workflow.spec import StudySpec
from hpo_workflow.study_state import Emission, StudyState
from hpo_workflow.trial import Params, Proposal, Value


@dataclass(frozen=True)
class Action:
    """One trial to emit, and where it comes from.

    Args:
        proposal: The trial.
        origin: Whose idea it is: a sampler's or a multi-fidelity method's name, `start`, `again` or `retry`.
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
    """First what nothing came of, then what the user wants run anew, then what goes on, then start points and ideas.

    Args:
        again: Trials to emit again.
        fresh: How many new ones.
    """
    actions = [Action(emission.proposal, "again") for emission in again]
    number = state.next_number
    retried = [_renumbered(number + i, old) for i, old in enumerate(state.to_retry[:fresh])]
    actions += [Action(proposal, "retry") for proposal in retried]
    if spec.fidelity is None:
        wanted: list[Decision] = [Start() for _ in range(fresh - len(retried))]
    else:
        wanted = _decisions(state, retried, fresh - len(retried), rng)
    return _carried_out(spec, state, actions, retried, wanted, rng)


def _renumbered(number: int, old: Proposal) -> Proposal:
    """A trial that does what an earlier one did."""
    return replace(old, number=number, config=number if old.is_root else old.config)


def _decisions(state: StudyState, retried: Sequence[Proposal], n_free: int, rng: np.random.Generator) -> list[Decision]:
    """What the multi-fidelity method wants, with what is run anew as pending."""
    assert state.method is not None
    steps = [*state.steps(), *(state.step_of(proposal) for proposal in retried)]
    n_new = max(0, state.n_new() - sum(proposal.is_root for proposal in retried))
    return state.method.decide(state.spec.search_space, steps, n_free, n_new, rng)


def _carried_out(
    spec: StudySpec,
    state: StudyState,
    actions: list[Action],
    retried: Sequence[Proposal],
    wanted: Sequence[Decision],
    rng: np.random.Generator,
) -> Answer:
    """The decisions as trials: configurations that they leave open are start points, then the sampler's ideas.

    Where the sampler has too few, the last ones that needed an idea are left out.
    """
    levels = () if spec.fidelity is None else spec.fidelity.ladder.levels
    first = state.next_number + len(retried)
    n_open = sum(isinstance(decision, Start) and decision.params is None for decision in wanted)
    started = start_actions(spec, state, n_open, first, [proposal.params for proposal in retried])
    known = [*(proposal.params for proposal in retried), *(action.proposal.params for action in started)]
    known += [decision.params for decision in wanted if decision.params is not None]
    n_ideas = n_open - len(started)
    ideas, replaced = _ideas(spec, state, known, n_ideas, rng) if n_ideas else ([], [])
    name = str(spec.sampler["name"])
    begun = [*((action.proposal.params, "start", action.given) for action in started)]
    begun += [(params, name, None) for params in ideas]
    method = "" if spec.fidelity is None else spec.fidelity.method
    number = first
    for decision in wanted:
        fidelity = levels[decision.level] if levels else None
        if isinstance(decision, Continue):
            params, config, origin, given = decision.params, number, method, None
            if params is None:
                parent = state.emissions[decision.parent].proposal
                params, config = parent.params, parent.config
        elif decision.params is not None:
            params, config, origin, given = decision.params, number, method, None
        elif begun:
            (params, origin, given), config = begun.pop(0), number
        else:
            continue
        parent_number = decision.parent if isinstance(decision, Continue) else None
        proposal = Proposal(number, config, params, fidelity, parent_number, bracket=decision.bracket)
        actions.append(Action(proposal, origin, given))
        number += 1
    if len(ideas) < n_ideas:
        return Answer("done", "exhausted", tuple(actions), tuple(replaced))
    return Answer("open", None, tuple(actions), tuple(replaced))


def _ideas(
    spec: StudySpec, state: StudyState, known: Sequence[Params], n: int, rng: np.random.Generator
) -> tuple[list[dict[str, Value]], list[Replacement]]:
    """`n` configurations of the sampler, fewer where nothing is left, and what had to be replaced among them.

    Args:
        known: Configurations of the same batch, which it must not propose again.
    """
    sampler = get_sampler(spec.sampler, plan_of(spec))
    history = state.history(steady=lives_through(sampler))
    if known:
        history = history.with_pending(known)
    if isinstance(sampler, Checking):
        return sampler.propose_checked(spec.search_space, history, n, rng)
    return sampler.propose(spec.search_space, history, n, rng), []


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
