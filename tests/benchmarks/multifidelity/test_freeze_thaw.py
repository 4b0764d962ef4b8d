"""A model chooses what goes on, and what keeps it from doing harm."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.multifidelity.freeze_thaw import SAFEGUARD, SHARE, STARTUP, FreezeThaw, losses_to_learn
from hpo_workflow.multifidelity import Continue, Decision, Ladder, Start, Step
from hpo_workflow.space import SearchSpace
from hpo_workflow.trial import TrialState
from tests.multifidelity.population_of_steps import SPACE, Course, Outcome, Study, by_x, mixed

LADDER = Ladder((1, 3, 9), 3)


def troubled(step: Step, chance: random.Random) -> Outcome:
    draw = chance.random()
    for bound, state in ((0.2, TrialState.CANCELLED), (0.5, TrialState.FAILED), (0.7, TrialState.PRUNED)):
        if draw < bound:
            return state, None
    return TrialState.COMPLETE, chance.choice([-1.0, 0.5, 1e300])


def all_fail(step: Step, chance: random.Random) -> Outcome:
    return TrialState.FAILED, None


def all_equal(step: Step, chance: random.Random) -> Outcome:
    return TrialState.COMPLETE, 0.5


def decide(steps: list[Step], n_free: int = 1, n_new: int = 5, seed: int = 0) -> list[Decision]:
    return FreezeThaw(LADDER).decide(SPACE, steps, n_free, n_new, np.random.default_rng(seed))


@pytest.mark.parametrize("course", [by_x, mixed, troubled, all_fail, all_equal], ids=lambda course: course.__name__)
@pytest.mark.parametrize("parallel", [1, 4])
def test_a_study_comes_to_its_end_and_keeps_the_shape_of_the_ladder(course: Course, parallel: int) -> None:
    method = FreezeThaw(LADDER)
    study = Study(method, 24, parallel, course)
    study.run()
    assert study.n_new == 0
    assert all(not step.is_pending for step in study.steps)
    assert not method.may_act(study.steps, 0)
    assert not method.ancestors(study.steps, 0)
    for low, high in ((0, 1), (1, 2)):
        through = sum(step.score is not None for step in study.steps if step.level == low)
        assert len(study.at_level(high)) <= max(1, SHARE * through)
    for step in study.steps:
        if step.parent is not None:
            parent = study.steps[step.parent]
            assert (parent.level, parent.state) == (step.level - 1, TrialState.COMPLETE)


def test_no_more_come_to_a_level_than_it_says_and_no_fewer_than_in_halving() -> None:
    method = FreezeThaw(LADDER)
    study = Study(method, 24, 2)
    study.run()
    assert method.sizes(24) == [24, 19, 15]
    for level, most in enumerate(method.sizes(24)):
        assert 24 // 3**level <= len(study.at_level(level)) <= most


def test_with_nothing_new_to_begin_as_many_go_on_as_in_halving() -> None:
    study = Study(FreezeThaw(LADDER), 0, 1)
    study.steps = curves(9)
    study.run()
    assert [len(study.at_level(level)) for level in range(3)] == [9, 3, 1]


@pytest.mark.parametrize("seed", range(4))
def test_nothing_goes_on_from_a_trial_that_was_let_go(seed: int) -> None:
    method = FreezeThaw(Ladder((1, 2, 4, 8), 2))
    study = Study(method, 6 + 4 * seed, 1 + seed, troubled if seed % 2 else mixed, seed)
    gone: set[int] = set()
    while study.fill() or study.pending:
        kept = method.ancestors(study.steps, study.n_new)
        assert not gone & kept
        assert not gone & {step.parent for step in study.pending}
        gone |= {step.number for step in study.steps if not step.is_pending} - kept
        gone -= {step.parent for step in study.pending if step.parent is not None}
        study.end_one()


def curves(n: int, top: int = 0) -> list[Step]:
    """Configurations x = 0, 1 / n, ...; the lower x, the lower the loss at the levels up to `top`."""
    steps = []
    for i in range(n):
        for level in range(top + 1):
            number = len(steps)
            loss = (0.1 + i / n) * 2.0**-level
            parent = number - 1 if level else None
            config = number - level
            steps.append(Step(number, config, {"x": i / n}, level, TrialState.COMPLETE, parent, None, loss))
    return steps


def test_the_first_configurations_are_left_to_the_sampler() -> None:
    assert decide([], STARTUP + 3, 50) == [Start()] * (STARTUP + 3), "without results there is no model"
    assert decide(curves(STARTUP - 1), 1) == [Start()]


def test_the_best_goes_on_and_what_cannot_win_does_not() -> None:
    steps = curves(9)
    (decision,) = decide(steps, n_new=0)
    assert decision == Continue(0, 1)


def test_new_configurations_are_begun_near_the_best_where_all_have_gone_on() -> None:
    found = [decide(curves(9, top=2), seed=seed)[0] for seed in range(5)]
    assert all(isinstance(decision, Start) and decision.params is not None for decision in found)
    assert np.median([float(d.params["x"]) for d in found if isinstance(d, Start) and d.params]) < 0.2


def test_a_batch_is_of_different_trials() -> None:
    decisions = decide(curves(17), 8)
    going = [decision.parent for decision in decisions if isinstance(decision, Continue)]
    begun = [decision.params["x"] for decision in decisions if isinstance(decision, Start) and decision.params]
    assert len(decisions) == 8
    assert len(set(going)) == len(going) and len(set(begun)) == len(begun)


def test_some_trials_are_those_of_asynchronous_halving_whatever_the_model_believes() -> None:
    steps = curves(SAFEGUARD * 2)
    (decision,) = decide(steps)
    assert decision == Continue(0, 1)
    worst = [replace(step, loss=1.0 - float(step.params["x"])) for step in steps]
    assert decide(worst) == [Continue(SAFEGUARD * 2 - 1, 1)]


def test_the_order_in_which_steps_are_told_does_not_matter() -> None:
    steps = curves(9, top=1)
    mixed_up = random.Random(1).sample(steps, len(steps))
    assert decide(steps, 3) == decide(sorted(mixed_up, key=lambda step: step.number), 3)
    assert decide(steps, 3) == decide(steps, 3)


def test_a_failure_counts_as_the_worst_and_a_pruned_one_as_the_middle_of_its_level() -> None:
    steps = curves(5)
    steps += [Step(5, 5, {"x": 0.9}, 0, TrialState.FAILED), Step(6, 6, {"x": 0.8}, 0, TrialState.PRUNED)]
    steps += [Step(7, 7, {"x": 0.7}, 1, TrialState.PRUNED, 0), Step(8, 8, {"x": 0.7}, 0, TrialState.RUNNING)]
    learned = {step.number: loss for step, loss in losses_to_learn(steps)}
    assert learned[5] == learned[7] == pytest.approx(0.9)
    assert learned[6] == pytest.approx(0.5)
    assert 8 not in learned
    assert losses_to_learn([Step(0, 0, {"x": 0.1}, 0, TrialState.FAILED)]) == []


def test_only_listed_configurations_are_begun_where_there_is_a_list() -> None:
    listed = tuple({"x": x} for x in (0.03, 0.5))
    method = FreezeThaw(LADDER, listed)
    decisions = method.decide(SPACE, curves(9, top=2), 2, 9, np.random.default_rng(0))
    assert decisions == [Start(params=listed[0]), Start(params=listed[1])]


def test_spaces_with_conditions_choices_and_a_parameter_called_level() -> None:
    space = SearchSpace.from_mapping(
        {
            "level": {"type": "categorical", "choices": ["a", "b"]},
            "depth": {"type": "int", "low": 1, "high": 9, "when": {"level": "a"}},
            "rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True, "prior": {"center": 0.01}},
        }
    )
    chance = np.random.default_rng(4)
    steps = []
    for number in range(12):
        params = {"level": "ab"[number % 2], "rate": float(10 ** -(4 * chance.random()))}
        if number % 2 == 0:
            params["depth"] = int(chance.integers(1, 10))
        steps.append(Step(number, number, params, 0, TrialState.COMPLETE, loss=float(chance.random())))
    decisions = FreezeThaw(LADDER).decide(space, steps, 6, 6, chance)
    assert len(decisions) == 6
    for decision in decisions:
        assert isinstance(decision, Continue) or decision.params is None or space.fits(decision.params)


def test_trials_of_an_earlier_space_are_no_lesson() -> None:
    steps = [*curves(9), Step(9, 9, {"y": 3.0}, 0, TrialState.COMPLETE, loss=-5.0)]
    assert len(decide(steps, 3)) == 3


def test_a_small_space_is_exhausted_without_a_repetition() -> None:
    space = SearchSpace.from_mapping({"x": {"type": "int", "low": 1, "high": 10}})
    steps = [Step(i, i, {"x": i + 1}, 0, TrialState.COMPLETE, loss=float(i)) for i in range(9)]
    decisions = FreezeThaw(Ladder((1,))).decide(space, steps, 2, 1, np.random.default_rng(0))
    assert decisions == [Start(params={"x": 10})]


def test_a_study_of_thousands_of_trials_is_decided_in_a_moment() -> None:
    assert len(decide(curves(1500, top=1), 2)) == 2
