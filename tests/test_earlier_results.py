"""Earlier results on the present space: what is used, what is left out, and what is said of it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from hpo_workflow.earlier_results import Row, Source, map_rows, number_of, observations_of
from hpo_workflow.samplers.history import Observation
from hpo_workflow.space import SearchSpace

SPACE = SearchSpace.from_mapping(
    {
        "lr": {"type": "float", "low": 1e-5, "high": 0.1, "log": True},
        "drop": {"type": "float", "low": 0, "high": 0.5, "step": 0.1},
        "units": {"type": "int", "low": 32, "high": 128, "step": 32},
        "optimizer": ["adam", "sgd"],
        "momentum": {"type": "float", "low": 0, "high": 1, "when": {"optimizer": "sgd"}},
        "amp": {"choices": [True, False]},
        "batch": [16, 32, "-1"],
        "device": ["gpu"],
        "epochs": 20,
        "rate": {"expr": "lr * epochs"},
    }
)
TEXT = {"lr": "0.01", "drop": "0.3", "units": "64", "optimizer": "adam", "amp": "True", "batch": "16"}
VALUES = {"lr": 0.01, "drop": 0.3, "units": 64, "optimizer": "adam", "amp": True, "batch": 16}
PARAMS = {**VALUES, "device": "gpu"}


def mapped(params: dict[str, Any], value: Any = 0.5, as_text: bool = True) -> tuple[Any, str]:
    """The configuration of one row, or None, and what is said of it."""
    found = map_rows(SPACE, "minimize", Source("old.csv", (Row("line 2", params, value),), as_text))
    return (dict(found.observations[0].params) if found.observations else None), found.sentence()


@pytest.mark.parametrize(("params", "as_text"), [(TEXT, True), (VALUES, False)])
def test_a_row_is_mapped_by_name_and_a_parameter_with_one_value_need_not_be_given(
    params: dict[str, Any], as_text: bool
) -> None:
    assert mapped(params, as_text=as_text) == (PARAMS, "1 of 1 row of old.csv used")
    assert SPACE.fits(PARAMS)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("drop", "0.30000000000000004", 0.3),  # written by a program that adds steps
        ("drop", " 0.5", 0.5),
        ("lr", "0.10000000000000002", 0.1),  # an end of the range that was computed
        ("lr", "1E-5", 1e-5),
        ("units", "64.0", 64),  # pandas writes whole numbers of a column with gaps so
        ("amp", "false", False),
        ("batch", "16.0", 16),
        ("batch", "'-1", "-1"),  # as `hpo trials --csv` guards it
    ],
)
def test_a_cell_is_read_as_the_value_that_was_meant(name: str, text: str, value: Any) -> None:
    params, _ = mapped({**TEXT, name: text})
    assert params[name] == value
    assert type(params[name]) is type(value)


@pytest.mark.parametrize(
    ("change", "value", "said"),
    [
        ({"lr": "0.5"}, 1.0, "1 out of range: lr 0.5 in line 2"),
        ({"lr": "nan"}, 1.0, "1 out of range: lr nan in line 2"),
        ({"lr": "1_0"}, 1.0, "1 out of range: lr 1_0 in line 2"),
        ({"drop": "0.35"}, 1.0, "1 out of range: drop 0.35 in line 2"),
        ({"units": "64.5"}, 1.0, "1 out of range: units 64.5 in line 2"),
        ({"units": "many"}, 1.0, "1 out of range: units many in line 2"),
        ({"optimizer": "Adam"}, 1.0, "1 out of range: optimizer Adam in line 2"),
        ({"amp": "1"}, 1.0, "1 out of range: amp 1 in line 2"),
        ({"lr": ""}, 1.0, "1 without a value: lr in line 2"),
        ({"optimizer": "sgd"}, 1.0, "1 without a value: momentum in line 2"),
        ({"epochs": "10"}, 1.0, "1 with another constant: epochs 10 in line 2"),
        ({}, None, "1 without a result: line 2"),
        ({}, float("nan"), "1 without a result: line 2"),
        ({}, float("-inf"), "1 without a result: line 2"),
        ({}, "n/a", "1 with a result that is no number: n/a in line 2"),
    ],
)
def test_a_row_that_cannot_be_used_is_left_out_with_its_reason(change: dict[str, Any], value: Any, said: str) -> None:
    params, sentence = mapped({**TEXT, **change}, value)
    assert params is None
    assert sentence == f"0 of 1 row of old.csv used; 1 left out ({said})"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"amp": 1}, "amp 1"),
        ({"lr": True}, "lr true"),
        ({"lr": "0.01"}, "lr '0.01'"),
        ({"units": 64.5}, "units 64.5"),
        ({"optimizer": ["adam"]}, "optimizer [adam]"),
    ],
)
def test_values_of_another_kind_are_not_mistaken_for_those_that_look_alike(change: dict[str, Any], said: str) -> None:
    params, sentence = mapped({**VALUES, **change}, as_text=False)
    assert params is None
    assert f"out of range: {said} in line 2" in sentence


def test_what_is_inactive_or_derived_or_constant_or_unknown_is_passed_over() -> None:
    more = {"momentum": "0.9", "rate": "7", "epochs": "20", "note": "x", "seed": "3"}
    assert mapped({**TEXT, **more}) == (PARAMS, "1 of 1 row of old.csv used; no parameters here: note, seed")
    _, sentence = mapped({**TEXT, **{f"c{i}": "" for i in range(9)}})
    assert sentence.endswith("no parameters here: c0, c1, c2, c3, c4, c5, c6, c7, ...")


def test_reasons_are_counted_and_the_first_row_of_each_is_named() -> None:
    rows = [
        Row(f"line {n + 2}", {**TEXT, "lr": lr}, value)
        for n, (lr, value) in enumerate([("0.01", 1.0), ("0.5", 1.0), ("0.01", None), ("0.6", 1.0), ("0.01", 2.0)])
    ]
    found = map_rows(SPACE, "maximize", Source("old.csv", tuple(rows), as_text=True))
    assert found.observations == (Observation(PARAMS, -1.0), Observation(PARAMS, -2.0))  # both: there is noise
    assert found.sentence() == (
        "2 of 5 rows of old.csv used; 3 left out (2 out of range: lr 0.5 in line 3; 1 without a result: line 4)"
    )
    assert observations_of(SPACE, "maximize", [Source("a", ()), Source("b", tuple(rows), True)]) == found.observations


def test_a_source_is_the_same_after_it_was_stored() -> None:
    source = Source("old.csv", (Row("line 2", TEXT, 0.5), Row("line 3", {"lr": None}, "n/a")), as_text=True)
    assert Source.from_json(json.loads(json.dumps(source.to_json()))) == source


def test_numbers_of_cells() -> None:
    assert [number_of(text) for text in ("7", "-3", "1e-3", "0x1", "", "1_0", "seven")] == [
        7, -3, 0.001, None, None, None, None,
    ]  # fmt: skip


def test_ten_thousand_rows_are_mapped_in_less_than_a_second() -> None:
    source = Source("old.csv", tuple(Row(f"line {n}", TEXT, float(n)) for n in range(10_000)), as_text=True)
    begun = time.process_time()
    assert len(map_rows(SPACE, "minimize", source).observations) == 10_000
    assert time.process_time() - begun < 1.0
