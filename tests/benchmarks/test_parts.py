"""Figures, tables and aims as they are printed."""

from __future__ import annotations

from benchmarks.parts import Aim, Results, aims, spread, table


def test_a_figure_is_the_median_with_the_spread_behind_it():
    assert spread([]) == "–"
    assert spread([0.14159]) == "0.142"
    assert spread([3.0, 1.0, 2.5], 1) == "2.5 (1.0 to 3.0)"


def test_a_table_has_its_numbers_on_the_right():
    assert table(("what", "s"), [["a", "1"]]) == ["| what | s |", "| --- | ---: |", "| a | 1 |"]


def test_the_median_meets_an_aim_or_does_not():
    rows = aims(
        [
            Aim("at most 2", [1.0, 2.0, 9.0], 2.0, 1),
            Aim("at most 2", [2.1], 2.0, 1),
            Aim("at least 0.9", [0.89, 0.95], 0.9, 2, least=True),
            Aim("at least 0.9", [0.8], 0.9, 2, least=True),
            Aim("at most 1", [], 1.0),
        ]
    )
    assert rows == [
        "| aim | measured |  |",
        "| --- | ---: | --- |",
        "| at most 2 | 2.0 | met |",
        "| at most 2 | 2.1 | **not met** |",
        "| at least 0.9 | 0.92 | met |",
        "| at least 0.9 | 0.80 | **not met** |",
        "| at most 1 | – | not measured |",
    ]


def test_results_are_looked_up_by_case_whatever_the_order_of_its_keys():
    records = [
        {"case": {"a": 1, "b": 2}, "values": {"x": 1.0}},
        {"case": {"b": 2, "a": 1}, "values": {"x": 3.0, "y": 5.0}},
        {"case": {"a": 2, "b": 2}, "values": {"x": 7.0}},
    ]
    results = Results(records)
    assert results.values({"b": 2, "a": 1}, "x") == [1.0, 3.0]
    assert results.values({"a": 1, "b": 2}, "y") == [5.0]
    assert results.values({"a": 3}, "x") == []
    assert results.having(b=2) == [{"a": 1, "b": 2}, {"a": 2, "b": 2}]
    assert results.having(a=2) == [{"a": 2, "b": 2}]
