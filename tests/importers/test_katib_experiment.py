from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from hpo_workflow.errors import ConfigError
from hpo_workflow.importers import Draft
from hpo_workflow.importers.katib_experiment import _groups, read_experiment

CONTAINER: dict[str, Any] = {"name": "c", "command": ["python", "a.py", "--x=${trialParameters.x}"]}
SPEC: dict[str, Any] = {
    "objective": {"type": "minimize", "objectiveMetricName": "loss"},
    "algorithm": {"algorithmName": "random"},
    "maxTrialCount": 9,
    "parameters": [{"name": "x", "parameterType": "double", "feasibleSpace": {"min": "0", "max": "1"}}],
    "trialTemplate": {
        "trialParameters": [{"name": "x", "reference": "x"}],
        "trialSpec": {"kind": "Job", "spec": {"template": {"spec": {"containers": [CONTAINER]}}}},
    },
}


def imported(container: dict[str, Any] | None = None, **changes: Any) -> Draft:
    spec = {key: value for key, value in {**copy.deepcopy(SPEC), **changes}.items() if value is not None}
    if container is not None:
        spec["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]["containers"] = [{**CONTAINER, **container}]
    return read_experiment(json.dumps({"kind": "Experiment", "metadata": {"name": "e"}, "spec": spec}), "f")


def entry(kind: str, **feasible: Any) -> Any:
    parameter = {"name": "x", "parameterType": kind, "feasibleSpace": feasible}
    return imported(parameters=[parameter]).study.get("space", {}).get("x")


@pytest.mark.parametrize(
    ("kind", "feasible", "expected"),
    [
        ("double", {"min": "1e-3", "max": "0.1"}, {"type": "float", "low": 0.001, "high": 0.1}),
        (
            "double",
            {"min": "0.1", "max": "0.3", "step": "0.1"},
            {"type": "float", "low": 0.1, "high": 0.3, "step": 0.1},
        ),
        (
            "double",
            {"min": "1", "max": "8", "distribution": "logUniform"},
            {"type": "float", "low": 1.0, "high": 8.0, "log": True},
        ),
        ("int", {"min": "1", "max": "8", "step": "1"}, {"type": "int", "low": 1, "high": 8}),
        ("int", {"min": 16, "max": 64, "step": 16}, {"type": "int", "low": 16, "high": 64, "step": 16}),
        ("discrete", {"list": ["8", "0.5", "1e-2"]}, [8, 0.5, 0.01]),
        ("categorical", {"list": ["8", "a", True, "a"]}, ["8", "a", "true"]),
        ("double", {"min": "0", "max": "1", "distribution": "normal"}, None),
        ("int", {"min": "0", "max": "1", "distribution": "logNormal"}, None),
    ],
)
def test_each_kind_of_parameter_is_carried_over_or_left_to_the_user(kind: str, feasible: Any, expected: Any) -> None:
    assert entry(kind, **feasible) == expected


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"parameters": []}, "there are no parameters"),
        ({"parameters": SPEC["parameters"] * 2}, "there is another parameter 'x'"),
        ({"parameters": [{"name": "x", "parameterType": "real", "feasibleSpace": {}}]}, "'real' is not one of"),
        ({"objective": {"type": "minimize"}}, "no objectiveMetricName"),
        ({"maxTrialCount": 0}, "is not a whole number from 1"),
        ({"nasConfig": {}}, "searches for an architecture"),
        ({"algorithm": {"algorithmName": "darts"}}, "searches for an architecture"),
        ({"algorithm": {"algorithmName": "hyperband"}}, "are not all given"),
        ({"trialTemplate": {"trialSpec": {}}}, "no container is in it"),
    ],
)
def test_an_experiment_that_is_wrong_is_a_fault(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        imported(**changes)


@pytest.mark.parametrize(
    ("container", "command", "shell"),
    [
        ({}, "python a.py --x=${hpo.x}", None),
        ({"command": ["python"], "args": ["a b.py", "${trialParameters.x}"]}, ["python", "a b.py", "${hpo.x}"], None),
        ({"command": ["/bin/sh", "-c", "a | b ${trialParameters.x}"]}, "a | b ${hpo.x}", "sh"),
        ({"command": ["bash", "-ec"], "args": ["a ${trialParameters.x}\nb"]}, "a ${hpo.x}\nb", None),
    ],
)
def test_the_command_of_a_container(container: dict[str, Any], command: Any, shell: str | None) -> None:
    study = imported(container).study
    assert study["command"] == command and study.get("shell") == shell


def test_an_image_that_starts_its_own_program_is_left_to_the_user() -> None:
    draft = imported({"command": None, "args": ["--x=${trialParameters.x}"], "image": "i:1"})
    assert draft.missing["command"].example == "PROGRAM --x=${hpo.x}" and "command" not in draft.study


def test_placeholders_that_nothing_answers_are_a_fault() -> None:
    with pytest.raises(ConfigError, match="is not one of trialParameters"):
        imported({"command": ["a", "${trialParameters.y}"]})
    template = {**SPEC["trialTemplate"], "trialParameters": [{"name": "x", "reference": "y"}]}
    with pytest.raises(ConfigError, match="'y' is no parameter"):
        imported(trialTemplate=template)


def test_the_name_of_a_trial_is_a_fact_here_too() -> None:
    template = {**SPEC["trialTemplate"], "trialParameters": [{"name": "x", "reference": "${trialSpec.Name}"}]}
    assert imported(trialTemplate=template).study["command"] == "python a.py --x=${study.name}-${trial.number}"


def test_secrets_are_named_and_never_copied() -> None:
    env = [
        {"name": "API_TOKEN", "value": "s3cret"},
        {"name": "FROM", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}},
        {"name": "MODE", "value": "x-${trialParameters.x}"},
        {"name": "HPO_X", "value": "1"},
    ]
    draft = imported({"env": env})
    assert draft.study["pass_env"] == ["API_TOKEN", "FROM"] and draft.study["env"] == {"MODE": "x-${hpo.x}"}
    assert "s3cret" not in repr(draft)
    assert any("HPO_X" in note.problem for note in draft.left_out)


def test_what_a_container_asks_for() -> None:
    resources = {"requests": {"cpu": "500m"}, "limits": {"cpu": "1500m", "memory": "512Mi", "amd.com/gpu": 2, "tpu": 1}}
    draft = imported({"resources": resources, "workingDir": "/w"})
    assert draft.study["resources"] == {"threads": 2, "mem": "512MiB", "gpu": 2}
    assert {note.key for note in draft.left_out} == {"containers[0].resources.tpu", "containers[0].workingDir"}


@pytest.mark.parametrize("value", ["1.2.3", "", "all", "-1", "0", "1e9", "٣", [], None, True])
def test_a_request_that_is_not_understood_is_named(value: Any) -> None:
    for name in ("cpu", "memory"):
        draft = imported({"resources": {"limits": {name: value}}})
        assert "resources" not in draft.study
        assert [note.key for note in draft.left_out] == [f"containers[0].resources.{name}"]


def test_the_containers_of_a_distributed_job_are_one_program_here() -> None:
    replicas = {role: {"template": {"spec": {"containers": [CONTAINER]}}} for role in ("Master", "Worker")}
    template = {**SPEC["trialTemplate"], "trialSpec": {"kind": "PyTorchJob", "spec": {"pytorchReplicaSpecs": replicas}}}
    draft = imported(trialTemplate=template)
    assert draft.study["command"] == "python a.py --x=${hpo.x}"
    assert any("has 2 containers" in note.problem for note in draft.left_out)


@pytest.mark.parametrize(
    ("value", "reduce", "named"), [("latest", "last", False), ("min", "best", False), ("max", None, True)]
)
def test_which_value_of_a_trial_counts(value: str, reduce: str | None, named: bool) -> None:
    objective = {**SPEC["objective"], "goal": "0.1", "metricStrategies": [{"name": "loss", "value": value}]}
    draft = imported(objective=objective)
    assert draft.study["objective"].get("reduce") == reduce and draft.study["objective"]["target"] == 0.1
    assert bool(draft.left_out) is named


FILTERS = [r"([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)", r"(\w+) is ([0-9.]+)", r"([^:]+):\s*([0-9.]+)"]
FILTERS += [r"(loss)\s*:\s*([0-9.]+)", r"{metricName: ([\w|-]+), metricValue: ((-?\d+)(\.\d+)?)}"]
LINES = ["loss=0.5", "val-loss=0.1 loss=0.2", "lossy=3", "loss is 4", "loss: 0.25", "x loss: 1", "my loss=1 loss = 7"]
LINES += ["{metricName: loss, metricValue: 0.75}", "{metricName: val-loss, metricValue: 2}", "loss=", "a|loss=3"]


@pytest.mark.parametrize("pattern", FILTERS)
def test_a_filter_reads_the_same_numbers_as_the_rule_that_it_becomes(pattern: str) -> None:
    collector = {"collector": {"kind": "StdOut"}, "source": {"filter": {"metricsFormat": [pattern]}}}
    rule = imported(metricsCollectorSpec=collector).study["metrics"]["define"]["loss"]["regex"]
    compared = 0
    for line in LINES:
        theirs = [match[2] for match in re.finditer(pattern, line, re.ASCII) if match[1] == "loss"]
        ours = [match["value"] for match in re.finditer(rule, line)]
        assert ours == theirs, line
        compared += len(ours)
    assert compared


@pytest.mark.parametrize("formats", [["(loss"], [r"(?:loss)=([0-9]+)"], [r"(a|b)=([0-9]+)"], ["x", "y"], [3]])
def test_a_filter_that_is_not_understood_is_named(formats: list[Any]) -> None:
    draft = imported(metricsCollectorSpec={"source": {"filter": {"metricsFormat": formats}}})
    assert "metrics" not in draft.study
    assert [note.key for note in draft.left_out] == ["spec.metricsCollectorSpec.source.filter.metricsFormat"]


def test_groups_of_a_regular_expression_are_found_where_they_are() -> None:
    assert _groups(r"([(]a)(?:b)(c(d)\))") == [(0, 6), (11, 19), (13, 16)]
    assert _groups("(a") == [] and _groups("a)") == []


def test_metrics_in_a_file_or_in_events_are_named() -> None:
    where = {"source": {"fileSystemPath": {"path": "/log/m.json", "format": "JSON"}}, "collector": {"kind": "File"}}
    draft = imported(metricsCollectorSpec=where)
    assert draft.study["metrics"] == {"format": "json"} and "cat /log/m.json" in draft.left_out[0].cure
    events = imported(metricsCollectorSpec={"collector": {"kind": "TensorFlowEvent"}})
    assert "'TensorFlowEvent' has no counterpart" in events.left_out[0].problem


@pytest.mark.parametrize("trials", [1, 9, 22, 23, 60])
def test_hyperband_begins_as_many_configurations_as_its_trainings_allow(trials: int) -> None:
    settings = [{"name": n, "value": v} for n, v in (("resource_name", "n"), ("r_l", "9"), ("eta", "3"))]
    parameters = [*SPEC["parameters"], {"name": "n", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "9"}}]
    draft = imported(
        algorithm={"algorithmName": "hyperband", "algorithmSettings": settings},
        parameters=parameters,
        maxTrialCount=trials,
    )
    assert draft.study["fidelity"] == {"name": "n", "low": 1, "high": 9, "eta": 3, "method": "hyperband"}
    assert "n" not in draft.study["space"]
    # brackets of 9 + 3 + 1, 5 + 1 and 3 trainings: 22 for 17 configurations (Li et al. 2018, table 1, for R = 9)
    assert draft.study["budget"]["trials"] == {1: 1, 9: 7, 22: 17, 23: 18, 60: 45}[trials]


def test_levels_that_would_be_rounded_otherwise_are_named() -> None:
    settings = [{"name": n, "value": v} for n, v in (("resource_name", "x"), ("r_l", "10"), ("eta", "3"))]
    draft = imported(algorithm={"algorithmName": "hyperband", "algorithmSettings": settings})
    assert "fidelity" not in draft.study and "is no power of eta" in draft.left_out[0].problem


def test_the_budget_of_an_experiment() -> None:
    draft = imported(maxFailedTrialCount=0, parallelTrialCount=20)
    assert draft.study["budget"] == {"trials": 9, "parallel": 9, "failures": 1}
    assert imported().study["budget"] == {"trials": 9, "parallel": 3}
    assert set(imported(maxTrialCount=None).missing) == {"budget.trials"}


def test_a_key_that_is_not_known_is_named() -> None:
    assert [note.key for note in imported(maxTrials=3).left_out] == ["spec.maxTrials"]


def test_algorithms() -> None:
    settings = [{"name": "random_state", "value": "12"}, {"name": "n_initial_points", "value": "3"}]
    draft = imported(algorithm={"algorithmName": "bayesianoptimization", "algorithmSettings": settings})
    assert draft.study["sampler"] == "gp" and draft.study["seed"] == 12
    assert "n_initial_points" in draft.left_out[0].problem
    assert "'pbt' has no counterpart" in imported(algorithm={"algorithmName": "pbt"}).left_out[0].problem
    assert imported(algorithm={"algorithmName": "multivariate-tpe"}).study["sampler"] == "tpe"
