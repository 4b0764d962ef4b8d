"""Configurations near another one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo_workflow.multifidelity.perturbation import KINDS, perturbed, scaled
from hpo_workflow.space import SearchSpace
from hpo_workflow.space.encoding import configuration
from tests.contracts.spaces import SPACES, spaces

SPACE = SearchSpace.from_mapping(
    {
        "lr": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
        "units": {"type": "int", "low": 1, "high": 64},
        "drop": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.1},
        "batch": [16, 32, 64, 128],
        "optimizer": ["adam", "sgd", "rmsprop", "adagrad"],
    }
)
START: dict[str, Any] = {"lr": 0.1, "units": 10, "drop": 0.3, "batch": 32, "optimizer": "sgd"}


def near(
    space: SearchSpace, params: dict[str, Any], kind: str = "factor", n: int = 400, **changes: Any
) -> list[dict[str, Any]]:
    """`n` configurations near `params`, each from a generator of its own."""
    settings: dict[str, Any] = {"share": 0.25, "fixed": (), "taken": (), **changes}
    return [perturbed(space, params, kind, **settings, rng=np.random.default_rng(seed)) for seed in range(n)]


def parts(found: list[dict[str, Any]], name: str) -> dict[Any, float]:
    """How often each value of a parameter occurs, as a part of all."""
    return {value: count / len(found) for value, count in Counter(params[name] for params in found).items()}


def test_factor_multiplies_numbers_moves_ordered_choices_and_seldom_redraws_others() -> None:
    found = near(SPACE, START)
    assert set(parts(found, "lr")) == {0.08, 0.12}
    assert set(parts(found, "units")) == {8, 12}
    assert set(parts(found, "drop")) == {0.2, 0.4}
    assert set(parts(found, "batch")) == {16, 64}
    for name in ("lr", "units", "drop", "batch"):
        assert min(parts(found, name).values()) == pytest.approx(0.5, abs=0.08)
    kept = parts(found, "optimizer")["sgd"]
    assert kept == pytest.approx(0.75 + 0.25 / 4, abs=0.06)
    assert set(parts(found, "optimizer")) == {"adam", "sgd", "rmsprop", "adagrad"}


def test_resample_keeps_most_and_redraws_the_rest_from_the_whole_range() -> None:
    found = near(SPACE, START, "resample")
    for name, value in START.items():
        expected = 0.75 if name == "lr" else 0.75 + 0.25 / (SPACE.by_name[name].size or 1)
        assert parts(found, name)[value] == pytest.approx(expected, abs=0.07), name
    drawn = [params["lr"] for params in found if params["lr"] != START["lr"]]
    assert np.mean([lr < 1e-2 for lr in drawn]) == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_fixed_stays(kind: str) -> None:
    found = near(SPACE, START, kind, 50, fixed=("units", "optimizer"))
    assert {(params["units"], params["optimizer"]) for params in found} == {(10, "sgd")}
    assert len(parts(found, "lr")) > 1


def test_where_all_is_fixed_the_winner_comes_back() -> None:
    assert near(SPACE, START, n=1, fixed=tuple(START), taken=(SPACE.key(START),)) == [START]


@pytest.mark.parametrize(
    ("rule", "value", "factor", "expected"),
    [
        ({"type": "float", "low": 0.0, "high": 1.0}, 0.9, 1.2, 1.0),
        ({"type": "float", "low": 0.1, "high": 1.0}, 0.1, 0.8, 0.1),
        ({"type": "float", "low": -2.0, "high": 1.0}, -1.0, 1.2, -1.2),
        ({"type": "float", "low": 1e-300, "high": 1e308}, 1e308, 1.2, 1e308),
        ({"type": "float", "low": 0.0, "high": 1.0, "step": 0.25}, 1.0, 0.8, 0.75),
        ({"type": "float", "low": 3.0, "high": 3.0}, 3.0, 1.2, 3.0),
        ({"type": "int", "low": 1, "high": 9}, 1, 1.2, 2),
        ({"type": "int", "low": 1, "high": 9}, 2, 0.8, 1),
        ({"type": "int", "low": 1, "high": 9}, 1, 0.8, 1),
        ({"type": "int", "low": -9, "high": 9}, 0, 1.2, 1),
        ({"type": "int", "low": -9, "high": 9}, 0, 0.8, -1),
        ({"type": "int", "low": -9, "high": 9}, -2, 0.8, -1),
        ({"type": "int", "low": 32, "high": 512, "step": 32}, 512, 0.8, 416),
        ({"type": "int", "low": 1, "high": 2**53, "log": True}, 2**53, 1.2, 2**53),
    ],
)
def test_a_number_times_a_factor_is_a_possible_value(rule: Any, value: Any, factor: float, expected: Any) -> None:
    parameter = SearchSpace.from_mapping({"x": rule}).by_name["x"]
    found = scaled(parameter, value, factor)
    assert found == expected
    assert type(found) is type(expected)
    assert parameter.contains(found)


def test_nought_has_no_factor_and_is_drawn() -> None:
    space = SearchSpace.from_mapping({"momentum": {"type": "float", "low": 0.0, "high": 1.0}})
    assert len(parts(near(space, {"momentum": 0.0}, n=30), "momentum")) == 30


def test_what_becomes_active_is_drawn_as_the_prior_says_and_what_becomes_inactive_is_dropped() -> None:
    space = SearchSpace.from_mapping(
        {
            "optimizer": ["adam", "sgd"],
            "momentum": {
                "type": "float",
                "low": 0.0,
                "high": 1.0,
                "when": {"optimizer": "sgd"},
                "prior": {"center": 0.9, "strength": "strong"},
            },
            "beta": {"type": "float", "low": 0.5, "high": 1.0, "when": {"optimizer": "adam"}},
        }
    )
    found = near(space, {"optimizer": "adam", "beta": 0.8}, share=1.0)
    assert all(space.fits(params) for params in found)
    drawn = [params["momentum"] for params in found if params["optimizer"] == "sgd"]
    assert len(drawn) > 100
    assert np.mean([momentum > 0.7 for momentum in drawn]) > 0.8


def test_a_configuration_that_was_gone_on_with_is_not_found_again_while_there_is_another() -> None:
    space = SearchSpace.from_mapping({"batch": [16, 32, 64]})
    start = {"batch": 32}
    taken = [space.key(start), space.key({"batch": 16})]
    assert parts(near(space, start, n=40, taken=taken), "batch") == {64: 1.0}
    taken.append(space.key({"batch": 64}))
    assert len(near(space, start, n=1, taken=taken)) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("title", SPACES)
def test_what_is_found_is_a_configuration(kind: str, title: str) -> None:
    check(SearchSpace.from_mapping(SPACES[title]), kind, n=20)


@given(mapping=spaces(), kind=st.sampled_from(KINDS))
def test_what_is_found_is_a_configuration_of_any_space(mapping: dict[str, Any], kind: str) -> None:
    check(SearchSpace.from_mapping(mapping), kind, n=3)


def check(space: SearchSpace, kind: str, n: int) -> None:
    """Walk `n` steps from a random configuration; each is whole, and the same for the same generator."""
    rng = np.random.default_rng(0)
    params: dict[str, Any] = configuration(space, rng.random(len(space.parameters)))
    for seed in range(n):
        twins = [
            perturbed(space, params, kind, 0.25, (), (space.key(params),), np.random.default_rng(seed))
            for _ in range(2)
        ]
        assert repr(twins[0]) == repr(twins[1])
        params = dict(twins[0])
        assert space.fits(params)
        assert space.canonical(params) == params
