"""Successive halving and Hyperband: the sizes of their brackets, whatever becomes of trials."""

from __future__ import annotations

import random

import pytest

from hpo_workflow.multifidelity import Ladder, Step
from hpo_workflow.multifidelity.hyperband import Hyperband
from hpo_workflow.multifidelity.successive_halving import SuccessiveHalving
from hpo_workflow.trial import TrialState
from tests.multifidelity.population_of_steps import Outcome, Study, by_x

LADDER = Ladder((1, 3, 9, 27, 81), 3)


def test_the_brackets_of_hyperband_are_those_of_its_paper() -> None:
    """Table 1 of Li et al. 2018 (R = 81, eta = 3) has n = 81, 27, 9, 6, 5; its algorithm 1 rounds up: 34 and 15, 8."""
    brackets = [Hyperband(LADDER).shape(bracket) for bracket in range(6)]
    assert [(one.size, one.level) for one in brackets] == [(81, 0), (34, 1), (15, 2), (8, 3), (5, 4), (81, 0)]
    assert [one.rungs(LADDER) for one in brackets[:5]] == [[81, 27, 9, 3, 1], [34, 11, 3, 1], [15, 5, 1], [8, 2], [5]]


@pytest.mark.parametrize("parallel", [1, 8, 200])
def test_a_round_of_hyperband_has_exactly_these_trials(parallel: int) -> None:
    method = Hyperband(LADDER)
    study = Study(method, 81 + 34 + 15 + 8 + 5, parallel)
    study.run()
    assert method.sizes(143) == [sum(step.level == level for step in study.steps) for level in range(5)]
    for bracket in range(5):
        shape = method.shape(bracket)
        found = [len(study.at_level(level, bracket)) for level in range(shape.level, 5)]
        assert found == shape.rungs(LADDER)


@pytest.mark.parametrize("parallel", [1, 7])
def test_nobody_goes_up_before_the_rung_is_complete(parallel: int) -> None:
    study = Study(SuccessiveHalving(Ladder((1, 3, 9), 3)), 18, parallel)
    while True:
        n_before = len(study.steps)
        ended = [step for step in study.steps if not step.is_pending]
        study.fill()
        for step in study.steps[n_before:]:
            if step.parent is not None:
                below = [one for one in ended if (one.level, one.bracket) == (step.level - 1, step.bracket)]
                assert len(below) == 9 // 3 ** (step.level - 1)
        if not study.pending:
            break
        study.end_one()
    assert [len(study.at_level(level, bracket)) for bracket in (0, 1) for level in range(3)] == [9, 3, 1, 9, 3, 1]


def test_the_best_of_a_bracket_go_up() -> None:
    study = Study(SuccessiveHalving(Ladder((1, 3, 9), 3)), 9, 3)
    study.run()
    order = sorted(study.at_level(0, 0), key=lambda step: step.params["x"])
    assert {step.config for step in study.at_level(1, 0)} == {step.config for step in order[:3]}
    assert study.at_level(2, 0)[0].config == order[0].config


def test_failed_and_pruned_trials_leave_their_places_to_nobody() -> None:
    def half_fail(step: Step, chance: random.Random) -> Outcome:
        if step.number in (0, 1, 2, 3):
            return TrialState.FAILED, None
        return (TrialState.PRUNED, None) if step.number in (4, 5, 6) else by_x(step, chance)

    study = Study(SuccessiveHalving(Ladder((1, 3, 9), 3)), 9, 2, half_fail)
    study.run()
    assert {step.config for step in study.at_level(1, 0)} == {7, 8}  # three places, two that can take them
    assert len(study.at_level(2, 0)) == 1


def test_a_budget_that_ends_within_a_bracket_halves_what_has_begun() -> None:
    study = Study(SuccessiveHalving(Ladder((1, 3, 9), 3)), 9 + 5, 4)
    study.run()
    assert [len(study.at_level(level, 1)) for level in range(3)] == [5, 1, 0]


def test_a_larger_budget_fills_the_bracket_that_was_cut_short() -> None:
    study = Study(SuccessiveHalving(Ladder((1, 3, 9), 3)), 5, 2)
    study.run()
    study.n_new = 4
    study.run()
    assert len(study.at_level(0, 0)) == 9
    assert 3 <= len(study.at_level(1, 0)) <= 4  # the one of before stays, if it is not among the best of all
    assert {step.bracket for step in study.steps} == {0}


def test_slots_that_would_wait_begin_the_next_bracket() -> None:
    study = Study(SuccessiveHalving(Ladder((1, 3), 3)), 30, 5)
    study.fill()
    assert [step.bracket for step in study.steps] == [0, 0, 0, 1, 1]


def test_who_is_not_among_the_best_third_of_a_bracket_is_let_go() -> None:
    method = SuccessiveHalving(Ladder((1, 3, 9), 3))
    study = Study(method, 9, 9)
    study.fill()
    for _ in range(8):
        study.end_one()
    losses = sorted((step.loss, step.number) for step in study.steps if step.loss is not None)
    assert method.ancestors(study.steps, 0) == {number for _, number in losses[:3]}
    study.end_one()
    study.fill()
    assert len(study.pending) == 3 and not method.ancestors(study.steps, 0)
