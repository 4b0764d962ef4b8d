from __future__ import annotations

import json
from typing import Any

import pytest

from hpo_workflow.errors import ConfigError
from hpo_workflow.importers import Draft
from hpo_workflow.importers.nni_experiment import read_experiment


def imported(**changes: Any) -> Draft:
    config = {
        "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
        "trialCommand": "python3 a.py",
        "maxTrialNumber": 5,
        "tuner": {"name": "TPE", "classArgs": {"optimize_mode": "maximize"}},
    }
    return read_experiment(json.dumps({k: v for k, v in {**config, **changes}.items() if v is not None}), "f")


def entry(kind: Any, *values: Any) -> Any:
    return imported(searchSpace={"x": {"_type": kind, "_value": list(values)}}).study.get("space", {}).get("x")


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("choice", [1, "a", True], [1, "a", True]),
        ("choice", [[1, 2], None], ["[1, 2]", "null"]),
        ("choice", [2, 2.0], [2]),
        ("randint", [0, 10], {"type": "int", "low": 0, "high": 9}),
        ("uniform", [0, 1], {"type": "float", "low": 0.0, "high": 1.0}),
        ("loguniform", [1, 10], {"type": "float", "low": 1.0, "high": 10.0, "log": True}),
        ("quniform", [0, 10, 2.5], {"type": "float", "low": 0.0, "high": 10.0, "step": 2.5}),
        ("quniform", [2, 10, 5], [2.0, 5.0, 10.0]),
        ("qloguniform", [1, 64, 1], {"type": "int", "low": 1, "high": 64, "log": True}),
        ("qloguniform", [1, 64, 4], None),
        ("normal", [0, 1], None),
        ("qlognormal", [0, 1, 2], None),
    ],
)
def test_each_type_is_carried_over_or_left_to_the_user(kind: str, values: list[Any], expected: Any) -> None:
    assert entry(kind, *values) == expected


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("choice", [], "there are no values"),
        ("randint", [5, 5], "from a whole number to below another"),
        ("uniform", [1], "uniform has 2 numbers"),
        ("uniform", [1, "2"], "uniform has 2 numbers"),
        ("uniform", [2, 1], "is above the largest"),
        ("loguniform", [0, 1], "has no logarithm"),
        ("quniform", [0, 1, 0], "is not above 0"),
        ("mutable_layer", [1], "is no type of a parameter"),
        (None, [1], "is no type of a parameter"),
        ("choice", [{"_name": "a"}, {"_name": "a"}], "two options have the same _name"),
    ],
)
def test_a_parameter_that_is_wrong_is_a_fault(kind: Any, values: list[Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        entry(kind, *values)


def test_nested_spaces_become_conditions_at_every_depth() -> None:
    inner = {"_name": "cosine", "cycles": {"_type": "randint", "_value": [1, 4]}}
    sgd = {"_name": "sgd", "schedule": {"_type": "choice", "_value": ["none", inner]}}
    draft = imported(searchSpace={"opt": {"_type": "choice", "_value": [sgd, {"_name": "adam"}]}})
    assert draft.study["space"] == {
        "opt": ["sgd", "adam"],
        "opt.sgd.schedule": {"choices": ["none", "cosine"], "when": {"opt": "sgd"}},
        "opt.sgd.schedule.cosine.cycles": {
            "type": "int",
            "low": 1,
            "high": 3,
            "when": {"opt.sgd.schedule": "cosine"},
        },
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"searchSpace": {}}, "there are no parameters"),
        ({"searchSpace": None}, "has no search space"),
        ({"searchSpace": None, "useAnnotation": True}, "Annotations stand in the program"),
        ({"searchSpace": None, "searchSpaceFile": "s.json"}, "cannot be read here"),
        ({"maxTrialNumber": -1}, "is not a whole number from 1"),
        ({"maxTrialDuration": "1 hour"}, "is no time"),
        ({"tuner": {"name": "TPE", "classArgs": {"optimize_mode": "max"}}}, "'max' is not one of"),
    ],
)
def test_an_experiment_that_is_wrong_is_a_fault(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        imported(**changes)


def test_the_file_of_the_space_is_read_where_the_configuration_is() -> None:
    config = json.dumps({"searchSpaceFile": "s.json", "trialCommand": "a", "trialCodeDirectory": "code"})

    def beside(name: str) -> bytes:
        if name != "s.json":
            raise FileNotFoundError(2, "No such file", name)
        return b'{"x": {"_type": "choice", "_value": [1, 2]}}'

    draft = read_experiment(config, "exp/config.json", beside, "exp")
    assert draft.study["space"] == {"x": [1, 2]} and draft.study["command"] == "cd exp/code && a"
    with pytest.raises(ConfigError, match="'t.json' cannot be read: No such file"):
        read_experiment(config.replace("s.json", "t.json"), "f", beside)
    with pytest.raises(ConfigError, match="f, s.json: .*bracket"):
        read_experiment(config, "f", lambda name: b"[1")


def test_the_older_form_is_read_too() -> None:
    older = {
        "experimentName": "e",
        "searchSpace": {"x": {"_type": "choice", "_value": [1, 2]}},
        "maxTrialNum": 7,
        "maxExecDuration": "2h",
        "trainingServicePlatform": "local",
        "trial": {"command": "a", "codeDir": ".", "gpuNum": 2, "image": "i:1"},
        "machineList": [{"ip": "10.0.0.1", "username": "u", "passwd": "s3cret"}],
        "tuner": {"builtinTunerName": "Random", "classArgs": {}},
        "assessor": {"builtinAssessorName": "Curvefitting"},
    }
    draft = read_experiment(json.dumps(older), "f")
    assert draft.study["budget"] == {"trials": 7, "wall": "2h"} and draft.study["sampler"] == "random"
    assert draft.study["resources"] == {"gpu": 2} and set(draft.missing) == {"objective.direction"}
    assert [note.key for note in draft.left_out] == ["assessor", "trial.image"]
    assert "s3cret" not in repr(draft) and draft.unneeded == ["trainingService", "machineList"]


def test_a_grid_of_real_numbers_is_named() -> None:
    tuner = {"name": "GridSearch", "classArgs": {"optimize_mode": "minimize"}}
    assert "sampler" not in imported(tuner=tuner).study
    space = {"x": {"_type": "choice", "_value": [1, 2]}}
    assert imported(tuner=tuner, searchSpace=space, maxTrialNumber=None).study["sampler"] == "grid"
    assert "budget.trials" not in imported(tuner=tuner, searchSpace=space, maxTrialNumber=None).missing


def test_the_rest_of_an_experiment() -> None:
    draft = imported(
        trialConcurrency=9,
        maxTrialDuration="10m",
        maxExperimentDuration=3600,
        tuner={"name": "BOHB", "classArgs": {"optimize_mode": "minimize", "seed": 4, "eta": 3}},
        trainingService={"platform": "local", "maxTrialNumberPerGpu": 2},
        sharedStorage={"storageType": "NFS"},
        logLevel="debug",
        maxTrials=3,
        name="named",
    )
    assert draft.study["budget"] == {"trials": 5, "parallel": 5, "wall": "3600s"}
    assert draft.study["resources"] == {"runtime": "10m"} and draft.study["seed"] == 4
    keys = ["tuner", "tuner.classArgs", "trainingService.maxTrialNumberPerGpu", "sharedStorage", "maxTrials"]
    assert draft.study["study"] == "named"
    assert [note.key for note in draft.left_out] == keys
    assert draft.unneeded == ["trainingService", "logLevel"]
