"""Population based training, with members that train in no time."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo_workflow.multifidelity.actions import Continue, Decision, Start, Step
from hpo_workflow.multifidelity.population import PATIENCE, PopulationBasedTraining
from hpo_workflow.multifidelity.rungs import Ladder
from hpo_workflow.space import SearchSpace
from hpo_workflow.space.encoding import configuration
from hpo_workflow.trial import TrialState

SPACE = SearchSpace.from_mapping({"lr": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}})
LADDER = Ladder((4, 8, 12))
COMPLETE, FAILED, PRUNED = TrialState.COMPLETE, TrialState.FAILED, TrialState.PRUNED
PROPOSED, CANCELLED = TrialState.PROPOSED, TrialState.CANCELLED


def step(number: int, loss: float | None = None, **changes: Any) -> Step:
    """The first step of a member, complete with a loss and pending without one."""
    state = PROPOSED if loss is None else COMPLETE
    values = {"params": {"lr": 0.01 * (number + 1)}, "level": 0, "state": state, "bracket": number, "loss": loss}
    return Step(**{"number": number, "config": number, **values, **changes})


def decide(
    steps: list[Step], n_free: int = 99, n_new: int = 0, seed: int = 0, space: SearchSpace = SPACE, **options: Any
) -> list[Decision]:
    method = PopulationBasedTraining(options.pop("ladder", LADDER), **options)
    found = method.decide(space, steps, n_free, n_new, np.random.default_rng(seed))
    assert method.may_act(steps, n_new) is bool(method.decide(space, steps, 1, n_new, np.random.default_rng(seed)))
    return found


def by_member(decisions: list[Decision]) -> dict[int | None, Decision]:
    assert len({decision.bracket for decision in decisions}) == len(decisions)
    return {decision.bracket: decision for decision in decisions}


# ---- beginning and going on --------------------------------------------------------------------------------
def test_a_population_begins_with_members_of_their_own_numbers() -> None:
    assert decide([], n_free=3, n_new=5) == [Start(bracket=0), Start(bracket=1), Start(bracket=2)]
    assert decide([step(0), step(1)], n_free=3, n_new=1) == [Start(bracket=2)]
    assert decide([step(0), step(2, bracket=2)], n_new=2) == [Start(bracket=1), Start(bracket=3)]


def test_a_member_goes_on_from_level_to_level_without_waiting_and_ends_at_the_top() -> None:
    steps = [step(0, 1.0), step(1), step(2)]
    assert decide(steps) == [Continue(0, 1, None, 0)]
    steps.append(step(3, bracket=0, level=1, parent=0))
    assert decide(steps) == []
    steps[-1] = step(3, 0.5, bracket=0, level=1, parent=0)
    assert decide(steps) == [Continue(3, 2, None, 0)]
    steps.append(step(4, 0.4, bracket=0, level=2, parent=3))
    assert decide(steps) == []


def test_new_members_come_first_and_then_those_that_are_behind() -> None:
    steps = [step(0, 1.0), step(1, 1.0), step(2, 1.0, bracket=0, level=1, parent=0), step(3, 1.0)]
    wanted = [Start(bracket=2), Continue(1, 1, None, 1), Continue(3, 1, None, 3), Continue(2, 2, None, 0)]
    assert decide(steps, n_new=1) == wanted
    assert decide(steps, n_new=1, n_free=2) == wanted[:2]


def test_a_level_beyond_the_last_one_opens_when_the_ladder_grows() -> None:
    steps = [step(0, 1.0), step(1, 0.9, bracket=0, level=1, parent=0)]
    assert decide(steps, ladder=Ladder((4, 8))) == []
    assert decide(steps) == [Continue(1, 2, None, 0)]


def test_a_population_of_one_level_is_a_search_without_a_parent() -> None:
    assert decide([step(0, 1.0), step(1)], n_new=1, ladder=Ladder((9,))) == [Start(bracket=2)]
    assert decide([step(0, 1.0), step(1, state=FAILED)], ladder=Ladder((9,))) == []


# ---- truncation --------------------------------------------------------------------------------------------
def test_the_worst_of_four_goes_on_from_the_best_with_other_parameters_and_the_rest_from_themselves() -> None:
    decisions = by_member(decide([step(0, 0.3), step(1, 0.1), step(2, 0.9), step(3, 0.2)]))
    assert [decisions[member] for member in (0, 1, 3)] == [Continue(n, 1, None, n) for n in (0, 1, 3)]
    replaced = decisions[2]
    assert isinstance(replaced, Continue)
    assert (replaced.parent, replaced.level) == (1, 1)
    assert replaced.params in ({"lr": 0.016}, {"lr": 0.024})


def test_winners_are_drawn_among_all_of_the_best() -> None:
    steps = [step(n, float(n)) for n in range(8)]
    drawn = {getattr(by_member(decide(steps, seed=seed))[7], "parent", None) for seed in range(20)}
    assert drawn == {0, 1}


def test_while_few_have_got_through_a_level_nobody_is_the_worst() -> None:
    assert decide([step(0, 0.1), step(1, 0.2), step(2, 9.0), step(3)])[-1] == Continue(2, 1, None, 2)
    assert decide([step(0, 0.1), step(1, 0.2), step(2, 9.0)], quantile=0.5)[-1].params is not None


def test_a_step_is_judged_at_its_own_level_only() -> None:
    steps = [step(n, 0.1 * n) for n in range(4)]
    steps += [step(4 + n, 5.0 + n, bracket=n, level=1, parent=n) for n in range(3)]
    assert by_member(decide(steps))[2] == Continue(6, 2, None, 2)
    steps.append(step(7, 4.0, bracket=3, level=1, parent=3))
    assert by_member(decide(steps))[2].params is not None


def test_nobody_is_replaced_by_one_that_is_no_better() -> None:
    assert all(decision.params is None for decision in decide([step(n, 0.5) for n in range(8)]))


def test_two_that_copy_the_same_winner_get_different_parameters() -> None:
    space = SearchSpace.from_mapping({"batch": [16, 32, 64]})
    steps = [step(n, float(n), params={"batch": 32}) for n in range(4)]
    steps += [step(4, 0.1, params={"batch": 32}), step(5, 9.0), step(6, 9.5), step(7, 9.9)]
    for seed in range(10):
        found = [d.params for d in decide(steps, space=space, quantile=0.5, seed=seed) if d.params is not None]
        of_parent: dict[int, list[Any]] = {}
        for decision in decide(steps, space=space, quantile=0.5, seed=seed):
            if isinstance(decision, Continue) and decision.params is not None:
                of_parent.setdefault(decision.parent, []).append(decision.params["batch"])
        assert found
        for batches in of_parent.values():
            assert len(set(batches[:2])) == len(batches[:2])
            assert 32 not in batches[:2]


# ---- tournament --------------------------------------------------------------------------------------------
def test_in_a_tournament_each_meets_another_and_the_better_one_is_gone_on_from() -> None:
    steps = [step(n, float(n)) for n in range(3)]
    seen: dict[int, set[Any]] = {0: set(), 1: set(), 2: set()}
    for seed in range(40):
        for decision in decide(steps, seed=seed, exploit="tournament"):
            assert isinstance(decision, Continue)
            assert (decision.params is None) is (decision.parent == decision.bracket)
            seen[decision.bracket or 0].add(decision.parent)
    assert seen == {0: {0}, 1: {0, 1}, 2: {0, 1}}


def test_who_is_alone_at_a_level_meets_nobody() -> None:
    assert decide([step(0, 1.0), step(1)], exploit="tournament") == [Continue(0, 1, None, 0)]


# ---- what does not get through -----------------------------------------------------------------------------
@pytest.mark.parametrize("exploit", ["truncation", "tournament"])
@pytest.mark.parametrize("bad", [{"state": FAILED}, {"state": PRUNED}, {"state": COMPLETE, "loss": math.nan}])
def test_who_does_not_get_through_is_replaced_as_soon_as_there_is_somebody_to_copy(bad: Any, exploit: str) -> None:
    assert decide([step(0, **bad), step(1)], exploit=exploit) == []
    decisions = by_member(decide([step(0, **bad), step(1, 0.5)], exploit=exploit))
    assert decisions.pop(1) == Continue(1, 1, None, 1)
    replaced = decisions.pop(0)
    assert isinstance(replaced, Continue)
    assert (replaced.parent, replaced.level) == (1, 1)
    assert replaced.params in ({"lr": 0.016}, {"lr": 0.024})


def test_what_was_pruned_counts_as_the_worst_of_its_level_and_what_failed_does_not_count() -> None:
    steps = [step(0, 0.1), step(1, 0.2), step(2, 0.3), step(3, state=PRUNED)]
    assert by_member(decide(steps))[2] == Continue(2, 1, None, 2)
    steps = [step(0, 0.1), step(1, 0.2), step(2, 0.3), step(3, state=FAILED), step(4, state=FAILED)]
    assert by_member(decide(steps))[2] == Continue(2, 1, None, 2)


def test_a_member_that_diverged_alone_goes_back_to_its_own_last_files_with_other_parameters() -> None:
    steps = [step(0, 0.5), step(1, state=FAILED, bracket=0, level=1, parent=0)]
    (decision,) = decide(steps)
    assert isinstance(decision, Continue)
    assert (decision.parent, decision.level) == (0, 1)
    assert decision.params not in (None, steps[0].params)


def test_who_failed_on_the_way_to_the_top_is_trained_up_to_the_top_again() -> None:
    steps = [step(n, 0.1 * n) for n in range(2)]
    steps += [step(2 + n, 0.1 * n, bracket=n, level=1, parent=n) for n in range(2)]
    steps += [step(4, 0.01, bracket=0, level=2, parent=2), step(5, state=FAILED, bracket=1, level=2, parent=3)]
    (decision,) = decide(steps)
    assert isinstance(decision, Continue)
    assert (decision.parent, decision.level, decision.bracket) == (2, 2, 1)


def test_a_member_of_which_nothing_comes_is_given_up() -> None:
    steps = [step(0, 0.5)]
    for number in range(1, PATIENCE):
        steps.append(step(number, state=FAILED, bracket=0, level=1, parent=0))
        assert len(decide(steps)) == 1
    steps.append(step(PATIENCE, state=CANCELLED, bracket=0, level=1, parent=0))
    assert len(decide(steps)) == 1
    steps.append(step(PATIENCE + 1, state=PRUNED, bracket=0, level=1, parent=0))
    assert decide(steps) == []


def test_where_all_failed_there_is_nothing_to_do() -> None:
    assert decide([step(n, state=FAILED) for n in range(4)]) == []


def test_a_cancelled_step_is_done_once_more_as_it_was() -> None:
    first = step(0, 0.5)
    assert decide([first, step(1, state=CANCELLED, bracket=0, level=1, parent=0, params=first.params)]) == [
        Continue(0, 1, None, 0)
    ]
    other = {"lr": 0.5}
    assert decide([first, step(1, state=CANCELLED, bracket=0, level=1, parent=0, params=other)]) == [
        Continue(0, 1, other, 0)
    ]
    assert decide([step(0, state=CANCELLED)], n_new=1) == [Start(bracket=1)]
    assert decide([step(5, state=CANCELLED, bracket=0, level=1, parent=4)]) == []


def test_steps_without_a_number_of_their_member_are_those_of_their_parents() -> None:
    steps = [step(0, 0.5, bracket=None), step(1, 0.4, bracket=None), step(2, 0.3, bracket=None, level=1, parent=0)]
    assert decide(steps) == [Continue(1, 1, None, 1), Continue(2, 2, None, 0)]
    assert decide(steps[:2], n_new=1)[0] == Start(bracket=2)


# ---- whole populations -------------------------------------------------------------------------------------
@dataclass
class Population:
    """A population in training on `slots` slots; a step takes a random time.

    Args:
        train: (what the parent left, params, epochs) -> (what is left, loss); a loss of None is a failure, infinity a
            pruned step.
        lost: Probability that a step comes to nothing and is emitted again.
    """

    method: PopulationBasedTraining
    space: SearchSpace
    size: int
    slots: int
    train: Callable[[Any, dict[str, Any], float], tuple[Any, float | None]]
    seed: int = 0
    lost: float = 0.0
    steps: list[Step] = field(default_factory=list)
    left: dict[int, Any] = field(default_factory=dict)
    epochs: float = 0.0

    def run(self) -> Population:
        clock = np.random.default_rng([self.seed, 1])
        ends: list[tuple[float, int]] = []
        now = 0.0
        while True:
            n_new = self.size - sum(one.parent is None for one in self.steps)
            decisions = self.decide(self.slots - len(ends), n_new)
            assert self.method.may_act(self.steps, n_new) is bool(decisions) or len(ends) == self.slots
            for decision in decisions:
                self.steps.append(self.step_of(decision))
                heapq.heappush(ends, (now + clock.lognormal(), len(self.steps) - 1))
            if not ends:
                return self
            now, number = heapq.heappop(ends)
            if clock.random() < self.lost:
                heapq.heappush(ends, (now + clock.lognormal(), number))
            else:
                self.end(number)

    def decide(self, n_free: int, n_new: int) -> list[Decision]:
        if n_free == 0:
            return []
        rng = np.random.default_rng([self.seed, len(self.steps)])
        found = self.method.decide(self.space, self.steps, n_free, n_new, rng)
        assert len(found) <= n_free
        return found

    def step_of(self, decision: Decision) -> Step:
        number = len(self.steps)
        if isinstance(decision, Start):
            drawn = np.random.default_rng([self.seed, 2, number]).random(len(self.space.parameters))
            params = configuration(self.space, drawn)
            return Step(number, number, params, decision.level, PROPOSED, None, decision.bracket)
        parent = self.steps[decision.parent]
        config = parent.config if decision.params is None else number
        params = dict(parent.params if decision.params is None else decision.params)
        return Step(number, config, params, decision.level, PROPOSED, parent.number, decision.bracket)

    def end(self, number: int) -> None:
        one = self.steps[number]
        levels = self.method.ladder.levels
        done = levels[one.level] - (0 if one.parent is None else levels[self.steps[one.parent].level])
        self.epochs += done
        self.left[number], loss = self.train(
            self.left.get(-1 if one.parent is None else one.parent), dict(one.params), done
        )
        if loss is None:
            self.steps[number] = replace(one, state=FAILED)
        elif math.isinf(loss):
            self.steps[number] = replace(one, state=PRUNED)
        else:
            self.steps[number] = replace(one, state=COMPLETE, loss=loss)

    def lineage(self, one: Step) -> Iterator[Step]:
        """From a step to its root."""
        yield one
        if one.parent is not None:
            yield from self.lineage(self.steps[one.parent])


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 9),
    slots=st.integers(1, 6),
    levels=st.integers(1, 5),
    exploit=st.sampled_from(["truncation", "tournament"]),
    explore=st.sampled_from(["factor", "resample"]),
    seed=st.integers(0, 10**6),
    trouble=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_any_population_comes_to_its_end_and_every_step_is_sound(
    size: int, slots: int, levels: int, exploit: str, explore: str, seed: int, trouble: float
) -> None:
    method = PopulationBasedTraining(Ladder.even(2, 2 * levels, 2, True), exploit=exploit, explore=explore)

    def run() -> list[Step]:
        luck = np.random.default_rng([seed, 3])

        def train(left: Any, params: dict[str, Any], epochs: float) -> tuple[Any, float | None]:
            if luck.random() < trouble:
                return None, [None, math.inf, math.nan][int(luck.integers(3))]
            return None, float(luck.integers(4))

        return Population(method, SPACE, size, slots, train, seed, lost=0.2).run().steps

    steps = run()
    assert repr(run()) == repr(steps)
    assert sum(one.parent is None for one in steps) == size
    for one in steps:
        assert not one.is_pending
        assert SPACE.fits(one.params)
        if one.parent is None:
            assert one.level == 0
        else:
            parent = steps[one.parent]
            assert (parent.state, one.level) == (COMPLETE, parent.level + 1)
            assert parent.loss is not None
            assert (one.params == parent.params) is (one.config == parent.config)
    for member in range(size):
        own = [one for one in steps if one.bracket == member]
        assert own
        assert all(later.level >= earlier.level for earlier, later in pairwise(own))
        if trouble == 0.0:
            assert [one.level for one in own] == list(range(levels))
        assert len(own) <= PATIENCE * levels


def noisy_quadratic(left: Any, params: dict[str, Any], epochs: float) -> tuple[float, float]:
    """Gradient descent on a noisy parabola: the expected squared distance, 20 steps an epoch.

    A high learning rate approaches fast and then stays away as far as the noise carries it; a low one gets there only
    from near by. The best is one that falls.
    """
    rate = params["lr"]
    shrinks = (1.0 - rate) ** 2
    stays = rate**2 / (1.0 - shrinks)  # the fixed point of distance -> shrinks * distance + rate ** 2
    distance = stays + shrinks ** (20 * epochs) * ((100.0 if left is None else left) - stays)
    return distance, distance


def test_where_the_best_learning_rate_falls_it_beats_random_search_with_as_many_epochs() -> None:
    found: dict[str, list[float]] = {"pbt": [], "random": []}
    for seed in range(6):
        for name, ladder in (("pbt", Ladder.even(2, 40, 2, True)), ("random", Ladder((40,)))):
            population = Population(PopulationBasedTraining(ladder), SPACE, 12, 4, noisy_quadratic, seed).run()
            assert population.epochs == 12 * 40
            found[name].append(min(one.loss for one in population.steps if one.loss is not None))
            if name == "pbt":
                best = min(
                    (one for one in population.steps if one.level == ladder.top), key=lambda one: one.loss or 0.0
                )
                rates = [float(one.params["lr"]) for one in population.lineage(best)]
                assert rates[0] < rates[-1]
    assert np.median(found["pbt"]) < 0.7 * np.median(found["random"])
    assert sum(a < b for a, b in zip(found["pbt"], found["random"], strict=True)) == 6


# ---- its ladder --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("low", "high", "interval", "whole", "levels"),
    [
        (4, 12, 4, True, (4, 8, 12)),
        (4, 14, 4, True, (4, 8, 12, 14)),
        (1, 10, 4, True, (1, 5, 9, 10)),
        (5, 5, 5, True, (5,)),
        (0.1, 0.3, 0.1, False, (0.1, 0.2, 0.3)),
        (0.1, 1.0, 0.3, False, (0.1, 0.4, 0.7, 1.0)),
    ],
)
def test_levels_are_as_far_apart_as_the_interval_and_the_last_one_is_the_highest(
    low: float, high: float, interval: float, whole: bool, levels: tuple[float, ...]
) -> None:
    found = Ladder.even(low, high, interval, whole).levels
    assert found == levels
    assert all(type(level) is (int if whole else float) for level in found)


# ---- who is let go -----------------------------------------------------------------------------------------
def test_members_need_their_own_last_step_and_the_best_of_the_levels_that_are_not_behind_them() -> None:
    method = PopulationBasedTraining(Ladder((4, 8, 12, 16)))
    first = [step(number, float(number)) for number in range(4)]
    second = [step(4 + number, float(number), level=1, parent=number, bracket=number) for number in range(4)]
    assert method.ancestors(first, 0) == {0, 1, 2, 3}
    assert method.ancestors([*first, *second], 0) == {4, 5, 6, 7}  # nobody is judged at the first level any more
    third = [step(8 + number, None, level=2, parent=4 + number, bracket=number) for number in range(4)]
    assert method.ancestors([*first, *second, *third], 0) == {4, 5, 6, 7}
    ended = [replace(one, state=COMPLETE, loss=float(one.number)) for one in third]
    assert method.ancestors([*first, *second, *ended[:3], third[3]], 0) == {7, 8, 9, 10}
    assert method.ancestors([*first, *second, *ended[:3], third[3]], 1) >= {0, 4, 7, 8, 9, 10}


def test_nobody_is_needed_by_members_that_have_reached_the_top_or_are_given_up() -> None:
    method = PopulationBasedTraining(Ladder((4, 8)))
    top = step(1, 0.5, level=1, parent=0, bracket=0)
    in_vain = [step(2 + k, state=FAILED, bracket=1) for k in range(PATIENCE)]
    assert method.ancestors([step(0, 1.0), top, *in_vain], 0) == set()
    assert method.ancestors([step(0, 1.0), top, *in_vain[:-1]], 0) == {0}
