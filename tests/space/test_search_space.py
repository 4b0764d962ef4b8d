"""Configurations: which exist, how many, and when two are the same."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings

from hpo_workflow.errors import ConfigError
from hpo_workflow.space import SearchSpace
from tests.contracts.spaces import FINITE, MIXED, spaces

CHAIN = {
    "a": ["x", "y"],
    "b": {"type": "int", "low": 1, "high": 3, "when": {"a": "x"}},
    "c": {"choices": [True, False], "when": {"b": {"ge": 2}}, "fallback": "none"},
    "k": 7,
    "twice": {"expr": "b * 2"},
    "more": {"expr": "twice + k"},
}


def test_a_child_of_an_inactive_parent_is_inactive() -> None:
    space = SearchSpace.from_mapping(CHAIN)
    assert space.active({"a": "y", "b": 3, "c": True}) == ("a",)
    assert space.active({"a": "x", "b": 1}) == ("a", "b")
    assert space.active({"a": "x", "b": 2}) == ("a", "b", "c")


def test_a_configuration_is_complete_with_constants_and_derived_values_in_the_order_of_the_file() -> None:
    space = SearchSpace.from_mapping(CHAIN)
    complete = space.complete({"c": True, "b": 2, "a": "x"})
    assert complete == {"a": "x", "b": 2, "c": True, "k": 7, "twice": 4, "more": 11}
    assert list(complete) == ["a", "b", "c", "k", "twice", "more"]


def test_what_is_derived_from_an_inactive_parameter_is_absent() -> None:
    assert SearchSpace.from_mapping(CHAIN).complete({"a": "y"}) == {"a": "y", "k": 7}


def test_derived_values_are_conditional_when_an_input_is() -> None:
    space = SearchSpace.from_mapping(CHAIN)
    assert [name for name in space.names() if space.is_conditional(name)] == ["b", "c", "twice", "more"]


@pytest.mark.parametrize(
    ("params", "fits"),
    [
        ({"a": "y"}, True),
        ({"a": "x", "b": 1}, True),
        ({"a": "x"}, False),
        ({"a": "y", "b": 1}, False),
        ({"a": "x", "b": 2, "c": 1}, False),
        ({"a": "x", "b": True}, False),
        ({"a": "x", "b": 1.0}, False),
        ({"a": "x", "b": 4}, False),
        ({"a": "x", "b": 1, "k": 7}, False),
        ({"a": None}, False),
        ({}, False),
    ],
)
def test_a_configuration_fits_with_exactly_its_active_parameters(params: dict[str, Any], fits: bool) -> None:
    assert SearchSpace.from_mapping(CHAIN).fits(params) is fits


def test_foreign_values_of_a_parent_do_not_fit_and_do_not_crash() -> None:
    space = SearchSpace.from_mapping({"n": [1, 2], "m": {"choices": [1, 2], "when": {"n": {"ge": 2}}}})
    assert not space.fits({"n": "two", "m": 1})
    assert space.active({"n": "two", "m": 1}) == ("n",)
    assert space.key({"n": "two"})


def test_keys_are_equal_for_equal_configurations_however_spelled() -> None:
    space = SearchSpace.from_mapping({"x": {"type": "float", "low": -1, "high": 1}, "c": [1, 2.5, True, "1"]})
    assert space.key({"x": 1, "c": 1.0}) == space.key({"c": 1, "x": 1.0})
    assert space.key({"x": -0.0, "c": 1}) == space.key({"x": 0.0, "c": 1})
    assert len({space.key({"x": 0.5, "c": choice}) for choice in (1, 2.5, True, "1")}) == 4


def test_values_are_given_as_the_file_spells_them() -> None:
    space = SearchSpace.from_mapping({"x": {"type": "float", "low": -1, "high": 1}, "c": [1, 2.5]})
    assert repr(space.complete({"x": -0.0, "c": 1.0})) == "{'x': 0.0, 'c': 1}"


def test_a_derived_value_that_does_not_exist_is_an_error_with_its_inputs() -> None:
    space = SearchSpace.from_mapping({"x": {"type": "float", "low": 0, "high": 3}, "d": {"expr": "1 / (x - 0.7)"}})
    with pytest.raises(ConfigError, match=r"'1 / \(x - 0.7\)' has no value here: float division by zero. \(x: 0.7\)"):
        space.complete({"x": 0.7})


@pytest.mark.parametrize("title", FINITE)
def test_the_count_is_that_of_the_list(title: str) -> None:
    space = SearchSpace.from_mapping(FINITE[title])
    listed = list(space.configurations())
    assert len(listed) == space.n_configurations() == len({space.key(params) for params in listed})
    assert all(space.fits(params) for params in listed)


def test_a_float_without_step_makes_the_space_endless_but_points_make_a_grid() -> None:
    space = SearchSpace.from_mapping(MIXED)
    assert space.n_configurations() is None
    # lr 5, drop 6, units 16, batch 3, optimizer adam + sgd * 3 momenta = 4, layers 2 + 2 * 3 widths = 8, amp 2
    assert space.grid_size() == 5 * 6 * 16 * 3 * 4 * 8 * 2
    without = SearchSpace.from_mapping({"x": {"type": "float", "low": 0, "high": 1}})
    assert without.grid_size() is None


def test_a_grid_leaves_out_children_that_none_of_its_points_allows() -> None:
    space = SearchSpace.from_mapping(
        {
            "x": {"type": "float", "low": 0, "high": 1, "points": 2},
            "y": {"choices": [1, 2], "when": {"x": {"gt": 0.2, "lt": 0.8}}},
        }
    )
    assert space.grid_size() == 2
    assert list(space.grid()) == [{"x": 0.0}, {"x": 1.0}]


def test_huge_spaces_are_counted_without_being_listed() -> None:
    flags = {f"f{i}": {"choices": [True, False]} for i in range(60)}
    depth = {f"w{i}": {"type": "int", "low": 1, "high": 10**9, "when": {f"f{i}": True}} for i in range(60)}
    assert SearchSpace.from_mapping({**flags, **depth}).n_configurations() == (10**9 + 1) ** 60


def test_many_parents_of_one_child_are_counted() -> None:
    flags = {f"f{i}": {"choices": [True, False]} for i in range(40)}
    child = {"c": {"choices": [1, 2, 3], "when": dict.fromkeys(flags, True)}}
    assert SearchSpace.from_mapping({**flags, **child}).n_configurations() == 2**40 + 2


@settings(max_examples=150, deadline=None, derandomize=True)
@given(mapping=spaces(finite=True))
def test_counting_agrees_with_listing_in_any_space(mapping: dict[str, Any]) -> None:
    space = SearchSpace.from_mapping(mapping)
    size = space.n_configurations()
    assert size is not None
    listed = list(itertools.islice(space.configurations(), size + 1))
    assert len(listed) == size == len({space.key(params) for params in listed})
    assert all(space.fits(params) for params in listed[:50])


def test_the_grid_changes_the_last_parameter_fastest() -> None:
    space = SearchSpace.from_mapping({"a": ["x", "y"], "b": {"type": "int", "low": 1, "high": 2, "when": {"a": "y"}}})
    assert list(space.grid()) == [{"a": "x"}, {"a": "y", "b": 1}, {"a": "y", "b": 2}]
