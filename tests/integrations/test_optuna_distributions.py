"""Spaces as distributions and back, and values between the two."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hpo_workflow.errors import ConfigError
from hpo_workflow.space import SearchSpace
from tests.contracts.spaces import MIXED
from tests.machine import need

need("optuna")

import optuna  # noqa: E402
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution  # noqa: E402

from hpo_workflow.integrations.optuna import from_distributions, suggest, to_distributions  # noqa: E402
from hpo_workflow.integrations.optuna_distributions import code_of, coded, value_of_code  # noqa: E402

PAIRS = {
    "x": ({"type": "float", "low": -1.0, "high": 1.0}, FloatDistribution(-1, 1)),
    "lr": ({"type": "float", "low": 1e-5, "high": 0.1, "log": True}, FloatDistribution(1e-5, 0.1, log=True)),
    "drop": ({"type": "float", "low": -10.2, "high": 0.3, "step": 0.1}, FloatDistribution(-10.2, 0.3, step=0.1)),
    "n": ({"type": "int", "low": 0, "high": 9}, IntDistribution(0, 9)),
    "units": ({"type": "int", "low": 32, "high": 512, "step": 32}, IntDistribution(32, 512, step=32)),
    "width": ({"type": "int", "low": 4, "high": 400, "log": True}, IntDistribution(4, 400, log=True)),
    "batch": ({"choices": [64, 16, 32]}, CategoricalDistribution([64, 16, 32])),
    "amp": ({"choices": [True, False]}, CategoricalDistribution([True, False])),
    "kind": ({"choices": ["a", "b"]}, CategoricalDistribution(["a", "b"])),
    "one": ({"type": "float", "low": 2.0, "high": 2.0}, FloatDistribution(2, 2)),
    "single": ({"choices": ["only"]}, CategoricalDistribution(["only"])),
}


def test_a_space_becomes_distributions_and_those_the_same_space():
    space = {name: ours for name, (ours, _) in PAIRS.items()}
    distributions = {name: theirs for name, (_, theirs) in PAIRS.items()}
    assert to_distributions(space) == distributions
    assert from_distributions(distributions) == space
    assert SearchSpace.from_mapping(from_distributions(distributions)) == SearchSpace.from_mapping(space)


def test_a_range_that_no_step_ends_is_cut_as_optuna_cuts_it():
    with pytest.warns(UserWarning, match="not divisible"):
        cut = {"x": FloatDistribution(0.0, 1.0, step=0.3), "n": IntDistribution(0, 10, step=4)}
    assert from_distributions(cut) == {
        "x": {"type": "float", "low": 0.0, "high": 0.9, "step": 0.3},
        "n": {"type": "int", "low": 0, "high": 8, "step": 4},
    }


def test_constants_and_derived_values_are_none_of_optunas_business():
    assert set(to_distributions({"a": [1, 2], "b": 3, "c": {"expr": "a * b"}})) == {"a"}


@pytest.mark.parametrize("choices", [[None, 1], [float("nan"), 1]])
def test_choices_that_a_study_file_cannot_have_are_refused(choices):
    with pytest.raises(ConfigError, match="space.c.choices: (None|nan) cannot be a choice"):
        from_distributions({"c": CategoricalDistribution(choices)})


def test_choices_that_optuna_takes_for_one_are_refused():
    with pytest.raises(ConfigError, match="space.c: Optuna cannot tell these choices apart: 1, True"):
        to_distributions({"c": [1, True]})
    with pytest.raises(ConfigError, match="no such-name"):
        from_distributions({"no such-name": IntDistribution(0, 1)})


def test_a_trial_is_asked_for_what_is_active_and_answers_in_the_values_of_the_space():
    space = SearchSpace.from_mapping(MIXED)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = set()
    for _ in range(20):
        trial = study.ask()
        params = suggest(trial, MIXED)
        assert space.fits(params)
        assert set(trial.params) == set(params)
        seen.add(frozenset(params))
    assert len(seen) == 4  # with and without momentum and width3


def test_every_value_has_a_code_and_every_code_its_value():
    for name, (ours, distribution) in PAIRS.items():
        parameter = coded(name, distribution)
        values = [-1.0, 0.5] if name == "x" else [1e-5, 0.1] if name == "lr" else []
        if not values:
            given = SearchSpace.from_mapping({name: ours}).by_name[name]
            values = [given.value(i) for i in range(given.size)]
        codes = [code_of(distribution, parameter, value) for value in values]
        assert all(parameter.contains(code) for code in codes)
        assert len(set(codes)) == len(values)
        assert [value_of_code(distribution, code) for code in codes] == values


def test_what_a_distribution_does_not_have_has_no_code():
    nan = float("nan")
    cases = [
        (FloatDistribution(0, 1), [-0.1, 1.1, nan, "x", None, True]),
        (FloatDistribution(0, 1, step=0.25), [0.3, 1.25, nan]),
        (IntDistribution(0, 8, step=2), [1, 10, 2.5, "x", False]),
        (CategoricalDistribution([1, 2]), [True, 3, None]),
        (CategoricalDistribution([None, nan, "a", True]), ["b", 1]),
    ]
    for distribution, values in cases:
        parameter = coded("x", distribution)
        assert [code_of(distribution, parameter, value) for value in values] == [None] * len(values)
    odd = CategoricalDistribution([None, nan, "a", True])
    assert [code_of(odd, coded("x", odd), value) for value in (None, nan, "a", True)] == [0, 1, 2, 3]
    number = IntDistribution(0, 8)
    for three in (3.0, np.int64(3), np.float32(3)):  # as databases and people give it
        code = code_of(number, coded("n", number), three)
        assert code == 3 and type(code) is int


def test_choices_that_are_numbers_are_coded_by_size():
    distribution = CategoricalDistribution([0.5, 8, 2])
    parameter = coded("c", distribution)
    assert parameter.ordered
    assert [code_of(distribution, parameter, choice) for choice in (0.5, 2, 8)] == [0, 1, 2]
    for one, other in itertools.combinations((True, 2, "2"), 2):
        assert not coded("c", CategoricalDistribution([one, other])).ordered
