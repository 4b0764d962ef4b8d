"""The values of a rounded distribution, by drawing it as its project does, and those of the parameter made from it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hpo_workflow.importers.ranges import natural_log_range, rounded, stepped, suggested, without_repetition
from hpo_workflow.space import Categorical, SearchSpace


def drawn(low: float, high: float, q: float, clipped: bool) -> set[float]:
    """All values of round(x / q) * q; x in the middle of cells, since an end alone is never drawn."""
    x = low + (np.arange(20_000) + 0.5) / 20_000 * (high - low)
    values = np.round(x / q) * q
    return {round(float(value), 9) for value in (np.clip(values, low, high) if clipped else values)}


def possible(entry: object) -> set[float]:
    [parameter] = SearchSpace.from_mapping({"x": entry, "y": [0, 1]}).parameters[:1]
    assert parameter.size is not None
    values = parameter.choices if isinstance(parameter, Categorical) else map(parameter.value, range(parameter.size))
    return {round(float(value), 9) for value in values}


RANGES = [(0, 1, 0.25), (0, 0.5, 0.05), (0.05, 1, 0.1), (2, 10, 5), (0, 10, 3), (1, 10, 3), (0.5, 1.5, 1), (-1, 1, 0.3)]
RANGES += [(0.4, 0.45, 1), (16, 256, 16), (0.15, 0.35, 0.1), (3, 3, 1), (0, 10, 2.5), (-5, -1, 2), (0.1, 0.2, 7)]


@pytest.mark.parametrize("clipped", [True, False])
@pytest.mark.parametrize(("low", "high", "q"), RANGES)
def test_a_rounded_range_has_the_values_that_are_drawn(low: float, high: float, q: float, clipped: bool) -> None:
    entry = rounded(low, high, q, clipped=clipped, whole=False)
    assert entry is not None
    assert possible(entry) == drawn(low, high, q, clipped)


def test_whole_numbers_stay_whole() -> None:
    assert rounded(0, 12, 4, clipped=False, whole=True) == {"type": "int", "low": 0, "high": 12, "step": 4}
    assert rounded(1, 4, 1, clipped=False, whole=True) == {"type": "int", "low": 1, "high": 4}


def test_an_uneven_grid_is_listed_while_it_is_short() -> None:
    assert rounded(2, 10, 5, clipped=True, whole=False) == [2.0, 5.0, 10.0]
    assert rounded(0.4, 1000.5, 1, clipped=True, whole=False) is None
    assert rounded(0, 1e30, 1e-9, clipped=False, whole=False) is None


def test_decimal_steps_have_no_rounding_errors() -> None:
    assert rounded(0, 0.3, 0.1, clipped=False, whole=False) == {"type": "float", "low": 0.0, "high": 0.3, "step": 0.1}


def test_exponents_become_the_range_that_they_mean() -> None:
    entry = natural_log_range(math.log(1e-4), math.log(0.1))
    assert entry is not None and entry["log"] is True
    assert entry["low"] == pytest.approx(1e-4, rel=1e-15) and entry["high"] == pytest.approx(0.1, rel=1e-15)
    assert natural_log_range(-1, 1000) is None


@pytest.mark.parametrize(
    ("low", "high", "step", "end", "reaches"),
    [(0.5, 0.9, 0.1, 0.9, True), (0, 0.5, 0.2, 0.4, False), (2, 9, 3, 8, False), (1, 1, 2, 1, True)],
)
def test_steps_end_where_the_last_one_fits(low: float, high: float, step: float, end: float, reaches: bool) -> None:
    entry, met = stepped(low, high, step, whole=False)
    assert (entry["high"], met) == (end, reaches)
    SearchSpace.from_mapping({"x": entry, "y": [0, 1]})


def test_a_number_is_no_boolean_when_repetitions_are_dropped() -> None:
    assert without_repetition([1, True, 1.0, "1", True]) == [1, True, "1"]


def test_what_is_suggested_for_a_bell_is_a_range_around_its_middle() -> None:
    assert suggested(0.3, 0.1) == {"type": "float", "low": 0.1, "high": 0.5, "prior": {"center": 0.3}}
    log = suggested(-7, 1, log=True)
    assert (log["low"], log["high"], log["prior"]) == (0.000123, 0.00674, {"center": 0.000912})
    for entry in (log, suggested(0, 0), suggested(5000, 1, log=True), suggested(1e9, 1e-9)):
        SearchSpace.from_mapping({"x": entry})
