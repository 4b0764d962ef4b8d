"""The options of pruners, as a study file gives them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpo_workflow.pruners.registry import PRUNERS, check_settings, describe, normal
from hpo_workflow.study_file import load_mapping

STUDY = {
    "study": "s",
    "command": "echo ${hpo.x}",
    "space": {"x": [1, 2]},
    "objective": {"metric": "loss", "direction": "minimize"},
    "budget": {"trials": 40},
}
LEAST = {
    "median": {},
    "percentile": {"percentile": 25},
    "threshold": {"upper": 1},
    "patient": {"patience": 3},
}
"""What each pruner needs."""


def test_the_short_form_stands_for_all_defaults(tmp_path: Path) -> None:
    short = load_mapping({**STUDY, "pruner": "median"}, "s", base_dir=tmp_path).spec.pruner
    assert short == {"name": "median", "startup": 5, "warmup": 0, "interval": 0, "audit": 0}
    assert (
        load_mapping({**STUDY, "pruner": {"name": "median", "x-why": 1}}, "s", base_dir=tmp_path).spec.pruner == short
    )
    assert load_mapping(STUDY, "s", base_dir=tmp_path).spec.pruner is None


def test_a_mapping_of_a_module_may_hold_numbers_as_text(tmp_path: Path) -> None:
    given = {"name": "patient", "patience": "3", "min_delta": "1e-4"}
    assert load_mapping({**STUDY, "pruner": given}, "s", base_dir=tmp_path).spec.pruner == {
        "name": "patient",
        "patience": 3,
        "min_delta": 1e-4,
        "warmup": 0,
        "audit": 0,
    }


def test_a_pruner_that_waits_for_the_whole_budget_is_warned_of(tmp_path: Path) -> None:
    study = {**STUDY, "pruner": {"name": "median", "startup": 40}}
    [warning] = load_mapping(study, "s", base_dir=tmp_path).warnings
    assert warning == (
        "pruner.startup: 40 complete trials are waited for, and budget.trials is 40: nothing is ever stopped."
    )


@pytest.mark.parametrize("name", PRUNERS)
def test_every_pruner_is_good_with_what_it_needs_and_says_what_it_will_do(name: str) -> None:
    settings = {"name": name, **LEAST[name]}
    assert check_settings(settings, "loss") == []
    assert describe(normal(settings)).startswith(name)


@pytest.mark.parametrize("name", PRUNERS)
@pytest.mark.parametrize("value", [None, True, "x", float("nan"), float("inf"), [1]])
def test_no_option_takes_what_is_not_a_finite_number(name: str, value: object) -> None:
    for key, option in PRUNERS[name].options.items():
        assert not option.accepts(value), key


def test_a_pruner_says_when_it_begins_and_what_it_lets_run_on() -> None:
    given = {"name": "median", "startup": 8, "warmup": 3, "audit": 0.05}
    assert describe(normal(given)) == (
        "median, once 8 trials are complete, after step 3, 5 % of what it would stop run on (audit)"
    )
    assert describe(normal({"name": "threshold", "upper": 10, "lower": 0.5})) == (
        "threshold, below 0.5 or above 10, once a trial is complete"
    )
    assert describe(normal({"name": "patient", "patience": 4, "min_delta": 0.1})) == (
        "patient, 4 reports without a better value by more than 0.1, once a trial is complete"
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MedianPruner", "median"),
        ("early_stopping", "patient"),
        ("medain", "median"),
        ("none", "Remove pruner:"),
        ("asha", "method of `fidelity:`"),
    ],
)
def test_what_other_tools_call_a_pruner_is_understood(name: str, meant: str) -> None:
    [fault] = check_settings(name, "loss")
    assert meant in fault.cure
    assert "Known here: median, percentile, threshold, patient." in fault.cure
