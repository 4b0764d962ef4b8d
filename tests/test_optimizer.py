"""Ask and tell from Python."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import hpo_workflow
from hpo_workflow import Optimizer
from hpo_workflow.errors import ConfigError, UsageError
from hpo_workflow.samplers import known_samplers
from hpo_workflow.space import SearchSpace

SPACE: dict[str, Any] = {
    "x": {"type": "float", "low": -1, "high": 1, "points": 4},
    "n": {"type": "int", "low": 1, "high": 3},
    "c": [16, 32],
    "m": {"type": "int", "low": 0, "high": 1, "when": {"c": 16}},
}


def test_the_public_name_is_found_and_others_are_not() -> None:
    assert hpo_workflow.Optimizer is Optimizer
    assert "Optimizer" in dir(hpo_workflow)
    with pytest.raises(AttributeError):
        hpo_workflow.nothing  # noqa: B018


@pytest.mark.parametrize("sampler", [name for name in known_samplers() if name not in ("external", "optuna")])
def test_ask_and_tell_make_a_study(sampler: str) -> None:
    runs = []
    for _ in range(2):
        optimizer = Optimizer(SPACE, sampler=sampler, seed=4)
        asked = []
        for _ in range(5):
            for params in optimizer.ask(3):
                asked.append(params)
                optimizer.tell(params, params["x"] ** 2 + params["n"])
        runs.append(asked)
    assert runs[0] == runs[1]
    assert len({optimizer.space.key(params) for params in asked}) == len(asked) == 15


def test_what_was_asked_and_not_told_is_pending() -> None:
    optimizer = Optimizer(SPACE, sampler="random")
    first, second = optimizer.ask(2)
    optimizer.tell(first, 1.0)
    assert optimizer.history.pending == (second,)
    assert [o.loss for o in optimizer.history.observations] == [1.0]


def test_an_optimizer_that_was_told_the_same_goes_on_in_the_same_way() -> None:
    one, other = Optimizer(SPACE, "tpe", seed=1), Optimizer(SPACE, "tpe", seed=1)
    told = [(params, float(i)) for i, params in enumerate(one.ask(15))]
    for params, loss in told:
        one.tell(params, loss)
    for params, loss in reversed(told):
        other.tell(params, loss)
    assert one.ask(3) == other.ask(3)


@pytest.mark.parametrize("loss", [None, math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_is_a_failure(loss: float | None) -> None:
    optimizer = Optimizer(SPACE, "gp")
    optimizer.tell(optimizer.ask()[0], loss)
    assert optimizer.history.observations[0].loss is None
    assert optimizer.ask(2)


def test_numbers_of_numpy_are_taken_and_plain_ones_given() -> None:
    optimizer = Optimizer(SPACE, "tpe")
    optimizer.tell({"x": np.float64(0.5), "n": np.int64(2), "c": np.int64(32)}, np.float32(0.25))  # type: ignore[arg-type]
    observation = optimizer.history.observations[0]
    assert repr(dict(observation.params)) == "{'x': 0.5, 'n': 2, 'c': 32}"
    assert repr(observation.loss) == "0.25"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"x": 0.5, "n": 2}, "c missing."),
        ({"x": 0.5, "n": 2, "c": 16}, "m missing."),
        ({"x": 0.5, "n": 2, "c": 32, "m": 1}, "m is inactive with these values; leave it out."),
        ({"x": 5.0, "n": 2, "c": 32}, "5.0 is not possible for x."),
        ({"x": 0.5, "n": 2, "c": 32, "q": 1}, "q is not a parameter that varies; those are x, n, c, m."),
    ],
)
def test_telling_what_does_not_fit_says_why(params: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Optimizer(SPACE).tell(params, 1.0)
    assert str(caught.value).endswith(message)


def test_wrong_calls_are_errors_of_the_user() -> None:
    with pytest.raises(ConfigError, match=r"space.x: type is missing"):
        Optimizer({"x": {"low": 0, "high": 1}})
    with pytest.raises(ConfigError, match=r"Did you mean gp"):
        Optimizer(SPACE, sampler="bayes")
    with pytest.raises(ConfigError, match=r"Give points"):
        Optimizer({"x": {"type": "float", "low": 0, "high": 1}}, sampler="grid")
    with pytest.raises(UsageError, match="seed"):
        Optimizer(SPACE, seed=-1)
    with pytest.raises(UsageError, match="budget is 0; give a whole number from 1"):
        Optimizer(SPACE, budget=0)
    with pytest.raises(UsageError, match="parallel is None; give a whole number from 1"):
        Optimizer(SPACE, parallel=None)  # type: ignore[arg-type]
    for n in (-1, True, 1.5):
        with pytest.raises(UsageError, match="ask"):
            Optimizer(SPACE).ask(n)  # type: ignore[arg-type]
    assert Optimizer(SPACE).ask(0) == []


def test_asking_more_than_is_left_gives_what_is_left() -> None:
    optimizer = Optimizer({"a": [1, 2, 3]})
    assert sorted(params["a"] for params in optimizer.ask(5)) == [1, 2, 3]
    assert optimizer.ask() == []


def test_a_space_may_be_given_ready_made() -> None:
    assert Optimizer(SearchSpace.from_mapping(SPACE)).ask(2) == Optimizer(SPACE).ask(2)


def test_start_points_are_asked_first_and_what_they_leave_out_is_drawn() -> None:
    start = [{"x": np.float64(0.5), "n": 2, "c": 16, "m": 1}, {"c": 32}]
    optimizer = Optimizer(SPACE, sampler="random", start=start)
    first = optimizer.ask(3)
    assert first[0] == {"x": 0.5, "n": 2, "c": 16, "m": 1}
    assert first[1]["c"] == 32
    assert set(first[1]) == {"x", "n", "c"}
    assert len(optimizer.history.pending) == 3
    alone = Optimizer(SPACE, sampler="random", start=start)
    assert [*alone.ask(), *alone.ask(), *alone.ask()] == first


def test_a_start_point_that_was_told_before_is_not_asked() -> None:
    known = {"x": 0.5, "n": 2, "c": 32}
    optimizer = Optimizer(SPACE, sampler="random", start=[known])
    optimizer.tell(known, 1.0)
    assert optimizer.ask()[0] != known


def test_a_wrong_start_point_is_an_error_of_the_user() -> None:
    with pytest.raises(ConfigError, match=r"start\[0\]\.y: there is no parameter y"):
        Optimizer(SPACE, start=[{"y": 1}])
    with pytest.raises(ConfigError, match=r"start\[0\]: 3 is not a configuration"):
        Optimizer(SPACE, start=[3])  # type: ignore[list-item]
