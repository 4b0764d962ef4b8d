"""What several studies say together, from their values alone."""

from __future__ import annotations

import math
from typing import Any

import pytest

from hpo_workflow.analysis.comparison import ABSENT, Candidate, Comparison, Ended, compare, differences


def study(label: str, values: list[float], direction: str = "minimize", **changes: Any) -> Candidate:
    """A study whose trials took an hour each, one after the other."""
    complete = [Ended(index, value, index + 1.0, index + 1.0) for index, value in enumerate(values)]
    settings = {"sampler": {"name": label.rstrip("0123456789")}}
    known: dict[str, Any] = {"state": "", "seed": 0, "settings": settings, "counts": {"complete": len(values)}}
    known |= {"root": label, "metric": "loss", "trial_hours": float(len(values))}
    return Candidate(**{**known, "label": label, "direction": direction, "complete": complete, **changes})


def said(comparison: Comparison) -> str:
    return " ".join(comparison.sentences)


@pytest.mark.parametrize(("direction", "first"), [("minimize", "a"), ("maximize", "b")])
def test_the_study_with_the_best_value_stands_first_and_one_without_values_last(direction: str, first: str) -> None:
    names = [study("none", [], direction), study("a", [3.0, 1.0], direction), study("b", [2.0, 5.0], direction)]
    ranked = [each.label for each in compare(names).candidates]
    assert ranked[0] == first and ranked[-1] == "none"
    assert "No complete trial yet: none." in said(compare(names))


def test_each_is_asked_when_it_was_as_good_as_the_worst_of_the_best_values() -> None:
    found = compare([study("slow", [9.0, 8.0, 4.0]), study("quick", [5.0, 3.0, 1.0])])
    assert found.common == 4.0
    assert found.reached["slow"].n_trials == 3
    assert (found.reached["quick"].n_trials, found.reached["quick"].hours) == (2, 2.0)


def test_a_value_that_is_not_finite_is_never_the_best() -> None:
    found = compare([study("a", [math.nan, -math.inf, 2.0]), study("b", [1.0])])
    assert [each.best and each.best.value for each in found.candidates] == [1.0, 2.0]
    assert found.reached["a"].n_trials == 3


def test_courses_hold_the_best_so_far_where_it_changed() -> None:
    only = study("a", [3.0, 4.0, 1.0])
    assert only.by_trials() == [(1.0, 3.0), (3.0, 1.0)]
    assert only.by_hours() == [(1.0, 3.0), (3.0, 1.0)]


def test_without_times_there_is_no_course_by_hours() -> None:
    assert study("a", [1.0], complete=[Ended(0, 1.0, None, 0.0)]).by_hours() == []


def test_differences_name_the_key_and_what_each_study_says() -> None:
    told = differences([{"budget": {"trials": 4}, "x": 1, "env": {}}, {"budget": {"trials": 8}, "x": 1, "retry": "y"}])
    assert told == (("budget.trials", ("4", "8")), ("retry", (ABSENT, "y")))


def test_studies_that_differ_only_in_their_seeds_are_one_group() -> None:
    found = compare([study("tpe0", [2.0]), study("tpe1", [4.0], seed=1), study("gp0", [1.0])])
    (group,) = found.groups
    assert (group.labels, group.low, group.median, group.high) == (("tpe0", "tpe1"), 2.0, 3.0, 4.0)
    assert "differ only in their seeds" in said(found) and "One run of each" not in said(found)


def test_the_same_seed_twice_is_no_group_of_seeds() -> None:
    assert not compare([study("tpe0", [2.0]), study("tpe1", [2.0])]).groups


def test_groups_whose_medians_are_nearer_than_their_seeds_are_not_called_different() -> None:
    close = [study("a0", [1.0]), study("a1", [3.0], seed=1), study("b0", [1.5]), study("b1", [3.5], seed=1)]
    far = [study("a0", [1.0]), study("a1", [1.1], seed=1), study("b0", [3.4]), study("b1", [3.5], seed=1)]
    assert "no more difference than between the seeds" in said(compare(close))
    assert "no more difference than between the seeds" not in said(compare(far))


def test_single_runs_and_unequal_budgets_are_said_to_prove_little() -> None:
    told = said(compare([study("a", [2.0, 1.0]), study("b", [3.0])]))
    assert "One run of each" in told and "different numbers of complete trials" in told
    told = said(compare([study("a", [2.0]), study("b", [2.0])]))
    assert "found the same best loss, 2" in told and "different numbers" not in told


def test_with_fidelity_hours_are_to_be_compared() -> None:
    assert "compare hours" in said(compare([study("a", [2.0], steps=True), study("b", [3.0])]))


def test_no_study_with_a_complete_trial_is_said_and_nothing_else() -> None:
    found = compare([study("a", []), study("b", [])])
    assert found.sentences == ("No study has a complete trial yet.",)
    assert found.common is None and not found.reached
