"""Spaces of the problems, without our package."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.samplers.problems import SUITES
from benchmarks.samplers.spaces import active_part, as_value, choice, draw, filled, is_active, real, value_at, whole
from hpo_workflow.space import SearchSpace

TREE = {
    "kernel": choice("linear", "poly"),
    "degree": whole(2, 5, when={"kernel": ["poly"]}),
    "rate": real(1e-4, 1.0, log=True),
}


def test_whole_numbers_and_choices_have_equal_shares():
    numbers = [value_at(whole(1, 4), place) for place in np.linspace(0, 0.999, 400)]
    assert [numbers.count(number) for number in (1, 2, 3, 4)] == [100, 100, 100, 100]
    words = [value_at(choice("a", "b", "c"), place) for place in np.linspace(0, 0.999, 300)]
    assert [words.count(word) for word in "abc"] == [100, 100, 100]
    assert value_at(choice("a", "b"), 1.0) == "b"


def test_the_middle_of_a_logarithm_is_the_geometric_mean():
    assert value_at(real(1e-4, 1.0, log=True), 0.5) == pytest.approx(1e-2)
    assert value_at(whole(1, 100, log=True), 0.0) == 1
    assert value_at(whole(1, 100, log=True), 0.9999) == 100


def test_an_inactive_parameter_is_dropped_and_filled_in_again():
    full = {"kernel": "linear", "degree": 3, "rate": 0.1}
    assert active_part(TREE, full) == {"kernel": "linear", "rate": 0.1}
    assert filled(TREE, {"kernel": "linear", "rate": 0.1}) == {"kernel": "linear", "degree": 4, "rate": 0.1}
    assert is_active(TREE["degree"], {"kernel": "poly"}) and not is_active(TREE["degree"], {})


def test_what_a_package_returns_becomes_plain_and_stays_inside():
    assert type(as_value(whole(1, 9), np.float64(3.0))) is int
    assert as_value(real(0.0, 1.0), np.float32(1.0000001)) == 1.0
    assert as_value(choice("a", "b"), np.str_("a")) == "a"


def test_a_draw_uses_as_many_numbers_whatever_is_active():
    rng = np.random.default_rng(3)
    drawn = [draw(TREE, rng) for _ in range(50)]
    assert {tuple(one) for one in drawn} == {("kernel", "rate"), ("kernel", "degree", "rate")}
    assert rng.bit_generator.state == _after(150).bit_generator.state


def _after(numbers: int) -> np.random.Generator:
    rng = np.random.default_rng(3)
    rng.random(numbers)
    return rng


@pytest.mark.parametrize("suite", SUITES)
def test_every_space_is_one_of_a_study_file_and_means_the_same_there(suite):
    for problem in SUITES[suite]:
        space = SearchSpace.from_mapping(problem.space)
        rng = np.random.default_rng(0)
        assert all(space.fits(draw(problem.space, rng)) for _ in range(20)), problem.name
