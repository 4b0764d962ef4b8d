"""Regrets, intervals and ratios, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.samplers.reference import Reference, median_of_best
from benchmarks.samplers.runs import Run
from benchmarks.samplers.scoring import CLIP, FLOOR, best_known, compare, mean_course, regrets, score

REFERENCE = {
    "a": Reference(1.0, {50: 3.0, 100: 2.0}, ""),
    "b": Reference(0.0, {50: 20.0, 100: 10.0}, ""),
}
BEST = {"a": 1.0, "b": 0.0}


def run(problem, seed, *improved, trials=100):
    return Run("s", "1", problem, seed, trials, trials, tuple(improved), 0.0)


def test_regret_is_0_at_the_best_known_and_1_where_random_search_is():
    runs = [run("a", 0, (1, 3.0), (60, 1.5)), run("b", 0, (1, 90.0), (2, 20.0), (99, 0.0))]
    assert regrets(runs, ["a", "b"], 50, REFERENCE, BEST) == {"a": {0: 1.0}, "b": {0: 1.0}}
    assert regrets(runs, ["a", "b"], 100, REFERENCE, BEST) == {"a": {0: 0.5}, "b": {0: 0.0}}


def test_one_run_cannot_be_worse_than_the_cut():
    found = regrets([run("a", 0, (1, 1e9))], ["a"], 100, REFERENCE, BEST)
    assert found == {"a": {0: CLIP}}


def test_only_seeds_that_every_problem_has_count():
    runs = [run("a", 0, (1, 3.0)), run("a", 1, (1, 3.0)), run("b", 1, (1, 1.0)), run("b", 2, (1, 1.0))]
    assert regrets(runs, ["a", "b"], 50, REFERENCE, BEST) == {"a": {1: 1.0}, "b": {1: 0.05}}
    assert regrets(runs[:1], ["a", "b"], 50, REFERENCE, BEST) == {}
    short = [run("a", 0, (1, 3.0), trials=50), run("b", 0, (1, 1.0), trials=50)]
    assert regrets(short, ["a", "b"], 50, REFERENCE, BEST) and not regrets(short, ["a", "b"], 100, REFERENCE, BEST)


def test_the_best_known_is_the_lowest_that_anybody_has_seen():
    assert best_known(REFERENCE, {"a": 0.5, "c": -9.0}) == {"a": 0.5, "b": 0.0}
    assert best_known(REFERENCE, {"a": 1.5}) == {"a": 1.0, "b": 0.0}


def test_random_search_reaches_its_median_with_a_chance_of_one_half():
    rng = np.random.default_rng(0)
    losses = rng.random(200_000)
    level = median_of_best(losses, 20)
    best = rng.random((4000, 20)).min(axis=1)
    assert (best < level).mean() == pytest.approx(0.5, abs=0.03)
    assert median_of_best(losses, 1) == pytest.approx(np.median(losses))


def test_a_score_names_the_worst_problem_and_has_an_interval_around_its_mean():
    found = {"a": dict(enumerate([0.1, 0.2, 0.3])), "b": dict(enumerate([0.5, 0.6, 0.7]))}
    one = score(found)
    assert one.mean == pytest.approx(0.4)
    assert (one.worst, one.worst_mean, one.seeds) == ("b", pytest.approx(0.6), 3)
    assert 0.3 < one.low < 0.4 < one.high < 0.5
    assert score(found) == one, "the same each time"


def test_a_sampler_over_itself_is_1_without_doubt():
    found = {"a": dict(enumerate([0.1, 0.9, 0.3])), "b": dict(enumerate([0.5, 0.0, 0.7]))}
    ratio = compare(found, found)
    assert ratio.ratio == ratio.worst_ratio == ratio.seeds_low == ratio.seeds_high == 1.0
    assert ratio.problems_low == ratio.problems_high == 1.0


def test_a_ratio_is_of_common_seeds_and_paired():
    better = {"a": {0: 0.1, 1: 0.4, 2: 9.0}, "b": {0: 0.2, 1: 0.3, 2: 9.0}}
    worse = {"a": {0: 0.2, 1: 0.8}, "b": {0: 0.4, 1: 0.6}}
    ratio = compare(better, worse)
    assert ratio.seeds == 2
    assert ratio.ratio == pytest.approx(0.5)
    assert ratio.seeds_low == pytest.approx(0.5) and ratio.seeds_high == pytest.approx(0.5), "half in every pair"
    assert ratio.worst_ratio == pytest.approx((0.25 + FLOOR) / (0.5 + FLOOR))


def test_an_interval_over_problems_shows_that_one_problem_decides():
    ours = {"a": {0: 0.0, 1: 0.0}, "b": {0: 1.0, 1: 1.0}}
    theirs = {"a": {0: 1.0, 1: 1.0}, "b": {0: 1.0, 1: 1.0}}
    ratio = compare(ours, theirs)
    assert (ratio.problems_low, ratio.problems_high) == (0.0, 1.0)
    assert ratio.seeds_low == ratio.seeds_high == ratio.ratio == 0.5
    assert ratio.worst == "b" and ratio.worst_ratio == 1.0


def test_what_cannot_be_compared_has_no_ratio():
    some = {"a": {0: 0.1}}
    assert compare(some, {}) is None
    assert compare(some, {"a": {1: 0.1}}) is None
    assert compare(some, {"a": {0: 0.0}}) is None
    assert compare({}, {}) is None


def test_a_course_is_the_mean_of_the_best_so_far():
    runs = [run("a", 0, (1, 3.0), (3, 1.0)), run("b", 0, (1, 5.0)), run("b", 1, (1, 0.0))]
    found = {"a": {0: 0.0}, "b": {0: 0.5}}
    course = mean_course(runs, found, 100, REFERENCE, BEST)
    assert len(course) == 100
    assert course[:3] == pytest.approx([(2.0 + 0.5) / 2, (2.0 + 0.5) / 2, 0.25])
