"""Configurations that run first: what an entry may give, and what is said of one that it may not."""

from __future__ import annotations

from typing import Any

import pytest

from hpo_workflow.space import SearchSpace
from hpo_workflow.space.start import read_start, with_values

SPACE = SearchSpace.from_mapping(
    {
        "lr": {"type": "float", "low": 1e-4, "high": 1, "log": True},
        "layers": {"type": "int", "low": 1, "high": 4},
        "width3": {"type": "int", "low": 16, "high": 64, "step": 16, "when": {"layers": {"ge": 3}}},
        "optimizer": ["adam", "sgd"],
        "momentum": {"type": "float", "low": 0, "high": 1, "when": {"optimizer": "sgd"}},
        "nesterov": {"choices": [True, False], "when": {"momentum": {"gt": 0.5}}},
        "epochs": 20,
        "rate": {"expr": "1 / (lr - 0.5)"},
    }
)


def test_an_entry_may_give_all_or_some_or_repeat_a_constant() -> None:
    found = read_start(
        SPACE,
        [
            {"epochs": 20, "lr": 1, "layers": 1, "optimizer": "adam", "x-why": "the paper"},
            {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
            {"optimizer": "sgd"},
            {"optimizer": "sgd"},
        ],
    )
    assert not found.faults
    assert not found.notes
    assert found.points == (
        {"lr": 1.0, "layers": 1, "optimizer": "adam"},
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
        {"optimizer": "sgd"},
        {"optimizer": "sgd"},  # another draw
    )
    assert isinstance(found.points[0]["lr"], float)


def test_the_same_configuration_is_run_once() -> None:
    entry = {"lr": 0.1, "layers": 1, "optimizer": "adam"}
    found = read_start(SPACE, [{"lr": 0.1}, entry, {**entry, "epochs": 20}])
    assert found.points == ({"lr": 0.1}, entry)
    assert found.notes == ("start[2] is the same configuration as start[1]; it is run once.",)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"lr": 2}, "start[0].lr: lr is never 2. It is from 0.0001 to 1.0. The nearest is 1.0."),
        ({"lr": "0.1"}, "start[0].lr: lr is never '0.1'. It is from 0.0001 to 1.0."),
        ({"optimiser": "adam"}, "start[0].optimiser: there is no parameter optimiser. Did you mean optimizer?"),
        (
            {"optimizer": "adm"},
            "start[0].optimizer: optimizer is never adm. It is one of adam, sgd. Did you mean adam?",
        ),
        ({"epochs": 10}, "start[0].epochs: epochs is the constant 20, not 10. Remove epochs."),
        ({"epochs": True}, "start[0].epochs: epochs is the constant 20, not true. Remove epochs."),
        ({"rate": 1}, "start[0].rate: rate is derived: it follows from the other values. Remove rate."),
        ({"lr": 0.5}, "start[0]: space.rate.expr: "),
        (
            {"optimizer": "adam", "momentum": 0.9},
            "start[0].momentum: momentum is inactive where optimizer is adam: it needs optimizer: sgd. "
            "Remove momentum, or give another optimizer.",
        ),
        (
            {"momentum": 0.9},
            "start[0].momentum: momentum exists only where optimizer: sgd, and optimizer is not given. "
            "Give optimizer too, or remove momentum.",
        ),
        (
            {"layers": 2, "width3": 32},
            "start[0].width3: width3 is inactive where layers is 2: it needs layers: {ge: 3}. "
            "Remove width3, or give another layers.",
        ),
        ({}, "start[0]: gives no parameter. Give at least one, for example {lr: 0.001}, or remove it."),
        ("adam", "start[0]: adam is not a configuration. Give a list of mappings, for example start: [{lr: 0.001}]."),
    ],
)
def test_a_wrong_entry_is_named_with_its_cure(entry: Any, message: str) -> None:
    (fault,) = read_start(SPACE, [entry]).faults
    assert f"{fault.key}: {fault.problem} {fault.cure}".startswith(message)


def test_what_depends_on_something_inactive_is_inactive() -> None:
    faults = read_start(SPACE, [{"optimizer": "adam", "momentum": 0.9, "nesterov": True}]).faults
    assert [fault.problem for fault in faults] == [
        "momentum is inactive where optimizer is adam: it needs optimizer: sgd.",
        "nesterov is inactive, because momentum is.",
    ]


@pytest.mark.parametrize("entries", [{"lr": 1}, "lr", None])
def test_start_is_a_list(entries: Any) -> None:
    (fault,) = read_start(SPACE, entries).faults
    assert fault.problem.endswith("is not a list of configurations.")


def test_the_part_of_a_space_with_some_values_keeps_its_conditions_and_names() -> None:
    part = with_values(SPACE, {"optimizer": "sgd", "momentum": 0.25, "layers": 3, "width3": 32})
    assert part.n_configurations() is None  # lr is open
    part = with_values(SPACE, {"optimizer": "sgd", "momentum": 0.25, "layers": 3, "width3": 32, "lr": 0.1})
    assert list(part.configurations()) == [{"lr": 0.1, "layers": 3, "width3": 32, "optimizer": "sgd", "momentum": 0.25}]
    assert SPACE.fits(next(part.configurations()))
    assert part.names() == SPACE.names()
