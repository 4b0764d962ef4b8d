"""Configurations as points of the unit cube and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo_workflow.space import Categorical, Float, Int, SearchSpace
from hpo_workflow.space.encoding import Encoding, configuration, from_unit, to_unit
from hpo_workflow.space.parameters import Parameter
from tests.contracts.spaces import MIXED, SPACES, spaces


def test_the_ends_of_a_float_are_the_ends_of_the_unit() -> None:
    for parameter in (Float("x", -2.0, 3.0), Float("x", 1e-5, 0.1, log=True)):
        assert from_unit(parameter, 0.0) == pytest.approx(parameter.low, rel=1e-15)
        assert from_unit(parameter, 1.0) == pytest.approx(parameter.high, rel=1e-15)
        assert (to_unit(parameter, parameter.low), to_unit(parameter, parameter.high)) == (0.0, 1.0)


def test_places_outside_the_unit_are_the_ends() -> None:
    assert from_unit(Float("x", 1.0, 2.0), -0.5) == 1.0
    assert from_unit(Int("n", 1, 4), 7.0) == 4


def test_values_of_an_int_own_equal_cells() -> None:
    parameter = Int("n", 3, 6)
    units = (np.arange(400) + 0.5) / 400
    values, counts = np.unique([from_unit(parameter, unit) for unit in units], return_counts=True)
    assert (values.tolist(), counts.tolist()) == ([3, 4, 5, 6], [100, 100, 100, 100])


def test_small_values_of_a_log_int_own_more() -> None:
    parameter = Int("n", 1, 1000, log=True)
    units = (np.arange(1000) + 0.5) / 1000
    values = np.array([from_unit(parameter, unit) for unit in units])
    assert (values == 1).mean() > 0.1
    assert 0.3 < (values <= 10).mean() < 0.5


def test_ordered_choices_lie_in_their_order() -> None:
    parameter = Categorical("c", (64, 16, 32), ordered=True)
    assert [from_unit(parameter, unit) for unit in (0.1, 0.5, 0.9)] == [16, 32, 64]
    assert to_unit(parameter, 64) == pytest.approx(5 / 6)


def graininess(parameter: Parameter) -> float:
    """How far apart neighbouring floats lie, as a share of the range: units cannot be told apart more finely."""
    if not isinstance(parameter, Float):
        return 0.0
    low, high = parameter.low, parameter.high
    if parameter.log:
        low, high = math.log(low), math.log(high)
        return max(2.0**-52, math.ulp(low), math.ulp(high)) / (high - low)
    return max(math.ulp(low), math.ulp(high)) / (high - low)


def test_a_range_not_much_wider_than_the_spacing_of_floats_is_kept() -> None:
    parameter = Float("x", 262144.0, 262144.015625)
    for unit in np.linspace(0, 1, 101):
        value = from_unit(parameter, unit)
        assert isinstance(value, float)
        assert parameter.low <= value <= parameter.high
        assert to_unit(parameter, value) == pytest.approx(unit, abs=4 * graininess(parameter))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(mapping=spaces(), seed=st.integers(0, 999))
def test_configurations_survive_the_way_there_and_back(mapping: dict[str, Any], seed: int) -> None:
    space = SearchSpace.from_mapping(mapping)
    encoding = Encoding(space)
    units = np.random.default_rng(seed).random((20, encoding.d))
    there = [configuration(space, row) for row in units]
    x = encoding.encode(there)
    snapped = encoding.snap(units)
    for i, parameter in enumerate(space.parameters):
        np.testing.assert_allclose(snapped[:, i], x[:, i], atol=max(1e-9, 4 * graininess(parameter)))
    np.testing.assert_allclose(encoding.snap(x), x, atol=1e-12)
    for params, row, active in zip(there, x, encoding.active(x), strict=True):
        assert space.fits(params)
        back = encoding.decode(row)
        assert back.keys() == params.keys()
        assert all(
            back[k] == pytest.approx(v, rel=1e-9) if type(v) is float else back[k] == v for k, v in params.items()
        )
        assert space.active(params) == tuple(p.name for p, here in zip(space.parameters, active, strict=True) if here)


@pytest.mark.parametrize("title", SPACES)
def test_points_of_extreme_spaces_are_finite(title: str) -> None:
    space = SearchSpace.from_mapping(SPACES[title])
    encoding = Encoding(space)
    x = encoding.snap(np.random.default_rng(0).random((50, encoding.d)))
    assert np.isfinite(x).all()
    assert (x >= 0).all()
    assert (x <= 1).all()


def test_inactive_parameters_rest_in_the_middle() -> None:
    space = SearchSpace.from_mapping(MIXED)
    encoding = Encoding(space)
    place = [parameter.name for parameter in space.parameters].index("momentum")
    x = np.full((1, encoding.d), 0.9)
    x[0, [parameter.name for parameter in space.parameters].index("optimizer")] = 0.1
    assert encoding.snap(x)[0, place] == 0.5


def test_steps_lead_to_the_next_values_and_not_beyond_the_ends() -> None:
    space = SearchSpace.from_mapping({"n": {"type": "int", "low": 1, "high": 900, "log": True}, "o": [4, 1, 2]})
    encoding = Encoding(space)
    told = [{"n": 1, "o": 1}, {"n": 500, "o": 2}, {"n": 900, "o": 4}]
    there = encoding.shifted(encoding.encode(told), np.array([[-1, 1], [1, -1], [1, 1]]))
    assert [encoding.decode(row) for row in there] == [{"n": 1, "o": 2}, {"n": 501, "o": 1}, {"n": 900, "o": 4}]


def test_no_configurations_are_an_empty_array() -> None:
    encoding = Encoding(SearchSpace.from_mapping(MIXED))
    assert encoding.encode([]).shape == (0, encoding.d)
