"""What every multi-fidelity method keeps to, whatever becomes of trials."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from hpo_workflow.multifidelity import METHODS, Ladder, Method, Step, ancestors, get_method
from hpo_workflow.trial import TrialState
from tests.multifidelity.population_of_steps import SPACE, Course, Outcome, Study, by_x, mixed

LADDER = Ladder((1, 3, 9), 3)


def all_fail(step: Step, chance: random.Random) -> Outcome:
    return TrialState.FAILED, None


def all_equal(step: Step, chance: random.Random) -> Outcome:
    return TrialState.COMPLETE, 0.5


def all_pruned(step: Step, chance: random.Random) -> Outcome:
    return TrialState.PRUNED, None


COURSES: list[Course] = [by_x, mixed, all_fail, all_equal, all_pruned]


@pytest.fixture(params=sorted(METHODS))
def method(request: pytest.FixtureRequest) -> Method:
    return get_method(request.param, LADDER)


@pytest.mark.parametrize("course", COURSES, ids=lambda course: course.__name__)
@pytest.mark.parametrize("parallel", [1, 4])
def test_a_study_comes_to_its_end_with_its_whole_budget(method: Method, course: Course, parallel: int) -> None:
    study = Study(method, 20, parallel, course)
    study.run()
    assert sum(step.parent is None for step in study.steps) == 20
    assert all(not step.is_pending for step in study.steps)
    assert not method.may_act(study.steps, 0)


@pytest.mark.parametrize("course", COURSES[:2], ids=lambda course: course.__name__)
def test_what_goes_on_follows_a_trial_that_got_through_one_level_below(method: Method, course: Course) -> None:
    study = Study(method, 30, 5, course)
    study.run()
    for step in study.steps:
        if step.parent is not None:
            parent = study.steps[step.parent]
            assert parent.level == step.level - 1
            assert parent.state is TrialState.COMPLETE


def test_equal_steps_get_equal_decisions(method: Method) -> None:
    study = Study(method, 30, 4, mixed)
    for _ in range(25):
        study.fill()
        study.end_one()
    asked = [method.decide(SPACE, study.steps, 3, 5, np.random.default_rng(1)) for _ in range(2)]
    assert asked[0] == asked[1]


def test_deciding_changes_no_step(method: Method) -> None:
    study = Study(method, 20, 4)
    for _ in range(10):
        study.fill()
        study.end_one()
    before = list(study.steps)
    method.decide(SPACE, study.steps, 2, 5, np.random.default_rng(0))
    assert study.steps == before


def test_a_pending_trial_is_never_gone_on_from(method: Method) -> None:
    study = Study(method, 20, 6)
    for _ in range(14):
        study.fill()
        study.end_one()
    waiting = [replace(step, state=TrialState.PROPOSED, loss=None) for step in study.steps if step.level == 0]
    decisions = method.decide(SPACE, waiting, 4, 0, np.random.default_rng(0))
    assert not decisions


def test_nothing_is_begun_beyond_the_budget(method: Method) -> None:
    decisions = method.decide(SPACE, [], 8, 3, np.random.default_rng(0))
    assert len(decisions) == 3
    assert method.decide(SPACE, [], 0, 3, np.random.default_rng(0)) == []


# ---- which trials nothing will go on from any more ----------------------------------------------------------------
def troubled(step: Step, chance: random.Random) -> Outcome:
    """All that may come of a trial, many failures and ends that cost nothing among it."""
    draw = chance.random()
    states = [(0.15, TrialState.CANCELLED), (0.4, TrialState.FAILED), (0.55, TrialState.PRUNED)]
    for bound, state in states:
        if draw < bound:
            return state, None
    return TrialState.COMPLETE, chance.random()


def upside_down(step: Step, chance: random.Random) -> Outcome:
    """Who ends late is better than all before it."""
    return TrialState.COMPLETE, -float(step.number)


VARIANTS: dict[str, Method] = {
    **{name: get_method(name, LADDER) for name in METHODS},
    "asha of two": get_method("asha", Ladder((1, 2, 4, 8), 2)),
    "hyperband of two": get_method("hyperband", Ladder((1, 2, 4, 8), 2)),
    "sha of two": get_method("sha", Ladder((1, 2, 4), 2)),
    "pbt by tournament": get_method("pbt", Ladder((1, 2, 3, 4, 5)), {"exploit": "tournament"}),
    "pbt in small steps": get_method("pbt", Ladder((1, 2, 3, 4, 5, 6))),
}


@pytest.mark.parametrize("course", [by_x, mixed, troubled, upside_down], ids=lambda course: course.__name__)
@pytest.mark.parametrize("name", VARIANTS)
def test_nothing_goes_on_from_a_trial_that_was_let_go(name: str, course: Course) -> None:
    """Nor does anything that is pending, and every trial is let go in the end."""
    method = VARIANTS[name]
    for seed in range(8):
        study = Study(method, 5 + 4 * seed, 1 + seed, course, seed)
        gone: set[int] = set()
        while True:
            # Now many slots, now few, so that decisions wait.
            study.parallel = max(len(study.pending), 1 if study.chance.random() < 0.5 else 1 + seed)
            study.fill()
            kept = ancestors(method, study.steps, study.n_new)
            pending = study.pending
            assert not gone & {step.parent for step in pending}
            assert not gone & kept, "who was let go has come back"
            gone |= {step.number for step in study.steps if not step.is_pending} - kept
            gone -= {step.parent for step in pending if step.parent is not None}
            if not pending:
                break
            study.end_one()
        assert not ancestors(method, study.steps, study.n_new)
