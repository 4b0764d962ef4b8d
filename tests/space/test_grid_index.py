"""The grid by number is the grid, whatever its size."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from hpo_workflow.space import SearchSpace
from hpo_workflow.space.grid_index import GridIndex
from tests.contracts.spaces import SPACES, spaces


def agree(space: SearchSpace) -> None:
    index = GridIndex(space)
    assert index.size == space.grid_size()
    numbered = [index[number] for number in range(index.size)]
    assert all(space.fits(params) and tuple(params) == space.active(params) for params in numbered)
    listed = [space.key(params) for params in space.grid()]
    assert sorted(map(space.key, numbered)) == sorted(listed)
    with pytest.raises(IndexError):
        index[index.size]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(mapping=spaces())
def test_each_number_is_another_configuration_of_the_grid(mapping: dict[str, Any]) -> None:
    agree(SearchSpace.from_mapping(mapping))


@pytest.mark.parametrize("title", [title for title in SPACES if title not in ("mixed and conditional", "huge ranges")])
def test_the_grids_of_these_spaces_are_numbered_whole(title: str) -> None:
    agree(SearchSpace.from_mapping(SPACES[title]))


def test_a_grid_that_nobody_could_list_is_read_anywhere() -> None:
    mapping: dict[str, Any] = {"n": {"type": "int", "low": 0, "high": 2**53}, "a": ["p", "q"]}
    mapping |= {f"x{i}": {"type": "float", "low": 0, "high": 1, "points": 10} for i in range(40)}
    mapping["deep"] = {"type": "int", "low": 1, "high": 10**12, "when": {"n": {"gt": 5}, "a": "p"}}
    space = SearchSpace.from_mapping(mapping)
    index = GridIndex(space)
    assert index.size == space.grid_size() == 10**40 * ((2**53 - 5) * 10**12 + 6 + 2**53 + 1)
    for number in (0, 10**30, index.size // 2, index.size - 1):
        assert space.fits(index[number])
    assert index[1] != index[2]
