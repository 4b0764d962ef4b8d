"""ASHA: who is promoted, counted over all that got through a rung."""

from __future__ import annotations

import random

import pytest

from hpo_workflow.multifidelity import Ladder, Step
from hpo_workflow.multifidelity.asha import ASHA
from hpo_workflow.trial import TrialState
from tests.multifidelity.population_of_steps import Outcome, Study, by_x, mixed

LADDER = Ladder((1, 3, 9, 27), 3)


@pytest.mark.parametrize("parallel", [1, 4, 30])
@pytest.mark.parametrize("seed", [0, 1])
def test_whoever_goes_up_is_among_the_best_third_of_all_that_got_through(parallel: int, seed: int) -> None:
    study = Study(ASHA(LADDER), 60, parallel, mixed, seed)
    while True:
        before = list(study.steps)
        study.fill()
        for step in study.steps[len(before) :]:
            if step.parent is not None:
                rung = [(one.score, one.number) for one in before if one.level == step.level - 1]
                through = sorted(entry for entry in rung if entry[0] is not None)
                assert step.parent in [number for _, number in through[: len(through) // 3]]
        if not study.pending:
            break
        study.end_one()
    assert sum(step.parent is None for step in study.steps) == 60


def test_where_the_first_are_the_best_exactly_a_third_goes_up() -> None:
    """Where later ones overtake them, those that went up too early come on top: Li et al. 2020, section 3.2."""

    def by_number(step: Step, chance: random.Random) -> Outcome:
        return TrialState.COMPLETE, float(step.config)

    study = Study(ASHA(LADDER), 27, 1, by_number)
    study.run()
    assert [len(study.at_level(level)) for level in range(4)] == [27, 9, 3, 1]
    assert len({step.config for step in study.steps}) == 27
    study = Study(ASHA(LADDER), 27, 1)
    study.run()
    assert 9 <= len(study.at_level(1)) <= 9 + 27**0.5


def test_one_at_a_time_the_best_of_all_gets_to_the_top() -> None:
    study = Study(ASHA(LADDER), 81, 1)
    study.run()
    best = min(study.at_level(0), key=lambda step: step.params["x"])
    assert best.config in {step.config for step in study.at_level(3)}


def test_a_slot_goes_to_the_highest_rung_first() -> None:
    study = Study(ASHA(Ladder((1, 3, 9), 3)), 100, 1)
    while not (len(study.at_level(1)) == 3 and not study.pending):
        study.fill()
        study.end_one()
    study.fill()
    assert study.steps[-1].level == 2


def test_a_failed_promotion_is_not_tried_again() -> None:
    def fails_higher(step: Step, chance: random.Random) -> Outcome:
        return (TrialState.FAILED, None) if step.level else by_x(step, chance)

    study = Study(ASHA(LADDER), 27, 4, fails_higher)
    study.run()
    assert len({step.parent for step in study.at_level(1)}) == len(study.at_level(1)) >= 9
    assert not study.at_level(2)


def test_with_one_level_it_is_the_sampler_alone() -> None:
    study = Study(ASHA(Ladder((5,), 3)), 12, 3)
    study.run()
    assert len(study.steps) == 12 and all(step.parent is None for step in study.steps)


def test_who_cannot_be_among_the_best_third_any_more_is_let_go() -> None:
    """Nine configurations have three places above, however the last two end; nobody goes on twice from one trial."""
    steps = [
        Step(number, number, {}, 0, TrialState.COMPLETE if number < 7 else TrialState.PROPOSED, loss=float(number))
        for number in range(8)
    ]
    assert ASHA(LADDER).ancestors(steps, 1) == {0, 1, 2}
    steps.append(Step(8, 0, {}, 1, TrialState.PROPOSED, parent=0))
    assert ASHA(LADDER).ancestors(steps, 1) == {1, 2}
    assert ASHA(LADDER).ancestors(steps, 10**9) == {1, 2, 3, 4, 5, 6}
