"""Axes: where values lie and what is written at the marks."""

from __future__ import annotations

import math

import pytest

from hpo_workflow.report.axis import Axis, Strips, linear_marks, log_marks, number_axis, parameter_axis, tick_texts
from hpo_workflow.report.axis import value_axis as axis_of
from tests.report.pages import parameters


def texts(axis: Axis | Strips) -> list[str]:
    return [text for _, text in axis.ticks]


def test_round_numbers_are_marked() -> None:
    assert texts(axis_of("loss", [0.0, 1.0])) == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert linear_marks(0, 100) == [0, 20, 40, 60, 80, 100]
    assert linear_marks(-7, 13) == [-5, 0, 5, 10]


@pytest.mark.parametrize(
    ("low", "high"), [(1e-300, 3e-300), (-1e300, 1e300), (0.1, 0.10001), (1e5, 1e7), (-3e-9, 2e-9), (5e-324, 1e-310)]
)
def test_marks_lie_between_the_ends_and_are_written_differently(low: float, high: float) -> None:
    axis = axis_of("loss", [low, high], "maximize")
    assert all(0 <= place <= 1 for place, _ in axis.ticks)
    assert len(set(texts(axis))) == len(axis.ticks)
    assert all(len(text) <= 12 for text in texts(axis))
    assert 0 <= axis.place(low) <= axis.place(high) <= 1


def test_equal_values_get_an_axis_around_them() -> None:
    for value in (0.25, 0.0, -3.0, 1e300, 1e-300):
        axis = axis_of("loss", [value] * 3)
        assert axis.place(value) == pytest.approx(0.5)
        assert len(axis.ticks) >= 3


def test_one_whole_number_has_one_mark() -> None:
    assert texts(number_axis("trial", 0, 0, whole=True)) == ["0"]
    assert texts(number_axis("trial", 0, 3, whole=True)) == ["0", "1", "2", "3"]


def test_without_values_there_is_an_axis_all_the_same() -> None:
    assert axis_of("loss", [math.nan, math.inf]).ticks


def test_orders_of_magnitude_get_a_logarithmic_axis() -> None:
    axis = axis_of("loss", [1e-5, 1e-3, 0.1], "minimize")
    assert axis.log
    assert texts(axis) == ["10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "10⁻¹"]
    assert axis.place(1e-3) == pytest.approx(0.5)


@pytest.mark.parametrize("values", [[0.1, 0.9], [-1.0, 1000.0], [0.0, 1000.0]])
def test_other_values_get_a_linear_one(values: list[float]) -> None:
    assert not axis_of("loss", values, "minimize").log


def test_accuracies_are_not_stretched_at_their_bad_end() -> None:
    assert not axis_of("accuracy", [0.01, 0.98], "maximize").log


def test_a_value_that_a_logarithm_does_not_have_lies_at_the_low_end() -> None:
    assert axis_of("loss", [1e-3, 1.0], "minimize").place(0.0) == 0.0


def test_300_orders_of_magnitude_have_few_marks() -> None:
    axis = axis_of("loss", [1e-300, 1.0, 1e300], "minimize")
    assert texts(axis) == ["10⁻³⁰⁰", "10⁻²⁰⁰", "10⁻¹⁰⁰", "1", "10¹⁰⁰", "10²⁰⁰", "10³⁰⁰"]


def test_values_beyond_what_can_be_drawn_lie_at_the_end() -> None:
    axis = axis_of("loss", [-1.7e308, 0.0, 1.7e308])
    assert axis.place(1.7e308) == axis.place(1e300) > 0.9


def test_a_far_outlier_on_the_bad_side_does_not_squeeze_the_others() -> None:
    values = [1 + i / 10 for i in range(20)]
    axis = axis_of("loss", [*values, 900.0], "minimize")
    assert axis.cut and not axis.holds(900.0) and axis.place(900.0) == 1.0
    assert all(axis.holds(value) for value in values)
    assert axis_of("score", [*values, -900.0], "maximize").cut


def test_an_outlier_does_not_decide_what_kind_of_axis_it_is() -> None:
    values = [0.5 + i / 100 for i in range(20)]
    assert not axis_of("loss", [*values, 1e30], "minimize").log
    assert not axis_of("score", [*values, 1e-30], "maximize").log
    assert axis_of("loss", [*values, 1e-3], "minimize").log


def test_the_best_value_is_never_an_outlier() -> None:
    values = [1 + i / 10 for i in range(20)]
    assert axis_of("loss", [*values, -900.0], "minimize").holds(-900.0)
    assert axis_of("score", [*values, 900.0], "maximize").holds(900.0)


def test_of_few_values_none_is_an_outlier() -> None:
    assert axis_of("loss", [1.0, 2.0, 900.0], "minimize").holds(900.0)


def test_a_target_is_on_the_axis_unless_it_would_squeeze_the_values() -> None:
    assert axis_of("loss", [0.5, 0.9], "minimize", 0.3).holds(0.3)
    assert not axis_of("loss", [0.5, 0.9], "minimize", -50.0).holds(-50.0)
    assert not axis_of("loss", [1e-5, 1.0], "minimize", -1.0).holds(-1.0)


def test_the_axis_of_a_parameter_covers_its_range() -> None:
    lr, units, many = parameters(
        {
            "lr": {"type": "float", "low": 1e-5, "high": 0.1, "log": True},
            "units": {"type": "int", "low": 32, "high": 512},
            "many": {"type": "int", "low": 1, "high": 1000, "log": True},
        }
    )
    axis = parameter_axis(lr)
    assert isinstance(axis, Axis) and axis.log and axis.holds(1e-5) and axis.holds(0.1)
    assert texts(axis) == ["10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "10⁻¹"]
    assert texts(parameter_axis(units)) == ["100", "200", "300", "400", "500"]
    assert texts(parameter_axis(many)) == ["1", "10", "100", "1000"]


def test_choices_and_a_few_whole_numbers_are_strips_in_their_order() -> None:
    choice, flag, batch, layers = parameters(
        {
            "choice": ["sgd", "adam"],
            "flag": [True, False],
            "batch": [128, 16, 32],
            "layers": {"type": "int", "low": 1, "high": 4},
        }
    )
    assert texts(parameter_axis(choice)) == ["sgd", "adam"]
    assert texts(parameter_axis(flag)) == ["true", "false"]
    assert texts(parameter_axis(batch)) == ["16", "32", "128"]
    assert texts(parameter_axis(layers)) == ["1", "2", "3", "4"]


def test_equal_choices_are_drawn_beside_each_other_within_their_strip() -> None:
    strips = Strips("c", (1, True, "a", "b"))
    places = [strips.place("a", number) for number in range(100)]
    assert len(set(places)) == 100
    assert all(0.5 < place < 0.75 for place in places)
    assert strips.place(True, 0) > 0.25 > strips.place(1, 0)


def test_the_texts_of_an_axis_are_of_one_kind() -> None:
    assert tick_texts([0, 0.25, 0.5]) == ["0.00", "0.25", "0.50"]
    assert tick_texts([-2e-7, 0, 2e-7]) == ["−2·10⁻⁷", "0", "2·10⁻⁷"]
    assert tick_texts([1e6, 1e7]) == ["10⁶", "10⁷"]
    assert tick_texts([0, 500000]) == ["0", "500000"]
    assert tick_texts([]) == []
    assert tick_texts([0.1, 1, 10]) == ["0.1", "1", "10"]


@pytest.mark.parametrize("decades", [0.05, 0.5, 1, 1.5, 2.2, 2.8, 3.5, 5, 9, 30, 600])
def test_a_logarithmic_axis_of_any_length_has_two_to_eight_marks(decades: float) -> None:
    for start in (-3.0, -2.7, 0.0, 1.13):
        low = max(start - decades / 2, -300.0)
        assert 2 <= len(log_marks(low, low + decades)) <= 8, (low, decades)
